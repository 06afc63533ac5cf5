//! What a partner's change was answered, so that asking again gets the same answer and no second
//! change. Written in the transaction of the change: neither exists without the other.
//! Must never keep an answer in the clear: it may hold personal data. Called by every partner change.

use chrono::{DateTime, Utc};
use domain::id::OrganisationId;
use sqlx::PgConnection;

use crate::error::StoreError;

/// SQLSTATE of a lock that was not had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// An answer that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// HTTP status.
    pub status: i16,
    /// Entity tag, if there was one.
    pub etag: Option<String>,
    /// Where the new resource is, if one was made.
    pub location: Option<String>,
    /// The body, sealed.
    pub body_cipher: Vec<u8>,
}

/// How a key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Never used: go on, and [`record`] the answer before committing.
    Fresh,
    /// Used for this very request.
    Answered(Answered),
    /// Used for another request.
    Reused,
}

/// Claims a key for a request. A twin in flight is waited for; when it fails, the key is fresh.
pub async fn claim(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    organisation: OrganisationId,
    key: &str,
    request_hash: &[u8],
) -> Result<Claim, StoreError> {
    let done = sqlx::query!(
        "-- idempotency.claim
        insert into idempotency_keys (organisation_id, key, request_hash, created_at)
        values ($1, $2, $3, $4)
        on conflict (organisation_id, key) do nothing",
        organisation.uuid(),
        key,
        request_hash,
        now,
    )
    .execute(&mut *conn)
    .await
    .map_err(waited)?;
    if done.rows_affected() == 1 {
        return Ok(Claim::Fresh);
    }
    let row = sqlx::query!(
        "-- idempotency.find
        select request_hash, status, etag, location, response_cipher from idempotency_keys
        where organisation_id = $1 and key = $2 for update",
        organisation.uuid(),
        key,
    )
    .fetch_optional(conn)
    .await
    .map_err(waited)?;
    let stale = || StoreError::Stale {
        entity: "idempotency key",
        id: key.to_owned(),
    };
    let row = row.ok_or_else(stale)?;
    if row.request_hash != request_hash {
        return Ok(Claim::Reused);
    }
    match (row.status, row.response_cipher) {
        (Some(status), Some(body_cipher)) => Ok(Claim::Answered(Answered {
            status,
            etag: row.etag,
            location: row.location,
            body_cipher,
        })),
        _ => Err(stale()),
    }
}

/// Records the answer of a fresh key.
pub async fn record(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    key: &str,
    answered: &Answered,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- idempotency.record
        update idempotency_keys set status = $3, etag = $4, location = $5, response_cipher = $6
        where organisation_id = $1 and key = $2 and status is null",
        organisation.uuid(),
        key,
        answered.status,
        answered.etag,
        answered.location,
        answered.body_cipher,
    )
    .execute(conn)
    .await?;
    crate::error::one_row(done.rows_affected(), "idempotency key", key)
}

/// Forgets up to `limit` keys made before `before`; how many.
pub async fn purge(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "-- idempotency.purge
        delete from idempotency_keys where (organisation_id, key) in (
            select organisation_id, key from idempotency_keys
            where created_at < $1 order by created_at limit $2
        )",
        before,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// A twin that takes longer than a lock may be waited for: try again later.
fn waited(error: sqlx::Error) -> StoreError {
    let is_lock = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == LOCK_NOT_AVAILABLE);
    if is_lock {
        return StoreError::Unavailable(error);
    }
    error.into()
}
