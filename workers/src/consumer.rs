//! Turns deliveries into outcomes: one handler call, one answer to the broker, one log line.
//! Must never answer before the effect is committed, and never blame a message for the world's
//! faults. `run` is only `step` in a loop with bounded concurrency. Called by `role` and by the
//! simulation, which calls `step`.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use domain::event::Event;
use domain::id::MessageId;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use runtime::broker::{BrokerError, Consumer, Delivery, Message};
use runtime::telemetry::trace_id;
use runtime::topology::{RETRIES_MAX, Role};
use store::StoreError;
use tokio::time::Instant;

use crate::role::Context;

/// First wait after the world failed.
const BACK_OFF_MIN: Duration = Duration::from_secs(1);
/// Longest wait between two looks at whether the world has recovered.
const BACK_OFF_MAX: Duration = Duration::from_mins(1);
/// How often a waiting loop shows that it is alive, below the limit of liveness.
const BEAT: Duration = Duration::from_secs(1);

/// What came of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The effect is committed, or was before, or the message asks nothing of this role.
    Done,
    /// Done, and recorded as heard in the effect's own transaction: nothing is left to write.
    Heard,
    /// This message failed for now (stale read, conflict, provider transient): try it again later.
    Retry(String),
    /// This message can never succeed (undecodable, unknown version): a person must look.
    Park(String),
    /// The world failed (database away): give the message back uncounted and wait.
    Pause(String),
}

impl Outcome {
    /// For metrics and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done | Self::Heard => "done",
            Self::Retry(_) => "retry",
            Self::Park(_) => "park",
            Self::Pause(_) => "pause",
        }
    }

    /// Why, when it is not done.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Done | Self::Heard => None,
            Self::Retry(reason) | Self::Park(reason) | Self::Pause(reason) => Some(reason),
        }
    }
}

/// Lets a handler use `?` on store calls in a function that returns `Result<(), Outcome>`.
impl From<StoreError> for Outcome {
    fn from(error: StoreError) -> Self {
        let text = chain(&error);
        match error {
            StoreError::Unavailable(_) => Self::Pause(text),
            StoreError::Conflict { .. } | StoreError::Stale { .. } | StoreError::Other(_) => {
                Self::Retry(text)
            }
            StoreError::Corrupt { .. } | StoreError::Unsellable { .. } => Self::Park(text),
        }
    }
}

/// Lets a handler end with its inner function's result.
impl From<Result<(), Outcome>> for Outcome {
    fn from(result: Result<(), Outcome>) -> Self {
        result.err().unwrap_or(Self::Done)
    }
}

/// A role's work on one message. It reads the row under lock and ignores how the bell sounded:
/// a repeated, late or reordered message must change nothing but the time.
pub trait Handler: Send + Sync {
    /// Whose queue it reads.
    const ROLE: Role;
    /// Messages handled at once at least, whatever `RABBITMQ_PREFETCH` says: a role that writes what
    /// many of them bring by one transaction needs many of them.
    const AT_ONCE_MIN: u16 = 1;

    /// Handles one message; a topic it does not care for is [`Outcome::Done`].
    fn handle(&self, message: &Message) -> impl Future<Output = Outcome> + Send;
}

/// Decodes a message, or says that it must be parked.
pub fn decode(message: &Message) -> Result<Event, Outcome> {
    Event::decode(&message.topic, &message.body).map_err(|error| Outcome::Park(error.to_string()))
}

/// Records in the effect's transaction that `role` handles the message; `false` when it already
/// has, and then nothing is left to do.
pub async fn first_time(
    conn: &mut store::Connection,
    context: &Context,
    role: Role,
    message: &Message,
) -> Result<bool, StoreError> {
    store::consumed::first_time(
        conn,
        context.clock.now(),
        role.name(),
        MessageId::from(message.id),
    )
    .await
}

/// Handles the next waiting message and answers the broker; `None` when none is waiting.
pub async fn step<H: Handler>(
    consumer: &mut Consumer,
    handler: &H,
    context: &Context,
) -> Result<Option<Outcome>, BrokerError> {
    match consumer.next().await? {
        Some(delivery) => Ok(Some(handle_one(delivery, handler, context).await)),
        None => Ok(None),
    }
}

/// Consumes until the process is asked to stop, `RABBITMQ_PREFETCH` messages at once. Ends with an
/// error when the broker stays away for 60 s: better restarted than idle.
pub async fn run<H: Handler>(handler: &H, context: &Context) -> Result<(), BrokerError> {
    let name = H::ROLE.name();
    // known from the start, so that the first failure is an increase
    for kind in ["paused", "unanswered"] {
        context.metrics.faults.with_label_values(&[name, kind]);
    }
    let mut back_off = BACK_OFF_MIN;
    while !context.lifecycle.is_stopping() {
        let mut consumer = context
            .broker
            .consume(H::ROLE, at_once::<H>(context))
            .await?;
        context.health.ready(name);
        let started = Instant::now();
        let drained = drain(&mut consumer, handler, context).await;
        consumer.close().await;
        if let Some(reason) = drained? {
            if started.elapsed() > BACK_OFF_MAX {
                back_off = BACK_OFF_MIN;
            }
            tracing::warn!(
                role = name,
                reason,
                wait_seconds = back_off.as_secs(),
                "paused"
            );
            context
                .metrics
                .faults
                .with_label_values(&[name, "paused"])
                .inc();
            context.health.unready(name, &reason);
            wait(context, name, back_off).await;
            back_off = back_off.saturating_mul(2).min(BACK_OFF_MAX);
        }
    }
    Ok(())
}

/// Messages handled at once.
fn at_once<H: Handler>(context: &Context) -> u16 {
    let asked = context.settings.common.rabbitmq_prefetch;
    asked.max(H::AT_ONCE_MIN)
}

/// Handles messages until asked to stop (`None`) or until the world fails (the reason), and lets
/// what is in flight finish.
async fn drain<H: Handler>(
    consumer: &mut Consumer,
    handler: &H,
    context: &Context,
) -> Result<Option<String>, BrokerError> {
    let limit = usize::from(at_once::<H>(context));
    let mut in_flight = FuturesUnordered::new();
    let mut paused = None;
    loop {
        context.health.beat(H::ROLE.name());
        let stopping = context.lifecycle.is_stopping();
        let accepting = !stopping && paused.is_none();
        if !accepting && in_flight.is_empty() {
            return Ok(paused);
        }
        tokio::select! {
            Some(outcome) = in_flight.next(), if !in_flight.is_empty() => {
                if let Outcome::Pause(reason) = outcome {
                    paused = Some(reason);
                }
            }
            next = consumer.next(), if accepting && in_flight.len() < limit => {
                match next? {
                    Some(delivery) => in_flight.push(handle_one(delivery, handler, context)),
                    // the broker in memory answers at once: let others run
                    None => tokio::task::yield_now().await,
                }
            }
            () = context.lifecycle.stopping(), if !stopping => {}
        }
    }
}

async fn handle_one<H: Handler>(delivery: Delivery, handler: &H, context: &Context) -> Outcome {
    let (role, started) = (H::ROLE.name(), Instant::now());
    let handled = AssertUnwindSafe(handler.handle(&delivery.message))
        .catch_unwind()
        .await;
    let outcome = match handled {
        // a handler that panics must not take its neighbours with it
        Err(_) => Outcome::Retry("the handler panicked".to_owned()),
        Ok(outcome) => outcome,
    };
    let outcome = match outcome {
        Outcome::Retry(reason) if delivery.retries >= RETRIES_MAX => {
            Outcome::Park(format!("gave up after {RETRIES_MAX} retries: {reason}"))
        }
        outcome => outcome,
    };
    record_heard(&delivery.message, H::ROLE, context, &outcome).await;
    let labels = [role, outcome.name()];
    context.metrics.messages.with_label_values(&labels).inc();
    context
        .metrics
        .message_seconds
        .with_label_values(&labels)
        .observe(started.elapsed().as_secs_f64());
    log(role, &delivery, &outcome, started);
    let answered = match &outcome {
        Outcome::Done | Outcome::Heard => delivery.ack().await,
        Outcome::Retry(_) => delivery.retry().await,
        Outcome::Park(reason) => delivery.park(reason).await,
        Outcome::Pause(_) => delivery.give_back().await,
    };
    if let Err(error) = answered {
        // it comes again, and the dedupe row or the state guard makes it harmless
        tracing::debug!(role, %error, "the answer did not reach the broker");
        context
            .metrics
            .faults
            .with_label_values(&[role, "unanswered"])
            .inc();
    }
    outcome
}

/// Makes sure that a handled or parked message counts as heard, also when its handler had no effect
/// to commit: whoever waits for quiescence compares the outbox with these rows.
async fn record_heard(message: &Message, role: Role, context: &Context, outcome: &Outcome) {
    let is_parked = match outcome {
        Outcome::Done => false,
        Outcome::Park(_) => true,
        Outcome::Heard | Outcome::Retry(_) | Outcome::Pause(_) => return,
    };
    let (now, id) = (context.clock.now(), MessageId::from(message.id));
    let recorded = async {
        let mut conn = context.pool.acquire().await?;
        if is_parked {
            return store::consumed::park(&mut conn, now, role.name(), id).await;
        }
        let first = store::consumed::first_time(&mut conn, now, role.name(), id).await;
        first.map(drop)
    };
    if let Err(error) = recorded.await {
        tracing::debug!(role = role.name(), %error, "a message could not be recorded as heard");
    }
}

fn log(role: &str, delivery: &Delivery, outcome: &Outcome, started: Instant) {
    let message = &delivery.message;
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let trace = message
        .traceparent
        .as_deref()
        .and_then(trace_id)
        .unwrap_or_default();
    let (topic, id, attempt) = (
        message.topic.as_str(),
        message.id,
        delivery.retries.saturating_add(1),
    );
    let (outcome, reason) = (outcome.name(), outcome.reason());
    match outcome {
        "park" => {
            tracing::error!(role, topic, %id, attempt, outcome, reason, duration_ms, trace, "message");
        }
        "done" => {
            tracing::info!(role, topic, %id, attempt, outcome, duration_ms, trace, "message");
        }
        _ => {
            tracing::warn!(role, topic, %id, attempt, outcome, reason, duration_ms, trace, "message");
        }
    }
}

/// Waits while showing that the loop is alive.
async fn wait(context: &Context, name: &str, for_how_long: Duration) {
    let until = Instant::now() + for_how_long;
    while Instant::now() < until && context.lifecycle.pause(BEAT.min(for_how_long)).await {
        context.health.beat(name);
    }
}

/// An error with its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
