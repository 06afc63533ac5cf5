//! A book of cells under as-if years: whole years kept together, because one drought strikes the
//! county. Year losses, return periods, tail measures, correlations and reinsurance layers. Never
//! draws cells apart and never states a loss rarer than its record. Called by `portfolio`, pricing.

use super::basis_risk::pearson;
use super::burn::{mean, variance};
use super::count;
use super::quantile::{Convention, quantile, sort};

/// Loss of each year over all cells, weighted by exposure: one row a cell, one column a year.
/// `None` without cells, for rows of unequal length, or weights that are not one a cell and
/// positive in sum.
#[must_use]
pub fn year_losses(cells: &[Vec<f64>], weights: &[f64]) -> Option<Vec<f64>> {
    let years = cells.first()?.len();
    let whole: f64 = weights.iter().sum();
    if weights.len() != cells.len() || whole <= 0.0 || cells.iter().any(|c| c.len() != years) {
        return None;
    }
    let mut losses = vec![0.0; years];
    for (cell, weight) in cells.iter().zip(weights) {
        for (loss, share) in losses.iter_mut().zip(cell) {
            *loss += share * weight / whole;
        }
    }
    Some(losses)
}

/// Loss not exceeded in `level` of the years, 0 to 1: the type 7 quantile. `None` for no years.
#[must_use]
pub fn value_at_risk(losses: &[f64], level: f64) -> Option<f64> {
    let mut sorted = losses.to_vec();
    sort(&mut sorted);
    quantile(&sorted, level, Convention::Linear)
}

/// Mean of the worst ⌈n·share⌉ years, so that ties need no rule. `None` for no years, or a share
/// outside 0 to 1 or of 0.
#[must_use]
pub fn tail_mean(losses: &[f64], share: f64) -> Option<f64> {
    if !(share > 0.0 && share <= 1.0) {
        return None;
    }
    // 39 × 0.1 is 3.9000000000000004 in binary and 20 × 0.15 is exactly 3: a hair keeps both right
    let asked = share * count(losses.len()) - 1e-9;
    let worst = (1..=losses.len()).find(|n| count(*n) >= asked)?;
    let mut sorted = losses.to_vec();
    sort(&mut sorted);
    mean(sorted.get(sorted.len().saturating_sub(worst)..)?)
}

/// A year with its empirical return period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Position of the year in the record.
    pub position: usize,
    /// Its loss.
    pub loss: f64,
    /// 1 for the worst. Of equal losses the earlier year stands first.
    pub rank: usize,
    /// `(N + 1) / rank`, years.
    pub return_years: f64,
}

/// All years, worst first, with return period `(N + 1) / rank` (Weibull).
#[must_use]
pub fn ranked(losses: &[f64]) -> Vec<Ranked> {
    let mut order: Vec<(usize, f64)> = losses.iter().copied().enumerate().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    (1..)
        .zip(order)
        .map(|(rank, (position, loss))| Ranked {
            position,
            loss,
            rank,
            return_years: (count(losses.len()) + 1.0) / count(rank),
        })
        .collect()
}

/// Loss of a return period, years: the type 6 quantile at `1 − 1/years`, which meets [`ranked`].
/// `None` for a period of less than a year, or beyond `N + 1`: the record does not reach there.
#[must_use]
pub fn loss_at(losses: &[f64], return_years: f64) -> Option<f64> {
    let reach = count(losses.len()) + 1.0;
    if !(1.0..=reach).contains(&return_years) {
        return None;
    }
    let mut sorted = losses.to_vec();
    sort(&mut sorted);
    quantile(&sorted, 1.0 - 1.0 / return_years, Convention::Weibull)
}

/// Largest occurrence of each year, where an occurrence is one season over one zone of like rain:
/// one row an occurrence, one column a year. Its exceedance is the OEP; that of the sums the AEP.
/// `None` for no rows or rows of unequal length.
#[must_use]
pub fn largest_occurrences(occurrences: &[Vec<f64>]) -> Option<Vec<f64>> {
    by_year(occurrences, f64::max)
}

/// Sum of the occurrences of each year. `None` as for [`largest_occurrences`].
#[must_use]
pub fn aggregates(occurrences: &[Vec<f64>]) -> Option<Vec<f64>> {
    by_year(occurrences, |a, b| a + b)
}

fn by_year(occurrences: &[Vec<f64>], join: fn(f64, f64) -> f64) -> Option<Vec<f64>> {
    let (first, others) = occurrences.split_first()?;
    let mut years = first.clone();
    for other in others {
        if other.len() != years.len() {
            return None;
        }
        for (year, loss) in years.iter_mut().zip(other) {
            *year = join(*year, *loss);
        }
    }
    Some(years)
}

/// What a book amounts to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Average annual loss, share of the limit.
    pub average: f64,
    /// Standard deviation of the year losses, n − 1.
    pub sd: f64,
    /// Mean of the cells' own standard deviations.
    pub cell_sd: f64,
    /// Mean correlation of pairs of cells' paid shares; `None` when no pair has one.
    pub correlation: Option<f64>,
}

/// Sums up a book. `None` for fewer than two years or what [`year_losses`] refuses.
#[must_use]
pub fn summary(cells: &[Vec<f64>], weights: &[f64]) -> Option<Summary> {
    let losses = year_losses(cells, weights)?;
    let deviations: Vec<f64> = cells
        .iter()
        .map(|cell| variance(cell).map(f64::sqrt))
        .collect::<Option<_>>()?;
    Some(Summary {
        average: mean(&losses)?,
        sd: variance(&losses)?.sqrt(),
        cell_sd: mean(&deviations)?,
        correlation: mean(&correlations(cells)),
    })
}

/// Correlation of every pair of series, in order; a pair with a constant series is left out.
#[must_use]
pub fn correlations(series: &[Vec<f64>]) -> Vec<f64> {
    let mut found = Vec::new();
    for (at, one) in series.iter().enumerate() {
        for other in series.iter().skip(at.saturating_add(1)) {
            found.extend(pearson(one, other));
        }
    }
    found
}

/// A layer of reinsurance, in money or shares: `limit` in excess of `attachment`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Layer {
    /// Loss from which it pays.
    pub attachment: f64,
    /// Most it pays.
    pub limit: f64,
    /// Share of the layer that is placed, 0 to 1.
    pub placed: f64,
}

impl Layer {
    /// A stop-loss layer stated in percent of the premium income, fully placed.
    #[must_use]
    pub fn stop_loss(premium_income: f64, limit_percent: f64, attachment_percent: f64) -> Self {
        Self {
            attachment: premium_income * attachment_percent / 100.0,
            limit: premium_income * limit_percent / 100.0,
            placed: 1.0,
        }
    }

    /// What it pays of a loss.
    #[must_use]
    pub fn ceded(&self, loss: f64) -> f64 {
        (loss - self.attachment).max(0.0).min(self.limit) * self.placed
    }

    /// What it leaves.
    #[must_use]
    pub fn retained(&self, loss: f64) -> f64 {
        loss - self.ceded(loss)
    }

    /// Premium to reinstate what was ceded: the ceded share of the limit, times the layer's
    /// premium, times `pro_rata` for the time left.
    #[must_use]
    pub fn reinstatement(&self, ceded: f64, premium: f64, pro_rata: f64) -> f64 {
        let limit = self.limit * self.placed;
        if limit > 0.0 {
            ceded / limit * premium * pro_rata
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    }

    #[test]
    fn the_published_stop_loss_cases() {
        let layer = Layer::stop_loss(100e6, 150.0, 120.0);
        close(layer.ceded(230e6), 110e6);
        close(layer.retained(230e6), 120e6);
        close(layer.ceded(300e6), 150e6);
        close(layer.retained(300e6), 150e6);
        close(layer.ceded(120e6), 0.0);
        close(layer.reinstatement(75e6, 10e6, 0.5), 2.5e6);
        let half = Layer {
            placed: 0.5,
            ..layer
        };
        close(half.ceded(230e6), 55e6);
    }

    #[test]
    fn a_year_is_summed_over_its_cells_by_exposure() {
        let cells = [vec![1.0, 0.0, 0.5], vec![0.0, 0.0, 1.0]];
        assert_eq!(
            year_losses(&cells, &[3.0, 1.0]).unwrap(),
            [0.75, 0.0, 0.625]
        );
        assert_eq!(year_losses(&cells, &[1.0]), None);
        assert_eq!(year_losses(&cells, &[0.0, 0.0]), None);
        assert_eq!(year_losses(&[vec![1.0], vec![]], &[1.0, 1.0]), None);
    }

    #[test]
    fn the_worst_of_39_years_returns_in_forty() {
        let losses: Vec<f64> = (0..39).map(|n| f64::from(n) / 38.0).collect();
        let ranked = ranked(&losses);
        assert_eq!((ranked[0].position, ranked[0].rank), (38, 1));
        close(ranked[0].return_years, 40.0);
        close(ranked[7].return_years, 5.0);
        close(loss_at(&losses, 40.0).unwrap(), 1.0);
        close(loss_at(&losses, 5.0).unwrap(), ranked[7].loss);
        assert_eq!(loss_at(&losses, 41.0), None);
    }

    #[test]
    fn ties_rank_by_their_order_and_do_not_move_the_tail() {
        let losses = [0.0, 1.0, 1.0, 0.0, 1.0];
        let places: Vec<usize> = ranked(&losses).iter().map(|r| r.position).collect();
        assert_eq!(places, [1, 2, 4, 0, 3]);
        close(tail_mean(&losses, 0.4).unwrap(), 1.0);
        close(tail_mean(&losses, 0.8).unwrap(), 0.75);
        // 20 × 0.15 is three years, not four
        let twenty: Vec<f64> = (1..=20).map(f64::from).collect();
        close(tail_mean(&twenty, 0.15).unwrap(), 19.0);
        assert_eq!(tail_mean(&[], 0.1), None);
        assert_eq!(tail_mean(&losses, 0.0), None);
    }

    #[test]
    fn the_largest_occurrence_is_not_the_sum() {
        let seasons = [vec![0.2, 0.9], vec![0.6, 0.3]];
        assert_eq!(largest_occurrences(&seasons).unwrap(), [0.6, 0.9]);
        close(aggregates(&seasons).unwrap()[1], 1.2);
        assert_eq!(aggregates(&[]), None);
        assert_eq!(aggregates(&[vec![1.0], vec![]]), None);
    }

    #[test]
    fn cells_that_fail_together_give_no_diversification() {
        let cell = vec![0.0, 1.0, 0.0, 0.4];
        let found = summary(&[cell.clone(), cell], &[1.0, 1.0]).unwrap();
        close(found.sd, found.cell_sd);
        close(found.correlation.unwrap(), 1.0);
    }

    proptest! {
        #[test]
        fn a_layer_keeps_every_shilling(loss in 0.0_f64..1e9, placed in 0.0_f64..=1.0) {
            let layer = Layer { placed, ..Layer::stop_loss(100e6, 150.0, 120.0) };
            let (ceded, retained) = (layer.ceded(loss), layer.retained(loss));
            prop_assert!((ceded + retained - loss).abs() < 1e-6 && ceded <= layer.limit);
        }

        #[test]
        fn the_tail_is_no_better_than_its_threshold(
            losses in prop::collection::vec(0.0_f64..1.0, 1..60),
        ) {
            let mean_of_worst = tail_mean(&losses, 0.1).unwrap();
            prop_assert!(mean_of_worst >= value_at_risk(&losses, 0.9).unwrap() - 1e-12);
        }
    }
}
