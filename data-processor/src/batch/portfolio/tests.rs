//! The book as a person asks for it, on a small file made here. Writes below the system's
//! temporary folder only.

use serde_json::Value;

use super::*;
use crate::batch::as_if::testing::{number, rain, vegetation};

fn answer(rain: &std::path::Path, flags: &[&str]) -> anyhow::Result<(Value, String)> {
    crate::batch::as_if::testing::answer(rain, flags, run)
}

#[test]
fn places_under_their_own_triggers_fail_together() {
    let (found, svg) = answer(&rain("portfolio-own", ""), &["--all"]).unwrap();
    assert!((number(&found, "/places") - 2.0).abs() < 1e-9);
    assert!((number(&found, "/seasons/0/rain_correlation_mean") - 1.0).abs() < 1e-9);
    // one place is the other halved, so that the book varies as each of them does
    let (book, place) = (
        number(&found, "/seasons/0/sd"),
        number(&found, "/seasons/0/mean_sd_of_a_place"),
    );
    assert!((book - place).abs() < 1e-9);
    assert!((number(&found, "/years/0/year") - 2001.0).abs() < 1e-9);
    assert!((number(&found, "/years/0/return_years") - 13.0).abs() < 1e-9);
    assert!(svg.contains("return period, years"));
}

#[test]
fn a_second_season_adds_to_the_year_and_a_layer_takes_its_part() {
    let flags = [
        "--all",
        "--season",
        "03-01..05-31",
        "--season",
        "10-01..12-31",
        "--premium-rate",
        "0.2",
        "--stop-loss-limit",
        "150",
        "--stop-loss-attachment",
        "120",
    ];
    let (found, svg) = answer(&rain("portfolio-two", ""), &flags).unwrap();
    // no rain falls from October to December: trigger and exit are both 0, and 0 is not below 0
    let (sum, largest) = (
        number(&found, "/years/0/loss"),
        number(&found, "/years/0/largest_season"),
    );
    assert!((sum - 1.0).abs() < 1e-9 && (largest - 1.0).abs() < 1e-9);
    assert!((number(&found, "/years/0/ceded") - 0.3).abs() < 1e-9);
    assert!((number(&found, "/years/0/retained") - 0.7).abs() < 1e-9);
    assert!(svg.contains("OEP"));
}

#[test]
fn quantile_triggers_need_a_contract_of_one_line() {
    let flags = ["--all", "--product", "KE-MZ-DI-LR"];
    let error = format!(
        "{:#}",
        answer(&rain("portfolio-tiers", ""), &flags).unwrap_err()
    );
    assert!(error.contains("--fixed"), "{error}");
    let (found, _) = answer(
        &rain("portfolio-fixed", ""),
        &[&flags[..], &["--fixed"]].concat(),
    )
    .unwrap();
    assert!(number(&found, "/average_annual_loss") > 0.0);
}

#[test]
fn a_book_counts_the_seasons_that_had_vegetation() {
    let ndvi = vegetation("portfolio", |year| if year < 2003 { 0.05 } else { 0.3 });
    let asked = ndvi.display().to_string();
    let own = [
        "--product",
        "KE-MZ-DI-LR",
        "--vegetation",
        asked.as_str(),
        "--baseline",
        "2001..2012",
    ];
    let (found, _) = answer(
        &rain("portfolio-ndvi", ""),
        &[&own[..], &["--fixed"]].concat(),
    )
    .unwrap();
    let quantiles = answer(&rain("portfolio-no-ndvi", ""), &own).unwrap_err();
    std::fs::remove_file(ndvi).unwrap();
    assert!((number(&found, "/seasons_of_places") - 24.0).abs() < 1e-9);
    assert!((number(&found, "/seasons_with_vegetation") - 24.0).abs() < 1e-9);
    assert!(format!("{quantiles:#}").contains("use --fixed"));
}
