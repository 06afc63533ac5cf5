//! The number work itself: pure functions over values, the only floats of the product. Nothing
//! here asks, stores or knows the time; what leaves is whole micrometres and whole numbers.
//! Called by the stream, by the rules of `rule` and `index`, and through them by the verifier.

pub mod basis_risk;
pub mod bootstrap;
pub mod burn;
pub mod confidence;
pub mod credibility;
pub mod dekad;
pub mod distribution;
pub mod evapotranspiration;
pub mod extremes;
pub mod interpolate;
pub mod phases;
pub mod portfolio;
pub mod pricing;
pub mod qc;
pub mod quantile;
pub mod rain;
pub mod sources;
pub mod special;
pub mod spei;
pub mod spells;
pub mod spi;
pub mod standardise;
pub mod temperature;
pub mod vegetation;
pub mod water_balance;

/// How many, as a float. Exact: no series of this program has 2^32 members.
#[must_use]
pub fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// A float to the nearest whole number; `None` when it is none.
#[must_use]
pub fn whole(value: f64) -> Option<i64> {
    // through digits: exact, and no cast that could truncate in silence
    value
        .is_finite()
        .then(|| format!("{value:.0}"))
        .and_then(|digits| digits.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_nearest_and_nonsense_is_none() {
        assert_eq!(
            (whole(2.6), whole(-2.6), whole(-0.4)),
            (Some(3), Some(-3), Some(0))
        );
        assert_eq!((whole(f64::NAN), whole(f64::INFINITY)), (None, None));
    }
}
