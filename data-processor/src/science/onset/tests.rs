//! Tests of the season-start detectors: the rule itself, false starts, seasons that never start,
//! and days that are missing. Touches no file. Run with the crate's unit tests.

use super::*;
use proptest::prelude::*;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn window(first: &str, last: &str) -> Window {
    Window {
        start: day(first),
        end: domain::season::next_day(day(last)),
    }
}

/// A dry year 2001 but for these days.
fn year(wet: &[(&str, f64)]) -> Vec<Option<f64>> {
    let mut rain = vec![Some(0.0); 365];
    for (on, mm) in wet {
        rain[at(on)] = Some(*mm);
    }
    rain
}

fn at(on: &str) -> usize {
    let offset = day(&format!("2001-{on}")).signed_duration_since(day("2001-01-01"));
    usize::try_from(offset.num_days()).unwrap()
}

fn find(detector: Detector, rain: &[Option<f64>]) -> Onset {
    let search = window("2001-03-01", "2001-05-31");
    detector.find(rain, day("2001-01-01"), search)
}

const FIRST: Detector = Detector::Dekadal(DEKADAL_25_20);
const SECOND: Detector = Detector::Daily(ICPAC);
const THIRD: Detector = Detector::Daily(ZIMBABWE);

/// Rain on the day, then 3 mm every fifth day for the rest of the month after.
fn good_start() -> Vec<Option<f64>> {
    year(&[
        ("03-22", 12.0),
        ("03-23", 14.0),
        ("03-28", 3.0),
        ("04-02", 6.0),
        ("04-07", 6.0),
        ("04-12", 6.0),
        ("04-17", 6.0),
    ])
}

#[test]
fn the_three_detectors_agree_on_a_good_start() {
    let rain = good_start();
    assert_eq!(find(FIRST, &rain), Onset::On(day("2001-03-21")));
    assert_eq!(find(SECOND, &rain), Onset::On(day("2001-03-22")));
    assert_eq!(find(THIRD, &rain), Onset::On(day("2001-03-22")));
}

#[test]
fn a_season_that_never_starts_is_an_outcome_of_its_own() {
    let dry = year(&[]);
    let search = window("2001-03-01", "2001-05-31");
    for detector in [FIRST, SECOND, THIRD] {
        let found = find(detector, &dry);
        assert_eq!(found, Onset::None);
        assert_eq!(
            start(found, search, WithoutOnset::FailedSeason),
            Start::Failed
        );
        assert_eq!(
            start(found, search, WithoutOnset::LatestDay),
            Start::Day(day("2001-05-31"))
        );
    }
}

#[test]
fn a_storm_before_a_dry_spell_is_a_false_start() {
    // 40 mm in a day; the days after the event of three are the 4th to the 24th: 8 dry ones
    let rain = year(&[
        ("04-01", 40.0),
        ("04-12", 5.0),
        ("04-17", 5.0),
        ("04-22", 5.0),
        ("04-27", 5.0),
    ]);
    assert_eq!(find(SECOND, &rain), Onset::None);
    // the manual's event is over on the first day: 10 dry days from the 2nd to the 11th
    assert_eq!(find(THIRD, &rain), Onset::None);
    let mut sooner = rain.clone();
    sooner[at("04-11")] = Some(1.0);
    assert_eq!(find(THIRD, &sooner), Onset::On(day("2001-04-01")));
    assert_eq!(find(SECOND, &sooner), Onset::None);
}

#[test]
fn the_event_begins_on_a_wet_day() {
    // 0 + 0.9 + 21 mm in three days: the start is the third
    let mut rain = good_start();
    rain[at("03-21")] = Some(0.9);
    rain[at("03-22")] = Some(21.0);
    assert_eq!(find(SECOND, &rain), Onset::On(day("2001-03-22")));
}

#[test]
fn what_follows_may_lie_beyond_the_search() {
    let rain = year(&[
        ("05-31", 30.0),
        ("06-04", 9.0),
        ("06-09", 9.0),
        ("06-14", 9.0),
        ("06-19", 9.0),
        ("06-24", 9.0),
    ]);
    assert_eq!(find(SECOND, &rain), Onset::On(day("2001-05-31")));
    let cut = &rain[..at("06-10")];
    assert_eq!(find(SECOND, cut), Onset::Undecided { missing: 14 });
    let before = DEKADAL_25_20.find(&rain, day("2001-01-01"), window("2001-05-21", "2001-05-31"));
    assert_eq!(before, Onset::On(day("2001-05-21")));
}

#[test]
fn a_gap_that_could_hold_the_start_leaves_it_undecided() {
    let mut rain = good_start();
    rain[at("03-10")] = None;
    // the dekad of the gap may have had 25 mm, though nothing follows it but 26 mm in the third
    assert_eq!(find(FIRST, &rain), Onset::Undecided { missing: 1 });
    // whatever fell on the 10th, ten dry days followed
    assert_eq!(find(SECOND, &rain), Onset::On(day("2001-03-22")));
    // the day before the rain may have been the start
    rain[at("03-10")] = Some(0.0);
    rain[at("03-21")] = None;
    assert_eq!(find(SECOND, &rain), Onset::Undecided { missing: 1 });
    // 12 mm and an unknown day do not tell whether 20 mm fell
    let mut rain = good_start();
    rain[at("03-23")] = None;
    assert_eq!(find(SECOND, &rain), Onset::Undecided { missing: 1 });
}

#[test]
fn a_gap_that_changes_nothing_decides_nothing() {
    let mut rain = good_start();
    // wet without the missing day; and a dry run of at most 4 with it
    rain[at("03-24")] = None;
    rain[at("04-05")] = None;
    assert_eq!(find(SECOND, &rain), Onset::On(day("2001-03-22")));
    assert_eq!(find(FIRST, &rain), Onset::On(day("2001-03-21")));
    // the dry run that a missing wet day may have broken
    let mut rain = good_start();
    rain[at("04-02")] = None;
    assert_eq!(find(SECOND, &rain), Onset::Undecided { missing: 1 });
    assert_eq!(
        start(
            find(SECOND, &rain),
            window("2001-03-01", "2001-05-31"),
            WithoutOnset::FailedSeason
        ),
        Start::Deferred { missing: 1 }
    );
}

#[test]
fn a_season_over_the_new_year_is_searched_in_order() {
    let mut rain = vec![Some(0.0); 181];
    // the series begins on 1 October; 2 January is day 93
    for (offset, mm) in [(93, 30.0), (98, 9.0), (103, 9.0), (108, 9.0), (113, 9.0)] {
        rain[offset] = Some(mm);
    }
    let search = window("2000-12-01", "2001-01-31");
    let found = ICPAC.find(&rain, day("2000-10-01"), search);
    assert_eq!(found, Onset::On(day("2001-01-02")));
    assert_eq!(
        DEKADAL_25_20.find(&rain, day("2000-10-01"), search),
        Onset::On(day("2001-01-01"))
    );
}

#[test]
fn a_series_that_begins_after_the_search_is_missing_days() {
    let rain = vec![Some(30.0); 60];
    let search = window("2001-03-01", "2001-03-31");
    for detector in [FIRST, SECOND, THIRD] {
        let found = detector.find(&rain, day("2001-03-25"), search);
        assert!(matches!(found, Onset::Undecided { .. }), "{detector:?}");
    }
}

proptest! {
    #[test]
    fn filling_a_gap_never_contradicts_a_decision(
        rain in prop::collection::vec(prop_oneof![3 => Just(0.0), 2 => 0.0_f64..30.0], 150),
        gaps in prop::collection::vec(0_usize..150, 0..4),
    ) {
        let whole: Vec<Option<f64>> = rain.iter().copied().map(Some).collect();
        let mut holed = whole.clone();
        for gap in gaps {
            holed[gap] = None;
        }
        let search = window("2001-03-01", "2001-05-31");
        for detector in [FIRST, SECOND, THIRD] {
            let told = detector.find(&holed, day("2001-02-20"), search);
            if !matches!(told, Onset::Undecided { .. }) {
                prop_assert_eq!(told, detector.find(&whole, day("2001-02-20"), search));
            }
        }
    }
}
