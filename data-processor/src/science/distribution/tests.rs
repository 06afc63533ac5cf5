//! Fits against figures published or worked by hand, and every refusal of a sample that carries
//! none. Never a fixture file: those are for `validate`. Run by `cargo test`.

use super::gamma::Gamma;
use super::log_logistic::LogLogistic;
use super::moments::{LMoments, unbiased};
use super::pearson::Pearson;
use super::*;

fn near(found: f64, wanted: f64, within: f64) {
    assert!((found - wanted).abs() <= within, "{found} is not {wanted}");
}

fn logarithms(totals: &[f64]) -> Vec<f64> {
    totals
        .iter()
        .map(|total| if *total > 0.0 { libm::log(*total) } else { 0.0 })
        .collect()
}

#[test]
fn moments_by_hand() {
    // 1, 2, 4, 9: b0 4, b1 (2 + 8 + 27)/12, b2 (8 + 54)/24
    let moments = unbiased(&[1.0, 2.0, 4.0, 9.0]).unwrap();
    let (b0, b1, b2) = (4.0, 37.0 / 12.0, 62.0 / 24.0);
    near(moments.mean, b0, 1e-15);
    near(moments.scale, 2.0 * b1 - b0, 1e-15);
    near(
        moments.skew,
        (6.0 * b2 - 6.0 * b1 + b0) / (2.0 * b1 - b0),
        1e-15,
    );
}

#[test]
fn thom_by_hand_and_zeros_do_not_weigh() {
    let totals = [10.0, 20.0, 40.0, 80.0];
    let spread = libm::log(37.5) - libm::log(10.0 * 20.0 * 40.0 * 80.0) / 4.0;
    let fit = Gamma::thom(&totals, &logarithms(&totals)).unwrap();
    near(
        fit.shape,
        (1.0 + (1.0 + 4.0 * spread / 3.0).sqrt()) / (4.0 * spread),
        1e-13,
    );
    near(fit.mean(), 37.5, 1e-13);
    let with_zeros = [0.0, 10.0, 20.0, 0.0, 40.0, 80.0, 0.0];
    assert_eq!(Gamma::thom(&with_zeros, &logarithms(&with_zeros)), Ok(fit));
}

#[test]
fn a_sample_without_spread_or_variety_is_refused() {
    let thom = |totals: &[f64]| Gamma::thom(totals, &logarithms(totals));
    assert_eq!(thom(&[5.0; 40]), Err(Refusal::TooFew));
    assert_eq!(thom(&[5.0, 6.0, 7.0, 7.0, 7.0]), Err(Refusal::TooFew));
    assert_eq!(thom(&[0.0; 40]), Err(Refusal::TooFew));
    assert_eq!(thom(&[]), Err(Refusal::TooFew));
    assert!(thom(&[5.0, 6.0, 7.0, 8.0]).is_ok());
    // four values that differ in their last digits only: A is 0 or below it
    let same = [1.0, 1.0 + 3e-16, 1.0 + 5e-16, 1.0 + 7e-16];
    assert!(matches!(
        thom(&same),
        Err(Refusal::NoSpread | Refusal::TooFew)
    ));
    assert_eq!(unbiased(&[1.0, 1.0, 2.0, 3.0]), Err(Refusal::TooFew));
    let outside = LMoments {
        mean: 1.0,
        scale: 1.2,
        skew: 0.1,
    };
    assert_eq!(Gamma::by_moments(&outside), Err(Refusal::OutOfFamily));
    let skewed = LMoments {
        mean: 1.0,
        scale: 1.0,
        skew: 1.0,
    };
    assert_eq!(LogLogistic::by_moments(&skewed), Err(Refusal::OutOfFamily));
    assert_eq!(Pearson::by_moments(&skewed), Err(Refusal::OutOfFamily));
}

#[test]
fn a_gamma_by_moments_returns_to_its_moments() {
    // an exponential: l2 = l1/2, shape 1
    let fit = Gamma::by_moments(&LMoments {
        mean: 3.0,
        scale: 1.5,
        skew: 1.0 / 3.0,
    })
    .unwrap();
    near(fit.shape, 1.0, 1e-4);
    // shape 4: l2/l1 = Γ(4.5)/(√π Γ(5)) = 0.2734375
    let fit = Gamma::by_moments(&LMoments {
        mean: 8.0,
        scale: 8.0 * 0.273_437_5,
        skew: 0.2,
    })
    .unwrap();
    near(fit.shape, 4.0, 4e-4);
    near(fit.share_below(8.0), 0.566_529_879, 2e-5);
}

#[test]
fn a_log_logistic_without_skew_is_logistic_and_ends_where_it_ends() {
    let fit = LogLogistic::by_moments(&LMoments {
        mean: 10.0,
        scale: 2.0,
        skew: 0.0,
    })
    .unwrap();
    near(fit.share_below(10.0), 0.5, 1e-15);
    near(fit.share_below(12.0), 1.0 / (1.0 + libm::exp(-1.0)), 1e-15);
    let skewed = LogLogistic {
        location: 17.167_734_6,
        scale: 9.985_607_4,
        shape: -0.188_290_8,
    };
    near(skewed.share_below(17.167_734_6), 0.5, 1e-15);
    // k < 0: the lowest value is ξ + a/k
    near(
        skewed.share_below(17.167_734_6 - 9.985_607_4 / 0.188_290_8 - 1.0),
        0.0,
        0.0,
    );
    let mirrored = LogLogistic {
        shape: 0.2,
        ..skewed
    };
    near(mirrored.share_below(1e6), 1.0, 0.0);
}

#[test]
fn a_pearson_without_skew_is_normal_and_mirrors() {
    let fit = Pearson::by_moments(&LMoments {
        mean: 10.0,
        scale: 2.0,
        skew: 0.0,
    })
    .unwrap();
    near(fit.scale, 2.0 * core::f64::consts::PI.sqrt(), 1e-15);
    near(fit.share_below(10.0), 0.5, 1e-15);
    let right = Pearson::by_moments(&LMoments {
        mean: 0.0,
        scale: 2.0,
        skew: 0.2,
    })
    .unwrap();
    let left = Pearson::by_moments(&LMoments {
        mean: 0.0,
        scale: 2.0,
        skew: -0.2,
    })
    .unwrap();
    near(right.share_below(1.5), 1.0 - left.share_below(-1.5), 1e-14);
    // t3 = 1/3 is the exponential: skewness 2
    let steep = Pearson::by_moments(&LMoments {
        mean: 1.0,
        scale: 0.5,
        skew: 1.0 / 3.0,
    })
    .unwrap();
    near(steep.skew, 2.0, 2e-4);
    // the seam of the two approximations, and a skew so small that Γ's ratio is asymptotic
    for skew in [0.333_333_3, 0.333_333_4, 1e-3, 1e-5] {
        let fit = Pearson::by_moments(&LMoments {
            mean: 0.0,
            scale: 1.0,
            skew,
        })
        .unwrap();
        near(fit.share_below(100.0), 1.0, 1e-12);
        assert!(fit.scale > 1.7 && fit.scale < 2.1, "{skew}: {fit:?}");
    }
}

#[test]
fn the_ends_of_a_pearson_are_held_as_climate_indices_holds_them() {
    let right = Pearson {
        location: 10.0,
        scale: 4.0,
        skew: 1.0,
    };
    near(right.share_held(2.0, 0.0), 0.0005, 0.0);
    near(right.share_held(0.0001, 0.3), 0.0005, 0.0);
    let left = Pearson {
        location: 10.0,
        scale: 4.0,
        skew: -1.0,
    };
    near(left.share_held(18.0, 0.0), 0.9995, 0.0);
    near(left.share_held(0.0, 0.3), 0.0, 0.0);
    near(left.share_held(0.0, 0.0), 0.0005, 0.0);
    near(left.share_held(9.0, 0.0), left.share_below(9.0), 0.0);
}
