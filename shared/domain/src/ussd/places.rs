//! The wards of Kenya as a farmer finds hers: by the four-digit code on a poster, or down the
//! lists county, constituency, ward. Holds names only, never coordinates or cells.
//! Built once by the shell from the stored wards; read by the conversation.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Highest ward code (IEBC: 1,450 wards, 0001 to 1450).
pub const WARD_CODE_MAX: u16 = 1_450;

/// A ward's code, printed with four digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct WardCode(u16);

/// A text or number that is no ward code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ward code must be four digits, 0001 to 1450")]
pub struct WardCodeError;

impl WardCode {
    /// Exactly four digits within the range.
    pub fn parse(text: &str) -> Result<Self, WardCodeError> {
        if text.len() != 4 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(WardCodeError);
        }
        text.parse()
            .map_err(|_| WardCodeError)
            .and_then(|number: u16| Self::try_from(number))
    }
}

impl TryFrom<u16> for WardCode {
    type Error = WardCodeError;

    fn try_from(number: u16) -> Result<Self, WardCodeError> {
        if (1..=WARD_CODE_MAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(WardCodeError)
        }
    }
}

impl From<WardCode> for u16 {
    fn from(code: WardCode) -> Self {
        code.0
    }
}

impl fmt::Display for WardCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

/// A ward with the names around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ward {
    /// Its code.
    pub code: WardCode,
    /// Its name; names repeat, codes do not.
    pub name: String,
    /// Its constituency.
    pub constituency: String,
    /// Its county.
    pub county: String,
}

/// Every ward, in code order, with the lists above them.
#[derive(Debug, Clone, Default)]
pub struct Places {
    wards: Vec<Ward>,
    /// County names in the order of their first ward: the official county numbers.
    counties: Vec<String>,
}

impl Places {
    /// From wards in any order.
    #[must_use]
    pub fn new(mut wards: Vec<Ward>) -> Self {
        wards.sort_by_key(|ward| ward.code);
        wards.dedup_by_key(|ward| ward.code);
        let mut counties: Vec<String> = Vec::new();
        for ward in &wards {
            if !counties.contains(&ward.county) {
                counties.push(ward.county.clone());
            }
        }
        Self { wards, counties }
    }

    /// A ward by code.
    #[must_use]
    pub fn ward(&self, code: WardCode) -> Option<&Ward> {
        let index = self
            .wards
            .binary_search_by_key(&code, |ward| ward.code)
            .ok()?;
        self.wards.get(index)
    }

    /// County names, in official order.
    #[must_use]
    pub fn counties(&self) -> &[String] {
        &self.counties
    }

    /// Constituencies of a county, in code order.
    #[must_use]
    pub fn constituencies(&self, county: &str) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for ward in self.wards.iter().filter(|ward| ward.county == county) {
            if !names.contains(&ward.constituency.as_str()) {
                names.push(&ward.constituency);
            }
        }
        names
    }

    /// Wards of a constituency, in code order.
    #[must_use]
    pub fn wards_of(&self, county: &str, constituency: &str) -> Vec<&Ward> {
        self.wards
            .iter()
            .filter(|ward| ward.county == county && ward.constituency == constituency)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ward_code_is_four_digits_in_range() {
        assert_eq!(WardCode::parse("0721").unwrap().to_string(), "0721");
        for bad in ["", "721", "0000", "1451", "00721", "07 1", "+721"] {
            assert_eq!(WardCode::parse(bad), Err(WardCodeError), "{bad}");
        }
    }
}
