//! A rectangle of pixels on the ground, and which of them lie in a cell: a pixel counts when its
//! middle does. A cell is convex, so that each row has one run of pixels. Never looks at values.
//! Called by the client that reads scenes and by the number work that judges them.

use domain::cell::RiskCell;

use super::utm::Zone;

/// Where a rectangle of pixels lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Code of its UTM zone.
    pub epsg: u32,
    /// Easting of its western edge, metres.
    pub west_m: i32,
    /// Northing of its northern edge, metres.
    pub north_m: i32,
    /// Side of a pixel, metres.
    pub pixel_m: u16,
    /// Pixels of a row.
    pub width: u16,
    /// Rows, from north to south.
    pub height: u16,
}

/// The corners of a cell in metres of a zone, easting and northing; none for what is no zone.
pub(super) fn corners(cell: RiskCell, epsg: u32) -> Option<Vec<(f64, f64)>> {
    let zone = Zone::of_epsg(epsg)?;
    let boundary = cell.index().boundary();
    Some(
        boundary
            .iter()
            .map(|corner| zone.project(corner.lat(), corner.lng()))
            .collect(),
    )
}

impl Grid {
    /// Pixels of the whole rectangle.
    #[must_use]
    pub fn pixels(&self) -> usize {
        usize::from(self.width) * usize::from(self.height)
    }

    /// Of each row from north to south, the first pixel in `cell` and the one after the last; equal
    /// where the row holds none. `None` when `epsg` is no zone.
    #[must_use]
    pub fn rows_inside(&self, cell: RiskCell) -> Option<Vec<(u16, u16)>> {
        let corners = corners(cell, self.epsg)?;
        let side = f64::from(self.pixel_m);
        let rows = (0..self.height).map(|row| {
            let northing = f64::from(self.north_m) - (f64::from(row) + 0.5) * side;
            let (mut from, mut until) = (f64::INFINITY, f64::NEG_INFINITY);
            let next = corners.iter().cycle().skip(1);
            for ((east, north), (other_east, other_north)) in corners.iter().zip(next) {
                if (*north > northing) == (*other_north > northing) {
                    continue;
                }
                let share = (northing - north) / (other_north - north);
                let crossing = east + share * (other_east - east);
                from = from.min(crossing);
                until = until.max(crossing);
            }
            // middles lie at a half: the first at or after `from`, the last before `until`
            let column = |easting: f64| {
                let column = ((easting - f64::from(self.west_m)) / side - 0.5).ceil();
                whole(column.clamp(0.0, f64::from(self.width)))
                    .and_then(|column| u16::try_from(column).ok())
                    .unwrap_or(0)
            };
            if from < until {
                (column(from), column(until))
            } else {
                (0, 0)
            }
        });
        Some(rows.collect())
    }
}

/// A number that is whole; `None` for what does not fit.
pub(super) fn whole(value: f64) -> Option<i64> {
    format!("{value:.0}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pixels_of_a_cell_cover_its_area() {
        let cell: RiskCell = "877a63556ffffff".parse().unwrap();
        let corners = corners(cell, 32_737).unwrap();
        assert_eq!(corners.len(), 6);
        let west = corners.iter().map(|c| c.0).fold(f64::INFINITY, f64::min);
        let north = corners.iter().map(|c| c.1).fold(0.0, f64::max);
        let edge = |m: f64| i32::try_from(whole((m / 20.0).floor() * 20.0).unwrap()).unwrap();
        let grid = Grid {
            epsg: 32_737,
            west_m: edge(west),
            north_m: edge(north) + 20,
            pixel_m: 20,
            width: 160,
            height: 160,
        };
        let rows = grid.rows_inside(cell).unwrap();
        let pixels: u32 = rows.iter().map(|(from, to)| u32::from(to - from)).sum();
        let area: f64 = {
            let next = corners.iter().cycle().skip(1);
            let twice: f64 = corners
                .iter()
                .zip(next)
                .map(|(a, b)| a.0 * b.1 - b.0 * a.1)
                .sum();
            twice.abs() / 2.0
        };
        let gap = (f64::from(pixels) * 400.0 - area).abs() / area;
        assert!(gap < 0.005, "{pixels} pixels for {area} m²");
        assert!(
            rows.iter().all(|(_, to)| *to < grid.width),
            "it lies inside"
        );
    }

    #[test]
    fn a_grid_elsewhere_holds_nothing_of_a_cell() {
        let cell: RiskCell = "877a63556ffffff".parse().unwrap();
        let grid = Grid {
            epsg: 32_737,
            west_m: 0,
            north_m: 0,
            pixel_m: 20,
            width: 10,
            height: 10,
        };
        assert!(grid.rows_inside(cell).unwrap().iter().all(|(a, b)| a == b));
        assert_eq!(Grid { epsg: 4326, ..grid }.rows_inside(cell), None);
    }
}
