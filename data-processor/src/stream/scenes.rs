//! Makes scenes of the pixels that were recorded: mean NDVI of a cell on a date and the share of it
//! that was seen clearly. A date with too little clear ground makes no scene, which is not the same
//! as a low one. Must never read a pixel outside the cell. Called by the index role.

use chrono::{DateTime, Utc};
use domain::cell::RiskCell;
use providers::sentinel2::{Grid, Pixels};
use store::scene_windows::{self, SceneWindow};
use store::scenes::{self, Scene};
use store::{Connection, StoreError, risks};
use uuid::Uuid;

use crate::science::vegetation::reflectance;
use crate::science::vegetation::scene::{Mask, cell_date};

/// Fewest pixels of a cell; one has some 13,000.
const PIXELS_MIN: usize = 20;

/// Makes the scenes of these windows, and marks the risks that may rest on them.
pub(super) async fn make(
    conn: &mut Connection,
    now: DateTime<Utc>,
    ids: &[Uuid],
) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut made: Vec<(String, RiskCell, Scene)> = Vec::new();
    for window in scene_windows::list(conn, ids).await? {
        match scene(&window)? {
            Some(scene) => made.push((window.sensor, window.cell, scene)),
            None => {
                tracing::info!(cell = %window.cell, day = %window.day, "too little clear ground");
            }
        }
    }
    made.sort_by(|a, b| (&a.0, a.1, a.2.day).cmp(&(&b.0, b.1, b.2.day)));
    let mut brought = Vec::new();
    for of_sensor in made.chunk_by(|a, b| a.0 == b.0) {
        let Some((sensor, ..)) = of_sensor.first() else {
            continue;
        };
        let rows: Vec<(RiskCell, Scene)> = of_sensor
            .iter()
            .map(|(_, cell, scene)| (*cell, scene.clone()))
            .collect();
        brought.extend(scenes::record(conn, now, sensor, &rows).await?.brought);
    }
    // risks are locked in the order of ids: of all cells at once
    let cells: Vec<RiskCell> = brought.iter().map(|new| new.cell).collect();
    let first = brought.iter().map(|new| new.first).min();
    let last = brought.iter().map(|new| new.last).max();
    if let Some((first, last)) = first.zip(last) {
        risks::mark_cells_dirty(conn, &cells, first, last).await?;
    }
    Ok(())
}

/// The scene of a window; `None` when too little of the cell was seen clearly.
pub(crate) fn scene(window: &SceneWindow) -> Result<Option<Scene>, StoreError> {
    let corrupt = |column| StoreError::Corrupt {
        table: "scene_windows",
        column,
        id: window.id.to_string(),
    };
    let grid = grid(window).ok_or_else(|| corrupt("width"))?;
    let pixels = Pixels::unpack(&window.pixels, &grid).ok_or_else(|| corrupt("pixels"))?;
    let offset_dn = u16::try_from(window.offset_dn).map_err(|_| corrupt("offset_dn"))?;
    let rows = grid
        .rows_inside(window.cell)
        .ok_or_else(|| corrupt("epsg"))?;
    let width = usize::from(grid.width);
    let mut weights = vec![0.0; grid.pixels()];
    let mut scratch = vec![false; grid.pixels()];
    Mask::default()
        .weigh(&pixels.scl, width, &mut weights, &mut scratch)
        .map_err(|_| corrupt("pixels"))?;
    let inside = rows
        .into_iter()
        .enumerate()
        .flat_map(|(row, (from, until))| {
            let start = row.saturating_mul(width);
            (usize::from(from)..usize::from(until)).map(move |column| start.saturating_add(column))
        });
    let values = inside.map(|at| {
        let (red, nir) = (pixels.red.get(at), pixels.nir.get(at));
        let ndvi = red
            .zip(nir)
            .and_then(|(red, nir)| reflectance::ndvi_with_offset(*red, *nir, offset_dn));
        (ndvi, weights.get(at).copied().unwrap_or(0.0), true)
    });
    let seen = cell_date(values, PIXELS_MIN);
    let Some(ndvi) = seen.ndvi else {
        return Ok(None);
    };
    let whole = |value: f64| format!("{value:.0}").parse::<i16>().ok();
    let ndvi_e4 = whole(ndvi * 1e4).ok_or_else(|| corrupt("pixels"))?;
    let valid_bp = whole(seen.valid_share * 1e4).and_then(|bp| u16::try_from(bp).ok());
    Ok(Some(Scene {
        day: window.day,
        ndvi_e4,
        valid_bp: valid_bp.ok_or_else(|| corrupt("pixels"))?,
        source: format!("{} sha256:{}", window.item_id, window.sha256),
    }))
}

fn grid(window: &SceneWindow) -> Option<Grid> {
    Some(Grid {
        epsg: u32::try_from(window.epsg).ok()?,
        west_m: window.west_m,
        north_m: window.north_m,
        pixel_m: u16::try_from(window.pixel_m).ok()?,
        width: u16::try_from(window.width).ok()?,
        height: u16::try_from(window.height).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: &str = "877a63556ffffff";

    /// A window whose western part up to `clouds` columns is under cloud; red and near infrared as
    /// given elsewhere.
    fn window(clouds: usize, red: u16, nir: u16, offset_dn: i16) -> SceneWindow {
        let cell: RiskCell = CELL.parse().unwrap();
        // Kitui: the cell lies around 387 km east, 9,848 km north
        let (width, height) = (200_u16, 200_u16);
        let count = usize::from(width) * usize::from(height);
        let pixels = Pixels {
            red: vec![red; count],
            nir: vec![nir; count],
            scl: (0..count)
                .map(|at| {
                    if at % usize::from(width) < clouds {
                        9
                    } else {
                        4
                    }
                })
                .collect(),
        };
        SceneWindow {
            id: Uuid::from_u128(1),
            sensor: "sentinel-2".to_owned(),
            cell,
            day: "2026-04-11".parse().unwrap(),
            item_id: "S2B_T37MCU_20260411T074205_L2A".to_owned(),
            collection: "sentinel-2-c1-l2a".to_owned(),
            taken_at: "2026-04-11T07:54:22Z".parse().unwrap(),
            baseline: "05.11".to_owned(),
            offset_dn,
            epsg: 32_737,
            west_m: 385_000,
            north_m: 9_850_000,
            pixel_m: 20,
            width: i16::try_from(width).unwrap(),
            height: i16::try_from(height).unwrap(),
            pixels: pixels.pack(),
            sha256: "ab".repeat(32),
            files: serde_json::Value::Null,
        }
    }

    #[test]
    fn clear_ground_has_its_ndvi_with_the_offset_taken_off_once() {
        for (red, nir, offset) in [(1_500, 3_500, 1_000), (500, 2_500, 0)] {
            let scene = scene(&window(0, red, nir, offset)).unwrap().unwrap();
            assert_eq!((scene.ndvi_e4, scene.valid_bp), (6_667, 10_000));
            assert!(
                scene
                    .source
                    .starts_with("S2B_T37MCU_20260411T074205_L2A sha256:abab")
            );
        }
    }

    #[test]
    fn too_little_clear_ground_is_no_scene() {
        assert_eq!(scene(&window(200, 1_500, 3_500, 1_000)).unwrap(), None);
        let mut part = 0;
        for clouds in (0..200).step_by(10) {
            if let Some(scene) = scene(&window(clouds, 1_500, 3_500, 1_000)).unwrap() {
                assert_eq!(scene.ndvi_e4, 6_667, "what is clear is as it is");
                assert!(scene.valid_bp >= 6_000);
                part += usize::from(scene.valid_bp < 10_000);
            }
        }
        assert!(part > 0, "some dates were seen in part");
    }

    #[test]
    fn a_window_that_is_not_whole_is_corrupt_and_never_a_scene() {
        let mut short = window(0, 1_500, 3_500, 1_000);
        short.width = 199;
        assert!(matches!(scene(&short), Err(StoreError::Corrupt { .. })));
    }
}
