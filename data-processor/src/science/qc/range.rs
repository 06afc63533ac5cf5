//! From what arrived to a number or nothing, and what instruments (WMO) and Kenya's climate allow.
//! A sentinel becomes missing, never a number; what is out of range stays a number, flagged.
//! Used for each sample and each day.

use super::qartod::{Qartod, Results, Test};

/// What is measured, and so the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Air temperature, °C.
    Temperature,
    /// Dew point, °C.
    DewPoint,
    /// Relative humidity, per cent.
    Humidity,
    /// Wind speed, m/s.
    Wind,
    /// Pressure at the station, hPa.
    Pressure,
    /// Rain in one minute, mm.
    RainMinute,
    /// Rain of a day, mm.
    RainDay,
    /// Global radiation, W/m².
    Solar,
}

/// Numbers that providers write where there is none, whatever is measured.
const SENTINELS: [f64; 7] = [
    -9_999.0, -999.0, -999.9, -99_999.0, 9_999.0, 65_535.0, 99_999.0,
];
/// A further one where 999 cannot be measured: it can for pressure (hPa) and radiation (W/m²).
const SENTINEL_SHORT: f64 = 999.0;
/// The wettest day measured on Earth, mm (Foc-Foc, La Réunion, 1966).
const RAIN_DAY_MM_MAX: f64 = 1_825.0;
/// A day beyond this is suspect in Kenya, mm.
pub const RAIN_DAY_MM_KENYA: f64 = 250.0;
/// Air temperature outside this is suspect in Kenya, °C.
pub const TEMPERATURE_C_KENYA: [f64; 2] = [-5.0, 45.0];
/// A measured drop that does not make a day wet, mm: below the least a tipping bucket counts.
pub const TRACE_MM: f64 = 0.2;

impl Measure {
    /// Whether it is an amount, which cannot be negative.
    const fn is_amount(self) -> bool {
        matches!(self, Self::RainMinute | Self::RainDay)
    }

    const fn can_be_999(self) -> bool {
        matches!(self, Self::Pressure | Self::Solar)
    }

    /// Least and most an instrument reports: WMO guidelines on quality control of automatic
    /// stations (Zahumenský 2004); of rain in a day, what has fallen on Earth.
    #[must_use]
    pub const fn gross(self) -> [f64; 2] {
        match self {
            Self::Temperature | Self::DewPoint => [-80.0, 60.0],
            Self::Humidity => [0.0, 100.0],
            Self::Wind => [0.0, 75.0],
            Self::Pressure => [500.0, 1_100.0],
            Self::RainMinute => [0.0, 40.0],
            Self::RainDay => [0.0, RAIN_DAY_MM_MAX],
            Self::Solar => [0.0, 1_600.0],
        }
    }

    /// Least and most that Kenya's climate gives, where we hold it to something.
    #[must_use]
    pub const fn kenya(self) -> Option<[f64; 2]> {
        match self {
            Self::Temperature => Some(TEMPERATURE_C_KENYA),
            Self::RainDay => Some([0.0, RAIN_DAY_MM_KENYA]),
            _ => None,
        }
    }
}

/// The number in what arrived: none for NaN, infinities, sentinels, and amounts below zero (an
/// average into which -9999 leaked is one too).
#[must_use]
pub fn number(measure: Measure, raw: f64) -> Option<f64> {
    let is = |sentinel: f64| (raw - sentinel).abs() < 1e-6;
    let is_sentinel = !raw.is_finite()
        || SENTINELS.into_iter().any(is)
        || (is(SENTINEL_SHORT) && !measure.can_be_999())
        || (measure.is_amount() && raw < 0.0);
    (!is_sentinel).then_some(raw)
}

/// Whether an instrument can report it: good or fail.
#[must_use]
pub fn gross_range(measure: Measure, value: f64) -> Qartod {
    let [least, most] = measure.gross();
    Qartod::fail_if(!(least..=most).contains(&value))
}

/// Whether Kenya's climate gives it: good, suspect, or not evaluated where nothing is held.
#[must_use]
pub fn kenya_range(measure: Measure, value: f64) -> Qartod {
    measure
        .kenya()
        .map_or(Qartod::NotEvaluated, |[least, most]| {
            Qartod::suspect_if(!(least..=most).contains(&value))
        })
}

/// A number, what arrived in its place, and what the tests say. The raw number is never written to.
#[derive(Debug, Clone, Copy)]
pub struct Checked {
    /// What arrived, be it a sentinel; `None` when nothing did.
    pub raw: Option<f64>,
    /// The number in it.
    pub value: Option<f64>,
    /// What each test says.
    pub results: Results,
}

impl Checked {
    /// Of one that arrived: range tests made.
    #[must_use]
    pub fn of(measure: Measure, raw: Option<f64>) -> Self {
        let value = raw.and_then(|raw| number(measure, raw));
        let mut results = Results::MISSING;
        if let Some(value) = value {
            results = Results::default();
            results.record(Test::GrossRange, gross_range(measure, value));
            results.record(Test::Climatology, kenya_range(measure, value));
        }
        Self {
            raw,
            value,
            results,
        }
    }
}

/// Whether it is a trace: measured, more than nothing, less than a bucket. A trace is a number; it
/// does not break a dry spell (a wet day has 1 mm).
#[must_use]
pub fn is_trace(mm: f64) -> bool {
    mm > 0.0 && mm < TRACE_MM
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentinel_is_missing_and_never_a_number() {
        let leaked_average = -833.14;
        for raw in [
            -9_999.0,
            999.0,
            65_535.0,
            f64::NAN,
            f64::INFINITY,
            -0.1,
            leaked_average,
        ] {
            let checked = Checked::of(Measure::RainDay, Some(raw));
            assert_eq!(checked.value, None, "{raw}");
            assert_eq!(checked.results.aggregate(), Qartod::Missing);
            assert_eq!(checked.raw.map(f64::to_bits), Some(raw.to_bits()));
        }
        assert_eq!(
            Checked::of(Measure::RainDay, None).results,
            Results::MISSING
        );
    }

    #[test]
    fn what_is_a_sentinel_of_rain_may_be_a_pressure() {
        assert_eq!(number(Measure::Pressure, 999.0), Some(999.0));
        assert_eq!(number(Measure::Solar, 999.0), Some(999.0));
        assert_eq!(number(Measure::Temperature, -0.1), Some(-0.1));
        assert_eq!(number(Measure::Temperature, 999.0), None);
    }

    #[test]
    fn a_trace_is_a_number_and_good() {
        for (mm, trace) in [(0.0, false), (0.1, true), (0.19, true), (0.2, false)] {
            let checked = Checked::of(Measure::RainDay, Some(mm));
            assert_eq!(checked.value, Some(mm));
            assert_eq!(checked.results.aggregate(), Qartod::Good);
            assert_eq!(is_trace(mm), trace, "{mm}");
        }
    }

    #[test]
    fn instruments_have_limits_and_so_has_kenya() {
        let cases = [
            (Measure::Temperature, 45.0, Qartod::Good),
            (Measure::Temperature, 45.5, Qartod::Suspect),
            (Measure::Temperature, -5.1, Qartod::Suspect),
            (Measure::Temperature, 60.1, Qartod::Fail),
            (Measure::Humidity, 100.0, Qartod::Good),
            (Measure::Humidity, 100.1, Qartod::Fail),
            (Measure::Wind, 75.1, Qartod::Fail),
            (Measure::Pressure, 499.9, Qartod::Fail),
            (Measure::RainMinute, 40.1, Qartod::Fail),
            (Measure::Solar, 1_600.1, Qartod::Fail),
            (Measure::RainDay, 250.0, Qartod::Good),
            (Measure::RainDay, 307.41, Qartod::Suspect),
            (Measure::RainDay, 1_826.0, Qartod::Fail),
        ];
        for (measure, raw, flag) in cases {
            let checked = Checked::of(measure, Some(raw));
            assert_eq!(checked.results.aggregate(), flag, "{measure:?} {raw}");
            assert_eq!(checked.value, Some(raw));
        }
    }
}
