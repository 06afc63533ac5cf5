//! The evaluator: amounts, routing, the policy's limits, and the bytes of what was settled before.
//! Tests only; run with the crate's. What every shipped document pays is in `shipped`.

mod shipped;

use super::*;
use crate::product::tests::{house, phase_deficit};
use crate::product::{VegetationAbsent, VegetationMeasure, VegetationTerms, ZoneTrigger};
use proptest::prelude::*;

fn observed(rain_um: i64, vegetation: Option<u16>) -> Observed {
    let phases = vec![PhaseSum::of_rain("season", rain_um, 0)];
    Observed {
        vegetation_bp: vegetation.map(|v| BasisPoints::new(v).unwrap()),
        ..Observed::of_rain(phases, 2, 95)
    }
}

fn settled(product: &Product, observed: &Observed) -> Settlement {
    match settle(product, &product.zones[0], observed).unwrap() {
        Outcome::Settled(settlement) => settlement,
        deferred @ Outcome::Deferred { .. } => panic!("{deferred:?}"),
    }
}

#[test]
fn without_vegetation_the_weather_is_the_index_and_half_is_the_most() {
    let total_loss = settled(&house(), &observed(0, None));
    assert_eq!(total_loss.damage_index_bp, Some(BasisPoints::WHOLE));
    assert_eq!(
        total_loss.payout(Money::kes(10_000).unwrap()),
        Money::kes(5_000)
    );
    let confirmed = settled(&house(), &observed(0, Some(10_000)));
    assert_eq!(
        confirmed.payout(Money::kes(10_000).unwrap()),
        Money::kes(10_000)
    );
}

#[test]
fn one_missing_day_defers_however_dry_the_rest() {
    let mut gap = observed(0, None);
    gap.phases[0].missing_days = 1;
    let product = phase_deficit();
    let outcome = settle(&product, &product.zones[0], &gap).unwrap();
    assert_eq!(outcome, Outcome::Deferred { missing_days: 1 });
}

#[test]
fn confidence_and_stations_change_the_route_and_never_the_amount() {
    let sure = settled(&phase_deficit(), &observed(162_120, None));
    let mut doubtful = observed(162_120, None);
    (doubtful.confidence, doubtful.stations) = (79, 1);
    let unsure = settled(&phase_deficit(), &doubtful);
    assert!(sure.holds.is_empty());
    assert_eq!(
        unsure.holds,
        [HoldReason::LowConfidence, HoldReason::FewStations]
    );
    assert_eq!(sure.share, unsure.share);
    assert_eq!(sure.share.basis_points().to_string(), "63.32%");
}

proptest! {
    #[test]
    fn a_payout_lies_between_nothing_and_the_sum_insured(
        rain in 0_i64..500_000, v in proptest::option::of(0_u16..=10_000), sum in 1_i64..500_000,
    ) {
        let insured = Money::kes(sum).unwrap();
        for product in [house(), phase_deficit()] {
            let paid = settled(&product, &observed(rain, v)).payout(insured).unwrap();
            prop_assert!((0..=insured.minor).contains(&paid.minor));
        }
    }

    #[test]
    fn more_rain_never_pays_more(rain in 0_i64..400_000, more in 0_i64..100_000) {
        let insured = Money::kes(10_000).unwrap();
        for product in [house(), phase_deficit()] {
            let dry = settled(&product, &observed(rain, None)).payout(insured).unwrap();
            let wet = settled(&product, &observed(rain + more, None)).payout(insured).unwrap();
            prop_assert!(wet.minor <= dry.minor);
        }
    }
}

#[test]
fn what_was_settled_before_keeps_its_bytes() {
    let canonical = |value| String::from_utf8(crate::evidence::canonical_json(&value)).unwrap();
    for (product, vegetation, seen, settled) in [
        (
            house(),
            None,
            r#"{"confidence":95,"phases":[{"missing_days":0,"phase":"season","rain_um":162120}],"stations":2,"vegetation_bp":null}"#,
            r#"{"damage_index_bp":6332,"distance_bp":332,"holds":[],"outcome":"settled","payout_min":{"currency":"KES","minor":1000},"share":[1,2],"vegetation_bp":null,"weather":[2897,4575],"weather_bp":6332}"#,
        ),
        (
            house(),
            Some(3_500),
            r#"{"confidence":95,"phases":[{"missing_days":0,"phase":"season","rain_um":162120}],"stations":2,"vegetation_bp":3500}"#,
            r#"{"damage_index_bp":5199,"distance_bp":801,"holds":[],"outcome":"settled","payout_min":{"currency":"KES","minor":1000},"share":[2233,5000],"vegetation_bp":3500,"weather":[2897,4575],"weather_bp":6332}"#,
        ),
        (
            phase_deficit(),
            None,
            r#"{"confidence":95,"phases":[{"missing_days":0,"phase":"season","rain_um":162120}],"stations":2,"vegetation_bp":null}"#,
            r#"{"damage_index_bp":null,"distance_bp":null,"holds":[],"outcome":"settled","payout_min":{"currency":"KES","minor":1000},"share":[2897,4575],"vegetation_bp":null,"weather":[2897,4575],"weather_bp":6332}"#,
        ),
    ] {
        let observed = observed(162_120, vegetation);
        assert_eq!(canonical(serde_json::to_value(&observed).unwrap()), seen);
        let read: Observed = serde_json::from_str(seen).unwrap();
        assert_eq!(read, observed);
        let outcome = settle(&product, &product.zones[0], &observed).unwrap();
        assert_eq!(canonical(serde_json::to_value(outcome).unwrap()), settled);
    }
}

/// The linear product in schema 2, trigger 278 and exit 95 mm.
fn second_form() -> Product {
    let mut product = phase_deficit();
    product.schema = 2;
    product.zones[0].triggers = vec![ZoneTrigger {
        trigger: Some("278".parse().unwrap()),
        exit: Some("95".parse().unwrap()),
        trigger_mm: None,
        exit_mm: None,
        ..ZoneTrigger::of_rain("season", 0, 0)
    }];
    product.validate().unwrap();
    product
}

fn bp(value: u16) -> BasisPoints {
    BasisPoints::new(value).unwrap()
}

#[test]
fn the_second_form_of_a_document_pays_what_the_first_did() {
    for um in [0, 95_000, 96_170, 162_120, 273_560, 278_000, 829_500] {
        let first = settled(&phase_deficit(), &observed(um, None));
        let second = settled(&second_form(), &observed(um, None));
        assert_eq!((first.share, first.weather), (second.share, second.weather));
    }
}

#[test]
fn a_deductible_is_taken_off_a_franchise_is_a_gate_and_the_most_comes_last() {
    let paid = |terms, rain_um| {
        let mut product = second_form();
        product.terms = Some(terms);
        product.validate().unwrap();
        settled(&product, &observed(rain_um, None)).share
    };
    let none = PolicyTerms::default();
    let deductible = PolicyTerms {
        deductible_bp: Some(bp(1_000)),
        ..none
    };
    let franchise = PolicyTerms {
        franchise_bp: Some(bp(1_000)),
        ..none
    };
    // 18.3 mm below the trigger of a span of 183: a loss of exactly 10 %
    let tenth = 278_000 - 18_300;
    assert_eq!(paid(none, tenth), bp(1_000).fraction());
    assert_eq!(paid(deductible, tenth), Fraction::ZERO);
    assert_eq!(paid(franchise, tenth), bp(1_000).fraction());
    assert_eq!(paid(franchise, tenth + 1), Fraction::ZERO);
    assert_eq!(paid(deductible, tenth + 1), Fraction::ZERO);
    // half of it is lost
    let half = 278_000 - 91_500;
    assert_eq!(paid(deductible, half), bp(4_000).fraction());
    assert_eq!(paid(franchise, half), bp(5_000).fraction());
    let capped = PolicyTerms {
        payout_max_bp: Some(bp(4_500)),
        ..deductible
    };
    assert_eq!(paid(capped, half), bp(4_000).fraction());
    assert_eq!(paid(capped, 0), bp(4_500).fraction());
}

#[test]
fn a_lesser_confidence_may_lean_on_a_margin_in_the_second_form_alone() {
    let holds = |product: &Product, confidence, se, rain_um| {
        let observed = Observed {
            confidence,
            index_se_bp: se,
            ..observed(rain_um, None)
        };
        settled(product, &observed).holds
    };
    let held = vec![HoldReason::LowConfidence];
    let second = second_form();
    // half way: 5,000 basis points from trigger and exit
    let half = 186_500;
    assert_eq!(holds(&second, 80, None, half), []);
    assert_eq!(holds(&second, 79, None, half), held);
    assert_eq!(holds(&second, 79, Some(2_499), half), []);
    assert_eq!(holds(&second, 79, Some(2_500), half), held);
    assert_eq!(holds(&second, 60, Some(100), half), []);
    assert_eq!(holds(&second, 59, Some(0), half), held);
    assert_eq!(holds(&second, 79, Some(0), 278_000), held);
    // a season far above its trigger is as sure
    assert_eq!(holds(&second, 70, Some(1_000), 829_500), []);
    assert_eq!(holds(&phase_deficit(), 79, Some(0), half), held);
}

#[test]
fn an_index_within_its_error_of_a_cliff_is_borderline() {
    let mut linear = second_form();
    linear.settlement.borderline_se = Some(2);
    linear.validate().unwrap();
    let mut tiers = linear.clone();
    tiers.payout = house().payout;
    tiers.validate().unwrap();
    let holds = |product: &Product, se, rain_um, v| {
        let observed = Observed {
            index_se_bp: se,
            ..observed(rain_um, v)
        };
        settled(product, &observed).holds
    };
    // 1,000 basis points below the trigger
    let near = 278_000 - 18_300;
    assert_eq!(holds(&linear, None, near, None), []);
    assert_eq!(holds(&linear, Some(499), near, None), []);
    assert_eq!(
        holds(&linear, Some(500), near, None),
        [HoldReason::Borderline]
    );
    // damage index 0.6 x 6332 + 0.4 x 3500 = 5199, 801 from the cliff at 6000
    assert_eq!(holds(&tiers, Some(400), 162_120, Some(3_500)), []);
    let held = holds(&tiers, Some(401), 162_120, Some(3_500));
    assert_eq!(held, [HoldReason::Borderline]);
}

#[test]
fn vegetation_is_scaled_by_the_document_and_its_want_is_told() {
    let mut product = second_form();
    product.payout = house().payout;
    product.vegetation = Some(VegetationTerms {
        days: "03-01..05-31".parse().unwrap(),
        measure: VegetationMeasure::Z,
        none_at: "-0.5".parse().unwrap(),
        all_at: "-2".parse().unwrap(),
        sensor: "sentinel-2".to_owned(),
        fallback: vec!["modis-terra".to_owned()],
        baseline_first: 2001,
        baseline_last: 2015,
        wait_days: 20,
        absent: VegetationAbsent::TwoPeople,
    });
    product.validate().unwrap();
    let seen = Observed {
        vegetation_milli: Some(-1_974),
        // the measure governs, not what someone made of it
        ..observed(96_170, Some(0))
    };
    let found = settled(&product, &seen);
    assert_eq!(found.vegetation_bp, Some(bp(9_827)));
    // 0.6 x 9936 + 0.4 x 9827 = 9892.4
    assert_eq!(found.damage_index_bp, Some(bp(9_892)));
    assert_eq!((found.share, found.holds), (Fraction::ONE, vec![]));
    let unseen = settled(&product, &observed(96_170, None));
    assert_eq!(unseen.share, bp(5_000).fraction());
    assert_eq!(unseen.holds, [HoldReason::VegetationAbsent]);
}
