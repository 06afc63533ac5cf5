//! The weather client against scripted answers: what is sent, what is kept, what is refused. The
//! twin's weather has tests of its own.

use chrono::NaiveDate;
use domain::measure::RainUm;
use domain::money::BasisPoints;
use providers::Secret;
use providers::weatherxm::{Client, Config};

use crate::wire::scripted;
use crate::world::http;

const STATIONS: &str = r#"{"stations":[{"id":"df2c0430-512f","name":"Calm Almond Sky","cellId":"877a63556ffffff","location":{"lat":-1.37,"lon":38.01,"elevation":1103.5},"lastDayQod":0.97}]}"#;
const DAY: &str = r#"{"date":"2026-03-03","observations":[{"timestamp":"2026-03-03T09:15:00Z","precipitation_accumulated":12.250,"precipitation_rate":0.0},{"timestamp":"2026-03-03T09:00:00Z","temperature":24.1}]}"#;

fn client(base_url: &str) -> Client {
    Client::new(http(), Config::new(base_url, Secret::new("key")))
}

fn day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 3, 3).unwrap()
}

#[tokio::test]
async fn stations_are_asked_for_by_place_and_by_cell() {
    let server = scripted(vec![(200, STATIONS), (200, STATIONS)]).await;
    let client = client(&server.base_url);
    let near = client
        .stations_near(-1_370_000, 38_010_000, 10_000)
        .await
        .unwrap();
    assert_eq!(near.value[0].data_quality, BasisPoints::new(9_700).ok());
    assert_eq!(near.raw, STATIONS.as_bytes());
    let cell = "877a63556ffffff".parse().unwrap();
    assert_eq!(client.cell_stations(cell).await.unwrap().value, near.value);
    let seen = server.seen();
    assert_eq!(
        seen[0],
        "GET /stations/near?lat=-1.370000&lon=38.010000&radius=10000"
    );
    assert_eq!(seen[1], "GET /cells/877a63556ffffff/stations");
}

#[tokio::test]
async fn a_day_comes_with_its_bytes_and_their_hash() {
    let server = scripted(vec![(200, DAY)]).await;
    let fetched = client(&server.base_url)
        .history("df2c0430-512f", day())
        .await
        .unwrap();
    let samples = &fetched.value.observations;
    assert_eq!(samples[0].rain_counter, None, "missing is not zero");
    assert_eq!(samples[1].rain_counter, Some(RainUm(12_250)));
    assert_eq!(fetched.raw, DAY.as_bytes());
    assert_ne!(fetched.sha256, [0; 32]);
    assert_eq!(
        server.seen(),
        ["GET /stations/df2c0430-512f/history?date=2026-03-03"]
    );
}

#[tokio::test]
async fn errors_are_classed_by_whose_fault_they_are() {
    let message = r#"{"message":"no"}"#;
    for (status, kind) in [
        (400, "refused"),
        (404, "refused"),
        (401, "transient"),
        (403, "transient"),
        (429, "transient"),
        (500, "transient"),
        (200, "transient"),
    ] {
        let server = scripted(vec![(status, message)]).await;
        let error = client(&server.base_url)
            .history("a", day())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{status}: {error}");
    }
}

#[tokio::test]
async fn another_day_than_asked_for_is_an_error() {
    let server = scripted(vec![(200, r#"{"date":"2026-03-04","observations":[]}"#)]).await;
    let error = client(&server.base_url)
        .history("a", day())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "foreign_day");
}
