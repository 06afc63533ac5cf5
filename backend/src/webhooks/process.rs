//! Processing stored callbacks, oldest first: each in one transaction with its effect, so that a
//! callback is done exactly when its effect is. A failure waits in its row and is tried again.
//! Never answers a provider. `run` is `step` in a loop; tests and the simulation call `step`.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use providers::{africastalking, mpesa};
use store::provider_events::{self, Claimed};
use store::{Connection, StoreError};

use crate::App;
use crate::error::causes;
use crate::webhooks::mpesa::Processed;

/// Callbacks processed in one step.
pub const BATCH_MAX: usize = 50;
/// Longest wait before looking anyway; a stored callback wakes the loop at once.
const POLL: Duration = Duration::from_millis(250);
/// Wait after the database failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// First wait after a failed try, seconds of our clock; doubled up to an hour.
const RETRY_SECONDS: i64 = 15;
const RETRY_SECONDS_MAX: i64 = 3_600;
const NAME: &str = "webhooks";

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stepped {
    /// Callbacks that have had their effect.
    pub done: usize,
    /// Callbacks that wait.
    pub postponed: usize,
}

/// Processes until the process is asked to stop.
pub async fn run(app: &App) -> Result<(), StoreError> {
    // known from the start, so that the first failure is an increase
    app.metrics.faults.with_label_values(&[NAME, "failed"]);
    loop {
        app.health.beat(NAME);
        let wait = match step(app).await {
            Ok(stepped) if stepped.done + stepped.postponed >= BATCH_MAX => Duration::ZERO,
            Ok(_) => POLL,
            Err(error) => {
                tracing::warn!(error = causes(&error), "callbacks cannot be processed");
                app.metrics
                    .faults
                    .with_label_values(&[NAME, "failed"])
                    .inc();
                AFTER_FAILURE
            }
        };
        tokio::select! {
            go_on = app.lifecycle.pause(wait) => if !go_on { return Ok(()) },
            () = app.callback_stored.notified() => {}
        }
    }
}

/// Processes up to [`BATCH_MAX`] due callbacks; none when webhooks are switched off.
pub async fn step(app: &App) -> Result<Stepped, StoreError> {
    let mut stepped = Stepped::default();
    if !app.config.enable_webhooks {
        return Ok(stepped);
    }
    for _ in 0..BATCH_MAX {
        match one(app).await? {
            None => break,
            Some(true) => stepped.done += 1,
            Some(false) => stepped.postponed += 1,
        }
    }
    Ok(stepped)
}

/// Processes the next due callback: whether it is done, or `None` when none is due.
async fn one(app: &App) -> Result<Option<bool>, StoreError> {
    let now = app.clock.now();
    let mut tx = app.pool.begin().await?;
    let Some(event) = provider_events::claim_next(&mut tx, now).await? else {
        return Ok(None);
    };
    let provider = event.provider.clone();
    let count = |outcome: &str| {
        app.metrics
            .provider_events
            .with_label_values(&[&provider, outcome])
            .inc();
    };
    match dispatch(app, &mut tx, now, &event).await {
        Ok(Processed::Done(outcome)) => {
            provider_events::finish(&mut tx, now, event.id, outcome).await?;
            tx.commit().await?;
            count(outcome);
            tracing::info!(provider, kind = event.kind, id = %event.id, outcome, "callback");
            Ok(Some(true))
        }
        Ok(Processed::Later(at, why)) => {
            provider_events::postpone(&mut tx, event.id, at.max(later(now, 0)), why).await?;
            tx.commit().await?;
            count("postponed");
            Ok(Some(false))
        }
        Err(error) if error.is_unavailable() => Err(error),
        Err(error) => {
            // the effect's transaction is lost, so the failure is noted in its own
            drop(tx);
            let why = causes(&error);
            tracing::error!(provider, kind = event.kind, id = %event.id, error = why, "callback");
            let mut conn = app.acquire().await?;
            let at = later(now, event.attempts);
            provider_events::postpone(&mut conn, event.id, at, &why).await?;
            count("failed");
            Ok(Some(false))
        }
    }
}

/// When a callback is tried again, after `attempts` tries; always later than now, so that one
/// hopeless callback cannot hold the others up.
fn later(now: DateTime<Utc>, attempts: u32) -> DateTime<Utc> {
    let seconds = RETRY_SECONDS
        .saturating_mul(1_i64 << attempts.min(12))
        .min(RETRY_SECONDS_MAX);
    now + TimeDelta::seconds(seconds)
}

async fn dispatch(
    app: &App,
    conn: &mut Connection,
    now: DateTime<Utc>,
    event: &Claimed,
) -> Result<Processed, StoreError> {
    let body = app.pii.open(&event.raw_cipher)?;
    match event.provider.as_str() {
        africastalking::NAME => super::africastalking::process(app, conn, now, event, &body).await,
        mpesa::NAME => {
            let call = (event.kind.as_str(), body.as_slice());
            super::mpesa::process(conn, now, &app.ids, call, event.attempts).await
        }
        _ => Ok(Processed::Done("unknown_provider")),
    }
}
