//! Sample L-moments by unbiased probability-weighted moments (Hosking 1990), as SPEI-R and
//! climate-indices take them. Pure. Called by the fits of `distribution`.

use super::{Refusal, is_varied};
use crate::science::count;

/// The first three L-moments of a sample, in the unit of its values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LMoments {
    /// l₁, the mean.
    pub mean: f64,
    /// l₂ > 0, half the mean difference of two draws.
    pub scale: f64,
    /// t₃ = l₃/l₂, −1 … 1.
    pub skew: f64,
}

/// L-moments of values sorted ascending:
/// b₀ = mean, b₁ = Σ (j−1)/(n−1) xⱼ / n, b₂ = Σ (j−1)(j−2)/((n−1)(n−2)) xⱼ / n;
/// l₁ = b₀, l₂ = 2b₁ − b₀, t₃ = (6b₂ − 6b₁ + b₀)/l₂.
///
/// # Errors
/// [`Refusal::TooFew`] below four distinct values, [`Refusal::NoSpread`] for l₂ ≤ 0,
/// [`Refusal::OutOfFamily`] for |t₃| ≥ 1.
pub fn unbiased(sorted: &[f64]) -> Result<LMoments, Refusal> {
    if !is_varied(sorted.iter()) {
        return Err(Refusal::TooFew);
    }
    let (mut first, mut second, mut third) = (0.0, 0.0, 0.0);
    let mut rank = 0.0;
    for value in sorted {
        let weighted = rank * value;
        first += value;
        second += weighted;
        third += (rank - 1.0) * weighted;
        rank += 1.0;
    }
    let n = count(sorted.len());
    let b0 = first / n;
    let b1 = second / n / (n - 1.0);
    let b2 = third / n / (n - 1.0) / (n - 2.0);
    let scale = 2.0 * b1 - b0;
    if scale.is_nan() || scale <= 0.0 {
        return Err(Refusal::NoSpread);
    }
    let skew = (6.0 * b2 - 6.0 * b1 + b0) / scale;
    if skew.is_nan() || skew.abs() >= 1.0 {
        return Err(Refusal::OutOfFamily);
    }
    Ok(LMoments {
        mean: b0,
        scale,
        skew,
    })
}
