//! The standardised precipitation-evapotranspiration index (Vicente-Serrano, Beguería and
//! López-Moreno 2010): the SPI's question asked of rain less what the air would drink. Pure. Called
//! by the indices of products and by `validate`.

use core::ops::Range;

use super::standardise::{CLIP, Family, Recipe, Zeros};

/// What climate-indices adds to a month's balance, mm, so that a gamma can be fitted to it.
pub const OFFSET_MM: f64 = 1_000.0;

/// The SPEI over `scale` months of a monthly balance that starts in January: a log-logistic by
/// unbiased probability-weighted moments for each calendar month within `calibration`, cut at
/// ±3.09 as the SPI is. Readings of the balance come from [`balance`] with no offset.
#[must_use]
pub fn monthly(scale: usize, calibration: Range<usize>) -> Recipe {
    Recipe {
        scale,
        periods: 12,
        first: 0,
        calibration,
        family: Family::LogLogistic,
        zeros: Zeros::LeftOut,
        lowest: f64::MIN,
        clip: CLIP,
    }
}

/// The SPEI as climate-indices makes it: a gamma (Thom) or a Pearson III on the totals of the
/// balance plus [`OFFSET_MM`] a month. For comparison with it; a shift changes a gamma's fit.
#[must_use]
pub fn monthly_shifted(scale: usize, calibration: Range<usize>, family: Family) -> Recipe {
    Recipe {
        family,
        zeros: Zeros::Mass,
        ..monthly(scale, calibration)
    }
}

/// The climatic water balance, mm: rain less evapotranspiration plus `offset_mm`, into a buffer of
/// the same length (what is longer stays as it is). Missing where either is, or the rain is
/// negative.
pub fn balance(
    rain_mm: &[Option<f64>],
    eto_mm: &[Option<f64>],
    offset_mm: f64,
    out: &mut [Option<f64>],
) {
    for ((rain, eto), out) in rain_mm.iter().zip(eto_mm).zip(out) {
        *out = rain
            .filter(|rain| *rain >= 0.0)
            .zip(*eto)
            .map(|(rain, eto)| rain - eto + offset_mm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::science::standardise::{Scratch, series};

    #[test]
    fn a_balance_misses_what_either_side_misses() {
        let mut out = [Some(9.0); 4];
        let rain = [Some(50.0), None, Some(10.0), Some(-9_999.0)];
        let eto = [Some(120.0), Some(1.0), None, Some(1.0)];
        balance(&rain, &eto, 0.0, &mut out);
        assert_eq!(out, [Some(-70.0), None, None, None]);
        balance(&rain, &eto, OFFSET_MM, &mut out);
        assert_eq!(out[0], Some(930.0));
    }

    #[test]
    fn a_dry_balance_scores_below_a_wet_one_and_a_gap_is_a_gap() {
        // thirty years of a balance that only grows: scores grow with it, within each month
        let mut readings: Vec<Option<f64>> = (0..360_u32)
            .map(|month| Some(f64::from(month / 12 * month / 12) - 90.0))
            .collect();
        readings[100] = None;
        let mut scores = vec![None; 360];
        let recipe = monthly(3, 0..360);
        series(&readings, &recipe, &mut Scratch::default(), &mut scores).unwrap();
        let missing: Vec<usize> = (0..360).filter(|at| scores[*at].is_none()).collect();
        assert_eq!(missing, [0, 1, 100, 101, 102]);
        for month in 0..12 {
            let row: Vec<f64> = scores
                .iter()
                .skip(month)
                .step_by(12)
                .flatten()
                .copied()
                .collect();
            assert!(row.is_sorted(), "{month}");
            assert!(row.first() < Some(&-1.0) && row.last() > Some(&1.0));
        }
    }

    #[test]
    fn the_shift_of_climate_indices_is_a_recipe_of_its_own() {
        let shifted = monthly_shifted(6, 0..12, Family::GammaThom);
        assert_eq!((shifted.family, shifted.scale), (Family::GammaThom, 6));
    }
}
