//! The distributions that totals of rain and of the water balance are fitted to, and why a fit is
//! refused. Pure; a fit never guesses where the sample cannot carry it. Called by `standardise`.

pub mod gamma;
pub mod log_logistic;
pub mod moments;
pub mod pearson;

/// Fewer distinct values than this fit nothing: three parameters pass through any three.
pub const DISTINCT_MIN: usize = 4;

/// Why a sample carries no fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Fewer than [`DISTINCT_MIN`] distinct values, zeros apart where they are a mass of their own:
    /// a period that is always dry, or a short record.
    #[error("fewer than four distinct values to fit: calibrate on a longer record")]
    TooFew,
    /// The logarithms do not spread about that of the mean (A ≤ 0 of Thom's fit), or the second
    /// L-moment is not positive: every value is the same.
    #[error("the values do not spread: no index is defined for this period")]
    NoSpread,
    /// The moments lie outside the family: |t₃| ≥ 1, or l₂ ≥ l₁ of a gamma.
    #[error("the sample's moments lie outside the family: choose another distribution")]
    OutOfFamily,
}

/// Whether there are at least [`DISTINCT_MIN`] distinct values. Stops at the fourth.
#[must_use]
pub fn is_varied<'a>(values: impl IntoIterator<Item = &'a f64>) -> bool {
    let mut seen = [0.0_f64; DISTINCT_MIN];
    let mut found = 0;
    for value in values {
        if seen
            .iter()
            .take(found)
            .any(|known| known.to_bits() == value.to_bits())
        {
            continue;
        }
        if let Some(place) = seen.get_mut(found) {
            *place = *value;
        }
        found += 1;
        if found == DISTINCT_MIN {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests;
