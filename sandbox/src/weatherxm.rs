//! The WeatherXM twin: stations, quality and history in the Pro API's shapes, with what may go
//! wrong on demand. Must never tell the future: samples stop at the world's clock, and the quality
//! of a day comes with the next. Nested under its prefix by the router.

use std::fmt::Write;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State as Shared};
use axum::response::Response;
use axum::routing::get;
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};
use domain::cell::RiskCell;
use h3o::{LatLng, Resolution};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::World;
use crate::earthsearch::Scenes;
use crate::reply::{Subject, faulted, json as answer};
use crate::weather::fault::{FaultKind, spoil};
use crate::weather::replay::Matched;
use crate::weather::sky::{Sample, Sky};
use crate::weather::station::Station;
use crate::world::State;

/// The provider's name in faults and counters.
const PROVIDER: &str = "weatherxm";
/// Widest search, metres.
const RADIUS_M_MAX: f64 = 100_000.0;

/// How a list of stations is wrapped: both were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wrapper {
    /// A bare array with `cellIndex`.
    #[default]
    Bare,
    /// `{"stations": […]}` with `cellId` and `lastDayQod`.
    Stations,
}

/// What the twin keeps between requests.
#[derive(Debug, Default)]
pub(crate) struct Weather {
    /// What is overhead.
    pub(crate) sky: Sky,
    /// How lists are wrapped.
    pub(crate) wrapper: Wrapper,
    /// Days until the quality of a day is published, beyond the next.
    pub(crate) quality_delay_days: u8,
    /// Every answer has this status; 0 for none.
    pub(crate) status: u16,
    /// Which columns of a replayed file are wards.
    pub(crate) matched: Option<Matched>,
    /// What satellites see of the ground.
    pub(crate) scenes: Scenes,
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
