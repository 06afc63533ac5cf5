//! `data-processor import`: reads gridded or point series of rain and of vegetation into the
//! database, once. What is known never changes: a file that says something else is told, counted
//! and kept out. A file that is not understood is refused before its first row is written.
//! Called by `main`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use domain::cell::RiskCell;
use domain::season::local_day;
use runtime::clock::Clock;
use runtime::ids::Ids;
use store::Pool;
use store::imports::{self, NewImport};

use crate::batch::database::{Database, name};

mod given;
mod nasa_power;
mod open_meteo;
mod place;
mod rows;
mod show;
mod table;
mod unit;
mod write;

pub use given::{Day, Format};
pub use rows::Place;
pub use show::Report;
pub use unit::Unit;
pub use write::{BATCH_ROWS, Written};

use place::{By, Point, one_a_cell, place};
use rows::{Measured, check_daily, clean, rows};
use write::write;

/// Exit code when rows that are known say something else than the file.
const DIFFERENT: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  CHIRPS of many places, each with a point (name,lat,lon), some of them in one cell:
    data-processor import rain --dataset chirps-v3 --file marsabit_chirps_daily_1981_2019.csv.gz \\
        --points marsabit_sublocation_points.csv --mean-in-cell
  The same, places being wards of a county:
    data-processor import rain --dataset chirps-v3 --file marsabit.csv.gz --county Marsabit
  ERA5-Land of a point, as Open-Meteo's archive answers (JSON or CSV, daily or hourly):
    data-processor import rain --dataset era5-land --file karare.json
  NASA POWER of a point, put into a cell that is named:
    data-processor import rain --dataset nasa-power --file power.json --cell 877a5c541ffffff
  A gauge that is read at nine in the morning; look first, write nothing:
    data-processor import rain --dataset kmd-gauges --file gauges.csv --points gauges_points.csv \\
        --day gauge --dry-run
  MODIS NDVI, a line a composite:
    data-processor import vegetation --sensor modis-terra --file marsabit_modis_ndvi_8day.csv \\
        --points marsabit_sublocation_points.csv

Shapes: `date,PLACE,PLACE,...` and `date,place,value` (a place may be an H3 cell of resolution 7),
Open-Meteo, NASA POWER; plain or .gz. Blank, NaN, -9999, -999, 999, 65535 and negative rain are
missing, never zero. More than 250 mm a day is counted and kept.

A row never changes: it may have settled something. A file that says something else of a day that is
known is counted and its other rows are kept. If its data were processed anew, they are another
dataset and get another name, such as chirps-v3.1. Open risks that new days touch are computed anew.

Exit codes: 0 everything is in, also when it was before; 1 refused or failed, and nothing is half
written (the message says how many batches are in; the same command goes on from there); 2 rows that
are known say something else (also a wrong command line).";

/// Reads series of rain or of vegetation into the database; what is known never changes.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = EXAMPLES, after_help = "More with --help: examples, shapes, exit codes.")]
pub struct Import {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// Daily rain.
    #[command(after_long_help = EXAMPLES)]
    Rain(Rain),
    /// NDVI by date.
    #[command(after_long_help = EXAMPLES)]
    Vegetation(Vegetation),
}

#[derive(Debug, Clone, Args)]
struct Rain {
    /// Name of the dataset with its version: chirps-v3, era5-land, nasa-power.
    #[arg(long, value_parser = name)]
    dataset: String,
    /// Unit of a file that declares none; by default mm.
    #[arg(long, value_enum)]
    unit: Option<Unit>,
    /// What a day of the file is, where it does not say so itself; by default utc. Hours are summed
    /// to it.
    #[arg(long, value_enum)]
    day: Option<Day>,
    #[command(flatten)]
    from: Source,
}

#[derive(Debug, Clone, Args)]
struct Vegetation {
    /// Name of the sensor: modis-terra, sentinel-2.
    #[arg(long, value_parser = name)]
    sensor: String,
    /// What values are multiplied by: 0.0001 for the integers of MODIS.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    #[command(flatten)]
    from: Source,
}

/// Which file, where its places are, where it goes.
#[derive(Debug, Clone, Args)]
struct Source {
    /// The file, plain or .gz.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Its shape.
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    format: Format,
    /// Points of its places: CSV with a name, `lat` and `lon`.
    #[arg(long, value_name = "FILE")]
    points: Option<PathBuf>,
    /// Places are wards of this county, by name, at the cells that stand for them.
    #[arg(long)]
    county: Option<String>,
    /// Cell of the one place of the file, H3 of resolution 7.
    #[arg(long, value_name = "HEX", conflicts_with_all = ["lat", "lon"])]
    cell: Option<RiskCell>,
    /// Latitude of the one place of the file, degrees.
    #[arg(long, allow_negative_numbers = true, requires = "lon")]
    lat: Option<f64>,
    /// Longitude of the one place of the file, degrees.
    #[arg(long, allow_negative_numbers = true, requires = "lat")]
    lon: Option<f64>,
    /// Average places that lie in one cell, on the days that all of them know.
    #[arg(long)]
    mean_in_cell: bool,
    /// Read and check everything, write nothing; needs no database.
    #[arg(long)]
    dry_run: bool,
    /// Also write the report to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    database: Database,
}

impl Import {
    fn from(&self) -> &Source {
        match &self.what {
            What::Rain(rain) => &rain.from,
            What::Vegetation(vegetation) => &vegetation.from,
        }
    }
}

/// Runs the command with the database and the time of its own settings.
pub async fn run(asked: &Import) -> anyhow::Result<ExitCode> {
    let from = asked.from();
    let clock = from.database.clock()?;
    let pool = if from.dry_run {
        None
    } else {
        Some(from.database.connect().await?)
    };
    let report = import(asked, pool.as_ref(), &clock, &Ids::system()).await?;
    report.print()?;
    report.save(from.json.as_deref())?;
    let is_different = report.written.is_some_and(|written| written.different > 0);
    Ok(if is_different {
        ExitCode::from(DIFFERENT)
    } else {
        ExitCode::SUCCESS
    })
}

/// Reads the file and records it; without a pool it is only read and checked.
pub async fn import(
    asked: &Import,
    pool: Option<&Pool>,
    clock: &Clock,
    ids: &Ids,
) -> anyhow::Result<Report> {
    let (from, started) = (asked.from(), Instant::now());
    let content = given::content(&from.file)?;
    let (sha256, now) = (content.sha256, clock.now());
    let (kind, dataset, day) = match &asked.what {
        What::Rain(rain) => ("rain", &rain.dataset, rain.day),
        // a composite's date is a date: nothing is moved
        What::Vegetation(one) => ("vegetation", &one.sensor, Some(Day::Local)),
    };
    let given = given::read(&from.file, content.bytes, from.format, day)?;
    let day = given::agreed(given.day, day)?;
    let (measured, unit) = match &asked.what {
        What::Rain(rain) => {
            let unit = unit::agreed(given.unit, rain.unit)?;
            (Measured::Rain(unit), unit.as_str())
        }
        What::Vegetation(one) => {
            let is_modis = one.sensor.starts_with("modis");
            let scale = one.scale;
            (Measured::Ndvi { scale, is_modis }, "NDVI")
        }
    };
    let point = from.lat.zip(from.lon).map(|(lat, lon)| Point { lat, lon });
    let by = By::read(
        from.cell,
        point,
        from.points.as_deref(),
        from.county.as_deref(),
    )?;
    let mut placed = place(given.series, &by)?;
    let mut refused: BTreeMap<RiskCell, usize> = BTreeMap::new();
    for (cell, series) in &mut placed.used {
        if kind == "rain" {
            check_daily(series)?;
        }
        let count = clean(series, measured, day, local_day(now))?;
        let all = refused.entry(*cell).or_default();
        *all = all.saturating_add(count);
    }
    if let What::Rain(rain) = &asked.what
        && given.unit.is_none()
        && rain.unit.is_none()
    {
        unit::check_year(
            placed
                .used
                .iter()
                .map(|(_, series)| series.values.as_slice()),
        )?;
    }
    let cells = one_a_cell(placed.used, from.mean_in_cell)?;
    let (rows, places) = rows(&cells, &refused, measured, &format!("sha256:{sha256}"))?;
    drop(cells);
    let (first_day, last_day) = rows.span().context("the file has no value")?;
    let mut report = Report {
        kind,
        dataset: dataset.clone(),
        file: from.file.display().to_string(),
        sha256,
        format: given.format.as_str(),
        unit,
        day: show::day(day, kind),
        first_day,
        last_day,
        rows: rows.len(),
        places,
        unused: placed.unused,
        points_unused: placed.points_unused,
        written: None,
        is_known: false,
        seconds: 0.0,
    };
    if let Some(pool) = pool {
        let written = write(pool, now, dataset, &rows).await?;
        let file_name = from.file.file_name().unwrap_or_default().to_string_lossy();
        let done = NewImport {
            id: ids.uuid(now),
            kind,
            dataset,
            file_name: &file_name,
            sha256: &report.sha256,
            rows_new: written.new,
            first_day,
            last_day,
        };
        let mut tx = pool.begin().await.map_err(store::StoreError::from)?;
        report.is_known = !imports::record(&mut tx, now, &done).await?;
        tx.commit().await.map_err(store::StoreError::from)?;
        report.written = Some(written);
    }
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}
