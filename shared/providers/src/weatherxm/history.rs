//! One UTC day of samples. Every measurement may be missing and stays missing; the rain counter is
//! parsed from its digits to whole micrometres; other values are kept in thousandths of their unit.
//! Nothing is dropped or judged here: that is quality control's work.
//! Called by the client of this provider, and to re-read stored raw replies.

use chrono::{DateTime, FixedOffset, NaiveDate, Utc};
use domain::measure::RainUm;
use serde::Deserialize;

use super::station::{Health, WireHealth, health};
use crate::scalar::Scalar;

/// Largest counter read, micrometres (100,000 mm, the limit of `domain::measure`).
const COUNTER_UM_MAX: i64 = 100_000_000;

/// One sample of a station.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// When it was taken.
    pub at: DateTime<Utc>,
    /// The rain counter: grows, and falls at a reboot or at its maximum.
    pub rain_counter: Option<RainUm>,
    /// Whether a counter came that is no rain: negative, beyond any gauge, or not a number.
    pub is_counter_implausible: bool,
    /// Rain rate, thousandths of mm/h; never an amount.
    pub rain_rate_milli: Option<i32>,
    /// Temperature, thousandths of °C.
    pub temperature_milli: Option<i32>,
    /// Relative humidity, thousandths of a per cent.
    pub humidity_milli: Option<i32>,
    /// Wind speed, thousandths of m/s.
    pub wind_speed_milli: Option<i32>,
    /// Station pressure, thousandths of hPa.
    pub pressure_milli: Option<i32>,
    /// Solar irradiance, thousandths of W/m².
    pub irradiance_milli: Option<i32>,
}

/// One UTC day of a station.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayHistory {
    /// The day the answer says it is about.
    pub date: Option<NaiveDate>,
    /// Quality as carried by the answer, if it is.
    pub health: Option<Health>,
    /// Samples by time.
    pub observations: Vec<Observation>,
    /// Samples without a readable time: counted, not guessed.
    pub unreadable: u32,
}

#[derive(Deserialize)]
struct WireDay {
    #[serde(default)]
    date: Option<String>,
    #[serde(default)]
    health: Option<WireHealth>,
    observations: Vec<WireObservation>,
}

#[derive(Deserialize)]
struct WireObservation {
    #[serde(default)]
    timestamp: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    precipitation_accumulated: Option<Scalar>,
    #[serde(default)]
    precipitation_rate: Option<Scalar>,
    #[serde(default)]
    temperature: Option<Scalar>,
    #[serde(default)]
    humidity: Option<Scalar>,
    #[serde(default)]
    wind_speed: Option<Scalar>,
    #[serde(default)]
    pressure: Option<Scalar>,
    #[serde(default)]
    solar_irradiance: Option<Scalar>,
}

/// Reads a history answer, fresh or stored.
#[must_use]
pub fn parse_day(body: &[u8]) -> Option<DayHistory> {
    let wire: WireDay = serde_json::from_slice(body).ok()?;
    let sent = wire.observations.len();
    let mut observations: Vec<_> = wire
        .observations
        .into_iter()
        .filter_map(observation)
        .collect();
    observations.sort_by_key(|observation| observation.at);
    Some(DayHistory {
        date: wire.date.and_then(|date| date.get(..10)?.parse().ok()),
        health: wire.health.map(health),
        unreadable: u32::try_from(sent.saturating_sub(observations.len())).unwrap_or(u32::MAX),
        observations,
    })
}

fn observation(wire: WireObservation) -> Option<Observation> {
    let stamp = wire.timestamp.or(wire.created_at)?;
    let at = stamp
        .parse::<DateTime<FixedOffset>>()
        .ok()?
        .with_timezone(&Utc);
    let rain_counter = wire.precipitation_accumulated.as_ref().and_then(counter);
    Some(Observation {
        at,
        is_counter_implausible: wire.precipitation_accumulated.is_some() && rain_counter.is_none(),
        rain_counter,
        rain_rate_milli: milli(wire.precipitation_rate.as_ref()),
        temperature_milli: milli(wire.temperature.as_ref()),
        humidity_milli: milli(wire.humidity.as_ref()),
        wind_speed_milli: milli(wire.wind_speed.as_ref()),
        pressure_milli: milli(wire.pressure.as_ref()),
        irradiance_milli: milli(wire.solar_irradiance.as_ref()),
    })
}

/// Millimetres to whole micrometres, from the digits themselves.
fn counter(millimetres: &Scalar) -> Option<RainUm> {
    let um = millimetres.decimal()?.nearest(3)?;
    if !(0..=COUNTER_UM_MAX).contains(&um) {
        return None;
    }
    i32::try_from(um).ok().map(RainUm)
}

fn milli(scalar: Option<&Scalar>) -> Option<i32> {
    i32::try_from(scalar?.decimal()?.nearest(3)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_with_its_gaps() {
        let body = br#"{"date":"2026-03-03","health":{"data_quality":{"score":0.98},"location_quality":{"score":1.0,"reason":"-"}},
          "observations":[
            {"timestamp":"2026-03-03T12:30:00+03:00","temperature":24.1,"precipitation_rate":0.0,"precipitation_accumulated":412.731,"humidity":57,"wind_direction":134},
            {"created_at":"2026-03-03T09:15:00Z","temperature":null},
            {"timestamp":"yesterday"}],
          "location":{"lat":-1.29,"lon":36.82,"elevation":1661}}"#;
        let day = parse_day(body).unwrap();
        assert_eq!(day.date, NaiveDate::from_ymd_opt(2026, 3, 3));
        assert_eq!((day.observations.len(), day.unreadable), (2, 1));
        let [first, second] = day.observations.as_slice() else {
            panic!("two samples")
        };
        assert_eq!(first.rain_counter, None);
        assert!(!first.is_counter_implausible, "absent is not implausible");
        assert_eq!(second.rain_counter, Some(RainUm(412_731)));
        assert_eq!(second.temperature_milli, Some(24_100));
        assert_eq!(
            second.at,
            "2026-03-03T09:30:00Z".parse::<DateTime<Utc>>().unwrap()
        );
    }

    #[test]
    fn a_sentinel_is_flagged_and_never_rain() {
        for value in ["-9999", "1e9", "\"n/a\""] {
            let body = format!(
                r#"{{"observations":[{{"timestamp":"2026-03-03T09:15:00Z","precipitation_accumulated":{value}}}]}}"#
            );
            let day = parse_day(body.as_bytes()).unwrap();
            assert_eq!(day.observations[0].rain_counter, None, "{value}");
            assert!(day.observations[0].is_counter_implausible, "{value}");
        }
    }

    #[test]
    fn an_answer_without_samples_is_no_day() {
        assert_eq!(parse_day(br#"{"message":"not found"}"#), None);
    }
}
