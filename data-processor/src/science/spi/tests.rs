//! The SPI of Kenya's long rains against the published series, and of the library's first months.
//! Run by `cargo test`; the whole files are `validate`'s.

use super::*;
use crate::science::distribution::gamma::Gamma;
use crate::science::standardise::{Scratch, series};

/// March to May totals over Kenya, mm, 1981-2025 (CHIRPS v3).
const LONG_RAINS: [f64; 45] = [
    512.540_328_979_492_2,
    333.783_905_029_296_9,
    219.315_601_348_876_95,
    194.172_922_134_399_4,
    370.585_250_854_492_2,
    350.580_551_147_460_94,
    319.660_179_138_183_6,
    352.348_274_230_957_03,
    352.009_635_925_292_97,
    418.047_924_041_748_05,
    305.643_348_693_847_66,
    254.717_998_504_638_67,
    210.949_478_149_414_06,
    277.170_593_261_718_75,
    299.572_128_295_898_44,
    259.977_973_937_988_3,
    387.518_997_192_382_8,
    323.191_184_997_558_6,
    278.846_805_572_509_77,
    166.624_691_009_521_48,
    259.083_877_563_476_56,
    331.428_771_972_656_25,
    317.831_481_933_593_75,
    233.728_755_950_927_73,
    283.326_641_082_763_7,
    335.501_708_984_375,
    252.194_477_081_298_83,
    267.657_024_383_544_9,
    205.614_421_844_482_42,
    364.360_008_239_746_1,
    185.092_948_913_574_22,
    292.304_599_761_962_9,
    390.088_394_165_039_06,
    245.210_830_688_476_56,
    309.288_333_892_822_27,
    297.913_082_122_802_73,
    219.791_770_935_058_6,
    573.784_835_815_429_7,
    233.162_212_371_826_17,
    443.441_284_179_687_5,
    275.411_582_946_777_34,
    212.599_800_109_863_28,
    384.815_807_342_529_3,
    379.742_034_912_109_4,
    369.544_097_900_390_6,
];

#[test]
fn kenya_s_long_rains_score_as_published() {
    let readings = LONG_RAINS.map(Some);
    let mut scores = [None; 45];
    series(
        &readings,
        &seasonal(0..45),
        &mut Scratch::default(),
        &mut scores,
    )
    .unwrap();
    for (year, published) in [
        (1984, -1.539_67),
        (1993, -1.264_20),
        (2000, -2.030_29),
        (2009, -1.350_11),
        (2011, -1.695_69),
        (2018, 2.730_34),
        (2022, -1.237_93),
        (2024, 0.915_70),
    ] {
        let score: f64 = scores[year - 1981].unwrap();
        assert!((score - published).abs() <= 1e-5, "{year}: {score}");
    }
}

#[test]
fn kenya_s_long_rains_fit_the_published_gamma() {
    let logarithms = LONG_RAINS.map(libm::log);
    let fit = Gamma::thom(&LONG_RAINS, &logarithms).unwrap();
    assert!((fit.shape - 14.521_049_5).abs() < 1e-6);
    assert!((fit.scale - 21.195_554_8).abs() < 1e-6);
}

#[test]
fn the_recipe_is_mckee_s() {
    let recipe = monthly(3, 0..360);
    assert_eq!((recipe.scale, recipe.periods, recipe.first), (3, 12, 0));
    assert_eq!(
        (recipe.family, recipe.zeros),
        (Family::GammaThom, Zeros::Mass)
    );
    assert_eq!((recipe.lowest, recipe.clip), (0.0, 3.09));
    assert_eq!(seasonal(0..40).periods, 1);
}
