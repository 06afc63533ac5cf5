//! Chooses the stations of risks, once, for the whole window, and makes their days due to be
//! fetched. Never chooses again: a risk that has its stations is left alone.
//! Called by the stream for the risks of one batch.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use domain::id::RiskId;
use domain::season::next_day;
use store::observations::{self, PlannedDay};
use store::stations::{self, Ranked};
use store::{Connection, StoreError, risks};

use super::Context;
use crate::rule::rank;

/// Hour of the next UTC day at which a day is fetched first.
const FETCH_HOUR_UTC: u32 = 2;

/// Freezes the stations of those of these risks that have none yet.
pub(super) async fn freeze(
    context: &Context,
    conn: &mut Connection,
    ids: BTreeSet<RiskId>,
) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let now = context.clock.now();
    let ids: Vec<RiskId> = ids.into_iter().collect();
    let mut open = risks::lock_all(conn, &ids).await?;
    open.retain(|risk| risk.stations_frozen_at.is_none());
    let ids: Vec<RiskId> = open.iter().map(|risk| risk.id).collect();
    let mut candidates = stations::list_all_candidates(conn, &ids).await?;
    let (mut frozen, mut chosen, mut planned) = (Vec::new(), Vec::new(), Vec::new());
    for risk in open {
        let near = candidates.remove(&risk.id).unwrap_or_default();
        let ranked = rank(risk.cell, &near);
        if ranked.is_empty() {
            // not frozen: they are looked for again every day until good ones are found
            tracing::warn!(risk.id = %risk.id, candidates = near.len(), "no good station");
            continue;
        }
        frozen.push(risk.id);
        for (station_id, rank) in ranked.into_iter().zip(1..) {
            planned.extend(risk.window.utc_dates().map(|utc_date| PlannedDay {
                id: context.ids.uuid(now),
                station_id: station_id.clone(),
                utc_date,
                due_at: fetched_at(utc_date),
            }));
            chosen.push(Ranked {
                risk_id: risk.id,
                station_id,
                rank,
            });
        }
    }
    if !frozen.is_empty() {
        stations::rank(conn, &chosen).await?;
        risks::mark_frozen(conn, now, &frozen).await?;
        observations::plan_days(conn, &planned).await?;
    }
    Ok(())
}

/// When a UTC date is fetched first: the provider publishes a day's quality on the next.
fn fetched_at(date: NaiveDate) -> DateTime<Utc> {
    let hour = NaiveTime::from_hms_opt(FETCH_HOUR_UTC, 0, 0).unwrap_or(NaiveTime::MIN);
    next_day(date).and_time(hour).and_utc()
}
