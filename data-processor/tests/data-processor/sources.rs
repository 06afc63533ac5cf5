//! The fallback order end to end through the index: few missing days are filled and say so, many make
//! the next source lead, and what no rule gives a number stays missing. Never a day picked.

use data_processor::index::Engine;
use data_processor::rule::Siting;
use data_processor::verify::verify;
use domain::evidence::cid;
use domain::product::Product;
use domain::settle::HoldReason;
use proptest::prelude::*;

use crate::house::{HOUSE, Season, YEAR, place, rain, station};

fn count(sources: &[String], name: &str) -> usize {
    sources.iter().filter(|source| *source == name).count()
}

#[test]
fn a_tenth_of_the_days_is_filled_by_the_second_station() {
    let mut season = Season::of_rain();
    season.lose(1, 10..19);
    let sources = season.sources();
    assert_eq!(
        (count(&sources, "primary"), count(&sources, "second")),
        (83, 9)
    );
    assert_eq!(season.settled(), Season::of_rain().settled());
}

#[test]
fn between_a_tenth_and_a_fifth_there_is_no_number() {
    let mut season = Season::of_rain();
    season.grid(0, &rain(100_000));
    season.lose(1, 10..28);
    let sources = season.sources();
    assert_eq!(
        (count(&sources, "primary"), count(&sources, "missing")),
        (74, 18)
    );
    assert_eq!(season.settled(), None);
}

#[test]
fn beyond_a_fifth_the_second_station_leads_alone() {
    let mut season = Season::of_rain();
    season.stations[1] = station(2, &rain(250_000));
    season.lose(1, 10..29);
    let sources = season.sources();
    assert_eq!(count(&sources, "second"), 92, "the first does not fill");
}

#[test]
fn without_stations_the_satellite_leads_and_people_look() {
    let mut season = Season::of_rain();
    season.grid(0, &rain(150_000));
    season.lose(1, 0..92);
    season.lose(2, 0..92);
    assert_eq!(count(&season.sources(), "chirps-v3"), 92);
    let settlement = season.settled().unwrap();
    assert!(settlement.holds.contains(&HoldReason::FewStations));
    assert!(settlement.holds.contains(&HoldReason::LowConfidence));
    assert_eq!(season.computed().stations, 0);
}

#[test]
fn a_satellites_gap_is_filled_by_the_reanalysis_scaled_to_its_climate() {
    let mut season = Season::of_rain();
    season.stations.clear();
    season.grid(0, &rain(150_000));
    season.grid(1, &rain(150_000));
    season.grids[0]
        .days
        .retain(|d| d.day != season.product.cover_window(YEAR).unwrap().start);
    season.grids[0].climate_um = vec![Some(30_000); 36];
    season.grids[1].climate_um = vec![Some(20_000); 36];
    let computed = season.computed();
    let first = &computed.days[0];
    assert_eq!(
        (first.source.as_str(), first.factor_e4),
        ("era5-land", Some(15_000))
    );
    let plain = rain(150_000)[0];
    assert_eq!(first.rain_um.unwrap().0, (plain * 3 + 1) / 2, "half up");
    assert_eq!(computed.days[1].source, "chirps-v3");
    assert!(computed.days[1..].iter().all(|day| day.factor_e4.is_none()));
}

#[test]
fn stations_around_are_kriged_where_the_contract_says_so() {
    let document = HOUSE
        .replace("\"weatherxm-idw\"", "\"weatherxm-kriged\"")
        .replace(
            "borderline_se = 1",
            "borderline_se = 1\nvariogram = { nugget_mm2 = 5, sill_mm2 = 40, range_km = 30 }",
        );
    let mut season = Season::under(&document);
    season.siting = Siting::Around;
    season.stations = (1..=3)
        .map(|rank| station(rank, &rain(100_000 * i32::from(rank))))
        .collect();
    let places = [place(60_000, 0), place(-70_000, 20_000), place(0, 90_000)];
    for (station, place) in season.stations.iter_mut().zip(places) {
        station.place = Some(place);
    }
    let computed = season.computed();
    assert!(computed.days.iter().all(|day| day.source == "kriged"));
    let total: i64 = computed.phases[0].rain_um;
    assert!((100_000..300_000).contains(&total), "{total}");
    // three stations some kilometres off leave much unknown: two people look
    assert!(computed.confidence < 80, "{}", computed.confidence);
    assert!(computed.index_se_bp.is_some());
    let bytes = season.bundle().bytes();
    assert_eq!(verify(&bytes, Some(&cid(&bytes))).differences, []);
    // without its place a station cannot be kriged, and nothing is guessed
    season.stations[0].place = None;
    assert!(
        season
            .computed()
            .days
            .iter()
            .all(|day| day.rain_um.is_none())
    );
}

#[test]
fn a_gauge_that_stays_dry_in_others_rain_is_flagged_and_kept() {
    let mut season = Season::of_rain();
    let wet: Vec<i32> = (0..92)
        .map(|n| if n % 9 == 0 { 24_000 + n } else { 0 })
        .collect();
    season.stations = vec![station(1, &[0; 92]), station(2, &wet)];
    season.grid(0, &wet);
    let computed = season.computed();
    let of_first = computed.checks.iter().filter(|c| c.station == "station-1");
    let blocked = of_first.filter(|c| c.tests.iter().any(|test| test == "blocked"));
    assert!(blocked.count() > 50);
    assert_eq!(computed.phases[0].rain_um, 0, "its number stays");
    let holds = season.settled().unwrap().holds;
    assert!(holds.contains(&HoldReason::LowConfidence), "{holds:?}");
    let without = Season::of_rain().computed().confidence;
    assert!(
        computed.confidence < without,
        "{} {without}",
        computed.confidence
    );
}

#[test]
fn the_first_form_computes_as_it_did() {
    // the documents sold first: neither satellite nor tests among stations move a number of theirs
    let document = include_str!("../../../products/KE-MZ-PD-LR.toml");
    let mut season = Season::under(HOUSE);
    season.product = Product::from_toml(document).unwrap();
    season.lose(1, 10..30);
    let old =
        data_processor::index::compute(&season.inputs(Engine::One), season.window().last_day());
    let new =
        data_processor::index::compute(&season.inputs(Engine::Two), season.window().last_day());
    let (old, new) = (old.unwrap(), new.unwrap());
    assert_eq!((&old.days, &old.phases), (&new.days, &new.phases));
    assert_eq!(old.checks, []);
    assert_ne!(old.manifest_hash, new.manifest_hash);
}

proptest! {
    #[test]
    fn every_days_source_is_one_that_is_declared(
        lost_first in prop::collection::hash_set(0_usize..92, 0..60),
        lost_second in prop::collection::hash_set(0_usize..92, 0..60),
        lost_grid in prop::collection::hash_set(0_usize..92, 0..60),
    ) {
        let mut season = Season::of_rain();
        season.grid(0, &rain(190_000));
        season.lose(1, lost_first.iter().copied());
        season.lose(2, lost_second.iter().copied());
        let mut day = 0;
        season.grids[0].days.retain(|_| {
            day += 1;
            !lost_grid.contains(&(day - 1))
        });
        let computed = season.computed();
        let known = computed.days.iter().filter(|day| day.rain_um.is_some());
        let mut leading = std::collections::BTreeMap::<&str, usize>::new();
        for day in known {
            *leading.entry(day.source.as_str()).or_default() += 1;
        }
        prop_assert!(leading.keys().all(|s| ["primary", "second", "chirps-v3"].contains(s)));
        // one source leads: all others together fill a tenth at most
        let most = leading.values().max().copied().unwrap_or(0);
        prop_assert!(leading.values().sum::<usize>() - most <= 9, "{leading:?}");
        if computed.missing_days > 0 {
            prop_assert_eq!(season.settled(), None);
        }
    }
}
