//! The number work itself: pure functions over values, the only floats of the product. Nothing
//! here asks, stores or knows the time; what leaves is whole micrometres and whole numbers.
//! Called by the stream, by the rules of `rule` and `index`, and through them by the verifier.

pub mod confidence;
pub mod interpolate;
pub mod qc;
pub mod rain;

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
