//! Evapotranspiration against the vectors of `vectors.json` and the monthly series of SPEI-R and
//! climate-indices, each in its own convention. Called by `climate`.

use std::path::Path;

use anyhow::anyhow;
use serde_json::Value;

use super::super::Row;
use super::super::vectors::{self, Compared, half_digit};
use super::standardised::WICHITA;
use super::{Found, compare, family, files};
use crate::science::evapotranspiration::monthly::{self, Month, Thornthwaite};
use crate::science::evapotranspiration::{hargreaves, hargreaves_with_mean, radiation, sun};
use crate::science::whole;

/// Latitude of climate-indices' fixture, degrees: the middle of a cell of a 1/24° grid. Its text
/// prints temperatures to six decimals, which is 1e-5 mm of evapotranspiration.
const FLORIDA: f64 = 25.0 + 11.0 / 48.0;

pub(super) fn rows(data: &Path) -> Vec<Row> {
    vec![
        family(
            "Hargreaves, published (vectors)",
            0.05,
            hargreaves_vectors(data, true),
        ),
        family(
            "Hargreaves, Kenyan days (vectors)",
            half_digit(6),
            hargreaves_vectors(data, false),
        ),
        family(
            "Hargreaves, monthly (SPEI-R)",
            1e-12,
            hargreaves_monthly(data),
        ),
        family("Penman-Monteith, Cabinda (SPEI-R)", 1e-12, cabinda(data)),
        family("Thornthwaite (SPEI-R)", 1e-12, thornthwaite(data)),
        family(
            "Thornthwaite (climate-indices)",
            2e-5,
            thornthwaite_leap(data),
        ),
    ]
}

/// The vectors that a source printed, or those computed to six decimals.
fn hargreaves_vectors(data: &Path, is_published: bool) -> Found {
    let vectors = vectors::read(data)?;
    let list = vectors::at(&vectors, "/hargreaves")?.as_array();
    let mut compared = Compared::default();
    for vector in list.ok_or_else(|| anyhow!("vectors.json: /hargreaves is not a list"))? {
        let kind = vector
            .pointer("/kind")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if kind.starts_with("published") == is_published {
            one(vector, &mut compared)?;
        }
    }
    Ok((compared, String::new()))
}

fn one(vector: &Value, compared: &mut Compared) -> anyhow::Result<()> {
    let given = |name: &str| {
        vector
            .pointer(&format!("/in/{name}"))
            .and_then(Value::as_f64)
    };
    let wanted = vectors::at(vector, "/out")?.as_object();
    let place = given("lat").zip(given("doy").and_then(day));
    let ra = given("Ra").or(place.map(|(latitude, day)| sun::extraterrestrial(latitude, day)));
    let extremes = given("tmin").zip(given("tmax"));
    for (name, wanted) in wanted.ok_or_else(|| anyhow!("vectors.json: no figures"))? {
        let wanted = wanted
            .as_f64()
            .ok_or_else(|| anyhow!("vectors.json: {name}"))?;
        let found = match name.as_str() {
            "Ra" => ra,
            "dr" => place.map(|(_, day)| sun::inverse_distance(day)),
            "decl" => place.map(|(_, day)| sun::declination(day)),
            "ws" => place.map(|(latitude, day)| {
                sun::sunset_angle(sun::radians(latitude), sun::declination(day))
            }),
            "Rs_krs0.16" => extremes.zip(ra).and_then(|((t_min, t_max), ra)| {
                radiation::solar_of_range(radiation::RANGE_INLAND, t_min, t_max, ra)
            }),
            "ETo_HS" => extremes
                .zip(ra)
                .and_then(|((t_min, t_max), ra)| match given("tmean") {
                    Some(t_mean) => hargreaves_with_mean(t_min, t_max, t_mean, ra),
                    None => hargreaves(t_min, t_max, ra),
                }),
            other => {
                return Err(anyhow!(
                    "vectors.json: hargreaves has an unknown figure {other}"
                ));
            }
        };
        compared.near(found, wanted);
    }
    Ok(())
}

/// A day of the year from a number.
fn day(value: f64) -> Option<u32> {
    whole(value).and_then(|day| u32::try_from(day).ok())
}

fn hargreaves_monthly(data: &Path) -> Found {
    let table = files::table(data, "wichita", &["TMIN", "TMAX"])?;
    let found: Vec<Option<f64>> = table
        .iter()
        .enumerate()
        .map(|(at, row)| match row.as_slice() {
            [Some(t_min), Some(t_max)] => monthly::hargreaves(*t_min, *t_max, WICHITA, at),
            _ => None,
        })
        .collect();
    let published = files::spei_r(data, "hargreaves_out_lat")?;
    Ok((
        compare(&found, &published),
        "day amid the month, 0.0172, 37.6".to_owned(),
    ))
}

fn cabinda(data: &Path) -> Found {
    let table = files::table(data, "cabinda", &["Tmin", "Tmax", "RH", "U2", "Rs"])?;
    let months: Option<Vec<Month>> = table
        .iter()
        .map(|row| match row.as_slice() {
            [
                Some(t_min),
                Some(t_max),
                Some(humidity),
                Some(wind),
                Some(solar),
            ] => Some(Month {
                t_min: *t_min,
                t_max: *t_max,
                humidity: *humidity,
                wind: *wind,
                solar: *solar,
            }),
            _ => None,
        })
        .collect();
    let months = months.ok_or_else(|| anyhow!("SPEI_R_cabinda.txt: a month is not whole"))?;
    let mut found = vec![0.0; months.len()];
    // 5.33° S, 20 m: FAO-56 figure 18's station, as SPEI-R's test has it
    monthly::penman_icid(&months, -5.33, 20.0, &mut found);
    let found: Vec<Option<f64>> = found.into_iter().map(Some).collect();
    let published = files::spei_r(data, "penman_out_cabinda")?;
    Ok((
        compare(&found, &published),
        "ICID variant of 1994".to_owned(),
    ))
}

fn thornthwaite(data: &Path) -> Found {
    let table = files::table(data, "wichita", &["TMED"])?;
    let warmth: Vec<Option<f64>> = table
        .into_iter()
        .map(|row| row.first().copied().flatten())
        .collect();
    let mut found = vec![None; warmth.len()];
    monthly::thornthwaite(&warmth, WICHITA, Thornthwaite::SpeiR, &mut found);
    let published = files::spei_r(data, "thornthwaite_out")?;
    Ok((compare(&found, &published), String::new()))
}

fn thornthwaite_leap(data: &Path) -> Found {
    let (warmth, _) = files::climate_indices(data, "temp_celsius")?;
    let (published, _) = files::climate_indices(data, "pet_thornthwaite")?;
    let mut found = vec![None; warmth.len()];
    monthly::thornthwaite(
        &warmth,
        FLORIDA,
        Thornthwaite::ClimateIndices(1_895),
        &mut found,
    );
    let note = "temperatures printed to 1e-6 °C, latitude 25 11/48 inferred".to_owned();
    Ok((compare(&found, &published), note))
}
