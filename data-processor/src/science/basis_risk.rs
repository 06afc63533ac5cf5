//! Basis risk: how often an index pays without a loss and fails to pay with one, how it moves with
//! the loss, and whether a person is better off with it than without. Never judges by one number;
//! the floor under which a product may not be published is here. Called by `basis-risk`, scores.

use super::burn::{Line, mean};
use super::count;

mod floor;
mod score;

pub use floor::{Fault, Floor};
pub use score::{Score, choose, index_share, standard};

/// Loss from which it is a catastrophe: paying nothing then is the worst a product can do.
pub const CATASTROPHE: f64 = 0.70;

/// Errors of a yes-or-no payout against a yes-or-no loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Errors {
    /// Cases compared.
    pub cases: usize,
    /// Cases with a loss at or above the threshold.
    pub losses: usize,
    /// Cases that paid.
    pub paid: usize,
    /// Losses that were not paid.
    pub unpaid_losses: usize,
    /// Cases at or above [`CATASTROPHE`] that were not paid.
    pub unpaid_catastrophes: usize,
}

impl Errors {
    /// Of losses (shares, 0 to 1) against whether each was paid; a loss at the threshold counts.
    /// `None` for nothing, or unequal lengths.
    #[must_use]
    pub fn of(losses: &[f64], paid: &[bool], threshold: f64) -> Option<Self> {
        if losses.is_empty() || losses.len() != paid.len() {
            return None;
        }
        let number = |which: &dyn Fn(f64, bool) -> bool| {
            let both = losses.iter().zip(paid);
            both.filter(|(loss, paid)| which(**loss, **paid)).count()
        };
        Some(Self {
            cases: losses.len(),
            losses: number(&|loss, _| loss >= threshold),
            paid: number(&|_, paid| paid),
            unpaid_losses: number(&|loss, paid| loss >= threshold && !paid),
            unpaid_catastrophes: number(&|loss, paid| loss >= CATASTROPHE && !paid),
        })
    }

    /// FN: share of losses that were not paid; `None` without a loss.
    #[must_use]
    pub fn false_negative(&self) -> Option<f64> {
        ratio(self.unpaid_losses, self.losses)
    }

    /// FP: share of cases without a loss that were paid; `None` when every case is a loss.
    #[must_use]
    pub fn false_positive(&self) -> Option<f64> {
        let paid_losses = self.losses.saturating_sub(self.unpaid_losses);
        ratio(
            self.paid.saturating_sub(paid_losses),
            self.cases.saturating_sub(self.losses),
        )
    }

    /// FNP: share of all cases that are an unpaid loss.
    #[must_use]
    pub fn unpaid_loss(&self) -> f64 {
        count(self.unpaid_losses) / count(self.cases)
    }

    /// Share of all cases that paid.
    #[must_use]
    pub fn pays(&self) -> f64 {
        count(self.paid) / count(self.cases)
    }

    /// Catastrophic basis: share of all cases that lost [`CATASTROPHE`] and were paid nothing.
    #[must_use]
    pub fn catastrophic(&self) -> f64 {
        count(self.unpaid_catastrophes) / count(self.cases)
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| count(part) / count(whole))
}

/// Pearson's correlation; `None` for fewer than two pairs, unequal lengths or a constant side.
#[must_use]
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    if x.len() != y.len() || x.len() < 2 {
        return None;
    }
    let (x_mean, y_mean) = (mean(x)?, mean(y)?);
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (a, b) in x.iter().zip(y) {
        let (a, b) = (a - x_mean, b - y_mean);
        xx += a * a;
        yy += b * b;
        xy += a * b;
    }
    (xx > 0.0 && yy > 0.0).then(|| xy / (xx.sqrt() * yy.sqrt()))
}

/// Ranks from 1, ties sharing the mean of theirs.
#[must_use]
pub fn ranks(sample: &[f64]) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = sample.iter().copied().enumerate().collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut ranks = vec![0.0; sample.len()];
    let mut before = 0_usize;
    for tie in order.chunk_by(|a, b| a.1.total_cmp(&b.1).is_eq()) {
        let shared = count(before) + f64::midpoint(count(tie.len()), 1.0);
        for (at, _) in tie {
            if let Some(rank) = ranks.get_mut(*at) {
                *rank = shared;
            }
        }
        before = before.saturating_add(tie.len());
    }
    ranks
}

/// Spearman's correlation: Pearson's of the ranks, ties shared; `None` as for [`pearson`].
#[must_use]
pub fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    pearson(&ranks(x), &ranks(y))
}

/// Rise of the payout per unit of loss, by least squares: 1 would be full cover on average.
/// `None` as for [`Line::fit`].
#[must_use]
pub fn payout_slope(losses: &[f64], payouts: &[f64]) -> Option<f64> {
    Line::fit(losses, payouts).map(|line| line.slope)
}

/// Probability that of a case with a loss at or above the threshold and one below it, the first
/// has the lower index (ties count half): 0.5 is chance, 1 perfect. `None` when either kind is
/// missing.
#[must_use]
pub fn concordance(index: &[f64], losses: &[f64], threshold: f64) -> Option<f64> {
    if index.len() != losses.len() {
        return None;
    }
    let ranks = ranks(index);
    let hit: Vec<f64> = ranks
        .iter()
        .zip(losses)
        .filter(|(_, loss)| **loss >= threshold)
        .map(|(rank, _)| *rank)
        .collect();
    let (n, all) = (count(hit.len()), count(index.len()));
    let pairs = n * (all - n);
    // Mann and Whitney: the rank sum of a group less its least possible value counts pairs lost
    let above = hit.iter().sum::<f64>() - n * (n + 1.0) / 2.0;
    (pairs > 0.0).then(|| 1.0 - above / pairs)
}

/// Certainty equivalent of incomes under constant relative risk aversion:
/// `mean(y^(1−r))^(1/(1−r))`, at r = 1 the geometric mean. `None` for no incomes, one that is not
/// positive, or an aversion that is negative or none.
#[must_use]
pub fn certainty_equivalent(incomes: &[f64], aversion: f64) -> Option<f64> {
    let sane = aversion.is_finite() && aversion >= 0.0;
    if !sane
        || incomes
            .iter()
            .any(|income| income.is_nan() || *income <= 0.0)
    {
        return None;
    }
    let power = 1.0 - aversion;
    if power.abs() < 1e-12 {
        let logs: Vec<f64> = incomes.iter().map(|income| libm::log(*income)).collect();
        return mean(&logs).map(libm::exp);
    }
    let powers: Vec<f64> = incomes
        .iter()
        .map(|income| libm::pow(*income, power))
        .collect();
    mean(&powers).map(|middle| libm::pow(middle, 1.0 / power))
}

/// Whether a person is better off: certainty equivalents without insurance, with one that pays
/// every loss, and with the index, all at the same multiple of the expected payout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worth {
    /// Without insurance.
    pub none: f64,
    /// With a payout equal to every loss.
    pub perfect: f64,
    /// With the index.
    pub index: f64,
}

impl Worth {
    /// Of losses and payouts in the unit of `whole`, the income of a year without loss. Each year's
    /// income is `whole − loss + payout − premium`, the premium `multiple` times the mean payout.
    /// `None` for unequal lengths and for what [`certainty_equivalent`] refuses.
    #[must_use]
    pub fn of(
        whole: f64,
        losses: &[f64],
        payouts: &[f64],
        multiple: f64,
        aversion: f64,
    ) -> Option<Self> {
        if losses.len() != payouts.len() {
            return None;
        }
        let with = |paid: &[f64]| {
            let premium = multiple * mean(paid)?;
            let incomes: Vec<f64> = losses
                .iter()
                .zip(paid)
                .map(|(loss, payout)| whole - loss + payout - premium)
                .collect();
            certainty_equivalent(&incomes, aversion)
        };
        Some(Self {
            none: with(&vec![0.0; losses.len()])?,
            perfect: with(losses)?,
            index: with(payouts)?,
        })
    }

    /// The minimum quality standard: insured at least as well off as uninsured.
    #[must_use]
    pub fn meets_minimum(&self) -> bool {
        self.index >= self.none
    }

    /// Relative insurance benefit: the index's gain over the perfect cover's; 1 perfect, 0
    /// useless, below 0 harmful. `None` when even the perfect cover gains nothing.
    #[must_use]
    pub fn benefit(&self) -> Option<f64> {
        let best = self.perfect - self.none;
        (best > 0.0).then(|| (self.index - self.none) / best)
    }
}

#[cfg(test)]
mod tests;
