//! A number with at most three decimals, exact: whole thousandths inside, text such as "27.5" or a
//! whole number such as 25 in a document. Never a float: 0.1 has no binary form, and a document's
//! hash must not depend on who printed it. Used by every figure of a product that is not money.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Thousandths in one.
const THOUSANDTHS: i64 = 1_000;

/// Largest magnitude, in thousandths: a million. No figure of a product comes near it.
const MILLI_MAX: i64 = 1_000_000_000;

/// A number between -1,000,000 and 1,000,000 with at most three decimals. 25, "25" and "25.0" are
/// the same number and give a document the same hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal(i64);

/// Why a text or number is no [`Decimal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "write a number of at most a million with at most three decimals, such as 25 or \"27.5\" in quotation marks"
)]
pub struct DecimalError;

impl Decimal {
    /// Whole thousandths as a number.
    pub fn from_milli(milli: i64) -> Result<Self, DecimalError> {
        if (-MILLI_MAX..=MILLI_MAX).contains(&milli) {
            Ok(Self(milli))
        } else {
            Err(DecimalError)
        }
    }

    /// A whole number.
    pub fn whole(value: i64) -> Result<Self, DecimalError> {
        Self::from_milli(value.saturating_mul(THOUSANDTHS))
    }

    /// Thousandths.
    #[must_use]
    pub fn milli(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let whole = magnitude.checked_div(1_000).unwrap_or(0);
        let rest = magnitude.checked_rem(1_000).unwrap_or(0);
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{whole}")?;
        if rest == 0 {
            return Ok(());
        }
        write!(f, ".{}", format!("{rest:03}").trim_end_matches('0'))
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, decimals) = match digits.split_once('.') {
            Some((_, "")) => return Err(DecimalError),
            Some(parts) => parts,
            None => (digits, ""),
        };
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || decimals.len() > 3 || !plain(whole) || !plain(decimals) {
            return Err(DecimalError);
        }
        // "5" after the point is 500 thousandths
        let rest: i64 = format!("{decimals:0<3}")
            .parse()
            .map_err(|_| DecimalError)?;
        let milli = whole
            .parse::<i64>()
            .ok()
            .and_then(|whole| whole.checked_mul(THOUSANDTHS)?.checked_add(rest))
            .ok_or(DecimalError)?;
        Self::from_milli(if is_negative {
            milli.saturating_neg()
        } else {
            milli
        })
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

struct AsWritten;

impl Visitor<'_> for AsWritten {
    type Value = Decimal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number such as 25, or a decimal in quotation marks such as \"27.5\"")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Decimal, E> {
        Decimal::whole(value).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Decimal, E> {
        let value = i64::try_from(value).map_err(|_| E::custom(DecimalError))?;
        self.visit_i64(value)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Decimal, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AsWritten)
    }
}

impl JsonSchema for Decimal {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A whole number, or a decimal of at most three places in quotation marks.",
            "anyOf": [
                { "type": "integer", "minimum": -1_000_000, "maximum": 1_000_000 },
                { "type": "string", "pattern": r"^-?[0-9]{1,7}(\.[0-9]{1,3})?$" }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Line {
        at: Decimal,
    }

    #[test]
    fn whole_numbers_and_texts_are_the_same_number_and_floats_are_refused() {
        for text in ["at = 25", "at = \"25\"", "at = \"25.0\"", "at = \"25.000\""] {
            let line: Line = toml::from_str(text).unwrap();
            assert_eq!(
                (line.at.milli(), line.at.to_string()),
                (25_000, "25".into())
            );
        }
        let error = toml::from_str::<Line>("at = 27.5").unwrap_err();
        assert!(error.message().contains("\"27.5\""), "{error}");
    }

    #[test]
    fn what_is_no_plain_decimal_is_refused() {
        for text in [
            "",
            "-",
            ".5",
            "5.",
            "1.2345",
            "1e3",
            "+1",
            " 1",
            "1,5",
            "--1",
            "1000001",
            "-1000000.001",
        ] {
            assert_eq!(text.parse::<Decimal>(), Err(DecimalError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_number_prints_as_it_is_read(milli in -MILLI_MAX..=MILLI_MAX) {
            let number = Decimal::from_milli(milli).unwrap();
            prop_assert_eq!(number.to_string().parse::<Decimal>(), Ok(number));
        }
    }
}
