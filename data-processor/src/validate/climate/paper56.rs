//! The worked examples of FAO Irrigation and Drainage Paper 56, each figure to half its last digit:
//! deviations are in halves of that digit. Needs no file. Called by `climate`.

use super::super::Row;
use super::super::vectors::Compared;
use super::family;
use crate::science::evapotranspiration::vapour::{self, psychrometric, saturation, slope};
use crate::science::evapotranspiration::{
    Terms, Weather, daily, hargreaves, penman_monteith, radiation, sun,
};

/// Bangkok in example 17: 13°44' N.
const BANGKOK: f64 = 13.0 + 44.0 / 60.0;

/// Rio de Janeiro in examples 10 to 12: 22°54' S.
const RIO: f64 = -(22.0 + 54.0 / 60.0);

/// Uccle in example 18: 50°48' N.
const UCCLE: f64 = 50.0 + 48.0 / 60.0;

/// Figures of one or more examples: what was found, what is printed, half its last digit.
type Figures = Vec<(Option<f64>, f64, f64)>;

pub(super) fn rows() -> Vec<Row> {
    [
        ("FAO-56 examples 2-5, pressure and vapour", air()),
        ("FAO-56 examples 8-9, sun", sky()),
        ("FAO-56 examples 10-13, radiation and soil heat", ground()),
        (
            "FAO-56 example 14, wind",
            vec![(vapour::wind_at_two_metres(3.2, 10.0), 2.4, 0.05)],
        ),
        ("FAO-56 examples 15 and 20, Lyon by temperatures", lyon()),
        ("FAO-56 example 17, Bangkok by the month", bangkok()),
        ("FAO-56 example 18, Uccle by the day", uccle()),
    ]
    .into_iter()
    .map(|(name, figures)| {
        let mut compared = Compared::default();
        for (found, printed, half) in &figures {
            compared.near(found.map(|found| (found - printed) / half), 0.0);
        }
        family(
            name,
            1.0,
            Ok((compared, "in halves of the last printed digit".to_owned())),
        )
    })
    .collect()
}

fn air() -> Figures {
    let pressure = vapour::pressure(1_200.0);
    vec![
        (Some(vapour::pressure(1_800.0)), 81.8, 0.05),
        (Some(psychrometric(81.8)), 0.054, 0.0005),
        (Some(saturation(24.5)), 3.075, 0.0005),
        (Some(saturation(15.0)), 1.705, 0.0005),
        (Some(vapour::saturation_of_day(15.0, 24.5)), 2.39, 0.005),
        (
            Some(vapour::actual_of_wet_bulb(0.000_662, 25.6, 19.5, pressure)),
            1.91,
            0.005,
        ),
        (
            Some(vapour::actual_of_humidity(18.0, 25.0, 54.0, 82.0)),
            1.70,
            0.005,
        ),
    ]
}

fn sky() -> Figures {
    let declination = sun::declination(246);
    vec![
        (Some(sun::inverse_distance(246)), 0.985, 0.0005),
        (Some(declination), 0.120, 0.0005),
        (
            Some(sun::sunset_angle(sun::radians(-20.0), declination)),
            1.527,
            0.0005,
        ),
        (Some(sun::extraterrestrial(-20.0, 246)), 32.2, 0.05),
        (Some(sun::daylight_hours(1.527)), 11.7, 0.05),
    ]
}

fn ground() -> Figures {
    let ra = sun::extraterrestrial(RIO, 135);
    vec![
        (Some(ra), 25.1, 0.05),
        (radiation::solar_of_sunshine(7.1, 10.9, 25.1), 14.45, 0.005),
        (
            Some(radiation::net_long(19.1, 25.1, 2.1, 14.5, 18.8)),
            3.5,
            0.05,
        ),
        (Some(radiation::soil_heat_of_month(14.1, 18.8)), 0.33, 0.005),
    ]
}

fn lyon() -> Figures {
    vec![
        (Some(sun::extraterrestrial(45.72, 196)), 40.6, 0.05),
        (
            radiation::solar_of_range(radiation::RANGE_INLAND, 14.8, 26.6, 40.6),
            22.3,
            0.05,
        ),
        (hargreaves(14.8, 26.6, 40.6), 5.0, 0.05),
    ]
}

fn bangkok() -> Figures {
    let (t_min, t_max, actual) = (25.6, 34.8, 2.85);
    let ra = sun::extraterrestrial(BANGKOK, 105);
    let sunset = sun::sunset_angle(sun::radians(BANGKOK), sun::declination(105));
    let solar = radiation::solar_of_sunshine(8.5, sun::daylight_hours(sunset), ra);
    let net = solar.map(|solar| {
        let clear = radiation::clear_sky(2.0, ra);
        radiation::net_short(solar) - radiation::net_long(t_min, t_max, actual, solar, clear)
    });
    let eto = net.map(|net_radiation| {
        penman_monteith(&Terms {
            net_radiation,
            soil_heat: radiation::soil_heat_since(29.2, 30.2),
            t_mean: 30.2,
            wind: 2.0,
            saturation: vapour::saturation_of_day(t_min, t_max),
            actual,
            slope: slope(30.2),
            psychrometric: psychrometric(vapour::pressure(2.0)),
        })
    });
    vec![(Some(ra), 38.06, 0.005), (eto, 5.72, 0.005)]
}

fn uccle() -> Figures {
    let printed = penman_monteith(&Terms {
        net_radiation: 13.28,
        soil_heat: 0.0,
        t_mean: 16.9,
        wind: 2.078,
        saturation: 1.997,
        actual: 1.409,
        slope: 0.122,
        psychrometric: 0.0666,
    });
    let ra = sun::extraterrestrial(UCCLE, 187);
    let sunset = sun::sunset_angle(sun::radians(UCCLE), sun::declination(187));
    let solar = radiation::solar_of_sunshine(9.25, sun::daylight_hours(sunset), ra);
    let wind = vapour::wind_at_two_metres(10.0 / 3.6, 10.0);
    let whole = solar.zip(wind).and_then(|(solar, wind)| {
        daily(&Weather {
            latitude: UCCLE,
            altitude: 100.0,
            day: 187,
            t_min: 12.3,
            t_max: 21.5,
            actual: vapour::actual_of_humidity(12.3, 21.5, 63.0, 84.0),
            wind,
            solar,
        })
    });
    vec![
        (Some(printed), 3.9, 0.05),
        (whole, 3.9, 0.05),
        (wind, 2.078, 0.0005),
        (Some(vapour::saturation_of_day(12.3, 21.5)), 1.997, 0.0005),
        (
            Some(vapour::actual_of_humidity(12.3, 21.5, 63.0, 84.0)),
            1.409,
            0.0005,
        ),
        (Some(radiation::clear_sky(100.0, 41.09)), 30.90, 0.005),
    ]
}
