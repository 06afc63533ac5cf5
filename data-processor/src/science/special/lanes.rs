//! Logarithm, exponential, power series and normal quantile for a handful of values at once, in
//! plain arithmetic that the compiler turns into vector code on any target: no branch, no table, no
//! fused multiply, so the bits are the same everywhere. Never for single values. Called by
//! `standardise`.

use super::{MIDDLE, TAIL_NEAR, quantile_middle, quantile_near, quantile_tail};

/// Values handled together where there are many.
pub const WIDE: usize = 16;

/// Values handled together at the end of a row.
pub const NARROW: usize = 8;

/// 1.5·2⁵²: added and taken away it rounds to a whole number, whose bits are the sum's lowest.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// 2⁵²: its lowest bits hold a whole number as they stand.
const WHOLE: u64 = 0x4330_0000_0000_0000;

/// Bits of 1.
const ONE: u64 = 0x3FF0_0000_0000_0000;

/// Bits of √½, where the mantissa is cut so that it lies about 1.
const ROOT_HALF: u64 = 0x3FE6_A09E_667F_3BCD;

/// ln 2 in two parts, the first with zeros enough at its end to be multiplied exactly.
const LN2: [f64; 2] = [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10];

/// eʳ for |r| ≤ ln 2 / 2 in powers of r, highest first: 1 + r + r²q(r) with the q of least greatest
/// relative error, 2.9e-16 (Remez's exchange in fifty digits).
const EXP: [f64; 11] = [
    2.747_680_046_811_588_3e-7,
    2.763_499_077_247_382e-6,
    2.480_193_170_824_127e-5,
    0.000_198_411_852_362_306_04,
    0.001_388_888_851_623_61,
    0.008_333_333_370_870_09,
    0.041_666_666_668_136_454,
    0.166_666_666_666_115_54,
    0.499_999_999_999_983_24,
    1.0,
    1.0,
];

/// ln x of normal positive numbers, within 1 ulp (the polynomial of FreeBSD's `e_log.c`). Anything
/// else gives a number without meaning, not a fault.
#[inline]
pub fn ln<const N: usize>(x: &[f64; N]) -> [f64; N] {
    let mut out = [0.0; N];
    for (out, x) in out.iter_mut().zip(x) {
        let shifted = x.to_bits().wrapping_add(ONE - ROOT_HALF);
        let power = f64::from_bits(WHOLE | (shifted >> 52)) - (f64::from_bits(WHOLE) + 1_023.0);
        let mantissa = f64::from_bits((shifted & 0x000F_FFFF_FFFF_FFFF).wrapping_add(ROOT_HALF));
        // ln(1+f) = 2 artanh(s), s = f/(2+f), in powers of s²
        let f = mantissa - 1.0;
        let s = f / (2.0 + f);
        let (square, fourth) = (s * s, (s * s) * (s * s));
        let even = fourth
            * (0.399_999_999_994_094_2
                + fourth * (0.222_221_984_321_497_84 + fourth * 0.153_138_376_992_093_73));
        let odd = square
            * (0.666_666_666_666_673_5
                + fourth
                    * (0.285_714_287_436_623_9
                        + fourth * (0.181_835_721_616_180_5 + fourth * 0.147_981_986_051_165_86)));
        let half = 0.5 * f * f;
        *out = power * LN2[0] - ((half - (s * (half + even + odd) + power * LN2[1])) - f);
    }
    out
}

/// eˣ of numbers within −700 … 700, within 2 ulp; below −700 as at −700.
#[inline]
pub fn exp<const N: usize>(x: &[f64; N]) -> [f64; N] {
    let mut out = [0.0; N];
    for (out, x) in out.iter_mut().zip(x) {
        let x = if *x > -700.0 { *x } else { -700.0 };
        let sum = x * core::f64::consts::LOG2_E + ROUNDER;
        let power = sum - ROUNDER;
        let r = (x - power * LN2[0]) - power * LN2[1];
        let series = EXP.iter().fold(0.0, |series, c| series * r + c);
        let scale = f64::from_bits((sum.to_bits() << 52).wrapping_add(ONE));
        *out = series * scale;
    }
    out
}

/// Σ cₙ xⁿ, lowest power first; even and odd powers apart, so that a step need not wait for the one
/// before.
#[inline]
pub fn power_series<const N: usize>(coefficients: &[f64], x: &[f64; N]) -> [f64; N] {
    let square = x.map(|x| x * x);
    let (mut even, mut odd) = ([0.0; N], [0.0; N]);
    let (pairs, last) = coefficients.as_chunks::<2>();
    if let Some(last) = last.first() {
        even = [*last; N];
    }
    for [c_even, c_odd] in pairs.iter().rev() {
        for (even, square) in even.iter_mut().zip(&square) {
            *even = *even * square + c_even;
        }
        for (odd, square) in odd.iter_mut().zip(&square) {
            *odd = *odd * square + c_odd;
        }
    }
    for ((even, odd), x) in even.iter_mut().zip(&odd).zip(x) {
        *even += odd * x;
    }
    even
}

/// ln of a row: of each value above zero; 0 for the others. `out` takes its length.
pub fn logarithms(values: &[f64], out: &mut Vec<f64>) {
    out.clear();
    out.resize(values.len(), 0.0);
    let only_positive = |value: f64| if value > 0.0 { value } else { 1.0 };
    let (wide, rest) = values.as_chunks::<WIDE>();
    let (wide_out, rest_out) = out.as_chunks_mut::<WIDE>();
    for (values, out) in wide.iter().zip(wide_out) {
        *out = ln(&values.map(only_positive));
    }
    let last = ln::<WIDE>(&padded(rest).map(only_positive));
    for (out, value) in rest_out.iter_mut().zip(last) {
        *out = value;
    }
}

/// The largest of a row and nought.
#[must_use]
pub fn largest(values: &[f64]) -> f64 {
    let more = |most: f64, value: f64| if value > most { value } else { most };
    let mut most = [0.0; NARROW];
    let (chunks, rest) = values.as_chunks::<NARROW>();
    for chunk in chunks {
        for (most, value) in most.iter_mut().zip(chunk) {
            *most = more(*most, *value);
        }
    }
    most.iter().chain(rest).copied().fold(0.0, more)
}

/// A buffer of [`normal_quantiles`].
#[derive(Debug, Default, Clone)]
pub struct Tails {
    places: Vec<usize>,
    shares: Vec<f64>,
}

impl Tails {
    /// Collects the shares outside the middle, without a branch; how many there are.
    fn collect(&mut self, shares: &[f64]) -> usize {
        // one more than can be found: the place written next is always there
        self.places.resize(shares.len() + 1, 0);
        self.shares.resize(shares.len() + 1, 0.0);
        let mut found = 0;
        for (at, share) in shares.iter().enumerate() {
            if let (Some(place), Some(kept)) =
                (self.places.get_mut(found), self.shares.get_mut(found))
            {
                *place = at;
                *kept = *share;
            }
            found += usize::from((share - 0.5).abs() > MIDDLE);
        }
        found
    }
}

/// Φ⁻¹ of a row of shares 0 … 1 in place (AS 241): the middle for all, then the tails together.
pub fn normal_quantiles(shares: &mut [f64], tails: &mut Tails) {
    let found = tails.collect(shares);
    let (wide, rest) = shares.as_chunks_mut::<WIDE>();
    for chunk in wide {
        for share in chunk.iter_mut() {
            *share = quantile_middle(*share - 0.5);
        }
    }
    for share in rest {
        *share = quantile_middle(*share - 0.5);
    }
    let places = tails.places.get(..found).unwrap_or_default().chunks(WIDE);
    let found = tails.shares.get(..found).unwrap_or_default().chunks(WIDE);
    for (places, found) in places.zip(found) {
        let found = padded::<WIDE>(found);
        let sizes = found.map(|share| share.min(1.0 - share).max(TAIL_NEAR));
        let sizes = ln(&sizes).map(|logarithm| quantile_near((-logarithm).sqrt()));
        for ((place, share), size) in places.iter().zip(found).zip(sizes) {
            let score = if share.min(1.0 - share) < TAIL_NEAR {
                quantile_tail(share)
            } else {
                libm::copysign(size, share - 0.5)
            };
            if let Some(place) = shares.get_mut(*place) {
                *place = score;
            }
        }
    }
}

/// The first values, the rest 1.
#[inline]
pub fn padded<const N: usize>(values: &[f64]) -> [f64; N] {
    let mut lanes = [1.0; N];
    for (lane, value) in lanes.iter_mut().zip(values) {
        *lane = *value;
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_that_of_libm() {
        let mut x = 3e-300;
        while x < 1e300 {
            let wanted = libm::log(x);
            for got in ln(&[x; NARROW]) {
                assert!(
                    (got - wanted).abs() <= 3e-16 * wanted.abs().max(1e-3),
                    "{x}: {got}"
                );
            }
            x *= 1.037;
        }
        assert!(
            ln(&[1.0; NARROW])
                .iter()
                .all(|zero| zero.abs() < f64::MIN_POSITIVE)
        );
        for step in -1000..1000 {
            let x = 1.0 + f64::from(step) * 3.3e-4;
            let wanted = libm::log(x);
            assert!(
                ln(&[x; WIDE])
                    .iter()
                    .all(|got| (got - wanted).abs() <= 3e-16 * wanted.abs())
            );
        }
        let mut row = Vec::new();
        logarithms(&[0.0, 1.0, -3.0, 2.0], &mut row);
        let wanted = [0.0, 0.0, 0.0, core::f64::consts::LN_2];
        assert!(
            row.iter()
                .zip(wanted)
                .all(|(got, wanted)| (got - wanted).abs() < 1e-16)
        );
    }

    #[test]
    fn the_exponential_is_that_of_libm() {
        for step in -7000..7000 {
            let x = f64::from(step) * 0.0999;
            let wanted = libm::exp(x);
            assert!(
                exp(&[x; NARROW])
                    .iter()
                    .all(|got| (got / wanted - 1.0).abs() <= 5e-16),
                "{x}"
            );
        }
        assert!(
            exp(&[-1e9; WIDE])
                .iter()
                .all(|got| *got > 0.0 && *got < 1e-300)
        );
    }

    #[test]
    fn a_row_of_quantiles_is_that_of_one_at_a_time() {
        let mut shares: Vec<f64> = (0..=1000_u32)
            .map(|share| f64::from(share) / 1000.0)
            .collect();
        shares.extend([1e-12, 1e-200, 1.0 - 1e-15, 2e-11]);
        let mut row = shares.clone();
        normal_quantiles(&mut row, &mut Tails::default());
        for (share, got) in shares.iter().zip(row) {
            let wanted = crate::science::special::normal_quantile(*share);
            assert!(
                Some(got) == Some(wanted) || (got - wanted).abs() < 2e-15,
                "{share}: {got} {wanted}"
            );
        }
    }

    #[test]
    fn the_largest_may_be_anywhere() {
        for at in 0..21 {
            let mut row = [1.0; 21];
            row[at] = 7.0;
            assert!((largest(&row) - 7.0).abs() < 1e-15);
        }
        assert!(largest(&[-1.0, -2.0]).abs() < 1e-300);
    }

    #[test]
    fn a_power_series_is_that_of_horner() {
        for length in 0..6 {
            let coefficients = [1.0, 2.0, 3.0, 4.0, 5.0]
                .get(..length)
                .unwrap_or(&[])
                .to_vec();
            let wanted = coefficients.iter().rev().fold(0.0, |sum, c| sum * 2.0 + c);
            assert!(
                power_series(&coefficients, &[2.0; NARROW])
                    .iter()
                    .all(|got| (got - wanted).abs() < 1e-12)
            );
        }
    }
}
