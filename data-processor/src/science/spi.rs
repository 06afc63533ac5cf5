//! The standardised precipitation index (McKee, Doesken and Kleist 1993): how unusual the rain of
//! the last months is for the season, in standard deviations. Pure. Called by the indices of
//! products and by `validate`.

use core::ops::Range;

use super::standardise::{CLIP, Family, Recipe, Zeros};

/// The SPI over `scale` months of a monthly series that starts in January: Thom's gamma on the
/// totals above zero of each calendar month within `calibration`, the share of zeros as a mass, cut
/// at ±3.09. Negative rain is missing. Scores come from [`super::standardise::series`] and
/// [`super::standardise::grid`].
///
/// The calibration is part of a contract: another moves the index by up to one.
#[must_use]
pub fn monthly(scale: usize, calibration: Range<usize>) -> Recipe {
    Recipe {
        scale,
        periods: 12,
        first: 0,
        calibration,
        family: Family::GammaThom,
        zeros: Zeros::Mass,
        lowest: 0.0,
        clip: CLIP,
    }
}

/// The SPI of one season's totals, a value a year: March to May of each year. As [`monthly`] with
/// a single period.
#[must_use]
pub fn seasonal(calibration: Range<usize>) -> Recipe {
    Recipe {
        periods: 1,
        ..monthly(1, calibration)
    }
}

#[cfg(test)]
mod tests;
