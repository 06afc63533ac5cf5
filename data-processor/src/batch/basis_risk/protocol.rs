//! The protocol of the Marsabit comparison, declared before any candidate was scored: leave a year
//! out; build every index without it; choose by concordance on the other years' surveyed cases;
//! trigger at their 20 % quantile; score on the year left out. Called by `basis-risk`.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;

use super::candidates::{AVERAGE, NAMES, Values, baseline, build, read};
use super::mortality::{Case, Folds, Key, Season, cases, published};
use crate::batch::report::progress;
use crate::science::basis_risk::{choose, index_share, payout_slope};
use crate::science::quantile::{Convention, quantile, sort};

/// Quantile of an index at which a product starts to pay, as forage covers of this kind do.
const TRIGGER: f64 = 0.20;
/// Quantile at which it pays all.
const EXIT: f64 = 0.01;
/// Benchmark A: the published z-score below its normal 20 % quantile; all at its 1 % quantile.
pub(super) const BENCHMARK_TRIGGER: f64 = -0.842;
const BENCHMARK_EXIT: f64 = -2.326;
/// Names of the two indices that are no candidate.
pub(super) const BENCHMARK: &str = "Benchmark A: published zNDVI";
pub(super) const CHOSEN: &str = "chosen inside folds";

/// What one index would have done, case by case, each scored while its fold was held out.
#[derive(Debug, Clone)]
pub(super) struct Track {
    /// Which index.
    pub(super) name: &'static str,
    /// The index, one value a case.
    pub(super) index: Vec<f64>,
    /// Whether it pays.
    pub(super) pays: Vec<bool>,
    /// What it pays, share of the herd's worth.
    pub(super) payout: Vec<f64>,
    /// Mean trigger over the folds.
    pub(super) trigger: f64,
}

/// The choice made with one fold held out.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    /// The fold.
    pub(super) held: i32,
    /// Cases that are scored in it.
    pub(super) cases: usize,
    /// Which candidate was chosen.
    pub(super) chosen: &'static str,
}

/// Everything the scorecard is made of.
#[derive(Debug, Clone)]
pub(super) struct Played {
    /// The cases, in the file's order.
    pub(super) cases: Vec<Case>,
    /// Benchmark A, the chosen index, the average, then each candidate.
    pub(super) tracks: Vec<Track>,
    /// One a fold.
    pub(super) choices: Vec<Choice>,
}

/// Plays the protocol over the folder's files.
pub(super) fn play(folder: &Path, folds: Folds, threshold: f64) -> anyhow::Result<Played> {
    let cases = cases(folder)?;
    let places: BTreeSet<String> = cases.iter().map(|case| case.key.place.clone()).collect();
    progress(&format!(
        "{} cases of {} places; reading NDVI and rain",
        cases.len(),
        places.len()
    ));
    let raw = read(folder, &places)?;
    let benchmark = published(folder)?;
    let mut tracks: Vec<Track> = [BENCHMARK, CHOSEN, AVERAGE]
        .into_iter()
        .chain(NAMES)
        .map(|name| Track {
            name,
            index: vec![0.0; cases.len()],
            pays: vec![false; cases.len()],
            payout: vec![0.0; cases.len()],
            trigger: 0.0,
        })
        .collect();
    let held_out: BTreeSet<i32> = cases.iter().map(|case| folds.of(&case.key)).collect();
    let mut choices = Vec::with_capacity(held_out.len());
    for held in &held_out {
        let is_held = |key: &Key| folds.of(key) == *held;
        let built = build(&raw, &is_held)?;
        let known: Vec<&Case> = cases
            .iter()
            .filter(|case| case.is_surveyed && !is_held(&case.key))
            .collect();
        let rows: Vec<Vec<f64>> = built
            .iter()
            .take(NAMES.len())
            .map(|values| of_cases(values, &known))
            .collect::<anyhow::Result<_>>()?;
        let losses: Vec<f64> = known.iter().map(|case| case.loss).collect();
        let best = choose(&rows, &losses, threshold).context("no candidate can be chosen")?;
        let chosen = NAMES.get(best).copied().unwrap_or(CHOSEN);
        let indices = std::iter::once(&benchmark)
            .chain(built.get(best))
            .chain(built.last())
            .chain(built.iter().take(NAMES.len()));
        for (track, values) in tracks.iter_mut().zip(indices) {
            let (trigger, exit) = if track.name == BENCHMARK {
                (BENCHMARK_TRIGGER, BENCHMARK_EXIT)
            } else {
                let mut sorted = baseline(values, &is_held);
                sort(&mut sorted);
                let at = |p| quantile(&sorted, p, Convention::Linear).context("no baseline");
                (at(TRIGGER)?, at(EXIT)?)
            };
            let scale = scale(values, &known, &losses, trigger, exit)?;
            let number = crate::science::count(held_out.len());
            track.trigger += trigger / number;
            let here = cases.iter().enumerate().filter(|(_, c)| is_held(&c.key));
            for (at, case) in here {
                let index = value(values, &case.key)?;
                set(&mut track.index, at, index);
                set(&mut track.pays, at, index < trigger);
                set(
                    &mut track.payout,
                    at,
                    scale * index_share(index, trigger, exit),
                );
            }
        }
        let scored = cases.iter().filter(|case| is_held(&case.key)).count();
        progress(&format!("held out {held}: {chosen} chosen"));
        choices.push(Choice {
            held: *held,
            cases: scored,
            chosen,
        });
    }
    Ok(Played {
        cases,
        tracks,
        choices,
    })
}

/// Share of the herd's worth insured: the slope of loss on the share paid over the other years,
/// which leaves the least variance, between nothing and all.
fn scale(
    values: &Values,
    known: &[&Case],
    losses: &[f64],
    trigger: f64,
    exit: f64,
) -> anyhow::Result<f64> {
    let shares: Vec<f64> = of_cases(values, known)?
        .into_iter()
        .map(|index| index_share(index, trigger, exit))
        .collect();
    // of the loss on the share paid, so the arguments change places
    Ok(payout_slope(&shares, losses).unwrap_or(0.0).clamp(0.0, 1.0))
}

fn of_cases(values: &Values, cases: &[&Case]) -> anyhow::Result<Vec<f64>> {
    cases.iter().map(|case| value(values, &case.key)).collect()
}

fn value(values: &Values, key: &Key) -> anyhow::Result<f64> {
    let (place, season, year) = (&key.place, key.season.code(), key.year);
    let missing = || format!("no index for {place} {season} {year}");
    values.get(key).copied().with_context(missing)
}

fn set<T>(values: &mut [T], at: usize, value: T) {
    if let Some(slot) = values.get_mut(at) {
        *slot = value;
    }
}

impl Played {
    /// Points of a track for the picture: index and loss, surveyed cases of one season.
    pub(super) fn points(&self, track: &Track, season: Season) -> Vec<(f64, f64)> {
        let both = self.cases.iter().zip(&track.index);
        both.filter(|(case, _)| case.is_surveyed && case.key.season == season)
            .map(|(case, index)| (*index, case.loss))
            .collect()
    }
}
