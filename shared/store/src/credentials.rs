//! What a person signs in with: a password's hash, a sealed TOTP secret, and how often they missed.
//! Never holds a password or an open secret. Called by signing in and by accepting an invitation.

use chrono::{DateTime, Utc};
use domain::id::OperatorId;
use sqlx::PgConnection;

use crate::error::{StoreError, one_row};
use crate::operators::{self, Operator};

/// A person's credential, locked until the transaction ends.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Whose.
    pub operator: Operator,
    /// Argon2id, in PHC form.
    pub password_hash: String,
    /// TOTP secret, sealed by [`crate::Pii`].
    pub totp_cipher: Vec<u8>,
    /// Steps of 30 s since 1970 up to which codes are used.
    pub totp_step_last: i64,
    /// Misses since the last success or lock.
    pub misses: i16,
    /// Locks since the last success.
    pub locks: i16,
    /// Until when signing in is refused.
    pub locked_until: Option<DateTime<Utc>>,
}

/// The credential of the person with this name or address who has not left, locked.
pub async fn lock(conn: &mut PgConnection, who: &str) -> Result<Option<Credential>, StoreError> {
    let row = sqlx::query!(
        r#"-- credentials.lock
        select operators.id, operators.name, operators.role, operators.invited_by,
               operators.ended_at, credentials.password_hash, credentials.totp_cipher,
               credentials.totp_step_last, credentials.misses, credentials.locks,
               credentials.locked_until
        from operators join credentials on credentials.operator_id = operators.id
        where (operators.name = $1 or operators.email = lower($1)) and operators.ended_at is null
        for update of credentials"#,
        who,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let invited_by = row.invited_by.map(OperatorId::from);
        Ok(Credential {
            operator: operators::decode(
                row.id.into(),
                row.name,
                &row.role,
                invited_by,
                row.ended_at,
            )?,
            password_hash: row.password_hash,
            totp_cipher: row.totp_cipher,
            totp_step_last: row.totp_step_last,
            misses: row.misses,
            locks: row.locks,
            locked_until: row.locked_until,
        })
    })
    .transpose()
}

/// Gives a person a password and a second factor, replacing those they had and any lock.
pub async fn set(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: OperatorId,
    password_hash: &str,
    totp_cipher: &[u8],
    totp_step: i64,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"-- credentials.set
        insert into credentials (operator_id, password_hash, totp_cipher, totp_step_last, set_at)
        values ($1, $2, $3, $4, $5)
        on conflict (operator_id) do update
        set password_hash = excluded.password_hash, totp_cipher = excluded.totp_cipher,
            totp_step_last = excluded.totp_step_last, misses = 0, locks = 0, locked_until = null,
            set_at = excluded.set_at"#,
        id.uuid(),
        password_hash,
        totp_cipher,
        totp_step,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts a miss; with the fifth, the caller gives the lock as well.
pub async fn record_miss(
    conn: &mut PgConnection,
    id: OperatorId,
    misses: i16,
    locks: i16,
    locked_until: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"-- credentials.record_miss
        update credentials set misses = $2, locks = $3, locked_until = $4 where operator_id = $1"#,
        id.uuid(),
        misses,
        locks,
        locked_until,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "credential", id)
}

/// Forgets misses and uses up a code; one that is used already is `Stale`.
pub async fn record_success(
    conn: &mut PgConnection,
    id: OperatorId,
    totp_step: i64,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"-- credentials.record_success
        update credentials set misses = 0, locks = 0, locked_until = null, totp_step_last = $2
        where operator_id = $1 and totp_step_last < $2"#,
        id.uuid(),
        totp_step,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "credential", id)
}
