//! Exact arithmetic on shares that may leave 0..=1 on the way: weighted sums, deductibles. Kept in
//! lowest terms in 128 bits; never rounds, never wraps. Used by the weather index and by settlement.

use crate::money::{BASIS_POINTS_WHOLE, BasisPoints, Fraction, MoneyError};

/// An exact number that is not negative, in lowest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ratio {
    numerator: i128,
    denominator: i128,
}

impl Ratio {
    /// Nothing.
    pub(crate) const ZERO: Self = Self {
        numerator: 0,
        denominator: 1,
    };

    fn reduced(numerator: i128, denominator: i128) -> Result<Self, MoneyError> {
        let divisor = common_divisor(numerator, denominator);
        let divide = |part: i128| part.checked_div(divisor).ok_or(MoneyError::Overflow);
        Ok(Self {
            numerator: divide(numerator)?,
            denominator: divide(denominator)?,
        })
    }

    /// `share × weight`.
    pub(crate) fn weighted(share: Fraction, weight: BasisPoints) -> Result<Self, MoneyError> {
        let numerator = i128::from(share.numerator()).checked_mul(i128::from(weight.get()));
        let denominator =
            i128::from(share.denominator()).checked_mul(i128::from(BASIS_POINTS_WHOLE));
        let (numerator, denominator) = numerator.zip(denominator).ok_or(MoneyError::Overflow)?;
        Self::reduced(numerator, denominator)
    }

    /// Sum.
    pub(crate) fn plus(self, other: Self) -> Result<Self, MoneyError> {
        let (left, right, whole) = self.over_common(other)?;
        let sum = left.checked_add(right).ok_or(MoneyError::Overflow)?;
        Self::reduced(sum, whole)
    }

    /// What is left, nothing when more is taken than there is.
    pub(crate) fn less(self, other: Self) -> Result<Self, MoneyError> {
        let (left, right, whole) = self.over_common(other)?;
        let rest = left.checked_sub(right).ok_or(MoneyError::Overflow)?;
        Self::reduced(rest.max(0), whole)
    }

    /// The larger of two.
    pub(crate) fn larger(self, other: Self) -> Result<Self, MoneyError> {
        let (left, right, _) = self.over_common(other)?;
        Ok(if left >= right { self } else { other })
    }

    /// As a share, all of it when more.
    pub(crate) fn capped(self) -> Result<Fraction, MoneyError> {
        if self.numerator >= self.denominator {
            return Ok(Fraction::ONE);
        }
        let fits = |part: i128| i64::try_from(part).map_err(|_| MoneyError::Overflow);
        Fraction::new(fits(self.numerator)?, fits(self.denominator)?)
    }

    fn over_common(self, other: Self) -> Result<(i128, i128, i128), MoneyError> {
        let divisor = common_divisor(self.denominator, other.denominator);
        let scale = other.denominator.checked_div(divisor);
        let other_scale = self.denominator.checked_div(divisor);
        scale
            .zip(other_scale)
            .and_then(|(scale, other_scale)| {
                Some((
                    self.numerator.checked_mul(scale)?,
                    other.numerator.checked_mul(other_scale)?,
                    self.denominator.checked_mul(scale)?,
                ))
            })
            .ok_or(MoneyError::Overflow)
    }
}

impl From<Fraction> for Ratio {
    fn from(share: Fraction) -> Self {
        Self {
            numerator: i128::from(share.numerator()),
            denominator: i128::from(share.denominator()),
        }
    }
}

fn common_divisor(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a, b);
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    if a == 0 { 1 } else { a }
}
