//! Quality control: flags beside numbers. A flag never drops or changes a number, because rain that
//! is left out raises a payout; it lowers confidence and brings people in.
//! Used by the stream for each local day of a station.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use domain::measure::RainUm;
use domain::season::previous_day;

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
    fn a_gauge_measures_at_most_a_quarter_of_a_millimetre_a_second() {
        assert!(!is_too_fast(RainUm(228_600), 900));
        assert!(is_too_fast(RainUm(228_601), 900));
    }
}
