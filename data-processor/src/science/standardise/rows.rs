//! A series as rows of plain numbers beside what is known of them, and one calendar period of it
//! taken out and put back. A number at an unknown place means nothing and is never read. Pure.
//! Called by `standardise`.

use core::ops::Range;

use super::{Family, Recipe};
use crate::science::special::lanes;

/// A series, in its own order.
#[derive(Debug, Default, Clone)]
pub(super) struct Rows {
    readings: Vec<f64>,
    totals: Vec<f64>,
    logarithms: Vec<f64>,
    /// Shares, then scores.
    pub(super) scores: Vec<f64>,
    /// Whether the total is known and, later, scored.
    pub(super) is_known: Vec<bool>,
}

/// The known totals of one calendar period.
#[derive(Debug, Default, Clone)]
pub(super) struct Period {
    pub(super) totals: Vec<f64>,
    /// Of the totals above zero; 0 for the others. Without meaning where the family needs none.
    pub(super) logarithms: Vec<f64>,
    pub(super) shares: Vec<f64>,
    /// Places of the calibrated ones.
    pub(super) fitted: Range<usize>,
    positions: Vec<usize>,
}

impl Rows {
    /// Takes a new series: totals of the last readings, the oldest first.
    pub(super) fn fill(&mut self, readings: &[Option<f64>], recipe: &Recipe) {
        let length = readings.len();
        let Self {
            readings: row,
            totals,
            is_known,
            scores,
            ..
        } = self;
        row.resize(length, 0.0);
        is_known.resize(length, false);
        let mut is_whole = true;
        let places = row.iter_mut().zip(is_known.iter_mut());
        for (reading, (place, is_known)) in readings.iter().zip(places) {
            // not a number compares as nothing, so it is missing as well
            let value = reading.unwrap_or(f64::NAN);
            *is_known = value >= recipe.lowest && value < f64::INFINITY;
            *place = if *is_known { value } else { 0.0 };
            is_whole &= *is_known;
        }
        let early = (recipe.scale - 1).min(length);
        totals.resize(length, 0.0);
        for (total, reading) in totals.iter_mut().skip(early).zip(row.iter()) {
            *total = *reading;
        }
        if is_whole {
            is_known
                .iter_mut()
                .take(early)
                .for_each(|is_known| *is_known = false);
        } else {
            let mut run = 0_usize;
            for is_known in is_known {
                run = if *is_known { run + 1 } else { 0 };
                *is_known = run >= recipe.scale;
            }
        }
        for later in 1..recipe.scale {
            for (total, reading) in totals.iter_mut().skip(early).zip(row.iter().skip(later)) {
                *total += reading;
            }
        }
        if matches!(recipe.family, Family::GammaThom | Family::GammaMoments) {
            lanes::logarithms(totals, &mut self.logarithms);
        } else {
            self.logarithms.resize(length, 0.0);
        }
        // a score is read only where it was put
        scores.resize(length, 0.5);
    }
}

impl Period {
    /// Takes a period's known totals out of a series.
    pub(super) fn take(&mut self, rows: &Rows, period: usize, recipe: &Recipe) {
        let first = (period + recipe.periods - recipe.first) % recipe.periods;
        let length = rows
            .totals
            .len()
            .saturating_sub(first)
            .div_ceil(recipe.periods);
        self.totals.resize(length, 0.0);
        self.logarithms.resize(length, 0.0);
        self.positions.resize(length, 0);
        self.fitted = 0..0;
        // unknown ones are written too, and the next one over them: no branch to guess
        let (mut known, mut position) = (0, first);
        let logarithms = each(&rows.logarithms, first, recipe.periods);
        let is_known = each(&rows.is_known, first, recipe.periods);
        let totals = each(&rows.totals, first, recipe.periods);
        for ((total, logarithm), is_known) in totals.zip(logarithms).zip(is_known) {
            if let (Some(to_total), Some(to_logarithm), Some(to_position)) = (
                self.totals.get_mut(known),
                self.logarithms.get_mut(known),
                self.positions.get_mut(known),
            ) {
                *to_total = total;
                *to_logarithm = logarithm;
                *to_position = position;
            }
            let step = usize::from(is_known);
            known += step;
            self.fitted.start += step * usize::from(position < recipe.calibration.start);
            self.fitted.end += step * usize::from(position < recipe.calibration.end);
            position += recipe.periods;
        }
        self.totals.truncate(known);
        self.logarithms.truncate(known);
        self.positions.truncate(known);
        self.shares.clear();
        self.shares.resize(known, 0.5);
    }

    /// Puts the shares back into the series, or that there are none.
    pub(super) fn put(&self, rows: &mut Rows, is_fitted: bool) {
        for (position, share) in self.positions.iter().zip(&self.shares) {
            if is_fitted {
                if let Some(place) = rows.scores.get_mut(*position) {
                    *place = *share;
                }
            } else if let Some(is_known) = rows.is_known.get_mut(*position) {
                *is_known = false;
            }
        }
    }
}

/// The values of one calendar period: the first of each year from `first` on.
fn each<T: Copy>(row: &[T], first: usize, periods: usize) -> impl Iterator<Item = T> {
    let years = row.get(first..).unwrap_or_default().chunks(periods);
    years.filter_map(|year| year.first().copied())
}
