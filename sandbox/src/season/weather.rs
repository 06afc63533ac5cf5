//! Tells the sandbox what the sky does, and operators' better points of wards to the backend in a
//! replay. Never computes rain. Called before anybody dials.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::SeasonArgs;
use super::advance::Driver;
use super::fields::normalised;
use super::net::Operator;
use super::plan::{Plan, Replay};

/// Sets the scenario, or the replay with its wards' points.
pub(super) async fn set_up(driver: &Driver, args: &SeasonArgs, plan: &Plan) -> anyhow::Result<()> {
    let Some(replay) = &plan.replay else {
        // in their order: the sandbox deals out a drought's fates by it
        let codes: Vec<&str> = plan.wards.iter().map(|ward| ward.code.as_str()).collect();
        let setup = json!({"scenario": args.scenario.name(), "seed": args.seed, "wards": codes});
        driver.net.set("/control/weather", &setup).await?;
        let names: Vec<String> = plan
            .wards
            .iter()
            .map(|ward| format!("{} {}", ward.code, ward.name))
            .collect();
        driver.say.progress(
            "weather",
            &format!(
                "{} in {} wards: {}",
                args.scenario.name(),
                names.len(),
                names.join(", ")
            ),
        );
        return Ok(());
    };
    for used in &replay.used {
        refine(driver, replay, &used.ward.code, &used.column).await?;
    }
    // the sandbox runs in another folder
    let whole = |path: &Path| {
        std::fs::canonicalize(path).with_context(|| format!("cannot find {}", path.display()))
    };
    let path = args.weather.as_deref().map(whole).transpose()?;
    let points = args.points.as_deref().map(whole).transpose()?;
    let wards = whole(&args.products.join("wards.csv"))?;
    let setup = json!({"replay": {"path": path, "points": points, "county": replay.county,
                                  "wards": wards}});
    driver.net.set("/control/weather", &setup).await?;
    let names: Vec<&str> = replay
        .used
        .iter()
        .map(|used| used.column.as_str())
        .collect();
    let text = format!(
        "{} replayed in {} wards of {}: {}",
        args.season,
        names.len(),
        replay.county,
        names.join(", ")
    );
    driver.say.progress("weather", &text);
    let text = format!(
        "{} columns unused: {}",
        replay.unused.len(),
        replay.unused.join(", ")
    );
    driver.say.progress("weather", &text);
    Ok(())
}

/// Has the vegetation of the years before imported: what a season's is compared with.
pub(super) async fn import_history(driver: &Driver, folder: &Path) -> anyhow::Result<()> {
    let table = driver.net.read("/control/scenes/history").await?;
    let path = std::fs::canonicalize(folder)?.join("vegetation.csv");
    std::fs::write(&path, &table).with_context(|| format!("cannot write {}", path.display()))?;
    let request = format!("@import {}", path.display());
    driver.chaos.ask(&request).await?;
    let dates = table.lines().count().saturating_sub(1);
    let text = format!("{dates} dates of the years before imported");
    driver.say.progress("vegetation", &text);
    Ok(())
}

/// Gives a ward the point of its column, so that it has a cell of its own.
async fn refine(driver: &Driver, replay: &Replay, code: &str, column: &str) -> anyhow::Result<()> {
    let Some(point) = replay.points.get(&normalised(column)) else {
        return Ok(());
    };
    let answer = driver
        .net
        .order(
            Operator::Maker,
            "PUT",
            &format!("/api/v1/operator/wards/{code}"),
            &json!({"lat": point.lat, "lon": point.lon}),
        )
        .await?;
    ensure!(
        answer.status == 200,
        "ward {code}: {} {}",
        answer.status,
        answer.body
    );
    Ok(())
}
