//! `data-processor price`: one record seen in every usual way, each loading beside the others, the
//! ladder of triggers, the checks, and which view is recommended and why. A single rate without
//! this table would be false precision; so there is no flag to print only one. Called by `main`.

use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Args;
use domain::money::Money;
use serde::Serialize;

use crate::batch::as_if::{
    Contract, Cover, Place, Rain, Season, Seen, Vegetation, absent_rule, common, places, read,
};
use crate::batch::chart::{Burned, burn};
use crate::batch::report::{Files, Table, four, say};
use crate::science::bootstrap::{DRAWS, Interval, means};
use crate::science::burn::{Line, mean, recent};
use crate::science::pricing::{Assumptions, Recommended, Rung, View, checks, ladder, recommend};
use crate::science::whole;

mod show;
mod views;

use views::{Present, mean_of, only_years, trend, view_report, views};

const EXAMPLES: &str = "\
Examples:
  The rate of a shipped product, from the place whose quantiles are its triggers:
    data-processor price --rain marsabit_chirps_daily_1981_2019.csv.gz --place KARARE
  The same with a quarter of the premium for costs, a chart and a file:
    data-processor price --rain marsabit_chirps_daily_1981_2019.csv.gz --place KARARE \\
        --deductions 0.25 --svg karare.svg --json karare.json
  A contract that does not exist yet:
    data-processor price --rain marsabit_chirps_daily_1981_2019.csv.gz --place KARARE \\
        --trigger 230 --exit 73
  The damage index, with the vegetation of the years that MODIS saw:
    data-processor price --rain marsabit_chirps_daily_1981_2019.csv.gz --place KARARE \\
        --product KE-MZ-DI-LR --vegetation marsabit_modis_ndvi_8day_2001_2019.csv \\
        --baseline 2001..2015

How to read it: the views are the same contract on the same record, each under another belief about
the years to come. If they disagree by more than the interval of the bootstrap, the disagreement is
the price's real uncertainty. The view is chosen by a rule that is printed with its reason; the
regulator and the insurer should see all of them. A contract with a vegetation part is priced twice: as
if vegetation were absent in every year, and on the years that have it; the dearer is asked. Of several places the mean share of each year is
priced, places kept together, because they fail together.";

/// Prices a contract: every view of its record, every loading, the ladder of triggers, the checks.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = EXAMPLES, after_help = "More with --help: examples, how to read it.")]
pub struct Price {
    #[command(flatten)]
    cover: Cover,
    #[command(flatten)]
    rain: Rain,
    #[command(flatten)]
    vegetation: Vegetation,
    /// Sum insured for premiums and checks, KES.
    #[arg(long, value_name = "KES", default_value_t = 10_000)]
    sum_insured: u32,
    /// Standard errors added for the shortness of the record.
    #[arg(long, default_value_t = Assumptions::default().uncertainty)]
    uncertainty: f64,
    /// Return on the way from the adjusted loss to the largest one.
    #[arg(long, default_value_t = Assumptions::default().risk_return)]
    risk_return: f64,
    /// Share of the standard deviation in that loading and in the ladder.
    #[arg(long, default_value_t = Assumptions::default().deviation)]
    deviation: f64,
    /// Share of the way to the tail in the VaR99 and TVaR95 loadings.
    #[arg(long, default_value_t = Assumptions::default().tail)]
    tail: f64,
    /// Exponent of the proportional hazard loading, at least 1.
    #[arg(long, default_value_t = Assumptions::default().hazard)]
    hazard: f64,
    /// Fixed cost, share of the sum insured.
    #[arg(long, default_value_t = Assumptions::default().fixed)]
    fixed: f64,
    /// Commission, tax, levies and profit, share of the gross premium.
    #[arg(long, default_value_t = Assumptions::default().deductions)]
    deductions: f64,
    /// Quantile of the season's rain that is the exit of every rung of the ladder.
    #[arg(long, default_value_t = 0.02)]
    ladder_exit: f64,
    /// Years drawn anew so many times for the interval.
    #[arg(long, default_value_t = DRAWS)]
    draws: usize,
    /// Seed of the draws: the same seed, the same interval.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    files: Files,
}

/// Quantiles of the ladder's triggers.
const RUNGS: [f64; 5] = [0.10, 0.15, 0.20, 0.25, 0.30];
/// Years of the view of recent years.
const RECENT: usize = 20;

/// One view in numbers.
#[derive(Debug, Clone, Serialize)]
struct ViewReport {
    view: String,
    years: usize,
    years_paid: usize,
    expected_loss: f64,
    sd: f64,
    standard_error: f64,
    var90: f64,
    var95: f64,
    var99: f64,
    tvar90: f64,
    tvar95: f64,
    loadings: Vec<LoadingReport>,
}

#[derive(Debug, Clone, Serialize)]
struct LoadingReport {
    loading: &'static str,
    net: f64,
    gross: f64,
}

#[derive(Debug, Clone, Serialize)]
struct IntervalReport {
    draws: usize,
    seed: u64,
    p05: f64,
    p25: f64,
    p50: f64,
    p75: f64,
    p95: f64,
}

#[derive(Debug, Clone, Serialize)]
struct RungReport {
    quantile: f64,
    trigger_mm: f64,
    exit_mm: f64,
    frequency: f64,
    expected_loss: f64,
    gross: f64,
}

#[derive(Debug, Clone, Serialize)]
struct CheckReport {
    rule: &'static str,
    found: f64,
    limit: f64,
    holds: bool,
    is_law: bool,
}

/// The report in numbers.
#[derive(Debug, Clone, Serialize)]
struct Report {
    product: String,
    zone: String,
    places: Vec<String>,
    first_year: i32,
    last_year: i32,
    /// What the contract does in a season without vegetation; of one without that part none.
    vegetation_absent_rule: Option<String>,
    vegetation: Option<Present>,
    views: Vec<ViewReport>,
    bootstrap: IntervalReport,
    trend_mm_a_year: Option<f64>,
    trend_t: Option<f64>,
    recent_and_older_weighted: Option<f64>,
    recommended: String,
    reason: String,
    rate: f64,
    premium_kes: u32,
    rate_of_the_product: Option<f64>,
    ladder: Vec<RungReport>,
    checks: Vec<CheckReport>,
}

/// Runs it. Errors name the file, the place or the flag that is at fault.
pub fn run(asked: &Price) -> anyhow::Result<ExitCode> {
    let with = assumptions(asked)?;
    let (contract, table, chosen) = read(&asked.cover, &asked.rain)?;
    let seen = Seen::read(&asked.vegetation, &contract.product)?;
    let found = places(&contract, &table, &chosen, None, Money::ZERO_KES)?;
    let (years, rows) = common(&found);
    ensure!(
        years.len() >= 10,
        "only {} seasons have a number in every place: too few to price",
        years.len()
    );
    let found = only_years(found, &years);
    let plain = mean_of(&rows);
    let mut views = views(&contract, &found, &plain)?;
    let present = match &seen {
        Some(seen) => Some(Present::of(
            &contract,
            (&table, &chosen),
            seen,
            (&years, &plain),
        )?),
        None => None,
    };
    views.extend(
        present
            .iter()
            .map(|present| (View::Vegetation, present.shares.clone())),
    );
    let interval = Interval::of(&means(&plain, asked.draws, asked.seed))
        .context("--draws must be at least 1")?;
    let trend = trend(&found, &years);
    let line = trend.as_ref();
    let linear = views
        .iter()
        .find(|(view, _)| *view == View::Linear)
        .and_then(|(_, shares)| mean(shares));
    let chosen = match linear {
        Some(linear) => recommend(&interval, linear, line.and_then(Line::t)),
        None => Recommended {
            view: View::Plain,
            reason: "the index is no sum of rain, so that no trend of rain moves it".to_owned(),
        },
    };
    let rule = absent_rule(&contract.product);
    let last = years.last().copied().unwrap_or(0);
    let reports: Vec<ViewReport> = views
        .iter()
        .map(|(view, shares)| {
            let name = views::name(*view, shares.len(), last, rule.is_some(), present.as_ref());
            view_report(name, shares, &with)
        })
        .collect::<anyhow::Result<_>>()?;
    let of = |view: View| -> anyhow::Result<(&ViewReport, f64)> {
        let at = views.iter().position(|(known, _)| *known == view);
        let report = at.and_then(|at| reports.get(at)).context("no view")?;
        let loading = report.loadings.iter().find(|l| l.loading == RULE);
        Ok((report, loading.context("no rate")?.gross))
    };
    let ((base, rate), reason) = match &present {
        Some(present) => present.dearer(of(chosen.view)?, of(View::Vegetation)?, &chosen.reason),
        None => (of(chosen.view)?, chosen.reason),
    };
    let premium_kes = premium(asked.sum_insured, rate)?;
    let days = contract.product.cover_window(2024)?.day_count();
    let report = Report {
        product: contract.product.code.clone(),
        zone: contract.zones(),
        places: found.iter().map(|place| place.name.clone()).collect(),
        first_year: years.first().copied().unwrap_or(0),
        last_year: last,
        vegetation_absent_rule: rule,
        bootstrap: IntervalReport {
            draws: asked.draws,
            seed: asked.seed,
            p05: interval.p05,
            p25: interval.p25,
            p50: interval.p50,
            p75: interval.p75,
            p95: interval.p95,
        },
        trend_mm_a_year: line.map(|line| line.slope),
        trend_t: line.and_then(Line::t),
        recent_and_older_weighted: recent(&plain, RECENT, 0.5),
        recommended: base.view.clone(),
        reason,
        rate,
        premium_kes,
        rate_of_the_product: (asked.cover.trigger.is_none() && contract.product.zones.len() == 1)
            .then(|| f64::from(contract.zone.rate_bp.get()) / 10_000.0),
        ladder: rungs(&contract, &found, asked, &with),
        checks: checks(asked.sum_insured, premium_kes, days)
            .iter()
            .map(|check| CheckReport {
                rule: check.rule,
                found: check.found,
                limit: check.limit,
                holds: check.holds(),
                is_law: check.is_law,
            })
            .collect(),
        vegetation: present,
        views: reports,
    };
    show::print(&contract.title(), asked.sum_insured, &report)?;
    asked
        .files
        .write(&report, || draw(&contract, &found, &years, &plain, &report))?;
    Ok(ExitCode::SUCCESS)
}

/// Name of the loading that the products' rates follow.
const RULE: &str = "risk margin (the products' rule)";

fn assumptions(asked: &Price) -> anyhow::Result<Assumptions> {
    let with = Assumptions {
        uncertainty: asked.uncertainty,
        risk_return: asked.risk_return,
        deviation: asked.deviation,
        tail: asked.tail,
        hazard: asked.hazard,
        fixed: asked.fixed,
        deductions: asked.deductions,
    };
    let shares = [
        with.risk_return,
        with.deviation,
        with.tail,
        with.fixed,
        with.uncertainty,
    ];
    ensure!(
        shares.iter().all(|share| (0.0..=10.0).contains(share)),
        "a loading is negative or no number"
    );
    ensure!(
        (0.0..1.0).contains(&with.deductions),
        "--deductions must be at least 0 and less than 1"
    );
    ensure!(with.hazard >= 1.0, "--hazard must be at least 1");
    Ok(with)
}

/// The ladder of one place under a single linear phase; empty for other forms.
fn rungs(
    contract: &Contract,
    found: &[Place],
    asked: &Price,
    with: &Assumptions,
) -> Vec<RungReport> {
    let ([place], Some(_)) = (found, contract.single()) else {
        return Vec::new();
    };
    let totals: Vec<f64> = place.seasons.iter().map(Season::rain_mm).collect();
    let report = |rung: &Rung| RungReport {
        quantile: rung.probability,
        trigger_mm: rung.trigger_mm,
        exit_mm: rung.exit_mm,
        frequency: rung.burn.frequency(),
        expected_loss: rung.burn.expected,
        gross: rung.gross,
    };
    let found = ladder(&totals, &RUNGS, asked.ladder_exit, with);
    found.unwrap_or_default().iter().map(report).collect()
}

/// Premium: the rate to the basis point above, the shilling above.
fn premium(sum_insured: u32, rate: f64) -> anyhow::Result<u32> {
    let kes = whole((f64::from(sum_insured) * rate).ceil()).context("a rate that is no number")?;
    u32::try_from(kes).context("a premium beyond all bounds")
}

fn draw(
    contract: &Contract,
    found: &[Place],
    years: &[i32],
    plain: &[f64],
    report: &Report,
) -> anyhow::Result<String> {
    let rows: Vec<Vec<f64>> = found
        .iter()
        .map(|place| place.seasons.iter().map(Season::rain_mm).collect())
        .collect();
    let lines: Vec<(&str, f64)> = report
        .views
        .iter()
        .map(|view| (view.view.as_str(), view.expected_loss))
        .collect();
    let whose = match found {
        [only] => only.name.clone(),
        _ => format!("mean of {} places", found.len()),
    };
    burn(&Burned {
        title: &format!("{whose}: {}", contract.title()),
        years,
        rain_mm: &mean_of(&rows),
        terms_mm: contract.shared(),
        shares: plain,
        lines: &lines,
    })
}

#[cfg(test)]
mod tests;
