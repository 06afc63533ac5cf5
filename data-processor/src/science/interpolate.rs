//! Inverse-distance interpolation of a day's rain: weight 1/d², the five nearest, at least three.
//! A station on the spot is taken as it is. Never makes up a day that too few stations know.
//! Used for cells without a good station of their own; the modules below hold places, kriging,
//! grids of many cells and what is blended with the satellite.

pub mod kriging;
pub mod near;
pub mod place;
pub mod polygon;
pub mod satellite;
pub mod weights;

use domain::measure::{RainUm, from_millimetres};

/// Fewest stations with a number.
pub const STATIONS_MIN: usize = 3;
/// Most stations used, nearest first.
pub const STATIONS_MAX: usize = 5;
/// Farthest station used, metres.
pub const DISTANCE_M_MAX: i32 = 15_000;
/// Largest difference in elevation, decimetres (300 m).
pub const ELEVATION_GAP_DM_MAX: i32 = 3_000;

/// The estimate from stations at `distance_m` with their rain, in any order.
#[must_use]
pub fn inverse_distance(known: &[(u32, RainUm)]) -> Option<RainUm> {
    if known.len() < STATIONS_MIN {
        return None;
    }
    let mut nearest = known.to_vec();
    nearest.sort_unstable();
    nearest.truncate(STATIONS_MAX);
    if let Some((_, rain)) = nearest.iter().find(|(distance, _)| *distance == 0) {
        return Some(*rain);
    }
    let (mut weighed, mut weights) = (0.0_f64, 0.0_f64);
    for (distance_m, rain) in nearest {
        let weight = 1.0 / (f64::from(distance_m) * f64::from(distance_m));
        weighed += weight * f64::from(rain.0);
        weights += weight;
    }
    // the door of measures takes millimetres
    from_millimetres(weighed / weights / 1_000.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use h3o::LatLng;
    use proptest::prelude::*;

    #[test]
    fn the_published_vector_is_met() {
        // domain notes 2.11: target (-1.375, 37.985), 12, 4 and 0 mm at three stations: 7.578071
        let target = LatLng::new(-1.375, 37.985).unwrap();
        let distances: Vec<f64> = [(-1.30, 37.90), (-1.50, 38.05), (-1.38, 38.20)]
            .into_iter()
            .map(|(lat, lon)| target.distance_km(LatLng::new(lat, lon).unwrap()))
            .collect();
        for (found, published) in distances.iter().zip([12.602_903, 15.665_228, 23.906_499]) {
            assert!((found - published).abs() < 0.001, "{found}");
        }
        let known = [
            (12_603, RainUm(12_000)),
            (15_665, RainUm(4_000)),
            (23_906, RainUm(0)),
        ];
        let estimate = inverse_distance(&known).unwrap();
        assert!((estimate.0 - 7_578).abs() <= 1, "{estimate}");
    }

    #[test]
    fn two_stations_are_not_enough_and_one_on_the_spot_is_taken() {
        assert_eq!(
            inverse_distance(&[(5_000, RainUm(1)), (6_000, RainUm(2))]),
            None
        );
        let on_the_spot = [(0, RainUm(7)), (5_000, RainUm(1)), (6_000, RainUm(2))];
        assert_eq!(inverse_distance(&on_the_spot), Some(RainUm(7)));
    }

    proptest! {
        #[test]
        fn the_estimate_lies_between_the_least_and_the_most(
            known in proptest::collection::vec((1_u32..15_000, 0_i32..200_000), 3..5),
        ) {
            let known: Vec<_> = known.into_iter().map(|(d, um)| (d, RainUm(um))).collect();
            let estimate = inverse_distance(&known).unwrap();
            let (least, most) = (known.iter().map(|k| k.1).min(), known.iter().map(|k| k.1).max());
            prop_assert!(Some(estimate) >= least && Some(estimate) <= most);
        }
    }
}
