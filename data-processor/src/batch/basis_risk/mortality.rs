//! Reads what happened: livestock mortality of Marsabit by place and season, and the published
//! z-scores. A season in which no household of any place lost or sold one animal was not asked
//! about; its zeros are no observations, and are marked so. Called by the `basis-risk` command.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, ensure};
use chrono::{Datelike as _, NaiveDate};
use serde::Deserialize;

use crate::validate::series::seasons;

/// The two seasons of the pastoral year (IBLI): long rains with their dry season, March to
/// September, and short rains with theirs, October to February.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Season {
    /// Long rains, long dry: 1 March to 30 September.
    Long,
    /// Short rains, short dry: 1 October to the end of February.
    Short,
}

impl Season {
    /// Its code in the files.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Long => "LRLD",
            Self::Short => "SRSD",
        }
    }

    /// First and last day of the season whose label names `year`.
    #[must_use]
    pub fn days(self, year: i32) -> Option<(NaiveDate, NaiveDate)> {
        let (from, to) = match self {
            Self::Long => ((year, 3, 1), (year, 10, 1)),
            Self::Short => ((year, 10, 1), (year.checked_add(1)?, 3, 1)),
        };
        let day = |(year, month, day)| NaiveDate::from_ymd_opt(year, month, day);
        Some((day(from)?, day(to)?.pred_opt()?))
    }

    /// The season before the one of `year`, and its year.
    #[must_use]
    pub fn before(self, year: i32) -> (Self, i32) {
        match self {
            Self::Long => (Self::Short, year.saturating_sub(1)),
            Self::Short => (Self::Long, year),
        }
    }
}

/// A place in a season.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Sublocation.
    pub place: String,
    /// Year of the season's label.
    pub year: i32,
    /// Season.
    pub season: Season,
}

/// Which years are left out together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Folds {
    /// The year of the season's label.
    Calendar,
    /// October to September: a failed short rains and the long rains after it are one drought.
    Agricultural,
}

impl Folds {
    /// The fold of a season.
    #[must_use]
    pub fn of(self, key: &Key) -> i32 {
        match (self, key.season) {
            (Self::Agricultural, Season::Long) => key.year.saturating_sub(1),
            _ => key.year,
        }
    }
}

/// One observed place and season.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Where and when.
    pub key: Key,
    /// Share of the tropical livestock units that died, 0 to 1.
    pub loss: f64,
    /// Whether the season was surveyed at all.
    pub is_surveyed: bool,
}

#[derive(Debug, Deserialize)]
struct Line {
    sublocation: String,
    season: String,
    year: i32,
    #[serde(rename = "type")]
    kind: String,
    loss: f64,
    offtake: f64,
    mortality_rate: Option<f64>,
}

/// Mortality of all livestock (TLU) by place and season, in the file's order.
pub fn cases(folder: &Path) -> anyhow::Result<Vec<Case>> {
    let path = folder.join("marsabit_livestock_mortality_by_sublocation_season.csv");
    let mut reader =
        csv::Reader::from_path(&path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut cases = Vec::new();
    let mut moved: BTreeSet<(i32, Season)> = BTreeSet::new();
    for line in reader.deserialize() {
        let line: Line = line.with_context(|| path.display().to_string())?;
        let season = season(&line.season).with_context(|| path.display().to_string())?;
        if line.loss > 0.0 || line.offtake > 0.0 {
            moved.insert((line.year, season));
        }
        let Some(loss) = line.mortality_rate.filter(|_| line.kind == "TLU") else {
            continue;
        };
        ensure!(
            (0.0..=1.0).contains(&loss),
            "{}: mortality {loss} is no share",
            path.display()
        );
        cases.push(Case {
            key: Key {
                place: line.sublocation,
                year: line.year,
                season,
            },
            loss,
            is_surveyed: false,
        });
    }
    ensure!(!cases.is_empty(), "{}: no TLU line", path.display());
    for case in &mut cases {
        case.is_surveyed = moved.contains(&(case.key.year, case.key.season));
    }
    Ok(cases)
}

fn season(code: &str) -> anyhow::Result<Season> {
    let known = [Season::Long, Season::Short];
    known
        .into_iter()
        .find(|season| season.code() == code)
        .with_context(|| format!("`{code}` is no season"))
}

/// The published z-scores of both seasons, baseline 2000 to 2015.
pub fn published(folder: &Path) -> anyhow::Result<BTreeMap<Key, f64>> {
    let mut found = BTreeMap::new();
    for season in [Season::Long, Season::Short] {
        let code = season.code();
        let path = folder.join(format!("marsabit_zNDVI_{code}_2000_2015.csv"));
        let table = seasons(&path)?;
        for (place, row) in table.names.iter().zip(&table.rows) {
            for (head, value) in table.seasons.iter().zip(row) {
                let year = head.strip_prefix(code).and_then(|year| year.parse().ok());
                let year = year.with_context(|| format!("{}: `{head}`", path.display()))?;
                let key = Key {
                    place: place.clone(),
                    year,
                    season,
                };
                found.extend(value.map(|value| (key, value)));
            }
        }
    }
    Ok(found)
}

/// Whether a series of dates reaches over a season; composites stand for the days after their
/// date, so the last may lie up to `step` days before the end.
#[must_use]
pub(super) fn reaches(days: &[NaiveDate], first: NaiveDate, last: NaiveDate, step: i32) -> bool {
    let ends = days.last().map(chrono::Datelike::num_days_from_ce);
    let start = days.first();
    start.is_some_and(|day| *day <= first)
        && ends.is_some_and(|day| day >= last.num_days_from_ce().saturating_sub(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seasons_follow_one_another() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        assert_eq!(
            Season::Short.days(2011),
            Some((day("2011-10-01"), day("2012-02-29")))
        );
        assert_eq!(
            Season::Long.days(2011),
            Some((day("2011-03-01"), day("2011-09-30")))
        );
        assert_eq!(Season::Long.before(2011), (Season::Short, 2010));
        assert_eq!(Season::Short.before(2011), (Season::Long, 2011));
    }

    #[test]
    fn one_drought_over_the_new_year_is_one_agricultural_fold() {
        let key = |season, year| Key {
            place: String::new(),
            year,
            season,
        };
        let (short, long) = (key(Season::Short, 2010), key(Season::Long, 2011));
        assert_eq!(
            Folds::Agricultural.of(&short),
            Folds::Agricultural.of(&long)
        );
        assert_ne!(Folds::Calendar.of(&short), Folds::Calendar.of(&long));
    }

    #[test]
    fn a_season_without_one_loss_or_sale_anywhere_was_not_surveyed() {
        let folder = std::env::temp_dir().join(format!("mortality-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let text = "sublocation,season,year,type,households,stock_beginning,loss,offtake,mortality_rate\n\
            A,LRLD,2011,TLU,9,10.0,3.0,0.0,0.3\n\
            B,LRLD,2011,TLU,9,10.0,0.0,0.0,0.0\n\
            A,SRSD,2013,TLU,9,10.0,0.0,0.0,0.0\n\
            A,SRSD,2013,Camel,9,0.0,0.0,0.0,\n";
        let path = folder.join("marsabit_livestock_mortality_by_sublocation_season.csv");
        std::fs::write(path, text).unwrap();
        let found = cases(&folder).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        let surveyed: Vec<bool> = found.iter().map(|case| case.is_surveyed).collect();
        assert_eq!(surveyed, [true, true, false]);
    }
}
