//! The declared candidate indices of Marsabit: NDVI and rain of a season and of two, alone and
//! blended, each measured against its own place and season with the held-out year left out of the
//! baseline. The list is short on purpose: twelve surveyed seasons choose among few.
//! Called by the protocol of `basis-risk`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, ensure};

use super::mortality::{Key, Season, reaches};
use crate::science::basis_risk::{Score, standard};
use crate::science::count;
use crate::validate::series::{Table, daily, dated};

/// Values of places and seasons.
pub(super) type Values = BTreeMap<Key, f64>;

/// The candidates, in the order in which they were declared. A tie goes to the first.
pub(super) const NAMES: [&str; 8] = [
    "ndvi z",
    "ndvi robust z",
    "ndvi vci",
    "ndvi z, two seasons",
    "rain z",
    "rain z, two seasons",
    "blend of ndvi and rain",
    "blend, two seasons",
];
/// The index that chooses nothing: the mean of all candidates.
pub(super) const AVERAGE: &str = "average of all eight";

/// Days that a composite of the NDVI file stands for.
const COMPOSITE_DAYS: i32 = 8;
/// Least share of a season's composites that must be valid.
const VALID_MIN: f64 = 0.70;

/// The raw series by season.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    /// Mean NDVI of the season's valid composites.
    ndvi: Values,
    /// Rain of the season, mm.
    rain: Values,
}

/// Reads NDVI and rain of the places.
pub(super) fn read(folder: &Path, places: &BTreeSet<String>) -> anyhow::Result<Raw> {
    let ndvi = dated(&folder.join("marsabit_modis_ndvi_8day_2001_2019.csv"))?;
    let rain = daily(&folder.join("marsabit_chirps_daily_1981_2019.csv.gz"))?;
    let mean = |values: &[Option<f64>]| {
        let valid: Vec<f64> = values.iter().copied().flatten().collect();
        let enough = count(valid.len()) >= VALID_MIN * count(values.len());
        (enough && !valid.is_empty()).then(|| valid.iter().sum::<f64>() / count(valid.len()))
    };
    let total = |values: &[Option<f64>]| values.iter().copied().sum::<Option<f64>>();
    Ok(Raw {
        ndvi: by_season(&ndvi, places, COMPOSITE_DAYS, mean)?,
        rain: by_season(&rain, places, 0, total)?,
    })
}

fn by_season(
    table: &Table,
    places: &BTreeSet<String>,
    step: i32,
    measure: impl Fn(&[Option<f64>]) -> Option<f64>,
) -> anyhow::Result<Values> {
    let mut found = Values::new();
    for place in places {
        let column = table
            .column(place)
            .with_context(|| format!("no column `{place}`"))?;
        for year in 1980..=2020 {
            for season in [Season::Long, Season::Short] {
                let (first, last) = season.days(year).context("a year beyond the calendar")?;
                if !reaches(&table.days, first, last, step) {
                    continue;
                }
                let key = Key {
                    place: place.clone(),
                    year,
                    season,
                };
                let value = measure(table.within(column, first, last));
                found.extend(value.map(|value| (key, value)));
            }
        }
    }
    ensure!(!found.is_empty(), "no season lies wholly in the series");
    Ok(found)
}

/// All candidates and last their average, with the years of `held` left out of every baseline.
/// Each has mean 0 and standard deviation 1 over the baseline of all places and seasons, so that
/// one trigger rule fits all.
pub(super) fn build(raw: &Raw, held: &dyn Fn(&Key) -> bool) -> anyhow::Result<Vec<Values>> {
    let cubes = |rain: &Values| -> Values {
        // the cube root makes a gamma variable nearly normal (Wilson and Hilferty 1931)
        let roots = rain.iter().map(|(key, mm)| (key.clone(), libm::cbrt(*mm)));
        roots.collect()
    };
    let two_seasons_rain: Values = with_before(&raw.rain, |now, before| now + before);
    let ndvi = local(&raw.ndvi, Score::Z, held)?;
    let rain = local(&cubes(&raw.rain), Score::Z, held)?;
    let ndvi_two = with_before(&ndvi, f64::midpoint);
    let rain_two = local(&cubes(&two_seasons_rain), Score::Z, held)?;
    let candidates = [
        ndvi.clone(),
        local(&raw.ndvi, Score::Robust, held)?,
        local(&raw.ndvi, Score::Range, held)?,
        ndvi_two.clone(),
        rain.clone(),
        rain_two.clone(),
        average(&[&ndvi, &rain]),
        average(&[&ndvi_two, &rain_two]),
    ];
    let mut built: Vec<Values> = candidates
        .iter()
        .map(|values| pooled(values, held))
        .collect::<anyhow::Result<_>>()?;
    let all: Vec<&Values> = built.iter().collect();
    built.push(pooled(&average(&all), held)?);
    Ok(built)
}

/// Each value joined with that of the season before, where both exist.
fn with_before(values: &Values, join: impl Fn(f64, f64) -> f64) -> Values {
    let joined = values.iter().filter_map(|(key, now)| {
        let (season, year) = key.season.before(key.year);
        let before = values.get(&Key {
            place: key.place.clone(),
            year,
            season,
        })?;
        Some((key.clone(), join(*now, *before)))
    });
    joined.collect()
}

/// Mean of several, where all exist.
fn average(all: &[&Values]) -> Values {
    let Some((first, others)) = all.split_first() else {
        return Values::new();
    };
    let means = first.iter().filter_map(|(key, value)| {
        let rest: Option<f64> = others.iter().map(|other| other.get(key)).sum();
        Some((key.clone(), (value + rest?) / count(all.len())))
    });
    means.collect()
}

/// Measured against the same place and season, the held years left out.
fn local(values: &Values, score: Score, held: &dyn Fn(&Key) -> bool) -> anyhow::Result<Values> {
    let mut baselines: BTreeMap<(&str, Season), Vec<f64>> = BTreeMap::new();
    for (key, value) in values.iter().filter(|(key, _)| !held(key)) {
        let of = (key.place.as_str(), key.season);
        baselines.entry(of).or_default().push(*value);
    }
    let mut scored = Values::new();
    for (key, value) in values {
        let baseline = baselines.get(&(key.place.as_str(), key.season));
        let (centre, spread) = baseline
            .and_then(|baseline| standard(score, baseline))
            .with_context(|| format!("{}: no spread in the baseline", key.place))?;
        scored.insert(key.clone(), (value - centre) / spread);
    }
    Ok(scored)
}

/// Measured against all places and seasons together.
fn pooled(values: &Values, held: &dyn Fn(&Key) -> bool) -> anyhow::Result<Values> {
    let (centre, spread) =
        standard(Score::Z, &baseline(values, held)).context("no spread in the baseline")?;
    let scored = values.iter();
    let scored = scored.map(|(key, value)| (key.clone(), (value - centre) / spread));
    Ok(scored.collect())
}

/// All values of the years that are not held out.
pub(super) fn baseline(values: &Values, held: &dyn Fn(&Key) -> bool) -> Vec<f64> {
    let known = values.iter().filter(|(key, _)| !held(key));
    known.map(|(_, value)| *value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(season: Season, year: i32) -> Key {
        Key {
            place: "A".to_owned(),
            year,
            season,
        }
    }

    fn raw() -> Raw {
        let series = |scale: f64| -> Values {
            (2001..=2012)
                .flat_map(|year| [(Season::Long, year), (Season::Short, year)])
                .map(|(season, year)| {
                    let wobble = f64::from((year * 7 + i32::from(season == Season::Short)) % 5);
                    (key(season, year), scale * (1.0 + wobble))
                })
                .collect()
        };
        Raw {
            ndvi: series(0.1),
            rain: series(50.0),
        }
    }

    #[test]
    fn the_held_year_moves_no_other_years_score() {
        let held = |key: &Key| key.year == 2009;
        let before = build(&raw(), &held).unwrap();
        let mut changed = raw();
        for values in [&mut changed.ndvi, &mut changed.rain] {
            if let Some(value) = values.get_mut(&key(Season::Short, 2009)) {
                *value *= 3.0;
            }
        }
        let after = build(&changed, &held).unwrap();
        assert_eq!(before.len(), NAMES.len() + 1);
        // the candidates of one season: ndvi thrice, rain, and their blend
        for at in [0, 1, 2, 4, 6] {
            let others = |values: &Values| -> Values {
                let kept = values.iter().filter(|(key, _)| !held(key));
                kept.map(|(key, value)| (key.clone(), *value)).collect()
            };
            assert_eq!(others(&before[at]), others(&after[at]), "{}", NAMES[at]);
        }
    }

    #[test]
    fn candidates_have_one_scale() {
        let none = |_: &Key| false;
        for values in build(&raw(), &none).unwrap() {
            let (centre, spread) = standard(Score::Z, &baseline(&values, &none)).unwrap();
            assert!(centre.abs() < 1e-9 && (spread - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn two_seasons_need_both() {
        let sums = with_before(&raw().rain, |a, b| a + b);
        assert!(!sums.contains_key(&key(Season::Long, 2001)));
        assert!(sums.contains_key(&key(Season::Short, 2001)));
    }

    #[test]
    fn a_place_without_spread_is_refused() {
        let flat: Values = (2001..=2005)
            .map(|year| (key(Season::Long, year), 0.1))
            .collect();
        assert!(local(&flat, Score::Z, &|_| false).is_err());
    }
}
