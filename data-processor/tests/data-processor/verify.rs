//! Evidence is recomputed from the file alone: an honest bundle agrees, and one with a changed
//! digit is refused by its name and by the line that was changed.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up must fail"
)]

use chrono::Days;
use data_processor::index::{ENGINE_VERSION, Engine, Inputs, compute};
use data_processor::rule::Siting;
use data_processor::verify::verify;
use domain::evidence::{
    BUNDLE_BYTES_MAX, BUNDLE_FORM, Bundle, ScheduleLine, StationDay, StationEvidence, cid,
};
use domain::measure::RainUm;
use domain::money::Money;
use domain::product::Product;
use domain::settle::{Outcome, settle};

fn product() -> Product {
    Product::from_toml(include_str!("../../../products/KE-MZ-PD-LR.toml")).unwrap()
}

/// 92 days whose rain sums to 162.12 mm, as at KARARE in 1984.
fn station(rank: u16, product: &Product) -> StationEvidence {
    let window = product.cover_window(1984).unwrap();
    let days = window
        .days()
        .enumerate()
        .map(|(n, day)| StationDay {
            day,
            rain_um: Some(RainUm(if n == 0 { 162_120 - 91 * 1_000 } else { 1_000 })),
            samples: 96,
            resets: 0,
            flags: vec![],
            replies: vec!["ab".repeat(32)],
        })
        .collect();
    StationEvidence {
        id: format!("station-{rank}"),
        rank,
        distance_m: 400,
        data_quality_e4: 9_800,
        location_quality_e4: 10_000,
        place: None,
        days,
    }
}

fn bundle() -> Bundle {
    let product = product();
    let zone = product
        .zone_of_ward("0234")
        .expect("the ward of Karare has a zone")
        .clone();
    let stations = vec![station(1, &product), station(2, &product)];
    let window = product.cover_window(1984).unwrap();
    let inputs = Inputs {
        engine: Engine::CURRENT,
        product: &product,
        zone: &zone,
        cell: "877a5c541ffffff".parse().unwrap(),
        season_year: 1984,
        window,
        siting: Siting::InCell,
        stations: &stations,
        grids: &[],
        sensors: &[],
    };
    let computed = compute(&inputs, window.last_day()).unwrap();
    let observed = computed.observed();
    let Outcome::Settled(settlement) = settle(&product, &zone, &observed).unwrap() else {
        panic!("no day is missing");
    };
    let schedule = product
        .sums_insured_kes
        .iter()
        .map(|kes| {
            let sum_insured = Money::kes(*kes).unwrap();
            ScheduleLine {
                sum_insured,
                payout: settlement.payout(sum_insured).unwrap(),
            }
        })
        .collect();
    Bundle {
        form: BUNDLE_FORM.to_owned(),
        engine: ENGINE_VERSION.to_owned(),
        product_hash: product.hash(),
        zone: zone.code.clone(),
        cell: "877a5c541ffffff".parse().unwrap(),
        season_year: 1984,
        window,
        stations,
        grids: vec![],
        sensors: vec![],
        checks: computed.checks,
        days: computed.days,
        observed,
        settlement,
        schedule,
        product,
    }
}

#[test]
fn an_honest_bundle_agrees_and_pays_what_was_published() {
    let bytes = bundle().bytes();
    assert!(bytes.len() <= BUNDLE_BYTES_MAX, "{} bytes", bytes.len());
    let verdict = verify(&bytes, Some(&cid(&bytes)));
    assert_eq!(verdict.differences, []);
    assert_eq!(verdict.payout.as_deref(), Some("63.32%"));
}

#[test]
fn a_changed_digit_is_refused_and_its_line_named() {
    let honest = bundle();
    let name = cid(&honest.bytes());
    type Change = fn(&mut Bundle);
    let changes: [(&str, Change); 7] = [
        ("schedule[KE", |b| {
            b.schedule[0].payout = Money::kes(1_901).unwrap();
        }),
        ("days[1984-03-02]", |b| {
            b.days[1].rain_um = Some(RainUm(1_001));
        }),
        ("days[1984-03-03]", |b| {
            b.stations[0].days[2].rain_um = Some(RainUm(999));
        }),
        ("observed.phases[", |b| b.observed.phases[0].rain_um += 10),
        ("observed.confidence", |b| b.observed.confidence -= 1),
        ("product_hash", |b| b.product_hash.replace_range(0..1, "z")),
        ("window", |b| b.window.end = b.window.end + Days::new(1)),
    ];
    for (line, change) in changes {
        let mut changed = honest.clone();
        change(&mut changed);
        let verdict = verify(&changed.bytes(), Some(&name));
        let lines: Vec<_> = verdict
            .differences
            .iter()
            .map(|d| d.line.as_str())
            .collect();
        assert!(lines.contains(&"cid"), "{lines:?}");
        assert!(
            lines.iter().any(|l| l.starts_with(line)),
            "{line}: {lines:?}"
        );
    }
}

#[test]
fn what_is_no_bundle_is_refused_and_never_a_panic() {
    for bytes in [&b""[..], b"{}", b"[]", b"\xff\xfe", b"{\"form\":1}"] {
        let verdict = verify(bytes, None);
        assert!(!verdict.agrees());
        assert_eq!(verdict.payout, None);
    }
    let mut spaced = bundle().bytes();
    spaced.insert(1, b' ');
    assert!(!verify(&spaced, None).agrees());
}
