//! A season's vegetation against its own past: mean, z, robust z, VCI and percentile rank, each
//! with the cases in which it is undefined. An undefined score is a product that is not sold, never
//! a zero. Used by the vegetation index, forage covers and the basis-risk command.

use crate::science::phases::{Line, TermsError};
use crate::science::{count, quantile};

/// Fewest valid scenes or composites of a season: with fewer its mean is missing.
pub const SCENES_MIN: usize = 3;
/// Median absolute deviation to standard deviation of a normal distribution: 1/Φ⁻¹(3/4).
pub const SD_PER_MAD: f64 = 1.4826;
/// Fewest seasons of a baseline: with one there is no spread.
const SEASONS_MIN: usize = 2;

/// Mean of a season's valid values, plain, not interpolated; `None` with fewer than
/// [`SCENES_MIN`].
#[must_use]
pub fn seasonal_mean(values: &[Option<f64>]) -> Option<f64> {
    let valid = values.iter().flatten().count();
    (valid >= SCENES_MIN)
        .then(|| values.iter().flatten().fold(0.0, |sum, value| sum + value) / count(valid))
}

/// The seasons that a season is compared with: same cell, same season of the year.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    sorted: Vec<f64>,
    /// Mean of the seasons.
    pub mean: f64,
    /// Standard deviation, over n − 1.
    pub sd: f64,
    /// Middle season.
    pub median: f64,
    /// Median absolute deviation from the median, unscaled.
    pub mad: f64,
}

impl Baseline {
    /// From the means of its seasons; a season that is missing is left out. `None` with fewer than
    /// two.
    #[must_use]
    pub fn of(seasons: &[Option<f64>]) -> Option<Self> {
        let mut sorted: Vec<f64> = seasons.iter().flatten().copied().collect();
        if sorted.len() < SEASONS_MIN {
            return None;
        }
        // summed in the order of the years, as every other mean
        let known = || seasons.iter().flatten();
        let n = count(sorted.len());
        let mean = known().fold(0.0, |sum, value| sum + value) / n;
        let squares = known().fold(0.0, |sum, value| sum + (value - mean) * (value - mean));
        quantile::sort(&mut sorted);
        let median = quantile::median(&sorted)?;
        let mut off: Vec<f64> = sorted.iter().map(|value| (value - median).abs()).collect();
        quantile::sort(&mut off);
        Some(Self {
            mean,
            sd: (squares / (n - 1.0)).sqrt(),
            median,
            mad: quantile::median(&off)?,
            sorted,
        })
    }

    /// Number of seasons in it.
    #[must_use]
    pub fn seasons(&self) -> usize {
        self.sorted.len()
    }

    /// Standard deviations from the mean; `None` where the seasons are all the same, as over bare
    /// desert: there the product is not sold.
    #[must_use]
    pub fn z(&self, season: f64) -> Option<f64> {
        spread(self.sd, self.mean).map(|sd| (season - self.mean) / sd)
    }

    /// Robust z: from the median, by 1.4826 times the median absolute deviation. For fewer than 15
    /// seasons or outliers. `None` where half of the seasons or more are the same.
    #[must_use]
    pub fn robust_z(&self, season: f64) -> Option<f64> {
        spread(self.mad, self.median).map(|mad| (season - self.median) / (SD_PER_MAD * mad))
    }

    /// Vegetation condition index, percent of the way from the worst season to the best. A season
    /// outside the baseline lies below 0 or above 100: clamp for display only. `None` where the
    /// seasons are all the same.
    #[must_use]
    pub fn vci(&self, season: f64) -> Option<f64> {
        let (low, high) = (*self.sorted.first()?, *self.sorted.last()?);
        spread(high - low, low).map(|range| 100.0 * (season - low) / range)
    }

    /// Percentile rank of Weibull, r/(n + 1), 0 to 1: r counts the seasons below, and of those
    /// that are equal the middle one. Between two seasons it lies between their ranks.
    #[must_use]
    pub fn percentile(&self, season: f64) -> f64 {
        let below = self.sorted.partition_point(|value| *value < season);
        let until = self.sorted.partition_point(|value| *value <= season);
        let equal = count(until.saturating_sub(below));
        (count(below) + f64::midpoint(equal, 1.0)) / (count(self.seasons()) + 1.0)
    }
}

/// A spread that means something: above what rounding makes of seasons that are all the same.
fn spread(value: f64, of: f64) -> Option<f64> {
    (value > 1e-12 * of.abs().max(1e-3)).then_some(value)
}

/// Classes of the vegetation condition index, worst first, as Kenya's National Drought Management
/// Authority prints them from the three-month index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// Below 10.
    ExtremeDeficit,
    /// From 10.
    SevereDeficit,
    /// From 21.
    ModerateDeficit,
    /// From 35.
    Normal,
    /// From 50.
    AboveNormal,
}

impl Condition {
    /// The class of an index, percent. The printed classes leave out 20 to 21 and 34 to 35: here
    /// each class begins at its printed lower bound, included.
    #[must_use]
    pub fn of(vci: f64) -> Self {
        if vci >= 50.0 {
            Self::AboveNormal
        } else if vci >= 35.0 {
            Self::Normal
        } else if vci >= 21.0 {
            Self::ModerateDeficit
        } else if vci >= 10.0 {
            Self::SevereDeficit
        } else {
            Self::ExtremeDeficit
        }
    }

    /// Its name in a bulletin.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ExtremeDeficit => "extreme vegetation deficit",
            Self::SevereDeficit => "severe vegetation deficit",
            Self::ModerateDeficit => "moderate vegetation deficit",
            Self::Normal => "normal vegetation greenness",
            Self::AboveNormal => "vegetation greenness above normal",
        }
    }
}

/// z at which vegetation is no loss yet, of the house damage index.
pub const LOSS_FROM_Z: f64 = -0.5;
/// z at which vegetation is a whole loss, of the house damage index.
pub const LOSS_WHOLE_Z: f64 = -2.0;

/// The house line from z to vegetation loss: `clamp((−0.5 − z)/1.5, 0, 1)`.
pub fn house_line() -> Result<Line, TermsError> {
    Line::deficit(LOSS_FROM_Z, LOSS_WHOLE_Z)
}

#[cfg(test)]
mod tests;
