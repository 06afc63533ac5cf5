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

/// Claims up to `limit` due deliveries until `until`, counting the attempt; none of an endpoint
/// that has `per_endpoint` under way, and at most that many of each. A claim that was never
/// answered, because its process died, is claimed again after `until`.
pub async fn claim(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: i64,
    per_endpoint: i64,
) -> Result<Vec<Claimed>, StoreError> {
    let rows = sqlx::query!(
        r#"-- attempts.claim
        update deliveries
        set claimed_until = $2, attempts = deliveries.attempts + 1, attempted_at = $1
        from (
            select due.id, endpoints.url, endpoints.secret_cipher,
                   case when endpoints.old_secret_ends_at > $1 then endpoints.old_secret_cipher end
                       as old_secret_cipher
            from endpoints
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
                limit $4
                for update skip locked
            ) as due
            where endpoints.state = 'enabled'
              and (select count(*) from deliveries busy
                   where busy.endpoint_id = endpoints.id and busy.claimed_until > $1) < $4
            order by due.next_attempt_at, due.sequence
            limit $3
        ) as picked
        where deliveries.id = picked.id
        returning deliveries.id, deliveries.endpoint_id, deliveries.organisation_id,
                  deliveries.event_id, deliveries.body, deliveries.attempts,
                  picked.url as "url!", picked.secret_cipher as "secret_cipher!",
                  picked.old_secret_cipher"#,
        now,
        until,
        limit,
        per_endpoint,
    )
    .fetch_all(conn)
    .await?;
    let claimed = rows.into_iter().map(|row| {
        let mut secret_ciphers = vec![row.secret_cipher];
        secret_ciphers.extend(row.old_secret_cipher);
        Ok(Claimed {
            id: row.id.into(),
            endpoint_id: row.endpoint_id.into(),
            organisation_id: row.organisation_id.into(),
            event_id: row.event_id.into(),
            body: row.body,
            attempt: u16::try_from(row.attempts)
                .map_err(|_| corrupt("deliveries", "attempts", row.id))?,
            url: row.url,
            secret_ciphers,
        })
    });
    claimed.collect()
}

/// Pending → Delivered, whichever attempt it was that arrived; `false` when it is decided already
/// or gone. The endpoint's failures are forgotten.
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
    .execute(conn)
    .await?;
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

/// Pending → Pending at a later time, or Failed; `false` when the claim was superseded meanwhile.
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
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A status or an attempt as a column holds it; both are far below its limit.
fn code(number: u16) -> i16 {
    i16::try_from(number).unwrap_or(i16::MAX)
}
