//! The number rows: SPI and the grid of rain, ours against Python packages, one after another on the
//! same core. Every result is compared number by number; a wrong one has no speed. Never needs a server.
//! Called by the bench.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::Ground;
use super::measure::{Figure, RATE, Series, Window};
use super::rows::Comparison;
use super::table::{Goal, Outcome};
use crate::context::Context;
use crate::process::{dies_with_us, which};

/// The scripts, and what they need.
const SCRIPTS: [&str; 4] = ["peer.py", "spi.py", "grid.py", "requirements.txt"];
/// Cells that are asked for one by one: the time of a cell is the same for the next ten thousand.
const CELLS_ONE_BY_ONE: &str = "500";
/// Cells a second.
const CELLS: Figure = RATE;

/// The peers' interpreter.
pub(super) struct Python {
    /// `bin/python` of the virtual environment.
    program: PathBuf,
    /// Where the scripts are.
    scripts: PathBuf,
    /// Version of it and of the packages that matter.
    pub(super) words: String,
}

/// The peers' packages in `target/bench/python`, pinned; or why there are none, which the page says.
pub(super) fn install(context: &Context, home: &Path) -> anyhow::Result<Result<Python, String>> {
    let (from, dir) = (context.root.join("bench/peer/science"), home.join("python"));
    let program = dir.join("bin/python");
    let pinned = fs::read_to_string(from.join("requirements.txt"))?;
    let done = dir.join("installed.txt");
    if fs::read_to_string(&done).is_ok_and(|known| known == pinned) && program.is_file() {
        context.say("peer", "target/bench/python has its packages");
    } else {
        if which("python3").is_none() {
            return Ok(Err("python3 is not installed".to_owned()));
        }
        context.say("peer", "pip install into target/bench/python");
        let mut venv = dies_with_us("python3");
        venv.args(["-m", "venv", "--clear"]).arg(&dir);
        if !context.run(&mut venv)?.success() {
            return Ok(Err("python3 has no module venv".to_owned()));
        }
        let mut pip = dies_with_us(&program);
        pip.args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:"])
            .arg("--requirement")
            .arg(from.join("requirements.txt"));
        if !context.run(&mut pip)?.success() {
            return Ok(Err(
                "the packages of bench/peer/science/requirements.txt cannot be installed"
                    .to_owned(),
            ));
        }
        fs::write(&done, &pinned)?;
    }
    for file in SCRIPTS {
        fs::copy(from.join(file), dir.join(file))
            .with_context(|| format!("cannot copy bench/peer/science/{file}"))?;
    }
    let version = Command::new(&program).arg("--version").output()?;
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    let named = ["numpy", "scipy", "climate_indices"];
    let packages = pinned.lines().filter_map(|line| line.split_once("=="));
    let packages: Vec<String> = packages
        .filter(|(name, _)| named.contains(name))
        .map(|(name, version)| format!("{} {version}", name.replace('_', "-")))
        .collect();
    Ok(Ok(Python {
        program,
        scripts: dir,
        words: format!("{version}; {}", packages.join(", ")),
    }))
}

/// A way of a peer, and what is hoped for against it.
struct Form {
    /// The script's argument.
    way: &'static str,
    /// In the table.
    name: &'static str,
    /// Only so many cells.
    cells: Option<&'static str>,
    /// Largest difference to ours.
    tolerance: f64,
    goal: Option<Goal>,
}

/// What a contestant printed.
#[derive(Deserialize)]
struct Timing {
    cells: f64,
    seconds: f64,
}

#[derive(Deserialize)]
struct Compared {
    compared: u64,
    worst: f64,
}

/// SPI-3 of 10,000 cells over 40 years.
pub(super) fn spi(ground: &Ground, outcome: &mut Outcome) -> anyhow::Result<()> {
    let forms = [
        Form {
            way: "call-a-cell",
            name: "climate-indices, a call a cell",
            cells: Some(CELLS_ONE_BY_ONE),
            tolerance: 1e-6,
            goal: Some(Goal::AtLeast(20.0)),
        },
        Form {
            way: "one-array",
            name: "climate-indices, one array of all cells",
            cells: None,
            tolerance: 1e-6,
            goal: Some(Goal::AtLeast(20.0)),
        },
        Form {
            way: "numpy",
            name: "vectorised NumPy and SciPy",
            cells: None,
            tolerance: 1e-6,
            goal: Some(Goal::AtLeast(2.0)),
        },
    ];
    row(
        ground,
        outcome,
        "spi",
        "SPI-3, 10,000 cells × 40 years",
        &forms,
    )
}

/// Daily rain of 10,000 cells from 400 stations over a year, summed over four phases.
pub(super) fn grid(ground: &Ground, outcome: &mut Outcome) -> anyhow::Result<()> {
    let forms = [
        Form {
            way: "numpy",
            name: "vectorised NumPy",
            cells: None,
            tolerance: 1e-9,
            goal: Some(Goal::AtLeast(2.0)),
        },
        Form {
            way: "sparse",
            name: "SciPy's sparse matrices",
            cells: None,
            tolerance: 1e-9,
            goal: Some(Goal::AtLeast(2.0)),
        },
    ];
    let what = "Rain of 10,000 cells × 365 days, four phases";
    row(ground, outcome, "grid", what, &forms)
}

fn row(
    ground: &Ground,
    outcome: &mut Outcome,
    part: &'static str,
    what: &str,
    forms: &[Form],
) -> anyhow::Result<()> {
    let dir = ground.home.join("science");
    let inputs = dir.display().to_string();
    let ours = dir.join(format!("{part}-ours.f64"));
    run(ground, &ours_of(ground, &["--dir", &inputs, "inputs"]))?;
    let python = match &ground.python {
        Ok(python) => Some(python),
        Err(why) => {
            let note = format!("{what}, Python peers: not measured: {why}.");
            ground.say(part, &note);
            outcome.notes.push(note);
            None
        }
    };
    let forms: &[Form] = if python.is_some() { forms } else { &[] };
    let mut series = vec![Series::default(); forms.len() + 1];
    let mut worst = vec![0.0_f64; forms.len()];
    let mut counts = vec![0_u64; forms.len()];
    for round in 0..ground.effort.rounds {
        let mut said = Vec::new();
        for turn in 0..series.len() {
            let at = (turn + round) % series.len();
            let form = at.checked_sub(1).and_then(|at| forms.get(at));
            let (name, command) = if let (Some(form), Some(python)) = (form, python) {
                let out = out_of(&dir, part, form).display().to_string();
                let asked = ["--dir", &inputs, "--form", form.way, "--out", &out];
                (form.name, theirs_of(python, part, &asked, form.cells))
            } else {
                let out = ours.display().to_string();
                let asked = ["--dir", &inputs, part, "--out", &out];
                ("ours", ours_of(ground, &asked))
            };
            let timing: Timing = serde_json::from_str(&run(ground, &command)?)
                .with_context(|| format!("{name} said something else"))?;
            said.push(format!("{name} {:.4} s", timing.seconds));
            if let Some(series) = series.get_mut(at) {
                series.0.push(Window::of_pass(timing.cells, timing.seconds));
            }
        }
        for (at, form) in forms.iter().enumerate() {
            let theirs = out_of(&dir, part, form).display().to_string();
            let ours = ours.display().to_string();
            let asked = ["--dir", &inputs, "compare", "--ours", &ours];
            let argv = ours_of(ground, &[&asked[..], &["--theirs", &theirs]].concat());
            let found: Compared = serde_json::from_str(&run(ground, &argv)?)?;
            ensure!(
                found.compared > 0 && found.worst <= form.tolerance,
                "{what}: {} differs from ours by {:e}, tolerance {:e}",
                form.name,
                found.worst,
                form.tolerance
            );
            if let (Some(worst), Some(count)) = (worst.get_mut(at), counts.get_mut(at)) {
                (*worst, *count) = (worst.max(found.worst), found.compared);
            }
        }
        let of = ground.effort.rounds;
        ground.say(
            part,
            format!("round {} of {of}: {}", round + 1, said.join(", ")),
        );
    }
    let (ours, peers) = series.split_first().context("we did not take part")?;
    if peers.is_empty() {
        let alone = Comparison {
            ours,
            floor: None,
            peer: None,
        };
        let line = alone.line(what, "cells a second", CELLS, (None, None));
        outcome.lines.push(line);
    }
    for (at, (form, peer)) in forms.iter().zip(peers).enumerate() {
        let compared = Comparison {
            ours,
            floor: None,
            peer: Some(peer),
        };
        let named = format!("{what} (peer: {})", form.name);
        let line = compared.line(&named, "cells a second", CELLS, (None, form.goal));
        outcome.lines.push(line);
        let (worst, count) = (worst.get(at).copied(), counts.get(at).copied());
        outcome.notes.push(format!(
            "{what}, {}: {} numbers compared with ours each round, at most {:.1e} apart{}.",
            form.name,
            count.unwrap_or_default(),
            worst.unwrap_or_default(),
            form.cells
                .map_or_else(String::new, |cells| format!("; timed on {cells} cells")),
        ));
    }
    Ok(())
}

fn out_of(dir: &Path, part: &str, form: &Form) -> PathBuf {
    dir.join(format!("{part}-{}.f64", form.way))
}

fn theirs_of(python: &Python, part: &str, asked: &[&str], cells: Option<&str>) -> Vec<String> {
    let script = python.scripts.join(format!("{part}.py"));
    let mut argv = vec![
        python.program.display().to_string(),
        script.display().to_string(),
    ];
    let some = cells.iter().flat_map(|cells| ["--cells", *cells]);
    argv.extend(asked.iter().copied().chain(some).map(str::to_owned));
    argv
}

fn ours_of(ground: &Ground, asked: &[&str]) -> Vec<String> {
    let program = ground.bin_dir.join("bench").display().to_string();
    let mut argv = vec![program, "science".to_owned()];
    argv.extend(asked.iter().map(|word| (*word).to_owned()));
    argv
}

/// Runs a contestant on the contestants' core, all by itself; returns its line.
fn run(ground: &Ground, argv: &[String]) -> anyhow::Result<String> {
    let (program, asked) = argv.split_first().context("no program")?;
    let mut command = match ground.pinning.contestant {
        Some(core) => {
            let mut command = dies_with_us("taskset");
            command.args(["-c", &core.to_string(), program]);
            command
        }
        None => dies_with_us(program),
    };
    let child = command
        .args(asked)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {program}"))?;
    super::contestant::one_line(ground, child).with_context(|| argv.join(" "))
}
