//! What a USSD hop has changed. The row is written in the transaction of the change, so that a
//! hop sent twice, or replayed after its session was lost, finds its first outcome.
//! Never holds what was typed. Called by the backend's USSD intents.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::{StoreError, one_row};

/// Outcome of an intent that was done.
pub const DONE: &str = "done";

/// Most intents of one session that are read back.
const INTENTS_MAX: i64 = 200;

/// A recorded intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Which hop of the session.
    pub hop: i16,
    /// What kind of change.
    pub kind: String,
    /// [`DONE`], or why it was refused.
    pub outcome: String,
    /// What was made by it.
    pub subject_id: Option<Uuid>,
}

/// Claims a hop's intent for this transaction. `None`: go on, nobody did it. `Some`: it was
/// decided before, this is what came of it. A concurrent twin waits for the first to commit.
pub async fn claim(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    session_key: &[u8],
    hop: i16,
    kind: &str,
) -> Result<Option<Recorded>, StoreError> {
    let claimed = sqlx::query!(
        "-- ussd.claim
        insert into ussd_intents (session_key, hop, kind, outcome, recorded_at)
        values ($1, $2, $3, 'done', $4) on conflict do nothing",
        session_key,
        hop,
        kind,
        now,
    )
    .execute(&mut *conn)
    .await?;
    if claimed.rows_affected() == 1 {
        return Ok(None);
    }
    let recorded = sqlx::query_as!(
        Recorded,
        "-- ussd.find
        select hop, kind, outcome, subject_id from ussd_intents
        where session_key = $1 and hop = $2 and kind = $3",
        session_key,
        hop,
        kind,
    )
    .fetch_one(conn)
    .await?;
    Ok(Some(recorded))
}

/// Records what came of an intent claimed in this transaction.
pub async fn conclude(
    conn: &mut PgConnection,
    session_key: &[u8],
    hop: i16,
    kind: &str,
    outcome: &str,
    subject_id: Option<Uuid>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- ussd.conclude
        update ussd_intents set outcome = $4, subject_id = $5
        where session_key = $1 and hop = $2 and kind = $3",
        session_key,
        hop,
        kind,
        outcome,
        subject_id,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "ussd intent", hop)
}

/// Everything a session has changed, in order.
pub async fn list_by_session(
    conn: &mut PgConnection,
    session_key: &[u8],
) -> Result<Vec<Recorded>, StoreError> {
    let recorded = sqlx::query_as!(
        Recorded,
        "-- ussd.list_by_session
        select hop, kind, outcome, subject_id from ussd_intents
        where session_key = $1 order by hop, kind limit $2",
        session_key,
        INTENTS_MAX,
    )
    .fetch_all(conn)
    .await?;
    Ok(recorded)
}

/// Forgets up to `limit` intents recorded before `before`; their sessions can no longer be
/// replayed. Returns how many.
pub async fn purge(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let purged = sqlx::query!(
        "-- ussd.purge
        delete from ussd_intents where ctid in (
            select ctid from ussd_intents where recorded_at < $1 limit $2
        )",
        before,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(purged.rows_affected())
}
