//! The three-parameter log-logistic (generalised logistic) distribution of the climatic water
//! balance, by unbiased probability-weighted moments: the SPEI of Vicente-Serrano and others (2010)
//! with the fit of Beguería and others (2014). Pure. Called by `standardise`.

use core::f64::consts::PI;

use super::Refusal;
use super::moments::LMoments;

/// A shape nearer to nought than this is nought (Hosking's SMALL): the logistic distribution.
const SHAPE_MIN: f64 = 1e-6;

/// A generalised logistic distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogLogistic {
    /// ξ, in the unit of the values.
    pub location: f64,
    /// a > 0, in the unit of the values.
    pub scale: f64,
    /// k, −1 … 1; below nought the values have a lowest, above a highest.
    pub shape: f64,
}

impl LogLogistic {
    /// Hosking's fit (PELGLO): k = −t₃, a = l₂ sin(kπ)/(kπ), ξ = l₁ − a(1/k − π/sin(kπ)).
    ///
    /// # Errors
    /// [`Refusal::OutOfFamily`] for |t₃| ≥ 1.
    pub fn by_moments(moments: &LMoments) -> Result<Self, Refusal> {
        let shape = -moments.skew;
        if shape.is_nan() || shape.abs() >= 1.0 {
            return Err(Refusal::OutOfFamily);
        }
        if shape.abs() <= SHAPE_MIN {
            return Ok(Self {
                location: moments.mean,
                scale: moments.scale,
                shape: 0.0,
            });
        }
        let sine = libm::sin(shape * PI);
        let scale = moments.scale * sine / (shape * PI);
        Ok(Self {
            location: moments.mean - scale * (1.0 / shape - PI / sine),
            scale,
            shape,
        })
    }

    /// Share of values below `value`, 0 … 1: F = 1/(1 + e⁻ʸ), y = −ln(1 − k(x−ξ)/a)/k.
    #[must_use]
    pub fn share_below(&self, value: f64) -> f64 {
        let reduced = (value - self.location) / self.scale;
        let y = if self.shape.abs() <= SHAPE_MIN {
            reduced
        } else {
            let inside = 1.0 - self.shape * reduced;
            if inside <= 0.0 {
                // beyond the end of the support
                return if self.shape > 0.0 { 1.0 } else { 0.0 };
            }
            -libm::log(inside) / self.shape
        };
        1.0 / (1.0 + libm::exp(-y))
    }
}
