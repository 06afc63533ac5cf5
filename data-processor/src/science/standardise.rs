//! From a series to a standardised one: totals over the last months, a fit to each calendar period
//! of a calibration, and the normal score of each total. What cannot be scored stays missing and
//! says why. Pure; the caller's buffers, nothing allocated once they are warm. Called by `spi`, `spei`.

mod gamma_shares;
mod rows;

use core::ops::Range;

use super::count;
use super::distribution::gamma::Gamma;
use super::distribution::log_logistic::LogLogistic;
use super::distribution::pearson::Pearson;
use super::distribution::{Refusal, is_varied, moments};
use super::special::lanes;
use rows::{Period, Rows};

/// Scores are cut here, as NOAA's and climate-indices' SPI are: Φ(±3.09) = 0.001 and 0.999.
pub const CLIP: f64 = 3.09;

/// What is fitted to the totals of one calendar period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Gamma by Thom: the SPI of McKee and others (1993), of climate-indices and of the WMO.
    GammaThom,
    /// Gamma by L-moments: the SPI of SPEI-R.
    GammaMoments,
    /// Pearson III by L-moments: the second SPI of climate-indices.
    Pearson,
    /// Log-logistic by L-moments: the SPEI.
    LogLogistic,
}

/// What totals of nought are. A log-logistic has none apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zeros {
    /// A mass of their own, q of the calibration: H = q + (1 − q)·F.
    Mass,
    /// Left out of the fit and given no mass: H = F, so a nought scores −∞ before the cut. The
    /// fixtures of SPEI-R 1.8 were made so; not for a product.
    LeftOut,
}

/// How a series is standardised. Every field changes the numbers, so a contract names all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Readings added up to a total: the last one and those before it.
    pub scale: usize,
    /// Calendar periods in a year: 12 months or 36 dekads.
    pub periods: usize,
    /// The calendar period of the first reading, 0 … `periods` − 1.
    pub first: usize,
    /// Positions of the series whose totals are fitted: [`calibration`].
    pub calibration: Range<usize>,
    /// What is fitted.
    pub family: Family,
    /// What totals of nought are.
    pub zeros: Zeros,
    /// A reading below this is no reading but missing: 0 for rain, [`f64::MIN`] for a balance.
    pub lowest: f64,
    /// Largest score, above 0: [`CLIP`], or infinity for none.
    pub clip: f64,
}

/// A mistake of the caller: nothing was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// The scale or the number of periods is nought, or the first period is none of them.
    #[error("a scale and a calendar of at least one period are needed, and a first period in it")]
    Calendar,
    /// The calibration is empty or reaches outside the series.
    #[error("the calibration period must lie within the series")]
    Calibration,
    /// The result's buffer, or the last cell, has another length.
    #[error("the buffer for the scores must be as long as the readings, in whole cells")]
    Length,
}

/// The positions of the calendar years `from` … `to`, of a series whose first reading is the first
/// period of `starts`. `None` if they begin before it or are none.
#[must_use]
pub fn calibration(starts: i32, from: i32, to: i32, periods: usize) -> Option<Range<usize>> {
    let before = usize::try_from(from.checked_sub(starts)?).ok()?;
    let years = usize::try_from(to.checked_sub(from)?)
        .ok()?
        .checked_add(1)?;
    let start = before.checked_mul(periods)?;
    Some(start..start.checked_add(years.checked_mul(periods)?)?)
}

/// Buffers that one series leaves warm for the next, and what the last one refused.
#[derive(Debug, Default, Clone)]
pub struct Scratch {
    rows: Rows,
    period: Period,
    sorted: Vec<f64>,
    coefficients: Vec<f64>,
    tails: lanes::Tails,
    refusals: Vec<Option<Refusal>>,
}

impl Scratch {
    /// Why a calendar period of the last series has no scores; `None` if it has.
    #[must_use]
    pub fn refusal(&self, period: usize) -> Option<Refusal> {
        self.refusals.get(period).copied().flatten()
    }
}

/// The scores of many cells, each a series of `length` readings in a row. Results in the same
/// places; [`Scratch::refusal`] then speaks of the last cell.
///
/// # Errors
/// [`Mistake`], and nothing is written.
pub fn grid(
    readings: &[Option<f64>],
    length: usize,
    recipe: &Recipe,
    scratch: &mut Scratch,
    scores: &mut [Option<f64>],
) -> Result<(), Mistake> {
    if length == 0 || readings.len() != scores.len() || !readings.len().is_multiple_of(length) {
        return Err(Mistake::Length);
    }
    if recipe.scale == 0 || recipe.first >= recipe.periods {
        return Err(Mistake::Calendar);
    }
    if recipe.calibration.is_empty() || recipe.calibration.end > length {
        return Err(Mistake::Calibration);
    }
    let cells = readings
        .chunks_exact(length)
        .zip(scores.chunks_exact_mut(length));
    for (cell, scores) in cells {
        standardise(cell, recipe, scratch, scores);
    }
    Ok(())
}

/// The scores of one series, `None` where a reading of the total is missing or the period's fit
/// was refused.
///
/// # Errors
/// [`Mistake`], and nothing is written.
pub fn series(
    readings: &[Option<f64>],
    recipe: &Recipe,
    scratch: &mut Scratch,
    scores: &mut [Option<f64>],
) -> Result<(), Mistake> {
    grid(readings, readings.len(), recipe, scratch, scores)
}

fn standardise(
    readings: &[Option<f64>],
    recipe: &Recipe,
    scratch: &mut Scratch,
    out: &mut [Option<f64>],
) {
    scratch.rows.fill(readings, recipe);
    scratch.refusals.clear();
    for period in 0..recipe.periods {
        scratch.period.take(&scratch.rows, period, recipe);
        let refusal = fill_shares(recipe, scratch).err();
        scratch.period.put(&mut scratch.rows, refusal.is_none());
        scratch.refusals.push(refusal);
    }
    lanes::normal_quantiles(&mut scratch.rows.scores, &mut scratch.tails);
    let scores = scratch.rows.scores.iter().zip(&scratch.rows.is_known);
    for (out, (score, is_known)) in out.iter_mut().zip(scores) {
        *out = is_known.then_some(score.clamp(-recipe.clip, recipe.clip));
    }
}

/// Fits the calibrated totals of a period and leaves the share of each of its totals.
fn fill_shares(recipe: &Recipe, scratch: &mut Scratch) -> Result<(), Refusal> {
    let Scratch {
        period:
            Period {
                totals,
                logarithms,
                shares,
                fitted,
                ..
            },
        ..
    } = scratch;
    let sorted = &mut scratch.sorted;
    let calibrated = totals.get(fitted.clone()).unwrap_or_default();
    let mass = match recipe.zeros {
        Zeros::Mass => {
            let dry = calibrated
                .iter()
                .map(|total| usize::from(*total == 0.0))
                .sum();
            // an empty calibration is refused below
            count(dry) / count(calibrated.len().max(1))
        }
        Zeros::LeftOut => 0.0,
    };
    match recipe.family {
        Family::GammaThom | Family::GammaMoments => {
            let gamma = if recipe.family == Family::GammaThom {
                Gamma::thom(
                    calibrated,
                    logarithms.get(fitted.clone()).unwrap_or_default(),
                )?
            } else {
                sort(calibrated.iter().filter(|total| **total > 0.0), sorted);
                Gamma::by_moments(&moments::unbiased(sorted)?)?
            };
            let largest = lanes::largest(calibrated);
            let known = (totals.as_slice(), logarithms.as_slice());
            gamma_shares::fill(
                &gamma,
                (mass, largest),
                known,
                &mut scratch.coefficients,
                shares,
            );
        }
        Family::Pearson => {
            if !is_varied(calibrated.iter().filter(|total| **total != 0.0)) {
                return Err(Refusal::TooFew);
            }
            sort(calibrated, sorted);
            let pearson = Pearson::by_moments(&moments::unbiased(sorted)?)?;
            for (share, total) in shares.iter_mut().zip(totals) {
                *share = mass + (1.0 - mass) * pearson.share_held(*total, mass);
            }
        }
        Family::LogLogistic => {
            sort(calibrated, sorted);
            let logistic = LogLogistic::by_moments(&moments::unbiased(sorted)?)?;
            for (share, total) in shares.iter_mut().zip(totals) {
                *share = logistic.share_below(*total);
            }
        }
    }
    Ok(())
}

fn sort<'a>(values: impl IntoIterator<Item = &'a f64>, sorted: &mut Vec<f64>) {
    sorted.clear();
    sorted.extend(values);
    sorted.sort_unstable_by(f64::total_cmp);
}

#[cfg(test)]
mod tests;
