//! The control endpoints of the weather: which sky plays, which stations stand, what goes wrong.
//! Everything is checked before anything is changed; a malformed setup is 400 with the reason.
//! Nested under `/control` beside the other controls.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::fault::Fault;
use super::replay::{self, Replay};
use super::sky::Source;
use super::station::IN_CELL_MAX;
use super::wards;
use crate::World;
use crate::reply::json as answer;
use crate::weatherxm::{Weather, Wrapper};

/// Most faults on demand.
const FAULTS_MAX: usize = 1_000;
/// Answers that can be switched on.
const STATUSES: [u16; 5] = [401, 403, 404, 429, 500];

/// The control endpoints for weather, relative to `/control`.
pub(crate) fn router() -> Router<World> {
    Router::new()
        .route("/weather", post(set_weather).get(show_weather))
        .route("/stations", get(show_stations))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplaySetup {
    #[serde(alias = "path")]
    weather: PathBuf,
    #[serde(default)]
    points: Option<PathBuf>,
    #[serde(default)]
    county: Option<String>,
    /// Another table of wards than the shipped one.
    #[serde(default)]
    wards: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Setup {
    scenario: Option<String>,
    replay: Option<ReplaySetup>,
    seed: Option<u64>,
    wards: Option<Vec<String>>,
    stations_per_cell: Option<u8>,
    wrapper: Option<Wrapper>,
    quality_delay_days: Option<u8>,
    status: Option<u16>,
    faults: Option<Vec<Fault>>,
    moved: Option<Vec<String>>,
}

async fn set_weather(Shared(world): Shared<World>, bytes: Bytes) -> Response {
    let bad = |message: &str| answer(400, &json!({"error": message}));
    let setup: Setup = match serde_json::from_slice(&bytes) {
        Ok(setup) => setup,
        Err(error) => return bad(&error.to_string()),
    };
    match change(&world, setup) {
        Ok(shown) => answer(200, &shown),
        Err(error) => bad(&format!("{error:#}")),
    }
}

/// Everything is checked before anything is changed.
fn change(world: &World, setup: Setup) -> anyhow::Result<Value> {
    ensure!(
        setup.scenario.is_none() || setup.replay.is_none(),
        "give a scenario or a replay, not both"
    );
    let source = match (setup.scenario, setup.replay) {
        (Some(name), _) => {
            let scenario = serde_json::from_value(json!(name))
                .context("scenario must be drought, good or flood")?;
            Some((Source::Scenario(scenario), None))
        }
        (None, Some(asked)) => {
            let daily = replay::load(&asked.weather)?;
            let table = asked.wards.as_deref().map(wards::read).transpose()?;
            let matched = replay::match_table(
                &daily.columns,
                asked.points.as_deref(),
                asked.county.as_deref(),
                table.as_deref().unwrap_or(wards::all()),
            )?;
            Some((
                Source::Replay(Arc::new(Replay::new(&daily, &matched))),
                Some(matched),
            ))
        }
        (None, None) => None,
    };
    for code in setup.wards.iter().flatten() {
        ensure!(wards::find(code).is_some(), "there is no ward {code:?}");
    }
    let status = setup.status.unwrap_or(0);
    ensure!(
        status == 0 || STATUSES.contains(&status),
        "status must be 0 or one of {STATUSES:?}"
    );
    let per_cell = setup.stations_per_cell.unwrap_or(0);
    ensure!(
        per_cell <= IN_CELL_MAX,
        "stations_per_cell must be 0, 1 or 2"
    );
    ensure!(
        setup
            .faults
            .as_ref()
            .is_none_or(|faults| faults.len() <= FAULTS_MAX),
        "at most {FAULTS_MAX} faults"
    );
    Ok(world.with_weather(|weather| {
        if let Some((source, matched)) = source {
            weather.sky.source = source;
            weather.matched = matched;
        }
        weather.sky.seed = setup.seed.or(weather.sky.seed);
        weather.wrapper = setup.wrapper.unwrap_or(weather.wrapper);
        weather.status = setup.status.unwrap_or(weather.status);
        weather.quality_delay_days = setup
            .quality_delay_days
            .unwrap_or(weather.quality_delay_days);
        weather.sky.stations_per_cell = setup
            .stations_per_cell
            .unwrap_or(weather.sky.stations_per_cell);
        if let Some(wards) = setup.wards {
            weather.sky.wards = wards;
        }
        if let Some(faults) = setup.faults {
            weather.sky.faults = faults;
        }
        if let Some(moved) = setup.moved {
            weather.sky.moved = moved.into_iter().collect();
        }
        weather.sky.forget();
        weather.scenes.forget();
        match (&weather.sky.source, &weather.matched) {
            (Source::Replay(_), Some(matched)) => json!(matched),
            _ => show(weather),
        }
    }))
}

async fn show_weather(Shared(world): Shared<World>) -> Response {
    world.with_weather(|weather| answer(200, &show(weather)))
}

async fn show_stations(Shared(world): Shared<World>) -> Response {
    world.with_weather(|weather| {
        let stations: Vec<Value> = weather
            .sky
            .handed_out
            .values()
            .map(|station| {
                json!({"id": station.id, "cell": station.cell().to_string(), "lat": station.lat,
                       "lon": station.lon, "elevation": station.elevation,
                       "in_cell": station.is_in_cell})
            })
            .collect();
        answer(200, &json!({"stations": stations}))
    })
}

/// The present settings.
fn show(weather: &Weather) -> Value {
    let (scenario, replay) = match &weather.sky.source {
        Source::Scenario(scenario) => (json!(scenario), Value::Null),
        Source::Replay(_) => (Value::Null, json!(weather.matched)),
    };
    json!({"scenario": scenario, "replay": replay, "seed": weather.sky.seed,
           "wards": weather.sky.wards, "stations_per_cell": weather.sky.stations_per_cell,
           "wrapper": weather.wrapper, "quality_delay_days": weather.quality_delay_days,
           "status": weather.status, "faults": weather.sky.faults, "moved": weather.sky.moved})
}
