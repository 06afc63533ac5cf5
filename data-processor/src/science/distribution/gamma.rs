//! The two-parameter gamma distribution of rain totals, by Thom's approximation to the greatest
//! likelihood (the SPI of McKee and others 1993) or by L-moments (SPEI-R). Pure. The mass at zero
//! is not its business. Called by `standardise`.

use super::moments::LMoments;
use super::{Refusal, is_varied};
use crate::science::{count, special};

/// π as Hosking's PELGAM writes it: with more digits SPEI-R's series are missed by 4e-8.
#[expect(
    clippy::approx_constant,
    reason = "the published routine's constant, not π itself"
)]
const PELGAM_PI: f64 = 3.141_592_7;

/// A gamma distribution of totals above zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gamma {
    /// α > 0, without unit.
    pub shape: f64,
    /// β > 0, in the unit of the totals.
    pub scale: f64,
}

impl Gamma {
    /// Thom's fit (1958): A = ln x̄ − mean(ln x), α = (1 + √(1 + 4A/3))/(4A), β = x̄/α over the
    /// totals above zero; those of nought, whose logarithm must be given as 0, are left out.
    ///
    /// # Errors
    /// [`Refusal::TooFew`] below four distinct totals above zero, [`Refusal::NoSpread`] for A ≤ 0.
    pub fn thom(totals: &[f64], logarithms: &[f64]) -> Result<Self, Refusal> {
        if !is_varied(totals.iter().filter(|total| **total > 0.0)) {
            return Err(Refusal::TooFew);
        }
        let (mut wet, mut sum, mut sum_of_logarithms) = (0, 0.0, 0.0);
        for (total, logarithm) in totals.iter().zip(logarithms) {
            wet += usize::from(*total > 0.0);
            sum += total.max(0.0);
            sum_of_logarithms += logarithm;
        }
        let n = count(wet);
        let mean = sum / n;
        let spread = libm::log(mean) - sum_of_logarithms / n;
        if spread.is_nan() || spread <= 0.0 {
            return Err(Refusal::NoSpread);
        }
        let shape = (1.0 + (1.0 + 4.0 * spread / 3.0).sqrt()) / (4.0 * spread);
        Ok(Self {
            shape,
            scale: mean / shape,
        })
    }

    /// Hosking's fit by L-moments (RC 20525, PELGAM): rational approximations of the shape in
    /// l₂/l₁, better than 5e-5 of it.
    ///
    /// # Errors
    /// [`Refusal::OutOfFamily`] unless 0 < l₂ < l₁.
    pub fn by_moments(moments: &LMoments) -> Result<Self, Refusal> {
        let variation = moments.scale / moments.mean;
        if !(variation > 0.0 && variation < 1.0) {
            return Err(Refusal::OutOfFamily);
        }
        let shape = if variation < 0.5 {
            let t = PELGAM_PI * variation * variation;
            (1.0 - 0.308 * t) / (t * (1.0 + t * (-0.05812 + t * 0.01765)))
        } else {
            let t = 1.0 - variation;
            t * (0.7213 - t * 0.5947) / (1.0 + t * (-2.1817 + t * 1.2113))
        };
        Ok(Self {
            shape,
            scale: moments.mean / shape,
        })
    }

    /// Mean αβ, in the unit of the totals.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.shape * self.scale
    }

    /// Share of totals below `total`, 0 … 1; 0 at and below zero.
    #[must_use]
    pub fn share_below(&self, total: f64) -> f64 {
        special::gamma_lower(self.shape, total / self.scale).unwrap_or(0.0)
    }
}
