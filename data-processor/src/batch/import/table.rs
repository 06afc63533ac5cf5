//! Reads plain tables: a date a line and a place a column, or a date, a place and a value a line.
//! Blanks and sentinels are missing, never zero; whatever else is no number is refused with its
//! line and column. Called by `given`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use chrono::NaiveDate;

use super::given::{Format, Given, Series, head_unit};
use crate::validate::series::{parse_dated, reading};

/// Names of a column of dates.
const DATES: [&str; 4] = ["date", "day", "time", "ds"];
/// Names of a column of places.
const PLACES: [&str; 7] = [
    "place",
    "name",
    "station",
    "ward",
    "sublocation",
    "location",
    "cell",
];

/// Whether these lower-case heads are those of a date, a place and a value a line.
pub(crate) fn is_long(heads: &[&str]) -> bool {
    matches!(heads, [date, place, _] if DATES.contains(date) && PLACES.contains(place))
}

/// A date a line, a place a column.
pub(crate) fn wide(content: Vec<u8>, path: &Path) -> anyhow::Result<Given> {
    let table = parse_dated(content, path)?;
    ensure!(!table.names.is_empty(), "no column but the date");
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, name) in table.names.iter().enumerate() {
        let column = at.saturating_add(2);
        ensure!(!name.trim().is_empty(), "column {column} has no head");
        if let Some(other) = seen.insert(name.trim(), column) {
            bail!("columns {other} and {column} are both called {name}: rename or remove one");
        }
    }
    let series = table
        .names
        .iter()
        .zip(&table.columns)
        .map(|(name, column)| {
            let days = table.days.iter().copied().zip(column.iter().copied());
            Series {
                name: name.trim().to_owned(),
                point: None,
                values: days.collect(),
            }
        });
    Ok(Given {
        format: Format::WideCsv,
        unit: None,
        day: None,
        series: series.collect(),
    })
}

/// A date, a place and a value a line, in any order.
pub(crate) fn long(content: &[u8]) -> anyhow::Result<Given> {
    let mut reader = csv::Reader::from_reader(content);
    let heads = reader.headers().context("line 1")?.clone();
    let lower: Vec<String> = heads
        .iter()
        .map(|head| head.trim().to_lowercase())
        .collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    ensure!(
        is_long(&lower),
        "line 1: heads must be a date, a place and a value, such as date,place,rain_mm"
    );
    let unit = head_unit(heads.get(2).unwrap_or_default())?;
    let mut places: BTreeMap<String, BTreeMap<NaiveDate, Option<f64>>> = BTreeMap::new();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |at: usize| record.get(at).unwrap_or_default().trim();
        let (date, place) = (field(0), field(1));
        let day: NaiveDate = date
            .parse()
            .with_context(|| format!("line {line}: `{date}` is not a date; write 1984-03-01"))?;
        ensure!(!place.is_empty(), "line {line}: no place");
        let value = reading(field(2)).with_context(|| format!("line {line}, column 3"))?;
        let days = places.entry(place.to_owned()).or_default();
        ensure!(
            days.insert(day, value).is_none(),
            "line {line}: {place} has {day} twice: keep one of the two lines"
        );
    }
    let series = places.into_iter().map(|(name, days)| Series {
        name,
        point: None,
        values: days.into_iter().collect(),
    });
    Ok(Given {
        format: Format::LongCsv,
        unit,
        day: None,
        series: series.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::unit::Unit;
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn of_wide(text: &str) -> anyhow::Result<Given> {
        wide(text.as_bytes().to_vec(), Path::new("rain.csv"))
    }

    fn refusal(read: anyhow::Result<Given>) -> String {
        format!("{:#}", read.unwrap_err())
    }

    #[test]
    fn a_wide_table_keeps_its_gaps() {
        let given = of_wide("date,KARARE,GUDAS/SORIADI\n1984-03-01,1.5,-9999\n1984-03-03,,0\n");
        let given = given.unwrap();
        assert_eq!(given.series[0].name, "KARARE");
        assert_eq!(
            given.series[0].values,
            [(day("1984-03-01"), Some(1.5)), (day("1984-03-03"), None)]
        );
        assert_eq!(given.series[1].values[0].1, None, "a sentinel is missing");
        assert_eq!(given.series[1].values[1].1, Some(0.0));
        assert_eq!((given.unit, given.day), (None, None));
    }

    #[test]
    fn a_bad_wide_table_is_refused_with_its_line_and_column() {
        let twice = refusal(of_wide("date,A\n1984-03-01,1\n1984-03-01,1\n"));
        assert!(
            twice.contains("rain.csv:3") && twice.contains("1984-03-01"),
            "{twice}"
        );
        let word = refusal(of_wide("date,A,B\n1984-03-01,1,trace\n"));
        assert!(
            word.contains("rain.csv:2, column B") && word.contains("trace"),
            "{word}"
        );
        let date = refusal(of_wide("date,A\n01/03/1984,1\n"));
        assert!(
            date.contains("rain.csv:2") && date.contains("write 1984-03-01"),
            "{date}"
        );
        assert!(refusal(of_wide("date,A,A\n1984-03-01,1,2\n")).contains("columns 2 and 3"));
        assert!(refusal(of_wide("date\n1984-03-01\n")).contains("no column but the date"));
        assert!(of_wide("date,A,B\n1984-03-01,1\n").is_err(), "a short line");
    }

    #[test]
    fn a_long_table_is_gathered_by_place() {
        let given =
            long(b"date,place,rain (inch)\n1984-03-02,B,2\n1984-03-01,B,1\n1984-03-01,A,NaN\n");
        let given = given.unwrap();
        assert_eq!(given.unit, Some(Unit::Inch));
        assert_eq!(given.series.len(), 2);
        assert_eq!(given.series[0].values, [(day("1984-03-01"), None)]);
        assert_eq!(
            given.series[1].values,
            [
                (day("1984-03-01"), Some(1.0)),
                (day("1984-03-02"), Some(2.0))
            ]
        );
    }

    #[test]
    fn a_bad_long_table_is_refused_with_its_line() {
        let twice = refusal(long(b"date,place,mm\n1984-03-01,A,1\n1984-03-01,A,1\n"));
        assert!(twice.contains("line 3: A has 1984-03-01 twice"), "{twice}");
        assert!(refusal(long(b"date,place,mm\n1984-03-01,A,x\n")).contains("line 2, column 3"));
        assert!(refusal(long(b"date,place,mm\n1984-03-01,,1\n")).contains("line 2: no place"));
        assert!(refusal(long(b"when,who,mm\n")).contains("heads must be"));
    }
}
