//! Scores of a season against its own past, and the choice among candidate indices. A choice is
//! made only on the cases it is given: whoever leaves a year out leaves it out of these too.
//! Called by the `basis-risk` command.

use crate::science::burn::{mean, variance};
use crate::science::quantile::{median, sort};

use super::concordance;

/// How a value is measured against its baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Score {
    /// `(x − mean) / sd`, sd with n − 1.
    Z,
    /// `(x − median) / (1.4826·MAD)`: one odd year moves it little.
    Robust,
    /// `(x − min) / (max − min)`: the vegetation condition index as a share.
    Range,
}

/// Makes the median absolute deviation of a normal sample its standard deviation.
const MAD_TO_SD: f64 = 1.482_6;

/// Centre and spread of a baseline under a score; `None` where the spread is 0 (bare desert) or
/// fewer than two values are given.
#[must_use]
pub fn standard(score: Score, baseline: &[f64]) -> Option<(f64, f64)> {
    let (centre, spread) = match score {
        Score::Z => (mean(baseline)?, variance(baseline)?.sqrt()),
        Score::Robust => {
            let mut sorted = baseline.to_vec();
            sort(&mut sorted);
            let centre = median(&sorted)?;
            let mut far: Vec<f64> = baseline.iter().map(|x| (x - centre).abs()).collect();
            sort(&mut far);
            (centre, MAD_TO_SD * median(&far)?)
        }
        Score::Range => {
            let least = baseline.iter().copied().reduce(f64::min)?;
            let most = baseline.iter().copied().reduce(f64::max)?;
            (least, most - least)
        }
    };
    // three times 0.1 have a mean that is not 0.1 in binary: a spread of rounding is none
    (spread > 1e-9 * centre.abs()).then_some((centre, spread))
}

/// The candidate whose index tells losses from no losses best on these cases, by
/// [`concordance`]; of equals the first declared. One row a candidate, one column a case. `None`
/// when no candidate has a concordance.
#[must_use]
pub fn choose(candidates: &[Vec<f64>], losses: &[f64], threshold: f64) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (at, index) in candidates.iter().enumerate() {
        if let Some(found) = concordance(index, losses, threshold)
            && best.is_none_or(|(_, most)| found > most)
        {
            best = Some((at, found));
        }
    }
    best.map(|(at, _)| at)
}

/// Share paid for an index: 0 at or above the trigger, 1 at or below the exit, linear between.
#[must_use]
pub fn index_share(index: f64, trigger: f64, exit: f64) -> f64 {
    crate::science::burn::deficit_share(index, trigger, exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_measure_against_the_baseline_alone() {
        let baseline = [1.0, 2.0, 3.0, 4.0, 100.0];
        let (centre, spread) = standard(Score::Robust, &baseline).unwrap();
        assert!((centre - 3.0).abs() < 1e-12 && (spread - MAD_TO_SD).abs() < 1e-12);
        assert_eq!(standard(Score::Range, &baseline), Some((1.0, 99.0)));
        let (centre, spread) = standard(Score::Z, &[1.0, 3.0]).unwrap();
        assert!((centre - 2.0).abs() < 1e-12 && (spread * spread - 2.0).abs() < 1e-12);
        for score in [Score::Z, Score::Robust, Score::Range] {
            assert_eq!(standard(score, &[0.1, 0.1, 0.1]), None);
            assert_eq!(standard(score, &[]), None);
        }
    }

    #[test]
    fn the_first_of_equals_is_chosen() {
        let losses = [0.3, 0.0, 0.0];
        let right = vec![-1.0, 0.0, 1.0];
        let wrong = vec![1.0, 0.0, -1.0];
        let rows = [wrong, right.clone(), right];
        assert_eq!(choose(&rows, &losses, 0.15), Some(1));
        assert_eq!(choose(&rows, &[0.0; 3], 0.15), None);
    }
}
