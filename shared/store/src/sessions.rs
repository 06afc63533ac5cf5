//! Signed-in sessions and their refresh tokens: each token is good once, and an old one that comes
//! back ends the whole family. Never holds a token, only hashes. Called by signing in and out and,
//! at every request, by the check of a bearer token.

use chrono::{DateTime, Utc};
use domain::id::{OperatorId, SessionId};
use sqlx::PgConnection;

use crate::error::{StoreError, one_row};
use crate::operators::{self, Operator};

/// Why a session ended before it expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd {
    /// Its person signed out.
    SignedOut,
    /// A refresh token was used twice: one of the two users is not its person.
    Reused,
    /// Its person enrolled anew.
    Replaced,
    /// Its person left.
    PersonEnded,
}

impl SessionEnd {
    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::Reused => "reused",
            Self::Replaced => "replaced",
            Self::PersonEnded => "person_ended",
        }
    }
}

/// What a session is made of.
#[derive(Debug, Clone, Copy)]
pub struct NewSession<'a> {
    /// Id.
    pub id: SessionId,
    /// Whose.
    pub operator: OperatorId,
    /// Until when it may be refreshed.
    pub expires_at: DateTime<Utc>,
    /// SHA-256 of the first refresh token.
    pub refresh_hash: &'a [u8],
}

/// A session as found by one of its refresh tokens, locked.
#[derive(Debug, Clone)]
pub struct Refresh {
    /// The session.
    pub session: SessionId,
    /// Whose.
    pub operator: Operator,
    /// Until when it may be refreshed.
    pub expires_at: DateTime<Utc>,
    /// When it ended early.
    pub ended_at: Option<DateTime<Utc>>,
    /// When this token was used; a used one that comes back is a theft.
    pub used_at: Option<DateTime<Utc>>,
}

/// Starts a session.
pub async fn start(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    new: &NewSession<'_>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"-- sessions.start
        with started as (
            insert into sessions (id, operator_id, started_at, expires_at)
            values ($1, $2, $3, $4) returning id
        )
        insert into refresh_tokens (hash, session_id, issued_at)
        select $5, id, $3 from started"#,
        new.id.uuid(),
        new.operator.uuid(),
        now,
        new.expires_at,
        new.refresh_hash,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The person of an open session, if they have not left.
pub async fn find_operator(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: SessionId,
) -> Result<Option<Operator>, StoreError> {
    let row = sqlx::query!(
        r#"-- sessions.find_operator
        select operators.id, operators.name, operators.role, operators.invited_by,
               operators.ended_at
        from sessions join operators on operators.id = sessions.operator_id
        where sessions.id = $1 and sessions.ended_at is null and sessions.expires_at > $2
          and operators.ended_at is null"#,
        id.uuid(),
        now,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let invited_by = row.invited_by.map(OperatorId::from);
        operators::decode(row.id.into(), row.name, &row.role, invited_by, row.ended_at)
    })
    .transpose()
}

/// The session of a refresh token, used or not, ended or not; both rows locked, so that of two
/// uses of one token the second sees the first.
pub async fn lock_by_refresh(
    conn: &mut PgConnection,
    hash: &[u8],
) -> Result<Option<Refresh>, StoreError> {
    let row = sqlx::query!(
        r#"-- sessions.lock_by_refresh
        select sessions.id as session_id, sessions.expires_at, sessions.ended_at,
               refresh_tokens.used_at, operators.id, operators.name, operators.role,
               operators.invited_by, operators.ended_at as person_ended_at
        from refresh_tokens
        join sessions on sessions.id = refresh_tokens.session_id
        join operators on operators.id = sessions.operator_id
        where refresh_tokens.hash = $1
        for update of refresh_tokens, sessions"#,
        hash,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let invited_by = row.invited_by.map(OperatorId::from);
        Ok(Refresh {
            session: row.session_id.into(),
            operator: operators::decode(
                row.id.into(),
                row.name,
                &row.role,
                invited_by,
                row.person_ended_at,
            )?,
            expires_at: row.expires_at,
            ended_at: row.ended_at,
            used_at: row.used_at,
        })
    })
    .transpose()
}

/// Uses a refresh token up; one that is used already is `Stale`.
pub async fn use_refresh(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    hash: &[u8],
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"-- sessions.use_refresh
        update refresh_tokens set used_at = $2 where hash = $1 and used_at is null"#,
        hash,
        now,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "refresh token", "(hidden)")
}

/// Adds the token that comes next; a second unused one breaks a constraint.
pub async fn add_refresh(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: SessionId,
    hash: &[u8],
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"-- sessions.add_refresh
        insert into refresh_tokens (hash, session_id, issued_at) values ($1, $2, $3)"#,
        hash,
        id.uuid(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends an open session.
pub async fn end(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: SessionId,
    why: SessionEnd,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"-- sessions.end
        update sessions set ended_at = $2, ended_why = $3 where id = $1 and ended_at is null"#,
        id.uuid(),
        now,
        why.as_str(),
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "session", id)
}

/// Ends every open session of a person; how many there were.
pub async fn end_all(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    operator: OperatorId,
    why: SessionEnd,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        r#"-- sessions.end_all
        update sessions set ended_at = $2, ended_why = $3
        where operator_id = $1 and ended_at is null"#,
        operator.uuid(),
        now,
        why.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Forgets at most `limit` sessions that expired before `before`, with their tokens.
pub async fn purge(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        r#"-- sessions.purge
        delete from sessions where id in (
            select id from sessions where expires_at < $1
            order by expires_at limit $2 for update skip locked)"#,
        before,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
