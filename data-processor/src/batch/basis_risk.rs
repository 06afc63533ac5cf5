//! `data-processor basis-risk`: how well an index tells losses, honestly: on Marsabit's observed
//! mortality with the index chosen inside folds and scored outside them, beside Benchmark A; or on
//! any table of losses and payouts. Under its floor a product is refused, exit 3. Called by `main`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::batch::chart::{Cloud, scatter};
use crate::batch::report::{Files, Table, say};
use crate::science::basis_risk::Floor;

mod candidates;
mod card;
mod mortality;
mod protocol;

pub use mortality::{Case, Folds, Key, Season, cases, published};

use card::{Line, Seen, Terms};
use protocol::{Played, Track};

const EXAMPLES: &str = "\
Examples:
  Marsabit's livestock mortality, 2008 to 2015, the whole comparison:
    data-processor basis-risk --marsabit data/kenya --svg basis.svg --json basis.json
  With October to September left out together (one drought is never on both sides):
    data-processor basis-risk --marsabit data/kenya --folds agricultural
  A product of your own, from a table `place,year,loss,payout[,index]` of shares (0 to 1):
    data-processor basis-risk --pairs karare.csv --fn-max 0.30 --fp-max 0.15

The protocol of the Marsabit comparison:
  Eight candidates, declared beforehand: the season's NDVI as z, robust z and VCI; NDVI of this and
  the last season; rain (z of the cube root) of the season and of both; the blend of NDVI and rain
  for one season and for two. For each year left out: baselines without it; the candidate with the
  best concordance (AUC) on the other years' surveyed cases is chosen; it pays below the 20 % quantile
  of its baseline; then it is scored on the year left out. `average of all eight` chooses
  nothing; it was added once the chosen index's first score was known. The candidates are listed one
  by one so that the cost of choosing shows: the best line of that list is hindsight, no result.
  Two seasons (SRSD 2013 and 2015) have neither a loss nor a sale in any of 923 households: they
  were not asked about. Benchmark A counts them as no loss; both ways are printed.

Columns: FN losses unpaid, FP paid without loss, FNP unpaid losses among all cases, AUC the chance
that a loss has the lower index (0.5 is chance), CE gain what cover is worth to a herder of average
losses after the premium (share of the herd), RIB that gain over a perfect cover's (a dash when even
perfect cover gains nothing at this premium), RIB at cost the same without the insurer's margin, MQS
whether people are at least as well off insured. Households differ more than places do, so the worth
is a lower bound. Exit 3: not publishable.";

/// Basis risk of an index: errors, correlation, worth to a person, and the floor for publishing.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = EXAMPLES, after_help = "More with --help: examples, protocol, columns.")]
pub struct BasisRisk {
    /// Folder with Marsabit's mortality, zNDVI, NDVI and rain files.
    #[arg(long, value_name = "DIR", required_unless_present = "pairs")]
    marsabit: Option<PathBuf>,
    /// Instead: a CSV `place,year,loss,payout[,index]` of shares; the index falls when it is dry.
    #[arg(long, value_name = "FILE", conflicts_with = "marsabit")]
    pairs: Option<PathBuf>,
    /// Which years are left out together.
    #[arg(long, value_enum, default_value_t = Folds::Calendar)]
    folds: Folds,
    /// Share lost from which it is a loss.
    #[arg(long, value_name = "SHARE", default_value_t = 0.15)]
    loss: f64,
    /// Premium as a multiple of the mean payout, for the worth to a person.
    #[arg(long, default_value_t = 1.25)]
    premium_multiple: f64,
    /// Relative risk aversion (CRRA); 1 is the logarithm.
    #[arg(long, default_value_t = 2.0)]
    risk_aversion: f64,
    /// Floor: most of the losses that may go unpaid. By default Benchmark A's.
    #[arg(long, value_name = "SHARE", default_value_t = Floor::BENCHMARK.false_negative_max)]
    fn_max: f64,
    /// Floor: most of the cases without a loss that may be paid. By default Benchmark A's.
    #[arg(long, value_name = "SHARE", default_value_t = Floor::BENCHMARK.false_positive_max)]
    fp_max: f64,
    /// Seasons drawn anew so many times for the interval of the gain.
    #[arg(long, default_value_t = 2_000)]
    draws: usize,
    /// Seed of the draws.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    files: Files,
}

/// Exit code of a product under its floor.
const NOT_PUBLISHABLE: u8 = 3;

#[derive(Debug, Clone, Serialize)]
struct ChoiceReport {
    held_out: i32,
    cases: usize,
    chosen: &'static str,
}

/// The report in numbers.
#[derive(Debug, Clone, Serialize)]
struct Report {
    folds: Option<String>,
    loss_from: f64,
    premium_multiple: f64,
    risk_aversion: f64,
    fn_max: f64,
    fp_max: f64,
    choices: Vec<ChoiceReport>,
    surveyed: Vec<Line>,
    as_published: Vec<Line>,
    judged: String,
    publishable: bool,
}

/// Runs it. Errors name the file or the flag that is at fault.
pub fn run(asked: &BasisRisk) -> anyhow::Result<ExitCode> {
    let sane = [asked.loss, asked.fn_max, asked.fp_max];
    ensure!(
        sane.iter().all(|share| (0.0..=1.0).contains(share)),
        "--loss, --fn-max and --fp-max are shares, 0 to 1"
    );
    ensure!(
        asked.premium_multiple >= 0.0 && asked.risk_aversion >= 0.0,
        "--premium-multiple and --risk-aversion must not be negative"
    );
    let terms = Terms {
        loss: asked.loss,
        premium_multiple: asked.premium_multiple,
        risk_aversion: asked.risk_aversion,
        draws: asked.draws,
        seed: asked.seed,
        floor: Floor {
            false_negative_max: asked.fn_max,
            false_positive_max: asked.fp_max,
        },
    };
    match (&asked.marsabit, &asked.pairs) {
        (Some(folder), _) => marsabit(asked, folder, &terms),
        (None, Some(path)) => pairs(asked, path, &terms),
        (None, None) => anyhow::bail!("one of --marsabit and --pairs is needed"),
    }
}

fn marsabit(asked: &BasisRisk, folder: &Path, terms: &Terms) -> anyhow::Result<ExitCode> {
    let played = protocol::play(folder, asked.folds, asked.loss)?;
    let lines = |kept: &dyn Fn(&Case) -> bool| {
        card::card(&played.cases, kept, &played.tracks, terms).context("no cases to score")
    };
    let surveyed = lines(&|case| case.is_surveyed)?;
    let as_published = lines(&|_| true)?;
    let number = |lines: &[Line], kept: &dyn Fn(&Case) -> bool| {
        let cases = played.cases.iter().filter(|case| kept(case)).count();
        (cases, lines.len())
    };
    let mut table = Table::new(&["held out", "cases", "chosen on the other years"]);
    for choice in &played.choices {
        let (held, cases) = (choice.held.to_string(), choice.cases.to_string());
        table.row([held, cases, choice.chosen.to_owned()]);
    }
    table.print()?;
    say("")?;
    let (cases, _) = number(&surveyed, &|case| case.is_surveyed);
    card::print(&format!("{cases} cases of the surveyed seasons"), &surveyed)?;
    say("")?;
    let (cases, _) = number(&as_published, &|_| true);
    let title = format!("{cases} cases, as Benchmark A was published (unasked seasons as no loss)");
    card::print(&title, &as_published)?;
    say("")?;
    let judged = surveyed.get(1).context("no chosen index")?.clone();
    let publishable = verdict(&judged)?;
    let report = Report {
        folds: Some(format!("{:?}", asked.folds).to_lowercase()),
        choices: played
            .choices
            .iter()
            .map(|choice| ChoiceReport {
                held_out: choice.held,
                cases: choice.cases,
                chosen: choice.chosen,
            })
            .collect(),
        surveyed,
        as_published,
        ..empty(asked, &judged, publishable)
    };
    asked.files.write(&report, || draw(&played, asked.loss))?;
    Ok(exit(publishable))
}

fn empty(asked: &BasisRisk, judged: &Line, publishable: bool) -> Report {
    Report {
        folds: None,
        loss_from: asked.loss,
        premium_multiple: asked.premium_multiple,
        risk_aversion: asked.risk_aversion,
        fn_max: asked.fn_max,
        fp_max: asked.fp_max,
        choices: Vec::new(),
        surveyed: Vec::new(),
        as_published: Vec::new(),
        judged: judged.index.clone(),
        publishable,
    }
}

fn verdict(judged: &Line) -> anyhow::Result<bool> {
    let name = &judged.index;
    for reason in &judged.not_publishable_because {
        say(&format!("not publishable: {name} {reason}"))?;
    }
    let publishable = judged.not_publishable_because.is_empty();
    if publishable {
        say(&format!("publishable: {name} is above its floor"))?;
    }
    Ok(publishable)
}

fn exit(publishable: bool) -> ExitCode {
    if publishable {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NOT_PUBLISHABLE)
    }
}

fn draw(played: &Played, threshold: f64) -> anyhow::Result<String> {
    type Points = Vec<(f64, f64)>;
    let shown: Vec<(&Track, Points, Points)> = played
        .tracks
        .iter()
        .take(2)
        .map(|track| {
            let points = |season| played.points(track, season);
            (track, points(Season::Long), points(Season::Short))
        })
        .collect();
    let clouds: Vec<Cloud<'_>> = shown
        .iter()
        .map(|(track, first, second)| Cloud {
            title: track.name,
            trigger: Some(track.trigger),
            first,
            second,
        })
        .collect();
    scatter(
        "Marsabit livestock mortality, surveyed seasons, each scored with its year held out",
        [Season::Long.code(), Season::Short.code()],
        &clouds,
        threshold,
    )
}

#[derive(Debug, Deserialize)]
struct Pair {
    #[serde(rename = "place")]
    _place: String,
    year: i32,
    loss: f64,
    payout: f64,
    index: Option<f64>,
}

fn pairs(asked: &BasisRisk, path: &Path, terms: &Terms) -> anyhow::Result<ExitCode> {
    let name = path.display().to_string();
    let mut reader = csv::Reader::from_path(path).with_context(|| format!("cannot open {name}"))?;
    let rows: Vec<Pair> = reader
        .deserialize()
        .collect::<Result<_, _>>()
        .with_context(|| format!("in {name}: place,year,loss,payout[,index] are expected"))?;
    let shares = rows.iter().flat_map(|row| [row.loss, row.payout]);
    ensure!(
        shares.clone().count() > 0 && shares.clone().all(|x| (0.0..=1.0).contains(&x)),
        "{name}: losses and payouts must be shares, 0 to 1, and there must be some"
    );
    let payout: Vec<f64> = rows.iter().map(|row| row.payout).collect();
    let pays: Vec<bool> = payout.iter().map(|paid| *paid > 0.0).collect();
    // without an index of its own a payout orders the cases: the more it pays, the drier
    let index: Vec<f64> = rows
        .iter()
        .map(|row| row.index.unwrap_or(-row.payout))
        .collect();
    let mut years: Vec<i32> = rows.iter().map(|row| row.year).collect();
    let losses: Vec<f64> = rows.iter().map(|row| row.loss).collect();
    let mut known = years.clone();
    known.sort_unstable();
    known.dedup();
    let seasons = years
        .drain(..)
        .filter_map(|year| known.iter().position(|k| *k == year))
        .collect();
    let seen = Seen {
        losses,
        seasons,
        number: known.len(),
    };
    let judged =
        card::line(&name, &seen, &index, &pays, &payout, terms).context("no cases to score")?;
    card::print(
        &format!("{} cases over {} years", rows.len(), known.len()),
        std::slice::from_ref(&judged),
    )?;
    let publishable = verdict(&judged)?;
    let points: Vec<(f64, f64)> = index.iter().copied().zip(seen.losses).collect();
    let report = Report {
        surveyed: vec![judged.clone()],
        ..empty(asked, &judged, publishable)
    };
    asked.files.write(&report, || {
        let cloud = Cloud {
            title: "",
            trigger: None,
            first: &points,
            second: &[],
        };
        scatter(&name, ["case", ""], &[cloud], asked.loss)
    })?;
    Ok(exit(publishable))
}

#[cfg(test)]
mod tests;
