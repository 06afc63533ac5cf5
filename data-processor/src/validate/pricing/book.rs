//! The book of 58 places: as-if years, tails, return periods, correlations, credibility, and how
//! the two seasons of a year hang together.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::Value;

use super::{Contract, Credibility, Row, Seen, Table, deficit_share, number, rain_mm};
use super::{Convention, quantile, sort};
use crate::batch::as_if::Place;
use crate::science::basis_risk::pearson;
use crate::science::burn::mean;
use crate::science::portfolio::{
    Summary, correlations, ranked, summary, value_at_risk, year_losses,
};

/// Year losses, worst first, with return periods (domain notes 3.4 and 3.6).
const WORST: [(i32, f64, f64); 8] = [
    (2000, 1.000, 40.0),
    (2011, 0.977, 20.0),
    (2009, 0.824, 13.3),
    (1984, 0.717, 10.0),
    (1996, 0.386, 8.0),
    (2017, 0.358, 6.7),
    (1993, 0.316, 5.7),
    (1983, 0.276, 5.0),
];

/// One season of the book under local triggers at the 30 % and 5 % quantiles (type 7).
struct Book {
    years: Vec<i32>,
    rain: Vec<Vec<f64>>,
    losses: Vec<f64>,
    summary: Summary,
}

impl Book {
    fn of(places: &[Place]) -> anyhow::Result<Self> {
        let rain: Vec<Vec<f64>> = places.iter().map(rain_mm).collect();
        let local = |rain: &Vec<f64>| {
            let mut sorted = rain.clone();
            sort(&mut sorted);
            let at = |p| quantile(&sorted, p, Convention::Linear);
            let (trigger, exit) = at(0.30).zip(at(0.05))?;
            let shares = rain.iter().map(|mm| deficit_share(*mm, trigger, exit));
            Some(shares.collect::<Vec<f64>>())
        };
        let shares: Option<Vec<Vec<f64>>> = rain.iter().map(local).collect();
        let shares = shares.context("no quantiles")?;
        let equal = vec![1.0; shares.len()];
        let first = places.first().context("no places")?;
        Ok(Self {
            years: first.seasons.iter().map(|season| season.year).collect(),
            rain,
            losses: year_losses(&shares, &equal).context("years differ between places")?,
            summary: summary(&shares, &equal).context("no summary")?,
        })
    }

    fn loss(&self, year: i32) -> Option<f64> {
        let at = self.years.iter().position(|known| *known == year)?;
        self.losses.get(at).copied()
    }
}

pub(super) fn rows(vectors: &Value, contract: &Contract, rain: &Table) -> anyhow::Result<Vec<Row>> {
    let long = places(contract, rain)?;
    let short = places(&contract.over("10-01..12-31".parse()?), rain)?;
    let (long_book, short_book) = (Book::of(&long)?, Book::of(&short)?);
    Ok(vec![
        as_if_years(&long_book),
        figures(&long_book)?,
        dependence(&long_book, &short_book)?,
        credibility(vectors, &long)?,
    ])
}

fn places(contract: &Contract, rain: &Table) -> anyhow::Result<Vec<Place>> {
    let columns = rain.names.iter().zip(&rain.columns);
    let place = |(name, column): (&String, &Vec<Option<f64>>)| {
        let insured = domain::money::Money::ZERO_KES;
        contract.place(name, (&rain.days, column), &BTreeMap::new(), insured)
    };
    columns.map(place).collect()
}

fn as_if_years(book: &Book) -> Row {
    let mut seen = Seen::default();
    for (found, (year, loss, returns)) in ranked(&book.losses).iter().zip(WORST) {
        let same = book.years.get(found.position) == Some(&year);
        seen.printed(if same { found.loss } else { f64::NAN }, loss, 3);
        seen.printed(found.return_years, returns, 1);
    }
    let note = "the eight worst years in order, with return periods";
    seen.digits("book of 58 places, as-if years kept whole", note)
}

fn figures(book: &Book) -> anyhow::Result<Row> {
    let none = "no years";
    let mut seen = Seen::default();
    seen.printed(book.summary.average, 0.1578, 4);
    seen.printed(book.summary.sd, 0.2728, 4);
    seen.printed(book.summary.cell_sd, 0.3106, 4);
    seen.printed(value_at_risk(&book.losses, 0.90).context(none)?, 0.452, 3);
    seen.printed(value_at_risk(&book.losses, 0.95).context(none)?, 0.840, 3);
    let pairs = correlations(&book.rain);
    seen.printed(mean(&pairs).context(none)?, 0.857, 3);
    seen.printed(pairs.into_iter().reduce(f64::min).context(none)?, 0.569, 3);
    seen.holds(book.losses.iter().filter(|loss| **loss > 0.5).count() == 4);
    Ok(seen.digits(
        "book of 58 places, AAL, sd, VaR, correlation",
        "4 of 39 years above one half",
    ))
}

fn dependence(long: &Book, short: &Book) -> anyhow::Result<Row> {
    let paired = |ahead: i32| {
        let pairs = short.years.iter().filter_map(|year| {
            let later = long.loss(year.saturating_add(ahead))?;
            Some((short.loss(*year)?, later))
        });
        let (a, b): (Vec<f64>, Vec<f64>) = pairs.unzip();
        pearson(&a, &b).context("no correlation")
    };
    let both = short.years.iter().filter_map(|year| {
        let sum = short.loss(*year)? + long.loss(*year)?;
        Some((*year, sum))
    });
    let worst = both
        .reduce(|a, b| if b.1 > a.1 { b } else { a })
        .context("no years")?;
    let mut seen = Seen::default();
    seen.printed(paired(0)?, 0.01, 2);
    seen.printed(paired(1)?, 0.31, 2);
    seen.printed(if worst.0 == 2000 { worst.1 } else { f64::NAN }, 1.387, 3);
    Ok(seen.digits(
        "book of 58 places, October to December and March to May",
        "same year, and with the next year; the worst two seasons",
    ))
}

fn credibility(vectors: &Value, places: &[Place]) -> anyhow::Result<Row> {
    let of = |name: &str| number(vectors, &format!("/buhlmann_58cells_T200_E80/{name}"));
    let records: Vec<Vec<f64>> = places
        .iter()
        .map(|place| {
            let totals = rain_mm(place);
            totals
                .iter()
                .map(|mm| deficit_share(*mm, 200.0, 80.0))
                .collect()
        })
        .collect();
    let found = Credibility::of(&records).context("no credibility")?;
    let mut seen = Seen::default();
    for (name, value) in [
        ("grand", Some(found.grand)),
        ("s2", Some(found.within)),
        ("a", Some(found.between)),
        ("k", found.k),
        ("Z", Some(found.weight)),
    ] {
        seen.within(value.unwrap_or(f64::NAN), of(name)?, 1.0);
    }
    for name in ["KARARE", "GALAS"] {
        let at = places.iter().position(|place| place.name == name);
        let own = at
            .and_then(|at| records.get(at))
            .and_then(|record| mean(record));
        let own = own.with_context(|| format!("no place {name}"))?;
        seen.within(own, of(&format!("{name}/0"))?, 1.0);
        seen.within(found.blend(own), of(&format!("{name}/1"))?, 1.0);
    }
    Ok(seen.row(
        "credibility of 58 places (buhlmann_58cells_T200_E80)",
        1e-9,
        "39 years each; ten decimals are printed, one figure (GALAS) cut and not rounded",
    ))
}
