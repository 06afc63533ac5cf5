//! Tests of the smoother: the published vector, the equation it solves, and the end of the series.
//! Touches no file. Run with the crate's unit tests.

use super::*;
use proptest::prelude::*;

fn smoothed(values: &[Option<f64>], weights: &[f64], lambda: f64) -> Vec<f64> {
    let mut out = vec![9.0; values.len()];
    let mut workspace = Workspace::default();
    smooth(values, weights, lambda, &mut workspace, &mut out).unwrap();
    out
}

/// (W + λD'D)z − Wy at its largest, from the differences themselves.
fn residual(values: &[Option<f64>], weights: &[f64], lambda: f64, z: &[f64]) -> f64 {
    let mut rest: Vec<f64> = (0..z.len())
        .map(|i| values[i].map_or(0.0, |y| weights[i] * (z[i] - y)))
        .collect();
    for i in 0..z.len() - 2 {
        let bend = lambda * (z[i] - 2.0 * z[i + 1] + z[i + 2]);
        rest[i] += bend;
        rest[i + 1] -= 2.0 * bend;
        rest[i + 2] += bend;
    }
    rest.into_iter()
        .fold(0.0, |most, r| f64::max(most, r.abs()))
}

const Y: [f64; 10] = [0.30, 0.32, 0.10, 0.40, 0.45, 0.50, 0.48, 0.20, 0.44, 0.38];
const W: [f64; 10] = [1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.2, 1.0, 1.0];

#[test]
fn the_published_vector_holds_to_its_last_digit() {
    let values = Y.map(Some);
    let published = [
        0.294_807, 0.332_897, 0.373_583, 0.413_014, 0.447_337, 0.466_194, 0.460_557, 0.438_303,
        0.417_030, 0.390_505,
    ];
    for (found, expected) in smoothed(&values, &W, 2.0).into_iter().zip(published) {
        assert!((found - expected).abs() < 5.1e-7, "{found} {expected}");
    }
}

#[test]
fn a_missing_value_is_a_value_without_weight_whatever_it_would_be() {
    let mut values = Y.map(Some);
    let with = smoothed(&values, &W, 2.0);
    values[2] = None;
    assert_eq!(smoothed(&values, &W, 2.0), with);
    let mut weights = W;
    weights[2] = 1.0;
    assert_eq!(smoothed(&values, &weights, 2.0), with);
}

#[test]
fn a_straight_line_is_its_own_smooth_curve_and_bridges_gaps() {
    let mut values: Vec<Option<f64>> = (0..12).map(|i| Some(f64::from(i) * 0.05 - 0.1)).collect();
    for gap in [0, 4, 5, 6, 11] {
        values[gap] = None;
    }
    for (i, z) in smoothed(&values, &[1.0; 12], 1e3).into_iter().enumerate() {
        let line = f64::from(u32::try_from(i).unwrap()) * 0.05 - 0.1;
        assert!((z - line).abs() < 1e-9, "{i} {z}");
    }
}

#[test]
fn what_determines_no_curve_is_refused() {
    let mut workspace = Workspace::default();
    let mut run = |values: &[Option<f64>], weights: &[f64], lambda: f64| {
        let mut out = vec![0.0; values.len()];
        smooth(values, weights, lambda, &mut workspace, &mut out)
    };
    let one = [Some(0.4), None, None, None];
    assert_eq!(
        run(&one, &[1.0; 4], 2.0),
        Err(WhittakerError::TooFew {
            points: 1,
            length: 4
        })
    );
    assert!(run(&[Some(0.1), Some(0.2)], &[1.0; 2], 2.0).is_err());
    assert!(run(&[], &[], 2.0).is_err());
    assert_eq!(
        run(&[Some(0.1); 4], &[1.0; 3], 2.0),
        Err(WhittakerError::Length)
    );
    for lambda in [0.0, -1.0, f64::NAN] {
        assert_eq!(
            run(&[Some(0.1); 4], &[1.0; 4], lambda),
            Err(WhittakerError::Terms)
        );
    }
    assert_eq!(
        run(&[Some(0.1); 4], &[1.0, -1.0, 1.0, 1.0], 2.0),
        Err(WhittakerError::Terms)
    );
}

#[test]
fn a_period_is_final_four_weeks_after_its_end() {
    let end: NaiveDate = "2026-07-31".parse().unwrap();
    let until: NaiveDate = "2026-08-28".parse().unwrap();
    assert_eq!(
        finality(end, "2026-08-27".parse().unwrap()),
        Finality::Provisional { until }
    );
    assert_eq!(finality(end, until), Finality::Final);
}

#[test]
fn the_end_of_the_series_moves_when_later_values_come() {
    // what the four weeks are for: the last values of a falling season before and after a rally
    let mut values: Vec<Option<f64>> = [0.5, 0.45, 0.4, 0.35, 0.3].map(Some).to_vec();
    let early = smoothed(&values, &[1.0; 5], 2.0)[4];
    values.extend([0.5, 0.55].map(Some));
    let late = smoothed(&values, &[1.0; 7], 2.0)[4];
    assert!((late - early).abs() > 0.05, "{early} {late}");
}

proptest! {
    #[test]
    fn the_curve_solves_its_equation_and_keeps_the_weighted_sum(
        places in prop::collection::vec((prop::option::weighted(0.8, -0.2_f64..1.0), 0.1_f64..1.0), 3..200),
        lambda in 0.1_f64..1e3,
    ) {
        let (values, weights): (Vec<Option<f64>>, Vec<f64>) = places.into_iter().unzip();
        prop_assume!(values.iter().flatten().count() >= 2);
        let z = smoothed(&values, &weights, lambda);
        prop_assert!(residual(&values, &weights, lambda, &z) < 1e-7);
        // a level is never bent: what the curve is off, it is off on both sides alike
        let off = values.iter().zip(&weights).zip(&z)
            .fold(0.0, |sum, ((y, w), z)| sum + y.map_or(0.0, |y| w * (y - z)));
        prop_assert!(off.abs() < 1e-6, "{}", off);
    }
}
