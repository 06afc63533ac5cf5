//! Where the sun stands and what it sends to the top of the air (FAO-56 eqs. 21-25 and 34). Pure.
//! Called by `evapotranspiration`.

use core::f64::consts::PI;

/// The solar constant, MJ m⁻² a minute (FAO-56 eq. 21).
const SOLAR_CONSTANT: f64 = 0.0820;

/// Degrees to radians (eq. 22).
#[must_use]
pub fn radians(degrees: f64) -> f64 {
    degrees * PI / 180.0
}

/// dr, the inverse relative distance to the sun, of a day of the year (eq. 23).
#[must_use]
pub fn inverse_distance(day: u32) -> f64 {
    1.0 + 0.033 * libm::cos(2.0 * PI * f64::from(day) / 365.0)
}

/// δ, the solar declination of a day of the year, radians (eq. 24).
#[must_use]
pub fn declination(day: u32) -> f64 {
    0.409 * libm::sin(2.0 * PI * f64::from(day) / 365.0 - 1.39)
}

/// ωs, the sunset hour angle, radians (eq. 25): 0 in polar night, π under the midnight sun.
#[must_use]
pub fn sunset_angle(latitude_radians: f64, declination: f64) -> f64 {
    let cosine = -libm::tan(latitude_radians) * libm::tan(declination);
    libm::acos(cosine.clamp(-1.0, 1.0))
}

/// Ra, extraterrestrial radiation of a day, MJ m⁻² (eq. 21), at a latitude in degrees.
#[must_use]
pub fn extraterrestrial(latitude: f64, day: u32) -> f64 {
    let (place, declination) = (radians(latitude), declination(day));
    let sunset = sunset_angle(place, declination);
    24.0 * 60.0 / PI * SOLAR_CONSTANT * inverse_distance(day) * height(place, declination, sunset)
}

/// N, daylight hours of a sunset hour angle (eq. 34).
#[must_use]
pub fn daylight_hours(sunset_angle: f64) -> f64 {
    24.0 / PI * sunset_angle
}

/// The sine of the sun's height, summed over the day: the bracket of eq. 21.
pub(super) fn height(place: f64, declination: f64, sunset: f64) -> f64 {
    sunset * libm::sin(place) * libm::sin(declination)
        + libm::cos(place) * libm::cos(declination) * libm::sin(sunset)
}
