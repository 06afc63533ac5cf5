//! The weather index: rain of each phase against its trigger and exit, in whole micrometres and
//! exact fractions. A gap is never zero: a phase with an unfilled day has no number at all,
//! because a skipped day would raise a deficit payout. Called by settlement and verification.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::measure::{RainUm, UM_PER_MM};
use crate::money::{Fraction, MoneyError};
use crate::product::{Product, Zone};
use crate::season::Window;

/// Rain of one local day, or that it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayRain {
    /// Local day.
    pub day: NaiveDate,
    /// Rain, or `None` when missing.
    pub rain_um: Option<RainUm>,
}

/// What one phase amounts to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseSum {
    /// Phase code.
    pub phase: String,
    /// Rain over the phase's known days, each day capped as the product says, µm.
    pub rain_um: i64,
    /// Days without a number.
    pub missing_days: u32,
}

/// Sums one phase. A day absent from `days` is missing, a day outside the window is ignored.
#[must_use]
pub fn phase_sum(
    phase: &str,
    window: Window,
    daily_cap_mm: Option<i32>,
    days: &[DayRain],
) -> PhaseSum {
    let cap = daily_cap_mm.map(|mm| mm.saturating_mul(UM_PER_MM));
    let mut rain_um: i64 = 0;
    let mut known: u32 = 0;
    for day in days.iter().filter(|d| window.contains(d.day)) {
        if let Some(rain) = day.rain_um {
            let counted = cap.map_or(rain.0, |cap| rain.0.min(cap));
            rain_um = rain_um.saturating_add(i64::from(counted));
            known = known.saturating_add(1);
        }
    }
    let missing_days = window.day_count().saturating_sub(known);
    PhaseSum {
        phase: phase.to_owned(),
        rain_um,
        missing_days,
    }
}

/// Every phase of a product in a season year.
pub fn phase_sums(
    product: &Product,
    season_year: i32,
    days: &[DayRain],
) -> Result<Vec<PhaseSum>, crate::season::SeasonError> {
    product
        .phases
        .iter()
        .map(|phase| {
            let window = phase.days.bind(season_year)?;
            Ok(phase_sum(&phase.code, window, phase.daily_cap_mm, days))
        })
        .collect()
}

/// The loss share of a deficit phase: 0 at or above the trigger, 1 at or below the exit, linear
/// between; where trigger equals exit, all or nothing.
pub fn deficit(rain_um: i64, trigger_mm: i32, exit_mm: i32) -> Result<Fraction, MoneyError> {
    let trigger_um = i64::from(trigger_mm).saturating_mul(i64::from(UM_PER_MM));
    let exit_um = i64::from(exit_mm).saturating_mul(i64::from(UM_PER_MM));
    if rain_um >= trigger_um {
        Ok(Fraction::ZERO)
    } else if rain_um <= exit_um || trigger_um == exit_um {
        Ok(Fraction::ONE)
    } else {
        Fraction::new(
            trigger_um.saturating_sub(rain_um),
            trigger_um.saturating_sub(exit_um),
        )
    }
}

/// The weather index: phase losses weighted, exact. `sums` must name every phase.
pub fn weather_index(
    product: &Product,
    zone: &Zone,
    sums: &[PhaseSum],
) -> Result<Fraction, MoneyError> {
    let mut numerator: i128 = 0;
    let mut denominator: i128 = 1;
    for phase in &product.phases {
        let sum = sums
            .iter()
            .find(|s| s.phase == phase.code)
            .ok_or(MoneyError::Share)?;
        let terms = zone
            .triggers
            .iter()
            .find(|t| t.phase == phase.code)
            .ok_or(MoneyError::Share)?;
        let loss = deficit(sum.rain_um, terms.trigger_mm, terms.exit_mm)?;
        let weighted = i128::from(loss.numerator())
            .checked_mul(i128::from(phase.weight_bp.get()))
            .ok_or(MoneyError::Overflow)?;
        let whole = i128::from(loss.denominator())
            .checked_mul(10_000)
            .ok_or(MoneyError::Overflow)?;
        numerator = numerator
            .checked_mul(whole)
            .zip(weighted.checked_mul(denominator))
            .and_then(|(a, b)| a.checked_add(b))
            .ok_or(MoneyError::Overflow)?;
        denominator = denominator.checked_mul(whole).ok_or(MoneyError::Overflow)?;
        let divisor = common_divisor(numerator, denominator);
        numerator = numerator.checked_div(divisor).ok_or(MoneyError::Overflow)?;
        denominator = denominator
            .checked_div(divisor)
            .ok_or(MoneyError::Overflow)?;
    }
    Fraction::new(
        i64::try_from(numerator).map_err(|_| MoneyError::Overflow)?,
        i64::try_from(denominator).map_err(|_| MoneyError::Overflow)?,
    )
}

fn common_divisor(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a, b);
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    if a == 0 { 1 } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::{BasisPoints, Money, Rounding};
    use crate::product::tests::phase_deficit;
    use crate::product::{PhaseTerms, ZoneTrigger};
    use proptest::prelude::*;

    fn um(hundredths_mm: i64) -> i64 {
        hundredths_mm * 10
    }

    #[test]
    fn the_real_years_of_karare_pay_what_was_published() {
        // domain notes 2.1: KARARE, Marsabit, March to May, trigger 278, exit 95
        for (total, published) in [
            (4_916, "1.0000"),
            (9_617, "0.9936"),
            (8_052, "1.0000"),
            (16_212, "0.6332"),
            (27_356, "0.0243"),
        ] {
            let share = deficit(um(total), 278, 95).unwrap();
            let tenths = Rounding::HalfUp
                .divide(
                    i128::from(share.numerator()) * 10_000,
                    i128::from(share.denominator()),
                )
                .unwrap();
            assert_eq!(
                format!("{}.{:04}", tenths / 10_000, tenths % 10_000),
                published
            );
        }
    }

    #[test]
    fn the_three_phase_contract_pays_3467() {
        let mut product = phase_deficit();
        let phases = [
            ("est", 2_500, 60, 15, 30),
            ("veg", 3_500, 110, 40, 90),
            ("flo", 4_000, 80, 30, 70),
        ];
        product.phases = phases
            .iter()
            .map(|(code, weight, ..)| PhaseTerms {
                code: (*code).to_owned(),
                days: "03-01..05-31".parse().unwrap(),
                weight_bp: BasisPoints::new(*weight).unwrap(),
                daily_cap_mm: None,
            })
            .collect();
        product.zones[0].triggers = phases
            .iter()
            .map(|(code, _, trigger_mm, exit_mm, _)| ZoneTrigger {
                phase: (*code).to_owned(),
                trigger_mm: *trigger_mm,
                exit_mm: *exit_mm,
            })
            .collect();
        product.validate().unwrap();
        let sums: Vec<_> = phases
            .iter()
            .map(|(code, .., rain)| PhaseSum {
                phase: (*code).to_owned(),
                rain_um: rain * 1_000,
                missing_days: 0,
            })
            .collect();
        let share = weather_index(&product, &product.zones[0], &sums).unwrap();
        let paid = Money::kes(10_000)
            .unwrap()
            .share_in_shillings(share, Rounding::HalfUp);
        assert_eq!(paid, Money::kes(3_467));
    }

    #[test]
    fn a_published_area_yield_table_is_the_same_line() {
        // trigger 0.75, exit 0.10 of 100, total sum insured 0.9 (gif-contracts tests)
        for (yielded, published_e7) in [
            (750, 0_i64),
            (700, 692_307),
            (500, 3_461_538),
            (150, 8_307_692),
            (100, 9_000_000),
            (0, 9_000_000),
        ] {
            // the contract's tenths stand in for our micrometres
            let share = deficit(yielded * 1_000, 750, 100).unwrap();
            let paid_e7 = 9_000_000 * share.numerator() / share.denominator();
            assert!((paid_e7 - published_e7).abs() <= 1, "{yielded}: {paid_e7}");
        }
    }

    #[test]
    fn a_digital_phase_is_all_or_nothing() {
        assert_eq!(deficit(99_999, 100, 100), Ok(Fraction::ONE));
        assert_eq!(deficit(100_000, 100, 100), Ok(Fraction::ZERO));
    }

    fn window() -> Window {
        "03-01..05-31"
            .parse::<crate::season::YearlessWindow>()
            .unwrap()
            .bind(2026)
            .unwrap()
    }

    proptest! {
        #[test]
        fn more_rain_never_pays_more(a in 0_i64..400_000, more in 0_i64..100_000) {
            let dry = deficit(a, 278, 95).unwrap();
            let wet = deficit(a + more, 278, 95).unwrap();
            prop_assert!(wet.is_at_most(dry));
        }

        #[test]
        fn a_missing_day_is_counted_and_never_taken_for_dry(gap in 0_usize..92) {
            let days: Vec<_> = window().days().enumerate().map(|(i, day)| DayRain {
                day,
                rain_um: (i != gap).then_some(RainUm(1_000)),
            }).collect();
            let sum = phase_sum("season", window(), None, &days);
            prop_assert_eq!((sum.rain_um, sum.missing_days), (91_000, 1));
        }

        #[test]
        fn the_order_of_days_does_not_matter(seed in any::<u64>()) {
            let mut days: Vec<_> = window().days().enumerate().map(|(i, day)| DayRain {
                day,
                rain_um: Some(RainUm(i32::try_from(i).unwrap() * 17)),
            }).collect();
            let straight = phase_sum("season", window(), Some(1), &days);
            let len = days.len();
            for i in 0..len {
                days.swap(i, usize::try_from(seed % 91).unwrap() * i % len);
            }
            prop_assert_eq!(straight, phase_sum("season", window(), Some(1), &days));
        }
    }
}
