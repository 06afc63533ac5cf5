//! Rules of phases that are counted from sowing or from the season's onset: whatever day the start
//! turns out to be, in any year, the phase lies on days that are covered and watched.
//! Never searches for a start itself. Called by validation alone.

use chrono::{Days, NaiveDate};

use super::rules::YEARS;
use super::{Anchor, Detector, OnsetTerms, PhaseTerms, Product, ProductError, fault};
use crate::season::{Window, YearlessWindow, next_dekad};

impl Product {
    pub(super) fn validate_starts(&self) -> Result<(), ProductError> {
        let anchored = |wanted: fn(Anchor) -> bool| self.phases.iter().any(|p| wanted(p.anchor()));
        if self.season.sowing.is_some() && !anchored(|a| matches!(a, Anchor::Sowing { .. })) {
            return Err(fault("season.sowing", "no phase is anchored on it"));
        }
        if self.season.onset.is_some() && !anchored(|a| matches!(a, Anchor::Onset { .. })) {
            return Err(fault("season.onset", "no phase is anchored on it"));
        }
        for phase in &self.phases {
            self.validate_anchor(phase)?;
        }
        self.season.onset.map_or(Ok(()), |onset| {
            validate_detector(onset.detector)?;
            self.validate_search(&onset)
        })
    }

    /// From the first day it may start on to the last, the phase lies on its own `days`.
    fn validate_anchor(&self, phase: &PhaseTerms) -> Result<(), ProductError> {
        let field = format!("phases.{}.anchor", phase.code);
        let (starts, from_day, to_day) = match phase.anchor() {
            Anchor::Calendar => return Ok(()),
            Anchor::Sowing { from_day, to_day } => match self.season.sowing {
                Some(sowing) => (sowing.days, from_day, to_day),
                None => return Err(fault(field, "needs season.sowing")),
            },
            Anchor::Onset { from_day, to_day } => match self.season.onset {
                Some(onset) => (onset.search, from_day, to_day),
                None => return Err(fault(field, "needs season.onset")),
            },
        };
        if to_day < from_day {
            return Err(fault(field, "to_day must not lie before from_day"));
        }
        for year in YEARS {
            let may_start = bind(starts, year, &field)?;
            let days = bind(phase.days, year, &field)?;
            let (first, last) = (
                after(may_start.start, from_day),
                after(may_start.last_day(), to_day),
            );
            if !days.contains(first) || !days.contains(last) {
                return Err(fault(
                    format!("phases.{}.days", phase.code),
                    format!(
                        "must reach from {first} to {last}, where the anchor may put the phase"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Every day that decides whether there was an onset is covered, hence observed.
    fn validate_search(&self, onset: &OnsetTerms) -> Result<(), ProductError> {
        for year in YEARS {
            let search = bind(onset.search, year, "season.onset.search")?;
            let cover = self.cover_window(year)?;
            let last = match onset.detector {
                Detector::Dekads { .. } => {
                    let third_after = |day| next_dekad(next_dekad(next_dekad(day)));
                    third_after(search.last_day())
                }
                Detector::RainEvent {
                    event_days,
                    watch_days,
                    ..
                } => after(search.last_day(), event_days.saturating_add(watch_days)),
            };
            if search.start < cover.start || last > cover.end {
                return Err(fault(
                    "season.onset.search",
                    "must lie inside season.cover together with the days that confirm an onset",
                ));
            }
        }
        Ok(())
    }
}

fn validate_detector(detector: Detector) -> Result<(), ProductError> {
    let wrong = |rule: &str| Err(fault("season.onset.detector", rule));
    match detector {
        Detector::Dekads { first_mm, next_mm } => {
            if first_mm.milli() <= 0 || next_mm.milli() < 0 {
                return wrong("needs first_mm > 0 and next_mm >= 0");
            }
        }
        Detector::RainEvent {
            event_mm,
            event_days,
            wet_day_mm,
            dry_days,
            watch_days,
            ..
        } => {
            if wet_day_mm.milli() <= 0 || event_mm < wet_day_mm {
                return wrong("needs event_mm >= wet_day_mm > 0");
            }
            if !(1..=31).contains(&event_days) || dry_days == 0 || dry_days > watch_days {
                return wrong("needs event_days of 1 to 31 and 1 <= dry_days <= watch_days");
            }
            if watch_days > 60 {
                return wrong("watch_days must be at most 60");
            }
        }
    }
    Ok(())
}

fn bind(window: YearlessWindow, year: i32, field: &str) -> Result<Window, ProductError> {
    window.bind(year).map_err(|e| fault(field, e.to_string()))
}

fn after(day: NaiveDate, days: u16) -> NaiveDate {
    day.checked_add_days(Days::new(u64::from(days)))
        .unwrap_or(day)
}
