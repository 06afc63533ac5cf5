//! The index against published vectors and real Kenyan seasons, and its properties. Tests only; run
//! with the crate's. What each document pays is tested with settlement.

mod seasons;

use super::*;
use crate::money::{BasisPoints, Fraction, Money, Rounding};
use crate::product::tests::phase_deficit;
use crate::product::{Decimal, Direction, Step, ZoneTrigger};
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
    let phases = [
        ("est", 2_500, 60, 15, 30),
        ("veg", 3_500, 110, 40, 90),
        ("flo", 4_000, 80, 30, 70),
    ];
    let first = phases.map(|(code, weight, trigger, exit, _)| {
        (
            phase(code, weight),
            ZoneTrigger::of_rain(code, trigger, exit),
        )
    });
    let second = phases.map(|(code, weight, trigger, exit, _)| {
        (
            phase(code, weight),
            in_units(code, &trigger.to_string(), &exit.to_string()),
        )
    });
    for (schema, terms) in [(1, first), (2, second)] {
        let mut product = phase_deficit();
        product.schema = schema;
        (product.phases, product.zones[0].triggers) = terms.into_iter().unzip();
        product.validate().unwrap();
        let sums = phases.map(|(code, .., rain)| PhaseSum::of_rain(code, rain * 1_000, 0));
        let share = weather_index(&product, &product.zones[0], &sums).unwrap();
        let paid = Money::kes(10_000)
            .unwrap()
            .share_in_shillings(share, Rounding::HalfUp);
        assert_eq!(paid, Money::kes(3_467));
        // 2/3 of 0.25, 2/7 of 0.35, 1/5 of 0.40
        assert_eq!(share, Fraction::new(26, 75).unwrap());
    }
}

#[test]
fn a_published_area_yield_table_is_the_same_line() {
    // trigger 0.75, exit 0.10 of an expected yield of 100, total sum insured 0.9 (gif-contracts
    // tests); the contract truncates in units of 2^-24, so the printed digits lie up to 1e-7 below
    for (yielded, published_e8) in [
        (75, 0_i64),
        (70, 6_923_073),
        (65, 13_846_153),
        (60, 20_769_231),
        (55, 27_692_312),
        (50, 34_615_379),
        (45, 41_538_459),
        (40, 48_461_532),
        (35, 55_384_612),
        (30, 62_307_691),
        (25, 69_230_759),
        (20, 76_153_838),
        (15, 83_076_918),
        (10, 90_000_000),
        (0, 90_000_000),
    ] {
        let share = deficit(yielded * 1_000, 75, 10).unwrap();
        // exact: (75 - yield) / 65 between trigger and exit
        let expected = Fraction::new((75 - yielded).clamp(0, 65), 65).unwrap();
        assert_eq!(share, expected);
        let paid_e8 = 90_000_000 * share.numerator() / share.denominator();
        assert!((paid_e8 - published_e8).abs() <= 10, "{yielded}: {paid_e8}");
    }
    // expected yield 1.9, harvested 1.3: ratio 13/19 of which the line takes (0.75 - 13/19) / 0.65
    let share = deficit(1_300_000 * 1_000, 1_425_000, 190_000).unwrap();
    assert_eq!(
        90_000_000 * share.numerator() / share.denominator(),
        9_109_311
    );
}

#[test]
fn a_range_and_pasture_index_pays_its_shortfall_from_the_trigger() {
    // USDA PRF: coverage 90, final grid index 70: (90 - 70) / 90
    let share = deficit(70_000, 90, 0).unwrap();
    assert_eq!(share, Fraction::new(2, 9).unwrap());
    assert_eq!(deficit(90_000, 90, 0), Ok(Fraction::ZERO));
}

#[test]
fn a_digital_phase_is_all_or_nothing() {
    assert_eq!(deficit(99_999, 100, 100), Ok(Fraction::ONE));
    assert_eq!(deficit(100_000, 100, 100), Ok(Fraction::ZERO));
    let mut product = excess("5", "5");
    let zone = product.zones[0].clone();
    for (value, lost) in [
        (4_999, Fraction::ZERO),
        (5_000, Fraction::ZERO),
        (5_001, Fraction::ONE),
    ] {
        assert_eq!(weather_index(&product, &zone, &[valued(value)]), Ok(lost));
    }
    product.phases[0].direction = Some(Direction::Deficit);
    assert_eq!(
        weather_index(&product, &zone, &[valued(5_000)]),
        Ok(Fraction::ZERO)
    );
    assert_eq!(
        weather_index(&product, &zone, &[valued(4_999)]),
        Ok(Fraction::ONE)
    );
}

#[test]
fn the_published_blocks_sample_pays_a_sixtieth() {
    // BimaPima: 28 days, blocks of 14, step 1: 15 blocks; one lost, weight 0.25: 0.016666
    let mut product = phase_deficit();
    product.schema = 2;
    let mut veg = phase("veg", 2_500);
    veg.days = "03-01..03-28".parse().unwrap();
    veg.index = Some(IndexTerms::DrySpellBlocks {
        length_days: 14,
        below_mm: Decimal::whole(15).unwrap(),
        step_days: 1,
    });
    veg.direction = Some(Direction::Excess);
    product.phases = vec![veg, phase("rest", 7_500)];
    product.zones[0].triggers = vec![in_units("veg", "0", "15"), in_units("rest", "100", "50")];
    product.validate().unwrap();
    // 15 mm on the 15th leaves the first block alone without them
    let days: Vec<_> = window()
        .days()
        .map(|day| {
            let wet = chrono::Datelike::day(&day) == 15;
            rain(day, if wet { 15_000 } else { 1 })
        })
        .collect();
    let mut sums = phase_sums(&product, 2026, &days).unwrap();
    assert_eq!(
        (sums[0].index_milli, sums[0].missing_days),
        (Some(1_000), 0)
    );
    sums[1].rain_um = 100_000;
    let share = weather_index(&product, &product.zones[0], &sums).unwrap();
    assert_eq!(share, Fraction::new(1, 60).unwrap());
}

fn phase(code: &str, weight: u16) -> PhaseTerms {
    let mut phase = phase_deficit().phases[0].clone();
    phase.code = code.to_owned();
    phase.weight_bp = BasisPoints::new(weight).unwrap();
    phase
}

fn in_units(phase: &str, trigger: &str, exit: &str) -> ZoneTrigger {
    ZoneTrigger {
        trigger_mm: None,
        exit_mm: None,
        trigger: Some(trigger.parse().unwrap()),
        exit: Some(exit.parse().unwrap()),
        ..ZoneTrigger::of_rain(phase, 0, 0)
    }
}

fn rain(day: NaiveDate, um: i32) -> DayRain {
    DayRain {
        day,
        rain_um: Some(RainUm(um)),
    }
}

/// A season that loses by its longest dry spell, days.
fn excess(trigger: &str, exit: &str) -> Product {
    let mut product = phase_deficit();
    product.schema = 2;
    product.phases[0].index = Some(IndexTerms::LongestDrySpell {
        wet_day_mm: Decimal::whole(1).unwrap(),
    });
    product.phases[0].direction = Some(Direction::Excess);
    product.zones[0].triggers = vec![in_units("season", trigger, exit)];
    product.validate().unwrap();
    product
}

fn valued(milli: i64) -> PhaseSum {
    PhaseSum {
        index_milli: Some(milli),
        ..PhaseSum::of_rain("season", 0, 0)
    }
}

fn window() -> Window {
    "03-01..05-31"
        .parse::<crate::season::YearlessWindow>()
        .unwrap()
        .bind(2026)
        .unwrap()
}

#[test]
fn an_excess_mirrors_a_deficit() {
    let product = excess("10", "30");
    let lost = |milli| weather_index(&product, &product.zones[0], &[valued(milli)]).unwrap();
    for (days, share) in [
        (0, (0, 1)),
        (10, (0, 1)),
        (15, (1, 4)),
        (29, (19, 20)),
        (30, (1, 1)),
    ] {
        assert_eq!(
            lost(days * 1_000),
            Fraction::try_from(share).unwrap(),
            "{days}"
        );
    }
}

#[test]
fn a_published_step_table_holds_row_by_row() {
    // South Carolina's published corn schedule: annual moisture, percent of normal, each a lower
    // bound that is included, and the percentage of coverage it pays; below 32 everything
    let rows: [(i64, u16); 26] = [
        (80, 0),
        (78, 350),
        (76, 700),
        (74, 1_050),
        (72, 1_400),
        (70, 1_750),
        (68, 2_100),
        (66, 2_450),
        (64, 2_800),
        (62, 3_150),
        (60, 3_500),
        (58, 3_900),
        (56, 4_300),
        (54, 4_700),
        (52, 5_100),
        (50, 5_500),
        (48, 5_900),
        (46, 6_300),
        (44, 6_700),
        (42, 7_100),
        (40, 7_500),
        (38, 8_000),
        (36, 8_500),
        (34, 9_000),
        (32, 9_500),
        (0, 10_000),
    ];
    let mut product = phase_deficit();
    product.schema = 2;
    product.phases[0].steps = Some(
        rows.iter()
            .map(|(at, pays)| Step {
                at_percent: Decimal::whole(*at).unwrap(),
                pays_bp: BasisPoints::new(*pays).unwrap(),
            })
            .collect(),
    );
    // a normal of 640 mm: a percent is 6.4 mm
    product.zones[0].triggers = vec![ZoneTrigger {
        normal: Some(Decimal::whole(640).unwrap()),
        trigger_mm: None,
        exit_mm: None,
        ..ZoneTrigger::of_rain("season", 0, 0)
    }];
    product.validate().unwrap();
    let zone = &product.zones[0];
    let paid = |um: i64| {
        let sums = [PhaseSum::of_rain("season", um, 0)];
        weather_index(&product, zone, &sums)
            .unwrap()
            .basis_points()
            .get()
    };
    for pair in rows.windows(2) {
        let ((at, pays), (_, next)) = (pair[0], pair[1]);
        assert_eq!(paid(at * 6_400), pays, "{at} %");
        assert_eq!(paid(at * 6_400 - 1), next, "just below {at} %");
    }
    assert_eq!((paid(0), paid(2_000_000)), (10_000, 0));
    // 79.999 % pays 3.5 %, 80 % nothing
    assert_eq!((paid(511_993), paid(512_000)), (350, 0));
    let example = phases_losing(&product, zone, BasisPoints::new(3_900).unwrap()).unwrap();
    assert_eq!(example[0].rain_um, 58 * 6_400);
    // 58 % is a turn itself; half a percent above it the next is a percent and a half away
    assert_eq!(margin_bp(&product, zone, &example), Ok(0));
    let above = [PhaseSum::of_rain("season", 58 * 6_400 + 3_200, 0)];
    assert_eq!(margin_bp(&product, zone, &above), Ok(50));
}

#[test]
fn the_worst_phase_alone_may_decide() {
    let mut product = phase_deficit();
    product.schema = 2;
    product.phases = vec![phase("early", 10_000), phase("late", 5_000)];
    product.zones[0].triggers = vec![in_units("early", "60", "20"), in_units("late", "80", "40")];
    product.terms = Some(crate::product::PolicyTerms {
        combine: Some(crate::product::Combine::Worst),
        ..Default::default()
    });
    product.validate().unwrap();
    let zone = &product.zones[0];
    let lost = |early: i64, late: i64| {
        let sums = [
            PhaseSum::of_rain("early", early * 1_000, 0),
            PhaseSum::of_rain("late", late * 1_000, 0),
        ];
        weather_index(&product, zone, &sums)
            .unwrap()
            .basis_points()
            .get()
    };
    assert_eq!(lost(50, 80), 2_500);
    assert_eq!(lost(50, 40), 5_000);
    assert_eq!(lost(30, 40), 7_500);
}

#[test]
fn a_quotes_example_loses_what_it_says() {
    for lost in [0, 1, 2_500, 5_000, 9_999, 10_000] {
        let lost = BasisPoints::new(lost).unwrap();
        for product in [phase_deficit(), excess("2.5", "30")] {
            let sums = phases_losing(&product, &product.zones[0], lost).unwrap();
            let index = weather_index(&product, &product.zones[0], &sums).unwrap();
            let apart = index.basis_points().get().abs_diff(lost.get());
            assert!(apart <= 1, "{index:?} {lost}");
        }
    }
    // what the first form's examples have always been: trigger less a part of the way, in whole um
    let product = phase_deficit();
    let sums = phases_losing(
        &product,
        &product.zones[0],
        BasisPoints::new(3_333).unwrap(),
    );
    assert_eq!(sums.unwrap()[0].rain_um, 278_000 - 183_000 * 3_333 / 10_000);
}

#[test]
fn a_measure_that_arrives_is_checked_and_never_guessed() {
    let mut product = phase_deficit();
    product.schema = 2;
    product.phases[0].index = Some(IndexTerms::NdviPercentile {
        sensor: "modis-terra".to_owned(),
        baseline_first: 2001,
        baseline_last: 2015,
    });
    product.phases[0].direction = Some(Direction::Deficit);
    product.zones[0].triggers = vec![in_units("season", "20", "1")];
    product.validate().unwrap();
    let of = |value_milli, missing_days| {
        let values = [IndexValue {
            phase: "season".to_owned(),
            value_milli,
            missing_days,
        }];
        let known = Known {
            values: &values,
            ..Known::default()
        };
        let sums = measure(&product, 2026, &known).unwrap();
        (sums[0].index_milli, sums[0].missing_days)
    };
    assert_eq!(of(12_500, 0), (Some(12_500), 0));
    assert_eq!(of(12_500, 3), (None, 3));
    assert_eq!(of(100_001, 0), (None, 92));
    assert_eq!(of(-1, 0), (None, 92));
    let none = measure(&product, 2026, &Known::default()).unwrap();
    assert_eq!((none[0].index_milli, none[0].missing_days), (None, 92));
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
    fn a_day_told_twice_differently_is_missing(day in 0_usize..92) {
        let mut days: Vec<_> = window().days().map(|day| rain(day, 1_000)).collect();
        days.push(days[day]);
        prop_assert_eq!(phase_sum("season", window(), None, &days).missing_days, 0);
        days.insert(0, rain(days[day].day, 999));
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
