//! Dekads: the 1st to 10th, the 11th to 20th and the rest of each month, 36 a year, in local days
//! (UTC+3). A dekad with a day missing says so: its sum is never taken for the whole dekad's rain.
//! Pure; used by season starts, water balance, composites and the satellite ratio check.

use std::fmt;

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use domain::season::{Window, local_day, next_day, previous_day};

/// Dekads in a year, leap or not.
pub const DEKADS_PER_YEAR: u32 = 36;

/// One dekad of one year. Orders by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dekad {
    /// Its first day: always a 1st, 11th or 21st.
    first: NaiveDate,
}

impl Dekad {
    /// Dekad `number`, 1 to 36, of a year; `None` outside.
    #[must_use]
    pub fn new(year: i32, number: u32) -> Option<Self> {
        let before = number.checked_sub(1).filter(|n| *n < DEKADS_PER_YEAR)?;
        let (month, third) = (before.checked_div(3)?, before.checked_rem(3)?);
        let day = third.checked_mul(10)?.checked_add(1)?;
        let first = NaiveDate::from_ymd_opt(year, month.checked_add(1)?, day)?;
        Some(Self { first })
    }

    /// The dekad a local day lies in. The third has what is left of the month: 8 to 11 days, so
    /// that 29 February belongs to dekad 6.
    #[must_use]
    pub fn of(day: NaiveDate) -> Self {
        let first = match day.day() {
            ..=10 => 1,
            11..=20 => 11,
            _ => 21,
        };
        Self {
            // every month has a 1st, 11th and 21st
            first: day.with_day(first).unwrap_or(day),
        }
    }

    /// The dekad of an instant, by its local day.
    #[must_use]
    pub fn at(instant: DateTime<Utc>) -> Self {
        Self::of(local_day(instant))
    }

    /// Its first local day.
    #[must_use]
    pub fn first_day(self) -> NaiveDate {
        self.first
    }

    /// Its last local day.
    #[must_use]
    pub fn last_day(self) -> NaiveDate {
        previous_day(self.window().end)
    }

    /// Its days as a half-open window.
    #[must_use]
    pub fn window(self) -> Window {
        let end = if self.third() < 3 {
            self.first.checked_add_days(Days::new(10))
        } else {
            // 21st + 11 days is the 1st to the 4th of the next month, whatever the month
            self.first
                .checked_add_days(Days::new(11))
                .and_then(|day| day.with_day(1))
        };
        Window {
            start: self.first,
            end: end.unwrap_or(NaiveDate::MAX),
        }
    }

    /// Days in it: 10, or 8 to 11 in the third of a month.
    #[must_use]
    pub fn day_count(self) -> u32 {
        self.window().day_count()
    }

    /// Its year.
    #[must_use]
    pub fn year(self) -> i32 {
        self.first.year()
    }

    /// 1 to 36 in its year.
    #[must_use]
    pub fn number(self) -> u32 {
        self.first
            .month0()
            .saturating_mul(3)
            .saturating_add(self.third())
    }

    /// 1, 2 or 3 in its month.
    #[must_use]
    pub fn third(self) -> u32 {
        match self.first.day() {
            ..=10 => 1,
            11..=20 => 2,
            _ => 3,
        }
    }

    /// The dekad after; past the end of the calendar, itself.
    #[must_use]
    pub fn next(self) -> Self {
        Self::of(next_day(self.last_day()))
    }

    /// The dekad before.
    #[must_use]
    pub fn previous(self) -> Self {
        Self::of(previous_day(self.first))
    }

    /// All dekads from this one to `last`, both included.
    pub fn to(self, last: Self) -> impl Iterator<Item = Self> + use<> {
        std::iter::successors(Some(self), |dekad| {
            Some(dekad.next()).filter(|next| next > dekad)
        })
        .take_while(move |dekad| *dekad <= last)
    }
}

impl fmt::Display for Dekad {
    /// `2019-04-d1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month) = (self.year(), self.first.month());
        write!(f, "{year:04}-{month:02}-d{}", self.third())
    }
}

/// A dekad's place in a daily series: found once, used for every cell of a grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Which dekad.
    pub dekad: Dekad,
    /// Position of its first day that the series has.
    pub from: usize,
    /// Position after its last day that the series has.
    pub until: usize,
    /// Days of it that the series does not reach.
    pub absent: u32,
}

/// Rain of a dekad.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sum {
    /// Rain of the days that are known, mm: the least that can have fallen.
    pub known_mm: f64,
    /// Days without a number.
    pub missing: u32,
}

impl Sum {
    /// The dekad's rain, mm; `None` when a day of it is missing.
    #[must_use]
    pub fn whole_mm(self) -> Option<f64> {
        (self.missing == 0).then_some(self.known_mm)
    }
}

/// Places of all dekads that a series of `days` days from `first` touches.
#[must_use]
pub fn spans(first: NaiveDate, days: usize) -> Vec<Span> {
    let length = u64::try_from(days).unwrap_or(u64::MAX);
    let Some(last) = length
        .checked_sub(1)
        .and_then(|more| first.checked_add_days(Days::new(more)))
    else {
        return Vec::new();
    };
    Dekad::of(first)
        .to(Dekad::of(last))
        .map(|dekad| span(dekad, first, days))
        .collect()
}

/// Place of one dekad in a series of `days` days from `first`; empty when outside it.
#[must_use]
pub fn span(dekad: Dekad, first: NaiveDate, days: usize) -> Span {
    let position = |day: NaiveDate| {
        let offset = day.signed_duration_since(first).num_days();
        usize::try_from(offset).unwrap_or(0).min(days)
    };
    let window = dekad.window();
    let (from, until) = (position(window.start), position(window.end));
    let present = u32::try_from(until.saturating_sub(from)).unwrap_or(u32::MAX);
    Span {
        dekad,
        from,
        until,
        absent: window.day_count().saturating_sub(present),
    }
}

/// Rain of a dekad in a daily series, mm; days that the series does not reach are missing.
#[must_use]
pub fn sum(rain: &[Option<f64>], span: Span) -> Sum {
    let days = rain.get(span.from..span.until).unwrap_or_default();
    let mut sum = Sum {
        known_mm: 0.0,
        missing: span.absent,
    };
    for day in days {
        match day {
            Some(mm) => sum.known_mm += mm,
            None => sum.missing = sum.missing.saturating_add(1),
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn the_third_dekad_has_what_is_left_of_the_month() {
        let lengths = |year: i32| -> Vec<u32> {
            (1..=DEKADS_PER_YEAR)
                .map(|n| Dekad::new(year, n).unwrap().day_count())
                .collect()
        };
        let common = lengths(2019);
        assert_eq!(common.len(), 36);
        assert_eq!(common.iter().sum::<u32>(), 365);
        assert_eq!((common[5], common[2], common[11]), (8, 11, 10));
        assert_eq!(lengths(2020).iter().sum::<u32>(), 366);
        assert!(common.chunks(3).all(|month| month[..2] == [10, 10]));
    }

    #[test]
    fn the_leap_day_belongs_to_dekad_six() {
        let leap = Dekad::of(day("2020-02-29"));
        assert_eq!((leap.number(), leap.day_count()), (6, 9));
        assert_eq!(leap.last_day(), day("2020-02-29"));
        assert_eq!(leap.next(), Dekad::of(day("2020-03-01")));
        assert_eq!(leap.next().number(), 7);
        assert_eq!(Dekad::new(1900, 6).unwrap().day_count(), 8, "no leap year");
    }

    #[test]
    fn dekads_go_over_the_new_year_and_print_their_month() {
        let last = Dekad::new(2018, 36).unwrap();
        assert_eq!(last.to_string(), "2018-12-d3");
        assert_eq!(last.next().to_string(), "2019-01-d1");
        assert_eq!(last.next().previous(), last);
        assert_eq!(last.to(Dekad::new(2019, 3).unwrap()).count(), 4);
        assert_eq!(Dekad::new(2018, 0), None);
        assert_eq!(Dekad::new(2018, 37), None);
    }

    #[test]
    fn a_dekad_turns_at_local_midnight() {
        let at = |text: &str| Dekad::at(text.parse().unwrap()).number();
        assert_eq!(at("2019-03-10T20:59:59Z"), 7);
        assert_eq!(at("2019-03-10T21:00:00Z"), 8);
    }

    #[test]
    fn a_missing_or_absent_day_leaves_no_whole_sum() {
        let mut rain = vec![Some(1.0); 31];
        rain[12] = None;
        let from = day("2019-03-02");
        let sums: Vec<Sum> = spans(from, rain.len())
            .into_iter()
            .map(|span| sum(&rain, span))
            .collect();
        let told: Vec<_> = sums.iter().map(|s| (s.missing, s.whole_mm())).collect();
        // the series opens a day late, loses the 14th, and ends on 1 April
        assert_eq!(told, [(1, None), (1, None), (0, Some(11.0)), (9, None)]);
        assert_eq!(sums[0].known_mm.to_bits(), 9.0_f64.to_bits());
        assert_eq!(spans(from, 0), []);
        let outside = span(Dekad::new(2018, 1).unwrap(), from, rain.len());
        assert_eq!(sum(&rain, outside).missing, 10);
    }

    proptest! {
        #[test]
        fn every_day_lies_in_its_dekad_and_dekads_follow_without_gap(offset in 0_u64..60_000) {
            let day = day("1950-01-01") + Days::new(offset);
            let dekad = Dekad::of(day);
            prop_assert!(dekad.window().contains(day));
            prop_assert_eq!(Dekad::new(dekad.year(), dekad.number()), Some(dekad));
            prop_assert_eq!(dekad.next().first_day(), dekad.window().end);
            prop_assert!((8..=11).contains(&dekad.day_count()));
        }
    }
}
