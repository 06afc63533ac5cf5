//! What is measured, in fixed point: rain in whole micrometres of water. The only door by which
//! a float enters a decision is [`from_millimetres`]; it refuses what is not a plausible reading.
//! Never treats a gap as zero: a missing reading is `None`, a sentinel is refused.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Micrometres in a millimetre.
pub const UM_PER_MM: i32 = 1_000;

/// The largest counter or daily value taken, mm: a rain gauge's counter wraps far below it and the
/// wettest day ever measured on Earth (La Réunion 1966) is 1,825 mm.
const MILLIMETRES_MAX: f64 = 100_000.0;

/// Why a reading was refused at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MeasureError {
    /// NaN or infinite.
    #[error("reading is not a finite number")]
    NotFinite,
    /// Negative, or beyond any plausible value; missing-value sentinels such as -9999 end here.
    #[error("reading is outside 0 to 100000 mm")]
    OutOfRange,
    /// More rain than 32 bits of micrometres hold.
    #[error("rain sum overflows")]
    Overflow,
}

/// Rain in whole micrometres of water (1 mm = 1,000 µm). Tenths of a millimetre would miss
/// published payouts by 0.1 point.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct RainUm(pub i32);

impl RainUm {
    /// No rain: a measured zero, not a gap.
    pub const DRY: Self = Self(0);

    /// Whole millimetres.
    pub fn mm(millimetres: i32) -> Result<Self, MeasureError> {
        millimetres
            .checked_mul(UM_PER_MM)
            .map(Self)
            .ok_or(MeasureError::Overflow)
    }

    /// Sum of two amounts.
    pub fn checked_add(self, other: Self) -> Result<Self, MeasureError> {
        self.0
            .checked_add(other.0)
            .map(Self)
            .ok_or(MeasureError::Overflow)
    }
}

impl fmt::Display for RainUm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_mm(i64::from(self.0)))
    }
}

/// Micrometres as millimetres with two decimals, halves up: `162.12 mm`.
#[must_use]
pub fn format_mm(um: i64) -> String {
    let hundredths = um.saturating_add(5).checked_div(10).unwrap_or(0);
    let whole = hundredths.checked_div(100).unwrap_or(0);
    let rest = hundredths.checked_rem(100).unwrap_or(0);
    format!("{whole}.{rest:02} mm")
}

/// A reading in millimetres, to the nearest micrometre. The one door floats come in by.
#[expect(
    clippy::float_arithmetic,
    reason = "the one door by which floats enter a decision"
)]
#[expect(
    clippy::as_conversions,
    reason = "range-checked just above, and exact below 2^53"
)]
#[expect(clippy::cast_possible_truncation, reason = "range-checked just above")]
pub fn from_millimetres(millimetres: f64) -> Result<RainUm, MeasureError> {
    if !millimetres.is_finite() {
        return Err(MeasureError::NotFinite);
    }
    if !(0.0..=MILLIMETRES_MAX).contains(&millimetres) {
        return Err(MeasureError::OutOfRange);
    }
    Ok(RainUm((millimetres * f64::from(UM_PER_MM)).round() as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentinels_and_nonsense_never_become_rain() {
        for bad in [f64::NAN, f64::INFINITY, -9_999.0, -0.1, 1e9] {
            assert!(from_millimetres(bad).is_err(), "{bad}");
        }
        assert_eq!(from_millimetres(412.73), Ok(RainUm(412_730)));
        assert_eq!(from_millimetres(0.000_5), Ok(RainUm(1)));
    }

    #[test]
    fn rain_prints_in_millimetres() {
        assert_eq!(RainUm(162_120).to_string(), "162.12 mm");
    }
}
