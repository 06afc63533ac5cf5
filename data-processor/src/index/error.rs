//! Standard error of the index that decides: how far two stations of one cell, or kriging, leave the
//! season's rain uncertain, together with what clouds leave of vegetation. Decides routing, never
//! an amount. Unknown stays unknown. Called by `index`.

use chrono::NaiveDate;
use domain::evidence::CellDay;
use domain::product::{IndexTerms, PayoutTerms, PhaseTerms, Product, ZoneTrigger};
use domain::season::{SeasonError, Window};

use super::vegetation::Measured;
use super::{Inputs, settled};
use crate::rule::{Siting, known};
use crate::science::{count, whole};

/// Micrometres in a millimetre.
const UM: f64 = 1_000.0;
/// Basis points in one.
const WHOLE_BP: f64 = 10_000.0;

/// In basis points, rounded up; `None` when a part of it is not known.
pub(super) fn index_se_bp(
    inputs: &Inputs<'_>,
    days: &[CellDay],
    vegetation: Option<Measured>,
) -> Result<Option<u16>, SeasonError> {
    let Some(weather) = weather_se(inputs, days)? else {
        return Ok(None);
    };
    let se = match (&inputs.product.payout, vegetation) {
        (
            PayoutTerms::Tiers {
                weather_weight_bp, ..
            },
            Some(measured),
        ) => {
            let Some(of_vegetation) = measured.loss_se else {
                return Ok(None);
            };
            let weight = f64::from(weather_weight_bp.get()) / WHOLE_BP;
            let (here, there) = (weight * weather, (1.0 - weight) * of_vegetation);
            (here * here + there * there).sqrt()
        }
        _ => weather,
    };
    let bp = whole((se.min(1.0) * WHOLE_BP).ceil());
    Ok(bp.and_then(|bp| u16::try_from(bp).ok()))
}

/// Of the weather index, 0 to 1: each phase's error of rain over the distance from trigger to exit,
/// by its weight, added up because the same stations err alike in every phase.
fn weather_se(inputs: &Inputs<'_>, days: &[CellDay]) -> Result<Option<f64>, SeasonError> {
    let mut sum = 0.0;
    for phase in &inputs.product.phases {
        let (Some(trigger), true) = (trigger(inputs, phase), is_sum(inputs.product, phase)) else {
            return Ok(None);
        };
        let window = phase.days.bind(inputs.season_year)?;
        let Some(rain_mm) = rain_se_mm(inputs, window, days) else {
            return Ok(None);
        };
        let span = float(
            trigger
                .trigger_milli()
                .saturating_sub(trigger.exit_milli())
                .abs(),
        );
        if span <= 0.0 {
            return Ok(None);
        }
        sum += f64::from(phase.weight_bp.get()) / WHOLE_BP * (rain_mm * UM / span).min(1.0);
    }
    Ok(Some(sum.min(1.0)))
}

fn float(milli: i64) -> f64 {
    f64::from(i32::try_from(milli).unwrap_or(i32::MAX))
}

fn trigger<'a>(inputs: &Inputs<'a>, phase: &PhaseTerms) -> Option<&'a ZoneTrigger> {
    inputs.zone.triggers.iter().find(|t| t.phase == phase.code)
}

/// Only of a sum of rain by the calendar is the slope of the loss known.
fn is_sum(product: &Product, phase: &PhaseTerms) -> bool {
    *phase.index() == IndexTerms::RainSum && phase.steps.is_none() && product.season.onset.is_none()
}

/// Of the rain of a phase, mm. Two stations of one cell: their difference over the days both know,
/// over the root of two. Kriged: the root of the days' variances. Else not known.
fn rain_se_mm(inputs: &Inputs<'_>, window: Window, days: &[CellDay]) -> Option<f64> {
    match inputs.siting {
        Siting::InCell => {
            let of_rank = |rank: u16| inputs.stations.iter().find(|s| s.rank == rank);
            let (first, second) = (of_rank(1)?, of_rank(2)?);
            let (mut apart_um, mut common) = (0_i64, 0_usize);
            for day in window.days() {
                if let (Some(a), Some(b)) = (known(&first.days, day), known(&second.days, day)) {
                    apart_um += i64::from(a.0) - i64::from(b.0);
                    common += 1;
                }
            }
            (common > 0).then(|| float(apart_um.abs()) / UM / 2.0_f64.sqrt())
        }
        Siting::Around => {
            let is_kriged = |day: &&CellDay| day.source == "kriged" && window.contains(day.day);
            let kriged: Vec<NaiveDate> = days.iter().filter(is_kriged).map(|d| d.day).collect();
            let all: Vec<_> = inputs.stations.iter().collect();
            let variance = settled::kriging(inputs, &all)?.variance;
            (!kriged.is_empty()).then(|| (variance * count(kriged.len())).sqrt())
        }
    }
}
