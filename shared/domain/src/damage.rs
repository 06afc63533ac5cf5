//! The house product's damage index: vegetation measured against its baseline as a loss, weather
//! and vegetation loss blended in basis points, and the tiers that turn it into a share. The rounded
//! index governs: contract and screen show the very number that is paid on. Never uses floats
//! (0.6 × 0.8 + 0.4 × 0.5 is not 0.68 in binary).

use serde::{Deserialize, Serialize};

use crate::money::{BASIS_POINTS_WHOLE, BasisPoints, Fraction, MoneyError, Rounding};
use crate::product::{PayoutTerms, VegetationTerms};

/// The vegetation loss of a measure (thousandths of a standard deviation or of a percent): nothing
/// at or above `none_at`, everything at or below `all_at`, linear between, rounded half up once.
pub fn vegetation_loss(
    terms: &VegetationTerms,
    measure_milli: i64,
) -> Result<BasisPoints, MoneyError> {
    let (none, all) = (terms.none_at.milli(), terms.all_at.milli());
    if measure_milli >= none {
        return Ok(BasisPoints::ZERO);
    }
    if measure_milli <= all {
        return Ok(BasisPoints::WHOLE);
    }
    Ok(Fraction::new(none.saturating_sub(measure_milli), none.saturating_sub(all))?.basis_points())
}

/// `weight·W + (1−weight)·V` in basis points, rounded half up once.
pub fn damage_index(
    weather: BasisPoints,
    vegetation: BasisPoints,
    weather_weight: BasisPoints,
) -> Result<BasisPoints, MoneyError> {
    let whole = i128::from(BASIS_POINTS_WHOLE);
    let weight = i128::from(weather_weight.get());
    let blended = weight
        .checked_mul(i128::from(weather.get()))
        .zip(
            whole
                .checked_sub(weight)
                .and_then(|w| w.checked_mul(i128::from(vegetation.get()))),
        )
        .and_then(|(w, v)| w.checked_add(v))
        .ok_or(MoneyError::Overflow)?;
    let rounded = Rounding::HalfUp
        .divide(blended, whole)
        .ok_or(MoneyError::Overflow)?;
    BasisPoints::new(u16::try_from(rounded).map_err(|_| MoneyError::Overflow)?)
}

/// The share paid for a damage index, and how far it lies from the nearest cliff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tiered {
    /// Exact share of the sum insured.
    pub share: Fraction,
    /// Distance to the nearest threshold, basis points of the index.
    pub distance_bp: u16,
    /// Whether that is too near to release without two people.
    pub borderline: bool,
}

/// Applies tier terms to a damage index. `Linear` terms have no tiers and are refused.
pub fn tiered(terms: &PayoutTerms, index: BasisPoints) -> Result<Tiered, MoneyError> {
    let PayoutTerms::Tiers {
        attach_bp,
        attach_pays_bp,
        exhaust_bp,
        exhaust_pays_bp,
        borderline_bp,
        ..
    } = terms
    else {
        return Err(MoneyError::Share);
    };
    let share = if index < *attach_bp {
        Fraction::ZERO
    } else if index > *exhaust_bp {
        Fraction::ONE
    } else {
        let from = i64::from(attach_pays_bp.get());
        let rise = i64::from(exhaust_pays_bp.get()).saturating_sub(from);
        let run = i64::from(exhaust_bp.get()).saturating_sub(i64::from(attach_bp.get()));
        let above = i64::from(index.get()).saturating_sub(i64::from(attach_bp.get()));
        // from + above/run·rise, over a common denominator
        let numerator = from
            .saturating_mul(run)
            .saturating_add(above.saturating_mul(rise));
        Fraction::new(numerator, run.saturating_mul(i64::from(BASIS_POINTS_WHOLE)))?
    };
    let distance_bp = index
        .get()
        .abs_diff(attach_bp.get())
        .min(index.get().abs_diff(exhaust_bp.get()));
    Ok(Tiered {
        share,
        distance_bp,
        borderline: distance_bp <= borderline_bp.get(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::tests::house;
    use crate::product::{VegetationAbsent, VegetationMeasure};
    use proptest::prelude::*;

    fn bp(value: u16) -> BasisPoints {
        BasisPoints::new(value).unwrap()
    }

    #[test]
    fn the_published_vectors_hold_to_the_basis_point() {
        for (weather, vegetation, index, paid) in [
            (5_000, 0, 3_000, 3_000),
            (4_999, 0, 2_999, 0),
            (10_000, 0, 6_000, 5_000),
            (10_000, 1, 6_000, 5_000),
            (10_000, 3, 6_001, 10_000),
            (7_500, 0, 4_500, 4_000),
            (0, 10_000, 4_000, 3_667),
            (8_000, 5_000, 6_800, 10_000),
            (2_500, 3_500, 2_900, 0),
        ] {
            let di = damage_index(bp(weather), bp(vegetation), bp(6_000)).unwrap();
            assert_eq!(di, bp(index), "W {weather} V {vegetation}");
            let share = tiered(&house().payout, di).unwrap().share;
            assert_eq!(share.basis_points(), bp(paid), "DI {index}");
        }
    }

    #[test]
    fn only_an_index_near_a_cliff_is_borderline() {
        let terms = house().payout;
        assert!(tiered(&terms, bp(2_950)).unwrap().borderline);
        assert!(!tiered(&terms, bp(2_949)).unwrap().borderline);
        assert!(tiered(&terms, bp(6_050)).unwrap().borderline);
        assert!(!tiered(&terms, bp(4_500)).unwrap().borderline);
    }

    fn vegetation(measure: VegetationMeasure, none_at: &str, all_at: &str) -> VegetationTerms {
        VegetationTerms {
            days: "03-01..05-31".parse().unwrap(),
            measure,
            none_at: none_at.parse().unwrap(),
            all_at: all_at.parse().unwrap(),
            sensor: "sentinel-2".to_owned(),
            fallback: vec!["modis-terra".to_owned()],
            baseline_first: 2001,
            baseline_last: 2015,
            wait_days: 20,
            absent: VegetationAbsent::WeatherCapped,
        }
    }

    #[test]
    fn vegetation_is_lost_between_its_two_marks() {
        // KARARE long rains, base 2001-15: 2009 z -1.9735, 2011 -2.1819, 2008 -0.6566, 2018 1.9463
        let by_z = vegetation(VegetationMeasure::Z, "-0.5", "-2");
        for (milli, lost) in [
            (1_946, 0),
            (-500, 0),
            (-657, 1_047),
            (-1_250, 5_000),
            (-1_974, 9_827),
            (-2_000, 10_000),
            (-2_182, 10_000),
        ] {
            assert_eq!(vegetation_loss(&by_z, milli), Ok(bp(lost)), "{milli}");
        }
        let by_rank = vegetation(VegetationMeasure::Percentile, "30", "5");
        for (milli, lost) in [(100_000, 0), (30_000, 0), (17_500, 5_000), (5_000, 10_000)] {
            assert_eq!(vegetation_loss(&by_rank, milli), Ok(bp(lost)), "{milli}");
        }
    }

    proptest! {
        #[test]
        fn greener_is_never_a_greater_loss(low in -9_999_i64..9_999, more in 0_i64..9_999) {
            let terms = vegetation(VegetationMeasure::Z, "-0.5", "-2");
            let (dry, green) = (vegetation_loss(&terms, low), vegetation_loss(&terms, low + more));
            prop_assert!(green.unwrap() <= dry.unwrap());
        }

        #[test]
        fn a_higher_index_never_pays_less(a in 0_u16..=10_000, b in 0_u16..=10_000) {
            let (low, high) = (a.min(b), a.max(b));
            let terms = house().payout;
            let (low, high) = (tiered(&terms, bp(low)).unwrap(), tiered(&terms, bp(high)).unwrap());
            prop_assert!(low.share.is_at_most(high.share));
        }
    }
}
