//! Tests of scene masks: classes, reach of clouds, shares of valid ground. Touches no file. Run
//! with the crate's unit tests.

use super::*;
use proptest::prelude::*;

fn weigh(mask: &Mask, scl: &[u8], width: usize) -> Vec<f64> {
    let mut weights = vec![9.0; scl.len()];
    let mut scratch = vec![true; scl.len()];
    mask.weigh(scl, width, &mut weights, &mut scratch).unwrap();
    weights
}

fn kept(weights: &[f64]) -> usize {
    weights.iter().filter(|weight| **weight > 0.0).count()
}

#[test]
fn only_vegetation_bare_and_half_of_unclassified_are_kept() {
    let mask = Mask {
        reach: 0,
        ..Mask::default()
    };
    let weights = weigh(&mask, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 255], 14);
    let found: Vec<usize> = (0..14).filter(|at| weights[*at] > 0.0).collect();
    assert_eq!(found, [4, 5, 7]);
    assert!((weights[7] - 0.5).abs() < 1e-15 && (weights[4] - 1.0).abs() < 1e-15);
}

#[test]
fn a_cloud_takes_its_surroundings_with_it() {
    let mut scl = vec![4_u8; 49];
    scl[24] = 9;
    let weights = weigh(&Mask::default(), &scl, 7);
    assert_eq!(kept(&weights), 49 - 25);
    assert!(
        weights[0] > 0.0 && weights[8] < 0.5,
        "two pixels, corners included"
    );
    let three = Mask {
        reach: 3,
        ..Mask::default()
    };
    assert_eq!(kept(&weigh(&three, &scl, 7)), 0);
    // water reaches nowhere
    scl[24] = 6;
    assert_eq!(kept(&weigh(&Mask::default(), &scl, 7)), 48);
}

#[test]
fn a_cloud_at_the_edge_does_not_reach_round_to_the_next_row() {
    let mut scl = vec![4_u8; 30];
    scl[9] = 8;
    let weights = weigh(&Mask::default(), &scl, 10);
    for row in 0..3 {
        assert!(weights[row * 10] > 0.0);
        assert!(weights[row * 10 + 6] > 0.0);
        assert!(weights[row * 10 + 7] < 0.5);
    }
}

#[test]
fn a_scene_that_is_not_whole_rows_is_refused() {
    let mask = Mask::default();
    let (mut weights, mut scratch) = ([0.0; 5], [false; 5]);
    let refused = mask.weigh(&[4; 5], 2, &mut weights, &mut scratch);
    assert_eq!(
        refused,
        Err(SceneError::Shape {
            pixels: 5,
            width: 2
        })
    );
    assert!(mask.weigh(&[4; 5], 0, &mut weights, &mut scratch).is_err());
    let refused = mask.weigh(&[4; 4], 2, &mut weights, &mut scratch);
    assert_eq!(
        refused,
        Err(SceneError::Length {
            found: 5,
            wanted: 4
        })
    );
    assert_eq!(mask.weigh(&[], 2, &mut [], &mut []), Ok(()));
}

#[test]
fn a_date_with_less_than_three_fifths_valid_is_dropped() {
    let cell = |valid: usize| {
        let pixels = (0..50).map(move |at| (Some(0.4), if at < valid { 1.0 } else { 0.0 }, true));
        cell_date(pixels, CROPLAND_PIXELS_MIN)
    };
    assert!((cell(30).ndvi.unwrap() - 0.4).abs() < 1e-12);
    assert_eq!(cell(29).ndvi, None);
    assert!((cell(29).valid_share - 0.58).abs() < 1e-12);
}

#[test]
fn only_cropland_is_averaged_and_little_of_it_is_none() {
    let pixels = |crop: usize| {
        (0..100).map(move |at| {
            let is_cropland = at < crop;
            (Some(if is_cropland { 0.6 } else { 0.1 }), 1.0, is_cropland)
        })
    };
    let cell = cell_date(pixels(30), CROPLAND_PIXELS_MIN);
    assert!((cell.ndvi.unwrap() - 0.6).abs() < 1e-12);
    assert_eq!(cell.pixels, 30);
    assert_eq!(cell_date(pixels(29), CROPLAND_PIXELS_MIN).ndvi, None);
    assert_eq!(cell_date(std::iter::empty(), 0).ndvi, None);
}

#[test]
fn a_pixel_counts_by_its_weight() {
    let pixels = [
        (Some(0.2), 1.0, true),
        (Some(0.5), 0.5, true),
        (None, 1.0, true),
    ];
    let cell = cell_date(pixels.into_iter(), 1);
    assert!((cell.ndvi.unwrap() - 0.3).abs() < 1e-12);
    assert!((cell.valid_share - 2.0 / 3.0).abs() < 1e-12);
}

proptest! {
    #[test]
    fn more_reach_never_keeps_more(
        scl in prop::collection::vec(0_u8..12, 60), reach in 0_usize..4,
    ) {
        let with = |reach| weigh(&Mask { reach, ..Mask::default() }, &scl, 12);
        prop_assert!(kept(&with(reach + 1)) <= kept(&with(reach)));
    }
}
