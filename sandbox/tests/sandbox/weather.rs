//! The weather twin over its router: shapes, the switches, and that nothing is told ahead of time.
//! Asks as a client would; how a client parses it is tested with the client.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

use axum::body::{Body, to_bytes};
use chrono::{DateTime, Utc};
use http::Request;
use sandbox::{CallbackSink, Clock, Settings, World, router};
use serde_json::{Value, json};
use tower::ServiceExt;

const CELL: &str = "877a5c541ffffff";

fn world(now: &str) -> World {
    let clock = Clock::held(now.parse::<DateTime<Utc>>().unwrap());
    let settings = Settings {
        seed: 7,
        ..Settings::default()
    };
    World::new(clock, settings, CallbackSink::in_process())
}

async fn send(world: &World, request: Request<Body>) -> (u16, Value) {
    let response = router(world.clone()).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), 1 << 22).await.unwrap();
    (
        status,
        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    )
}

async fn get(world: &World, path: &str) -> (u16, Value) {
    let request = Request::get(format!("/weatherxm/api/v1{path}"))
        .header("X-API-KEY", "sandbox-weatherxm-key")
        .body(Body::empty())
        .unwrap();
    send(world, request).await
}

async fn control(world: &World, setup: Value) -> (u16, Value) {
    let request = Request::post("/control/weather")
        .body(Body::from(setup.to_string()))
        .unwrap();
    send(world, request).await
}

async fn station(world: &World) -> String {
    let (_, stations) = get(world, &format!("/cells/{CELL}/stations")).await;
    stations[0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn stations_come_in_either_wrapper_and_never_without_the_key() {
    let world = world("2026-03-05T10:00:00Z");
    let (status, bare) = get(&world, &format!("/cells/{CELL}/stations")).await;
    assert_eq!((status, bare.as_array().map(Vec::len)), (200, Some(2)));
    assert_eq!(bare[0]["cellIndex"], CELL);
    control(&world, json!({"wrapper": "stations"})).await;
    let (_, wrapped) = get(&world, "/stations/near?lat=2.26&lon=37.9&radius=15000").await;
    let listed = wrapped["stations"].as_array().unwrap();
    assert!(
        listed.len() >= 5,
        "two in the cell and some around: {wrapped}"
    );
    assert!(listed[0]["lastDayQod"].as_f64().unwrap() > 0.9);
    let keyless = Request::get(format!("/weatherxm/api/v1/cells/{CELL}/stations"));
    assert_eq!(
        send(&world, keyless.body(Body::empty()).unwrap()).await.0,
        401
    );
    assert_eq!(get(&world, "/cells/zz/stations").await.0, 400);
    assert_eq!(get(&world, "/stations/near?lat=x").await.0, 400);
}

#[tokio::test]
async fn a_day_is_told_up_to_now_and_scored_the_day_after() {
    let world = world("2026-03-05T10:00:00Z");
    let id = station(&world).await;
    let (status, today) = get(&world, &format!("/stations/{id}/history?date=2026-03-05")).await;
    assert_eq!(status, 200);
    assert!(today["observations"].as_array().unwrap().len() < 60);
    assert_eq!(
        today["health"]["data_quality"],
        json!({}),
        "not scored before tomorrow"
    );
    let (_, yesterday) = get(&world, &format!("/stations/{id}/history?date=2026-03-04")).await;
    assert_eq!(yesterday["observations"].as_array().unwrap().len(), 97);
    assert!(
        yesterday["health"]["data_quality"]["score"]
            .as_f64()
            .unwrap()
            >= 0.8
    );
    assert_eq!(
        get(&world, &format!("/stations/{id}/history?date=2026-03-06"))
            .await
            .0,
        404
    );
    assert_eq!(
        get(&world, &format!("/stations/{id}/history?date=soon"))
            .await
            .0,
        400
    );
    assert_eq!(
        get(&world, "/stations/nobody/history?date=2026-03-04")
            .await
            .0,
        404
    );
    control(&world, json!({"quality_delay_days": 1})).await;
    let (_, unscored) = get(&world, &format!("/stations/{id}/history?date=2026-03-04")).await;
    assert_eq!(unscored["health"]["data_quality"], json!({}));
}

#[tokio::test]
async fn impossible_weather_comes_on_demand() {
    let world = world("2026-03-10T10:00:00Z");
    let id = station(&world).await;
    let fault = |day: u32, kind: &str| json!({"station": "*", "date": format!("2026-03-{day:02}"), "kind": kind});
    let kinds = [
        "negative",
        "duplicate",
        "future",
        "missing",
        "silent",
        "absent",
    ];
    let faults: Vec<Value> = (2..)
        .zip(kinds)
        .map(|(day, kind)| fault(day, kind))
        .collect();
    let (status, _) = control(&world, json!({"faults": faults, "moved": [id]})).await;
    assert_eq!(status, 200);
    let mut bodies = Vec::new();
    for day in 2..=6 {
        let path = format!("/stations/{id}/history?date=2026-03-{day:02}");
        bodies.push(get(&world, &path).await.1);
    }
    let samples = |at: usize| bodies[at]["observations"].as_array().unwrap();
    assert!(
        samples(0)
            .iter()
            .any(|s| s["precipitation_accumulated"] == json!(-9999.0))
    );
    assert_eq!(samples(1).len(), 99);
    assert!(
        samples(2)
            .iter()
            .any(|s| s["timestamp"].as_str().unwrap() > "2026-03-11")
    );
    let missing = samples(3)
        .iter()
        .filter(|s| s.get("precipitation_accumulated").is_none());
    assert_eq!(missing.count(), 8);
    assert_eq!(samples(4).len(), 81);
    assert_eq!(
        get(&world, &format!("/stations/{id}/history?date=2026-03-07"))
            .await
            .0,
        404
    );
    assert_eq!(bodies[0]["health"]["location_quality"]["score"], json!(0.0));
}

#[tokio::test]
async fn a_switch_makes_every_answer_a_refusal_and_back() {
    let world = world("2026-03-10T10:00:00Z");
    for status in [401, 403, 404, 429, 500] {
        control(&world, json!({"status": status})).await;
        assert_eq!(
            get(&world, &format!("/cells/{CELL}/stations")).await.0,
            status
        );
    }
    control(&world, json!({"status": 0})).await;
    assert_eq!(get(&world, &format!("/cells/{CELL}/stations")).await.0, 200);
}

#[tokio::test]
async fn a_malformed_setup_changes_nothing_and_says_why() {
    let world = world("2026-03-10T10:00:00Z");
    for (setup, word) in [
        (json!({"scenario": "hail"}), "scenario"),
        (json!({"scenario": "flood", "wards": ["9999"]}), "9999"),
        (
            json!({"scenario": "flood", "stations_per_cell": 9}),
            "stations_per_cell",
        ),
        (
            json!({"replay": {"weather": "/nowhere.csv"}}),
            "/nowhere.csv",
        ),
        (json!({"colour": "grey"}), "colour"),
    ] {
        let (status, answer) = control(&world, setup).await;
        assert_eq!(status, 400);
        assert!(answer["error"].as_str().unwrap().contains(word), "{answer}");
    }
    let shown = Request::get("/control/weather")
        .body(Body::empty())
        .unwrap();
    assert_eq!(send(&world, shown).await.1["scenario"], "good");
}
