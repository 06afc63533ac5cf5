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

use crate::error::{StoreError, one_row};

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
            cell: row.risk_cell.parse().map_err(|_| StoreError::Corrupt {
                table: "risks",
                column: "risk_cell",
                id: id.to_string(),
            })?,
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
    let row = sqlx::query_as!(
        Row,
        "-- risks.find
        select id, product_version_id, zone, risk_cell, season_year, window_start, window_end,
               state, stations_frozen_at, index_dirty, final_index_run_id
        from risks where id = $1",
        id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(Risk::try_from).transpose()
}

/// A risk by id, locked until the transaction ends.
pub async fn lock(conn: &mut PgConnection, id: RiskId) -> Result<Option<Risk>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "-- risks.lock
        select id, product_version_id, zone, risk_cell, season_year, window_start, window_end,
               state, stations_frozen_at, index_dirty, final_index_run_id
        from risks where id = $1 for update",
        id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(Risk::try_from).transpose()
}

/// Records that the stations of a risk are chosen for good.
pub async fn mark_frozen(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: RiskId,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- risks.mark_frozen
        update risks
        set stations_frozen_at = $2, stations_check_at = null, index_dirty = true
        where id = $1 and stations_frozen_at is null",
        id.uuid(),
        now,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "risk without frozen stations", id)
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

/// Marks every undecided risk that a station observes on one of the days from `first` to `last`;
/// returns those that were not marked before, in id order.
///
/// The rows are locked before their mark is looked at: an index that is being computed without
/// these days takes its mark off when it commits, and the mark must be set again after that.
pub async fn mark_dirty(
    conn: &mut PgConnection,
    station_id: &str,
    first: NaiveDate,
    last: NaiveDate,
) -> Result<Vec<RiskId>, StoreError> {
    let locked = sqlx::query_scalar!(
        "-- risks.lock_observed
        select risks.id from risks
        join risk_stations on risk_stations.risk_id = risks.id
        where risk_stations.station_id = $1 and risk_stations.rank is not null
          and risks.window_start <= $3 and risks.window_end > $2
          and risks.state <> 'evaluated'
        order by risks.id
        for update of risks",
        station_id,
        first,
        last,
    )
    .fetch_all(&mut *conn)
    .await?;
    let marked = sqlx::query_scalar!(
        "-- risks.mark_dirty
        update risks set index_dirty = true
        where id = any($1) and not index_dirty
        returning id",
        &locked,
    )
    .fetch_all(conn)
    .await?;
    let mut ids: Vec<RiskId> = marked.into_iter().map(RiskId::from).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// Records that the index of a locked risk counts everything observed so far.
pub async fn mark_clean(conn: &mut PgConnection, id: RiskId) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- risks.mark_clean
        update risks set index_dirty = false where id = $1",
        id.uuid(),
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "risk", id)
}

/// Names the run that settles an undecided risk; `false` when it did already, or the risk is decided.
pub async fn set_final(
    conn: &mut PgConnection,
    id: RiskId,
    run: IndexRunId,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- risks.set_final
        update risks set final_index_run_id = $2
        where id = $1 and state <> 'evaluated' and final_index_run_id is distinct from $2",
        id.uuid(),
        run.uuid(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
