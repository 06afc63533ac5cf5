//! The integers that pay against floats: season starts, dry spells, wet and dry days, wettest runs
//! and dry blocks of every place and year of the daily file, by `domain::index` and by their
//! definitions. Never tolerates a difference in a day or a count. Called by the rain families.

use std::path::Path;

use anyhow::Context;
use chrono::NaiveDate;
use domain::index::{DayRain, Known, measure};
use domain::measure::from_millimetres;
use domain::product::{Decimal, IndexTerms, Product};
use domain::season::YearlessWindow;

use super::starts;
use crate::batch::as_if::float;
use crate::science::extremes::wettest;
use crate::science::spells::{BlockCount, Blocks, WET_DAY_MM, clip, days};
use crate::validate::series::{Table, daily};
use crate::validate::vectors::Compared;
use crate::validate::{Outcome, Row};

/// First year of the file, and the last with a whole long rains.
const YEARS: std::ops::RangeInclusive<i32> = 1981..=2019;
/// Days read from the first of a year on: the watch after a start reaches into the next year.
const REACH_DAYS: usize = 400;
/// The long rains, and the short ones, which 2019 lacks; the last year of each.
const SEASONS: [(&str, i32); 2] = [("03-01..05-31", 2019), ("10-01..12-31", 2018)];
/// Half a micrometre a day: the most by which a run of five is rounded, mm.
const ROUNDED_MM: f64 = 0.002_501;

/// Rain of a place from the first of January of a year on, in both forms.
struct Year<'a> {
    number: i32,
    first: NaiveDate,
    floats: &'a [Option<f64>],
    days: Vec<DayRain>,
}

impl<'a> Year<'a> {
    fn of(table: &Table, column: &'a [Option<f64>], year: i32) -> anyhow::Result<Self> {
        let first = NaiveDate::from_ymd_opt(year, 1, 1).context("no such year")?;
        let from = table.days.partition_point(|day| *day < first);
        let until = column.len().min(from.saturating_add(REACH_DAYS));
        let floats = column.get(from..until).unwrap_or_default();
        let days = first.iter_days().zip(floats).map(|(day, mm)| {
            let rain_um = mm.map(from_millimetres).transpose()?;
            Ok(DayRain { day, rain_um })
        });
        Ok(Self {
            number: year,
            first,
            floats,
            days: days.collect::<anyhow::Result<_>>()?,
        })
    }

    fn rain(&self, day: NaiveDate) -> Option<f64> {
        let offset = day.signed_duration_since(self.first).num_days();
        let offset = usize::try_from(offset).ok()?;
        self.floats.get(offset).copied().flatten()
    }

    /// The value of the product's one phase, thousandths of its unit.
    fn milli(&self, product: &Product) -> anyhow::Result<i64> {
        let known = Known {
            days: &self.days,
            ..Known::default()
        };
        let sums = measure(product, self.number, &known)?;
        let value = sums.first().and_then(|sum| sum.index_milli);
        value.with_context(|| format!("{} lacks days", self.number))
    }
}

pub(super) fn rows(data: &Path) -> Outcome {
    let table = daily(&data.join("kenya/marsabit_chirps_daily_1981_2019.csv.gz"))?;
    let mut years = Vec::new();
    for column in &table.columns {
        for year in YEARS {
            years.push(Year::of(&table, column, year)?);
        }
    }
    let note = format!(
        "{} places, the long rains of 39 years and the short ones of 38",
        table.columns.len()
    );
    let mut rows = Vec::new();
    for (name, detector) in [
        ("25/20", starts::dekads_25_20()?),
        ("ICPAC", starts::icpac()?),
        ("Zimbabwe", starts::zimbabwe()?),
    ] {
        let mut compared = Compared::default();
        for (season, last) in SEASONS {
            let season: YearlessWindow = season.parse()?;
            let product = starts::of_start(season, detector)?;
            for year in years.iter().filter(|year| year.number <= last) {
                let found = starts::find(&product, year.number, &year.days)?;
                let search = season.bind(year.number)?;
                let plain = starts::by_definition(detector, search, &|day| year.rain(day))?;
                compared.same(&found, &plain);
            }
        }
        let family = format!("season starts that pay against floats, {name}");
        rows.push(compared.row(&family, 0.0, note.clone()));
    }
    rows.extend(indices(&years, &note)?);
    Ok(rows)
}

/// The indices of dry and wet days: counts must be equal, rain may be rounded to the micrometre.
fn indices(years: &[Year<'_>], note: &str) -> anyhow::Result<Vec<Row>> {
    let wet_day_mm = Decimal::whole(1)?;
    let block = IndexTerms::DrySpellBlocks {
        length_days: 14,
        below_mm: Decimal::whole(15)?,
        step_days: 1,
    };
    let blocks = Blocks {
        length: 14,
        step: 1,
        trigger_mm: 15.0,
        daily_cap_mm: None,
        count: BlockCount::EveryStart,
    };
    let (mut counts, mut lost, mut rain) = <(Compared, Compared, Compared)>::default();
    for (season, last) in SEASONS {
        let season: YearlessWindow = season.parse()?;
        let of = |index: IndexTerms| starts::of_index(season, &index);
        let longest = of(IndexTerms::LongestDrySpell { wet_day_mm })?;
        let wet = of(IndexTerms::WetDays { wet_day_mm })?;
        let dry = of(IndexTerms::DryDays { wet_day_mm })?;
        let block = of(block.clone())?;
        let runs = [
            (1, of(IndexTerms::Rx { days: 1 })?),
            (5, of(IndexTerms::Rx { days: 5 })?),
        ];
        for year in years.iter().filter(|year| year.number <= last) {
            let window = season.bind(year.number)?;
            let clipped = clip(year.floats, year.first, window).days;
            let found = days(clipped, WET_DAY_MM);
            for (product, plain) in [
                (&longest, found.longest_dry),
                (&wet, found.wet),
                (&dry, found.dry),
            ] {
                counts.same(&year.milli(product)?, &(i64::from(plain) * 1_000));
            }
            let plain = i64::from(blocks.losses(clipped).loss);
            lost.same(&year.milli(&block)?, &(plain * 1_000));
            for (days, product) in &runs {
                let plain = wettest(clipped, *days).mm.context("no run is whole")?;
                rain.near(Some(float(year.milli(product)?) / 1_000.0), plain);
            }
        }
    }
    Ok(vec![
        counts.row(
            "dry spells, wet and dry days that pay against floats",
            0.0,
            note,
        ),
        lost.row(
            "dry blocks that pay against floats",
            0.0,
            format!("14 days below 15 mm; {note}"),
        ),
        rain.row(
            "wettest day and five days that pay against floats",
            ROUNDED_MM,
            note,
        ),
    ])
}
