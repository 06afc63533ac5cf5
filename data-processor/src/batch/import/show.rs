//! What `import` shows: each place with its cell, what was counted, what was written and what to do
//! about rows that differ. Never hides a place that was not used. Called by `import`.

use std::path::Path;

use anyhow::Context as _;
use chrono::NaiveDate;
use serde::Serialize;

use super::given::Day;
use super::rows::Place;
use super::write::Written;
use crate::batch::report::{Table, progress, say};

/// What a file brought.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `rain` or `vegetation`.
    pub kind: &'static str,
    /// Dataset or sensor.
    pub dataset: String,
    /// The file.
    pub file: String,
    /// Its digest.
    pub sha256: String,
    /// Its shape.
    pub format: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What its days are.
    pub day: &'static str,
    /// First local day with a number.
    pub first_day: NaiveDate,
    /// Last.
    pub last_day: NaiveDate,
    /// Rows in it: a cell on a day.
    pub rows: usize,
    /// Places that have a cell.
    pub places: Vec<Place>,
    /// Places of the file that have none.
    pub unused: Vec<String>,
    /// Points that no place of the file has the name of.
    pub points_unused: usize,
    /// What was written; nothing when the file was only looked at.
    pub written: Option<Written>,
    /// Whether the same file was read before.
    pub is_known: bool,
    /// How long it took.
    pub seconds: f64,
}

/// What a day of the file is, in words.
pub(super) const fn day(day: Day, kind: &str) -> &'static str {
    match day {
        _ if kind.len() > "rain".len() => "dates of composites",
        Day::Local => "local days",
        Day::Utc => "UTC days",
        Day::Gauge => "gauge days, written under the day before their reading",
    }
}

impl Report {
    /// Prints it.
    pub(super) fn print(&self) -> anyhow::Result<()> {
        say(&format!(
            "{} of {}: {} as {}, {}, {}, {} to {}",
            self.kind,
            self.dataset,
            self.file,
            self.format,
            self.unit,
            self.day,
            self.first_day,
            self.last_day
        ))?;
        let mut table = Table::new(&["place", "cell", "days", "missing", "refused", "over 250 mm"]);
        for place in &self.places {
            let counts = [place.days, place.missing, place.refused, place.heavy];
            let named = [place.name.clone(), place.cell.to_string()];
            table.row(named.into_iter().chain(counts.map(|n| n.to_string())));
        }
        table.print()?;
        if !self.unused.is_empty() {
            say(&format!(
                "not imported, no point and no ward of that name: {}",
                self.unused.join(", ")
            ))?;
        }
        if self.points_unused > 0 {
            say(&format!(
                "{} points have no column in the file",
                self.points_unused
            ))?;
        }
        match self.written {
            None => say(&format!(
                "{} rows could be imported; nothing was written",
                self.rows
            )),
            Some(written) => self.print_written(&written),
        }
    }

    fn print_written(&self, written: &Written) -> anyhow::Result<()> {
        say(&format!(
            "{} rows: {} new, {} known, {} different; {} batches, {:.1} s; {} open risks will be \
             computed anew",
            self.rows,
            written.new,
            written.same,
            written.different,
            written.batches,
            self.seconds,
            written.risks
        ))?;
        if written.different > 0 {
            say(&format!(
                "{} rows are known and say something else; they stay as they were. A dataset that was \
                 processed anew is another dataset: import it under another name, such as {}.1",
                written.different, self.dataset
            ))?;
        } else if written.new == 0 && self.is_known {
            say("this file was imported before; nothing was to be done")?;
        } else if written.new == 0 {
            say("everything in this file was known; nothing was to be done")?;
        }
        Ok(())
    }

    /// Writes it as JSON where that is asked for.
    pub(super) fn save(&self, path: Option<&Path>) -> anyhow::Result<()> {
        let Some(path) = path else { return Ok(()) };
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        progress(&format!("wrote {}", path.display()));
        Ok(())
    }
}
