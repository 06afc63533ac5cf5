//! The evidence of one decided risk: everything that is needed to compute its number again, as
//! canonical bytes named by their own hash. Carries no person and no policy. Never holds a float.
//! Written by the damage worker, pinned, and recomputed by `data-processor verify`.

use std::borrow::Cow;

use chrono::NaiveDate;
use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::cell::RiskCell;
use crate::measure::RainUm;
use crate::money::Money;
use crate::product::Product;
use crate::season::Window;
use crate::settle::{Observed, Settlement};

/// Name and version of the bundle's form.
pub const BUNDLE_FORM: &str = "microcrop.evidence.v1";

/// Largest bundle, bytes: one IPFS block (kubo's default chunk), so that the CID is the plain hash.
pub const BUNDLE_BYTES_MAX: usize = 262_144;

/// Multicodec `raw`, multihash `sha2-256`, 32 bytes: the prefix of a CIDv1 of a small file.
const CID_PREFIX: [u8; 4] = [0x01, 0x55, 0x12, 0x20];

/// Length of the short code that stands in an SMS.
pub const SHORT_CODE_LENGTH: usize = 8;

/// JSON with sorted keys and no spaces. Maps of `serde_json` are sorted; numbers are integers.
#[must_use]
pub fn canonical_json(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// CIDv1 (raw, sha2-256, base32) of bytes of at most [`BUNDLE_BYTES_MAX`].
#[must_use]
pub fn cid(bytes: &[u8]) -> String {
    let mut binary = CID_PREFIX.to_vec();
    binary.extend_from_slice(&Sha256::digest(bytes));
    format!("b{}", BASE32_NOPAD.encode(&binary).to_lowercase())
}

/// First eight base32 characters of the digest: what a farmer can read out.
#[must_use]
pub fn short_code(bytes: &[u8]) -> String {
    let mut code = BASE32_NOPAD.encode(&Sha256::digest(bytes));
    code.truncate(SHORT_CODE_LENGTH);
    code
}

/// One local day at one station.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StationDay {
    /// Local day.
    pub day: NaiveDate,
    /// Rain, or `None` when the day is not known.
    pub rain_um: Option<RainUm>,
    /// Samples whose interval ended on that day.
    pub samples: u32,
    /// Counter resets seen.
    pub resets: u32,
    /// Quality flags raised, sorted.
    pub flags: Vec<String>,
    /// SHA-256 of each raw reply it was computed from, lower-case hex.
    pub replies: Vec<String>,
}

/// A station that observed the risk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StationEvidence {
    /// Provider's id.
    pub id: String,
    /// 1 is the primary, 2 fills and confirms; the rest are interpolated from.
    pub rank: u16,
    /// Distance to the cell's centre, metres.
    pub distance_m: u32,
    /// Provider's data quality, 1e-4.
    pub data_quality_e4: u16,
    /// Provider's location quality, 1e-4.
    pub location_quality_e4: u16,
    /// Where it stands; stated where distances between stations matter, that is for kriged rain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Its days.
    pub days: Vec<StationDay>,
}

/// Stations by rank and id, each with its days rising: the one order in which numbers are computed
/// and hashed, whatever order they came in.
#[must_use]
pub fn in_order(stations: &[StationEvidence]) -> Cow<'_, [StationEvidence]> {
    let is_in_order = stations.is_sorted_by_key(|station| (station.rank, &station.id))
        && stations
            .iter()
            .all(|s| s.days.is_sorted_by_key(|day| day.day));
    if is_in_order {
        return Cow::Borrowed(stations);
    }
    let mut sorted = stations.to_vec();
    put_in_order(&mut sorted);
    Cow::Owned(sorted)
}

fn put_in_order(stations: &mut [StationEvidence]) {
    stations.sort_by(|a, b| (a.rank, &a.id).cmp(&(b.rank, &b.id)));
    for station in stations {
        station.days.sort_by_key(|day| day.day);
    }
}

/// Stations as evidence under a product states them: in order, and their places only where they
/// count.
#[must_use]
pub fn stated(mut stations: Vec<StationEvidence>, product: &Product) -> Vec<StationEvidence> {
    put_in_order(&mut stations);
    if !product.is_kriged() {
        for station in &mut stations {
            station.place = None;
        }
    }
    stations
}

/// A place on Earth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Latitude, millionths of a degree.
    pub lat_e6: i32,
    /// Longitude, millionths of a degree.
    pub lon_e6: i32,
}

/// What a gridded dataset says of the cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridEvidence {
    /// Its name with its version: `chirps-v3`.
    pub dataset: String,
    /// Rain of the days it has within the window, in order.
    pub days: Vec<GridDay>,
    /// Mean rain of each of the 36 dekads of the year, µm, where it is known; empty when it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub climate_um: Vec<Option<i64>>,
}

/// Rain of one local day in a gridded dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridDay {
    /// Local day.
    pub day: NaiveDate,
    /// Rain.
    pub rain_um: RainUm,
}

/// What one sensor saw of the cell, and the seasons that is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensorEvidence {
    /// Its name: `sentinel-2`, `modis-terra`.
    pub sensor: String,
    /// Dates on which the cell was seen within the days that count, in order.
    pub scenes: Vec<Scene>,
    /// The baseline that the product asks for, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<SeasonsEvidence>,
}

/// The cell on one date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scene {
    /// Date of the image, or first day of a composite.
    pub day: NaiveDate,
    /// Mean NDVI of what was seen, 1e-4.
    pub ndvi_e4: i16,
    /// Share of the ground that was seen, basis points.
    pub valid_bp: u16,
    /// The file or image it is from, with its digest.
    pub source: String,
}

/// The seasons of a baseline, NDVI in 1e-6; `None` for what was not seen enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeasonsEvidence {
    /// Mean of each year's season.
    pub seasons: Vec<Option<i32>>,
    /// Mean of each dekad of the season over the years.
    pub dekads: Vec<Option<i32>>,
}

/// A station's day at which a test of quality control found something odd. The number stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Station.
    pub station: String,
    /// Local day.
    pub day: NaiveDate,
    /// `suspect` or `fail` (QARTOD 3 and 4).
    pub flag: String,
    /// Tests that said so, in the order they are run.
    pub tests: Vec<String>,
}

/// Rain of the risk's cell on one local day, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellDay {
    /// Local day.
    pub day: NaiveDate,
    /// Rain, or `None` when no rule of the contract gives one.
    pub rain_um: Option<RainUm>,
    /// Which rule: `primary`, `second`, `interpolated`, `kriged`, the name of a gridded dataset, or
    /// `missing`.
    pub source: String,
    /// What a filled day was scaled by, 1e-4, where that is not one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor_e4: Option<u16>,
}

/// What one sum insured is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleLine {
    /// Sum insured.
    pub sum_insured: Money,
    /// Payout.
    pub payout: Money,
}

/// The whole evidence of one decided risk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// [`BUNDLE_FORM`].
    pub form: String,
    /// Version of the number work.
    pub engine: String,
    /// The product document.
    pub product: Product,
    /// Its hash.
    pub product_hash: String,
    /// Zone whose triggers applied.
    pub zone: String,
    /// Cell.
    pub cell: RiskCell,
    /// Year the cover began in.
    pub season_year: i32,
    /// Days covered.
    pub window: Window,
    /// Who observed it.
    pub stations: Vec<StationEvidence>,
    /// Gridded datasets of the product's fallback order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grids: Vec<GridEvidence>,
    /// Sensors of the product's vegetation part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sensors: Vec<SensorEvidence>,
    /// What quality control found odd.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// Rain of the cell, day by day.
    pub days: Vec<CellDay>,
    /// What that amounts to.
    pub observed: Observed,
    /// What that pays.
    pub settlement: Settlement,
    /// What each sum insured on offer is paid.
    pub schedule: Vec<ScheduleLine>,
}

impl Bundle {
    /// The bytes that are pinned and verified.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        canonical_json(&serde_json::to_value(self).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cids_are_those_of_the_network() {
        // computed by Kubo and by Pinata's own documentation
        for (bytes, expected) in [
            (
                &b"Hello World!"[..],
                "bafkreid7qoywk77r7rj3slobqfekdvs57qwuwh5d2z3sqsw52iabe3mqne",
            ),
            (
                b"hello",
                "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq",
            ),
            (
                b"{\"somekey\":\"somevalue\"}",
                "bafkreicjmxc2drbgxtoidx6xfatbffyx46oiyo6ktipss6dhdermwtsoze",
            ),
        ] {
            assert_eq!(cid(bytes), expected);
        }
        assert_eq!(short_code(b"hello").len(), SHORT_CODE_LENGTH);
    }

    #[test]
    fn canonical_json_sorts_its_keys() {
        let value: Value = serde_json::from_str(r#"{"b":1, "a":{"d":2,"c":3}}"#).unwrap();
        assert_eq!(canonical_json(&value), br#"{"a":{"c":3,"d":2},"b":1}"#);
    }
}
