//! The engine: many at once beside one at a time, totals, calendars, calibrations, gaps and the
//! mistakes it refuses. Run by `cargo test`.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn recipe(scale: usize, periods: usize, calibration: Range<usize>) -> Recipe {
    Recipe {
        scale,
        periods,
        first: 0,
        calibration,
        family: Family::GammaThom,
        zeros: Zeros::Mass,
        lowest: 0.0,
        clip: CLIP,
    }
}

fn scores(readings: &[Option<f64>], recipe: &Recipe) -> Vec<Option<f64>> {
    let mut out = vec![Some(99.0); readings.len()];
    series(readings, recipe, &mut Scratch::default(), &mut out).unwrap();
    out
}

/// Rain that repeats nothing: mm from a seed and a place.
fn rain(seed: u32, at: u32) -> f64 {
    let mixed = (at + 1)
        .wrapping_mul(2_654_435_761)
        .wrapping_add(seed.wrapping_mul(40_503));
    let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(2_246_822_519);
    let share = f64::from((mixed ^ (mixed >> 13)) >> 8) / f64::from(1_u32 << 24);
    if share < 0.15 {
        0.0
    } else {
        share * share * 180.0
    }
}

/// One total at a time, by the published formula and nothing else; none below four distinct totals
/// above zero.
fn plainly(totals: &[f64], calibration: Range<usize>, total: f64) -> Option<f64> {
    let calibrated = &totals[calibration];
    let wet: Vec<f64> = calibrated
        .iter()
        .copied()
        .filter(|total| *total > 0.0)
        .collect();
    let distinct: BTreeSet<u64> = wet.iter().map(|total| total.to_bits()).collect();
    if distinct.len() < 4 {
        return None;
    }
    let n = count(wet.len());
    let mean = wet.iter().sum::<f64>() / n;
    let spread = libm::log(mean) - wet.iter().map(|total| libm::log(*total)).sum::<f64>() / n;
    let shape = (1.0 + (1.0 + 4.0 * spread / 3.0).sqrt()) / (4.0 * spread);
    let dry = count(calibrated.len() - wet.len()) / count(calibrated.len());
    let below = crate::science::special::gamma_lower(shape, total * shape / mean).unwrap();
    let share = dry + (1.0 - dry) * below;
    Some(crate::science::special::normal_quantile(share).clamp(-CLIP, CLIP))
}

proptest! {
    // totals that differ by less than a tenth or so leave the shape of the distribution to the last
    // digits of their logarithms: no two ways of computing it agree to 1e-9 there
    #[test]
    fn many_at_once_are_one_at_a_time(
        seed in 0_u32..10_000, years in 12_usize..70, spread in 1.0_f64..40.0, from in 0_usize..8,
    ) {
        let totals: Vec<f64> = (0..u32::try_from(years).unwrap())
            .map(|at| libm::pow(rain(seed, at), spread / 10.0) * 3.0).collect();
        let readings: Vec<Option<f64>> = totals.iter().copied().map(Some).collect();
        let recipe = recipe(1, 1, from..years);
        for (score, total) in scores(&readings, &recipe).iter().zip(&totals) {
            let wanted = plainly(&totals, from..years, *total);
            let agree = match (score, wanted) {
                (Some(score), Some(wanted)) => (score - wanted).abs() < 1e-9,
                (score, wanted) => score.is_none() && wanted.is_none(),
            };
            prop_assert!(agree, "{total}: {score:?} {wanted:?}");
        }
    }

    #[test]
    fn more_rain_never_scores_less_and_all_scores_are_cut(seed in 0_u32..10_000, scale in 1_usize..7) {
        let readings: Vec<Option<f64>> = (0..480).map(|at| Some(rain(seed, at))).collect();
        let recipe = recipe(scale, 12, 0..480);
        let before = scores(&readings, &recipe);
        prop_assert_eq!(before.iter().filter(|score| score.is_none()).count(), scale - 1);
        prop_assert!(before.iter().flatten().all(|score| score.abs() <= CLIP));
        // within one calendar month the order of scores is that of totals
        let totals: Vec<f64> = (scale - 1..480).map(|end| (end + 1 - scale..=end).filter_map(|at| readings[at]).sum()).collect();
        let mut july: Vec<(f64, f64)> = (scale - 1..480).filter(|at| at % 12 == 6)
            .map(|at| (totals[at + 1 - scale], before[at].unwrap())).collect();
        july.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
        prop_assert!(july.windows(2).all(|pair| pair[0].1 <= pair[1].1 + 1e-12));
    }
}

#[test]
fn the_same_scores_wherever_a_cell_lies() {
    let mut readings: Vec<Option<f64>> = (0..3 * 360).map(|at| Some(rain(7, at))).collect();
    readings[400] = None;
    let recipe = recipe(3, 12, 60..300);
    let mut together = vec![None; readings.len()];
    grid(
        &readings,
        360,
        &recipe,
        &mut Scratch::default(),
        &mut together,
    )
    .unwrap();
    for (cell, together) in readings.chunks(360).zip(together.chunks(360)) {
        assert_eq!(scores(cell, &recipe), together);
    }
}

#[test]
fn a_gap_takes_every_total_it_is_part_of_and_nothing_else() {
    let whole: Vec<Option<f64>> = (0..360).map(|at| Some(rain(3, at))).collect();
    // negative, no number, endless and missing are all missing
    for broken in [
        None,
        Some(-9_999.0),
        Some(f64::NAN),
        Some(f64::INFINITY),
        Some(-0.1),
    ] {
        let mut readings = whole.clone();
        readings[120] = broken;
        let out = scores(&readings, &recipe(6, 12, 0..360));
        let missing: Vec<usize> = (0..360).filter(|at| out[*at].is_none()).collect();
        assert_eq!(missing, [0, 1, 2, 3, 4, 120, 121, 122, 123, 124, 125]);
    }
}

#[test]
fn the_calibration_moves_the_index_and_what_lies_outside_it_does_not() {
    let readings: Vec<Option<f64>> = (0..480).map(|at| Some(rain(11, at))).collect();
    let (all, part) = (recipe(1, 12, 0..480), recipe(1, 12, 120..360));
    let before = scores(&readings, &part);
    assert_ne!(scores(&readings, &all), before);
    let mut later = readings.clone();
    later[400] = Some(500.0);
    later[20] = Some(500.0);
    let after = scores(&later, &part);
    let moved: Vec<usize> = (0..480).filter(|at| before[*at] != after[*at]).collect();
    assert_eq!(moved, [20, 400]);
    // an extreme beyond the calibration's own is cut, not lost
    assert_eq!(after[400], Some(CLIP));
}

#[test]
fn the_first_period_is_that_of_the_first_reading() {
    let readings: Vec<Option<f64>> = (0..360).map(|at| Some(rain(5, at))).collect();
    let from_january = scores(&readings, &recipe(1, 12, 0..360));
    let from_march = Recipe {
        first: 2,
        ..recipe(1, 12, 0..350)
    };
    let mut scratch = Scratch::default();
    let mut out = vec![None; 350];
    series(&readings[..350], &from_march, &mut scratch, &mut out).unwrap();
    // the months are only named otherwise: the same places form each of them
    let short = scores(&readings[..350], &recipe(1, 12, 0..350));
    assert_eq!(out, short);
    assert_ne!(from_january[..350], short);
}

#[test]
fn a_period_that_is_always_dry_is_refused_and_the_others_are_not() {
    let readings: Vec<Option<f64>> = (0..360)
        .map(|at| Some(if at % 12 == 6 { 0.0 } else { rain(9, at) }))
        .collect();
    let mut scratch = Scratch::default();
    let mut out = vec![Some(1.0); 360];
    series(&readings, &recipe(1, 12, 0..360), &mut scratch, &mut out).unwrap();
    assert_eq!(scratch.refusal(6), Some(Refusal::TooFew));
    assert_eq!((scratch.refusal(5), scratch.refusal(99)), (None, None));
    let missing = out.iter().filter(|score| score.is_none()).count();
    assert_eq!(missing, 30);
}

#[test]
fn traces_are_rain_and_zeros_are_a_mass() {
    // nine dry years of thirty: a dry one scores Φ⁻¹(0.3)
    let readings: Vec<Option<f64>> = (0..30_u32)
        .map(|at| {
            Some(if at % 10 < 3 {
                0.0
            } else {
                f64::from(at) + 0.1
            })
        })
        .collect();
    let out = scores(&readings, &recipe(1, 1, 0..30));
    assert!((out[0].unwrap() - crate::science::special::normal_quantile(0.3)).abs() < 1e-14);
    let mut trace = readings.clone();
    trace[0] = Some(0.1);
    assert_ne!(scores(&trace, &recipe(1, 1, 0..30))[10], out[10]);
}

#[test]
fn without_a_mass_and_without_a_cut_a_zero_has_no_lowest_score() {
    let readings: Vec<Option<f64>> = (0..30_u32).map(|at| Some(f64::from(at))).collect();
    let rule = Recipe {
        zeros: Zeros::LeftOut,
        clip: f64::INFINITY,
        family: Family::GammaMoments,
        ..recipe(1, 1, 0..30)
    };
    assert_eq!(scores(&readings, &rule)[0], Some(f64::NEG_INFINITY));
    let cut = Recipe { clip: CLIP, ..rule };
    assert_eq!(scores(&readings, &cut)[0], Some(-CLIP));
}

#[test]
fn every_family_scores_the_middle_near_nought() {
    let readings: Vec<Option<f64>> = (1..=41_u32).map(|at| Some(40.0 + f64::from(at))).collect();
    for family in [
        Family::GammaThom,
        Family::GammaMoments,
        Family::Pearson,
        Family::LogLogistic,
    ] {
        let out = scores(
            &readings,
            &Recipe {
                family,
                ..recipe(1, 1, 0..41)
            },
        );
        assert!(out[20].unwrap().abs() < 0.1, "{family:?}");
        assert!(out[0] < Some(-1.4) && out[40] > Some(1.4), "{family:?}");
    }
}

#[test]
fn a_pearson_wants_four_distinct_totals_above_zero() {
    let readings: Vec<Option<f64>> = (0..30_u32).map(|at| Some(f64::from(at % 4))).collect();
    let rule = Recipe {
        family: Family::Pearson,
        ..recipe(1, 1, 0..30)
    };
    let mut scratch = Scratch::default();
    let mut out = vec![None; 30];
    series(&readings, &rule, &mut scratch, &mut out).unwrap();
    assert_eq!(scratch.refusal(0), Some(Refusal::TooFew));
}

#[test]
fn mistakes_are_told_apart_and_write_nothing() {
    let readings = vec![Some(1.0); 24];
    let mut out = vec![Some(7.0); 24];
    let mut try_with = |recipe: &Recipe, length: usize| {
        let done = grid(&readings, length, recipe, &mut Scratch::default(), &mut out);
        assert!(out.iter().all(|score| *score == Some(7.0)));
        done
    };
    assert_eq!(try_with(&recipe(0, 12, 0..24), 24), Err(Mistake::Calendar));
    let late = Recipe {
        first: 12,
        ..recipe(1, 12, 0..24)
    };
    assert_eq!(try_with(&late, 24), Err(Mistake::Calendar));
    assert_eq!(
        try_with(&recipe(1, 12, 0..25), 24),
        Err(Mistake::Calibration)
    );
    assert_eq!(
        try_with(&recipe(1, 12, 5..5), 24),
        Err(Mistake::Calibration)
    );
    assert_eq!(try_with(&recipe(1, 12, 0..7), 7), Err(Mistake::Length));
    assert_eq!(try_with(&recipe(1, 12, 0..7), 0), Err(Mistake::Length));
    // a scale longer than the series is no mistake: no total is whole
    let mut out = vec![Some(7.0); 24];
    series(
        &readings,
        &recipe(30, 12, 0..24),
        &mut Scratch::default(),
        &mut out,
    )
    .unwrap();
    assert_eq!(out, vec![None; 24]);
}

#[test]
fn a_calibration_in_years_is_one_in_places() {
    assert_eq!(calibration(1_981, 1_991, 2_020, 12), Some(120..480));
    assert_eq!(calibration(1_981, 1_981, 1_981, 36), Some(0..36));
    assert_eq!(calibration(1_981, 1_980, 1_990, 12), None);
    assert_eq!(calibration(1_981, 1_990, 1_989, 12), None);
}
