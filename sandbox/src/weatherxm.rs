//! The WeatherXM twin: stations, quality and history in the Pro API's shapes, with what may go
//! wrong on demand. Must never tell the future: samples stop at the world's clock, and the quality
//! of a day comes with the next. Nested under its prefix by the router.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State as Shared};
use axum::response::Response;
use axum::routing::{get, post};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};
use domain::cell::RiskCell;
use h3o::{LatLng, Resolution};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::World;
use crate::reply::{Subject, faulted, json as answer};
use crate::weather::replay::{self, Matched, Replay};
use crate::weather::sky::{Fault, FaultKind, Sample, Sky, Source};
use crate::weather::station::{IN_CELL_MAX, Station};
use crate::weather::wards;
use crate::world::State;

/// The provider's name in faults and counters.
const PROVIDER: &str = "weatherxm";
/// Widest search, metres.
const RADIUS_M_MAX: f64 = 100_000.0;
/// Most faults on demand.
const FAULTS_MAX: usize = 1_000;
/// Answers that can be switched on.
const STATUSES: [u16; 5] = [401, 403, 404, 429, 500];

/// How a list of stations is wrapped: both were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wrapper {
    /// A bare array with `cellIndex`.
    #[default]
    Bare,
    /// `{"stations": […]}` with `cellId` and `lastDayQod`.
    Stations,
}

/// What the twin keeps between requests.
#[derive(Debug, Default)]
pub(crate) struct Weather {
    sky: Sky,
    wrapper: Wrapper,
    /// Days until the quality of a day is published, beyond the next.
    quality_delay_days: u8,
    /// Every answer has this status; 0 for none.
    status: u16,
    matched: Option<Matched>,
}

/// The provider's endpoints, relative to its base address.
pub(crate) fn router() -> Router<World> {
    Router::new()
        .route("/stations/near", get(near))
        .route("/stations/{id}/health", get(health))
        .route("/stations/{id}/history", get(history))
        .route("/stations/{id}/latest", get(latest))
        .route("/cells/{cell}/stations", get(cell_stations))
}

/// The control endpoints for weather, relative to `/control`.
pub(crate) fn control() -> Router<World> {
    Router::new()
        .route("/weather", post(set_weather).get(show_weather))
        .route("/stations", get(show_stations))
}

#[derive(Deserialize)]
struct Near {
    lat: f64,
    lon: f64,
    radius: f64,
}

#[derive(Deserialize)]
struct Day {
    date: String,
}

fn refusal(status: u16) -> Response {
    let message = match status {
        400 => "Invalid parameter",
        401 => "Unauthorized",
        403 => "Your plan does not include this endpoint",
        404 => "Not found",
        429 => "Too many requests",
        _ => "Internal server error",
    };
    answer(status, &json!({"message": message}))
}

/// Answers a request for `key` unless its key, a switch or a fault refuses it.
fn asked(
    world: &World,
    headers: &HeaderMap,
    operation: &'static str,
    key: &str,
    work: impl FnOnce(&State, &mut Weather, DateTime<Utc>) -> Response,
) -> Response {
    let shown = headers
        .get("x-api-key")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let is_known = world.with(|state, _| state.settings.credentials.weatherxm_api_key == shown);
    if !is_known {
        return refusal(401);
    }
    let switched = world.with_weather(|weather| weather.status);
    if switched != 0 {
        return refusal(switched);
    }
    faulted(
        world,
        Subject {
            provider: PROVIDER,
            operation,
            key,
        },
        refusal,
        |state, now| world.with_weather(|weather| work(state, weather, now)),
    )
}

async fn near(
    Shared(world): Shared<World>,
    headers: HeaderMap,
    query: Result<Query<Near>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let Ok(Query(near)) = query else {
        return refusal(400);
    };
    let point = LatLng::new(near.lat, near.lon).ok();
    let cell = point.and_then(|point| RiskCell::new(point.to_cell(Resolution::Seven)).ok());
    let Some(cell) = cell.filter(|_| (0.0..=RADIUS_M_MAX).contains(&near.radius)) else {
        return refusal(400);
    };
    asked(
        &world,
        &headers,
        "near",
        &cell.to_string(),
        |state, weather, now| {
            let seed = state.settings.seed;
            let stations = weather
                .sky
                .near(seed, cell, (near.lat, near.lon), near.radius);
            weather.list(seed, &stations, now)
        },
    )
}

async fn cell_stations(
    Shared(world): Shared<World>,
    headers: HeaderMap,
    Path(cell): Path<String>,
) -> Response {
    let Ok(cell) = cell.parse::<RiskCell>() else {
        return refusal(400);
    };
    asked(
        &world,
        &headers,
        "cell",
        &cell.to_string(),
        |state, weather, now| {
            let stations = weather.sky.in_cell(cell);
            weather.list(state.settings.seed, &stations, now)
        },
    )
}

async fn health(
    Shared(world): Shared<World>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    asked(&world, &headers, "health", &id, |state, weather, now| {
        let Some(station) = Station::find(&id) else {
            return refusal(404);
        };
        let yesterday = now.date_naive().pred_opt().unwrap_or_default();
        answer(
            200,
            &weather.health(state.settings.seed, &station, yesterday, now),
        )
    })
}

async fn history(
    Shared(world): Shared<World>,
    headers: HeaderMap,
    Path(id): Path<String>,
    query: Result<Query<Day>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let date = query
        .ok()
        .and_then(|Query(day)| day.date.parse::<NaiveDate>().ok());
    let Some(date) = date else {
        return refusal(400);
    };
    asked(
        &world,
        &headers,
        "history",
        &format!("{id}/{date}"),
        |state, weather, now| {
            let Some(station) = Station::find(&id) else {
                return refusal(404);
            };
            let faults = weather.sky.faults_of(&station, date);
            let is_known = weather.sky.has_day(&station, date) && date <= now.date_naive();
            if !is_known || faults.contains(&FaultKind::Absent) {
                return refusal(404);
            }
            let seed = state.settings.seed;
            let samples = weather.sky.samples(seed, &station, date, now);
            let samples = spoil(samples, &faults, date, now);
            let health = weather.health(seed, &station, date, now);
            raw(history_body(&station, date, &health, &samples))
        },
    )
}

async fn latest(
    Shared(world): Shared<World>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    asked(&world, &headers, "latest", &id, |state, weather, now| {
        let Some(station) = Station::find(&id) else {
            return refusal(404);
        };
        let seed = state.settings.seed;
        let samples = weather.sky.samples(seed, &station, now.date_naive(), now);
        let Some(sample) = samples.last() else {
            return refusal(404);
        };
        let yesterday = now.date_naive().pred_opt().unwrap_or_default();
        let health = weather.health(seed, &station, yesterday, now);
        raw(format!(
            r#"{{"observation":{},"health":{health},"location":{}}}"#,
            observation(sample.at, sample.counter_um.map(millimetres)),
            location(&station)
        ))
    })
}

impl Weather {
    fn list(&self, seed: u64, stations: &[Station], now: DateTime<Utc>) -> Response {
        let yesterday = now.date_naive().pred_opt().unwrap_or_default();
        let bare = self.wrapper == Wrapper::Bare;
        let listed: Vec<Value> = stations
            .iter()
            .map(|station| {
                let mut shown = json!({
                    "id": station.id, "name": station.name(), "createdAt": "2022-10-21T09:30:00Z",
                    "location": {"lat": rounded(station.lat), "lon": rounded(station.lon),
                                 "elevation": station.elevation},
                });
                shown[if bare { "cellIndex" } else { "cellId" }] =
                    json!(station.cell().to_string());
                if !bare {
                    shown["lastDayQod"] =
                        json!(score(self.sky.data_quality_e4(seed, station, yesterday)));
                }
                shown
            })
            .collect();
        answer(
            200,
            &if bare {
                json!(listed)
            } else {
                json!({"stations": listed})
            },
        )
    }

    /// Quality of a day, once it is published, and of the place.
    fn health(&self, seed: u64, station: &Station, day: NaiveDate, now: DateTime<Utc>) -> Value {
        let delay = TimeDelta::days(1 + i64::from(self.quality_delay_days));
        let published = day.and_time(NaiveTime::MIN).and_utc() + delay;
        let data = (now >= published).then(|| score(self.sky.data_quality_e4(seed, station, day)));
        let location = if self.sky.is_placed(station) {
            json!({"score": 1.0, "reason": "-"})
        } else {
            json!({"score": 0.0, "reason": "LOCATION_NOT_VERIFIED"})
        };
        json!({"timestamp": published.to_rfc3339_opts(SecondsFormat::Secs, true),
               "data_quality": data.map_or(json!({}), |score| json!({"score": score})),
               "location_quality": location})
    }

    fn show(&self) -> Value {
        let (scenario, replay) = match &self.sky.source {
            Source::Scenario(scenario) => (json!(scenario), Value::Null),
            Source::Replay(_) => (Value::Null, json!(self.matched)),
        };
        json!({"scenario": scenario, "replay": replay, "seed": self.sky.seed,
               "wards": self.sky.wards, "stations_per_cell": self.sky.stations_per_cell,
               "wrapper": self.wrapper, "quality_delay_days": self.quality_delay_days,
               "status": self.status, "faults": self.sky.faults, "moved": self.sky.moved})
    }
}

/// What was asked to go wrong with a day's samples.
fn spoil(
    mut samples: Vec<Sample>,
    faults: &[FaultKind],
    date: NaiveDate,
    now: DateTime<Utc>,
) -> Vec<Sample> {
    let hour = |at: DateTime<Utc>| {
        at.signed_duration_since(date.and_time(NaiveTime::MIN).and_utc())
            .num_hours()
    };
    for fault in faults {
        let at = samples.iter().position(|sample| hour(sample.at) == 14);
        match fault {
            FaultKind::Negative => {
                if let Some(sample) = at.and_then(|at| samples.get_mut(at)) {
                    sample.counter_um = Some(-9_999_000);
                }
            }
            FaultKind::Duplicate => {
                let later = samples.iter().copied().find(|sample| hour(sample.at) == 16);
                samples.extend(later);
                if let Some(sample) = at.and_then(|at| samples.get(at)).copied() {
                    let other = sample.counter_um.map(|um| um + 5_000);
                    samples.push(Sample {
                        counter_um: other,
                        ..sample
                    });
                }
            }
            FaultKind::Future => {
                let counter_um = samples.last().and_then(|last| last.counter_um);
                samples.push(Sample {
                    at: now + TimeDelta::days(2),
                    counter_um,
                });
            }
            FaultKind::Missing => {
                for sample in samples.iter_mut().filter(|s| (8..10).contains(&hour(s.at))) {
                    sample.counter_um = None;
                }
            }
            FaultKind::Silent => samples.retain(|s| !(6..10).contains(&hour(s.at))),
            FaultKind::SilentNight => samples.retain(|s| !(19..23).contains(&hour(s.at))),
            FaultKind::Reset | FaultKind::Absent => {}
        }
    }
    samples
}

fn history_body(station: &Station, date: NaiveDate, health: &Value, samples: &[Sample]) -> String {
    let mut body = format!(r#"{{"date":"{date}","health":{health},"observations":["#);
    for (nth, sample) in samples.iter().enumerate() {
        if nth > 0 {
            body.push(',');
        }
        body.push_str(&observation(sample.at, sample.counter_um.map(millimetres)));
    }
    // writing to a text cannot fail
    let _ = write!(body, r#"],"location":{}}}"#, location(station));
    body
}

/// One observation; the counter as it is printed.
fn observation(at: DateTime<Utc>, counter: Option<String>) -> String {
    let local = FixedOffset::east_opt(3 * 3_600).map_or_else(
        || at.to_rfc3339_opts(SecondsFormat::Secs, true),
        |east| {
            at.with_timezone(&east)
                .to_rfc3339_opts(SecondsFormat::Secs, false)
        },
    );
    let hour = at.timestamp().rem_euclid(86_400) / 3_600;
    // warmest in the early afternoon of Kenya, 11:00 UTC
    let tenths = 290 - (hour - 11).abs() * 8;
    let counter = counter.map_or(String::new(), |mm| {
        format!(r#","precipitation_accumulated":{mm}"#)
    });
    format!(
        r#"{{"timestamp":"{local}","temperature":{}.{},"precipitation_rate":0.0{counter},"humidity":57,"wind_speed":2.4,"wind_gust":4.1,"wind_direction":134,"pressure":815.2,"solar_irradiance":{}.0}}"#,
        tenths / 10,
        tenths % 10,
        if (4..16).contains(&hour) { 600 } else { 0 }
    )
}

fn location(station: &Station) -> String {
    format!(
        r#"{{"lat":{:.6},"lon":{:.6},"elevation":{}}}"#,
        station.lat, station.lon, station.elevation
    )
}

/// Micrometres as millimetres with three decimals.
fn millimetres(um: i64) -> String {
    let sign = if um < 0 { "-" } else { "" };
    let um = um.unsigned_abs();
    format!("{sign}{}.{:03}", um / 1_000, um % 1_000)
}

fn score(e4: u32) -> f64 {
    f64::from(e4) / 10_000.0
}

/// Six decimals: a tenth of a metre.
fn rounded(degrees: f64) -> f64 {
    (degrees * 1e6).round() / 1e6
}

fn raw(body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    *response.status_mut() = StatusCode::OK;
    response
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
    use anyhow::{Context as _, ensure};
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
        match (&weather.sky.source, &weather.matched) {
            (Source::Replay(_), Some(matched)) => json!(matched),
            _ => weather.show(),
        }
    }))
}

async fn show_weather(Shared(world): Shared<World>) -> Response {
    world.with_weather(|weather| answer(200, &weather.show()))
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
