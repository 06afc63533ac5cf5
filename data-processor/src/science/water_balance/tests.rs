//! The balance against Makueni's failed long rains of 2019, both second draws, and at its edges.
//! Run by `cargo test`.

use super::*;

/// Rain and ETo of dekads 10 to 21, mm (ERA5, Makueni, 2019).
const MAKUENI: [(f64, f64); 12] = [
    (18.4, 51.26),
    (5.0, 56.68),
    (116.3, 40.01),
    (17.5, 42.88),
    (25.8, 38.06),
    (7.5, 42.10),
    (1.6, 33.24),
    (0.1, 40.30),
    (0.2, 37.64),
    (0.6, 45.59),
    (1.0, 42.90),
    (0.3, 48.27),
];

fn steps(weather: &[(f64, f64)]) -> Vec<Step> {
    weather
        .iter()
        .map(|(rain, eto)| Step {
            rain: Some(*rain),
            eto: Some(*eto),
        })
        .collect()
}

fn run(weather: &[(f64, f64)], second: SecondDraw) -> (Season, Vec<Row>) {
    let mut rows = vec![Row::default(); weather.len()];
    let crop = Crop::maize(u32::try_from(weather.len()).unwrap());
    let season = season(&steps(weather), 0.0, (&crop, 100.0, second), &mut rows).unwrap();
    (season, rows)
}

#[test]
fn makueni_2019_satisfied_less_than_half() {
    let (symmetric, rows) = run(&MAKUENI, SecondDraw::Symmetric);
    assert!((symmetric.wrsi - 47.458).abs() < 5e-4);
    assert!((symmetric.requirement - 408.120).abs() < 5e-4);
    assert!((symmetric.drunk - 193.684).abs() < 5e-4);
    let third = rows[2];
    assert!((third.coefficient - 0.5893).abs() < 5e-5 && (third.enough - 27.511).abs() < 5e-4);
    assert!((third.after - 95.973).abs() < 5e-4);
    let (lisf, _) = run(&MAKUENI, SecondDraw::AsInLisf);
    assert!((lisf.wrsi - 47.428).abs() < 5e-4);
}

#[test]
fn the_second_draws_differ_only_where_the_soil_was_short() {
    let wet = [(60.0, 30.0); 9];
    assert_eq!(
        run(&wet, SecondDraw::Symmetric),
        run(&wet, SecondDraw::AsInLisf)
    );
    let (season, _) = run(&wet, SecondDraw::Symmetric);
    assert!(season.wrsi >= 100.0 && season.surplus > 0.0);
}

#[test]
fn a_dry_season_satisfies_nothing_and_water_is_conserved() {
    let (dry, _) = run(&[(0.0, 50.0); 12], SecondDraw::Symmetric);
    assert_eq!((dry.wrsi, dry.drunk), (0.0, 0.0));
    let (season, rows) = run(&MAKUENI, SecondDraw::Symmetric);
    let rain: f64 = MAKUENI.iter().map(|(rain, _)| rain).sum();
    let left = rows.last().unwrap().after;
    assert!((rain - season.drunk - season.surplus - left).abs() < 1e-9);
}

#[test]
fn more_rain_never_satisfies_less() {
    let mut last = 0.0;
    for extra in 0..40_u32 {
        let weather = MAKUENI.map(|(rain, eto)| (rain + f64::from(extra), eto));
        let (season, _) = run(&weather, SecondDraw::Symmetric);
        assert!(season.wrsi >= last && season.wrsi <= 100.0);
        last = season.wrsi;
    }
}

#[test]
fn a_missing_dekad_refuses_the_season_and_is_not_dry() {
    let mut rows = [Row::default(); 12];
    let rule = (&Crop::maize(12), 100.0, SecondDraw::Symmetric);
    for broken in [None, Some(-9_999.0), Some(f64::NAN)] {
        let mut weather = steps(&MAKUENI);
        weather[4].rain = broken;
        assert_eq!(
            season(&weather, 0.0, rule, &mut rows),
            Err(Refusal::Missing(4))
        );
        assert_eq!(
            before_season(&weather, &Crop::maize(12), 100.0),
            Err(Refusal::Missing(4))
        );
    }
}

#[test]
fn a_season_that_allows_no_balance_is_refused() {
    let mut rows = [Row::default(); 12];
    let (weather, second) = (steps(&MAKUENI), SecondDraw::Symmetric);
    let crop = Crop::maize(12);
    let short = season(&weather[..11], 0.0, (&crop, 100.0, second), &mut rows);
    assert_eq!(short, Err(Refusal::Length));
    assert_eq!(
        season(&weather, 0.0, (&crop, 0.0, second), &mut rows),
        Err(Refusal::Crop)
    );
    let crossed = Crop {
        knots: [0.44, 0.16, 0.76],
        ..crop
    };
    assert_eq!(
        season(&weather, 0.0, (&crossed, 100.0, second), &mut rows),
        Err(Refusal::Crop)
    );
    // a season in which the air asks for nothing has no ratio
    let still = steps(&[(10.0, 0.0); 12]);
    assert_eq!(
        season(&still, 0.0, (&crop, 100.0, second), &mut rows),
        Err(Refusal::Crop)
    );
}

#[test]
fn the_bucket_before_the_season_fills_and_empties() {
    let crop = Crop::maize(12);
    // 40 − 50·0.3 = 25, then 25 + 5 − 15 = 15
    let two = steps(&[(40.0, 50.0), (5.0, 50.0)]);
    assert!((before_season(&two, &crop, 100.0).unwrap() - 15.0).abs() < 1e-12);
    let flood = steps(&[(400.0, 50.0)]);
    assert_eq!(before_season(&flood, &crop, 100.0), Ok(100.0));
    assert_eq!(before_season(&steps(&[(1.0, 50.0)]), &crop, 100.0), Ok(0.0));
}

#[test]
fn the_crop_s_curves_meet_at_their_knots() {
    let crop = Crop::maize(12);
    for (share, kc) in [
        (0.0, 0.3),
        (0.16, 0.3),
        (0.3, 0.75),
        (0.44, 1.2),
        (0.76, 1.2),
        (0.88, 0.775),
        (1.0, 0.35),
    ] {
        assert!((crop.coefficient(share) - kc).abs() < 1e-12, "{share}");
    }
    assert!((crop.rooting(0.22) - 0.55).abs() < 1e-12);
    assert!((crop.rooting(0.9) - 1.0).abs() < 1e-12);
}
