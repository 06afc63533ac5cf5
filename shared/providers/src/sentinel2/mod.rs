//! Sentinel-2 level 2A through Earth Search: which acquisitions lie over a cell, and the pixels of
//! one that cover it, read by ranges of their files at 20 m (red and near infrared from the first
//! overview, the classification as it is). Reads only; nothing is judged but whether the offset of
//! the digital numbers is known, and no pixel is ever made up.
//! Called by the satellite worker; the data-processor uses [`grid`].

mod cog;
pub mod grid;
mod item;
mod pixels;
pub mod utm;

use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use domain::cell::RiskCell;
use reqwest::header::{CONTENT_RANGE, RANGE};
use serde_json::json;
use sha2::{Digest, Sha256};

use self::cog::{Asked, Parts, Raster, Tried};
use crate::ProviderError;
use crate::wire::{Effect, Reply, exchange, exchange_part, join};

pub use grid::Grid;
pub use item::{Asset, Item, OFFSET_DN};
pub use pixels::Pixels;

/// The provider's name in rows and metrics.
pub const NAME: &str = "sentinel2";
/// The sensor's name in products and scenes.
pub const SENSOR: &str = "sentinel-2";
/// Collection 1: one processing for all years, never shifted; it has holes.
pub const COLLECTION: &str = "sentinel-2-c1-l2a";
/// What was processed as it came: asked for the dates that collection 1 lacks.
pub const COLLECTION_OLD: &str = "sentinel-2-l2a";
/// Side of the pixels read, metres: the classification's own. A cell of 5 km² has some 13,000.
pub const PIXEL_M: u16 = 20;

/// Scenes with this much cloud or more are not asked for, percent.
const CLOUD_PERCENT_MAX: u8 = 80;
/// Most items of an answer: a larger one fails at the server.
const ITEMS_MAX: usize = 100;
/// Days of one search: 20 passes over at most 4 tiles are less than [`ITEMS_MAX`].
const SEARCH_DAYS: i64 = 31;
/// Largest answer of a search: a whole item has about 20 kB.
const SEARCH_BYTES_MAX: usize = 8 << 20;
/// Most bytes read of one file.
const FILE_BYTES_MAX: u64 = 24 << 20;
/// Most rounds of reading a file: header parts, then tiles.
const ROUNDS_MAX: usize = 8;
/// Classes of land: vegetation and bare ground.
const LAND: [u8; 2] = [4, 5];

/// Where to ask.
#[derive(Debug, Clone)]
pub struct Config {
    /// Live `https://earth-search.aws.element84.com/v1`.
    pub base_url: String,
    /// Limit of a search and of the reading of a part (provider notes: 30 s each).
    pub timeout: Duration,
}

impl Config {
    /// With the usual time-out.
    #[must_use]
    pub fn new(base_url: &str) -> Self {
        Self {
            base_url: base_url.to_owned(),
            timeout: Duration::from_secs(30),
        }
    }
}

/// The pixels of an acquisition over a cell, as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Where they lie.
    pub grid: Grid,
    /// What they hold.
    pub pixels: Pixels,
    /// Digital numbers to take off red and near infrared: 0 or 1,000.
    pub offset_dn: u16,
    /// What was read of which file.
    pub reads: Vec<PartRead>,
}

/// A part of a file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRead {
    /// `red`, `nir` or `scl`.
    pub band: &'static str,
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub length: u64,
    /// SHA-256 of them.
    pub sha256: [u8; 32],
}

impl Capture {
    /// Pixels of land seen clearly: what two tiles of the same pass are compared by.
    #[must_use]
    pub fn land_pixels(&self) -> usize {
        land(&self.pixels).count()
    }
}

fn land(pixels: &Pixels) -> impl Iterator<Item = u16> {
    let pixels = pixels.scl.iter().zip(&pixels.red);
    pixels
        .filter(|(class, red)| LAND.contains(class) && **red > 0)
        .map(|(_, red)| *red)
}

/// A client of the catalogue and of the files it names.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    config: Config,
}

impl Client {
    /// A client over `http`.
    #[must_use]
    pub fn new(http: reqwest::Client, config: Config) -> Self {
        Self { http, config }
    }

    /// Acquisitions over a cell within a time, less than 80 % clouded as a whole, by time; of both
    /// collections.
    pub async fn search(
        &self,
        cell: RiskCell,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<Item>, ProviderError> {
        let mut items = Vec::new();
        for collection in [COLLECTION, COLLECTION_OLD] {
            let mut start = from;
            while start <= until {
                let end = until.min(start + TimeDelta::days(SEARCH_DAYS));
                items.extend(self.search_part(collection, cell, (start, end)).await?);
                start = end + TimeDelta::seconds(1);
            }
        }
        items.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        items.dedup_by(|a, b| a.id == b.id && a.collection == b.collection);
        Ok(items)
    }

    async fn search_part(
        &self,
        collection: &str,
        cell: RiskCell,
        (from, until): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Vec<Item>, ProviderError> {
        let boundary = cell.index().boundary();
        let mut ring: Vec<[f64; 2]> = boundary.iter().map(|c| [c.lng(), c.lat()]).collect();
        ring.extend(ring.first().copied());
        let stamp = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let body = json!({
            "collections": [collection],
            "intersects": {"type": "Polygon", "coordinates": [ring]},
            "datetime": format!("{}/{}", stamp(from), stamp(until)),
            "query": {"eo:cloud_cover": {"lt": CLOUD_PERCENT_MAX}},
            "fields": {
                "include": ["properties", "assets.red", "assets.nir", "assets.scl"],
                "exclude": ["links", "geometry"]
            },
            "limit": ITEMS_MAX,
        });
        let url = join(&self.config.base_url, "search");
        let request = self.http.post(url).json(&body).timeout(self.config.timeout);
        let reply = exchange(request, Effect::Read, SEARCH_BYTES_MAX).await?;
        if reply.status.as_u16() != 200 {
            return Err(failure(&reply));
        }
        let (items, count) = item::parse_page(&reply.body)
            .ok_or_else(|| ProviderError::transient("undecodable", "answer was not understood"))?;
        if count >= ITEMS_MAX {
            return Err(ProviderError::transient(
                "too_many",
                "more items than one answer holds",
            ));
        }
        Ok(items)
    }

    /// The pixels of an item that cover a cell. Refused when the item lacks a file, cannot be read,
    /// or its offset is told in two ways that do not fit.
    pub async fn capture(&self, item: &Item, cell: RiskCell) -> Result<Capture, ProviderError> {
        let (Some(red), Some(nir), Some(scl), Some(epsg)) =
            (&item.red, &item.nir, &item.scl, item.epsg)
        else {
            return Err(ProviderError::refused("incomplete", "a file is missing"));
        };
        let corners = grid::corners(cell, epsg)
            .ok_or_else(|| ProviderError::refused("projection", "not a zone of utm"))?;
        let asked = frame(&corners);
        let mut reads = Vec::new();
        // the smallest first: most scenes that are refused are refused for it
        let scl = self.raster("scl", scl, &asked, &mut reads).await?;
        let red = self.raster("red", red, &asked, &mut reads).await?;
        let nir = self.raster("nir", nir, &asked, &mut reads).await?;
        if [&red, &nir].iter().any(|band| !is_same_place(band, &scl)) {
            return Err(ProviderError::refused("layout", "bands lie apart"));
        }
        let grid = Grid {
            epsg,
            west_m: scl.west_m,
            north_m: scl.north_m,
            pixel_m: PIXEL_M,
            width: scl.width,
            height: scl.height,
        };
        let classes: Result<Vec<u8>, _> = scl.values.into_iter().map(u8::try_from).collect();
        let scl = classes.map_err(|_| ProviderError::refused("layout", "a class beyond a byte"))?;
        let pixels = Pixels {
            red: red.values,
            nir: nir.values,
            scl,
        };
        let mut seen: Vec<u16> = land(&pixels).collect();
        let offset_dn = item
            .offset_dn(&mut seen)
            .map_err(|reason| ProviderError::refused("offset", reason))?;
        Ok(Capture {
            grid,
            pixels,
            offset_dn,
            reads,
        })
    }

    async fn raster(
        &self,
        band: &'static str,
        asset: &Asset,
        asked: &Asked,
        reads: &mut Vec<PartRead>,
    ) -> Result<Raster, ProviderError> {
        let mut parts = Parts::default();
        let mut total = 0_u64;
        for _ in 0..ROUNDS_MAX {
            let tried = cog::read(&mut parts, asked)
                .map_err(|fault| ProviderError::refused("unreadable", &fault.to_string()))?;
            let missing = match tried {
                Tried::Read(raster) => return Ok(raster),
                Tried::Missing(missing) => missing,
            };
            for range in missing {
                total = total.saturating_add(range.end.saturating_sub(range.start));
                if total > FILE_BYTES_MAX {
                    return Err(ProviderError::refused(
                        "too_large",
                        "more of a file than the agreed limit",
                    ));
                }
                let start = range.start;
                let bytes = self.part(&asset.href, range).await?;
                reads.push(PartRead {
                    band,
                    start,
                    length: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
                    sha256: Sha256::digest(&bytes).into(),
                });
                parts.add(start, bytes);
            }
        }
        Err(ProviderError::refused(
            "unreadable",
            "its header is scattered over too many parts",
        ))
    }

    /// A part of a file, whole but for the file's end.
    async fn part(&self, href: &str, range: Range<u64>) -> Result<Vec<u8>, ProviderError> {
        if !self.is_allowed(href) {
            return Err(ProviderError::refused(
                "address",
                "a file's address must start with https://",
            ));
        }
        let last = range.end.saturating_sub(1);
        let request = self
            .http
            .get(href)
            .header(RANGE, format!("bytes={}-{last}", range.start))
            .timeout(self.config.timeout);
        let length = range.end.saturating_sub(range.start);
        let bytes_max = usize::try_from(length).unwrap_or(usize::MAX);
        let (reply, told) = exchange_part(request, bytes_max, CONTENT_RANGE).await?;
        if reply.status.as_u16() != 206 {
            return Err(failure(&reply));
        }
        let held = u64::try_from(reply.body.len()).unwrap_or(u64::MAX);
        let is_whole = told
            .as_deref()
            .and_then(content_range)
            .is_some_and(|(first, end, size)| {
                let expected = range.end.min(size);
                first == range.start
                    && end.checked_add(1) == Some(expected)
                    && held == expected - first
            });
        if !is_whole {
            return Err(ProviderError::transient(
                "truncated",
                "another part of the file than was asked for",
            ));
        }
        Ok(reply.body)
    }

    /// Plain HTTP only to the server that is configured: a pretend one.
    fn is_allowed(&self, href: &str) -> bool {
        let origin = |url: &str| {
            let url = reqwest::Url::parse(url).ok()?;
            Some((
                url.scheme().to_owned(),
                url.host_str()?.to_owned(),
                url.port_or_known_default(),
            ))
        };
        href.starts_with("https://")
            || (origin(href).is_some() && origin(href) == origin(&self.config.base_url))
    }
}

/// The rectangle around corners, in pixels of [`PIXEL_M`].
fn frame(corners: &[(f64, f64)]) -> Asked {
    let mut asked = Asked {
        west: f64::INFINITY,
        east: f64::NEG_INFINITY,
        south: f64::INFINITY,
        north: f64::NEG_INFINITY,
        pixel_m: PIXEL_M,
    };
    for (east, north) in corners {
        asked.west = asked.west.min(*east);
        asked.east = asked.east.max(*east);
        asked.south = asked.south.min(*north);
        asked.north = asked.north.max(*north);
    }
    asked
}

fn is_same_place(a: &Raster, b: &Raster) -> bool {
    (a.west_m, a.north_m, a.width, a.height) == (b.west_m, b.north_m, b.width, b.height)
}

/// First byte, last byte and size of `bytes 0-65535/181234567`.
fn content_range(told: &str) -> Option<(u64, u64, u64)> {
    let (part, size) = told.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = part.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?, size.parse().ok()?))
}

/// What a 4xx says is about the question or the file; a quota and a server error are not.
fn failure(reply: &Reply) -> ProviderError {
    let code = reply.http_code();
    match reply.status.as_u16() {
        400 | 403 | 404 | 410 | 416 => ProviderError::refused(code, &reply.text()),
        _ => ProviderError::transient(code, &reply.text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_configured_server_is_reached_without_encryption() {
        let http = reqwest::Client::builder().build().unwrap();
        let client = Client::new(http, Config::new("http://127.0.0.1:4000/earthsearch/v1"));
        assert!(client.is_allowed("https://files.example/B04.tif"));
        assert!(client.is_allowed("http://127.0.0.1:4000/earthsearch/files/B04.tif"));
        for href in [
            "http://127.0.0.1:5000/x",
            "http://10.0.0.1/x",
            "file:///etc/x",
            "x",
        ] {
            assert!(!client.is_allowed(href), "{href}");
        }
    }

    #[test]
    fn a_part_is_told_by_its_header() {
        assert_eq!(
            content_range("bytes 0-65535/181234567"),
            Some((0, 65_535, 181_234_567))
        );
        assert_eq!(content_range("bytes */10"), None);
    }
}
