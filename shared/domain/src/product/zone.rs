//! Where a product is sold, at which triggers and price. Triggers are absolute and local: the same
//! total is a drought in one ward and a good season in the next. Never guesses for a ward outside
//! every zone. Read by quote, settlement, back-tests, verification.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decimal::Decimal;
use crate::measure::UM_PER_MM;
use crate::money::BasisPoints;

/// Trigger and exit of one phase in one zone: whole millimetres of rain in schema 1; in schema 2
/// numbers in the unit of the phase's index, or the normal its step table is a percentage of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneTrigger {
    /// Phase code.
    pub phase: String,
    /// Rain at or above which nothing is lost, mm. Schema 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger_mm: Option<i32>,
    /// Rain at or below which everything is lost, mm. Schema 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_mm: Option<i32>,
    /// Where loss begins, in the unit of the phase's index. Schema 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Decimal>,
    /// Where everything is lost, in the unit of the phase's index. Schema 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Decimal>,
    /// What is 100 % in the phase's step table, in the unit of its index. Schema 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normal: Option<Decimal>,
}

impl ZoneTrigger {
    /// Whole millimetres of rain, as schema 1 states them.
    #[must_use]
    pub fn of_rain(phase: &str, trigger_mm: i32, exit_mm: i32) -> Self {
        Self {
            phase: phase.to_owned(),
            trigger_mm: Some(trigger_mm),
            exit_mm: Some(exit_mm),
            trigger: None,
            exit: None,
            normal: None,
        }
    }

    /// Where loss begins, thousandths of the index's unit (of rain: µm); of a step table its
    /// normal. Nothing when the document states neither, which validation refuses.
    #[must_use]
    pub fn trigger_milli(&self) -> i64 {
        self.trigger
            .or(self.normal)
            .map_or_else(|| from_mm(self.trigger_mm), Decimal::milli)
    }

    /// Where everything is lost, thousandths of the index's unit (of rain: µm); of a step table 0.
    #[must_use]
    pub fn exit_milli(&self) -> i64 {
        self.exit
            .map_or_else(|| from_mm(self.exit_mm), Decimal::milli)
    }

    /// [`Self::trigger_milli`] in whole units, the fraction dropped: what screens and messages show.
    #[must_use]
    pub fn trigger_whole(&self) -> i32 {
        whole(self.trigger_milli())
    }

    /// [`Self::exit_milli`] in whole units, the fraction dropped.
    #[must_use]
    pub fn exit_whole(&self) -> i32 {
        whole(self.exit_milli())
    }
}

fn from_mm(mm: Option<i32>) -> i64 {
    i64::from(mm.unwrap_or(0)).saturating_mul(i64::from(UM_PER_MM))
}

fn whole(milli: i64) -> i32 {
    let units = milli.checked_div(i64::from(UM_PER_MM)).unwrap_or(0);
    i32::try_from(units).unwrap_or(i32::MAX)
}

/// Wards that share triggers and a price. No zone, no sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// Code, unique in the product.
    pub code: String,
    /// Ward codes, four digits.
    pub wards: Vec<String>,
    /// Premium as a share of the sum insured.
    #[schemars(with = "u16", range(min = 1, max = 10_000))]
    pub rate_bp: BasisPoints,
    /// One per phase.
    pub triggers: Vec<ZoneTrigger>,
}

impl Zone {
    /// Its trigger of a phase.
    #[must_use]
    pub fn trigger_of(&self, phase: &str) -> Option<&ZoneTrigger> {
        self.triggers.iter().find(|trigger| trigger.phase == phase)
    }
}
