//! Degrees to metres of a UTM zone by the classical series (Snyder 1987, USGS professional paper
//! 1395, equations 8-9 to 8-15), good to a centimetre within a zone: another way than the product
//! takes. Never for places beyond a zone. Used to lay out tiles.

use domain::cell::RiskCell;
use h3o::LatLng;

/// WGS 84.
const AXIS_M: f64 = 6_378_137.0;
const E2: f64 = 0.006_694_379_990_14;
const SCALE: f64 = 0.9996;

/// A tile's zone and where a cell lies in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    /// 32601 to 32760.
    pub(super) epsg: u32,
    /// `37MBU`.
    pub(super) square: String,
    /// Easting and northing of the tile's corner in the north-west, metres.
    pub(super) corner: (i32, i32),
    /// The cell's corners, metres.
    pub(super) corners: Vec<(f64, f64)>,
}

/// Zone of a longitude, 1 to 60.
fn zone_of(longitude: f64) -> u32 {
    whole(((longitude + 180.0) / 6.0).floor()).clamp(0, 59) + 1
}

fn whole(value: f64) -> u32 {
    format!("{value:.0}").parse().unwrap_or(0)
}

fn metres(value: f64) -> i32 {
    format!("{value:.0}").parse().unwrap_or(0)
}

/// Easting and northing, metres.
fn project(zone: u32, is_south: bool, latitude: f64, longitude: f64) -> (f64, f64) {
    let (phi, meridian) = (latitude.to_radians(), f64::from(zone) * 6.0 - 183.0);
    let second = E2 / (1.0 - E2);
    let n = AXIS_M / (1.0 - E2 * phi.sin().powi(2)).sqrt();
    let (t, c) = (phi.tan().powi(2), second * phi.cos().powi(2));
    let a = (longitude - meridian).to_radians() * phi.cos();
    let (e4, e6) = (E2 * E2, E2 * E2 * E2);
    let arc = AXIS_M
        * ((1.0 - E2 / 4.0 - 3.0 * e4 / 64.0 - 5.0 * e6 / 256.0) * phi
            - (3.0 * E2 / 8.0 + 3.0 * e4 / 32.0 + 45.0 * e6 / 1_024.0) * (2.0 * phi).sin()
            + (15.0 * e4 / 256.0 + 45.0 * e6 / 1_024.0) * (4.0 * phi).sin()
            - (35.0 * e6 / 3_072.0) * (6.0 * phi).sin());
    let east = a
        + (1.0 - t + c) * a.powi(3) / 6.0
        + (5.0 - 18.0 * t + t * t + 72.0 * c - 58.0 * second) * a.powi(5) / 120.0;
    let north = arc
        + n * phi.tan()
            * (a * a / 2.0
                + (5.0 - t + 9.0 * c + 4.0 * c * c) * a.powi(4) / 24.0
                + (61.0 - 58.0 * t + t * t + 600.0 * c - 330.0 * second) * a.powi(6) / 720.0);
    let base = if is_south { 10_000_000.0 } else { 0.0 };
    (500_000.0 + SCALE * n * east, base + SCALE * north)
}

/// The tile that a cell's centre lies in.
pub(super) fn place(cell: RiskCell) -> Place {
    let centre = LatLng::from(cell.index());
    let (zone, is_south) = (zone_of(centre.lng()), centre.lat() < 0.0);
    let (east, north) = project(zone, is_south, centre.lat(), centre.lng());
    let letter = |letters: &str, at: u32| {
        let at = usize::try_from(at).unwrap_or(0) % letters.len().max(1);
        letters.chars().nth(at).unwrap_or('A')
    };
    let band = letter(
        "CDEFGHJKLMNPQRSTUVWX",
        whole((centre.lat() + 80.0) / 8.0 - 0.5),
    );
    let (across, up) = (whole((east / 1e5).floor()), whole((north / 1e5).floor()));
    let columns = ["STUVWXYZ", "ABCDEFGH", "JKLMNPQR"];
    let column = columns
        .get(usize::try_from(zone % 3).unwrap_or(0))
        .map_or('A', |letters| letter(letters, across.saturating_sub(1)));
    let shift = if zone % 2 == 0 { 5 } else { 0 };
    let row = letter("ABCDEFGHJKLMNPQRSTUV", up + shift);
    let boundary = cell.index().boundary();
    let corners = boundary
        .iter()
        .map(|corner| project(zone, is_south, corner.lat(), corner.lng()))
        .collect();
    Place {
        epsg: if is_south { 32_700 } else { 32_600 } + zone,
        square: format!("{zone}{band}{column}{row}"),
        // tiles begin at a multiple of 60 m in the west and 40 m beyond the square in the north
        corner: (
            metres((f64::from(across) * 1e5 / 60.0).floor() * 60.0),
            metres((f64::from(up) + 1.0) * 1e5 + 40.0),
        ),
        corners,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_and_metres_are_those_of_the_grid() {
        let nairobi = LatLng::new(-1.292_099_7, 36.821_904_5).unwrap();
        let (east, north) = project(37, true, nairobi.lat(), nairobi.lng());
        assert!((east - 257_635.0).abs() < 0.05, "{east}");
        assert!((north - 9_857_080.0).abs() < 0.05, "{north}");
        let cell = |lat, lon| {
            let point = LatLng::new(lat, lon).unwrap();
            RiskCell::new(point.to_cell(h3o::Resolution::Seven)).unwrap()
        };
        let squares = [
            (-1.2921, 36.8219, 32_737, "37MBU"),
            (0.5143, 35.2698, 32_636, "36NYF"),
            (-0.0917, 34.768, 32_736, "36MXE"),
            (0.0463, 37.6559, 32_637, "37NCA"),
            (-1.0783, 35.86, 32_736, "36MZD"),
        ];
        for (lat, lon, epsg, square) in squares {
            let place = place(cell(lat, lon));
            assert_eq!((place.epsg, place.square.as_str()), (epsg, square));
        }
        assert_eq!(place(cell(-1.2921, 36.8219)).corner, (199_980, 9_900_040));
    }
}
