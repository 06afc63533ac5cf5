//! Benchmark A: the published zNDVI of Marsabit against the mortality that was observed. It is the
//! bar of every index of ours, so it is reproduced before anything is set beside it.

use std::path::Path;

use anyhow::{Context as _, ensure};

use super::{Row, Seen};
use crate::batch::basis_risk::{Case, Season, cases, published};
use crate::science::basis_risk::{Errors, pearson, spearman};
use crate::science::burn::mean;

/// The published score below which it pays: the 20 % quantile of the normal.
const TRIGGER: f64 = -0.842;

pub(super) fn rows(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let cases = cases(folder)?;
    let scores = published(folder)?;
    let index: Vec<f64> = cases
        .iter()
        .map(|case| {
            scores
                .get(&case.key)
                .copied()
                .context("a case without a score")
        })
        .collect::<anyhow::Result<_>>()?;
    ensure!(
        cases.len() == 210,
        "{} cases, 210 were expected",
        cases.len()
    );
    let losses: Vec<f64> = cases.iter().map(|case| case.loss).collect();
    let pays: Vec<bool> = index.iter().map(|score| *score < TRIGGER).collect();
    let mut seen = Seen::default();
    seen.printed(pearson(&index, &losses).unwrap_or(f64::NAN), -0.429, 3);
    seen.printed(spearman(&index, &losses).unwrap_or(f64::NAN), -0.328, 3);
    for (threshold, printed) in [
        (0.15, [(0.367, 3), (0.106, 3), (0.086, 3)]),
        (0.20, [(0.29, 2), (0.145, 3), (0.043, 3)]),
    ] {
        let errors = Errors::of(&losses, &pays, threshold).context("no cases")?;
        seen.printed(errors.pays(), 0.229, 3);
        let found = [
            errors.false_negative(),
            errors.false_positive(),
            Some(errors.unpaid_loss()),
        ];
        for (value, (printed, digits)) in found.into_iter().zip(printed) {
            seen.printed(value.unwrap_or(f64::NAN), printed, digits);
        }
    }
    for (year, score, mortality) in [
        (2009, -1.56, 0.311),
        (2011, -1.58, 0.298),
        (2012, 0.71, 0.063),
    ] {
        let of_season = |case: &Case| (case.key.season, case.key.year) == (Season::Long, year);
        let of = |values: &[f64]| {
            let both = cases.iter().zip(values);
            let kept = both.filter(|(case, _)| of_season(case)).map(|(_, x)| *x);
            mean(&kept.collect::<Vec<f64>>()).unwrap_or(f64::NAN)
        };
        seen.printed(of(&index), score, 2);
        seen.printed(of(&losses), mortality, 3);
    }
    Ok(vec![
        seen.digits(
            "Benchmark A: zNDVI against mortality, Marsabit",
            "210 cases, trigger -0.842, losses from 15 % and 20 %",
        ),
        unasked(&cases),
    ])
}

/// The seasons that no household was asked about are told from seasons without loss.
fn unasked(cases: &[Case]) -> Row {
    let mut seen = Seen::default();
    for case in cases {
        let known = case.key.season == Season::Short && matches!(case.key.year, 2013 | 2015);
        seen.holds(case.is_surveyed != known);
    }
    let note = "SRSD 2013 and 2015: no loss and no sale in any household, so not zero but missing";
    seen.row("Marsabit mortality, seasons not surveyed", 0.0, note)
}
