//! The order of sources, the budgets of missing days, and whose day is whose.
//! Phases here have twenty days, so that a day is five per cent. Run by `cargo test`.

use super::*;
use proptest::prelude::*;

fn first() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 4, 1).unwrap()
}

/// What the shipped contracts fill at most.
fn tenth() -> BasisPoints {
    BasisPoints::new(1_000).unwrap()
}

const EVEN: Climatology = [Some(20.0); 36];
const DOUBLE: Climatology = [Some(40.0); 36];

fn offer<'a>(
    source: Source,
    rain_mm: &'a [Option<f64>],
    climatology: &'a Climatology,
) -> Offered<'a> {
    Offered {
        source,
        rain_mm,
        climatology,
    }
}

fn with_gaps(gaps: usize, mm: f64) -> Vec<Option<f64>> {
    (0..20).map(|day| (day >= gaps).then_some(mm)).collect()
}

#[test]
fn one_source_leads_for_the_whole_phase_and_the_next_fills_a_tenth() {
    let (station, chirps) = (with_gaps(2, 3.0), with_gaps(0, 8.0));
    let offered = [
        offer(Source::Chirps, &chirps, &DOUBLE),
        offer(Source::StationInCell, &station, &EVEN),
    ];
    let phase = settle(first(), 20, &offered, tenth());
    assert_eq!(phase.leading, Some(Source::StationInCell));
    assert_eq!((phase.filled(), phase.missing()), (2, 0));
    // half of the satellite's: its climatology is twice the station's
    assert_eq!(
        phase.days[0],
        SettledDay {
            rain_mm: Some(4.0),
            source: Some(Source::Chirps),
            offer: Some(0),
            factor: 0.5
        }
    );
    assert_eq!(phase.days[2].source, Some(Source::StationInCell));
    assert!(phase.passed_over.is_empty());
}

#[test]
fn between_a_tenth_and_a_fifth_nothing_is_filled() {
    let chirps = with_gaps(0, 8.0);
    for gaps in [3, 4] {
        let station = with_gaps(gaps, 3.0);
        let offered = [
            offer(Source::StationInCell, &station, &EVEN),
            offer(Source::Chirps, &chirps, &EVEN),
        ];
        let phase = settle(first(), 20, &offered, tenth());
        assert_eq!(phase.leading, Some(Source::StationInCell));
        assert_eq!((phase.filled(), phase.missing()), (0, gaps));
        assert_eq!((phase.days[0].rain_mm, phase.days[0].source), (None, None));
    }
}

#[test]
fn beyond_a_fifth_the_source_gives_way_for_all_of_it_and_that_is_recorded() {
    let (station, chirps) = (with_gaps(5, 3.0), with_gaps(1, 8.0));
    let offered = [
        offer(Source::StationInCell, &station, &EVEN),
        offer(Source::Chirps, &chirps, &EVEN),
    ];
    let phase = settle(first(), 20, &offered, tenth());
    assert_eq!(phase.leading, Some(Source::Chirps));
    assert_eq!(phase.passed_over, [(Source::StationInCell, 5)]);
    // a source that gave way does not fill: no picking among days
    assert_eq!((phase.filled(), phase.missing()), (0, 1));
    let none = settle(first(), 20, &offered[..1], tenth());
    assert_eq!((none.leading, none.missing()), (None, 20));
}

#[test]
fn how_much_is_filled_is_the_contracts_to_say() {
    let (station, chirps) = (with_gaps(3, 3.0), with_gaps(0, 8.0));
    let offered = [
        offer(Source::StationInCell, &station, &EVEN),
        offer(Source::Chirps, &chirps, &EVEN),
    ];
    // three days of twenty are 1,500 basis points
    for (filled_max, filled) in [(0, 0), (1_499, 0), (1_500, 3), (10_000, 3)] {
        let phase = settle(first(), 20, &offered, BasisPoints::new(filled_max).unwrap());
        assert_eq!(phase.leading, Some(Source::StationInCell));
        assert_eq!((phase.filled(), phase.missing()), (filled, 3 - filled));
    }
}

#[test]
fn bias_is_the_ratio_of_the_dekads_means_within_limits() {
    let mut wet = EVEN;
    wet[9] = Some(70.0);
    let mut dry = EVEN;
    dry[9] = Some(0.0);
    let unknown: Climatology = [None; 36];
    let at = |one: &Climatology, other: &Climatology| bias_factor(one, other, first());
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
    close(at(&wet, &EVEN), 2.0);
    close(at(&EVEN, &wet), 0.5);
    close(at(&EVEN, &DOUBLE), 0.5);
    close(at(&DOUBLE, &[Some(32.0); 36]), 1.25);
    close(at(&EVEN, &dry), 2.0);
    close(at(&dry, &dry), 1.0);
    close(at(&dry, &EVEN), 0.5);
    close(at(&EVEN, &unknown), 1.0);
}

#[test]
fn a_climatology_is_of_whole_dekads() {
    let start = NaiveDate::from_ymd_opt(2023, 2, 21).unwrap();
    // 8 days of February 2023, then on into 2024 with its leap day
    let mut rain = vec![Some(1.0); 374];
    rain[10] = None;
    let means = climatology(start, &rain);
    let close = |a: Option<f64>, b: f64| assert!((a.unwrap() - b).abs() < 1e-12, "{a:?}");
    // 8 and 9 days
    close(means[5], 8.5);
    // 1 to 10 March has a gap in 2023 and does not end in 2024
    assert_eq!(means[6], None);
    close(means[7], 10.0);
    close(means[8], 11.0);
}

#[test]
fn days_are_moved_to_the_local_day_they_mostly_are() {
    let eve = NaiveDate::from_ymd_opt(2026, 3, 31).unwrap();
    assert_eq!(DayBoundary::Utc.local_day(first()), first());
    assert_eq!(DayBoundary::Local.local_day(first()), first());
    assert_eq!(DayBoundary::Gauge.local_day(first()), eve);
    let hours = [DayBoundary::Local, DayBoundary::Utc, DayBoundary::Gauge];
    assert_eq!(hours.map(DayBoundary::hours_shared), [24, 21, 15]);
}

#[test]
fn a_series_that_is_a_day_late_is_told() {
    let truth: Vec<Option<f64>> = (0_u32..200)
        .map(|n| Some(f64::from(n.wrapping_mul(7_919) % 13) * f64::from(u8::from(n % 3 == 0))))
        .collect();
    let late: Vec<Option<f64>> = std::iter::once(None).chain(truth.iter().copied()).collect();
    assert_eq!(lag(&truth, &truth), Some(0));
    assert_eq!(lag(&late, &truth), Some(1));
    assert_eq!(lag(&truth, &late), Some(-1));
    assert_eq!(lag(&truth[..30], &truth), None);
    assert_eq!(lag(&[Some(0.0); 200], &truth), None);
}

proptest! {
    #[test]
    fn deleting_days_never_lowers_the_sum_unrecorded(
        rain in proptest::collection::vec(0.0_f64..40.0, 20),
        deleted in proptest::collection::btree_set(0_usize..20, 0..8),
    ) {
        let whole: Vec<Option<f64>> = rain.iter().copied().map(Some).collect();
        let mut gaps = whole.clone();
        for day in &deleted {
            gaps[*day] = None;
        }
        let offered = [
            offer(Source::StationInCell, &gaps, &EVEN),
            offer(Source::Chirps, &whole, &EVEN),
        ];
        let phase = settle(first(), 20, &offered, tenth());
        let before: f64 = rain.iter().sum();
        let after: f64 = phase.days.iter().filter_map(|day| day.rain_mm).sum();
        // less rain is only ever seen with missing days on record
        prop_assert!(after >= before - 1e-9 || phase.missing() > 0);
        let switched = phase.filled() > 0 || !phase.passed_over.is_empty();
        prop_assert_eq!(switched || phase.missing() > 0, !deleted.is_empty());
        prop_assert!(phase.days.iter().all(|day| day.rain_mm.is_some() == day.source.is_some()));
    }
}
