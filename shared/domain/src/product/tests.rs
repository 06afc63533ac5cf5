//! Products that other modules' tests use too, and the rules of validation. Tests only; run with
//! the crate's.

mod faults;

use std::path::{Path, PathBuf};

use super::*;
use crate::money::BasisPoints;

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

/// The folder of the documents.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../products")
}

/// Every document that is shipped, by file name.
pub(crate) fn shipped() -> Vec<Product> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        Product::from_toml(&text).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
    };
    paths.iter().map(read).collect()
}

/// Documents that policies were sold under and that a newer version has replaced.
const REPLACED: [(&str, &str); 2] = [
    (
        include_str!("../../testdata/products/KE-MZ-DI-LR.1.toml"),
        "ac82377242c1ba4038bb587a3b679049a791c0590e71369efcc0631eb70746d5",
    ),
    (
        include_str!("../../testdata/products/KE-MZ-PD-LR.1.toml"),
        "4c9484513715a873d3365cd8a70c2b7814621fa39a67c9e1e9b768268faf6f60",
    ),
];

#[test]
fn what_was_sold_keeps_its_hash() {
    for (text, hash) in REPLACED {
        let product = Product::from_toml(text).unwrap();
        assert_eq!((product.schema, product.hash().as_str()), (1, hash));
        // and is read back from what was stored
        let stored: Product = serde_json::from_slice(&product.canonical()).unwrap();
        assert_eq!(stored, product);
        // its policies are still settled by its own triggers, in wards that are no longer sold
        let zone = product.zone_of_ward("0235").unwrap();
        let [season] = zone.triggers.as_slice() else {
            panic!("{zone:?}");
        };
        assert_eq!((season.trigger_mm, season.exit_mm), (Some(278), Some(95)));
    }
    assert_eq!(
        phase_deficit().hash(),
        "4f8a7c9a0d378bb21846518fcd37ba34da58ffc1d671bfecab4ee73147eb76e9"
    );
}

/// Documents that policies are sold under now. A change of one of them goes into `testdata` and
/// `REPLACED` as it was, and its new hash here.
const SOLD: [(&str, u16, &str); 2] = [
    (
        "KE-MZ-DI-LR",
        2,
        "f84082a1c2ce5fc667412c5d3f16f61f8b2c128e4f78d86cd35801addf03e4c5",
    ),
    (
        "KE-MZ-PD-LR",
        1,
        "e2979fcc7f42a4e954823a4e93a9675263bba973194d04cafbe7050be6bcc57f",
    ),
];

#[test]
fn what_is_sold_keeps_its_hash() {
    let sold: Vec<(String, u16, String)> = shipped()
        .into_iter()
        .filter(|product| !product.is_draft())
        .map(|product| (product.code.clone(), product.schema, product.hash()))
        .collect();
    let expected = SOLD.map(|(code, schema, hash)| (code.to_owned(), schema, hash.to_owned()));
    assert_eq!(sold, expected);
}

#[test]
fn every_document_survives_being_stored() {
    for product in shipped() {
        let stored: Product = serde_json::from_slice(&product.canonical()).unwrap();
        assert_eq!((stored.hash(), &stored), (product.hash(), &product));
        stored.validate().unwrap();
    }
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let path = folder().join("schema.json");
    let generated = serde_json::to_string_pretty(&product_schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_PRODUCT_SCHEMA").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "products/schema.json is stale: UPDATE_PRODUCT_SCHEMA=1 cargo test -p domain schema"
    );
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
