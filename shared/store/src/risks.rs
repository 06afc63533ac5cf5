//! Risks as the number work sees them: what is observed over which window, whether its stations
//! are frozen, whether its index is stale, which run settles it. Opening a risk is `cover`'s,
//! deciding one is `evaluations`'. Never changes a risk that is decided.
//! Called by the weather worker and the data-processor.

use chrono::{DateTime, NaiveDate, Utc};
use domain::cell::RiskCell;
use domain::id::{IndexRunId, ProductVersionId, RiskId};
use domain::season::Window;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::decode;
use crate::error::StoreError;

/// A risk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Risk {
    /// Id.
    pub id: RiskId,
    /// Version that covers it.
    pub version: ProductVersionId,
    /// Zone whose triggers apply.
    pub zone: String,
    /// Cell that is observed.
    pub cell: RiskCell,
    /// Year the cover begins in.
    pub season_year: i32,
    /// Days covered.
    pub window: Window,
    /// Whether it is decided: then its index never changes any more.
    pub is_decided: bool,
    /// When its stations were frozen, if they are.
    pub stations_frozen_at: Option<DateTime<Utc>>,
    /// Whether its index does not count every observation yet.
    pub index_dirty: bool,
    /// The run that settles it, once there is one.
    pub final_index_run_id: Option<IndexRunId>,
}

struct Row {
    id: Uuid,
    product_version_id: Uuid,
    zone: String,
    risk_cell: String,
    season_year: i32,
    window_start: NaiveDate,
    window_end: NaiveDate,
    state: String,
    stations_frozen_at: Option<DateTime<Utc>>,
    index_dirty: bool,
    final_index_run_id: Option<Uuid>,
}

impl TryFrom<Row> for Risk {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let id = RiskId::from(row.id);
        Ok(Self {
            id,
            version: row.product_version_id.into(),
            zone: row.zone,
            cell: decode::cell_of(&row.risk_cell, "risks", id)?,
            season_year: row.season_year,
            window: Window {
                start: row.window_start,
                end: row.window_end,
            },
            is_decided: row.state == "evaluated",
            stations_frozen_at: row.stations_frozen_at,
            index_dirty: row.index_dirty,
            final_index_run_id: row.final_index_run_id.map(IndexRunId::from),
        })
    }
}

/// A risk by id.
pub async fn find(conn: &mut PgConnection, id: RiskId) -> Result<Option<Risk>, StoreError> {
    Ok(list(conn, &[id]).await?.pop())
}

/// Risks by id, in id order; unknown ones are left out.
pub async fn list(conn: &mut PgConnection, ids: &[RiskId]) -> Result<Vec<Risk>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "-- risks.list
        select id, product_version_id, zone, risk_cell, season_year, window_start, window_end,
               state, stations_frozen_at, index_dirty, final_index_run_id
        from risks where id = any($1) order by id",
        &uuids(ids),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Risk::try_from).collect()
}

/// A risk by id, locked until the transaction ends.
pub async fn lock(conn: &mut PgConnection, id: RiskId) -> Result<Option<Risk>, StoreError> {
    Ok(lock_all(conn, &[id]).await?.pop())
}

/// Risks by id, locked until the transaction ends, in id order; unknown ones are left out. Policies
/// may be sold meanwhile: they only need the risk to stay.
pub async fn lock_all(conn: &mut PgConnection, ids: &[RiskId]) -> Result<Vec<Risk>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "-- risks.lock_all
        select id, product_version_id, zone, risk_cell, season_year, window_start, window_end,
               state, stations_frozen_at, index_dirty, final_index_run_id
        from risks where id = any($1) order by id for no key update",
        &uuids(ids),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Risk::try_from).collect()
}

fn uuids(ids: &[RiskId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.uuid()).collect()
}

/// Records that the stations of locked risks are chosen for good; none of them may have been.
pub async fn mark_frozen(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    ids: &[RiskId],
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- risks.mark_frozen
        update risks
        set stations_frozen_at = $2, stations_check_at = null, index_dirty = true
        where id = any($1) and stations_frozen_at is null",
        &uuids(ids),
        now,
    )
    .execute(conn)
    .await?;
    if usize::try_from(done.rows_affected()).is_ok_and(|rows| rows == ids.len()) {
        Ok(())
    } else {
        Err(StoreError::Stale {
            entity: "risks without frozen stations",
            id: "(batch)".to_owned(),
        })
    }
}

/// Chooses when the stations of a risk are looked for again, unless they are frozen by then.
pub async fn postpone_stations(
    conn: &mut PgConnection,
    id: RiskId,
    next_check_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- risks.postpone_stations
        update risks set stations_check_at = $2 where id = $1 and stations_frozen_at is null",
        id.uuid(),
        next_check_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Local days of a station.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Days<'a> {
    /// Station.
    pub station_id: &'a str,
    /// First day.
    pub first: NaiveDate,
    /// Last day.
    pub last: NaiveDate,
}

/// Locks every risk that rests on one of these days until the transaction ends, in id order, so that
/// none is decided while its days change; returns those that are undecided, in id order.
pub async fn lock_observed(
    conn: &mut PgConnection,
    days: &[Days<'_>],
) -> Result<Vec<RiskId>, StoreError> {
    let stations: Vec<&str> = days.iter().map(|days| days.station_id).collect();
    let first: Vec<NaiveDate> = days.iter().map(|days| days.first).collect();
    let last: Vec<NaiveDate> = days.iter().map(|days| days.last).collect();
    let rows = sqlx::query!(
        "-- risks.lock_observed
        select id, state from risks
        where id = any(array(
            select risk_stations.risk_id
            from unnest($1::text[], $2::date[], $3::date[]) as given (station_id, first, last)
            join risk_stations on risk_stations.station_id = given.station_id
                and risk_stations.rank is not null
            join risks as observed on observed.id = risk_stations.risk_id
                and observed.window_start <= given.last and observed.window_end > given.first
        ))
        order by id for no key update",
        &stations as _,
        &first,
        &last,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .filter(|row| row.state != "evaluated")
        .map(|row| row.id.into())
        .collect())
}

/// Marks risks, which the caller has locked, as not counting every observation; returns those that
/// were not marked before, in id order.
///
/// They are locked before their mark is looked at: an index that is being computed without these
/// days takes its mark off when it commits, and the mark must be set again after that.
pub async fn mark_dirty(
    conn: &mut PgConnection,
    ids: &[RiskId],
) -> Result<Vec<RiskId>, StoreError> {
    let marked = sqlx::query_scalar!(
        "-- risks.mark_dirty
        update risks set index_dirty = true
        where id = any($1) and not index_dirty and state <> 'evaluated'
        returning id",
        &uuids(ids),
    )
    .fetch_all(conn)
    .await?;
    let mut ids: Vec<RiskId> = marked.into_iter().map(RiskId::from).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// Marks every undecided risk of these cells whose window meets the days from `first` to `last`:
/// a gridded dataset or a sensor brought something new. Returns how many.
pub async fn mark_cells_dirty(
    conn: &mut PgConnection,
    cells: &[RiskCell],
    first: NaiveDate,
    last: NaiveDate,
) -> Result<u64, StoreError> {
    let names: Vec<String> = cells.iter().map(RiskCell::to_string).collect();
    let locked = sqlx::query_scalar!(
        "-- risks.lock_of_cells
        select id from risks
        where risk_cell = any($1) and window_start <= $3 and window_end > $2
          and state <> 'evaluated'
        order by id for update",
        &names,
        first,
        last,
    )
    .fetch_all(&mut *conn)
    .await?;
    let done = sqlx::query!(
        "-- risks.mark_cells_dirty
        update risks set index_dirty = true where id = any($1) and not index_dirty",
        &locked,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Records that the indices of locked risks count everything observed so far.
pub async fn mark_clean(conn: &mut PgConnection, ids: &[RiskId]) -> Result<(), StoreError> {
    sqlx::query!(
        "-- risks.mark_clean
        update risks set index_dirty = false where id = any($1) and index_dirty",
        &uuids(ids),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Names the run that settles each of these undecided risks, or that none does any more; returns
/// the risks for which that is new.
pub async fn set_final(
    conn: &mut PgConnection,
    runs: &[(RiskId, Option<IndexRunId>)],
) -> Result<Vec<RiskId>, StoreError> {
    let ids: Vec<Uuid> = runs.iter().map(|(id, _)| id.uuid()).collect();
    let run_ids: Vec<Option<Uuid>> = runs
        .iter()
        .map(|(_, run)| run.map(IndexRunId::uuid))
        .collect();
    let settled = sqlx::query_scalar!(
        "-- risks.set_final
        update risks set final_index_run_id = given.run_id
        from unnest($1::uuid[], $2::uuid[]) as given (id, run_id)
        where risks.id = given.id and risks.state <> 'evaluated'
          and risks.final_index_run_id is distinct from given.run_id
        returning risks.id",
        &ids,
        &run_ids as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(settled.into_iter().map(RiskId::from).collect())
}
