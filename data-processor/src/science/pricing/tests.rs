//! Premiums against the published KARARE examples, and what must hold of any record.
//! Reads no file.

use super::*;
use crate::science::bootstrap::{DRAWS, means};
use crate::science::burn::tests::{KARARE, shares, years};
use crate::science::burn::{Detrend, Line, detrended};
use proptest::prelude::*;

fn close(found: f64, published: f64, within: f64) {
    assert!((found - published).abs() <= within, "{found} {published}");
}

fn quarter() -> Assumptions {
    Assumptions {
        deductions: 0.25,
        ..Assumptions::default()
    }
}

#[test]
fn the_tail_of_karare_is_the_published_one() {
    let tail = Tail::of(&shares(&KARARE)).unwrap();
    close(tail.var90, 0.648_590, 5e-7);
    close(tail.var95, 0.994_246, 5e-7);
    close(tail.var99, 1.0, 5e-7);
    close(tail.tvar90, 0.925_915, 5e-7);
    close(tail.tvar95, 1.0, 5e-7);
}

#[test]
fn the_premiums_of_karare_are_the_published_ones() {
    let paid = shares(&KARARE);
    let loaded = Loaded::of(&paid, &quarter()).unwrap();
    close(loaded.deviation, 0.226_87, 5e-6);
    close(gross(loaded.deviation, &quarter()).unwrap(), 0.302_49, 5e-6);
    close(loaded.value_at_risk, 0.202_79, 5e-6);
    close(
        gross(loaded.value_at_risk, &quarter()).unwrap(),
        0.270_39,
        5e-6,
    );
    let dear = Assumptions {
        tail: 0.30,
        ..quarter()
    };
    close(
        Loaded::of(&paid, &dear).unwrap().value_at_risk,
        0.406_33,
        5e-6,
    );
}

#[test]
fn the_rate_in_the_product_file_follows_from_the_record() {
    let with = Assumptions::default();
    let loaded = Loaded::of(&shares(&KARARE), &with).unwrap();
    close(gross(loaded.risk_margin, &with).unwrap(), 0.2813, 5e-5);
}

#[test]
fn the_ladder_is_the_published_one() {
    let rungs = ladder(&KARARE, &[0.10, 0.15, 0.20, 0.25, 0.30], 0.02, &quarter()).unwrap();
    let published = [
        (159.31, 0.103, 0.0711, 0.1748),
        (221.84, 0.154, 0.0954, 0.2155),
        (229.81, 0.205, 0.1003, 0.2227),
        (241.56, 0.256, 0.1095, 0.2359),
        (277.72, 0.308, 0.1399, 0.2803),
    ];
    for (rung, (trigger, frequency, expected, gross)) in rungs.iter().zip(published) {
        close(rung.trigger_mm, trigger, 5e-3);
        close(rung.exit_mm, 72.99, 5e-3);
        close(rung.burn.frequency(), frequency, 5e-4);
        close(rung.burn.expected, expected, 5e-5);
        // 0.2359 is printed for 0.23585
        close(rung.gross, gross, 6e-5);
    }
}

#[test]
fn karare_is_priced_at_the_level_of_its_last_year() {
    let plain = Interval::of(&means(&shares(&KARARE), DRAWS, 1)).unwrap();
    let moved = detrended(Detrend::Linear, &years(), &KARARE).unwrap();
    let linear = Burn::of(&shares(&moved)).unwrap().expected;
    let t = Line::fit(&years(), &KARARE).unwrap().t();
    let found = recommend(&plain, linear, t);
    assert_eq!(found.view, View::Linear, "{}", found.reason);
    // the same loss without a trend is chance or a mistake, and rising rain lowers no price
    assert_eq!(recommend(&plain, 0.15, Some(-1.0)).view, View::Plain);
    assert_eq!(recommend(&plain, 0.05, Some(3.0)).view, View::Plain);
    assert_eq!(recommend(&plain, 0.30, Some(-1.2)).view, View::Linear);
    assert_eq!(recommend(&plain, 0.30, Some(-0.7)).view, View::Plain);
    assert_eq!(recommend(&plain, 0.15, None).view, View::Plain);
}

#[test]
fn forty_shillings_a_day_are_the_most_and_twelve_percent_the_decent_most() {
    let broken = |sum, premium, days| {
        let found = checks(sum, premium, days);
        let broken: Vec<&str> = found
            .iter()
            .filter(|check| !check.holds())
            .map(|check| check.rule)
            .collect();
        broken.len()
    };
    assert_eq!(broken(10_000, 1_200, 92), 0);
    assert_eq!(broken(10_000, 2_813, 92), 1);
    assert_eq!(broken(10_000, 3_681, 92), 2);
    assert_eq!(broken(600_000, 41 * 366, 366), 3);
    assert!(checks(10_000, 3_680, 92)[0].holds());
}

#[test]
fn deductions_of_the_whole_premium_have_no_gross_rate() {
    let all = Assumptions {
        deductions: 1.0,
        ..Assumptions::default()
    };
    assert_eq!(gross(0.1, &all), None);
    assert_eq!(proportional_hazard(&[], 1.2), None);
    assert_eq!(proportional_hazard(&[0.1], 0.9), None);
    assert_eq!(Loaded::of(&[0.1], &all), None);
}

proptest! {
    #[test]
    fn every_loading_costs_at_least_the_expected_loss(
        paid in prop::collection::vec(0.0_f64..=1.0, 2..60),
    ) {
        let with = Assumptions::default();
        let expected = Burn::of(&paid).unwrap().expected - 1e-12;
        let loaded = Loaded::of(&paid, &with).unwrap();
        for net in [
            loaded.adjusted, loaded.risk_margin, loaded.deviation, loaded.shortfall, loaded.hazard,
        ] {
            prop_assert!(net >= expected, "{loaded:?}");
            prop_assert!(gross(net, &with).unwrap() >= net);
        }
        let plain = proportional_hazard(&paid, 1.0).unwrap();
        prop_assert!((plain - expected).abs() < 1e-9);
    }
}
