//! Products that other modules' tests use too, and the rules of validation. Tests only; run with
//! the crate's.

use super::*;

const PHASE: &str = r#"
schema = 1
code = "KE-MZ-PD-LR"
crop = "maize"
currency = "KES"
sums_insured_kes = [3000, 5000, 10000]
release_auto_max_kes = 100000
capacity_kes_per_cell = 5000000
payout_min_kes = 10
name = { en = "Rain deficit", sw = "Upungufu wa mvua" }
season = { code = "MAM", sale = "01-15..02-28", cover = "03-01..05-31" }
payout = { function = "linear" }
[[phases]]
code = "season"
days = "03-01..05-31"
weight_bp = 10000
[settlement]
dataset = "weatherxm"
fallback = ["weatherxm-second", "weatherxm-idw"]
filled_days_max_bp = 1000
decide_after_days = 20
stations_min = 2
[[zones]]
code = "marsabit"
wards = ["0321"]
rate_bp = 2813
triggers = [{ phase = "season", trigger_mm = 278, exit_mm = 95 }]
"#;

pub(crate) fn phase_deficit() -> Product {
    Product::from_toml(PHASE).unwrap()
}

pub(crate) fn two_zone() -> Product {
    let mut product = phase_deficit();
    let mut second = product.zones[0].clone();
    second.code = "kitui".to_owned();
    second.wards = vec!["0400".to_owned()];
    product.zones.push(second);
    product.validate().unwrap();
    product
}

pub(crate) fn house() -> Product {
    let mut product = phase_deficit();
    let bp = |v| BasisPoints::new(v).unwrap();
    product.code = "KE-MZ-DI-LR".to_owned();
    product.payout = PayoutTerms::Tiers {
        weather_weight_bp: bp(6_000),
        attach_bp: bp(3_000),
        attach_pays_bp: bp(3_000),
        exhaust_bp: bp(6_000),
        exhaust_pays_bp: bp(5_000),
        borderline_bp: bp(50),
        vegetation_absent_cap_bp: bp(5_000),
    };
    product.validate().unwrap();
    product
}

#[test]
fn the_hash_follows_the_content_and_not_its_layout() {
    let same = Product::from_toml(&format!("# a remark\n{PHASE}\n")).unwrap();
    assert_eq!(phase_deficit().hash(), same.hash());
    let other = Product::from_toml(&PHASE.replace("278", "279")).unwrap();
    assert_ne!(phase_deficit().hash(), other.hash());
}

#[test]
fn faults_name_the_field_and_the_rule() {
    for (from, to, field) in [
        ("weight_bp = 10000", "weight_bp = 9999", "phases.weight_bp"),
        (
            "trigger_mm = 278, exit_mm = 95",
            "trigger_mm = 95, exit_mm = 278",
            "zones.marsabit.triggers",
        ),
        ("\"0321\"", "\"321\"", "zones.marsabit.wards"),
        ("01-15..02-28", "01-15..03-28", "season.sale"),
        ("3000, 5000", "5000, 3000", "sums_insured_kes"),
        ("10000]", "600000]", "sums_insured_kes"),
        (
            "code = \"season\"",
            "code = \"other\"",
            "zones.marsabit.triggers",
        ),
        ("crop = \"maize\"", "crap = \"maize\"", "document"),
    ] {
        assert!(PHASE.contains(from), "{from}");
        let error = Product::from_toml(&PHASE.replacen(from, to, 1)).unwrap_err();
        assert_eq!(error.field, field, "{error}");
    }
}
