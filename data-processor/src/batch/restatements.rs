//! What decided risks would be paid on today: late replies and late data never change a decision,
//! but people want to know what they would have changed. Reads only, and judges by the version of
//! the number work that the decision was made with.
//! Run by the command `restatements`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use domain::cell::RiskCell;
use domain::evidence::StationEvidence;
use domain::id::RiskId;
use domain::measure::RainUm;
use domain::money::BasisPoints;
use domain::season::Window;
use domain::settle::{Outcome, Settlement, settle};
use serde::Serialize;
use store::evaluations::Exposure;
use store::restatements::{self, Decided};
use store::risks::{self, Risk};
use store::{Connection, StoreError};

use crate::batch::database::Database;
use crate::index::{Engine, Inputs, compute};
use crate::stream::{Loaded, compute_days};

/// Decisions looked at together.
const PAGE: i64 = 64;

/// Lists decided risks that would be paid otherwise, or observed otherwise, on what is recorded today.
#[derive(Debug, Clone, Args)]
pub struct Restatements {
    /// Only seasons that began in this year.
    #[arg(long)]
    season_year: Option<i32>,
    /// One JSON object a line instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: Database,
}

/// A day of a station that would now be otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedDay {
    /// Station.
    pub station: String,
    /// Local day.
    pub day: NaiveDate,
    /// Rain that the evidence states; `None` is missing.
    pub published_um: Option<RainUm>,
    /// Rain by everything recorded today.
    pub now_um: Option<RainUm>,
}

/// A decided risk that would now be otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restatement {
    /// Risk.
    pub risk_id: RiskId,
    /// Its cell.
    pub cell: RiskCell,
    /// Year its cover began in.
    pub season_year: i32,
    /// When it was decided.
    pub evaluated_at: DateTime<Utc>,
    /// Days of its stations that would now be otherwise.
    pub days: Vec<ChangedDay>,
    /// What its policies were paid together, cents.
    pub paid_minor: i64,
    /// What they would be paid; `None` when there would be no number.
    pub now_minor: Option<i64>,
    /// Share of the sum insured that was paid.
    pub paid_bp: BasisPoints,
    /// Share that would be paid.
    pub now_bp: Option<BasisPoints>,
}

/// Runs the command.
pub async fn run(asked: &Restatements) -> anyhow::Result<ExitCode> {
    let pool = asked.database.connect().await?;
    let mut conn = pool.acquire().await.context("no connection")?;
    let mut out = std::io::stdout().lock();
    let (mut after, mut found) = (None, 0_u64);
    loop {
        let page = page(&mut conn, asked.season_year, after).await?;
        for restated in &page.restated {
            found = found.saturating_add(1);
            if asked.json {
                writeln!(out, "{}", serde_json::to_string(restated)?)?;
            } else {
                show(&mut out, restated)?;
            }
        }
        after = page.last;
        if after.is_none() {
            break;
        }
    }
    if !asked.json {
        writeln!(out, "restatements: {found}; nothing was changed")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(out: &mut impl std::io::Write, restated: &Restatement) -> anyhow::Result<()> {
    let text = |um: Option<RainUm>| um.map_or_else(|| "missing".to_owned(), |um| um.0.to_string());
    let now = restated
        .now_minor
        .map_or_else(|| "no number".to_owned(), |minor| minor.to_string());
    writeln!(
        out,
        "{} cell={} season={} paid_minor={} now_minor={now} days={}",
        restated.risk_id,
        restated.cell,
        restated.season_year,
        restated.paid_minor,
        restated.days.len()
    )?;
    for day in &restated.days {
        let (published, now) = (text(day.published_um), text(day.now_um));
        writeln!(
            out,
            "  {} {} published_um={published} now_um={now}",
            day.station, day.day
        )?;
    }
    Ok(())
}

/// Some decisions, looked at anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Those that would now be otherwise.
    pub restated: Vec<Restatement>,
    /// The last risk looked at; `None` when there is none after these.
    pub last: Option<RiskId>,
}

/// Looks at the next decisions after a risk.
pub async fn page(
    conn: &mut Connection,
    season_year: Option<i32>,
    after: Option<RiskId>,
) -> Result<Page, StoreError> {
    let decided = restatements::list_decided(conn, season_year, after, PAGE).await?;
    let is_full = i64::try_from(decided.len()).is_ok_and(|count| count >= PAGE);
    let ids: Vec<RiskId> = decided.iter().map(|decided| decided.risk_id).collect();
    let risks = risks::list(conn, &ids).await?;
    let loaded = Loaded::read(conn, &risks).await?;
    let windows: BTreeSet<(&str, NaiveDate, NaiveDate)> = risks
        .iter()
        .flat_map(|risk| loaded.stations(risk).iter().map(move |s| (risk, s)))
        .map(|(risk, station)| (station.id.as_str(), risk.window.start, risk.window.end))
        .collect();
    let windows: Vec<(&str, Window)> = windows
        .into_iter()
        .map(|(station, start, end)| (station, Window { start, end }))
        .collect();
    let days = compute_days(conn, &windows).await?;
    let today: BTreeMap<(&str, NaiveDate), _> = windows
        .iter()
        .zip(days)
        .map(|((station, window), days)| ((*station, window.start), days))
        .collect();
    let mut restated = Vec::new();
    for (decided, risk) in decided.iter().zip(&risks) {
        let stations: Vec<StationEvidence> = loaded
            .stations(risk)
            .iter()
            .map(|station| StationEvidence {
                days: today
                    .get(&(station.id.as_str(), risk.window.start))
                    .cloned()
                    .unwrap_or_default(),
                ..station.clone()
            })
            .collect();
        restated.extend(restate(&loaded, decided, risk, &stations)?);
    }
    Ok(Page {
        restated,
        last: ids.last().copied().filter(|_| is_full),
    })
}

fn restate(
    loaded: &Loaded,
    decided: &Decided,
    risk: &Risk,
    today: &[StationEvidence],
) -> Result<Option<Restatement>, StoreError> {
    let broken = |column| StoreError::Corrupt {
        table: "evaluations",
        column,
        id: risk.id.to_string(),
    };
    let inputs = Inputs {
        engine: Engine::parse(&decided.engine_version).unwrap_or(Engine::CURRENT),
        ..loaded.inputs_over(risk, today)?
    };
    let days = changed(loaded.stations(risk), today);
    let computed = compute(&inputs, risk.window.last_day()).map_err(|_| broken("index_run_id"))?;
    let outcome = settle(inputs.product, inputs.zone, &computed.observed());
    let now = match outcome.map_err(|_| broken("settlement"))? {
        Outcome::Settled(settlement) => {
            let total = owed(&settlement, &decided.exposures);
            Some((
                total.ok_or_else(|| broken("total_minor"))?,
                settlement.share,
            ))
        }
        Outcome::Deferred { .. } => None,
    };
    let paid_minor = decided.total.minor;
    if days.is_empty() && now.is_some_and(|(minor, _)| minor == paid_minor) {
        return Ok(None);
    }
    Ok(Some(Restatement {
        risk_id: risk.id,
        cell: risk.cell,
        season_year: risk.season_year,
        evaluated_at: decided.evaluated_at,
        days,
        paid_minor,
        now_minor: now.map(|(minor, _)| minor),
        paid_bp: decided.settlement.share.basis_points(),
        now_bp: now.map(|(_, share)| share.basis_points()),
    }))
}

/// What these policies are owed together; `None` when that is no number.
fn owed(settlement: &Settlement, exposures: &[Exposure]) -> Option<i64> {
    exposures.iter().try_fold(0_i64, |total, exposure| {
        let each = settlement.payout(exposure.sum_insured).ok()?;
        total.checked_add(each.minor.checked_mul(exposure.policies)?)
    })
}

/// The days whose rain differs; a day that the evidence does not have is missing in it.
fn changed(published: &[StationEvidence], today: &[StationEvidence]) -> Vec<ChangedDay> {
    let rain = |stations: &[StationEvidence]| -> BTreeMap<(String, NaiveDate), Option<RainUm>> {
        stations
            .iter()
            .flat_map(|station| station.days.iter().map(move |day| (station, day)))
            .map(|(station, day)| ((station.id.clone(), day.day), day.rain_um))
            .collect()
    };
    let (before, now) = (rain(published), rain(today));
    let keys: BTreeSet<&(String, NaiveDate)> = before.keys().chain(now.keys()).collect();
    keys.into_iter()
        .map(|key| ChangedDay {
            station: key.0.clone(),
            day: key.1,
            published_um: before.get(key).copied().flatten(),
            now_um: now.get(key).copied().flatten(),
        })
        .filter(|day| day.published_um != day.now_um)
        .collect()
}
