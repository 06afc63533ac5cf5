//! One scene over one cell: which pixels the scene classification (SCL) lets through and at what
//! weight, clouds and shadows dilated, and what the cell's NDVI on that date is. A date with too
//! little valid ground is dropped, never filled. Works in the caller's buffers.

/// Classes of the Sentinel-2 scene classification.
const CLASSES: usize = 12;
/// Least share of valid pixels for a cell to have a value on a date.
pub const VALID_SHARE_MIN: f64 = 0.60;
/// Fewest cropland pixels of a resolution 7 cell.
pub const CROPLAND_PIXELS_MIN: usize = 30;

/// Why a scene cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SceneError {
    /// The classification is not a whole number of rows.
    #[error("{pixels} pixels are not whole rows of {width}")]
    Shape {
        /// Pixels given.
        pixels: usize,
        /// Pixels of a row.
        width: usize,
    },
    /// A buffer is not as long as the scene.
    #[error("buffer holds {found} pixels, not {wanted}")]
    Length {
        /// Its length.
        found: usize,
        /// The scene's.
        wanted: usize,
    },
}

/// What each class is worth and how far clouds reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mask {
    /// Weight of each class, 0 to 1; 0 drops it. By number: 0 no data, 1 saturated, 2 dark,
    /// 3 cloud shadow, 4 vegetation, 5 bare, 6 water, 7 unclassified, 8 and 9 cloud (medium, high
    /// probability), 10 thin cirrus, 11 snow. A number above 11 is dropped.
    pub weights: [f64; CLASSES],
    /// Classes whose surroundings are dropped too.
    pub is_dilated: [bool; CLASSES],
    /// How far, pixels (20 m each in SCL), in both directions and the corners between.
    pub reach: usize,
}

impl Default for Mask {
    /// Vegetation and bare ground count whole, unclassified half; shadows, clouds and cirrus reach
    /// two pixels.
    fn default() -> Self {
        let mut mask = Self {
            weights: [0.0; CLASSES],
            is_dilated: [false; CLASSES],
            reach: 2,
        };
        mask.weights[4] = 1.0;
        mask.weights[5] = 1.0;
        mask.weights[7] = 0.5;
        for class in [3, 8, 9, 10] {
            mask.is_dilated[class] = true;
        }
        mask
    }
}

impl Mask {
    /// Weight of every pixel of a classification in rows of `width`. `weights` and `scratch` are
    /// the caller's, as long as `scl`; what they held is overwritten.
    pub fn weigh(
        &self,
        scl: &[u8],
        width: usize,
        weights: &mut [f64],
        scratch: &mut [bool],
    ) -> Result<(), SceneError> {
        if width == 0 || !scl.len().is_multiple_of(width) {
            return Err(SceneError::Shape {
                pixels: scl.len(),
                width,
            });
        }
        for found in [weights.len(), scratch.len()] {
            if found != scl.len() {
                return Err(SceneError::Length {
                    found,
                    wanted: scl.len(),
                });
            }
        }
        for (weight, class) in weights.iter_mut().zip(scl) {
            *weight = lookup(&self.weights, *class).unwrap_or(0.0);
        }
        scratch.fill(false);
        // a square is a row of columns: first along the rows, then down the columns
        for (row, marks) in scl.chunks_exact(width).zip(scratch.chunks_exact_mut(width)) {
            for (at, _) in row
                .iter()
                .enumerate()
                .filter(|(_, class)| lookup(&self.is_dilated, **class).unwrap_or(false))
            {
                let from = at.saturating_sub(self.reach);
                let until = at.saturating_add(self.reach).saturating_add(1).min(width);
                if let Some(marks) = marks.get_mut(from..until) {
                    marks.fill(true);
                }
            }
        }
        let rows = scl.len().checked_div(width).unwrap_or(0);
        for (row, marks) in scratch.chunks_exact(width).enumerate() {
            let from = row.saturating_sub(self.reach);
            let until = row.saturating_add(self.reach).saturating_add(1).min(rows);
            let near = weights
                .get_mut(from.saturating_mul(width)..until.saturating_mul(width))
                .unwrap_or_default();
            for reached in near.chunks_exact_mut(width) {
                for (weight, is_marked) in reached.iter_mut().zip(marks) {
                    if *is_marked {
                        *weight = 0.0;
                    }
                }
            }
        }
        Ok(())
    }
}

fn lookup<T: Copy>(table: &[T; CLASSES], class: u8) -> Option<T> {
    table.get(usize::from(class)).copied()
}

/// A cell on one date.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellDate {
    /// Weighted mean NDVI of the valid cropland pixels; `None` where too few are valid or the cell
    /// has too little cropland.
    pub ndvi: Option<f64>,
    /// Share of the cropland pixels that are valid (any weight above zero), 0 to 1.
    pub valid_share: f64,
    /// Cropland pixels.
    pub pixels: usize,
}

/// A cell's NDVI on a date from its pixels: NDVI, weight, and whether it is cropland. Dropped when
/// less than [`VALID_SHARE_MIN`] of the cropland is valid or it has fewer than `pixels_min` pixels.
#[must_use]
pub fn cell_date(
    pixels: impl Iterator<Item = (Option<f64>, f64, bool)>,
    pixels_min: usize,
) -> CellDate {
    let (mut all, mut valid) = (0_usize, 0_usize);
    let (mut sum, mut weights) = (0.0, 0.0);
    for (ndvi, weight, is_cropland) in pixels {
        if !is_cropland {
            continue;
        }
        all = all.saturating_add(1);
        if let Some(ndvi) = ndvi.filter(|_| weight > 0.0) {
            valid = valid.saturating_add(1);
            sum += ndvi * weight;
            weights += weight;
        }
    }
    let valid_share = if all == 0 {
        0.0
    } else {
        super::super::count(valid) / super::super::count(all)
    };
    let is_enough = all >= pixels_min && valid_share >= VALID_SHARE_MIN && weights > 0.0;
    CellDate {
        ndvi: is_enough.then(|| sum / weights),
        valid_share,
        pixels: all,
    }
}

#[cfg(test)]
mod tests;
