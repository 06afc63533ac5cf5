//! Monthly evapotranspiration in the conventions of SPEI-R (Allen and others 1994, for the ICID)
//! and of climate-indices, so that their fixtures and their users' series can be met. New products
//! take the daily functions. Pure. Called by `validate` and by the SPEI of monthly series.

use core::f64::consts::PI;

use super::sun;
use crate::science::count;

/// Days of the months of a common year.
pub const MONTH_DAYS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// SPEI-R's degrees in a radian.
const DEGREES: f64 = 57.295_779_5;

/// SPEI-R's 2π/365.
const DAY_ANGLE: f64 = 0.0172;

/// SPEI-R's 24·60/π·0.0820.
const RADIATION: f64 = 37.6;

/// Days of a month of a common year, and SPEI-R's day amid it: what went before and 15.
fn month(at: usize) -> (f64, f64) {
    let at = at % 12;
    let before: u32 = MONTH_DAYS.iter().take(at).sum();
    let days = MONTH_DAYS.get(at).copied().unwrap_or(30);
    (f64::from(days), f64::from(before + 15))
}

/// Ra amid a month counted from January as 0, MJ m⁻² a day, with SPEI-R's rounded constants: 0.5 %
/// from [`sun::extraterrestrial`] at most.
#[must_use]
pub fn extraterrestrial(latitude: f64, at: usize) -> f64 {
    let (_, day) = month(at);
    let place = latitude / DEGREES;
    let declination = 0.409 * libm::sin(DAY_ANGLE * day - 1.39);
    let distance = 1.0 + 0.033 * libm::cos(DAY_ANGLE * day);
    let sunset = sun::sunset_angle(place, declination);
    (RADIATION * distance * sun::height(place, declination, sunset)).max(0.0)
}

/// Hargreaves' ETo of a month counted from January as 0, mm, from its mean extremes in °C. `None`
/// if the maximum is below the minimum.
#[must_use]
pub fn hargreaves(t_min: f64, t_max: f64, latitude: f64, at: usize) -> Option<f64> {
    let (days, _) = month(at);
    super::hargreaves(t_min, t_max, extraterrestrial(latitude, at)).map(|eto| eto * days)
}

/// A month's means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Month {
    /// °C.
    pub t_min: f64,
    /// °C.
    pub t_max: f64,
    /// Relative humidity, %.
    pub humidity: f64,
    /// Wind at 2 m, m s⁻¹.
    pub wind: f64,
    /// Rs, MJ m⁻² a day.
    pub solar: f64,
}

impl Month {
    fn t_mean(&self) -> f64 {
        f64::midpoint(self.t_min, self.t_max)
    }
}

/// Penman-Monteith's ETo of months from January on, mm a month, in SPEI-R's default variant (ICID
/// 1994): its own psychrometric constant (λ of the temperature), slope at the mean saturation,
/// humidity by the harmonic mean, soil heat by central differences and one-sided at the ends. At
/// least two months; `out` takes as many as both hold.
pub fn penman_icid(months: &[Month], latitude: f64, altitude: f64, out: &mut [f64]) {
    let saturation = |celsius: f64| 0.611 * libm::exp(17.27 * celsius / (celsius + 237.3));
    let fourth = |celsius: f64| {
        let square = (273.15 + celsius) * (273.15 + celsius);
        square * square
    };
    let pressure = super::vapour::pressure(altitude);
    for (at, (weather, out)) in months.iter().zip(out).enumerate() {
        let t = weather.t_mean();
        let before = at
            .checked_sub(1)
            .and_then(|at| months.get(at))
            .map(Month::t_mean);
        let after = months.get(at + 1).map(Month::t_mean);
        let soil_heat = match (before, after) {
            (Some(before), Some(after)) => 0.07 * (after - before),
            (Some(before), None) => 0.14 * (t - before),
            (None, Some(after)) => 0.14 * (after - t),
            (None, None) => 0.0,
        };
        let psychrometric = 1.63e-3 * pressure / (2.501 - 2.361e-3 * t);
        let (high, low) = (saturation(weather.t_max), saturation(weather.t_min));
        let mean = f64::midpoint(high, low);
        let actual = weather.humidity / (50.0 / low + 50.0 / high);
        let ra = extraterrestrial(latitude, at);
        let clear = (0.75 + 2e-5 * altitude) * ra;
        let long = (1.35 * weather.solar / clear - 0.35)
            * (0.34 - 0.14 * actual.sqrt())
            * 4.9e-9
            * (fourth(weather.t_max) + fourth(weather.t_min))
            / 2.0;
        let eto = super::penman_monteith(&super::Terms {
            net_radiation: (1.0 - 0.23) * weather.solar - long,
            soil_heat,
            t_mean: t,
            wind: weather.wind,
            saturation: mean,
            actual,
            slope: 4_099.0 * mean / ((t + 237.3) * (t + 237.3)),
            psychrometric,
        });
        *out = eto.max(0.0) * month(at).0;
    }
}

/// Whose Thornthwaite it is: they differ in the day length and in cold months.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thornthwaite {
    /// SPEI-R: day length amid the month, years of 365 days, monthly means cut at 0 °C.
    SpeiR,
    /// climate-indices: day length averaged over the month's days, leap years, every month cut at
    /// 0 °C before its mean. The year the series starts in.
    ClimateIndices(i32),
}

/// Thornthwaite's potential evapotranspiration (1948), mm a month, of monthly mean temperatures in
/// °C from January on, at a latitude in degrees; into a buffer of the same length.
///
/// All missing if a calendar month has no temperature at all: the heat index is a sum over twelve.
pub fn thornthwaite(
    temperatures: &[Option<f64>],
    latitude: f64,
    convention: Thornthwaite,
    out: &mut [Option<f64>],
) {
    let Some(heat) = heat_index(temperatures, convention) else {
        out.fill(None);
        return;
    };
    let exponent = 6.75e-7 * heat * heat * heat - 7.71e-5 * heat * heat + 0.01792 * heat + 0.49239;
    let lengths = [false, true].map(|is_leap| lengths(latitude, convention, is_leap));
    for (at, (temperature, out)) in temperatures.iter().zip(out).enumerate() {
        let [common, leap] = &lengths;
        let year = if is_leap(convention, at / 12) {
            leap
        } else {
            common
        };
        let length = year.get(at % 12).copied().unwrap_or(0.0);
        *out = temperature.map(|celsius| {
            if heat > 0.0 {
                length * 16.0 * libm::pow(10.0 * celsius.max(0.0) / heat, exponent)
            } else {
                0.0
            }
        });
    }
}

/// I = Σ (T/5)^1.514 over the means of the twelve calendar months.
fn heat_index(temperatures: &[Option<f64>], convention: Thornthwaite) -> Option<f64> {
    let mut heat = 0.0;
    for month in 0..12 {
        let (mut sum, mut known) = (0.0, 0);
        for celsius in temperatures.iter().skip(month).step_by(12).flatten() {
            sum += match convention {
                Thornthwaite::SpeiR => *celsius,
                Thornthwaite::ClimateIndices(_) => celsius.max(0.0),
            };
            known += 1;
        }
        if known == 0 {
            return None;
        }
        heat += libm::pow((sum / count(known)).max(0.0) / 5.0, 1.514);
    }
    Some(heat)
}

/// K of each month: day length over 12 h, days over 30.
fn lengths(latitude: f64, convention: Thornthwaite, is_leap: bool) -> [f64; 12] {
    let mut lengths = [0.0; 12];
    let mut day = 0;
    for (at, length) in lengths.iter_mut().enumerate() {
        let (days, middle) = month(at);
        *length = match convention {
            Thornthwaite::SpeiR => {
                let declination = 0.4093 * libm::sin(2.0 * PI * middle / 365.0 - 1.405);
                let sunset = sun::sunset_angle(latitude / DEGREES, declination);
                sun::daylight_hours(sunset) / 12.0 * days / 30.0
            }
            Thornthwaite::ClimateIndices(_) => {
                let days =
                    MONTH_DAYS.get(at).copied().unwrap_or(30) + u32::from(is_leap && at == 1);
                let mut hours = 0.0;
                for _ in 0..days {
                    day += 1;
                    let sunset = sun::sunset_angle(sun::radians(latitude), sun::declination(day));
                    hours += sun::daylight_hours(sunset);
                }
                hours / f64::from(days) / 12.0 * f64::from(days) / 30.0
            }
        };
    }
    lengths
}

fn is_leap(convention: Thornthwaite, years: usize) -> bool {
    match convention {
        Thornthwaite::SpeiR => false,
        Thornthwaite::ClimateIndices(starts) => i32::try_from(years)
            .ok()
            .and_then(|years| starts.checked_add(years))
            .is_some_and(|year| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)),
    }
}
