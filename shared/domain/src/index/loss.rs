//! From a phase's measure to the share it loses, and from phases to the weather index: lines
//! between trigger and exit, step tables, sums or the worst phase, exact throughout. Never rounds.
//! Called by settlement, quotes' examples and back-tests through `domain::index`.

use super::ratio::Ratio;
use super::{PhaseSum, without_onset};
use crate::measure::UM_PER_MM;
use crate::money::{BASIS_POINTS_WHOLE, BasisPoints, Fraction, MoneyError, Rounding};
use crate::product::{
    Combine, Direction, IndexTerms, NoOnset, PhaseTerms, Product, Step, Zone, ZoneTrigger,
};

/// Thousandths of a percent in a whole: the unit of a step's bound.
const PERCENT_MILLI_WHOLE: i128 = 100_000;

/// The loss share of a deficit phase in whole millimetres: 0 at or above the trigger, 1 at or below
/// the exit, linear between; where trigger equals exit, all or nothing.
pub fn deficit(rain_um: i64, trigger_mm: i32, exit_mm: i32) -> Result<Fraction, MoneyError> {
    let um = |mm: i32| i64::from(mm).saturating_mul(i64::from(UM_PER_MM));
    linear(Direction::Deficit, rain_um, um(trigger_mm), um(exit_mm))
}

/// The loss share on the line from trigger to exit, all in one unit. An excess mirrors a deficit.
fn linear(
    direction: Direction,
    value: i64,
    trigger: i64,
    exit: i64,
) -> Result<Fraction, MoneyError> {
    let (beyond, span) = match direction {
        Direction::Deficit => (trigger.saturating_sub(value), trigger.saturating_sub(exit)),
        Direction::Excess => (value.saturating_sub(trigger), exit.saturating_sub(trigger)),
    };
    if beyond <= 0 {
        Ok(Fraction::ZERO)
    } else if beyond >= span {
        Ok(Fraction::ONE)
    } else {
        Fraction::new(beyond, span)
    }
}

/// What the row with the highest bound at or below the value pays. Percentages of the normal are
/// compared without dividing.
fn stepped(steps: &[Step], value: i64, normal: i64) -> Result<Fraction, MoneyError> {
    let reaches = |step: &&Step| {
        let of_value = i128::from(value).saturating_mul(PERCENT_MILLI_WHOLE);
        let bound = i128::from(step.at_percent.milli()).saturating_mul(i128::from(normal));
        of_value >= bound
    };
    steps
        .iter()
        .filter(reaches)
        .max_by_key(|step| step.at_percent)
        .map(|step| step.pays_bp.fraction())
        .ok_or(MoneyError::Share)
}

/// The share a phase loses.
fn loss(
    product: &Product,
    phase: &PhaseTerms,
    terms: &ZoneTrigger,
    sum: &PhaseSum,
) -> Result<Fraction, MoneyError> {
    match without_onset(product, sum) {
        Some(NoOnset::PaysAll) => return Ok(Fraction::ONE),
        Some(NoOnset::PaysNothing) => return Ok(Fraction::ZERO),
        Some(NoOnset::LatestDay) | None => {}
    }
    let value = sum.value_milli(phase.index()).ok_or(MoneyError::Share)?;
    match &phase.steps {
        Some(steps) => stepped(steps, value, terms.trigger_milli()),
        None => linear(
            phase.direction(),
            value,
            terms.trigger_milli(),
            terms.exit_milli(),
        ),
    }
}

/// Each phase with its terms in the zone and its measure. `sums` must name every phase.
fn measured<'a>(
    product: &'a Product,
    zone: &'a Zone,
    sums: &'a [PhaseSum],
) -> impl Iterator<Item = Result<(&'a PhaseTerms, &'a ZoneTrigger, &'a PhaseSum), MoneyError>> {
    product.phases.iter().map(|phase| {
        let sum = sums.iter().find(|sum| sum.phase == phase.code);
        let terms = zone.trigger_of(&phase.code);
        let (terms, sum) = terms.zip(sum).ok_or(MoneyError::Share)?;
        Ok((phase, terms, sum))
    })
}

/// The weather index: phase losses weighted and summed (or the largest of them alone), exact, at
/// most everything. `sums` must name every phase.
pub fn weather_index(
    product: &Product,
    zone: &Zone,
    sums: &[PhaseSum],
) -> Result<Fraction, MoneyError> {
    let mut index = Ratio::ZERO;
    for found in measured(product, zone, sums) {
        let (phase, terms, sum) = found?;
        let part = Ratio::weighted(loss(product, phase, terms, sum)?, phase.weight_bp)?;
        index = match product.limits().combine {
            Some(Combine::Worst) => index.larger(part)?,
            Some(Combine::Sum) | None => index.plus(part)?,
        };
    }
    index.capped()
}

/// How far the measures lie from where the payout turns (a trigger, an exit, a row of a table), in
/// basis points of the weather index: the least over the phases, each in parts of its span and
/// weighted. `u16::MAX` when farther, or when no measure decides.
pub fn margin_bp(product: &Product, zone: &Zone, sums: &[PhaseSum]) -> Result<u16, MoneyError> {
    let mut least = u16::MAX;
    for found in measured(product, zone, sums) {
        let (phase, terms, sum) = found?;
        if let Some(NoOnset::PaysAll | NoOnset::PaysNothing) = without_onset(product, sum) {
            continue;
        }
        let value = sum.value_milli(phase.index()).ok_or(MoneyError::Share)?;
        let distance = margin(phase, terms, value).ok_or(MoneyError::Overflow)?;
        least = least.min(u16::try_from(distance).unwrap_or(u16::MAX));
    }
    Ok(least)
}

/// Distance of one phase's value to its nearest turn, weighted, basis points rounded down.
fn margin(phase: &PhaseTerms, terms: &ZoneTrigger, value: i64) -> Option<u128> {
    let (value, trigger, exit) = (
        i128::from(value),
        i128::from(terms.trigger_milli()),
        i128::from(terms.exit_milli()),
    );
    // a table's rows lie at parts of 100,000 of the normal: compared without dividing
    let (distance, scale) = match &phase.steps {
        None => (value.abs_diff(trigger).min(value.abs_diff(exit)), 1),
        Some(steps) => {
            let scaled = value.checked_mul(PERCENT_MILLI_WHOLE)?;
            let rows = steps.iter().filter(|step| step.at_percent.milli() > 0);
            let nearest = rows.filter_map(|step| {
                let turn = i128::from(step.at_percent.milli()).checked_mul(trigger)?;
                Some(scaled.abs_diff(turn))
            });
            (nearest.min()?, PERCENT_MILLI_WHOLE.unsigned_abs())
        }
    };
    // where it is all or nothing, in parts of the trigger itself
    let span = match trigger.abs_diff(exit) {
        0 => trigger.unsigned_abs().max(1),
        span => span,
    };
    distance
        .checked_mul(u128::from(phase.weight_bp.get()))?
        .checked_div(span.checked_mul(scale)?)
}

/// A season in which each phase has lost this share: for quotes' examples and for trying a
/// document out. Of a step table, the first row that pays at least as much.
pub fn phases_losing(
    product: &Product,
    zone: &Zone,
    lost: BasisPoints,
) -> Result<Vec<PhaseSum>, MoneyError> {
    product
        .phases
        .iter()
        .map(|phase| {
            let terms = zone.trigger_of(&phase.code).ok_or(MoneyError::Share)?;
            let value = match &phase.steps {
                Some(steps) => at_step(steps, terms.trigger_milli(), lost),
                None => on_line(phase.direction(), terms, lost),
            };
            let value = value.ok_or(MoneyError::Overflow)?;
            let is_sum = *phase.index() == IndexTerms::RainSum;
            let rain_um = if is_sum { value } else { 0 };
            Ok(PhaseSum {
                index_milli: (!is_sum).then_some(value),
                ..PhaseSum::of_rain(&phase.code, rain_um, 0)
            })
        })
        .collect()
}

fn on_line(direction: Direction, terms: &ZoneTrigger, lost: BasisPoints) -> Option<i64> {
    let (trigger, exit) = (terms.trigger_milli(), terms.exit_milli());
    let way = i128::from(trigger.checked_sub(exit)?.checked_abs()?)
        .checked_mul(i128::from(lost.get()))?
        .checked_div(i128::from(BASIS_POINTS_WHOLE))?;
    let way = i64::try_from(way).ok()?;
    match direction {
        Direction::Deficit => trigger.checked_sub(way),
        Direction::Excess => trigger.checked_add(way),
    }
}

fn at_step(steps: &[Step], normal: i64, lost: BasisPoints) -> Option<i64> {
    let paying = |step: &&Step| step.pays_bp >= lost;
    let row = steps.iter().find(paying).or(steps.last())?;
    let of_normal = i128::from(row.at_percent.milli()).checked_mul(i128::from(normal))?;
    // rounded up, so that the row's own bound is reached
    let value = Rounding::Ceiling.divide(of_normal, PERCENT_MILLI_WHOLE)?;
    i64::try_from(value).ok()
}
