//! The Pearson type III distribution by L-moments, with the ends of its support held inside (0, 1)
//! as climate-indices holds them. Pure. Called by `standardise`.

use core::f64::consts::PI;

use super::Refusal;
use super::moments::LMoments;
use crate::science::special;

/// |t₃| at or below this is no skew (Hosking's SMALL): the normal distribution.
const SKEW_MIN: f64 = 1e-6;

/// climate-indices: a total below this, mm, is a trace, read as zero where zeros occur.
pub const TRACE_MAX: f64 = 0.0005;

/// climate-indices: the share given to what lies at or below a lowest possible value.
const SHARE_LOWEST: f64 = 0.0005;

/// climate-indices: the share given to what lies at or above a highest possible value.
const SHARE_HIGHEST: f64 = 0.9995;

/// A Pearson type III distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pearson {
    /// μ, the mean, in the unit of the values.
    pub location: f64,
    /// σ > 0, the standard deviation, in the unit of the values.
    pub scale: f64,
    /// γ, the skewness, without unit.
    pub skew: f64,
}

impl Pearson {
    /// Hosking's fit (RC 20525, PELPE3).
    ///
    /// # Errors
    /// [`Refusal::OutOfFamily`] for |t₃| ≥ 1.
    pub fn by_moments(moments: &LMoments) -> Result<Self, Refusal> {
        let size = moments.skew.abs();
        if size.is_nan() || size >= 1.0 {
            return Err(Refusal::OutOfFamily);
        }
        if size <= SKEW_MIN {
            let scale = moments.scale * PI.sqrt();
            return Ok(Self {
                location: moments.mean,
                scale,
                skew: 0.0,
            });
        }
        // 1/3 as the Fortran has it
        let shape = if size < 0.333_333_333 {
            let t = PI * 3.0 * size * size;
            (1.0 + 0.2906 * t) / (t * (1.0 + t * (0.1882 + t * 0.0442)))
        } else {
            let t = 1.0 - size;
            t * (0.36067 + t * (-0.59567 + t * 0.25361))
                / (1.0 + t * (-2.78861 + t * (2.56096 - t * 0.77045)))
        };
        let root = shape.sqrt();
        let beta = PI.sqrt() * moments.scale * special::half_step(shape);
        Ok(Self {
            location: moments.mean,
            scale: beta * root,
            skew: libm::copysign(2.0 / root, moments.skew),
        })
    }

    /// Share of values below `value`, 0 … 1.
    #[must_use]
    pub fn share_below(&self, value: f64) -> f64 {
        let reduced = (value - self.location) / self.scale;
        if self.skew == 0.0 {
            return special::normal_cdf(reduced);
        }
        let shape = 4.0 / (self.skew * self.skew);
        // distance from the end of the support, in units of the gamma's scale
        let depth = shape + 2.0 * reduced / self.skew;
        if self.skew > 0.0 {
            special::gamma_lower(shape, depth).unwrap_or(0.0)
        } else {
            special::gamma_upper(shape, depth).unwrap_or(1.0)
        }
    }

    /// As [`Self::share_below`], but never 0 or 1 at or beyond the ends of the support: what
    /// climate-indices scores (0.0005 and 0.9995). `mass` is the share of zeros: with one, a trace
    /// (below [`TRACE_MAX`]) has share 0 and only the mass counts; without, 0.0005.
    #[must_use]
    pub fn share_held(&self, value: f64, mass: f64) -> f64 {
        let end = self.location - 2.0 * self.scale / self.skew;
        if self.skew > 0.0 && value <= end {
            SHARE_LOWEST
        } else if self.skew < 0.0 && value >= end {
            SHARE_HIGHEST
        } else if value >= TRACE_MAX {
            self.share_below(value)
        } else if mass > 0.0 {
            0.0
        } else {
            SHARE_LOWEST
        }
    }
}
