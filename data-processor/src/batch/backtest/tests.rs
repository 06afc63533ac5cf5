//! The back-test as a person runs it, on a small file made here. Writes below the system's
//! temporary folder only.

use serde_json::Value;

use super::*;
use crate::batch::as_if::testing::{number, rain, vegetation};

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
    // both under the terms of one zone, where the wetter place burns less
    let flags = [
        "--zone", "marsabit", "--place", "KARARE", "--place", "TURBI",
    ];
    let (found, _) = answer(&rain("backtest-gap", "2003-05-01"), &flags).unwrap();
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
fn each_place_is_evaluated_in_the_zone_whose_ward_it_is() {
    let (found, svg) = answer(&rain("backtest-zones", ""), &[]).unwrap();
    assert_eq!(
        found.pointer("/zone"),
        Some(&Value::from("marsabit, turbi"))
    );
    // 65, 80, ... 140 mm are below Turbi's 154; 65 and 80 below its exit of 92
    assert!((number(&found, "/places/1/seasons_paid") - 6.0).abs() < 1e-9);
    assert!((number(&found, "/places/1/seasons/1/share") - 1.0).abs() < 1e-12);
    assert!((number(&found, "/places/1/seasons/5/share") - 14.0 / 62.0).abs() < 1e-12);
    assert!(!svg.contains("trigger 278 mm"), "two zones share no line");
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
fn a_year_with_vegetation_is_paid_by_both_and_one_without_by_the_rule() {
    // none in the first year; bare ground in the second; the rest alike but for a little
    let ndvi = vegetation("backtest", |year| match year {
        2001 => -0.3,
        2002 => 0.05,
        _ => 0.30 + 0.001 * f64::from(year % 2),
    });
    let asked = ndvi.display().to_string();
    let of = |name: &str, flags: &[&str]| {
        let mut words = vec!["--product", "KE-MZ-DI-LR", "--place", "KARARE"];
        words.extend(flags);
        answer(&rain(name, ""), &words)
    };
    let flags = ["--vegetation", asked.as_str(), "--baseline", "2001..2012"];
    let (seen, _) = of("backtest-ndvi", &flags).unwrap();
    let (unseen, _) = of("backtest-no-ndvi", &[]).unwrap();
    let refused = of("backtest-years", &["--vegetation", &asked]).unwrap_err();
    let wrong = answer(&rain("backtest-pd", ""), &["--vegetation", &asked]).unwrap_err();
    std::fs::remove_file(ndvi).unwrap();
    let at = |report: &Value, year: usize, what: &str| {
        report
            .pointer(&format!("/places/0/seasons/{year}/{what}"))
            .unwrap()
            .clone()
    };
    // 130 mm: weather 80.87 %, without vegetation half is the most
    assert_eq!(at(&seen, 0, "vegetation"), Value::Null);
    assert_eq!(at(&seen, 0, "share"), at(&unseen, 0, "share"));
    assert_eq!(at(&seen, 0, "payout_kes"), 5_000);
    // 160 mm: weather 64.48 %, and all of the vegetation: 0.6 and 0.4 are 78.69 %, above 60 %
    assert!(number(&seen, "/places/0/seasons/1/vegetation") < -2.0);
    assert_eq!(
        (at(&seen, 1, "payout_kes"), at(&unseen, 1, "payout_kes")),
        (10_000.into(), 5_000.into())
    );
    // 190 mm: weather 48.09 % alone pays; with vegetation that stands it is 28.85 % and pays nothing
    assert_eq!(at(&seen, 2, "payout_kes"), 0);
    assert!(number(&unseen, "/places/0/seasons/2/share") > 0.4);
    assert!((number(&seen, "/places/0/seasons_with_vegetation") - 11.0).abs() < 1e-9);
    assert_eq!(
        seen.pointer("/vegetation_baseline/0"),
        Some(&Value::from(2001))
    );
    assert_eq!(unseen.pointer("/vegetation_baseline"), Some(&Value::Null));
    assert!(
        unseen
            .pointer("/vegetation_absent_rule")
            .unwrap()
            .is_string()
    );
    assert!(format!("{refused:#}").contains("--baseline FIRST..LAST"));
    assert!(format!("{wrong:#}").contains("no vegetation part"));
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
