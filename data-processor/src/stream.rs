//! The index role: hears that stations are known, that a day was recorded, that an index is due;
//! reads the rows and writes local days, cell days and index runs, each in one transaction.
//! Never trusts a message for more than the id of the row to read. `run` is `step` in a loop.
//! Started by the binary; the simulation calls `step`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use domain::event::{Envelope, Event};
use domain::evidence::{StationDay, StationEvidence};
use domain::id::{IndexRunId, MessageId, RiskId};
use domain::season::{
    Window, day_of_interval_ending, day_starts_at, local_day, next_day, previous_day,
};
use runtime::broker::{Broker, BrokerError, Consumer, Delivery, Message};
use runtime::clock::Clock;
use runtime::health::Health;
use runtime::ids::Ids;
use runtime::lifecycle::Lifecycle;
use runtime::metrics::Metrics;
use runtime::topology::{RETRIES_MAX, Role};
use store::index_runs::NewRun;
use store::observations::FetchedDay;
use store::risks::Risk;
use store::{
    Connection, Pool, StoreError, endpoints, index_runs, observations, outbox, risks, stations,
};

use crate::index::{ENGINE_VERSION, Inputs, as_of, compute};
use crate::rule::{Siting, rank};
use crate::science::qc::{Quality, quality_flags};
use crate::science::rain::{Reading, station_days};

/// Most local days that one recorded UTC day may make anew: it and the next, and those of a gap
/// before it.
const DAYS_TOUCHED_MAX: u64 = 12;
/// Days after a window in which every station's last word is awaited.
const DAYS_AWAITED: u64 = 3;
/// Hour of the next UTC day at which a day is fetched first.
const FETCH_HOUR_UTC: u32 = 2;
/// First wait after the world failed; doubled up to a minute.
const BACK_OFF_MIN: Duration = Duration::from_secs(1);
const BACK_OFF_MAX: Duration = Duration::from_mins(1);

/// What the role works with; cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Context {
    /// The time.
    pub clock: Clock,
    /// Identifiers.
    pub ids: Ids,
    /// The database.
    pub pool: Pool,
    /// The broker.
    pub broker: Broker,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Liveness and readiness.
    pub health: Health,
    /// Tasks and signals.
    pub lifecycle: Lifecycle,
}

/// What came of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Committed, or nothing to do.
    Done,
    /// Failed for now.
    Retry(String),
    /// Can never succeed.
    Park(String),
    /// The database is away.
    Pause(String),
}

/// Consumes until the process is asked to stop. Fails when the broker stays away.
pub async fn run(context: &Context, name: &'static str, prefetch: u16) -> Result<(), BrokerError> {
    let mut back_off = BACK_OFF_MIN;
    while !context.lifecycle.is_stopping() {
        let mut queue = context.broker.consume(Role::Index, prefetch).await?;
        context.health.ready(name);
        let paused = loop {
            context.health.beat(name);
            if context.lifecycle.is_stopping() {
                break None;
            }
            match step(context, &mut queue).await? {
                Some(Outcome::Pause(reason)) => break Some(reason),
                Some(_) => back_off = BACK_OFF_MIN,
                None => {}
            }
        };
        queue.close().await;
        if let Some(reason) = paused {
            tracing::warn!(reason, wait_seconds = back_off.as_secs(), "paused");
            context.health.unready(name, &reason);
            context.lifecycle.pause(back_off).await;
            back_off = back_off.saturating_mul(2).min(BACK_OFF_MAX);
        }
    }
    Ok(())
}

/// Handles the next message and answers the broker; `None` when none came.
pub async fn step(context: &Context, queue: &mut Consumer) -> Result<Option<Outcome>, BrokerError> {
    let Some(delivery) = queue.next().await? else {
        return Ok(None);
    };
    let outcome = match handle(context, &delivery.message).await {
        Ok(()) => Outcome::Done,
        Err(Failure::Message(reason)) => Outcome::Park(reason),
        Err(Failure::Store(error)) if error.is_unavailable() => Outcome::Pause(causes(&error)),
        Err(Failure::Store(error @ StoreError::Corrupt { .. })) => Outcome::Park(causes(&error)),
        Err(Failure::Store(error)) if delivery.retries >= RETRIES_MAX => {
            Outcome::Park(causes(&error))
        }
        Err(Failure::Store(error)) => Outcome::Retry(causes(&error)),
    };
    if matches!(outcome, Outcome::Park(_)) {
        record_heard(context, &delivery.message).await;
    }
    if let Err(error) = answer(context, delivery, &outcome).await {
        // the broker is away: it gives the message again, and what was done is done once
        tracing::warn!(%error, "message not answered");
    }
    Ok(Some(outcome))
}

async fn answer(
    context: &Context,
    delivery: Delivery,
    outcome: &Outcome,
) -> Result<(), BrokerError> {
    let (name, reason) = match outcome {
        Outcome::Done => ("done", None),
        Outcome::Retry(reason) => ("retry", Some(reason)),
        Outcome::Park(reason) => ("park", Some(reason)),
        Outcome::Pause(reason) => ("pause", Some(reason)),
    };
    let (topic, id) = (delivery.message.topic.clone(), delivery.message.id);
    if let Some(reason) = reason {
        tracing::warn!(role = "index", topic, %id, outcome = name, reason, "message");
    } else {
        tracing::debug!(role = "index", topic, %id, outcome = name, "message");
    }
    context
        .metrics
        .messages
        .with_label_values(&[Role::Index.name(), name])
        .inc();
    match outcome {
        Outcome::Done => delivery.ack().await,
        Outcome::Retry(_) => delivery.retry().await,
        Outcome::Park(reason) => delivery.park(reason).await,
        Outcome::Pause(_) => delivery.give_back().await,
    }
}

/// Records that a message was heard although nothing came of it, so that nobody waits for it.
async fn record_heard(context: &Context, message: &Message) {
    let (now, id) = (context.clock.now(), MessageId::from(message.id));
    let recorded = async {
        let mut conn = context.pool.acquire().await?;
        store::consumed::park(&mut conn, now, Role::Index.name(), id).await
    };
    if let Err(error) = recorded.await {
        tracing::debug!(%id, error = causes(&error), "a parked message was not recorded as heard");
    }
}

/// Why a message was not handled.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Message(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<store::DatabaseError> for Failure {
    fn from(error: store::DatabaseError) -> Self {
        Self::Store(error.into())
    }
}

async fn handle(context: &Context, message: &Message) -> Result<(), Failure> {
    let event = Event::decode(&message.topic, &message.body)
        .map_err(|error| Failure::Message(error.to_string()))?;
    let now = context.clock.now();
    let mut tx = context.pool.begin().await?;
    let id = MessageId::from(message.id);
    if store::consumed::first_time(&mut tx, now, Role::Index.name(), id).await? {
        match event {
            Event::StationsRecorded { risk_id } => freeze(context, &mut tx, risk_id).await?,
            Event::ObservationRecorded {
                station_id,
                utc_date,
                ..
            } => {
                recompute_days(context, &mut tx, &station_id, utc_date).await?;
            }
            Event::IndexDue { risk_id } => recompute_index(context, &mut tx, risk_id).await?,
            _ => {}
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Chooses a risk's stations, once, for the whole window.
async fn freeze(
    context: &Context,
    conn: &mut Connection,
    risk_id: RiskId,
) -> Result<(), StoreError> {
    let now = context.clock.now();
    let Some(risk) = risks::lock(conn, risk_id).await? else {
        return Ok(());
    };
    if risk.stations_frozen_at.is_some() {
        return Ok(());
    }
    let candidates = stations::list_candidates(conn, risk_id).await?;
    let ranked: Vec<(String, i16)> = rank(risk.cell, &candidates).into_iter().zip(1..).collect();
    if ranked.is_empty() {
        // not frozen: they are looked for again every day until good ones are found
        tracing::warn!(risk.id = %risk_id, candidates = candidates.len(), "no good station");
        return Ok(());
    }
    stations::rank(conn, risk_id, &ranked).await?;
    risks::mark_frozen(conn, now, risk_id).await?;
    for (station_id, _) in &ranked {
        let days: Vec<_> = risk
            .window
            .utc_dates()
            .map(|date| (context.ids.uuid(now), date, fetched_at(date)))
            .collect();
        observations::plan_days(conn, station_id, &days).await?;
    }
    Ok(())
}

/// When a UTC date is fetched first: the provider publishes a day's quality on the next.
fn fetched_at(date: NaiveDate) -> DateTime<Utc> {
    let hour = NaiveTime::from_hms_opt(FETCH_HOUR_UTC, 0, 0).unwrap_or(NaiveTime::MIN);
    next_day(date).and_time(hour).and_utc()
}

/// Computes the local days that a recorded UTC day touches.
async fn recompute_days(
    context: &Context,
    conn: &mut Connection,
    station_id: &str,
    utc_date: NaiveDate,
) -> Result<(), StoreError> {
    if !stations::lock(conn, station_id).await? {
        return Ok(());
    }
    let begins = utc_date.and_time(NaiveTime::MIN).and_utc();
    let ends = begins + TimeDelta::days(1);
    let (before, after) = observations::find_neighbours(conn, station_id, begins, ends).await?;
    let days = touched(utc_date, before, after);
    let (opens, closes) = (day_starts_at(days.start), day_starts_at(days.end));
    let just_after = opens + TimeDelta::microseconds(1);
    let (from, until) = observations::find_neighbours(conn, station_id, just_after, closes).await?;
    let (from, until) = (from.unwrap_or(opens), until.unwrap_or(closes));
    let rows = observations::list_between(conn, station_id, from, until).await?;
    let (first, last) = (previous_day(days.start), days.last_day());
    let fetched = observations::list_fetched(conn, station_id, first, last).await?;
    let fetched: BTreeMap<NaiveDate, FetchedDay> =
        fetched.into_iter().map(|day| (day.utc_date, day)).collect();
    let readings: Vec<Reading> = rows
        .into_iter()
        .map(|row| Reading {
            at: row.at,
            counter_um: row.counter.map(|counter| counter.0),
            reply: fetched
                .get(&row.at.date_naive())
                .and_then(|day| day.reply_sha256.clone())
                .unwrap_or_default(),
        })
        .collect();
    let mut computed = station_days(&readings, days);
    for day in &mut computed {
        flag_quality(day, &fetched);
    }
    let now = context.clock.now();
    observations::upsert_station_days(conn, now, station_id, &computed).await?;
    observations::mark_computed(conn, now, station_id, utc_date).await?;
    risks::mark_dirty(conn, station_id, days.start, days.last_day()).await?;
    Ok(())
}

/// Adds the flags of the provider's word on the two UTC dates of a local day.
fn flag_quality(day: &mut StationDay, fetched: &BTreeMap<NaiveDate, FetchedDay>) {
    let quality_of = |date: NaiveDate| {
        fetched
            .get(&date)
            .map_or_else(Quality::default, |fetched| Quality {
                data_e4: fetched.data_quality_e4,
                location_e4: fetched.location_quality_e4,
            })
    };
    let flags = quality_flags(day.day, quality_of);
    day.flags
        .extend(flags.into_iter().map(|flag| flag.as_str().to_owned()));
    day.flags.sort_unstable();
    day.flags.dedup();
}

/// The local days whose rain may change when a UTC date is recorded: those it overlaps, and those
/// of a gap before or after it.
fn touched(
    utc_date: NaiveDate,
    before: Option<DateTime<Utc>>,
    after: Option<DateTime<Utc>>,
) -> Window {
    let first = before.map_or(utc_date, local_day);
    let last = after.map_or(next_day(utc_date), day_of_interval_ending);
    let earliest = utc_date - Days::new(DAYS_TOUCHED_MAX);
    let latest = utc_date + Days::new(DAYS_TOUCHED_MAX);
    Window {
        start: first.clamp(earliest, utc_date),
        end: next_day(last.clamp(next_day(utc_date), latest)),
    }
}

/// Computes a risk's index from everything known now.
async fn recompute_index(
    context: &Context,
    conn: &mut Connection,
    risk_id: RiskId,
) -> Result<(), StoreError> {
    let now = context.clock.now();
    let Some(risk) = risks::lock(conn, risk_id).await? else {
        return Ok(());
    };
    risks::mark_clean(conn, risk_id).await?;
    let Some(as_of_day) = as_of(risk.window, now) else {
        return Ok(());
    };
    if risk.is_decided || risk.stations_frozen_at.is_none() {
        return Ok(());
    }
    let version = store::products::get(conn, risk.version).await?;
    let zone = version
        .product
        .zone(&risk.zone)
        .ok_or_else(|| corrupt("zone", risk_id))?;
    let observers = stations::list_frozen(conn, risk_id, risk.window).await?;
    let inside = stations::leads_in_cell(conn, risk_id).await?;
    let inputs = Inputs {
        product: &version.product,
        zone,
        season_year: risk.season_year,
        window: risk.window,
        siting: if inside {
            Siting::InCell
        } else {
            Siting::Around
        },
        stations: &observers,
    };
    let computed =
        compute(&inputs, as_of_day).map_err(|_| corrupt("product_version_id", risk_id))?;
    let past: Vec<_> = computed
        .days
        .iter()
        .filter(|d| d.day <= as_of_day)
        .cloned()
        .collect();
    index_runs::upsert_cell_days(conn, now, risk_id, &past).await?;
    let is_final = is_final(conn, now, &risk, &observers, computed.missing_days).await?;
    let run = NewRun {
        id: context.ids.mint::<IndexRunId>(now),
        risk_id,
        as_of_day,
        phases: &computed.phases,
        stations: computed.stations,
        missing_days: computed.missing_days,
        confidence: computed.confidence,
        is_final,
        manifest_hash: &computed.manifest_hash,
        engine_version: ENGINE_VERSION,
    };
    let (index_run_id, is_new) = index_runs::record(conn, now, &run).await?;
    if is_new && endpoints::is_index_watched(conn, risk_id).await? {
        let event = Event::IndexUpdated {
            risk_id,
            index_run_id,
        };
        ring(context, conn, now, event).await?;
    }
    if is_final && risks::set_final(conn, risk_id, index_run_id).await? {
        let event = Event::IndexFinal {
            risk_id,
            index_run_id,
        };
        ring(context, conn, now, event).await?;
    }
    Ok(())
}

async fn ring(
    context: &Context,
    conn: &mut Connection,
    now: DateTime<Utc>,
    event: Event,
) -> Result<(), StoreError> {
    let envelope = Envelope {
        id: context.ids.mint::<MessageId>(now),
        event,
        traceparent: None,
    };
    outbox::push(conn, now, &envelope, now).await
}

/// Whether no day of the window can change any more; or, days after it, whether none is missing and
/// whatever is known is counted, so that one station's broken day does not hold up a whole cell.
async fn is_final(
    conn: &mut Connection,
    now: DateTime<Utc>,
    risk: &Risk,
    observers: &[StationEvidence],
    missing_days: u32,
) -> Result<bool, StoreError> {
    let closes_at = risk.window.closes_at();
    if now < closes_at {
        return Ok(false);
    }
    let ids: Vec<String> = observers.iter().map(|station| station.id.clone()).collect();
    let (first, last) = (previous_day(risk.window.start), risk.window.last_day());
    let days = observations::count_unsettled(conn, &ids, first, last).await?;
    let is_late = now >= closes_at + Days::new(DAYS_AWAITED);
    let is_fetched = days.due == 0 || (is_late && missing_days == 0);
    Ok(days.planned > 0 && days.uncomputed == 0 && is_fetched)
}

fn corrupt(column: &'static str, risk_id: RiskId) -> StoreError {
    StoreError::Corrupt {
        table: "risks",
        column,
        id: risk_id.to_string(),
    }
}

/// An error with its causes on one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
