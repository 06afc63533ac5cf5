//! Webhooks on their way: one row per endpoint and event, written by who hears the event, given up
//! with its endpoint, sent again on request. How they are sent is in `attempts`. Never holds
//! personal data, and never two rows about the same thing to the same endpoint.
//! Lock order: subject, endpoint, delivery. Called by the outbound worker and partners' routes.

use chrono::{DateTime, Utc};
use domain::id::{DeliveryId, EndpointId, EventId, OrganisationId};
use domain::webhook::{EventKind, Notice};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::decode::corrupt;
use crate::error::StoreError;
use crate::page::Slice;

/// Why a delivery to a disabled endpoint is not tried.
pub const ENDPOINT_DISABLED: &str = "endpoint_disabled";

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// Waits for its time, or for an earlier one of its subject.
    Pending,
    /// Taken by the endpoint.
    Delivered,
    /// Given up; a replay tries it anew.
    Failed,
}

impl DeliveryState {
    /// As stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// From storage and from requests.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// Who is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hearer {
    /// Where.
    pub endpoint_id: EndpointId,
    /// Whether it is told now; to a disabled one, or one of a suspended organisation, it is written as
    /// given up, for a later replay.
    pub is_enabled: bool,
}

/// A delivery to be written.
#[derive(Debug, Clone, Copy)]
pub struct NewDelivery<'a> {
    /// Id.
    pub id: DeliveryId,
    /// To whom.
    pub hearer: Hearer,
    /// Whose endpoint that is.
    pub organisation_id: OrganisationId,
    /// What.
    pub notice: &'a Notice,
}

/// A delivery as its partner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Id.
    pub id: DeliveryId,
    /// To which endpoint.
    pub endpoint_id: EndpointId,
    /// The `webhook-id` it carries.
    pub event_id: EventId,
    /// What it tells.
    pub kind: EventKind,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts made since it was written or last replayed.
    pub attempts: i16,
    /// How often it was replayed.
    pub replays: i32,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// When it is tried next, if it is.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When it was tried last.
    pub attempted_at: Option<DateTime<Utc>>,
    /// HTTP status of the last answer.
    pub status: Option<i16>,
    /// Short code of what went wrong last.
    pub failure: Option<String>,
    /// When it was taken or given up.
    pub decided_at: Option<DateTime<Utc>>,
    /// The text that is sent.
    pub body: String,
}

/// Which deliveries to list; without anything, all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    /// Of this endpoint only.
    pub endpoint_id: Option<EndpointId>,
    /// In this state only.
    pub state: Option<DeliveryState>,
    /// Of this kind only.
    pub kind: Option<EventKind>,
    /// Of what happened at or after this instant only.
    pub since: Option<DateTime<Utc>>,
}

/// Makes who writes about a subject wait for each other, until the transaction ends: the order of
/// writing is then the order of commits.
pub async fn lock_subject(conn: &mut PgConnection, subject: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "-- deliveries.lock_subject
        select pg_advisory_xact_lock(hashtextextended('deliveries:' || $1::text, 0))",
        subject.to_string(),
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}

/// The endpoints of an organisation that are to be told; none that is younger than what happened,
/// and all of them of what cannot be chosen. They cannot be disabled or deleted until the
/// transaction ends.
pub async fn list_hearers(
    conn: &mut PgConnection,
    organisation_id: OrganisationId,
    notice: &Notice,
) -> Result<Vec<Hearer>, StoreError> {
    let rows = sqlx::query!(
        r#"-- deliveries.list_hearers
        select endpoints.id,
               endpoints.state = 'enabled' and organisations.state = 'active' as "is_enabled!"
        from endpoints join organisations on organisations.id = endpoints.organisation_id
        where endpoints.organisation_id = $1 and ($4 or $2 = any (endpoints.kinds))
          and endpoints.created_at <= $3
        order by endpoints.id
        for share of endpoints"#,
        organisation_id.uuid(),
        notice.kind.as_str(),
        notice.occurred_at,
        !notice.kind.is_subscribable(),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Hearer {
            endpoint_id: row.id.into(),
            is_enabled: row.is_enabled,
        })
        .collect())
}

/// Writes a delivery, due at once or with the earlier one of its subject that waits; `false` when
/// this endpoint was told this before, or has been told of a newer index of the same risk since.
pub async fn insert(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    delivery: &NewDelivery<'_>,
) -> Result<bool, StoreError> {
    let notice = delivery.notice;
    let done = sqlx::query!(
        "-- deliveries.insert
        insert into deliveries
            (id, endpoint_id, organisation_id, event_id, kind, subject_id, body, occurred_at,
             created_at, state, next_attempt_at, decided_at, failure)
        select $1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::text, $6::uuid, $7::text,
               $8::timestamptz, $9::timestamptz,
               case when $10 then 'pending' else 'failed' end,
               case when $10 then greatest($9, (
                   select max(earlier.next_attempt_at) from deliveries earlier
                   where earlier.endpoint_id = $2 and earlier.subject_id = $6
                     and earlier.state = 'pending' and earlier.occurred_at <= $8)) end,
               case when not $10 then $9 end,
               case when not $10 then $11::text end
        where $5 <> $12::text
           or not exists (select 1 from deliveries newer
                          where newer.subject_id = $6 and newer.endpoint_id = $2
                            and newer.kind = $12 and newer.occurred_at > $8)
        on conflict (endpoint_id, event_id) do nothing",
        delivery.id.uuid(),
        delivery.hearer.endpoint_id.uuid(),
        delivery.organisation_id.uuid(),
        notice.id.uuid(),
        notice.kind.as_str(),
        notice.subject,
        notice.body(),
        notice.occurred_at,
        now,
        delivery.hearer.is_enabled,
        ENDPOINT_DISABLED,
        EventKind::IndexUpdated.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Pending → Failed for all that waits for an endpoint, which the caller has locked.
pub async fn give_up(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    endpoint_id: EndpointId,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "-- deliveries.give_up
        update deliveries
        set state = 'failed', failure = $3, decided_at = $2, next_attempt_at = null,
            claimed_until = null
        where endpoint_id = $1 and state = 'pending'",
        endpoint_id.uuid(),
        now,
        ENDPOINT_DISABLED,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Any state → Pending, due now or with the earlier one of its subject that waits, with all attempts
/// before it again; what is being sent at this moment is left alone. The caller has locked the
/// endpoint and seen it enabled.
pub async fn replay(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    endpoint_id: EndpointId,
    id: DeliveryId,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- deliveries.replay
        update deliveries
        set state = 'pending', attempts = 0, replays = replays + 1, claimed_until = null,
            decided_at = null,
            next_attempt_at = greatest($3, (
                select max(earlier.next_attempt_at) from deliveries earlier
                where earlier.endpoint_id = $1 and earlier.subject_id = deliveries.subject_id
                  and earlier.state = 'pending'
                  and (earlier.occurred_at, earlier.sequence)
                      < (deliveries.occurred_at, deliveries.sequence)))
        where id = $2 and endpoint_id = $1 and (claimed_until is null or claimed_until <= $3)",
        endpoint_id.uuid(),
        id.uuid(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What of an endpoint is sent again, in the order in which it was written.
#[derive(Debug, Clone, Copy)]
pub struct Replay {
    /// What happened, or was given up, at or after this instant; what waits, whenever it happened.
    pub since: DateTime<Utc>,
    /// Also what was delivered.
    pub with_delivered: bool,
    /// Only what was written after this delivery, where an earlier request ended.
    pub after: Option<DeliveryId>,
    /// At most this many.
    pub limit: i64,
}

/// The same for many of an endpoint; how many, and the last of them. What waits for its time comes
/// along, or what was written after it would have to wait for it.
pub async fn replay_since(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    endpoint_id: EndpointId,
    replay: &Replay,
) -> Result<(i64, Option<DeliveryId>), StoreError> {
    let done = sqlx::query!(
        r#"-- deliveries.replay_since
        with replayed as (
            update deliveries
            set state = 'pending', attempts = 0, replays = replays + 1, next_attempt_at = $2,
                claimed_until = null, decided_at = null
            where id in (
                select id from deliveries
                where endpoint_id = $1
                  and case state
                      when 'pending' then next_attempt_at > $2
                      when 'failed' then occurred_at >= $3 or decided_at >= $3
                      else occurred_at >= $3 and $4
                  end
                  and (claimed_until is null or claimed_until <= $2)
                  and ($5::uuid is null
                       or sequence > (select sequence from deliveries where id = $5))
                order by sequence limit $6
                for update
            )
            returning id, sequence
        )
        select count(*) as "count!", (array_agg(id order by sequence desc))[1] as last
        from replayed"#,
        endpoint_id.uuid(),
        now,
        replay.since,
        replay.with_delivered,
        replay.after.map(DeliveryId::uuid),
        replay.limit,
    )
    .fetch_one(conn)
    .await?;
    Ok((done.count, done.last.map(Into::into)))
}

/// A slice of an organisation's deliveries, in the order in which they were written.
pub async fn list(
    conn: &mut PgConnection,
    organisation_id: OrganisationId,
    filter: &Filter,
    slice: Slice,
) -> Result<Vec<Delivery>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "-- deliveries.list
        select id, endpoint_id, event_id, kind, state, attempts, replays, occurred_at,
               next_attempt_at, attempted_at, status, failure, decided_at, body
        from deliveries
        where organisation_id = $1
          and ($2::uuid is null or endpoint_id = $2)
          and ($3::text is null or state = $3)
          and ($4::text is null or kind = $4)
          and ($5::timestamptz is null or occurred_at >= $5)
          and ($6::uuid is null or id > $6)
        order by id limit $7",
        organisation_id.uuid(),
        filter.endpoint_id.map(EndpointId::uuid),
        filter.state.map(DeliveryState::as_str),
        filter.kind.map(EventKind::as_str),
        filter.since,
        slice.after,
        slice.rows(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::read).collect()
}

struct Row {
    id: Uuid,
    endpoint_id: Uuid,
    event_id: Uuid,
    kind: String,
    state: String,
    attempts: i16,
    replays: i32,
    occurred_at: DateTime<Utc>,
    next_attempt_at: Option<DateTime<Utc>>,
    attempted_at: Option<DateTime<Utc>>,
    status: Option<i16>,
    failure: Option<String>,
    decided_at: Option<DateTime<Utc>>,
    body: String,
}

impl Row {
    fn read(self) -> Result<Delivery, StoreError> {
        let id = DeliveryId::from(self.id);
        Ok(Delivery {
            id,
            endpoint_id: self.endpoint_id.into(),
            event_id: self.event_id.into(),
            kind: EventKind::parse(&self.kind).ok_or_else(|| corrupt("deliveries", "kind", id))?,
            state: DeliveryState::parse(&self.state)
                .ok_or_else(|| corrupt("deliveries", "state", id))?,
            attempts: self.attempts,
            replays: self.replays,
            occurred_at: self.occurred_at,
            next_attempt_at: self.next_attempt_at,
            attempted_at: self.attempted_at,
            status: self.status,
            failure: self.failure,
            decided_at: self.decided_at,
            body: self.body,
        })
    }
}

/// One delivery of an organisation.
pub async fn find(
    conn: &mut PgConnection,
    organisation_id: OrganisationId,
    id: DeliveryId,
) -> Result<Option<Delivery>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "-- deliveries.find
        select id, endpoint_id, event_id, kind, state, attempts, replays, occurred_at,
               next_attempt_at, attempted_at, status, failure, decided_at, body
        from deliveries where organisation_id = $1 and id = $2",
        organisation_id.uuid(),
        id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(Row::read).transpose()
}

/// Since when the oldest pending delivery has been written, of organisations that may be told.
pub async fn oldest_pending_at(
    conn: &mut PgConnection,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let oldest = sqlx::query_scalar!(
        "-- deliveries.oldest_pending_at
        select min(created_at) from deliveries
        where state = 'pending'
          and organisation_id in (select id from organisations where state = 'active')",
    )
    .fetch_one(conn)
    .await?;
    Ok(oldest)
}

/// Forgets up to `limit` deliveries decided before `before`; returns how many.
pub async fn purge(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let purged = sqlx::query!(
        "-- deliveries.purge
        delete from deliveries
        where id in (select id from deliveries where decided_at < $1 limit $2)",
        before,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(purged.rows_affected())
}
