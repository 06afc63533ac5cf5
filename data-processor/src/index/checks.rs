//! Quality control over a season's stations: their own flags, and each against the others and the
//! satellite. Tells which days are odd and by which test; never drops or changes a number, because
//! rain that is left out raises a payout. Called by `index`, and so by stream and verification.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use domain::evidence::{Check, StationEvidence};

use super::Inputs;
use crate::rule::{day_of, known};
use crate::science::qc::change::persistence_days;
use crate::science::qc::nearby::{blocked, satellite_dekads};
use crate::science::qc::qartod::{Results, Test};
use crate::science::qc::record::accumulated;
use crate::science::qc::{Flag, day_results};
use crate::science::quantile::{Convention, quantile, sort};

/// Part of a season's wet days above which a reading after a gap may hold several days.
const LARGE_SHARE: f64 = 0.95;
/// Rain that makes a day wet for that, mm.
const WET_MM: f64 = 1.0;

/// What the tests say of one station's days from the first of the window.
pub(super) struct Judged<'a> {
    station: &'a StationEvidence,
    first: NaiveDate,
    results: Vec<Results>,
}

impl Judged<'_> {
    /// Whether nothing but a counter that started anew is odd on a day.
    pub(super) fn is_good(&self, day: NaiveDate) -> bool {
        usize::try_from(day.signed_duration_since(self.first).num_days())
            .ok()
            .and_then(|at| self.results.get(at))
            .is_some_and(|results| results.odd().all(|test| test == Test::Counter))
    }

    /// The odd days, for evidence.
    pub(super) fn checks(&self) -> impl Iterator<Item = Check> + '_ {
        self.first
            .iter_days()
            .zip(&self.results)
            .filter_map(|(day, results)| {
                let tests: Vec<String> = results.odd().map(|t| t.as_str().to_owned()).collect();
                (!tests.is_empty()).then(|| Check {
                    station: self.station.id.clone(),
                    day,
                    flag: results.aggregate().as_str().to_owned(),
                    tests,
                })
            })
    }

    /// Which station.
    pub(super) fn rank(&self) -> u16 {
        self.station.rank
    }
}

/// Judges every station over the days of the window up to `as_of`, in the order of their ranks.
pub(super) fn judge<'a>(inputs: &Inputs<'a>, as_of: NaiveDate) -> Vec<Judged<'a>> {
    let days: Vec<NaiveDate> = inputs.window.days().filter(|day| *day <= as_of).collect();
    let mut stations: Vec<&StationEvidence> = inputs.stations.iter().collect();
    stations.sort_by(|a, b| (a.rank, &a.id).cmp(&(b.rank, &b.id)));
    let rain: Vec<Vec<Option<f64>>> = stations
        .iter()
        .map(|station| days.iter().map(|day| millimetres(station, *day)).collect())
        .collect();
    let satellite: Option<Vec<Option<f64>>> = inputs.grids.first().map(|grid| {
        let of = |day: &NaiveDate| {
            let at = grid.days.binary_search_by_key(day, |d| d.day).ok()?;
            grid.days.get(at).map(|d| f64::from(d.rain_um.0) / 1_000.0)
        };
        days.iter().map(of).collect()
    });
    let (mut judged, mut others) = (Vec::with_capacity(stations.len()), Vec::new());
    for (here, station) in stations.into_iter().enumerate() {
        let mut results: Vec<Results> = days.iter().map(|day| own(station, *day)).collect();
        let series = rain.get(here).map(Vec::as_slice).unwrap_or_default();
        persistence_days(series, &mut results);
        if let Some(large_mm) = large(series) {
            accumulated(series, large_mm, &mut results);
        }
        others.clear();
        others.extend(
            rain.iter()
                .enumerate()
                .filter(|(at, _)| *at != here)
                .map(|(_, s)| s.as_slice()),
        );
        // the satellite is a witness too
        others.extend(satellite.as_deref());
        blocked(series, &others, &mut results);
        if let Some(satellite) = &satellite {
            satellite_dekads(inputs.window.start, series, satellite, &mut results);
        }
        judged.push(Judged {
            station,
            first: inputs.window.start,
            results,
        });
    }
    judged
}

fn millimetres(station: &StationEvidence, day: NaiveDate) -> Option<f64> {
    known(&station.days, day).map(|rain| f64::from(rain.0) / 1_000.0)
}

/// What the flags say that the day carries already.
fn own(station: &StationEvidence, day: NaiveDate) -> Results {
    let Some(found) = day_of(&station.days, day) else {
        return Results::MISSING;
    };
    let flags: BTreeSet<Flag> = found
        .flags
        .iter()
        .filter_map(|name| Flag::parse(name))
        .collect();
    day_results(found.rain_um, &flags)
}

/// The 95th percentile of the season's wet days, mm.
fn large(series: &[Option<f64>]) -> Option<f64> {
    let mut wet: Vec<f64> = series
        .iter()
        .flatten()
        .copied()
        .filter(|mm| *mm >= WET_MM)
        .collect();
    sort(&mut wet);
    quantile(&wet, LARGE_SHARE, Convention::Linear)
}
