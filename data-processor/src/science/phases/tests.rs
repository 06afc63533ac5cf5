//! Tests of phase lines and of their combination: published vectors, agreement with the integers
//! that pay, and what must hold for every index. Touches no file. Run with the unit tests.

use super::*;
use domain::index::deficit;
use proptest::prelude::*;

fn near(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} {expected}");
}

#[test]
fn the_three_phase_contract_pays_3467() {
    let phases: Vec<(f64, f64)> = [
        (30.0, 60.0, 15.0, 0.25),
        (90.0, 110.0, 40.0, 0.35),
        (70.0, 80.0, 30.0, 0.40),
    ]
    .into_iter()
    .map(|(rain, trigger, exit, weight)| {
        let line = Line::rain_deficit(trigger, exit).unwrap();
        (line.loss(rain), weight)
    })
    .collect();
    let paid = 10_000.0 * PolicyTerms::PLAIN.payout(&phases).unwrap();
    near(paid, 3_466.666_7, 5e-5);
    assert_eq!(shillings(paid), Some(3_467));
    let tick = |trigger, exit, limit| Line::deficit(trigger, exit).unwrap().tick(limit).unwrap();
    near(tick(60.0, 15.0, 2_500.0), 55.556, 5e-4);
    near(tick(110.0, 40.0, 3_500.0), 50.0, 1e-12);
    near(tick(80.0, 30.0, 4_000.0), 80.0, 1e-12);
}

#[test]
fn a_rainfall_index_cover_is_a_deficit_down_to_zero() {
    // USDA PRF: coverage 90, final grid index 70
    near(
        Line::deficit(90.0, 0.0).unwrap().loss(70.0),
        0.222_222,
        5e-7,
    );
}

#[test]
fn trigger_equal_to_exit_is_all_or_nothing() {
    let line = Line::deficit(100.0, 100.0).unwrap();
    near(line.loss(100.0), 0.0, 0.0);
    near(line.loss(99.999_999), 1.0, 0.0);
    assert_eq!(line.tick(1.0), None);
    let flood = Line::excess(100.0, 100.0).unwrap();
    near(flood.loss(100.0), 0.0, 0.0);
    near(flood.loss(100.000_001), 1.0, 0.0);
}

#[test]
fn an_excess_mirrors_the_deficit() {
    let line = Line::excess(110.0, 200.0).unwrap();
    for (rx5, loss) in [
        (0.0, 0.0),
        (110.0, 0.0),
        (155.0, 0.5),
        (200.0, 1.0),
        (300.0, 1.0),
    ] {
        near(line.loss(rx5), loss, 1e-15);
    }
    assert!(Line::excess(200.0, 110.0).is_err());
    assert!(Line::deficit(110.0, 200.0).is_err());
    assert!(Line::deficit(f64::NAN, 1.0).is_err());
}

#[test]
fn an_all_zero_climatology_is_not_insurable() {
    // every quantile of a phase that never saw rain is zero
    assert_eq!(Line::rain_deficit(0.0, 0.0), Err(TermsError::NeverPays));
    assert!(Line::rain_deficit(0.1, 0.0).is_ok());
}

#[test]
fn weights_that_are_not_one_are_refused() {
    let pay =
        |weights: [f64; 2]| PolicyTerms::PLAIN.payout(&[(1.0, weights[0]), (1.0, weights[1])]);
    near(pay([0.3, 0.7]).unwrap(), 1.0, 1e-15);
    assert!(matches!(pay([0.3, 0.6]), Err(TermsError::Weights { .. })));
    assert!(matches!(pay([0.5, 0.6]), Err(TermsError::Weights { .. })));
    assert_eq!(pay([f64::NAN, 0.6]), Err(TermsError::NotFinite));
    // tenths do not add up to one in binary, and are no fault
    assert!(PolicyTerms::PLAIN.payout(&[(0.0, 0.1); 10]).is_ok());
    assert!(PolicyTerms::PLAIN.payout(&[]).is_err());
}

#[test]
fn a_deductible_is_subtracted_and_a_franchise_is_a_threshold() {
    let with = |retention| PolicyTerms {
        retention,
        ..PolicyTerms::PLAIN
    };
    let pay = |terms: PolicyTerms, loss: f64| terms.payout(&[(loss, 1.0)]).unwrap();
    near(pay(with(Retention::Deductible(0.15)), 0.40), 0.25, 1e-15);
    near(pay(with(Retention::Deductible(0.15)), 0.10), 0.0, 0.0);
    near(pay(with(Retention::Franchise(0.15)), 0.40), 0.40, 0.0);
    near(pay(with(Retention::Franchise(0.15)), 0.15), 0.15, 0.0);
    near(pay(with(Retention::Franchise(0.15)), 0.149), 0.0, 0.0);
}

#[test]
fn the_sum_and_the_worst_of_the_phases_differ() {
    let phases = [(1.0, 0.25), (0.5, 0.75)];
    near(PolicyTerms::PLAIN.payout(&phases).unwrap(), 0.625, 1e-15);
    let worst = PolicyTerms {
        combination: Combination::Worst,
        most: 0.8,
        ..PolicyTerms::PLAIN
    };
    near(worst.payout(&phases).unwrap(), 0.8, 0.0);
}

#[test]
fn halves_round_up_once_at_the_end() {
    assert_eq!(shillings(3_466.5), Some(3_467));
    assert_eq!(shillings(3_466.499), Some(3_466));
    assert_eq!(shillings(f64::NAN), None);
}

#[test]
fn a_phase_with_a_missing_day_has_no_whole_sum() {
    let rain = [Some(70.0), None, Some(5.0)];
    let sum = phase_rain(&rain, Some(60.0));
    assert_eq!((sum.missing, sum.whole_mm()), (1, None));
    near(sum.known_mm, 65.0, 0.0);
}

proptest! {
    #[test]
    fn the_float_line_is_the_integer_line(
        rain_um in 0_i32..400_000, exit in 0_i32..200, run in 0_i32..200,
    ) {
        let (trigger, exit) = (exit + run, exit);
        let paid = deficit(rain_um.into(), trigger, exit).unwrap();
        let exact = f64::from(i32::try_from(paid.numerator()).unwrap())
            / f64::from(i32::try_from(paid.denominator()).unwrap());
        let line = Line::deficit(trigger.into(), exit.into()).unwrap();
        prop_assert!((line.loss(f64::from(rain_um) / 1_000.0) - exact).abs() <= 1e-12);
    }

    #[test]
    fn more_rain_never_pays_more_and_shares_stay_between_none_and_all(
        a in 0.0_f64..400.0, more in 0.0_f64..100.0, exit in 0.0_f64..200.0, run in 0.0_f64..200.0,
    ) {
        let line = Line::deficit(exit + run, exit).unwrap();
        let (dry, wet) = (line.loss(a), line.loss(a + more));
        prop_assert!(wet <= dry && (0.0..=1.0).contains(&dry));
        let flood = Line::excess(exit, exit + run).unwrap();
        prop_assert!(flood.loss(a) <= flood.loss(a + more));
        prop_assert!((0.0..=1.0).contains(&flood.loss(a)));
    }

    #[test]
    fn a_grid_summed_by_days_is_the_grid_summed_by_cells(
        cells in prop::collection::vec(
            prop::collection::vec(prop::option::weighted(0.9, 0.0_f64..90.0), 30), 1..8),
    ) {
        let mut sums = vec![PhaseRain::default(); cells.len()];
        for day in 0..30 {
            let row: Vec<Option<f64>> = cells.iter().map(|cell| cell[day]).collect();
            add_day(&mut sums, &row, Some(60.0));
        }
        for (sum, cell) in sums.iter().zip(&cells) {
            let alone = phase_rain(cell, Some(60.0));
            prop_assert_eq!(sum.known_mm.to_bits(), alone.known_mm.to_bits());
            prop_assert_eq!(sum.missing, alone.missing);
        }
    }
}
