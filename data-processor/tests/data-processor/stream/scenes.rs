//! From pixels that were recorded to a scene of the cell, through the index role: once, whatever is
//! repeated, and none where clouds hid the ground. Run by cargo.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use data_processor::stream::Outcome;
use domain::cell::RiskCell;
use domain::event::Event;
use providers::sentinel2::Pixels;
use sqlx::PgPool;
use store::scene_windows::{self, SceneWindow};
use uuid::Uuid;

use super::field::{Field, date};

/// Of risk 1; 200 x 200 pixels of 20 m around it.
const CELL: &str = "877a63556ffffff";
const SIDE: i16 = 200;

fn window(number: u128, day: &str, class: u8) -> SceneWindow {
    let count = usize::try_from(SIDE).unwrap().pow(2);
    let pixels = Pixels {
        red: vec![1_500; count],
        nir: vec![3_500; count],
        scl: vec![class; count],
    };
    SceneWindow {
        id: Uuid::from_u128(number),
        sensor: "sentinel-2".to_owned(),
        cell: CELL.parse().unwrap(),
        day: date(day),
        item_id: "S2B_T37MCU_20260411T074205_L2A".to_owned(),
        collection: "sentinel-2-c1-l2a".to_owned(),
        taken_at: "2026-04-11T07:54:22Z".parse().unwrap(),
        baseline: "05.11".to_owned(),
        offset_dn: 1_000,
        epsg: 32_737,
        west_m: 385_000,
        north_m: 9_850_000,
        pixel_m: 20,
        width: SIDE,
        height: SIDE,
        pixels: pixels.pack(),
        sha256: "ab".repeat(32),
        files: serde_json::json!({}),
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn recorded_pixels_become_a_scene_once_and_cloud_becomes_none(pool: PgPool) {
    let field = Field::new(pool).await;
    let windows = [
        window(1, "2026-04-11", 4),
        window(2, "2026-04-16", 9),
        window(3, "2026-04-21", 5),
    ];
    let mut conn = field.context.pool.acquire().await.unwrap();
    for window in &windows {
        let now = window.taken_at;
        assert!(scene_windows::record(&mut conn, now, window).await.unwrap());
        assert!(!scene_windows::record(&mut conn, now, window).await.unwrap());
    }
    drop(conn);
    let cell: RiskCell = CELL.parse().unwrap();
    for window in windows.iter().chain(&windows) {
        field.hear(&Event::SceneCaptured {
            scene_window_id: window.id,
            risk_cell: cell,
            day: window.day,
        });
    }
    let outcomes = field.step().await;
    assert!(
        outcomes.iter().all(|outcome| *outcome == Outcome::Done),
        "{outcomes:?}"
    );
    let scenes = "select count(*) from scenes where sensor = 'sentinel-2' and ndvi_e4 = 6667
                  and valid_bp = 10000 and risk_cell = '877a63556ffffff'
                  and source like 'S2B_T37MCU_20260411T074205_L2A sha256:abab%'";
    assert_eq!(field.count(scenes).await, 2);
    assert_eq!(
        field.count("select count(*) from scenes").await,
        2,
        "none of the clouds"
    );
    let dirty = "select count(*) from risks where index_dirty
                 and risk_cell = '877a63556ffffff'";
    assert_eq!(field.count(dirty).await, 1);
    assert_eq!(
        field
            .count("select count(*) from risks where index_dirty")
            .await,
        1
    );
}
