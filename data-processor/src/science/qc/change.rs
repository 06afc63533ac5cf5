//! Change that is too fast and change that is missing: steps of a minute and of hours, an hour
//! that stands still, days that repeat. Nothing here drops a number; gaps break runs.
//! Used on samples in their order and on daily series.

use super::qartod::{Qartod, Results, Test};
use super::range::Measure;

/// Shares of an hour's samples needed to say that it stands still.
const HOUR_KNOWN_PARTS: usize = 3;
const HOUR_KNOWN_OF: usize = 4;
/// Days of the same non-zero rain in a row that are suspect (INQC `maxseq`).
pub const REPEATED_DAYS_MIN: usize = 3;
/// Humidity of saturated air, per cent: fog stands still.
const SATURATED: f64 = 99.0;
/// Wind of a calm, m/s: a calm stands still.
const CALM: f64 = 0.1;

/// Largest change in a minute that is good, and largest that is not a failure (Zahumenský 2004).
const fn minute_limits(measure: Measure) -> Option<(f64, Option<f64>)> {
    match measure {
        Measure::Temperature => Some((3.0, None)),
        Measure::Humidity => Some((10.0, Some(15.0))),
        Measure::Pressure => Some((0.5, Some(2.0))),
        Measure::Wind => Some((10.0, Some(20.0))),
        Measure::Solar => Some((800.0, Some(1_000.0))),
        Measure::DewPoint | Measure::RainMinute | Measure::RainDay => None,
    }
}

/// The step between two values one minute apart.
#[must_use]
pub fn step_minute(measure: Measure, before: f64, after: f64) -> Qartod {
    let change = (after - before).abs();
    match minute_limits(measure) {
        None => Qartod::NotEvaluated,
        Some((_, Some(most))) if change > most => Qartod::Fail,
        Some((usual, _)) => Qartod::suspect_if(change > usual),
    }
}

/// Tolerances of WMO (1993) by hours apart: 1, 2, 3, 6, 12.
const fn hour_limits(measure: Measure) -> Option<[(u32, f64); 5]> {
    match measure {
        Measure::Temperature => Some([(1, 4.0), (2, 7.0), (3, 9.0), (6, 15.0), (12, 25.0)]),
        Measure::DewPoint => Some([(1, 4.0), (2, 6.0), (3, 8.0), (6, 12.0), (12, 20.0)]),
        Measure::Pressure => Some([(1, 3.0), (2, 6.0), (3, 9.0), (6, 18.0), (12, 36.0)]),
        _ => None,
    }
}

/// The step between two values `hours` apart; between listed hours the longer one's tolerance.
/// Not evaluated beyond 12 h.
#[must_use]
pub fn step_hours(measure: Measure, hours: u32, before: f64, after: f64) -> Qartod {
    hour_limits(measure)
        .and_then(|limits| limits.into_iter().find(|(listed, _)| hours <= *listed))
        .filter(|_| hours > 0)
        .map_or(Qartod::NotEvaluated, |(_, limit)| {
            Qartod::suspect_if((after - before).abs() > limit)
        })
}

/// Least variability in 60 minutes (Zahumenský 2004).
const fn hour_variability(measure: Measure) -> Option<f64> {
    match measure {
        Measure::Temperature | Measure::DewPoint | Measure::Pressure => Some(0.1),
        Measure::Humidity => Some(1.0),
        Measure::Wind => Some(0.5),
        Measure::RainMinute | Measure::RainDay | Measure::Solar => None,
    }
}

/// Whether an hour of samples varies as little as only a stuck instrument does. Not evaluated
/// with less than three quarters of the samples, in saturated air, or in a calm.
#[must_use]
pub fn persistence_hour(measure: Measure, samples: &[Option<f64>]) -> Qartod {
    let Some(least_variability) = hour_variability(measure) else {
        return Qartod::NotEvaluated;
    };
    let known = samples.iter().flatten().count();
    if known < 2
        || known.saturating_mul(HOUR_KNOWN_OF) < samples.len().saturating_mul(HOUR_KNOWN_PARTS)
    {
        return Qartod::NotEvaluated;
    }
    let known = || samples.iter().flatten().copied();
    let least = known().fold(f64::INFINITY, f64::min);
    let most = known().fold(f64::NEG_INFINITY, f64::max);
    let may_stand = match measure {
        Measure::Humidity => least >= SATURATED,
        Measure::Wind => most <= CALM,
        _ => false,
    };
    if may_stand {
        return Qartod::NotEvaluated;
    }
    // differences of decimals: 20.1 - 20.0 is a little less than 0.1
    Qartod::suspect_if(most - least < least_variability - 1e-9)
}

/// Days of the same non-zero rain, three or more in a row: all of them suspect. A gap breaks a run.
pub fn persistence_days(rain_mm: &[Option<f64>], results: &mut [Results]) {
    let mut start = 0;
    while let Some(first) = rain_mm.get(start) {
        let same = |day: &&Option<f64>| day.map(f64::to_bits) == first.map(f64::to_bits);
        let run = rain_mm
            .get(start..)
            .unwrap_or_default()
            .iter()
            .take_while(same)
            .count()
            .max(1);
        let end = start.saturating_add(run);
        let flag = Qartod::suspect_if(run >= REPEATED_DAYS_MIN && first.is_some_and(|mm| mm > 0.0));
        if first.is_some() {
            for day in results.get_mut(start..end).unwrap_or_default() {
                day.record(Test::Persistence, flag);
            }
        }
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_changes_by_so_much() {
        let cases = [
            (Measure::Temperature, 3.0, Qartod::Good),
            (Measure::Temperature, -3.1, Qartod::Suspect),
            (Measure::Temperature, 30.0, Qartod::Suspect),
            (Measure::Humidity, 10.1, Qartod::Suspect),
            (Measure::Humidity, -15.1, Qartod::Fail),
            (Measure::Pressure, 0.6, Qartod::Suspect),
            (Measure::Pressure, 2.1, Qartod::Fail),
            (Measure::Wind, 10.1, Qartod::Suspect),
            (Measure::Wind, 20.1, Qartod::Fail),
            (Measure::Solar, 801.0, Qartod::Suspect),
            (Measure::Solar, 1_001.0, Qartod::Fail),
            (Measure::RainMinute, 30.0, Qartod::NotEvaluated),
        ];
        for (measure, change, flag) in cases {
            assert_eq!(
                step_minute(measure, 0.0, change),
                flag,
                "{measure:?} {change}"
            );
        }
    }

    #[test]
    fn hours_change_by_the_tolerances_of_1993() {
        for (hours, limit) in [(1, 4.0), (2, 7.0), (3, 9.0), (6, 15.0), (12, 25.0)] {
            let flag = |change| step_hours(Measure::Temperature, hours, 10.0, 10.0 + change);
            assert_eq!(
                (flag(limit), flag(limit + 0.1)),
                (Qartod::Good, Qartod::Suspect)
            );
        }
        assert_eq!(step_hours(Measure::DewPoint, 6, 0.0, 12.1), Qartod::Suspect);
        assert_eq!(step_hours(Measure::Pressure, 3, 0.0, 9.1), Qartod::Suspect);
        // four hours have the tolerance of six; thirteen have none
        assert_eq!(step_hours(Measure::Temperature, 4, 0.0, 15.0), Qartod::Good);
        for hours in [0, 13] {
            let flag = step_hours(Measure::Temperature, hours, 0.0, 99.0);
            assert_eq!(flag, Qartod::NotEvaluated);
        }
    }

    #[test]
    fn an_hour_that_stands_still_is_suspect_but_fog_and_calm_may() {
        let still = [Some(20.0); 60];
        let mut moves = still;
        moves[30] = Some(20.1);
        let temperature = |hour: &[Option<f64>]| persistence_hour(Measure::Temperature, hour);
        assert_eq!(temperature(&still), Qartod::Suspect);
        assert_eq!(temperature(&moves), Qartod::Good);
        assert_eq!(temperature(&[None; 60]), Qartod::NotEvaluated);
        assert_eq!(
            persistence_hour(Measure::Humidity, &[Some(100.0); 60]),
            Qartod::NotEvaluated
        );
        assert_eq!(
            persistence_hour(Measure::Humidity, &[Some(60.0); 60]),
            Qartod::Suspect
        );
        assert_eq!(
            persistence_hour(Measure::Wind, &[Some(0.0); 60]),
            Qartod::NotEvaluated
        );
    }

    #[test]
    fn three_days_of_the_same_rain_are_suspect_and_dry_days_are_not() {
        let rain = [
            Some(0.0),
            Some(0.0),
            Some(0.0),
            Some(4.2),
            Some(4.2),
            Some(4.2),
            None,
            Some(4.2),
            Some(4.2),
        ];
        let mut results = [Results::default(); 9];
        persistence_days(&rain, &mut results);
        let flags = results.map(|day| day.of(Test::Persistence).code());
        assert_eq!(flags, [1, 1, 1, 3, 3, 3, 2, 1, 1]);
    }
}
