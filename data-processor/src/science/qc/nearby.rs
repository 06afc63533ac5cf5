//! Rain against what others saw of it: a gauge that stays dry while all around it rains, dekads
//! against the satellite and against neighbours. Rain of single days differs too much from place
//! to place for that, so sums and events are compared. Flags; never mends a number from others.

use chrono::NaiveDate;

use super::qartod::{Qartod, Results, Test};
use crate::science::dekad;

/// Rain at every neighbour that makes a day an event, mm.
const EVENT_MM_MIN: f64 = 10.0;
/// Events in a row that a gauge must have missed to be blocked.
const EVENTS_MISSED_MIN: usize = 3;
/// Neighbours with a number that an event needs.
const WITNESSES_MIN: usize = 2;
/// Dekads are compared when either sum exceeds this, mm.
const DEKAD_MM_MIN: f64 = 30.0;
/// Ratios of a station's dekad to another's that are good.
pub const RATIO_GOOD: [f64; 2] = [0.2, 5.0];
/// Share of a dekad's days that both must know: four in five.
const KNOWN_PARTS: usize = 4;
const KNOWN_OF: usize = 5;
/// Neighbours that a dekad is held against.
const NEIGHBOURS_MIN: usize = 3;

/// A dekad's sums, mm, at a station and by satellite: suspect when one exceeds 30 mm and their
/// ratio is outside 0.2 to 5; not evaluated when neither does.
#[must_use]
pub fn satellite_ratio(station_mm: f64, satellite_mm: f64) -> Qartod {
    if station_mm.max(satellite_mm) <= DEKAD_MM_MIN {
        return Qartod::NotEvaluated;
    }
    let [least, most] = RATIO_GOOD;
    // by products: the satellite may have seen none
    Qartod::suspect_if(station_mm < least * satellite_mm || station_mm > most * satellite_mm)
}

/// A dekad's sum against its neighbours': suspect when either exceeds 30 mm and it lies a factor of
/// five outside all of them. Not evaluated with fewer than three.
#[must_use]
pub fn neighbour_ratio(station_mm: f64, neighbours_mm: &[f64]) -> Qartod {
    if neighbours_mm.len() < NEIGHBOURS_MIN {
        return Qartod::NotEvaluated;
    }
    let least = neighbours_mm.iter().copied().fold(f64::INFINITY, f64::min);
    let most = neighbours_mm.iter().copied().fold(0.0, f64::max);
    if station_mm > most {
        satellite_ratio(station_mm, most)
    } else if station_mm < least {
        satellite_ratio(station_mm, least)
    } else {
        Qartod::Good
    }
}

/// Compares the dekads of a daily series from `first` with the satellite's over the days both know;
/// a dekad of which they share less than four days in five is not evaluated.
pub fn satellite_dekads(
    first: NaiveDate,
    station_mm: &[Option<f64>],
    satellite_mm: &[Option<f64>],
    results: &mut [Results],
) {
    for span in dekad::spans(first, station_mm.len()) {
        let days = span.from..span.until;
        let (Some(here), Some(there)) =
            (station_mm.get(days.clone()), satellite_mm.get(days.clone()))
        else {
            continue;
        };
        let (mut known, mut at_station, mut by_satellite) = (0_usize, 0.0, 0.0);
        for (station, satellite) in here.iter().zip(there) {
            if let (Some(station), Some(satellite)) = (station, satellite) {
                known = known.saturating_add(1);
                at_station += station;
                by_satellite += satellite;
            }
        }
        let all = usize::try_from(span.dekad.day_count()).unwrap_or(usize::MAX);
        if known.saturating_mul(KNOWN_OF) < all.saturating_mul(KNOWN_PARTS) {
            continue;
        }
        let flag = satellite_ratio(at_station, by_satellite);
        for (day, value) in results
            .get_mut(days)
            .unwrap_or_default()
            .iter_mut()
            .zip(here)
        {
            if value.is_some() {
                day.record(Test::Satellite, flag);
            }
        }
    }
}

/// A blocked gauge: from its first to its last missed event, dry without a break through three or
/// more days on which at least two neighbours report and each has 10 mm. Days of a stretch that is
/// long enough are suspect; events that the gauge saw are good.
pub fn blocked(
    station_mm: &[Option<f64>],
    neighbours_mm: &[&[Option<f64>]],
    results: &mut [Results],
) {
    let is_event = |position: usize| {
        let mut witnesses: usize = 0;
        let mut all_wet = true;
        for neighbour in neighbours_mm {
            if let Some(mm) = neighbour.get(position).copied().flatten() {
                witnesses = witnesses.saturating_add(1);
                all_wet &= mm >= EVENT_MM_MIN;
            }
        }
        all_wet && witnesses >= WITNESSES_MIN
    };
    // first and last missed event of the dry stretch, and how many
    let mut missed: Option<(usize, usize, usize)> = None;
    let close = |missed: &mut Option<(usize, usize, usize)>, results: &mut [Results]| {
        let Some((from, until, events)) = missed.take() else {
            return;
        };
        let flag = Qartod::suspect_if(events >= EVENTS_MISSED_MIN);
        let stretch = results.get_mut(from..=until).unwrap_or_default();
        for (day, value) in stretch.iter_mut().zip(station_mm.iter().skip(from)) {
            if value.is_some() {
                day.record(Test::Blocked, flag);
            }
        }
    };
    for (position, value) in station_mm.iter().enumerate() {
        match value {
            Some(mm) if *mm > 0.0 => {
                close(&mut missed, results);
                if let (true, Some(day)) = (is_event(position), results.get_mut(position)) {
                    day.record(Test::Blocked, Qartod::Good);
                }
            }
            Some(_) if is_event(position) => {
                let (from, _, events) = missed.unwrap_or((position, position, 0));
                missed = Some((from, position, events.saturating_add(1)));
            }
            None | Some(_) => {}
        }
    }
    close(&mut missed, results);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dekads_are_held_against_the_satellite_when_there_is_rain() {
        assert_eq!(satellite_ratio(30.0, 0.0), Qartod::NotEvaluated);
        assert_eq!(satellite_ratio(30.1, 0.0), Qartod::Suspect);
        assert_eq!(satellite_ratio(0.0, 31.0), Qartod::Suspect);
        assert_eq!(satellite_ratio(50.0, 10.0), Qartod::Good);
        assert_eq!(satellite_ratio(50.1, 10.0), Qartod::Suspect);
        assert_eq!(satellite_ratio(8.0, 40.0), Qartod::Good);
        assert_eq!(satellite_ratio(7.9, 40.0), Qartod::Suspect);
    }

    #[test]
    fn a_dekad_a_factor_of_five_outside_its_neighbours_is_suspect() {
        assert_eq!(neighbour_ratio(151.0, &[30.0, 10.0, 20.0]), Qartod::Suspect);
        assert_eq!(neighbour_ratio(150.0, &[30.0, 10.0, 20.0]), Qartod::Good);
        assert_eq!(neighbour_ratio(3.0, &[40.0, 60.0, 50.0]), Qartod::Suspect);
        assert_eq!(neighbour_ratio(45.0, &[40.0, 60.0, 50.0]), Qartod::Good);
        assert_eq!(neighbour_ratio(900.0, &[1.0, 1.0]), Qartod::NotEvaluated);
    }

    #[test]
    fn a_dekad_is_judged_as_a_whole_and_only_if_known() {
        let first = NaiveDate::from_ymd_opt(2021, 4, 1).unwrap();
        let mut station = vec![Some(0.0); 20];
        let satellite = vec![Some(6.0); 20];
        station[12] = None;
        station[13] = None;
        station[14] = None;
        let mut results = vec![Results::default(); 20];
        satellite_dekads(first, &station, &satellite, &mut results);
        let codes: Vec<u8> = results
            .iter()
            .map(|d| d.of(Test::Satellite).code())
            .collect();
        assert_eq!(codes[..10], [3; 10]);
        assert_eq!(codes[10..], [2; 10]);
    }

    #[test]
    fn a_gauge_that_misses_three_events_is_blocked() {
        let wet = [0, 12, 0, 15, 0, 0, 30, 11, 0, 20].map(|mm| Some(f64::from(mm)));
        let neighbours: [&[Option<f64>]; 2] = [&wet, &wet];
        let codes = |station: &[Option<f64>]| {
            let mut results = vec![Results::default(); 10];
            blocked(station, &neighbours, &mut results);
            results
                .iter()
                .map(|d| d.of(Test::Blocked).code())
                .collect::<Vec<_>>()
        };
        let dry = [Some(0.0); 10];
        assert_eq!(codes(&dry), [2, 3, 3, 3, 3, 3, 3, 3, 3, 3]);
        let mut rains = dry;
        rains[6] = Some(25.0);
        rains[4] = None;
        assert_eq!(codes(&rains), [2, 1, 1, 1, 2, 2, 1, 1, 1, 1]);
    }
}
