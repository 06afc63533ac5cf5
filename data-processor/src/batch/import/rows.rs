//! From values to rows: units turned, days moved to local days, what cannot be a measurement taken
//! for missing, what is extreme counted and kept. The one door by which rain enters is the domain's.
//! Never turns a gap into a zero. Called by `import`.

use std::collections::BTreeMap;

use anyhow::{bail, ensure};
use chrono::NaiveDate;
use domain::cell::RiskCell;
use domain::measure::from_millimetres;
use serde::Serialize;
use store::grids::GridDay;
use store::scenes::Scene;

use super::given::{Day, Series};
use super::unit::Unit;
use crate::science::qc::DAY_UM_MAX;
use crate::science::whole;

/// Stored NDVI in an NDVI of one.
const E4: f64 = 1e4;
/// All ground seen, basis points: a composite says nothing of its clouds.
const ALL_SEEN_BP: u16 = 10_000;
/// Least valid NDVI of MODIS; its fill value -3000, scaled, lies below.
const MODIS_MIN: f64 = -0.2;
/// Earliest day taken: no daily series of a place is older.
const FIRST_YEAR: i32 = 1850;

/// What was found in the series of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// As the file names it; several are joined by `+`.
    pub name: String,
    /// Its cell.
    pub cell: RiskCell,
    /// Days with a number.
    pub days: usize,
    /// Days without: blank, a sentinel, or refused.
    pub missing: usize,
    /// Of these, numbers that cannot be a measurement: negative rain, NDVI outside its range.
    pub refused: usize,
    /// Days of more than 250 mm: kept.
    pub heavy: usize,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Measured {
    /// Rain in a unit.
    Rain(Unit),
    /// NDVI, after it is multiplied by this.
    Ndvi {
        /// 1 for NDVI as it is, 0.0001 for MODIS' integers.
        scale: f64,
        /// Whether the sensor is a MODIS.
        is_modis: bool,
    },
}

/// Rows to record, cells rising and days rising within a cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rows {
    /// Rain.
    Rain(Vec<GridDay>),
    /// Vegetation.
    Vegetation(Vec<(RiskCell, Scene)>),
}

impl Rows {
    /// How many.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Rain(rows) => rows.len(),
            Self::Vegetation(rows) => rows.len(),
        }
    }

    /// First and last day.
    pub(crate) fn span(&self) -> Option<(NaiveDate, NaiveDate)> {
        let days: Vec<NaiveDate> = match self {
            Self::Rain(rows) => rows.iter().map(|row| row.day).collect(),
            Self::Vegetation(rows) => rows.iter().map(|(_, scene)| scene.day).collect(),
        };
        Some((*days.iter().min()?, *days.iter().max()?))
    }
}

/// Turns the values of a place into measurements in local days. Returns how many were refused.
/// Fails on a day that is not over by `today`, and on values that are no measurements at all.
pub(crate) fn clean(
    series: &mut Series,
    measured: Measured,
    day: Day,
    today: NaiveDate,
) -> anyhow::Result<usize> {
    let (mut refused, mut beyond) = (0_usize, None);
    for (reported, value) in &mut series.values {
        let local = day.boundary().local_day(*reported);
        ensure!(
            local < today && *reported >= NaiveDate::from_yo_opt(FIRST_YEAR, 1).unwrap_or_default(),
            "{}: {reported} is not a day that is over (today is {today}): cut forecasts and days to \
             come from the file",
            series.name
        );
        *reported = local;
        let Some(given) = *value else { continue };
        let found = match measured {
            Measured::Rain(unit) => Some(unit.mm(given)).filter(|mm| from_millimetres(*mm).is_ok()),
            Measured::Ndvi { scale, is_modis } => {
                let least = if is_modis { MODIS_MIN } else { -1.0 };
                let ndvi = given * scale;
                if ndvi > 1.0 {
                    beyond = beyond.or(Some((*reported, given)));
                }
                Some(ndvi).filter(|ndvi| (least..=1.0).contains(ndvi))
            }
        };
        refused = refused.saturating_add(usize::from(found.is_none()));
        *value = found;
    }
    if let Some((day, given)) = beyond {
        bail!(
            "{}: {given} on {day} is no NDVI, which ends at 1: if the file holds scaled integers, \
             say so with --scale 0.0001",
            series.name
        );
    }
    Ok(refused)
}

/// Refuses a series of rain whose lines are not days: pentads, dekads or composites would become a
/// few very wet days among gaps.
pub(crate) fn check_daily(series: &Series) -> anyhow::Result<()> {
    let days: Vec<NaiveDate> = series.values.iter().map(|(day, _)| *day).collect();
    let steps = days.windows(2).filter_map(|pair| match pair {
        [one, other] => Some(other.signed_duration_since(*one).num_days()),
        _ => None,
    });
    let mut steps: Vec<i64> = steps.collect();
    steps.sort_unstable();
    let middle = steps.get(steps.len() / 2).copied().unwrap_or(1);
    ensure!(
        middle == 1,
        "{}: its lines are mostly {middle} days apart: rain is imported by the day",
        series.name
    );
    Ok(())
}

/// The rows of the cells and what was found in each. `refused` is by cell; `source` names the file.
pub(crate) fn rows(
    cells: &BTreeMap<RiskCell, Series>,
    refused: &BTreeMap<RiskCell, usize>,
    measured: Measured,
    source: &str,
) -> anyhow::Result<(Rows, Vec<Place>)> {
    let mut places = Vec::with_capacity(cells.len());
    let (mut rain, mut scenes) = (Vec::new(), Vec::new());
    for (cell, series) in cells {
        let mut place = Place {
            name: series.name.clone(),
            cell: *cell,
            days: 0,
            missing: 0,
            refused: refused.get(cell).copied().unwrap_or(0),
            heavy: 0,
        };
        for (day, value) in &series.values {
            let Some(value) = *value else {
                place.missing = place.missing.saturating_add(1);
                continue;
            };
            place.days = place.days.saturating_add(1);
            match measured {
                Measured::Rain(_) => {
                    let rain_um = from_millimetres(value)?;
                    place.heavy = place
                        .heavy
                        .saturating_add(usize::from(rain_um.0 > DAY_UM_MAX));
                    rain.push(GridDay {
                        cell: *cell,
                        day: *day,
                        rain_um,
                    });
                }
                Measured::Ndvi { .. } => {
                    let Some(ndvi_e4) = whole(value * E4).and_then(|e4| i16::try_from(e4).ok())
                    else {
                        bail!("{}: {value} on {day} is no NDVI", series.name);
                    };
                    let scene = Scene {
                        day: *day,
                        ndvi_e4,
                        valid_bp: ALL_SEEN_BP,
                        source: source.to_owned(),
                    };
                    scenes.push((*cell, scene));
                }
            }
        }
        places.push(place);
    }
    let rows = match measured {
        Measured::Rain(_) => Rows::Rain(rain),
        Measured::Ndvi { .. } => Rows::Vegetation(scenes),
    };
    ensure!(rows.len() > 0, "the file has no value, only gaps");
    Ok((rows, places))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn series(values: &[(&str, Option<f64>)]) -> Series {
        Series {
            name: "KARARE".to_owned(),
            point: None,
            values: values.iter().map(|(d, v)| (day(d), *v)).collect(),
        }
    }

    const TODAY: &str = "2026-06-01";

    fn cleaned(
        values: &[(&str, Option<f64>)],
        measured: Measured,
        by: Day,
    ) -> anyhow::Result<(Series, usize)> {
        let mut one = series(values);
        let refused = clean(&mut one, measured, by, day(TODAY))?;
        Ok((one, refused))
    }

    #[test]
    fn negative_rain_is_missing_and_counted_and_heavy_rain_is_kept() {
        let values = [
            ("2020-03-01", Some(-0.5)),
            ("2020-03-02", None),
            ("2020-03-03", Some(251.0)),
            ("2020-03-04", Some(0.0)),
            ("2020-03-05", Some(1.234_5)),
        ];
        let (one, refused) = cleaned(&values, Measured::Rain(Unit::Mm), Day::Utc).unwrap();
        assert_eq!(refused, 1);
        let cell: RiskCell = "877a5c541ffffff".parse().unwrap();
        let (rows, places) = rows(
            &BTreeMap::from([(cell, one)]),
            &BTreeMap::from([(cell, refused)]),
            Measured::Rain(Unit::Mm),
            "",
        )
        .unwrap();
        let Rows::Rain(rain) = &rows else {
            panic!("rain")
        };
        let um: Vec<i32> = rain.iter().map(|row| row.rain_um.0).collect();
        assert_eq!(um, [251_000, 0, 1_235]);
        assert_eq!(rows.span(), Some((day("2020-03-03"), day("2020-03-05"))));
        let [place] = places.as_slice() else {
            panic!("one place")
        };
        assert_eq!(
            (place.days, place.missing, place.refused, place.heavy),
            (3, 2, 1, 1)
        );
    }

    #[test]
    fn a_gauges_day_is_the_day_before_it_was_read() {
        let values = [("2020-03-02", Some(4.0))];
        let of = |by| {
            cleaned(&values, Measured::Rain(Unit::Mm), by)
                .unwrap()
                .0
                .values[0]
                .0
        };
        assert_eq!(of(Day::Gauge), day("2020-03-01"));
        assert_eq!(
            (of(Day::Utc), of(Day::Local)),
            (day("2020-03-02"), day("2020-03-02"))
        );
    }

    #[test]
    fn composites_are_not_taken_for_days_of_rain() {
        let by = |days: usize| {
            let all = day("2020-01-01").iter_days().step_by(days).take(9);
            let values: Vec<(String, Option<f64>)> =
                all.map(|day| (day.to_string(), Some(1.0))).collect();
            let values: Vec<_> = values.iter().map(|(d, v)| (d.as_str(), *v)).collect();
            check_daily(&series(&values))
        };
        assert!(by(1).is_ok());
        assert!(by(8).unwrap_err().to_string().contains("8 days apart"));
        assert!(check_daily(&series(&[("2020-01-01", None)])).is_ok());
    }

    #[test]
    fn days_to_come_are_refused() {
        let of = |d| cleaned(&[(d, Some(1.0))], Measured::Rain(Unit::Mm), Day::Local);
        assert!(of("2026-05-31").is_ok());
        let refused = of(TODAY).unwrap_err().to_string();
        assert!(refused.contains("forecasts"), "{refused}");
        assert!(of("0020-03-01").is_err());
    }

    #[test]
    fn ndvi_is_kept_in_ten_thousandths_and_scaled_files_are_noticed() {
        let ndvi = |scale| Measured::Ndvi {
            scale,
            is_modis: true,
        };
        let fill = [("2020-03-01", Some(-0.3)), ("2020-03-09", Some(0.250_72))];
        let (one, refused) = cleaned(&fill, ndvi(1.0), Day::Local).unwrap();
        assert_eq!((one.values[0].1, refused), (None, 1));
        let cell: RiskCell = "877a5c541ffffff".parse().unwrap();
        let cells = BTreeMap::from([(cell, one)]);
        let (rows, _) = rows(&cells, &BTreeMap::new(), ndvi(1.0), "sha256:ab").unwrap();
        let Rows::Vegetation(scenes) = rows else {
            panic!("scenes")
        };
        assert_eq!(
            (scenes[0].1.ndvi_e4, scenes[0].1.source.as_str()),
            (2_507, "sha256:ab")
        );
        let scaled = [("2020-03-01", Some(2_507.0))];
        let refused = cleaned(&scaled, ndvi(1.0), Day::Local)
            .unwrap_err()
            .to_string();
        assert!(refused.contains("--scale 0.0001"), "{refused}");
        let (one, _) = cleaned(&scaled, ndvi(1e-4), Day::Local).unwrap();
        assert!((one.values[0].1.unwrap() - 0.2507).abs() < 1e-12);
    }
}
