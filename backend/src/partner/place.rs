//! Where a plot lies, from what a partner sends: a point or an outline, turned into a cell and then
//! forgotten. Must never be stored nor logged: coordinates of a home are personal data.
//! The only floats of the backend beside operators' ward points. Used by `plots`.

use domain::cell::PlotCell;
use h3o::{LatLng, Resolution};
use serde::Deserialize;
use utoipa::ToSchema;

use super::input::FieldFault;

/// Kenya lies within these degrees (with the lakes and the sea shore); a point outside them is
/// most often latitude and longitude exchanged.
const LATITUDES: std::ops::RangeInclusive<f64> = -5.0..=5.7;
const LONGITUDES: std::ops::RangeInclusive<f64> = 33.5..=42.1;
/// Mean radius of the Earth, metres (IUGG).
const EARTH_RADIUS_M: f64 = 6_371_008.8;
/// Square metres of an international acre.
const ACRE_M2: f64 = 4_046.856_422_4;
/// Most corners of an outline: every pair of its sides is compared.
const CORNERS_MAX: usize = 200;
/// How far a plot may lie from the cell that stands for its ward, kilometres: the farthest corner
/// of the largest ward is nearer. Catches a wrong ward, which would be a wrong price.
const WARD_DISTANCE_KM_MAX: f64 = 150.0;
/// How far the acres that are stated may be from the outline's: a fifth of the larger.
const AREA_TOLERANCE: f64 = 0.2;
/// Acres by which they may differ anyway: a walk around a small plot is no survey.
const AREA_SLACK_ACRES: f64 = 0.1;

/// A point, degrees.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// Latitude, -5.0 to 5.7.
    pub(super) lat: f64,
    /// Longitude, 33.5 to 42.1.
    pub(super) lon: f64,
}

/// An outline: a GeoJSON `Polygon` of one ring, at most 200 corners, `[longitude, latitude]`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(crate) struct Polygon {
    /// `Polygon`.
    #[serde(rename = "type")]
    kind: String,
    /// One ring, whose last position is its first.
    coordinates: Vec<Vec<Vec<f64>>>,
}

/// Where an outline lies, and how large it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outlined {
    /// Its centroid.
    pub(super) centroid: Point,
    acres: f64,
}

/// The cell of a point in Kenya.
pub(super) fn cell(field: &'static str, point: Point) -> Result<PlotCell, FieldFault> {
    let outside = || {
        let rule = "the plot must lie in Kenya: latitude -5.0 to 5.7, longitude 33.5 to 42.1";
        FieldFault::new(field, "outside_kenya", rule)
    };
    if !LATITUDES.contains(&point.lat) || !LONGITUDES.contains(&point.lon) {
        return Err(outside());
    }
    let place = LatLng::new(point.lat, point.lon).map_err(|_| outside())?;
    PlotCell::new(place.to_cell(Resolution::Eight)).map_err(|_| outside())
}

/// Refuses a plot that cannot lie in its ward.
pub(super) fn require_near(cell: PlotCell, ward: PlotCell) -> Result<(), FieldFault> {
    let between = LatLng::from(cell.index()).distance_km(LatLng::from(ward.index()));
    if between <= WARD_DISTANCE_KM_MAX {
        return Ok(());
    }
    let rule = "the plot is far from the ward of this code; check the ward and the coordinates";
    Err(FieldFault::new("ward_code", "far_from_ward", rule))
}

impl Polygon {
    /// Its centroid and area, by the plane that touches the Earth at its first corner: exact to
    /// far less than the tolerance for anything the size of a farm.
    pub(super) fn outline(&self) -> Result<Outlined, FieldFault> {
        let fault = |rule: &str| FieldFault::new("polygon", "malformed", rule);
        if self.kind != "Polygon" {
            return Err(fault("polygon.type must be Polygon"));
        }
        let [ring] = self.coordinates.as_slice() else {
            return Err(fault("polygon must have one ring, without holes"));
        };
        let corners: Vec<Point> = ring
            .iter()
            .map(|position| match position.as_slice() {
                [lon, lat] | [lon, lat, _] => Ok(Point {
                    lat: *lat,
                    lon: *lon,
                }),
                _ => Err(fault("a position is [longitude, latitude]")),
            })
            .collect::<Result<_, _>>()?;
        if !(4..=CORNERS_MAX).contains(&corners.len()) || corners.first() != corners.last() {
            return Err(fault(
                "the ring must have 4 to 200 positions, the last being the first again",
            ));
        }
        for corner in &corners {
            cell("polygon", *corner)?;
        }
        let origin = corners[0];
        let (north_m, east_m) = (
            EARTH_RADIUS_M.to_radians(),
            EARTH_RADIUS_M.to_radians() * origin.lat.to_radians().cos(),
        );
        let flat: Vec<(f64, f64)> = corners
            .iter()
            .map(|c| {
                (
                    (c.lon - origin.lon) * east_m,
                    (c.lat - origin.lat) * north_m,
                )
            })
            .collect();
        if crosses_itself(&flat) {
            return Err(fault("the sides of the polygon must not cross"));
        }
        let (mut twice_m2, mut x, mut y) = (0.0, 0.0, 0.0);
        for side in flat.windows(2) {
            let ((x0, y0), (x1, y1)) = (side[0], side[1]);
            let cross = x0 * y1 - x1 * y0;
            twice_m2 += cross;
            x += (x0 + x1) * cross;
            y += (y0 + y1) * cross;
        }
        let acres = twice_m2.abs() / 2.0 / ACRE_M2;
        if acres < 0.01 {
            return Err(fault("the polygon has no area"));
        }
        Ok(Outlined {
            centroid: Point {
                lat: origin.lat + y / (3.0 * twice_m2) / north_m,
                lon: origin.lon + x / (3.0 * twice_m2) / east_m,
            },
            acres,
        })
    }
}

impl Outlined {
    /// Its acres with two decimals, as people write them.
    pub(super) fn acres_text(&self) -> String {
        format!("{:.2}", self.acres)
    }

    /// Refuses acres that are not this outline's.
    pub(super) fn require_acres(&self, stated: f64) -> Result<(), FieldFault> {
        let gap = (self.acres - stated).abs();
        if gap <= AREA_SLACK_ACRES || gap <= AREA_TOLERANCE * self.acres.max(stated) {
            return Ok(());
        }
        let rule = format!(
            "the polygon has {} acres; the acres that are stated may differ by a fifth",
            self.acres_text()
        );
        Err(FieldFault::new("acres", "area_mismatch", rule))
    }
}

/// Whether two sides that are not neighbours meet.
fn crosses_itself(ring: &[(f64, f64)]) -> bool {
    let sides: Vec<_> = ring.windows(2).map(|side| (side[0], side[1])).collect();
    let last = sides.len().saturating_sub(1);
    sides.iter().enumerate().any(|(i, one)| {
        sides
            .iter()
            .enumerate()
            .skip(i.saturating_add(2))
            .any(|(j, other)| !(i == 0 && j == last) && meet(*one, *other))
    })
}

type Place = (f64, f64);

fn meet((a, b): (Place, Place), (c, d): (Place, Place)) -> bool {
    let turn = |p: Place, q: Place, r: Place| (q.0 - p.0) * (r.1 - p.1) - (q.1 - p.1) * (r.0 - p.0);
    let apart = |p: f64, q: f64| (p > 0.0 && q > 0.0) || (p < 0.0 && q < 0.0);
    let spans = |p: f64, q: f64, r: f64, s: f64| p.max(q) >= r.min(s) && r.max(s) >= p.min(q);
    !apart(turn(a, b, c), turn(a, b, d))
        && !apart(turn(c, d, a), turn(c, d, b))
        && spans(a.0, b.0, c.0, d.0)
        && spans(a.1, b.1, c.1, d.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polygon(ring: &[[f64; 2]]) -> Polygon {
        Polygon {
            kind: "Polygon".to_owned(),
            coordinates: vec![ring.iter().map(|corner| corner.to_vec()).collect()],
        }
    }

    #[test]
    fn a_square_of_a_thousandth_of_a_degree_at_the_equator_has_three_acres() {
        // 0.001° is 111.195 m: 12,364 m², 3.055 acres
        let square = polygon(&[
            [37.0, 0.0],
            [37.001, 0.0],
            [37.001, 0.001],
            [37.0, 0.001],
            [37.0, 0.0],
        ]);
        let outlined = square.outline().unwrap();
        assert_eq!(outlined.acres_text(), "3.06");
        assert!((outlined.centroid.lat - 0.0005).abs() < 1e-9);
        assert!((outlined.centroid.lon - 37.0005).abs() < 1e-9);
        assert!(outlined.require_acres(3.6).is_ok());
        assert_eq!(
            outlined.require_acres(4.0).unwrap_err().code,
            "area_mismatch"
        );
    }

    #[test]
    fn what_is_no_outline_is_refused() {
        let open = [[37.0, 0.0], [37.001, 0.0], [37.001, 0.001], [37.0, 0.001]];
        let bow = [
            [37.0, 0.0],
            [37.001, 0.001],
            [37.001, 0.0],
            [37.0, 0.001],
            [37.0, 0.0],
        ];
        let flat = [[37.0, 0.0], [37.001, 0.0], [37.002, 0.0], [37.0, 0.0]];
        let exchanged = [[0.0, 37.0], [0.001, 37.0], [0.001, 37.001], [0.0, 37.0]];
        for ring in [&open[..], &bow[..], &flat[..], &exchanged[..], &[]] {
            assert!(polygon(ring).outline().is_err(), "{ring:?}");
        }
    }

    #[test]
    fn a_point_of_another_county_is_not_in_the_ward() {
        let at = |lat, lon| cell("point", Point { lat, lon }).unwrap();
        assert!(require_near(at(2.3, 37.9), at(2.4, 38.0)).is_ok());
        assert!(require_near(at(2.3, 37.9), at(-4.0, 39.6)).is_err());
        for (lat, lon) in [(38.0, -1.3), (f64::NAN, 38.0), (0.0, 0.0)] {
            let refused = cell("point", Point { lat, lon }).unwrap_err();
            assert_eq!(refused.code, "outside_kenya");
        }
    }
}
