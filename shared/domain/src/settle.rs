//! The one evaluator: from a product, a zone and the observed index to the share that is paid.
//! Used unchanged by the damage worker, the verifier, quotes' examples and back-tests.
//! Never yields a number while a day is missing, and never lets confidence move an amount.

mod routing;

use serde::{Deserialize, Serialize};

use crate::damage::{damage_index, tiered, vegetation_loss};
use crate::index::ratio::Ratio;
use crate::index::{PhaseSum, margin_bp, weather_index};
use crate::money::{BasisPoints, Fraction, Money, MoneyError, Rounding};
use crate::product::{PayoutTerms, PolicyTerms, Product, Zone};

/// Confidence from which a settlement needs no second look, 0 to 100.
pub const CONFIDENCE_AUTO_MIN: u8 = 80;
/// Confidence from which an index far enough from where its payout turns needs no second look.
/// Schema 2 only.
pub const CONFIDENCE_MARGIN_MIN: u8 = 60;
/// Standard errors that are far enough then.
pub const MARGIN_SE: u32 = 2;
/// Highest confidence of a risk observed by a single station.
pub const CONFIDENCE_ONE_STATION_MAX: u8 = 79;

/// What was observed of one risk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// One per phase of the product.
    pub phases: Vec<PhaseSum>,
    /// Vegetation loss, or `None` when no scene served.
    pub vegetation_bp: Option<BasisPoints>,
    /// Good stations that observed it.
    pub stations: u8,
    /// 0 to 100; decides speed and routing, never the amount.
    pub confidence: u8,
    /// What vegetation was measured as, thousandths of the unit in the product's `vegetation`; the
    /// loss follows from it, and `vegetation_bp` is not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vegetation_milli: Option<i64>,
    /// Standard error of the index that decides (the damage index, else the weather index), basis
    /// points. Decides routing, never the amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_se_bp: Option<u16>,
}

impl Observed {
    /// A risk observed in rain alone, with nothing known of its index's standard error.
    #[must_use]
    pub fn of_rain(phases: Vec<PhaseSum>, stations: u8, confidence: u8) -> Self {
        Self {
            phases,
            vegetation_bp: None,
            stations,
            confidence,
            vegetation_milli: None,
            index_se_bp: None,
        }
    }
}

/// Why a settlement goes to two people before money moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// Confidence below [`CONFIDENCE_AUTO_MIN`].
    LowConfidence,
    /// Fewer stations than the product demands.
    FewStations,
    /// Too near a cliff of the payout function.
    Borderline,
    /// The total is above what may be released automatically.
    AboveLimit,
    /// Automatic payouts are switched off.
    SwitchedOff,
    /// Its number came after the days allowed for deciding.
    DecidedLate,
    /// No sensor saw enough vegetation, and the product wants people to look then.
    VegetationAbsent,
}

impl HoldReason {
    /// Whether it is about the release on its day rather than about what was measured.
    #[must_use]
    pub fn is_of_release(self) -> bool {
        matches!(
            self,
            Self::AboveLimit | Self::SwitchedOff | Self::DecidedLate
        )
    }
}

/// A season in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// Weather loss, exact.
    pub weather: Fraction,
    /// Weather loss, basis points.
    pub weather_bp: BasisPoints,
    /// Vegetation loss, basis points.
    pub vegetation_bp: Option<BasisPoints>,
    /// Damage index; `None` for products without one.
    pub damage_index_bp: Option<BasisPoints>,
    /// Share of the sum insured that is paid, exact.
    pub share: Fraction,
    /// Distance of the index to the nearest cliff, or (schema 2, without a damage index) to where
    /// the payout turns, basis points.
    pub distance_bp: Option<u16>,
    /// Franchise of the product: less than this is paid as nothing.
    pub payout_min: Money,
    /// Why two people must look at it, if any.
    pub holds: Vec<HoldReason>,
}

impl Settlement {
    /// What one policy is paid: the exact share of its sum insured, half up to whole shillings,
    /// rounded once; nothing when below the franchise.
    pub fn payout(&self, sum_insured: Money) -> Result<Money, MoneyError> {
        let owed = sum_insured.share_in_shillings(self.share, Rounding::HalfUp)?;
        Ok(if owed.minor < self.payout_min.minor {
            Money::ZERO_KES
        } else {
            owed
        })
    }
}

/// What an observed risk amounts to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// There is a number.
    Settled(Settlement),
    /// Days are missing: no number yet.
    Deferred {
        /// Missing days over all phases.
        missing_days: u32,
    },
}

/// The payout function's answer, before the policy's own limits.
struct Paid {
    damage_index_bp: Option<BasisPoints>,
    share: Fraction,
    distance_bp: Option<u16>,
    /// Nearer to a cliff than the product's own `borderline_bp`.
    is_borderline: bool,
}

/// Evaluates one risk.
pub fn settle(product: &Product, zone: &Zone, observed: &Observed) -> Result<Outcome, MoneyError> {
    let missing_days = observed
        .phases
        .iter()
        .fold(0_u32, |sum, p| sum.saturating_add(p.missing_days));
    if missing_days > 0 {
        return Ok(Outcome::Deferred { missing_days });
    }
    let weather = weather_index(product, zone, &observed.phases)?;
    let weather_bp = weather.basis_points();
    let vegetation_bp = match (&product.vegetation, observed.vegetation_milli) {
        (Some(terms), Some(milli)) => Some(vegetation_loss(terms, milli)?),
        _ => observed.vegetation_bp,
    };
    let paid = match &product.payout {
        PayoutTerms::Linear => Paid {
            damage_index_bp: None,
            share: weather,
            distance_bp: if product.schema == 1 {
                None
            } else {
                Some(margin_bp(product, zone, &observed.phases)?)
            },
            is_borderline: false,
        },
        PayoutTerms::Tiers {
            weather_weight_bp,
            vegetation_absent_cap_bp,
            ..
        } => {
            let index = match vegetation_bp {
                Some(vegetation) => damage_index(weather_bp, vegetation, *weather_weight_bp)?,
                None => weather_bp,
            };
            let tier = tiered(&product.payout, index)?;
            Paid {
                damage_index_bp: Some(index),
                share: match vegetation_bp {
                    Some(_) => tier.share,
                    None => tier.share.min(vegetation_absent_cap_bp.fraction()),
                },
                distance_bp: Some(tier.distance_bp),
                is_borderline: tier.borderline,
            }
        }
    };
    Ok(Outcome::Settled(Settlement {
        weather,
        weather_bp,
        vegetation_bp,
        damage_index_bp: paid.damage_index_bp,
        share: limited(product.limits(), paid.share)?,
        distance_bp: paid.distance_bp,
        payout_min: Money::kes(product.payout_min_kes)?,
        holds: routing::holds(product, observed, vegetation_bp, &paid),
    }))
}

/// A share under the policy's own limits: less the deductible or nothing below the franchise, then
/// at most the most. Exact.
fn limited(terms: PolicyTerms, share: Fraction) -> Result<Fraction, MoneyError> {
    let share = match (terms.deductible_bp, terms.franchise_bp) {
        (Some(deductible), _) => Ratio::from(share)
            .less(Ratio::from(deductible.fraction()))?
            .capped()?,
        (None, Some(franchise)) if !franchise.fraction().is_at_most(share) => Fraction::ZERO,
        (None, _) => share,
    };
    let most = terms.payout_max_bp.unwrap_or(BasisPoints::WHOLE);
    Ok(share.min(most.fraction()))
}

#[cfg(test)]
mod tests;
