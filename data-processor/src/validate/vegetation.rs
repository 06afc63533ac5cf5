//! Families of vegetation: the smoother, the scores of one place, the published z-scores of Marsabit
//! from another chain than ours. Seasons that a file cannot hold are left out by rule; the one that
//! is left out for disagreeing is named with the figure it would give.
//! Reads below the folder it is given. Called by `validate`.

use std::path::Path;

use anyhow::{Context, anyhow, ensure};
use chrono::NaiveDate;
use domain::season::{Window, YearlessWindow};
use serde_json::Value;

use super::series::{Seasons, Table, dated, reading, seasons};
use super::vectors::{self, Compared, half_digit, keyed, number, numbers};
use super::{Outcome, Row};
use crate::science::basis_risk::pearson;
use crate::science::quantile;
use crate::science::vegetation::score::{Baseline, seasonal_mean};
use crate::science::vegetation::whittaker::{Workspace, smooth};

/// All vegetation families below the data folder.
pub fn rows(data: &Path) -> Outcome {
    let vectors = vectors::read(data)?;
    let modis = dated(&data.join("kenya/marsabit_modis_ndvi_8day_2001_2019.csv"))?;
    let mut rows = vec![smoother(&vectors)?];
    rows.push(somali_series(data)?);
    rows.extend(karare(&modis, &vectors)?);
    for published in [&LONG_RAINS, &SHORT_RAINS] {
        rows.push(published.row(data, &modis)?);
    }
    Ok(rows)
}

fn smoother(vectors: &Value) -> anyhow::Result<Row> {
    let of = |name: &str| numbers(vectors, &format!("/whittaker_d2/{name}"));
    let values: Vec<Option<f64>> = of("y")?.into_iter().map(Some).collect();
    let mut smoothed = vec![0.0; values.len()];
    smooth(
        &values,
        &of("w")?,
        number(vectors, "/whittaker_d2/lambda")?,
        &mut Workspace::default(),
        &mut smoothed,
    )?;
    let mut compared = Compared::default();
    for (found, printed) in smoothed.iter().zip(of("z")?) {
        compared.near(Some(*found), printed);
    }
    Ok(compared.row(
        "whittaker smoother",
        half_digit(6),
        "a gap and a doubtful value",
    ))
}

/// Two NDVI series of southern Somalia with gaps have no published smooth curve; what can be
/// checked on them is that the banded solution solves the equation, written out from its sums.
fn somali_series(data: &Path) -> anyhow::Result<Row> {
    let path = data.join("fixtures/bfast_somalia_ndvi_16day.csv");
    let mut reader =
        csv::Reader::from_path(&path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut columns: [Vec<Option<f64>>; 2] = Default::default();
    for record in reader.records() {
        let record = record.with_context(|| path.display().to_string())?;
        for (column, field) in columns.iter_mut().zip(record.iter().skip(1)) {
            column.push(reading(field)?);
        }
    }
    let mut compared = Compared::default();
    let mut workspace = Workspace::default();
    let mut gaps = 0_usize;
    for values in &columns {
        let weights = vec![1.0; values.len()];
        gaps = gaps.saturating_add(values.iter().filter(|value| value.is_none()).count());
        for lambda in [2.0, 100.0] {
            let mut z = vec![0.0; values.len()];
            smooth(values, &weights, lambda, &mut workspace, &mut z)?;
            for rest in residuals(values, &weights, lambda, &z) {
                compared.near(Some(rest), 0.0);
            }
        }
    }
    Ok(compared.row(
        "whittaker equation on two Somali series",
        1e-10,
        format!("remainder of (W + lambda D'D)z = Wy, {gaps} gaps; no published curve exists"),
    ))
}

/// (W + λD'D)z − Wy, a place a time step, from the second differences themselves.
fn residuals(values: &[Option<f64>], weights: &[f64], lambda: f64, z: &[f64]) -> Vec<f64> {
    let mut rest: Vec<f64> = values
        .iter()
        .zip(weights)
        .zip(z)
        .map(|((value, weight), z)| value.map_or(0.0, |value| weight * (z - value)))
        .collect();
    for (at, bent) in z.windows(3).enumerate() {
        let [a, b, c] = *bent else { continue };
        let bend = lambda * (a - 2.0 * b + c);
        for (place, share) in rest.iter_mut().skip(at).zip([1.0, -2.0, 1.0]) {
            *place += share * bend;
        }
    }
    rest
}

/// Mean of a season's valid composites in a column.
fn season_mean(modis: &Table, column: &[Option<f64>], window: Window) -> Option<f64> {
    seasonal_mean(modis.within(column, window.start, window.last_day()))
}

fn karare(modis: &Table, vectors: &Value) -> Outcome {
    let of = |name: &str| format!("/karare_lrld_ndvi/{name}");
    let column = modis.column("KARARE").context("no column KARARE")?;
    let season: YearlessWindow = "03-01..09-30".parse()?;
    let mean = |year: i32| -> anyhow::Result<Option<f64>> {
        Ok(season_mean(modis, column, season.bind(year)?))
    };
    let years = (2001..=2015)
        .map(mean)
        .collect::<anyhow::Result<Vec<_>>>()?;
    let baseline = Baseline::of(&years).context("no baseline")?;
    let mut moments = Compared::default();
    moments.near(Some(baseline.mean), number(vectors, &of("mean"))?);
    moments.near(Some(baseline.sd), number(vectors, &of("sd_ddof1"))?);
    let scores = |name: &str, score: &dyn Fn(f64) -> Option<f64>| {
        let mut compared = Compared::default();
        for (year, printed) in keyed(vectors, &of(name))? {
            let year = crate::science::whole(year)
                .and_then(|year| i32::try_from(year).ok())
                .ok_or_else(|| anyhow!("{year} is not a year"))?;
            compared.near(mean(year)?.and_then(score), printed);
        }
        anyhow::Ok(compared)
    };
    let z = scores("z", &|season| baseline.z(season))?;
    let vci = scores("vci", &|season| baseline.vci(season))?;
    Ok(vec![
        moments.row(
            "karare NDVI, mean and sd of March to September",
            1e-9,
            "2001-2015",
        ),
        z.row("karare NDVI, z", half_digit(4), "the seasons printed"),
        vci.row(
            "karare NDVI, vegetation condition index",
            half_digit(2),
            "outside the baseline it leaves 0 to 100",
        ),
    ])
}

/// A file of published z-scores.
struct Published {
    family: &'static str,
    file: &'static str,
    /// A season is keyed by the year its first day lies in.
    season: &'static str,
    /// A season left out because the published scores are another series' there. Its figure with
    /// that season in is told in the note.
    left_out: Option<i32>,
    /// Largest 1 − r.
    tolerance: f64,
}

const LONG_RAINS: Published = Published {
    family: "marsabit z of NDVI, long rains and dry season (published)",
    file: "kenya/marsabit_zNDVI_LRLD_2000_2015.csv",
    season: "03-01..09-30",
    left_out: None,
    tolerance: 0.01,
};

const SHORT_RAINS: Published = Published {
    family: "marsabit z of NDVI, short rains and dry season (published)",
    file: "kenya/marsabit_zNDVI_SRSD_2000_2015.csv",
    // ends 29 February in a leap year: a window ends with its month there
    season: "10-01..02-29",
    // the file's last season lies 1.05 deviations (median) from what the composites give, every
    // other at most 0.5; it may have been scored before the season's end, which nothing confirms
    left_out: Some(2015),
    tolerance: 0.03,
};

impl Published {
    fn row(&self, data: &Path, modis: &Table) -> anyhow::Result<Row> {
        let published = seasons(&data.join(self.file))?;
        let kept = self.correlations(&published, modis, self.left_out)?;
        let (Some(median), Some(least)) = (quantile::median(&kept), kept.first()) else {
            return Err(anyhow!(
                "{}: no place in common with the NDVI file",
                self.file
            ));
        };
        let mut note = format!(
            "median r {median:.4}, least {least:.3}, over {} sublocations",
            kept.len()
        );
        if let Some(year) = self.left_out {
            let all = self.correlations(&published, modis, None)?;
            let with = quantile::median(&all).unwrap_or(f64::NAN);
            note = format!(
                "{note}; season {year} left out, where the file disagrees: with it {with:.3}"
            );
        }
        Ok(Row {
            family: self.family.to_owned(),
            compared: kept.len(),
            deviation: 1.0 - median,
            tolerance: self.tolerance,
            note,
        })
    }

    /// Correlation of our seasonal means with the published scores, a place each, sorted. A z-score
    /// of a place is a line through its means, so that the correlation is that of the scores.
    fn correlations(
        &self,
        published: &Seasons,
        modis: &Table,
        without: Option<i32>,
    ) -> anyhow::Result<Vec<f64>> {
        let season: YearlessWindow = self.season.parse()?;
        let windows = published
            .seasons
            .iter()
            .map(|head| {
                let digits = head.trim_start_matches(|c: char| !c.is_ascii_digit());
                let year: i32 = digits
                    .parse()
                    .with_context(|| format!("`{head}` ends in no year"))?;
                Ok((year, season.bind(year)?))
            })
            .collect::<anyhow::Result<Vec<(i32, Window)>>>()?;
        let mut found = Vec::new();
        for (name, scores) in published.names.iter().zip(&published.rows) {
            let Some(column) = modis.column(name) else {
                continue;
            };
            let (ours, theirs): (Vec<f64>, Vec<f64>) = windows
                .iter()
                .zip(scores)
                .filter(|((year, window), _)| Some(*year) != without && covers(modis, *window))
                .filter_map(|((_, window), score)| season_mean(modis, column, *window).zip(*score))
                .unzip();
            let r =
                pearson(&ours, &theirs).with_context(|| format!("{name} has no correlation"))?;
            found.push(r);
        }
        ensure!(!found.is_empty(), "{}: no place in common", self.file);
        quantile::sort(&mut found);
        Ok(found)
    }
}

/// Whether the composites reach over a window: a season that begins before the file is left out.
fn covers(modis: &Table, window: Window) -> bool {
    let last: NaiveDate = window.last_day();
    modis.covers(window.start, last)
}
