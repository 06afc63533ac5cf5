//! The exceedance curve of a book: loss against empirical return period on a logarithmic axis,
//! marked where a year lies, never drawn beyond the record.

use plotters::prelude::*;

use super::{BOTTOM, GREY, LABEL, LEFT, TITLE, ceiling, dashes, drawing, sample, sheet};

/// One curve.
#[derive(Debug, Clone, Copy)]
pub struct Curve<'a> {
    /// Its name.
    pub name: &'a str,
    /// Return period, years, and loss, share of the limit.
    pub points: &'a [(f64, f64)],
}

/// Draws curves, and levels with their names.
pub fn exceedance(
    title: &str,
    curves: &[Curve<'_>],
    levels: &[(&str, f64)],
) -> anyhow::Result<String> {
    let points = || curves.iter().flat_map(|curve| curve.points);
    let longest = ceiling(points().map(|point| point.0), 2.0);
    let losses = points().map(|point| point.1);
    let top = ceiling(losses.chain(levels.iter().map(|level| level.1)), 0.01) * 100.0;
    sheet(520, |area| {
        let mut chart = ChartBuilder::on(area)
            .caption(title, ("sans-serif", TITLE))
            .margin(10)
            .x_label_area_size(BOTTOM)
            .y_label_area_size(LEFT)
            .build_cartesian_2d((1.0..longest).log_scale(), 0.0..top)
            .map_err(drawing)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc("return period, years")
            .y_desc("loss, % of the limit")
            .x_label_formatter(&|years| format!("{years:.0}"))
            .y_label_formatter(&|value| format!("{value:.0}"))
            .label_style(("sans-serif", LABEL))
            .draw()
            .map_err(drawing)?;
        // a filled and an open dot, a whole and a broken line
        for (curve, is_first) in curves.iter().zip([true, false]) {
            let mut points: Vec<(f64, f64)> =
                curve.points.iter().map(|(t, x)| (*t, x * 100.0)).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            let dot = if is_first {
                BLACK.filled()
            } else {
                BLACK.stroke_width(1)
            };
            let (dash, gap) = if is_first { (600, 0) } else { (5, 4) };
            let line = DashedLineSeries::new(points.clone(), dash, gap, BLACK.stroke_width(1));
            chart.draw_series(line).map_err(drawing)?;
            chart
                .draw_series(points.into_iter().map(|at| Circle::new(at, 4, dot)))
                .map_err(drawing)?
                .label(curve.name)
                .legend(move |(x, y)| Circle::new((x + 12, y), 4, dot));
        }
        for ((name, level), dash) in levels.iter().zip([9_u32, 3, 1, 5]) {
            let points = [(1.0, level * 100.0), (longest, level * 100.0)];
            chart
                .draw_series(dashes(points, dash, 4))
                .map_err(drawing)?
                .label(format!("{name} {:.1} %", level * 100.0))
                .legend(move |at| sample(at, dash));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .legend_area_size(30)
            .background_style(WHITE.mix(0.85))
            .border_style(GREY)
            .label_font(("sans-serif", LABEL))
            .draw()
            .map_err(drawing)
    })
}
