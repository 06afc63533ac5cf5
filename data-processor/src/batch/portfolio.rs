//! `data-processor portfolio`: a book of places under as-if years kept whole: year losses, return
//! periods, tail measures, how places and seasons hang together, and a stop-loss layer. Never
//! states a loss rarer than the record can show. Called by `main`.

use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Args;
use domain::money::Money;
use domain::season::YearlessWindow;
use serde::Serialize;

use crate::batch::as_if::{
    Contract, Cover, Place, Rain, Season, Seen, Vegetation, absent_rule, common, places, read,
};
use crate::batch::chart::{Curve, exceedance};
use crate::batch::report::{Files, Table, four, say};
use crate::science::basis_risk::pearson;
use crate::science::burn::{deficit_share, mean};
use crate::science::portfolio::{
    Layer, Summary, aggregates, correlations, largest_occurrences, loss_at, ranked, summary,
    tail_mean, value_at_risk, year_losses,
};
use crate::science::quantile::{Convention, quantile, sort};

const EXAMPLES: &str = "\
Examples:
  Every place of the file with its own triggers at the 30 % and 5 % quantiles of its rain:
    data-processor portfolio --rain marsabit_chirps_daily_1981_2019.csv.gz --all
  Both seasons of the year, to see how much worse two failures in a row are:
    data-processor portfolio --rain marsabit_chirps_daily_1981_2019.csv.gz --all \\
        --season 03-01..05-31 --season 10-01..12-31 --svg book.svg
  The shipped product's own triggers for its wards, with a stop-loss of 150 % in excess of 120 %
  of the premium at a gross rate of 28 %:
    data-processor portfolio --rain marsabit_chirps_daily_1981_2019.csv.gz --fixed \\
        --premium-rate 0.28 --stop-loss-limit 150 --stop-loss-attachment 120

How to read it: a year is kept whole, because places fail together; the mean correlation says how
little is gained by having many. Return periods are (N+1)/rank, so 39 years reach to 40 and no
further. The largest season of a year (OEP) and the sum of its seasons (AEP) differ only when more
than one season is insured.";

/// A book of places over as-if years: losses, return periods, tails, dependence, reinsurance.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = EXAMPLES, after_help = "More with --help: examples, how to read it.")]
pub struct Portfolio {
    #[command(flatten)]
    cover: Cover,
    #[command(flatten)]
    rain: Rain,
    #[command(flatten)]
    vegetation: Vegetation,
    /// Days of a season; may be given again. By default the product's.
    #[arg(long = "season", value_name = "MM-DD..MM-DD", conflicts_with = "fixed")]
    seasons: Vec<YearlessWindow>,
    /// Trigger of each place: this quantile (type 7) of its own rain.
    #[arg(long, default_value_t = 0.30)]
    trigger_quantile: f64,
    /// Exit of each place: this quantile (type 7) of its own rain.
    #[arg(long, default_value_t = 0.05)]
    exit_quantile: f64,
    /// The contract's own triggers for every place, instead of quantiles.
    #[arg(long)]
    fixed: bool,
    /// Gross rate of the book, share of the limit; for the stop-loss layer.
    #[arg(long, value_name = "SHARE", requires = "stop_loss_limit")]
    premium_rate: Option<f64>,
    /// Limit of a stop-loss layer, percent of the premium.
    #[arg(long, value_name = "PERCENT", requires = "stop_loss_attachment")]
    stop_loss_limit: Option<f64>,
    /// Attachment of a stop-loss layer, percent of the premium.
    #[arg(long, value_name = "PERCENT", requires = "premium_rate")]
    stop_loss_attachment: Option<f64>,
    #[command(flatten)]
    files: Files,
}

/// Return periods of the table, years.
const PERIODS: [f64; 6] = [5.0, 10.0, 20.0, 25.0, 40.0, 100.0];
/// Years listed, worst first.
const LISTED: usize = 10;

#[derive(Debug, Clone, Serialize)]
struct YearReport {
    year: i32,
    loss: f64,
    largest_season: f64,
    return_years: f64,
    retained: Option<f64>,
    ceded: Option<f64>,
}

#[derive(Debug, Clone, Serialize)]
struct PeriodReport {
    return_years: f64,
    aggregate: Option<f64>,
    occurrence: Option<f64>,
}

#[derive(Debug, Clone, Serialize)]
struct SeasonReport {
    season: String,
    average_annual_loss: f64,
    sd: f64,
    mean_sd_of_a_place: f64,
    rain_correlation_mean: Option<f64>,
    rain_correlation_least: Option<f64>,
}

#[derive(Debug, Clone, Serialize)]
struct Dependence {
    first: String,
    second: String,
    same_year: Option<f64>,
    second_then_next_first: Option<f64>,
}

/// The report in numbers.
#[derive(Debug, Clone, Serialize)]
struct Report {
    contract: String,
    places: usize,
    seasons_of_places: usize,
    seasons_with_vegetation: usize,
    seasons: Vec<SeasonReport>,
    average_annual_loss: f64,
    var90: f64,
    var95: f64,
    var99: f64,
    tvar90: f64,
    tvar95: f64,
    years_above_half: usize,
    dependence: Vec<Dependence>,
    periods: Vec<PeriodReport>,
    years: Vec<YearReport>,
}

/// One insured season: its name, years, places' rain and places' shares.
struct Book {
    name: String,
    years: Vec<i32>,
    rain: Vec<Vec<f64>>,
    shares: Vec<Vec<f64>>,
    losses: Vec<f64>,
    summary: Summary,
    /// Seasons of places that were evaluated with vegetation.
    with_vegetation: usize,
}

/// Runs it. Errors name the file, the place or the flag that is at fault.
pub fn run(asked: &Portfolio) -> anyhow::Result<ExitCode> {
    let (contract, table, chosen) = read(&asked.cover, &asked.rain)?;
    let seen = Seen::read(&asked.vegetation, &contract.product)?;
    ensure!(
        seen.is_none() || (asked.fixed && asked.seasons.is_empty()),
        "--vegetation is for the contract's own season and triggers: use --fixed, without --season"
    );
    let own = contract.product.season.cover;
    let windows = if asked.seasons.is_empty() {
        vec![own]
    } else {
        asked.seasons.clone()
    };
    let mut books = Vec::with_capacity(windows.len());
    for window in windows {
        let contract = if window == own {
            contract.clone()
        } else {
            contract.over(window)
        };
        let found = places(&contract, &table, &chosen, seen.as_ref(), Money::ZERO_KES)?;
        books.push(book(asked, &contract, &window.to_string(), &found)?);
    }
    let report = report(asked, &contract, &books)?;
    print(&report)?;
    if let Some(rule) = absent_rule(&contract.product).filter(|_| asked.fixed) {
        let (with, of) = (report.seasons_with_vegetation, report.seasons_of_places);
        say(&format!(
            "vegetation in {with} of {of} seasons of places; in the others {rule}"
        ))?;
    }
    asked.files.write(&report, || draw(&report))?;
    Ok(ExitCode::SUCCESS)
}

fn book(
    asked: &Portfolio,
    contract: &Contract,
    name: &str,
    found: &[Place],
) -> anyhow::Result<Book> {
    let (years, fixed) = common(found);
    ensure!(
        years.len() >= 10,
        "season {name}: only {} years have a number in every place",
        years.len()
    );
    let rain: Vec<Vec<f64>> = found
        .iter()
        .map(|place| {
            let seasons = place.seasons.iter().filter(|s| years.contains(&s.year));
            seasons.map(Season::rain_mm).collect()
        })
        .collect();
    let shares = if asked.fixed {
        fixed
    } else {
        ensure!(
            contract.single().is_some(),
            "quantile triggers need a product of one deficit phase; use --fixed for this one"
        );
        let at = |p| (p, Convention::Linear);
        let local = |rain: &Vec<f64>| {
            let mut sorted = rain.clone();
            sort(&mut sorted);
            let ((t, a), (e, b)) = (at(asked.trigger_quantile), at(asked.exit_quantile));
            let (trigger, exit) = quantile(&sorted, t, a).zip(quantile(&sorted, e, b))?;
            (exit <= trigger).then(|| {
                let shares = rain.iter().map(|mm| deficit_share(*mm, trigger, exit));
                shares.collect()
            })
        };
        let shares: Option<Vec<Vec<f64>>> = rain.iter().map(local).collect();
        shares.context("quantiles must lie in 0 to 1, the exit's below the trigger's")?
    };
    let equal = vec![1.0; shares.len()];
    Ok(Book {
        name: name.to_owned(),
        losses: year_losses(&shares, &equal).context("no places")?,
        summary: summary(&shares, &equal).context("too few years")?,
        with_vegetation: found
            .iter()
            .flat_map(|place| &place.seasons)
            .filter(|s| s.vegetation_milli.is_some() && years.contains(&s.year))
            .count(),
        years,
        rain,
        shares,
    })
}

fn report(asked: &Portfolio, contract: &Contract, books: &[Book]) -> anyhow::Result<Report> {
    let first = books.first().context("no season")?;
    let years: Vec<i32> = first
        .years
        .iter()
        .copied()
        .filter(|year| books.iter().all(|book| book.years.contains(year)))
        .collect();
    let rows: Vec<Vec<f64>> = books
        .iter()
        .map(|book| years.iter().filter_map(|year| book.loss(*year)).collect())
        .collect();
    let sums = aggregates(&rows).context("no season")?;
    let largest = largest_occurrences(&rows).context("no season")?;
    let layer = asked
        .premium_rate
        .zip(asked.stop_loss_limit)
        .zip(asked.stop_loss_attachment);
    let layer = layer.map(|((rate, limit), attachment)| Layer::stop_loss(rate, limit, attachment));
    let year = |ranked: &crate::science::portfolio::Ranked| YearReport {
        year: years.get(ranked.position).copied().unwrap_or(0),
        loss: ranked.loss,
        largest_season: largest.get(ranked.position).copied().unwrap_or(0.0),
        return_years: ranked.return_years,
        retained: layer.map(|layer| layer.retained(ranked.loss)),
        ceded: layer.map(|layer| layer.ceded(ranked.loss)),
    };
    let period = |years: &f64| PeriodReport {
        return_years: *years,
        aggregate: loss_at(&sums, *years),
        occurrence: loss_at(&largest, *years),
    };
    let none = "no years";
    Ok(Report {
        contract: if asked.fixed {
            contract.title()
        } else {
            let (trigger, exit) = (asked.trigger_quantile, asked.exit_quantile);
            let (trigger, exit) = (trigger * 100.0, exit * 100.0);
            format!(
                "each with its own trigger at the {trigger:.0} % and exit at the {exit:.0} % quantile"
            )
        },
        places: first.shares.len(),
        seasons_of_places: books
            .iter()
            .flat_map(|book| &book.shares)
            .map(Vec::len)
            .sum(),
        seasons_with_vegetation: books.iter().map(|book| book.with_vegetation).sum(),
        seasons: books.iter().map(Book::report).collect(),
        average_annual_loss: mean(&sums).context(none)?,
        var90: value_at_risk(&sums, 0.90).context(none)?,
        var95: value_at_risk(&sums, 0.95).context(none)?,
        var99: value_at_risk(&sums, 0.99).context(none)?,
        tvar90: tail_mean(&sums, 0.10).context(none)?,
        tvar95: tail_mean(&sums, 0.05).context(none)?,
        years_above_half: sums.iter().filter(|loss| **loss > 0.5).count(),
        dependence: dependence(books),
        periods: PERIODS.iter().map(period).collect(),
        years: ranked(&sums).iter().map(year).collect(),
    })
}

impl Book {
    fn loss(&self, year: i32) -> Option<f64> {
        let at = self.years.iter().position(|known| *known == year)?;
        self.losses.get(at).copied()
    }

    fn report(&self) -> SeasonReport {
        let pairs = correlations(&self.rain);
        SeasonReport {
            season: self.name.clone(),
            average_annual_loss: self.summary.average,
            sd: self.summary.sd,
            mean_sd_of_a_place: self.summary.cell_sd,
            rain_correlation_mean: mean(&pairs),
            rain_correlation_least: pairs.into_iter().reduce(f64::min),
        }
    }
}

/// How seasons hang together: within a year, and the second with the next year's first (a dry
/// October to December is often followed by a dry March to May).
fn dependence(books: &[Book]) -> Vec<Dependence> {
    let mut found = Vec::new();
    for (at, first) in books.iter().enumerate() {
        for second in books.iter().skip(at.saturating_add(1)) {
            let paired = |ahead: i32| {
                let pairs = second.years.iter().filter_map(|year| {
                    let later = first.loss(year.saturating_add(ahead))?;
                    Some((second.loss(*year)?, later))
                });
                let (a, b): (Vec<f64>, Vec<f64>) = pairs.unzip();
                pearson(&a, &b)
            };
            found.push(Dependence {
                first: first.name.clone(),
                second: second.name.clone(),
                same_year: paired(0),
                second_then_next_first: paired(1),
            });
        }
    }
    found
}

fn print(report: &Report) -> anyhow::Result<()> {
    let contract = &report.contract;
    say(&format!(
        "portfolio of {} places, {contract}",
        report.places
    ))?;
    let mut table = Table::new(&[
        "season",
        "AAL",
        "sd",
        "sd of a place",
        "rain r mean",
        "rain r least",
    ]);
    for season in &report.seasons {
        table.row([
            season.season.clone(),
            four(Some(season.average_annual_loss)),
            four(Some(season.sd)),
            four(Some(season.mean_sd_of_a_place)),
            four(season.rain_correlation_mean),
            four(season.rain_correlation_least),
        ]);
    }
    table.print()?;
    for pair in &report.dependence {
        let (first, second) = (&pair.first, &pair.second);
        say(&format!(
            "losses of {first} and {second}: same year r {}, {second} with the next {first} r {}",
            four(pair.same_year),
            four(pair.second_then_next_first)
        ))?;
    }
    say(&format!(
        "year losses: AAL {:.4}, VaR90 {:.4}, VaR95 {:.4}, VaR99 {:.4}, TVaR90 {:.4}, TVaR95 {:.4}, \
         {} of {} years above one half",
        report.average_annual_loss,
        report.var90,
        report.var95,
        report.var99,
        report.tvar90,
        report.tvar95,
        report.years_above_half,
        report.years.len()
    ))?;
    let mut table = Table::new(&["return period, years", "AEP", "OEP"]);
    for period in &report.periods {
        let beyond = || "beyond the record".to_owned();
        table.row([
            format!("{:.0}", period.return_years),
            period
                .aggregate
                .map_or_else(beyond, |loss| four(Some(loss))),
            period
                .occurrence
                .map_or_else(beyond, |loss| four(Some(loss))),
        ]);
    }
    table.print()?;
    let mut table = Table::new(&[
        "year",
        "loss",
        "largest season",
        "returns in",
        "retained",
        "ceded",
    ]);
    for year in report.years.iter().take(LISTED) {
        table.row([
            year.year.to_string(),
            four(Some(year.loss)),
            four(Some(year.largest_season)),
            format!("{:.1} y", year.return_years),
            four(year.retained),
            four(year.ceded),
        ]);
    }
    table.print()
}

fn draw(report: &Report) -> anyhow::Result<String> {
    let of = |loss: fn(&YearReport) -> f64| -> Vec<(f64, f64)> {
        let losses: Vec<f64> = report.years.iter().map(loss).collect();
        let ranked = ranked(&losses);
        ranked.iter().map(|r| (r.return_years, r.loss)).collect()
    };
    let (sums, largest) = (of(|year| year.loss), of(|year| year.largest_season));
    let mut curves = vec![Curve {
        name: "sum of the year's seasons (AEP)",
        points: &sums,
    }];
    if report.seasons.len() > 1 {
        curves.push(Curve {
            name: "largest season of the year (OEP)",
            points: &largest,
        });
    }
    exceedance(
        &format!("{} places, {}", report.places, report.contract),
        &curves,
        &[
            ("average", report.average_annual_loss),
            ("VaR90", report.var90),
            ("VaR95", report.var95),
        ],
    )
}

#[cfg(test)]
mod tests;
