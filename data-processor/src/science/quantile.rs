//! Sample quantiles under their named conventions. The convention moves a trigger by tens of
//! millimetres on forty years of rain, so it is an argument and never a habit. Never sorts or
//! drops for the caller: the sample comes sorted and whole. Used by pricing, triggers, scores.

use super::count;

/// Which of the continuous definitions of Hyndman & Fan (1996), by their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Convention {
    /// Type 5, Hazen: `h = n·p + 1/2`.
    Hazen,
    /// Type 6, Weibull: `h = (n + 1)·p`; return periods are stated in it.
    Weibull,
    /// Type 7, the spreadsheet's and NumPy's default: `h = (n − 1)·p + 1`.
    Linear,
    /// Type 8, median-unbiased: `h = (n + 1/3)·p + 1/3`; advised for estimating triggers.
    MedianUnbiased,
}

impl Convention {
    /// All of them, by rising number.
    pub const ALL: [Self; 4] = [
        Self::Hazen,
        Self::Weibull,
        Self::Linear,
        Self::MedianUnbiased,
    ];

    /// Number in Hyndman & Fan: 5, 6, 7 or 8.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Hazen => 5,
            Self::Weibull => 6,
            Self::Linear => 7,
            Self::MedianUnbiased => 8,
        }
    }

    /// The convention of a number, `None` for one that is not offered.
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|convention| convention.number() == number)
    }

    /// Name for a contract and a table: `type 8 (median-unbiased)`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hazen => "type 5 (Hazen)",
            Self::Weibull => "type 6 (Weibull)",
            Self::Linear => "type 7 (linear)",
            Self::MedianUnbiased => "type 8 (median-unbiased)",
        }
    }

    /// Position of probability `p` in a sample of `n`, counted from 1.
    fn position(self, n: f64, p: f64) -> f64 {
        const THIRD: f64 = 1.0 / 3.0;
        match self {
            Self::Hazen => n * p + 0.5,
            Self::Weibull => (n + 1.0) * p,
            Self::Linear => (n - 1.0) * p + 1.0,
            Self::MedianUnbiased => (n + THIRD) * p + THIRD,
        }
    }
}

/// Sorts a sample, smallest first, as [`quantile`] wants it. Allocates nothing.
pub fn sort(sample: &mut [f64]) {
    sample.sort_unstable_by(f64::total_cmp);
}

/// The quantile of probability `p` in 0 to 1 of a sample sorted smallest first, in its unit:
/// linear between the order statistics, the first and last beyond the ends. `None` for an empty
/// sample or a probability that is none.
#[must_use]
pub fn quantile(sorted: &[f64], p: f64, convention: Convention) -> Option<f64> {
    if !(0.0..=1.0).contains(&p) {
        return None;
    }
    let (first, last) = (*sorted.first()?, *sorted.last()?);
    let position = convention.position(count(sorted.len()), p);
    let below = whole_part(position, sorted.len());
    let Some(low) = below.checked_sub(1).and_then(|at| sorted.get(at)) else {
        return Some(first);
    };
    let Some(high) = sorted.get(below) else {
        return Some(last);
    };
    Some(low + (position - count(below)) * (high - low))
}

/// The middle of a sorted sample; the mean of the two middle ones of an even number.
#[must_use]
pub fn median(sorted: &[f64]) -> Option<f64> {
    quantile(sorted, 0.5, Convention::Linear)
}

/// The largest whole number that is at most `position`, 0 to `most`. By halving: exact, and
/// without the cast that would truncate in silence.
fn whole_part(position: f64, most: usize) -> usize {
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = low.midpoint(high.saturating_add(1)).min(high);
        if count(middle) <= position {
            low = middle;
        } else {
            high = middle.saturating_sub(1);
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Totals of March to May at KARARE 1981 to 2019, mm (domain notes 3.2).
    const KARARE: [f64; 39] = [
        829.50, 584.74, 356.87, 162.12, 584.62, 396.90, 367.26, 703.66, 353.23, 542.43, 217.47,
        291.75, 283.96, 223.71, 373.60, 148.06, 470.80, 380.38, 273.56, 49.16, 365.09, 461.89,
        463.37, 389.65, 336.10, 313.96, 245.77, 237.35, 96.17, 233.74, 80.52, 421.55, 560.93,
        309.63, 429.76, 313.38, 288.94, 650.28, 223.91,
    ];

    #[test]
    fn each_convention_gives_its_own_published_trigger() {
        let mut sample = KARARE;
        sort(&mut sample);
        for (convention, published) in [
            (Convention::Weibull, [80.52, 148.06, 223.91, 273.56, 353.23]),
            (
                Convention::Linear,
                [94.605, 159.308, 229.808, 277.720, 353.23],
            ),
            (
                Convention::MedianUnbiased,
                [85.215, 151.809, 225.876, 274.947, 353.23],
            ),
            (
                Convention::Hazen,
                [87.562, 153.684, 226.859, 275.640, 353.23],
            ),
        ] {
            for (p, value) in [0.05, 0.10, 0.20, 0.30, 0.50].into_iter().zip(published) {
                let found = quantile(&sample, p, convention).unwrap();
                assert!(
                    (found - value).abs() < 5.001e-4,
                    "{convention:?} {p}: {found}"
                );
            }
        }
    }

    #[test]
    fn conventions_are_found_by_their_number_and_no_other() {
        for convention in Convention::ALL {
            assert_eq!(Convention::of_number(convention.number()), Some(convention));
            assert!(convention.name().contains(&convention.number().to_string()));
        }
        assert_eq!(Convention::of_number(1), None);
    }

    #[test]
    fn nothing_has_no_quantile_and_one_value_is_all_of_them() {
        for convention in Convention::ALL {
            assert_eq!(quantile(&[], 0.5, convention), None);
            for p in [0.0, 0.3, 1.0] {
                assert_eq!(quantile(&[7.5], p, convention), Some(7.5));
            }
            for p in [-0.1, 1.1, f64::NAN] {
                assert_eq!(quantile(&[1.0, 2.0], p, convention), None);
            }
        }
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), Some(3.0));
    }

    proptest! {
        #[test]
        fn a_quantile_lies_in_the_sample_and_rises_with_its_probability(
            mut sample in prop::collection::vec(-1e3_f64..1e3, 1..60),
            p in 0.0_f64..=1.0, q in 0.0_f64..=1.0,
        ) {
            sort(&mut sample);
            for convention in Convention::ALL {
                let low = quantile(&sample, p.min(q), convention).unwrap();
                let high = quantile(&sample, p.max(q), convention).unwrap();
                prop_assert!(low <= high + 1e-9);
                prop_assert!(sample[0] <= low && high <= sample[sample.len() - 1] + 1e-9);
            }
        }
    }
}
