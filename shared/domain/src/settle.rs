//! The one evaluator: from a product, a zone and the observed index to the share that is paid.
//! Used unchanged by the damage worker, the verifier, quotes' examples and back-tests.
//! Never yields a number while a day is missing, and never lets confidence move an amount.

use serde::{Deserialize, Serialize};

use crate::damage::{damage_index, tiered};
use crate::index::{PhaseSum, weather_index};
use crate::money::{BasisPoints, Fraction, Money, MoneyError, Rounding};
use crate::product::{PayoutTerms, Product, Zone};

/// Confidence from which a settlement needs no second look, 0 to 100.
pub const CONFIDENCE_AUTO_MIN: u8 = 80;
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
    /// Distance of the index to the nearest cliff, basis points.
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
    let mut holds = Vec::new();
    if observed.confidence < CONFIDENCE_AUTO_MIN {
        holds.push(HoldReason::LowConfidence);
    }
    if observed.stations < product.settlement.stations_min {
        holds.push(HoldReason::FewStations);
    }
    let (damage_index_bp, share, distance_bp) = match &product.payout {
        PayoutTerms::Linear => (None, weather, None),
        PayoutTerms::Tiers {
            weather_weight_bp,
            vegetation_absent_cap_bp,
            ..
        } => {
            let index = match observed.vegetation_bp {
                Some(vegetation) => damage_index(weather_bp, vegetation, *weather_weight_bp)?,
                None => weather_bp,
            };
            let tier = tiered(&product.payout, index)?;
            if tier.borderline {
                holds.push(HoldReason::Borderline);
            }
            let share = match observed.vegetation_bp {
                Some(_) => tier.share,
                None => tier.share.min(vegetation_absent_cap_bp.fraction()),
            };
            (Some(index), share, Some(tier.distance_bp))
        }
    };
    Ok(Outcome::Settled(Settlement {
        weather,
        weather_bp,
        vegetation_bp: observed.vegetation_bp,
        damage_index_bp,
        share,
        distance_bp,
        payout_min: Money::kes(product.payout_min_kes)?,
        holds,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::tests::{house, phase_deficit};
    use proptest::prelude::*;

    fn observed(rain_um: i64, vegetation: Option<u16>) -> Observed {
        Observed {
            phases: vec![PhaseSum {
                phase: "season".to_owned(),
                rain_um,
                missing_days: 0,
            }],
            vegetation_bp: vegetation.map(|v| BasisPoints::new(v).unwrap()),
            stations: 2,
            confidence: 95,
        }
    }

    fn settled(product: &Product, observed: &Observed) -> Settlement {
        match settle(product, &product.zones[0], observed).unwrap() {
            Outcome::Settled(settlement) => settlement,
            deferred @ Outcome::Deferred { .. } => panic!("{deferred:?}"),
        }
    }

    #[test]
    fn without_vegetation_the_weather_is_the_index_and_half_is_the_most() {
        let total_loss = settled(&house(), &observed(0, None));
        assert_eq!(total_loss.damage_index_bp, Some(BasisPoints::WHOLE));
        assert_eq!(
            total_loss.payout(Money::kes(10_000).unwrap()),
            Money::kes(5_000)
        );
        let confirmed = settled(&house(), &observed(0, Some(10_000)));
        assert_eq!(
            confirmed.payout(Money::kes(10_000).unwrap()),
            Money::kes(10_000)
        );
    }

    #[test]
    fn one_missing_day_defers_however_dry_the_rest() {
        let mut gap = observed(0, None);
        gap.phases[0].missing_days = 1;
        let product = phase_deficit();
        let outcome = settle(&product, &product.zones[0], &gap).unwrap();
        assert_eq!(outcome, Outcome::Deferred { missing_days: 1 });
    }

    #[test]
    fn confidence_and_stations_change_the_route_and_never_the_amount() {
        let sure = settled(&phase_deficit(), &observed(162_120, None));
        let mut doubtful = observed(162_120, None);
        (doubtful.confidence, doubtful.stations) = (79, 1);
        let unsure = settled(&phase_deficit(), &doubtful);
        assert!(sure.holds.is_empty());
        assert_eq!(
            unsure.holds,
            [HoldReason::LowConfidence, HoldReason::FewStations]
        );
        assert_eq!(sure.share, unsure.share);
        assert_eq!(sure.share.basis_points().to_string(), "63.32%");
    }

    proptest! {
        #[test]
        fn a_payout_lies_between_nothing_and_the_sum_insured(
            rain in 0_i64..500_000, v in proptest::option::of(0_u16..=10_000), sum in 1_i64..500_000,
        ) {
            let insured = Money::kes(sum).unwrap();
            for product in [house(), phase_deficit()] {
                let paid = settled(&product, &observed(rain, v)).payout(insured).unwrap();
                prop_assert!((0..=insured.minor).contains(&paid.minor));
            }
        }

        #[test]
        fn more_rain_never_pays_more(rain in 0_i64..400_000, more in 0_i64..100_000) {
            let insured = Money::kes(10_000).unwrap();
            for product in [house(), phase_deficit()] {
                let dry = settled(&product, &observed(rain, None)).payout(insured).unwrap();
                let wet = settled(&product, &observed(rain + more, None)).payout(insured).unwrap();
                prop_assert!(wet.minor <= dry.minor);
            }
        }
    }
}
