//! `data-processor validate`: every published vector and real series against the number work, a row
//! a family with the largest deviation and its tolerance. A file that is missing is a failed family.
//! Reads only below the folder it is given, never writes. Called by `main`.

pub mod climate;
pub mod observations;
pub mod pricing;
pub mod rain;
pub mod series;
pub mod vectors;
pub mod vegetation;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

/// What one family of vectors showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Name of the family, unique: `spi gamma, one month (climate-indices)`.
    pub family: String,
    /// Values compared.
    pub compared: usize,
    /// Largest deviation, in the unit of the values; of a family of yes and no, the number of misses.
    pub deviation: f64,
    /// Largest deviation allowed; 0 where only equality passes.
    pub tolerance: f64,
    /// What a reader should know: rows excluded and why, the figure found.
    pub note: String,
}

impl Row {
    /// Whether the family agrees. A comparison of nothing does not.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.compared > 0 && self.deviation <= self.tolerance
    }
}

/// Rows of one file of families; an error is a family that could not be read.
pub type Outcome = anyhow::Result<Vec<Row>>;

/// A reader of families: the folder that holds `fixtures/` and `kenya/`.
pub type Families = fn(&Path) -> Outcome;

/// What to compare with.
#[derive(Debug, clap::Args)]
pub struct Validate {
    /// The folder that holds `fixtures/` and `kenya/`.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Only families whose name contains this.
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// Also write every row as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// The readers, and what to call what one of them could not read.
const FAMILIES: [(&str, Families); 5] = [
    ("climate indices", climate::rows),
    ("observations", observations::rows),
    ("rain indices", rain::rows),
    ("vegetation", vegetation::rows),
    ("pricing", pricing::rows),
];

/// Compares every family and prints a row each. Exit 1 when one fails.
///
/// # Errors
/// When nothing could be printed or the JSON file cannot be written.
pub fn run(asked: &Validate) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let mut rows: Vec<Row> = Vec::new();
    for (name, families) in FAMILIES {
        let found = families(&asked.data).unwrap_or_else(|error| vec![unread(name, &error)]);
        let wanted = |row: &Row| {
            let only = asked.only.as_deref();
            only.is_none_or(|text| row.family.contains(text))
        };
        for row in found.into_iter().filter(wanted) {
            writeln!(out, "{}", line(&row))?;
            rows.push(row);
        }
    }
    let failed = rows.iter().filter(|row| !row.holds()).count();
    if let Some(file) = &asked.json {
        let rows: Vec<_> = rows.iter().map(as_json).collect();
        let text = serde_json::to_string_pretty(&json!({ "families": rows, "failed": failed }))?;
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    writeln!(out, "validate: {} families, {failed} failed", rows.len())?;
    Ok(if failed == 0 && !rows.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The row of families that could not be read at all.
fn unread(name: &str, error: &anyhow::Error) -> Row {
    Row {
        family: name.to_owned(),
        compared: 0,
        deviation: f64::INFINITY,
        tolerance: 0.0,
        note: format!("{error:#}"),
    }
}

fn line(row: &Row) -> String {
    let verdict = if row.holds() { "ok    " } else { "FAILED" };
    let head = format!("{verdict} {:<58} {:>7}", row.family, row.compared);
    let figures = format!("{:>10.3e} <= {:.3e}", row.deviation, row.tolerance);
    let note = row.note.trim();
    let gap = if note.is_empty() { "" } else { "  " };
    format!("{head}  {figures}{gap}{note}")
}

fn as_json(row: &Row) -> serde_json::Value {
    json!({
        "family": row.family,
        "compared": row.compared,
        // JSON has no infinity: a family without a figure has none
        "deviation": row.deviation.is_finite().then_some(row.deviation),
        "tolerance": row.tolerance,
        "holds": row.holds(),
        "note": row.note,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(compared: usize, deviation: f64) -> Row {
        Row {
            family: "a family".to_owned(),
            compared,
            deviation,
            tolerance: 0.5,
            note: String::new(),
        }
    }

    #[test]
    fn a_family_fails_by_a_miss_by_nothing_to_compare_and_by_no_number() {
        assert!(row(1, 0.5).holds());
        for failing in [row(1, 0.6), row(0, 0.0), row(1, f64::NAN)] {
            assert!(!failing.holds() && line(&failing).starts_with("FAILED"));
        }
    }

    #[test]
    fn a_folder_without_files_fails_every_group() {
        let nowhere = Path::new("/nonexistent");
        for (name, families) in FAMILIES {
            let rows = families(nowhere).unwrap_or_else(|error| vec![unread(name, &error)]);
            assert!(rows.iter().any(|row| !row.holds()), "{name}");
        }
    }
}
