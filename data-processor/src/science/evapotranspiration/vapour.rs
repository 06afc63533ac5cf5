//! The air: pressure, vapour and wind (FAO-56 eqs. 7-19 and 47). Pure. Called by
//! `evapotranspiration`.

/// Atmospheric pressure at an altitude in metres, kPa (FAO-56 eq. 7).
#[must_use]
pub fn pressure(altitude: f64) -> f64 {
    101.3 * libm::pow((293.0 - 0.0065 * altitude) / 293.0, 5.26)
}

/// γ, the psychrometric constant at a pressure in kPa, kPa °C⁻¹ (eq. 8).
#[must_use]
pub fn psychrometric(pressure: f64) -> f64 {
    0.665e-3 * pressure
}

/// e°(T), saturation vapour pressure at °C, kPa (eq. 11).
#[must_use]
pub fn saturation(celsius: f64) -> f64 {
    0.6108 * libm::exp(17.27 * celsius / (celsius + 237.3))
}

/// es, the mean of the day's extremes, kPa (eq. 12): that of the mean temperature is too low.
#[must_use]
pub fn saturation_of_day(t_min: f64, t_max: f64) -> f64 {
    f64::midpoint(saturation(t_max), saturation(t_min))
}

/// Δ, the slope of the saturation curve at °C, kPa °C⁻¹ (eq. 13).
#[must_use]
pub fn slope(celsius: f64) -> f64 {
    4_098.0 * saturation(celsius) / ((celsius + 237.3) * (celsius + 237.3))
}

/// ea from a dry and a wet bulb, °C, at a pressure in kPa (eqs. 15 and 16); `coefficient` is
/// 0.000662 for an Asmann psychrometer, 0.0008 naturally ventilated, 0.0012 indoors.
#[must_use]
pub fn actual_of_wet_bulb(coefficient: f64, dry: f64, wet: f64, pressure: f64) -> f64 {
    saturation(wet) - coefficient * pressure * (dry - wet)
}

/// ea from the day's extremes of temperature, °C, and of relative humidity, % (eq. 17).
#[must_use]
pub fn actual_of_humidity(t_min: f64, t_max: f64, rh_min: f64, rh_max: f64) -> f64 {
    f64::midpoint(
        saturation(t_min) * rh_max / 100.0,
        saturation(t_max) * rh_min / 100.0,
    )
}

/// ea from the mean humidity, % (eq. 19): the least to be wished for.
#[must_use]
pub fn actual_of_mean_humidity(t_min: f64, t_max: f64, rh_mean: f64) -> f64 {
    rh_mean / 100.0 * saturation_of_day(t_min, t_max)
}

/// Wind at 2 m, m s⁻¹, from a height in metres over short grass (eq. 47). `None` at or below
/// 0.1 m, where the profile is none.
#[must_use]
pub fn wind_at_two_metres(wind: f64, height: f64) -> Option<f64> {
    (height > 0.1).then(|| wind * 4.87 / libm::log(67.8 * height - 5.42))
}
