//! The tests of quality control that one station's daily record allows, run in their order.
//! Every day that came in comes out, with its raw number untouched. Used for imports, for the
//! baseline and by the families of `validate`.

use chrono::NaiveDate;

use super::change::persistence_days;
use super::climate::{RainClimate, TemperatureClimate};
use super::internal::temperatures;
use super::qartod::{Results, Test};
use super::range::{Checked, Measure};
use super::record::accumulated;

/// Part of a station's wet days above which a reading after a gap may hold several days.
const LARGE_FROM: f64 = 0.95;

/// Daily rain, mm, as it arrived, from `first` on: ranges, persistence, the station's own tail and
/// repeats, readings that may hold several days.
#[must_use]
pub fn rain_days(first: NaiveDate, raw_mm: &[Option<f64>]) -> Vec<Checked> {
    let mut days: Vec<Checked> = raw_mm
        .iter()
        .map(|raw| Checked::of(Measure::RainDay, *raw))
        .collect();
    let values: Vec<Option<f64>> = days.iter().map(|day| day.value).collect();
    let mut results: Vec<Results> = days.iter().map(|day| day.results).collect();
    persistence_days(&values, &mut results);
    let climate = RainClimate::of(first, &values);
    if let Some(large) = climate.quantile(LARGE_FROM) {
        accumulated(&values, large, &mut results);
    }
    for ((date, value), day) in first.iter_days().zip(&values).zip(&mut results) {
        if let Some(mm) = value {
            day.record(Test::Tail, climate.tail(date, *mm));
            day.record(Test::Repeat, climate.repeat(*mm));
        }
    }
    for (day, results) in days.iter_mut().zip(results) {
        day.results = results;
    }
    days
}

/// Least, mean and most of each day's air temperature, °C.
#[derive(Debug, Clone)]
pub struct Temperatures {
    /// Least.
    pub least: Vec<Checked>,
    /// Mean.
    pub mean: Vec<Checked>,
    /// Most.
    pub most: Vec<Checked>,
}

/// Daily temperatures, °C, as they arrived, from `first` on: ranges, distance from the station's
/// own months, and the order of the three.
#[must_use]
pub fn temperature_days(
    first: NaiveDate,
    least: &[Option<f64>],
    mean: &[Option<f64>],
    most: &[Option<f64>],
) -> Temperatures {
    let checked = |raw: &[Option<f64>]| {
        let mut days: Vec<Checked> = raw
            .iter()
            .map(|raw| Checked::of(Measure::Temperature, *raw))
            .collect();
        let values: Vec<Option<f64>> = days.iter().map(|day| day.value).collect();
        let climate = TemperatureClimate::of(first, &values);
        for (date, day) in first.iter_days().zip(&mut days) {
            if let Some(value) = day.value {
                day.results.record(Test::Tail, climate.outlier(date, value));
            }
        }
        days
    };
    let (mut least, mut mean, mut most) = (checked(least), checked(mean), checked(most));
    for ((low, middle), high) in least.iter_mut().zip(&mut mean).zip(&mut most) {
        let flag = temperatures(low.value, middle.value, high.value);
        for day in [low, middle, high] {
            if day.value.is_some() {
                day.results.record(Test::Internal, flag);
            }
        }
    }
    Temperatures { least, mean, most }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::science::qc::qartod::Qartod;

    fn first() -> NaiveDate {
        NaiveDate::from_ymd_opt(2020, 1, 1).unwrap()
    }

    #[test]
    fn every_day_comes_out_as_it_came_in() {
        let raw = [Some(0.0), Some(-9_999.0), None, Some(300.0), Some(f64::NAN)];
        let days = rain_days(first(), &raw);
        let bits = |value: &Option<f64>| value.map(f64::to_bits);
        for (day, raw) in days.iter().zip(&raw) {
            assert_eq!(bits(&day.raw), bits(raw));
        }
        let flags: Vec<_> = days.iter().map(|d| d.results.aggregate().code()).collect();
        assert_eq!(flags, [1, 9, 9, 3, 9]);
        assert_eq!(days[3].value, Some(300.0));
    }

    #[test]
    fn a_night_warmer_than_its_day_fails_with_all_three() {
        let found = temperature_days(
            first(),
            &[Some(15.0), Some(30.0)],
            &[Some(20.0), None],
            &[Some(25.0), Some(25.0)],
        );
        let flags = |days: &[Checked]| [0, 1].map(|n| days[n].results.aggregate());
        assert_eq!(flags(&found.least), [Qartod::Good, Qartod::Fail]);
        assert_eq!(flags(&found.mean), [Qartod::Good, Qartod::Missing]);
        assert_eq!(flags(&found.most), [Qartod::Good, Qartod::Fail]);
    }
}
