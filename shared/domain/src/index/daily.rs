//! Daily rain laid out over a window, and the indices that follow from it alone, in whole
//! micrometres. A day that is not there, or stands twice with different rain, is missing; with a
//! day missing only the sum is told (with how many). Called by `domain::index`.

use super::DayRain;
use crate::measure::UM_PER_MM;
use crate::product::{Decimal, IndexTerms};
use crate::season::Window;

/// Rain of each day of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Daily {
    rain_um: Vec<Option<i64>>,
}

/// What has been told of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Rain(i64),
    Contradiction,
}

impl Daily {
    /// Lays days out in order, in whatever order they come.
    pub(super) fn of(window: Window, days: &[DayRain]) -> Self {
        let length = usize::try_from(window.day_count()).unwrap_or(0);
        let mut told = vec![Told::Nothing; length];
        for day in days {
            let Some(rain) = day.rain_um else { continue };
            let offset = day.day.signed_duration_since(window.start).num_days();
            let place = usize::try_from(offset).ok().and_then(|at| told.get_mut(at));
            if let Some(place) = place {
                let rain = i64::from(rain.0);
                *place = match *place {
                    Told::Nothing => Told::Rain(rain),
                    Told::Rain(other) if other == rain => Told::Rain(rain),
                    Told::Rain(_) | Told::Contradiction => Told::Contradiction,
                };
            }
        }
        let rain_um = told
            .into_iter()
            .map(|told| match told {
                Told::Rain(rain) => Some(rain),
                Told::Nothing | Told::Contradiction => None,
            })
            .collect();
        Self { rain_um }
    }

    /// Each day's rain, `None` where it is missing.
    pub(super) fn days(&self) -> &[Option<i64>] {
        &self.rain_um
    }

    /// Days without rain known.
    pub(super) fn missing(&self) -> u32 {
        count(self.rain_um.iter().filter(|day| day.is_none()).count())
    }

    /// Rain of the known days, each counted at most `cap_um`.
    pub(super) fn sum_um(&self, cap_um: Option<i64>) -> i64 {
        self.rain_um
            .iter()
            .flatten()
            .map(|rain| cap_um.map_or(*rain, |cap| cap.min(*rain)))
            .fold(0, i64::saturating_add)
    }

    /// The value of a rain index, thousandths of its unit; `None` with a day missing, and for
    /// indices that rain alone does not give.
    pub(super) fn index_milli(&self, index: &IndexTerms) -> Option<i64> {
        let days: Vec<i64> = self.rain_um.iter().copied().collect::<Option<_>>()?;
        let whole = |number: u32| i64::from(number).saturating_mul(1_000);
        // an index in millimetres is in micrometres already
        match index {
            IndexTerms::RainSum => Some(total(&days)),
            IndexTerms::DrySpellBlocks {
                length_days,
                below_mm,
                step_days,
            } => {
                let lost = days
                    .windows(usize::from((*length_days).max(1)))
                    .step_by(usize::from((*step_days).max(1)))
                    .filter(|block| total(block) < um(*below_mm));
                Some(whole(count(lost.count())))
            }
            IndexTerms::LongestDrySpell { wet_day_mm } => {
                let (mut run, mut longest) = (0_u32, 0_u32);
                for rain in &days {
                    run = if *rain < um(*wet_day_mm) {
                        run.saturating_add(1)
                    } else {
                        0
                    };
                    longest = longest.max(run);
                }
                Some(whole(longest))
            }
            IndexTerms::Rx { days: run } => {
                let runs = days.windows(usize::from((*run).max(1)));
                runs.map(total).max()
            }
            IndexTerms::WetDays { wet_day_mm } => {
                let wet = days.iter().filter(|rain| **rain >= um(*wet_day_mm));
                Some(whole(count(wet.count())))
            }
            IndexTerms::DryDays { wet_day_mm } => {
                let dry = days.iter().filter(|rain| **rain < um(*wet_day_mm));
                Some(whole(count(dry.count())))
            }
            IndexTerms::HotDays { .. }
            | IndexTerms::Wrsi { .. }
            | IndexTerms::NdviPercentile { .. }
            | IndexTerms::NdviZ { .. } => None,
        }
    }
}

/// Millimetres in micrometres: thousandths of a millimetre are what a [`Decimal`] holds.
pub(super) fn um(mm: Decimal) -> i64 {
    const { assert!(UM_PER_MM == 1_000) };
    mm.milli()
}

fn total(days: &[i64]) -> i64 {
    days.iter().copied().fold(0, i64::saturating_add)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
