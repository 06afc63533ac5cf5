//! How far an index can be relied on, 0 to 100: coverage, agreement of stations, nearness, quality.
//! Decides speed and routing; never changes an amount. A single station is never relied on alone.
//! Used with each index.

use domain::settle::CONFIDENCE_ONE_STATION_MAX;

/// Weights of coverage, agreement, proximity and quality.
const WEIGHTS: [f64; 4] = [0.35, 0.25, 0.20, 0.20];
/// Distance at which nearness has fallen to 1/e, metres.
const PROXIMITY_M: f64 = 15_000.0;
/// Smallest scale of disagreement, µm (1 mm).
const AGREEMENT_UM_MIN: f64 = 1_000.0;
/// So that 79.999999999 from adding floats is still 80.
const ROUNDING: f64 = 1e-9;

/// Two stations over the days both know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Rain at the first, µm.
    pub first_um: i64,
    /// Rain at the second, µm.
    pub second_um: i64,
    /// The triggers of all phases, µm.
    pub trigger_um: i64,
}

/// What is known of an index and who observed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observing {
    /// Days that have passed.
    pub days: u32,
    /// Those with a number.
    pub days_known: u32,
    /// Those of the leading station with nothing odd about them.
    pub days_good: u32,
    /// The two leading stations, if there are two.
    pub pair: Option<Pair>,
    /// Distance of the nearest station, metres; `None` when it stands in the cell.
    pub distance_m: Option<u32>,
    /// Stations.
    pub stations: u8,
}

/// Confidence, 0 to 100.
#[must_use]
pub fn confidence(observing: &Observing) -> u8 {
    if observing.stations == 0 || observing.days == 0 {
        return 0;
    }
    let proximity = observing
        .distance_m
        .map_or(1.0, |metres| libm::exp(-f64::from(metres) / PROXIMITY_M));
    weigh(observing, proximity)
}

/// Confidence, 0 to 100, of a cell that is kriged: nearness is what the stations know of it, 1
/// less the kriging variance as a part of the total (nugget and sill), when that is less than
/// their distance gives. Both in mm².
#[must_use]
pub fn confidence_kriged(observing: &Observing, variance: f64, total: f64) -> u8 {
    if observing.stations == 0 || observing.days == 0 {
        return 0;
    }
    let by_distance = observing
        .distance_m
        .map_or(1.0, |metres| libm::exp(-f64::from(metres) / PROXIMITY_M));
    weigh(observing, by_distance.min(known_share(variance, total)))
}

/// What part of a place's variance its stations account for, 0 to 1; 0 when that cannot be told.
#[must_use]
pub fn known_share(variance: f64, total: f64) -> f64 {
    if total > 0.0 && variance.is_finite() {
        (1.0 - variance / total).clamp(0.0, 1.0)
    } else {
        0.0
    }
}

fn weigh(observing: &Observing, proximity: f64) -> u8 {
    let [of_coverage, of_agreement, of_proximity, of_quality] = WEIGHTS;
    let coverage = share(observing.days_known, observing.days);
    let quality = share(observing.days_good, observing.days);
    let rest = of_coverage * coverage + of_proximity * proximity + of_quality * quality;
    match observing.pair {
        Some(pair) if observing.stations > 1 => {
            whole_percent(rest + of_agreement * agreement(pair))
        }
        // nobody to agree with: the other terms are weighed anew
        _ => whole_percent(rest / (1.0 - of_agreement)).min(CONFIDENCE_ONE_STATION_MAX),
    }
}

/// 1 less the stations' difference in halves of the trigger.
fn agreement(pair: Pair) -> f64 {
    let float = |um: i64| f64::from(i32::try_from(um).unwrap_or(i32::MAX));
    let scale = (float(pair.trigger_um) / 2.0).max(AGREEMENT_UM_MIN);
    let apart = pair
        .first_um
        .saturating_sub(pair.second_um)
        .saturating_abs();
    1.0 - (float(apart) / scale).min(1.0)
}

fn share(part: u32, whole: u32) -> f64 {
    (f64::from(part) / f64::from(whole.max(1))).min(1.0)
}

/// The largest whole per cent that a share reaches.
fn whole_percent(share: f64) -> u8 {
    (0..=100_u8)
        .rev()
        .find(|p| f64::from(*p) <= share * 100.0 + ROUNDING)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn two() -> Observing {
        let pair = Pair {
            first_um: 92_000,
            second_um: 92_000,
            trigger_um: 278_000,
        };
        let (days, stations) = (92, 2);
        Observing {
            days,
            days_known: 92,
            days_good: 92,
            pair: Some(pair),
            distance_m: None,
            stations,
        }
    }

    #[test]
    fn two_stations_that_agree_are_relied_on_and_one_never_is() {
        assert_eq!(confidence(&two()), 100);
        assert_eq!(
            confidence(&Observing {
                pair: None,
                stations: 1,
                ..two()
            }),
            79
        );
        assert_eq!(
            confidence(&Observing {
                pair: None,
                stations: 0,
                ..two()
            }),
            0
        );
    }

    #[test]
    fn disagreement_costs_up_to_a_quarter() {
        let apart = |second_um| {
            let pair = Pair {
                first_um: 92_000,
                second_um,
                trigger_um: 278_000,
            };
            confidence(&Observing {
                pair: Some(pair),
                ..two()
            })
        };
        // 69.5 mm apart is half of the trigger's half
        assert_eq!((apart(161_500), apart(900_000)), (87, 75));
    }

    #[test]
    fn what_is_missing_odd_or_far_costs_its_share() {
        assert_eq!(
            confidence(&Observing {
                days_known: 46,
                ..two()
            }),
            82
        );
        assert_eq!(
            confidence(&Observing {
                days_good: 0,
                ..two()
            }),
            80
        );
        // 0.8 + 0.2 / e
        assert_eq!(
            confidence(&Observing {
                distance_m: Some(15_000),
                stations: 3,
                ..two()
            }),
            87
        );
    }

    #[test]
    fn kriging_variance_lowers_confidence_and_never_raises_it() {
        let near = Observing {
            distance_m: Some(12_603),
            stations: 3,
            ..two()
        };
        // domain notes 2.11: variance 23.931454 of a total of 45; e^(-12.603/15) = 0.432
        assert!((known_share(23.931_454, 45.0) - 0.468_190).abs() < 1e-6);
        assert_eq!(
            (
                confidence(&near),
                confidence_kriged(&near, 23.931_454, 45.0)
            ),
            (88, 88)
        );
        assert_eq!(confidence_kriged(&near, 45.0, 45.0), 80);
        assert_eq!(confidence_kriged(&near, f64::NAN, 45.0), 80);
        assert_eq!(confidence_kriged(&two(), 0.0, 45.0), 100);
    }

    proptest! {
        #[test]
        fn a_single_station_never_releases_by_itself(
            known in 0_u32..=92, good in 0_u32..=92, metres in proptest::option::of(0_u32..20_000),
        ) {
            let alone = Observing {
                days_known: known, days_good: good, distance_m: metres, pair: None, stations: 1, ..two()
            };
            prop_assert!(confidence(&alone) < domain::settle::CONFIDENCE_AUTO_MIN);
        }
    }
}
