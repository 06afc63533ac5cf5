//! Vegetation of as-if years: a file of NDVI by date, made into the measure of each season by the
//! very functions that measure a season being settled. A season nobody saw often enough has no
//! figure, and the contract's rule for absent vegetation applies. Called by the commands that work
//! on as-if years.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};
use chrono::{Datelike as _, NaiveDate};
use clap::Args;
use domain::product::{PayoutTerms, Product, VegetationAbsent, VegetationMeasure, VegetationTerms};

use super::asked::normalised;
use crate::index::vegetation::{SEASONS_MIN, milli, past};
use crate::science::vegetation::season::{micro, of_stored, season};
use crate::science::whole;
use crate::validate::series::{Table, dated};

/// Stored NDVI in an NDVI of one.
const E4: f64 = 1e4;
/// Least valid NDVI of MODIS; its fill value -3000, scaled, lies below.
const LEAST: f64 = -0.2;

/// Which vegetation.
#[derive(Debug, Clone, Args)]
pub struct Vegetation {
    /// NDVI by date, for contracts with a vegetation part: `date,PLACE,PLACE,...`, plain or .gz,
    /// composites of 8 days or single scenes. Without it the contract's rule for absent vegetation
    /// applies in every year.
    #[arg(long, value_name = "FILE")]
    pub vegetation: Option<PathBuf>,
    /// Years that a season is compared with, instead of the contract's: for a file that does not
    /// reach over those.
    #[arg(long, value_name = "FIRST..LAST", requires = "vegetation")]
    pub baseline: Option<Years>,
}

/// Years, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Years {
    /// First.
    pub first: i32,
    /// Last.
    pub last: i32,
}

impl FromStr for Years {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let rule = || format!("`{text}` must be written FIRST..LAST, such as 2001..2015");
        let (first, last) = text.split_once("..").with_context(rule)?;
        let years = Self {
            first: first.parse().with_context(rule)?,
            last: last.parse().with_context(rule)?,
        };
        ensure!(
            (1981..=2100).contains(&years.first) && years.last <= 2100,
            rule()
        );
        ensure!(
            years.last.saturating_sub(years.first) >= 9,
            "{text}: fewer than {SEASONS_MIN} seasons are a guess"
        );
        Ok(years)
    }
}

/// A file of vegetation under a contract's terms.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    table: Table,
    terms: VegetationTerms,
    /// Years that a season is compared with.
    pub baseline: Years,
}

impl Seen {
    /// Reads the file that is asked for, if any. Fails when the contract has no vegetation part.
    pub fn read(asked: &Vegetation, product: &Product) -> anyhow::Result<Option<Self>> {
        let Some(path) = &asked.vegetation else {
            return Ok(None);
        };
        let terms = product.vegetation.clone().with_context(|| {
            let code = &product.code;
            format!("{code} has no vegetation part: leave --vegetation out")
        })?;
        let contracts = Years {
            first: terms.baseline_first,
            last: terms.baseline_last,
        };
        Ok(Some(Self {
            table: dated(path)?,
            baseline: asked.baseline.unwrap_or(contracts),
            terms,
        }))
    }

    /// The measure of each season of a place that was seen often enough, thousandths, by the year
    /// its cover begins in.
    pub fn of(&self, place: &str) -> anyhow::Result<BTreeMap<i32, i64>> {
        let names = || self.table.names.iter();
        let at = names()
            .position(|name| name == place)
            .or_else(|| names().position(|name| normalised(name) == normalised(place)))
            .with_context(|| format!("the vegetation file has no place `{place}`"))?;
        let scenes = scenes(&self.table, at)?;
        let mean = |year: i32| -> anyhow::Result<Option<f64>> {
            Ok(season(&scenes, self.terms.days.bind(year)?).mean)
        };
        let Years { first, last } = self.baseline;
        let seasons = (first..=last)
            .map(|year| Ok(mean(year)?.and_then(micro)))
            .collect::<anyhow::Result<Vec<Option<i32>>>>()?;
        let past = past(&seasons).with_context(|| {
            let seen = seasons.iter().flatten().count();
            format!(
                "{place}: the vegetation file saw {seen} seasons of {first} to {last}, and a \
                 baseline needs {SEASONS_MIN}: name years it saw with --baseline FIRST..LAST"
            )
        })?;
        let mut found = BTreeMap::new();
        let years = self.table.days.first().zip(self.table.days.last());
        let Some((from, until)) = years else {
            return Ok(found);
        };
        for year in from.year().saturating_sub(1)..=until.year() {
            let Some(mean) = mean(year)? else { continue };
            let figure = milli(self.terms.measure, &past, mean);
            found.extend(figure.map(|figure| (year, figure)));
        }
        Ok(found)
    }

    /// What was measured, in the words of a table's head.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self.terms.measure {
            VegetationMeasure::Z => "vegetation z",
            VegetationMeasure::Percentile => "vegetation %",
        }
    }
}

/// Scenes of a place as they are stored: ten-thousandths. What no MODIS can measure is missing.
fn scenes(table: &Table, at: usize) -> anyhow::Result<Vec<(NaiveDate, f64)>> {
    let (name, column) = table
        .names
        .get(at)
        .zip(table.columns.get(at))
        .context("a place that is none")?;
    let mut scenes = Vec::with_capacity(column.len());
    for (day, value) in table.days.iter().zip(column) {
        let Some(ndvi) = value.filter(|ndvi| *ndvi >= LEAST) else {
            continue;
        };
        if ndvi > 1.0 {
            bail!("{name}: {ndvi} on {day} is no NDVI, which ends at 1: unscale the file first");
        }
        let stored = whole(ndvi * E4).and_then(|e4| i16::try_from(e4).ok());
        scenes.extend(stored.map(|e4| (*day, of_stored(e4))));
    }
    Ok(scenes)
}

/// What a contract does in a season without vegetation, in words; `None` for one without that part.
#[must_use]
pub fn absent_rule(product: &Product) -> Option<String> {
    let terms = product.vegetation.as_ref()?;
    let PayoutTerms::Tiers {
        vegetation_absent_cap_bp: most,
        ..
    } = &product.payout
    else {
        return None;
    };
    let most = f64::from(most.get()) / 100.0;
    let look = match terms.absent {
        VegetationAbsent::WeatherCapped => "",
        VegetationAbsent::TwoPeople => ", after two people have looked",
    };
    Some(format!(
        "the weather alone is the index and pays at most {most:.0} %{look}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::as_if::product;

    /// NDVI 0.20, 0.22, ... of the seasons 2001 to 2012, each dekad's best; and clouds in 2013.
    fn seen(last: i32) -> Seen {
        let mut table = Table {
            days: Vec::new(),
            names: vec!["GUDAS/SORIADI".to_owned()],
            columns: vec![Vec::new()],
        };
        for year in 2001..=2013 {
            for (month, day) in [
                (3, 5),
                (3, 15),
                (3, 25),
                (4, 5),
                (4, 15),
                (4, 25),
                (5, 5),
                (5, 15),
            ] {
                table
                    .days
                    .push(NaiveDate::from_ymd_opt(year, month, day).unwrap());
                let ndvi = 0.20 + 0.02 * f64::from(year - 2001);
                table.columns[0].push((year < 2013 || month == 3).then_some(ndvi));
            }
        }
        let house =
            include_str!("../../../../shared/domain/testdata/products/house-second-form.toml");
        Seen {
            table,
            terms: Product::from_toml(house).unwrap().vegetation.unwrap(),
            baseline: Years { first: 2001, last },
        }
    }

    #[test]
    fn a_season_is_measured_against_the_years_asked_for() {
        let found = seen(2011).of("gudas soriadi").unwrap();
        // eleven seasons 0.20 to 0.40: mean 0.30, sd 0.02 × √11
        assert_eq!(found.get(&2001), Some(&-1_508));
        assert_eq!(
            (found.get(&2006), found.get(&2012)),
            (Some(&0), Some(&1_809))
        );
        assert_eq!(
            found.get(&2013),
            None,
            "a season that clouds hid has no figure"
        );
        assert_eq!(found.len(), 12);
    }

    #[test]
    fn a_baseline_that_nobody_saw_is_an_error_and_not_a_year_without_vegetation() {
        let mut late = seen(2013);
        late.baseline.first = 2004;
        let error = late.of("GUDAS/SORIADI").unwrap_err().to_string();
        assert!(
            error.contains("saw 9 seasons of 2004 to 2013") && error.contains("--baseline"),
            "{error}"
        );
        let error = late.of("KARARE").unwrap_err().to_string();
        assert!(error.contains("no place `KARARE`"), "{error}");
    }

    #[test]
    fn fill_values_are_missing_and_integers_are_refused() {
        let mut seen = seen(2011);
        seen.table.columns[0][0] = Some(-0.3);
        assert_eq!(scenes(&seen.table, 0).unwrap().len(), 12 * 8 + 2);
        seen.table.columns[0][0] = Some(2_507.0);
        assert!(
            scenes(&seen.table, 0)
                .unwrap_err()
                .to_string()
                .contains("unscale")
        );
    }

    #[test]
    fn years_and_rules_are_read_as_they_are_written() {
        let years: Years = "2001..2015".parse().unwrap();
        assert_eq!((years.first, years.last), (2001, 2015));
        for text in ["2001-2015", "2001..2009", "x..2015", "1950..2015"] {
            assert!(text.parse::<Years>().is_err(), "{text}");
        }
        let house = product("KE-MZ-DI-LR").unwrap();
        assert!(absent_rule(&house).unwrap().contains("at most 50 %"));
        assert_eq!(absent_rule(&product("KE-MZ-PD-LR").unwrap()), None);
    }
}
