//! Indices of risks from everything known now: cell days and index runs of a whole batch, the run
//! that settles a risk named once nothing can change any more, and the bells of both. Never touches
//! a risk that is decided, and never computes without the risk's lock.
//! Called by the stream for the risks of one batch.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, Utc};
use domain::event::{Envelope, Event};
use domain::id::{IndexRunId, RiskId};
use store::index_runs::NewRun;
use store::risks::Risk;
use store::station_days::DayCounts;
use store::{Connection, StoreError, endpoints, index_runs, outbox, risks, station_days};

use super::Context;
use super::loaded::{Loaded, corrupt};
use crate::index::{Computed, ENGINE_VERSION, as_of, compute_under};

/// Days after a window in which every station's last word is awaited.
const DAYS_AWAITED: u64 = 3;

/// Computes the indices of these risks from everything known now.
pub(super) async fn recompute(
    context: &Context,
    conn: &mut Connection,
    ids: BTreeSet<RiskId>,
) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let now = context.clock.now();
    let ids: Vec<RiskId> = ids.into_iter().collect();
    let locked = risks::lock_all(conn, &ids).await?;
    risks::mark_clean(conn, &ids).await?;
    let (open, days): (Vec<Risk>, Vec<NaiveDate>) = locked
        .into_iter()
        .filter(|risk| {
            !risk.is_decided && (risk.stations_frozen_at.is_some() || is_late(risk, now))
        })
        .filter_map(|risk| as_of(risk.window, now).map(|day| (risk, day)))
        .unzip();
    if open.is_empty() {
        return Ok(());
    }
    let loaded = Loaded::read(conn, &open).await?;
    // a cell in which no good station was ever found has what satellites say, if the contract names one
    let may_settle = |risk: &Risk| {
        let product = loaded.product(risk).map(|version| &version.product);
        risk.stations_frozen_at.is_some()
            || product.is_ok_and(|product| !product.grid_datasets().is_empty())
    };
    let (open, days): (Vec<Risk>, Vec<NaiveDate>) = open
        .into_iter()
        .zip(days)
        .filter(|(risk, _)| may_settle(risk))
        .unzip();
    let mut computed = Vec::with_capacity(open.len());
    for (risk, day) in open.iter().zip(&days) {
        let (inputs, version) = (loaded.inputs(risk)?, loaded.product(risk)?);
        let index = compute_under(&inputs, &version.hash, *day);
        computed.push(index.map_err(|_| corrupt("product_version_id", risk.id))?);
    }
    let past: Vec<_> = open
        .iter()
        .zip(days.iter().zip(&computed))
        .flat_map(|(risk, (last, computed))| {
            let past = computed.days.iter().filter(move |d| d.day <= *last);
            past.map(move |day| (risk.id, day))
        })
        .collect();
    index_runs::upsert_cell_days(conn, now, &past).await?;

    let closed: Vec<RiskId> = open
        .iter()
        .filter(|risk| now >= risk.window.closes_at())
        .map(|risk| risk.id)
        .collect();
    let unsettled = if closed.is_empty() {
        BTreeMap::new()
    } else {
        station_days::count_unsettled(conn, &closed).await?
    };
    let mut runs = Vec::with_capacity(open.len());
    for ((risk, day), computed) in open.iter().zip(&days).zip(&computed) {
        runs.push(NewRun {
            id: context.ids.mint::<IndexRunId>(now),
            risk_id: risk.id,
            as_of_day: *day,
            phases: &computed.phases,
            stations: computed.stations,
            missing_days: computed.missing_days,
            confidence: computed.confidence,
            vegetation_milli: computed.vegetation_milli,
            index_se_bp: computed.index_se_bp,
            checks: &computed.checks,
            is_final: is_final(now, &loaded, risk, computed, unsettled.get(&risk.id))?,
            manifest_hash: &computed.manifest_hash,
            engine_version: ENGINE_VERSION,
        });
    }
    let recorded = index_runs::record(conn, now, &runs).await?;
    let recorded: Vec<(&NewRun<'_>, (IndexRunId, bool))> = runs.iter().zip(recorded).collect();
    // what a risk was to be settled by is named anew, or no more: its evidence is put together from
    // what is recorded, and must not state what the run that settles does not count
    let named: Vec<(RiskId, Option<IndexRunId>)> = recorded
        .iter()
        .filter(|(run, _)| closed.contains(&run.risk_id))
        .map(|(run, (id, _))| (run.risk_id, run.is_final.then_some(*id)))
        .collect();
    let changed = if named.is_empty() {
        Vec::new()
    } else {
        risks::set_final(conn, &named).await?
    };
    ring(context, conn, now, &recorded, &changed).await
}

/// Rings for runs that are new where somebody asked to be told, and for those that settle a risk
/// which another run, or none, was to settle.
async fn ring(
    context: &Context,
    conn: &mut Connection,
    now: DateTime<Utc>,
    recorded: &[(&NewRun<'_>, (IndexRunId, bool))],
    changed: &[RiskId],
) -> Result<(), StoreError> {
    let new: Vec<RiskId> = recorded
        .iter()
        .filter(|(_, (_, is_new))| *is_new)
        .map(|(run, _)| run.risk_id)
        .collect();
    let watched = if new.is_empty() {
        BTreeSet::new()
    } else {
        endpoints::list_index_watched(conn, &new).await?
    };
    let mut bells = Vec::new();
    for (run, (index_run_id, _)) in recorded {
        let (risk_id, index_run_id) = (run.risk_id, *index_run_id);
        if watched.contains(&risk_id) {
            bells.push(Event::IndexUpdated {
                risk_id,
                index_run_id,
            });
        }
        if run.is_final && changed.contains(&risk_id) {
            bells.push(Event::IndexFinal {
                risk_id,
                index_run_id,
            });
        }
    }
    let bells: Vec<Envelope> = bells
        .into_iter()
        .map(|event| Envelope {
            id: context.ids.mint(now),
            event,
            traceparent: None,
        })
        .collect();
    outbox::push_all(conn, now, &bells, now).await
}

/// Whether no day of the window can change any more; or, days after it, whether none is missing and
/// whatever is known is counted, so that one station's broken day does not hold up a whole cell.
/// Not before vegetation has been waited for.
fn is_final(
    now: DateTime<Utc>,
    loaded: &Loaded,
    risk: &Risk,
    computed: &Computed,
    days: Option<&DayCounts>,
) -> Result<bool, StoreError> {
    if now < risk.window.closes_at() {
        return Ok(false);
    }
    let product = &loaded.product(risk)?.product;
    let is_awaited = computed.awaits_vegetation(product, risk.season_year, now);
    let is_late_and_whole = is_late(risk, now) && computed.missing_days == 0;
    let is_observed = match days.filter(|days| days.planned > 0) {
        Some(days) => days.uncomputed == 0 && (days.due == 0 || is_late_and_whole),
        // without a station only a gridded dataset can have filled the window
        None => is_late_and_whole,
    };
    Ok(!is_awaited && is_observed)
}

/// Whether the days have passed in which every station's last word is awaited.
fn is_late(risk: &Risk, now: DateTime<Utc>) -> bool {
    now >= risk.window.closes_at() + Days::new(DAYS_AWAITED)
}
