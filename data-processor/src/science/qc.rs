//! Quality control: flags beside numbers. A flag never drops or changes a number, because rain that
//! is left out raises a payout; it lowers confidence and brings people in.
//! Used by the stream for each local day of a station; the modules below hold the tests by kind.

pub mod change;
pub mod climate;
pub mod daily;
pub mod internal;
pub mod nearby;
pub mod qartod;
pub mod range;
pub mod record;
pub mod spatial;

use std::collections::BTreeSet;

use chrono::NaiveDate;
use domain::measure::RainUm;
use domain::season::previous_day;

use qartod::{Qartod, Results, Test};

/// The most a gauge can measure, µm a second: 0.254 mm (the upper bound of WeatherXM's own quality
/// algorithm).
pub const RATE_UM_PER_SECOND_MAX: i64 = 254;
/// A day beyond this is suspect in Kenya, µm (250 mm).
pub const DAY_UM_MAX: i32 = 250_000;
/// Lowest data quality of a good day, 1e-4.
pub const DATA_QUALITY_E4_MIN: i16 = 8_000;
/// Location quality of a verified place, 1e-4.
pub const LOCATION_QUALITY_E4: i16 = 10_000;

/// What is odd about a local day of a station.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flag {
    /// More than an hour without a sample over local midnight, and the counter did not move: dry.
    Bridged,
    /// More than an hour without a sample inside the day; the counter tells what fell.
    Gap,
    /// More rain than is usual on Earth.
    Heavy,
    /// The place of the station was not verified.
    Location,
    /// More than an hour without a sample over local midnight while the counter moved: not known.
    Lost,
    /// The provider scored the data below 0.8.
    Quality,
    /// Rain faster than a gauge can measure.
    Rate,
    /// A reading was refused.
    Refused,
    /// The counter started anew.
    Reset,
    /// The provider has not scored the data.
    Unscored,
}

impl Flag {
    /// All of them.
    const ALL: [Self; 10] = [
        Self::Bridged,
        Self::Gap,
        Self::Heavy,
        Self::Location,
        Self::Lost,
        Self::Quality,
        Self::Rate,
        Self::Refused,
        Self::Reset,
        Self::Unscored,
    ];

    /// The flag of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flag| flag.as_str() == name)
    }

    /// The name in evidence.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bridged => "bridged",
            Self::Gap => "gap",
            Self::Heavy => "heavy",
            Self::Location => "location",
            Self::Lost => "lost",
            Self::Quality => "quality",
            Self::Rate => "rate",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Unscored => "unscored",
        }
    }

    /// The test that raises it, and what it says in QARTOD's words.
    #[must_use]
    pub const fn as_qartod(self) -> (Test, Qartod) {
        match self {
            Self::Bridged | Self::Gap => (Test::Timestamp, Qartod::Suspect),
            Self::Heavy => (Test::Climatology, Qartod::Suspect),
            Self::Location | Self::Quality => (Test::Metadata, Qartod::Suspect),
            Self::Lost => (Test::Timestamp, Qartod::Missing),
            Self::Rate => (Test::GrossRange, Qartod::Fail),
            Self::Refused => (Test::GrossRange, Qartod::Suspect),
            Self::Reset => (Test::Counter, Qartod::Suspect),
            Self::Unscored => (Test::Metadata, Qartod::NotEvaluated),
        }
    }
}

/// What the tests say of a local day of a station: missing without a number, else what its flags
/// say, and good where none was raised.
#[must_use]
pub fn day_results(rain: Option<RainUm>, flags: &BTreeSet<Flag>) -> Results {
    if rain.is_none() {
        return Results::MISSING;
    }
    let mut results = Results::default();
    for test in [
        Test::Timestamp,
        Test::GrossRange,
        Test::Climatology,
        Test::Counter,
    ] {
        results.record(test, Qartod::Good);
    }
    if !flags.contains(&Flag::Unscored) {
        results.record(Test::Metadata, Qartod::Good);
    }
    for (test, flag) in flags.iter().map(|flag| flag.as_qartod()) {
        results.record(test, flag);
    }
    results
}

/// The provider's word on a UTC day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quality {
    /// Data quality, 1e-4.
    pub data_e4: Option<i16>,
    /// Location quality, 1e-4.
    pub location_e4: Option<i16>,
}

/// Flags of a local day from the quality of the two UTC days it is made of.
pub fn quality_flags(day: NaiveDate, quality_of: impl Fn(NaiveDate) -> Quality) -> BTreeSet<Flag> {
    let mut flags = BTreeSet::new();
    for date in [previous_day(day), day] {
        let quality = quality_of(date);
        match quality.data_e4 {
            None => flags.insert(Flag::Unscored),
            Some(e4) if e4 < DATA_QUALITY_E4_MIN => flags.insert(Flag::Quality),
            Some(_) => false,
        };
        if quality
            .location_e4
            .is_some_and(|e4| e4 < LOCATION_QUALITY_E4)
        {
            flags.insert(Flag::Location);
        }
    }
    flags
}

/// Whether so much rain in so many seconds is more than a gauge can measure.
#[must_use]
pub fn is_too_fast(delta: RainUm, seconds: i64) -> bool {
    i64::from(delta.0) > seconds.max(1).saturating_mul(RATE_UM_PER_SECOND_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_as_good_as_both_of_its_utc_days() {
        let day: NaiveDate = "2026-03-05".parse().unwrap();
        let good = Quality {
            data_e4: Some(9_500),
            location_e4: Some(10_000),
        };
        let with = |before: Quality| {
            let flags = quality_flags(day, |date| if date == day { good } else { before });
            flags.into_iter().map(Flag::as_str).collect::<Vec<_>>()
        };
        assert_eq!(with(good), Vec::<&str>::new());
        assert_eq!(
            with(Quality {
                data_e4: Some(7_999),
                ..good
            }),
            ["quality"]
        );
        assert_eq!(
            with(Quality {
                data_e4: None,
                location_e4: Some(0)
            }),
            ["location", "unscored"]
        );
    }

    #[test]
    fn flags_of_a_day_are_said_in_qartods_words() {
        let of =
            |rain, flags: &[Flag]| day_results(rain, &flags.iter().copied().collect()).aggregate();
        let rain = Some(RainUm(1_000));
        assert_eq!(of(rain, &[]), Qartod::Good);
        assert_eq!(of(rain, &[Flag::Unscored]), Qartod::Good);
        assert_eq!(of(rain, &[Flag::Reset, Flag::Unscored]), Qartod::Suspect);
        assert_eq!(of(rain, &[Flag::Reset, Flag::Rate]), Qartod::Fail);
        assert_eq!(of(None, &[Flag::Lost]), Qartod::Missing);
        let reset = day_results(rain, &BTreeSet::from([Flag::Reset]));
        assert_eq!(reset.odd().collect::<Vec<_>>(), [Test::Counter]);
    }

    #[test]
    fn a_gauge_measures_at_most_a_quarter_of_a_millimetre_a_second() {
        assert!(!is_too_fast(RainUm(228_600), 900));
        assert!(is_too_fast(RainUm(228_601), 900));
    }
}
