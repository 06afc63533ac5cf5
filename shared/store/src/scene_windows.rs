//! Pixels of cells on dates as a satellite's files have them. A window never changes: a date that
//! was read stays as it was read. Never judges a pixel: the number work makes scenes of windows.
//! Written by the satellite worker, read by the index role.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use domain::cell::RiskCell;
use domain::season::Window;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::decode;
use crate::error::StoreError;

/// Pixels of a cell on a date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SceneWindow {
    /// Id.
    pub id: Uuid,
    /// Which sensor, by the name that products have for it.
    pub sensor: String,
    /// Which cell.
    pub cell: RiskCell,
    /// UTC date of the image.
    pub day: NaiveDate,
    /// The catalogue's id of the image.
    pub item_id: String,
    /// Which collection it is of.
    pub collection: String,
    /// When it was taken.
    pub taken_at: DateTime<Utc>,
    /// Processing baseline, `05.11`.
    pub baseline: String,
    /// Digital numbers to take off: 0 or 1,000.
    pub offset_dn: i16,
    /// Code of the projection.
    pub epsg: i32,
    /// Easting of the western edge, metres.
    pub west_m: i32,
    /// Northing of the northern edge, metres.
    pub north_m: i32,
    /// Side of a pixel, metres.
    pub pixel_m: i16,
    /// Pixels of a row.
    pub width: i16,
    /// Rows.
    pub height: i16,
    /// Red, near infrared and classification, deflated.
    pub pixels: Vec<u8>,
    /// SHA-256 of them undeflated, hexadecimal.
    pub sha256: String,
    /// Files they were read from, with the parts and their digests.
    pub files: serde_json::Value,
}

/// Records the pixels of a date; `false` when that date of the cell is known, which stays.
pub async fn record(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    window: &SceneWindow,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- scene_windows.record
        insert into scene_windows
            (id, sensor, risk_cell, day, item_id, collection, taken_at, baseline, offset_dn, epsg,
             west_m, north_m, pixel_m, width, height, pixels, sha256, files, fetched_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                $19)
        on conflict (sensor, risk_cell, day) do nothing",
        window.id,
        window.sensor,
        window.cell.to_string(),
        window.day,
        window.item_id,
        window.collection,
        window.taken_at,
        window.baseline,
        window.offset_dn,
        window.epsg,
        window.west_m,
        window.north_m,
        window.pixel_m,
        window.width,
        window.height,
        window.pixels,
        window.sha256,
        window.files,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The dates within a window on which a cell's pixels are known.
pub async fn list_days(
    conn: &mut PgConnection,
    sensor: &str,
    cell: RiskCell,
    window: Window,
) -> Result<BTreeSet<NaiveDate>, StoreError> {
    let days = sqlx::query_scalar!(
        "-- scene_windows.list_days
        select day from scene_windows
        where sensor = $1 and risk_cell = $2 and day >= $3 and day < $4",
        sensor,
        cell.to_string(),
        window.start,
        window.end,
    )
    .fetch_all(conn)
    .await?;
    Ok(days.into_iter().collect())
}

/// The windows of these ids, by id.
pub async fn list(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<SceneWindow>, StoreError> {
    let rows = sqlx::query!(
        "-- scene_windows.list
        select id, sensor, risk_cell, day, item_id, collection, taken_at, baseline, offset_dn, epsg,
               west_m, north_m, pixel_m, width, height, pixels, sha256, files
        from scene_windows where id = any($1) order by id",
        ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(SceneWindow {
                id: row.id,
                sensor: row.sensor,
                cell: decode::cell_of(&row.risk_cell, "scene_windows", row.id)?,
                day: row.day,
                item_id: row.item_id,
                collection: row.collection,
                taken_at: row.taken_at,
                baseline: row.baseline,
                offset_dn: row.offset_dn,
                epsg: row.epsg,
                west_m: row.west_m,
                north_m: row.north_m,
                pixel_m: row.pixel_m,
                width: row.width,
                height: row.height,
                pixels: row.pixels,
                sha256: row.sha256,
                files: row.files,
            })
        })
        .collect()
}
