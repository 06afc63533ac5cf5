//! Stations and satellite together: the ratio of the two is interpolated and given back to the
//! satellite's rain, within limits; and the satellite's days are mapped to a station's climate.
//! Never invents rain where the satellite saw none. Used by the fallback sources and by grids.

use super::STATIONS_MIN;
use crate::science::count;
use crate::science::quantile::{Convention, quantile, sort};

/// Least and most by which one source's rain is scaled to another's.
pub const FACTOR_LIMITS: [f64; 2] = [0.5, 2.0];
/// Satellite rain of a dekad below which there is nothing to take a ratio of, mm.
const SATELLITE_MM_MIN: f64 = 1.0;

/// A ratio within the limits.
#[must_use]
pub fn capped(ratio: f64) -> f64 {
    let [least, most] = FACTOR_LIMITS;
    ratio.clamp(least, most)
}

/// Station to satellite over the same days (a dekad or more), mm each, capped; `None` where the
/// satellite saw less than 1 mm.
#[must_use]
pub fn factor(station_mm: f64, satellite_mm: f64) -> Option<f64> {
    (satellite_mm >= SATELLITE_MM_MIN).then(|| capped(station_mm / satellite_mm))
}

/// The satellite's rain at a target, mm, times the inverse-distance mean of the factors known at
/// stations (distance km, factor). `None` with fewer than three; one on the spot speaks alone.
#[must_use]
pub fn by_factors(satellite_mm: f64, known: &[(f64, f64)]) -> Option<f64> {
    if let Some((_, factor)) = known.iter().find(|(km, _)| *km <= 0.0) {
        return Some(satellite_mm * factor);
    }
    if known.len() < STATIONS_MIN {
        return None;
    }
    let (mut weighed, mut weights) = (0.0, 0.0);
    for (km, factor) in known {
        let weight = 1.0 / (km * km);
        weighed += weight * factor;
        weights += weight;
    }
    Some(satellite_mm * capped(weighed / weights))
}

/// Empirical quantile mapping of one source's daily rain to another's climate.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantileMap {
    from: Vec<f64>,
    to: Vec<f64>,
}

impl QuantileMap {
    /// From daily rain, mm, of both sources over the same span (gaps left out); `None` when either
    /// has nothing.
    #[must_use]
    pub fn of(from_mm: &[Option<f64>], to_mm: &[Option<f64>]) -> Option<Self> {
        let sorted = |days: &[Option<f64>]| {
            let mut known: Vec<f64> = days.iter().flatten().copied().collect();
            sort(&mut known);
            known
        };
        let (from, to) = (sorted(from_mm), sorted(to_mm));
        (!from.is_empty() && !to.is_empty()).then_some(Self { from, to })
    }

    /// The other climate's rain, mm, at the rank that `mm` has in its own. What lies beyond its
    /// own largest is scaled by the capped ratio of the largest; none stays none.
    #[must_use]
    pub fn map(&self, mm: f64) -> f64 {
        let (Some(largest), Some(largest_there)) = (self.from.last(), self.to.last()) else {
            return mm;
        };
        if mm <= 0.0 {
            return 0.0;
        }
        if mm >= *largest {
            return mm * capped(largest_there / largest);
        }
        // mid-rank of the value, as a share of its own list
        let below = self.from.partition_point(|v| *v < mm);
        let until = self.from.partition_point(|v| *v <= mm);
        let rank = count(below.saturating_add(until)) / 2.0;
        let share = rank / count(self.from.len());
        quantile(&self.to, share, Convention::Hazen).unwrap_or(mm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn factors_are_capped_and_need_a_satellite_that_saw_rain() {
        assert_eq!(factor(30.0, 40.0), Some(0.75));
        assert_eq!(factor(90.0, 30.0), Some(2.0));
        assert_eq!(factor(0.0, 30.0), Some(0.5));
        assert_eq!(factor(30.0, 0.9), None);
    }

    #[test]
    fn the_satellite_is_scaled_by_what_stations_around_saw() {
        let around = [(10.0, 1.0), (10.0, 2.0), (10.0, 1.5)];
        assert!((by_factors(20.0, &around).unwrap() - 30.0).abs() < 1e-9);
        assert_eq!(by_factors(20.0, &around[..2]), None);
        assert_eq!(by_factors(20.0, &[(0.0, 0.5)]), Some(10.0));
        assert_eq!(by_factors(0.0, &around), Some(0.0));
    }

    #[test]
    fn a_source_that_sees_half_is_mapped_to_the_whole() {
        let whole: Vec<Option<f64>> = (0..100).map(|n| Some(f64::from(n))).collect();
        let half: Vec<Option<f64>> = (0..100).map(|n| Some(f64::from(n) / 2.0)).collect();
        let map = QuantileMap::of(&half, &whole).unwrap();
        for (mm, expected) in [(0.0, 0.0), (10.0, 20.0), (30.0, 60.0), (60.0, 120.0)] {
            assert!(
                (map.map(mm) - expected).abs() < 1e-9,
                "{mm} {}",
                map.map(mm)
            );
        }
        assert_eq!(QuantileMap::of(&[None], &whole), None);
    }

    proptest! {
        #[test]
        fn more_rain_is_never_mapped_to_less(
            from in proptest::collection::vec(0.0_f64..90.0, 1..40),
            to in proptest::collection::vec(0.0_f64..90.0, 1..40),
            low in 0.0_f64..120.0, more in 0.0_f64..60.0,
        ) {
            let known = |list: &[f64]| list.iter().copied().map(Some).collect::<Vec<_>>();
            let map = QuantileMap::of(&known(&from), &known(&to)).unwrap();
            let largest = from.iter().copied().fold(0.0, f64::max);
            let high = low + more;
            // within its own climate, and beyond it; the seam is where the cap bites
            if (high < largest) || (low >= largest) {
                prop_assert!(map.map(low) <= map.map(high) + 1e-9);
            }
            prop_assert!(map.map(low) >= 0.0);
        }
    }
}
