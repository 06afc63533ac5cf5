//! A product version: an immutable, validated document whose hash is its identity. Says what is
//! covered, where, when, at which triggers, for which price, and how it may be released.
//! Never changes once written; an edited file is a new version. Read by quote, settlement,
//! verification and back-tests alike.

mod decimal;
mod phase;
mod rules;
mod rules_index;
mod rules_start;
mod source;
mod start;
mod terms;
mod zone;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use self::decimal::{Decimal, DecimalError};
pub use self::phase::{Anchor, Direction, IndexTerms, PhaseTerms, Step, WrsiBranch, blocks};
pub use self::source::{KRIGED, SourceKind};
pub use self::start::{
    Detector, EventEnd, NoOnset, OnsetTerms, SeasonTerms, SowingTerms, Undeclared,
};
pub use self::terms::{
    Combine, PayoutTerms, PolicyTerms, SettlementTerms, VariogramTerms, VegetationAbsent,
    VegetationMeasure, VegetationTerms,
};
pub use self::zone::{Zone, ZoneTrigger};
use crate::evidence::canonical_json;
use crate::money::{Currency, Money};
use crate::season::Window;

/// Highest sum insured of a microinsurance policy, KES (Kenya Microinsurance Regulations 2020).
pub const SUM_INSURED_KES_MAX: i64 = 500_000;
/// Highest premium per day of cover, KES (Kenya Microinsurance Regulations 2020).
pub const PREMIUM_KES_PER_DAY_MAX: i64 = 40;
/// Longest term of a microinsurance policy, days (Kenya Microinsurance Regulations 2020).
pub const TERM_DAYS_MAX: u32 = 365;
/// Days from decision to payment (draft Kenya Index Insurance Regulations 2025).
pub const PAYOUT_DAYS_MAX: i64 = 10;

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bilingual {
    /// English.
    pub en: String,
    /// Swahili.
    pub sw: String,
}

/// Whether a document may be sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Validated, back-tested and priced, never sold: its figures are not calibrated yet.
    Draft,
}

/// A product version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Version of this document's form: 1, or 2 with the fields that say so.
    #[schemars(range(min = 1, max = 2))]
    pub schema: u16,
    /// Code of the product, the same over its versions: `KE-MZ-DI-LR`.
    pub code: String,
    /// Absent: it is sold. `draft`: it is not. Schema 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Its name on screens; at most 20 characters each.
    pub name: Bilingual,
    /// Crop, in English, lower case.
    pub crop: String,
    /// Currency of every amount: KES.
    #[schemars(with = "String")]
    pub currency: Currency,
    /// When.
    pub season: SeasonTerms,
    /// Phases of the weather index.
    #[schemars(length(min = 1, max = 6))]
    pub phases: Vec<PhaseTerms>,
    /// The payout function.
    pub payout: PayoutTerms,
    /// The policy's own limits. Schema 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<PolicyTerms>,
    /// The vegetation part of the damage index. Schema 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vegetation: Option<VegetationTerms>,
    /// Sums insured on offer, KES, rising.
    #[schemars(length(min = 1, max = 5))]
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

    /// Whether it may not be sold: publishing and sale pass it over, back-tests do not.
    #[must_use]
    pub fn is_draft(&self) -> bool {
        self.status == Some(Status::Draft)
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

    /// The policy's own limits; none in schema 1.
    pub(crate) fn limits(&self) -> PolicyTerms {
        self.terms.unwrap_or_default()
    }
}

/// The JSON Schema of a product document, for editors and for whoever writes one by program. What
/// it cannot say (weights that sum, windows that contain) [`Product::validate`] checks.
#[must_use]
pub fn product_schema() -> serde_json::Value {
    schemars::schema_for!(Product).to_value()
}

#[cfg(test)]
pub(crate) mod tests;
