//! Premiums: from a burn to the loaded and the gross rate, by each of the usual loadings side by
//! side, with the checks of law and of what a farmer can bear, and the ladder of triggers. Never
//! chooses silently: the view recommended comes with its reason. Called by `price`, `validate`.

use domain::product::{PREMIUM_KES_PER_DAY_MAX, SUM_INSURED_KES_MAX, TERM_DAYS_MAX};

use super::bootstrap::Interval;
use super::burn::{Burn, deficit_share};
use super::count;
use super::portfolio::{tail_mean, value_at_risk};
use super::quantile::{Convention, quantile, sort};

/// Gross rate above which a cover is called unaffordable, share of the sum insured (the guard of
/// the design notes; arid zones exceed it without subsidy).
pub const AFFORDABLE_RATE_MAX: f64 = 0.12;
/// Student's t of a falling trend from which it is believed: 5 %, one-sided, many degrees.
pub const TREND_T: f64 = -1.645;
/// The same of a trend that is believed only when the price shows it too: 16 %, one-sided.
pub const TREND_T_WEAK: f64 = -1.0;

/// What the loadings are computed with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assumptions {
    /// Standard errors added to the expected loss for the shortness of the record; 0.674 is the
    /// 75 % quantile of the normal (World Bank, three components of a premium).
    pub uncertainty: f64,
    /// Return on the capital between the adjusted loss and the largest one, 0.05 to 0.10.
    pub risk_return: f64,
    /// Share of the standard deviation in the standard deviation loading, 0.15 to 0.30.
    pub deviation: f64,
    /// Share of the way to a tail measure in the tail loadings; 0.06.
    pub tail: f64,
    /// Exponent of the proportional hazard loading, at least 1 (Wang 1995).
    pub hazard: f64,
    /// Fixed cost of administration, share of the sum insured.
    pub fixed: f64,
    /// Commission, tax, levies and profit, share of the gross premium.
    pub deductions: f64,
}

impl Default for Assumptions {
    /// Those of the rates in `products/`: 0.674 standard errors, 5 % on the way to the largest
    /// loss, a fifth of the premium for costs.
    fn default() -> Self {
        Self {
            uncertainty: 0.674,
            risk_return: 0.05,
            deviation: 0.25,
            tail: 0.06,
            hazard: 1.2,
            fixed: 0.0,
            deductions: 0.20,
        }
    }
}

/// A burn with its tail.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tail {
    /// Share not exceeded in 90 % of years (type 7).
    pub var90: f64,
    /// In 95 %.
    pub var95: f64,
    /// In 99 %.
    pub var99: f64,
    /// Mean of the worst ⌈n/10⌉ years.
    pub tvar90: f64,
    /// Mean of the worst ⌈n/20⌉ years.
    pub tvar95: f64,
}

impl Tail {
    /// Of shares paid, one a year; `None` for none.
    #[must_use]
    pub fn of(shares: &[f64]) -> Option<Self> {
        Some(Self {
            var90: value_at_risk(shares, 0.90)?,
            var95: value_at_risk(shares, 0.95)?,
            var99: value_at_risk(shares, 0.99)?,
            tvar90: tail_mean(shares, 0.10)?,
            tvar95: tail_mean(shares, 0.05)?,
        })
    }
}

/// Risk premiums before costs, as shares of the sum insured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loaded {
    /// Expected loss plus the uncertainty of its record.
    pub adjusted: f64,
    /// That plus a return on the capital up to the largest loss: the rule of the products.
    pub risk_margin: f64,
    /// Expected loss plus a share of the standard deviation.
    pub deviation: f64,
    /// Expected loss plus a share of the way to the 99 % value at risk.
    pub value_at_risk: f64,
    /// Expected loss plus a share of the way to the mean of the worst twentieth.
    pub shortfall: f64,
    /// Proportional hazard transform (Wang 1995).
    pub hazard: f64,
}

impl Loaded {
    /// Of shares paid, one a year; `None` for fewer than two years.
    #[must_use]
    pub fn of(shares: &[f64], with: &Assumptions) -> Option<Self> {
        let (burn, tail) = (Burn::of(shares)?, Tail::of(shares)?);
        let adjusted = burn.expected + with.uncertainty * burn.standard_error;
        let towards = |far: f64, share: f64| burn.expected + share * (far - burn.expected);
        Some(Self {
            adjusted,
            risk_margin: adjusted + with.risk_return * (burn.largest - adjusted).max(0.0),
            deviation: burn.expected + with.deviation * burn.sd,
            value_at_risk: towards(tail.var99, with.tail),
            shortfall: towards(tail.tvar95, with.tail),
            hazard: proportional_hazard(shares, with.hazard)?,
        })
    }
}

/// Gross rate: `(net + fixed) / (1 − deductions)`; `None` when the deductions leave nothing.
#[must_use]
pub fn gross(net: f64, with: &Assumptions) -> Option<f64> {
    let kept = 1.0 - with.deductions;
    (kept > 0.0 && with.deductions >= 0.0).then(|| (net + with.fixed) / kept)
}

/// The integral of the empirical survival function raised to `1/exponent` (Wang 1995); the mean
/// at exponent 1. `None` for no shares or an exponent below 1.
#[must_use]
pub fn proportional_hazard(shares: &[f64], exponent: f64) -> Option<f64> {
    if shares.is_empty() || exponent.is_nan() || exponent < 1.0 {
        return None;
    }
    let mut sorted = shares.to_vec();
    sort(&mut sorted);
    let (mut before, mut sum) = (0.0, 0.0);
    for (above, share) in (1..=sorted.len()).rev().zip(&sorted) {
        let survival = count(above) / count(sorted.len());
        sum += (share - before) * libm::pow(survival, 1.0 / exponent);
        before = *share;
    }
    Some(sum)
}

/// One rung of the ladder of triggers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rung {
    /// Quantile of the season's total that is the trigger.
    pub probability: f64,
    /// Trigger, mm.
    pub trigger_mm: f64,
    /// Exit, mm.
    pub exit_mm: f64,
    /// What it would have paid.
    pub burn: Burn,
    /// Gross rate by the standard deviation loading.
    pub gross: f64,
}

/// "Pay less often, cost less": the same totals under triggers at rising quantiles and one exit,
/// type 7, each with its gross rate `(EL + deviation·sd) / (1 − deductions)`. `None` where a rung
/// has no number.
#[must_use]
pub fn ladder(
    totals_mm: &[f64],
    triggers: &[f64],
    exit: f64,
    with: &Assumptions,
) -> Option<Vec<Rung>> {
    let mut sorted = totals_mm.to_vec();
    sort(&mut sorted);
    let exit_mm = quantile(&sorted, exit, Convention::Linear)?;
    let rungs = triggers.iter().map(|probability| {
        let trigger_mm = quantile(&sorted, *probability, Convention::Linear)?;
        let shares: Vec<f64> = totals_mm
            .iter()
            .map(|total| deficit_share(*total, trigger_mm, exit_mm))
            .collect();
        let burn = Burn::of(&shares)?;
        Some(Rung {
            probability: *probability,
            trigger_mm,
            exit_mm,
            burn,
            gross: gross(burn.expected + with.deviation * burn.sd, with)?,
        })
    });
    rungs.collect()
}

/// A rule of law or of decency, and whether an offer keeps it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Check {
    /// What is limited.
    pub rule: &'static str,
    /// What the offer has.
    pub found: f64,
    /// Most it may have.
    pub limit: f64,
    /// Whether the law demands it (a product that breaks it may not be sold).
    pub is_law: bool,
}

impl Check {
    /// Whether the offer keeps it.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.found <= self.limit
    }
}

/// The checks on one offer: a sum insured and its premium in whole shillings over days of cover.
#[must_use]
pub fn checks(sum_insured_kes: u32, premium_kes: u32, cover_days: u32) -> [Check; 4] {
    // both constants are a few hundred thousand at most
    let limit = |kes: i64| f64::from(u32::try_from(kes).unwrap_or(u32::MAX));
    let law = |rule, found, limit| Check {
        rule,
        found,
        limit,
        is_law: true,
    };
    [
        law(
            "premium a day of cover, KES",
            f64::from(premium_kes) / f64::from(cover_days.max(1)),
            limit(PREMIUM_KES_PER_DAY_MAX),
        ),
        law(
            "sum insured, KES",
            f64::from(sum_insured_kes),
            limit(SUM_INSURED_KES_MAX),
        ),
        law(
            "days of cover",
            f64::from(cover_days),
            f64::from(TERM_DAYS_MAX),
        ),
        Check {
            rule: "gross rate, share of the sum insured",
            found: f64::from(premium_kes) / f64::from(sum_insured_kes.max(1)),
            limit: AFFORDABLE_RATE_MAX,
            is_law: false,
        },
    ]
}

/// Ways to look at one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Every year as it was.
    Plain,
    /// The last twenty years alone.
    Recent,
    /// Moved along a straight line to the last year's level.
    Linear,
    /// Moved along a local line to the last year's level.
    Loess,
    /// The years with vegetation alone, evaluated with it.
    Vegetation,
}

/// Which view to price on, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recommended {
    /// The view.
    pub view: View,
    /// The reason in words, for the file.
    pub reason: String,
}

/// Chooses between the plain and the linearly detrended burn, by rule: a falling trend is believed
/// when its t is at most [`TREND_T`], or when it is at most [`TREND_T_WEAK`] and the detrended loss
/// lies outside what resampling the plain record can explain (above its 95 %). Rising rain never lowers a price. The other views
/// are shown and never chosen: twenty years are few, and a local line ends in a few years' weather.
#[must_use]
pub fn recommend(plain: &Interval, linear_expected: f64, t: Option<f64>) -> Recommended {
    let shown = t.map_or("none".to_owned(), |t| format!("{t:.2}"));
    let upper = plain.p95;
    let (view, reason) = if t.is_some_and(|t| t <= TREND_T) {
        let reason = format!(
            "seasons are drying (t {shown}, at or below {TREND_T}): the record of wetter decades \
             would under-price the years to come"
        );
        (View::Linear, reason)
    } else if linear_expected > upper && t.is_some_and(|t| t <= TREND_T_WEAK) {
        let reason = format!(
            "the trend alone is not sure (t {shown}), but at the last year's level the loss is \
             above all that chance explains ({upper:.4})"
        );
        (View::Linear, reason)
    } else {
        let reason = format!(
            "no falling trend is shown (t {shown}, needed {TREND_T}, or {TREND_T_WEAK} with a loss \
             above {upper:.4}); every year counts, and their fewness is in the loading"
        );
        (View::Plain, reason)
    };
    Recommended { view, reason }
}

#[cfg(test)]
mod tests;
