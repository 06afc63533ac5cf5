//! Radiation at the ground, MJ m⁻² a day (FAO-56 eqs. 35-45 and 50). Pure. Called by
//! `evapotranspiration`.

/// The Stefan-Boltzmann constant, MJ K⁻⁴ m⁻² a day (FAO-56 eq. 39).
const STEFAN_BOLTZMANN: f64 = 4.903e-9;

/// The albedo of the grass reference (eq. 38).
pub const ALBEDO: f64 = 0.23;

/// kRs of eq. 50 away from the sea.
pub const RANGE_INLAND: f64 = 0.16;

/// kRs of eq. 50 on a coast.
pub const RANGE_COASTAL: f64 = 0.19;

/// Rs from hours of sunshine out of the day's `daylight` hours (Ångström, eq. 35 with 0.25 and
/// 0.50). `None` unless 0 ≤ sunshine ≤ daylight and there is daylight.
#[must_use]
pub fn solar_of_sunshine(sunshine: f64, daylight: f64, ra: f64) -> Option<f64> {
    (daylight > 0.0 && sunshine >= 0.0 && sunshine <= daylight)
        .then(|| (0.25 + 0.5 * sunshine / daylight) * ra)
}

/// Rs from the day's range of temperature (eq. 50), never above the clear sky's at sea level; `k`
/// is [`RANGE_INLAND`] or [`RANGE_COASTAL`]. `None` if the maximum is below the minimum.
#[must_use]
pub fn solar_of_range(k: f64, t_min: f64, t_max: f64, ra: f64) -> Option<f64> {
    (t_max >= t_min).then(|| (k * (t_max - t_min).sqrt() * ra).min(clear_sky(0.0, ra)))
}

/// Rso, of a clear sky at an altitude in metres (eq. 37).
#[must_use]
pub fn clear_sky(altitude: f64, ra: f64) -> f64 {
    (0.75 + 2e-5 * altitude) * ra
}

/// Rns, what the grass keeps of the sun (eq. 38).
#[must_use]
pub fn net_short(solar: f64) -> f64 {
    (1.0 - ALBEDO) * solar
}

/// Rnl, what the ground sends out (eq. 39): temperatures in °C, ea in kPa, Rs and Rso. The ratio
/// Rs/Rso is held to 1 as the paper says, and is 1 without sun.
#[must_use]
pub fn net_long(t_min: f64, t_max: f64, actual: f64, solar: f64, clear: f64) -> f64 {
    let fourth = |celsius: f64| {
        let square = (celsius + 273.16) * (celsius + 273.16);
        square * square
    };
    let bodies = STEFAN_BOLTZMANN * (fourth(t_max) + fourth(t_min)) / 2.0;
    let clearness = if clear > 0.0 {
        (solar / clear).min(1.0)
    } else {
        1.0
    };
    bodies * (0.34 - 0.14 * actual.max(0.0).sqrt()) * (1.35 * clearness - 0.35)
}

/// G of a month from the means before and after it, °C (eq. 43).
#[must_use]
pub fn soil_heat_of_month(t_before: f64, t_after: f64) -> f64 {
    0.07 * (t_after - t_before)
}

/// G of a month from the month before it alone, °C (eq. 44).
#[must_use]
pub fn soil_heat_since(t_before: f64, t_month: f64) -> f64 {
    0.14 * (t_month - t_before)
}
