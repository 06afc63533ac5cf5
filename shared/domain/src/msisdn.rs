//! A Kenyan mobile number in E.164 form. Never printed whole by `Debug`: numbers are personal data.
//! Parsed at every edge (USSD form, callbacks, registration); stored encrypted by `store`.

use std::fmt;
use std::str::FromStr;

/// Country calling code of Kenya.
const KENYA: &str = "254";
/// Digits after the country code (ITU numbering plan of Kenya: mobile numbers start 7 or 1).
const SUBSCRIBER_DIGITS: usize = 9;

/// Why a text is not a Kenyan mobile number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("phone number must be a Kenyan mobile number such as +254712345678 or 0712345678")]
pub struct MsisdnError;

/// A Kenyan mobile number; twelve digits starting 2547 or 2541.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Msisdn(String);

impl Msisdn {
    /// Accepts `+2547…`, `2547…`, `07…` and `7…`, with spaces or dashes between groups.
    pub fn parse(text: &str) -> Result<Self, MsisdnError> {
        let trimmed = text.trim();
        let unsigned = trimmed.strip_prefix('+').unwrap_or(trimmed);
        if !unsigned
            .chars()
            .all(|c| c.is_ascii_digit() || c == ' ' || c == '-')
        {
            return Err(MsisdnError);
        }
        let digits: String = unsigned.chars().filter(char::is_ascii_digit).collect();
        let subscriber = match digits.len() {
            12 => digits.strip_prefix(KENYA),
            10 => digits.strip_prefix('0'),
            SUBSCRIBER_DIGITS => Some(digits.as_str()),
            _ => None,
        };
        match subscriber {
            Some(rest) if rest.starts_with('7') || rest.starts_with('1') => {
                Ok(Self(format!("{KENYA}{rest}")))
            }
            _ => Err(MsisdnError),
        }
    }

    /// Twelve digits without a plus: the form of M-Pesa and Swypt.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// E.164 with a plus: the form of Africa's Talking.
    #[must_use]
    pub fn e164(&self) -> String {
        format!("+{}", self.0)
    }

    /// The number with all but its last three digits hidden, for people who must recognise it.
    #[must_use]
    pub fn masked(&self) -> String {
        let tail: String = self.0.chars().skip(9).collect();
        format!("2547*****{tail}")
    }
}

impl FromStr for Msisdn {
    type Err = MsisdnError;

    fn from_str(text: &str) -> Result<Self, MsisdnError> {
        Self::parse(text)
    }
}

impl fmt::Debug for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Msisdn(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_a_number_is_the_same_number() {
        let plain = Msisdn::parse("254712345678").unwrap();
        for text in [
            "+254712345678",
            "0712345678",
            "712345678",
            "+254 712-345 678",
        ] {
            assert_eq!(Msisdn::parse(text), Ok(plain.clone()), "{text}");
        }
        assert_eq!(plain.e164(), "+254712345678");
    }

    #[test]
    fn what_is_no_kenyan_mobile_is_refused() {
        for text in [
            "",
            "+1",
            "+255712345678",
            "0212345678",
            "07123456789",
            "07x2345678",
            "++254712345678",
        ] {
            assert_eq!(Msisdn::parse(text), Err(MsisdnError), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_digit() {
        let shown = format!("{:?}", Msisdn::parse("0712345678").unwrap());
        assert!(!shown.contains(|c: char| c.is_ascii_digit()));
    }
}
