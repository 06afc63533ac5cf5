//! The daily CHIRPS series of 58 sublocations of Marsabit under quality control: the four days
//! beyond 250 mm are flagged and kept, and what is flagged in all is little enough to look at.
//! Called by the families on observations.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, ensure};
use chrono::NaiveDate;

use super::{Found, Row, agreed, row};
use crate::science::qc::daily::rain_days;
use crate::science::qc::qartod::Test;
use crate::science::qc::range::{Checked, RAIN_DAY_MM_KENYA};

/// Share of all station-days that may be flagged suspect or worse.
const FLAGGED_SHARE_MAX: f64 = 0.02;
/// The days beyond 250 mm (2011-10-28), mm.
const HEAVY: [(&str, f64); 4] = [
    ("DAKABARICHA", 252.81),
    ("NYAYO ROAD", 307.41),
    ("TOWNSHIP", 307.41),
    ("WABERA", 307.41),
];
const HEAVY_DAY: &str = "2011-10-28";

/// The series, a column a sublocation.
struct Series {
    first: NaiveDate,
    columns: Vec<(String, Vec<Option<f64>>)>,
}

impl Series {
    fn read(file: &Path) -> anyhow::Result<Self> {
        let packed =
            std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut text)?;
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let mut columns: Vec<(String, Vec<Option<f64>>)> = reader
            .headers()?
            .iter()
            .skip(1)
            .map(|name| (name.to_owned(), Vec::new()))
            .collect();
        let mut first = None;
        let mut expected: Option<NaiveDate> = None;
        for record in reader.records() {
            let record = record?;
            let date: NaiveDate = record.get(0).unwrap_or_default().parse()?;
            ensure!(
                expected.is_none_or(|day| day == date),
                "a gap before {date}"
            );
            first = first.or(Some(date));
            expected = date.succ_opt();
            for ((_, column), value) in columns.iter_mut().zip(record.iter().skip(1)) {
                column.push(value.parse().ok());
            }
        }
        Ok(Self {
            first: first.context("an empty series")?,
            columns,
        })
    }
}

pub(super) fn rows(data: &Path) -> Vec<Row> {
    let file = data.join("kenya/marsabit_chirps_daily_1981_2019.csv.gz");
    let checked = Series::read(&file).map(|series| {
        let days: Vec<(String, Vec<Checked>)> = series
            .columns
            .iter()
            .map(|(name, rain)| (name.clone(), rain_days(series.first, rain)))
            .collect();
        (series, days)
    });
    match checked {
        Ok((series, days)) => vec![
            row(FAMILIES[0], heavy(&series, &days)),
            row(FAMILIES[1], share(&days)),
        ],
        Err(error) => FAMILIES
            .into_iter()
            .map(|family| row(family, Err(anyhow::anyhow!("{error:#}"))))
            .collect(),
    }
}

const FAMILIES: [&str; 2] = [
    "qc Marsabit four days beyond 250 mm flagged and kept",
    "qc Marsabit share of station-days suspect or worse",
];

/// Misses: days not flagged or not kept, and days beyond 250 mm that are not on the list.
fn heavy(series: &Series, days: &[(String, Vec<Checked>)]) -> anyhow::Result<Found> {
    let date: NaiveDate = HEAVY_DAY.parse()?;
    let position = usize::try_from(date.signed_duration_since(series.first).num_days())?;
    let told = HEAVY
        .iter()
        .filter(|(name, mm)| {
            let column = days.iter().find(|(column, _)| column == name);
            let day = column.and_then(|(_, days)| days.get(position));
            day.is_some_and(|day| {
                let is_kept = |value: Option<f64>| value.is_some_and(|v| (v - mm).abs() < 1e-9);
                day.results.of(Test::Climatology).is_odd() && is_kept(day.raw) && is_kept(day.value)
            })
        })
        .count();
    let beyond = days
        .iter()
        .flat_map(|(_, days)| days)
        .filter(|day| day.value.is_some_and(|mm| mm > RAIN_DAY_MM_KENYA))
        .count();
    let misses = HEAVY
        .len()
        .saturating_sub(told)
        .saturating_add(beyond.abs_diff(HEAVY.len()));
    let note = format!("{beyond} station-days beyond 250 mm, {told} flagged with their number");
    Ok(agreed(HEAVY.len(), misses, note))
}

fn share(days: &[(String, Vec<Checked>)]) -> anyhow::Result<Found> {
    let (mut all, mut odd) = (0_usize, 0_usize);
    let mut by: BTreeMap<Test, usize> = BTreeMap::new();
    for day in days.iter().flat_map(|(_, days)| days) {
        all = all.saturating_add(1);
        odd = odd.saturating_add(usize::from(day.results.aggregate().is_odd()));
        for test in day.results.odd() {
            let count = by.entry(test).or_default();
            *count = count.saturating_add(1);
        }
    }
    ensure!(all > 0, "an empty series");
    let share = crate::science::count(odd) / crate::science::count(all);
    let tests: Vec<String> = by
        .iter()
        .map(|(test, count)| format!("{} {count}", test.as_str()))
        .collect();
    let per_cent = share * 100.0;
    Ok(Found {
        compared: all,
        deviation: share,
        tolerance: FLAGGED_SHARE_MAX,
        note: format!("{odd} flagged, {per_cent:.3} %: {}", tests.join(", ")),
    })
}
