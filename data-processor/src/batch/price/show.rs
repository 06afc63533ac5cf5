//! The price report on paper: views, loadings, ladder, checks and the recommendation, in the order
//! in which they should be read. Computes nothing.

use super::{Report, Table, four, say};
use crate::batch::report::percent;

pub(super) fn print(title: &str, sum_insured: u32, report: &Report) -> anyhow::Result<()> {
    let places = match report.places.as_slice() {
        [only] => only.clone(),
        many => format!("mean of {} places", many.len()),
    };
    say(&format!(
        "price {title}, {places}, seasons of {} to {}",
        report.first_year, report.last_year
    ))?;
    if let Some(rule) = &report.vegetation_absent_rule {
        say(&match &report.vegetation {
            Some(present) => {
                let ([first, last], [from, to]) = (present.years, present.baseline);
                let years = present.shares.len();
                format!(
                    "vegetation in {years} years of {first} to {last}, against {from} to {to}; the other \
                     views are without it: {rule}"
                )
            }
            None => format!(
                "no vegetation was given (--vegetation), so every year is without it: {rule}"
            ),
        })?;
    }
    say("")?;
    views(report)?;
    let drawn = &report.bootstrap;
    say(&format!(
        "plain burn, years drawn anew {} times (seed {}): 5/25/50/75/95 % {:.4} / {:.4} / {:.4} / \
         {:.4} / {:.4}",
        drawn.draws, drawn.seed, drawn.p05, drawn.p25, drawn.p50, drawn.p75, drawn.p95
    ))?;
    if let Some((slope, t)) = report.trend_mm_a_year.zip(report.trend_t) {
        say(&format!(
            "trend of the season's rain {slope:+.3} mm a year (t {t:.2})"
        ))?;
    }
    if let Some(weighted) = report.recent_and_older_weighted {
        say(&format!(
            "last 20 years weighted one half against all before: {weighted:.4}"
        ))?;
    }
    say("")?;
    loadings(sum_insured, report)?;
    if !report.ladder.is_empty() {
        say("")?;
        ladder(report)?;
    }
    say("")?;
    for check in &report.checks {
        let verdict = match (check.holds, check.is_law) {
            (true, _) => "ok",
            (false, true) => "BREAKS THE LAW",
            (false, false) => "UNAFFORDABLE without subsidy",
        };
        let (rule, found, limit) = (check.rule, check.found, check.limit);
        say(&format!("{verdict}: {rule} {found:.2} (most {limit:.2})"))?;
    }
    say("")?;
    say(&format!(
        "recommended: {}, {} of the sum insured, KES {} for {sum_insured}",
        report.recommended,
        percent(report.rate),
        report.premium_kes
    ))?;
    say(&format!("because {}", report.reason))?;
    if let Some(rate) = report.rate_of_the_product {
        say(&format!("the product's own rate is {}", percent(rate)))?;
    }
    Ok(())
}

fn views(report: &Report) -> anyhow::Result<()> {
    let mut table = Table::new(&[
        "view", "years", "paid", "EL", "sd", "se", "VaR90", "VaR95", "VaR99", "TVaR90", "TVaR95",
    ]);
    for view in &report.views {
        let figures = [
            view.expected_loss,
            view.sd,
            view.standard_error,
            view.var90,
            view.var95,
            view.var99,
            view.tvar90,
            view.tvar95,
        ];
        let heads = [
            view.view.clone(),
            view.years.to_string(),
            view.years_paid.to_string(),
        ];
        let figures = figures.into_iter().map(|figure| four(Some(figure)));
        table.row(heads.into_iter().chain(figures));
    }
    table.print()
}

fn loadings(sum_insured: u32, report: &Report) -> anyhow::Result<()> {
    say(&format!(
        "gross rate by loading (premium for KES {sum_insured})"
    ))?;
    let mut heads = vec!["loading"];
    heads.extend(report.views.iter().map(|view| view.view.as_str()));
    let mut table = Table::new(&heads);
    let first = report.views.first().map(|view| view.loadings.as_slice());
    for (at, loading) in first.unwrap_or_default().iter().enumerate() {
        let of_view = report.views.iter().map(|view| {
            let gross = view.loadings.get(at).map(|loading| loading.gross);
            let premium = gross.map(|gross| (gross * f64::from(sum_insured)).ceil());
            premium.map_or("-".to_owned(), |premium| {
                format!("{} ({premium:.0})", percent(gross.unwrap_or(0.0)))
            })
        });
        table.row(std::iter::once(loading.loading.to_owned()).chain(of_view));
    }
    table.print()
}

fn ladder(report: &Report) -> anyhow::Result<()> {
    say("ladder of triggers: pay less often, cost less (plain burn, standard deviation loading)")?;
    let mut table = Table::new(&["trigger at", "mm", "exit mm", "frequency", "EL", "gross"]);
    for rung in &report.ladder {
        table.row([
            format!("q{:02.0}", rung.quantile * 100.0),
            format!("{:.2}", rung.trigger_mm),
            format!("{:.2}", rung.exit_mm),
            format!("{:.3}", rung.frequency),
            four(Some(rung.expected_loss)),
            four(Some(rung.gross)),
        ]);
    }
    table.print()
}
