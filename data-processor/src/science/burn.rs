//! Burn analysis: what a contract would have paid in each year of a record, on average and how
//! surely, plain or with the record moved to its last year's level. Says nothing of loadings and
//! never fills a year that has no number. Called by pricing, the back-test and `validate`.

use super::count;

/// What a contract pays for a season's total, as a share of the sum insured: 0 at or above the
/// trigger, 1 at or below the exit, linear between; all or nothing where both are equal. For
/// exploring triggers that are no whole millimetres; what is paid is `domain::index::deficit`.
#[must_use]
pub fn deficit_share(total_mm: f64, trigger_mm: f64, exit_mm: f64) -> f64 {
    if total_mm >= trigger_mm {
        0.0
    } else if total_mm <= exit_mm {
        1.0
    } else {
        (trigger_mm - total_mm) / (trigger_mm - exit_mm)
    }
}

/// Mean of a sample; `None` for an empty one.
#[must_use]
pub fn mean(sample: &[f64]) -> Option<f64> {
    (!sample.is_empty()).then(|| sample.iter().sum::<f64>() / count(sample.len()))
}

/// Variance with n − 1 below, about the sample's own mean; `None` for fewer than two values.
#[must_use]
pub fn variance(sample: &[f64]) -> Option<f64> {
    let middle = mean(sample)?;
    let squares: f64 = sample.iter().map(|x| (x - middle) * (x - middle)).sum();
    (sample.len() > 1).then(|| squares / (count(sample.len()) - 1.0))
}

/// A burn: shares paid over as-if years.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burn {
    /// Years that have a number.
    pub years: usize,
    /// Years that paid anything.
    pub paid: usize,
    /// Expected loss: the mean share, 0 to 1.
    pub expected: f64,
    /// Standard deviation between years, n − 1 below.
    pub sd: f64,
    /// Standard error of the expected loss, `sd / √n`.
    pub standard_error: f64,
    /// Largest share of a year: the probable maximum loss of the record.
    pub largest: f64,
}

impl Burn {
    /// Of shares paid, one a year; `None` for fewer than two years.
    #[must_use]
    pub fn of(shares: &[f64]) -> Option<Self> {
        let sd = variance(shares)?.sqrt();
        Some(Self {
            years: shares.len(),
            paid: shares.iter().filter(|share| **share > 0.0).count(),
            expected: mean(shares)?,
            sd,
            standard_error: sd / count(shares.len()).sqrt(),
            largest: shares.iter().copied().fold(0.0, f64::max),
        })
    }

    /// Share of years that paid.
    #[must_use]
    pub fn frequency(&self) -> f64 {
        count(self.paid) / count(self.years)
    }
}

/// The mean of the last `last` years weighted `weight` in 0 to 1, all earlier years the rest;
/// with weight 1 the last years alone. `None` without years, or when the weight is none.
#[must_use]
pub fn recent(shares: &[f64], last: usize, weight: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&weight) {
        return None;
    }
    let (early, late) = shares.split_at(shares.len().saturating_sub(last));
    let late = mean(late)?;
    Some(mean(early).map_or(late, |early| weight * late + (1.0 - weight) * early))
}

/// A straight line by least squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Rise per unit of x.
    pub slope: f64,
    /// Mean of x, about which the line turns.
    pub x_mean: f64,
    /// Mean of y: the line's height there.
    pub y_mean: f64,
    /// Standard error of the slope; 0 for a perfect line.
    pub slope_error: f64,
}

impl Line {
    /// Through points; `None` for fewer than three, for unequal lengths, or when all x are equal.
    #[must_use]
    pub fn fit(x: &[f64], y: &[f64]) -> Option<Self> {
        if x.len() != y.len() || x.len() < 3 {
            return None;
        }
        let (x_mean, y_mean) = (mean(x)?, mean(y)?);
        let pairs = || x.iter().zip(y);
        let spread: f64 = x.iter().map(|a| (a - x_mean) * (a - x_mean)).sum();
        if spread <= 0.0 {
            return None;
        }
        let slope = pairs()
            .map(|(a, b)| (a - x_mean) * (b - y_mean))
            .sum::<f64>()
            / spread;
        let rest: f64 = pairs()
            .map(|(a, b)| b - y_mean - slope * (a - x_mean))
            .map(|left| left * left)
            .sum();
        Some(Self {
            slope,
            x_mean,
            y_mean,
            slope_error: (rest / (count(x.len()) - 2.0) / spread).sqrt(),
        })
    }

    /// Height at `x`.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        self.y_mean + self.slope * (x - self.x_mean)
    }

    /// Slope over its standard error (Student's t with n − 2 degrees); `None` for a perfect line.
    #[must_use]
    pub fn t(&self) -> Option<f64> {
        (self.slope_error > 0.0).then(|| self.slope / self.slope_error)
    }
}

/// Share of the years a local fit looks at: R's `loess` default.
pub const LOESS_SPAN: f64 = 0.75;

/// How a record is moved to the level of its last year before it is burned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Detrend {
    /// As it was.
    None,
    /// Along the straight line of least squares.
    Linear,
    /// Along a locally weighted line (Cleveland 1979: tricube weights, degree 1, one pass) over
    /// this share of the years.
    Loess {
        /// 0 to 1; [`LOESS_SPAN`].
        span: f64,
    },
}

/// Totals moved to the last year's level: `x + fit(last year) − fit(year)`, and never below 0.
/// Totals are mm, years rise. `None` where no trend can be fitted.
#[must_use]
pub fn detrended(method: Detrend, years: &[f64], totals_mm: &[f64]) -> Option<Vec<f64>> {
    let fitted: Vec<f64> = match method {
        Detrend::None => return Some(totals_mm.to_vec()),
        Detrend::Linear => {
            let line = Line::fit(years, totals_mm)?;
            years.iter().map(|year| line.at(*year)).collect()
        }
        Detrend::Loess { span } => loess(years, totals_mm, span)?,
    };
    let last = *fitted.last()?;
    let moved = totals_mm.iter().zip(&fitted);
    Some(moved.map(|(x, fit)| (x + last - fit).max(0.0)).collect())
}

/// Locally weighted line (Cleveland 1979) at each x: degree 1, tricube weights over the nearest
/// `span` of the points (at least three), one pass. `None` for fewer than three points, unequal
/// lengths, or a span outside 0 to 1.
#[must_use]
pub fn loess(x: &[f64], y: &[f64], span: f64) -> Option<Vec<f64>> {
    if x.len() != y.len() || x.len() < 3 || !(0.0..=1.0).contains(&span) {
        return None;
    }
    let asked = span * count(x.len());
    let near = (1..=x.len())
        .find(|n| count(*n) >= asked)
        .unwrap_or(x.len())
        .max(3);
    let mut distances = Vec::with_capacity(x.len());
    let fitted = x.iter().map(|here| {
        distances.clear();
        distances.extend(x.iter().map(|a| (a - here).abs()));
        distances.sort_unstable_by(f64::total_cmp);
        // the farthest of the near points has weight 0 in tricube, so reach a hair beyond it
        let reach = distances.get(near.saturating_sub(1))? * 1.000_001;
        local_line(x, y, *here, reach)
    });
    fitted.collect()
}

/// Height at `here` of the line of least squares with tricube weights within `reach`.
fn local_line(x: &[f64], y: &[f64], here: f64, reach: f64) -> Option<f64> {
    let weight = |a: f64| {
        let far = ((a - here) / reach).abs();
        let left = 1.0 - far * far * far;
        if far < 1.0 { left * left * left } else { 0.0 }
    };
    let points = || x.iter().zip(y).map(|(a, b)| (weight(*a), a - here, *b));
    let whole: f64 = points().map(|(w, ..)| w).sum();
    let a_mean = points().map(|(w, a, _)| w * a).sum::<f64>() / whole;
    let b_mean = points().map(|(w, _, b)| w * b).sum::<f64>() / whole;
    let spread: f64 = points()
        .map(|(w, a, _)| w * (a - a_mean) * (a - a_mean))
        .sum();
    let slope = points()
        .map(|(w, a, b)| w * (a - a_mean) * (b - b_mean))
        .sum::<f64>()
        / spread;
    // `here` is 0 on the shifted axis
    (spread > 0.0).then_some(b_mean - slope * a_mean)
}

#[cfg(test)]
pub(crate) mod tests;
