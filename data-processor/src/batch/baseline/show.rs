//! What `baseline` shows: a line a cell, what was kept and what was refused, and the picture of one
//! cell. Never computes a number that is kept. Called by `baseline`.

use anyhow::Context as _;
use domain::cell::RiskCell;
use serde::Serialize;

use crate::batch::as_if::float;
use crate::batch::chart::{Profile, profile};
use crate::batch::report::{Table, say};
use crate::science::count;

/// What became of a cell's baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was recorded.
    New,
    /// It was there and is the same.
    Known,
    /// One that differs was there, and stays.
    Different,
    /// Too few seasons.
    Refused,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Known => "known",
            Self::Different => "DIFFERENT",
            Self::Refused => "refused",
        }
    }
}

/// The baseline of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Sensor or dataset.
    pub source: String,
    /// Cell.
    pub cell: RiskCell,
    /// What became of it.
    pub state: State,
    /// Why it was refused.
    pub reason: Option<String>,
    /// NDVI of each year's season in 1e-6; of rain there are none.
    pub seasons: Vec<Option<i64>>,
    /// NDVI of each dekad of the season in 1e-6, or rain of each dekad of the year in micrometres.
    pub dekads: Vec<Option<i64>>,
}

/// All of them.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `vegetation` or `rain`.
    pub kind: &'static str,
    /// Sensors, or the dataset.
    pub of: String,
    /// Days of the season; of rain the whole year.
    pub days: Option<String>,
    /// First year.
    pub first: i32,
    /// Last year.
    pub last: i32,
    /// Cells, rising, by sensor.
    pub cells: Vec<Cell>,
    /// Open risks whose index will be computed anew.
    pub risks: u64,
}

impl Report {
    pub(super) fn new(kind: &'static str, of: &str, first: i32, last: i32) -> Self {
        Self {
            kind,
            of: of.to_owned(),
            days: None,
            first,
            last,
            cells: Vec::new(),
            risks: 0,
        }
    }

    /// How many cells became that.
    #[must_use]
    pub fn count(&self, state: State) -> usize {
        self.cells.iter().filter(|cell| cell.state == state).count()
    }

    fn is_vegetation(&self) -> bool {
        self.days.is_some()
    }

    /// Units in what is stored, and their name.
    fn unit(&self) -> (f64, &'static str) {
        if self.is_vegetation() {
            (1e6, "NDVI")
        } else {
            (1e3, "mm")
        }
    }

    /// Prints it.
    pub(super) fn print(&self) -> anyhow::Result<()> {
        let days = self.days.as_deref().unwrap_or("the year's dekads");
        say(&format!(
            "baseline of {}, {}: {days}, {} to {}",
            self.kind, self.of, self.first, self.last
        ))?;
        let (scale, unit) = self.unit();
        let seasons = if self.is_vegetation() {
            "seasons"
        } else {
            "dekads"
        };
        let sum = if self.is_vegetation() { "mean" } else { "year" };
        let heads = [sum, "least", "most"].map(|head| format!("{head}, {unit}"));
        let [sum, least, most] = heads.each_ref().map(String::as_str);
        let mut table = Table::new(&["source", "cell", seasons, sum, least, most, "kept"]);
        for cell in &self.cells {
            let values = if self.is_vegetation() {
                &cell.seasons
            } else {
                &cell.dekads
            };
            let known: Vec<f64> = values.iter().flatten().map(|v| float(*v) / scale).collect();
            let total = known.iter().fold(0.0, |sum, value| sum + value);
            let middle = if self.is_vegetation() {
                total / count(known.len().max(1))
            } else {
                total
            };
            let (low, high) = known.iter().fold((f64::MAX, f64::MIN), |(low, high), v| {
                (low.min(*v), high.max(*v))
            });
            let number = |value: f64| match known.is_empty() {
                true => "-".to_owned(),
                false if self.is_vegetation() => format!("{value:.4}"),
                false => format!("{value:.1}"),
            };
            table.row([
                cell.source.clone(),
                cell.cell.to_string(),
                format!("{}/{}", known.len(), values.len()),
                number(middle),
                number(low),
                number(high),
                cell.state.as_str().to_owned(),
            ]);
        }
        table.print()?;
        for cell in &self.cells {
            if let Some(reason) = &cell.reason {
                say(&format!("{} {}: refused: {reason}", cell.source, cell.cell))?;
            }
        }
        let [new, known, different, refused] =
            [State::New, State::Known, State::Different, State::Refused].map(|s| self.count(s));
        say(&format!(
            "{new} new, {known} known, {different} different, {refused} refused; {} open risks will \
             be computed anew",
            self.risks
        ))?;
        if different > 0 {
            say(
                "a known baseline stays as it is, because something may have settled on it; for other \
                 data import them under another name",
            )?;
        }
        Ok(())
    }

    /// Draws a cell, by default the first.
    pub(super) fn draw(&self, asked: Option<RiskCell>) -> anyhow::Result<String> {
        let cell = match asked {
            None => self.cells.first().context("no cell to draw")?,
            Some(asked) => {
                let mut cells = self.cells.iter();
                let found = cells.find(|cell| cell.cell == asked);
                found
                    .with_context(|| format!("cell {asked} has no {} of {}", self.kind, self.of))?
            }
        };
        let (scale, unit) = self.unit();
        let shown = |values: &[Option<i64>]| -> Vec<Option<f64>> {
            values.iter().map(|v| v.map(|v| float(v) / scale)).collect()
        };
        let (seasons, dekads) = (shown(&cell.seasons), shown(&cell.dekads));
        let days = self.days.as_deref().unwrap_or("dekads of the year");
        profile(&Profile {
            title: &format!("{}, cell {}, {days}", cell.source, cell.cell),
            unit,
            first_year: self.first,
            seasons: &seasons,
            dekads: &dekads,
        })
    }
}
