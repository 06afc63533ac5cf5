//! Basis risk against the printed vectors and by hand, and what must hold of any index.
//! Reads no file.

use super::*;
use proptest::prelude::*;

fn close(found: f64, expected: f64, within: f64) {
    assert!((found - expected).abs() <= within, "{found} {expected}");
}

const INCOMES: [f64; 10] = [
    100.0, 100.0, 100.0, 100.0, 100.0, 40.0, 100.0, 100.0, 50.0, 100.0,
];
const PAID: [f64; 10] = [0.0, 0.0, 0.0, 20.0, 0.0, 60.0, 0.0, 0.0, 0.0, 0.0];

fn losses() -> Vec<f64> {
    INCOMES.iter().map(|income| 100.0 - income).collect()
}

#[test]
fn the_printed_worth_of_the_ten_incomes() {
    for (aversion, none, index, benefit) in [
        (2.0, 80.0, 81.314_168, 0.210_267),
        (1.5, 82.714_509, 83.137_553, 0.119_657),
    ] {
        let worth = Worth::of(100.0, &losses(), &PAID, 1.25, aversion).unwrap();
        close(worth.none, none, 5e-7);
        close(worth.perfect, 86.25, 5e-7);
        close(worth.index, index, 5e-7);
        close(worth.benefit().unwrap(), benefit, 5e-7);
        assert!(worth.meets_minimum());
    }
}

#[test]
fn at_an_aversion_of_one_the_certainty_equivalent_is_the_geometric_mean() {
    close(certainty_equivalent(&[1.0, 4.0], 1.0).unwrap(), 2.0, 1e-12);
    close(certainty_equivalent(&[1.0, 4.0], 0.0).unwrap(), 2.5, 1e-12);
    close(certainty_equivalent(&[1.0, 4.0], 2.0).unwrap(), 1.6, 1e-12);
    let near = certainty_equivalent(&[1.0, 4.0], 1.000_001).unwrap();
    close(near, 2.0, 1e-5);
    assert_eq!(certainty_equivalent(&[1.0, 0.0], 2.0), None);
    assert_eq!(certainty_equivalent(&[], 2.0), None);
    assert_eq!(certainty_equivalent(&[1.0], -1.0), None);
}

#[test]
fn an_index_that_pays_in_good_years_harms() {
    let upside_down: Vec<f64> = INCOMES.iter().map(|income| income / 10.0 - 4.0).collect();
    let worth = Worth::of(100.0, &losses(), &upside_down, 1.25, 2.0).unwrap();
    assert!(!worth.meets_minimum() && worth.benefit().unwrap() < 0.0);
    assert_eq!(Worth::of(100.0, &losses(), &[0.0], 1.25, 2.0), None);
}

#[test]
fn errors_are_counted_against_their_own_whole() {
    let losses = [0.8, 0.2, 0.15, 0.1, 0.0, 0.0];
    let paid = [false, true, true, true, false, false];
    let errors = Errors::of(&losses, &paid, 0.15).unwrap();
    close(errors.false_negative().unwrap(), 1.0 / 3.0, 1e-12);
    close(errors.false_positive().unwrap(), 1.0 / 3.0, 1e-12);
    close(errors.unpaid_loss(), 1.0 / 6.0, 1e-12);
    close(errors.catastrophic(), 1.0 / 6.0, 1e-12);
    close(errors.pays(), 0.5, 1e-12);
    assert_eq!(Errors::of(&[], &[], 0.15), None);
    assert_eq!(Errors::of(&[0.1], &[], 0.15), None);
    let calm = Errors::of(&[0.0], &[false], 0.15).unwrap();
    assert_eq!(calm.false_negative(), None);
}

#[test]
fn ties_share_their_rank() {
    assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
    assert_eq!(ranks(&[]), Vec::<f64>::new());
    // by hand: ranks 1, 2.5, 2.5, 4 against 1, 3, 2, 4 give 4.5 / (√4.5 · √5)
    let found = spearman(&[1.0, 2.0, 2.0, 3.0], &[1.0, 3.0, 2.0, 4.0]).unwrap();
    close(found, 4.5 / (4.5_f64.sqrt() * 5.0_f64.sqrt()), 1e-12);
    assert_eq!(pearson(&[1.0, 1.0], &[1.0, 2.0]), None);
    assert_eq!(pearson(&[1.0], &[1.0]), None);
}

#[test]
fn concordance_counts_the_pairs_in_the_right_order() {
    // losses at index -2 and 0; none at -1, 1, 1: five of six pairs are right
    let index = [-2.0, 0.0, -1.0, 1.0, 1.0];
    let losses = [0.3, 0.2, 0.0, 0.0, 0.1];
    close(
        concordance(&index, &losses, 0.15).unwrap(),
        5.0 / 6.0,
        1e-12,
    );
    close(concordance(&[0.0; 5], &losses, 0.15).unwrap(), 0.5, 1e-12);
    assert_eq!(concordance(&index, &[0.0; 5], 0.15), None);
    assert_eq!(concordance(&index, &[0.3], 0.15), None);
}

#[test]
fn under_its_floor_a_product_is_not_publishable() {
    let floor = Floor::BENCHMARK;
    let good = Worth {
        none: 0.8,
        perfect: 0.9,
        index: 0.85,
    };
    let harmful = Worth {
        index: 0.79,
        ..good
    };
    let errors = |unpaid_losses, paid| Errors {
        cases: 210,
        losses: 49,
        paid,
        unpaid_losses,
        unpaid_catastrophes: 0,
    };
    // Benchmark A itself: 18 of 49 unpaid, 17 of 161 paid for nothing
    let itself = errors(18, 48);
    assert_eq!(floor.faults(&itself, Some(&good)), []);
    assert_eq!(
        floor.faults(&itself, Some(&harmful)),
        [Fault::MinimumQuality]
    );
    assert_eq!(floor.faults(&itself, None), [Fault::MinimumQuality]);
    assert_eq!(
        floor.faults(&errors(19, 48), Some(&good)),
        [Fault::FalseNegative, Fault::FalsePositive]
    );
    assert_eq!(
        floor.faults(&errors(18, 49), Some(&good)),
        [Fault::FalsePositive]
    );
}

proptest! {
    #[test]
    fn what_is_certain_is_worth_itself_and_doubt_is_worth_less(
        incomes in prop::collection::vec(0.1_f64..10.0, 1..40), aversion in 0.0_f64..5.0,
    ) {
        let worth = certainty_equivalent(&incomes, aversion).unwrap();
        prop_assert!(worth <= mean(&incomes).unwrap() + 1e-9);
        let sure = certainty_equivalent(&[incomes[0]; 5], aversion).unwrap();
        prop_assert!((sure - incomes[0]).abs() < 1e-9);
    }

    #[test]
    fn a_perfect_index_has_the_whole_benefit(
        losses in prop::collection::vec(0.0_f64..0.9, 5..40),
    ) {
        prop_assume!(losses.iter().any(|loss| *loss > 0.3) && losses.iter().any(|loss| *loss < 0.1));
        let worth = Worth::of(1.0, &losses, &losses, 1.0, 2.0).unwrap();
        prop_assert!((worth.benefit().unwrap() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn spearman_sees_only_the_order(x in prop::collection::vec(-50.0_f64..50.0, 3..40)) {
        let cubes: Vec<f64> = x.iter().map(|a| a * a * a).collect();
        let distinct = ranks(&x);
        prop_assume!(distinct.iter().any(|rank| (rank - distinct[0]).abs() > 0.0));
        prop_assert!((spearman(&x, &cubes).unwrap() - 1.0).abs() < 1e-9);
    }
}
