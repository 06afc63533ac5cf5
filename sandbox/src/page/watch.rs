//! Looking at the product from the page: its report and the releases that wait for people, fetched
//! at most twice a second however many pages are open, and turned into lines of what happened. A
//! product that does not answer is said to be away and asked again; nothing is made up meanwhile.
//! Asked by the view.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::cell::RiskCell;
use serde::{Deserialize, Serialize};

use super::Page;
use super::calendar::{Calendar, year_of};
use super::clock::is_held;
use super::events::{Events, place};
use crate::season::report::Report;

/// Shortest time between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(500);
/// A product that has not answered by then is away.
const LOOK_SECONDS_MAX: u64 = 3;

/// A release that waits for two people.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct HeldRun {
    pub(crate) evaluation: String,
    #[serde(default)]
    pub(crate) cell: String,
    #[serde(default)]
    pub(crate) payouts: i64,
    #[serde(default)]
    pub(crate) total_minor: i64,
    #[serde(default)]
    pub(crate) holds: Vec<String>,
    #[serde(default)]
    pub(crate) approvals: Vec<Given>,
}

/// An approval given.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Given {
    pub(crate) operator: String,
}

#[derive(Deserialize)]
struct Runs {
    runs: Vec<HeldRun>,
}

/// What is known of the product.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) report: Option<Report>,
    pub(crate) held: Vec<HeldRun>,
    pub(crate) events: Events,
    /// Whether the last look was answered.
    pub(crate) is_away: bool,
}

/// The last look, and the turn to take the next.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    turn: tokio::sync::Mutex<Option<Instant>>,
    seen: Mutex<Seen>,
}

impl Watch {
    /// What is known; never held while waiting.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Page {
    /// Looks again, unless that was done just now or is being done.
    pub(crate) async fn look(&self) {
        let Ok(mut last) = self.0.watch.turn.try_lock() else {
            return;
        };
        if last.is_some_and(|last| last.elapsed() < LOOK_PAUSE) {
            return;
        }
        let limit = Duration::from_secs(LOOK_SECONDS_MAX);
        let asked = tokio::time::timeout(limit, self.ask()).await;
        match asked {
            Ok(Ok((report, held))) => self.note(report, held),
            Ok(Err(_)) | Err(_) => self.0.watch.seen().is_away = true,
        }
        *last = Some(Instant::now());
    }

    async fn ask(&self) -> anyhow::Result<(Report, Vec<HeldRun>)> {
        let net = &self.0.net;
        let report: Report = net.ask("/api/v1/operator/report").await?;
        let held = if is_held(&report) {
            let runs: Runs = net.ask("/api/v1/payout-runs?state=held").await?;
            runs.runs
        } else {
            Vec::new()
        };
        Ok((report, held))
    }

    fn note(&self, report: Report, held: Vec<HeldRun>) {
        let insured = report.risks.iter().filter(|risk| risk.policies > 0);
        self.learn_wards(insured.flat_map(|r| r.wards.iter().map(|ward| ward.code.clone())));
        let now = self.0.world.now();
        let ours = self.phones();
        let (book, inboxes) = self.0.world.with(|state, _| {
            let came: Vec<_> = ours
                .iter()
                .filter_map(|phone| {
                    let known = state.wallets.phones.get(phone.digits())?;
                    let came: Vec<_> = known
                        .sms
                        .iter()
                        .map(|sms| (sms.at, sms.text.clone()))
                        .collect();
                    Some((phone.digits().to_owned(), came))
                })
                .collect();
            (state.wallets.book.clone(), came)
        });
        let rains: Vec<_> = Calendar::at(now)
            .into_iter()
            .flat_map(|calendar| {
                report.risks.iter().filter_map(move |risk| {
                    let cell: RiskCell = risk.cell.parse().ok()?;
                    let is_on = risk.policies > 0 && year_of(&risk.season) == Some(calendar.year);
                    is_on.then_some((cell, place(risk), calendar.cover))
                })
            })
            .map(|(cell, place, cover)| (cell.to_string(), place, self.rain(cell, cover)))
            .collect();
        let mut seen = self.0.watch.seen();
        seen.is_away = false;
        seen.events
            .see_book(&book, |digits| ours.iter().any(|p| p.digits() == digits));
        for (cell, place, dekads) in &rains {
            seen.events.see_rain(cell, place, dekads);
        }
        seen.events.see_report(now, &report);
        for (digits, came) in &inboxes {
            seen.events.see_inbox(digits, came);
        }
        seen.report = Some(report);
        seen.held = held;
    }
}
