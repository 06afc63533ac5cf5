//! Cells of the H3 grid: the plot's cell (resolution 8), the risk's cell (7), the accumulation
//! cell (5). Only parses cells and walks to parents: turning coordinates into a cell needs floats
//! and happens in the shells. Used by policy, risk and capacity rules.

use std::fmt;
use std::str::FromStr;

use h3o::{CellIndex, Resolution};
use serde::{Deserialize, Serialize};

/// Why a text is not a usable cell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CellError {
    /// Not an H3 index at all.
    #[error("not an h3 cell index; expected 15 hexadecimal digits such as 887a635567fffff")]
    Malformed,
    /// A cell of another resolution than asked for.
    #[error("expected an h3 cell of resolution {expected}, found resolution {found}")]
    Resolution {
        /// The resolution the type demands.
        expected: u8,
        /// The resolution of the given cell.
        found: u8,
    },
}

macro_rules! cell {
    ($($(#[$doc:meta])* $name:ident: $resolution:literal = $level:expr),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(CellIndex);

        impl $name {
            /// The resolution of every value of this type.
            pub const RESOLUTION: u8 = $resolution;

            /// Takes an index of exactly this resolution.
            pub fn new(index: CellIndex) -> Result<Self, CellError> {
                if index.resolution() == $level {
                    Ok(Self(index))
                } else {
                    Err(CellError::Resolution {
                        expected: $resolution,
                        found: u8::from(index.resolution()),
                    })
                }
            }

            /// The H3 index.
            #[must_use]
            pub fn index(self) -> CellIndex {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = CellError;

            fn from_str(text: &str) -> Result<Self, CellError> {
                let index = text.parse::<CellIndex>().map_err(|_| CellError::Malformed)?;
                Self::new(index)
            }
        }

        impl TryFrom<String> for $name {
            type Error = CellError;

            fn try_from(text: String) -> Result<Self, CellError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(cell: $name) -> Self {
                cell.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )+};
}

cell! {
    /// Where a plot lies: about 0.74 km².
    PlotCell: 8 = Resolution::Eight,
    /// What is insured and observed as one: about 5.2 km², WeatherXM's own cell.
    RiskCell: 7 = Resolution::Seven,
    /// Where exposure is added up: about 253 km².
    AccumulationCell: 5 = Resolution::Five,
}

impl PlotCell {
    /// The risk cell this plot belongs to.
    #[must_use]
    pub fn risk_cell(self) -> RiskCell {
        RiskCell(self.0.parent(Resolution::Seven).unwrap_or(self.0))
    }
}

impl RiskCell {
    /// The accumulation cell this risk counts towards.
    #[must_use]
    pub fn accumulation_cell(self) -> AccumulationCell {
        AccumulationCell(self.0.parent(Resolution::Five).unwrap_or(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_the_published_ones() {
        // Kitui, domain notes of the H3 grid
        let plot: PlotCell = "887a635567fffff".parse().unwrap();
        assert_eq!(plot.risk_cell().to_string(), "877a63556ffffff");
        assert_eq!(
            plot.risk_cell().accumulation_cell().to_string(),
            "857a6357fffffff"
        );
    }

    #[test]
    fn a_cell_of_another_resolution_is_refused() {
        let refused = "877a63556ffffff".parse::<PlotCell>();
        assert_eq!(
            refused,
            Err(CellError::Resolution {
                expected: 8,
                found: 7
            })
        );
        assert_eq!("zz".parse::<PlotCell>(), Err(CellError::Malformed));
    }
}
