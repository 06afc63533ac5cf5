//! Rings the bells: claims due outbox rows, publishes them and marks those the broker confirmed.
//! The one place where the network is spoken to inside a transaction: bounded, locking outbox
//! rows only, and a crash merely rings again. Must never mark what was not confirmed.
//! `run` is `step` in a loop; called by the relay binary, tests and the simulation.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use runtime::amqp::RECOVERY_SECONDS_MAX;
use runtime::broker::{Broker, BrokerError, Confirm, Message};
use runtime::metrics::Metrics;
use runtime::topology::Role;
use store::StoreError;
use store::outbox::{self, Claimed, Listener};
use tokio::time::{Instant, timeout};

use crate::consumer::chain;
use crate::role::Context;

/// Bells claimed at once: each batch costs two statements and one wait for the broker's confirmation.
pub const BATCH_MAX: i64 = 500;
/// Longest wait for a commit before looking anyway.
const POLL: Duration = Duration::from_millis(250);
/// Wait after a failure of the database or the broker.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// A bell nobody can hear is tried again after this many seconds of our clock.
const UNHEARD_DEFER_SECONDS: i64 = 60;
/// A published bell not heard for this long, with nothing waiting at the broker, is lost: minutes of
/// our clock, above all retries of a message together (20 times 30 s).
const UNHEARD_MINUTES: i64 = 15;
/// Lost bells rung again at once: ten batches of the relay, seconds of its work.
const RING_AGAIN_MAX: i64 = 5_000;
/// Published bells and dedupe rows are kept this long, in days of our clock.
const OUTBOX_KEPT_DAYS: i64 = 7;
const CONSUMED_KEPT_DAYS: i64 = 30;
/// Rows forgotten in one transaction.
const PURGE_MAX: i64 = 5_000;

/// The name of the loop in health and metrics.
const NAME: &str = "relay";

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Relayed {
    /// Bells confirmed by the broker and marked.
    pub published: usize,
    /// Bells that stay: not confirmed, refused or unheard.
    pub failed: usize,
}

impl Relayed {
    /// Whether there is probably more to do at once.
    #[must_use]
    pub fn is_full(self) -> bool {
        i64::try_from(self.published.saturating_add(self.failed)).is_ok_and(|all| all >= BATCH_MAX)
    }
}

/// Rings up to [`BATCH_MAX`] due bells once.
pub async fn step(
    pool: &store::Pool,
    broker: &Broker,
    now: DateTime<Utc>,
    metrics: &Metrics,
) -> Result<Relayed, StoreError> {
    let mut tx = pool.begin().await?;
    let claimed = outbox::claim_batch(&mut tx, now, BATCH_MAX).await?;
    if claimed.is_empty() {
        return Ok(Relayed::default());
    }
    let messages: Vec<Message> = claimed.into_iter().map(message).collect();
    let confirms = broker.publish_all(&messages).await;
    let (mut published, mut unheard) = (Vec::new(), Vec::new());
    for (message, confirm) in messages.iter().zip(&confirms) {
        match confirm {
            Confirm::Published => {
                published.push(message.id);
                metrics
                    .outbox_published
                    .with_label_values(&[&message.topic])
                    .inc();
            }
            Confirm::Returned => unheard.push(message.id),
            Confirm::Nacked | Confirm::NotConfirmed => {}
        }
        if *confirm != Confirm::Published {
            metrics
                .outbox_publish_failures
                .with_label_values(&[confirm.name()])
                .inc();
        }
    }
    if !published.is_empty() {
        outbox::mark_published(&mut tx, now, &published).await?;
    }
    if !unheard.is_empty() {
        tracing::error!(
            count = unheard.len(),
            "no queue is bound to the topic of some messages"
        );
        let until = now + TimeDelta::seconds(UNHEARD_DEFER_SECONDS);
        outbox::defer(&mut tx, until, &unheard).await?;
    }
    tx.commit().await?;
    Ok(Relayed {
        published: published.len(),
        failed: messages.len().saturating_sub(published.len()),
    })
}

/// Measures the backlog and the queues; every few seconds.
pub async fn measure(context: &Context) -> Result<(), StoreError> {
    let (now, metrics) = (context.clock.now(), &context.metrics);
    let mut conn = context.pool.acquire().await?;
    let backlog = outbox::backlog(&mut conn, now).await?;
    let age = backlog
        .oldest_at
        .map_or(TimeDelta::zero(), |oldest_at| now - oldest_at);
    metrics.outbox_unpublished.set(backlog.due);
    metrics
        .outbox_oldest_seconds
        .set(age.to_std().unwrap_or_default().as_secs_f64());
    match context.broker.depths(&Role::ALL).await {
        Ok(depths) => {
            for depth in depths {
                let role = [depth.role.name()];
                let waiting = depth.ready.saturating_add(depth.retrying);
                metrics
                    .queued_messages
                    .with_label_values(&role)
                    .set(waiting.into());
                metrics
                    .parked_messages
                    .with_label_values(&role)
                    .set(depth.parked.into());
            }
        }
        Err(error) => tracing::debug!(%error, "queues could not be measured"),
    }
    Ok(())
}

/// Rings once more for bells that were published a while ago and never heard although nothing of
/// their hearer waits at the broker: the broker lost them. Returns how many; every few minutes.
pub async fn ring_again(context: &Context) -> Result<u64, StoreError> {
    let Ok(depths) = context.broker.depths(&Role::ALL).await else {
        return Ok(0);
    };
    let is_empty = |name: &str| {
        depths
            .iter()
            .any(|depth| depth.role.name() == name && depth.ready == 0 && depth.retrying == 0)
    };
    let pairs: Vec<_> = Role::pairs().filter(|(_, name)| is_empty(name)).collect();
    let now = context.clock.now();
    let published = (
        now - TimeDelta::days(OUTBOX_KEPT_DAYS),
        now - TimeDelta::minutes(UNHEARD_MINUTES),
    );
    let mut conn = context.pool.acquire().await?;
    let rung = outbox::ring_again(&mut conn, now, &pairs, published, RING_AGAIN_MAX).await?;
    if rung > 0 {
        tracing::warn!(rung, "bells were lost at the broker; rung again");
    }
    Ok(rung)
}

/// Forgets published bells and dedupe rows that are old; every few minutes.
pub async fn purge(context: &Context) -> Result<(), StoreError> {
    let now = context.clock.now();
    let mut tx = context.pool.begin().await?;
    outbox::purge(&mut tx, now - TimeDelta::days(OUTBOX_KEPT_DAYS), PURGE_MAX).await?;
    store::consumed::purge(
        &mut tx,
        now - TimeDelta::days(CONSUMED_KEPT_DAYS),
        PURGE_MAX,
    )
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Relays until the process is asked to stop: woken by commits, looking every 250 ms anyway.
pub async fn run(context: &Context) -> Result<(), BrokerError> {
    let broker = &context.broker;
    let metrics = &context.metrics;
    // known from the start, so that the first failure is an increase
    metrics.faults.with_label_values(&[NAME, "paused"]);
    for confirm in Confirm::FAILURES {
        let failures = &metrics.outbox_publish_failures;
        failures.with_label_values(&[confirm.name()]);
    }
    let mut listener = None;
    let mut disconnected_since: Option<Instant> = None;
    while !context.lifecycle.is_stopping() {
        context.health.beat(NAME);
        if broker.is_connected() {
            disconnected_since = None;
        } else {
            let lost = disconnected_since
                .get_or_insert_with(Instant::now)
                .elapsed();
            if lost > Duration::from_secs(RECOVERY_SECONDS_MAX) {
                return Err(BrokerError::Lost(RECOVERY_SECONDS_MAX));
            }
        }
        match step(&context.pool, broker, context.clock.now(), &context.metrics).await {
            Ok(relayed) if relayed.failed > 0 => {
                context.health.unready(NAME, "the broker does not confirm");
                context.lifecycle.pause(AFTER_FAILURE).await;
            }
            Ok(relayed) => {
                context.health.ready(NAME);
                if !relayed.is_full() {
                    wait_for_commit(&mut listener, context).await;
                }
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "relaying is paused");
                context
                    .metrics
                    .faults
                    .with_label_values(&[NAME, "paused"])
                    .inc();
                context.health.unready(NAME, "the database is unavailable");
                listener = None;
                context.lifecycle.pause(AFTER_FAILURE).await;
            }
        }
    }
    Ok(())
}

async fn wait_for_commit(listener: &mut Option<Listener>, context: &Context) {
    if listener.is_none() {
        match Listener::connect(&context.pool).await {
            Ok(connected) => *listener = Some(connected),
            Err(error) => tracing::debug!(%error, "not listening, polling only"),
        }
        // something may have been committed before we listened
        return;
    }
    // jitter keeps several relays from looking at the same instant
    let poll = POLL.saturating_sub(Duration::from_millis(context.ids.below(50)));
    let broken = match listener {
        Some(connected) => tokio::select! {
            heard = timeout(poll, connected.heard()) => matches!(heard, Ok(Err(_))),
            () = context.lifecycle.stopping() => false,
        },
        None => false,
    };
    if broken {
        *listener = None;
        context.lifecycle.pause(POLL).await;
    }
}

fn message(claimed: Claimed) -> Message {
    let Claimed {
        id,
        topic,
        body,
        traceparent,
    } = claimed;
    Message {
        id,
        topic,
        body: body.into_bytes(),
        traceparent,
    }
}
