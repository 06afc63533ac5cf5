//! The floor of a product: errors it declares it will not exceed, and the minimum quality standard
//! that nobody may be worse off with it. Under the floor a product is not publishable; no other
//! figure makes up for it. Called by the `basis-risk` command.

use super::{Errors, Worth};

/// What a product declares before its scores are known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Floor {
    /// Most of the losses that may go unpaid.
    pub false_negative_max: f64,
    /// Most of the cases without a loss that may be paid.
    pub false_positive_max: f64,
}

impl Floor {
    /// Benchmark A, the first public bar: Marsabit's published zNDVI against observed mortality of
    /// 15 % or more, 2008 to 2015.
    pub const BENCHMARK: Self = Self {
        false_negative_max: 0.367,
        false_positive_max: 0.106,
    };

    /// Everything that keeps a product from being published; empty for one that may be. Rates are
    /// compared in whole thousandths, as they are printed. A figure that does not exist is a fault.
    #[must_use]
    pub fn faults(&self, errors: &Errors, worth: Option<&Worth>) -> Vec<Fault> {
        let mut faults = Vec::new();
        let over = |found: Option<f64>, limit: f64| found.is_none_or(|rate| rate > limit + 5e-4);
        if over(errors.false_negative(), self.false_negative_max) {
            faults.push(Fault::FalseNegative);
        }
        if over(errors.false_positive(), self.false_positive_max) {
            faults.push(Fault::FalsePositive);
        }
        if worth.is_none_or(|worth| !worth.meets_minimum()) {
            faults.push(Fault::MinimumQuality);
        }
        faults
    }
}

/// Why a product may not be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// More losses go unpaid than it declares.
    FalseNegative,
    /// More cases without a loss are paid than it declares.
    FalsePositive,
    /// People are worse off with it than without.
    MinimumQuality,
}

impl Fault {
    /// In words, for the report.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::FalseNegative => "leaves more losses unpaid than its floor allows",
            Self::FalsePositive => "pays more often without a loss than its floor allows",
            Self::MinimumQuality => {
                "fails the minimum quality standard: people are worse off insured at this price"
            }
        }
    }
}
