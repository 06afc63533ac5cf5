//! Tests of season scores: published scores, ties, deserts, seasons hardly seen. Touches no file.
//! Run with the crate's unit tests.

use super::*;
use proptest::prelude::*;

fn baseline(seasons: &[f64]) -> Baseline {
    let seasons: Vec<Option<f64>> = seasons.iter().copied().map(Some).collect();
    Baseline::of(&seasons).unwrap()
}

fn near(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} {expected}");
}

#[test]
fn fewer_than_three_valid_scenes_is_no_season() {
    assert_eq!(seasonal_mean(&[Some(0.4), None, Some(0.6)]), None);
    assert_eq!(seasonal_mean(&[]), None);
    let mean = seasonal_mean(&[Some(0.4), None, Some(0.6), Some(0.5)]).unwrap();
    near(mean, 0.5, 1e-15);
}

#[test]
fn the_published_mean_and_spread_of_karare_give_its_published_scores() {
    // March to September, 2001-2015 (domain notes 2.9): mean and sd only
    let (mean, sd) = (0.361_860_506, 0.053_594_119);
    for (season, z) in [(0.256_09, -1.973_5), (0.244_92, -2.181_9)] {
        near((season - mean) / sd, z, 2e-4);
    }
}

#[test]
fn bare_desert_has_no_z_and_no_index() {
    let desert = baseline(&[0.08; 12]);
    assert_eq!(desert.z(0.08), None);
    assert_eq!(desert.z(0.20), None);
    assert_eq!(desert.robust_z(0.20), None);
    assert_eq!(desert.vci(0.20), None);
    // rounding of a mean of thirds is no spread
    assert_eq!(baseline(&[1.0 / 3.0; 7]).z(0.3), None);
    // more than half the same: a z but no robust one
    let mostly = baseline(&[0.1, 0.1, 0.1, 0.1, 0.3]);
    assert!(mostly.z(0.2).is_some());
    assert_eq!(mostly.robust_z(0.2), None);
}

#[test]
fn one_season_or_none_is_no_baseline() {
    assert_eq!(Baseline::of(&[]), None);
    assert_eq!(Baseline::of(&[Some(0.3), None, None]), None);
    let two = Baseline::of(&[Some(0.3), None, Some(0.5)]).unwrap();
    assert_eq!(two.seasons(), 2);
    near(two.sd, 0.02_f64.sqrt(), 1e-15);
}

#[test]
fn an_outlier_moves_z_but_not_the_robust_one() {
    let calm = baseline(&[0.30, 0.32, 0.34, 0.36, 0.38]);
    let wild = baseline(&[0.30, 0.32, 0.34, 0.36, 0.90]);
    near(
        calm.robust_z(0.28).unwrap(),
        -0.06 / (SD_PER_MAD * 0.02),
        1e-12,
    );
    near(
        wild.robust_z(0.28).unwrap(),
        calm.robust_z(0.28).unwrap(),
        1e-12,
    );
    assert!(wild.z(0.28).unwrap() > -0.7 && calm.z(0.28).unwrap() < -1.8);
}

#[test]
fn the_index_leaves_its_scale_outside_the_baseline() {
    let past = baseline(&[0.2, 0.3, 0.4]);
    near(past.vci(0.2).unwrap(), 0.0, 1e-12);
    near(past.vci(0.4).unwrap(), 100.0, 1e-9);
    near(past.vci(0.5).unwrap(), 150.0, 1e-9);
    near(past.vci(0.1).unwrap(), -50.0, 1e-9);
}

#[test]
fn classes_begin_at_their_printed_lower_bounds() {
    let classes = [-5.0, 9.99, 10.0, 20.5, 21.0, 34.5, 35.0, 49.9, 50.0, 118.0].map(Condition::of);
    use Condition::{AboveNormal, ExtremeDeficit, ModerateDeficit, Normal, SevereDeficit};
    assert_eq!(
        classes,
        [
            ExtremeDeficit,
            ExtremeDeficit,
            SevereDeficit,
            SevereDeficit,
            ModerateDeficit,
            ModerateDeficit,
            Normal,
            Normal,
            AboveNormal,
            AboveNormal
        ]
    );
    assert_eq!(ExtremeDeficit.name(), "extreme vegetation deficit");
}

#[test]
fn ties_share_the_middle_of_their_ranks() {
    // ranks 1, 2-3-4, 5 of 5
    let past = baseline(&[0.3, 0.2, 0.3, 0.5, 0.3]);
    near(past.percentile(0.2), 1.0 / 6.0, 1e-15);
    near(past.percentile(0.3), 3.0 / 6.0, 1e-15);
    near(past.percentile(0.5), 5.0 / 6.0, 1e-15);
    near(past.percentile(0.4), 4.5 / 6.0, 1e-15);
    near(past.percentile(0.1), 0.5 / 6.0, 1e-15);
    near(past.percentile(0.9), 5.5 / 6.0, 1e-15);
    near(baseline(&[0.3; 4]).percentile(0.3), 0.5, 1e-15);
}

#[test]
fn vegetation_loss_runs_from_half_to_two_deviations_below() {
    let line = house_line().unwrap();
    for (z, loss) in [
        (0.3, 0.0),
        (-0.5, 0.0),
        (-1.25, 0.5),
        (-2.0, 1.0),
        (-3.0, 1.0),
    ] {
        near(line.loss(z), loss, 1e-15);
    }
}

proptest! {
    #[test]
    fn scores_rise_with_the_season_and_the_baseline_scores_zero_over_itself(
        seasons in prop::collection::vec(0.05_f64..0.8, 3..40), a in 0.0_f64..0.9, b in 0.0_f64..0.9,
    ) {
        let past = baseline(&seasons);
        let (low, high) = (a.min(b), a.max(b));
        prop_assert!(past.percentile(low) <= past.percentile(high));
        prop_assert!(past.percentile(low) > 0.0 && past.percentile(high) < 1.0);
        if let (Some(low), Some(high)) = (past.z(low), past.z(high)) {
            prop_assert!(low <= high);
            let sum = seasons.iter().fold(0.0, |sum, season| sum + past.z(*season).unwrap());
            prop_assert!(sum.abs() < 1e-6);
        }
    }
}
