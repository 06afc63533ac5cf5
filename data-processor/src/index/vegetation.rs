//! Vegetation of the season being settled against its own past: the first sensor of the contract
//! that saw enough, and how sure its figure is. Cloud is no drought: a season that no sensor saw
//! has no figure, and the contract's rule for absent vegetation applies. Called by `index`; back-tests measure with its [`past`] and [`milli`].

use chrono::{DateTime, Days, NaiveDate, Utc};
use domain::damage::vegetation_loss;
use domain::evidence::SensorEvidence;
use domain::product::{Product, VegetationMeasure, VegetationTerms};
use domain::season::{SeasonError, Window};

use crate::science::vegetation::scene::VALID_SHARE_MIN;
use crate::science::vegetation::score::Baseline;
use crate::science::vegetation::season::{Season, of_stored, season};
use crate::science::{count, whole};

/// Fewest seasons of a baseline that were seen: with fewer its tails are a guess.
pub(crate) const SEASONS_MIN: usize = 10;
/// Micro-NDVI in an NDVI of one.
const E6: f64 = 1e6;
/// Thousandths in one.
const MILLI: f64 = 1_000.0;
/// Percent in one.
const PERCENT: f64 = 100.0;
/// Basis points in one.
const WHOLE_BP: f64 = 10_000.0;
/// Fewest dekads from which a standard error is told.
const DEKADS_MIN: usize = 3;

/// What vegetation was measured as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    /// Thousandths of the contract's measure.
    pub(super) milli: i64,
    /// Standard error of the loss it stands for, 0 to 1; `None` when it cannot be told.
    pub(super) loss_se: Option<f64>,
    /// Whether the contract's own sensor saw it, and none that it falls back on.
    pub(super) is_own: bool,
}

/// The figure of the first sensor that saw enough; `None` while the season runs, or when none did.
pub(super) fn measure(
    terms: &VegetationTerms,
    season_year: i32,
    sensors: &[SensorEvidence],
    as_of: NaiveDate,
) -> Result<Option<Measured>, SeasonError> {
    let window = terms.days.bind(season_year)?;
    if as_of < window.last_day() {
        return Ok(None);
    }
    Ok(sensors
        .iter()
        .find_map(|seen| of_sensor(terms, window, seen)))
}

/// Until when a figure of the contract's own sensor is waited for: then one that it falls back on
/// counts, or the contract's rule for absent vegetation applies. `None` for a contract without
/// vegetation.
pub fn awaited_until(product: &Product, season_year: i32) -> Option<DateTime<Utc>> {
    let terms = product.vegetation.as_ref()?;
    let window = terms.days.bind(season_year).ok()?;
    window
        .closes_at()
        .checked_add_days(Days::new(terms.wait_days.into()))
}

fn of_sensor(terms: &VegetationTerms, window: Window, seen: &SensorEvidence) -> Option<Measured> {
    let baseline = seen.baseline.as_ref()?;
    let is_enough = |valid_bp: u16| f64::from(valid_bp) >= VALID_SHARE_MIN * WHOLE_BP;
    let scenes: Vec<(NaiveDate, f64)> = seen
        .scenes
        .iter()
        .filter(|scene| is_enough(scene.valid_bp))
        .map(|scene| (scene.day, of_stored(scene.ndvi_e4)))
        .collect();
    let found = season(&scenes, window);
    let mean = found.mean?;
    let past = past(&baseline.seasons)?;
    let milli_of = |mean: f64| milli(terms.measure, &past, mean);
    let dekads: Vec<Option<f64>> = baseline.dekads.iter().copied().map(of_micro).collect();
    let loss_se = mean_se(&found, &dekads).and_then(|se| {
        // half of what the loss differs by one standard error to either side
        let loss = |mean: f64| {
            let bp = vegetation_loss(terms, milli_of(mean)?).ok()?;
            Some(f64::from(bp.get()) / WHOLE_BP)
        };
        Some((loss(mean - se)? - loss(mean + se)?).abs() / 2.0)
    });
    Some(Measured {
        milli: milli_of(mean)?,
        loss_se,
        is_own: seen.sensor == terms.sensor,
    })
}

/// The seasons of a baseline, in millionths as they are kept; `None` when too few of them were seen.
pub(crate) fn past(seasons: &[Option<i32>]) -> Option<Baseline> {
    let seasons: Vec<Option<f64>> = seasons.iter().copied().map(of_micro).collect();
    Baseline::of(&seasons).filter(|past| past.seasons() >= SEASONS_MIN)
}

/// A season's mean against its past in thousandths of the measure, as the evaluator reads it;
/// `None` over bare desert, where all seasons are the same.
pub(crate) fn milli(measure: VegetationMeasure, past: &Baseline, mean: f64) -> Option<i64> {
    let value = match measure {
        VegetationMeasure::Z => past.z(mean)?,
        VegetationMeasure::Percentile => past.percentile(mean) * PERCENT,
    };
    whole(value * MILLI)
}

fn of_micro(value: Option<i32>) -> Option<f64> {
    value.map(|e6| f64::from(e6) / E6)
}

/// Standard error of the season's mean: the scatter of its dekads about their own means over the
/// years, over the root of their number.
fn mean_se(found: &Season, dekads: &[Option<f64>]) -> Option<f64> {
    let off: Vec<f64> = found
        .dekads
        .iter()
        .zip(dekads)
        .filter_map(|(here, usual)| Some((*here)? - (*usual)?))
        .collect();
    if off.len() < DEKADS_MIN {
        return None;
    }
    let n = count(off.len());
    let mean = off.iter().fold(0.0, |sum, value| sum + value) / n;
    let squares = off
        .iter()
        .fold(0.0, |sum, value| sum + (value - mean) * (value - mean));
    Some((squares / (n - 1.0) / n).sqrt())
}
