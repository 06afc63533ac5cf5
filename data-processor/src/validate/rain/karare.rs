//! KARARE, Marsabit: daily satellite rain 1981 to 2019 against every figure printed of it: totals,
//! quantiles, spells, extremes, season starts, single-phase losses. The printed figures that are
//! in no file stand here. Called by the rain families.

use std::path::Path;

use anyhow::{Context, anyhow, ensure};
use chrono::NaiveDate;
use domain::index::DayRain;
use domain::measure::from_millimetres;
use domain::product::Detector;
use domain::season::{Window, YearlessWindow, next_day};
use serde_json::Value;

use super::contracts::share_of;
use super::starts;
use crate::science::dekad::Dekad;
use crate::science::extremes::{HEAVY_DAY_MM, heavy_days, wettest};
use crate::science::phases::{Line, phase_rain};
use crate::science::quantile::{Convention, quantile, sort};
use crate::science::spells::{WET_DAY_MM, clip, days};
use crate::validate::series::{Table, daily};
use crate::validate::vectors::{Compared, half_digit, keyed, numbers};
use crate::validate::{Outcome, Row};

/// First and last year of the file whose March to May is whole.
const YEARS: std::ops::RangeInclusive<i32> = 1981..=2019;

/// Counts printed for 1 March to 31 May at 1 mm: year, longest dry spell, days of 20 mm, wet days.
const COUNTS: [(i32, u32, u32, u32); 5] = [
    (1997, 29, 11, 22),
    (2000, 19, 0, 11),
    (2009, 28, 2, 9),
    (2017, 28, 5, 10),
    (2018, 19, 11, 38),
];

/// Rain of the wettest run of days printed for the same window: year, days, mm.
const WETTEST: [(i32, usize, f64); 9] = [
    (1997, 1, 75.12),
    (1997, 5, 113.37),
    (2000, 1, 18.71),
    (2000, 5, 20.63),
    (2009, 1, 35.93),
    (2009, 5, 40.35),
    (2017, 1, 90.98),
    (2017, 5, 188.05),
    (2018, 5, 160.39),
];

/// Season starts printed: year, dekad of the year by 25/20 over February to May, month and day by
/// ICPAC's rule over 1 March to 31 May.
type Printed = (i32, Option<u32>, Option<(u32, u32)>);
const STARTS: [Printed; 8] = [
    (1984, Some(10), None),
    (1997, Some(9), Some((3, 30))),
    (2000, None, None),
    (2009, Some(10), None),
    (2011, Some(11), Some((4, 14))),
    (2017, Some(10), None),
    (2018, Some(7), Some((3, 2))),
    (2019, None, Some((4, 21))),
];

/// Years without a start by 25/20, 1981 to 2019.
const NO_START: [i32; 4] = [2000, 2005, 2006, 2019];

/// Loss of the single-phase contract, trigger 278 and exit 95 mm: year, share.
const LOSSES: [(i32, f64); 5] = [
    (2000, 1.0),
    (2009, 0.9936),
    (2011, 1.0),
    (1984, 0.6332),
    (1999, 0.0243),
];

/// The daily series of the place.
struct Karare {
    first: NaiveDate,
    rain: Vec<Option<f64>>,
}

impl Karare {
    fn read(data: &Path) -> anyhow::Result<Self> {
        let path = data.join("kenya/marsabit_chirps_daily_1981_2019.csv.gz");
        let Table {
            days,
            names,
            columns,
        } = daily(&path)?;
        let at = names
            .iter()
            .position(|name| name == "KARARE")
            .with_context(|| format!("{} has no column KARARE", path.display()))?;
        let first = *days.first().context("no day")?;
        let rain = columns.into_iter().nth(at).unwrap_or_default();
        Ok(Self { first, rain })
    }

    /// March to May of a year.
    fn season(&self, year: i32) -> anyhow::Result<&[Option<f64>]> {
        let window = window(year, (3, 1), (5, 31))?;
        let clipped = clip(&self.rain, self.first, window);
        ensure!(
            clipped.missing() == 0,
            "KARARE: March to May {year} lacks {} days",
            clipped.missing()
        );
        Ok(clipped.days)
    }

    fn total(&self, year: i32) -> anyhow::Result<f64> {
        phase_rain(self.season(year)?, None)
            .whole_mm()
            .ok_or_else(|| anyhow!("KARARE {year} has no total"))
    }

    /// The season's start by the integers that pay, in the given days of a year.
    fn start(
        &self,
        detector: Detector,
        search: YearlessWindow,
        year: i32,
    ) -> anyhow::Result<Option<NaiveDate>> {
        let window = window(year, (1, 1), (9, 30))?;
        let clipped = clip(&self.rain, self.first, window).days;
        let days = window.days().zip(clipped).map(|(day, mm)| {
            let rain_um = mm.map(from_millimetres).transpose()?;
            Ok(DayRain { day, rain_um })
        });
        let days: Vec<DayRain> = days.collect::<anyhow::Result<_>>()?;
        starts::find(&starts::of_start(search, detector)?, year, &days)
    }
}

fn window(year: i32, first: (u32, u32), last: (u32, u32)) -> anyhow::Result<Window> {
    let day = |(month, day)| {
        NaiveDate::from_ymd_opt(year, month, day)
            .with_context(|| format!("no {day}.{month}.{year}"))
    };
    Ok(Window {
        start: day(first)?,
        end: next_day(day(last)?),
    })
}

pub(super) fn rows(data: &Path, vectors: &Value) -> Outcome {
    let karare = Karare::read(data)?;
    let mut rows = totals_and_quantiles(&karare, vectors)?;
    rows.extend(spells_and_extremes(&karare)?);
    rows.extend(season_starts(&karare)?);
    rows.extend(losses(&karare)?);
    Ok(rows)
}

fn totals_and_quantiles(karare: &Karare, vectors: &Value) -> Outcome {
    let mut totals = Compared::default();
    let mut sample = Vec::new();
    for year in YEARS {
        sample.push((f64::from(year), karare.total(year)?));
    }
    for (year, printed) in keyed(vectors, "/karare_mam/totals_mm")? {
        let found = sample.iter().find(|(of, _)| of.total_cmp(&year).is_eq());
        totals.near(found.map(|(_, total)| *total), printed);
    }
    let mut sorted: Vec<f64> = sample.into_iter().map(|(_, total)| total).collect();
    sort(&mut sorted);
    let mut linear = Compared::default();
    for (p, printed) in keyed(vectors, "/karare_mam/quantile_type7")? {
        linear.near(quantile(&sorted, p, Convention::Linear), printed);
    }
    let mut all = Compared::default();
    let under = "/pricing_sensitivity_karare/quantiles";
    let probabilities = numbers(vectors, &format!("{under}/probs"))?;
    for convention in Convention::ALL {
        let printed = numbers(vectors, &format!("{under}/type{}", convention.number()))?;
        for (p, printed) in probabilities.iter().zip(printed) {
            all.near(quantile(&sorted, *p, convention), printed);
        }
    }
    Ok(vec![
        totals.row("karare totals, March to May", half_digit(2), "39 years, mm"),
        linear.row("karare quantiles, type 7", half_digit(3), "mm"),
        all.row(
            "quantile conventions 5, 6, 7 and 8",
            half_digit(3),
            "the same 39 years, mm",
        ),
    ])
}

fn spells_and_extremes(karare: &Karare) -> Outcome {
    let mut counts = Compared::default();
    for (year, longest, heavy, wet) in COUNTS {
        let season = karare.season(year)?;
        let found = days(season, WET_DAY_MM);
        counts.same(&found.longest_dry, &longest);
        counts.same(&heavy_days(season, HEAVY_DAY_MM).days, &heavy);
        counts.same(&found.wet, &wet);
    }
    let mut rain = Compared::default();
    for (year, run, printed) in WETTEST {
        rain.near(wettest(karare.season(year)?, run).mm, printed);
    }
    Ok(vec![
        counts.row(
            "karare dry spells, wet and heavy days",
            0.0,
            "longest dry spell, days of 1 mm and of 20 mm, five years",
        ),
        rain.row("karare wettest day and five days", half_digit(2), "mm"),
    ])
}

fn season_starts(karare: &Karare) -> Outcome {
    let (dekads, icpac) = (starts::dekads_25_20()?, starts::icpac()?);
    let dekadal = |year| karare.start(dekads, "02-01..05-31".parse()?, year);
    let (mut printed, mut never) = (Compared::default(), Compared::default());
    for (year, dekad, day) in STARTS {
        let expected = match dekad {
            Some(number) => {
                let dekad = Dekad::new(year, number).context("a year has 36 dekads")?;
                Some(dekad.first_day())
            }
            None => None,
        };
        printed.same(&dekadal(year)?, &expected);
        let expected = match day {
            Some((month, day)) => Some(window(year, (month, day), (month, day))?.start),
            None => None,
        };
        let found = karare.start(icpac, "03-01..05-31".parse()?, year)?;
        printed.same(&found, &expected);
    }
    let mut without = Vec::new();
    for year in YEARS {
        let found = dekadal(year)?;
        never.same(&found.is_none(), &NO_START.contains(&year));
        if found.is_none() {
            without.push(year.to_string());
        }
    }
    Ok(vec![
        printed.row(
            "karare season starts, 25/20 and ICPAC",
            0.0,
            "eight years by both; the third detector has no published series",
        ),
        never.row(
            "karare years without a season start, 25/20",
            0.0,
            without.join(", "),
        ),
    ])
}

fn losses(karare: &Karare) -> anyhow::Result<Vec<Row>> {
    let line = Line::rain_deficit(278.0, 95.0)?;
    let (mut floats, mut integers) = (Compared::default(), Compared::default());
    for (year, printed) in LOSSES {
        let total = karare.total(year)?;
        floats.near(Some(line.loss(total)), printed);
        integers.near(Some(share_of(total, 278.0, 95.0)?), printed);
    }
    Ok(vec![
        floats.row(
            "karare single-phase losses",
            half_digit(4),
            "trigger 278, exit 95 mm",
        ),
        integers.row(
            "karare single-phase losses, the integers that pay",
            half_digit(4),
            "domain::index",
        ),
    ])
}
