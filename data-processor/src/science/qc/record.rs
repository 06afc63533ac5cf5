//! A station's record as a record: instants in order and possible, readings that hold several
//! days, the years that are reported, the place and device it is a record of, the provider's score.
//! Judges, and names where a new series begins; splits, moves and drops nothing.

use std::collections::BTreeMap;
use std::ops::Range;

use chrono::{DateTime, Datelike, NaiveDate, Utc};

use super::qartod::{Qartod, Results, Test};
use crate::science::interpolate::place::{Place, haversine_km};

/// A station moved farther than this begins a new series, metres.
pub const MOVED_M_MAX: f64 = 500.0;
/// Lowest data quality score of a good day (WeatherXM), 0 to 1.
pub const SCORE_MIN: f64 = 0.8;
/// Share of a year's days without a report that is good, of a hundred.
const UNREPORTED_GOOD_MAX: u32 = 10;
/// Share of a year's days without a report above which the year stands for nothing, of a hundred.
const UNREPORTED_MAX: u32 = 20;

/// What instants say, in the order the readings came in. Outside `valid` (a clock set back to 1970
/// or 2000 stands before the station was put up) an instant fails. Where one instant comes again
/// with the same value, the later is suspect; with another value all of them fail, since nothing
/// tells which is right. An instant before the one that came before it is suspect.
#[must_use]
pub fn timestamps(
    readings: &[(DateTime<Utc>, Option<f64>)],
    valid: &Range<DateTime<Utc>>,
) -> Vec<Qartod> {
    let bits = |value: Option<f64>| value.map(f64::to_bits);
    // first value of an instant, and whether another one was given for it
    let mut values: BTreeMap<DateTime<Utc>, (Option<u64>, bool)> = BTreeMap::new();
    for (at, value) in readings {
        let (first, differs) = values.entry(*at).or_insert((bits(*value), false));
        *differs |= *first != bits(*value);
    }
    let mut latest: Option<DateTime<Utc>> = None;
    readings
        .iter()
        .map(|(at, _)| {
            let differs = values.get(at).is_some_and(|(_, differs)| *differs);
            // the latest possible one: a single reset must not damn what follows
            let is_late = latest.is_some_and(|latest| *at <= latest);
            if !valid.contains(at) || differs {
                return Qartod::Fail;
            }
            latest = latest.max(Some(*at));
            Qartod::suspect_if(is_late)
        })
        .collect()
}

/// Days that the reading at `position` may hold: itself and the missing days just before it, when
/// there are any and it is at least `large_mm` (the station's own 95th percentile of wet days).
#[must_use]
pub fn accumulated_days(rain_mm: &[Option<f64>], position: usize, large_mm: f64) -> Option<usize> {
    let value = (*rain_mm.get(position)?)?;
    let before = rain_mm.get(..position)?;
    let gap = before.iter().rev().take_while(|day| day.is_none()).count();
    // before the first report there was no station
    let is_gap = gap > 0 && gap < before.len();
    (is_gap && value >= large_mm).then_some(gap.saturating_add(1))
}

/// Marks the days of a series that may hold what fell on several.
pub fn accumulated(rain_mm: &[Option<f64>], large_mm: f64, results: &mut [Results]) {
    for (position, day) in results.iter_mut().enumerate() {
        if rain_mm.get(position).copied().flatten().is_some() {
            let odd = accumulated_days(rain_mm, position, large_mm).is_some();
            day.record(Test::Accumulated, Qartod::suspect_if(odd));
        }
    }
}

/// How much of a calendar year is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reporting {
    /// The year.
    pub year: i32,
    /// Days with a number.
    pub reported: u32,
    /// Days of the year that the series spans.
    pub days: u32,
}

impl Reporting {
    /// Good to 10 % missing, suspect to 20 %, beyond it a failure: the budgets of a phase.
    #[must_use]
    pub fn flag(self) -> Qartod {
        let missing = self.days.saturating_sub(self.reported).saturating_mul(100);
        if missing > self.days.saturating_mul(UNREPORTED_MAX) {
            Qartod::Fail
        } else {
            Qartod::suspect_if(missing > self.days.saturating_mul(UNREPORTED_GOOD_MAX))
        }
    }
}

/// Reporting of every year that a daily series from `first` touches.
#[must_use]
pub fn reporting(first: NaiveDate, days: &[Option<f64>]) -> Vec<Reporting> {
    let mut years: Vec<Reporting> = Vec::new();
    for (day, value) in first.iter_days().zip(days) {
        if years.last().is_none_or(|last| last.year != day.year()) {
            years.push(Reporting {
                year: day.year(),
                reported: 0,
                days: 0,
            });
        }
        if let Some(year) = years.last_mut() {
            year.days = year.days.saturating_add(1);
            year.reported = year.reported.saturating_add(u32::from(value.is_some()));
        }
    }
    years
}

/// Which instrument stood where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sited<'a> {
    /// Serial number of the device.
    pub device: &'a str,
    /// Where.
    pub place: Place,
}

/// Numbers of series, from 0: a new one begins with another device, or more than 500 m from where
/// the present one began (so that creeping away counts too).
#[must_use]
pub fn series(sitings: &[Sited<'_>]) -> Vec<u32> {
    let mut number: u32 = 0;
    let mut began = sitings.first();
    sitings
        .iter()
        .map(|siting| {
            let is_same = began.is_some_and(|began| {
                began.device == siting.device
                    && haversine_km(began.place, siting.place) * 1_000.0 <= MOVED_M_MAX
            });
            if !is_same {
                number = number.saturating_add(1);
                began = Some(siting);
            }
            number
        })
        .collect()
}

/// The provider's score of a day's data, 0 to 1: suspect below 0.8, not evaluated without one.
#[must_use]
pub fn score(score: Option<f64>) -> Qartod {
    score.map_or(Qartod::NotEvaluated, |score| {
        Qartod::suspect_if(score < SCORE_MIN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("{text}:00Z").parse().unwrap()
    }

    #[test]
    fn a_repeated_instant_and_a_clock_set_back_are_told() {
        let valid = at("2024-01-01T00:00")..at("2026-12-31T00:00");
        let readings = [
            (at("2026-03-05T10:00"), Some(1.0)),
            (at("2026-03-05T10:00"), Some(1.0)),
            (at("1970-01-01T00:15"), Some(1.2)),
            (at("2000-01-01T00:30"), Some(1.4)),
            (at("2026-03-05T10:15"), Some(1.6)),
            (at("2026-03-05T10:30"), Some(1.6)),
            (at("2026-03-05T10:30"), Some(9.9)),
            (at("2026-03-05T10:05"), Some(1.1)),
            (at("2027-03-05T10:05"), Some(1.1)),
        ];
        let codes: Vec<u8> = timestamps(&readings, &valid)
            .into_iter()
            .map(Qartod::code)
            .collect();
        assert_eq!(codes, [1, 3, 4, 4, 1, 4, 4, 3, 4]);
    }

    #[test]
    fn a_large_reading_after_a_gap_may_hold_several_days() {
        let rain = [
            None,
            None,
            Some(60.0),
            Some(0.0),
            None,
            None,
            Some(45.0),
            Some(45.0),
            None,
            Some(3.0),
        ];
        let held: Vec<_> = (0..rain.len())
            .map(|n| accumulated_days(&rain, n, 30.0))
            .collect();
        let mut expected = [None; 10];
        expected[6] = Some(3);
        assert_eq!(held, expected);
        let mut results = [Results::default(); 10];
        accumulated(&rain, 30.0, &mut results);
        let codes = results.map(|day| day.of(Test::Accumulated).code());
        assert_eq!(codes, [2, 2, 1, 1, 2, 2, 3, 1, 2, 1]);
    }

    #[test]
    fn a_year_is_as_good_as_its_reports() {
        let first = NaiveDate::from_ymd_opt(2015, 1, 1).unwrap();
        let days: Vec<Option<f64>> = (0..731)
            .map(|n| (n < 329 || (365..365 + 292).contains(&n)).then_some(0.0))
            .collect();
        let years = reporting(first, &days);
        let found: Vec<_> = years
            .iter()
            .map(|y| (y.year, y.reported, y.days, y.flag()))
            .collect();
        // 329 of 365 leave 9.9 %; 292 of 366 leave 20.2 %
        assert_eq!(
            found,
            [
                (2015, 329, 365, Qartod::Good),
                (2016, 292, 366, Qartod::Fail)
            ]
        );
        let thin = Reporting {
            year: 2017,
            reported: 300,
            days: 365,
        };
        assert_eq!(thin.flag(), Qartod::Suspect);
    }

    #[test]
    fn a_station_that_was_moved_or_swapped_is_another_series() {
        let here = Place {
            lat: -1.375,
            lon: 37.985,
        };
        // 0.004 degrees of latitude are 445 m
        let north = |steps: f64| Place {
            lat: here.lat + 0.004 * steps,
            ..here
        };
        let sited = |device, place| Sited { device, place };
        let sitings = [
            sited("a", here),
            sited("a", north(1.0)),
            sited("a", north(2.0)),
            sited("a", north(1.0)),
            sited("b", north(1.0)),
        ];
        assert_eq!(series(&sitings), [0, 0, 1, 1, 2]);
    }

    #[test]
    fn a_score_below_eight_tenths_is_suspect() {
        assert_eq!(score(Some(0.8)), Qartod::Good);
        assert_eq!(score(Some(0.79)), Qartod::Suspect);
        assert_eq!(score(None), Qartod::NotEvaluated);
    }
}
