//! The ways to look at one record: as it was, lately, without its trend, and with vegetation where
//! it was seen. Every share is the product's own evaluator's. Called by `price`.

use anyhow::{Context as _, ensure};
use domain::money::Money;
use serde::Serialize;

use super::{LoadingReport, RECENT, RULE, ViewReport};
use crate::batch::as_if::{Contract, Place, Season, Seen, common, places};
use crate::science::burn::{Burn, Detrend, LOESS_SPAN, Line, mean};
use crate::science::count;
use crate::science::pricing::{Assumptions, Loaded, Tail, View, gross};
use crate::validate::series::Table;

/// Fewest years that are priced.
pub(super) const YEARS_MIN: usize = 10;

/// The years with vegetation, evaluated with it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Present {
    /// Years that a season's vegetation is compared with.
    pub(super) baseline: [i32; 2],
    /// First and last year with vegetation in every place.
    pub(super) years: [i32; 2],
    /// Mean share over the places, year by year.
    pub(super) shares: Vec<f64>,
    /// Expected loss over these years.
    pub(super) expected_loss: f64,
    /// Expected loss over the same years under the rule for absent vegetation.
    pub(super) expected_loss_absent: f64,
}

impl Present {
    /// Of the places chosen; `absent` are the years and shares without vegetation.
    pub(super) fn of(
        contract: &Contract,
        (table, chosen): (&Table, &[usize]),
        seen: &Seen,
        absent: (&[i32], &[f64]),
    ) -> anyhow::Result<Self> {
        let mut found = places(contract, table, chosen, Some(seen), Money::ZERO_KES)?;
        for place in &mut found {
            place.seasons.retain(|s| s.vegetation_milli.is_some());
        }
        let (years, rows) = common(&found);
        ensure!(
            years.len() >= YEARS_MIN,
            "only {} seasons have vegetation in every place: too few to price",
            years.len()
        );
        let shares = mean_of(&rows);
        let pairs = absent.0.iter().zip(absent.1);
        let same: Vec<f64> = pairs
            .filter(|(year, _)| years.contains(year))
            .map(|(_, share)| *share)
            .collect();
        let none = "no season with vegetation";
        Ok(Self {
            baseline: [seen.baseline.first, seen.baseline.last],
            years: [
                years.first().copied().context(none)?,
                years.last().copied().context(none)?,
            ],
            expected_loss: mean(&shares).context(none)?,
            expected_loss_absent: mean(&same).context(none)?,
            shares,
        })
    }

    /// The dearer of the view chosen without vegetation and the one with it, and why.
    pub(super) fn dearer<'a>(
        &self,
        (without, absent): (&'a ViewReport, f64),
        (with, present): (&'a ViewReport, f64),
        reason: &str,
    ) -> ((&'a ViewReport, f64), String) {
        let (lost, years) = (self.expected_loss, self.shares.len());
        let (base, of) = (without.expected_loss, without.years);
        let same = self.expected_loss_absent;
        let found = format!(
            "with vegetation {lost:.4} is lost over {years} years; {base:.4} in the view `{}` of {of}, and \
             {same:.4} in the same {years} without it",
            without.view
        );
        if present > absent {
            let more = if lost > same {
                "vegetation adds loss"
            } else {
                "those years lost more"
            };
            let fewer = if years < of {
                ", and fewer years are loaded more"
            } else {
                ""
            };
            let reason = format!(
                "{found}: {more}{fewer}; nobody knows before a season whether clouds will hide it, so \
                 the dearer view is asked (of the views without it, `{}` would be: {reason})",
                without.view
            );
            ((with, present), reason)
        } else {
            (
                (without, absent),
                format!("{reason}; {found}: that is no dearer"),
            )
        }
    }
}

/// Name of a view; of a contract with vegetation it says whether that is in it.
pub(super) fn name(
    view: View,
    years: usize,
    last: i32,
    is_vegetated: bool,
    present: Option<&Present>,
) -> String {
    let name = match view {
        View::Plain => "plain burn".to_owned(),
        View::Recent => format!("last {years} years only"),
        View::Linear => format!("linear trend, level of {last}"),
        View::Loess => format!("local trend (LOESS), level of {last}"),
        View::Vegetation => {
            let [first, last] = present.map_or([0, last], |present| present.years);
            return format!("with vegetation, {first} to {last}");
        }
    };
    if is_vegetated {
        format!("{name}, no vegetation")
    } else {
        name
    }
}

/// The places with these years alone.
pub(super) fn only_years(mut found: Vec<Place>, years: &[i32]) -> Vec<Place> {
    for place in &mut found {
        place.seasons.retain(|season| years.contains(&season.year));
    }
    found
}

/// Mean over the places, year by year.
pub(super) fn mean_of(rows: &[Vec<f64>]) -> Vec<f64> {
    let years = rows.first().map_or(0, Vec::len);
    let of_year = |at: usize| {
        let shares = rows.iter().filter_map(|row| row.get(at));
        shares.sum::<f64>() / count(rows.len())
    };
    (0..years).map(of_year).collect()
}

/// The views that rain alone allows.
pub(super) fn views(
    contract: &Contract,
    found: &[Place],
    plain: &[f64],
) -> anyhow::Result<Vec<(View, Vec<f64>)>> {
    let last = plain.len().saturating_sub(RECENT);
    let mut views = vec![
        (View::Plain, plain.to_vec()),
        (View::Recent, plain.get(last..).unwrap_or_default().to_vec()),
    ];
    for (view, method) in [
        (View::Linear, Detrend::Linear),
        (View::Loess, Detrend::Loess { span: LOESS_SPAN }),
    ] {
        let rows: Option<Vec<Vec<f64>>> = found
            .iter()
            .map(|place| contract.of(&place.name).detrended(place, method))
            .collect::<anyhow::Result<_>>()?;
        if let Some(rows) = rows {
            views.push((view, mean_of(&rows)));
        }
    }
    Ok(views)
}

/// Trend of the season's rain, mean over the places.
pub(super) fn trend(found: &[Place], years: &[i32]) -> Option<Line> {
    let rows: Vec<Vec<f64>> = found
        .iter()
        .map(|place| place.seasons.iter().map(Season::rain_mm).collect())
        .collect();
    let years: Vec<f64> = years.iter().copied().map(f64::from).collect();
    Line::fit(&years, &mean_of(&rows))
}

/// One view in numbers.
pub(super) fn view_report(
    name: String,
    shares: &[f64],
    with: &Assumptions,
) -> anyhow::Result<ViewReport> {
    let missing = || format!("{name}: too few years");
    let burn = Burn::of(shares).with_context(missing)?;
    let tail = Tail::of(shares).with_context(missing)?;
    let loaded = Loaded::of(shares, with).with_context(missing)?;
    let loadings = [
        ("expected loss alone", burn.expected),
        ("adjusted for the record's length", loaded.adjusted),
        (RULE, loaded.risk_margin),
        ("standard deviation", loaded.deviation),
        ("value at risk, 99 %", loaded.value_at_risk),
        ("mean of the worst twentieth", loaded.shortfall),
        ("proportional hazard", loaded.hazard),
    ];
    let loading = |(loading, net)| {
        gross(net, with).map(|gross| LoadingReport {
            loading,
            net,
            gross,
        })
    };
    Ok(ViewReport {
        years: burn.years,
        years_paid: burn.paid,
        expected_loss: burn.expected,
        sd: burn.sd,
        standard_error: burn.standard_error,
        var90: tail.var90,
        var95: tail.var95,
        var99: tail.var99,
        tvar90: tail.tvar90,
        tvar95: tail.tvar95,
        loadings: loadings
            .into_iter()
            .map(loading)
            .collect::<Option<_>>()
            .context("--deductions leave nothing of the premium")?,
        view: name,
    })
}
