//! One phase of a season as a document states it: which days, which index is measured on them, in
//! which direction it hurts, and how the index becomes a share lost. Never computes an index
//! (`domain::index` does). Read by quote, settlement, back-tests and verification.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decimal::Decimal;
use crate::money::BasisPoints;
use crate::season::YearlessWindow;

/// One phase of the season, with its share of the weather index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhaseTerms {
    /// Code, unique in the product.
    pub code: String,
    /// Days of the phase, inside the cover window. With an anchor, the outermost days it may fall
    /// on: the anchor says which of them count.
    #[schemars(with = "String", regex(pattern = r"^\d\d-\d\d\.\.\d\d-\d\d$"))]
    pub days: YearlessWindow,
    /// Weight in the weather index, which is also the most the phase pays. All weights sum to
    /// 10,000, or `terms.payout_max_bp` says what the most is.
    #[schemars(with = "u16", range(max = 10_000))]
    pub weight_bp: BasisPoints,
    /// A day's rain counts at most this much, mm; stops one storm hiding a drought. Rain sums only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_cap_mm: Option<i32>,
    /// What is measured; absent: the sum of rain. Schema 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexTerms>,
    /// Which way the index hurts; absent: deficit. To be stated for every index but the sum of
    /// rain. Schema 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Where the phase's days begin; absent: by the calendar. Schema 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Anchor>,
    /// A table instead of the line between trigger and exit; the zones then state their `normal`.
    /// Schema 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<Step>>,
}

impl PhaseTerms {
    /// What is measured.
    #[must_use]
    pub fn index(&self) -> &IndexTerms {
        self.index.as_ref().unwrap_or(&IndexTerms::RainSum)
    }

    /// Which way it hurts.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction.unwrap_or(Direction::Deficit)
    }

    /// Where its days begin.
    #[must_use]
    pub fn anchor(&self) -> Anchor {
        self.anchor.unwrap_or(Anchor::Calendar)
    }
}

/// Which way an index hurts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Too little: nothing is lost at or above the trigger, everything at or below the exit.
    Deficit,
    /// Too much: nothing is lost at or below the trigger, everything at or above the exit.
    Excess,
}

/// What is measured on a phase's days. Trigger, exit and normal of the zones are in its unit.
/// Rain indices are computed here from daily rain in whole micrometres; the rest need floats and
/// arrive measured, in thousandths of their unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum IndexTerms {
    /// Rain over the phase, mm.
    RainSum,
    /// Number of blocks of days with less rain than they need, of all blocks that fit in the phase.
    DrySpellBlocks {
        /// Days of a block.
        length_days: u16,
        /// A block is lost below this, mm.
        below_mm: Decimal,
        /// Days from one block's start to the next.
        step_days: u16,
    },
    /// Longest run of dry days, days, clipped to the phase (CDD of ETCCDI).
    LongestDrySpell {
        /// A day is dry below this, mm; 1 is usual (ETCCDI, WMO).
        wet_day_mm: Decimal,
    },
    /// Most rain in this many consecutive days, mm (Rx1day, Rx5day of ETCCDI).
    Rx {
        /// Consecutive days.
        days: u16,
    },
    /// Number of wet days, days.
    WetDays {
        /// A day is wet at or above this, mm.
        wet_day_mm: Decimal,
    },
    /// Number of dry days, days.
    DryDays {
        /// A day is dry below this, mm.
        wet_day_mm: Decimal,
    },
    /// Number of days whose maximum temperature reaches a threshold, days. Arrives measured.
    HotDays {
        /// Threshold, degrees Celsius: 32 stresses maize, 35 kills its pollen.
        celsius: Decimal,
    },
    /// Water requirement satisfaction, percent (GeoWRSI's dekadal bucket). Arrives measured.
    Wrsi {
        /// Water the soil holds, mm.
        whc_mm: u16,
        /// Length of the growing period, dekads.
        lgp_dekads: u16,
        /// Share of the held water below which the crop is stressed.
        kp: Decimal,
        /// Crop coefficient at sowing.
        kc_initial: Decimal,
        /// Crop coefficient in mid season.
        kc_peak: Decimal,
        /// Crop coefficient at harvest.
        kc_late: Decimal,
        /// Dekads before sowing in which the bucket fills.
        pre_season_dekads: u16,
        /// Which reading of the second evapotranspiration term.
        branch: WrsiBranch,
    },
    /// Percentile of the seasonal mean NDVI among the baseline's seasons, percent. Arrives measured.
    NdviPercentile {
        /// Whose NDVI.
        sensor: String,
        /// First year of the baseline.
        baseline_first: i32,
        /// Last year of the baseline.
        baseline_last: i32,
    },
    /// Seasonal mean NDVI less the baseline's mean, in the baseline's standard deviations (n - 1).
    /// Arrives measured.
    NdviZ {
        /// Whose NDVI.
        sensor: String,
        /// First year of the baseline.
        baseline_first: i32,
        /// Last year of the baseline.
        baseline_last: i32,
    },
}

impl IndexTerms {
    /// Whether it is computed here, from daily rain.
    #[must_use]
    pub fn is_of_rain(&self) -> bool {
        match self {
            Self::RainSum
            | Self::DrySpellBlocks { .. }
            | Self::LongestDrySpell { .. }
            | Self::Rx { .. }
            | Self::WetDays { .. }
            | Self::DryDays { .. } => true,
            Self::HotDays { .. }
            | Self::Wrsi { .. }
            | Self::NdviPercentile { .. }
            | Self::NdviZ { .. } => false,
        }
    }

    /// Unit of its value, of its trigger and of its exit.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self {
            Self::RainSum | Self::Rx { .. } => "mm",
            Self::DrySpellBlocks { .. } => "blocks",
            Self::LongestDrySpell { .. }
            | Self::WetDays { .. }
            | Self::DryDays { .. }
            | Self::HotDays { .. } => "days",
            Self::Wrsi { .. } | Self::NdviPercentile { .. } => "%",
            Self::NdviZ { .. } => "sd",
        }
    }

    /// Lowest and highest value it can have on a phase of this many days, thousandths of its unit.
    #[must_use]
    pub fn range_milli(&self, days: u32) -> (i64, i64) {
        /// No season of this planet has more rain, mm.
        const RAIN_MM_MAX: i64 = 10_000;
        /// Beyond ten standard deviations something else than weather was measured.
        const Z_MAX: i64 = 10;
        let highest = match self {
            Self::RainSum | Self::Rx { .. } => RAIN_MM_MAX,
            Self::DrySpellBlocks {
                length_days,
                step_days,
                ..
            } => i64::from(blocks(days, *length_days, *step_days)),
            Self::LongestDrySpell { .. }
            | Self::WetDays { .. }
            | Self::DryDays { .. }
            | Self::HotDays { .. } => i64::from(days),
            Self::Wrsi { .. } | Self::NdviPercentile { .. } => 100,
            Self::NdviZ { .. } => {
                return (Z_MAX.saturating_mul(-1_000), Z_MAX.saturating_mul(1_000));
            }
        };
        (0, highest.saturating_mul(1_000))
    }
}

/// Blocks that fit whole into a phase of `days` days, one from every `step`-th day.
#[must_use]
pub fn blocks(days: u32, length: u16, step: u16) -> u32 {
    let Some(room) = days.checked_sub(u32::from(length)) else {
        return 0;
    };
    room.checked_div(u32::from(step))
        .map_or(0, |after| after.saturating_add(1))
}

/// Which reading of GeoWRSI's water balance: the two differ by up to 0.84 points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WrsiBranch {
    /// Stress lowers the second evapotranspiration term as it lowers the first.
    Corrected,
    /// As NASA LISF's Fortran has it: under stress the second term is nothing.
    Lisf,
}

/// Where the days of a phase begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "on", rename_all = "snake_case", deny_unknown_fields)]
pub enum Anchor {
    /// On the phase's own days.
    Calendar,
    /// Counted from the day of sowing; `season.sowing` says which days count.
    Sowing {
        /// First day, 0 is the day of sowing.
        from_day: u16,
        /// Last day, included.
        to_day: u16,
    },
    /// Counted from the season's onset; `season.onset` says how it is found.
    Onset {
        /// First day, 0 is the day of the onset.
        from_day: u16,
        /// Last day, included.
        to_day: u16,
    },
}

/// One row of a step table: from this part of the zone's normal (inclusive) it pays this share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Lower bound of the row, included, percent of the zone's normal.
    pub at_percent: Decimal,
    /// Share of the phase that is lost from there up to the next higher bound.
    #[schemars(with = "u16", range(max = 10_000))]
    pub pays_bp: BasisPoints,
}
