//! Families of pricing and basis risk: the burn, premiums, ladder and bootstrap of KARARE, the book
//! of 58 places, credibility, layers, certainty equivalents, and Benchmark A on Marsabit's
//! mortality. What was printed is compared in halves of its last digit. Called by `validate`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::series::{Table, daily};
use super::{Outcome, Row};
use crate::batch::as_if::{self, Contract, Place, Season, Vegetation, product};
use crate::science::basis_risk::Worth;
use crate::science::bootstrap::{DRAWS, Interval, means};
use crate::science::burn::{Burn, Detrend, Line, deficit_share, recent};
use crate::science::credibility::Credibility;
use crate::science::portfolio::Layer;
use crate::science::pricing::{Assumptions, Loaded, Tail, gross, ladder};
use crate::science::quantile::{Convention, quantile, sort};

mod benchmark;
mod book;

/// Largest deviations of a family.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    compared: usize,
    deviation: f64,
}

impl Seen {
    /// Takes in a value and what was printed with `digits` decimals: the deviation is counted in
    /// halves of the last digit, so that 1 is rounding and no more.
    fn printed(&mut self, found: f64, printed: f64, digits: u32) {
        let half = (0..digits).fold(0.5, |unit, _| unit / 10.0);
        self.within(found, printed, half);
    }

    /// Takes in a value; the deviation is counted in units of `unit`.
    fn within(&mut self, found: f64, expected: f64, unit: f64) {
        let off = (found - expected).abs() / unit;
        // a number that is none must not pass for a small one
        self.deviation = if off.is_nan() {
            f64::INFINITY
        } else {
            self.deviation.max(off)
        };
        self.compared = self.compared.saturating_add(1);
    }

    /// Takes in a question of yes or no.
    fn holds(&mut self, is_so: bool) {
        self.compared = self.compared.saturating_add(1);
        self.deviation += if is_so { 0.0 } else { 1.0 };
    }

    fn row(self, family: &str, tolerance: f64, note: impl Into<String>) -> Row {
        Row {
            family: family.to_owned(),
            compared: self.compared,
            deviation: self.deviation,
            tolerance,
            note: note.into(),
        }
    }

    /// A row of [`Seen::printed`] values.
    fn digits(self, family: &str, note: &str) -> Row {
        // 1 and a hair: half a digit itself is rounding (87.5625 was printed 87.562)
        self.row(
            family,
            1.000_001,
            format!("halves of the last digit; {note}"),
        )
    }
}

/// All rows of this file.
pub fn rows(data: &Path) -> Outcome {
    let vectors = vectors(data)?;
    let rain = daily(&data.join("kenya/marsabit_chirps_daily_1981_2019.csv.gz"))?;
    let contract = shipped("KE-MZ-PD-LR")?;
    let karare = place(&contract, &rain, "KARARE")?;
    let mut rows = vec![
        worth(&vectors)?,
        stop_loss(&vectors)?,
        totals(&vectors, &karare)?,
        years(&karare),
        burn(&vectors, &karare)?,
        premiums(&karare)?,
        rungs(&karare)?,
        rates(data, &rain)?,
        views(&vectors, &contract, &karare)?,
        bootstrap(&vectors, &karare)?,
        quantiles(&vectors, &karare)?,
    ];
    rows.extend(book::rows(&vectors, &contract, &rain)?);
    rows.extend(benchmark::rows(&data.join("kenya"))?);
    Ok(rows)
}

fn vectors(data: &Path) -> anyhow::Result<Value> {
    let path = data.join("fixtures/vectors.json");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// A number of the vectors, by its JSON pointer.
fn number(vectors: &Value, pointer: &str) -> anyhow::Result<f64> {
    let found = vectors.pointer(pointer).and_then(Value::as_f64);
    found.with_context(|| format!("vectors.json has no number {pointer}"))
}

fn numbers(vectors: &Value, pointer: &str) -> anyhow::Result<Vec<f64>> {
    let list = vectors.pointer(pointer).and_then(Value::as_array);
    let list = list.with_context(|| format!("vectors.json has no list {pointer}"))?;
    let found: Option<Vec<f64>> = list.iter().map(Value::as_f64).collect();
    found.with_context(|| format!("{pointer} of vectors.json holds no number"))
}

/// A shipped product in the zone of Karare.
fn shipped(code: &str) -> anyhow::Result<Contract> {
    let product = product(code)?;
    let zone = product
        .zone("marsabit")
        .context("no zone marsabit")?
        .clone();
    Ok(Contract {
        product,
        zone,
        sown: None,
    })
}

fn place(contract: &Contract, rain: &Table, name: &str) -> anyhow::Result<Place> {
    let column = rain
        .column(name)
        .with_context(|| format!("no column {name}"))?;
    let insured = domain::money::Money::kes(10_000)?;
    let place = contract.place(name, (&rain.days, column), &BTreeMap::new(), insured)?;
    ensure!(
        place.seasons.len() == 39 && place.gaps.is_empty(),
        "{name}: {} seasons have a number, 39 were expected",
        place.seasons.len()
    );
    Ok(place)
}

fn shares(place: &Place) -> Vec<f64> {
    place.seasons.iter().map(|season| season.share).collect()
}

fn rain_mm(place: &Place) -> Vec<f64> {
    place.seasons.iter().map(Season::rain_mm).collect()
}

fn worth(vectors: &Value) -> anyhow::Result<Row> {
    let at = |name: &str| format!("/quality_metrics/{name}");
    let incomes = numbers(vectors, &at("Y"))?;
    let paid = numbers(vectors, &at("index_pay"))?;
    let multiple = number(vectors, &at("prem_multiple"))?;
    let losses: Vec<f64> = incomes.iter().map(|income| 100.0 - income).collect();
    let mut seen = Seen::default();
    for (key, aversion) in [("rho2", 2.0), ("rho1.5", 1.5)] {
        let worth = Worth::of(100.0, &losses, &paid, multiple, aversion).context("no worth")?;
        for (name, found) in [
            ("CE_none", Some(worth.none)),
            ("CE_perfect", Some(worth.perfect)),
            ("CE_index", Some(worth.index)),
            ("RIB", worth.benefit()),
        ] {
            let expected = number(vectors, &at(&format!("{key}/{name}")))?;
            seen.printed(found.unwrap_or(f64::NAN), expected, 6);
        }
    }
    Ok(seen.digits(
        "certainty equivalents and RIB (quality_metrics)",
        "risk aversion 2 and 1.5",
    ))
}

fn stop_loss(vectors: &Value) -> anyhow::Result<Row> {
    let at = |name: &str| number(vectors, &format!("/stop_loss/{name}"));
    let layer = Layer::stop_loss(at("GNPI")?, at("limit_pct")?, at("attach_pct")?);
    let mut seen = Seen::default();
    for case in 0..2 {
        let of = |name: &str| at(&format!("cases/{case}/{name}"));
        let loss = of("L")?;
        seen.within(layer.ceded(loss), of("ceded")?, 1.0);
        seen.within(layer.retained(loss), of("retained")?, 1.0);
    }
    Ok(seen.row("stop-loss layer (stop_loss)", 1e-6, "shillings"))
}

fn totals(vectors: &Value, karare: &Place) -> anyhow::Result<Row> {
    let mut seen = Seen::default();
    for season in &karare.seasons {
        let pointer = format!("/karare_mam/totals_mm/{}", season.year);
        seen.printed(season.rain_mm(), number(vectors, &pointer)?, 2);
    }
    Ok(seen.digits(
        "KARARE March to May totals, 39 years",
        "mm, in whole micrometres here",
    ))
}

fn years(karare: &Place) -> Row {
    // domain notes 3.2
    let printed = [
        (1984, 0.6332),
        (1991, 0.3308),
        (1994, 0.2967),
        (1996, 0.7101),
        (1999, 0.0243),
        (2000, 1.0),
        (2007, 0.1761),
        (2008, 0.2221),
        (2009, 0.9936),
        (2010, 0.2419),
        (2011, 1.0),
        (2019, 0.2956),
    ];
    let mut seen = Seen::default();
    for season in &karare.seasons {
        let known = printed.iter().find(|(year, _)| *year == season.year);
        match known {
            Some((_, share)) => seen.printed(season.share, *share, 4),
            None => seen.within(season.share, 0.0, 1e-12),
        }
    }
    seen.digits(
        "KARARE burn, which years pay what",
        "12 of 39, by the evaluator that settles policies",
    )
}

fn burn(vectors: &Value, karare: &Place) -> anyhow::Result<Row> {
    let paid = shares(karare);
    let burn = Burn::of(&paid).context("no burn")?;
    let tail = Tail::of(&paid).context("no tail")?;
    let mut seen = Seen::default();
    for (name, found) in [
        ("EL", burn.expected),
        ("sd", burn.sd),
        ("se", burn.standard_error),
        ("freq", burn.frequency()),
        ("VaR90", tail.var90),
        ("VaR95", tail.var95),
        ("TVaR90", tail.tvar90),
    ] {
        let pointer = format!("/karare_mam/burn/{name}");
        seen.printed(found, number(vectors, &pointer)?, 6);
    }
    seen.printed(tail.var99, 1.0, 6);
    seen.printed(tail.tvar95, 1.0, 6);
    Ok(seen.digits(
        "KARARE burn, EL, sd, se, VaR and TVaR",
        "trigger 278, exit 95 mm",
    ))
}

/// The worked premiums: a quarter of the premium for costs.
fn quarter(tail: f64) -> Assumptions {
    Assumptions {
        deductions: 0.25,
        tail,
        ..Assumptions::default()
    }
}

fn premiums(karare: &Place) -> anyhow::Result<Row> {
    let paid = shares(karare);
    let none = || "no premium".to_owned();
    let loaded = Loaded::of(&paid, &quarter(0.06)).with_context(none)?;
    let dear = Loaded::of(&paid, &quarter(0.30)).with_context(none)?;
    let gross = |net| gross(net, &quarter(0.06)).with_context(none);
    let mut seen = Seen::default();
    for (found, printed) in [
        (loaded.deviation, 0.226_87),
        (gross(loaded.deviation)?, 0.302_49),
        (loaded.value_at_risk, 0.202_79),
        (gross(loaded.value_at_risk)?, 0.270_39),
        (dear.value_at_risk, 0.406_33),
    ] {
        seen.printed(found, printed, 5);
    }
    Ok(seen.digits(
        "KARARE premiums",
        "standard deviation and VaR99 loadings, net and gross",
    ))
}

fn rungs(karare: &Place) -> anyhow::Result<Row> {
    let probabilities = [0.10, 0.15, 0.20, 0.25, 0.30];
    let found = ladder(&rain_mm(karare), &probabilities, 0.02, &quarter(0.06));
    let printed = [
        (159.31, 0.103, 0.0711, 0.1748),
        (221.84, 0.154, 0.0954, 0.2155),
        (229.81, 0.205, 0.1003, 0.2227),
        (241.56, 0.256, 0.1095, 0.2359),
        (277.72, 0.308, 0.1399, 0.2803),
    ];
    let mut seen = Seen::default();
    for (rung, (trigger, frequency, expected, gross)) in
        found.context("no ladder")?.iter().zip(printed)
    {
        seen.printed(rung.trigger_mm, trigger, 2);
        seen.printed(rung.burn.frequency(), frequency, 3);
        seen.printed(rung.burn.expected, expected, 4);
        seen.printed(rung.gross, gross, 4);
    }
    let note = "halves of the last digit; 0.2359 is printed for 0.23585, 1.09 halves";
    Ok(seen.row("KARARE ladder of triggers", 1.1, note))
}

/// The rates in the product files follow from the record by the rule they state: of a contract with
/// vegetation, the dearer of all years without it and of the years that a satellite saw.
fn rates(data: &Path, rain: &Table) -> anyhow::Result<Row> {
    let mut seen = Seen::default();
    let mut rates = Vec::new();
    for code in ["KE-MZ-PD-LR", "KE-MZ-DI-LR"] {
        let contract = shipped(code)?;
        let mut rate = rate_bp(&place(&contract, rain, "KARARE")?)?;
        if contract.product.vegetation.is_some() {
            rate = rate.max(rate_bp(&seen_place(data, &contract, rain)?)?);
        }
        seen.printed(rate, f64::from(contract.zone.rate_bp.get()), 0);
        rates.push(format!("{code} {rate:.1} bp"));
    }
    Ok(seen.digits(
        "rates of the shipped products from KARARE",
        &format!("basis points: {}", rates.join(", ")),
    ))
}

fn rate_bp(place: &Place) -> anyhow::Result<f64> {
    let with = Assumptions::default();
    let loaded = Loaded::of(&shares(place), &with);
    let rate = loaded.and_then(|loaded| gross(loaded.risk_margin, &with));
    Ok(rate.context("no rate")? * 10_000.0)
}

/// KARARE in the years that MODIS saw, against its seasons of 2001 to 2015.
fn seen_place(data: &Path, contract: &Contract, rain: &Table) -> anyhow::Result<Place> {
    let asked = Vegetation {
        vegetation: Some(data.join("kenya/marsabit_modis_ndvi_8day_2001_2019.csv")),
        baseline: Some("2001..2015".parse()?),
    };
    let file = as_if::Seen::read(&asked, &contract.product)?.context("no vegetation")?;
    let figures = file.of("KARARE")?;
    let column = rain.column("KARARE").context("no column KARARE")?;
    let insured = domain::money::Money::kes(10_000)?;
    let mut place = contract.place("KARARE", (&rain.days, column), &figures, insured)?;
    place
        .seasons
        .retain(|season| season.vegetation_milli.is_some());
    Ok(place)
}

fn views(vectors: &Value, contract: &Contract, karare: &Place) -> anyhow::Result<Row> {
    let paid = shares(karare);
    let linear = contract
        .detrended(karare, Detrend::Linear)?
        .context("no trend")?;
    let burn = Burn::of(&linear).context("no burn")?;
    let of = |name: &str| number(vectors, &format!("/pricing_sensitivity_karare/EL/{name}"));
    let mut seen = Seen::default();
    seen.within(
        Burn::of(&paid).context("no burn")?.expected,
        of("plain")?,
        1e-6,
    );
    seen.within(
        recent(&paid, 20, 1.0).context("no years")?,
        of("last20")?,
        1e-6,
    );
    seen.within(burn.expected, of("linear_detrend_to_2019")?, 1e-6);
    let years: Vec<f64> = karare.seasons.iter().map(|s| f64::from(s.year)).collect();
    let line = Line::fit(&years, &rain_mm(karare)).context("no trend")?;
    seen.within(line.slope, -4.008, 5e-4);
    seen.within(line.at(2019.0), 283.0, 0.5);
    seen.holds(burn.paid == 20);
    Ok(seen.row(
        "KARARE views: plain, last 20, linear to 2019",
        1.0,
        "millionths; 20 of 39 seasons pay at the level of 2019",
    ))
}

fn bootstrap(vectors: &Value, karare: &Place) -> anyhow::Result<Row> {
    let found = Interval::of(&means(&shares(karare), DRAWS, 1)).context("no draws")?;
    let mut seen = Seen::default();
    for (key, value) in [
        ("0.05", found.p05),
        ("0.25", found.p25),
        ("0.5", found.p50),
        ("0.75", found.p75),
        ("0.95", found.p95),
    ] {
        let pointer = format!("/pricing_sensitivity_karare/bootstrap_q/{key}");
        seen.within(value, number(vectors, &pointer)?, 1.0);
    }
    let note = format!("{DRAWS} draws of whole years, seed 1");
    Ok(seen.row("KARARE bootstrap percentiles", 0.004, note))
}

fn quantiles(vectors: &Value, karare: &Place) -> anyhow::Result<Row> {
    let at = |name: &str| format!("/pricing_sensitivity_karare/quantiles/{name}");
    let mut sorted = rain_mm(karare);
    sort(&mut sorted);
    let probabilities = numbers(vectors, &at("probs"))?;
    let mut seen = Seen::default();
    for convention in Convention::ALL {
        let printed = numbers(vectors, &at(&format!("type{}", convention.number())))?;
        for (p, expected) in probabilities.iter().zip(printed) {
            let found = quantile(&sorted, *p, convention).context("no quantile")?;
            seen.printed(found, expected, 3);
        }
    }
    Ok(seen.digits("KARARE quantiles, types 5 to 8", "mm"))
}
