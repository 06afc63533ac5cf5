//! What every command shows: a table on stdout, progress on stderr, and where asked a file a
//! machine reads and a picture. Never prints a number that has no name beside it.
//! Called by the commands of `batch`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

/// Where the report goes besides stdout.
#[derive(Debug, Clone, Default, Args)]
pub struct Files {
    /// Also write every figure to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Also draw the picture to this file, as SVG.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

impl Files {
    /// Writes what was asked for; draws only when asked.
    pub fn write<T: Serialize>(
        &self,
        report: &T,
        draw: impl FnOnce() -> anyhow::Result<String>,
    ) -> anyhow::Result<()> {
        if let Some(path) = &self.json {
            let mut text = serde_json::to_string_pretty(report)?;
            text.push('\n');
            save(path, &text)?;
        }
        if let Some(path) = &self.svg {
            save(path, &draw()?)?;
        }
        Ok(())
    }
}

fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    progress(&format!("wrote {}", path.display()));
    Ok(())
}

/// One line on stdout.
pub fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}

/// One line on stderr; a closed stderr is no reason to stop.
pub fn progress(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// A table of text: the first column to the left, the others to the right.
#[derive(Debug, Clone, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these heads.
    #[must_use]
    pub fn new(heads: &[&str]) -> Self {
        let mut table = Self::default();
        table.row(heads.iter().map(|head| (*head).to_owned()));
        table
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Prints it.
    pub fn print(&self) -> anyhow::Result<()> {
        for line in self.lines() {
            say(&line)?;
        }
        Ok(())
    }

    /// Its lines, columns two spaces apart.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate();
            let padded = cells.map(|(at, (cell, width))| match at {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

/// Four decimals, or a dash.
#[must_use]
pub fn four(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.4}"))
}

/// Three decimals, or a dash.
#[must_use]
pub fn three(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.3}"))
}

/// A share in percent with two decimals.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up_numbers_on_the_right() {
        let mut table = Table::new(&["view", "EL"]);
        table.row(["plain".to_owned(), four(Some(0.151_904))]);
        table.row(["none".to_owned(), four(None)]);
        assert_eq!(
            table.lines(),
            ["view       EL", "plain  0.1519", "none        -"]
        );
        assert_eq!(percent(0.2813), "28.13 %");
    }

    #[test]
    fn files_are_written_only_when_asked() {
        let json = std::env::temp_dir().join(format!("report-{}.json", std::process::id()));
        let files = Files {
            json: Some(json.clone()),
            svg: None,
        };
        files
            .write(&[1, 2], || anyhow::bail!("no picture was asked for"))
            .unwrap();
        assert_eq!(std::fs::read_to_string(&json).unwrap(), "[\n  1,\n  2\n]\n");
        std::fs::remove_file(json).unwrap();
    }
}
