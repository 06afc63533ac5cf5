//! A station against those near by, as titanlib (MET Norway) defines its checks: buddy, isolation,
//! duplicates, metadata, range. Distances are straight lines through the Earth; a neighbour is at
//! more than no distance and at most the radius. Written anew from the published definitions and
//! held to titanlib's own test cases. Says which are odd; never what their number should be.

use super::qartod::Qartod;
use crate::science::count;
use crate::science::interpolate::place::{EARTH_RADIUS_KM, Place, line, unit_vector};

/// Fall of air temperature with height used to compare stations, °C a metre.
pub const LAPSE_C_PER_M: f64 = -0.006_5;

/// Where a station is said to stand.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Point {
    /// Degrees north.
    pub lat: Option<f64>,
    /// Degrees east.
    pub lon: Option<f64>,
    /// Metres above the sea.
    pub elevation_m: Option<f64>,
    /// Share of land around it, 0 to 1.
    pub land_share: Option<f64>,
}

/// Places in space, metres; none for a place that is not known.
fn positions(points: &[Point]) -> Vec<Option<[f64; 3]>> {
    let metres = EARTH_RADIUS_KM * 1_000.0;
    points
        .iter()
        .map(|point| {
            let (lat, lon) = (point.lat?, point.lon?);
            Some(unit_vector(Place { lat, lon }).map(|part| part * metres))
        })
        .collect()
}

/// The straight line between two known places, metres.
fn line_m(from: Option<[f64; 3]>, to: Option<[f64; 3]>) -> Option<f64> {
    Some(line(from?, to?))
}

/// Terms of the buddy check.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Buddies {
    /// Farthest buddy, metres.
    pub radius_m: f64,
    /// Fewest buddies.
    pub buddies_min: usize,
    /// Standard deviations from the buddies' mean that are still good.
    pub threshold: f64,
    /// Largest difference in elevation, metres; `None`: elevations are not looked at.
    pub elevation_gap_m_max: Option<f64>,
    /// Change of the value with height, a metre.
    pub gradient_per_m: f64,
    /// Least standard deviation taken, in the unit of the values.
    pub std_min: f64,
    /// Passes: one found odd is no buddy in the next.
    pub passes: u32,
}

/// The buddy check: odd where a value lies farther from its buddies' mean than the threshold times
/// their standard deviation (widened by that of the mean). In place: one found odd is no buddy of
/// those after it. A missing value is nobody's buddy and is not judged.
#[must_use]
pub fn buddy(points: &[Point], values: &[Option<f64>], terms: &Buddies) -> Vec<bool> {
    let places = positions(points);
    let mut odd = vec![false; values.len().min(points.len())];
    for _ in 0..terms.passes {
        for this in 0..odd.len() {
            if odd.get(this).is_none_or(|is_odd| *is_odd) {
                continue;
            }
            let verdict = is_odd_among_buddies(this, points, &places, values, &odd, terms);
            if let Some(slot) = odd.get_mut(this) {
                *slot = verdict;
            }
        }
    }
    odd
}

fn is_odd_among_buddies(
    this: usize,
    points: &[Point],
    places: &[Option<[f64; 3]>],
    values: &[Option<f64>],
    odd: &[bool],
    terms: &Buddies,
) -> bool {
    let value = values.get(this).copied().flatten();
    let (Some(value), Some(place), Some(point)) = (value, places.get(this), points.get(this))
    else {
        return false;
    };
    let mut known: Vec<f64> = Vec::with_capacity(values.len());
    for (((other, there), of_other), is_odd) in points.iter().zip(places).zip(values).zip(odd) {
        let is_near =
            line_m(*place, *there).is_some_and(|metres| metres > 0.0 && metres <= terms.radius_m);
        let (true, false, Some(of_other)) = (is_near, *is_odd, *of_other) else {
            continue;
        };
        let Some(gap_max) = terms.elevation_gap_m_max else {
            known.push(of_other);
            continue;
        };
        if let (Some(here), Some(there)) = (point.elevation_m, other.elevation_m)
            && (here - there).abs() <= gap_max
        {
            known.push(of_other + (here - there) * terms.gradient_per_m);
        }
    }
    if known.is_empty() || known.len() < terms.buddies_min {
        return false;
    }
    let buddies = count(known.len());
    let mean = known.iter().sum::<f64>() / buddies;
    let variance = known.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / buddies;
    let deviation = (variance + variance / buddies).sqrt().max(terms.std_min);
    (value - mean).abs() / deviation > terms.threshold
}

/// The isolation check: odd with fewer than `neighbours_min` within the radius (and nearer than
/// `height_m_max` in elevation, when that is asked).
#[must_use]
pub fn isolated(
    points: &[Point],
    neighbours_min: usize,
    radius_m: f64,
    height_m_max: Option<f64>,
) -> Vec<bool> {
    let places = positions(points);
    points
        .iter()
        .zip(&places)
        .map(|(point, place)| {
            let neighbours = points
                .iter()
                .zip(&places)
                .filter(|(other, there)| {
                    line_m(*place, **there).is_some_and(|metres| metres > 0.0 && metres <= radius_m)
                        && height_m_max.is_none_or(|most| {
                            height_gap(point, other).is_some_and(|gap| gap < most)
                        })
                })
                .count();
            neighbours < neighbours_min
        })
        .collect()
}

/// Difference in elevation, metres, where both are known.
fn height_gap(one: &Point, other: &Point) -> Option<f64> {
    Some((one.elevation_m? - other.elevation_m?).abs())
}

/// The duplicate check: odd where an earlier station stands within the radius (and within
/// `height_m_max` of its elevation, when that is asked; then one without an elevation is odd too).
/// A place that is not known is nobody's duplicate.
#[must_use]
pub fn duplicates(points: &[Point], radius_m: f64, height_m_max: Option<f64>) -> Vec<bool> {
    let places = positions(points);
    let mut odd: Vec<bool> = points
        .iter()
        .map(|point| height_m_max.is_some() && point.elevation_m.is_none())
        .collect();
    for (this, (point, place)) in points.iter().zip(&places).enumerate() {
        if odd.get(this).is_none_or(|is_odd| *is_odd) {
            continue;
        }
        let after = this.saturating_add(1);
        for ((other, there), is_odd) in points.iter().zip(&places).zip(odd.iter_mut()).skip(after) {
            let is_near = line_m(*place, *there).is_some_and(|metres| metres <= radius_m);
            *is_odd |= is_near
                && height_m_max
                    .is_none_or(|most| height_gap(point, other).is_some_and(|gap| gap <= most));
        }
    }
    odd
}

/// What of a station's place must be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Latitude.
    pub lat: bool,
    /// Longitude.
    pub lon: bool,
    /// Elevation.
    pub elevation: bool,
    /// Share of land.
    pub land_share: bool,
}

/// The metadata check: odd where something asked for is not known.
#[must_use]
pub fn without_metadata(points: &[Point], asked: Known) -> Vec<bool> {
    points
        .iter()
        .map(|point| {
            (asked.lat && point.lat.is_none())
                || (asked.lon && point.lon.is_none())
                || (asked.elevation && point.elevation_m.is_none())
                || (asked.land_share && point.land_share.is_none())
        })
        .collect()
}

/// The range check: odd outside `least..=most` (one pair, or one a value) and where there is no
/// value. `None` when the limits are neither one nor as many as the values.
#[must_use]
pub fn out_of_range(values: &[Option<f64>], least: &[f64], most: &[f64]) -> Option<Vec<bool>> {
    let limit = |limits: &[f64], position: usize| match limits {
        [one] => Some(*one),
        many if many.len() == values.len() => many.get(position).copied(),
        _ => None,
    };
    values
        .iter()
        .enumerate()
        .map(|(position, value)| {
            let (least, most) = (limit(least, position)?, limit(most, position)?);
            Some(value.is_none_or(|value| value < least || value > most))
        })
        .collect()
}

/// The flag of a check that finds a value odd: suspect; of no value, missing.
#[must_use]
pub fn flag(value: Option<f64>, is_odd: bool) -> Qartod {
    value.map_or(Qartod::Missing, |_| Qartod::suspect_if(is_odd))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[f64]) -> (Vec<Point>, Vec<Option<f64>>) {
        let points = (1..=values.len())
            .map(|n| Point {
                lat: Some(60.0),
                lon: Some(10.0 + count(n) * 0.001),
                elevation_m: Some(0.0),
                land_share: None,
            })
            .collect();
        (points, values.iter().copied().map(Some).collect())
    }

    const TERMS: Buddies = Buddies {
        radius_m: 10_000.0,
        buddies_min: 1,
        threshold: 1.0,
        elevation_gap_m_max: Some(200.0),
        gradient_per_m: LAPSE_C_PER_M,
        std_min: 0.01,
        passes: 2,
    };

    #[test]
    fn the_published_buddies_are_told() {
        let (points, values) = row(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 1.0]);
        let odd = |terms: &Buddies| {
            buddy(&points, &values, terms)
                .iter()
                .map(|is_odd| u8::from(*is_odd))
                .collect::<Vec<_>>()
        };
        let with_std = |std_min| Buddies { std_min, ..TERMS };
        assert_eq!(odd(&TERMS), [0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(odd(&with_std(0.3)), [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(odd(&with_std(1.0)), [0; 10]);
        let many = Buddies {
            buddies_min: 20,
            ..TERMS
        };
        assert_eq!(odd(&many), [0; 10]);
    }

    #[test]
    fn height_is_allowed_for_and_the_missing_are_no_buddies() {
        let (mut points, mut values) = row(&[20.0, 20.0, 20.0, 20.0, 18.7]);
        points[4].elevation_m = Some(200.0);
        // 200 m up, 1.3 degrees colder: as it should be
        assert_eq!(buddy(&points, &values, &TERMS), [false; 5]);
        points[4].elevation_m = Some(0.0);
        assert!(buddy(&points, &values, &TERMS)[4]);
        values[4] = None;
        assert_eq!(buddy(&points, &values, &TERMS), [false; 5]);
        assert_eq!(flag(values[4], false), Qartod::Missing);
        assert_eq!(flag(values[0], true), Qartod::Suspect);
    }

    #[test]
    fn limits_of_another_length_are_refused() {
        let values = [Some(1.0), Some(2.0), None];
        assert_eq!(
            out_of_range(&values, &[0.0], &[1.0]),
            Some(vec![false, true, true])
        );
        assert_eq!(out_of_range(&values, &[0.0, 1.0], &[1.0]), None);
        assert_eq!(out_of_range(&[], &[0.0], &[1.0]), Some(vec![]));
    }
}
