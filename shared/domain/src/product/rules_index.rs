//! Rules of indices and of the triggers that are stated in their units: parameters that make sense
//! on the phase's days, trigger and exit on the right sides, step tables without gaps, and shares
//! that can always be computed exactly. Never computes one. Called by validation alone.

use super::rules::{YEARS, validate_baseline};
use super::{
    Anchor, Direction, IndexTerms, PhaseTerms, Product, ProductError, Step, Zone, ZoneTrigger,
    blocks, fault,
};
use crate::money::{BASIS_POINTS_WHOLE, BasisPoints};

/// Most rows of a step table; the published schedule of a South Carolina rainfall cover has 26.
const STEPS_MAX: usize = 50;

impl Product {
    pub(super) fn validate_indices(&self) -> Result<(), ProductError> {
        for phase in &self.phases {
            let days = fewest_days(phase)?;
            validate_parameters(phase, days)?;
            if let Some(steps) = &phase.steps {
                validate_steps(phase, steps)?;
            }
            for zone in &self.zones {
                if let Some(trigger) = zone.trigger_of(&phase.code) {
                    let field = format!("zones.{}.triggers", zone.code);
                    validate_trigger(&field, phase, trigger, days)?;
                }
            }
        }
        self.zones
            .iter()
            .try_for_each(|zone| self.validate_exact(zone))
    }

    /// Exact shares fit: the phases' spans have a common multiple of 64 bits.
    fn validate_exact(&self, zone: &Zone) -> Result<(), ProductError> {
        let whole = i64::from(BASIS_POINTS_WHOLE);
        let common = self.phases.iter().try_fold(whole, |common, phase| {
            let span = match (&phase.steps, zone.trigger_of(&phase.code)) {
                (None, Some(t)) => t
                    .trigger_milli()
                    .saturating_sub(t.exit_milli())
                    .abs()
                    .max(1),
                _ => whole,
            };
            // each loss is a fraction of its span (of a table: in basis points), weighted
            least_common_multiple(common, span.checked_mul(whole)?)
        });
        match common {
            Some(_) => Ok(()),
            None => Err(fault(
                format!("zones.{}.triggers", zone.code),
                "the phases' spans are too odd together for exact shares; round them",
            )),
        }
    }
}

/// Schema 1: whole millimetres of rain, deficit.
pub(super) fn validate_rain_triggers(zone: &Zone) -> Result<(), ProductError> {
    let field = || format!("zones.{}.triggers", zone.code);
    for trigger in &zone.triggers {
        let of_schema_2 = [trigger.trigger, trigger.exit, trigger.normal];
        if of_schema_2.iter().any(Option::is_some) {
            return Err(fault(field(), "trigger, exit and normal need schema = 2"));
        }
        let sane = match (trigger.trigger_mm, trigger.exit_mm) {
            // rain is never below 0 mm: such a cover could never pay
            (Some(from), Some(to)) => 0 <= to && to <= from && (1..=10_000).contains(&from),
            _ => false,
        };
        if !sane {
            return Err(fault(
                field(),
                format!(
                    "phase `{}` needs 0 <= exit_mm <= trigger_mm <= 10000, and a trigger above 0",
                    trigger.phase
                ),
            ));
        }
    }
    Ok(())
}

/// Days of a phase in the year in which it has fewest.
fn fewest_days(phase: &PhaseTerms) -> Result<u32, ProductError> {
    let days = match phase.anchor() {
        Anchor::Sowing { from_day, to_day } | Anchor::Onset { from_day, to_day } => {
            u32::from(to_day.saturating_sub(from_day)).saturating_add(1)
        }
        Anchor::Calendar => {
            let mut fewest = u32::MAX;
            for year in YEARS {
                let field = format!("phases.{}.days", phase.code);
                let window = phase
                    .days
                    .bind(year)
                    .map_err(|e| fault(field, e.to_string()))?;
                fewest = fewest.min(window.day_count());
            }
            fewest
        }
    };
    Ok(days)
}

fn validate_parameters(phase: &PhaseTerms, days: u32) -> Result<(), ProductError> {
    let field = format!("phases.{}.index", phase.code);
    let wrong = |rule: &str| Err(fault(field.clone(), rule));
    let is_sum = *phase.index() == IndexTerms::RainSum;
    if phase.daily_cap_mm.is_some() && !is_sum {
        return Err(fault(
            format!("phases.{}.daily_cap_mm", phase.code),
            "is for the sum of rain",
        ));
    }
    if phase.direction.is_none() && !is_sum {
        return Err(fault(
            format!("phases.{}.direction", phase.code),
            "must be stated: deficit or excess",
        ));
    }
    match phase.index() {
        IndexTerms::RainSum => {}
        IndexTerms::DrySpellBlocks {
            length_days,
            below_mm,
            step_days,
        } => {
            if *length_days == 0 || *step_days == 0 || blocks(days, *length_days, *step_days) == 0 {
                return wrong("length_days and step_days must be at least 1 and one block fit");
            }
            if below_mm.milli() <= 0 {
                return wrong("below_mm must exceed 0");
            }
        }
        IndexTerms::LongestDrySpell { wet_day_mm }
        | IndexTerms::WetDays { wet_day_mm }
        | IndexTerms::DryDays { wet_day_mm } => {
            if wet_day_mm.milli() <= 0 {
                return wrong("wet_day_mm must exceed 0");
            }
        }
        IndexTerms::Rx { days: run } => {
            if *run == 0 || u32::from(*run) > days {
                return wrong("days must be at least 1 and fit in the phase");
            }
        }
        IndexTerms::HotDays { celsius } => {
            if !(0..=60_000).contains(&celsius.milli()) {
                return wrong("celsius must be 0 to 60");
            }
        }
        IndexTerms::Wrsi {
            whc_mm,
            lgp_dekads,
            kp,
            kc_initial,
            kc_peak,
            kc_late,
            pre_season_dekads,
            ..
        } => {
            if !(1..=500).contains(whc_mm) || !(1..=36).contains(lgp_dekads) {
                return wrong("whc_mm must be 1 to 500 and lgp_dekads 1 to 36");
            }
            if !(1..=1_000).contains(&kp.milli()) || *pre_season_dekads > 12 {
                return wrong("kp must exceed 0 and be at most 1, pre_season_dekads at most 12");
            }
            let kc = [kc_initial, kc_peak, kc_late];
            if kc.iter().any(|kc| !(1..=2_000).contains(&kc.milli())) {
                return wrong("crop coefficients must exceed 0 and be at most 2");
            }
        }
        IndexTerms::NdviPercentile {
            sensor,
            baseline_first,
            baseline_last,
        }
        | IndexTerms::NdviZ {
            sensor,
            baseline_first,
            baseline_last,
        } => {
            if sensor.is_empty() {
                return wrong("sensor must be named");
            }
            validate_baseline(&field, *baseline_first, *baseline_last)?;
        }
    }
    Ok(())
}

/// From nothing to something, row by row, and down to a normal share of 0 %: no value is between
/// two rows or below them all.
fn validate_steps(phase: &PhaseTerms, steps: &[Step]) -> Result<(), ProductError> {
    let wrong = |rule: &str| Err(fault(format!("phases.{}.steps", phase.code), rule));
    if matches!(phase.index(), IndexTerms::NdviZ { .. }) {
        return wrong("a score has no normal to be a percentage of");
    }
    if steps.len() < 2 || steps.len() > STEPS_MAX {
        return wrong("must have 2 to 50 rows");
    }
    let in_order = |pair: &[Step]| match phase.direction() {
        Direction::Deficit => pair[1].at_percent < pair[0].at_percent,
        Direction::Excess => pair[1].at_percent > pair[0].at_percent,
    };
    let rises = |pair: &[Step]| pair[1].pays_bp > pair[0].pays_bp;
    if !steps.windows(2).all(|pair| in_order(pair) && rises(pair)) {
        return wrong("at_percent must fall (of an excess: rise) and pays_bp rise from row to row");
    }
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else {
        return Ok(());
    };
    let lowest = match phase.direction() {
        Direction::Deficit => last,
        Direction::Excess => first,
    };
    if lowest.at_percent.milli() != 0 {
        return wrong("one row must begin at 0 percent");
    }
    if first.pays_bp != BasisPoints::ZERO {
        return wrong("the first row must pay 0");
    }
    Ok(())
}

fn validate_trigger(
    field: &str,
    phase: &PhaseTerms,
    trigger: &ZoneTrigger,
    days: u32,
) -> Result<(), ProductError> {
    let wrong = |rule: String| Err(fault(field, format!("phase `{}` {rule}", phase.code)));
    if trigger.trigger_mm.is_some() || trigger.exit_mm.is_some() {
        return wrong("states trigger and exit in schema 2, not trigger_mm and exit_mm".to_owned());
    }
    let (lowest, highest) = phase.index().range_milli(days);
    let unit = phase.index().unit();
    let whole = |milli: i64| milli.checked_div(1_000).unwrap_or(0);
    if phase.steps.is_some() {
        return match (trigger.trigger, trigger.exit, trigger.normal) {
            (None, None, Some(normal)) if normal.milli() > 0 && normal.milli() <= highest => Ok(()),
            _ => wrong(format!(
                "has steps: it needs normal alone, above 0 and at most {} {unit}",
                whole(highest)
            )),
        };
    }
    let (Some(from), Some(to), None) = (trigger.trigger, trigger.exit, trigger.normal) else {
        return wrong("needs trigger and exit".to_owned());
    };
    let (low, high, order) = match phase.direction() {
        Direction::Deficit => (to, from, "exit <= trigger"),
        Direction::Excess => (from, to, "trigger <= exit"),
    };
    // a climate that leaves no room between trigger and the end of the scale is not insured: the
    // cover could never pay
    let can_pay = match phase.direction() {
        Direction::Deficit => from.milli() > lowest,
        Direction::Excess => from.milli() < highest,
    };
    if lowest <= low.milli() && low <= high && high.milli() <= highest && can_pay {
        Ok(())
    } else {
        wrong(format!(
            "needs {} <= {order} <= {} {unit}, and a trigger that the index can pass",
            whole(lowest),
            whole(highest)
        ))
    }
}

fn least_common_multiple(a: i64, b: i64) -> Option<i64> {
    let (mut divisor, mut rest) = (a, b);
    while rest != 0 {
        (divisor, rest) = (rest, divisor.checked_rem(rest)?);
    }
    a.checked_div(divisor)?.checked_mul(b)
}
