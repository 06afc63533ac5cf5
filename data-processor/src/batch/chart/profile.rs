//! The picture of a baseline: each year's season above, the mean course of its dekads below. A gap
//! is left open, never bridged. Drawn for `baseline`.

use plotters::prelude::*;

use super::{Area, BOTTOM, GREY, LABEL, LEFT, TITLE, drawing, sheet};
use crate::science::count;

/// What a profile shows.
#[derive(Debug, Clone, Copy)]
pub struct Profile<'a> {
    /// Title.
    pub title: &'a str,
    /// Unit of all values.
    pub unit: &'a str,
    /// Year of the first season.
    pub first_year: i32,
    /// A value a year; empty leaves the upper panel out.
    pub seasons: &'a [Option<f64>],
    /// A value a dekad.
    pub dekads: &'a [Option<f64>],
}

/// Heights, points.
const PANEL: u32 = 280;
const HEAD: u32 = 40;

/// Draws it.
pub fn profile(shown: &Profile<'_>) -> anyhow::Result<String> {
    let panels = if shown.seasons.is_empty() { 1 } else { 2 };
    sheet(HEAD + PANEL * panels, |area| {
        let area = area
            .titled(shown.title, ("sans-serif", TITLE))
            .map_err(drawing)?;
        let years = f64::from(shown.first_year);
        if shown.seasons.is_empty() {
            return panel(&area, 1.0, shown.dekads, "dekad", shown.unit);
        }
        let (above, below) = area.split_vertically(PANEL);
        panel(&above, years, shown.seasons, "season of year", shown.unit)?;
        panel(&below, 1.0, shown.dekads, "dekad of the season", shown.unit)
    })
}

fn panel(
    area: &Area<'_>,
    first: f64,
    values: &[Option<f64>],
    along: &str,
    unit: &str,
) -> anyhow::Result<()> {
    let known = || values.iter().flatten().copied();
    let top = known().fold(f64::MIN, f64::max);
    let bottom = known().fold(0.0, f64::min);
    let top = if top > bottom {
        top * 1.08
    } else {
        bottom + 1.0
    };
    let last = first + count(values.len().max(1)) - 1.0;
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .margin_right(24)
        .x_label_area_size(BOTTOM)
        .y_label_area_size(LEFT)
        .build_cartesian_2d(first - 0.5..last + 0.5, bottom..top)
        .map_err(drawing)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .x_desc(along)
        .y_desc(unit)
        .x_label_formatter(&|at| format!("{at:.0}"))
        .label_style(("sans-serif", LABEL))
        .draw()
        .map_err(drawing)?;
    let mean = known().fold(0.0, |sum, value| sum + value) / count(known().count().max(1));
    let level = [(first - 0.5, mean), (last + 0.5, mean)];
    chart
        .draw_series(LineSeries::new(level, GREY))
        .map_err(drawing)?;
    let points = || {
        let placed = values.iter().enumerate();
        placed.map(move |(at, value)| value.map(|value| (first + count(at), value)))
    };
    // a gap ends a line: each pair of neighbours is a line of its own
    for (one, other) in points().zip(points().skip(1)) {
        if let (Some(one), Some(other)) = (one, other) {
            chart
                .draw_series(LineSeries::new([one, other], BLACK))
                .map_err(drawing)?;
        }
    }
    let dots = points()
        .flatten()
        .map(|at| Circle::new(at, 3, BLACK.filled()));
    chart.draw_series(dots).map_err(drawing)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_leaves_gaps_open_and_names_its_axes() {
        let svg = profile(&Profile {
            title: "modis-terra, cell 877a5c541ffffff",
            unit: "NDVI",
            first_year: 2001,
            seasons: &[Some(0.25), None, Some(0.31)],
            dekads: &[Some(0.2), Some(0.3)],
        })
        .unwrap();
        for word in [
            "season of year",
            "dekad of the season",
            "NDVI",
            "877a5c541ffffff",
        ] {
            assert!(svg.contains(word), "{word}");
        }
        assert!(!svg.contains("NaN"));
        let rain = Profile {
            title: "chirps-v3",
            unit: "mm",
            first_year: 1991,
            seasons: &[],
            dekads: &[None; 36],
        };
        assert!(!profile(&rain).unwrap().contains("season of year"));
    }
}
