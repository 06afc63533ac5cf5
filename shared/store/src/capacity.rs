//! Exposure per accumulation cell: reserved at purchase, bound at activation, released at lapse.
//! The limit is guarded by the row itself: two buyers of the last shilling cannot both have it.
//! Called in the transaction of the policy's change.

use domain::cell::AccumulationCell;
use domain::id::ProductVersionId;
use domain::money::Money;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::{StoreError, one_row};

/// Which exposure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposure {
    /// Of which version.
    pub version: ProductVersionId,
    /// In which season year.
    pub season_year: i32,
    /// In which cell.
    pub cell: AccumulationCell,
}

/// Reserves an amount under `limit`; `false` when there is no room for it. The first reservation
/// of a cell writes its row under `id`.
pub async fn reserve(
    conn: &mut PgConnection,
    id: Uuid,
    exposure: Exposure,
    amount: Money,
    limit: Money,
) -> Result<bool, StoreError> {
    sqlx::query!(
        "-- capacity.ensure
        insert into capacity
            (id, product_version_id, season_year, accumulation_cell, limit_minor, currency)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (product_version_id, season_year, accumulation_cell) do nothing",
        id,
        exposure.version.uuid(),
        exposure.season_year,
        exposure.cell.to_string(),
        limit.minor,
        limit.currency.code(),
    )
    .execute(&mut *conn)
    .await?;
    let done = sqlx::query!(
        "-- capacity.reserve
        update capacity set reserved_minor = reserved_minor + $4
        where product_version_id = $1 and season_year = $2 and accumulation_cell = $3
          and reserved_minor + bound_minor + $4 <= limit_minor",
        exposure.version.uuid(),
        exposure.season_year,
        exposure.cell.to_string(),
        amount.minor,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Turns a reservation into bound exposure.
pub async fn bind(
    conn: &mut PgConnection,
    exposure: Exposure,
    amount: Money,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- capacity.bind
        update capacity
        set reserved_minor = reserved_minor - $4, bound_minor = bound_minor + $4
        where product_version_id = $1 and season_year = $2 and accumulation_cell = $3
          and reserved_minor >= $4",
        exposure.version.uuid(),
        exposure.season_year,
        exposure.cell.to_string(),
        amount.minor,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "capacity", exposure.cell)
}

/// Gives a reservation back.
pub async fn release(
    conn: &mut PgConnection,
    exposure: Exposure,
    amount: Money,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- capacity.release
        update capacity set reserved_minor = reserved_minor - $4
        where product_version_id = $1 and season_year = $2 and accumulation_cell = $3
          and reserved_minor >= $4",
        exposure.version.uuid(),
        exposure.season_year,
        exposure.cell.to_string(),
        amount.minor,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "capacity", exposure.cell)
}
