//! The worked examples of FAO-56 by their numbers, Kenyan days, and the edges. A printed figure is
//! met to half its last digit. Run by `cargo test`.

use super::*;
use monthly::{Month, Thornthwaite};
use vapour::saturation;

/// Within half a digit of a figure printed with so many decimals.
fn printed(found: f64, figure: f64, half_digit: f64) {
    assert!(
        (found - figure).abs() <= half_digit,
        "{found} is not {figure}"
    );
}

#[test]
fn examples_two_to_five_the_air() {
    printed(vapour::pressure(1_800.0), 81.8, 0.05);
    printed(psychrometric(81.8), 0.054, 0.0005);
    printed(saturation(24.5), 3.075, 0.0005);
    printed(saturation(15.0), 1.705, 0.0005);
    printed(vapour::saturation_of_day(15.0, 24.5), 2.39, 0.005);
    // the wet bulb of example 4: 25.6 and 19.5 °C at 1200 m
    let pressure = vapour::pressure(1_200.0);
    printed(
        vapour::actual_of_wet_bulb(0.000_662, 25.6, 19.5, pressure),
        1.91,
        0.005,
    );
    printed(
        vapour::actual_of_humidity(18.0, 25.0, 54.0, 82.0),
        1.70,
        0.005,
    );
    printed(
        vapour::actual_of_mean_humidity(18.0, 25.0, 68.0),
        1.78,
        0.005,
    );
}

#[test]
fn examples_eight_to_thirteen_the_sun() {
    printed(sun::inverse_distance(246), 0.985, 0.0005);
    printed(sun::declination(246), 0.120, 0.0005);
    let sunset = sun::sunset_angle(sun::radians(-20.0), sun::declination(246));
    printed(sunset, 1.527, 0.0005);
    printed(sun::extraterrestrial(-20.0, 246), 32.2, 0.05);
    printed(sun::daylight_hours(1.527), 11.7, 0.05);
    // Rio de Janeiro in May: 7.1 of 10.9 hours of sun, Ra 25.1
    printed(
        radiation::solar_of_sunshine(7.1, 10.9, 25.1).unwrap(),
        14.45,
        0.005,
    );
    printed(radiation::net_long(19.1, 25.1, 2.1, 14.5, 18.8), 3.5, 0.05);
    printed(radiation::net_short(14.5), 11.1, 0.1);
    printed(radiation::soil_heat_of_month(14.1, 18.8), 0.33, 0.005);
    printed(radiation::soil_heat_since(14.1, 16.1), 0.28, 0.005);
}

#[test]
fn examples_fourteen_fifteen_and_twenty() {
    printed(vapour::wind_at_two_metres(3.2, 10.0).unwrap(), 2.4, 0.05);
    let lyon = radiation::solar_of_range(radiation::RANGE_INLAND, 14.8, 26.6, 40.6);
    printed(lyon.unwrap(), 22.3, 0.05);
    printed(sun::extraterrestrial(45.72, 196), 40.6, 0.05);
    printed(hargreaves(14.8, 26.6, 40.6).unwrap(), 5.0, 0.05);
    printed(hargreaves(14.8, 26.6, 40.6).unwrap(), 5.0387, 0.001);
    printed(
        hargreaves_with_mean(28.0, 38.0, 35.0, 38.937_15).unwrap(),
        6.10079,
        0.00001,
    );
}

#[test]
fn example_seventeen_bangkok_in_april() {
    let (t_min, t_max, actual) = (25.6, 34.8, 2.85);
    let ra = sun::extraterrestrial(13.0 + 44.0 / 60.0, 105);
    printed(ra, 38.06, 0.05);
    let daylight = sun::daylight_hours(sun::sunset_angle(
        sun::radians(13.0 + 44.0 / 60.0),
        sun::declination(105),
    ));
    printed(daylight, 12.31, 0.01);
    let solar = radiation::solar_of_sunshine(8.5, daylight, ra).unwrap();
    printed(solar, 22.65, 0.05);
    let long = radiation::net_long(t_min, t_max, actual, solar, radiation::clear_sky(2.0, ra));
    printed(long, 3.11, 0.05);
    let eto = penman_monteith(&Terms {
        net_radiation: radiation::net_short(solar) - long,
        soil_heat: radiation::soil_heat_since(29.2, 30.2),
        t_mean: 30.2,
        wind: 2.0,
        saturation: vapour::saturation_of_day(t_min, t_max),
        actual,
        slope: slope(30.2),
        psychrometric: psychrometric(vapour::pressure(2.0)),
    });
    printed(eto, 5.72, 0.01);
}

#[test]
fn example_eighteen_uccle_in_july() {
    let eto = penman_monteith(&Terms {
        net_radiation: 13.28,
        soil_heat: 0.0,
        t_mean: 16.9,
        wind: 2.078,
        saturation: 1.997,
        actual: 1.409,
        slope: 0.122,
        psychrometric: 0.0666,
    });
    printed(eto, 3.9, 0.05);
    printed(radiation::clear_sky(100.0, 41.09), 30.90, 0.005);
    // the same day from its readings: 50°48' N, 100 m, 6 July, 9.25 h of sun, 10 km/h at 10 m
    let latitude = 50.8;
    let ra = sun::extraterrestrial(latitude, 187);
    let daylight = sun::daylight_hours(sun::sunset_angle(
        sun::radians(latitude),
        sun::declination(187),
    ));
    let whole = daily(&Weather {
        latitude,
        altitude: 100.0,
        day: 187,
        t_min: 12.3,
        t_max: 21.5,
        actual: vapour::actual_of_humidity(12.3, 21.5, 63.0, 84.0),
        wind: vapour::wind_at_two_metres(10.0 / 3.6, 10.0).unwrap(),
        solar: radiation::solar_of_sunshine(9.25, daylight, ra).unwrap(),
    });
    printed(whole.unwrap(), 3.88, 0.01);
}

#[test]
fn kenyan_days_by_hargreaves() {
    for (latitude, day, t_max, t_min, ra, eto) in [
        (-1.375, 106, 28.6, 17.5, 36.471_819, 4.657_995),
        (-1.375, 1, 28.2, 15.7, 36.308_843, 4.788_423),
        (-1.375, 200, 26.7, 13.8, 33.542_487, 4.301_627),
        (0.0, 80, 30.0, 15.0, 37.824_213, 5.539_985),
        (1.0172, 105, 26.0, 12.0, 36.949_56, 4.774_293),
    ] {
        let found = sun::extraterrestrial(latitude, day);
        printed(found, ra, 5e-7);
        printed(hargreaves(t_min, t_max, found).unwrap(), eto, 5e-7);
    }
}

#[test]
fn a_maximum_below_the_minimum_is_a_failed_reading() {
    assert_eq!(hargreaves(20.0, 19.9, 36.0), None);
    assert_eq!(hargreaves(f64::NAN, 19.9, 36.0), None);
    assert_eq!(hargreaves(20.0, 20.0, 36.0), Some(0.0));
    assert_eq!(radiation::solar_of_range(0.16, 20.0, 19.0, 36.0), None);
    assert_eq!(monthly::hargreaves(20.0, 19.0, -1.0, 3), None);
    let weather = Weather {
        latitude: 0.0,
        altitude: 1_600.0,
        day: 100,
        t_min: 25.0,
        t_max: 14.0,
        actual: 1.2,
        wind: 2.0,
        solar: 20.0,
    };
    assert_eq!(daily(&weather), None);
    assert!(
        daily(&Weather {
            t_min: 14.0,
            t_max: 25.0,
            ..weather
        })
        .unwrap()
            > 3.0
    );
    // a cold still day asks for nothing rather than less than nothing
    assert_eq!(hargreaves(-30.0, -20.0, 10.0), Some(0.0));
}

#[test]
fn sun_that_cannot_be_is_refused_and_polar_days_are_clamped() {
    assert_eq!(radiation::solar_of_sunshine(13.0, 12.0, 36.0), None);
    assert_eq!(radiation::solar_of_sunshine(-1.0, 12.0, 36.0), None);
    assert_eq!(radiation::solar_of_sunshine(0.0, 0.0, 0.0), None);
    assert_eq!(vapour::wind_at_two_metres(3.0, 0.05), None);
    assert!(sun::extraterrestrial(85.0, 355).abs() < 1e-9);
    assert!(
        (sun::daylight_hours(sun::sunset_angle(sun::radians(85.0), sun::declination(172))) - 24.0)
            .abs()
            < 1e-9
    );
    assert!(radiation::net_long(10.0, 20.0, 1.0, 0.0, 0.0).is_finite());
}

#[test]
fn the_rounded_constants_stay_within_half_a_percent_over_kenya() {
    for at in 0..12 {
        let day = [15, 46, 74, 105, 135, 166, 196, 227, 258, 288, 319, 349][at];
        for latitude in [-4.8, -1.3, 0.0, 5.1] {
            let ratio =
                monthly::extraterrestrial(latitude, at) / sun::extraterrestrial(latitude, day);
            assert!((ratio - 1.0).abs() < 0.005, "{at} {latitude}: {ratio}");
        }
    }
}

#[test]
fn cabinda_in_january_by_the_icid_variant() {
    let month = |t_min, t_max, humidity, wind, solar| Month {
        t_min,
        t_max,
        humidity,
        wind,
        solar,
    };
    let months = [
        month(22.8, 29.6, 81.0, 0.903, 15.7),
        month(22.7, 30.3, 82.0, 0.799, 16.9),
    ];
    let mut out = [0.0; 2];
    monthly::penman_icid(&months, -5.33, 20.0, &mut out);
    printed(out[0], 106.324_357_428_682_7, 1e-9);
}

#[test]
fn thornthwaite_knows_cold_months_gaps_and_leap_years() {
    let warm = [Some(25.0); 12];
    let mut out = [None; 12];
    monthly::thornthwaite(&warm, 0.0, Thornthwaite::SpeiR, &mut out);
    assert!(
        out.iter()
            .all(|mm| mm.is_some_and(|mm| mm > 80.0 && mm < 200.0))
    );
    // February of 1896 has a day more than that of 1895
    let mut common = [None; 24];
    let two = [Some(25.0); 24];
    monthly::thornthwaite(&two, 25.2, Thornthwaite::ClimateIndices(1_895), &mut common);
    let (first, second) = (common[1].unwrap(), common[13].unwrap());
    assert!((second / first - 29.0 / 28.0).abs() < 0.002);
    // frozen all year: nothing evaporates, and nothing is divided by nought
    monthly::thornthwaite(&[Some(-5.0); 12], 60.0, Thornthwaite::SpeiR, &mut out);
    assert_eq!(out, [Some(0.0); 12]);
    let mut gap = warm;
    gap[6] = None;
    monthly::thornthwaite(&gap, 0.0, Thornthwaite::SpeiR, &mut out);
    assert_eq!(out, [None; 12]);
}
