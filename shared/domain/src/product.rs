//! A product version: an immutable, validated document whose hash is its identity. Says what is
//! covered, where, when, at which triggers, for which price, and how it may be released.
//! Never changes once written; an edited file is a new version. Read by quote, settlement,
//! verification and back-tests alike.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::evidence::canonical_json;
use crate::money::{BasisPoints, Currency, Money};
use crate::season::{Window, YearlessWindow};

/// Highest sum insured of a microinsurance policy, KES (Kenya Microinsurance Regulations 2020).
pub const SUM_INSURED_KES_MAX: i64 = 500_000;
/// Highest premium per day of cover, KES (Kenya Microinsurance Regulations 2020).
pub const PREMIUM_KES_PER_DAY_MAX: i64 = 40;
/// Longest term of a microinsurance policy, days (Kenya Microinsurance Regulations 2020).
pub const TERM_DAYS_MAX: u32 = 365;
/// Days from decision to payment (draft Kenya Index Insurance Regulations 2025).
pub const PAYOUT_DAYS_MAX: i64 = 10;
/// Most phases of one product.
const PHASES_MAX: usize = 6;

/// A fault in a product document, naming the field and the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("product field `{field}`: {rule}")]
pub struct ProductError {
    /// Which field.
    pub field: String,
    /// Which rule it breaks, and what would satisfy it.
    pub rule: String,
}

fn fault(field: impl Into<String>, rule: impl Into<String>) -> ProductError {
    ProductError {
        field: field.into(),
        rule: rule.into(),
    }
}

/// A text in both languages of the product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bilingual {
    /// English.
    pub en: String,
    /// Swahili.
    pub sw: String,
}

/// When it is sold and what days it covers, without a year.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeasonTerms {
    /// Season code: `MAM`, `OND`.
    pub code: String,
    /// Days on which it may be bought.
    pub sale: YearlessWindow,
    /// Days that are covered.
    pub cover: YearlessWindow,
}

/// One phase of the season, with its share of the weather index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseTerms {
    /// Code, unique in the product.
    pub code: String,
    /// Days of the phase, inside the cover window.
    pub days: YearlessWindow,
    /// Weight in the weather index; all weights sum to 10,000.
    pub weight_bp: BasisPoints,
    /// A day's rain counts at most this much, mm; stops one storm hiding a drought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_cap_mm: Option<i32>,
}

/// How the index becomes a share of the sum insured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "function", rename_all = "snake_case", deny_unknown_fields)]
pub enum PayoutTerms {
    /// The weather index itself is the share: linear between trigger and exit of each phase.
    Linear,
    /// The damage index in tiers: nothing below `attach_bp`, then linear from `attach_pays_bp` to
    /// `exhaust_pays_bp` at `exhaust_bp` (included), then all.
    Tiers {
        /// Share of the weather index in the damage index; vegetation has the rest.
        weather_weight_bp: BasisPoints,
        /// Damage index from which (inclusive) it pays.
        attach_bp: BasisPoints,
        /// What it pays there.
        attach_pays_bp: BasisPoints,
        /// Damage index up to which (inclusive) it is linear.
        exhaust_bp: BasisPoints,
        /// What it pays there; above it pays everything.
        exhaust_pays_bp: BasisPoints,
        /// Distance to a cliff under which two people look at it.
        borderline_bp: BasisPoints,
        /// Highest share paid when no vegetation index exists.
        vegetation_absent_cap_bp: BasisPoints,
    },
}

/// Trigger and exit of one phase in one zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneTrigger {
    /// Phase code.
    pub phase: String,
    /// Rain at or above which nothing is lost, mm.
    pub trigger_mm: i32,
    /// Rain at or below which everything is lost, mm.
    pub exit_mm: i32,
}

/// Wards that share triggers and a price. No zone, no sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// Code, unique in the product.
    pub code: String,
    /// Ward codes, four digits.
    pub wards: Vec<String>,
    /// Premium as a share of the sum insured.
    pub rate_bp: BasisPoints,
    /// One per phase.
    pub triggers: Vec<ZoneTrigger>,
}

/// Which data settle it, and how much may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettlementTerms {
    /// Name of the settlement dataset.
    pub dataset: String,
    /// Sources in the order they are tried, first the dataset's own stations.
    pub fallback: Vec<String>,
    /// Most days of a phase that may be filled from the second station.
    pub filled_days_max_bp: BasisPoints,
    /// Days after the window's end at which an undecided risk goes to two people.
    pub decide_after_days: u32,
    /// Fewest stations for the index to be settled without a person.
    pub stations_min: u8,
}

/// A product version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Version of this document's form; 1.
    pub schema: u16,
    /// Code of the product, the same over its versions: `KE-MZ-DI-LR`.
    pub code: String,
    /// Its name on screens; at most 20 characters each.
    pub name: Bilingual,
    /// Crop, in English, lower case.
    pub crop: String,
    /// Currency of every amount.
    pub currency: Currency,
    /// When.
    pub season: SeasonTerms,
    /// Phases of the weather index.
    pub phases: Vec<PhaseTerms>,
    /// The payout function.
    pub payout: PayoutTerms,
    /// Sums insured on offer, KES, rising.
    pub sums_insured_kes: Vec<i64>,
    /// Largest release of one evaluation without two people, KES.
    pub release_auto_max_kes: i64,
    /// Most that may be insured in one accumulation cell and season, KES.
    pub capacity_kes_per_cell: i64,
    /// Franchise: a payout below this is none, KES. At least the rail's own minimum.
    pub payout_min_kes: i64,
    /// Data rules.
    pub settlement: SettlementTerms,
    /// Where, at which triggers and price.
    pub zones: Vec<Zone>,
}

impl Product {
    /// Reads and validates a TOML document.
    pub fn from_toml(text: &str) -> Result<Self, ProductError> {
        let product: Self =
            toml::from_str(text).map_err(|e| fault("document", e.message().to_owned()))?;
        product.validate()?;
        Ok(product)
    }

    /// The document as canonical JSON: the bytes that are hashed.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        canonical_json(&serde_json::to_value(self).unwrap_or_default())
    }

    /// SHA-256 of the canonical document, lower-case hex: the version's identity.
    #[must_use]
    pub fn hash(&self) -> String {
        data_encoding::HEXLOWER.encode(&Sha256::digest(self.canonical()))
    }

    /// The zone a ward belongs to.
    #[must_use]
    pub fn zone_of_ward(&self, ward: &str) -> Option<&Zone> {
        self.zones
            .iter()
            .find(|zone| zone.wards.iter().any(|w| w == ward))
    }

    /// A zone by its code.
    #[must_use]
    pub fn zone(&self, code: &str) -> Option<&Zone> {
        self.zones.iter().find(|zone| zone.code == code)
    }

    /// Cover window of a season year.
    pub fn cover_window(&self, year: i32) -> Result<Window, ProductError> {
        self.season
            .cover
            .bind(year)
            .map_err(|e| fault("season.cover", e.to_string()))
    }

    /// Sale window of a season year.
    pub fn sale_window(&self, year: i32) -> Result<Window, ProductError> {
        self.season
            .sale
            .bind(year)
            .map_err(|e| fault("season.sale", e.to_string()))
    }

    /// Largest payout of one evaluation that needs no second pair of eyes.
    pub fn release_auto_max(&self) -> Money {
        Money::kes(self.release_auto_max_kes).unwrap_or(Money::ZERO_KES)
    }

    /// Every rule a document must satisfy before it may be sold.
    pub fn validate(&self) -> Result<(), ProductError> {
        let year = 2024;
        if self.schema != 1 {
            return Err(fault("schema", "must be 1"));
        }
        if self.currency != Currency::Kes {
            return Err(fault(
                "currency",
                "must be KES: farmers are paid in shillings",
            ));
        }
        for (field, text) in [("name.en", &self.name.en), ("name.sw", &self.name.sw)] {
            if text.is_empty() || text.chars().count() > 20 {
                return Err(fault(
                    field,
                    "must have 1 to 20 characters, to fit a phone's screen",
                ));
            }
        }
        let cover = self.cover_window(year)?;
        let sale = self.sale_window(year)?;
        if cover.day_count() == 0 || cover.day_count() > TERM_DAYS_MAX {
            return Err(fault("season.cover", "must last 1 to 365 days"));
        }
        if sale.end > cover.start {
            return Err(fault("season.sale", "must end before cover begins"));
        }
        self.validate_phases(cover, year)?;
        self.validate_payout()?;
        self.validate_price(cover)?;
        self.validate_zones()
    }

    fn validate_phases(&self, cover: Window, year: i32) -> Result<(), ProductError> {
        if self.phases.is_empty() || self.phases.len() > PHASES_MAX {
            return Err(fault("phases", "must name 1 to 6 phases"));
        }
        let mut codes = BTreeSet::new();
        let mut weight: u32 = 0;
        for phase in &self.phases {
            if !codes.insert(phase.code.as_str()) {
                return Err(fault(
                    "phases.code",
                    format!("`{}` stands twice", phase.code),
                ));
            }
            let days = phase
                .days
                .bind(year)
                .map_err(|e| fault(format!("phases.{}.days", phase.code), e.to_string()))?;
            if days.start < cover.start || days.end > cover.end {
                return Err(fault(
                    format!("phases.{}.days", phase.code),
                    "must lie inside season.cover",
                ));
            }
            if phase
                .daily_cap_mm
                .is_some_and(|cap| !(1..=1_000).contains(&cap))
            {
                return Err(fault(
                    format!("phases.{}.daily_cap_mm", phase.code),
                    "must be 1 to 1000 mm",
                ));
            }
            weight = weight.saturating_add(u32::from(phase.weight_bp.get()));
        }
        if weight != 10_000 {
            return Err(fault(
                "phases.weight_bp",
                format!("must sum to 10000, found {weight}"),
            ));
        }
        Ok(())
    }

    fn validate_payout(&self) -> Result<(), ProductError> {
        let PayoutTerms::Tiers {
            attach_bp,
            attach_pays_bp,
            exhaust_bp,
            exhaust_pays_bp,
            weather_weight_bp,
            ..
        } = &self.payout
        else {
            return Ok(());
        };
        if *attach_bp == BasisPoints::ZERO || exhaust_bp <= attach_bp {
            return Err(fault(
                "payout.exhaust_bp",
                "must exceed attach_bp, and attach_bp exceed 0",
            ));
        }
        if exhaust_pays_bp < attach_pays_bp {
            return Err(fault(
                "payout.exhaust_pays_bp",
                "must not be below attach_pays_bp",
            ));
        }
        if *weather_weight_bp == BasisPoints::ZERO {
            return Err(fault("payout.weather_weight_bp", "must exceed 0"));
        }
        Ok(())
    }

    fn validate_price(&self, cover: Window) -> Result<(), ProductError> {
        let rising = self
            .sums_insured_kes
            .windows(2)
            .all(|pair| pair[0] < pair[1]);
        if self.sums_insured_kes.is_empty() || self.sums_insured_kes.len() > 5 || !rising {
            return Err(fault("sums_insured_kes", "must list 1 to 5 rising amounts"));
        }
        let legal = 1..=SUM_INSURED_KES_MAX;
        if self
            .sums_insured_kes
            .iter()
            .any(|amount| !legal.contains(amount))
        {
            return Err(fault(
                "sums_insured_kes",
                "must lie between 1 and 500000 (law)",
            ));
        }
        if self.release_auto_max_kes < 0 || self.capacity_kes_per_cell <= 0 {
            return Err(fault("capacity_kes_per_cell", "limits must be positive"));
        }
        if self.payout_min_kes < crate::payout::MPESA_LIMITS.min_kes || self.payout_min_kes > 100 {
            return Err(fault(
                "payout_min_kes",
                "must be 10 to 100: M-Pesa moves no less than 10",
            ));
        }
        let Some(smallest) = self.sums_insured_kes.first() else {
            return Ok(());
        };
        let affordable = i64::from(cover.day_count()).saturating_mul(PREMIUM_KES_PER_DAY_MAX);
        for zone in &self.zones {
            let premium = smallest.saturating_mul(i64::from(zone.rate_bp.get()));
            if premium > affordable.saturating_mul(10_000) {
                return Err(fault(
                    format!("zones.{}.rate_bp", zone.code),
                    "even the smallest sum insured costs more than KES 40 a day (law)",
                ));
            }
        }
        Ok(())
    }

    fn validate_zones(&self) -> Result<(), ProductError> {
        if self.zones.is_empty() {
            return Err(fault("zones", "must name at least one zone"));
        }
        let mut wards = BTreeSet::new();
        let mut codes = BTreeSet::new();
        for zone in &self.zones {
            let field = |name: &str| format!("zones.{}.{name}", zone.code);
            if !codes.insert(zone.code.as_str()) {
                return Err(fault(field("code"), "stands twice"));
            }
            for ward in &zone.wards {
                if ward.len() != 4 || !ward.chars().all(|c| c.is_ascii_digit()) {
                    return Err(fault(
                        field("wards"),
                        format!("`{ward}` is not four digits"),
                    ));
                }
                if !wards.insert(ward.as_str()) {
                    return Err(fault(
                        field("wards"),
                        format!("`{ward}` stands in two zones"),
                    ));
                }
            }
            if zone.rate_bp == BasisPoints::ZERO {
                return Err(fault(field("rate_bp"), "must exceed 0"));
            }
            for phase in &self.phases {
                let named = zone
                    .triggers
                    .iter()
                    .filter(|t| t.phase == phase.code)
                    .count();
                if named != 1 {
                    return Err(fault(
                        field("triggers"),
                        format!("must name phase `{}` exactly once", phase.code),
                    ));
                }
            }
            if zone.triggers.len() != self.phases.len() {
                return Err(fault(
                    field("triggers"),
                    "names a phase the product does not have",
                ));
            }
            for trigger in &zone.triggers {
                let sane = trigger.exit_mm >= 0 && trigger.exit_mm <= trigger.trigger_mm;
                if !sane || trigger.trigger_mm > 10_000 {
                    return Err(fault(
                        field("triggers"),
                        format!(
                            "phase `{}` needs 0 <= exit <= trigger <= 10000 mm",
                            trigger.phase
                        ),
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
