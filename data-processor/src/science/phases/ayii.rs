//! The area-yield cover of the open AYII contract: exact, and in the 2^24 units in which that
//! contract truncates. The truncation is there to be compared with; no product of ours uses it.

use super::{Line, TermsError};

/// Units of one in the contract's integers (gif-contracts, `PERCENTAGE_MULTIPLIER`).
pub const UNITS: u64 = 1 << 24;

/// Terms of a risk, shares of one and yields in any one unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// Most that is paid, share of the sum insured.
    pub insured: f64,
    /// Share of the average yield from which nothing is paid.
    pub trigger: f64,
    /// Share of the average yield at or below which everything is paid.
    pub exit: f64,
    /// Average historical yield.
    pub yield_average: f64,
}

impl Terms {
    /// Checks them as the contract does: `exit < trigger <= 1`, `exit <= 0.2`,
    /// `0.5 <= insured <= 1`, `insured + exit <= 1`, `0 < average`.
    pub fn check(&self) -> Result<(), TermsError> {
        let order = TermsError::Order {
            trigger: self.trigger,
            exit: self.exit,
        };
        let is_sound = self.exit >= 0.0
            && self.exit < self.trigger
            && self.trigger <= 1.0
            && self.exit <= 0.2
            && (0.5..=1.0).contains(&self.insured)
            && self.insured + self.exit <= 1.0 + 1e-12;
        if !is_sound {
            return Err(order);
        }
        if self.yield_average > 0.0 && self.yield_average.is_finite() {
            Ok(())
        } else {
            Err(TermsError::Zero)
        }
    }

    /// The share paid for a season's yield: exact.
    pub fn payout(&self, yielded: f64) -> Result<f64, TermsError> {
        self.check()?;
        let line = Line::deficit(self.trigger, self.exit)?;
        Ok(self.insured * line.loss(yielded / self.yield_average))
    }

    /// The same as the contract computes it: shares and yields cut to whole 2^-24, the ratio and
    /// the payout cut again.
    pub fn payout_truncated(&self, yielded: f64) -> Result<f64, TermsError> {
        self.check()?;
        let insured = units(self.insured)?;
        let (trigger, exit) = (units(self.trigger)?, units(self.exit)?);
        let (average, yielded) = (units(self.yield_average)?, units(yielded)?);
        let ratio = yielded
            .checked_mul(UNITS.into())
            .and_then(|scaled| scaled.checked_div(average))
            .ok_or(TermsError::Zero)?;
        let paid = if ratio >= trigger {
            0
        } else if ratio <= exit {
            insured
        } else {
            insured
                .checked_mul(trigger.saturating_sub(ratio))
                .and_then(|scaled| scaled.checked_div(trigger.saturating_sub(exit)))
                .ok_or(TermsError::Zero)?
        };
        share(paid)
    }
}

/// A number in whole 2^-24, cut, not rounded.
fn units(value: f64) -> Result<u128, TermsError> {
    let scaled = (value * share_of_units()).floor();
    super::whole(scaled)
        .and_then(|units| u128::try_from(units).ok())
        .ok_or(TermsError::NotFinite)
}

/// Units as a share of one.
fn share(units: u128) -> Result<f64, TermsError> {
    u32::try_from(units)
        .map(|units| f64::from(units) / share_of_units())
        .map_err(|_| TermsError::NotFinite)
}

fn share_of_units() -> f64 {
    16_777_216.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHED: Terms = Terms {
        insured: 0.9,
        trigger: 0.75,
        exit: 0.10,
        yield_average: 100.0,
    };

    #[test]
    fn the_published_table_holds_exactly_and_in_the_contracts_own_units() {
        for (yielded, published) in [
            (110.0, 0.0),
            (75.0, 0.0),
            (70.0, 0.069_230_73),
            (65.0, 0.138_461_53),
            (50.0, 0.346_153_79),
            (30.0, 0.623_076_91),
            (15.0, 0.830_769_18),
            (10.0, 0.9),
            (0.0, 0.9),
        ] {
            let exact = PUBLISHED.payout(yielded).unwrap();
            let cut = PUBLISHED.payout_truncated(yielded).unwrap();
            assert!((exact - published).abs() < 1e-6, "{yielded}: {exact}");
            assert!((cut - published).abs() < 6e-8, "{yielded}: {cut}");
        }
        let exact = PUBLISHED.payout(70.0).unwrap();
        assert!((exact - 0.9 * 0.05 / 0.65).abs() < 1e-15);
    }

    #[test]
    fn terms_that_the_contract_refuses_are_refused() {
        for terms in [
            Terms {
                exit: 0.21,
                ..PUBLISHED
            },
            Terms {
                insured: 0.95,
                ..PUBLISHED
            },
            Terms {
                trigger: 1.01,
                ..PUBLISHED
            },
            Terms {
                trigger: 0.1,
                ..PUBLISHED
            },
            Terms {
                yield_average: 0.0,
                ..PUBLISHED
            },
        ] {
            assert!(terms.payout(50.0).is_err(), "{terms:?}");
            assert!(terms.payout_truncated(50.0).is_err());
        }
        assert!(PUBLISHED.payout_truncated(-1.0).is_err());
    }
}
