//! The only scheduler: looks at every row that has become due and rings for it, lapses what was
//! not paid, keeps partitions ahead, forgets old USSD intents, measures, and audits the
//! invariants. It does no work of a role itself, so a lost, late or doubled look changes only latency. (Webhooks
//! are looked for by `outbound`, which sends what it finds.)
//! Must never ring for what is ringing already, and never take more than a bounded batch.
//! `step` is run by the relay process, by tests and by the simulation.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use domain::event::{Envelope, Event};
use domain::id::PolicyId;
use domain::invariants::{self, INVARIANTS, ProviderBooks};
use domain::ledger::Account;
use domain::payout::PayoutState;
use domain::policy::PolicyState;
use domain::season::local_day;
use runtime::clock::Clock;
use runtime::ids::Ids;
use runtime::topology::Role;
use store::evaluations::EvaluationState;
use store::{
    Connection, Pool, StoreError, Transaction, bells, bundles, capacity, deliveries, evaluations,
    facts, idempotency, ledger, legs, outbox, payouts, policies, receipts, sms, sweeps, ussd,
};
use tokio::time::Instant;

use crate::role::Context;

/// Rows of one kind taken in one step.
pub const BATCH_MAX: i64 = 500;
/// Days and indices taken in one step: a night's work of five thousand risks is rung for by two looks.
const NIGHTLY_MAX: i64 = 5_000;
/// Months of observations for which partitions are made ahead.
const PARTITION_MONTHS: u32 = 3;
/// How long what a USSD hop changed is remembered. A session can be resumed for 24 hours and a
/// gateway repeats a hop for minutes; a week leaves room to look into complaints.
const USSD_KEPT: TimeDelta = TimeDelta::days(7);
/// How long a partner's change may be sent again and gets its first answer; docs/api.md says so.
const IDEMPOTENCY_KEPT: TimeDelta = TimeDelta::days(7);
/// Currency of every account there is today.
const CURRENCY: &str = "KES";
/// Observations are aged in hours.
const SECONDS_PER_HOUR: f64 = 3_600.0;

/// What one step did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    /// Bells rung, by topic.
    pub rung: BTreeMap<&'static str, usize>,
    /// Policies lapsed.
    pub lapsed: usize,
    /// Partitions made.
    pub partitions: usize,
    /// USSD intents, and answers to partners' changes, forgotten.
    pub purged: u64,
    /// Whether another process was looking: then nothing was done.
    pub was_busy: bool,
}

impl Swept {
    /// Whether there was nothing to do. Forgetting moves nothing: a system that only forgets is at
    /// rest.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rung.is_empty() && self.lapsed == 0 && self.partitions == 0
    }
}

/// Looks once at everything that is due.
pub async fn step(pool: &Pool, clock: &Clock, ids: &Ids) -> Result<Swept, StoreError> {
    let now = clock.now();
    let mut swept = Swept::default();
    let mut tx = pool.begin().await?;
    if !sweeps::try_lock(&mut tx).await? {
        return Ok(Swept {
            was_busy: true,
            ..swept
        });
    }
    swept.partitions = sweeps::ensure_partitions(&mut tx, now, PARTITION_MONTHS).await?;
    for events in due(&mut tx, now).await? {
        if let Some(topic) = events.first().map(Event::topic) {
            let rung = ring(&mut tx, now, ids, topic, events).await?;
            if rung > 0 {
                swept.rung.insert(topic, rung);
            }
        }
    }
    swept.purged = ussd::purge(&mut tx, now - USSD_KEPT, BATCH_MAX).await?;
    swept.purged += idempotency::purge(&mut tx, now - IDEMPOTENCY_KEPT, BATCH_MAX).await?;
    let unpaid = policies::list_to_lapse(&mut tx, now, BATCH_MAX).await?;
    tx.commit().await?;
    for id in unpaid {
        swept.lapsed += usize::from(lapse(pool, now, ids, id).await?);
    }
    Ok(swept)
}

/// Everything due, one list a topic.
async fn due(conn: &mut Connection, now: DateTime<Utc>) -> Result<Vec<Vec<Event>>, StoreError> {
    let receipts = receipts::list_due(conn, now, BATCH_MAX).await?;
    let texts = sms::list_due(conn, now, BATCH_MAX).await?;
    let unsent = payouts::list_unsent(conn, now, BATCH_MAX).await?;
    let legs = legs::list_due(conn, now, BATCH_MAX).await?;
    let unfinished = evaluations::list_unfinished(conn, now, BATCH_MAX).await?;
    let unpinned = bundles::list_due(conn, now, BATCH_MAX).await?;
    let closed = sweeps::list_closed_risks(conn, now, BATCH_MAX).await?;
    let dirty = sweeps::list_dirty_risks(conn, NIGHTLY_MAX).await?;
    let unsurveyed = sweeps::list_stations_due(conn, now, BATCH_MAX).await?;
    let scenes = sweeps::list_scenes_due(conn, now, BATCH_MAX).await?;
    let days = sweeps::list_station_days_due(conn, now, NIGHTLY_MAX).await?;
    let uncomputed = sweeps::list_uncomputed_days(conn, NIGHTLY_MAX).await?;
    Ok(vec![
        receipts
            .into_iter()
            .map(|receipt_id| Event::PremiumCheckDue { receipt_id })
            .collect(),
        unsent
            .into_iter()
            .map(|payout_id| Event::PayoutApproved { payout_id })
            .collect(),
        legs.into_iter()
            .map(|leg_id| Event::PayoutCheckDue { leg_id })
            .collect(),
        unfinished
            .into_iter()
            .map(|evaluation_id| Event::EvaluationRecorded { evaluation_id })
            .collect(),
        closed
            .into_iter()
            .map(|risk_id| Event::WindowClosed { risk_id })
            .collect(),
        dirty
            .into_iter()
            .map(|risk_id| Event::IndexDue { risk_id })
            .collect(),
        days.into_iter()
            .map(|day| Event::WeatherDue {
                station_day_id: day.id,
                station_id: day.station_id,
                utc_date: day.utc_date,
            })
            .collect(),
        uncomputed
            .into_iter()
            .map(|day| Event::ObservationRecorded {
                station_day_id: day.id,
                station_id: day.station_id,
                utc_date: day.utc_date,
            })
            .collect(),
        unsurveyed
            .into_iter()
            .map(|risk_id| Event::StationsDue { risk_id })
            .collect(),
        scenes
            .into_iter()
            .map(|risk_id| Event::SceneDue { risk_id })
            .collect(),
        unpinned
            .into_iter()
            .map(|evaluation_id| Event::EvidenceDue { evaluation_id })
            .collect(),
        texts
            .into_iter()
            .map(|sms_id| Event::SmsDue { sms_id })
            .collect(),
    ])
}

/// Rings for those of `events`, all of one topic, for which nothing rings yet.
async fn ring(
    conn: &mut Connection,
    now: DateTime<Utc>,
    ids: &Ids,
    topic: &'static str,
    events: Vec<Event>,
) -> Result<usize, StoreError> {
    let consumer = Role::hearing(topic).next().map_or("", Role::name);
    let subjects: Vec<_> = events.iter().map(Event::subject).collect();
    let quiet = bells::list_quiet(conn, now, topic, consumer, &subjects).await?;
    let quiet: BTreeSet<_> = quiet.into_iter().collect();
    let bells: Vec<Envelope> = events
        .into_iter()
        .filter(|event| quiet.contains(&event.subject()))
        .map(|event| Envelope {
            id: ids.mint(now),
            event,
            traceparent: None,
        })
        .collect();
    outbox::push_all(conn, now, &bells, now).await?;
    Ok(bells.len())
}

/// AwaitingPremium → Lapsed with its capacity given back, unless a prompt of it is out: doubt
/// about money does not end by time.
async fn lapse(
    pool: &Pool,
    now: DateTime<Utc>,
    ids: &Ids,
    id: PolicyId,
) -> Result<bool, StoreError> {
    let mut tx: Transaction = pool.begin().await?;
    let policy = policies::get_locked(&mut tx, id).await?;
    let is_over = policy.state == PolicyState::AwaitingPremium && policy.lapses_at <= now;
    if !is_over || receipts::has_open_prompt(&mut tx, id).await? {
        return Ok(false);
    }
    receipts::refuse_unsent(&mut tx, now, id).await?;
    policies::lapse(&mut tx, now, id).await?;
    capacity::release(&mut tx, policy.exposure(), policy.sum_insured).await?;
    let event = Event::PolicyLapsed { policy_id: id };
    let envelope = Envelope {
        id: ids.mint(now),
        event,
        traceparent: None,
    };
    outbox::push(&mut tx, now, &envelope, now).await?;
    tx.commit().await?;
    Ok(true)
}

/// One step, measured: what the relay process runs every `SWEEP_INTERVAL_MS`.
pub async fn run_once(context: &Context) -> Result<(), StoreError> {
    let started = Instant::now();
    let swept = step(&context.pool, &context.clock, &context.ids).await;
    let seconds = started.elapsed().as_secs_f64();
    context
        .metrics
        .sweep_seconds
        .with_label_values(&["due"])
        .observe(seconds);
    let outcome = match &swept {
        Ok(swept) if swept.was_busy => "busy",
        Ok(_) => "done",
        Err(_) => "failed",
    };
    context
        .metrics
        .sweeps
        .with_label_values(&["due", outcome])
        .inc();
    let swept = swept?;
    if !swept.is_empty() {
        tracing::debug!(?swept, "swept");
    }
    Ok(())
}

/// Gauges that page people, every half minute.
pub async fn measure(context: &Context) -> Result<(), StoreError> {
    let (now, metrics) = (context.clock.now(), &context.metrics);
    let mut conn = context.pool.acquire().await?;
    // counted first, then reset: a state that nothing is in any more is shown as zero
    let counted = sweeps::count_policies(&mut conn).await?;
    metrics.policies.reset();
    for state in PolicyState::ALL {
        metrics.policies.with_label_values(&[state.as_str()]);
    }
    for (state, policies) in counted {
        metrics.policies.with_label_values(&[&state]).set(policies);
    }
    let counted = sweeps::count_evaluations(&mut conn).await?;
    metrics.evaluations.reset();
    for state in EvaluationState::ALL {
        metrics.evaluations.with_label_values(&[state.as_str()]);
    }
    for (state, evaluations) in counted {
        metrics
            .evaluations
            .with_label_values(&[&state])
            .set(evaluations);
    }
    let counted = payouts::count_by_state(&mut conn).await?;
    metrics.payouts.reset();
    for state in PayoutState::ALL {
        metrics.payouts.with_label_values(&[state.as_str()]);
    }
    for counted in counted {
        metrics
            .payouts
            .with_label_values(&[&counted.state])
            .set(counted.payouts);
    }
    let waiting = ledger::balance(&mut conn, Account::Suspense, CURRENCY).await?;
    metrics
        .suspense_minor
        .with_label_values(&[CURRENCY])
        .set(waiting.saturating_neg());
    let balance = ledger::trial_balance(&mut conn).await?;
    // an empty ledger balances
    metrics
        .ledger_imbalance_minor
        .with_label_values(&[CURRENCY]);
    for (currency, debits, credits) in balance {
        let imbalance = debits.saturating_sub(credits);
        metrics
            .ledger_imbalance_minor
            .with_label_values(&[&currency])
            .set(imbalance);
    }
    let doubt = sweeps::oldest_leg_sent_at(&mut conn).await?;
    metrics
        .payout_in_doubt_oldest_seconds
        .set(seconds_since(doubt, now));
    let owed = payouts::oldest_owed_at(&mut conn).await?;
    metrics
        .payout_unpaid_oldest_seconds
        .set(seconds_since(owed, now));
    let undecided = sweeps::oldest_undecided_at(&mut conn, now).await?;
    metrics
        .window_unevaluated_oldest_seconds
        .set(seconds_since(undecided, now));
    let observed = sweeps::newest_observation_at(&mut conn, now, local_day(now)).await?;
    metrics
        .observation_age_hours
        .with_label_values(&["stations"])
        .set(seconds_since(observed, now) / SECONDS_PER_HOUR);
    let undelivered = deliveries::oldest_pending_at(&mut conn).await?;
    metrics
        .delivery_oldest_seconds
        .set(seconds_since(undelivered, now));
    Ok(())
}

/// Seconds from `at` to `now`; 0 when there is nothing to be old.
fn seconds_since(at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> f64 {
    at.and_then(|at| (now - at).to_std().ok())
        .unwrap_or_default()
        .as_secs_f64()
}

/// Checks every invariant over one snapshot; each breach is counted and logged, none is repaired.
pub async fn audit(context: &Context) -> Result<(), StoreError> {
    let started = Instant::now();
    let mut tx = context.pool.begin().await?;
    facts::snapshot(&mut tx).await?;
    let loaded = facts::load(&mut tx, context.clock.now(), ProviderBooks::default()).await?;
    drop(tx);
    let breaches = invariants::check(&loaded);
    // known from the first audit, so that the first breach after it is an increase
    for (number, ..) in INVARIANTS {
        let broken = &context.metrics.invariant_violations;
        broken.with_label_values(&[*number]);
    }
    for breach in &breaches {
        let (invariant, subject) = (breach.invariant.as_str(), breach.subject.as_str());
        tracing::error!(invariant, subject, fault = breach.fault, "invariant broken");
        context
            .metrics
            .invariant_violations
            .with_label_values(&[invariant])
            .inc();
    }
    let outcome = if breaches.is_empty() {
        "done"
    } else {
        "breached"
    };
    context
        .metrics
        .sweeps
        .with_label_values(&["audit", outcome])
        .inc();
    let seconds = started.elapsed().as_secs_f64();
    context
        .metrics
        .sweep_seconds
        .with_label_values(&["audit"])
        .observe(seconds);
    Ok(())
}
