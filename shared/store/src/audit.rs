//! What people and switches did, append-only. Never holds personal data of a farmer.
//! Written in the transaction of what it tells of, by operators' routes and by command lines.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;

/// One line of the log.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    /// Id.
    pub id: Uuid,
    /// Who: an operator's id, or the command.
    pub actor: &'a str,
    /// What: `payout_run.checked`.
    pub action: &'a str,
    /// On what, by its printed id or code.
    pub subject: &'a str,
    /// The rest.
    pub details: serde_json::Value,
}

/// Adds a line.
pub async fn record(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    line: &Line<'_>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"-- audit.record
        insert into audit_log (id, actor, action, subject_id, details, recorded_at)
        values ($1, $2, $3, $4, $5, $6)"#,
        line.id,
        line.actor,
        line.action,
        line.subject,
        line.details,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}
