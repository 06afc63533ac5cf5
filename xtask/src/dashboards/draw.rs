//! A panel's answer as a picture: lines over the seconds of the season, a legend with the last number
//! of each. Never the place where a number is computed. Called by `dashboards`.

use anyhow::anyhow;
use plotters::prelude::*;

use super::ask::STEP_SECONDS;

/// Size of a picture without its legend, points.
const WIDTH: u32 = 720;
const HEIGHT: u32 = 250;
/// Height of a line of the legend.
const ROW: u32 = 17;
/// Most lines of a picture; the greatest are drawn, and the legend says how many are not.
pub(super) const LINES_MAX: usize = 12;
/// Colours that most people tell apart (after Okabe and Ito).
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(90, 90, 90),
    RGBColor(140, 86, 75),
];

/// One line of a picture.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// In the legend.
    pub(super) name: String,
    /// Seconds of the season and value, in order.
    pub(super) points: Vec<(f64, f64)>,
}

impl Line {
    pub(super) fn last(&self) -> f64 {
        self.points.last().map_or(0.0, |(_, value)| *value)
    }

    pub(super) fn greatest(&self) -> f64 {
        self.points
            .iter()
            .fold(f64::MIN, |most, (_, value)| most.max(*value))
    }
}

/// What a picture shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'a> {
    /// Grafana's name of the unit.
    pub(super) unit: &'a str,
    /// Length of the season, seconds.
    pub(super) seconds: f64,
    /// The greatest first.
    pub(super) lines: &'a [Line],
}

fn drawing(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw: {error}")
}

/// Draws it, as SVG.
pub(super) fn picture(shown: &Shown<'_>) -> anyhow::Result<String> {
    let drawn = shown.lines.get(..LINES_MAX).unwrap_or(shown.lines);
    let left_out = shown.lines.len() - drawn.len();
    let rows = u32::try_from(drawn.len() + usize::from(left_out > 0))?;
    let mut svg = String::new();
    {
        let size = (WIDTH, HEIGHT + ROW * rows + 6);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE).map_err(drawing)?;
        let (above, below) = area.split_vertically(HEIGHT);
        let top = drawn.iter().map(Line::greatest).fold(0.0, f64::max);
        let values = drawn.iter().flat_map(|line| &line.points);
        let bottom = values.fold(0.0_f64, |least, (_, value)| least.min(*value));
        let top = if top > bottom {
            top * 1.08
        } else {
            bottom + 1.0
        };
        let mut chart = ChartBuilder::on(&above)
            .margin(8)
            .margin_right(20)
            .x_label_area_size(34)
            .y_label_area_size(74)
            .build_cartesian_2d(0.0..shown.seconds.max(1.0), bottom..top)
            .map_err(drawing)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(WHITE)
            .x_desc("seconds of the season")
            .x_label_formatter(&|at| format!("{at:.0}"))
            .y_label_formatter(&|value| in_unit(*value, shown.unit))
            .label_style(("sans-serif", 12))
            .draw()
            .map_err(drawing)?;
        for (line, colour) in drawn.iter().zip(COLOURS.iter().cycle()) {
            for piece in pieces(&line.points) {
                let style = colour.stroke_width(2);
                chart
                    .draw_series(LineSeries::new(piece.iter().copied(), style))
                    .map_err(drawing)?;
                // one point makes no line
                if let [only] = piece {
                    chart
                        .draw_series([Circle::new(*only, 3, colour.filled())])
                        .map_err(drawing)?;
                }
            }
        }
        let mut y = 0;
        let step = i32::try_from(ROW)?;
        for (line, colour) in drawn.iter().zip(COLOURS.iter().cycle()) {
            let box_of = [(80, y + 3), (92, y + 13)];
            below
                .draw(&Rectangle::new(box_of, colour.filled()))
                .map_err(drawing)?;
            let words = format!("{}   {}", line.name, in_unit(line.last(), shown.unit));
            below
                .draw(&Text::new(words, (98, y + 2), ("sans-serif", 13)))
                .map_err(drawing)?;
            y += step;
        }
        if left_out > 0 {
            let words = format!("and {left_out} more");
            below
                .draw(&Text::new(words, (98, y + 2), ("sans-serif", 13)))
                .map_err(drawing)?;
        }
        area.present().map_err(drawing)?;
    }
    Ok(svg)
}

/// The points between gaps: a missing number is left open, never bridged.
fn pieces(points: &[(f64, f64)]) -> impl Iterator<Item = &[(f64, f64)]> {
    let gap = 1.5 * f64::from(STEP_SECONDS);
    points.chunk_by(move |(one, _), (other, _)| other - one <= gap)
}

/// A value as a person reads it in Grafana's unit of this name.
pub(super) fn in_unit(value: f64, unit: &str) -> String {
    match unit {
        "percentunit" => format!("{} %", plain(value * 100.0)),
        "s" if value.abs() >= 86_400.0 => format!("{} d", plain(value / 86_400.0)),
        "s" if value.abs() >= 3_600.0 => format!("{} h", plain(value / 3_600.0)),
        "s" if value != 0.0 && value.abs() < 1.0 => format!("{} ms", plain(value * 1_000.0)),
        "bytes" if value.abs() >= 1_048_576.0 => format!("{} MiB", plain(value / 1_048_576.0)),
        "bytes" => format!("{} B", plain(value)),
        "reqps" | "ops" => format!("{}/s", plain(value)),
        "s" | "h" => format!("{} {unit}", plain(value)),
        _ => plain(value),
    }
}

/// Three digits are enough to read a picture by.
fn plain(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_names_its_lines_and_their_last_numbers() {
        let lines = [Line {
            name: "p95 <hop>".to_owned(),
            points: vec![(0.0, 0.010), (5.0, 0.025), (40.0, 0.020)],
        }];
        let svg = picture(&Shown {
            unit: "s",
            seconds: 60.0,
            lines: &lines,
        })
        .unwrap();
        assert!(svg.starts_with("<svg") && !svg.contains("NaN"));
        assert!(svg.contains("seconds of the season") && svg.contains("20 ms"));
        assert!(svg.contains("p95 &lt;hop&gt;"));
    }

    #[test]
    fn a_missing_number_is_a_gap() {
        let points = [(0.0, 1.0), (5.0, 1.0), (30.0, 2.0)];
        let lengths: Vec<usize> = pieces(&points).map(<[_]>::len).collect();
        assert_eq!(lengths, [2, 1]);
    }

    #[test]
    fn values_are_shown_in_their_units() {
        for (value, unit, words) in [
            (0.5, "percentunit", "50 %"),
            (0.0, "s", "0 s"),
            (0.0125, "s", "12.5 ms"),
            (7_200.0, "s", "2 h"),
            (3_145_728.0, "bytes", "3 MiB"),
            (12.0, "reqps", "12/s"),
            (1_234.0, "short", "1234"),
        ] {
            assert_eq!(in_unit(value, unit), words);
        }
    }
}
