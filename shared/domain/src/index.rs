//! The weather index: each phase's measure against its trigger and exit, in whole micrometres or
//! thousandths of the index's unit, and exact fractions. A gap is never zero: a phase with an
//! unfilled day has no number at all, because a skipped day would raise a deficit payout.
//! Called by settlement, back-tests and verification.

mod daily;
mod loss;
mod onset;
pub(crate) mod ratio;

use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};

use self::daily::Daily;
pub use self::loss::{deficit, margin_bp, phases_losing, weather_index};
use self::onset::Found;
use crate::measure::{RainUm, UM_PER_MM};
use crate::product::{Anchor, IndexTerms, NoOnset, PhaseTerms, Product, Undeclared};
use crate::season::{SeasonError, Window};

/// Rain of one local day, or that it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayRain {
    /// Local day.
    pub day: NaiveDate,
    /// Rain, or `None` when missing.
    pub rain_um: Option<RainUm>,
}

/// The measured value of an index that daily rain does not give: hot days, WRSI, NDVI. The one door
/// by which such a figure enters a decision: whoever computed it with floats has rounded it once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexValue {
    /// Phase code.
    pub phase: String,
    /// Thousandths of the index's unit. Outside what the index can be it counts as missing.
    pub value_milli: i64,
    /// Days, or days' worth of scenes, that it lacks; with any there is no number.
    pub missing_days: u32,
}

/// Where an anchored phase begins to count, and why there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseStart {
    /// Day 0.
    pub day: NaiveDate,
    /// Why that day.
    pub by: StartedBy,
}

/// Why an anchored phase begins where it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartedBy {
    /// The season's onset.
    Onset,
    /// There was no onset: the last day of the search.
    NoOnset,
    /// Sowing, as declared.
    Declared,
    /// No sowing was declared: the day the product says.
    Undeclared,
}

/// What one phase amounts to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseSum {
    /// Phase code.
    pub phase: String,
    /// Rain over the phase's known days, each day capped as the product says, µm.
    pub rain_um: i64,
    /// Days without a number.
    pub missing_days: u32,
    /// The index where it is not the sum of rain, thousandths of its unit; absent also while days
    /// are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_milli: Option<i64>,
    /// Where an anchored phase begins; absent for phases by the calendar, and while missing days
    /// leave the onset undecided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<PhaseStart>,
}

impl PhaseSum {
    /// The sum of rain over a calendar phase.
    #[must_use]
    pub fn of_rain(phase: &str, rain_um: i64, missing_days: u32) -> Self {
        Self {
            phase: phase.to_owned(),
            rain_um,
            missing_days,
            index_milli: None,
            start: None,
        }
    }

    /// The value that trigger and exit are compared with, thousandths of the index's unit.
    #[must_use]
    pub fn value_milli(&self, index: &IndexTerms) -> Option<i64> {
        match index {
            IndexTerms::RainSum => Some(self.rain_um),
            _ => self.index_milli,
        }
    }
}

/// What is known of a season at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known<'a> {
    /// Daily rain, in any order. A day that is absent, or stands twice with different rain, is
    /// missing; a day outside every window is ignored.
    pub days: &'a [DayRain],
    /// The declared day of sowing.
    pub sown: Option<NaiveDate>,
    /// Indices that arrive measured.
    pub values: &'a [IndexValue],
}

/// Sums one phase. A day absent from `days` is missing, a day outside the window is ignored.
#[must_use]
pub fn phase_sum(
    phase: &str,
    window: Window,
    daily_cap_mm: Option<i32>,
    days: &[DayRain],
) -> PhaseSum {
    let daily = Daily::of(window, days);
    let cap = daily_cap_mm.map(|mm| i64::from(mm).saturating_mul(i64::from(UM_PER_MM)));
    PhaseSum::of_rain(phase, daily.sum_um(cap), daily.missing())
}

/// Every phase of a product in a season year, from daily rain alone.
pub fn phase_sums(
    product: &Product,
    season_year: i32,
    days: &[DayRain],
) -> Result<Vec<PhaseSum>, SeasonError> {
    let known = Known {
        days,
        ..Known::default()
    };
    measure(product, season_year, &known)
}

/// Every phase of a product in a season year, from all that is known.
pub fn measure(
    product: &Product,
    season_year: i32,
    known: &Known<'_>,
) -> Result<Vec<PhaseSum>, SeasonError> {
    let onset = match &product.season.onset {
        Some(terms) => {
            let search = terms.search.bind(season_year)?;
            Some((search, onset::find(terms.detector, search, known.days)))
        }
        None => None,
    };
    let mut phases = Vec::with_capacity(product.phases.len());
    for phase in &product.phases {
        let sum = match phase.anchor() {
            Anchor::Calendar => measure_phase(phase, phase.days.bind(season_year)?, None, known),
            Anchor::Sowing { from_day, to_day } => {
                let Some(terms) = product.season.sowing else {
                    return Err(SeasonError::Calendar);
                };
                let start = sown(terms.days.bind(season_year)?, terms.undeclared, known.sown);
                measure_phase(phase, counted(start, from_day, to_day)?, Some(start), known)
            }
            Anchor::Onset { from_day, to_day } => {
                let Some((search, found)) = onset else {
                    return Err(SeasonError::Calendar);
                };
                let start = match found {
                    Found::On(day) => PhaseStart {
                        day,
                        by: StartedBy::Onset,
                    },
                    Found::None => PhaseStart {
                        day: search.last_day(),
                        by: StartedBy::NoOnset,
                    },
                    Found::Undecided { missing } => {
                        phases.push(PhaseSum::of_rain(&phase.code, 0, missing));
                        continue;
                    }
                };
                measure_phase(phase, counted(start, from_day, to_day)?, Some(start), known)
            }
        };
        phases.push(sum);
    }
    Ok(phases)
}

/// Whether the phase's loss is decided by the want of an onset, whatever was measured.
pub(crate) fn without_onset(product: &Product, sum: &PhaseSum) -> Option<NoOnset> {
    let is_without = sum
        .start
        .is_some_and(|start| start.by == StartedBy::NoOnset);
    product
        .season
        .onset
        .filter(|_| is_without)
        .map(|onset| onset.none)
}

/// The day of sowing that counts: the declared one, brought to the nearest day that is insured.
fn sown(days: Window, undeclared: Undeclared, declared: Option<NaiveDate>) -> PhaseStart {
    match (declared, undeclared) {
        (Some(day), _) => PhaseStart {
            day: day.max(days.start).min(days.last_day()),
            by: StartedBy::Declared,
        },
        (None, Undeclared::FirstDay) => PhaseStart {
            day: days.start,
            by: StartedBy::Undeclared,
        },
        (None, Undeclared::LastDay) => PhaseStart {
            day: days.last_day(),
            by: StartedBy::Undeclared,
        },
    }
}

fn counted(start: PhaseStart, from_day: u16, to_day: u16) -> Result<Window, SeasonError> {
    let after = |days: u64| {
        let day = start.day.checked_add_days(Days::new(days));
        day.ok_or(SeasonError::Calendar)
    };
    Ok(Window {
        start: after(u64::from(from_day))?,
        end: after(u64::from(to_day).saturating_add(1))?,
    })
}

fn measure_phase(
    phase: &PhaseTerms,
    window: Window,
    start: Option<PhaseStart>,
    known: &Known<'_>,
) -> PhaseSum {
    let sum = phase_sum(&phase.code, window, phase.daily_cap_mm, known.days);
    let index = phase.index();
    let (index_milli, missing_days) = if *index == IndexTerms::RainSum {
        (None, sum.missing_days)
    } else if index.is_of_rain() {
        let value = Daily::of(window, known.days).index_milli(index);
        (value, sum.missing_days)
    } else {
        let (lowest, highest) = index.range_milli(window.day_count());
        let value = known
            .values
            .iter()
            .find(|value| value.phase == phase.code)
            .filter(|value| (lowest..=highest).contains(&value.value_milli));
        match value {
            None => (None, window.day_count()),
            Some(value) if value.missing_days > 0 => (None, value.missing_days),
            Some(value) => (Some(value.value_milli), 0),
        }
    };
    PhaseSum {
        missing_days,
        index_milli,
        start,
        ..sum
    }
}

#[cfg(test)]
mod tests;
