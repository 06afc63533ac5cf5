//! Attempts to deliver: claimed and counted before the call, recorded after it. Of one subject and
//! endpoint only the oldest pending delivery is ever claimed, so that a partner hears of things in
//! their order. Never decides when to try again.
//! Lock order: endpoint, delivery. Called by the outbound worker.

use chrono::{DateTime, Utc};
use domain::id::{DeliveryId, EndpointId, EventId, OrganisationId};
use sqlx::PgConnection;

use crate::decode::corrupt;
use crate::error::StoreError;

/// A delivery to be sent now.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Id.
    pub id: DeliveryId,
    /// To which endpoint.
    pub endpoint_id: EndpointId,
    /// Whose.
    pub organisation_id: OrganisationId,
    /// What it tells, the same id at every attempt.
    pub event_id: EventId,
    /// The exact text to sign and send.
    pub body: String,
    /// Which attempt this is, from 1.
    pub attempt: u16,
    /// Where to.
    pub url: String,
    /// The endpoint's secrets, encrypted; the newest first.
    pub secret_ciphers: Vec<Vec<u8>>,
}

/// How much may be under way at once.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// To be claimed now.
    pub limit: i64,
    /// Under way for one organisation, whichever of its endpoints they go to.
    pub per_organisation: i64,
    /// Under way for one endpoint.
    pub per_endpoint: i64,
}

/// Claims due deliveries until `until` as far as there is room, counting the attempt. Organisations
/// take turns: those with the least under way come first, so that one that answers slowly, or has
/// much to hear, delays only itself. A claim that was never answered, because its process died, is
/// claimed again after `until`.
pub async fn claim(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
    room: Room,
) -> Result<Vec<Claimed>, StoreError> {
    let rows = sqlx::query!(
        r#"-- attempts.claim
        with busy as materialized (
            select organisation_id, endpoint_id from deliveries where claimed_until > $1
        ), due as (
            select head.id, head.next_attempt_at, head.sequence, endpoints.url,
                   endpoints.secret_cipher || array(
                       select cipher from unnest(endpoints.old_secret_ciphers,
                                                 endpoints.old_secrets_end_at)
                           as old (cipher, ends_at)
                       where ends_at > $1 order by ends_at desc
                   ) as secret_ciphers,
                   row_number() over (partition by endpoints.organisation_id
                                      order by head.next_attempt_at, head.sequence)
                       + (select count(*) from busy
                          where busy.organisation_id = endpoints.organisation_id) as turn
            from endpoints
            join organisations on organisations.id = endpoints.organisation_id
            cross join lateral (
                select greatest($5 - count(*), 0) as room from busy
                where busy.endpoint_id = endpoints.id
            ) as free
            cross join lateral (
                select id, next_attempt_at, sequence from deliveries oldest
                where oldest.endpoint_id = endpoints.id and oldest.state = 'pending'
                  and oldest.next_attempt_at <= $1
                  and (oldest.claimed_until is null or oldest.claimed_until <= $1)
                  and not exists (
                      select 1 from deliveries earlier
                      where earlier.endpoint_id = oldest.endpoint_id
                        and earlier.subject_id = oldest.subject_id and earlier.state = 'pending'
                        and (earlier.occurred_at, earlier.sequence)
                            < (oldest.occurred_at, oldest.sequence)
                  )
                order by oldest.next_attempt_at, oldest.sequence
                limit free.room
                for update skip locked
            ) as head
            where endpoints.state = 'enabled' and organisations.state = 'active'
        ), picked as (
            select * from due where turn <= $4
            order by turn, next_attempt_at, sequence limit $3
        )
        update deliveries
        set claimed_until = $2, attempts = deliveries.attempts + 1, attempted_at = $1
        from picked
        where deliveries.id = picked.id
        returning deliveries.id, deliveries.endpoint_id, deliveries.organisation_id,
                  deliveries.event_id, deliveries.body, deliveries.attempts,
                  picked.url as "url!", picked.secret_ciphers as "secret_ciphers!""#,
        now,
        until,
        room.limit,
        room.per_organisation,
        room.per_endpoint,
    )
    .fetch_all(conn)
    .await?;
    let claimed = rows.into_iter().map(|row| {
        Ok(Claimed {
            id: row.id.into(),
            endpoint_id: row.endpoint_id.into(),
            organisation_id: row.organisation_id.into(),
            event_id: row.event_id.into(),
            body: row.body,
            attempt: u16::try_from(row.attempts)
                .map_err(|_| corrupt("deliveries", "attempts", row.id))?,
            url: row.url,
            secret_ciphers: row.secret_ciphers,
        })
    });
    claimed.collect()
}

/// Pending → Delivered, whichever attempt it was that arrived; `false` when it is decided already
/// or gone. The endpoint's failures are forgotten, and what waited for this one is due.
pub async fn record_taken(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    claimed: &Claimed,
    status: u16,
) -> Result<bool, StoreError> {
    sqlx::query!(
        "-- attempts.clear_failing
        update endpoints set failing_since = null, delivered_at = $2
        where id = $1
          and (failing_since is not null or delivered_at is null
               or delivered_at < $2::timestamptz - interval '1 minute')",
        claimed.endpoint_id.uuid(),
        now,
    )
    .execute(&mut *conn)
    .await?;
    let done = sqlx::query!(
        "-- attempts.record_taken
        update deliveries
        set state = 'delivered', status = $3, failure = null, decided_at = $2,
            next_attempt_at = null, claimed_until = null
        where id = $1 and state = 'pending'",
        claimed.id.uuid(),
        now,
        code(status),
    )
    .execute(&mut *conn)
    .await?;
    follow(conn, now, claimed, now).await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that an endpoint failed, and locks it; since when it has done nothing else, or `None` when
/// it is gone or disabled.
pub async fn note_failing(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    endpoint_id: EndpointId,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let since = sqlx::query_scalar!(
        r#"-- attempts.note_failing
        update endpoints set failing_since = coalesce(failing_since, $2)
        where id = $1 and state = 'enabled'
        returning failing_since as "failing_since!""#,
        endpoint_id.uuid(),
        now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(since)
}

/// What an attempt that failed leaves behind.
#[derive(Debug, Clone, Copy)]
pub struct Failed<'a> {
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Short code.
    pub failure: &'a str,
    /// When it is tried again; never, if not given.
    pub next_attempt_at: Option<DateTime<Utc>>,
}

/// Pending → Pending at a later time, and what waits for it too, or Failed; `false` when the claim
/// was superseded meanwhile.
pub async fn record_failed(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    claimed: &Claimed,
    failed: &Failed<'_>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- attempts.record_failed
        update deliveries
        set status = $3, failure = $4, next_attempt_at = $5, claimed_until = null,
            state = case when $5::timestamptz is null then 'failed' else 'pending' end,
            decided_at = case when $5::timestamptz is null then $2::timestamptz end
        where id = $1 and state = 'pending' and attempts = $6 and claimed_until is not null",
        claimed.id.uuid(),
        now,
        failed.status.map(code),
        failed.failure,
        failed.next_attempt_at,
        code(claimed.attempt),
    )
    .execute(&mut *conn)
    .await?;
    let is_current = done.rows_affected() == 1;
    if is_current {
        follow(conn, now, claimed, failed.next_attempt_at.unwrap_or(now)).await?;
    }
    Ok(is_current)
}

/// Makes what waits for a delivery due when that is, or now if it is decided: a claim need not look
/// at it before. Whatever somebody else is changing at this moment is left to them.
async fn follow(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    claimed: &Claimed,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- attempts.follow
        update deliveries set next_attempt_at = $3
        where id in (
            select later.id
            from deliveries head
            join deliveries later
              on later.endpoint_id = head.endpoint_id and later.subject_id = head.subject_id
             and (later.occurred_at, later.sequence) > (head.occurred_at, head.sequence)
            where head.id = $1 and later.state = 'pending'
              and greatest(later.next_attempt_at, $2) <> $3
            for update of later skip locked
        )",
        claimed.id.uuid(),
        now,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An endpoint that nothing waits for any more begins anew: it is not failing while nobody calls it.
pub async fn forget_failing(
    conn: &mut PgConnection,
    endpoint_id: EndpointId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- attempts.forget_failing
        update endpoints set failing_since = null
        where id = $1 and state = 'enabled'
          and not exists (select 1 from deliveries
                          where deliveries.endpoint_id = $1 and deliveries.state = 'pending')",
        endpoint_id.uuid(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A status or an attempt as a column holds it; both are far below its limit.
fn code(number: u16) -> i16 {
    i16::try_from(number).unwrap_or(i16::MAX)
}
