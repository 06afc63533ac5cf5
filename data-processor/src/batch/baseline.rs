//! `data-processor baseline`: what a cell's seasons and dekads were, computed once from what was
//! imported and kept for ever: the vegetation a season is compared with, and the rain by which one
//! dataset stands in for another. A baseline that is known never changes. Called by `main`.

use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use chrono::NaiveDate;
use clap::{Args, Subcommand};
use domain::cell::RiskCell;
use domain::season::{YearlessWindow, local_day};
use runtime::clock::Clock;
use store::{Connection, Pool, StoreError, risks};

use crate::batch::as_if::product;
use crate::batch::database::{Database, name};
use crate::batch::report::Files;

mod rain;
mod show;
mod vegetation;

pub use show::{Cell, Report, State};

/// Fewest seasons, or years of each dekad: the 20th percentile of fewer is a guess.
pub const SEASONS_MIN: usize = 10;
/// Cells of one transaction.
const CELLS: i64 = 16;
/// Years that every risk's window lies between.
const EVER: (i32, i32) = (1981, 2200);
/// Exit code when a known baseline would differ.
const DIFFERENT: u8 = 2;
/// Exit code when a cell has too few seasons.
const TOO_FEW: u8 = 3;

const EXAMPLES: &str = "\
Examples:
  The seasons that a product's vegetation is compared with, for its sensor and its fallbacks:
    data-processor baseline vegetation --product products/KE-MZ-DI-LR.toml
  The same, said by hand, with a picture of one cell:
    data-processor baseline vegetation --sensor modis-terra --days 03-01..05-31 \\
        --first 2001 --last 2015 --cell 877a5c541ffffff --svg karare.svg
  Mean rain of each dekad of the year, by which one dataset is scaled to fill for another:
    data-processor baseline rain --dataset chirps-v3 --first 1991 --last 2020

A season is the mean of its dekads, a dekad its largest scene; a season seen in fewer than 70 % of
its dekads is a gap. Ten seasons at least, else the cell has no baseline and the reason is printed.
Import everything first: a baseline that is known never changes, because what it settled must be
computable for ever. Open risks of the cells are computed anew.

Exit codes: 0 every baseline is in, also when it was before; 1 refused or failed; 2 a known baseline
would differ, and stays (also a wrong command line); 3 cells without enough seasons have none.";

/// Computes and keeps what seasons are compared with; what is known never changes.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = EXAMPLES, after_help = "More with --help: examples, exit codes.")]
pub struct Baseline {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// Vegetation of each cell that a sensor has scenes of.
    #[command(after_long_help = EXAMPLES)]
    Vegetation(Vegetation),
    /// Mean rain of the dekads of the year of each cell that a dataset has days of.
    #[command(after_long_help = EXAMPLES)]
    Rain(Rain),
}

#[derive(Debug, Clone, Args)]
struct Vegetation {
    /// Code of a shipped product, or a product file (*.toml): sensors, days and years are its own.
    #[arg(long, value_name = "CODE|FILE", conflicts_with_all = ["sensor", "days", "first", "last"])]
    product: Option<String>,
    /// Sensor.
    #[arg(long, value_parser = name, required_unless_present = "product")]
    sensor: Option<String>,
    /// Days of the season; may cross the new year.
    #[arg(long, value_name = "MM-DD..MM-DD", required_unless_present = "product")]
    days: Option<YearlessWindow>,
    /// First year, of the season's first day.
    #[arg(long, value_name = "YEAR", required_unless_present = "product")]
    first: Option<i32>,
    /// Last year.
    #[arg(long, value_name = "YEAR", required_unless_present = "product")]
    last: Option<i32>,
    #[command(flatten)]
    rest: Rest,
}

#[derive(Debug, Clone, Args)]
struct Rain {
    /// Dataset.
    #[arg(long, value_parser = name)]
    dataset: String,
    /// First year.
    #[arg(long, value_name = "YEAR")]
    first: i32,
    /// Last year.
    #[arg(long, value_name = "YEAR")]
    last: i32,
    #[command(flatten)]
    rest: Rest,
}

#[derive(Debug, Clone, Args)]
struct Rest {
    /// The cell of the picture; by default the first.
    #[arg(long, value_name = "HEX", requires = "svg")]
    cell: Option<RiskCell>,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    database: Database,
}

/// Which vegetation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    sensors: Vec<String>,
    days: YearlessWindow,
    first: i32,
    last: i32,
}

impl Vegetation {
    fn wanted(&self) -> anyhow::Result<Wanted> {
        if let Some(named) = &self.product {
            let product = product(named)?;
            let terms = product.vegetation.as_ref().with_context(|| {
                format!(
                    "{} has no [vegetation]: give --sensor, --days and years",
                    product.code
                )
            })?;
            let sensors = std::iter::once(&terms.sensor).chain(&terms.fallback);
            return Ok(Wanted {
                sensors: sensors.cloned().collect(),
                days: terms.days,
                first: terms.baseline_first,
                last: terms.baseline_last,
            });
        }
        let (sensor, days) = (self.sensor.clone(), self.days);
        let years = self.first.zip(self.last);
        let ((sensor, days), (first, last)) = sensor
            .zip(days)
            .zip(years)
            .context("give --product, or --sensor, --days, --first and --last")?;
        Ok(Wanted {
            sensors: vec![sensor],
            days,
            first,
            last,
        })
    }
}

/// Runs the command with the database and the time of its own settings.
pub async fn run(asked: &Baseline) -> anyhow::Result<ExitCode> {
    let rest = match &asked.what {
        What::Vegetation(vegetation) => &vegetation.rest,
        What::Rain(rain) => &rain.rest,
    };
    let clock = rest.database.clock()?;
    let pool = rest.database.connect().await?;
    let report = baseline(asked, &pool, &clock).await?;
    report.print()?;
    rest.files.write(&report, || report.draw(rest.cell))?;
    ensure!(
        report.count(State::Refused) < report.cells.len(),
        "no cell has {SEASONS_MIN} seasons: import more years first"
    );
    Ok(if report.count(State::Different) > 0 {
        ExitCode::from(DIFFERENT)
    } else if report.count(State::Refused) > 0 {
        ExitCode::from(TOO_FEW)
    } else {
        ExitCode::SUCCESS
    })
}

/// Computes and records.
pub async fn baseline(asked: &Baseline, pool: &Pool, clock: &Clock) -> anyhow::Result<Report> {
    let now = clock.now();
    let (years, ends) = match &asked.what {
        What::Vegetation(vegetation) => {
            let wanted = vegetation.wanted()?;
            (
                (wanted.first, wanted.last),
                wanted.days.bind(wanted.last)?.end,
            )
        }
        What::Rain(rain) => {
            let days: YearlessWindow = "01-01..12-31".parse()?;
            ((rain.first, rain.last), days.bind(rain.last)?.end)
        }
    };
    let (first, last) = years;
    let seasons = usize::try_from(last.saturating_sub(first).saturating_add(1)).unwrap_or(0);
    ensure!(
        seasons >= SEASONS_MIN,
        "{first} to {last} are fewer than {SEASONS_MIN} seasons: a baseline of fewer is a guess"
    );
    ensure!(
        ends <= local_day(now),
        "the season of {last} is not over: a baseline is computed once, when all its seasons are in"
    );
    match &asked.what {
        What::Vegetation(vegetation) => vegetation::compute(pool, now, &vegetation.wanted()?).await,
        What::Rain(rain) => rain::compute(pool, now, &rain.dataset, years).await,
    }
}

/// Marks every open risk of cells that have a baseline now: its evidence states it, so its index must
/// count it.
async fn mark(conn: &mut Connection, cells: &[RiskCell]) -> Result<u64, StoreError> {
    let (first, last) = EVER;
    let day = |year| NaiveDate::from_yo_opt(year, 1).unwrap_or_default();
    if cells.is_empty() {
        return Ok(0);
    }
    risks::mark_cells_dirty(conn, cells, day(first), day(last)).await
}
