//! Local days do not depend on the order in which readings arrived, and a missing reading never
//! makes a season drier than it was.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use chrono::{DateTime, TimeDelta, Utc};
use data_processor::science::rain::{Reading, station_days};
use domain::measure::RainUm;
use domain::season::{Window, day_starts_at};
use proptest::prelude::*;

const DAYS: i64 = 5;

fn window() -> Window {
    let start = chrono::NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
    Window {
        start,
        end: start + chrono::Days::new(5),
    }
}

/// A reading each quarter of an hour over the window, edges included, with the given increments.
fn readings(steps_um: &[i32]) -> Vec<Reading> {
    let opens: DateTime<Utc> = day_starts_at(window().start);
    let mut counter_um = 0;
    (0..=DAYS * 96)
        .zip(std::iter::once(&0).chain(steps_um.iter().cycle()))
        .map(|(quarter, step)| {
            counter_um += step;
            Reading {
                at: opens + TimeDelta::minutes(15 * quarter),
                counter_um: Some(counter_um),
                reply: "r".to_owned(),
            }
        })
        .collect()
}

fn sum(readings: &[Reading]) -> (i64, usize) {
    let days = station_days(readings, window());
    let known = days
        .iter()
        .filter_map(|d| d.rain_um)
        .map(|rain| i64::from(rain.0))
        .sum();
    (known, days.iter().filter(|d| d.rain_um.is_none()).count())
}

proptest! {
    #[test]
    fn any_order_of_arrival_gives_the_same_days(
        steps in prop::collection::vec(0_i32..400, 1..40),
        order in prop::collection::vec(any::<u32>(), 481),
    ) {
        let straight = readings(&steps);
        let mut keyed: Vec<_> = straight.iter().cloned().zip(order).collect();
        keyed.sort_by_key(|(_, key)| *key);
        let shuffled: Vec<_> = keyed.into_iter().map(|(reading, _)| reading).collect();
        prop_assert_eq!(
            station_days(&straight, window()),
            station_days(&shuffled, window())
        );
    }

    #[test]
    fn no_rain_is_lost_or_made_when_every_reading_is_there(
        steps in prop::collection::vec(0_i32..400, 1..40),
    ) {
        let all = readings(&steps);
        let total = i64::from(all.last().and_then(|r| r.counter_um).unwrap());
        prop_assert_eq!(sum(&all), (total, 0));
    }

    #[test]
    fn removing_readings_never_dries_a_known_day(
        steps in prop::collection::vec(0_i32..400, 1..40),
        removed in prop::collection::hash_set(1_usize..480, 0..200),
    ) {
        let all = readings(&steps);
        let kept: Vec<_> = all
            .iter()
            .enumerate()
            .filter(|(n, _)| !removed.contains(n))
            .map(|(_, reading)| reading.clone())
            .collect();
        let whole = station_days(&all, window());
        let holed = station_days(&kept, window());
        // rain may move to the neighbouring day over a gap of at most an hour, but the known days
        // together with the unknown ones never lose a drop
        if holed.iter().all(|d| d.rain_um.is_some()) {
            prop_assert_eq!(sum(&kept), sum(&all));
        }
        for (a, b) in whole.iter().zip(&holed) {
            if b.rain_um == Some(RainUm(0)) {
                let moved = a.rain_um.map_or(0, |rain| rain.0);
                // at most what fell in the four quarters before midnight can have moved away
                prop_assert!(moved <= 4 * 400, "{moved} um vanished from {}", a.day);
            }
        }
    }
}
