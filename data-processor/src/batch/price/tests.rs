//! The price as a person asks for it, on a small file made here. Writes below the system's
//! temporary folder only.

use serde_json::Value;

use super::*;
use crate::batch::as_if::testing::{number, rain, vegetation};

fn answer(rain: &std::path::Path, flags: &[&str]) -> anyhow::Result<(Value, String)> {
    crate::batch::as_if::testing::answer(rain, flags, run)
}

#[test]
fn every_view_and_every_loading_is_in_the_report() {
    let (found, svg) = answer(
        &rain("price-all", ""),
        &["--place", "KARARE", "--draws", "500"],
    )
    .unwrap();
    let views = found.pointer("/views").and_then(Value::as_array).unwrap();
    assert_eq!(views.len(), 4);
    for view in views {
        let loadings = view.pointer("/loadings").and_then(Value::as_array).unwrap();
        assert_eq!(loadings.len(), 7);
        for loading in loadings {
            assert!(number(loading, "/gross") >= number(loading, "/net"));
        }
    }
    // the rain rises by 30 mm a year: at the level of 2012 nothing is lost, and that lowers no price
    assert!(number(&found, "/views/2/expected_loss").abs() < 1e-9);
    assert_eq!(
        found.pointer("/recommended"),
        Some(&Value::from("plain burn"))
    );
    assert!((number(&found, "/trend_mm_a_year") - 30.0).abs() < 1e-9);
    assert_eq!(
        found
            .pointer("/ladder")
            .and_then(Value::as_array)
            .unwrap()
            .len(),
        5
    );
    assert!(svg.contains("plain burn"));
}

#[test]
fn of_the_views_with_and_without_vegetation_the_dearer_is_asked() {
    let of = |name: &str, ndvi: fn(i32) -> f64| {
        let ndvi = vegetation(&format!("price-{name}"), ndvi);
        let asked = ndvi.display().to_string();
        let flags = [
            "--product",
            "KE-MZ-DI-LR",
            "--place",
            "KARARE",
            "--draws",
            "100",
            "--vegetation",
            asked.as_str(),
            "--baseline",
            "2001..2012",
        ];
        let found = answer(&rain(&format!("price-{name}"), ""), &flags);
        std::fs::remove_file(ndvi).unwrap();
        found.unwrap().0
    };
    let text = |report: &Value, at: &str| report.pointer(at).unwrap().as_str().unwrap().to_owned();
    let rate =
        |report: &Value, view: usize| number(report, &format!("/views/{view}/loadings/2/gross"));
    // the driest years are also the barest: what paid half pays all
    let barer = of("barer", |year| if year < 2003 { 0.05 } else { 0.3 });
    assert_eq!(text(&barer, "/views/0/view"), "plain burn, no vegetation");
    assert_eq!(
        text(&barer, "/recommended"),
        "with vegetation, 2001 to 2012"
    );
    assert!(text(&barer, "/reason").contains("vegetation adds loss"));
    assert!(rate(&barer, 4) > rate(&barer, 0));
    assert!((number(&barer, "/rate") - rate(&barer, 4)).abs() < 1e-12);
    // vegetation that stands in every dry year takes loss away, and lowers no price
    let greener = of("greener", |year| if year < 2006 { 0.3 } else { 0.28 });
    assert_eq!(text(&greener, "/recommended"), "plain burn, no vegetation");
    assert!(text(&greener, "/reason").contains("no dearer"));
    assert!((number(&greener, "/rate") - rate(&greener, 0)).abs() < 1e-12);
    assert!(rate(&greener, 4) < rate(&greener, 0));
}

#[test]
fn vegetation_that_is_not_given_is_said_to_be_absent() {
    let flags = [
        "--product",
        "KE-MZ-DI-LR",
        "--place",
        "KARARE",
        "--draws",
        "100",
    ];
    let (found, _) = answer(&rain("price-absent", ""), &flags).unwrap();
    assert_eq!(found.pointer("/vegetation"), Some(&Value::Null));
    assert!(
        found
            .pointer("/vegetation_absent_rule")
            .unwrap()
            .is_string()
    );
    assert_eq!(
        found
            .pointer("/views")
            .and_then(Value::as_array)
            .unwrap()
            .len(),
        4
    );
}

#[test]
fn the_interval_is_that_of_the_seed() {
    let of = |name: &str, seed: &str| {
        let flags = ["--draws", "200", "--seed", seed];
        let (found, _) = answer(&rain(&format!("price-{name}"), ""), &flags).unwrap();
        found.pointer("/bootstrap/p95").unwrap().clone()
    };
    assert_eq!(of("s1", "1"), of("s2", "1"));
    assert_ne!(of("s3", "1"), of("s4", "2"));
}

#[test]
fn too_few_years_and_impossible_loadings_are_refused() {
    let error = |name: &str, flags: &[&str]| {
        format!(
            "{:#}",
            answer(&rain(&format!("price-{name}"), ""), flags).unwrap_err()
        )
    };
    assert!(error("f", &["--deductions", "1"]).contains("--deductions"));
    assert!(error("g", &["--hazard", "0.5"]).contains("--hazard"));
    assert!(error("h", &["--draws", "0"]).contains("--draws"));
}
