//! Rain of a risk's cell day by day, and the runs of its index. A run is immutable and unique by
//! what went into it, so that computing it again adds nothing. Never decides what a run pays.
//! Called by the data-processor.

use chrono::{DateTime, NaiveDate, Utc};
use domain::evidence::CellDay;
use domain::id::{IndexRunId, RiskId};
use domain::index::PhaseSum;
use sqlx::PgConnection;

use crate::error::StoreError;

/// Writes the cell's days of a risk, which the caller has locked. Returns how many changed.
pub async fn upsert_cell_days(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    risk_id: RiskId,
    days: &[CellDay],
) -> Result<u64, StoreError> {
    let dates: Vec<NaiveDate> = days.iter().map(|day| day.day).collect();
    let rain: Vec<Option<i32>> = days
        .iter()
        .map(|day| day.rain_um.map(|rain| rain.0))
        .collect();
    let sources: Vec<String> = days.iter().map(|day| day.source.clone()).collect();
    let done = sqlx::query!(
        "-- index_runs.upsert_cell_days
        insert into cell_days (risk_id, day, rain_um, source, computed_at)
        select $1, day, rain_um, source, $2
        from unnest($3::date[], $4::integer[], $5::text[]) as given (day, rain_um, source)
        on conflict (risk_id, day) do update set
            rain_um = excluded.rain_um, source = excluded.source, computed_at = excluded.computed_at
        where (cell_days.rain_um, cell_days.source)
            is distinct from (excluded.rain_um, excluded.source)",
        risk_id.uuid(),
        now,
        &dates,
        &rain as _,
        &sources,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// A computation of an index.
#[derive(Debug, Clone)]
pub struct NewRun<'a> {
    /// Id, if it is new.
    pub id: IndexRunId,
    /// Of which risk.
    pub risk_id: RiskId,
    /// The last day it counts.
    pub as_of_day: NaiveDate,
    /// What each phase amounts to.
    pub phases: &'a [PhaseSum],
    /// Stations that observed it.
    pub stations: u8,
    /// Days without a number, over all phases.
    pub missing_days: u32,
    /// 0 to 100.
    pub confidence: u8,
    /// Whether it will not change any more.
    pub is_final: bool,
    /// Digest of everything that went into it.
    pub manifest_hash: &'a str,
    /// Version of the number work.
    pub engine_version: &'a str,
}

/// Records a run unless the same inputs made one before; gives the id it has, and whether it is new.
pub async fn record(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    run: &NewRun<'_>,
) -> Result<(IndexRunId, bool), StoreError> {
    let inserted = sqlx::query_scalar!(
        "-- index_runs.record
        insert into index_runs
            (id, risk_id, as_of_day, phases, stations, missing_days, confidence, final,
             manifest_hash, engine_version, computed_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        on conflict (risk_id, as_of_day, manifest_hash, final) do nothing
        returning id",
        run.id.uuid(),
        run.risk_id.uuid(),
        run.as_of_day,
        serde_json::to_value(run.phases).unwrap_or_default(),
        i16::from(run.stations),
        i32::try_from(run.missing_days).unwrap_or(i32::MAX),
        i16::from(run.confidence),
        run.is_final,
        run.manifest_hash,
        run.engine_version,
        now,
    )
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(id) = inserted {
        return Ok((id.into(), true));
    }
    let known = sqlx::query_scalar!(
        "-- index_runs.find_same
        select id from index_runs
        where risk_id = $1 and as_of_day = $2 and manifest_hash = $3 and final = $4",
        run.risk_id.uuid(),
        run.as_of_day,
        run.manifest_hash,
        run.is_final,
    )
    .fetch_one(conn)
    .await?;
    Ok((known.into(), false))
}
