//! Which area a point lies in: rings with holes, shared borders, slivers between neighbours. The
//! answer depends on the areas' codes and never on their order. Used where coordinates name a ward.

use super::place::{EARTH_RADIUS_KM, Place};

/// A point this near to a border lies on it, degrees (a tenth of a millimetre).
const ON_BORDER: f64 = 1e-9;
/// Gaps between neighbouring areas no wider than this are slivers of drawing, km.
pub const SLIVER_KM_MAX: f64 = 0.2;

/// An area: closed rings, in any direction and order; a ring inside another is a hole in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Area {
    /// What it is called.
    pub code: u32,
    /// Its rings; the last point joins the first, given again or not.
    pub rings: Vec<Vec<Place>>,
}

/// The sides of a ring.
fn sides(ring: &[Place]) -> impl Iterator<Item = (Place, Place)> + '_ {
    let ends = ring.iter().skip(1).chain(ring.first());
    ring.iter().copied().zip(ends.copied())
}

/// Distance from a point to a side in degrees, with longitudes narrowed to `narrow` of themselves.
fn apart(place: Place, (from, to): (Place, Place), narrow: f64) -> f64 {
    let (x, y) = ((place.lon - from.lon) * narrow, place.lat - from.lat);
    let (dx, dy) = ((to.lon - from.lon) * narrow, to.lat - from.lat);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 {
        ((x * dx + y * dy) / length).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let (east, north) = (x - along * dx, y - along * dy);
    (east * east + north * north).sqrt()
}

impl Area {
    /// Whether a point is inside or on a border; borders of holes are borders too.
    #[must_use]
    pub fn holds(&self, place: Place) -> bool {
        let mut is_inside = false;
        for (from, to) in self.rings.iter().flat_map(|ring| sides(ring)) {
            if apart(place, (from, to), 1.0) <= ON_BORDER {
                return true;
            }
            // even-odd: sides that a line due east from the point crosses
            if (from.lat > place.lat) != (to.lat > place.lat) {
                let at =
                    from.lon + (place.lat - from.lat) / (to.lat - from.lat) * (to.lon - from.lon);
                is_inside ^= place.lon < at;
            }
        }
        is_inside
    }

    /// Distance to the nearest border, km; good to a per cent for what is near.
    fn border_km(&self, place: Place) -> f64 {
        let degree_km = EARTH_RADIUS_KM * std::f64::consts::PI / 180.0;
        let narrow = libm::cos(place.lat * (std::f64::consts::PI / 180.0));
        self.rings
            .iter()
            .flat_map(|ring| sides(ring))
            .map(|side| apart(place, side, narrow) * degree_km)
            .fold(f64::INFINITY, f64::min)
    }
}

/// The area of a point: the lowest code of those that hold it; in a sliver between areas, the
/// nearest within 200 m, and of equally near ones the lowest code. `None` beyond.
#[must_use]
pub fn area_of(areas: &[Area], place: Place) -> Option<u32> {
    let holding = areas.iter().filter(|area| area.holds(place));
    if let Some(code) = holding.map(|area| area.code).min() {
        return Some(code);
    }
    areas
        .iter()
        .map(|area| (area.border_km(place), area.code))
        .filter(|(km, _)| *km <= SLIVER_KM_MAX)
        .min_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)))
        .map(|(_, code)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(points: &[(f64, f64)]) -> Vec<Place> {
        let place = |(lat, lon): &(f64, f64)| Place {
            lat: *lat,
            lon: *lon,
        };
        points.iter().map(place).collect()
    }

    fn square(code: u32, west: f64, east: f64) -> Area {
        Area {
            code,
            rings: vec![ring(&[(0.0, west), (0.0, east), (1.0, east), (1.0, west)])],
        }
    }

    fn at(lat: f64, lon: f64) -> Place {
        Place { lat, lon }
    }

    #[test]
    fn a_point_on_a_border_has_the_lowest_code_whatever_the_order() {
        let mut areas = vec![square(7, 36.0, 37.0), square(3, 37.0, 38.0)];
        for _ in 0..2 {
            assert_eq!(area_of(&areas, at(0.5, 37.0)), Some(3));
            assert_eq!(area_of(&areas, at(0.5, 36.5)), Some(7));
            assert_eq!(area_of(&areas, at(1.0, 37.0)), Some(3));
            areas.reverse();
        }
    }

    #[test]
    fn a_hole_is_outside_and_may_be_somebody_elses() {
        let mut outer = square(1, 36.0, 37.0);
        let hole = ring(&[(0.4, 36.4), (0.4, 36.6), (0.6, 36.6), (0.6, 36.4)]);
        outer.rings.push(hole.clone());
        let island = Area {
            code: 2,
            rings: vec![hole],
        };
        assert!(!outer.holds(at(0.5, 36.5)));
        assert_eq!(area_of(&[outer.clone()], at(0.5, 36.5)), None);
        let both = [island, outer];
        assert_eq!(area_of(&both, at(0.5, 36.5)), Some(2));
        assert_eq!(area_of(&both, at(0.5, 36.4)), Some(1));
    }

    #[test]
    fn a_sliver_belongs_to_the_nearest_and_beyond_it_nobody_does() {
        // a gap of 0.002 degrees, 222 m
        let areas = [square(9, 36.0, 37.0), square(4, 37.002, 38.0)];
        assert_eq!(area_of(&areas, at(0.5, 37.000_5)), Some(9));
        assert_eq!(area_of(&areas, at(0.5, 37.001_6)), Some(4));
        assert_eq!(area_of(&areas, at(0.5, 35.0)), None);
        assert_eq!(area_of(&[], at(0.5, 36.5)), None);
    }

    #[test]
    fn a_ring_that_is_closed_twice_is_the_same_ring() {
        let mut closed = square(1, 36.0, 37.0);
        let first = closed.rings[0][0];
        closed.rings[0].push(first);
        assert!(closed.holds(at(0.5, 36.5)));
        assert!(!closed.holds(at(0.5, 37.5)));
    }
}
