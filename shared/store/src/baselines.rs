//! The seasons that a cell's vegetation is compared with. A baseline never changes: a settlement
//! that rests on it must be computable for ever. Never decides what a season is worth.
//! Written by the `baseline` command, read by the index role.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::cell::RiskCell;
use sqlx::PgConnection;

use crate::decode::{self, corrupt};
use crate::error::StoreError;

/// Which baseline: of whom, over which days of the year and which years.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Of {
    /// Sensor.
    pub sensor: String,
    /// Cell.
    pub cell: RiskCell,
    /// Days of the year, as a product writes them: `03-01..05-31`.
    pub days: String,
    /// First year.
    pub first_year: i32,
    /// Last year.
    pub last_year: i32,
}

/// Vegetation of the seasons of a baseline, NDVI in 1e-6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// Mean of each year's season; `None` for one that was not seen enough.
    pub seasons: Vec<Option<i32>>,
    /// Mean of each dekad of the season over the years.
    pub dekads: Vec<Option<i32>>,
}

/// Records a baseline; `false` when there is one, which stays.
pub async fn record(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    of: &Of,
    baseline: &Baseline,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- baselines.record
        insert into baselines
            (sensor, risk_cell, days, first_year, last_year, seasons, dekads, computed_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict do nothing",
        of.sensor,
        of.cell.to_string(),
        of.days,
        of.first_year,
        of.last_year,
        serde_json::to_value(&baseline.seasons).unwrap_or_default(),
        serde_json::to_value(&baseline.dekads).unwrap_or_default(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The baselines of some sensors in some cells over the same days and years, by sensor and cell.
pub async fn list(
    conn: &mut PgConnection,
    sensors: &[String],
    cells: &[RiskCell],
    days: &str,
    (first_year, last_year): (i32, i32),
) -> Result<BTreeMap<(String, RiskCell), Baseline>, StoreError> {
    let names: Vec<String> = cells.iter().map(RiskCell::to_string).collect();
    let rows = sqlx::query!(
        "-- baselines.list
        select sensor, risk_cell, seasons, dekads from baselines
        where sensor = any($1) and risk_cell = any($2) and days = $3
          and first_year = $4 and last_year = $5",
        sensors,
        &names,
        days,
        first_year,
        last_year,
    )
    .fetch_all(conn)
    .await?;
    let mut found = BTreeMap::new();
    for row in rows {
        let broken = |column| corrupt("baselines", column, &row.risk_cell);
        let cell = decode::cell(&row.risk_cell, "baselines")?;
        let seasons = serde_json::from_value(row.seasons).map_err(|_| broken("seasons"))?;
        let dekads = serde_json::from_value(row.dekads).map_err(|_| broken("dekads"))?;
        found.insert((row.sensor, cell), Baseline { seasons, dekads });
    }
    Ok(found)
}
