//! The damage index with vegetation present, absent, late and cloudy, from scenes to the share that
//! is paid, and its evidence recomputed. Cloud is never taken for drought.

use data_processor::index::awaited_until;
use data_processor::verify::verify;
use domain::evidence::cid;
use domain::settle::HoldReason;

use crate::house::{HOUSE, Season, YEAR};

/// W is 63.32 % in all of these; the baseline's mean is 0.40 and its standard deviation 0.0393.
fn with_ndvi(ndvi_e4: i16) -> Season {
    let mut season = Season::of_rain();
    season.sees(0, ndvi_e4, 9_500);
    season
}

#[test]
fn green_fields_soften_a_dry_season_and_brown_ones_make_it_whole() {
    let green = with_ndvi(4_000).settled().unwrap();
    assert_eq!(green.vegetation_bp.unwrap().get(), 0);
    // 0.6 x 6332 = 3799
    assert_eq!(green.damage_index_bp.unwrap().get(), 3_799);
    let brown = with_ndvi(2_000).settled().unwrap();
    assert_eq!(brown.vegetation_bp.unwrap().get(), 10_000);
    assert_eq!(brown.damage_index_bp.unwrap().get(), 7_799);
    assert_eq!(brown.share.basis_points().get(), 10_000);
}

#[test]
fn absent_vegetation_leaves_the_weather_capped_at_half() {
    let season = Season::of_rain();
    assert_eq!(season.computed().vegetation_milli, None);
    let settlement = season.settled().unwrap();
    assert_eq!(settlement.vegetation_bp, None);
    assert_eq!(settlement.damage_index_bp.unwrap().get(), 6_332);
    assert_eq!(settlement.share.basis_points().get(), 5_000);
}

#[test]
fn a_cloudy_season_asks_the_next_sensor_and_then_nobody() {
    // four tenths of the ground: below what counts
    let mut cloudy = Season::of_rain();
    cloudy.sees(0, 2_000, 4_000);
    assert_eq!(cloudy.computed().vegetation_milli, None);
    cloudy.sees(1, 4_000, 9_000);
    assert_eq!(cloudy.settled().unwrap().vegetation_bp.unwrap().get(), 0);
    // clear, but in six dekads of nine only
    let mut rare = with_ndvi(2_000);
    let first = rare.window().start;
    rare.sensors[0]
        .scenes
        .retain(|scene| scene.day < first + chrono::Days::new(61));
    assert_eq!(rare.computed().vegetation_milli, None);
    assert_eq!(rare.settled().unwrap().share.basis_points().get(), 5_000);
}

#[test]
fn without_a_baseline_of_ten_seasons_there_is_no_figure() {
    let mut season = with_ndvi(2_000);
    for year in 0..3 {
        season.sensors[0].baseline.as_mut().unwrap().seasons[year] = None;
    }
    assert_eq!(season.computed().vegetation_milli, None);
    season.sensors[0].baseline = None;
    assert_eq!(season.computed().vegetation_milli, None);
    // bare desert: every season the same
    let mut desert = with_ndvi(2_000);
    desert.sensors[0].baseline.as_mut().unwrap().seasons = vec![Some(90_000); 12];
    assert_eq!(desert.computed().vegetation_milli, None);
}

#[test]
fn late_scenes_are_waited_for_as_long_as_the_contract_says() {
    let season = Season::of_rain();
    let until = awaited_until(&season.product, YEAR).unwrap();
    assert_eq!(until, season.window().closes_at() + chrono::Days::new(10));
    let of_rain = include_str!("../../../products/KE-MZ-PD-LR.toml");
    let product = domain::product::Product::from_toml(of_rain).unwrap();
    assert_eq!(awaited_until(&product, YEAR), None);
    let until_then = until - chrono::TimeDelta::seconds(1);
    let awaits = |season: &Season, at| {
        season
            .computed()
            .awaits_vegetation(&season.product, YEAR, at)
    };
    assert!(awaits(&season, until_then) && !awaits(&season, until));
    // what the contract's own sensor saw is not waited with; another's is taken when the wait ends
    assert!(!awaits(&with_ndvi(2_000), until_then));
    let mut other = Season::of_rain();
    other.sees(1, 2_000, 9_500);
    assert!(other.computed().vegetation_milli.is_some());
    assert!(awaits(&other, until_then) && !awaits(&other, until));
    // while the season runs there is no figure, however many scenes there are
    let running = with_ndvi(2_000);
    let eve = running.window().last_day() - chrono::Days::new(1);
    assert_eq!(running.computed_on(eve).vegetation_milli, None);
}

#[test]
fn an_index_within_its_error_of_a_cliff_goes_to_people() {
    // stations that differ by 40 mm: 28 mm of error are 15 % of the way from trigger to exit
    let mut season = with_ndvi(4_000);
    let clear = season.settled().unwrap();
    assert!(
        !clear.holds.contains(&HoldReason::Borderline),
        "{:?}",
        clear.holds
    );
    season.stations[1] = crate::house::station(2, &crate::house::rain(202_120));
    let computed = season.computed();
    let se = computed.index_se_bp.unwrap();
    assert!((900..960).contains(&se), "{se}");
    let unsure = season.settled().unwrap();
    assert!(
        unsure.holds.contains(&HoldReason::Borderline),
        "{:?}",
        unsure.holds
    );
    assert_eq!(unsure.share, clear.share, "routing never moves an amount");
}

#[test]
fn scattered_scenes_widen_the_error() {
    let mut season = with_ndvi(3_500);
    let even = season.computed().index_se_bp.unwrap();
    for (n, scene) in season.sensors[0].scenes.iter_mut().enumerate() {
        scene.ndvi_e4 += if n % 4 < 2 { 400 } else { -400 };
    }
    let scattered = season.computed().index_se_bp.unwrap();
    assert!(scattered > even, "{scattered} {even}");
}

#[test]
fn evidence_with_scenes_is_recomputed_and_a_changed_pixel_is_found() {
    let honest = with_ndvi(3_400).bundle();
    let bytes = honest.bytes();
    assert_eq!(verify(&bytes, Some(&cid(&bytes))).differences, []);
    assert_eq!(honest.sensors[0].scenes.len(), 19);
    type Change = fn(&mut domain::evidence::Bundle);
    let changes: [(&str, Change); 6] = [
        ("observed.vegetation_milli", |b| {
            b.sensors[0].scenes[3].ndvi_e4 = 9_000;
        }),
        ("observed.vegetation_milli", |b| {
            b.sensors[0].baseline.as_mut().unwrap().seasons[2] = Some(100_000);
        }),
        ("observed.vegetation_milli", |b| {
            b.observed.vegetation_milli = Some(-1);
        }),
        ("observed.index_se_bp", |b| b.observed.index_se_bp = Some(1)),
        ("sensors", |b| drop(b.sensors.pop())),
        ("sensors[sentinel-2].days[2026-03-06]", |b| {
            b.sensors[0].scenes[1].valid_bp = 10_001;
        }),
    ];
    for (line, change) in changes {
        let mut changed = honest.clone();
        change(&mut changed);
        let verdict = verify(&changed.bytes(), None);
        let lines: Vec<_> = verdict
            .differences
            .iter()
            .map(|d| d.line.as_str())
            .collect();
        assert!(lines.contains(&line), "{line}: {lines:?}");
    }
}

#[test]
fn two_people_look_at_absent_vegetation_where_the_contract_says_so() {
    let season = Season::under(&HOUSE.replace("weather_capped", "two_people"));
    let settlement = season.settled().unwrap();
    assert!(settlement.holds.contains(&HoldReason::VegetationAbsent));
}
