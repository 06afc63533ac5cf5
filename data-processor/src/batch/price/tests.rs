//! The price as a person asks for it, on a small file made here. Writes below the system's
//! temporary folder only.

use serde_json::Value;

use super::*;
use crate::batch::as_if::testing::{number, rain};

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
