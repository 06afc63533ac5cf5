//! What every document in `products/` promises, whatever it covers: a payout within the sum
//! insured, no gain from a gap, no sense of order, and the direction its phases state. Tests only.
//! A new document is tested by being there.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::*;
use crate::index::{DayRain, IndexValue, Known, StartedBy, measure};
use crate::measure::RainUm;
use crate::product::tests::shipped;
use crate::product::{Anchor, Direction, IndexTerms};
use chrono::{Days, NaiveDate};
use proptest::collection::vec;

static SHIPPED: LazyLock<Vec<Product>> = LazyLock::new(shipped);

/// A season's days from January on, what they are worth, and what arrives measured.
#[derive(Debug, Clone)]
struct Season {
    days: Vec<DayRain>,
    sown: Option<NaiveDate>,
    values: Vec<IndexValue>,
}

const YEAR: i32 = 2026;
/// January to the next February.
const DAYS: usize = 424;

fn january() -> NaiveDate {
    NaiveDate::from_ymd_opt(YEAR, 1, 1).unwrap()
}

impl Season {
    fn observed(&self, product: &Product) -> Observed {
        let known = Known {
            days: &self.days,
            sown: self.sown,
            values: &self.values,
        };
        Observed::of_rain(measure(product, YEAR, &known).unwrap(), 2, 95)
    }
}

fn measured_values(permille: i64) -> Vec<IndexValue> {
    let phases = SHIPPED.iter().flat_map(|product| &product.phases);
    phases
        .filter(|phase| !phase.index().is_of_rain())
        .map(|phase| {
            let (lowest, highest) = phase.index().range_milli(100);
            IndexValue {
                phase: phase.code.clone(),
                value_milli: lowest + (highest - lowest) * permille / 1_000,
                missing_days: 0,
            }
        })
        .collect()
}

/// Mostly dry days, some wet, few torrents.
fn any_season() -> impl Strategy<Value = Season> {
    let day = prop_oneof![
        5 => Just(0),
        3 => 0..15_000_i32,
        1 => 0..120_000_i32,
    ];
    (
        vec(day, DAYS),
        proptest::option::of(0_u64..400),
        0_i64..=1_000,
    )
        .prop_map(|(rain, sown, permille)| Season {
            days: (0..)
                .zip(rain)
                .map(|(offset, um)| DayRain {
                    day: january() + Days::new(offset),
                    rain_um: Some(RainUm(um)),
                })
                .collect(),
            sown: sown.map(|offset| january() + Days::new(offset)),
            values: measured_values(permille),
        })
}

/// Payouts of every zone on a sum insured; `None` while deferred.
fn payouts(product: &Product, observed: &Observed) -> Vec<Option<i64>> {
    let insured = Money::kes(10_000).unwrap();
    product
        .zones
        .iter()
        .map(|zone| match settle(product, zone, observed).unwrap() {
            Outcome::Settled(settlement) => Some(settlement.payout(insured).unwrap().minor),
            Outcome::Deferred { missing_days } => {
                assert!(missing_days > 0);
                None
            }
        })
        .collect()
}

#[test]
fn documents_of_every_kind_are_shipped() {
    let kinds: BTreeMap<&str, bool> = SHIPPED
        .iter()
        .map(|product| (product.code.as_str(), product.is_draft()))
        .collect();
    let expected = [
        ("KE-LV-FOR", true),
        ("KE-MZ-DI-LR", false),
        ("KE-MZ-GERM", true),
        ("KE-MZ-PD-LR", false),
        ("KE-MZ-PH-SR", true),
        ("KE-MZ-VEG", true),
        ("KE-MZ-WET", true),
    ];
    assert_eq!(kinds, BTreeMap::from(expected));
}

#[test]
fn the_dry_season_pays_in_full_and_the_good_one_nothing() {
    let dry = Season {
        days: (0..DAYS)
            .map(|offset| DayRain {
                day: january() + Days::new(u64::try_from(offset).unwrap()),
                rain_um: Some(RainUm::DRY),
            })
            .collect(),
        sown: None,
        values: measured_values(0),
    };
    let good = Season {
        days: dry
            .days
            .iter()
            .map(|day| DayRain {
                rain_um: Some(RainUm(6_000)),
                ..*day
            })
            .collect(),
        values: measured_values(600),
        ..dry.clone()
    };
    for product in SHIPPED.iter() {
        let code = product.code.as_str();
        let of_dry = match code {
            "KE-MZ-WET" => 0,
            // no vegetation was seen: half at most
            "KE-MZ-DI-LR" => 500_000,
            _ => 1_000_000,
        };
        for paid in payouts(product, &dry.observed(product)) {
            assert_eq!(paid, Some(of_dry), "{code}");
        }
        for paid in payouts(product, &good.observed(product)) {
            assert_eq!(paid, Some(0), "{code}");
        }
    }
    let storms = Season {
        days: good
            .days
            .iter()
            .map(|day| DayRain {
                rain_um: Some(RainUm(50_000)),
                ..*day
            })
            .collect(),
        ..good
    };
    let wet = SHIPPED.iter().find(|p| p.code == "KE-MZ-WET").unwrap();
    assert_eq!(payouts(wet, &storms.observed(wet)), [Some(1_000_000)]);
}

#[test]
fn the_example_that_is_told_to_actuaries_pays_3467() {
    // products/README.md: 30 of 60, 90 of 110 and 60 of 70 mm
    let product = SHIPPED.iter().find(|p| p.code == "KE-MZ-PH-SR").unwrap();
    let sums = [("est", 30_000), ("veg", 90_000), ("flo", 60_000)]
        .map(|(phase, um)| PhaseSum::of_rain(phase, um, 0));
    let observed = Observed::of_rain(sums.to_vec(), 2, 95);
    assert_eq!(payouts(product, &observed), [Some(346_700)]);
}

/// A measure of every phase, anywhere its index can be.
fn any_measures() -> impl Strategy<Value = Vec<u64>> {
    vec(0_u64..=1_000_000, 6)
}

fn sums(product: &Product, millionths: &[u64]) -> Vec<PhaseSum> {
    product
        .phases
        .iter()
        .zip(millionths)
        .map(|(phase, part)| {
            let (lowest, highest) = match phase.index() {
                // most of what a document could call rain is never reached
                IndexTerms::RainSum | IndexTerms::Rx { .. } => (0, 400_000),
                index => index.range_milli(30),
            };
            let value = lowest + (highest - lowest) * i64::try_from(*part).unwrap() / 1_000_000;
            let is_sum = *phase.index() == IndexTerms::RainSum;
            PhaseSum {
                index_milli: (!is_sum).then_some(value),
                ..PhaseSum::of_rain(&phase.code, if is_sum { value } else { 0 }, 0)
            }
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_payout_lies_between_nothing_and_the_sum_insured(
        season in any_season(),
        vegetation in proptest::option::of(0_u16..=10_000),
        sum in 1_i64..=500_000,
    ) {
        let insured = Money::kes(sum).unwrap();
        for product in SHIPPED.iter() {
            let mut observed = season.observed(product);
            observed.vegetation_bp = vegetation.map(|v| BasisPoints::new(v).unwrap());
            for zone in &product.zones {
                let Outcome::Settled(found) = settle(product, zone, &observed).unwrap() else {
                    panic!("{} lacks a day", product.code);
                };
                let paid = found.payout(insured).unwrap();
                prop_assert!((0..=insured.minor).contains(&paid.minor));
            }
        }
    }

    #[test]
    fn a_phase_pays_in_the_direction_it_states(
        measures in any_measures(),
        (which, more) in (0_usize..6, 0_u64..500_000),
    ) {
        for product in SHIPPED.iter() {
            let which = which % product.phases.len();
            let mut higher = measures.clone();
            higher[which] = (measures[which] + more).min(1_000_000);
            let of = |measures: &[u64]| {
                payouts(product, &Observed::of_rain(sums(product, measures), 2, 95))
            };
            for (low, high) in of(&measures).into_iter().zip(of(&higher)) {
                match product.phases[which].direction() {
                    Direction::Deficit => prop_assert!(high <= low, "{}", product.code),
                    Direction::Excess => prop_assert!(high >= low, "{}", product.code),
                }
            }
        }
    }

    #[test]
    fn a_wetter_day_never_helps_a_drought_cover_nor_hurts_a_flood_cover(
        season in any_season(),
        (at, more) in (0..DAYS, 0..80_000_i32),
    ) {
        let mut wetter = season.clone();
        let rain = wetter.days[at].rain_um.unwrap().0;
        wetter.days[at].rain_um = Some(RainUm(rain + more));
        for product in SHIPPED.iter() {
            // an onset may move with the rain, and the phases with it
            let moves = |phase: &crate::product::PhaseTerms| {
                matches!(phase.anchor(), Anchor::Onset { .. })
            };
            if product.phases.iter().any(moves) {
                continue;
            }
            let before = payouts(product, &season.observed(product));
            let after = payouts(product, &wetter.observed(product));
            let pays_for_rain = product.phases.iter().any(|phase| {
                matches!(phase.index(), IndexTerms::Rx { .. } | IndexTerms::WetDays { .. })
            });
            for (before, after) in before.into_iter().zip(after) {
                if pays_for_rain {
                    prop_assert!(after >= before, "{}", product.code);
                } else {
                    prop_assert!(after <= before, "{}", product.code);
                }
            }
        }
    }

    #[test]
    fn a_missing_day_never_raises_a_payout(
        season in any_season(),
        gaps in vec(0..DAYS, 1..=DAYS / 10),
        drop in any::<bool>(),
    ) {
        let mut holed = season.clone();
        for gap in &gaps {
            holed.days[*gap].rain_um = None;
        }
        if drop {
            holed.days.retain(|day| day.rain_um.is_some());
        }
        for product in SHIPPED.iter() {
            let whole = payouts(product, &season.observed(product));
            for (whole, holed) in whole.into_iter().zip(payouts(product, &holed.observed(product))) {
                // deferred, or all that decides was known and it is the very number
                prop_assert!(holed.is_none() || holed == whole, "{}", product.code);
            }
        }
    }

    #[test]
    fn the_order_of_days_does_not_matter(season in any_season(), seed in 1..DAYS) {
        let mut shuffled = season.clone();
        for i in 0..DAYS {
            shuffled.days.swap(i, (i * seed + seed) % DAYS);
        }
        shuffled.values.reverse();
        for product in SHIPPED.iter() {
            prop_assert_eq!(season.observed(product), shuffled.observed(product));
        }
    }

    #[test]
    fn two_farmers_of_a_ward_differ_by_their_sowing_alone(season in any_season()) {
        for product in SHIPPED.iter() {
            for sum in season.observed(product).phases {
                let by = sum.start.map(|start| start.by);
                let phase = product.phases.iter().find(|p| p.code == sum.phase).unwrap();
                let fits = match phase.anchor() {
                    Anchor::Calendar => by.is_none(),
                    Anchor::Onset { .. } => {
                        matches!(by, Some(StartedBy::Onset | StartedBy::NoOnset))
                    }
                    Anchor::Sowing { .. } => match season.sown {
                        Some(_) => by == Some(StartedBy::Declared),
                        None => by == Some(StartedBy::Undeclared),
                    },
                };
                prop_assert!(fits, "{} {by:?}", product.code);
            }
        }
    }

    #[test]
    fn trust_moves_the_route_and_never_the_amount(
        season in any_season(),
        (confidence, stations) in (0_u8..=100, 0_u8..4),
        se in proptest::option::of(0_u16..3_000),
    ) {
        for product in SHIPPED.iter() {
            let sure = season.observed(product);
            let doubtful = Observed {
                confidence,
                stations,
                index_se_bp: se,
                ..sure.clone()
            };
            prop_assert_eq!(payouts(product, &sure), payouts(product, &doubtful));
        }
    }
}
