//! Rain of a risk's cell day by day, and the runs of its index. A run is immutable and unique by
//! what went into it, so that computing it again adds nothing. Never decides what a run pays.
//! Called by the data-processor.

use chrono::{DateTime, NaiveDate, Utc};
use domain::evidence::{CellDay, Check};
use domain::id::{IndexRunId, RiskId};
use domain::index::PhaseSum;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::StoreError;

/// Writes days of risks' cells, each at most once; the caller has locked the risks. Returns how many
/// changed.
pub async fn upsert_cell_days(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    days: &[(RiskId, &CellDay)],
) -> Result<u64, StoreError> {
    let risks: Vec<Uuid> = days.iter().map(|(risk, _)| risk.uuid()).collect();
    let dates: Vec<NaiveDate> = days.iter().map(|(_, day)| day.day).collect();
    let rain: Vec<Option<i32>> = days
        .iter()
        .map(|(_, day)| day.rain_um.map(|rain| rain.0))
        .collect();
    let sources: Vec<&str> = days.iter().map(|(_, day)| day.source.as_str()).collect();
    let factors: Vec<Option<i16>> = days
        .iter()
        .map(|(_, day)| {
            day.factor_e4
                .map(|e4| i16::try_from(e4).unwrap_or(i16::MAX))
        })
        .collect();
    let done = sqlx::query!(
        "-- index_runs.upsert_cell_days
        insert into cell_days (risk_id, day, rain_um, source, factor_e4, computed_at)
        select given.risk_id, given.day, given.rain_um, given.source, given.factor_e4, $6
        from unnest($1::uuid[], $2::date[], $3::integer[], $4::text[], $5::smallint[])
            as given (risk_id, day, rain_um, source, factor_e4)
        -- a row that says the same is left alone before it costs a lock
        where not exists (
            select 1 from cell_days as same
            where same.risk_id = given.risk_id and same.day = given.day
              and (same.rain_um, same.source, same.factor_e4)
                  is not distinct from (given.rain_um, given.source, given.factor_e4)
            offset 0
        )
        on conflict (risk_id, day) do update set
            rain_um = excluded.rain_um, source = excluded.source, factor_e4 = excluded.factor_e4,
            computed_at = excluded.computed_at",
        &risks,
        &dates,
        &rain as _,
        &sources as _,
        &factors as _,
        now,
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
    /// What vegetation was measured as, thousandths of the product's measure.
    pub vegetation_milli: Option<i64>,
    /// Standard error of the index that decides, basis points.
    pub index_se_bp: Option<u16>,
    /// What quality control found odd.
    pub checks: &'a [Check],
    /// Whether it will not change any more.
    pub is_final: bool,
    /// Digest of everything that went into it.
    pub manifest_hash: &'a str,
    /// Version of the number work.
    pub engine_version: &'a str,
}

/// Records runs, at most one of a risk, unless the same inputs made one before; gives the id each
/// has, in the order given, and whether it is new.
pub async fn record(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    runs: &[NewRun<'_>],
) -> Result<Vec<(IndexRunId, bool)>, StoreError> {
    let ids: Vec<Uuid> = runs.iter().map(|run| run.id.uuid()).collect();
    let risks: Vec<Uuid> = runs.iter().map(|run| run.risk_id.uuid()).collect();
    let as_of: Vec<NaiveDate> = runs.iter().map(|run| run.as_of_day).collect();
    let phases: Vec<Json<&[PhaseSum]>> = runs.iter().map(|run| Json(run.phases)).collect();
    let stations: Vec<i16> = runs.iter().map(|run| run.stations.into()).collect();
    let missing: Vec<i32> = runs
        .iter()
        .map(|run| i32::try_from(run.missing_days).unwrap_or(i32::MAX))
        .collect();
    let confidences: Vec<i16> = runs.iter().map(|run| run.confidence.into()).collect();
    let finals: Vec<bool> = runs.iter().map(|run| run.is_final).collect();
    let hashes: Vec<&str> = runs.iter().map(|run| run.manifest_hash).collect();
    let engines: Vec<&str> = runs.iter().map(|run| run.engine_version).collect();
    let vegetation: Vec<Option<i64>> = runs.iter().map(|run| run.vegetation_milli).collect();
    let errors: Vec<Option<i16>> = runs
        .iter()
        .map(|run| {
            run.index_se_bp
                .map(|bp| i16::try_from(bp).unwrap_or(i16::MAX))
        })
        .collect();
    let checks: Vec<Json<&[Check]>> = runs.iter().map(|run| Json(run.checks)).collect();
    let rows = sqlx::query!(
        r#"-- index_runs.record
        with given as (
            select * from unnest($1::uuid[], $2::uuid[], $3::date[], $4::jsonb[], $5::smallint[],
                                 $6::integer[], $7::smallint[], $8::boolean[], $9::text[],
                                 $10::text[], $11::bigint[], $12::smallint[], $13::jsonb[])
                with ordinality
                as given (id, risk_id, as_of_day, phases, stations, missing_days, confidence,
                          final, manifest_hash, engine_version, vegetation_milli, index_se_bp,
                          checks, place)
        ), recorded as (
            insert into index_runs
                (id, risk_id, as_of_day, phases, stations, missing_days, confidence, final,
                 manifest_hash, engine_version, vegetation_milli, index_se_bp, checks, computed_at)
            select id, risk_id, as_of_day, phases, stations, missing_days, confidence, final,
                   manifest_hash, engine_version, vegetation_milli, index_se_bp, checks, $14
            from given
            on conflict (risk_id, as_of_day, manifest_hash, final) do nothing
            returning id
        )
        select coalesce(recorded.id, known.id, given.id) as "id!", recorded.id is not null as "is_new!"
        from given
        left join recorded on recorded.id = given.id
        -- of before this statement: what it inserts is not seen here
        left join lateral (
            select id from index_runs
            where index_runs.risk_id = given.risk_id and index_runs.as_of_day = given.as_of_day
              and index_runs.manifest_hash = given.manifest_hash
              and index_runs.final = given.final
            limit 1
        ) as known on true
        order by given.place"#,
        &ids,
        &risks,
        &as_of,
        &phases as _,
        &stations,
        &missing,
        &confidences,
        &finals,
        &hashes as _,
        &engines as _,
        &vegetation as _,
        &errors as _,
        &checks as _,
        now,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.id.into(), row.is_new))
        .collect())
}

/// Asks anew for the index of a risk that is neither decided nor handed to people: what is waited for,
/// scenes or a station's last word, brings no bell of its own on the day the wait ends.
pub async fn ask_anew(conn: &mut PgConnection, risk_id: RiskId) -> Result<(), StoreError> {
    sqlx::query!(
        "-- index_runs.ask_anew
        update risks set index_dirty = true where id = $1 and state in ('open', 'deferred')",
        risk_id.uuid(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
