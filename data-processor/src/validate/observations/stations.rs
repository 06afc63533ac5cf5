//! Real odd days at six Kenyan stations (Meteostat daily files): each must be flagged, by general
//! rules, with its number kept. The rules know no station; the cases below only ask about some.
//! Called by the families on observations.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use chrono::NaiveDate;

use super::{Found, Row, agreed, read, row};
use crate::science::qc::daily::{Temperatures, rain_days, temperature_days};
use crate::science::qc::qartod::Test;
use crate::science::qc::range::Checked;
use crate::science::qc::record::{Reporting, reporting};

/// A station's daily record, a row for each day from its first to its last.
struct Record {
    first: NaiveDate,
    least: Vec<Option<f64>>,
    mean: Vec<Option<f64>>,
    most: Vec<Option<f64>>,
    rain: Vec<Option<f64>>,
}

impl Record {
    fn read(file: &Path) -> anyhow::Result<Self> {
        let text = read(file)?;
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let headers = reader.headers()?.clone();
        let column = |name: &str| {
            let found = headers.iter().position(|header| header == name);
            found.with_context(|| format!("no column `{name}` in {}", file.display()))
        };
        let columns = [
            column("time")?,
            column("tmin")?,
            column("tavg")?,
            column("tmax")?,
            column("prcp")?,
        ];
        let mut rows: Vec<(NaiveDate, [Option<f64>; 4])> = Vec::new();
        for record in reader.records() {
            let record = record?;
            let [date, numbers @ ..] = columns.map(|at| record.get(at).unwrap_or_default());
            rows.push((date.parse()?, numbers.map(|number| number.parse().ok())));
        }
        let first = rows.first().context("an empty record")?.0;
        let mut found = Self {
            first,
            least: Vec::new(),
            mean: Vec::new(),
            most: Vec::new(),
            rain: Vec::new(),
        };
        for (date, [least, mean, most, rain]) in rows {
            let position = usize::try_from(date.signed_duration_since(first).num_days())?;
            ensure!(position >= found.rain.len(), "days out of order");
            // days without a row are days without a number
            for (list, value) in [
                (&mut found.least, least),
                (&mut found.mean, mean),
                (&mut found.most, most),
                (&mut found.rain, rain),
            ] {
                list.resize(position, None);
                list.push(value);
            }
        }
        Ok(found)
    }

    fn rain_days(&self) -> Vec<Checked> {
        rain_days(self.first, &self.rain)
    }

    fn temperature_days(&self) -> Temperatures {
        temperature_days(self.first, &self.least, &self.mean, &self.most)
    }

    fn on<'a>(&self, days: &'a [Checked], date: &str) -> anyhow::Result<&'a Checked> {
        let position = date
            .parse::<NaiveDate>()?
            .signed_duration_since(self.first)
            .num_days();
        days.get(usize::try_from(position)?)
            .with_context(|| format!("the record does not reach {date}"))
    }
}

/// Days that must be flagged: station, value and what it is, the dates.
const RAIN: [(&str, f64, &str, &[&str]); 4] = [
    (
        "63612_Lodwar",
        180.1,
        "in the desert, twice in three days",
        &["2020-12-31", "2021-01-02"],
    ),
    (
        "63686_Eldoret",
        68.1,
        "the record's largest, three times",
        &["2018-05-08", "2020-01-30", "2021-09-09"],
    ),
    ("63661_Kitale", 142.0, "in August", &["2022-08-02"]),
    ("63661_Kitale", 80.0, "in March", &["2019-03-05"]),
];

/// Nights that must be flagged.
const LEAST: [(&str, f64, &str, &[&str]); 1] =
    [("63612_Lodwar", 3.0, "in the desert", &["2022-08-30"])];

/// Years of Kitale with 149 to 242 reports of rain.
const THIN: [i32; 6] = [2015, 2016, 2017, 2018, 2019, 2020];
const THIN_REPORTS: [u32; 2] = [149, 242];

const STATIONS: [&str; 6] = [
    "63612_Lodwar",
    "63661_Kitale",
    "63686_Eldoret",
    "63714_Nakuru",
    "63720_Embu",
    "63766_Makindu",
];

fn file(data: &Path, station: &str) -> PathBuf {
    data.join("kenya/meteostat_raw")
        .join(format!("{station}.csv"))
}

fn name(station: &str) -> &str {
    station.split_once('_').map_or(station, |(_, name)| name)
}

pub(super) fn rows(data: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    for (station, value, what, dates) in RAIN {
        let family = format!("qc {} rain {value} mm {what}", name(station));
        let found = Record::read(&file(data, station))
            .and_then(|record| flagged(&record, &record.rain_days(), value, dates));
        rows.push(row(&family, found));
    }
    for (station, value, what, dates) in LEAST {
        let family = format!("qc {} least {value} C {what}", name(station));
        let found = Record::read(&file(data, station))
            .and_then(|record| flagged(&record, &record.temperature_days().least, value, dates));
        rows.push(row(&family, found));
    }
    rows.push(row(
        "qc Kitale years of 149 to 242 rain reports",
        thin_years(&file(data, "63661_Kitale")),
    ));
    rows.push(row(
        "qc share of rain reports flagged (six stations)",
        shares(data),
    ));
    rows
}

/// Misses: days not flagged, and days whose number is no longer what the file has.
fn flagged(record: &Record, days: &[Checked], value: f64, dates: &[&str]) -> anyhow::Result<Found> {
    let (mut misses, mut by) = (0_usize, Vec::new());
    for date in dates {
        let day = record.on(days, date)?;
        let is_kept = [day.raw, day.value]
            .into_iter()
            .all(|kept| kept.is_some_and(|kept| (kept - value).abs() < 1e-9));
        let is_flagged = day.results.aggregate().is_odd();
        misses = misses.saturating_add(usize::from(!is_kept || !is_flagged));
        for test in day.results.odd().map(Test::as_str) {
            if !by.contains(&test) {
                by.push(test);
            }
        }
    }
    let note = format!("flagged by {}, number kept", by.join(", "));
    Ok(agreed(dates.len(), misses, note))
}

fn thin_years(file: &Path) -> anyhow::Result<Found> {
    let record = Record::read(file)?;
    let years = reporting(record.first, &record.rain);
    let [fewest, most] = THIN_REPORTS;
    let is_told =
        |year: &&Reporting| (fewest..=most).contains(&year.reported) && year.flag().is_odd();
    let told = years
        .iter()
        .filter(|year| THIN.contains(&year.year))
        .filter(is_told)
        .count();
    let well = years.iter().filter(|year| !year.flag().is_odd()).count();
    let note = format!("{told} years flagged, {well} later years good");
    Ok(agreed(THIN.len(), THIN.len().saturating_sub(told), note))
}

/// Flags that are too many to be looked at are none: at most 2 %.
fn shares(data: &Path) -> anyhow::Result<Found> {
    let (mut reports, mut odd, mut each) = (0_usize, 0_usize, Vec::new());
    for station in STATIONS {
        let record = Record::read(&file(data, station))?;
        let days = record.rain_days();
        let known = days.iter().filter(|day| day.value.is_some()).count();
        let flagged = days
            .iter()
            .filter(|day| day.results.aggregate().is_odd())
            .count();
        reports = reports.saturating_add(known);
        odd = odd.saturating_add(flagged);
        each.push(format!("{} {flagged} of {known}", name(station)));
    }
    Ok(Found {
        compared: reports,
        deviation: crate::science::count(odd) / crate::science::count(reports.max(1)),
        tolerance: 0.02,
        note: each.join(", "),
    })
}
