//! Which source a phase is settled on: one order, one source a phase, a few days filled by the
//! next within limits, and every switch recorded. A day that no rule gives a number stays missing.
//! Also whose day is whose: UTC days, gauge days and local days before they are blended.
//! Used by the index of contracts of the second form, baselines and back-tests.

use std::ops::RangeInclusive;

use chrono::{Days, NaiveDate};
use domain::money::BasisPoints;

use super::count;
use super::dekad::{self, Dekad};
use super::interpolate::satellite::capped;

/// Share of a phase's days that may be missing before the source gives way for all of it; the share
/// that may be filled is the contract's.
const MISSING_BP_MAX: u16 = 2_000;
/// Basis points in one.
const WHOLE_BP: usize = 10_000;
/// Lags at which two daily series are compared, days.
const LAGS: RangeInclusive<i64> = -1..=1;
/// Days both must know before a lag is told.
const LAG_DAYS_MIN: usize = 60;
/// Correlation below which no lag is told.
const LAG_CORRELATION_MIN: f64 = 0.3;

/// Sources of daily rain in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A good station in the risk cell.
    StationInCell,
    /// Three or more good stations around it, consistent with the satellite.
    StationsAround,
    /// CHIRPS v3 final, mapped to stations' quantiles (preliminary data are for advice only).
    Chirps,
    /// IMERG final, ARC2 or TAMSAT.
    OtherSatellite,
    /// ERA5-Land.
    Reanalysis,
}

impl Source {
    /// The name in evidence.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StationInCell => "station in cell",
            Self::StationsAround => "stations around",
            Self::Chirps => "chirps",
            Self::OtherSatellite => "other satellite",
            Self::Reanalysis => "reanalysis",
        }
    }
}

/// Mean rain of each dekad of the year, mm; `None` for one never known whole.
pub type Climatology = [Option<f64>; 36];

/// The dekadal climatology of a daily series from `first`: means over the years in which the dekad
/// is whole.
#[must_use]
pub fn climatology(first: NaiveDate, rain_mm: &[Option<f64>]) -> Climatology {
    let mut sums = [(0.0, 0.0); 36];
    for span in dekad::spans(first, rain_mm.len()) {
        let days = rain_mm.get(span.from..span.until).unwrap_or_default();
        if span.absent > 0 || days.iter().any(Option::is_none) {
            continue;
        }
        if let Some((sum, years)) = sums.get_mut(position(span.dekad)) {
            *sum += days.iter().flatten().fold(0.0, |sum, mm| sum + mm);
            *years += 1.0;
        }
    }
    sums.map(|(sum, years)| (years > 0.0).then(|| sum / years))
}

fn position(dekad: Dekad) -> usize {
    usize::try_from(dekad.number().saturating_sub(1)).unwrap_or(usize::MAX)
}

/// By how much a day of `filling` is scaled to stand for one of `leading`: ratio of the dekad's
/// climatologies, 0.5 to 2; 1 where either is unknown or both are dry.
#[must_use]
pub fn bias_factor(leading: &Climatology, filling: &Climatology, day: NaiveDate) -> f64 {
    let of = |climate: &Climatology| climate.get(position(Dekad::of(day))).copied().flatten();
    match (of(leading), of(filling)) {
        (Some(here), Some(there)) if there > 0.0 => capped(here / there),
        (Some(here), Some(_)) if here > 0.0 => capped(f64::INFINITY),
        _ => 1.0,
    }
}

/// A source as it is offered for a phase.
#[derive(Debug, Clone, Copy)]
pub struct Offered<'a> {
    /// Which.
    pub source: Source,
    /// Rain of each day of the phase, mm.
    pub rain_mm: &'a [Option<f64>],
    /// Its climatology.
    pub climatology: &'a Climatology,
}

/// One day of a phase as settled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SettledDay {
    /// Rain, mm.
    pub rain_mm: Option<f64>,
    /// Where it is from; `None` for a missing day.
    pub source: Option<Source>,
    /// Which of the offers that is, counted from 0 in the order they were given.
    pub offer: Option<usize>,
    /// What it was scaled by; 1 for the leading source's own.
    pub factor: f64,
}

/// A phase as settled.
#[derive(Debug, Clone, PartialEq)]
pub struct SettledPhase {
    /// The source that leads; `None` when none may.
    pub leading: Option<Source>,
    /// Days in their order.
    pub days: Vec<SettledDay>,
    /// Sources that would have led, and how many days each misses: the recorded switch.
    pub passed_over: Vec<(Source, usize)>,
}

impl SettledPhase {
    /// Days without a number.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.days.iter().filter(|day| day.rain_mm.is_none()).count()
    }

    /// Days filled from another source.
    #[must_use]
    pub fn filled(&self) -> usize {
        let is_filled = |day: &&SettledDay| day.source.is_some() && day.source != self.leading;
        self.days.iter().filter(is_filled).count()
    }
}

/// Settles a phase of `days` days from `first`. Sources are asked in their order, whatever the
/// order they are offered in. The first with at most 20 % of the days missing leads for all of it.
/// If no more than the share `filled_max` are, each is filled from the next source that knows it,
/// scaled; if more are, none is filled.
#[must_use]
pub fn settle(
    first: NaiveDate,
    days: usize,
    offered: &[Offered<'_>],
    filled_max: BasisPoints,
) -> SettledPhase {
    let mut in_order: Vec<(usize, &Offered<'_>)> = offered.iter().enumerate().collect();
    in_order.sort_by_key(|(_, offer)| offer.source);
    let rain = |offer: &Offered<'_>, day: usize| offer.rain_mm.get(day).copied().flatten();
    let missing = |offer: &Offered<'_>| (0..days).filter(|day| rain(offer, *day).is_none()).count();
    let exceeds = |missing: usize, share_bp: u16| {
        missing.saturating_mul(WHOLE_BP) > days.saturating_mul(usize::from(share_bp))
    };
    let mut passed_over = Vec::new();
    let mut leading = None;
    let mut rest = in_order.into_iter();
    for (at, offer) in rest.by_ref() {
        let absent = missing(offer);
        if exceeds(absent, MISSING_BP_MAX) {
            passed_over.push((offer.source, absent));
        } else {
            leading = Some((at, offer, absent));
            break;
        }
    }
    let fillers: Vec<(usize, &Offered<'_>)> = match leading {
        Some((_, _, absent)) if !exceeds(absent, filled_max.get()) => rest.collect(),
        _ => Vec::new(),
    };
    let settled = |(day, date): (usize, NaiveDate)| {
        let Some((leads, lead, _)) = leading else {
            return SettledDay::MISSING;
        };
        if let Some(mm) = rain(lead, day) {
            return SettledDay {
                rain_mm: Some(mm),
                source: Some(lead.source),
                offer: Some(leads),
                factor: 1.0,
            };
        }
        let filled = fillers.iter().find_map(|(at, offer)| {
            let factor = bias_factor(lead.climatology, offer.climatology, date);
            rain(offer, day).map(|mm| SettledDay {
                rain_mm: Some(mm * factor),
                source: Some(offer.source),
                offer: Some(*at),
                factor,
            })
        });
        filled.unwrap_or(SettledDay::MISSING)
    };
    SettledPhase {
        leading: leading.map(|(_, offer, _)| offer.source),
        days: (0..days).zip(first.iter_days()).map(settled).collect(),
        passed_over,
    }
}

impl SettledDay {
    /// No number.
    pub const MISSING: Self = Self {
        rain_mm: None,
        source: None,
        offer: None,
        factor: 1.0,
    };
}

/// What a source means by a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayBoundary {
    /// 00 to 24 h local time (UTC+3): WeatherXM counters, our own days.
    Local,
    /// 00 to 24 h UTC: CHIRPS, ERA5.
    Utc,
    /// Read at 06 h UTC (09 h local) of the day it is written under, for the 24 h before.
    Gauge,
}

impl DayBoundary {
    /// The local day that most of a reported day belongs to: a gauge's is the day before.
    #[must_use]
    pub fn local_day(self, reported: NaiveDate) -> NaiveDate {
        match self {
            Self::Local | Self::Utc => reported,
            Self::Gauge => reported.checked_sub_days(Days::new(1)).unwrap_or(reported),
        }
    }

    /// Hours of it that do.
    #[must_use]
    pub const fn hours_shared(self) -> u32 {
        match self {
            Self::Local => 24,
            Self::Utc => 21,
            Self::Gauge => 15,
        }
    }
}

/// The lag, days, at which two daily series of one span agree best: 1 means that the first writes
/// down a day later what the second wrote. `None` with fewer than 60 common days, or when none of
/// -1, 0, 1 correlates by 0.3.
#[must_use]
pub fn lag(one: &[Option<f64>], other: &[Option<f64>]) -> Option<i64> {
    LAGS.filter_map(|lag| correlation_at(one, other, lag).map(|r| (lag, r)))
        .filter(|(_, r)| *r >= LAG_CORRELATION_MIN)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(lag, _)| lag)
}

/// Pearson correlation of `one` with `other` written `lag` days later.
fn correlation_at(one: &[Option<f64>], other: &[Option<f64>], lag: i64) -> Option<f64> {
    let shift = usize::try_from(lag.unsigned_abs()).ok()?;
    let (one, other) = if lag >= 0 {
        (one.get(shift..)?, other)
    } else {
        (one, other.get(shift..)?)
    };
    let pairs = || {
        one.iter()
            .zip(other)
            .filter_map(|(a, b)| Some(((*a)?, (*b)?)))
    };
    let days = pairs().count();
    if days < LAG_DAYS_MIN {
        return None;
    }
    let mean = |sum: f64| sum / count(days);
    let (mean_a, mean_b) = (
        mean(pairs().fold(0.0, |sum, (a, _)| sum + a)),
        mean(pairs().fold(0.0, |sum, (_, b)| sum + b)),
    );
    let (mut both, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
    for (a, b) in pairs() {
        both += (a - mean_a) * (b - mean_b);
        of_a += (a - mean_a) * (a - mean_a);
        of_b += (b - mean_b) * (b - mean_b);
    }
    (of_a > 0.0 && of_b > 0.0).then(|| both / (of_a * of_b).sqrt())
}

#[cfg(test)]
mod tests;
