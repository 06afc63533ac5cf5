//! Phase contracts in floats, for back-testing and pricing: deficit and excess lines, and how the
//! losses of phases become one payout. Settlement never uses it: policies are paid by the exact
//! integers of `domain::index`, with which the deficit line agrees to 1e-12. Pure.

pub mod ayii;
pub mod stage;
pub mod steps;

use super::whole;

/// Deviation of a sum of weights from one that is rounding and not a fault.
const WEIGHTS_TOLERANCE: f64 = 1e-9;

/// Why terms cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum TermsError {
    /// A deficit pays below its trigger and an excess above it.
    #[error("exit {exit} is on the wrong side of trigger {trigger}")]
    Order {
        /// Where it begins to pay.
        trigger: f64,
        /// Where it pays everything.
        exit: f64,
    },
    /// Not a finite number.
    #[error("trigger, exit, weight or amount is not a finite number")]
    NotFinite,
    /// Rain cannot be below zero, so a trigger at zero never pays: the climatology is all zero.
    #[error("trigger is 0 mm: rain is never below it, such a cover must not be sold")]
    NeverPays,
    /// Weights of phases must be one together.
    #[error("weights of the phases sum to {sum}, not 1")]
    Weights {
        /// What they sum to.
        sum: f64,
    },
    /// A step table must fall in its bounds and rise in what it pays.
    #[error("step {position} of the table is out of order")]
    Steps {
        /// Position in the table, from 0.
        position: usize,
    },
    /// A number of blocks, days or yields that nothing can be divided by.
    #[error("nothing to divide by: days, blocks or yield is zero")]
    Zero,
}

/// Rain of a phase.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PhaseRain {
    /// Rain of the days that are known, each at most the cap, mm.
    pub known_mm: f64,
    /// Days without a number: with any, settlement has no number.
    pub missing: u32,
}

impl PhaseRain {
    /// The phase's rain, mm; `None` when a day is missing.
    #[must_use]
    pub fn whole_mm(self) -> Option<f64> {
        (self.missing == 0).then_some(self.known_mm)
    }
}

/// Sums a phase, mm, day by day from the first; a day counts at most `daily_cap_mm`.
#[must_use]
pub fn phase_rain(rain: &[Option<f64>], daily_cap_mm: Option<f64>) -> PhaseRain {
    let cap = daily_cap_mm.unwrap_or(f64::INFINITY);
    let mut sum = PhaseRain::default();
    for day in rain {
        add(&mut sum, *day, cap);
    }
    sum
}

/// Adds one day of every cell of a grid to the phases' sums: the same sums as [`phase_rain`] of
/// each cell, in the same order, at a fraction of the cost. Both slices hold a cell a place.
pub fn add_day(sums: &mut [PhaseRain], day: &[Option<f64>], daily_cap_mm: Option<f64>) {
    let cap = daily_cap_mm.unwrap_or(f64::INFINITY);
    for (sum, mm) in sums.iter_mut().zip(day) {
        add(sum, *mm, cap);
    }
}

fn add(sum: &mut PhaseRain, day: Option<f64>, cap: f64) {
    // without a branch: which days are missing is not to be foretold
    sum.known_mm += day.map_or(0.0, |mm| if mm < cap { mm } else { cap });
    sum.missing = sum.missing.saturating_add(u32::from(day.is_none()));
}

/// Which way a phase loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Too little: pays below the trigger, everything at the exit or below.
    Deficit,
    /// Too much: pays above the trigger, everything at the exit or above.
    Excess,
}

/// A line between trigger and exit, in the unit of the index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    side: Side,
    trigger: f64,
    exit: f64,
}

impl Line {
    /// A deficit line: `trigger >= exit`. Equal is digital: all below the trigger, else nothing.
    pub fn deficit(trigger: f64, exit: f64) -> Result<Self, TermsError> {
        Self::new(Side::Deficit, trigger, exit)
    }

    /// An excess line: `trigger <= exit`. Equal is digital: all above the trigger, else nothing.
    pub fn excess(trigger: f64, exit: f64) -> Result<Self, TermsError> {
        Self::new(Side::Excess, trigger, exit)
    }

    fn new(side: Side, trigger: f64, exit: f64) -> Result<Self, TermsError> {
        if !trigger.is_finite() || !exit.is_finite() {
            return Err(TermsError::NotFinite);
        }
        let is_ordered = match side {
            Side::Deficit => trigger >= exit,
            Side::Excess => trigger <= exit,
        };
        if is_ordered {
            Ok(Self {
                side,
                trigger,
                exit,
            })
        } else {
            Err(TermsError::Order { trigger, exit })
        }
    }

    /// A rain deficit from two quantiles of a climatology, mm. A trigger of zero is refused: where
    /// the driest years and the usual ones have no rain, no deficit can be insured.
    pub fn rain_deficit(trigger_mm: f64, exit_mm: f64) -> Result<Self, TermsError> {
        if trigger_mm <= 0.0 {
            return Err(TermsError::NeverPays);
        }
        Self::deficit(trigger_mm, exit_mm)
    }

    /// The loss share for an index, 0 to 1.
    #[must_use]
    pub fn loss(&self, index: f64) -> f64 {
        let (is_free, is_total) = match self.side {
            Side::Deficit => (index >= self.trigger, index <= self.exit),
            Side::Excess => (index <= self.trigger, index >= self.exit),
        };
        if is_free {
            0.0
        } else if is_total {
            1.0
        } else {
            (self.trigger - index) / (self.trigger - self.exit)
        }
    }

    /// What one unit of the index is worth, for a limit in KES; `None` where it is digital.
    #[must_use]
    pub fn tick(&self, limit: f64) -> Option<f64> {
        let run = (self.trigger - self.exit).abs();
        (run > 0.0).then(|| limit / run)
    }
}

/// How the losses of phases become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Combination {
    /// Their weighted sum.
    Sum,
    /// The largest of them, weights apart.
    Worst,
}

/// What the insured bears.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Retention {
    /// Everything is paid.
    None,
    /// Subtracted from each payout.
    Deductible(f64),
    /// A payout below it is none; at or above it is paid from the first shilling.
    Franchise(f64),
}

/// Terms of a policy over its phases, shares of the sum insured throughout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolicyTerms {
    /// Sum or worst.
    pub combination: Combination,
    /// Borne by the insured.
    pub retention: Retention,
    /// Most that is paid.
    pub most: f64,
}

impl PolicyTerms {
    /// The whole sum insured, nothing retained.
    pub const PLAIN: Self = Self {
        combination: Combination::Sum,
        retention: Retention::None,
        most: 1.0,
    };

    /// The payout of `(loss, weight)` of each phase: combined, less the retention, at most `most`.
    /// The weights must be one together.
    pub fn payout(&self, phases: &[(f64, f64)]) -> Result<f64, TermsError> {
        let weights = phases.iter().fold(0.0, |sum, (_, weight)| sum + weight);
        if !weights.is_finite() {
            return Err(TermsError::NotFinite);
        }
        if (weights - 1.0).abs() > WEIGHTS_TOLERANCE {
            return Err(TermsError::Weights { sum: weights });
        }
        let combined = match self.combination {
            Combination::Sum => phases
                .iter()
                .fold(0.0, |sum, (loss, weight)| sum + loss * weight),
            Combination::Worst => phases
                .iter()
                .fold(0.0, |worst: f64, (loss, _)| worst.max(*loss)),
        };
        let retained = match self.retention {
            Retention::Deductible(amount) => (combined - amount).max(0.0),
            Retention::Franchise(least) if combined < least => 0.0,
            Retention::None | Retention::Franchise(_) => combined,
        };
        Ok(retained.min(self.most))
    }
}

/// Whole shillings, halves up, rounded once and at the end; `None` for no finite amount. For
/// reports of back-tests: what is paid is rounded by `domain::money`.
#[must_use]
pub fn shillings(amount_kes: f64) -> Option<i64> {
    whole((amount_kes + 0.5).floor())
}

#[cfg(test)]
mod tests;
