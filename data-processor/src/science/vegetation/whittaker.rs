//! The Whittaker smoother with second differences: the curve that stays near the values by their
//! weights and bends little. Solved by its five bands, never as a dense matrix, in the caller's
//! buffers. What it says near the end of the series is not final: later values still bend it.

use chrono::{Days, NaiveDate};

/// Days after a period's end before its smoothed values are final: values of the weeks after bend
/// the end of the curve (four weeks, after Klisch & Atzberger's near-real-time chain for Kenya).
pub const FINAL_AFTER_DAYS: u64 = 28;

/// Fewest values with weight: through one point a straight line runs in any direction.
const POINTS_MIN: usize = 2;
/// Shortest series with a second difference.
const LENGTH_MIN: usize = 3;

/// Why a series cannot be smoothed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WhittakerError {
    /// The slices differ in length.
    #[error("values, weights and result must be as long as each other")]
    Length,
    /// Too short, or too few values with weight: no curve is determined.
    #[error("{points} values with weight in {length} places do not determine a curve")]
    TooFew {
        /// Values with a weight above zero.
        points: usize,
        /// Places of the series.
        length: usize,
    },
    /// Lambda or a weight is negative, not finite, or lambda is zero.
    #[error("lambda must be above zero and weights at least zero")]
    Terms,
}

/// Buffers of the solver, kept between series so that nothing is allocated a cell.
#[derive(Debug, Clone, Default)]
pub struct Workspace {
    /// Pivots, then the first and second coefficient of the unit lower triangle's columns.
    columns: Vec<(f64, f64, f64)>,
}

/// Smooths `values` (a missing one has weight 0) into `smoothed`: solves (W + λD'D)z = Wy with D
/// the second difference, by the L·D·L' factorisation of a pentadiagonal matrix. All three slices
/// have one place a time step, at equal steps. Weights are at least 0; 1 good, 0.5 marginal and
/// 0.2 bad are usual. The larger `lambda` the stiffer.
pub fn smooth(
    values: &[Option<f64>],
    weights: &[f64],
    lambda: f64,
    workspace: &mut Workspace,
    smoothed: &mut [f64],
) -> Result<(), WhittakerError> {
    let length = values.len();
    if weights.len() != length || smoothed.len() != length {
        return Err(WhittakerError::Length);
    }
    let is_weight = |weight: &f64| weight.is_finite() && *weight >= 0.0;
    if !(lambda.is_finite() && lambda > 0.0 && weights.iter().all(is_weight)) {
        return Err(WhittakerError::Terms);
    }
    let points = values
        .iter()
        .zip(weights)
        .filter(|(value, weight)| value.is_some() && **weight > 0.0)
        .count();
    if length < LENGTH_MIN || points < POINTS_MIN {
        return Err(WhittakerError::TooFew { points, length });
    }
    workspace.columns.clear();
    workspace.columns.reserve(length);
    // forward: factorise and solve L·u = Wy, one column at a time
    let (mut before, mut second) = ((1.0, 0.0, 0.0), (1.0, 0.0, 0.0));
    let (mut u1, mut u2) = (0.0, 0.0);
    let places = values.iter().zip(weights).zip(smoothed.iter_mut());
    for (at, ((value, weight), place)) in places.enumerate() {
        let weight = if value.is_some() { *weight } else { 0.0 };
        let (diagonal, first_below, second_below) = penalty(at, length);
        let (d1, c1, e1): (f64, f64, f64) = before;
        let (d2, _, e2): (f64, f64, f64) = second;
        let pivot = weight + lambda * diagonal - d1 * c1 * c1 - d2 * e2 * e2;
        let column = (
            pivot,
            (lambda * first_below - d1 * c1 * e1) / pivot,
            lambda * second_below / pivot,
        );
        let u = weight * value.unwrap_or(0.0) - c1 * u1 - e2 * u2;
        *place = u;
        workspace.columns.push(column);
        (second, before) = (before, column);
        (u2, u1) = (u1, u);
    }
    // backward: L'·z = u/d
    let (mut z1, mut z2) = (0.0, 0.0);
    for ((pivot, first, next), place) in workspace.columns.iter().zip(smoothed.iter_mut()).rev() {
        let z = *place / pivot - first * z1 - next * z2;
        *place = z;
        (z2, z1) = (z1, z);
    }
    Ok(())
}

/// Column `at` of D'D from the diagonal down: 1 5 6 6 ... 6 5 1, −2 −4 −4 ... −4 −2, 1 ... 1.
fn penalty(at: usize, length: usize) -> (f64, f64, f64) {
    // how many second differences reach this place, and this place with the ones below it
    let last = length.saturating_sub(1);
    let after = last.saturating_sub(at);
    let begins = |needed: usize| if after >= needed { 1.0 } else { 0.0 };
    let (opens, middles, closes) = (
        begins(2),
        if at >= 1 { begins(1) } else { 0.0 },
        if at >= 2 { 1.0 } else { 0.0 },
    );
    let diagonal = opens + 4.0 * middles + closes;
    // the difference opening here gives -2 below it; the one in whose middle this is gives -2
    let first_below = -2.0 * opens - 2.0 * middles;
    (diagonal, first_below, opens)
}

/// Whether a smoothed period may be used to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finality {
    /// Four weeks of later values are in.
    Final,
    /// It may still move; it will be final on this day.
    Provisional {
        /// First day on which it is final.
        until: NaiveDate,
    },
}

/// The end-of-series rule: a period that ends on `period_end` is final when values reach to
/// `values_until`, at least [`FINAL_AFTER_DAYS`] later.
#[must_use]
pub fn finality(period_end: NaiveDate, values_until: NaiveDate) -> Finality {
    let until = period_end
        .checked_add_days(Days::new(FINAL_AFTER_DAYS))
        .unwrap_or(NaiveDate::MAX);
    if values_until >= until {
        Finality::Final
    } else {
        Finality::Provisional { until }
    }
}

#[cfg(test)]
mod tests;
