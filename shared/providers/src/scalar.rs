//! Values that providers write now as text, now as a number: kept as the characters on the wire,
//! so that money and rain are parsed exactly. Never goes through a float.
//! Used by every decoder in this crate.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::value::RawValue;

/// Most digits a decimal may have; far above any amount, far below 128 bits.
const DIGITS_MAX: usize = 30;
/// Largest power of ten accepted in `1e-7` style numbers.
const EXPONENT_MAX: i32 = 24;

/// A JSON text, number or boolean, as its characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar(String);

impl Scalar {
    /// The characters: a text without its quotes, a number as written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// As an exact decimal.
    #[must_use]
    pub fn decimal(&self) -> Option<Decimal> {
        Decimal::parse(&self.0)
    }

    /// The text when it is not empty.
    #[must_use]
    pub fn non_empty(&self) -> Option<&str> {
        let trimmed = self.0.trim();
        if trimmed.is_empty() {
            None
        } else {
            Some(trimmed)
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'"') => serde_json::from_str(text)
                .map(Self)
                .map_err(D::Error::custom),
            Some(b'{' | b'[') | None => Err(D::Error::custom("expected a text or a number")),
            Some(_) => Ok(Self(text.to_owned())),
        }
    }
}

/// An exact decimal: `unscaled / 10^scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    unscaled: i128,
    scale: u32,
}

impl Decimal {
    /// Parses `12`, `-0.5`, `25.8900`, `1e-7`; anything else is `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, power.parse::<i32>().ok()?),
            None => (text, 0),
        };
        if exponent.abs() > EXPONENT_MAX {
            return None;
        }
        let (negative, unsigned) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = format!("{whole}{fraction}");
        if whole.is_empty()
            || digits.len() > DIGITS_MAX
            || !digits.bytes().all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        let magnitude = digits.parse::<i128>().ok()?;
        let unscaled = if negative {
            magnitude.checked_neg()?
        } else {
            magnitude
        };
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        if scale >= 0 {
            Some(Self {
                unscaled,
                scale: u32::try_from(scale).ok()?,
            })
        } else {
            let factor = 10_i128.checked_pow(scale.unsigned_abs())?;
            Some(Self {
                unscaled: unscaled.checked_mul(factor)?,
                scale: 0,
            })
        }
    }

    /// In units of `10^-places`, or `None` when that would lose a digit or overflow.
    #[must_use]
    pub fn exact(self, places: u32) -> Option<i64> {
        let value = if places >= self.scale {
            self.unscaled
                .checked_mul(10_i128.checked_pow(places.checked_sub(self.scale)?)?)?
        } else {
            let divisor = 10_i128.checked_pow(self.scale.checked_sub(places)?)?;
            if self.unscaled.checked_rem(divisor)? != 0 {
                return None;
            }
            self.unscaled.checked_div(divisor)?
        };
        i64::try_from(value).ok()
    }

    /// In units of `10^-places`, halves away from zero; `None` on overflow.
    #[must_use]
    pub fn nearest(self, places: u32) -> Option<i64> {
        if places >= self.scale {
            return self.exact(places);
        }
        let divisor = 10_i128.checked_pow(self.scale.checked_sub(places)?)?;
        let half = divisor.checked_div(2)?;
        let magnitude = i128::try_from(self.unscaled.unsigned_abs()).ok()?;
        let rounded = magnitude.checked_add(half)?.checked_div(divisor)?;
        let signed = if self.unscaled < 0 {
            rounded.checked_neg()?
        } else {
            rounded
        };
        i64::try_from(signed).ok()
    }
}

/// One `T` or a list of them: Daraja writes an object where it has a single item.
pub(crate) fn one_or_many<T: DeserializeOwned>(raw: &RawValue) -> serde_json::Result<Vec<T>> {
    if raw.get().starts_with('[') {
        serde_json::from_str(raw.get())
    } else {
        Ok(vec![serde_json::from_str(raw.get())?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_nothing() {
        assert_eq!(
            Decimal::parse("25.8900").and_then(|d| d.exact(2)),
            Some(2_589)
        );
        assert_eq!(Decimal::parse("250.00").and_then(|d| d.exact(0)), Some(250));
        assert_eq!(
            Decimal::parse("0.7738740133106331").and_then(|d| d.exact(2)),
            None
        );
        assert_eq!(
            Decimal::parse("-1980.0").and_then(|d| d.exact(2)),
            Some(-198_000)
        );
        assert_eq!(Decimal::parse("1e-7").and_then(|d| d.exact(7)), Some(1));
        assert_eq!(Decimal::parse("5e3").and_then(|d| d.exact(0)), Some(5_000));
    }

    #[test]
    fn halves_round_away_from_zero() {
        assert_eq!(
            Decimal::parse("412.7305").and_then(|d| d.nearest(3)),
            Some(412_731)
        );
        assert_eq!(
            Decimal::parse("-0.0005").and_then(|d| d.nearest(3)),
            Some(-1)
        );
        assert_eq!(
            Decimal::parse("412.73").and_then(|d| d.nearest(3)),
            Some(412_730)
        );
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for text in [
            "",
            ".5",
            "1,000",
            "NaN",
            "0x10",
            "1e99",
            "--1",
            "1.2.3",
            "9".repeat(40).as_str(),
        ] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn texts_and_numbers_read_alike() {
        #[derive(Deserialize)]
        struct Row {
            a: Scalar,
            b: Option<Scalar>,
            c: Option<Scalar>,
        }
        let row: Row = serde_json::from_str(r#"{"a":"5000","b":5000.10,"c":null}"#).unwrap();
        assert_eq!(row.a.text(), "5000");
        assert_eq!(
            row.b.map(|b| b.text().to_owned()).as_deref(),
            Some("5000.10")
        );
        assert_eq!(row.c, None);
        assert!(serde_json::from_str::<Row>(r#"{"a":[1]}"#).is_err());
    }
}
