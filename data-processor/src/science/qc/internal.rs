//! A station against itself: its instruments at one time, and one instrument's unit.
//! Tells what cannot go together; never tells which of the two is wrong, nor mends either.
//! Used for samples and days.

use super::qartod::Qartod;

/// Humidity below which rain is odd, per cent.
const RAIN_HUMIDITY_MIN: f64 = 40.0;
/// Air this warm is Kelvin that was not converted, °C.
const KELVIN_MIN: f64 = 150.0;
/// 0 °C, K.
const ZERO_C_IN_KELVIN: f64 = 273.15;
/// Wet totals compared before a unit is told, mm of the reference.
const UNIT_MM_MIN: f64 = 50.0;
/// A ratio within this factor of a unit's own is that unit.
const UNIT_FACTOR: f64 = 2.0;

/// A day's temperatures, °C: fail when the least exceeds the most (then no range can be had from
/// them), suspect when the mean lies outside.
#[must_use]
pub fn temperatures(least: Option<f64>, mean: Option<f64>, most: Option<f64>) -> Qartod {
    let exceeds = |low: Option<f64>, high: Option<f64>| Some(low? > high?);
    match (
        exceeds(least, most),
        exceeds(least, mean),
        exceeds(mean, most),
    ) {
        (Some(true), ..) => Qartod::Fail,
        (_, Some(true), _) | (.., Some(true)) => Qartod::Suspect,
        (None, None, None) => Qartod::NotEvaluated,
        _ => Qartod::Good,
    }
}

/// Dew point above the air's temperature, °C, is suspect.
#[must_use]
pub fn dew_point(dew: f64, air: f64) -> Qartod {
    Qartod::suspect_if(dew > air)
}

/// Rain, mm, in air as dry as below 40 % is suspect.
#[must_use]
pub fn rain_in_dry_air(rain_mm: f64, humidity: f64) -> Qartod {
    Qartod::suspect_if(rain_mm > 0.0 && humidity < RAIN_HUMIDITY_MIN)
}

/// What a number of rain or temperature may have been sent in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// mm (of rain).
    Millimetre,
    /// Inches of rain: 25.4 mm.
    Inch,
    /// Metres of rain: 1,000 mm (ERA5).
    Metre,
    /// kg m-2 s-1 as a day's mean: 86,400 mm a day.
    KilogramPerSecond,
    /// Millimetres multiplied by 25.4 again.
    InchTwice,
    /// °C.
    Celsius,
    /// K.
    Kelvin,
}

impl Unit {
    /// Millimetres in one, for units of a day's rain.
    const fn millimetres(self) -> Option<f64> {
        match self {
            Self::Millimetre => Some(1.0),
            Self::Inch => Some(25.4),
            Self::Metre => Some(1_000.0),
            Self::KilogramPerSecond => Some(86_400.0),
            Self::InchTwice => Some(1.0 / 25.4),
            Self::Celsius | Self::Kelvin => None,
        }
    }

    /// The number in mm or °C.
    #[must_use]
    pub fn convert(self, value: f64) -> f64 {
        match self {
            Self::Celsius => value,
            Self::Kelvin => value - ZERO_C_IN_KELVIN,
            rain => value * rain.millimetres().unwrap_or(1.0),
        }
    }
}

/// The unit of a series of daily rain, by its total against a reference's, mm, over the days both
/// know. `None` when the reference has less than 50 mm in them, when the series is dry, or when no
/// unit comes within a factor of two: then it is not the unit.
#[must_use]
pub fn rain_unit(series: &[Option<f64>], reference_mm: &[Option<f64>]) -> Option<Unit> {
    let (mut here, mut there) = (0.0, 0.0);
    for (value, mm) in series.iter().zip(reference_mm) {
        if let (Some(value), Some(mm)) = (value, mm) {
            here += value;
            there += mm;
        }
    }
    if there < UNIT_MM_MIN || here <= 0.0 {
        return None;
    }
    let told = there / here;
    // how many times too large or too small; the units lie a factor of 25 or more apart
    let off = |unit: Unit| {
        let ratio = told / unit.millimetres().unwrap_or(1.0);
        ratio.max(1.0 / ratio)
    };
    [
        Unit::Millimetre,
        Unit::Inch,
        Unit::Metre,
        Unit::KilogramPerSecond,
        Unit::InchTwice,
    ]
    .into_iter()
    .find(|unit| off(*unit) <= UNIT_FACTOR)
}

/// The unit of air temperatures: K when even the least is warmer than anything in °C.
#[must_use]
pub fn temperature_unit(values: &[Option<f64>]) -> Option<Unit> {
    let least = values.iter().flatten().copied().reduce(f64::min)?;
    Some(if least > KELVIN_MIN {
        Unit::Kelvin
    } else {
        Unit::Celsius
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_mean_and_most_stand_in_their_order() {
        let flag = |least, mean, most| temperatures(least, mean, most);
        assert_eq!(flag(Some(12.0), Some(18.0), Some(26.0)), Qartod::Good);
        assert_eq!(flag(Some(27.0), Some(18.0), Some(26.0)), Qartod::Fail);
        assert_eq!(flag(Some(19.0), Some(18.0), Some(26.0)), Qartod::Suspect);
        assert_eq!(flag(Some(12.0), Some(26.1), Some(26.0)), Qartod::Suspect);
        assert_eq!(flag(Some(12.0), None, Some(26.0)), Qartod::Good);
        assert_eq!(flag(None, None, Some(26.0)), Qartod::NotEvaluated);
    }

    #[test]
    fn dew_is_no_warmer_than_air_and_rain_needs_damp_air() {
        assert_eq!(dew_point(15.0, 15.0), Qartod::Good);
        assert_eq!(dew_point(15.1, 15.0), Qartod::Suspect);
        assert_eq!(rain_in_dry_air(0.2, 39.9), Qartod::Suspect);
        assert_eq!(rain_in_dry_air(0.0, 10.0), Qartod::Good);
        assert_eq!(rain_in_dry_air(5.0, 40.0), Qartod::Good);
    }

    #[test]
    fn a_wrong_unit_is_told_by_its_total() {
        let reference: Vec<Option<f64>> = (0..30).map(|n| Some(f64::from(n % 7) * 3.0)).collect();
        let sent_in = |factor: f64| -> Vec<Option<f64>> {
            // a gauge that catches a fifth less than the reference
            reference
                .iter()
                .map(|mm| mm.map(|mm| 0.8 * mm / factor))
                .collect()
        };
        for (factor, unit) in [
            (1.0, Unit::Millimetre),
            (25.4, Unit::Inch),
            (1_000.0, Unit::Metre),
            (86_400.0, Unit::KilogramPerSecond),
            (1.0 / 25.4, Unit::InchTwice),
        ] {
            let series = sent_in(factor);
            assert_eq!(rain_unit(&series, &reference), Some(unit));
            let mended = unit.convert(series[1].unwrap());
            assert!((mended - 2.4).abs() < 1e-9, "{mended}");
        }
        // a drought is not a unit
        assert_eq!(rain_unit(&sent_in(8.0), &reference), None);
        assert_eq!(rain_unit(&[Some(0.0); 30], &reference), None);
        assert_eq!(rain_unit(&[None; 30], &reference), None);
    }

    #[test]
    fn kelvin_is_told_from_celsius() {
        let kelvin = [Some(291.3), None, Some(299.0)];
        assert_eq!(temperature_unit(&kelvin), Some(Unit::Kelvin));
        assert!((Unit::Kelvin.convert(291.3) - 18.15).abs() < 1e-9);
        assert_eq!(temperature_unit(&[Some(18.1)]), Some(Unit::Celsius));
        assert_eq!(temperature_unit(&[None]), None);
    }
}
