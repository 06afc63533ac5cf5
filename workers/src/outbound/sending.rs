//! Sends the webhooks that are due: a claim is committed before anything leaves the house, the
//! answer is recorded after, and no connection of the database is held in between. A process that
//! dies in the middle leaves a claim that runs out, and the webhook is sent again under its id.
//! Bounded in all, per organisation and per endpoint, so that a dead receiver delays only itself.
//! Run by `role` in the notify process; `step` is for tests and the simulation.

use std::time::Duration;

use chrono::TimeDelta;
use domain::webhook::{Answer, Notice, has_failed_too_long, retry_after};
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use providers::Secret;
use providers::webhook::{self, Post, SendError};
use serde_json::json;
use store::attempts::{self, Claimed, Failed, Room};
use store::audit::{self, Line};
use store::endpoints::{self, DisabledBy};
use store::{StoreError, Transaction, deliveries};
use tokio::time::{Instant, sleep};

use super::Outbound;
use crate::consumer::chain;

/// Webhooks under way at once, in one process.
const CONCURRENCY: usize = 32;
/// Of those of all processes, for one organisation: a few that answer slowly leave room for others.
const PER_ORGANISATION: i64 = 8;
/// Of those, for one endpoint.
const PER_ENDPOINT: i64 = 4;
/// How long a claim lasts, seconds of our clock: four times the longest exchange.
const CLAIM_SECONDS: i64 = 60;
/// How often a resting loop shows life.
const BEAT: Duration = Duration::from_secs(5);
/// Who disables endpoints, in the audit log.
const ACTOR: &str = "outbound";

/// The name of the loop in health and metrics.
pub(super) const NAME: &str = "webhooks";

/// What one step sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Taken by their receivers.
    pub taken: usize,
    /// Not taken.
    pub failed: usize,
}

impl Sent {
    /// Whether nothing was due.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.taken == 0 && self.failed == 0
    }
}

impl Outbound {
    /// Sends everything that is due and free to go, once, up to the bounds.
    pub async fn step(&self) -> Result<Sent, StoreError> {
        let claimed = self.claim(CONCURRENCY).await?;
        let ends = join_all(claimed.iter().map(|claimed| self.send(claimed))).await;
        let mut sent = Sent::default();
        for end in ends {
            if end? {
                sent.taken += 1;
            } else {
                sent.failed += 1;
            }
        }
        Ok(sent)
    }

    /// Sends until the process is asked to stop, and lets what is under way finish. Woken by what
    /// this process writes; what is due otherwise is looked for every `SWEEP_INTERVAL_MS`.
    pub async fn run(&self) -> Result<(), StoreError> {
        self.count_from_zero();
        let lifecycle = &self.context.lifecycle;
        let interval = self.context.settings.common.sweep_interval_ms;
        let interval = Duration::from_millis(interval.into()).min(BEAT);
        let mut under_way = FuturesUnordered::new();
        loop {
            self.context.health.beat(NAME);
            let stopping = lifecycle.is_stopping();
            if stopping && under_way.is_empty() {
                return Ok(());
            }
            let free = CONCURRENCY.saturating_sub(under_way.len());
            if !stopping && free > 0 {
                match self.claim(free).await {
                    Ok(claimed) => under_way.extend(claimed.into_iter().map(|c| self.finish(c))),
                    Err(error) => self.fault(&error),
                }
            }
            tokio::select! {
                Some(()) = under_way.next(), if !under_way.is_empty() => {}
                () = self.written.notified(), if !stopping && free > 0 => {}
                () = sleep(interval) => {}
                () = lifecycle.stopping(), if !stopping => {}
            }
        }
    }

    /// Makes what can go wrong known from the start, so that the first time is an increase.
    fn count_from_zero(&self) {
        let metrics = &self.context.metrics;
        metrics.faults.with_label_values(&[NAME, "failed"]);
        for outcome in ["delivered", "gone", "answered_otherwise"] {
            metrics.deliveries.with_label_values(&[outcome]);
        }
        for by in [DisabledBy::Gone, DisabledBy::Failing] {
            let disabled = &metrics.endpoints_disabled;
            disabled.with_label_values(&[by.as_str()]);
        }
    }

    async fn finish(&self, claimed: Claimed) {
        if let Err(error) = self.send(&claimed).await {
            // the claim runs out and it is sent again under the same id
            self.fault(&error);
        }
    }

    fn fault(&self, error: &StoreError) {
        tracing::warn!(error = chain(error), "sending webhooks failed");
        let faults = &self.context.metrics.faults;
        faults.with_label_values(&[NAME, "failed"]).inc();
    }

    async fn claim(&self, limit: usize) -> Result<Vec<Claimed>, StoreError> {
        let now = self.context.clock.now();
        let until = now + TimeDelta::seconds(CLAIM_SECONDS);
        let room = Room {
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
            per_organisation: PER_ORGANISATION,
            per_endpoint: PER_ENDPOINT,
        };
        let mut conn = self.context.pool.acquire().await?;
        attempts::claim(&mut conn, now, until, room).await
    }

    /// One attempt, from the claim to its record; whether it was taken.
    async fn send(&self, claimed: &Claimed) -> Result<bool, StoreError> {
        let started = Instant::now();
        let answer = self.post(claimed).await;
        let outcome = match answer.map(Answer::of_status) {
            Ok(Answer::Taken) => "delivered",
            Ok(Answer::Gone) => "gone",
            Ok(Answer::Failed) => "answered_otherwise",
            Err(error) => error.code(),
        };
        let metrics = &self.context.metrics;
        metrics.deliveries.with_label_values(&[outcome]).inc();
        metrics
            .provider_call_seconds
            .with_label_values(&[webhook::NAME, "send", outcome])
            .observe(started.elapsed().as_secs_f64());
        tracing::debug!(delivery = %claimed.id, attempt = claimed.attempt, outcome, "webhook");
        self.record(claimed, answer).await
    }

    async fn post(&self, claimed: &Claimed) -> Result<u16, SendError> {
        let pii = &self.context.pii;
        let opened = claimed
            .secret_ciphers
            .iter()
            .map(|cipher| pii.open_text(cipher));
        let secrets: Vec<Secret> = opened
            .map(|secret| secret.map(Secret::new).map_err(|_| SendError::Secret))
            .collect::<Result<_, _>>()?;
        let post = Post {
            url: &claimed.url,
            id: claimed.event_id,
            at: self.context.clock.now(),
            body: &claimed.body,
            secrets: &secrets,
        };
        self.client.send(&post).await
    }

    /// The transaction after the call.
    async fn record(
        &self,
        claimed: &Claimed,
        answer: Result<u16, SendError>,
    ) -> Result<bool, StoreError> {
        let now = self.context.clock.now();
        let mut tx = self.context.pool.begin().await?;
        let meaning = answer.map_or(Answer::Failed, Answer::of_status);
        if let (Answer::Taken, Ok(status)) = (meaning, answer) {
            attempts::record_taken(&mut tx, now, claimed, status).await?;
            tx.commit().await?;
            return Ok(true);
        }
        // this may end the endpoint, and its organisation is told so: that is a subject, locked first
        deliveries::lock_subject(&mut tx, claimed.organisation_id.uuid()).await?;
        let since = attempts::note_failing(&mut tx, now, claimed.endpoint_id).await?;
        let end = match since {
            Some(_) if meaning == Answer::Gone => Some(DisabledBy::Gone),
            Some(since) if has_failed_too_long(since, now) => Some(DisabledBy::Failing),
            // still hoped for; or forgotten or disabled while this was under way
            Some(_) | None => None,
        };
        let goes_on = since.is_some() && end.is_none();
        let wait = retry_after(claimed.attempt).filter(|_| goes_on);
        let failure = answer.map_or_else(SendError::code, |_| "status");
        let failed = Failed {
            status: answer.ok(),
            failure,
            next_attempt_at: wait.map(|wait| now + wait),
        };
        attempts::record_failed(&mut tx, now, claimed, &failed).await?;
        if let Some(by) = end {
            self.disable(&mut tx, claimed, by).await?;
        } else if wait.is_none() {
            attempts::forget_failing(&mut tx, claimed.endpoint_id).await?;
        }
        tx.commit().await?;
        Ok(false)
    }

    /// Ends an endpoint that is no more; told to the partner's others, recorded for people here.
    async fn disable(
        &self,
        tx: &mut Transaction,
        claimed: &Claimed,
        by: DisabledBy,
    ) -> Result<(), StoreError> {
        let now = self.context.clock.now();
        if !endpoints::disable(tx, now, claimed.endpoint_id, by).await? {
            return Ok(());
        }
        let (endpoint, reason) = (claimed.endpoint_id.to_string(), by.as_str());
        tracing::warn!(endpoint, reason, "a partner's endpoint is disabled");
        let metrics = &self.context.metrics;
        metrics
            .endpoints_disabled
            .with_label_values(&[reason])
            .inc();
        // before the log, whose end is everybody's
        let whose = (claimed.organisation_id, claimed.endpoint_id);
        let notice = Notice::of_disabled(self.context.ids.mint(now), now, whose, reason);
        self.tell(tx, claimed.organisation_id, &notice).await?;
        let line = Line {
            id: self.context.ids.uuid(now),
            actor: ACTOR,
            action: "endpoint.disabled",
            subject: &endpoint,
            details: json!({
                "reason": reason,
                "organisation": claimed.organisation_id.to_string(),
            }),
        };
        audit::record(tx, now, &line).await
    }
}
