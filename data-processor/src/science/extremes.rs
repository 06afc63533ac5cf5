//! Wet extremes of a window: the wettest run of n days, heavy days, rain per wet day. Named as the
//! ETCCDI indices. A gap is never rain: what a missing day leaves unknown is counted beside the
//! figure. Pure; used by excess covers and back-tests.

use super::{count, spells};

/// Rain from which a day is heavy, mm (ETCCDI R20mm).
pub const HEAVY_DAY_MM: f64 = 20.0;

/// The wettest run of days.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Wettest {
    /// Most rain in the run of days asked, mm, over the runs that are whole; `None` when none is.
    pub mm: Option<f64>,
    /// Runs with a missing day, whose rain is not known: with any, `mm` is the least it was.
    pub unknown: u32,
}

/// RxNday: the most rain in `n` consecutive days of the window, mm. Rx1day with 1, Rx5day with 5.
/// Each run is summed afresh, so that no error builds up along the season.
#[must_use]
pub fn wettest(rain: &[Option<f64>], n: usize) -> Wettest {
    let mut found = Wettest::default();
    if n == 0 {
        return found;
    }
    for run in rain.windows(n) {
        match run.iter().try_fold(0.0, |sum, day| day.map(|mm| sum + mm)) {
            Some(mm) => found.mm = Some(found.mm.map_or(mm, |most| most.max(mm))),
            None => found.unknown = found.unknown.saturating_add(1),
        }
    }
    found
}

/// Days of a window that reach a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reached {
    /// Days at or above the threshold.
    pub days: u32,
    /// Days without a number.
    pub missing: u32,
}

/// Days with at least `threshold_mm`: R20mm with [`HEAVY_DAY_MM`].
#[must_use]
pub fn heavy_days(rain: &[Option<f64>], threshold_mm: f64) -> Reached {
    let days = spells::days(rain, threshold_mm);
    Reached {
        days: days.wet,
        missing: days.missing,
    }
}

/// SDII: rain of the wet days over their number, mm a day (ETCCDI: rain below the threshold is in
/// neither). `None` when no known day is wet. Missing days are in neither too.
#[must_use]
pub fn wet_day_intensity(rain: &[Option<f64>], wet_mm: f64) -> Option<f64> {
    let wet = || rain.iter().flatten().filter(|mm| **mm >= wet_mm);
    let days = wet().count();
    (days > 0).then(|| wet().fold(0.0, |sum, mm| sum + mm) / count(days))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(mm: &[f64]) -> Vec<Option<f64>> {
        mm.iter().copied().map(Some).collect()
    }

    #[test]
    fn the_wettest_run_may_lie_anywhere_in_the_window() {
        let rain = whole(&[0.0, 30.0, 0.0, 25.0, 25.0, 0.0]);
        assert_eq!(wettest(&rain, 1).mm, Some(30.0));
        assert_eq!(wettest(&rain, 2).mm, Some(50.0));
        assert_eq!(wettest(&rain, 5).mm, Some(80.0));
        assert_eq!(wettest(&rain, 6).mm, Some(80.0));
        assert_eq!(wettest(&rain, 7), Wettest::default());
        assert_eq!(wettest(&rain, 0), Wettest::default());
    }

    #[test]
    fn a_missing_day_makes_its_runs_unknown_not_dry() {
        let mut rain = whole(&[1.0, 2.0, 3.0, 4.0]);
        rain[2] = None;
        let found = wettest(&rain, 2);
        assert_eq!((found.mm, found.unknown), (Some(3.0), 2));
        let found = wettest(&[None, None], 1);
        assert_eq!((found.mm, found.unknown), (None, 2));
        assert_eq!(
            heavy_days(&[Some(20.0), Some(19.9), None], HEAVY_DAY_MM),
            Reached {
                days: 1,
                missing: 1
            }
        );
    }

    #[test]
    fn intensity_is_of_wet_days_alone_and_undefined_without_one() {
        let rain = [Some(10.0), Some(0.9), None, Some(20.0), Some(0.0)];
        assert_eq!(wet_day_intensity(&rain, 1.0), Some(15.0));
        assert_eq!(wet_day_intensity(&whole(&[0.0, 0.1]), 1.0), None);
        assert_eq!(wet_day_intensity(&[None], 1.0), None);
    }

    proptest! {
        #[test]
        fn more_days_never_hold_less_rain(
            rain in prop::collection::vec(0.0_f64..80.0, 1..100), n in 1_usize..10,
        ) {
            let rain = whole(&rain);
            let (short, long) = (wettest(&rain, n).mm, wettest(&rain, n + 1).mm);
            if let (Some(short), Some(long)) = (short, long) {
                prop_assert!(long >= short);
            }
        }
    }
}
