//! Money as whole minor units with a currency, shares as exact fractions and basis points.
//! Never a float, never a sum across currencies, never a silent overflow.
//! Used wherever an amount is decided, booked or printed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Minor units (cents) in one Kenyan shilling.
pub const CENTS_PER_SHILLING: i64 = 100;

/// Basis points in a whole (1 bp = 0.01 %).
pub const BASIS_POINTS_WHOLE: u16 = 10_000;

/// Why an amount could not be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Two currencies met in one sum.
    #[error("amounts are in different currencies; convert one through a recorded rate first")]
    CurrencyMismatch,
    /// The result does not fit 64 bits.
    #[error("amount overflows 64-bit minor units")]
    Overflow,
    /// A fraction's denominator was zero, or a share was outside 0..=1.
    #[error("share must lie between 0 and 1 with a positive denominator")]
    Share,
}

/// A currency the ledger knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Currency {
    /// Kenyan shilling; minor unit: cent. M-Pesa moves whole shillings only.
    Kes,
    /// USD Coin; minor unit: 1e-6, as on chain.
    Usdc,
}

impl Currency {
    /// ISO-style code, as stored.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Kes => "KES",
            Self::Usdc => "USDC",
        }
    }

    /// The currency of a stored code.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        match code.trim_end() {
            "KES" => Some(Self::Kes),
            "USDC" => Some(Self::Usdc),
            _ => None,
        }
    }
}

/// An amount in minor units of one currency.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Minor units (cents for KES); may be negative in balances.
    pub minor: i64,
    /// The currency of `minor`.
    pub currency: Currency,
}

impl Money {
    /// Nothing, in shillings.
    pub const ZERO_KES: Self = Self {
        minor: 0,
        currency: Currency::Kes,
    };

    /// Whole shillings.
    pub fn kes(shillings: i64) -> Result<Self, MoneyError> {
        let minor = shillings
            .checked_mul(CENTS_PER_SHILLING)
            .ok_or(MoneyError::Overflow)?;
        Ok(Self::kes_minor(minor))
    }

    /// Cents.
    #[must_use]
    pub fn kes_minor(minor: i64) -> Self {
        Self {
            minor,
            currency: Currency::Kes,
        }
    }

    /// Whole shillings in this amount, or `None` when cents remain or it is not KES.
    #[must_use]
    pub fn whole_shillings(self) -> Option<i64> {
        let whole =
            self.currency == Currency::Kes && self.minor.checked_rem(CENTS_PER_SHILLING) == Some(0);
        if whole {
            self.minor.checked_div(CENTS_PER_SHILLING)
        } else {
            None
        }
    }

    /// Sum within one currency.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self
            .minor
            .checked_add(other.minor)
            .ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }

    /// Difference within one currency.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self
            .minor
            .checked_sub(other.minor)
            .ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }

    /// `self × share`, rounded once to whole shillings.
    pub fn share_in_shillings(
        self,
        share: Fraction,
        rounding: Rounding,
    ) -> Result<Self, MoneyError> {
        let numerator = i128::from(self.minor)
            .checked_mul(i128::from(share.numerator))
            .ok_or(MoneyError::Overflow)?;
        let denominator = i128::from(share.denominator)
            .checked_mul(i128::from(CENTS_PER_SHILLING))
            .ok_or(MoneyError::Overflow)?;
        let shillings = rounding
            .divide(numerator, denominator)
            .ok_or(MoneyError::Overflow)?;
        Self::kes(i64::try_from(shillings).map_err(|_| MoneyError::Overflow)?)
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::CurrencyMismatch)
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_major: u64 = match self.currency {
            Currency::Kes => 100,
            Currency::Usdc => 1_000_000,
        };
        let sign = if self.minor < 0 { "-" } else { "" };
        let magnitude = self.minor.unsigned_abs();
        let major = magnitude.checked_div(per_major).unwrap_or(0);
        let rest = magnitude.checked_rem(per_major).unwrap_or(0);
        write!(f, "{} {sign}{}", self.currency.code(), grouped(major))?;
        match (self.currency, rest) {
            (_, 0) => Ok(()),
            (Currency::Kes, cents) => write!(f, ".{cents:02}"),
            (Currency::Usdc, micros) => write!(f, ".{micros:06}"),
        }
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Digits in groups of three: `12,345`.
#[must_use]
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len().saturating_add(6));
    for (position, digit) in digits.chars().enumerate() {
        let left = digits.len().saturating_sub(position);
        if position > 0 && left.checked_rem(3) == Some(0) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// How a quotient becomes a whole number; always named, never implied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// To the nearest, halves away from zero. Payouts.
    HalfUp,
    /// To the next whole number upwards. Premiums.
    Ceiling,
}

impl Rounding {
    /// `numerator / denominator` for a non-negative numerator and positive denominator.
    #[must_use]
    pub fn divide(self, numerator: i128, denominator: i128) -> Option<i128> {
        if numerator < 0 || denominator <= 0 {
            return None;
        }
        let added = match self {
            Self::HalfUp => denominator.checked_div(2)?,
            Self::Ceiling => denominator.checked_sub(1)?,
        };
        numerator.checked_add(added)?.checked_div(denominator)
    }
}

/// A share between 0 and 1 in basis points of a whole.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "u16", into = "u16")]
pub struct BasisPoints(u16);

impl BasisPoints {
    /// 0 %.
    pub const ZERO: Self = Self(0);
    /// 100 %.
    pub const WHOLE: Self = Self(BASIS_POINTS_WHOLE);

    /// A share of at most 10,000 basis points.
    pub fn new(value: u16) -> Result<Self, MoneyError> {
        if value <= BASIS_POINTS_WHOLE {
            Ok(Self(value))
        } else {
            Err(MoneyError::Share)
        }
    }

    /// The number of basis points, 0..=10,000.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }

    /// As an exact fraction of a whole.
    #[must_use]
    pub fn fraction(self) -> Fraction {
        Fraction::reduced(i64::from(self.0), i64::from(BASIS_POINTS_WHOLE))
    }
}

impl TryFrom<u16> for BasisPoints {
    type Error = MoneyError;

    fn try_from(value: u16) -> Result<Self, MoneyError> {
        Self::new(value)
    }
}

impl From<BasisPoints> for u16 {
    fn from(value: BasisPoints) -> Self {
        value.0
    }
}

impl fmt::Display for BasisPoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.checked_div(100).unwrap_or(0);
        let rest = self.0.checked_rem(100).unwrap_or(0);
        write!(f, "{whole}.{rest:02}%")
    }
}

/// An exact share between 0 and 1, in lowest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "(i64, i64)", into = "(i64, i64)")]
pub struct Fraction {
    numerator: i64,
    denominator: i64,
}

impl Fraction {
    /// Nothing.
    pub const ZERO: Self = Self {
        numerator: 0,
        denominator: 1,
    };
    /// All of it.
    pub const ONE: Self = Self {
        numerator: 1,
        denominator: 1,
    };

    /// `numerator / denominator`; refuses anything outside 0..=1.
    pub fn new(numerator: i64, denominator: i64) -> Result<Self, MoneyError> {
        if denominator <= 0 || numerator < 0 || numerator > denominator {
            return Err(MoneyError::Share);
        }
        Ok(Self::reduced(numerator, denominator))
    }

    fn reduced(numerator: i64, denominator: i64) -> Self {
        let divisor = greatest_common_divisor(numerator, denominator);
        Self {
            numerator: numerator.checked_div(divisor).unwrap_or(0),
            denominator: denominator.checked_div(divisor).unwrap_or(1),
        }
    }

    /// Upper part, in lowest terms.
    #[must_use]
    pub fn numerator(self) -> i64 {
        self.numerator
    }

    /// Lower part, in lowest terms; at least 1.
    #[must_use]
    pub fn denominator(self) -> i64 {
        self.denominator
    }

    /// Whether this is exactly nothing.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.numerator == 0
    }

    /// Nearest basis points, halves up: for routing and display, never for money.
    #[must_use]
    pub fn basis_points(self) -> BasisPoints {
        let scaled = i128::from(self.numerator).saturating_mul(i128::from(BASIS_POINTS_WHOLE));
        let value = Rounding::HalfUp
            .divide(scaled, i128::from(self.denominator))
            .unwrap_or(0);
        BasisPoints(
            u16::try_from(value)
                .unwrap_or(BASIS_POINTS_WHOLE)
                .min(BASIS_POINTS_WHOLE),
        )
    }

    /// The smaller of two shares.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        if self.is_at_most(other) { self } else { other }
    }

    /// `self <= other`, compared exactly.
    #[must_use]
    pub fn is_at_most(self, other: Self) -> bool {
        let left = i128::from(self.numerator).saturating_mul(i128::from(other.denominator));
        let right = i128::from(other.numerator).saturating_mul(i128::from(self.denominator));
        left <= right
    }
}

impl TryFrom<(i64, i64)> for Fraction {
    type Error = MoneyError;

    fn try_from((numerator, denominator): (i64, i64)) -> Result<Self, MoneyError> {
        Self::new(numerator, denominator)
    }
}

impl From<Fraction> for (i64, i64) {
    fn from(value: Fraction) -> Self {
        (value.numerator, value.denominator)
    }
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a, b);
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    if a == 0 { 1 } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn currencies_never_mix() {
        let usdc = Money {
            minor: 1,
            currency: Currency::Usdc,
        };
        assert_eq!(
            Money::ZERO_KES.checked_add(usdc),
            Err(MoneyError::CurrencyMismatch)
        );
    }

    #[test]
    fn amounts_print_as_people_write_them() {
        assert_eq!(Money::kes_minor(1_234_500).to_string(), "KES 12,345");
        assert_eq!(Money::kes_minor(-50).to_string(), "KES -0.50");
        assert_eq!(BasisPoints::new(6_332).unwrap().to_string(), "63.32%");
    }

    #[test]
    fn one_rounding_at_the_end_gives_the_published_shilling() {
        // KARARE 1984 at 12,000: through basis points it would be 7,598 (decision 24)
        let share = Fraction::new(278_000 - 162_120, 278_000 - 95_000).unwrap();
        let paid = Money::kes(12_000)
            .unwrap()
            .share_in_shillings(share, Rounding::HalfUp);
        assert_eq!(paid, Money::kes(7_599));
    }

    proptest! {
        #[test]
        fn a_share_of_an_amount_never_exceeds_it(
            shillings in 0_i64..500_000, n in 0_i64..1_000_000, d in 1_i64..1_000_000,
        ) {
            prop_assume!(n <= d);
            let whole = Money::kes(shillings).unwrap();
            let part = whole
                .share_in_shillings(Fraction::new(n, d).unwrap(), Rounding::HalfUp)
                .unwrap();
            prop_assert!(part.minor >= 0 && part.minor <= whole.minor);
        }

        #[test]
        fn fractions_are_in_lowest_terms_and_survive_serde(n in 0_i64..10_000, d in 1_i64..10_000) {
            prop_assume!(n <= d);
            let f = Fraction::new(n, d).unwrap();
            prop_assert_eq!(greatest_common_divisor(f.numerator, f.denominator), 1);
            let text = serde_json::to_string(&f).unwrap();
            prop_assert_eq!(serde_json::from_str::<Fraction>(&text).unwrap(), f);
        }
    }
}
