//! Seasons, windows and days as Kenyan farmers count them (UTC+3, no daylight saving).
//! Never reads a clock: instants come in as values. Used by products, weather and settlement.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, FixedOffset, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// East Africa Time is UTC+3 the year round.
pub const EAT_OFFSET_HOURS: i32 = 3;

/// Why a season or window could not be read or bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeasonError {
    /// A year-less window is not `MM-DD..MM-DD`.
    #[error("window `{0}` must be written MM-DD..MM-DD, such as 03-01..05-31")]
    Window(String),
    /// A season key is not `CODE-YEAR`.
    #[error("season `{0}` must be written CODE-YEAR, such as MAM-2026")]
    Key(String),
    /// The calendar does not reach that far.
    #[error("date is outside the calendar")]
    Calendar,
}

/// The local calendar day an instant lies in; midnight opens the new day.
#[must_use]
pub fn local_day(instant: DateTime<Utc>) -> NaiveDate {
    match FixedOffset::east_opt(EAT_OFFSET_HOURS.saturating_mul(3_600)) {
        Some(offset) => instant.with_timezone(&offset).date_naive(),
        None => instant.date_naive(),
    }
}

/// The local day that a measured interval ending at `end` belongs to: the interval is (previous,
/// end], so a sample at exactly local midnight (21:00:00Z) still closes the old day.
#[must_use]
pub fn day_of_interval_ending(end: DateTime<Utc>) -> NaiveDate {
    local_day(
        end.checked_sub_signed(TimeDelta::nanoseconds(1))
            .unwrap_or(end),
    )
}

/// The instant at which a local day begins.
#[must_use]
pub fn day_starts_at(day: NaiveDate) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN).and_utc();
    let hours = TimeDelta::hours(i64::from(EAT_OFFSET_HOURS));
    midnight.checked_sub_signed(hours).unwrap_or(midnight)
}

/// The day after.
#[must_use]
pub fn next_day(day: NaiveDate) -> NaiveDate {
    day.checked_add_days(Days::new(1)).unwrap_or(day)
}

/// The day before.
#[must_use]
pub fn previous_day(day: NaiveDate) -> NaiveDate {
    day.checked_sub_days(Days::new(1)).unwrap_or(day)
}

/// A half-open range of local days: `start` is in it, `end` is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// First day.
    pub start: NaiveDate,
    /// Day after the last.
    pub end: NaiveDate,
}

impl Window {
    /// Whether a day lies in the window.
    #[must_use]
    pub fn contains(&self, day: NaiveDate) -> bool {
        self.start <= day && day < self.end
    }

    /// The last day in it.
    #[must_use]
    pub fn last_day(&self) -> NaiveDate {
        previous_day(self.end)
    }

    /// Number of days in it.
    #[must_use]
    pub fn day_count(&self) -> u32 {
        let days = self.end.signed_duration_since(self.start).num_days();
        u32::try_from(days).unwrap_or(0)
    }

    /// Every day of it, in order.
    pub fn days(&self) -> impl Iterator<Item = NaiveDate> + use<> {
        let end = self.end;
        std::iter::successors(Some(self.start), |day| Some(next_day(*day)))
            .take_while(move |day| *day < end)
    }

    /// The instant the first day begins.
    #[must_use]
    pub fn opens_at(&self) -> DateTime<Utc> {
        day_starts_at(self.start)
    }

    /// The instant the last day has passed.
    #[must_use]
    pub fn closes_at(&self) -> DateTime<Utc> {
        day_starts_at(self.end)
    }

    /// The UTC dates whose observations touch this window: a local day D is made of the UTC
    /// dates D-1 (from 21:00Z) and D.
    pub fn utc_dates(&self) -> impl Iterator<Item = NaiveDate> + use<> {
        let wider = Self {
            start: previous_day(self.start),
            end: self.end,
        };
        wider.days()
    }
}

/// A window without a year, `MM-DD..MM-DD`, both days included; may cross the new year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct YearlessWindow {
    first: (u32, u32),
    last: (u32, u32),
}

impl YearlessWindow {
    /// The absolute window whose first day lies in `year`.
    pub fn bind(&self, year: i32) -> Result<Window, SeasonError> {
        let start = date_in(year, self.first)?;
        let crosses = self.last < self.first;
        let end_year = if crosses {
            year.checked_add(1).ok_or(SeasonError::Calendar)?
        } else {
            year
        };
        Ok(Window {
            start,
            end: next_day(date_in(end_year, self.last)?),
        })
    }

    /// Month and day of the first day.
    #[must_use]
    pub fn first(&self) -> (u32, u32) {
        self.first
    }
}

/// The date, or the last day of its month when the year has no 29 February.
fn date_in(year: i32, (month, day): (u32, u32)) -> Result<NaiveDate, SeasonError> {
    NaiveDate::from_ymd_opt(year, month, day)
        .or_else(|| NaiveDate::from_ymd_opt(year, month, day.checked_sub(1)?))
        .ok_or(SeasonError::Calendar)
}

impl FromStr for YearlessWindow {
    type Err = SeasonError;

    fn from_str(text: &str) -> Result<Self, SeasonError> {
        let wrong = || SeasonError::Window(text.to_owned());
        let (first, last) = text.split_once("..").ok_or_else(wrong)?;
        let month_day = |part: &str| -> Option<(u32, u32)> {
            let (month, day) = part.split_once('-')?;
            let pair = (month.parse().ok()?, day.parse().ok()?);
            // 2000 is a leap year: every month-day that ever exists exists in it
            NaiveDate::from_ymd_opt(2000, pair.0, pair.1).map(|_| pair)
        };
        Ok(Self {
            first: month_day(first).ok_or_else(wrong)?,
            last: month_day(last).ok_or_else(wrong)?,
        })
    }
}

impl TryFrom<String> for YearlessWindow {
    type Error = SeasonError;

    fn try_from(text: String) -> Result<Self, SeasonError> {
        text.parse()
    }
}

impl From<YearlessWindow> for String {
    fn from(window: YearlessWindow) -> Self {
        window.to_string()
    }
}

impl fmt::Display for YearlessWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((m1, d1), (m2, d2)) = (self.first, self.last);
        write!(f, "{m1:02}-{d1:02}..{m2:02}-{d2:02}")
    }
}

/// A season of a year: `MAM-2026` is the long rains (March to May) of 2026. Keyed by the year its
/// cover begins in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SeasonKey {
    /// Code of the season: `MAM`, `OND`.
    pub code: String,
    /// Year in which its cover begins.
    pub year: i32,
}

impl FromStr for SeasonKey {
    type Err = SeasonError;

    fn from_str(text: &str) -> Result<Self, SeasonError> {
        let wrong = || SeasonError::Key(text.to_owned());
        let (code, year) = text.split_once('-').ok_or_else(wrong)?;
        let year: i32 = year.parse().map_err(|_| wrong())?;
        let plain = !code.is_empty() && code.chars().all(|c| c.is_ascii_uppercase());
        if !plain || !(1900..=2200).contains(&year) {
            return Err(wrong());
        }
        Ok(Self {
            code: code.to_owned(),
            year,
        })
    }
}

impl TryFrom<String> for SeasonKey {
    type Error = SeasonError;

    fn try_from(text: String) -> Result<Self, SeasonError> {
        text.parse()
    }
}

impl From<SeasonKey> for String {
    fn from(key: SeasonKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for SeasonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.code, self.year)
    }
}

/// The first day after the dekad that `day` lies in (dekads are days 1-10, 11-20, 21-end).
#[must_use]
pub fn next_dekad(day: NaiveDate) -> NaiveDate {
    let next = match day.day() {
        1..=10 => day.with_day(11),
        11..=20 => day.with_day(21),
        _ => day
            .with_day(1)
            .and_then(|first| first.checked_add_months(chrono::Months::new(1))),
    };
    next.unwrap_or_else(|| next_day(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(y: i32, m: u32, d: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(y, m, d).unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_sample_at_local_midnight_closes_the_old_day() {
        assert_eq!(
            day_of_interval_ending(at("2026-03-10T21:00:00Z")),
            date(2026, 3, 10)
        );
        assert_eq!(
            day_of_interval_ending(at("2026-03-10T21:00:01Z")),
            date(2026, 3, 11)
        );
        assert_eq!(local_day(at("2026-03-10T21:00:00Z")), date(2026, 3, 11));
        assert_eq!(day_starts_at(date(2026, 3, 11)), at("2026-03-10T21:00:00Z"));
    }

    #[test]
    fn the_long_rains_have_92_days_and_need_93_utc_dates() {
        let window: YearlessWindow = "03-01..05-31".parse().unwrap();
        let bound = window.bind(1984).unwrap();
        assert_eq!(bound.day_count(), 92);
        assert_eq!(bound.days().count(), 92);
        assert_eq!(bound.utc_dates().next(), Some(date(1984, 2, 29)));
        assert_eq!(bound.utc_dates().count(), 93);
        assert_eq!(bound.closes_at(), at("1984-05-31T21:00:00Z"));
    }

    #[test]
    fn a_window_may_cross_the_new_year_and_leap_days_give_way() {
        let window: YearlessWindow = "10-15..02-29".parse().unwrap();
        assert_eq!(window.bind(2023).unwrap().last_day(), date(2024, 2, 29));
        assert_eq!(window.bind(2024).unwrap().last_day(), date(2025, 2, 28));
    }

    #[test]
    fn windows_and_keys_say_what_is_wrong() {
        for bad in ["", "03-01", "03-01..02-30", "3/1..5/31"] {
            assert!(bad.parse::<YearlessWindow>().is_err(), "{bad}");
        }
        for bad in ["MAM", "mam-2020", "MAM-20", "-2020"] {
            assert!(bad.parse::<SeasonKey>().is_err(), "{bad}");
        }
        assert_eq!(
            "MAM-1984".parse::<SeasonKey>().unwrap().to_string(),
            "MAM-1984"
        );
    }

    #[test]
    fn dekads_end_where_the_month_does() {
        assert_eq!(next_dekad(date(2024, 2, 25)), date(2024, 3, 1));
        assert_eq!(next_dekad(date(2024, 2, 10)), date(2024, 2, 11));
    }
}
