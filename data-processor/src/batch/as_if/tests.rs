//! As-if years on small series made here: the evaluator's own rounding, gaps, edges of a record.
//! Reads no file.

use std::path::PathBuf;

use super::asked::{choose, ensure_wards, try_out, zones_of};
use super::*;

fn contract(window: &str, trigger: i32, exit: i32) -> Contract {
    let mut product = product("KE-MZ-PD-LR").unwrap();
    try_out(&mut product, Some(window.parse().unwrap()), trigger, exit).unwrap();
    let zone = product.zones[0].clone();
    Contract {
        product,
        zone,
        sown: None,
    }
}

fn days(from: &str, number: usize) -> Vec<NaiveDate> {
    let first: NaiveDate = from.parse().unwrap();
    first.iter_days().take(number).collect()
}

fn insured() -> Money {
    Money::kes(10_000).unwrap()
}

#[test]
fn a_season_is_evaluated_in_whole_micrometres() {
    let days = days("2001-03-01", 31);
    let mut rain = vec![Some(0.0); 31];
    rain[4] = Some(40.123_4);
    rain[9] = Some(10.0);
    let place = contract("03-01..03-31", 100, 0)
        .place("A", (&days, &rain), &BTreeMap::new(), insured())
        .unwrap();
    let [season] = place.seasons.as_slice() else {
        panic!("{place:?}");
    };
    assert!((season.rain_mm() - 50.123).abs() < 1e-12);
    assert!((season.share - 0.498_77).abs() < 1e-12);
    assert_eq!(season.payout, Money::kes(4_988).unwrap());
}

#[test]
fn a_season_with_a_missing_or_impossible_day_has_no_number() {
    let days = days("2001-03-01", 31 + 365);
    let mut rain = vec![Some(1.0); days.len()];
    rain[3] = None;
    rain[5] = Some(-0.5);
    let place = contract("03-01..03-31", 100, 0)
        .place("A", (&days, &rain), &BTreeMap::new(), insured())
        .unwrap();
    assert_eq!(
        place.gaps,
        [Gap {
            year: 2001,
            missing_days: 2
        }]
    );
    assert_eq!((place.refused, place.seasons.len()), (1, 1));
    assert_eq!(place.seasons[0].year, 2002);
}

#[test]
fn a_season_the_file_ends_in_is_a_gap_and_one_beyond_it_is_not_there() {
    let days = days("2001-10-01", 120);
    let rain = vec![Some(2.0); days.len()];
    let place = contract("12-01..02-28", 100, 0)
        .place("A", (&days, &rain), &BTreeMap::new(), insured())
        .unwrap();
    assert!(place.seasons.is_empty());
    assert_eq!(place.gaps.len(), 1);
    assert_eq!(place.gaps[0].year, 2001);
    assert!(
        places(
            &contract("12-01..02-28", 100, 0),
            &table(&days, rain),
            &[0],
            None,
            insured()
        )
        .is_err()
    );
}

fn table(days: &[NaiveDate], rain: Vec<Option<f64>>) -> Table {
    Table {
        days: days.to_vec(),
        names: vec!["LOG LOGO".to_owned()],
        columns: vec![rain],
    }
}

#[test]
fn places_are_matched_to_wards_by_their_letters() {
    let days = days("2001-03-01", 1);
    let table = table(&days, vec![Some(0.0)]);
    let shipped = product("KE-MZ-PD-LR").unwrap();
    let rain = |places: &[&str], all| Rain {
        rain: PathBuf::new(),
        places: places.iter().map(|name| (*name).to_owned()).collect(),
        all,
    };
    let contract = |zones: Vec<Zone>| Contract {
        product: Product {
            zones: zones.clone(),
            ..shipped.clone()
        },
        zone: zones[0].clone(),
        sown: None,
    };
    let codes = |asked: &Rain| contract(zones_of(&shipped, asked, &table)).zones();
    // every place of a file is evaluated in one zone, and so is a place that is no ward but where it
    // is asked for by name
    assert_eq!(codes(&rain(&[], false)), "log-logo");
    assert_eq!(codes(&rain(&["turbi", "KARARE"], false)), "marsabit, turbi");
    assert_eq!(codes(&rain(&["OGUCHO"], false)), "marsabit");
    assert_eq!(codes(&rain(&[], true)), "log-logo");
    let refused = |places: &[&str]| {
        let asked = rain(places, false);
        let zones = zones_of(&shipped, &asked, &table);
        ensure_wards(&shipped, &zones, &asked.places).err()
    };
    assert!(refused(&["turbi", "KARARE"]).is_none());
    for places in [&["OGUCHO"][..], &["KARARE", "OGUCHO"]] {
        let error = refused(places).unwrap().to_string();
        let names_the_zones = error.contains("`OGUCHO`") && error.contains("kitui-makueni");
        assert!(names_the_zones && error.contains("--zone"), "{error}");
    }
    let asked = rain(&[], false);
    let here = contract(zones_of(&shipped, &asked, &table));
    for asked in [asked, rain(&["log-logo"], false), rain(&[], true)] {
        assert_eq!(choose(&here, false, &asked, &table).unwrap(), [0]);
    }
    assert!(choose(&here, false, &rain(&["Kitui"], false), &table).is_err());
    let kitui = shipped.zone("kitui-makueni").unwrap().clone();
    assert!(choose(&contract(vec![kitui]), false, &rain(&[], false), &table).is_err());
    // Kitui has a ward of that name too, and most of the file's places are in Marsabit
    let both = Table {
        names: ["TOWNSHIP", "TURBI", "KARARE"].map(str::to_owned).to_vec(),
        ..table.clone()
    };
    let zones = zones_of(&shipped, &rain(&[], false), &both);
    assert_eq!(contract(zones).zones(), "marsabit, turbi");
    let all = contract(shipped.zones.clone());
    let zone_of = |place| all.of(place).zone.code;
    assert_eq!(
        (zone_of("TURBI"), zone_of("OGUCHO")),
        ("turbi".into(), "marsabit".into())
    );
}

#[test]
fn a_detrended_record_is_evaluated_by_the_same_evaluator() {
    let days = days("2001-01-01", 365 * 5 + 1);
    // 50 mm in the first year and 10 mm less each year after: at the last year's level all are 10
    let rain = days
        .iter()
        .map(|day| {
            Some(if (day.month(), day.day()) == (3, 15) {
                50.0 - 10.0 * f64::from(day.year() - 2001)
            } else {
                0.0
            })
        })
        .collect::<Vec<_>>();
    let contract = contract("03-01..03-31", 40, 0);
    let place = contract
        .place("A", (&days, &rain), &BTreeMap::new(), insured())
        .unwrap();
    let plain: Vec<f64> = place.seasons.iter().map(|s| s.share).collect();
    assert_eq!(plain, [0.0, 0.0, 0.25, 0.5, 0.75]);
    assert_eq!(
        contract
            .detrended(&place, Detrend::Linear)
            .unwrap()
            .unwrap(),
        [0.75; 5]
    );
    assert_eq!(
        contract.detrended(&place, Detrend::None).unwrap().unwrap(),
        plain
    );
}

#[test]
fn only_years_that_all_places_have_are_common() {
    let season = |year, share| Season {
        year,
        phases: Vec::new(),
        vegetation_milli: None,
        share,
        payout: Money::ZERO_KES,
    };
    let place = |seasons| Place {
        name: String::new(),
        seasons,
        gaps: Vec::new(),
        refused: 0,
    };
    let (years, rows) = common(&[
        place(vec![season(2001, 0.1), season(2002, 0.2)]),
        place(vec![season(2002, 0.4), season(2003, 0.6)]),
    ]);
    assert_eq!(years, [2002]);
    assert_eq!(rows, [[0.2], [0.4]]);
}

#[test]
fn whole_numbers_become_floats_exactly() {
    for value in [
        0,
        1,
        -1,
        829_500,
        -829_500,
        (1_i64 << 53) - 1,
        -(1_i64 << 52),
    ] {
        assert_eq!(whole(float(value)), Some(value));
    }
}

#[test]
fn what_is_no_product_says_what_is() {
    let error = product("KE-XX").unwrap_err().to_string();
    assert!(error.contains("KE-MZ-DI-LR"), "{error}");
    assert!(product("/nowhere.toml").is_err());
    let mut pattern = product("KE-MZ-PD-LR").unwrap();
    assert!(try_out(&mut pattern, None, 10, 20).is_err());
}
