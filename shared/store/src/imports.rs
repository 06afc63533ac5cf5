//! Files that were read in: which, when, and what they brought. Reading the same file again adds
//! nothing and is told. Called by the `import` command.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;

/// A file that was read in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewImport<'a> {
    /// Id.
    pub id: Uuid,
    /// `rain` or `vegetation`.
    pub kind: &'a str,
    /// Dataset or sensor.
    pub dataset: &'a str,
    /// Name of the file, without its folder.
    pub file_name: &'a str,
    /// Digest of the file, lower-case hex.
    pub sha256: &'a str,
    /// Rows that were not there.
    pub rows_new: u64,
    /// First day in it.
    pub first_day: NaiveDate,
    /// Last day in it.
    pub last_day: NaiveDate,
}

/// Records a file; `false` when it was read before.
pub async fn record(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    import: &NewImport<'_>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- imports.record
        insert into imports
            (id, kind, dataset, file_name, sha256, rows_new, first_day, last_day, imported_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (kind, dataset, sha256) do nothing",
        import.id,
        import.kind,
        import.dataset,
        import.file_name,
        import.sha256,
        i32::try_from(import.rows_new).unwrap_or(i32::MAX),
        import.first_day,
        import.last_day,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
