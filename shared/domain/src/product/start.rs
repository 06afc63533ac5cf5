//! When a season starts for the phases that are counted from sowing or from its onset. Each rule
//! has an outcome for the season without a start, because the worst droughts have none.
//! Never searches the rain itself (`domain::index` does). Read by quote and settlement.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decimal::Decimal;
use crate::season::YearlessWindow;

/// When it is sold and what days it covers, without a year.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeasonTerms {
    /// Season code: `MAM`, `OND`.
    pub code: String,
    /// Days on which it may be bought.
    #[schemars(with = "String", regex(pattern = r"^\d\d-\d\d\.\.\d\d-\d\d$"))]
    pub sale: YearlessWindow,
    /// Days that are covered.
    #[schemars(with = "String", regex(pattern = r"^\d\d-\d\d\.\.\d\d-\d\d$"))]
    pub cover: YearlessWindow,
    /// Which day of sowing counts; needed by phases anchored on sowing. Schema 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sowing: Option<SowingTerms>,
    /// How the season's onset is found; needed by phases anchored on it. Schema 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onset: Option<OnsetTerms>,
}

/// Which day of sowing counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SowingTerms {
    /// Days on which sowing is insured. A declared day outside them counts as the nearest of them.
    #[schemars(with = "String", regex(pattern = r"^\d\d-\d\d\.\.\d\d-\d\d$"))]
    pub days: YearlessWindow,
    /// The day that counts when none was declared.
    pub undeclared: Undeclared,
}

/// The day of sowing that counts when none was declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Undeclared {
    /// First of the sowing days.
    FirstDay,
    /// Last of the sowing days.
    LastDay,
}

/// How the season's onset is found, and what a season without one pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnsetTerms {
    /// Days on which the onset may be. What must follow it may lie beyond them, within the cover.
    #[schemars(with = "String", regex(pattern = r"^\d\d-\d\d\.\.\d\d-\d\d$"))]
    pub search: YearlessWindow,
    /// What an onset is.
    pub detector: Detector,
    /// What is done when there was none.
    pub none: NoOnset,
}

/// What an onset is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Detector {
    /// The first dekad (days 1-10, 11-20, 21-end) with enough rain, followed by two dekads that
    /// together have enough; its first day is the onset. 25 and 20 mm: AGRHYMET, FEWS NET.
    Dekads {
        /// Rain of the dekad, mm.
        first_mm: Decimal,
        /// Rain of the two dekads after it together, mm.
        next_mm: Decimal,
    },
    /// The first wet day of a rain event that no long dry spell follows. 20 mm in 3 days, no 7 dry
    /// days in the 21 after: ICPAC. 10 dry days in the 20 after: Zimbabwe's manual.
    RainEvent {
        /// Rain of the event, mm.
        event_mm: Decimal,
        /// Days of the event.
        event_days: u16,
        /// When the event is over.
        event_ends: EventEnd,
        /// A day is wet at or above this, mm.
        wet_day_mm: Decimal,
        /// A false start is this many dry days running ...
        dry_days: u16,
        /// ... within this many days after the event.
        watch_days: u16,
    },
}

/// When the event is over and the watch for a dry spell begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventEnd {
    /// After all its days (ICPAC).
    AllDays,
    /// After the day on which its rain had fallen (Zimbabwe).
    RainReached,
}

/// What a season without an onset pays in the phases anchored on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoOnset {
    /// Everything: the season failed.
    PaysAll,
    /// What the phases amount to when counted from the last day of the search.
    LatestDay,
    /// Nothing: another cover is for failed seasons.
    PaysNothing,
}
