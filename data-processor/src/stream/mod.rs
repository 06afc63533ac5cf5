//! The index role: hears that stations are known, that a day or the pixels of a cell were recorded,
//! that an index is due; takes what waits and writes local days, scenes, cell days and index runs
//! of all of it at once, each kind in one transaction. Never trusts a message for more than the id
//! of the row to read, and never lets one message keep its neighbours from being done. `run` is
//! `step` in a loop. Started by the binary; the simulation calls `step`.

mod days;
mod freeze;
mod indices;
mod loaded;
mod scenes;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::event::Event;
use domain::id::{MessageId, RiskId};
use runtime::broker::{Broker, BrokerError, Consumer, Delivery, Message};
use runtime::clock::Clock;
use runtime::health::Health;
use runtime::ids::Ids;
use runtime::lifecycle::Lifecycle;
use runtime::metrics::Metrics;
use runtime::topology::{RETRIES_MAX, Role};
use store::station_days::UtcDate;
use store::{Pool, StoreError};
use tokio::time::Instant;
use uuid::Uuid;

pub(crate) use days::compute as compute_days;
pub(crate) use loaded::Loaded;

/// Messages handled at once: what one transaction locks is bounded, and more gains little.
pub const BATCH_MAX: usize = 64;
/// Messages that the broker sends ahead: two batches wait while one is handled.
const PREFETCH: u16 = 192;
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
        let sent_ahead = prefetch.max(PREFETCH);
        let mut queue = context.broker.consume(Role::Index, sent_ahead).await?;
        context.health.ready(name);
        let paused = loop {
            context.health.beat(name);
            if context.lifecycle.is_stopping() {
                break None;
            }
            let outcomes = step(context, &mut queue).await?;
            let is_moving = !outcomes.is_empty();
            let paused = outcomes.into_iter().find_map(|outcome| match outcome {
                Outcome::Pause(reason) => Some(reason),
                _ => None,
            });
            match paused {
                Some(reason) => break Some(reason),
                None if is_moving => back_off = BACK_OFF_MIN,
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

/// Handles what waits, up to [`BATCH_MAX`] messages, and answers the broker; one outcome a message,
/// none when none came.
pub async fn step(context: &Context, queue: &mut Consumer) -> Result<Vec<Outcome>, BrokerError> {
    let batch = queue.next_batch(BATCH_MAX).await?;
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let started = Instant::now();
    let outcomes = handle(context, &batch).await;
    // a batch is one transaction: none of it is done before all of it is
    let seconds = started.elapsed().as_secs_f64();
    // what is given back goes to the head of the queue: the last first, so that the order stays
    for (delivery, outcome) in batch.into_iter().zip(&outcomes).rev() {
        if matches!(outcome, Outcome::Park(_)) {
            record_heard(context, &delivery.message).await;
        }
        if let Err(error) = answer(context, delivery, outcome, seconds).await {
            // the broker is away: it gives the message again, and what was done is done once
            tracing::warn!(%error, "message not answered");
        }
    }
    Ok(outcomes)
}

async fn answer(
    context: &Context,
    delivery: Delivery,
    outcome: &Outcome,
    seconds: f64,
) -> Result<(), BrokerError> {
    let (name, reason) = match outcome {
        Outcome::Done => ("done", None),
        Outcome::Retry(reason) => ("retry", Some(reason)),
        Outcome::Park(reason) => ("park", Some(reason)),
        Outcome::Pause(reason) => ("pause", Some(reason)),
    };
    let (topic, id) = (delivery.message.topic.as_str(), delivery.message.id);
    if let Some(reason) = reason {
        tracing::warn!(role = "index", topic, %id, outcome = name, reason, "message");
    } else {
        tracing::debug!(role = "index", topic, %id, outcome = name, "message");
    }
    let labels = [Role::Index.name(), name];
    context.metrics.messages.with_label_values(&labels).inc();
    let times = &context.metrics.message_seconds;
    times.with_label_values(&labels).observe(seconds);
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

/// The work that messages ask for. Each kind has a transaction of its own: days lock stations and
/// then risks, the others risks alone, both in the order of ids, so that no two batches can lock
/// each other out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Freeze,
    Days,
    Scenes,
    Indices,
}

/// What one message asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    /// Stations of a risk are to be chosen.
    Freeze(RiskId),
    /// Local days of a station are to be computed.
    Day(UtcDate),
    /// Pixels of a cell are to be made a scene.
    Scene(Uuid),
    /// The index of a risk is to be computed.
    Index(RiskId),
    /// Nothing of this role.
    Nothing,
}

impl Asked {
    fn of(event: Event) -> Self {
        match event {
            Event::StationsRecorded { risk_id } => Self::Freeze(risk_id),
            Event::ObservationRecorded {
                station_id,
                utc_date,
                ..
            } => Self::Day(UtcDate {
                station_id,
                date: utc_date,
            }),
            Event::SceneCaptured {
                scene_window_id, ..
            } => Self::Scene(scene_window_id),
            Event::IndexDue { risk_id } => Self::Index(risk_id),
            _ => Self::Nothing,
        }
    }

    const fn kind(&self) -> Kind {
        match self {
            Self::Freeze(_) | Self::Nothing => Kind::Freeze,
            Self::Day(_) => Kind::Days,
            Self::Scene(_) => Kind::Scenes,
            Self::Index(_) => Kind::Indices,
        }
    }
}

/// A message of a batch that was understood.
#[derive(Debug, Clone)]
struct Heard {
    /// Its place in the batch.
    place: usize,
    id: MessageId,
    retries: u32,
    asked: Asked,
}

/// Handles every message of a batch; one outcome each, in their order.
async fn handle(context: &Context, batch: &[Delivery]) -> Vec<Outcome> {
    let mut outcomes = vec![Outcome::Done; batch.len()];
    let mut heard = Vec::with_capacity(batch.len());
    for (place, (delivery, outcome)) in batch.iter().zip(&mut outcomes).enumerate() {
        let message = &delivery.message;
        match Event::decode(&message.topic, &message.body) {
            Ok(event) => heard.push(Heard {
                place,
                id: message.id.into(),
                retries: delivery.retries,
                asked: Asked::of(event),
            }),
            Err(error) => *outcome = Outcome::Park(error.to_string()),
        }
    }
    for kind in [Kind::Freeze, Kind::Days, Kind::Scenes, Kind::Indices] {
        let members: Vec<&Heard> = heard
            .iter()
            .filter(|message| message.asked.kind() == kind)
            .collect();
        for (place, outcome) in together(context, kind, &members).await {
            if let Some(known) = outcomes.get_mut(place) {
                *known = outcome;
            }
        }
    }
    outcomes
}

/// Handles messages of one kind in one transaction; when that fails, each in its own, so that only
/// those that are to blame fail.
async fn together(context: &Context, kind: Kind, members: &[&Heard]) -> Vec<(usize, Outcome)> {
    if members.is_empty() {
        return Vec::new();
    }
    let each = |outcome: Outcome| members.iter().map(move |m| (m.place, outcome.clone()));
    match transact(context, kind, members).await {
        Ok(()) => each(Outcome::Done).collect(),
        Err(error) if error.is_unavailable() => each(Outcome::Pause(causes(&error))).collect(),
        Err(error) if members.len() > 1 => {
            tracing::warn!(
                messages = members.len(),
                error = causes(&error),
                "a batch failed, its messages are handled one by one"
            );
            let mut outcomes = Vec::with_capacity(members.len());
            for member in members {
                outcomes.push((member.place, alone(context, kind, member).await));
            }
            outcomes
        }
        Err(error) => members
            .iter()
            .map(|member| (member.place, failed(&error, member.retries)))
            .collect(),
    }
}

async fn alone(context: &Context, kind: Kind, member: &Heard) -> Outcome {
    match transact(context, kind, &[member]).await {
        Ok(()) => Outcome::Done,
        Err(error) => failed(&error, member.retries),
    }
}

/// What a failure means for the message that is to blame for it.
fn failed(error: &StoreError, retries: u32) -> Outcome {
    let reason = causes(error);
    match error {
        error if error.is_unavailable() => Outcome::Pause(reason),
        StoreError::Corrupt { .. } => Outcome::Park(reason),
        _ if retries >= RETRIES_MAX => Outcome::Park(reason),
        _ => Outcome::Retry(reason),
    }
}

async fn transact(context: &Context, kind: Kind, members: &[&Heard]) -> Result<(), StoreError> {
    let now = context.clock.now();
    let mut tx = context.pool.begin().await?;
    let ids: Vec<MessageId> = members.iter().map(|member| member.id).collect();
    let first = store::consumed::first_times(&mut tx, now, Role::Index.name(), &ids).await?;
    let asked = members
        .iter()
        .filter(|member| first.contains(&member.id))
        .map(|member| &member.asked);
    match kind {
        Kind::Freeze => {
            let risks = asked.filter_map(|asked| match asked {
                Asked::Freeze(risk_id) => Some(*risk_id),
                _ => None,
            });
            freeze::freeze(context, &mut tx, risks.collect()).await?;
        }
        Kind::Days => {
            let days = asked.filter_map(|asked| match asked {
                Asked::Day(day) => Some(day.clone()),
                _ => None,
            });
            days::recompute(&mut tx, now, days.collect::<BTreeSet<_>>()).await?;
        }
        Kind::Scenes => {
            let windows = asked.filter_map(|asked| match asked {
                Asked::Scene(id) => Some(*id),
                _ => None,
            });
            scenes::make(&mut tx, now, &windows.collect::<Vec<_>>()).await?;
        }
        Kind::Indices => {
            let risks = asked.filter_map(|asked| match asked {
                Asked::Index(risk_id) => Some(*risk_id),
                _ => None,
            });
            indices::recompute(context, &mut tx, risks.collect()).await?;
        }
    }
    tx.commit().await?;
    Ok(())
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
