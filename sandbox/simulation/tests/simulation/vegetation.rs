//! The damage index lived to its end with vegetation present, absent, late and cloudy: the same dry
//! season, decided when it may be, paid by what was seen, with evidence that anybody recomputes.

use chrono::{DateTime, Days, Utc};
use data_processor::verify::verify;
use domain::cell::RiskCell;
use domain::evidence::Bundle;
use domain::money::BasisPoints;
use domain::product::Product;
use simulation::system::System;
use store::baselines::{self, Baseline, Of};
use store::scenes::{self, Scene};
use store::{risks, testing};

use crate::support::{a_system, everybody_buys, run_async};

/// Season that is lived.
const YEAR: i32 = 2026;
/// When there is nothing left to decide, pay or say.
const LONG_AFTER: &str = "2026-07-15T00:00:00Z";

/// A season that came to its end.
struct Decided {
    bundle: Bundle,
    /// Days after the window's end at which it was decided.
    days_after: i64,
}

fn house() -> anyhow::Result<Product> {
    let document = include_str!("../../../../products/KE-MZ-DI-LR.toml");
    Ok(Product::from_toml(document)?)
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_default()
}

/// A farmer with the house product at Karare, her premium paid.
async fn insured(name: &str) -> anyhow::Result<System> {
    let mut system = a_system(name, 11, 1).await?;
    system.set_weather("drought", 11).await?;
    everybody_buys(&mut system).await?;
    Ok(system)
}

/// The satellite passes every fifth day of the season and sees this much of the ground.
async fn seen(system: &System, ndvi_e4: i16, valid_bp: u16) -> anyhow::Result<()> {
    let product = house()?;
    let terms = product.vegetation.as_ref();
    let terms = terms.ok_or_else(|| anyhow::anyhow!("the house product has no vegetation"))?;
    let window = terms.days.bind(YEAR)?;
    let cell = testing::text(system.pool(), "select risk_cell from risks").await?;
    let cell: RiskCell = cell.parse()?;
    let mut tx = system.pool().begin().await?;
    let years = terms.baseline_last - terms.baseline_first + 1;
    let baseline = Baseline {
        // even about 0.40, 0.06 to either side
        seasons: (0..years)
            .map(|year| Some(340_000 + 120_000 * year / (years - 1)))
            .collect(),
        dekads: vec![Some(400_000); 9],
    };
    let of = Of {
        sensor: terms.sensor.clone(),
        cell,
        days: terms.days.to_string(),
        first_year: terms.baseline_first,
        last_year: terms.baseline_last,
    };
    baselines::record(&mut tx, system.now(), &of, &baseline).await?;
    let scenes: Vec<(RiskCell, Scene)> = window
        .days()
        .step_by(5)
        .map(|day| {
            let scene = Scene {
                day,
                ndvi_e4,
                valid_bp,
                source: format!("sha256:{}", "5c".repeat(32)),
            };
            (cell, scene)
        })
        .collect();
    scenes::record(&mut tx, system.now(), &terms.sensor, &scenes).await?;
    risks::mark_cells_dirty(&mut tx, &[cell], window.start, window.last_day()).await?;
    tx.commit().await?;
    Ok(())
}

/// Lives to the end; nothing may be broken, and the evidence must recompute.
async fn decided(mut system: System) -> anyhow::Result<Decided> {
    system.settle(at(LONG_AFTER)).await?;
    let broken = system.breaches_at_rest().await?;
    anyhow::ensure!(broken.is_empty(), "{broken:?}");
    let text = testing::text(
        system.pool(),
        "select convert_from(bundle, 'UTF8') from evaluations",
    )
    .await?;
    let cid = testing::text(system.pool(), "select cid from evaluations").await?;
    let verdict = verify(text.as_bytes(), Some(&cid));
    anyhow::ensure!(verdict.agrees(), "{:?}", verdict.differences);
    let days_after = testing::number(
        system.pool(),
        "select extract(day from evaluated_at - window_closes_at)::bigint
         from evaluations join risks on risks.id = evaluations.risk_id",
    )
    .await?;
    let bundle = serde_json::from_str(&text)?;
    system.discard().await?;
    Ok(Decided { bundle, days_after })
}

fn paid_bp(decided: &Decided) -> u16 {
    decided.bundle.settlement.share.basis_points().get()
}

#[test]
fn brown_fields_are_paid_and_decided_without_waiting() {
    run_async(async {
        let system = insured("brown").await?;
        seen(&system, 2_500, 9_500).await?;
        let season = decided(system).await?;
        let settlement = &season.bundle.settlement;
        assert_eq!(settlement.vegetation_bp.map(BasisPoints::get), Some(10_000));
        let weather = u32::from(settlement.weather_bp.get());
        let index = settlement.damage_index_bp.map(|bp| u32::from(bp.get()));
        assert_eq!(index, Some((6 * weather + 4 * 10_000 + 5) / 10));
        assert_eq!(paid_bp(&season), 10_000);
        assert!(season.days_after < 4, "{}", season.days_after);
        assert_eq!(season.bundle.sensors[0].scenes.len(), 19);
        Ok(())
    })
    .expect("a season with scenes is decided");
}

#[test]
fn green_fields_soften_what_a_dry_sky_would_pay() {
    run_async(async {
        let system = insured("green").await?;
        seen(&system, 4_200, 9_500).await?;
        let season = decided(system).await?;
        let settlement = &season.bundle.settlement;
        assert_eq!(settlement.vegetation_bp.map(BasisPoints::get), Some(0));
        assert!(paid_bp(&season) <= 5_000, "{settlement:?}");
        Ok(())
    })
    .expect("a green season is decided");
}

#[test]
fn absent_vegetation_is_waited_for_and_then_the_weather_decides_capped() {
    run_async(async {
        let season = decided(insured("absent").await?).await?;
        let wait = i64::from(house()?.vegetation.map_or(0, |terms| terms.wait_days));
        assert!(
            (wait..wait + 3).contains(&season.days_after),
            "{}",
            season.days_after
        );
        let settlement = &season.bundle.settlement;
        assert_eq!(settlement.vegetation_bp, None);
        assert_eq!(settlement.damage_index_bp, Some(settlement.weather_bp));
        assert!(paid_bp(&season) <= 5_000, "{settlement:?}");
        assert!(
            season
                .bundle
                .sensors
                .iter()
                .all(|sensor| sensor.scenes.is_empty())
        );
        Ok(())
    })
    .expect("a season without scenes is decided");
}

#[test]
fn a_cloudy_season_counts_as_absent_and_its_scenes_stand_in_the_evidence() {
    run_async(async {
        let system = insured("cloudy").await?;
        seen(&system, 1_500, 5_900).await?;
        let season = decided(system).await?;
        assert_eq!(season.bundle.settlement.vegetation_bp, None);
        assert_eq!(season.bundle.sensors[0].scenes.len(), 19);
        assert!(paid_bp(&season) <= 5_000);
        Ok(())
    })
    .expect("a cloudy season is decided");
}

#[test]
fn late_scenes_decide_on_the_day_they_come() {
    run_async(async {
        let mut system = insured("late").await?;
        let closes = house()?.cover_window(YEAR)?.closes_at();
        system.settle(closes + Days::new(6)).await?;
        let undecided = testing::number(system.pool(), "select count(*) from evaluations").await?;
        assert_eq!(undecided, 0, "scenes are waited for");
        seen(&system, 2_500, 9_500).await?;
        let season = decided(system).await?;
        assert_eq!(paid_bp(&season), 10_000);
        assert!((5..9).contains(&season.days_after), "{}", season.days_after);
        Ok(())
    })
    .expect("late scenes are taken");
}

#[test]
fn scenes_after_the_decision_change_nothing() {
    run_async(async {
        let mut system = insured("too_late").await?;
        system.settle(at(LONG_AFTER)).await?;
        let before = testing::text(system.pool(), "select cid from evaluations").await?;
        seen(&system, 2_500, 9_500).await?;
        let season = decided(system).await?;
        assert_eq!(season.bundle.settlement.vegetation_bp, None);
        assert_eq!(domain::evidence::cid(&season.bundle.bytes()), before);
        Ok(())
    })
    .expect("what is settled stays");
}
