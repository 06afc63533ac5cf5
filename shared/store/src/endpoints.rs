//! Where partners are told of events. A secret is stored encrypted and is never part of what a
//! list gives; disabling an endpoint gives up what waits for it in the same transaction.
//! Lock order: an endpoint, then its deliveries. Called by partners' routes and by `deliveries`.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::id::{EndpointId, OrganisationId, RiskId};
use domain::webhook::{EventKind, OLD_SECRETS_MAX};
use sqlx::PgConnection;

use crate::decode::corrupt;
use crate::error::{StoreError, one_row};
use crate::page::Slice;

/// Why an endpoint is told nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledBy {
    /// The partner wished it.
    Partner,
    /// It answered 410.
    Gone,
    /// It did nothing but fail for days.
    Failing,
}

impl DisabledBy {
    /// As stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Partner => "partner",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Partner, Self::Gone, Self::Failing]
            .into_iter()
            .find(|reason| reason.as_str() == text)
    }
}

/// An endpoint, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Id.
    pub id: EndpointId,
    /// Whose.
    pub organisation_id: OrganisationId,
    /// Where.
    pub url: String,
    /// The partner's own words.
    pub description: String,
    /// What it is told of.
    pub kinds: Vec<EventKind>,
    /// Why and since when it is told nothing, if it is not.
    pub disabled: Option<(DisabledBy, DateTime<Utc>)>,
    /// Since when it has only failed.
    pub failing_since: Option<DateTime<Utc>>,
    /// About when it last took something, to the minute.
    pub delivered_at: Option<DateTime<Utc>>,
    /// Until when the secret before the last rotation still signs.
    pub old_secret_ends_at: Option<DateTime<Utc>>,
    /// Grows with each change by the partner.
    pub version: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// An endpoint to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewEndpoint<'a> {
    /// Id.
    pub id: EndpointId,
    /// Whose.
    pub organisation_id: OrganisationId,
    /// Where.
    pub url: &'a str,
    /// The partner's own words.
    pub description: &'a str,
    /// What it is told of.
    pub kinds: &'a [EventKind],
    /// The secret, encrypted.
    pub secret_cipher: &'a [u8],
}

/// What a partner may change of an endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Where.
    pub url: &'a str,
    /// The partner's own words.
    pub description: &'a str,
    /// What it is told of.
    pub kinds: &'a [EventKind],
    /// Whether it is told anything.
    pub is_enabled: bool,
}

/// Makes an endpoint.
pub async fn insert(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    endpoint: &NewEndpoint<'_>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- endpoints.insert
        insert into endpoints
            (id, organisation_id, url, description, kinds, state, secret_cipher, created_at,
             changed_at)
        values ($1, $2, $3, $4, $5, 'enabled', $6, $7, $7)",
        endpoint.id.uuid(),
        endpoint.organisation_id.uuid(),
        endpoint.url,
        endpoint.description,
        &texts(endpoint.kinds),
        endpoint.secret_cipher,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

struct Row {
    id: uuid::Uuid,
    organisation_id: uuid::Uuid,
    url: String,
    description: String,
    kinds: Vec<String>,
    disabled_by: Option<String>,
    disabled_at: Option<DateTime<Utc>>,
    failing_since: Option<DateTime<Utc>>,
    delivered_at: Option<DateTime<Utc>>,
    old_secret_ends_at: Option<DateTime<Utc>>,
    version: i32,
    created_at: DateTime<Utc>,
}

impl Row {
    fn read(self) -> Result<Endpoint, StoreError> {
        let id = EndpointId::from(self.id);
        let kinds = self
            .kinds
            .iter()
            .map(|kind| EventKind::parse(kind).ok_or_else(|| corrupt("endpoints", "kinds", id)))
            .collect::<Result<_, _>>()?;
        let disabled = match (self.disabled_by, self.disabled_at) {
            (Some(by), Some(at)) => {
                let by = DisabledBy::parse(&by)
                    .ok_or_else(|| corrupt("endpoints", "disabled_by", id))?;
                Some((by, at))
            }
            _ => None,
        };
        Ok(Endpoint {
            id,
            organisation_id: self.organisation_id.into(),
            url: self.url,
            description: self.description,
            kinds,
            disabled,
            failing_since: self.failing_since,
            delivered_at: self.delivered_at,
            old_secret_ends_at: self.old_secret_ends_at,
            version: self.version,
            created_at: self.created_at,
        })
    }
}

fn texts(kinds: &[EventKind]) -> Vec<String> {
    kinds.iter().map(|kind| kind.as_str().to_owned()).collect()
}

/// A slice of an organisation's endpoints, oldest first.
pub async fn list(
    conn: &mut PgConnection,
    organisation_id: OrganisationId,
    slice: Slice,
) -> Result<Vec<Endpoint>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "-- endpoints.list
        select id, organisation_id, url, description, kinds, disabled_by, disabled_at,
               failing_since, delivered_at, old_secrets_end_at[1] as old_secret_ends_at, version,
               created_at
        from endpoints
        where organisation_id = $1 and ($2::uuid is null or id > $2)
        order by id limit $3",
        organisation_id.uuid(),
        slice.after,
        slice.rows(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::read).collect()
}

/// One endpoint of an organisation.
pub async fn find(
    conn: &mut PgConnection,
    organisation_id: OrganisationId,
    id: EndpointId,
) -> Result<Option<Endpoint>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "-- endpoints.find
        select id, organisation_id, url, description, kinds, disabled_by, disabled_at,
               failing_since, delivered_at, old_secrets_end_at[1] as old_secret_ends_at, version,
               created_at
        from endpoints where organisation_id = $1 and id = $2",
        organisation_id.uuid(),
        id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(Row::read).transpose()
}

/// One endpoint of an organisation, locked until the transaction ends.
pub async fn lock(
    conn: &mut PgConnection,
    organisation_id: OrganisationId,
    id: EndpointId,
) -> Result<Option<Endpoint>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "-- endpoints.lock
        select id, organisation_id, url, description, kinds, disabled_by, disabled_at,
               failing_since, delivered_at, old_secrets_end_at[1] as old_secret_ends_at, version,
               created_at
        from endpoints where organisation_id = $1 and id = $2 for no key update",
        organisation_id.uuid(),
        id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(Row::read).transpose()
}

/// Counts an organisation's endpoints, one asker at a time: the lock on the organisation's name
/// lasts until the transaction ends.
pub async fn count_locked(
    conn: &mut PgConnection,
    organisation_id: OrganisationId,
) -> Result<i64, StoreError> {
    sqlx::query!(
        "-- endpoints.lock_count
        select pg_advisory_xact_lock(hashtextextended('endpoints:' || $1::text, 0))",
        organisation_id.uuid().to_string(),
    )
    .fetch_one(&mut *conn)
    .await?;
    let count = sqlx::query_scalar!(
        r#"-- endpoints.count
        select count(*) as "count!" from endpoints where organisation_id = $1"#,
        organisation_id.uuid(),
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// Changes an endpoint that the caller has locked at `version`. Enabling it, or another address,
/// forgets its failures; disabling gives up what waits.
pub async fn change(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: EndpointId,
    version: i32,
    change: &Change<'_>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- endpoints.change
        update endpoints
        set url = $4, description = $5, kinds = $6, version = version + 1, changed_at = $2,
            state = case when $7 then 'enabled' else 'disabled' end,
            disabled_by = case when $7 then null else coalesce(disabled_by, 'partner') end,
            disabled_at = case when $7 then null else coalesce(disabled_at, $2) end,
            failing_since = case when $7 and state = 'enabled' and url = $4 then failing_since end
        where id = $1 and version = $3",
        id.uuid(),
        now,
        version,
        change.url,
        change.description,
        &texts(change.kinds),
        change.is_enabled,
    )
    .execute(&mut *conn)
    .await?;
    one_row(done.rows_affected(), "endpoint", id)?;
    if !change.is_enabled {
        crate::deliveries::give_up(conn, now, id).await?;
    }
    Ok(())
}

/// Disables an enabled endpoint that the caller has locked, and gives up what waits for it;
/// `false` when it was disabled before.
pub async fn disable(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: EndpointId,
    by: DisabledBy,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- endpoints.disable
        update endpoints
        set state = 'disabled', disabled_by = $3, disabled_at = $2, version = version + 1,
            changed_at = $2
        where id = $1 and state = 'enabled'",
        id.uuid(),
        now,
        by.as_str(),
    )
    .execute(&mut *conn)
    .await?;
    crate::deliveries::give_up(conn, now, id).await?;
    Ok(done.rows_affected() == 1)
}

/// Gives an endpoint that the caller has locked a new secret; the one it replaces signs beside it
/// until `old_ends_at`. `false`, and nothing is changed, when as many old ones as may still do.
pub async fn rotate_secret(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: EndpointId,
    secret_cipher: &[u8],
    old_ends_at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- endpoints.rotate_secret
        update endpoints
        set old_secret_ciphers = secret_cipher || live.ciphers,
            old_secrets_end_at = $4::timestamptz || live.ends_at,
            secret_cipher = $3, version = version + 1, changed_at = $2
        from (select coalesce(array_agg(cipher order by ends_at desc), '{}') as ciphers,
                     coalesce(array_agg(ends_at order by ends_at desc), '{}') as ends_at
              from endpoints cross join unnest(old_secret_ciphers, old_secrets_end_at)
                  as old (cipher, ends_at)
              where id = $1 and ends_at > $2) as live
        where id = $1 and cardinality(live.ciphers) < $5",
        id.uuid(),
        now,
        secret_cipher,
        old_ends_at,
        OLD_SECRETS_MAX,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets an endpoint and all its deliveries.
pub async fn delete(
    conn: &mut PgConnection,
    organisation_id: OrganisationId,
    id: EndpointId,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- endpoints.delete
        delete from endpoints where organisation_id = $1 and id = $2",
        organisation_id.uuid(),
        id.uuid(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Those risks of whose index anybody is to be told: who has an endpoint for that and policies of
/// that risk. Without one, nothing is rung.
pub async fn list_index_watched(
    conn: &mut PgConnection,
    risks: &[RiskId],
) -> Result<BTreeSet<RiskId>, StoreError> {
    let ids: Vec<uuid::Uuid> = risks.iter().map(|id| id.uuid()).collect();
    let watched = sqlx::query_scalar!(
        r#"-- endpoints.list_index_watched
        select risk_id as "risk_id!" from unnest($1::uuid[]) as given (risk_id)
        where exists (
            select 1 from endpoints
            where $2 = any (kinds)
              and exists (select 1 from policies
                          where policies.risk_id = given.risk_id
                            and policies.organisation_id = endpoints.organisation_id
                            and policies.state in ('active', 'settled')))"#,
        &ids,
        EventKind::IndexUpdated.as_str(),
    )
    .fetch_all(conn)
    .await?;
    Ok(watched.into_iter().map(RiskId::from).collect())
}
