//! The scorecard: every index on the same cases, with its errors, its correlation, what it is worth
//! to a person, and how surely it differs from the benchmark. Prints what is found, whatever it is.
//! Called by `basis-risk`.

use serde::Serialize;

use super::mortality::Case;
use super::protocol::Track;
use crate::batch::report::{Table, say, three};
use crate::science::basis_risk::{
    Errors, Fault, Floor, Worth, concordance, payout_slope, pearson, spearman,
};
use crate::science::bootstrap::Years;
use crate::science::quantile::{Convention, quantile, sort};

/// How a card is scored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) loss: f64,
    pub(super) premium_multiple: f64,
    pub(super) risk_aversion: f64,
    pub(super) draws: usize,
    pub(super) seed: u64,
    pub(super) floor: Floor,
}

/// Loss of the second, harder, question.
pub(super) const HARD_LOSS: f64 = 0.20;

/// Errors at one loss threshold.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ErrorsReport {
    pub(super) loss_from: f64,
    losses: usize,
    concordance: Option<f64>,
    pub(super) false_negative: Option<f64>,
    pub(super) false_positive: Option<f64>,
    unpaid_loss: f64,
    catastrophic: f64,
}

/// A line of the card.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Line {
    pub(super) index: String,
    cases: usize,
    pays: f64,
    pub(super) pearson: Option<f64>,
    pub(super) spearman: Option<f64>,
    payout_slope: Option<f64>,
    pub(super) errors: [ErrorsReport; 2],
    certainty_without: Option<f64>,
    certainty_with: Option<f64>,
    certainty_perfect: Option<f64>,
    relative_benefit: Option<f64>,
    /// The same with the premium equal to the mean payout.
    relative_benefit_at_cost: Option<f64>,
    meets_minimum_quality: bool,
    /// 5 % and 95 % of this index's concordance less the benchmark's, seasons drawn whole.
    concordance_gain: Option<[f64; 2]>,
    pub(super) not_publishable_because: Vec<&'static str>,
}

/// What a set of cases has seen: losses, and for each the drawing unit it belongs to.
pub(super) struct Seen {
    pub(super) losses: Vec<f64>,
    pub(super) seasons: Vec<usize>,
    pub(super) number: usize,
}

impl Seen {
    /// The cases of one set, with each season of a year as one drawing unit.
    pub(super) fn of(cases: &[&Case]) -> Self {
        let mut known = Vec::new();
        let mut seasons = Vec::with_capacity(cases.len());
        for case in cases {
            let season = (case.key.year, case.key.season);
            let at = known.iter().position(|k| *k == season).unwrap_or_else(|| {
                known.push(season);
                known.len().saturating_sub(1)
            });
            seasons.push(at);
        }
        Self {
            losses: cases.iter().map(|case| case.loss).collect(),
            seasons,
            number: known.len(),
        }
    }
}

/// Scores one index.
pub(super) fn line(
    name: &str,
    seen: &Seen,
    index: &[f64],
    pays: &[bool],
    payout: &[f64],
    terms: &Terms,
) -> Option<Line> {
    let errors = |loss_from: f64| {
        let found = Errors::of(&seen.losses, pays, loss_from)?;
        Some((
            found,
            ErrorsReport {
                loss_from,
                losses: found.losses,
                concordance: concordance(index, &seen.losses, loss_from),
                false_negative: found.false_negative(),
                false_positive: found.false_positive(),
                unpaid_loss: found.unpaid_loss(),
                catastrophic: found.catastrophic(),
            },
        ))
    };
    let (found, first) = errors(terms.loss)?;
    let (_, second) = errors(HARD_LOSS.max(terms.loss))?;
    let worth_at = |multiple| Worth::of(1.0, &seen.losses, payout, multiple, terms.risk_aversion);
    let worth = worth_at(terms.premium_multiple);
    let faults = terms.floor.faults(&found, worth.as_ref());
    Some(Line {
        index: name.to_owned(),
        cases: found.cases,
        pays: found.pays(),
        pearson: pearson(index, &seen.losses),
        spearman: spearman(index, &seen.losses),
        payout_slope: payout_slope(&seen.losses, payout),
        errors: [first, second],
        certainty_without: worth.map(|worth| worth.none),
        certainty_with: worth.map(|worth| worth.index),
        certainty_perfect: worth.map(|worth| worth.perfect),
        relative_benefit: worth.and_then(|worth| worth.benefit()),
        relative_benefit_at_cost: worth_at(1.0).and_then(|worth| worth.benefit()),
        meets_minimum_quality: worth.is_some_and(|worth| worth.meets_minimum()),
        concordance_gain: None,
        not_publishable_because: faults.into_iter().map(Fault::words).collect(),
    })
}

/// A line a track over the cases that `kept` marks; the first track is the benchmark.
pub(super) fn card(
    cases: &[Case],
    kept: impl Fn(&Case) -> bool,
    tracks: &[Track],
    terms: &Terms,
) -> Option<Vec<Line>> {
    let at: Vec<usize> = (0..cases.len())
        .filter(|at| cases.get(*at).is_some_and(&kept))
        .collect();
    let chosen: Vec<&Case> = at.iter().filter_map(|at| cases.get(*at)).collect();
    let seen = Seen::of(&chosen);
    let benchmark = pick(&tracks.first()?.index, &at);
    let lines = tracks.iter().enumerate().map(|(rank, track)| {
        let index = pick(&track.index, &at);
        let (pays, payout) = (pick(&track.pays, &at), pick(&track.payout, &at));
        let mut line = line(track.name, &seen, &index, &pays, &payout, terms)?;
        if rank > 0 {
            line.concordance_gain = gain(&seen, &index, &benchmark, terms);
        }
        Some(line)
    });
    lines.collect()
}

fn pick<T: Copy>(values: &[T], at: &[usize]) -> Vec<T> {
    at.iter()
        .filter_map(|at| values.get(*at).copied())
        .collect()
}

/// Where 90 % of the gains in concordance over the benchmark lie when whole seasons are drawn anew.
fn gain(seen: &Seen, index: &[f64], benchmark: &[f64], terms: &Terms) -> Option<[f64; 2]> {
    let mut source = Years::seeded(terms.seed, seen.number)?;
    let mut drawn = vec![0; seen.number];
    let mut gains = Vec::with_capacity(terms.draws);
    for _ in 0..terms.draws {
        source.fill(&mut drawn);
        let at: Vec<usize> = drawn
            .iter()
            .flat_map(|season| {
                let cases = seen.seasons.iter().enumerate();
                cases.filter(move |(_, of)| *of == season).map(|(at, _)| at)
            })
            .collect();
        let losses = pick(&seen.losses, &at);
        let of = |index: &[f64]| concordance(&pick(index, &at), &losses, terms.loss);
        gains.extend(of(index).zip(of(benchmark)).map(|(a, b)| a - b));
    }
    sort(&mut gains);
    let at = |p| quantile(&gains, p, Convention::Linear);
    Some([at(0.05)?, at(0.95)?])
}

/// Prints a card.
pub(super) fn print(title: &str, lines: &[Line]) -> anyhow::Result<()> {
    say(title)?;
    let thresholds = lines.first().map(|line| &line.errors);
    let loss = |at: usize| {
        let errors = thresholds.and_then(|errors| errors.get(at));
        errors.map_or(0.0, |errors| errors.loss_from * 100.0)
    };
    let heads: Vec<String> = ["index", "pays", "Pearson", "Spearman"]
        .into_iter()
        .map(str::to_owned)
        .chain([0, 1].into_iter().flat_map(|at| {
            let loss = loss(at);
            ["AUC", "FN", "FP", "FNP"].map(|head| format!("{head}{loss:.0}"))
        }))
        .chain(
            [
                "CE gain",
                "RIB",
                "RIB at cost",
                "MQS",
                "AUC gain on A, 90 %",
            ]
            .map(str::to_owned),
        )
        .collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let mut table = Table::new(&heads);
    for line in lines {
        let errors = line.errors.iter().flat_map(|errors| {
            [
                three(errors.concordance),
                three(errors.false_negative),
                three(errors.false_positive),
                three(Some(errors.unpaid_loss)),
            ]
        });
        let minimum = if line.meets_minimum_quality {
            "met"
        } else {
            "missed"
        };
        let gain = line.concordance_gain.map_or("-".to_owned(), |[low, high]| {
            format!("{low:+.3} to {high:+.3}")
        });
        let first = [
            line.index.clone(),
            three(Some(line.pays)),
            three(line.pearson),
            three(line.spearman),
        ];
        let worth = line.certainty_with.zip(line.certainty_without);
        let worth = worth.map_or("-".to_owned(), |(with, without)| {
            format!("{:+.2} %", (with - without) * 100.0)
        });
        let last = [
            worth,
            three(line.relative_benefit),
            three(line.relative_benefit_at_cost),
            minimum.to_owned(),
            gain,
        ];
        table.row(first.into_iter().chain(errors).chain(last));
    }
    table.print()
}
