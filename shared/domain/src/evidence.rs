//! The evidence of one decided risk: everything that is needed to compute its number again, as
//! canonical bytes named by their own hash. Carries no person and no policy. Never holds a float.
//! Written by the damage worker, pinned, and recomputed by `data-processor verify`.

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
    /// Its days.
    pub days: Vec<StationDay>,
}

/// Rain of the risk's cell on one local day, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellDay {
    /// Local day.
    pub day: NaiveDate,
    /// Rain, or `None` when no rule of the contract gives one.
    pub rain_um: Option<RainUm>,
    /// Which rule: `primary`, `second`, `interpolated`, `missing`.
    pub source: String,
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
