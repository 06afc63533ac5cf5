//! Which stations may speak for a place, and what they say of one day by inverse distance.
//! A day that fewer stations know than the limits ask stays missing, never dry.
//! Used by the grid of many cells and wherever one place is asked about.

use super::place::{EARTH_RADIUS_KM, Place, haversine_km, line, unit_vector};
use super::{ELEVATION_GAP_DM_MAX, STATIONS_MAX, STATIONS_MIN};

/// A station or a target nearer than this is the same place, km (a metre).
pub const ON_SPOT_KM: f64 = 0.001;

/// A place with its height.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Site {
    /// Where.
    pub place: Place,
    /// Metres above the sea; a station without is not used for a target that has one.
    pub elevation_m: Option<f64>,
}

/// Which stations may speak for a target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Fewest with a number on a day.
    pub stations_min: usize,
    /// Most, nearest first.
    pub stations_max: usize,
    /// Farthest, km.
    pub distance_km_max: f64,
    /// Largest difference in elevation, metres.
    pub elevation_gap_m_max: f64,
}

impl Limits {
    /// Daily rain in general: 30 km.
    pub const DAILY_RAIN: Self = Self {
        stations_min: STATIONS_MIN,
        stations_max: STATIONS_MAX,
        distance_km_max: 30.0,
        elevation_gap_m_max: 300.0,
    };
    /// What a contract is settled on: 15 km, beyond which gauges in convective rain know nothing
    /// of each other's days.
    pub const CONTRACT: Self = Self {
        distance_km_max: 15.0,
        ..Self::DAILY_RAIN
    };
}

/// Stations near enough to a target, nearest first, with their distance, km.
#[must_use]
pub fn neighbours(target: Site, stations: &[Site], limits: &Limits) -> Vec<(usize, f64)> {
    // a straight line no longer than the arc it spans: cheap, and exact enough to rule out
    let reach = limits.distance_km_max / EARTH_RADIUS_KM * 1.000_001;
    let here = unit_vector(target.place);
    let mut near: Vec<(usize, f64)> = stations
        .iter()
        .enumerate()
        .filter(|(_, station)| {
            target.elevation_m.is_none_or(|height| {
                station
                    .elevation_m
                    .is_some_and(|other| (other - height).abs() <= limits.elevation_gap_m_max)
            })
        })
        .filter(|(_, station)| line(here, unit_vector(station.place)) <= reach)
        .map(|(index, station)| (index, haversine_km(target.place, station.place)))
        .filter(|(_, km)| *km <= limits.distance_km_max)
        .collect();
    near.sort_by(|one, other| one.1.total_cmp(&other.1).then(one.0.cmp(&other.0)));
    near.truncate(limits.stations_max);
    near
}

/// The inverse-distance estimate for one target and day: `None` when fewer stations than the
/// limits ask know the day and none stands on the spot.
#[must_use]
pub fn inverse_distance_mm(
    target: Site,
    stations: &[Site],
    rain_mm: &[Option<f64>],
    limits: &Limits,
) -> Option<f64> {
    let of = |index: usize| rain_mm.get(index).copied().flatten();
    let near = neighbours(target, stations, limits);
    if let Some((index, km)) = near.first()
        && *km < ON_SPOT_KM
        && let Some(mm) = of(*index)
    {
        return Some(mm);
    }
    let (mut weighed, mut weights, mut known) = (0.0, 0.0, 0_usize);
    for (index, km) in near.into_iter().filter(|(_, km)| *km >= ON_SPOT_KM) {
        if let Some(mm) = of(index) {
            let weight = 1.0 / (km * km);
            weighed += weight * mm;
            weights += weight;
            known = known.saturating_add(1);
        }
    }
    (known >= limits.stations_min.max(1)).then(|| weighed / weights)
}

/// The contract's limit on elevation is in decimetres, the grid's in metres: they are one.
const _: () = assert!(ELEVATION_GAP_DM_MAX == 3_000);

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Site = Site {
        place: Place {
            lat: -1.375,
            lon: 37.985,
        },
        elevation_m: Some(1_100.0),
    };

    fn published() -> Vec<Site> {
        [(-1.30, 37.90), (-1.50, 38.05), (-1.38, 38.20)]
            .map(|(lat, lon)| Site {
                place: Place { lat, lon },
                ..TARGET
            })
            .to_vec()
    }

    const RAIN: [Option<f64>; 3] = [Some(12.0), Some(4.0), Some(0.0)];

    #[test]
    fn the_published_vector_is_met_and_a_contract_does_not_look_as_far() {
        let found = |limits| inverse_distance_mm(TARGET, &published(), &RAIN, limits);
        let mm = found(&Limits::DAILY_RAIN).unwrap();
        assert!((mm - 7.578_071).abs() < 5e-7, "{mm}");
        assert_eq!(found(&Limits::CONTRACT), None);
    }

    #[test]
    fn a_station_too_high_or_of_unknown_height_is_not_asked() {
        for elevation_m in [Some(1_401.0), None] {
            let mut stations = published();
            stations[1].elevation_m = elevation_m;
            let found = inverse_distance_mm(TARGET, &stations, &RAIN, &Limits::DAILY_RAIN);
            assert_eq!(found, None);
        }
    }

    #[test]
    fn the_nearest_come_first_and_no_more_than_are_asked() {
        let stations: Vec<Site> = published().into_iter().cycle().take(9).collect();
        let near = neighbours(TARGET, &stations, &Limits::DAILY_RAIN);
        let order: Vec<usize> = near.iter().map(|(index, _)| *index).collect();
        assert_eq!(order, [0, 3, 6, 1, 4]);
    }
}
