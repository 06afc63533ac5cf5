//! The special functions against forty-digit arithmetic: every regime, its seams and its ends.
//! Never against another implementation's rounding. Run by `cargo test`.

use super::*;

/// Shape, argument, lower and upper tail, to 17 digits.
const GAMMA: [(f64, f64, f64, f64); 16] = [
    (0.05, 0.000_1, 0.648_126_939_262_669, 0.351_873_060_737_331),
    (0.3, 2.0, 0.977_974_019_172_853, 0.022_025_980_827_147_015),
    (1.0, 1.0, 0.632_120_558_828_557_7, 0.367_879_441_171_442_33),
    (2.5, 0.4, 0.022_966_656_243_073_723, 0.977_033_343_756_926_3),
    (
        2.5,
        9.0,
        0.997_053_595_412_119_7,
        0.002_946_404_587_880_290_6,
    ),
    (
        14.52,
        9.2,
        0.063_576_088_430_921_44,
        0.936_423_911_569_078_6,
    ),
    (
        50.0,
        75.0,
        0.999_096_067_957_645_9,
        0.000_903_932_042_354_009_1,
    ),
    (
        999.0,
        1_100.0,
        0.999_046_047_031_712_4,
        0.000_953_952_968_287_633_8,
    ),
    (
        1_000.0,
        1_000.0,
        0.504_205_244_180_215_5,
        0.495_794_755_819_784_5,
    ),
    (1_000.0, 1_290.0, 1.0, 1.889_481_031_134_783_8e-17),
    (
        1_600.0,
        1_480.5,
        0.001_118_162_443_760_724_1,
        0.998_881_837_556_239_3,
    ),
    (
        1_600.0,
        1_731.0,
        0.999_307_929_392_265_6,
        0.000_692_070_607_734_321_7,
    ),
    (
        50_000.0,
        49_000.0,
        3.384_754_228_079_491_2e-6,
        0.999_996_615_245_771_9,
    ),
    (1_000.0, 1_500.0, 1.0, 2.204_698_611_388_996e-43),
    (1_000.0, 500.0, 3.298_272_797_067_1e-86, 1.0),
    (
        10_000_000.0,
        10_006_000.0,
        0.971_092_145_073_648_3,
        0.028_907_854_926_351_74,
    ),
];

#[test]
fn both_tails_of_the_gamma_are_those_of_forty_digits() {
    for (a, x, lower, upper) in GAMMA {
        let computed = (gamma_lower(a, x).unwrap(), gamma_upper(a, x).unwrap());
        // the exponent's rounding is all that is lost: a few parts in 1e13 at a shape of 1e7
        assert!(
            (computed.0 - lower).abs() <= 4e-13 * lower,
            "P({a}, {x}) = {}",
            computed.0
        );
        assert!(
            (computed.1 - upper).abs() <= 4e-13 * upper,
            "Q({a}, {x}) = {}",
            computed.1
        );
    }
}

#[test]
fn the_regimes_meet_at_their_seams() {
    // series and fraction at x = a + 1; the expansion and either at a shape of 1,000
    for a in [0.4, 3.0, 80.0, 999.999_999] {
        let (below, above) = (
            gamma_lower(a, a + 0.999_999_999),
            gamma_lower(a, a + 1.000_000_001),
        );
        assert!((below.unwrap() - above.unwrap()).abs() < 1e-9);
    }
    for u in [-0.299, -0.05, 0.0, 0.05, 0.099, 0.101, 0.299] {
        let (small, large) = (999.999_999_999, 1_000.0);
        let gap = gamma_lower(small, small * (1.0 + u)).unwrap()
            - gamma_lower(large, large * (1.0 + u)).unwrap();
        assert!(gap.abs() < 1e-12, "{u}: {gap}");
    }
}

#[test]
fn outside_its_domain_the_gamma_has_no_value() {
    assert_eq!(gamma_lower(2.0, -1.0), Some(0.0));
    assert_eq!(gamma_upper(2.0, 0.0), Some(1.0));
    assert_eq!(gamma_lower(2.0, f64::INFINITY), Some(1.0));
    assert_eq!(
        (gamma_lower(0.0, 1.0), gamma_lower(f64::NAN, 1.0)),
        (None, None)
    );
    assert_eq!((gamma_lower(1.0, f64::NAN), ln_gamma(0.0)), (None, None));
}

#[test]
fn normal_quantiles_are_those_of_forty_digits() {
    for (p, z) in [
        (1.0e-300, -37.047_096_299_361_2),
        (1.0e-20, -9.262_340_089_798_407),
        (1.0e-10, -6.361_340_902_404_057),
        (0.001, -3.090_232_306_167_813_6),
        (0.02, -2.053_748_910_631_823),
        (0.074_9, -1.440_238_267_527_963_7),
        (0.076, -1.432_502_720_825_811_6),
        (0.3, -0.524_400_512_708_040_8),
        (0.5, 0.0),
        (0.9, 1.281_551_565_544_600_6),
        (0.999, 3.090_232_306_167_813),
        (0.999_999, 4.753_424_308_817_088),
    ] {
        let computed = normal_quantile(p);
        assert!(
            (computed - z).abs() <= 2e-15 * (1.0 + z.abs()),
            "{p}: {computed}"
        );
    }
    let ends = Some([normal_quantile(0.0), normal_quantile(1.0)]);
    assert_eq!(ends, Some([f64::NEG_INFINITY, f64::INFINITY]));
}

#[test]
fn quantile_and_share_undo_each_other() {
    for step in -37..=37 {
        let z = f64::from(step) * 0.1;
        assert!((normal_quantile(normal_cdf(z)) - z).abs() < 2e-12, "{z}");
    }
    assert!((normal_density(0.0) - 0.398_942_280_401_432_7).abs() < 1e-16);
}

#[test]
fn the_factors_that_would_cancel_do_not() {
    for (a, value) in [
        (0.5, -0.725_791_352_644_727_4),
        (7.9, -1.962_912_827_645_275_9),
        (8.0, -1.969_070_569_306_562_9),
        (1_000.0, -4.372_899_506_026_297),
    ] {
        assert!((ln_peak(a) - value).abs() < 1e-14, "{a}: {}", ln_peak(a));
    }
    for (a, value) in [
        (0.01, 57.197_263_716_204_084),
        (3.0, 0.601_802_222_450_940_1),
        (49.9, 0.141_918_045_370_524_58),
        (50.0, 0.141_775_346_031_558_56),
        (1_000_000_000.0, 3.162_277_660_563_664e-5),
    ] {
        assert!(
            (half_step(a) / value - 1.0).abs() < 3e-14,
            "{a}: {}",
            half_step(a)
        );
    }
    assert!((ln_gamma(10.0).unwrap() - libm::log(362_880.0)).abs() < 1e-14);
    assert!((ln_excess(1e-8) - 5e-17).abs() < 1e-24);
}
