//! How measured loss becomes a share of the sum insured: the payout function, the policy's own
//! limits, the vegetation part of a damage index, and the data rules of settlement.
//! Never computes (`domain::settle` does). Read by quote, settlement, back-tests, verification.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decimal::Decimal;
use crate::money::BasisPoints;
use crate::season::YearlessWindow;

/// How the index becomes a share of the sum insured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "function", rename_all = "snake_case", deny_unknown_fields)]
pub enum PayoutTerms {
    /// The weather index itself is the share: linear between trigger and exit of each phase.
    Linear,
    /// The damage index in tiers: nothing below `attach_bp`, then linear from `attach_pays_bp` to
    /// `exhaust_pays_bp` at `exhaust_bp` (included), then all.
    Tiers {
        /// Share of the weather index in the damage index; vegetation has the rest.
        #[schemars(with = "u16", range(max = 10_000))]
        weather_weight_bp: BasisPoints,
        /// Damage index from which (inclusive) it pays.
        #[schemars(with = "u16", range(max = 10_000))]
        attach_bp: BasisPoints,
        /// What it pays there.
        #[schemars(with = "u16", range(max = 10_000))]
        attach_pays_bp: BasisPoints,
        /// Damage index up to which (inclusive) it is linear.
        #[schemars(with = "u16", range(max = 10_000))]
        exhaust_bp: BasisPoints,
        /// What it pays there; above it pays everything.
        #[schemars(with = "u16", range(max = 10_000))]
        exhaust_pays_bp: BasisPoints,
        /// Distance to a cliff under which two people look at it.
        #[schemars(with = "u16", range(max = 10_000))]
        borderline_bp: BasisPoints,
        /// Highest share paid when no vegetation index exists.
        #[schemars(with = "u16", range(max = 10_000))]
        vegetation_absent_cap_bp: BasisPoints,
    },
}

/// The policy's own limits on what its phases pay together, in shares of the sum insured: first
/// the deductible or the franchise, then the most. Schema 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyTerms {
    /// Taken off every payout. Not together with a franchise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u16>", range(max = 10_000))]
    pub deductible_bp: Option<BasisPoints>,
    /// A loss below this pays nothing, one at or above it pays from the first shilling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u16>", range(max = 10_000))]
    pub franchise_bp: Option<BasisPoints>,
    /// How phases come together; absent: their sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combine: Option<Combine>,
    /// The most that is paid; absent: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u16>", range(max = 10_000))]
    pub payout_max_bp: Option<BasisPoints>,
    /// Days that lie at least between the last day of sale and the first of cover, so that nobody
    /// buys what is already forecast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_days: Option<u16>,
}

/// How the phases of a season come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// Each phase's loss times its weight, added up.
    Sum,
    /// The largest of them alone.
    Worst,
}

/// The vegetation part of a damage index: which measure, and what share is lost at it. Schema 2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VegetationTerms {
    /// Days whose mean counts, inside the cover.
    #[schemars(with = "String", regex(pattern = r"^\d\d-\d\d\.\.\d\d-\d\d$"))]
    pub days: YearlessWindow,
    /// What is measured, and so the unit of `none_at` and `all_at`.
    pub measure: VegetationMeasure,
    /// At or above this nothing is lost.
    pub none_at: Decimal,
    /// At or below this everything is lost; linear between.
    pub all_at: Decimal,
    /// Whose NDVI.
    pub sensor: String,
    /// Sensors that are tried after it, in this order.
    pub fallback: Vec<String>,
    /// First year of the baseline.
    pub baseline_first: i32,
    /// Last year of the baseline.
    pub baseline_last: i32,
    /// Days after the end of `days` that are waited for a clear scene before a fallback is taken.
    pub wait_days: u32,
    /// What is done when no sensor saw enough.
    pub absent: VegetationAbsent,
}

/// What is measured of vegetation, over a season and against its baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VegetationMeasure {
    /// Standard deviations from the baseline's mean.
    Z,
    /// Percentile among the baseline's seasons, percent.
    Percentile,
}

/// What is done when no sensor saw enough vegetation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VegetationAbsent {
    /// The weather alone is the index, and pays at most `payout.vegetation_absent_cap_bp`.
    WeatherCapped,
    /// The same number, and two people look at it before it is released.
    TwoPeople,
}

/// Which data settle it, and how much may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettlementTerms {
    /// Name of the settlement dataset.
    pub dataset: String,
    /// Sources in the order they are tried, first the dataset's own stations.
    pub fallback: Vec<String>,
    /// Most days of a phase that may be filled from the next source: in schema 1 the second
    /// station.
    #[schemars(with = "u16", range(max = 10_000))]
    pub filled_days_max_bp: BasisPoints,
    /// Days after the window's end at which an undecided risk goes to two people.
    pub decide_after_days: u32,
    /// Fewest stations for the index to be settled without a person.
    pub stations_min: u8,
    /// Two people look at an index that lies within this many of its standard errors of a cliff.
    /// Schema 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub borderline_se: Option<u8>,
    /// Exponential variogram of daily rain by which stations around the cell are kriged. Schema 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variogram: Option<VariogramTerms>,
}

/// Exponential variogram of daily rain: nugget + sill (1 - e^(-h / range)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VariogramTerms {
    /// Half the variance between two gauges side by side, mm².
    pub nugget_mm2: Decimal,
    /// What distance adds in the end, mm².
    pub sill_mm2: Decimal,
    /// Distance at which 1 - 1/e of that is reached, km.
    pub range_km: Decimal,
}
