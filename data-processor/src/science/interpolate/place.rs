//! Where things are: distances on the sphere, whether a point can be a Kenyan plot, the cell it
//! lies in. An impossible point is an error with its reason, never a cell somewhere else.
//! Used by interpolation, by spatial quality control and wherever coordinates come in.

use h3o::{CellIndex, LatLng, Resolution};

/// Mean radius of the Earth, km (IUGG R1, the one H3 uses).
pub const EARTH_RADIUS_KM: f64 = 6_371.008_8;
/// Latitudes of Kenya, degrees north, with a margin.
pub const KENYA_LAT: [f64; 2] = [-4.8, 5.1];
/// Longitudes of Kenya, degrees east, with a margin.
pub const KENYA_LON: [f64; 2] = [33.9, 41.9];
/// Nearer than this to 0, 0 is no position but its absence, degrees.
const NOWHERE: f64 = 0.01;

/// A point on the sphere, degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// North.
    pub lat: f64,
    /// East.
    pub lon: f64,
}

/// Why a point was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// NaN or infinite.
    #[error("coordinates are not finite numbers")]
    NotFinite,
    /// A receiver that had no fix.
    #[error("coordinates are 0, 0: wait for the receiver's fix")]
    Nowhere,
    /// Inside Kenya the other way round.
    #[error("latitude and longitude are swapped: give latitude first")]
    Swapped,
    /// Elsewhere.
    #[error("coordinates are outside Kenya (latitude -4.8 to 5.1, longitude 33.9 to 41.9)")]
    OutsideKenya,
    /// The grid knows no cell for it.
    #[error("no H3 cell holds the coordinates")]
    NoCell,
    /// One of the twelve cells with five sides, none of which is on land.
    #[error("the H3 cell is a pentagon, which no plot in Kenya lies in")]
    Pentagon,
}

fn radians(degrees: f64) -> f64 {
    degrees * (std::f64::consts::PI / 180.0)
}

/// Great-circle distance by the haversine, km.
#[must_use]
pub fn haversine_km(from: Place, to: Place) -> f64 {
    let half_lat = libm::sin(radians(to.lat - from.lat) / 2.0);
    let half_lon = libm::sin(radians(to.lon - from.lon) / 2.0);
    let square = half_lat * half_lat
        + libm::cos(radians(from.lat)) * libm::cos(radians(to.lat)) * half_lon * half_lon;
    2.0 * EARTH_RADIUS_KM * libm::asin(square.sqrt().min(1.0))
}

/// The point on a sphere of radius 1: x, y, z.
#[must_use]
pub fn unit_vector(place: Place) -> [f64; 3] {
    let (lat, lon) = (radians(place.lat), radians(place.lon));
    let ring = libm::cos(lat);
    [ring * libm::cos(lon), ring * libm::sin(lon), libm::sin(lat)]
}

/// Length of the straight line between two points in space, in their unit.
#[must_use]
pub fn line(from: [f64; 3], to: [f64; 3]) -> f64 {
    let square = from.iter().zip(to).fold(0.0, |sum, (here, there)| {
        sum + (here - there) * (here - there)
    });
    square.sqrt()
}

/// Whether a plot can stand there.
pub fn in_kenya(place: Place) -> Result<(), PlaceError> {
    let inside = |lat: f64, lon: f64| {
        (KENYA_LAT[0]..=KENYA_LAT[1]).contains(&lat) && (KENYA_LON[0]..=KENYA_LON[1]).contains(&lon)
    };
    if !place.lat.is_finite() || !place.lon.is_finite() {
        Err(PlaceError::NotFinite)
    } else if place.lat.abs() < NOWHERE && place.lon.abs() < NOWHERE {
        Err(PlaceError::Nowhere)
    } else if inside(place.lat, place.lon) {
        Ok(())
    } else if inside(place.lon, place.lat) {
        Err(PlaceError::Swapped)
    } else {
        Err(PlaceError::OutsideKenya)
    }
}

/// The H3 cell of a point anywhere. The library's errors are ours to tell, and a pentagon is one.
pub fn cell_at(place: Place, resolution: Resolution) -> Result<CellIndex, PlaceError> {
    if !(-90.0..=90.0).contains(&place.lat) || !(-180.0..=180.0).contains(&place.lon) {
        let is_finite = place.lat.is_finite() && place.lon.is_finite();
        return Err(if is_finite {
            PlaceError::NoCell
        } else {
            PlaceError::NotFinite
        });
    }
    let point = LatLng::new(place.lat, place.lon).map_err(|_| PlaceError::NoCell)?;
    let cell = point.to_cell(resolution);
    if cell.is_pentagon() {
        return Err(PlaceError::Pentagon);
    }
    Ok(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KITUI: Place = Place {
        lat: -1.375,
        lon: 37.985,
    };

    #[test]
    fn published_distances_hold() {
        let stations = [(-1.30, 37.90), (-1.50, 38.05), (-1.38, 38.20)];
        for ((lat, lon), published) in stations
            .into_iter()
            .zip([12.602_903, 15.665_228, 23.906_499])
        {
            let found = haversine_km(KITUI, Place { lat, lon });
            assert!((found - published).abs() < 5e-7, "{found}");
        }
        let far_side = Place {
            lat: 1.375,
            lon: 37.985 - 180.0,
        };
        let half_way = std::f64::consts::PI * EARTH_RADIUS_KM;
        assert!((haversine_km(KITUI, far_side) - half_way).abs() < 1e-3);
        assert!(haversine_km(KITUI, KITUI).abs() < 1e-12);
    }

    #[test]
    fn points_that_no_plot_can_have_are_refused_with_the_reason() {
        let at = |lat, lon| in_kenya(Place { lat, lon });
        assert_eq!(at(-1.375, 37.985), Ok(()));
        assert_eq!(at(0.0, 0.0), Err(PlaceError::Nowhere));
        assert_eq!(at(37.985, -1.375), Err(PlaceError::Swapped));
        assert_eq!(at(-6.8, 39.2), Err(PlaceError::OutsideKenya));
        assert_eq!(at(f64::NAN, 37.0), Err(PlaceError::NotFinite));
        for (lat, lon) in [(-4.8, 33.9), (5.1, 41.9)] {
            assert_eq!(at(lat, lon), Ok(()));
        }
    }

    #[test]
    fn cells_are_the_published_ones_and_errors_of_the_grid_are_told() {
        let cell = cell_at(KITUI, Resolution::Seven).unwrap();
        assert_eq!(cell.to_string(), "877a63556ffffff");
        let at = |lat, lon| cell_at(Place { lat, lon }, Resolution::Seven);
        assert_eq!(at(f64::NAN, 0.0), Err(PlaceError::NotFinite));
        assert_eq!(at(91.0, 0.0), Err(PlaceError::NoCell));
        assert_eq!(at(0.0, 181.0), Err(PlaceError::NoCell));
        let pentagon = "8009fffffffffff".parse::<CellIndex>().unwrap();
        assert!(pentagon.is_pentagon());
        let centre = LatLng::from(pentagon);
        assert_eq!(
            cell_at(
                Place {
                    lat: centre.lat(),
                    lon: centre.lng()
                },
                Resolution::Zero
            ),
            Err(PlaceError::Pentagon)
        );
    }
}
