//! An index against observed losses, a panel a product: what lies right of the trigger and above
//! the loss line is the basis risk. Shapes tell the seasons apart, never colour alone.

use plotters::prelude::*;

use super::{BOTTOM, GREY, LABEL, LEFT, TITLE, ceiling, dashes, drawing, sample, sheet};

/// One panel.
#[derive(Debug, Clone, Copy)]
pub struct Cloud<'a> {
    /// Its title.
    pub title: &'a str,
    /// Index below which it pays, where it has one.
    pub trigger: Option<f64>,
    /// Index and loss of the first season of the year: filled dots.
    pub first: &'a [(f64, f64)],
    /// Of the second: open triangles.
    pub second: &'a [(f64, f64)],
}

/// Draws panels side by side, with the loss threshold and both seasons' names.
pub fn scatter(
    title: &str,
    seasons: [&str; 2],
    clouds: &[Cloud<'_>],
    threshold: f64,
) -> anyhow::Result<String> {
    let points = || {
        let both = clouds.iter().flat_map(|c| c.first.iter().chain(c.second));
        both.copied()
    };
    let reach = ceiling(points().map(|point| point.0.abs()), 1.0);
    let top = ceiling(points().map(|point| point.1), 0.1) * 100.0;
    sheet(520, |area| {
        let area = area.titled(title, ("sans-serif", TITLE)).map_err(drawing)?;
        let panels = area.split_evenly((1, clouds.len().max(1)));
        for (panel, cloud) in panels.iter().zip(clouds) {
            let mut chart = ChartBuilder::on(panel)
                .caption(cloud.title, ("sans-serif", LABEL + 2))
                .margin(10)
                .x_label_area_size(BOTTOM)
                .y_label_area_size(LEFT)
                .build_cartesian_2d(-reach..reach, 0.0..top)
                .map_err(drawing)?;
            chart
                .configure_mesh()
                .disable_mesh()
                .x_desc("index, standard deviations")
                .y_desc("loss, %")
                .x_label_formatter(&|value| format!("{value:.1}"))
                .y_label_formatter(&|value| format!("{value:.0}"))
                .label_style(("sans-serif", LABEL))
                .draw()
                .map_err(drawing)?;
            let percent = |(x, y): (f64, f64)| (x, y * 100.0);
            let dots = cloud.first.iter().copied().map(percent);
            chart
                .draw_series(dots.map(|at| Circle::new(at, 3, BLACK.filled())))
                .map_err(drawing)?
                .label(seasons[0])
                .legend(|(x, y)| Circle::new((x + 12, y), 3, BLACK.filled()));
            if !cloud.second.is_empty() {
                let open = cloud.second.iter().copied().map(percent);
                chart
                    .draw_series(open.map(|at| TriangleMarker::new(at, 4, BLACK.stroke_width(1))))
                    .map_err(drawing)?
                    .label(seasons[1])
                    .legend(|(x, y)| TriangleMarker::new((x + 12, y), 4, BLACK.stroke_width(1)));
            }
            let level = threshold * 100.0;
            let loss = (
                format!("loss {level:.0} %"),
                [(-reach, level), (reach, level)],
                3_u32,
            );
            let trigger = cloud
                .trigger
                .map(|at| (format!("trigger {at:.2}"), [(at, 0.0), (at, top)], 9));
            for (name, points, dash) in trigger.into_iter().chain([loss]) {
                chart
                    .draw_series(dashes(points, dash, 4))
                    .map_err(drawing)?
                    .label(name)
                    .legend(move |at| sample(at, dash));
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperRight)
                .legend_area_size(30)
                .background_style(WHITE.mix(0.85))
                .border_style(GREY)
                .label_font(("sans-serif", LABEL))
                .draw()
                .map_err(drawing)?;
        }
        Ok(())
    })
}
