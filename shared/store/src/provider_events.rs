//! Callbacks of providers: the raw bytes, encrypted, stored before anything else happens and
//! processed afterwards. A repeat only counts. Never interprets a body.
//! Called by the webhooks' receiver and by their processing loop.

use chrono::{DateTime, Utc};
use domain::id::ProviderEventId;
use sqlx::PgConnection;

use crate::error::{StoreError, one_row};

/// A callback to store.
#[derive(Debug, Clone, Copy)]
pub struct NewEvent<'a> {
    /// Id, used when it is new.
    pub id: ProviderEventId,
    /// Who called: `mpesa`.
    pub provider: &'a str,
    /// What about: `b2c-result`.
    pub kind: &'a str,
    /// What makes a repeat the same.
    pub event_key: &'a str,
    /// The body, encrypted.
    pub raw_cipher: &'a [u8],
    /// Set for what can never be processed and is kept for people only.
    pub outcome: Option<&'a str>,
}

/// A callback to process, locked until the transaction ends.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Id.
    pub id: ProviderEventId,
    /// Who called.
    pub provider: String,
    /// What about.
    pub kind: String,
    /// The body, encrypted.
    pub raw_cipher: Vec<u8>,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// Tries so far.
    pub attempts: u32,
}

/// Stores a callback, due at once; `false` when it is a repeat, which is counted.
pub async fn store(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    event: NewEvent<'_>,
) -> Result<bool, StoreError> {
    let is_new = sqlx::query_scalar!(
        r#"-- provider_events.store
        insert into provider_events
            (id, provider, kind, event_key, raw_cipher, received_at, next_check_at, processed_at,
             outcome)
        values ($1, $2, $3, $4, $5, $6,
                case when $7::text is null then $6::timestamptz end,
                case when $7::text is not null then $6::timestamptz end, $7)
        on conflict (provider, kind, event_key) do update set repeats = provider_events.repeats + 1
        returning repeats = 0 as "is_new!""#,
        event.id.uuid(),
        event.provider,
        event.kind,
        event.event_key,
        event.raw_cipher,
        now,
        event.outcome,
    )
    .fetch_one(conn)
    .await?;
    Ok(is_new)
}

/// Locks the oldest due callback that nobody else processes.
pub async fn claim_next(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Option<Claimed>, StoreError> {
    let row = sqlx::query!(
        "-- provider_events.claim_next
        select id, provider, kind, raw_cipher, received_at, attempts from provider_events
        where processed_at is null and next_check_at <= $1
        order by next_check_at, id limit 1
        for update skip locked",
        now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Claimed {
        id: row.id.into(),
        provider: row.provider,
        kind: row.kind,
        raw_cipher: row.raw_cipher,
        received_at: row.received_at,
        attempts: u32::try_from(row.attempts).unwrap_or(0),
    }))
}

/// Marks a callback processed, with what came of it.
pub async fn finish(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: ProviderEventId,
    outcome: &str,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- provider_events.finish
        update provider_events set processed_at = $2, outcome = $3, next_check_at = null,
               attempts = attempts + 1, last_error = null
        where id = $1 and processed_at is null",
        id.uuid(),
        now,
        outcome,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "provider event", id)
}

/// Tries a callback again later and says why.
pub async fn postpone(
    conn: &mut PgConnection,
    id: ProviderEventId,
    next_check_at: DateTime<Utc>,
    why: &str,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- provider_events.postpone
        update provider_events set next_check_at = $2, attempts = attempts + 1, last_error = $3
        where id = $1 and processed_at is null",
        id.uuid(),
        next_check_at,
        why,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "provider event", id)
}
