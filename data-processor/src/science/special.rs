//! Special functions of the indices: log-gamma, the regularised incomplete gamma function, the
//! normal distribution and its inverse. Only `libm` and plain arithmetic, so that a value is the
//! same on every platform. Pure. Called by `distribution`, `standardise` and the pricing's factors.

pub mod lanes;

use core::f64::consts::{FRAC_1_SQRT_2, PI, SQRT_2};

/// Above this shape, and within three tenths of it, the uniform expansion replaces series and
/// fraction, whose lengths grow with its root.
const SHAPE_UNIFORM: f64 = 1_000.0;

/// A bound on terms that no argument reaches (the slowest needs about twenty roots of 1,000).
const TERMS_MAX: u32 = 20_000;

/// ln Γ(x) for x > 0; NaN below zero is the caller's mistake, so `None` there.
#[must_use]
pub fn ln_gamma(x: f64) -> Option<f64> {
    (x > 0.0).then(|| libm::lgamma(x))
}

/// ln(aᵃ e⁻ᵃ / Γ(a+1)) for a > 0: what is left of the gamma density's factor once everything that
/// depends on the value is a ratio to the mean. Stirling's series (DLMF 5.11.1) from 8 on, where
/// its last term is below 1e-16.
#[must_use]
pub fn ln_peak(a: f64) -> f64 {
    if a < 8.0 {
        return a * libm::log(a) - a - libm::lgamma(a + 1.0);
    }
    let w = 1.0 / (a * a);
    let stirling = (1.0 / 12.0
        - w * (1.0 / 360.0
            - w * (1.0 / 1_260.0
                - w * (1.0 / 1_680.0
                    - w * (1.0 / 1_188.0 - w * (691.0 / 360_360.0 - w / 156.0))))))
        / a;
    -0.5 * libm::log(2.0 * PI * a) - stirling
}

/// u − ln(1+u) for u > −1, by series where the difference would cancel.
#[must_use]
pub fn ln_excess(u: f64) -> f64 {
    if u.abs() > 0.1 {
        return u - libm::log1p(u);
    }
    // u²/2 − u³/3 + u⁴/4 − … to u¹⁹/19: the next term is below 1e-19 of the first
    let mut sum = 0.0;
    for n in (2..=19_u32).rev() {
        sum = 1.0 / f64::from(n) - u * sum;
    }
    u * u * sum
}

/// Regularised lower incomplete gamma function P(a, x) = γ(a, x)/Γ(a), 0 … 1, for a > 0.
/// `None` for a ≤ 0 or an argument that is not a number; 0 for x ≤ 0.
#[must_use]
pub fn gamma_lower(a: f64, x: f64) -> Option<f64> {
    split(a, x).map(|(lower, _)| lower)
}

/// Regularised upper incomplete gamma function Q(a, x) = 1 − P(a, x), precise where it is small.
/// `None` as of [`gamma_lower`].
#[must_use]
pub fn gamma_upper(a: f64, x: f64) -> Option<f64> {
    split(a, x).map(|(_, upper)| upper)
}

/// Both tails: the smaller is computed, the other is its complement.
fn split(a: f64, x: f64) -> Option<(f64, f64)> {
    if !(a > 0.0 && a.is_finite()) || x.is_nan() {
        return None;
    }
    if x <= 0.0 {
        return Some((0.0, 1.0));
    }
    if x == f64::INFINITY {
        return Some((1.0, 0.0));
    }
    let u = (x - a) / a;
    if a >= SHAPE_UNIFORM && u.abs() < 0.3 {
        return Some(uniform(a, u));
    }
    // xᵃ e⁻ˣ / Γ(a+1)
    let front = libm::exp(ln_peak(a) - a * ln_excess(u));
    if x < a + 1.0 {
        let lower = (front * series(a, x)).min(1.0);
        Some((lower, 1.0 - lower))
    } else {
        let upper = (front * a * fraction(a, x)).min(1.0);
        Some((1.0 - upper, upper))
    }
}

/// 1 + x/(a+1) + x²/((a+1)(a+2)) + … (DLMF 8.11.4): no term is negative.
fn series(a: f64, x: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for n in 1..TERMS_MAX {
        term *= x / (a + f64::from(n));
        sum += term;
        if term < sum * 1e-17 {
            break;
        }
    }
    sum
}

/// 1/(x+1−a− 1(1−a)/(x+3−a− …)) (DLMF 8.9.2), by Lentz's method.
fn fraction(a: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let kept = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut partial = x + 1.0 - a;
    let mut inverse = 1.0 / kept(partial);
    let mut ratio = 1.0 / TINY;
    let mut result = inverse;
    for n in 1..TERMS_MAX {
        let n = f64::from(n);
        let numerator = -n * (n - a);
        partial += 2.0;
        inverse = 1.0 / kept(numerator * inverse + partial);
        ratio = kept(partial + numerator / ratio);
        let factor = inverse * ratio;
        result *= factor;
        if (factor - 1.0).abs() < 1e-16 {
            break;
        }
    }
    result
}

/// Coefficients of Temme's uniform expansion (DLMF 8.12.7 and 8.12.12), a row a power of 1/a, a
/// column a power of η: the rational numbers d(k,n), to double precision.
const TEMME: [&[f64]; 5] = [
    &[
        -0.333_333_333_333_333_3,
        0.083_333_333_333_333_33,
        -0.014_814_814_814_814_815,
        0.001_157_407_407_407_407_3,
        0.000_352_733_686_067_019_4,
        -0.000_178_755_144_032_921_8,
        3.919_263_178_522_438e-5,
        -2.185_448_510_679_992e-6,
        -1.854_062_210_715_16e-6,
        8.296_711_340_953_087e-7,
        -1.766_595_273_682_607_8e-7,
        6.707_853_543_401_498e-9,
        1.026_180_978_424_030_9e-8,
        -4.382_036_018_453_353e-9,
        9.147_699_582_236_79e-10,
    ],
    &[
        -0.001_851_851_851_851_852,
        -0.003_472_222_222_222_222,
        0.002_645_502_645_502_645_4,
        -0.000_990_226_337_448_559_6,
        0.000_205_761_316_872_427_98,
        -4.018_775_720_164_609e-7,
        -1.809_855_033_448_997_7e-5,
        7.649_160_916_081_11e-6,
        -1.612_090_089_463_445e-6,
        4.647_127_802_807_434e-9,
        1.378_633_446_915_721e-7,
        -5.752_545_603_517_705e-8,
    ],
    &[
        0.004_133_597_883_597_883,
        -0.002_681_327_160_493_827_3,
        0.000_771_604_938_271_604_9,
        2.009_387_860_082_304_7e-6,
        -0.000_107_366_532_263_651_6,
        5.292_344_882_912_012_5e-5,
        -1.276_063_518_861_872_8e-5,
        3.423_578_734_096_138e-8,
        1.372_195_730_906_293_4e-6,
    ],
    &[
        0.000_649_434_156_378_600_8,
        0.000_229_472_093_621_399_17,
        -0.000_469_189_494_395_255_7,
        0.000_267_720_632_062_838_85,
        -7.561_801_671_883_977e-5,
        -2.396_505_113_867_297e-7,
    ],
    &[
        -0.000_861_888_290_916_711_7,
        0.000_784_039_221_720_066_6,
        -0.000_299_072_480_303_190_2,
    ],
];

/// Temme's expansion for a large shape, u = x/a − 1.
fn uniform(a: f64, u: f64) -> (f64, f64) {
    let excess = ln_excess(u);
    let eta = libm::copysign((2.0 * excess).sqrt(), u);
    let mut sum = 0.0;
    for row in TEMME.iter().rev() {
        let inner = row.iter().rev().fold(0.0, |inner, d| inner * eta + d);
        sum = sum / a + inner;
    }
    let rest = libm::exp(-a * excess) / (2.0 * PI * a).sqrt() * sum;
    let upper = 0.5 * libm::erfc(eta * (0.5 * a).sqrt());
    let lower = 0.5 * libm::erfc(-eta * (0.5 * a).sqrt());
    (lower - rest, upper + rest)
}

/// Γ(a) / Γ(a+½) for a > 0, by its asymptotic series from 50 on, where the difference of two
/// log-gammas would cancel.
#[must_use]
pub fn half_step(a: f64) -> f64 {
    if a < 50.0 {
        return libm::exp(libm::lgamma(a) - libm::lgamma(a + 0.5));
    }
    let w = 1.0 / a;
    let ratio = 1.0
        - w * (1.0 / 8.0
            - w * (1.0 / 128.0
                + w * (5.0 / 1_024.0 - w * (21.0 / 32_768.0 + w * 399.0 / 262_144.0))));
    1.0 / (a.sqrt() * ratio)
}

/// Φ(z): the share of a standard normal below z, 0 … 1.
#[must_use]
pub fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

/// φ(z): the standard normal density.
#[must_use]
pub fn normal_density(z: f64) -> f64 {
    libm::exp(-0.5 * z * z) / (SQRT_2 * PI.sqrt())
}

/// Half-width of the middle, |p − ½|, within which no logarithm is needed (AS 241).
pub(super) const MIDDLE: f64 = 0.425;

/// Tails from here on are near ones (AS 241: e⁻²⁵), a score of 6.6.
pub(super) const TAIL_NEAR: f64 = 1.388_794_386_496_402e-11;

/// Φ⁻¹(p), to about 1e-15 of the true value: Wichura's AS 241 (PPND16, Applied Statistics 37,
/// 1988). −∞ at 0 and +∞ at 1; NaN outside, which [`crate::science::standardise`] never asks for.
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= MIDDLE {
        quantile_middle(q)
    } else {
        quantile_tail(p)
    }
}

/// Φ⁻¹(½ + q) for |q| ≤ [`MIDDLE`], without a branch, so that loops over it are vector code.
#[inline]
pub(super) fn quantile_middle(q: f64) -> f64 {
    let r = 0.180_625 - q * q;
    let numerator = polynomial(
        r,
        [
            3.387_132_872_796_366_5,
            133.141_667_891_784_38,
            1_971.590_950_306_551_3,
            13_731.693_765_509_46,
            45_921.953_931_549_87,
            67_265.770_927_008_7,
            33_430.575_583_588_13,
            2_509.080_928_730_122_7,
        ],
    );
    let denominator = polynomial(
        r,
        [
            1.0,
            42.313_330_701_600_91,
            687.187_007_492_057_9,
            5_394.196_021_424_751,
            21_213.794_301_586_597,
            39_307.895_800_092_71,
            28_729.085_735_721_943,
            5_226.495_278_852_854,
        ],
    );
    q * numerator / denominator
}

/// Φ⁻¹(p) outside the middle.
pub(super) fn quantile_tail(p: f64) -> f64 {
    let tail = p.min(1.0 - p);
    let size = if tail >= TAIL_NEAR {
        quantile_near((-libm::log(tail)).sqrt())
    } else if tail > 0.0 {
        quantile_far((-libm::log(tail)).sqrt())
    } else {
        f64::INFINITY
    };
    if p < 0.5 { -size } else { size }
}

/// −Φ⁻¹(p) for [`TAIL_NEAR`] ≤ p < ½ − [`MIDDLE`], of r = √(−ln p): without a branch.
#[inline]
pub(super) fn quantile_near(r: f64) -> f64 {
    let r = r - 1.6;
    let numerator = polynomial(
        r,
        [
            1.423_437_110_749_683_5,
            4.630_337_846_156_546,
            5.769_497_221_460_691,
            3.647_848_324_763_204_5,
            1.270_458_252_452_368_4,
            0.241_780_725_177_450_6,
            0.022_723_844_989_269_184,
            0.000_774_545_014_278_341_4,
        ],
    );
    let denominator = polynomial(
        r,
        [
            1.0,
            2.053_191_626_637_759,
            1.676_384_830_183_803_8,
            0.689_767_334_985_1,
            0.148_103_976_427_480_08,
            0.015_198_666_563_616_457,
            0.000_547_593_808_499_534_5,
            1.050_750_071_644_416_8e-9,
        ],
    );
    numerator / denominator
}

/// −Φ⁻¹(p) for 0 < p < [`TAIL_NEAR`], of r = √(−ln p).
fn quantile_far(r: f64) -> f64 {
    let r = r - 5.0;
    let numerator = polynomial(
        r,
        [
            6.657_904_643_501_103,
            5.463_784_911_164_114,
            1.784_826_539_917_291_3,
            0.296_560_571_828_504_87,
            0.026_532_189_526_576_124,
            0.001_242_660_947_388_078_4,
            2.711_555_568_743_487_6e-5,
            2.010_334_399_292_288_1e-7,
        ],
    );
    let denominator = polynomial(
        r,
        [
            1.0,
            0.599_832_206_555_888,
            0.136_929_880_922_735_8,
            0.014_875_361_290_850_615,
            0.000_786_869_131_145_613_3,
            1.846_318_317_510_054_8e-5,
            1.421_511_758_316_446e-7,
            2.044_263_103_389_939_8e-15,
        ],
    );
    numerator / denominator
}

/// Horner's rule, lowest power first.
#[inline]
fn polynomial(x: f64, coefficients: [f64; 8]) -> f64 {
    let [c0, c1, c2, c3, c4, c5, c6, c7] = coefficients;
    c0 + x * (c1 + x * (c2 + x * (c3 + x * (c4 + x * (c5 + x * (c6 + x * c7))))))
}

#[cfg(test)]
mod tests;
