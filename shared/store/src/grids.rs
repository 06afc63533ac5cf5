//! Rain of cells as gridded datasets have it, day by day, and each dataset's dekadal climate of a cell.
//! A row never changes: data that were processed anew are another dataset. Never decides which
//! dataset settles. Written by the `import` and `baseline` commands, read by the index role.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::cell::RiskCell;
use domain::measure::RainUm;
use domain::season::Window;
use sqlx::PgConnection;

use crate::decode::{self, corrupt};
use crate::error::StoreError;

/// Dekads of a year.
const DEKADS: usize = 36;

/// Rain of a cell on a local day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GridDay {
    /// Which cell.
    pub cell: RiskCell,
    /// Local day.
    pub day: NaiveDate,
    /// Rain.
    pub rain_um: RainUm,
}

/// What a batch came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recorded {
    /// Rows that were not there.
    pub new: u64,
    /// Rows that were there and say something else: they stay as they were.
    pub different: u64,
    /// Where and over which days the new rows lie, cells rising.
    pub brought: Vec<Brought>,
}

/// New rows of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brought {
    /// Which cell.
    pub cell: RiskCell,
    /// First new day.
    pub first: NaiveDate,
    /// Last new day.
    pub last: NaiveDate,
    /// New rows, at most one a day.
    pub rows: u64,
}

/// Records days of a dataset; a day that is known stays as it is, and is counted when it differs.
/// Hand over at most some ten thousand at a time.
pub async fn record(
    conn: &mut PgConnection,
    dataset: &str,
    days: &[GridDay],
) -> Result<Recorded, StoreError> {
    let cells: Vec<String> = days.iter().map(|day| day.cell.to_string()).collect();
    let dates: Vec<NaiveDate> = days.iter().map(|day| day.day).collect();
    let rain: Vec<i32> = days.iter().map(|day| day.rain_um.0).collect();
    let rows = sqlx::query!(
        r#"-- grids.record
        with done as (
            insert into grid_days (dataset, risk_cell, day, rain_um)
            select $1, risk_cell, day, rain_um
            from unnest($2::text[], $3::date[], $4::integer[]) as given (risk_cell, day, rain_um)
            on conflict (dataset, risk_cell, day) do nothing
            returning risk_cell, day
        )
        select risk_cell, min(day) as "first!", max(day) as "last!", count(*) as "rows!"
        from done group by risk_cell order by risk_cell"#,
        dataset,
        &cells,
        &dates,
        &rain,
    )
    .fetch_all(&mut *conn)
    .await?;
    // after the writing: a row that somebody else wrote in the meantime is compared as well
    let different = sqlx::query_scalar!(
        r#"-- grids.count_different
        select count(*) as "different!"
        from unnest($2::text[], $3::date[], $4::integer[]) as given (risk_cell, day, rain_um)
        join grid_days on grid_days.dataset = $1 and grid_days.risk_cell = given.risk_cell
            and grid_days.day = given.day
        where grid_days.rain_um <> given.rain_um"#,
        dataset,
        &cells,
        &dates,
        &rain,
    )
    .fetch_one(conn)
    .await?;
    let brought = rows
        .into_iter()
        .map(|row| {
            brought(
                (&row.risk_cell, "grid_days"),
                (row.first, row.last),
                row.rows,
            )
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(recorded(brought, different))
}

pub(crate) fn brought(
    (cell, table): (&str, &'static str),
    (first, last): (NaiveDate, NaiveDate),
    rows: i64,
) -> Result<Brought, StoreError> {
    Ok(Brought {
        cell: decode::cell(cell, table)?,
        first,
        last,
        rows: u64::try_from(rows).unwrap_or(0),
    })
}

pub(crate) fn recorded(brought: Vec<Brought>, different: i64) -> Recorded {
    Recorded {
        new: brought.iter().map(|cell| cell.rows).sum(),
        different: u64::try_from(different).unwrap_or(0),
        brought,
    }
}

/// Cells that a dataset has days of, rising, at most `limit` after `after`. Walks from cell to cell
/// through the key: what it costs grows with the cells, not with their days.
pub async fn list_cells(
    conn: &mut PgConnection,
    dataset: &str,
    after: Option<RiskCell>,
    limit: i64,
) -> Result<Vec<RiskCell>, StoreError> {
    let after = after.map(|cell| cell.to_string()).unwrap_or_default();
    let names = sqlx::query_scalar!(
        r#"-- grids.list_cells
        with recursive cells as (
            (select risk_cell from grid_days
             where dataset = $1 and risk_cell > $2 order by risk_cell limit 1)
            union all
            select (select min(next.risk_cell) from grid_days as next
                    where next.dataset = $1 and next.risk_cell > cells.risk_cell)
            from cells where cells.risk_cell is not null
        )
        select risk_cell as "risk_cell!" from cells where risk_cell is not null limit $3"#,
        dataset,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    names
        .iter()
        .map(|name| decode::cell(name, "grid_days"))
        .collect()
}

/// Days of one dataset in one cell, in order.
pub type Series = Vec<(NaiveDate, RainUm)>;

/// The days of some datasets in some cells within a window, by dataset and cell.
pub async fn list(
    conn: &mut PgConnection,
    datasets: &[String],
    cells: &[RiskCell],
    window: Window,
) -> Result<BTreeMap<(String, RiskCell), Series>, StoreError> {
    let names: Vec<String> = cells.iter().map(RiskCell::to_string).collect();
    let rows = sqlx::query!(
        "-- grids.list
        select dataset, risk_cell, day, rain_um from grid_days
        where dataset = any($1) and risk_cell = any($2) and day >= $3 and day < $4
        order by dataset, risk_cell, day",
        datasets,
        &names,
        window.start,
        window.end,
    )
    .fetch_all(conn)
    .await?;
    let mut found: BTreeMap<(String, RiskCell), Series> = BTreeMap::new();
    for row in rows {
        let cell = decode::cell(&row.risk_cell, "grid_days")?;
        found
            .entry((row.dataset, cell))
            .or_default()
            .push((row.day, RainUm(row.rain_um)));
    }
    Ok(found)
}

/// Mean rain of each dekad of the year, µm; `None` for one that was never whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Climate {
    /// First year that counts.
    pub first_year: i32,
    /// Last.
    pub last_year: i32,
    /// 36 means.
    pub dekads: Vec<Option<i64>>,
}

/// Records a dataset's climate of a cell; `false` when it has one, which stays.
pub async fn record_climate(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    dataset: &str,
    cell: RiskCell,
    climate: &Climate,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- grids.record_climate
        insert into rain_climates
            (dataset, risk_cell, first_year, last_year, dekads, computed_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (dataset, risk_cell) do nothing",
        dataset,
        cell.to_string(),
        climate.first_year,
        climate.last_year,
        serde_json::to_value(&climate.dekads).unwrap_or_default(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The climates of some datasets in some cells, by dataset and cell.
pub async fn list_climates(
    conn: &mut PgConnection,
    datasets: &[String],
    cells: &[RiskCell],
) -> Result<BTreeMap<(String, RiskCell), Climate>, StoreError> {
    let names: Vec<String> = cells.iter().map(RiskCell::to_string).collect();
    let rows = sqlx::query!(
        "-- grids.list_climates
        select dataset, risk_cell, first_year, last_year, dekads from rain_climates
        where dataset = any($1) and risk_cell = any($2)",
        datasets,
        &names,
    )
    .fetch_all(conn)
    .await?;
    let mut found = BTreeMap::new();
    for row in rows {
        let cell = decode::cell(&row.risk_cell, "rain_climates")?;
        let dekads: Vec<Option<i64>> = serde_json::from_value(row.dekads)
            .ok()
            .filter(|dekads: &Vec<Option<i64>>| dekads.len() == DEKADS)
            .ok_or_else(|| corrupt("rain_climates", "dekads", &row.risk_cell))?;
        let climate = Climate {
            first_year: row.first_year,
            last_year: row.last_year,
            dekads,
        };
        found.insert((row.dataset, cell), climate);
    }
    Ok(found)
}
