//! Finding a season's onset in daily rain, in whole micrometres. A missing day is taken neither for
//! rain nor for a dry day: where it could change the answer there is none yet, so that a gap can
//! never start a season or fail it. Called by `domain::index`.

use chrono::{Days, NaiveDate};

use super::DayRain;
use super::daily::{Daily, um};
use crate::product::{Detector, EventEnd};
use crate::season::{Window, next_dekad, previous_day};

/// What a search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The onset; of a dekad, its first day.
    On(NaiveDate),
    /// Every day was searched and there was none.
    None,
    /// Missing days could make an earlier onset, or unmake this one.
    Undecided {
        /// How many of them.
        missing: u32,
    },
}

/// Whether a candidate is the onset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Yes,
    No,
    Unknown { missing: u32 },
}

impl Verdict {
    /// Both must hold. What surely does not decides, however much is missing.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, verdict) | (verdict, Self::Yes) => verdict,
            (Self::Unknown { missing: a }, Self::Unknown { missing: b }) => Self::Unknown {
                missing: a.saturating_add(b),
            },
        }
    }

    /// Rain is at least `least_um`: sure once the known days reach it, because the missing ones
    /// cannot take any away.
    fn reaches(known_um: i64, missing: u32, least_um: i64) -> Self {
        if known_um >= least_um {
            Self::Yes
        } else if missing == 0 {
            Self::No
        } else {
            Self::Unknown { missing }
        }
    }
}

/// The first onset in `search`; what must follow it may lie beyond.
pub(super) fn find(detector: Detector, search: Window, days: &[DayRain]) -> Found {
    match detector {
        Detector::Dekads { first_mm, next_mm } => {
            // dekads begin on the 1st, 11th and 21st: the first of them in the search
            let begins_dekad = next_dekad(previous_day(search.start)) == search.start;
            let start = if begins_dekad {
                search.start
            } else {
                next_dekad(search.start)
            };
            let dekads = std::iter::successors(Some(start), |day| Some(next_dekad(*day)))
                .take_while(|day| search.contains(*day));
            first(dekads.map(|start| {
                let second = next_dekad(start);
                let end = next_dekad(next_dekad(second));
                let reaches = |start, end, mm| {
                    let rain = Daily::of(Window { start, end }, days);
                    Verdict::reaches(rain.sum_um(None), rain.missing(), um(mm))
                };
                let verdict = reaches(start, second, first_mm).and(reaches(second, end, next_mm));
                (start, verdict)
            }))
        }
        Detector::RainEvent {
            event_mm,
            event_days,
            event_ends,
            wet_day_mm,
            dry_days,
            watch_days,
        } => {
            let event = Event {
                rain_um: um(event_mm),
                days: usize::from(event_days),
                ends: event_ends,
                wet_um: um(wet_day_mm),
                dry_days: u32::from(dry_days),
                watch_days: usize::from(watch_days),
            };
            let ahead = u64::from(event_days).saturating_add(u64::from(watch_days));
            let end = search.last_day().checked_add_days(Days::new(ahead));
            let reach = Window {
                start: search.start,
                end: end.unwrap_or(NaiveDate::MAX),
            };
            let rain = Daily::of(reach, days);
            let candidates = search.days().enumerate().map(|(at, day)| {
                let ahead = rain.days().get(at..).unwrap_or_default();
                (day, event.verdict(ahead))
            });
            first(candidates)
        }
    }
}

/// The first candidate that is not surely none: all before it are.
fn first(candidates: impl Iterator<Item = (NaiveDate, Verdict)>) -> Found {
    for (day, verdict) in candidates {
        match verdict {
            Verdict::Yes => return Found::On(day),
            Verdict::Unknown { missing } => return Found::Undecided { missing },
            Verdict::No => {}
        }
    }
    Found::None
}

/// A rain event in micrometres and days.
#[derive(Debug, Clone, Copy)]
struct Event {
    rain_um: i64,
    days: usize,
    ends: EventEnd,
    wet_um: i64,
    dry_days: u32,
    watch_days: usize,
}

impl Event {
    /// Whether the first of these days is the onset.
    fn verdict(&self, ahead: &[Option<i64>]) -> Verdict {
        let at = |offset: usize| ahead.get(offset).copied().flatten();
        if at(0).is_some_and(|rain| rain < self.wet_um) {
            return Verdict::No;
        }
        let (mut known, mut missing, mut over) = (0_i64, 0_u32, self.days);
        for offset in 0..self.days {
            match at(offset) {
                Some(rain) => known = known.saturating_add(rain),
                None => missing = missing.saturating_add(1),
            }
            if self.ends == EventEnd::RainReached && known >= self.rain_um {
                over = offset.saturating_add(1);
                break;
            }
        }
        if missing > 0 && self.ends == EventEnd::RainReached {
            // the gap leaves open on which day the rain was reached, and so what is watched
            return Verdict::Unknown { missing };
        }
        let opening = match at(0) {
            Some(_) => Verdict::Yes,
            None => Verdict::Unknown { missing },
        };
        let event = match opening.and(Verdict::reaches(known, missing, self.rain_um)) {
            Verdict::No => return Verdict::No,
            // the first day is one of the event's missing days: counted once
            Verdict::Unknown { .. } => Verdict::Unknown { missing },
            Verdict::Yes => Verdict::Yes,
        };
        let watch = (0..self.watch_days).map(|offset| at(over.saturating_add(offset)));
        event.and(self.goes_on(watch))
    }

    /// Whether no long dry spell follows. One surely does when known dry days alone make it; one
    /// may when the missing days among them would complete it.
    fn goes_on(&self, watch: impl Iterator<Item = Option<i64>>) -> Verdict {
        let (mut dry, mut perhaps, mut missing, mut may_fail) = (0_u32, 0_u32, 0_u32, false);
        for day in watch {
            match day {
                Some(rain) if rain >= self.wet_um => (dry, perhaps) = (0, 0),
                Some(_) => (dry, perhaps) = (dry.saturating_add(1), perhaps.saturating_add(1)),
                None => {
                    missing = missing.saturating_add(1);
                    (dry, perhaps) = (0, perhaps.saturating_add(1));
                }
            }
            if dry >= self.dry_days {
                return Verdict::No;
            }
            may_fail |= perhaps >= self.dry_days;
        }
        if may_fail {
            Verdict::Unknown { missing }
        } else {
            Verdict::Yes
        }
    }
}
