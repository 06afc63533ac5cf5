//! The fast path against the plain one, and the cases in which a day stays missing.
//! Values are made from the row and column, so that a mix-up shows. Run by `cargo test`.

use super::*;
use crate::science::interpolate::near::inverse_distance_mm;
use proptest::prelude::*;

const TARGET: Site = Site {
    place: Place {
        lat: -1.375,
        lon: 37.985,
    },
    elevation_m: Some(1_100.0),
};

fn site(lat: f64, lon: f64) -> Site {
    Site {
        place: Place { lat, lon },
        elevation_m: Some(1_100.0),
    }
}

fn published() -> Vec<Site> {
    vec![site(-1.30, 37.90), site(-1.50, 38.05), site(-1.38, 38.20)]
}

#[test]
fn the_published_vector_is_met_by_both_paths() {
    let rain = [Some(12.0), Some(4.0), Some(0.0)];
    let plain = inverse_distance_mm(TARGET, &published(), &rain, &Limits::DAILY_RAIN).unwrap();
    assert!((plain - 7.578_071).abs() < 5e-7, "{plain}");
    let weights = Weights::inverse_distance(&[TARGET], &published(), &Limits::DAILY_RAIN);
    let matrix = StationDays::of(1, rain.each_ref().map(std::slice::from_ref));
    let mut days = Vec::new();
    weights.daily(0, &matrix, &mut Room::default(), &mut days);
    assert!((days[0].unwrap() - plain).abs() < 1e-12);
}

#[test]
fn a_station_on_the_spot_speaks_while_it_knows_and_the_others_when_it_does_not() {
    let mut stations = published();
    stations.push(TARGET);
    let rows: [[Option<f64>; 2]; 4] = [
        [Some(12.0), Some(12.0)],
        [Some(4.0), Some(4.0)],
        [Some(0.0), Some(0.0)],
        [Some(9.0), None],
    ];
    let weights = Weights::inverse_distance(&[TARGET], &stations, &Limits::DAILY_RAIN);
    let matrix = StationDays::of(2, rows.each_ref().map(|row| &row[..]));
    let mut days = Vec::new();
    weights.daily(0, &matrix, &mut Room::default(), &mut days);
    assert_eq!(days[0], Some(9.0));
    assert!((days[1].unwrap() - 7.578_071).abs() < 5e-7);
    for (day, expected) in days.iter().enumerate() {
        let rain: Vec<_> = rows.iter().map(|row| row[day]).collect();
        let plain = inverse_distance_mm(TARGET, &stations, &rain, &Limits::DAILY_RAIN);
        assert!((plain.unwrap() - expected.unwrap()).abs() < 1e-12);
    }
}

#[test]
fn a_day_that_too_few_know_is_missing_and_not_dry() {
    let rows: [[Option<f64>; 3]; 3] = [
        [Some(12.0), None, Some(12.0)],
        [Some(4.0), Some(4.0), Some(4.0)],
        [Some(0.0), Some(0.0), Some(90.0)],
    ];
    let weights = Weights::inverse_distance(&[TARGET], &published(), &Limits::DAILY_RAIN);
    let matrix = StationDays::of(3, rows.each_ref().map(|row| &row[..]));
    let phase = |days, cap_mm| Phase { days, cap_mm };
    let phases = [
        phase(0..3, None),
        phase(0..1, Some(5.0)),
        phase(2..3, Some(20.0)),
        phase(2..5, None),
        phase(7..9, None),
    ];
    let mut sums = vec![PhaseRain::default(); phases.len()];
    weights.phase_sums(&matrix, &phases, &mut Room::default(), &mut sums);
    assert_eq!(sums.map_missing(), [1, 0, 0, 2, 2]);
    assert_eq!(sums[0].whole_mm(), None);
    assert!((sums[1].whole_mm().unwrap() - 5.0).abs() < 1e-12);
    let last = sums[2].whole_mm().unwrap();
    assert!(last > 7.5 && last <= 20.0, "{last}");
}

trait MapMissing {
    fn map_missing(&self) -> Vec<u32>;
}

impl MapMissing for Vec<PhaseRain> {
    fn map_missing(&self) -> Vec<u32> {
        self.iter().map(|sum| sum.missing).collect()
    }
}

#[test]
fn kriging_weighs_cells_too_and_keeps_its_variance() {
    let variogram = Variogram {
        nugget: 5.0,
        sill: 40.0,
        range_km: 30.0,
    };
    let weights = Weights::kriging(&[TARGET], &published(), &Limits::DAILY_RAIN, variogram);
    assert!((weights.variance(0).unwrap() - 23.931_454).abs() < 5e-7);
    let rows = [[Some(12.0)], [Some(4.0)], [Some(0.0)]];
    let matrix = StationDays::of(1, rows.each_ref().map(|row| &row[..]));
    let mut days = Vec::new();
    weights.daily(0, &matrix, &mut Room::default(), &mut days);
    assert!((days[0].unwrap() - 7.083_421).abs() < 5e-7);
    assert_eq!((weights.cells(), weights.variance(1)), (1, None));
}

#[test]
fn stations_that_count_for_nothing_know_nothing() {
    let rain = [8.0, 9.0, 7.0, 5.0];
    let all = [1.0; BLOCK];
    let none = [0.0; BLOCK];
    let rows = [
        (&rain, &none, 1.0),
        (&rain, &all, 0.0),
        (&rain, &all, 0.0),
        (&rain, &all, 0.0),
    ];
    assert_eq!(blend_block(&rows, 3.0), (none, none));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_fast_path_is_the_plain_one(
        places in proptest::collection::vec((-0.2_f64..0.2, -0.2_f64..0.2), 1..9),
        rain in proptest::collection::vec(proptest::option::weighted(0.8, 0.0_f64..80.0), 9 * 11),
        stations_max in 3_usize..9,
    ) {
        let limits = Limits { stations_max, ..Limits::DAILY_RAIN };
        let stations: Vec<Site> = places.iter().map(|(lat, lon)| site(-1.375 + lat, 37.985 + lon)).collect();
        let rows: Vec<&[Option<f64>]> = rain.chunks(11).take(stations.len()).collect();
        let matrix = StationDays::of(11, rows.iter().copied());
        let weights = Weights::inverse_distance(&[TARGET], &stations, &limits);
        let (mut room, mut days) = (Room::default(), Vec::new());
        weights.daily(0, &matrix, &mut room, &mut days);
        let (mut sum, mut missing) = (0.0, 0);
        for (day, fast) in days.iter().enumerate() {
            let of_day: Vec<_> = rows.iter().map(|row| row[day]).collect();
            let plain = inverse_distance_mm(TARGET, &stations, &of_day, &limits);
            prop_assert_eq!(plain.is_some(), fast.is_some());
            if let (Some(plain), Some(fast)) = (plain, fast) {
                prop_assert!((plain - fast).abs() < 1e-9);
                sum += plain.min(25.0);
            } else {
                missing += 1;
            }
        }
        let phases = [Phase { days: 0..11, cap_mm: Some(25.0) }];
        let mut sums = [PhaseRain::default()];
        weights.phase_sums(&matrix, &phases, &mut room, &mut sums);
        prop_assert_eq!(sums[0].missing, missing);
        prop_assert!((sums[0].known_mm - sum).abs() < 1e-9);
    }
}
