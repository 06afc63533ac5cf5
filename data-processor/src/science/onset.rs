//! Season starts: three detectors, each with an outcome for a season that never starts, because
//! the worst droughts have none. A missing day is never taken for rain nor for a dry day: where it
//! could change the answer, the answer is undecided. Used by products anchored on sowing.

use chrono::{Days, NaiveDate};
use domain::season::Window;

use super::dekad::{self, Dekad};
use super::spells::{WET_DAY_MM, clip};

/// What a search for the season's start found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Onset {
    /// The season started on this local day; of a dekad, on its first.
    On(NaiveDate),
    /// The whole window was searched and the season did not start.
    None,
    /// Days without a number could make an earlier start, or unmake this one.
    Undecided {
        /// Missing days of the candidate that could not be told.
        missing: u32,
    },
}

/// Dekadal detector of AGRHYMET, FEWS NET and FAO: the first dekad of at least `first_mm`, followed
/// by two dekads that together have at least `next_mm`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dekadal {
    /// Rain of the first dekad, mm.
    pub first_mm: f64,
    /// Rain of the two dekads after it together, mm.
    pub next_mm: f64,
}

/// When the rain that starts the season is counted as over, and the watch for a dry spell begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventEnd {
    /// After all days of the event.
    AllDays,
    /// After the day on which the rain asked had fallen.
    RainReached,
}

/// Daily detector: the first wet day with enough rain in the days that begin with it, not followed
/// by a long dry spell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Daily {
    /// A day is wet from this, mm; the start must be.
    pub wet_mm: f64,
    /// Rain of the event, mm.
    pub event_mm: f64,
    /// Most days of the event.
    pub event_days: u32,
    /// When the event is over.
    pub end: EventEnd,
    /// A false start is a run of at least this many dry days ...
    pub dry_run: u32,
    /// ... within this many days after the event.
    pub watch_days: u32,
}

/// Detector 1: 25 mm, then 20 mm in two dekads (AGRHYMET; the constants of FEWS NET's GeoWRSI).
pub const DEKADAL_25_20: Dekadal = Dekadal {
    first_mm: 25.0,
    next_mm: 20.0,
};

/// Detector 2: 20 mm in 3 days, no 7 dry days running in the 21 days after (ICPAC and IRI).
pub const ICPAC: Daily = Daily {
    wet_mm: WET_DAY_MM,
    event_mm: 20.0,
    event_days: 3,
    end: EventEnd::AllDays,
    dry_run: 7,
    watch_days: 21,
};

/// Detector 3: 20 mm in at most 3 days, no 10 dry days running in the 20 days after (Zimbabwe's
/// agricultural meteorology manual).
pub const ZIMBABWE: Daily = Daily {
    wet_mm: WET_DAY_MM,
    event_mm: 20.0,
    event_days: 3,
    end: EventEnd::RainReached,
    dry_run: 10,
    watch_days: 20,
};

/// A detector, as a product names it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Detector {
    /// By dekads.
    Dekadal(Dekadal),
    /// By days.
    Daily(Daily),
}

impl Detector {
    /// The first start in `search` (its days may be starts; what must follow may lie beyond it),
    /// in a daily series that begins on `first`. Days the series does not reach are missing.
    #[must_use]
    pub fn find(&self, rain: &[Option<f64>], first: NaiveDate, search: Window) -> Onset {
        match self {
            Self::Dekadal(terms) => terms.find(rain, first, search),
            Self::Daily(terms) => terms.find(rain, first, search),
        }
    }
}

/// Whether a candidate is a start: known, or not told for want of days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Yes,
    No,
    Unknown { missing: u32 },
}

impl Verdict {
    /// Both must hold. What is surely not decides, however much is missing.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, verdict) | (verdict, Self::Yes) => verdict,
            (Self::Unknown { missing: a }, Self::Unknown { missing: b }) => Self::Unknown {
                missing: a.saturating_add(b),
            },
        }
    }

    /// Rain is at least `least_mm`: sure once the known days reach it, as the others add nothing
    /// below zero.
    fn reaches(known_mm: f64, missing: u32, least_mm: f64) -> Self {
        if known_mm >= least_mm {
            Self::Yes
        } else if missing == 0 {
            Self::No
        } else {
            Self::Unknown { missing }
        }
    }
}

/// The first candidate that is not surely none: everything before it is.
fn first_start(candidates: impl Iterator<Item = (NaiveDate, Verdict)>) -> Onset {
    for (day, verdict) in candidates {
        match verdict {
            Verdict::Yes => return Onset::On(day),
            Verdict::Unknown { missing } => return Onset::Undecided { missing },
            Verdict::No => {}
        }
    }
    Onset::None
}

impl Dekadal {
    /// The first start among the dekads that begin in `search`.
    #[must_use]
    pub fn find(&self, rain: &[Option<f64>], first: NaiveDate, search: Window) -> Onset {
        let total = |dekad: Dekad| dekad::sum(rain, dekad::span(dekad, first, rain.len()));
        let opening = Dekad::of(search.start);
        let candidates = opening
            .to(Dekad::of(search.last_day()))
            .filter(|dekad| search.contains(dekad.first_day()))
            .map(|dekad| {
                let (now, next) = (total(dekad), total(dekad.next()));
                let last = total(dekad.next().next());
                let starts = Verdict::reaches(now.known_mm, now.missing, self.first_mm);
                let goes_on = Verdict::reaches(
                    next.known_mm + last.known_mm,
                    next.missing.saturating_add(last.missing),
                    self.next_mm,
                );
                (dekad.first_day(), starts.and(goes_on))
            });
        first_start(candidates)
    }
}

impl Daily {
    /// The first start among the days of `search`.
    #[must_use]
    pub fn find(&self, rain: &[Option<f64>], first: NaiveDate, search: Window) -> Onset {
        first_start(
            search
                .days()
                .map(|day| (day, self.verdict(rain, first, day))),
        )
    }

    fn verdict(&self, rain: &[Option<f64>], first: NaiveDate, day: NaiveDate) -> Verdict {
        let ahead = self.event_days.saturating_add(self.watch_days);
        let end = day.checked_add_days(Days::new(u64::from(ahead)));
        let window = Window {
            start: day,
            end: end.unwrap_or(NaiveDate::MAX),
        };
        let clipped = clip(rain, first, window);
        // a series that begins after the candidate has the wrong days at the front
        let days = if day < first { &[][..] } else { clipped.days };
        let at = |offset: u32| {
            usize::try_from(offset)
                .ok()
                .and_then(|offset| days.get(offset).copied().flatten())
        };
        let opening = match at(0) {
            Some(mm) if mm >= self.wet_mm => Verdict::Yes,
            Some(_) => return Verdict::No,
            None => Verdict::Unknown { missing: 1 },
        };
        let (mut known, mut missing) = (0.0, 0_u32);
        let mut over = self.event_days;
        for offset in 0..self.event_days {
            match at(offset) {
                Some(mm) => known += mm,
                None => missing = missing.saturating_add(1),
            }
            if self.end == EventEnd::RainReached && known >= self.event_mm {
                over = offset.saturating_add(1);
                break;
            }
        }
        let event = Verdict::reaches(known, missing, self.event_mm);
        if event == Verdict::No {
            return Verdict::No;
        }
        let is_end_open = missing > 0 && self.end == EventEnd::RainReached;
        let is_told = !is_end_open && opening == Verdict::Yes && event == Verdict::Yes;
        let (from, until) = if is_end_open {
            // a missing day may have ended the event sooner: only what is watched either way
            (self.event_days, self.watch_days.saturating_add(1))
        } else {
            (over, over.saturating_add(self.watch_days))
        };
        let so_far = if is_told {
            Verdict::Yes
        } else {
            Verdict::Unknown { missing }
        };
        so_far.and(self.goes_on((from..until).map(at)))
    }

    /// Whether no long dry spell follows. It surely does when the known dry days alone make one;
    /// it may when the missing days between them would complete one.
    fn goes_on(&self, watch: impl Iterator<Item = Option<f64>>) -> Verdict {
        let (mut dry, mut perhaps, mut missing) = (0_u32, 0_u32, 0_u32);
        let mut may_fail = false;
        for day in watch {
            match day {
                Some(mm) if mm >= self.wet_mm => (dry, perhaps) = (0, 0),
                Some(_) => (dry, perhaps) = (dry.saturating_add(1), perhaps.saturating_add(1)),
                None => {
                    missing = missing.saturating_add(1);
                    (dry, perhaps) = (0, perhaps.saturating_add(1));
                }
            }
            if dry >= self.dry_run {
                return Verdict::No;
            }
            may_fail |= perhaps >= self.dry_run;
        }
        if may_fail {
            Verdict::Unknown { missing }
        } else {
            Verdict::Yes
        }
    }
}

/// What a product does when its season never starts: without a rule the worst drought would never
/// put the cover on risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutOnset {
    /// The season has failed: its declared amount is due.
    FailedSeason,
    /// The phases run from the last day of the search.
    LatestDay,
}

/// Where a season that was searched for stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Phases run from this day.
    Day(NaiveDate),
    /// The declared amount of a failed season is due.
    Failed,
    /// No number until the missing days are settled.
    Deferred {
        /// Days that could not be told.
        missing: u32,
    },
}

/// Applies the product's rule to what was found. An undecided search is deferred, never a failure.
#[must_use]
pub fn start(onset: Onset, search: Window, rule: WithoutOnset) -> Start {
    match (onset, rule) {
        (Onset::On(day), _) => Start::Day(day),
        (Onset::Undecided { missing }, _) => Start::Deferred { missing },
        (Onset::None, WithoutOnset::FailedSeason) => Start::Failed,
        (Onset::None, WithoutOnset::LatestDay) => Start::Day(search.last_day()),
    }
}

#[cfg(test)]
mod tests;
