//! The Earth Search twin: a catalogue of Sentinel-2 scenes over whatever cell is asked about, and
//! their files, which are read by ranges. Every scene has two items, one of each collection, as in
//! the world. Must never tell the future: a scene is listed half a day after its pass. What is
//! green follows the sky that plays. Nested under its prefix by the router.

mod cog;
pub(crate) mod control;
mod utm;

use std::collections::VecDeque;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State as Shared};
use axum::response::Response;
use axum::routing::{get, post};
use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};
use domain::cell::RiskCell;
use h3o::{LatLng, Resolution};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::cog::{Band, Picture};
use crate::World;
use crate::draw;
use crate::reply::{Subject, faulted, json as answer};
use crate::weather::vegetation::{Ground, Look};
use crate::weatherxm::Weather;

/// The provider's name in faults and counters.
const PROVIDER: &str = "earthsearch";
const NEW: &str = "sentinel-2-c1-l2a";
const OLD: &str = "sentinel-2-l2a";
/// When a satellite passes over Kenya, seconds of the UTC day.
const PASS_SECONDS: i64 = 7 * 3_600 + 54 * 60 + 22;
/// How long after its pass a scene is listed.
const LISTED_AFTER: TimeDelta = TimeDelta::hours(12);
/// Most days of a search.
const DAYS_MAX: i64 = 400;
/// The directories of a file end before this, bytes: corrupt files are whole up to it.
const DIRECTORIES_BYTES: usize = 4_096;
/// Files kept.
const FILES_MAX: usize = 12;

/// What may go wrong with a scene, on demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Neither collection has it.
    Absent,
    /// Only the older collection has it.
    Gap,
    /// Under cloud throughout.
    Cloudy,
    /// Not a cloud.
    Clear,
    /// Only the older collection has it, and says that pixels are shifted which are not.
    WrongFlag,
    /// Two tiles have it; on the first the west was not seen.
    Edge,
    /// The file of the red band is not there, in the newer collection.
    Missing,
    /// Tiles of the newer collection do not inflate.
    Corrupt,
    /// Answers about files stop half-way, as if they were whole.
    Truncated,
}

/// Something that goes wrong with the scene of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fault {
    /// UTC date of the pass.
    pub(crate) date: NaiveDate,
    /// What.
    pub(crate) kind: Kind,
}

/// What the twin keeps between requests.
#[derive(Debug, Default)]
pub(crate) struct Scenes {
    /// The year in which the world began.
    pub(crate) first_year: i32,
    pub(crate) faults: Vec<Fault>,
    /// Every answer has this status; 0 for none.
    pub(crate) status: u16,
    files: VecDeque<(String, Bytes)>,
}

impl Scenes {
    /// Of a world that begins at an instant.
    pub(crate) fn since(now: DateTime<Utc>) -> Self {
        Self {
            first_year: now.year(),
            ..Self::default()
        }
    }

    /// Forgets what was painted with settings that have changed.
    pub(crate) fn forget(&mut self) {
        self.files.clear();
    }

    fn has(&self, day: NaiveDate, kind: Kind) -> bool {
        self.faults.contains(&Fault { date: day, kind })
    }
}

/// The provider's endpoints, relative to the root of its server.
pub(crate) fn router() -> Router<World> {
    Router::new()
        .route("/v1/search", post(search))
        .route("/files/{cell}/{day}/{from}/{file}", get(file))
}

fn refusal(status: u16) -> Response {
    let message = match status {
        400 => "Invalid request",
        404 => "Not Found",
        429 => "Too Many Requests",
        _ => "Internal server error",
    };
    answer(status, &json!({"message": message}))
}

/// Answers a request for `key` unless a switch or a fault refuses it.
fn asked(
    world: &World,
    operation: &'static str,
    key: &str,
    work: impl FnOnce(&mut Weather, u64, DateTime<Utc>) -> Response,
) -> Response {
    let switched = world.with_weather(|weather| weather.scenes.status);
    if switched != 0 {
        return refusal(switched);
    }
    let subject = Subject {
        provider: PROVIDER,
        operation,
        key,
    };
    faulted(world, subject, refusal, |state, now| {
        world.with_weather(|weather| work(weather, state.settings.seed, now))
    })
}

#[derive(Deserialize)]
struct Search {
    collections: Vec<String>,
    intersects: Polygon,
    datetime: String,
    #[serde(default)]
    query: Value,
    #[serde(default)]
    limit: Option<usize>,
}

#[derive(Deserialize)]
struct Polygon {
    coordinates: Vec<Vec<[f64; 2]>>,
}

impl Search {
    /// The cell around the middle of the polygon, and the days asked about.
    fn read(&self) -> Option<(RiskCell, NaiveDate, NaiveDate)> {
        let ring = self.intersects.coordinates.first()?;
        let corners = ring.get(..ring.len().checked_sub(1)?)?;
        let count = f64::from(u32::try_from(corners.len()).ok()?);
        let middle = |axis: usize| {
            let sum: f64 = corners.iter().filter_map(|corner| corner.get(axis)).sum();
            sum / count
        };
        let point = LatLng::new(middle(1), middle(0)).ok()?;
        let cell = RiskCell::new(point.to_cell(Resolution::Seven)).ok()?;
        let (from, until) = self.datetime.split_once('/')?;
        let day = |text: &str| Some(text.parse::<DateTime<Utc>>().ok()?.date_naive());
        let (from, until) = (day(from)?, day(until)?);
        let is_bounded = (0..=DAYS_MAX).contains(&(until - from).num_days());
        is_bounded.then_some((cell, from, until))
    }
}

async fn search(Shared(world): Shared<World>, headers: HeaderMap, bytes: Bytes) -> Response {
    let search = serde_json::from_slice::<Search>(&bytes).ok();
    let read = search.and_then(|search| Some((search.read()?, search)));
    let Some(((cell, from, until), search)) = read else {
        return refusal(400);
    };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let root = format!("http://{}/earthsearch/files", host.unwrap_or("localhost"));
    let cloud_max = search.query["eo:cloud_cover"]["lt"]
        .as_f64()
        .unwrap_or(101.0);
    let span = (from, until);
    asked(&world, "search", &cell.to_string(), |weather, seed, now| {
        let mut features = Vec::new();
        for day in from.iter_days().take_while(|day| *day <= span.1) {
            let Some(look) = weather.look(seed, cell, day, now) else {
                continue;
            };
            if f64::from(look.scene_cloud_percent) >= cloud_max {
                continue;
            }
            for collection in &search.collections {
                features.extend(weather.items(&root, collection, cell, &look));
            }
        }
        features.truncate(search.limit.unwrap_or(10));
        let count = features.len();
        answer(
            200,
            &json!({"type": "FeatureCollection", "features": features, "links": [],
                    "numberReturned": count, "numberMatched": count}),
        )
    })
}

impl Weather {
    /// The pass over a cell on a day, as far as it is listed, with what was asked to go wrong.
    fn look(&self, seed: u64, cell: RiskCell, day: NaiveDate, now: DateTime<Utc>) -> Option<Look> {
        let mut look = self.ground(seed).look(cell, day)?;
        if pass_at(day) + LISTED_AFTER > now || self.scenes.has(day, Kind::Absent) {
            return None;
        }
        if self.scenes.has(day, Kind::Cloudy) {
            (look.cloud_percent, look.scene_cloud_percent) = (100, 79);
        }
        if self.scenes.has(day, Kind::Clear) {
            (look.cloud_percent, look.scene_cloud_percent) = (0, 1);
        }
        Some(look)
    }

    /// The sky over the ground.
    pub(crate) fn ground(&self, world_seed: u64) -> Ground<'_> {
        Ground {
            sky: &self.sky,
            world_seed,
            first_year: self.scenes.first_year,
        }
    }

    /// The items of a collection about a pass.
    fn items(&self, root: &str, collection: &str, cell: RiskCell, look: &Look) -> Vec<Value> {
        let place = utm::place(cell);
        let has = |kind| self.scenes.has(look.day, kind);
        let platform = if look.number.rem_euclid(2) == 0 {
            'a'
        } else {
            'b'
        };
        let sat = platform.to_ascii_uppercase();
        let day = look.day;
        let compact = day.format("%Y%m%d");
        let square = &place.square;
        let made = match collection {
            NEW if !has(Kind::Gap) && !has(Kind::WrongFlag) => {
                let id = format!("S2{sat}_T{square}_{compact}T074205_L2A");
                let mut made = vec![(id, "c1")];
                if has(Kind::Edge) {
                    // by id it comes first
                    made.push((
                        format!("S2{sat}_T{}AA_{compact}T074205_L2A", &square[..3]),
                        "c1-edge",
                    ));
                }
                made
            }
            OLD => vec![(format!("S2{sat}_{square}_{compact}_0_L2A"), "l2a")],
            _ => Vec::new(),
        };
        made.into_iter()
            .map(|(id, from)| {
                let at = pass_at(day).to_rfc3339_opts(SecondsFormat::Micros, true);
                let asset = |file: &str, gsd: u8| {
                    json!({"href": format!("{root}/{cell}/{day}/{from}/{file}"), "gsd": gsd,
                           "type": "image/tiff; application=geotiff; profile=cloud-optimized",
                           "file:checksum": format!("1220{}", draw::hex(64, &[&id, file]))})
                };
                let mut item = json!({
                    "type": "Feature", "stac_version": "1.0.0", "id": id, "collection": collection,
                    "properties": {"datetime": at, "platform": format!("sentinel-2{platform}"),
                        "constellation": "sentinel-2", "proj:epsg": place.epsg,
                        "grid:code": format!("MGRS-{square}"),
                        "eo:cloud_cover": look.scene_cloud_percent, "s2:processing_baseline": "05.11"},
                    "assets": {"red": asset("B04.tif", 10), "nir": asset("B08.tif", 10),
                               "scl": asset("SCL.tif", 20)}});
                if collection == OLD {
                    item["properties"]["earthsearch:boa_offset_applied"] = json!(true);
                }
                item
            })
            .collect()
    }

    /// The bytes of a file, painted when it is first asked for.
    fn file(&mut self, seed: u64, asked: &File, look: &Look) -> Bytes {
        let key = format!(
            "{}/{}/{}/{:?}",
            asked.cell, look.day, asked.from, asked.band
        );
        if let Some((_, bytes)) = self.scenes.files.iter().find(|(name, _)| *name == key) {
            return bytes.clone();
        }
        let year = self
            .ground(seed)
            .open_ground_e4(asked.cell, look.day.year());
        let at = usize::try_from(look.day.ordinal0()).unwrap_or(usize::MAX);
        let is_shifted = asked.from == "l2a" && !self.scenes.has(look.day, Kind::WrongFlag);
        let picture = Picture {
            seed: draw::number(&[&asked.cell.to_string(), &look.day.to_string()]),
            open_e4: year.get(at).copied().unwrap_or(1_500),
            cloud_percent: look.cloud_percent,
            is_edge: asked.from == "c1-edge",
            offset_dn: if is_shifted { 0 } else { 1_000 },
        };
        let bytes = Bytes::from(cog::file(&utm::place(asked.cell), &picture, asked.band));
        if self.scenes.files.len() >= FILES_MAX {
            self.scenes.files.pop_front();
        }
        self.scenes.files.push_back((key, bytes.clone()));
        bytes
    }
}

fn pass_at(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc() + TimeDelta::seconds(PASS_SECONDS)
}

/// Which file is asked for.
struct File {
    cell: RiskCell,
    day: NaiveDate,
    from: String,
    band: Band,
}

async fn file(
    Shared(world): Shared<World>,
    Path((cell, day, from, name)): Path<(String, String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let band = match name.as_str() {
        "B04.tif" => Some(Band::Red),
        "B08.tif" => Some(Band::Nir),
        "SCL.tif" => Some(Band::Scl),
        _ => None,
    };
    let asked_for = || {
        Some(File {
            cell: cell.parse().ok()?,
            day: day.parse().ok()?,
            from: from.clone(),
            band: band?,
        })
    };
    let Some(file) = asked_for() else {
        return refusal(404);
    };
    let range = headers
        .get(header::RANGE)
        .and_then(|range| range.to_str().ok());
    let range = range.map(str::to_owned);
    let key = format!(
        "{cell}/{day}/{from}/{name}/{}",
        range.as_deref().unwrap_or("whole")
    );
    asked(&world, "file", &key, |weather, seed, now| {
        let Some(look) = weather.look(seed, file.cell, file.day, now) else {
            return refusal(404);
        };
        let has = |kind| weather.scenes.has(file.day, kind);
        let (is_new, is_truncated) = (file.from != "l2a", has(Kind::Truncated));
        if is_new && has(Kind::Missing) && file.band == Band::Red {
            return refusal(404);
        }
        let is_corrupt = is_new && has(Kind::Corrupt);
        let bytes = weather.file(seed, &file, &look);
        ranged(&bytes, range.as_deref(), is_corrupt, is_truncated)
    })
}

/// A part of a file, as a store of objects answers.
fn ranged(file: &Bytes, range: Option<&str>, is_corrupt: bool, is_truncated: bool) -> Response {
    let bounds = range.and_then(|range| {
        let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
        let first: usize = first.parse().ok()?;
        let last = last
            .parse::<usize>()
            .map_or(file.len(), |last| last.saturating_add(1));
        Some((first, last.min(file.len())))
    });
    let (status, first, end) = match (range, bounds) {
        (None, _) => (StatusCode::OK, 0, file.len()),
        (Some(_), Some((first, end))) if first < end => (StatusCode::PARTIAL_CONTENT, first, end),
        _ => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
    };
    let mut body = file.slice(first..end);
    if is_corrupt {
        let damaged = |(at, byte): (usize, &u8)| {
            if first + at < DIRECTORIES_BYTES {
                *byte
            } else {
                byte ^ 0x5a
            }
        };
        body = body.iter().enumerate().map(damaged).collect();
    }
    if is_truncated {
        body.truncate(body.len() / 2);
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let told = format!("bytes {first}-{}/{}", end.saturating_sub(1), file.len());
    for (name, value) in [
        (header::CONTENT_TYPE, "image/tiff"),
        (header::ACCEPT_RANGES, "bytes"),
        (header::CONTENT_RANGE, told.as_str()),
    ] {
        if let Ok(value) = header::HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
