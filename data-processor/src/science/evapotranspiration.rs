//! Reference evapotranspiration: Hargreaves from temperatures, Penman-Monteith from weather, with
//! every piece of FAO Irrigation and Drainage Paper 56 (Allen and others 1998) by its equation, and
//! the monthly conventions of other libraries apart, in `monthly`. Pure; a reading that contradicts
//! itself gives nothing, never a root of a negative. Called by the water balance and `validate`.

pub mod monthly;
pub mod radiation;
pub mod sun;
pub mod vapour;

use vapour::{psychrometric, slope};

/// Hargreaves' coefficient (FAO-56 eq. 52) with Ra as millimetres of evaporation.
const HARGREAVES: f64 = 0.0023;

/// Added to the mean temperature, °C (eq. 52).
const HARGREAVES_SHIFT: f64 = 17.8;

/// 1/λ, mm of water a MJ m⁻² evaporates (eq. 20: λ = 2.45 MJ kg⁻¹).
pub const MM_PER_MJ: f64 = 0.408;

/// Hargreaves' ETo, mm a day (FAO-56 eq. 52), from the day's extremes in °C and extraterrestrial
/// radiation in MJ m⁻² a day ([`sun::extraterrestrial`]). Never below 0.
///
/// Poor in hot wind and on the coast: in Kenya in 2019 0.74 of Penman-Monteith in Turkana and 0.72
/// in Mombasa, 0.92 over all counties.
///
/// `None` if the maximum is below the minimum: a failed reading.
#[must_use]
pub fn hargreaves(t_min: f64, t_max: f64, ra: f64) -> Option<f64> {
    hargreaves_with_mean(t_min, t_max, f64::midpoint(t_min, t_max), ra)
}

/// As [`hargreaves`], with a mean temperature that was measured instead of the middle.
#[must_use]
pub fn hargreaves_with_mean(t_min: f64, t_max: f64, t_mean: f64, ra: f64) -> Option<f64> {
    let range = t_max - t_min;
    let eto = HARGREAVES * (t_mean + HARGREAVES_SHIFT) * range.max(0.0).sqrt() * MM_PER_MJ * ra;
    // a NaN is no range either
    (range >= 0.0 && eto.is_finite()).then_some(eto.max(0.0))
}

/// What Penman-Monteith needs, each by its own piece.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// Rn, MJ m⁻² a day.
    pub net_radiation: f64,
    /// G, MJ m⁻² a day: 0 for a day (eq. 42).
    pub soil_heat: f64,
    /// Mean temperature, °C.
    pub t_mean: f64,
    /// u₂, m s⁻¹ at 2 m.
    pub wind: f64,
    /// es, kPa.
    pub saturation: f64,
    /// ea, kPa.
    pub actual: f64,
    /// Δ, kPa °C⁻¹.
    pub slope: f64,
    /// γ, kPa °C⁻¹.
    pub psychrometric: f64,
}

/// Penman-Monteith's ETo of the grass reference, mm a day (FAO-56 eq. 6). May be slightly below 0
/// on a cold night's balance, as the equation has it.
#[must_use]
pub fn penman_monteith(terms: &Terms) -> f64 {
    let Terms {
        net_radiation,
        soil_heat,
        t_mean,
        wind,
        saturation,
        actual,
        slope,
        psychrometric,
    } = *terms;
    let radiation = MM_PER_MJ * slope * (net_radiation - soil_heat);
    let wind_term = psychrometric * 900.0 / (t_mean + 273.0) * wind * (saturation - actual);
    (radiation + wind_term) / (slope + psychrometric * (1.0 + 0.34 * wind))
}

/// A day's weather at a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weather {
    /// Degrees, north positive.
    pub latitude: f64,
    /// Metres above the sea.
    pub altitude: f64,
    /// Day of the year, 1 … 366.
    pub day: u32,
    /// °C.
    pub t_min: f64,
    /// °C.
    pub t_max: f64,
    /// ea, kPa, by one of [`vapour`]'s functions.
    pub actual: f64,
    /// u₂, m s⁻¹ at 2 m ([`vapour::wind_at_two_metres`]).
    pub wind: f64,
    /// Rs, MJ m⁻² a day, measured or by one of [`radiation`]'s functions.
    pub solar: f64,
}

/// Penman-Monteith's ETo of a day, mm, with all that can be derived derived (FAO-56 chapter 3).
/// Never below 0. `None` if the maximum is below the minimum or something is no number.
#[must_use]
pub fn daily(weather: &Weather) -> Option<f64> {
    let Weather {
        latitude,
        altitude,
        day,
        t_min,
        t_max,
        actual,
        wind,
        solar,
    } = *weather;
    let ra = sun::extraterrestrial(latitude, day);
    let clear = radiation::clear_sky(altitude, ra);
    let t_mean = f64::midpoint(t_min, t_max);
    let net_radiation =
        radiation::net_short(solar) - radiation::net_long(t_min, t_max, actual, solar, clear);
    let eto = penman_monteith(&Terms {
        net_radiation,
        soil_heat: 0.0,
        t_mean,
        wind,
        saturation: vapour::saturation_of_day(t_min, t_max),
        actual,
        slope: slope(t_mean),
        psychrometric: psychrometric(vapour::pressure(altitude)),
    });
    (t_max >= t_min && eto.is_finite()).then_some(eto.max(0.0))
}

#[cfg(test)]
mod tests;
