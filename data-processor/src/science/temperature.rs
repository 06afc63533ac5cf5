//! Warmth a crop grows by and heat it suffers from: growing degree days, extreme degree days and
//! hot days of a window. A day whose maximum is below its minimum is a failed reading and counts as
//! missing; a missing day adds nothing and is counted, so that a sum is never mistaken for whole.
//! Pure. Called by the indices of products.

/// Base temperature of maize, °C: below it the crop stands still.
pub const MAIZE_BASE: f64 = 10.0;

/// Cap of maize, °C: warmer days do not hasten it (horizontal cut-off).
pub const MAIZE_CAP: f64 = 30.0;

/// A maximum from which flowering maize is stressed, °C.
pub const HOT_STRESS: f64 = 32.0;

/// A maximum from which maize pollen dies, °C.
pub const HOT_POLLEN: f64 = 35.0;

/// A day's extremes, °C.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Day {
    /// Minimum.
    pub t_min: Option<f64>,
    /// Maximum.
    pub t_max: Option<f64>,
}

impl Day {
    /// Both, if both are there and in order.
    #[must_use]
    pub fn extremes(self) -> Option<(f64, f64)> {
        self.t_min
            .zip(self.t_max)
            .filter(|(t_min, t_max)| t_max >= t_min)
    }
}

/// A sum over the days of a window that were read.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sum {
    /// °C days, or days.
    pub total: f64,
    /// Days that were added.
    pub read: u32,
    /// Days without a pair of extremes in order.
    pub missing: u32,
}

impl Sum {
    /// The total, if no day is missing.
    #[must_use]
    pub fn whole(self) -> Option<f64> {
        (self.missing == 0 && self.read > 0).then_some(self.total)
    }

    fn of(days: &[Day], mut of_day: impl FnMut(f64, f64) -> f64) -> Self {
        let mut sum = Self::default();
        for day in days {
            if let Some((t_min, t_max)) = day.extremes() {
                sum.total += of_day(t_min, t_max);
                sum.read = sum.read.saturating_add(1);
            } else {
                sum.missing = sum.missing.saturating_add(1);
            }
        }
        sum
    }
}

/// Growing degree days, °C days: Σ (cut(Tmax) + cut(Tmin))/2 − base, where both extremes are cut
/// at `base` below and `cap` above (horizontal). `cap` below `base` is read as `base`.
#[must_use]
pub fn growing_degree_days(days: &[Day], base: f64, cap: f64) -> Sum {
    let cut = |celsius: f64| celsius.min(cap).max(base);
    Sum::of(days, |t_min, t_max| {
        f64::midpoint(cut(t_max), cut(t_min)) - base
    })
}

/// Extreme degree days, °C days: Σ max(0, Tmax − threshold).
#[must_use]
pub fn extreme_degree_days(days: &[Day], threshold: f64) -> Sum {
    Sum::of(days, |_, t_max| (t_max - threshold).max(0.0))
}

/// Days with a maximum of `threshold` or more.
#[must_use]
pub fn hot_days(days: &[Day], threshold: f64) -> Sum {
    Sum::of(days, |_, t_max| if t_max >= threshold { 1.0 } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(t_min: f64, t_max: f64) -> Day {
        Day {
            t_min: Some(t_min),
            t_max: Some(t_max),
        }
    }

    #[test]
    fn degrees_count_between_base_and_cap() {
        // 15/25 gives 10; 5/25 is cut to 10/25 and gives 7.5; 20/40 to 20/30 and gives 15; a day
        // wholly below gives 0, wholly above 20
        let days = [
            day(15.0, 25.0),
            day(5.0, 25.0),
            day(20.0, 40.0),
            day(2.0, 9.0),
            day(31.0, 36.0),
        ];
        let each: Vec<f64> = days
            .iter()
            .map(|day| growing_degree_days(&[*day], MAIZE_BASE, MAIZE_CAP).total)
            .collect();
        assert_eq!(each, [10.0, 7.5, 15.0, 0.0, 20.0]);
        assert_eq!(
            growing_degree_days(&days, MAIZE_BASE, MAIZE_CAP).whole(),
            Some(52.5)
        );
    }

    #[test]
    fn heat_counts_from_its_threshold_on() {
        let days = [
            day(20.0, 30.0),
            day(20.0, 32.0),
            day(20.0, 35.0),
            day(20.0, 36.5),
        ];
        assert_eq!(extreme_degree_days(&days, 30.0).whole(), Some(13.5));
        assert_eq!(hot_days(&days, HOT_STRESS).whole(), Some(3.0));
        assert_eq!(hot_days(&days, HOT_POLLEN).whole(), Some(2.0));
    }

    #[test]
    fn a_missing_or_reversed_day_is_counted_and_adds_nothing() {
        let days = [
            day(15.0, 25.0),
            Day {
                t_min: Some(10.0),
                t_max: None,
            },
            day(25.0, 15.0),
            day(f64::NAN, 20.0),
        ];
        let sum = growing_degree_days(&days, MAIZE_BASE, MAIZE_CAP);
        assert_eq!((sum.total, sum.read, sum.missing), (10.0, 1, 3));
        assert_eq!(sum.whole(), None);
        assert_eq!(hot_days(&[], HOT_STRESS).whole(), None);
    }
}
