//! Our side of the number rows: the inputs every contestant reads, our time over them, and the
//! comparison of what came out. Numbers travel as little-endian doubles, NaN where none is known.
//! Called by xtask, pinned to one core; prints one JSON line.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use data_processor::science::interpolate::near::{Limits, Site, neighbours};
use data_processor::science::interpolate::place::Place;
use data_processor::science::interpolate::weights::{Phase, PhaseRain, Room, StationDays, Weights};
use data_processor::science::{spi, standardise};

/// Cells of both rows.
const CELLS: usize = 10_000;
/// Months of the SPI: 40 years.
const MONTHS: usize = 480;
/// Months added up.
const SCALE: usize = 3;
/// Days and stations of the grid.
const DAYS: usize = 365;
const STATIONS: usize = 400;
/// First day, day after the last, most that counts of a day (mm).
const PHASES: [(usize, usize, f64); 4] = [
    (59, 84, 60.0),
    (84, 114, 60.0),
    (109, 140, 60.0),
    (0, 365, 50.0),
];
/// A window has at least so many passes, and so many seconds.
const PASSES_MIN: usize = 3;
const WINDOW: Duration = Duration::from_secs(1);

/// What to do.
#[derive(Args)]
pub struct Options {
    /// Where inputs are
    #[arg(long)]
    dir: PathBuf,
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Write the inputs of both rows
    Inputs,
    /// SPI-3 of every cell
    Spi {
        /// Where the scores go
        #[arg(long)]
        out: PathBuf,
    },
    /// Rain of every cell and day, summed over the phases
    Grid {
        /// Where the sums go
        #[arg(long)]
        out: PathBuf,
    },
    /// Compare what a peer wrote with ours, as far as the peer's reaches
    Compare {
        /// Ours
        #[arg(long)]
        ours: PathBuf,
        /// The peer's
        #[arg(long)]
        theirs: PathBuf,
    },
}

/// Does it.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let dir = &options.dir;
    let said = match &options.part {
        Part::Inputs => write_inputs(dir)?,
        Part::Spi { out } => time_spi(dir, out)?,
        Part::Grid { out } => time_grid(dir, out)?,
        Part::Compare { ours, theirs } => compare(ours, theirs)?,
    };
    println!("{said}");
    Ok(())
}

/// A generator of numbers in 0 … 1, the same in every run (xorshift).
struct Uniform(u64);

impl Uniform {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Monthly rain, mm: skewed to the right, a season of twelve months, a tenth dry.
fn monthly_rain(draw: &mut Uniform) -> Vec<f64> {
    let mut rain = Vec::with_capacity(CELLS * MONTHS);
    for place in 0..CELLS * MONTHS {
        let season = 1.0 + (place % 12) as f64 / 4.0;
        let mm = season * (draw.next() * draw.next() * 120.0 + draw.next() * 30.0);
        let is_dry = draw.next() < 0.1;
        rain.push(if is_dry {
            0.0
        } else {
            (mm * 100.0).floor() / 100.0
        });
    }
    rain
}

/// Stations, cells and daily rain with a twentieth of the days missing.
struct Field {
    stations: Vec<Site>,
    cells: Vec<Site>,
    rain: Vec<Vec<Option<f64>>>,
}

fn field() -> Field {
    let mut draw = Uniform(42);
    let site = |draw: &mut Uniform| Site {
        place: Place {
            lat: -1.0 + 2.0 * draw.next(),
            lon: 36.0 + 2.0 * draw.next(),
        },
        elevation_m: Some(1_000.0 + 150.0 * draw.next()),
    };
    let stations = (0..STATIONS).map(|_| site(&mut draw)).collect();
    let cells = (0..CELLS).map(|_| site(&mut draw)).collect();
    let mut day = || {
        let (gap, dry, depth) = (draw.next(), draw.next(), draw.next());
        let mm = if dry < 0.6 {
            0.0
        } else {
            -9.0 * (1.0 - depth).ln()
        };
        (gap >= 0.05).then_some(mm)
    };
    let rain = (0..STATIONS)
        .map(|_| (0..DAYS).map(|_| day()).collect())
        .collect();
    Field {
        stations,
        cells,
        rain,
    }
}

fn write_inputs(dir: &Path) -> anyhow::Result<serde_json::Value> {
    fs::create_dir_all(dir)?;
    write(&dir.join("months.f64"), monthly_rain(&mut Uniform(7)))?;
    let field = field();
    let days = field.rain.iter().flatten();
    write(&dir.join("days.f64"), days.map(|mm| mm.unwrap_or(f64::NAN)))?;
    // weights are found beforehand, for both; a place of no station counts for nothing
    let (mut indices, mut weights) = (Vec::new(), Vec::new());
    for cell in &field.cells {
        let near = neighbours(*cell, &field.stations, &Limits::DAILY_RAIN);
        for place in 0..Limits::DAILY_RAIN.stations_max {
            let (index, km) = near.get(place).copied().unwrap_or((0, f64::INFINITY));
            indices.push(index as f64);
            weights.push(1.0 / (km * km));
        }
    }
    write(&dir.join("stations.f64"), indices)?;
    write(&dir.join("weights.f64"), weights)?;
    let phases = PHASES.iter();
    write(
        &dir.join("phases.f64"),
        phases.flat_map(|(first, end, cap)| [*first as f64, *end as f64, *cap]),
    )?;
    Ok(serde_json::json!({
        "cells": CELLS, "months": MONTHS, "scale": SCALE, "days": DAYS, "stations": STATIONS,
        "near": Limits::DAILY_RAIN.stations_max, "least": Limits::DAILY_RAIN.stations_min,
    }))
}

/// Passes over the whole input until the window is full; the middle one counts.
fn timed(mut pass: impl FnMut()) -> serde_json::Value {
    // caches and buffers are warm, as the peers' are
    pass();
    let (mut seconds, began) = (Vec::new(), Instant::now());
    while seconds.len() < PASSES_MIN || began.elapsed() < WINDOW {
        let started = Instant::now();
        pass();
        seconds.push(started.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    serde_json::json!({ "cells": CELLS, "seconds": median, "passes": seconds.len() })
}

fn time_spi(dir: &Path, out: &Path) -> anyhow::Result<serde_json::Value> {
    let rain = read(&dir.join("months.f64"))?;
    ensure!(
        rain.len() == CELLS * MONTHS,
        "months.f64 has another length"
    );
    let rain: Vec<Option<f64>> = rain.into_iter().map(Some).collect();
    let recipe = spi::monthly(SCALE, 0..MONTHS);
    let mut scratch = standardise::Scratch::default();
    let mut scores = vec![None; rain.len()];
    let mut mistake = None;
    let said = timed(|| {
        let rain = black_box(&rain);
        if let Err(found) = standardise::grid(rain, MONTHS, &recipe, &mut scratch, &mut scores) {
            mistake = Some(found);
        }
        black_box(&scores);
    });
    ensure!(mistake.is_none(), "{mistake:?}");
    write(out, scores.iter().map(|score| score.unwrap_or(f64::NAN)))?;
    Ok(said)
}

fn time_grid(dir: &Path, out: &Path) -> anyhow::Result<serde_json::Value> {
    let field = field();
    let written = read(&dir.join("days.f64"))?;
    let same = field.rain.iter().flatten().zip(&written);
    ensure!(
        same.into_iter()
            .all(|(ours, theirs)| ours.unwrap_or(f64::NAN).to_bits() == theirs.to_bits()),
        "days.f64 is of another field"
    );
    let weights = Weights::inverse_distance(&field.cells, &field.stations, &Limits::DAILY_RAIN);
    let phases = PHASES.map(|(first, end, cap)| Phase {
        days: first..end,
        cap_mm: Some(cap),
    });
    let mut room = Room::default();
    let mut sums = vec![PhaseRain::default(); CELLS * PHASES.len()];
    let said = timed(|| {
        let rows = black_box(&field.rain).iter().map(Vec::as_slice);
        let days = StationDays::of(DAYS, rows);
        weights.phase_sums(&days, &phases, &mut room, &mut sums);
        black_box(&sums);
    });
    let sums = sums.iter();
    write(
        out,
        sums.flat_map(|sum| [sum.known_mm, f64::from(sum.missing)]),
    )?;
    Ok(said)
}

/// The largest difference; whatever only one of them knows is an error.
fn compare(ours: &Path, theirs: &Path) -> anyhow::Result<serde_json::Value> {
    let (ours, theirs) = (read(ours)?, read(theirs)?);
    ensure!(
        !theirs.is_empty() && theirs.len() <= ours.len(),
        "{} numbers of the peer against {} of ours",
        theirs.len(),
        ours.len()
    );
    let (mut worst, mut known) = (0.0_f64, 0_usize);
    for (place, (our, their)) in ours.iter().zip(&theirs).enumerate() {
        ensure!(
            our.is_nan() == their.is_nan(),
            "number {place}: ours is {our}, the peer's {their}"
        );
        if !our.is_nan() {
            worst = worst.max((our - their).abs());
            known += 1;
        }
    }
    Ok(serde_json::json!({ "compared": known, "worst": worst }))
}

fn write(file: &Path, numbers: impl IntoIterator<Item = f64>) -> anyhow::Result<()> {
    let bytes: Vec<u8> = numbers.into_iter().flat_map(f64::to_le_bytes).collect();
    fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))
}

fn read(file: &Path) -> anyhow::Result<Vec<f64>> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let (numbers, rest) = bytes.as_chunks::<8>();
    ensure!(rest.is_empty(), "{} is cut off", file.display());
    Ok(numbers.iter().copied().map(f64::from_le_bytes).collect())
}
