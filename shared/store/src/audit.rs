//! What people and switches did, append-only and chained: every line carries the hash of the line
//! before it, so that one that is altered, deleted or moved is found. Never holds personal data of
//! a farmer. Written in the transaction of what it tells of, by operators' routes and by command
//! lines; walked by `backend audit verify`.

use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;

/// The hash before the first line.
const GENESIS: [u8; 32] = [0; 32];

/// One line to write.
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

/// One line as written.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Place in the log, from 1.
    pub sequence: i64,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// On what.
    pub subject: String,
    /// The rest.
    pub details: serde_json::Value,
    /// When.
    pub recorded_at: DateTime<Utc>,
    /// SHA-256 of the line before it.
    pub previous_hash: Vec<u8>,
    /// SHA-256 of this line.
    pub hash: Vec<u8>,
}

/// One line with everything its hash covers.
#[derive(Debug, Clone)]
pub struct Link {
    /// Place in the log, from 1.
    pub sequence: i64,
    /// SHA-256 of the line before it, as stored.
    pub previous_hash: Vec<u8>,
    /// Id.
    pub id: Uuid,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// On what.
    pub subject: String,
    /// The rest, as PostgreSQL prints `jsonb`.
    pub details: String,
    /// When.
    pub recorded_at: DateTime<Utc>,
    /// SHA-256 of this line, as stored.
    pub hash: Vec<u8>,
}

/// The end of the log, as the database remembers it.
#[derive(Debug, Clone)]
pub struct Head {
    /// Lines there should be.
    pub sequence: i64,
    /// Hash of the last.
    pub hash: Vec<u8>,
    /// Highest place of a line there is; 0 without any.
    pub last_sequence: i64,
}

/// The first line that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// There is no line at this place.
    #[error("line {0} is missing")]
    Missing(i64),
    /// The line says another predecessor than the one it follows.
    #[error("line {0} does not follow the line before it")]
    Unlinked(i64),
    /// The line's content is not what its hash was made from.
    #[error("line {0} was altered: its hash does not fit its content")]
    Altered(i64),
    /// There are lines after the recorded end.
    #[error("line {0} was added past the recorded end of the log")]
    Added(i64),
    /// The last line is whole but is not the one the database remembers.
    #[error("line {0} is not the recorded end of the log")]
    WrongEnd(i64),
}

/// The walk along the log: how far it is whole.
#[derive(Debug, Clone)]
pub struct Chain {
    sequence: i64,
    hash: Vec<u8>,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            sequence: 0,
            hash: GENESIS.to_vec(),
        }
    }
}

impl Chain {
    /// Lines followed so far.
    #[must_use]
    pub fn sequence(&self) -> i64 {
        self.sequence
    }

    /// One line further.
    pub fn follow(&mut self, link: &Link) -> Result<(), Break> {
        let expected = self.sequence.saturating_add(1);
        if link.sequence != expected {
            return Err(Break::Missing(expected));
        }
        if link.previous_hash != self.hash {
            return Err(Break::Unlinked(expected));
        }
        if link.hash != link.recompute() {
            return Err(Break::Altered(expected));
        }
        self.sequence = expected;
        self.hash.clone_from(&link.hash);
        Ok(())
    }

    /// Whether the walk ended where the log ends.
    pub fn end(&self, head: &Head) -> Result<(), Break> {
        if self.sequence < head.sequence {
            return Err(Break::Missing(self.sequence.saturating_add(1)));
        }
        if self.hash != head.hash {
            return Err(Break::WrongEnd(self.sequence));
        }
        Ok(())
    }
}

impl Link {
    /// The hash of the line's content: SHA-256 over its fields in this order, each with its length
    /// in bytes in front and a comma behind (a netstring); the same as `audit_hash` in SQL.
    fn recompute(&self) -> Vec<u8> {
        let fields = [
            self.sequence.to_string(),
            HEXLOWER.encode(&self.previous_hash),
            self.id.to_string(),
            self.actor.clone(),
            self.action.clone(),
            self.subject.clone(),
            self.details.clone(),
            self.recorded_at.timestamp_micros().to_string(),
        ];
        let mut hash = Sha256::new();
        for field in fields {
            hash.update(format!("{}:{field},", field.len()));
        }
        hash.finalize().to_vec()
    }
}

/// Adds a line; the database chains it. Holds the log's end until the transaction ends, so write
/// it last: two transactions that wait for one another are ended by the database.
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

/// The newest lines before a place, newest first, at most `limit`.
pub async fn list(
    conn: &mut PgConnection,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Recorded>, StoreError> {
    Ok(sqlx::query_as!(
        Recorded,
        r#"-- audit.list
        select sequence, actor, action, subject_id as subject, details, recorded_at,
               previous_hash, hash
        from audit_log where $1::bigint is null or sequence < $1
        order by sequence desc limit $2"#,
        before,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// Where the log ends, as remembered and as it is, at one instant.
pub async fn head(conn: &mut PgConnection) -> Result<Head, StoreError> {
    Ok(sqlx::query_as!(
        Head,
        r#"-- audit.head
        select sequence, hash,
               coalesce((select max(audit_log.sequence) from audit_log), 0) as "last_sequence!"
        from audit_head"#,
    )
    .fetch_one(conn)
    .await?)
}

/// The lines after a place and up to another, oldest first, at most `limit`.
pub async fn walk(
    conn: &mut PgConnection,
    after: i64,
    until: i64,
    limit: i64,
) -> Result<Vec<Link>, StoreError> {
    Ok(sqlx::query_as!(
        Link,
        r#"-- audit.walk
        select sequence, previous_hash, id, actor, action, subject_id as subject,
               details::text as "details!", recorded_at, hash
        from audit_log where sequence > $1 and sequence <= $2
        order by sequence limit $3"#,
        after,
        until,
        limit,
    )
    .fetch_all(conn)
    .await?)
}
