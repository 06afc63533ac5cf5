//! Wards: the 1,450 codes with their names and the cell that stands for each.
//! Never moves a plot: a refined point counts for plots added later.
//! Called at the start of the backend, by USSD and by operators.

use chrono::{DateTime, Utc};
use domain::cell::PlotCell;
use sqlx::PgConnection;

use crate::error::{StoreError, one_row};

/// Most wards read at once; Kenya has 1,450.
const WARDS_MAX: i64 = 2_000;

/// A ward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ward {
    /// Four digits.
    pub code: String,
    /// Name; names repeat.
    pub name: String,
    /// Constituency.
    pub constituency: String,
    /// County.
    pub county: String,
    /// The cell that stands for it.
    pub cell: PlotCell,
}

/// Every ward, in code order.
pub async fn list_all(conn: &mut PgConnection) -> Result<Vec<Ward>, StoreError> {
    let rows = sqlx::query!(
        "-- wards.list_all
        select code, name, constituency, county, plot_cell from wards order by code limit $1",
        WARDS_MAX,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|r| decode(r.code, r.name, r.constituency, r.county, &r.plot_cell))
        .collect()
}

/// A ward by code.
pub async fn find(conn: &mut PgConnection, code: &str) -> Result<Option<Ward>, StoreError> {
    let row = sqlx::query!(
        "-- wards.find
        select code, name, constituency, county, plot_cell from wards where code = $1",
        code,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|r| decode(r.code, r.name, r.constituency, r.county, &r.plot_cell))
        .transpose()
}

/// Which of these codes are wards'.
pub async fn list_known(
    conn: &mut PgConnection,
    codes: &[String],
) -> Result<Vec<String>, StoreError> {
    let known = sqlx::query_scalar!(
        "-- wards.list_known
        select code from wards where code = any($1)",
        codes,
    )
    .fetch_all(conn)
    .await?;
    Ok(known)
}

/// Inserts wards whose code is not known yet; a refined point stays. Returns how many were new.
pub async fn insert_missing(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    wards: &[Ward],
) -> Result<u64, StoreError> {
    let column = |of: fn(&Ward) -> String| wards.iter().map(of).collect::<Vec<_>>();
    let done = sqlx::query!(
        "-- wards.insert_missing
        insert into wards (code, name, constituency, county, plot_cell, precision, updated_at)
        select code, name, constituency, county, plot_cell, 'constituency', $6
        from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
            as given (code, name, constituency, county, plot_cell)
        on conflict (code) do nothing",
        &column(|ward| ward.code.clone()),
        &column(|ward| ward.name.clone()),
        &column(|ward| ward.constituency.clone()),
        &column(|ward| ward.county.clone()),
        &column(|ward| ward.cell.to_string()),
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Sets a ward's own point; says so in its precision.
pub async fn refine(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    code: &str,
    cell: PlotCell,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- wards.refine
        update wards set plot_cell = $2, precision = 'ward', updated_at = $3 where code = $1",
        code,
        cell.to_string(),
        now,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "ward", code)
}

fn decode(
    code: String,
    name: String,
    constituency: String,
    county: String,
    cell: &str,
) -> Result<Ward, StoreError> {
    match cell.parse() {
        Ok(cell) => Ok(Ward {
            code,
            name,
            constituency,
            county,
            cell,
        }),
        Err(_) => Err(StoreError::Corrupt {
            table: "wards",
            column: "plot_cell",
            id: code,
        }),
    }
}
