//! The crop's water balance against Makueni's long rains of 2019, with both second draws. Called by
//! `climate`.

use std::path::Path;

use anyhow::{anyhow, ensure};

use super::super::Row;
use super::super::vectors::{self, Compared, half_digit};
use super::{Found, family};
use crate::science::water_balance::{self as balance, Crop, Season, SecondDraw, Step};
use crate::science::whole;

/// The index of the same season with the second draw as NASA's Fortran has it, to three decimals.
const AS_IN_LISF: f64 = 47.428;

pub(super) fn rows(data: &Path) -> Vec<Row> {
    let tolerance = half_digit(3);
    vec![
        family(
            "WRSI Makueni 2019, symmetric second draw (vectors)",
            tolerance,
            symmetric(data),
        ),
        family(
            "WRSI Makueni 2019, second draw as in LISF",
            tolerance,
            as_in_lisf(data),
        ),
    ]
}

/// The rows of the vectors, their season, and the balance's.
fn run(
    data: &Path,
    second: SecondDraw,
) -> anyhow::Result<(Vec<Vec<f64>>, Season, Vec<balance::Row>)> {
    let vectors = vectors::read(data)?;
    let named =
        |name: &str| vectors::number(&vectors, &format!("/wrsi_makueni_2019_fixed/params/{name}"));
    let three = |name: &str| -> anyhow::Result<[f64; 3]> {
        let list = vectors::numbers(&vectors, &format!("/wrsi_makueni_2019_fixed/params/{name}"))?;
        list.try_into()
            .map_err(|_| anyhow!("vectors.json: {name} is not three numbers"))
    };
    let table = vectors::table(&vectors, "/wrsi_makueni_2019_fixed/rows")?;
    let crop = Crop {
        length: u32::try_from(table.len())?,
        knots: three("F")?,
        coefficients: three("K")?,
        root_initial: named("rini")?,
        stress: named("kp")?,
        weights: [named("c1")?, named("c2")?],
    };
    ensure!(
        whole(named("LGP")?) == Some(i64::from(crop.length)),
        "vectors.json: as many rows as LGP are wanted"
    );
    let steps: Vec<Step> = table
        .iter()
        .map(|row| Step {
            rain: row.get(4).copied(),
            eto: row.get(5).copied(),
        })
        .collect();
    let before = table
        .first()
        .and_then(|row| row.get(7))
        .copied()
        .unwrap_or_default();
    let mut rows = vec![balance::Row::default(); steps.len()];
    let season = balance::season(&steps, before, (&crop, named("WHC")?, second), &mut rows)?;
    Ok((table, season, rows))
}

fn symmetric(data: &Path) -> Found {
    let (table, season, rows) = run(data, SecondDraw::Symmetric)?;
    let vectors = vectors::read(data)?;
    let mut compared = Compared::default();
    for (wanted, row) in table.iter().zip(&rows) {
        let found = [
            row.share,
            row.coefficient,
            row.enough,
            row.requirement,
            row.before,
            row.drunk,
            row.after,
            row.surplus,
        ];
        for (found, at) in found.into_iter().zip([1, 2, 3, 6, 7, 8, 9, 10]) {
            let wanted = wanted
                .get(at)
                .ok_or_else(|| anyhow!("vectors.json: a short row"))?;
            compared.near(Some(found), *wanted);
        }
    }
    for (name, found) in [
        ("WRSI", season.wrsi),
        ("WR", season.requirement),
        ("AET", season.drunk),
    ] {
        let wanted = vectors::number(&vectors, &format!("/wrsi_makueni_2019_fixed/{name}"))?;
        compared.near(Some(found), wanted);
    }
    Ok((compared, format!("WRSI {:.4}", season.wrsi)))
}

fn as_in_lisf(data: &Path) -> Found {
    let (_, season, _) = run(data, SecondDraw::AsInLisf)?;
    let mut compared = Compared::default();
    compared.near(Some(season.wrsi), AS_IN_LISF);
    Ok((
        compared,
        format!("WRSI {:.4}; not GeoWRSI's bits", season.wrsi),
    ))
}
