//! The control endpoints of the scenes: what goes wrong with them, and the years before the world
//! began as the file that `data-processor import vegetation` reads, so that a season has something
//! to be compared with. Everything is checked before anything is changed.
//! Nested under `/control` beside the other controls.

use std::collections::BTreeSet;
use std::fmt::Write;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State as Shared};
use axum::response::Response;
use axum::routing::{get, post};
use chrono::{Datelike, NaiveDate};
use domain::cell::RiskCell;
use serde::Deserialize;
use serde_json::json;

use super::Fault;
use crate::World;
use crate::reply::{json as answer, text};
use crate::weather::sky::Source;
use crate::weather::vegetation::Ground;
use crate::weather::wards;
use crate::weatherxm::Weather;

/// Most faults on demand.
const FAULTS_MAX: usize = 1_000;
/// Answers that can be switched on.
const STATUSES: [u16; 5] = [403, 429, 500, 502, 503];
/// Most cells and years of a history.
const WARDS_MAX: usize = 200;
const YEARS_MAX: i32 = 40;
/// First year of a history when none is named: the first long rains that Sentinel-2 saw.
const FIRST_YEAR: i32 = 2016;
/// More cloud than this hides a cell, percent.
const CLOUD_PERCENT_MAX: u32 = 40;

/// The control endpoints for scenes, relative to `/control`.
pub(crate) fn router() -> Router<World> {
    Router::new()
        .route("/scenes", post(set).get(show))
        .route("/scenes/history", get(history))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Setup {
    faults: Option<Vec<Fault>>,
    status: Option<u16>,
}

async fn set(Shared(world): Shared<World>, bytes: Bytes) -> Response {
    let bad = |message: &str| answer(400, &json!({"error": message}));
    let setup: Setup = match serde_json::from_slice(&bytes) {
        Ok(setup) => setup,
        Err(error) => return bad(&error.to_string()),
    };
    if setup
        .faults
        .as_ref()
        .is_some_and(|faults| faults.len() > FAULTS_MAX)
    {
        return bad("at most 1000 faults");
    }
    let status = setup.status.unwrap_or(0);
    if status != 0 && !STATUSES.contains(&status) {
        return bad("status must be 0, 403, 429, 500, 502 or 503");
    }
    world.with_weather(|weather| {
        let scenes = &mut weather.scenes;
        scenes.status = setup.status.unwrap_or(scenes.status);
        if let Some(faults) = setup.faults {
            scenes.faults = faults;
        }
        scenes.forget();
    });
    show(Shared(world)).await
}

async fn show(Shared(world): Shared<World>) -> Response {
    world.with_weather(|weather| {
        let scenes = &weather.scenes;
        answer(
            200,
            &json!({"faults": scenes.faults, "status": scenes.status,
                    "first_year": scenes.first_year}),
        )
    })
}

#[derive(Deserialize)]
struct Asked {
    /// Codes of wards, joined by commas; those that the weather was set up for when left out.
    wards: Option<String>,
    /// First year.
    from: Option<i32>,
    /// Last year; the one before the world began.
    until: Option<i32>,
}

/// The cells that are asked about: of the wards named, else of those that play.
fn cells(asked: &Asked, weather: &Weather) -> Result<Vec<RiskCell>, String> {
    let of = |code: &str| {
        let ward = wards::find(code).ok_or_else(|| format!("there is no ward {code:?}"))?;
        Ok(ward.plot_cell.risk_cell())
    };
    let found: Result<BTreeSet<RiskCell>, String> = match (&asked.wards, &weather.sky.source) {
        (Some(codes), _) => codes.split(',').map(of).collect(),
        (None, Source::Replay(_)) => {
            let used = weather.matched.iter().flat_map(|matched| &matched.used);
            Ok(used.map(|used| used.plot_cell.risk_cell()).collect())
        }
        (None, Source::Scenario(_)) => weather.sky.wards.iter().map(|code| of(code)).collect(),
    };
    let found = found?;
    if found.is_empty() || found.len() > WARDS_MAX {
        return Err(format!("name 1 to {WARDS_MAX} wards"));
    }
    Ok(found.into_iter().collect())
}

/// A wide table: a date column, then the NDVI of each cell; empty where clouds hid it.
async fn history(Shared(world): Shared<World>, Query(asked): Query<Asked>) -> Response {
    let seed = world.with(|state, _| state.settings.seed);
    world.with_weather(|weather| {
        let cells = match cells(&asked, weather) {
            Ok(cells) => cells,
            Err(error) => return answer(400, &json!({"error": error})),
        };
        let from = asked.from.unwrap_or(FIRST_YEAR);
        let until = asked.until.unwrap_or(weather.scenes.first_year - 1);
        if !(0..YEARS_MAX).contains(&(until - from)) {
            return answer(400, &json!({"error": "name at most 40 years"}));
        }
        let names: Vec<String> = cells.iter().map(RiskCell::to_string).collect();
        let mut table = format!("date,{}\n", names.join(","));
        for year in from..=until {
            write_year(&mut table, &weather.ground(seed), &cells, year);
        }
        text(200, &table)
    })
}

fn write_year(table: &mut String, ground: &Ground<'_>, cells: &[RiskCell], year: i32) {
    let green: Vec<Vec<i32>> = cells
        .iter()
        .map(|cell| ground.open_ground_e4(*cell, year))
        .collect();
    let first = NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or_default();
    for day in first.iter_days().take_while(|day| day.year() == year) {
        let at = usize::try_from(day.ordinal0()).unwrap_or(usize::MAX);
        let seen: Vec<Option<i32>> = cells
            .iter()
            .zip(&green)
            .map(|(cell, green)| {
                let look = ground.look(*cell, day)?;
                let is_seen = look.cloud_percent < CLOUD_PERCENT_MAX;
                is_seen.then(|| green.get(at).copied().map(Ground::whole_cell_e4))?
            })
            .collect();
        if seen.iter().all(Option::is_none) {
            continue;
        }
        // writing to a text cannot fail
        let _ = write!(table, "{day}");
        for value in seen {
            let _ = match value {
                Some(e4) => write!(table, ",{}.{:04}", e4 / 10_000, e4 % 10_000),
                None => write!(table, ","),
            };
        }
        table.push('\n');
    }
}
