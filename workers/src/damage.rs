//! Decides closed risks, publishes their evidence and plans their payouts, each step one bounded
//! transaction that reads the rows anew under lock. Never computes a number (`domain::settle`
//! does), never decides twice, and never lets an upload hold a transaction open.
//! Heard on index.final, window.closed, evaluation.recorded and evidence.due.

use chrono::{DateTime, Days, TimeDelta, Utc};
use domain::event::{Envelope, Event};
use domain::evidence::{self, BUNDLE_BYTES_MAX, BUNDLE_FORM, Bundle, ScheduleLine};
use domain::id::{EvaluationId, PayoutId, PolicyId, RiskId};
use domain::money::{Money, MoneyError};
use domain::payout::{LEG_CODE_LENGTH, MPESA_LIMITS, PayoutState, split};
use domain::settle::{HoldReason, Outcome as Settled, Settlement, settle};
use providers::pinata;
use runtime::broker::Message;
use runtime::telemetry::continue_trace;
use runtime::topology::Role;
use store::evaluations::{
    self, Decision, Evaluation, EvaluationState, Exposure, RiskState, Subject,
};
use store::legs::{self, NewLeg};
use store::payouts::{self, NewPayout};
use store::{Pooled, StoreError, Transaction, bundles, index_runs, outbox};
use tokio::time::Instant;

use crate::consumer::{Handler, Outcome, decode, first_time};
use crate::role::Context;

/// Policies settled, and payouts released, in one transaction.
pub const BATCH_MAX: i64 = 500;
/// Longest wait between two looks at a closed risk that is not decided.
const LOOK_AGAIN: TimeDelta = TimeDelta::days(1);
/// Wait while the index of a closed risk is computed again.
const LOOK_SOON: TimeDelta = TimeDelta::minutes(1);
/// First wait after a failed upload; doubled each time.
const PIN_AGAIN_MINUTES: i64 = 1;
/// Longest wait after a failed upload.
const PIN_AGAIN_MINUTES_MAX: i64 = 60;

/// The damage role.
#[derive(Debug)]
pub struct Damage {
    context: Context,
    pinata: pinata::Client,
}

/// What a look at a risk came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// There is an evaluation, and it was made now.
    Evaluated(EvaluationId),
    /// It was decided before.
    Before,
    /// Its window still runs, or its index is not final.
    NotYet,
    /// Days are missing; it is looked at again.
    Deferred,
    /// The days for deciding have passed; a number that comes late is for two people to release.
    Held,
}

/// What one step of a fan-out did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FannedOut {
    /// Policies settled.
    pub settled: usize,
    /// Payouts planned.
    pub planned: usize,
    /// Held payouts released.
    pub released: usize,
    /// Whether another step is due; its bell is pushed.
    pub more: bool,
}

/// The damage role over its settings.
pub fn build(context: &Context) -> Damage {
    let settings = &context.settings.pinata;
    let config = pinata::Config::new(
        &settings.pinata_upload_url,
        &settings.pinata_gateway,
        providers::Secret::new(settings.pinata_jwt.expose()),
    );
    let pinata = pinata::Client::new(context.http.clone(), config);
    Damage {
        context: context.clone(),
        pinata,
    }
}

impl Handler for Damage {
    const ROLE: Role = Role::Damage;

    async fn handle(&self, message: &Message) -> Outcome {
        self.hear(message).await.into()
    }
}

impl Damage {
    async fn hear(&self, message: &Message) -> Result<(), Outcome> {
        match decode(message)? {
            Event::IndexFinal { risk_id, .. } | Event::WindowClosed { risk_id } => {
                self.decide(Some(message), risk_id).await?;
            }
            Event::EvaluationRecorded { evaluation_id } => {
                self.fan_out(Some(message), evaluation_id).await?;
            }
            Event::EvidenceDue { evaluation_id } => {
                self.pin(evaluation_id).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Begins the effect's transaction; `None` when this very message has had its effect.
    async fn begin(&self, message: Option<&Message>) -> Result<Option<Transaction>, Outcome> {
        let mut tx = self.context.pool.begin().await.map_err(StoreError::from)?;
        if let Some(message) = message
            && !first_time(&mut tx, &self.context, Role::Damage, message).await?
        {
            return Ok(None);
        }
        Ok(Some(tx))
    }

    async fn acquire(&self) -> Result<Pooled, StoreError> {
        Ok(self.context.pool.acquire().await?)
    }

    /// Rings at commit, for all of them by one statement.
    async fn ring(
        &self,
        tx: &mut Transaction,
        now: DateTime<Utc>,
        events: impl IntoIterator<Item = Event>,
        message: Option<&Message>,
    ) -> Result<(), StoreError> {
        let trace = message.and_then(|message| message.traceparent.as_deref());
        let bells: Vec<Envelope> = events
            .into_iter()
            .map(|event| Envelope {
                id: self.context.ids.mint(now),
                event,
                traceparent: Some(continue_trace(trace, &self.context.ids)),
            })
            .collect();
        outbox::push_all(tx, now, &bells, now).await
    }

    /// Looks at one risk and decides it if it can be decided.
    pub async fn decide(
        &self,
        message: Option<&Message>,
        risk_id: RiskId,
    ) -> Result<Decided, Outcome> {
        let Some(mut tx) = self.begin(message).await? else {
            return Ok(Decided::Before);
        };
        let now = self.context.clock.now();
        let Some(subject) = evaluations::lock_subject(&mut tx, risk_id).await? else {
            return Err(Outcome::Park(format!("{risk_id} does not exist")));
        };
        let decided = if subject.state == RiskState::Evaluated {
            Decided::Before
        } else if now < subject.closes_at {
            Decided::NotYet
        } else {
            self.decide_closed(&mut tx, now, &subject, message).await?
        };
        tx.commit().await.map_err(StoreError::from)?;
        Ok(decided)
    }

    async fn decide_closed(
        &self,
        tx: &mut Transaction,
        now: DateTime<Utc>,
        subject: &Subject,
        message: Option<&Message>,
    ) -> Result<Decided, Outcome> {
        let product = &subject.version.product;
        let zone = product.zone(&subject.zone).ok_or_else(|| {
            Outcome::Park(format!(
                "{} has no zone {} in its product",
                subject.risk_id, subject.zone
            ))
        })?;
        if subject.index_dirty {
            // its evidence would show days that its numbers do not count
            return Ok(postpone(tx, now, subject, false, LOOK_SOON).await?);
        }
        let settled = match &subject.run {
            Some(run) => Some((
                run,
                settle(product, zone, &run.observed).map_err(broken_sum)?,
            )),
            None => None,
        };
        let (run, settlement) = match settled {
            Some((run, Settled::Settled(settlement))) => (run, settlement),
            Some((_, Settled::Deferred { .. })) => {
                return Ok(postpone(tx, now, subject, true, LOOK_AGAIN).await?);
            }
            None => {
                // what ends a wait by the calendar alone, of scenes or of a station's last word,
                // rings no bell
                index_runs::ask_anew(tx, subject.risk_id).await?;
                return Ok(postpone(tx, now, subject, false, LOOK_AGAIN).await?);
            }
        };

        let exposures = evaluations::list_exposures(tx, subject.risk_id).await?;
        let (policies, total) = total(&settlement, &exposures).map_err(broken_sum)?;
        let mut holds = settlement.holds.clone();
        if total.minor > product.release_auto_max().minor {
            holds.push(HoldReason::AboveLimit);
        }
        if total.minor > 0 && !self.context.settings.enable_auto_payouts {
            holds.push(HoldReason::SwitchedOff);
        }
        if subject.state == RiskState::Held {
            holds.push(HoldReason::DecidedLate);
        }
        let inputs = bundles::load_inputs(tx, subject).await?;
        let bundle = Bundle {
            form: BUNDLE_FORM.to_owned(),
            engine: run.engine_version.clone(),
            product: product.clone(),
            product_hash: subject.version.hash.clone(),
            zone: subject.zone.clone(),
            cell: subject.cell,
            season_year: subject.season_year,
            window: subject.window,
            stations: inputs.stations,
            grids: inputs.sources.grids,
            sensors: inputs.sources.sensors,
            checks: run.checks.clone(),
            days: inputs.days,
            observed: run.observed.clone(),
            settlement: settlement.clone(),
            schedule: schedule(&product.sums_insured_kes, &settlement).map_err(broken_sum)?,
        }
        .bytes();
        if bundle.len() > BUNDLE_BYTES_MAX {
            return Err(Outcome::Park(format!(
                "evidence of {} has {} bytes, more than one block",
                subject.risk_id,
                bundle.len()
            )));
        }
        let state = if holds.is_empty() {
            EvaluationState::Approved
        } else {
            EvaluationState::Held
        };
        let id: EvaluationId = self.context.ids.mint(now);
        let decision = Decision {
            id,
            risk_id: subject.risk_id,
            index_run_id: run.id,
            observed: &run.observed,
            settlement: &settlement,
            holds: &holds,
            policies,
            total,
            state,
            cid: &evidence::cid(&bundle),
            short_code: &evidence::short_code(&bundle),
            bundle: &bundle,
        };
        if !evaluations::record(tx, now, &decision).await? {
            return Ok(Decided::Before);
        }
        let bells = [
            Event::EvaluationRecorded { evaluation_id: id },
            Event::EvidenceDue { evaluation_id: id },
        ];
        self.ring(tx, now, bells, message).await?;
        Ok(Decided::Evaluated(id))
    }

    /// Settles the next policies of an evaluation, plans what they are owed, and releases what is
    /// held once people have approved it. One transaction; rings for the next step itself.
    pub async fn fan_out(
        &self,
        message: Option<&Message>,
        id: EvaluationId,
    ) -> Result<FannedOut, Outcome> {
        let Some(mut tx) = self.begin(message).await? else {
            return Ok(FannedOut::default());
        };
        let now = self.context.clock.now();
        let Some(evaluation) = evaluations::lock(&mut tx, id).await? else {
            return Err(Outcome::Park(format!("{id} does not exist")));
        };
        let policies = evaluations::lock_policies(&mut tx, evaluation.risk_id, BATCH_MAX).await?;
        let mut done = FannedOut {
            settled: policies.len(),
            ..FannedOut::default()
        };
        let mut bells = Vec::new();
        for (policy, insured) in &policies {
            let amount = evaluation.settlement.payout(*insured).map_err(broken_sum)?;
            if amount.minor > 0
                && let Some(payout) = self
                    .plan(&mut tx, now, &evaluation, *policy, amount)
                    .await?
            {
                done.planned = done.planned.saturating_add(1);
                if evaluation.state == EvaluationState::Approved {
                    bells.push(Event::PayoutApproved { payout_id: payout });
                }
            }
            bells.push(Event::PolicySettled {
                policy_id: *policy,
                evaluation_id: id,
            });
        }
        let ids: Vec<PolicyId> = policies.iter().map(|(id, _)| *id).collect();
        evaluations::settle_policies(&mut tx, now, &ids).await?;
        if is_full(policies.len()) {
            done.more = true;
        } else {
            evaluations::mark_fanned_out(&mut tx, now, id).await?;
        }
        if evaluation.state == EvaluationState::Approved {
            let released = payouts::release_batch(&mut tx, now, id, BATCH_MAX).await?;
            done.released = released.len();
            done.more |= is_full(released.len());
            bells.extend(
                released
                    .into_iter()
                    .map(|payout_id| Event::PayoutApproved { payout_id }),
            );
        }
        if done.more {
            bells.push(Event::EvaluationRecorded { evaluation_id: id });
        }
        self.ring(&mut tx, now, bells, message).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(done)
    }

    /// One payout with its legs and their reserved money; `None` when it was planned before.
    async fn plan(
        &self,
        tx: &mut Transaction,
        now: DateTime<Utc>,
        evaluation: &Evaluation,
        policy_id: PolicyId,
        amount: Money,
    ) -> Result<Option<PayoutId>, Outcome> {
        let ids = &self.context.ids;
        let parts = split(amount, MPESA_LIMITS)
            .ok_or_else(|| Outcome::Park(format!("{amount} cannot be sent by the rail")))?;
        let state = match evaluation.state {
            EvaluationState::Approved => PayoutState::Approved,
            EvaluationState::Held => PayoutState::Held,
        };
        let id: PayoutId = ids.mint(now);
        let payout = NewPayout {
            id,
            policy_id,
            evaluation_id: evaluation.id,
            amount,
            state,
        };
        if !payouts::plan(tx, now, &payout).await? {
            return Ok(None);
        }
        for (leg, amount) in (1_u16..).zip(parts) {
            let originator_id = format!("MC{}", ids.base32(LEG_CODE_LENGTH));
            let new = NewLeg {
                id: ids.mint(now),
                payout_id: id,
                leg,
                attempt: 1,
                originator_id: &originator_id,
                amount,
            };
            legs::plan(tx, now, &new).await?;
        }
        Ok(Some(id))
    }

    /// Puts the evidence of an evaluation on the network; returns whether it is there now. The
    /// address that comes back must be ours: anything else is quarantined and told.
    pub async fn pin(&self, id: EvaluationId) -> Result<bool, Outcome> {
        let mut conn = self.acquire().await?;
        let Some(waiting) = bundles::find_unpinned(&mut conn, id).await? else {
            return Ok(true);
        };
        drop(conn);
        let started = Instant::now();
        let uploaded = self
            .pinata
            .upload(&format!("{}.json", waiting.cid), waiting.bundle)
            .await;
        let (outcome, is_pinned) = match &uploaded {
            Ok(file) if file.cid == waiting.cid => ("ok", true),
            Ok(file) => {
                tracing::error!(evaluation = %id, expected = waiting.cid, returned = file.cid,
                    "the network gave the evidence another address");
                ("wrong_cid", false)
            }
            Err(error) => {
                tracing::warn!(evaluation = %id, %error, "evidence was not taken");
                (error.kind(), false)
            }
        };
        self.context
            .metrics
            .provider_call_seconds
            .with_label_values(&[pinata::NAME, "upload", outcome])
            .observe(started.elapsed().as_secs_f64());
        let now = self.context.clock.now();
        let mut conn = self.acquire().await?;
        if is_pinned {
            bundles::mark_pinned(&mut conn, now, id).await?;
        } else {
            let doubled = PIN_AGAIN_MINUTES.saturating_mul(1_i64 << waiting.attempts.min(6));
            let wait = TimeDelta::minutes(doubled.min(PIN_AGAIN_MINUTES_MAX));
            bundles::postpone(&mut conn, id, now + wait).await?;
        }
        Ok(is_pinned)
    }
}

fn is_full(count: usize) -> bool {
    i64::try_from(count).is_ok_and(|count| count >= BATCH_MAX)
}

fn broken_sum(error: MoneyError) -> Outcome {
    Outcome::Park(error.to_string())
}

/// Looks again after `wait`, or hands the risk to people when the days for deciding have passed.
async fn postpone(
    tx: &mut Transaction,
    now: DateTime<Utc>,
    subject: &Subject,
    deferred: bool,
    wait: TimeDelta,
) -> Result<Decided, StoreError> {
    let days = Days::new(subject.version.product.settlement.decide_after_days.into());
    let deadline = subject
        .closes_at
        .checked_add_days(days)
        .unwrap_or(subject.closes_at);
    if subject.state == RiskState::Held {
        return Ok(Decided::Held);
    }
    if now >= deadline {
        evaluations::hold_risk(tx, subject.risk_id).await?;
        return Ok(Decided::Held);
    }
    let next = deadline.min(now + wait);
    evaluations::postpone_risk(tx, subject.risk_id, deferred, next).await?;
    Ok(if deferred {
        Decided::Deferred
    } else {
        Decided::NotYet
    })
}

/// Policies on risk and what they are owed together.
fn total(settlement: &Settlement, exposures: &[Exposure]) -> Result<(i64, Money), MoneyError> {
    let (mut policies, mut total) = (0_i64, Money::ZERO_KES);
    for exposure in exposures {
        let each = settlement.payout(exposure.sum_insured)?;
        let minor = each
            .minor
            .checked_mul(exposure.policies)
            .ok_or(MoneyError::Overflow)?;
        total = total.checked_add(Money { minor, ..each })?;
        policies = policies.saturating_add(exposure.policies);
    }
    Ok((policies, total))
}

/// What each sum insured on offer is paid.
fn schedule(sums_kes: &[i64], settlement: &Settlement) -> Result<Vec<ScheduleLine>, MoneyError> {
    sums_kes
        .iter()
        .map(|sum| {
            let sum_insured = Money::kes(*sum)?;
            Ok(ScheduleLine {
                sum_insured,
                payout: settlement.payout(sum_insured)?,
            })
        })
        .collect()
}
