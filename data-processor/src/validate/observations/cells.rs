//! Interpolation and cells against the published vectors: distances, inverse distance, ordinary
//! kriging with its weights and variance, and the H3 cells of three places.
//! Called by the families on observations.

use std::path::Path;

use anyhow::{Context, ensure};
use h3o::Resolution;
use serde_json::Value;

use super::{Found, Row, agreed, read, row};
use crate::science::interpolate::kriging::{Kriging, Variogram};
use crate::science::interpolate::near::{Limits, Site, inverse_distance_mm};
use crate::science::interpolate::place::{Place, cell_at, haversine_km};

/// The vectors are printed to six decimals.
const PRINTED: f64 = 5.1e-7;

pub(super) fn rows(data: &Path) -> Vec<Row> {
    let file = data.join("fixtures/vectors.json");
    let vectors = || -> anyhow::Result<Value> { Ok(serde_json::from_str(&read(&file)?)?) };
    let interpolation = |of: fn(&Vector) -> anyhow::Result<Pairs>| {
        let vector = Vector::of(&vectors()?)?;
        Ok(largest(&of(&vector)?))
    };
    vec![
        row(
            "interp distances (haversine)",
            interpolation(Vector::distances),
        ),
        row(
            "interp inverse distance squared",
            interpolation(Vector::inverse),
        ),
        row("interp ordinary kriging", interpolation(Vector::kriging)),
        row("h3 cells", vectors().and_then(|vectors| cells(&vectors))),
    ]
}

/// Numbers found and printed.
type Pairs = Vec<(f64, f64)>;

fn largest(pairs: &[(f64, f64)]) -> Found {
    let deviation = pairs
        .iter()
        .map(|(found, printed)| (found - printed).abs())
        .fold(0.0, f64::max);
    Found {
        compared: pairs.len(),
        deviation,
        tolerance: PRINTED,
        note: "printed to six decimals".to_owned(),
    }
}

struct Vector {
    target: Place,
    stations: Vec<(Place, f64)>,
    interp: Value,
}

fn numbers(of: &Value, name: &str) -> anyhow::Result<Vec<f64>> {
    let list = of.get(name).and_then(Value::as_array);
    let list = list.with_context(|| format!("no list `{name}`"))?;
    list.iter()
        .map(|number| number.as_f64().context("not a number"))
        .collect()
}

fn number(of: &Value, name: &str) -> anyhow::Result<f64> {
    let value = of.get(name).and_then(Value::as_f64);
    value.with_context(|| format!("no number `{name}`"))
}

impl Vector {
    fn of(vectors: &Value) -> anyhow::Result<Self> {
        let interp = vectors.get("interp").context("no vectors `interp`")?;
        let target = numbers(interp, "target")?;
        let [lat, lon] = target.as_slice() else {
            anyhow::bail!("the target is no pair");
        };
        let mut stations = Vec::new();
        for station in interp
            .get("stations")
            .and_then(Value::as_array)
            .context("no stations")?
        {
            let of: Vec<f64> = station
                .as_array()
                .context("a station is no list")?
                .iter()
                .filter_map(Value::as_f64)
                .collect();
            let [lat, lon, mm] = of.as_slice() else {
                anyhow::bail!("a station is no triple");
            };
            let place = Place {
                lat: *lat,
                lon: *lon,
            };
            stations.push((place, *mm));
        }
        Ok(Self {
            target: Place {
                lat: *lat,
                lon: *lon,
            },
            stations,
            interp: interp.clone(),
        })
    }

    fn distances(&self) -> anyhow::Result<Pairs> {
        let printed = numbers(&self.interp, "dist_km")?;
        let found = self
            .stations
            .iter()
            .map(|(place, _)| haversine_km(self.target, *place));
        Ok(found.zip(printed).collect())
    }

    fn inverse(&self) -> anyhow::Result<Pairs> {
        let site = |place: Place| Site {
            place,
            elevation_m: Some(0.0),
        };
        let stations: Vec<Site> = self
            .stations
            .iter()
            .map(|(place, _)| site(*place))
            .collect();
        let rain: Vec<Option<f64>> = self.stations.iter().map(|(_, mm)| Some(*mm)).collect();
        let found = inverse_distance_mm(site(self.target), &stations, &rain, &Limits::DAILY_RAIN)
            .context("too few stations")?;
        Ok(vec![(found, number(&self.interp, "idw_p2")?)])
    }

    fn kriging(&self) -> anyhow::Result<Pairs> {
        let printed = self.interp.get("ok_exp").context("no `ok_exp`")?;
        let variogram = Variogram {
            nugget: number(printed, "nugget")?,
            sill: number(printed, "psill")?,
            range_km: number(printed, "L_km")?,
        };
        let places: Vec<Place> = self.stations.iter().map(|(place, _)| *place).collect();
        let values: Vec<f64> = self.stations.iter().map(|(_, mm)| *mm).collect();
        let found = Kriging::of(variogram, self.target, &places).context("no solution")?;
        let mut pairs = vec![
            (found.estimate(&values), number(printed, "est")?),
            (found.variance, number(printed, "var")?),
        ];
        pairs.extend(found.weights.iter().copied().zip(numbers(printed, "w")?));
        Ok(pairs)
    }
}

fn cells(vectors: &Value) -> anyhow::Result<Found> {
    let h3 = vectors.get("h3").context("no vectors `h3`")?;
    let resolutions: Vec<Resolution> = numbers(h3, "res")?
        .into_iter()
        .map(|number| {
            let whole = u8::try_from(crate::science::whole(number).unwrap_or(-1))?;
            Ok(Resolution::try_from(whole)?)
        })
        .collect::<anyhow::Result<_>>()?;
    let places = h3.get("cells").and_then(Value::as_object);
    let (mut compared, mut misses) = (0_usize, 0_usize);
    for (text, printed) in places.context("no cells")? {
        let (lat, lon) = text.split_once(',').context("a place is no pair")?;
        let place = Place {
            lat: lat.parse()?,
            lon: lon.parse()?,
        };
        let printed = printed.as_array().context("cells are no list")?;
        ensure!(
            printed.len() == resolutions.len(),
            "cells of another length"
        );
        for (resolution, printed) in resolutions.iter().zip(printed) {
            let found = cell_at(place, *resolution)?.to_string();
            compared = compared.saturating_add(1);
            misses = misses.saturating_add(usize::from(printed.as_str() != Some(found.as_str())));
        }
    }
    Ok(agreed(compared, misses, "resolutions 5 to 8".to_owned()))
}
