//! The back-test as a person runs it, on a small file made here. Writes below the system's
//! temporary folder only.

use serde_json::Value;

use super::*;
use crate::batch::as_if::testing::{number, rain};

fn answer(rain: &std::path::Path, flags: &[&str]) -> anyhow::Result<(Value, String)> {
    crate::batch::as_if::testing::answer(rain, flags, run)
}

#[test]
fn a_season_is_paid_as_the_product_says() {
    let (found, svg) = answer(&rain("backtest-one", ""), &["--place", "KARARE"]).unwrap();
    let at = "/places/0";
    // 130, 160, ... 280 mm: below 278 in 2001 to 2005
    assert!((number(&found, &format!("{at}/seasons_paid")) - 5.0).abs() < 1e-9);
    assert!((number(&found, &format!("{at}/seasons/0/share")) - 148.0 / 183.0).abs() < 1e-12);
    assert!((number(&found, &format!("{at}/seasons/0/payout_kes")) - 8_087.0).abs() < 1e-9);
    assert!(svg.contains("trigger 278 mm") && svg.contains("KARARE"));
}

#[test]
fn a_season_with_a_missing_day_is_named_and_not_numbered() {
    let (found, _) = answer(&rain("backtest-gap", "2003-05-01"), &[]).unwrap();
    let credible = number(&found, "/places/0/credible_expected_loss");
    let own = [0, 1].map(|at| number(&found, &format!("/places/{at}/expected_loss")));
    assert!(own[0] < credible && credible < f64::midpoint(own[0], own[1]));
    assert_eq!(
        found
            .pointer("/places")
            .and_then(Value::as_array)
            .unwrap()
            .len(),
        2
    );
    for place in 0..2 {
        let at = format!("/places/{place}");
        assert_eq!(
            found
                .pointer(&format!("{at}/seasons"))
                .and_then(Value::as_array)
                .unwrap()
                .len(),
            11
        );
        let gap = format!("{at}/seasons_without_a_number/0");
        assert!((number(&found, &format!("{gap}/year")) - 2003.0).abs() < 1e-9);
        assert!((number(&found, &format!("{gap}/missing_days")) - 1.0).abs() < 1e-9);
    }
}

#[test]
fn a_contract_can_be_tried_out_over_other_days() {
    let flags = [
        "--place",
        "turbi",
        "--trigger",
        "100",
        "--exit",
        "100",
        "--window",
        "04-01..04-30",
    ];
    let (found, _) = answer(&rain("backtest-try", ""), &flags).unwrap();
    // 65, 80, 95 mm are below 100; all or nothing
    assert!((number(&found, "/places/0/expected_loss") - 3.0 / 12.0).abs() < 1e-12);
}

#[test]
fn what_cannot_be_is_an_error_that_says_so() {
    let error = |name: &str, flags: &[&str]| {
        format!(
            "{:#}",
            answer(&rain(&format!("backtest-{name}"), ""), flags).unwrap_err()
        )
    };
    assert!(error("a", &["--place", "NAIROBI"]).contains("NAIROBI"));
    assert!(error("b", &["--zone", "mars"]).contains("mars"));
    assert!(error("c", &["--product", "KE-LV-FOR"]).contains("not measured in rain"));
    assert!(error("d", &["--trigger", "100"]).contains("--exit"));
    assert!(error("e", &["--sown", "3rd of March"]).contains("MM-DD"));
}
