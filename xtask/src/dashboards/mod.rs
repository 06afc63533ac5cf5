//! `cargo xtask dashboards`: every query of every panel of deploy/monitoring/dashboards, asked of a
//! real Prometheus that watched a season, with pictures of the answers. Never calls a panel answered
//! whose query has no number, and names those that only a cluster could answer. Called by main.

mod ask;
mod board;
mod draw;
mod page;
mod watch;
mod watched;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use crate::cargo::build_binaries;
use crate::context::Context;
use crate::home::Home;
use crate::progress::print_line;
use ask::Series;
use board::{Board, Panel, Query};
use draw::Line;
use watch::Watch;
pub(crate) use watched::Season;

/// The dashboards.
const FOLDER: &str = "deploy/monitoring/dashboards";
/// The relay measures money and policies every half minute, and is scraped every five seconds.
const SETTLE_SECONDS: u64 = 40;

/// What a person may ask of the dashboards.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Farmers who register and buy
    #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    farmers: u32,
    /// Run the programs of this folder instead of building them
    #[arg(long, value_name = "FOLDER")]
    bin_dir: Option<PathBuf>,
}

/// What came of a panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Every query has numbers.
    Answered,
    /// Every query has numbers, and all are zero.
    Zero,
    /// It asks for what only a cluster measures.
    Cluster,
    /// A query has no number.
    Empty,
}

/// A panel and its answer.
struct Answered<'a> {
    panel: &'a Panel,
    verdict: Verdict,
    /// The queries without a number.
    without: Vec<&'a str>,
    /// All lines, the greatest first.
    lines: Vec<Line>,
    /// Length of what was asked for, seconds.
    seconds: f64,
}

/// A dashboard and its answers.
struct Looked<'a> {
    board: &'a Board,
    panels: Vec<Answered<'a>>,
}

/// Plays a season under the eyes of Prometheus and asks every panel.
pub(crate) fn run(context: &Context, options: &Options) -> anyhow::Result<()> {
    let boards = board::read_all(&context.root.join(FOLDER))?;
    let held = Home::fresh(context, "dashboards", &["logs", "evidence", "nginx"])?;
    let home = held.dir.clone();
    page::clear(&home)?;
    watched::ensure_all_installed(context)?;
    let bin_dir = match &options.bin_dir {
        // the processes run in the checkout, the person may not
        Some(folder) => fs::canonicalize(folder).with_context(|| folder.display().to_string())?,
        None => build_binaries(context)?,
    };
    let season = Season {
        farmers: options.farmers,
        home: &home,
        bin_dir,
    };
    let looked = season.play(context, |_, watch, from| {
        context.say(
            "ask",
            format!("in {SETTLE_SECONDS} s, when the closed season has been measured"),
        );
        context
            .interrupt
            .sleep(Duration::from_secs(SETTLE_SECONDS))?;
        let to = ask::time(watch.port)?;
        let looked = ask_all(&boards, watch.port, from, to)?;
        alerts(context, watch, from)?;
        Ok(looked)
    })?;
    report(&home, &looked)
}

fn ask_all(boards: &[Board], port: u16, from: f64, to: f64) -> anyhow::Result<Vec<Looked<'_>>> {
    let mut looked = Vec::new();
    for board in boards {
        let mut panels = Vec::new();
        for panel in board.panels.iter().filter(|panel| !panel.is_heading()) {
            let answered = ask_panel(panel, port, from, to)
                .with_context(|| format!("{}: {}", board.title, panel.title))?;
            panels.push(answered);
        }
        looked.push(Looked { board, panels });
    }
    Ok(looked)
}

fn ask_panel(panel: &Panel, port: u16, from: f64, to: f64) -> anyhow::Result<Answered<'_>> {
    let mut lines = Vec::new();
    let mut without = Vec::new();
    for query in &panel.queries {
        let found = ask::range(port, &query.expr, from, to)?;
        if found.is_empty() {
            without.push(query.expr.as_str());
        }
        lines.extend(found.into_iter().map(|series| line(query, series, from)));
    }
    lines.sort_by(|one, other| other.greatest().total_cmp(&one.greatest()));
    let is_zero = |line: &Line| line.points.iter().all(|(_, value)| *value == 0.0);
    // a query of a cluster's metric may still have an answer, as one that says zero without it; one of
    // ours beside it may not stay without
    let verdict = if !without.is_empty() && without.iter().all(|expr| board::asks_a_cluster(expr)) {
        Verdict::Cluster
    } else if !without.is_empty() || lines.is_empty() {
        Verdict::Empty
    } else if lines.iter().all(is_zero) {
        Verdict::Zero
    } else {
        Verdict::Answered
    };
    Ok(Answered {
        panel,
        verdict,
        without,
        lines,
        seconds: to - from,
    })
}

/// A series under its name in the legend, its times from the beginning.
fn line(query: &Query, series: Series, from: f64) -> Line {
    let points = series.points.into_iter();
    Line {
        name: legend(&query.legend, &series.labels),
        points: points.map(|(at, value)| (at - from, value)).collect(),
    }
}

/// A legend with its labels filled in; without one, the labels themselves.
fn legend(format: &str, labels: &BTreeMap<String, String>) -> String {
    let mut words = format.to_owned();
    for (name, value) in labels {
        words = words.replace(&format!("{{{{{name}}}}}"), value);
    }
    if words.is_empty() {
        let shown: Vec<String> = labels
            .iter()
            .filter(|(name, _)| *name != "__name__")
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        words = shown.join(", ");
    }
    words
}

/// Says which alerts fired meanwhile; a season of minutes is no proof of their waits, so it judges
/// nothing by it.
fn alerts(context: &Context, watch: &Watch, from: f64) -> anyhow::Result<()> {
    let to = ask::time(watch.port)?;
    let fired = ask::range(watch.port, "ALERTS{alertstate=\"firing\"}", from, to)?;
    let names: Vec<String> = fired
        .iter()
        .filter_map(|series| series.labels.get("alertname").cloned())
        .collect();
    let words = if names.is_empty() {
        "none fired".to_owned()
    } else {
        format!("fired: {}", names.join(", "))
    };
    context.say("alerts", words);
    Ok(())
}

fn count(looked: &[Looked<'_>], of: impl Fn(Verdict) -> bool) -> usize {
    let panels = looked.iter().flat_map(|board| &board.panels);
    panels.filter(|answered| of(answered.verdict)).count()
}

/// Prints what came of every dashboard, writes the page, and fails when a panel is empty.
fn report(home: &Path, looked: &[Looked<'_>]) -> anyhow::Result<()> {
    let mut empty = Vec::new();
    for board in looked {
        let named = |wanted: Verdict| -> Vec<&str> {
            let found = board.panels.iter();
            let found = found.filter(|answered| answered.verdict == wanted);
            found
                .map(|answered| answered.panel.title.as_str())
                .collect()
        };
        print_line(format!(
            "{:10} {} answered",
            board.board.name,
            named(Verdict::Answered).len() + named(Verdict::Zero).len()
        ));
        for (verdict, words) in [
            (Verdict::Zero, "zero whenever measured"),
            (Verdict::Cluster, "of a cluster, not run here"),
        ] {
            let titles = named(verdict);
            if !titles.is_empty() {
                print_line(format!("           {words}: {}", titles.join(" | ")));
            }
        }
        for answered in &board.panels {
            if answered.verdict == Verdict::Empty {
                let (title, without) = (&answered.panel.title, answered.without.join("\n    "));
                print_line(format!("           EMPTY: {title}\n    {without}"));
                empty.push(format!("{}: {title}", board.board.title));
            }
        }
    }
    let closing = format!(
        "dashboards: {} panels answered, {} of the cluster not run here, {} empty",
        count(looked, |verdict| {
            matches!(verdict, Verdict::Answered | Verdict::Zero)
        }),
        count(looked, |verdict| verdict == Verdict::Cluster),
        empty.len()
    );
    page::write(home, looked, &closing)?;
    print_line(format!("pictures: {}", home.join("index.html").display()));
    print_line(&closing);
    if !empty.is_empty() {
        bail!("nothing answers {}", empty.join(", "));
    }
    ensure!(
        count(looked, |verdict| verdict == Verdict::Answered) > 0,
        "no panel shows anything but zero"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legend_is_filled_in_from_labels() {
        let labels = BTreeMap::from([
            ("method".to_owned(), "POST".to_owned()),
            ("path".to_owned(), "/api/ussd".to_owned()),
        ]);
        assert_eq!(legend("{{method}} {{path}}", &labels), "POST /api/ussd");
        assert_eq!(legend("", &labels), "method POST, path /api/ussd");
        assert_eq!(legend("p95", &BTreeMap::new()), "p95");
    }
}
