//! Reads the real series that the families and the pricing commands are checked on: a date and a
//! column a place (daily rain, 8-day composites), and tables of a place and a column a season.
//! What is not a number stays missing, never zero; an unreadable file is an error, not an empty
//! table. Called by the families of `validate` and by the commands that price and back-test.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use chrono::{NaiveDate, TimeDelta};
use csv::{Reader, StringRecord};
use flate2::read::GzDecoder;

/// Values below this stand for "missing" in every file met so far (-9999, and averages with a
/// -9999 leaked into them, such as -833.14); no rain, temperature, index or score is near it.
const SENTINEL_BELOW: f64 = -100.0;
/// Other codes for "missing": `999`, `9999` and the unsigned 16-bit fill value.
const SENTINELS: [f64; 3] = [999.0, 9_999.0, 65_535.0];
/// Longest run of days [`daily`] fills as missing between two lines; more is a broken file.
const GAP_DAYS_MAX: i64 = 3_660;

/// A date a line, a place a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Dates, rising.
    pub days: Vec<NaiveDate>,
    /// Names of the places, as the file writes them.
    pub names: Vec<String>,
    /// One column a place, as long as `days`; `None` is missing.
    pub columns: Vec<Vec<Option<f64>>>,
}

impl Table {
    /// The column of a place, by its name as the file writes it.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&[Option<f64>]> {
        let at = self.names.iter().position(|known| known == name)?;
        self.columns.get(at).map(Vec::as_slice)
    }

    /// The part of a column from `first` to `last`, both included. Of a [`daily`] table it is a
    /// value a day if the table reaches over the window: ask [`Table::covers`].
    #[must_use]
    pub fn within<'a>(
        &self,
        column: &'a [Option<f64>],
        first: NaiveDate,
        last: NaiveDate,
    ) -> &'a [Option<f64>] {
        let from = self.days.partition_point(|day| *day < first);
        let until = self.days.partition_point(|day| *day <= last);
        column.get(from..until).unwrap_or_default()
    }

    /// Whether the table reaches from `first` to `last`, both included.
    #[must_use]
    pub fn covers(&self, first: NaiveDate, last: NaiveDate) -> bool {
        self.days.first().is_some_and(|day| *day <= first)
            && self.days.last().is_some_and(|day| *day >= last)
    }
}

/// A place a line, a season a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Seasons {
    /// Names of the places.
    pub names: Vec<String>,
    /// Heads of the other columns: `LRLD2000`.
    pub seasons: Vec<String>,
    /// One row a place, as long as `seasons`.
    pub rows: Vec<Vec<Option<f64>>>,
}

/// A daily file, plain or `.gz`: `date,NAME,NAME,...`, dates `YYYY-MM-DD`, rising. A day that the
/// file leaves out is put in as missing in every column, so that a window is a value a day.
pub fn daily(path: &Path) -> anyhow::Result<Table> {
    let read = dated(path)?;
    let mut table = Table {
        days: Vec::with_capacity(read.days.len()),
        columns: vec![Vec::with_capacity(read.days.len()); read.names.len()],
        names: read.names,
    };
    for (at, day) in read.days.into_iter().enumerate() {
        while let Some(next) = table.days.last().and_then(NaiveDate::succ_opt) {
            if next >= day {
                break;
            }
            let gap = day.signed_duration_since(next);
            ensure!(
                gap <= TimeDelta::days(GAP_DAYS_MAX),
                "{}: no line between {next} and {day}: not a daily file",
                path.display()
            );
            table.days.push(next);
            for column in &mut table.columns {
                column.push(None);
            }
        }
        table.days.push(day);
        for (column, from) in table.columns.iter_mut().zip(&read.columns) {
            column.push(from.get(at).copied().flatten());
        }
    }
    Ok(table)
}

/// A file with a date a line, plain or `.gz`, with the dates it has: 8-day or 16-day composites.
pub fn dated(path: &Path) -> anyhow::Result<Table> {
    dated_from(open(path)?, path)
}

/// The same from the content of a file; `path` is for what is said of it.
///
/// # Errors
/// Names the line, and the column where a value does not read.
pub fn parse_dated(content: Vec<u8>, path: &Path) -> anyhow::Result<Table> {
    let content: Box<dyn Read> = Box::new(Cursor::new(content));
    dated_from(Reader::from_reader(content), path)
}

fn dated_from(mut reader: Reader<Box<dyn Read>>, path: &Path) -> anyhow::Result<Table> {
    let names = heads(&mut reader, path)?;
    let mut days: Vec<NaiveDate> = Vec::new();
    let mut columns: Vec<Vec<Option<f64>>> = vec![Vec::new(); names.len()];
    for record in reader.records() {
        let record = record.with_context(|| path.display().to_string())?;
        let (text, line) = (record.get(0).unwrap_or_default(), line(&record));
        let day: NaiveDate = text.parse().with_context(|| {
            let path = path.display();
            format!("{path}:{line}: `{text}` is not a date; write 1984-03-01")
        })?;
        if let Some(before) = days.last().filter(|before| **before >= day) {
            bail!(
                "{}:{line}: {day} is not after {before}, the line before it: sort the file, and give \
                 each date one line",
                path.display()
            );
        }
        days.push(day);
        for (column, value) in columns.iter_mut().zip(values(&record, &names, path)?) {
            column.push(value);
        }
    }
    ensure!(!days.is_empty(), "{}: no line of values", path.display());
    Ok(Table {
        days,
        names,
        columns,
    })
}

/// A file with a place a line and a season a column, plain or `.gz`: published z-scores.
pub fn seasons(path: &Path) -> anyhow::Result<Seasons> {
    let mut reader = open(path)?;
    let seasons = heads(&mut reader, path)?;
    let mut table = Seasons {
        names: Vec::new(),
        seasons,
        rows: Vec::new(),
    };
    for record in reader.records() {
        let record = record.with_context(|| path.display().to_string())?;
        table
            .names
            .push(record.get(0).unwrap_or_default().to_owned());
        table.rows.push(values(&record, &table.seasons, path)?);
    }
    ensure!(
        !table.rows.is_empty(),
        "{}: no line of values",
        path.display()
    );
    Ok(table)
}

/// One field: `None` for blank, `NaN`, `NA`, infinities and the sentinels of missing values.
///
/// # Errors
/// Text that is none of these and no number.
pub fn reading(text: &str) -> anyhow::Result<Option<f64>> {
    let text = text.trim();
    if text.is_empty() || ["na", "nan", "null", "-"].contains(&text.to_ascii_lowercase().as_str()) {
        return Ok(None);
    }
    let value: f64 = text
        .parse()
        .map_err(|_| anyhow!("`{text}` is not a number"))?;
    Ok(known(value))
}

/// A number as files give it: `None` for NaN, infinities and the sentinels of missing values.
#[must_use]
pub fn known(value: f64) -> Option<f64> {
    let is_missing = !value.is_finite()
        || value < SENTINEL_BELOW
        || SENTINELS.iter().any(|code| code.total_cmp(&value).is_eq());
    (!is_missing).then_some(value)
}

fn open(path: &Path) -> anyhow::Result<Reader<Box<dyn Read>>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let file = BufReader::new(file);
    let bytes: Box<dyn Read> = if path.extension().is_some_and(|ending| ending == "gz") {
        Box::new(GzDecoder::new(file))
    } else {
        Box::new(file)
    };
    Ok(Reader::from_reader(bytes))
}

/// Heads of all columns but the first.
fn heads(reader: &mut Reader<Box<dyn Read>>, path: &Path) -> anyhow::Result<Vec<String>> {
    let heads = reader
        .headers()
        .with_context(|| path.display().to_string())?;
    Ok(heads.iter().skip(1).map(str::to_owned).collect())
}

/// All fields of a line but the first.
fn values(
    record: &StringRecord,
    names: &[String],
    path: &Path,
) -> anyhow::Result<Vec<Option<f64>>> {
    let fields = record.iter().skip(1).zip(names);
    fields
        .map(|(field, name)| {
            let at = || format!("{}:{}, column {name}", path.display(), line(record));
            reading(field).with_context(at)
        })
        .collect()
}

/// The line a record begins on.
fn line(record: &StringRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn file(name: &str, text: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("series-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn sentinels_blanks_and_nonsense_numbers_are_missing_never_zero() {
        for text in [
            "", " ", "NaN", "nan", "NA", "-9999", "-9999.0", "-833.14", "999", "65535", "inf",
        ] {
            assert_eq!(reading(text).unwrap(), None, "{text}");
        }
        assert_eq!(reading("0.0").unwrap(), Some(0.0));
        assert_eq!(reading("-0.21").unwrap(), Some(-0.21));
        assert!(reading("12,5").is_err() && reading("trace").is_err());
    }

    #[test]
    fn a_day_left_out_of_a_daily_file_is_a_missing_day() {
        let path = file("gap.csv", "date,A,B\n2001-02-27,1,2\n2001-03-02,3,\n");
        let table = daily(&path).unwrap();
        assert_eq!(table.days.len(), 4);
        assert_eq!(
            table.column("A").unwrap(),
            [Some(1.0), None, None, Some(3.0)]
        );
        assert_eq!(table.column("B").unwrap(), [Some(2.0), None, None, None]);
        assert_eq!(dated(&path).unwrap().days.len(), 2);
        let column = table.column("A").unwrap();
        assert_eq!(
            table.within(column, day("2001-02-28"), day("2001-03-31")),
            [None, None, Some(3.0)]
        );
        assert!(table.covers(day("2001-02-27"), day("2001-03-02")));
        assert!(!table.covers(day("2001-02-27"), day("2001-03-03")));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_is_no_table_of_dates_is_an_error() {
        for (name, text) in [
            ("twice.csv", "date,A\n2001-01-02,1\n2001-01-02,1\n"),
            ("back.csv", "date,A\n2001-01-02,1\n2001-01-01,1\n"),
            ("short.csv", "date,A,B\n2001-01-02,1\n"),
            ("word.csv", "date,A\nyesterday,1\n"),
            ("empty.csv", "date,A\n"),
            ("apart.csv", "date,A\n1970-01-01,1\n2000-01-01,1\n"),
        ] {
            let path = file(name, text);
            assert!(daily(&path).is_err(), "{name}");
            std::fs::remove_file(path).unwrap();
        }
        assert!(daily(Path::new("/nowhere/rain.csv")).is_err());
    }

    #[test]
    fn a_table_of_seasons_keeps_its_gaps() {
        let path = file("z.csv", "sublocation,LRLD2000,LRLD2001\nA,-2.0,NaN\n");
        let table = seasons(&path).unwrap();
        assert_eq!(table.seasons, ["LRLD2000", "LRLD2001"]);
        assert_eq!(table.rows, [[Some(-2.0), None]]);
        std::fs::remove_file(path).unwrap();
    }
}
