//! The crop's water balance and its satisfaction index (WRSI): what the plants drank of what they
//! could have drunk, season long, in GeoWRSI's semantics. It does not claim GeoWRSI's bits: which
//! second draw is used is named by the caller. Pure. Called by the indices of products.

/// Kc and rooting over the growing season, as shares of its length (GeoWRSI's knots; Kc of FAO-56
/// table 12).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Crop {
    /// Steps (dekads or days) from sowing to harvest.
    pub length: u32,
    /// Ends of the initial phase, of growth and of mid-season, as shares of the length, rising.
    pub knots: [f64; 3],
    /// Kc of the initial phase, of mid-season and at harvest.
    pub coefficients: [f64; 3],
    /// Share of the soil the roots reach at sowing; all of it at the second knot.
    pub root_initial: f64,
    /// Share of the water holding capacity in reach below which the crop is short (GeoWRSI's kp).
    pub stress: f64,
    /// Weights of the draw before and after the step's own draw, c₁ and c₂; rice 0 and 1.
    pub weights: [f64; 2],
}

impl Crop {
    /// Maize of a season of `length` steps: Kc 0.3, 1.2, 0.35 over knots at 16, 44 and 76 % of it
    /// (GeoWRSI), kp 0.45.
    #[must_use]
    pub const fn maize(length: u32) -> Self {
        Self {
            length,
            knots: [0.16, 0.44, 0.76],
            coefficients: [0.3, 1.2, 0.35],
            root_initial: 0.1,
            stress: 0.45,
            weights: [0.75, 0.25],
        }
    }

    /// Kc at a share of the season, straight lines between the knots; before sowing the first.
    #[must_use]
    pub fn coefficient(&self, share: f64) -> f64 {
        let [initial, growth, middle] = self.knots;
        let [first, full, last] = self.coefficients;
        if share <= initial {
            first
        } else if share < growth {
            first + (full - first) * (share - initial) / (growth - initial)
        } else if share <= middle {
            full
        } else if share < 1.0 {
            full + (last - full) * (share - middle) / (1.0 - middle)
        } else {
            last
        }
    }

    /// Share of the soil in the roots' reach at a share of the season.
    #[must_use]
    pub fn rooting(&self, share: f64) -> f64 {
        let [_, growth, _] = self.knots;
        if share < growth {
            self.root_initial + (1.0 - self.root_initial) * share / growth
        } else {
            1.0
        }
    }
}

/// How the second draw of a step, after the first, is reckoned where the soil was already short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondDraw {
    /// As where it was not: what is left, over what is needed for no stress, of the requirement.
    Symmetric,
    /// As the Fortran of NASA's LISF (`geowrsi2_physics_module`) has it: nothing, unless the draw
    /// would exceed what is left; its `else ET2 = 0` looks misplaced. In runs on Kenya's counties
    /// in 2019 it lost 0.00 to 0.84 points of WRSI.
    AsInLisf,
}

/// A step's weather.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Rain of the step, mm.
    pub rain: Option<f64>,
    /// Reference evapotranspiration of the step, mm.
    pub eto: Option<f64>,
}

/// A step's balance, mm where nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Row {
    /// Share of the season at the end of the step.
    pub share: f64,
    /// Kc.
    pub coefficient: f64,
    /// Water below which the crop is short.
    pub enough: f64,
    /// What the crop wants: ETo·Kc.
    pub requirement: f64,
    /// In the soil before the step.
    pub before: f64,
    /// What the crop drank.
    pub drunk: f64,
    /// In the soil after.
    pub after: f64,
    /// What ran off or through.
    pub surplus: f64,
}

/// A season's balance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Season {
    /// Water requirement satisfaction index, 0 … 100 %.
    pub wrsi: f64,
    /// Sum of what the crop wanted, mm.
    pub requirement: f64,
    /// Sum of what it drank, mm.
    pub drunk: f64,
    /// Sum of the surpluses, mm: a measure of waterlogging.
    pub surplus: f64,
}

/// Why a season has no index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A reading of this step, counted from 0, is missing, negative or no number. Skipping it would
    /// count as drought.
    #[error(
        "step {0} of the season has no rain or no evapotranspiration: fill or demote the source"
    )]
    Missing(usize),
    /// The season has not as many steps as the crop's length, or there is no room for its rows.
    #[error("the steps must be as many as the crop's length")]
    Length,
    /// Knots, capacity or requirement that allow no balance.
    #[error("the crop's knots must rise within the season and the soil hold water")]
    Crop,
}

/// Water in the soil at sowing, mm, after the steps before it: each adds its rain less ETo·Kc of
/// the initial phase, held between empty and `capacity`. The steps come oldest first (GeoWRSI: six
/// dekads), onto a dry soil.
///
/// # Errors
/// [`Refusal::Missing`].
pub fn before_season(steps: &[Step], crop: &Crop, capacity: f64) -> Result<f64, Refusal> {
    let mut water = 0.0_f64;
    for (at, step) in steps.iter().enumerate() {
        let (rain, eto) = known(*step).ok_or(Refusal::Missing(at))?;
        water = (water + rain - eto * crop.coefficient(0.0)).clamp(0.0, capacity.max(0.0));
    }
    Ok(water)
}

/// A season's balance from `water` mm in a soil that holds `capacity` mm; a row a step into `rows`.
///
/// # Errors
/// [`Refusal`].
pub fn season(
    steps: &[Step],
    water: f64,
    (crop, capacity, second): (&Crop, f64, SecondDraw),
    rows: &mut [Row],
) -> Result<Season, Refusal> {
    let [initial, growth, middle] = crop.knots;
    let is_rising = 0.0 < initial && initial < growth && growth < middle && middle < 1.0;
    if !(is_rising && capacity > 0.0 && crop.stress > 0.0 && crop.root_initial > 0.0) {
        return Err(Refusal::Crop);
    }
    if crop.length == 0 || u32::try_from(steps.len()) != Ok(crop.length) || rows.len() < steps.len()
    {
        return Err(Refusal::Length);
    }
    let mut season = Season {
        wrsi: 0.0,
        requirement: 0.0,
        drunk: 0.0,
        surplus: 0.0,
    };
    let mut water = water.clamp(0.0, capacity);
    let mut step_ends = 0;
    for (at, (step, row)) in steps.iter().zip(rows).enumerate() {
        let known = known(*step).ok_or(Refusal::Missing(at))?;
        step_ends += 1;
        let share = f64::from(step_ends) / f64::from(crop.length);
        *row = balance(known, water, share, (crop, capacity, second));
        water = row.after;
        season.requirement += row.requirement;
        season.drunk += row.drunk;
        season.surplus += row.surplus;
    }
    if season.requirement <= 0.0 {
        return Err(Refusal::Crop);
    }
    season.wrsi = (100.0 * season.drunk / season.requirement).min(100.0);
    Ok(season)
}

fn known(step: Step) -> Option<(f64, f64)> {
    let is_amount = |mm: &f64| *mm >= 0.0 && mm.is_finite();
    step.rain.filter(is_amount).zip(step.eto.filter(is_amount))
}

/// One step: the crop draws, draws again from what is left, and drinks the weighted mean.
fn balance(
    (rain, eto): (f64, f64),
    before: f64,
    share: f64,
    (crop, capacity, second): (&Crop, f64, SecondDraw),
) -> Row {
    let coefficient = crop.coefficient(share);
    let requirement = eto * coefficient;
    let enough = capacity * crop.rooting(share) * crop.stress;
    let there = before + rain;
    // what the crop draws from this much water, and what is beyond it
    let draw = |water: f64| {
        if water >= enough {
            requirement
        } else {
            water / enough * requirement
        }
    };
    let first = draw(there).min(there);
    let left = there - first;
    let again = draw(left);
    let again = match second {
        SecondDraw::AsInLisf if there < enough && again <= left => 0.0,
        SecondDraw::AsInLisf | SecondDraw::Symmetric => again.min(left),
    };
    let [weight_first, weight_again] = crop.weights;
    let drunk = weight_first * first + weight_again * again;
    let rest = there - drunk;
    Row {
        share,
        coefficient,
        enough,
        requirement,
        before,
        drunk,
        after: rest.clamp(0.0, capacity),
        surplus: (rest - capacity).max(0.0),
    }
}

#[cfg(test)]
mod tests;
