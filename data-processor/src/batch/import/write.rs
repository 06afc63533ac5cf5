//! Records rows in batches, each in a transaction with the marks of the risks it touches, so that
//! whatever is interrupted is either in with its marks or not in at all. Rows that are known stay as
//! they are, also where the file says something else. Called by `import`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chrono::{DateTime, NaiveDate, Utc};
use domain::cell::RiskCell;
use serde::Serialize;
use store::grids::{self, Brought, Recorded};
use store::{Connection, Pool, StoreError, risks, scenes};

use super::rows::Rows;
use crate::batch::report::progress;

/// Rows of one transaction.
pub const BATCH_ROWS: usize = 10_000;
/// How often a long file says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Written {
    /// Transactions that were committed.
    pub batches: u64,
    /// Rows that were not there.
    pub new: u64,
    /// Rows that were there and say the same.
    pub same: u64,
    /// Rows that were there and say something else: they stay.
    pub different: u64,
    /// Open risks whose index will be computed anew.
    pub risks: u64,
}

/// Records all rows of a dataset or sensor.
pub(crate) async fn write(
    pool: &Pool,
    now: DateTime<Utc>,
    name: &str,
    rows: &Rows,
) -> anyhow::Result<Written> {
    let mut written = Written::default();
    let all = rows.len().div_ceil(BATCH_ROWS);
    let mut told = Instant::now();
    for at in 0..all {
        let batch = at.saturating_mul(BATCH_ROWS)
            ..at.saturating_add(1)
                .saturating_mul(BATCH_ROWS)
                .min(rows.len());
        let given = u64::try_from(batch.len()).unwrap_or(0);
        let done = transact(pool, now, name, rows, batch).await;
        let (recorded, marked) = done.with_context(|| {
            format!(
                "{} of {all} batches are in ({} new rows); the same command again goes on from there",
                written.batches, written.new
            )
        })?;
        written.batches = written.batches.saturating_add(1);
        written.new = written.new.saturating_add(recorded.new);
        written.different = written.different.saturating_add(recorded.different);
        let known = recorded.new.saturating_add(recorded.different);
        written.same = written.same.saturating_add(given.saturating_sub(known));
        written.risks = written.risks.saturating_add(marked);
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            progress(&format!(
                "{} of {all} batches, {} new rows",
                written.batches, written.new
            ));
        }
    }
    Ok(written)
}

async fn transact(
    pool: &Pool,
    now: DateTime<Utc>,
    name: &str,
    rows: &Rows,
    batch: std::ops::Range<usize>,
) -> Result<(Recorded, u64), StoreError> {
    let mut tx = pool.begin().await?;
    let recorded = match rows {
        Rows::Rain(rows) => {
            let batch = rows.get(batch).unwrap_or_default();
            grids::record(&mut tx, name, batch).await?
        }
        Rows::Vegetation(rows) => {
            let batch = rows.get(batch).unwrap_or_default();
            scenes::record(&mut tx, now, name, batch).await?
        }
    };
    let marked = mark(&mut tx, &recorded.brought).await?;
    tx.commit().await?;
    Ok((recorded, marked))
}

/// Marks the open risks of the cells whose days are new; cells that have the same new days are one
/// question.
async fn mark(conn: &mut Connection, brought: &[Brought]) -> Result<u64, StoreError> {
    let mut spans: BTreeMap<(NaiveDate, NaiveDate), Vec<RiskCell>> = BTreeMap::new();
    for new in brought {
        spans
            .entry((new.first, new.last))
            .or_default()
            .push(new.cell);
    }
    let mut marked = 0_u64;
    for ((first, last), cells) in spans {
        let risks = risks::mark_cells_dirty(conn, &cells, first, last).await?;
        marked = marked.saturating_add(risks);
    }
    Ok(marked)
}
