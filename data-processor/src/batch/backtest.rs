//! `data-processor backtest`: what a product would have paid in every season of a daily rain file,
//! by its own evaluator, with the burn of each place and a chart. Never fills a missing day: a
//! season that lacks one is named, not numbered. Called by `main`.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use domain::money::Money;
use serde::Serialize;

use crate::batch::as_if::{
    Contract, Cover, Gap, Place, Rain, Season, Seen, Vegetation, absent_rule, common, float,
    places, read,
};
use crate::batch::chart::{Burned, burn};
use crate::batch::report::{Files, Table, four, percent, progress, say};
use crate::science::burn::{Burn, mean};
use crate::science::credibility::Credibility;

/// Thousandths in one.
const MILLI: f64 = 1_000.0;

const EXAMPLES: &str = "\
Examples:
  The shipped rain deficit product on every ward of Marsabit that the file has:
    data-processor backtest --rain marsabit_chirps_daily_1981_2019.csv.gz
  One place, year by year, with a chart and a file for a spreadsheet:
    data-processor backtest --rain marsabit_chirps_daily_1981_2019.csv.gz --place KARARE \\
        --svg karare.svg --json karare.json
  A contract that does not exist yet:
    data-processor backtest --rain marsabit_chirps_daily_1981_2019.csv.gz --place KARARE \\
        --trigger 230 --exit 73 --window 10-01..12-31
  The damage index with vegetation, against the years that MODIS saw:
    data-processor backtest --rain marsabit_chirps_daily_1981_2019.csv.gz --product KE-MZ-DI-LR \\
        --vegetation marsabit_modis_ndvi_8day_2001_2019.csv --baseline 2001..2015

The table has a line a season for one place, and a line a place for several; the chart shows one
place, or the mean of several over the years that all of them have. Shares are of the sum insured,
in the product's own whole numbers (basis points are never rounded before the shilling). `credible EL`
draws a place's mean to that of all places as far as its years do not bear it (Buhlmann). Years
without vegetation are evaluated by the contract's own rule for its absence, and counted.";

/// What a product would have paid in every season of a daily rain file.
///
/// Each season is evaluated by the very code that settles policies. A season with a missing day has
/// no number: the day is not filled, and the season is listed below the table.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = EXAMPLES, after_help = "More with --help: examples, what the columns mean.")]
pub struct Backtest {
    #[command(flatten)]
    cover: Cover,
    #[command(flatten)]
    rain: Rain,
    #[command(flatten)]
    vegetation: Vegetation,
    /// Sum insured for the column of payouts, KES.
    #[arg(long, value_name = "KES", default_value_t = 10_000)]
    sum_insured: i64,
    #[command(flatten)]
    files: Files,
}

/// The report in numbers.
#[derive(Debug, Clone, Serialize)]
struct Report {
    product: String,
    zone: String,
    sum_insured_kes: i64,
    /// What the contract does in a season without vegetation; of one without that part none.
    vegetation_absent_rule: Option<String>,
    /// Years that a season's vegetation is compared with.
    vegetation_baseline: Option<[i32; 2]>,
    places: Vec<PlaceReport>,
}

#[derive(Debug, Clone, Serialize)]
struct PlaceReport {
    place: String,
    seasons: Vec<SeasonReport>,
    seasons_without_a_number: Vec<GapReport>,
    readings_refused: usize,
    seasons_with_vegetation: usize,
    seasons_paid: usize,
    frequency: f64,
    expected_loss: f64,
    /// Over the seasons with vegetation alone.
    expected_loss_with_vegetation: Option<f64>,
    sd: f64,
    standard_error: f64,
    /// The expected loss drawn to the mean of all places by their credibility (Buhlmann), over the
    /// seasons that all have; of a single place none.
    credible_expected_loss: Option<f64>,
}

#[derive(Debug, Clone, Serialize)]
struct SeasonReport {
    year: i32,
    rain_mm: f64,
    vegetation: Option<f64>,
    share: f64,
    payout_kes: i64,
}

#[derive(Debug, Clone, Serialize)]
struct GapReport {
    year: i32,
    missing_days: u32,
}

/// Runs it. Errors name the file, the place or the field that is at fault.
pub fn run(asked: &Backtest) -> anyhow::Result<ExitCode> {
    let (contract, table, chosen) = read(&asked.cover, &asked.rain)?;
    let insured = Money::kes(asked.sum_insured)?;
    let seen = Seen::read(&asked.vegetation, &contract.product)?;
    let found = places(&contract, &table, &chosen, seen.as_ref(), insured)?;
    let mut reports: Vec<PlaceReport> = found.iter().map(report).collect::<anyhow::Result<_>>()?;
    let (_, rows) = common(&found);
    if let Some(credibility) = Credibility::of(&rows) {
        for (place, row) in reports.iter_mut().zip(&rows) {
            place.credible_expected_loss = mean(row).map(|own| credibility.blend(own));
        }
    }
    say(&format!("backtest {}", contract.title()))?;
    let rule = absent_rule(&contract.product);
    if let [only] = reports.as_slice() {
        one_place(only, seen.as_ref())?;
    } else {
        many_places(&reports, seen.is_some())?;
    }
    if let Some(rule) = &rule {
        vegetation(&reports, seen.as_ref(), rule)?;
    }
    for place in &reports {
        for gap in &place.seasons_without_a_number {
            let (name, year, days) = (&place.place, gap.year, gap.missing_days);
            say(&format!("no number: {name} {year}, {days} days missing"))?;
        }
        if place.readings_refused > 0 {
            let (name, number) = (&place.place, place.readings_refused);
            progress(&format!("{name}: {number} readings refused as impossible"));
        }
    }
    let whole = Report {
        product: contract.product.code.clone(),
        zone: contract.zones(),
        sum_insured_kes: asked.sum_insured,
        vegetation_absent_rule: rule,
        vegetation_baseline: seen.map(|seen| [seen.baseline.first, seen.baseline.last]),
        places: reports,
    };
    asked.files.write(&whole, || draw(&contract, &found))?;
    Ok(ExitCode::SUCCESS)
}

fn report(place: &Place) -> anyhow::Result<PlaceReport> {
    let shares: Vec<f64> = place.seasons.iter().map(|s| s.share).collect();
    let burn = Burn::of(&shares)
        .with_context(|| format!("{}: fewer than two seasons have a number", place.name))?;
    let season = |s: &Season| SeasonReport {
        year: s.year,
        rain_mm: s.rain_mm(),
        vegetation: s.vegetation_milli.map(|milli| float(milli) / MILLI),
        share: s.share,
        payout_kes: s.payout.whole_shillings().unwrap_or(0),
    };
    let gap = |gap: &Gap| GapReport {
        year: gap.year,
        missing_days: gap.missing_days,
    };
    let with_vegetation: Vec<f64> = place
        .seasons
        .iter()
        .filter(|s| s.vegetation_milli.is_some())
        .map(|s| s.share)
        .collect();
    Ok(PlaceReport {
        place: place.name.clone(),
        seasons: place.seasons.iter().map(season).collect(),
        seasons_without_a_number: place.gaps.iter().map(gap).collect(),
        readings_refused: place.refused,
        seasons_with_vegetation: with_vegetation.len(),
        seasons_paid: burn.paid,
        frequency: burn.frequency(),
        expected_loss: burn.expected,
        expected_loss_with_vegetation: mean(&with_vegetation),
        sd: burn.sd,
        standard_error: burn.standard_error,
        credible_expected_loss: None,
    })
}

fn one_place(place: &PlaceReport, seen: Option<&Seen>) -> anyhow::Result<()> {
    let mut heads = vec!["season of", "rain mm"];
    heads.extend(seen.map(Seen::unit));
    heads.extend(["paid", "KES"]);
    let mut table = Table::new(&heads);
    for season in &place.seasons {
        let measured = season.vegetation.map(|measure| format!("{measure:+.3}"));
        let measured = seen.map(|_| measured.unwrap_or("absent".to_owned()));
        let heads = [season.year.to_string(), format!("{:.2}", season.rain_mm)];
        let paid = [percent(season.share), season.payout_kes.to_string()];
        table.row(heads.into_iter().chain(measured).chain(paid));
    }
    table.print()?;
    say(&format!(
        "{}: paid in {} of {} seasons ({:.4}), expected loss {:.6}, sd {:.6}, se {:.6}",
        place.place,
        place.seasons_paid,
        place.seasons.len(),
        place.frequency,
        place.expected_loss,
        place.sd,
        place.standard_error,
    ))
}

fn many_places(places: &[PlaceReport], is_vegetated: bool) -> anyhow::Result<()> {
    let mut heads = vec!["place", "seasons"];
    heads.extend(is_vegetated.then_some("with vegetation"));
    heads.extend([
        "paid",
        "frequency",
        "EL",
        "sd",
        "se",
        "credible EL",
        "worst season",
    ]);
    let mut table = Table::new(&heads);
    for place in places {
        let worst = place
            .seasons
            .iter()
            .reduce(|a, b| if b.share > a.share { b } else { a });
        let heads = [place.place.clone(), place.seasons.len().to_string()];
        let with_vegetation = is_vegetated.then(|| place.seasons_with_vegetation.to_string());
        let figures = [
            place.seasons_paid.to_string(),
            four(Some(place.frequency)),
            four(Some(place.expected_loss)),
            four(Some(place.sd)),
            four(Some(place.standard_error)),
            four(place.credible_expected_loss),
            worst.map_or("-".to_owned(), |worst| {
                format!("{} {}", worst.year, percent(worst.share))
            }),
        ];
        table.row(heads.into_iter().chain(with_vegetation).chain(figures));
    }
    table.print()?;
    let losses: Vec<f64> = places.iter().map(|place| place.expected_loss).collect();
    say(&format!(
        "{} places, mean expected loss {}",
        places.len(),
        four(mean(&losses))
    ))
}

/// How many seasons had vegetation, and what was done in the others.
fn vegetation(places: &[PlaceReport], seen: Option<&Seen>, rule: &str) -> anyhow::Result<()> {
    let Some(seen) = seen else {
        return say(&format!(
            "no vegetation was given (--vegetation), so in every season {rule}"
        ));
    };
    let (first, last) = (seen.baseline.first, seen.baseline.last);
    say(&format!(
        "vegetation against {first} to {last}; in a season without it {rule}"
    ))?;
    for place in places {
        let present = place.seasons_with_vegetation;
        say(&format!(
            "{}: vegetation in {present} seasons (expected loss of these {}), none in {}",
            place.place,
            four(place.expected_loss_with_vegetation),
            place.seasons.len().saturating_sub(present),
        ))?;
    }
    Ok(())
}

fn draw(contract: &Contract, found: &[Place]) -> anyhow::Result<String> {
    let (years, rows) = common(found);
    let by_year = |of: &dyn Fn(usize, i32) -> Option<f64>| -> Vec<f64> {
        let of_year = |year: i32| {
            let values: Vec<f64> = (0..found.len()).filter_map(|at| of(at, year)).collect();
            mean(&values).unwrap_or(0.0)
        };
        years.iter().map(|year| of_year(*year)).collect()
    };
    let season = |at: usize, year: i32| {
        let seasons = found.get(at).map(|place| place.seasons.iter());
        seasons.into_iter().flatten().find(|s| s.year == year)
    };
    let rain = by_year(&|at, year| season(at, year).map(Season::rain_mm));
    let shares = by_year(&|at, year| season(at, year).map(|s| s.share));
    let expected = mean(&shares).unwrap_or(0.0);
    let whose = match found {
        [only] => only.name.clone(),
        _ => format!("mean of {} places", rows.len()),
    };
    burn(&Burned {
        title: &format!("{whose}: {}", contract.title()),
        years: &years,
        rain_mm: &rain,
        terms_mm: contract.shared(),
        shares: &shares,
        lines: &[("expected loss", expected)],
    })
}

#[cfg(test)]
mod tests;
