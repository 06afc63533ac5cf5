//! Whole seasons through the pure functions, as the stream puts them together: from the samples of
//! two stations to the payout, with the numbers that were published for a real ward, and with
//! everything a station can do wrong. Never a gap taken for a dry day.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use data_processor::index::{Computed, Engine, Inputs, compute};
use data_processor::rule::Siting;
use data_processor::science::rain::{Reading, station_days};
use domain::evidence::{StationDay, StationEvidence};
use domain::product::Product;
use domain::season::{Window, day_starts_at, local_day, next_day};
use domain::settle::{Outcome, Settlement, settle};
use proptest::prelude::*;

fn product() -> Product {
    Product::from_toml(include_str!("../../../products/KE-MZ-PD-LR.toml")).unwrap()
}

fn window(year: i32) -> Window {
    product().cover_window(year).unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A series like a satellite's: it rains on some days, in whole micrometres, with rain on the very
/// days around the window, so that a day counted on the wrong side of midnight is noticed.
fn series(year: i32, total_um: i32) -> Vec<(NaiveDate, i32)> {
    let days = window(year).day_count();
    let wet: Vec<i32> = (0..days)
        .map(|n| if n % 5 == 0 { 3 } else { i32::from(n % 7 == 1) })
        .collect();
    let weight: i32 = wet.iter().sum();
    let mut given = 0;
    let mut inside: Vec<(NaiveDate, i32)> = window(year)
        .days()
        .zip(&wet)
        .map(|(day, w)| {
            let um = total_um / weight * w;
            given += um;
            (day, um)
        })
        .collect();
    // the first and the last day are wet, and carry what division left over
    inside[0].1 += 7;
    inside[91].1 += total_um - given - 7;
    let before = window(year).start.pred_opt().unwrap();
    let mut all = vec![(before, 41_000)];
    all.append(&mut inside);
    all.push((window(year).end, 23_000));
    all
}

/// The counter of a station over a daily series: a sample each quarter of an hour at its own
/// minute, and one at local midnight, as the weather twin prints them.
fn readings(series: &[(NaiveDate, i32)], minute: i64) -> Vec<Reading> {
    let reading = |at: DateTime<Utc>, um: i32| Reading {
        at,
        counter_um: Some(um),
        reply: at.date_naive().to_string(),
    };
    let mut counter = 500_000;
    let mut all = Vec::new();
    for (day, um) in series {
        let opens = day_starts_at(*day);
        all.push(reading(opens, counter));
        for quarter in 0..96 {
            // it rains in the evening, up to the last quarter before midnight
            let fallen = i64::from(*um) * (quarter - 60_i64).max(0) / 35;
            let instant = opens + TimeDelta::minutes(15 * quarter + minute);
            all.push(reading(
                instant,
                counter + i32::try_from(fallen.min((*um).into())).unwrap(),
            ));
        }
        counter += um;
        all.push(reading(day_starts_at(next_day(*day)), counter));
    }
    all
}

fn station(rank: u16, days: Vec<StationDay>) -> StationEvidence {
    StationEvidence {
        id: format!("station-{rank}"),
        rank,
        distance_m: 300 * u32::from(rank),
        data_quality_e4: 9_700,
        location_quality_e4: 10_000,
        place: None,
        days,
    }
}

fn index(year: i32, stations: &[StationEvidence]) -> Computed {
    let product = product();
    let inputs = Inputs {
        engine: Engine::CURRENT,
        product: &product,
        zone: product.zone("marsabit").unwrap(),
        cell: "877a5c541ffffff".parse().unwrap(),
        season_year: year,
        window: window(year),
        siting: Siting::InCell,
        stations,
        grids: &[],
        sensors: &[],
    };
    compute(&inputs, window(year).last_day()).unwrap()
}

fn settled(computed: &Computed) -> Option<Settlement> {
    let product = product();
    let observed = computed.observed();
    match settle(&product, product.zone("marsabit").unwrap(), &observed).unwrap() {
        Outcome::Settled(settlement) => Some(settlement),
        Outcome::Deferred { .. } => None,
    }
}

fn both(year: i32, total_um: i32) -> Vec<StationEvidence> {
    let daily = series(year, total_um);
    (1..=2_u16)
        .map(|rank| {
            let samples = readings(&daily, 4 * i64::from(rank));
            station(rank, station_days(&samples, window(year)))
        })
        .collect()
}

#[test]
fn the_real_seasons_of_karare_pay_what_was_published() {
    // totals of March to May at KARARE, Marsabit (CHIRPS), trigger 278 mm, exit 95 mm
    for (year, total_um, published) in [
        (1984, 162_120, "63.32%"),
        (2007, 245_770, "17.61%"),
        (2009, 96_170, "99.36%"),
        (2011, 80_520, "100.00%"),
        (2018, 650_280, "0.00%"),
    ] {
        let computed = index(year, &both(year, total_um));
        assert_eq!(computed.phases[0].rain_um, i64::from(total_um), "{year}");
        let settlement = settled(&computed).expect("no day is missing");
        assert_eq!(
            settlement.share.basis_points().to_string(),
            published,
            "{year}"
        );
        assert_eq!((computed.stations, computed.confidence), (2, 100));
        assert_eq!(settlement.holds, []);
    }
}

#[test]
fn rain_around_the_window_is_not_in_it() {
    let days = &both(2026, 100_000)[0].days;
    assert_eq!(days.first().map(|d| d.day), Some(window(2026).start));
    assert_eq!(days.last().map(|d| d.day), Some(window(2026).last_day()));
    let total: i32 = days.iter().map(|d| d.rain_um.unwrap().0).sum();
    assert_eq!(
        total, 100_000,
        "41 mm on the eve and 23 mm on the day after stay outside"
    );
}

/// What a station can do wrong, done to its samples.
fn with(year: i32, change: impl Fn(&mut Vec<Reading>)) -> Computed {
    let daily = series(year, 162_120);
    let mut samples = readings(&daily, 4);
    change(&mut samples);
    index(year, &[station(1, station_days(&samples, window(year)))])
}

#[test]
fn a_reboot_changes_no_sum() {
    let rebooted = with(1984, |samples| {
        for reboot in ["1984-03-20T12:04:00Z", "1984-04-11T19:00:00Z"].map(at) {
            let zero = samples
                .iter()
                .rev()
                .find(|s| s.at <= reboot)
                .and_then(|s| s.counter_um);
            for sample in samples.iter_mut().filter(|s| s.at > reboot) {
                sample.counter_um = sample.counter_um.map(|um| um - zero.unwrap());
            }
        }
    });
    assert_eq!(rebooted.phases[0].rain_um, 162_120);
    assert_eq!(
        settled(&rebooted).unwrap().share.basis_points().to_string(),
        "63.32%"
    );
}

#[test]
fn refused_readings_are_stepped_over() {
    let holed = with(1984, |samples| {
        for sample in samples
            .iter_mut()
            .filter(|s| s.at.timestamp() % 5 == 0)
            .step_by(3)
        {
            let is_midnight = sample.at == day_starts_at(local_day(sample.at));
            if !is_midnight {
                sample.counter_um = None;
            }
        }
    });
    assert_eq!(
        (holed.phases[0].rain_um, holed.phases[0].missing_days),
        (162_120, 0)
    );
}

#[test]
fn a_night_without_samples_leaves_two_days_unknown_and_no_number() {
    // rain fell in the evening of 6 March, and nobody knows on which side of midnight
    let (from, until) = (at("1984-03-06T15:00:00Z"), at("1984-03-06T23:00:00Z"));
    let silent = with(1984, |samples| {
        samples.retain(|s| s.at < from || s.at > until);
    });
    assert_eq!(silent.phases[0].missing_days, 2);
    assert_eq!(settled(&silent), None, "missing is not zero");
    // a dry night: the counter stood still
    let (from, until) = (at("1984-03-05T12:00:00Z"), at("1984-03-05T22:30:00Z"));
    let dry = with(1984, |samples| {
        samples.retain(|s| s.at < from || s.at > until);
    });
    assert_eq!(
        (dry.phases[0].rain_um, dry.phases[0].missing_days),
        (162_120, 0)
    );
}

#[test]
fn the_second_station_fills_a_silent_week_and_the_share_stays() {
    let year = 1984;
    let mut stations = both(year, 162_120);
    let (from, until) = (at("1984-04-02T10:00:00Z"), at("1984-04-08T10:00:00Z"));
    let mut samples = readings(&series(year, 162_120), 4);
    samples.retain(|s| s.at < from || s.at > until);
    stations[0] = station(1, station_days(&samples, window(year)));
    let filled = index(year, &stations);
    let seconds = filled.days.iter().filter(|d| d.source == "second").count();
    assert_eq!(seconds, 7, "2 to 8 April");
    assert_eq!(
        settled(&filled).unwrap().share.basis_points().to_string(),
        "63.32%"
    );
    let alone = index(year, &stations[..1]);
    assert_eq!(settled(&alone), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Replies arrive day by day in any order: the same days, the same index, the same manifest.
    #[test]
    fn any_order_of_arrival_gives_the_same_manifest(seed in any::<u64>()) {
        let straight = readings(&series(2026, 96_170), 4);
        let mut shuffled = straight.clone();
        let count = u64::try_from(shuffled.len()).unwrap();
        for n in 0..shuffled.len() {
            let other = seed.wrapping_mul(u64::try_from(n + 1).unwrap()).rotate_left(17) % count;
            shuffled.swap(n, usize::try_from(other).unwrap());
        }
        let of = |samples: &[Reading]| {
            index(2026, &[station(1, station_days(samples, window(2026)))])
        };
        let (a, b) = (of(&straight), of(&shuffled));
        prop_assert_eq!(&a.manifest_hash, &b.manifest_hash);
        prop_assert_eq!(a, b);
    }

    /// Losing samples never makes a season with a number drier.
    #[test]
    fn lost_samples_never_dry_a_season_that_has_a_number(
        holes in proptest::collection::vec((0_usize..9_000, 1_usize..60), 0..6),
    ) {
        let daily = series(2026, 162_120);
        let last_day_um = i64::from(daily[daily.len() - 2].1);
        let whole = readings(&daily, 4);
        let is_lost = |n: usize| holes.iter().any(|(start, length)| {
            (*start..start + length).contains(&n)
        });
        let kept: Vec<Reading> = whole
            .iter()
            .enumerate()
            .filter(|(n, _)| !is_lost(*n))
            .map(|(_, reading)| reading.clone())
            .collect();
        let computed = index(2026, &[station(1, station_days(&kept, window(2026)))]);
        match settled(&computed) {
            None => prop_assert!(computed.phases[0].missing_days > 0),
            // over less than an hour rain may move past the window's last midnight, never more
            Some(_) => prop_assert!(computed.phases[0].rain_um >= 162_120 - last_day_um),
        }
    }
}
