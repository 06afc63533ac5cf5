//! Vegetation of cells as satellites saw it. A scene never changes, and a date without enough clear
//! ground has none: then the product's rule for absent vegetation applies.
//! Called by the `import` command and the index role.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::cell::RiskCell;
use domain::season::Window;
use sqlx::PgConnection;

use crate::decode;
use crate::error::StoreError;
use crate::grids::{self, Recorded};

/// A cell on a date as a sensor saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// Date of the image (UTC) or first day of a composite.
    pub day: NaiveDate,
    /// Mean NDVI of the cell, 1e-4, -10,000 to 10,000.
    pub ndvi_e4: i16,
    /// Share of the cell's ground that was seen, basis points.
    pub valid_bp: u16,
    /// Where it is from: `sha256:<digest>` of the file, or the scene's own id and digest.
    pub source: String,
}

/// Records scenes of a sensor; a date that is known stays as it is, and is counted when its value
/// differs. Hand over at most some ten thousand at a time.
pub async fn record(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    sensor: &str,
    scenes: &[(RiskCell, Scene)],
) -> Result<Recorded, StoreError> {
    let cells: Vec<String> = scenes.iter().map(|(cell, _)| cell.to_string()).collect();
    let dates: Vec<NaiveDate> = scenes.iter().map(|(_, scene)| scene.day).collect();
    let ndvi: Vec<i16> = scenes.iter().map(|(_, scene)| scene.ndvi_e4).collect();
    let valid: Vec<i16> = scenes
        .iter()
        .map(|(_, scene)| i16::try_from(scene.valid_bp).unwrap_or(i16::MAX))
        .collect();
    let sources: Vec<String> = scenes
        .iter()
        .map(|(_, scene)| scene.source.clone())
        .collect();
    let rows = sqlx::query!(
        r#"-- scenes.record
        with done as (
            insert into scenes (sensor, risk_cell, day, ndvi_e4, valid_bp, source, recorded_at)
            select $1, risk_cell, day, ndvi_e4, valid_bp, source, $7
            from unnest($2::text[], $3::date[], $4::smallint[], $5::smallint[], $6::text[])
                as given (risk_cell, day, ndvi_e4, valid_bp, source)
            on conflict (sensor, risk_cell, day) do nothing
            returning risk_cell, day
        )
        select risk_cell, min(day) as "first!", max(day) as "last!", count(*) as "rows!"
        from done group by risk_cell order by risk_cell"#,
        sensor,
        &cells,
        &dates,
        &ndvi,
        &valid,
        &sources,
        now,
    )
    .fetch_all(&mut *conn)
    .await?;
    let different = sqlx::query_scalar!(
        r#"-- scenes.count_different
        select count(*) as "different!"
        from unnest($2::text[], $3::date[], $4::smallint[]) as given (risk_cell, day, ndvi_e4)
        join scenes on scenes.sensor = $1 and scenes.risk_cell = given.risk_cell
            and scenes.day = given.day
        where scenes.ndvi_e4 <> given.ndvi_e4"#,
        sensor,
        &cells,
        &dates,
        &ndvi,
    )
    .fetch_one(conn)
    .await?;
    let brought = rows
        .into_iter()
        .map(|row| grids::brought((&row.risk_cell, "scenes"), (row.first, row.last), row.rows))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(grids::recorded(brought, different))
}

/// Cells that a sensor has scenes of, rising, at most `limit` after `after`.
pub async fn list_cells(
    conn: &mut PgConnection,
    sensor: &str,
    after: Option<RiskCell>,
    limit: i64,
) -> Result<Vec<RiskCell>, StoreError> {
    let after = after.map(|cell| cell.to_string()).unwrap_or_default();
    let names = sqlx::query_scalar!(
        r#"-- scenes.list_cells
        with recursive cells as (
            (select risk_cell from scenes
             where sensor = $1 and risk_cell > $2 order by risk_cell limit 1)
            union all
            select (select min(next.risk_cell) from scenes as next
                    where next.sensor = $1 and next.risk_cell > cells.risk_cell)
            from cells where cells.risk_cell is not null
        )
        select risk_cell as "risk_cell!" from cells where risk_cell is not null limit $3"#,
        sensor,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    names
        .iter()
        .map(|name| decode::cell(name, "scenes"))
        .collect()
}

/// The scenes of some sensors over some cells within a window, by sensor and cell, in order.
pub async fn list(
    conn: &mut PgConnection,
    sensors: &[String],
    cells: &[RiskCell],
    window: Window,
) -> Result<BTreeMap<(String, RiskCell), Vec<Scene>>, StoreError> {
    let names: Vec<String> = cells.iter().map(RiskCell::to_string).collect();
    let rows = sqlx::query!(
        "-- scenes.list
        select sensor, risk_cell, day, ndvi_e4, valid_bp, source from scenes
        where sensor = any($1) and risk_cell = any($2) and day >= $3 and day < $4
        order by sensor, risk_cell, day",
        sensors,
        &names,
        window.start,
        window.end,
    )
    .fetch_all(conn)
    .await?;
    let mut found: BTreeMap<(String, RiskCell), Vec<Scene>> = BTreeMap::new();
    for row in rows {
        let cell = decode::cell(&row.risk_cell, "scenes")?;
        found.entry((row.sensor, cell)).or_default().push(Scene {
            day: row.day,
            ndvi_e4: row.ndvi_e4,
            valid_bp: u16::try_from(row.valid_bp).unwrap_or(0),
            source: row.source,
        });
    }
    Ok(found)
}
