//! Degrees to metres of a Universal Transverse Mercator zone on WGS 84, by Krüger's series to the
//! fourth order: within a millimetre for several degrees beyond a zone's edge, as tiles need that
//! reach over it. With `libm`, so that every machine finds the same pixel.
//! Called where a cell is laid over an image.

/// Semi-major axis of WGS 84, metres.
const AXIS_M: f64 = 6_378_137.0;
/// Flattening of WGS 84.
const FLATTENING: f64 = 1.0 / 298.257_223_563;
/// Scale on the central meridian.
const SCALE: f64 = 0.9996;
/// Easting of the central meridian, metres.
const FALSE_EASTING_M: f64 = 500_000.0;
/// Northing of the equator in a southern zone, metres.
const FALSE_NORTHING_M: f64 = 10_000_000.0;
/// EPSG codes of zones 1 to 60 are this and the zone, north and south.
const EPSG_NORTH: u32 = 32_600;
const EPSG_SOUTH: u32 = 32_700;

/// A zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone {
    /// 1 to 60.
    number: u8,
    is_south: bool,
}

impl Zone {
    /// The zone of an EPSG code, 32601 to 32660 or 32701 to 32760.
    #[must_use]
    pub fn of_epsg(epsg: u32) -> Option<Self> {
        let (number, is_south) = match epsg {
            32_701..=32_760 => (epsg - EPSG_SOUTH, true),
            32_601..=32_660 => (epsg - EPSG_NORTH, false),
            _ => return None,
        };
        Some(Self {
            number: u8::try_from(number).ok()?,
            is_south,
        })
    }

    /// Easting and northing, metres, of a point in degrees.
    #[must_use]
    pub fn project(self, latitude: f64, longitude: f64) -> (f64, f64) {
        let n = FLATTENING / (2.0 - FLATTENING);
        let (n2, n3, n4) = (n * n, n * n * n, n * n * n * n);
        let radius = AXIS_M / (1.0 + n) * (1.0 + n2 / 4.0 + n4 / 64.0);
        let series = [
            n / 2.0 - 2.0 * n2 / 3.0 + 5.0 * n3 / 16.0 + 41.0 * n4 / 180.0,
            13.0 * n2 / 48.0 - 3.0 * n3 / 5.0 + 557.0 * n4 / 1_440.0,
            61.0 * n3 / 240.0 - 103.0 * n4 / 140.0,
            49_561.0 * n4 / 161_280.0,
        ];
        let meridian = f64::from(self.number) * 6.0 - 183.0;
        let (sine, across) = (
            libm::sin(latitude.to_radians()),
            (longitude - meridian).to_radians(),
        );
        let eccentricity = 2.0 * libm::sqrt(n) / (1.0 + n);
        let t = libm::sinh(libm::atanh(sine) - eccentricity * libm::atanh(eccentricity * sine));
        let xi = libm::atan2(t, libm::cos(across));
        let eta = libm::atanh(libm::sin(across) / libm::sqrt(1.0 + t * t));
        let (mut east, mut north) = (eta, xi);
        let mut order = 0.0;
        for factor in series {
            order += 2.0;
            east += factor * libm::cos(order * xi) * libm::sinh(order * eta);
            north += factor * libm::sin(order * xi) * libm::cosh(order * eta);
        }
        let base = if self.is_south { FALSE_NORTHING_M } else { 0.0 };
        (
            FALSE_EASTING_M + SCALE * radius * east,
            base + SCALE * radius * north,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EPSG, latitude, longitude, easting, northing: places in Kenya and the edges of its zones, by
    /// PROJ 9.
    const KENYA: [(u32, f64, f64, f64, f64); 14] = [
        (32737, -1.292_099_7, 36.821_904_5, 257_635.0, 9_857_080.0),
        (32737, -0.303_104_5, 36.080_000_5, 174_940.0, 9_966_454.0),
        (32636, 0.514_304_0, 35.269_797_1, 752_628.0, 56_891.0),
        (32736, -0.091_695_8, 34.767_997_1, 696_765.0, 9_989_860.0),
        (32737, -1.517_696_3, 37.263_395_6, 306_797.0, 9_832_171.0),
        (32636, 1.015_701_9, 35.006_201_0, 723_251.0, 112_335.0),
        (32637, 0.046_300_4, 37.655_904_0, 350_422.0, 5_119.0),
        (32736, -1.078_297_3, 35.859_996_1, 818_323.0, 9_880_666.0),
        (32737, -1.375, 37.985, 387_082.277, 9_847_996.892),
        (32736, -0.5, 36.05, 839_537.254, 9_944_656.042),
        (32737, -0.5, 35.95, 160_462.746, 9_944_656.042),
        (32637, 4.6, 41.8, 810_695.901, 509_058.385),
        (32637, 0.0, 39.0, 500_000.0, 0.0),
        (32737, 0.0, 36.0, 166_021.443, 10_000_000.0),
    ];

    #[test]
    fn places_in_kenya_lie_where_proj_has_them() {
        for (epsg, latitude, longitude, easting, northing) in KENYA {
            let zone = Zone::of_epsg(epsg).unwrap();
            let (east, north) = zone.project(latitude, longitude);
            // the degrees are given to the seventh decimal, a centimetre
            let gap = (east - easting).abs().max((north - northing).abs());
            assert!(gap < 0.012, "{epsg} {latitude} {longitude}: {gap} m off");
        }
    }

    #[test]
    fn a_code_that_is_no_zone_is_none() {
        for epsg in [4326, 32600, 32661, 32700, 32761] {
            assert_eq!(Zone::of_epsg(epsg), None, "{epsg}");
        }
    }
}
