//! SPI and SPEI against climate-indices, SPEI-R and the published series of Kenya's long rains, each
//! by the recipe that made it. Called by `climate`.

use std::path::Path;

use anyhow::anyhow;

use super::super::Row;
use super::super::vectors::{self, Compared, half_digit};
use super::{Found, compare, family, files};
use crate::science::distribution::gamma::Gamma;
use crate::science::evapotranspiration::monthly::{self, Thornthwaite};
use crate::science::spei;
use crate::science::spi;
use crate::science::standardise::{Family, Recipe, Scratch, Zeros, calibration, series};
use crate::science::whole;

/// Latitude of Wichita in SPEI-R's data, degrees.
pub(super) const WICHITA: f64 = 37.6475;

/// Tolerance of an index against a printed series.
const PRINTED: f64 = 2e-6;

/// Tolerance of a gamma by L-moments against SPEI-R, which prints all digits.
const BY_MOMENTS: f64 = 1e-10;

/// Tolerance of a log-logistic against SPEI-R, which prints all digits.
const ALL_DIGITS: f64 = 1e-12;

/// Years of the published series whose score is not of its totals but of older, rounded ones.
const STALE: [u32; 5] = [2013, 2015, 2019, 2020, 2021];

/// File of the published series.
const LONG_RAINS: &str = "chirps_v3_kenya_MAM_totals_spi3_drivers.csv";

pub(super) fn rows(data: &Path) -> Vec<Row> {
    let whole = calibration(1_895, 1_895, 2_017, 12).unwrap_or_default();
    let normal = calibration(1_895, 1_981, 2_010, 12).unwrap_or_default();
    let pearson = |recipe: Recipe| Recipe {
        family: Family::Pearson,
        ..recipe
    };
    let mut rows = Vec::new();
    for (name, file, recipe) in [
        (
            "SPI gamma, 1 month (climate-indices)",
            "spi_01_gamma",
            spi::monthly(1, whole.clone()),
        ),
        (
            "SPI gamma, 6 months (climate-indices)",
            "spi_06_gamma",
            spi::monthly(6, whole.clone()),
        ),
        (
            "SPI Pearson III, 6 months (climate-indices)",
            "spi_06_pearson3",
            pearson(spi::monthly(6, normal)),
        ),
        (
            "SPEI gamma, 6 months (climate-indices)",
            "spei_06_gamma",
            spei::monthly_shifted(6, whole.clone(), Family::GammaThom),
        ),
        (
            "SPEI Pearson III, 6 months (climate-indices)",
            "spei_06_pearson3",
            spei::monthly_shifted(6, whole, Family::Pearson),
        ),
    ] {
        rows.push(family(name, PRINTED, climate_indices(data, file, &recipe)));
    }
    let bare = |recipe: Recipe, family: Family| Recipe {
        family,
        zeros: Zeros::LeftOut,
        lowest: f64::MIN,
        clip: f64::INFINITY,
        ..recipe
    };
    for (name, file, scale, fitted, tolerance) in [
        (
            "SPI gamma (SPEI-R)",
            "spi_gamma",
            1,
            Family::GammaMoments,
            BY_MOMENTS,
        ),
        (
            "SPI, 1 month (SPEI-R)",
            "spi_1_vector",
            1,
            Family::GammaMoments,
            BY_MOMENTS,
        ),
        (
            "SPI, 12 months (SPEI-R)",
            "spi_12_vector",
            12,
            Family::GammaMoments,
            BY_MOMENTS,
        ),
        (
            "SPEI gamma (SPEI-R)",
            "spei_gamma",
            1,
            Family::GammaMoments,
            BY_MOMENTS,
        ),
        (
            "SPEI, 1 month (SPEI-R)",
            "spei_1_vector",
            1,
            Family::LogLogistic,
            ALL_DIGITS,
        ),
        (
            "SPEI, 12 months (SPEI-R)",
            "spei_12_vector",
            12,
            Family::LogLogistic,
            ALL_DIGITS,
        ),
    ] {
        let recipe = bare(spi::monthly(scale, 0..0), fitted);
        rows.push(family(name, tolerance, spei_r(data, file, &recipe)));
    }
    rows.push(family(
        "SPI of Kenya's long rains, fit (vectors)",
        1e-7,
        long_rains_fit(data),
    ));
    rows.push(family(
        "SPI of Kenya's long rains, years (vectors)",
        half_digit(5),
        long_rains_years(data),
    ));
    rows.push(family(
        "SPI of Kenya's long rains, series (CHIRPS v3)",
        1e-5,
        long_rains(data),
    ));
    rows.push(family(
        "stale years of that series told apart",
        0.0,
        stale_years(data),
    ));
    rows
}

/// Rain, or rain less evapotranspiration with climate-indices' offset, against one of its files. A
/// file rounded to fewer than six decimals is compared beyond its own rounding.
fn climate_indices(data: &Path, file: &str, recipe: &Recipe) -> Found {
    let (rain, _) = files::climate_indices(data, "precips_mm_monthly")?;
    let (published, decimals) = files::climate_indices(data, file)?;
    let mut readings = rain.clone();
    if file.starts_with("spei") {
        let (eto, _) = files::climate_indices(data, "pet_thornthwaite")?;
        spei::balance(&rain, &eto, spei::OFFSET_MM, &mut readings);
    }
    let mut found = vec![None; readings.len()];
    series(&readings, recipe, &mut Scratch::default(), &mut found)?;
    let mut compared = compare(&found, &published);
    let years = recipe.calibration.start / 12 + 1_895..=recipe.calibration.end / 12 + 1_894;
    let fitted = format!("calibrated {}-{}", years.start(), years.end());
    if decimals >= 6 {
        return Ok((compared, fitted));
    }
    let raw = compared.deviation;
    compared.deviation = (raw - half_digit(decimals)).max(0.0);
    let note = format!(
        "{fitted}; file rounded to {decimals} decimals, beyond which it deviates; raw {raw:.2e}"
    );
    Ok((compared, note))
}

/// Wichita's rain, or rain less Thornthwaite's evapotranspiration, against one of SPEI-R's files.
fn spei_r(data: &Path, file: &str, recipe: &Recipe) -> Found {
    let table = files::table(data, "wichita", &["PRCP", "TMED"])?;
    let column = |at: usize| -> Vec<Option<f64>> {
        table
            .iter()
            .map(|row| row.get(at).copied().flatten())
            .collect()
    };
    let (rain, warmth) = (column(0), column(1));
    let mut readings = rain.clone();
    if file.starts_with("spei") {
        let mut eto = vec![None; warmth.len()];
        monthly::thornthwaite(&warmth, WICHITA, Thornthwaite::SpeiR, &mut eto);
        spei::balance(&rain, &eto, 0.0, &mut readings);
    }
    let recipe = Recipe {
        calibration: 0..readings.len(),
        ..recipe.clone()
    };
    let published = files::spei_r(data, file)?;
    let mut found = vec![None; readings.len()];
    series(&readings, &recipe, &mut Scratch::default(), &mut found)?;
    let fitted = match recipe.family {
        Family::LogLogistic => "log-logistic by unbiased PWM",
        _ => "gamma by L-moments above zero, no mass at zero, no cut",
    };
    Ok((compare(&found, &published), fitted.to_owned()))
}

/// Years, totals in mm and published scores; a total below nought (−9999) is missing.
fn long_rains_file(data: &Path) -> anyhow::Result<Vec<(u32, Option<f64>, f64)>> {
    let table = files::kenya(data, LONG_RAINS, &["year", "total_mm", "spi3"])?;
    let rows = table.iter().map(|row| {
        let year = row.first().copied().flatten().and_then(year)?;
        let total = row.get(1).copied().flatten().filter(|mm| *mm >= 0.0);
        Some((year, total, row.get(2).copied().flatten()?))
    });
    let rows: Option<Vec<_>> = rows.collect();
    rows.ok_or_else(|| anyhow!("{LONG_RAINS}: a row without a year or a score"))
}

/// A year from a column of numbers.
fn year(value: f64) -> Option<u32> {
    whole(value).and_then(|year| u32::try_from(year).ok())
}

fn scored(data: &Path) -> anyhow::Result<Vec<(u32, Option<f64>, f64)>> {
    let rows = long_rains_file(data)?;
    let totals: Vec<Option<f64>> = rows.iter().map(|(_, total, _)| *total).collect();
    let mut scores = vec![None; totals.len()];
    series(
        &totals,
        &spi::seasonal(0..totals.len()),
        &mut Scratch::default(),
        &mut scores,
    )?;
    let rows = rows.iter().zip(scores);
    Ok(rows
        .map(|((year, _, published), score)| (*year, score, *published))
        .collect())
}

fn long_rains(data: &Path) -> Found {
    let mut compared = Compared::default();
    for (year, score, published) in scored(data)? {
        if !STALE.contains(&year) {
            compared.near(score, published);
        }
    }
    Ok((
        compared,
        format!("without {STALE:?}, which hold older values"),
    ))
}

fn stale_years(data: &Path) -> Found {
    let mut compared = Compared::default();
    let mut least = f64::INFINITY;
    for (year, score, published) in scored(data)? {
        if STALE.contains(&year) {
            let off = score.map_or(0.0, |score| (score - published).abs());
            least = least.min(off);
            compared.same(&(off > 1e-3), &true);
        }
    }
    Ok((
        compared,
        format!("each must miss its own total's score; the nearest by {least:.4}"),
    ))
}

fn long_rains_fit(data: &Path) -> Found {
    let vectors = vectors::read(data)?;
    let rows = long_rains_file(data)?;
    let totals: Vec<f64> = rows.iter().filter_map(|(_, total, _)| *total).collect();
    let logarithms: Vec<f64> = totals.iter().map(|total| libm::log(*total)).collect();
    let fit = Gamma::thom(&totals, &logarithms)?;
    let mut compared = Compared::default();
    compared.near(
        Some(fit.shape),
        vectors::number(&vectors, "/spi_mam_kenya/thom/alpha")?,
    );
    compared.near(
        Some(fit.scale),
        vectors::number(&vectors, "/spi_mam_kenya/thom/beta")?,
    );
    Ok((
        compared,
        format!(
            "alpha {:.7}, beta {:.7}, n {}",
            fit.shape,
            fit.scale,
            totals.len()
        ),
    ))
}

fn long_rains_years(data: &Path) -> Found {
    let vectors = vectors::read(data)?;
    let scored = scored(data)?;
    let mut compared = Compared::default();
    for (year, published) in vectors::keyed(&vectors, "/spi_mam_kenya/spi")? {
        let found = scored
            .iter()
            .find(|(known, _, _)| self::year(year) == Some(*known));
        compared.near(found.and_then(|(_, score, _)| *score), published);
    }
    Ok((compared, String::new()))
}
