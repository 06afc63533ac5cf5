//! The burn chart: rain of each season against trigger and exit above, what it would have paid
//! below, with the expected losses as lines. Never draws a season that has no number.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{Area, BOTTOM, GREY, LABEL, LEFT, TITLE, ceiling, dashes, drawing, sample, sheet};
use crate::science::count;

/// What a burn chart shows. Slices are one value a year.
#[derive(Debug, Clone, Copy)]
pub struct Burned<'a> {
    /// Title.
    pub title: &'a str,
    /// Years, rising.
    pub years: &'a [i32],
    /// Rain of the season, mm.
    pub rain_mm: &'a [f64],
    /// Trigger and exit, mm, where there is one of each.
    pub terms_mm: Option<(f64, f64)>,
    /// Share paid, 0 to 1.
    pub shares: &'a [f64],
    /// Levels to draw over the shares, each with its name.
    pub lines: &'a [(&'a str, f64)],
}

/// Half the width of a bar, years.
const HALF: f64 = 0.36;

/// Draws it.
pub fn burn(shown: &Burned<'_>) -> anyhow::Result<String> {
    sheet(640, |area| {
        let area = area
            .titled(shown.title, ("sans-serif", TITLE))
            .map_err(drawing)?;
        let (above, below) = area.split_vertically(300);
        let terms = shown.terms_mm;
        let mut levels = Vec::new();
        if let Some((trigger, exit)) = terms {
            levels.push((format!("trigger {trigger:.0} mm"), trigger));
            levels.push((format!("exit {exit:.0} mm"), exit));
        }
        panel(
            &above,
            shown.years,
            shown.rain_mm,
            "rain, mm",
            &levels,
            |at| {
                let paid = shown.shares.get(at).is_some_and(|share| *share > 0.0);
                if paid { BLACK } else { GREY }
            },
        )?;
        let percents: Vec<f64> = shown.shares.iter().map(|share| share * 100.0).collect();
        let levels: Vec<(String, f64)> = shown
            .lines
            .iter()
            .map(|(name, level)| (format!("{name} {:.1} %", level * 100.0), level * 100.0))
            .collect();
        panel(
            &below,
            shown.years,
            &percents,
            "paid, % of the sum insured",
            &levels,
            |_| BLACK,
        )
    })
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    years: &[i32],
    values: &[f64],
    unit: &str,
    levels: &[(String, f64)],
    colour: impl Fn(usize) -> RGBColor,
) -> anyhow::Result<()> {
    let area: &Area<'_> = area;
    let first = years.iter().copied().min().map_or(0.0, f64::from);
    let last = years.iter().copied().max().map_or(1.0, f64::from);
    let tops = values.iter().copied().chain(levels.iter().map(|l| l.1));
    // the legend stands above the bars: its frame and each of its lines take this share of a panel
    let room = 1.0 / (0.9 - 0.067 * count(levels.len()));
    let top = ceiling(tops, 1.0);
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .margin_right(24)
        .x_label_area_size(BOTTOM)
        .y_label_area_size(LEFT)
        .build_cartesian_2d(first - 1.0..last + 1.0, 0.0..top * room)
        .map_err(drawing)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .x_desc("season of year")
        .y_desc(unit)
        .x_label_formatter(&|year| format!("{year:.0}"))
        .y_label_formatter(&|value| {
            let is_room = *value > top;
            if is_room {
                String::new()
            } else {
                format!("{value:.0}")
            }
        })
        .label_style(("sans-serif", LABEL))
        .draw()
        .map_err(drawing)?;
    let bars = years
        .iter()
        .zip(values)
        .enumerate()
        .map(|(at, (year, value))| {
            let middle = f64::from(*year);
            let corners = [(middle - HALF, 0.0), (middle + HALF, *value)];
            Rectangle::new(corners, colour(at).filled())
        });
    chart.draw_series(bars).map_err(drawing)?;
    // the second line has shorter dashes than the first, so that they differ in print
    for ((name, level), dash) in levels.iter().zip([9_u32, 3, 1, 5]) {
        let points = [(first - 1.0, *level), (last + 1.0, *level)];
        chart
            .draw_series(dashes(points, dash, 4))
            .map_err(drawing)?
            .label(name.as_str())
            .legend(move |at| sample(at, dash));
    }
    if levels.is_empty() {
        return Ok(());
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .legend_area_size(30)
        .background_style(WHITE.mix(0.85))
        .border_style(GREY)
        .label_font(("sans-serif", LABEL))
        .draw()
        .map_err(drawing)
}
