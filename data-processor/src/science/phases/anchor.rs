//! Phases anchored on a sowing day: where they lie for one farmer, what a replant moves, and what
//! is left of a phase for a policy bound after it began. Never touches the sum insured: a replant
//! moves days, not money. Used by products with a sowing window.

use chrono::{Days, NaiveDate};
use domain::season::Window;

/// Why phases cannot be laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// Sown before the window opens.
    #[error("sowing day {0} is before the sowing window opens")]
    TooEarly(NaiveDate),
    /// Sown after the window has closed: no cover starts.
    #[error("sowing day {0} is after the sowing window has closed: no cover starts")]
    TooLate(NaiveDate),
    /// The calendar does not reach that far.
    #[error("phase is outside the calendar")]
    Calendar,
}

/// A phase in days after sowing: day 0 is the sowing day, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Offsets {
    /// First day.
    pub from: u32,
    /// Last day.
    pub to: u32,
}

/// Where the phases of one farmer lie. Two farmers of a ward who sowed on different days have
/// different windows over the same rain.
pub fn phases(
    sown: NaiveDate,
    sowing: Window,
    offsets: &[Offsets],
) -> Result<Vec<Window>, AnchorError> {
    if sown < sowing.start {
        return Err(AnchorError::TooEarly(sown));
    }
    if !sowing.contains(sown) {
        return Err(AnchorError::TooLate(sown));
    }
    let after = |days: u64| {
        sown.checked_add_days(Days::new(days))
            .ok_or(AnchorError::Calendar)
    };
    offsets
        .iter()
        .map(|phase| {
            Ok(Window {
                start: after(phase.from.into())?,
                end: after(u64::from(phase.to).saturating_add(1))?,
            })
        })
        .collect()
}

/// The phases after a replant: laid out afresh from the new day, the old ones void. The sum insured
/// is the policy's and not in here. A replant must fall in the same sowing window.
pub fn replanted(
    sown: NaiveDate,
    again: NaiveDate,
    sowing: Window,
    offsets: &[Offsets],
) -> Result<Vec<Window>, AnchorError> {
    if again < sown {
        return Err(AnchorError::TooEarly(again));
    }
    phases(again, sowing, offsets)
}

/// The season year a window is known by: that of its first (sowing) day, so that short rains
/// harvested in February belong to the year before.
#[must_use]
pub fn season_year(window: Window) -> i32 {
    chrono::Datelike::year(&window.start)
}

/// What a policy has of a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// Bound before it began: all of it.
    Whole,
    /// Bound while it ran: this many of its days are left, of so many.
    Part {
        /// Days from the binding on.
        left: u32,
        /// Days of the phase.
        days: u32,
    },
    /// Over before the policy was bound: none of it.
    Elapsed,
}

/// What a product does with a phase that had begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LateBinding {
    /// The phase counts by the share of its days that are left.
    ProRata,
    /// A policy bound after the first phase began is refused.
    Refuse,
}

/// How much of a phase is left for cover that begins on `from`.
#[must_use]
pub fn exposure(phase: Window, from: NaiveDate) -> Exposure {
    if from <= phase.start {
        Exposure::Whole
    } else if phase.contains(from) {
        let rest = Window {
            start: from,
            end: phase.end,
        };
        Exposure::Part {
            left: rest.day_count(),
            days: phase.day_count(),
        }
    } else {
        Exposure::Elapsed
    }
}

/// Weight of a phase for cover that begins on `from`, share of its full weight: 1, the share of
/// days left, or 0. `None` when the product refuses to bind so late.
#[must_use]
pub fn exposed_share(phase: Window, from: NaiveDate, rule: LateBinding) -> Option<f64> {
    match (exposure(phase, from), rule) {
        (Exposure::Whole, _) => Some(1.0),
        (_, LateBinding::Refuse) => None,
        (Exposure::Elapsed, LateBinding::ProRata) => Some(0.0),
        (Exposure::Part { left, days }, LateBinding::ProRata) => {
            Some(f64::from(left) / f64::from(days))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::science::phases::phase_rain;
    use crate::science::spells::clip;

    const MAIZE: [Offsets; 2] = [Offsets { from: 0, to: 24 }, Offsets { from: 25, to: 54 }];

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn window(first: &str, last: &str) -> Window {
        Window {
            start: day(first),
            end: domain::season::next_day(day(last)),
        }
    }

    #[test]
    fn sown_after_the_window_has_closed_starts_no_cover() {
        let sowing = window("2026-03-10", "2026-04-10");
        let at = |sown: &str| phases(day(sown), sowing, &MAIZE);
        assert_eq!(
            at("2026-04-11"),
            Err(AnchorError::TooLate(day("2026-04-11")))
        );
        assert_eq!(
            at("2026-03-09"),
            Err(AnchorError::TooEarly(day("2026-03-09")))
        );
        assert_eq!(
            at("2026-04-10").unwrap(),
            [
                window("2026-04-10", "2026-05-04"),
                window("2026-05-05", "2026-06-03")
            ]
        );
        let edge = Window {
            start: NaiveDate::MIN,
            end: NaiveDate::MAX,
        };
        let last = domain::season::previous_day(NaiveDate::MAX);
        assert_eq!(phases(last, edge, &MAIZE), Err(AnchorError::Calendar));
    }

    #[test]
    fn two_farmers_of_a_ward_are_measured_on_their_own_days() {
        // one wet week in an otherwise dry April: inside the establishment of the early sower only
        let rain: Vec<Option<f64>> = (0..61)
            .map(|d| Some(if d < 7 { 10.0 } else { 0.0 }))
            .collect();
        let sowing = window("2026-04-01", "2026-04-30");
        let of = |sown: &str| {
            let phase = phases(day(sown), sowing, &MAIZE[..1]).unwrap()[0];
            phase_rain(clip(&rain, day("2026-04-01"), phase).days, None).whole_mm()
        };
        assert_eq!(of("2026-04-01"), Some(70.0));
        assert_eq!(of("2026-04-15"), Some(0.0));
    }

    #[test]
    fn a_replant_lays_the_phases_out_afresh() {
        let sowing = window("2026-03-10", "2026-04-10");
        let again = replanted(day("2026-03-12"), day("2026-04-02"), sowing, &MAIZE).unwrap();
        assert_eq!(again, phases(day("2026-04-02"), sowing, &MAIZE).unwrap());
        let first = phases(day("2026-03-12"), sowing, &MAIZE).unwrap();
        let lengths =
            |windows: &[Window]| -> Vec<u32> { windows.iter().map(Window::day_count).collect() };
        assert_eq!(lengths(&first), lengths(&again));
        let late = replanted(day("2026-03-12"), day("2026-04-20"), sowing, &MAIZE);
        assert_eq!(late, Err(AnchorError::TooLate(day("2026-04-20"))));
        assert!(replanted(day("2026-03-12"), day("2026-03-11"), sowing, &MAIZE).is_err());
    }

    #[test]
    fn short_rains_harvested_in_february_belong_to_the_year_they_were_sown() {
        let sowing = window("2025-10-15", "2025-11-20");
        let season = phases(day("2025-11-20"), sowing, &[Offsets { from: 0, to: 99 }]).unwrap();
        assert_eq!(season[0].last_day(), day("2026-02-27"));
        assert_eq!(season_year(season[0]), 2025);
    }

    #[test]
    fn a_policy_bound_late_has_what_is_left_or_nothing() {
        let phase = window("2026-04-01", "2026-04-25");
        let share = |from: &str, rule| exposed_share(phase, day(from), rule);
        assert_eq!(share("2026-04-01", LateBinding::ProRata), Some(1.0));
        assert_eq!(share("2026-04-06", LateBinding::ProRata), Some(0.8));
        assert_eq!(share("2026-04-25", LateBinding::ProRata), Some(1.0 / 25.0));
        assert_eq!(share("2026-04-26", LateBinding::ProRata), Some(0.0));
        assert_eq!(share("2026-04-01", LateBinding::Refuse), Some(1.0));
        assert_eq!(share("2026-04-02", LateBinding::Refuse), None);
        assert_eq!(exposure(phase, day("2026-05-01")), Exposure::Elapsed);
    }
}
