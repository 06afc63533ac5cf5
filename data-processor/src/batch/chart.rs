//! Pictures for people: the burn of a contract, the exceedance curve of a book, an index against
//! losses, a cell's baseline. Drawn in black and greys, told apart by shape and dash, so that a printout says the
//! same. Never the place where a number is computed. Called by the commands of `batch`.

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;

mod burn;
mod exceedance;
mod profile;
mod scatter;

pub use burn::{Burned, burn};
pub use exceedance::{Curve, exceedance};
pub use profile::{Profile, profile};
pub use scatter::{Cloud, scatter};

/// Width of every picture, points.
const WIDTH: u32 = 960;
/// Size of titles and of axis labels, points.
const TITLE: i32 = 18;
const LABEL: i32 = 13;
/// Room for the axis labels, points.
const LEFT: u32 = 64;
const BOTTOM: u32 = 44;
/// A grey that copies well.
const GREY: RGBColor = RGBColor(150, 150, 150);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws on a white sheet of `height` points and returns the SVG.
fn sheet(
    height: u32,
    paint: impl FnOnce(&Area<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        area.fill(&WHITE).map_err(drawing)?;
        paint(&area)?;
        area.present().map_err(drawing)?;
    }
    Ok(svg)
}

fn drawing(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw: {error}")
}

/// The largest of values with a little room above, at least `least`.
fn ceiling(values: impl Iterator<Item = f64>, least: f64) -> f64 {
    values.fold(least, f64::max) * 1.08
}

/// A horizontal or vertical line of dashes through points, `dash` points on and `gap` off.
fn dashes<X, Y>(
    points: [(X, Y); 2],
    dash: u32,
    gap: u32,
) -> DashedLineSeries<std::array::IntoIter<(X, Y), 2>, u32>
where
    X: Clone,
    Y: Clone,
{
    DashedLineSeries::new(points, dash, gap, BLACK.stroke_width(2))
}

/// The sample of a dashed line in a legend.
fn sample(
    (x, y): (i32, i32),
    dash: u32,
) -> DashedPathElement<std::array::IntoIter<(i32, i32), 2>, u32> {
    DashedPathElement::new([(x, y), (x.saturating_add(24), y)], dash, 4, BLACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_drawing(svg: &str, words: &[&str]) {
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(!svg.contains("NaN"), "a coordinate is no number");
        for word in words {
            assert!(svg.contains(word), "{word} is not in the picture");
        }
    }

    #[test]
    fn a_burn_chart_names_its_axes_and_lines() {
        let svg = burn(&Burned {
            title: "KE-MZ-PD-LR, KARARE",
            years: &[2009, 2010, 2011],
            rain_mm: &[96.2, 233.7, 80.5],
            terms_mm: Some((278.0, 95.0)),
            shares: &[0.99, 0.24, 1.0],
            lines: &[
                ("expected loss, plain", 0.15),
                ("at the level of 2011", 0.28),
            ],
        })
        .unwrap();
        is_drawing(
            &svg,
            &[
                "season of year",
                "rain, mm",
                "paid, % of the sum insured",
                "trigger 278 mm",
                "exit 95 mm",
                "expected loss, plain 15.0 %",
            ],
        );
    }

    #[test]
    fn an_exceedance_curve_has_a_return_period_in_years() {
        let points = [(40.0, 1.0), (20.0, 0.98), (1.0, 0.0)];
        let svg = exceedance(
            "58 cells",
            &[Curve {
                name: "aggregate (AEP)",
                points: &points,
            }],
            &[("VaR95", 0.84)],
        )
        .unwrap();
        is_drawing(
            &svg,
            &[
                "return period, years",
                "loss, % of the limit",
                "VaR95 84.0 %",
            ],
        );
    }

    #[test]
    fn a_scatter_shows_trigger_and_loss() {
        let clouds = [Cloud {
            title: "Benchmark A",
            trigger: Some(-0.842),
            first: &[(-1.5, 0.3)],
            second: &[(0.5, 0.05)],
        }];
        let svg = scatter("Marsabit", ["LRLD", "SRSD"], &clouds, 0.15).unwrap();
        is_drawing(
            &svg,
            &["index, standard deviations", "loss, %", "trigger", "LRLD"],
        );
        assert!(scatter("nothing", ["a", "b"], &[], 0.15).is_ok());
    }
}
