//! Texts to farmers: what happened to their cover and their money, once per subject, kind and
//! language. A text is written as sent before the gateway is called; a call whose answer never
//! came is repeated at most once, because two equal texts are better than none.
//! Never delays money and never texts who opted out, except about her own contract.
//! Heard on the events that farmers must know of, and on sms.due.

use chrono::{DateTime, TimeDelta, Utc};
use domain::event::Event;
use domain::id::{EvaluationId, FarmerId, PayoutId, PolicyId, ReceiptId, SmsId};
use domain::money::Money;
use domain::payout::PayoutState;
use domain::premium::{ReceiptState, SuspenseReason};
use domain::product::PayoutTerms;
use domain::sms::{Ground, Sms};
use domain::ussd::gsm7;
use providers::ProviderError;
use providers::africastalking::{self, sms as gateway};
use runtime::broker::Message;
use runtime::topology::Role;
use store::notices::{self, Settled};
use store::sms::{self, ATTEMPTS_MAX, NewSms, SmsState};
use store::{Pooled, StoreError, collections, farmers, receipts};
use tokio::time::Instant;
use uuid::Uuid;

use crate::consumer::{Handler, Outcome, decode};
use crate::role::Context;

/// Septets of a text that is one segment.
const SEGMENT_SEPTETS: usize = 160;
/// How long an answer that never came is waited for before the one resend.
const DOUBT: TimeDelta = TimeDelta::minutes(10);
/// Shortest and longest wait before a text that was provably not taken is sent again.
const SEND_AGAIN_MIN: TimeDelta = TimeDelta::seconds(30);
const SEND_AGAIN_MAX: TimeDelta = TimeDelta::hours(1);
/// A text that could not be sent for this long is old news.
const STALE_AFTER: TimeDelta = TimeDelta::days(7);

/// The notify role.
#[derive(Debug, Clone)]
pub struct Texts {
    context: Context,
    gateway: gateway::Client,
}

/// The notify role over its settings.
#[must_use]
pub fn build(context: &Context) -> Texts {
    let settings = &context.settings.africastalking;
    let key = providers::Secret::new(settings.at_api_key.expose());
    let mut config = gateway::Config::new(&settings.at_base_url, &settings.at_username, key);
    config.sender_id = Some(settings.at_sender_id.clone()).filter(|sender| !sender.is_empty());
    let gateway = gateway::Client::new(context.http.clone(), config);
    Texts {
        context: context.clone(),
        gateway,
    }
}

impl Handler for Texts {
    const ROLE: Role = Role::Notify;

    async fn handle(&self, message: &Message) -> Outcome {
        self.hear(message).await.into()
    }
}

/// A text to one farmer about one thing.
type Told = (FarmerId, Uuid, Sms);

impl Texts {
    async fn hear(&self, message: &Message) -> Result<(), Outcome> {
        let told = match decode(message)? {
            Event::PolicyActivated { policy_id, .. } => Some(self.activated(policy_id).await?),
            Event::PolicyLapsed { policy_id } => Some(self.lapsed(policy_id).await?),
            Event::PolicySettled {
                policy_id,
                evaluation_id,
            } => self.settled(policy_id, evaluation_id).await?,
            Event::PremiumSuspended { receipt_id } => self.suspended(receipt_id).await?,
            Event::PayoutPaid { payout_id } => Some(self.paid(payout_id).await?),
            Event::PayoutRefused { payout_id } => self.refused(payout_id).await?,
            Event::SmsDue { sms_id } => return self.send(sms_id).await,
            // a prompt she cancelled is no news to her; dialling again asks again
            _ => None,
        };
        match told {
            Some(told) => self.tell(told).await,
            None => Ok(()),
        }
    }

    /// Writes the text unless this was told before, and sends it.
    async fn tell(&self, (farmer_id, subject_id, about): Told) -> Result<(), Outcome> {
        let now = self.context.clock.now();
        let mut conn = self.acquire().await?;
        let contact = farmers::get_contact(&mut conn, &self.context.pii, farmer_id).await?;
        let text = about.text(contact.language);
        let segments =
            gsm7::length(&text).map_or(2, |septets| if septets <= SEGMENT_SEPTETS { 1 } else { 2 });
        let kind = about.kind();
        let is_suppressed = contact.sms_opted_out_at.is_some() && !kind.is_legal_notice();
        let written = sms::plan(
            &mut conn,
            now,
            NewSms {
                id: self.context.ids.mint(now),
                farmer_id,
                subject_id,
                kind,
                language: contact.language,
                text_cipher: &self
                    .context
                    .pii
                    .seal(self.context.ids.bytes(), text.as_bytes())?,
                segments,
                is_suppressed,
            },
        )
        .await?;
        drop(conn);
        match written {
            Some(_) if is_suppressed => {
                self.count(kind.as_str(), "suppressed");
                Ok(())
            }
            Some(id) => self.send(id).await,
            None => Ok(()),
        }
    }

    /// Sends a text that is due; a repeated bell finds it sent.
    pub async fn send(&self, id: SmsId) -> Result<(), Outcome> {
        let now = self.context.clock.now();
        let Some((kind, text, farmer_id)) = self.mark_sent(now, id).await? else {
            return Ok(());
        };
        let mut conn = self.acquire().await?;
        let contact = farmers::get_contact(&mut conn, &self.context.pii, farmer_id).await?;
        drop(conn);
        let started = Instant::now();
        let answer = self.gateway.send(&contact.phone, &text).await;
        let outcome = answer.as_ref().map_or_else(ProviderError::kind, |_| "ok");
        self.context
            .metrics
            .provider_call_seconds
            .with_label_values(&[africastalking::NAME, "send", outcome])
            .observe(started.elapsed().as_secs_f64());
        self.count(&kind, outcome);
        self.record(id, answer).await
    }

    /// The transaction before the call. `None` when there is nothing to send now.
    pub async fn mark_sent(
        &self,
        now: DateTime<Utc>,
        id: SmsId,
    ) -> Result<Option<(String, String, FarmerId)>, Outcome> {
        let mut tx = self.context.pool.begin().await.map_err(StoreError::from)?;
        let sms = sms::get_locked(&mut tx, id).await?;
        let is_due = sms.next_check_at.is_some_and(|at| at <= now);
        let is_open = match sms.state {
            SmsState::Planned => true,
            SmsState::Sent => sms.is_doubtful,
            SmsState::Delivered | SmsState::Failed | SmsState::Suppressed => false,
        };
        if !is_due || !is_open {
            return Ok(None);
        }
        if sms.attempts >= ATTEMPTS_MAX {
            if sms.state == SmsState::Sent {
                sms::leave_doubtful(&mut tx, id).await?;
            } else {
                sms::fail(&mut tx, now, id, "both attempts are used").await?;
            }
            tx.commit().await.map_err(StoreError::from)?;
            return Ok(None);
        }
        sms::mark_sent(&mut tx, now, id, now + DOUBT).await?;
        let text = self.context.pii.open_text(&sms.text_cipher)?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(Some((sms.kind, text, sms.farmer_id)))
    }

    /// The transaction after the call.
    async fn record(
        &self,
        id: SmsId,
        answer: Result<gateway::SentSms, ProviderError>,
    ) -> Result<(), Outcome> {
        let now = self.context.clock.now();
        let mut tx = self.context.pool.begin().await.map_err(StoreError::from)?;
        match answer {
            Ok(taken) => sms::record_taken(&mut tx, id, &taken.message_id).await?,
            Err(ProviderError::Refused { code, message }) => {
                tracing::error!(sms = %id, code, message, "text refused");
                sms::fail(&mut tx, now, id, &code).await?;
            }
            Err(ProviderError::Transient { code, message }) => {
                let age = now - sms::get_locked(&mut tx, id).await?.created_at;
                tracing::warn!(sms = %id, code, message, "text not taken");
                if age > STALE_AFTER {
                    sms::fail(&mut tx, now, id, &code).await?;
                } else {
                    let wait = (age / 4).clamp(SEND_AGAIN_MIN, SEND_AGAIN_MAX);
                    sms::mark_unsent(&mut tx, id, now + wait, &code).await?;
                }
            }
            Err(error @ ProviderError::InDoubt { .. }) => {
                // it stays sent and doubtful, and is due again in a while
                tracing::warn!(sms = %id, %error, "text in doubt");
            }
        }
        tx.commit().await.map_err(StoreError::from)?;
        Ok(())
    }

    async fn activated(&self, id: PolicyId) -> Result<Told, Outcome> {
        let cover = notices::get_cover(&mut *self.acquire().await?, id).await?;
        let about = Sms::PolicyActivated {
            code: cover.code,
            crop: cover.crop,
            ward: cover.ward,
            sum_insured: cover.sum_insured,
            premium: cover.premium,
            cover: cover.cover,
        };
        Ok((cover.farmer_id, id.uuid(), about))
    }

    async fn lapsed(&self, id: PolicyId) -> Result<Told, Outcome> {
        let cover = notices::get_cover(&mut *self.acquire().await?, id).await?;
        let about = Sms::PolicyLapsed {
            code: cover.code,
            premium: cover.premium,
        };
        Ok((cover.farmer_id, id.uuid(), about))
    }

    async fn suspended(&self, id: ReceiptId) -> Result<Option<Told>, Outcome> {
        let mut conn = self.acquire().await?;
        let receipt = receipts::get(&mut conn, id).await?;
        // its own money, or money that came on top of it
        let amount = match receipt
            .collected
            .filter(|_| receipt.suspense_reason.is_some())
        {
            Some(amount) => Some(amount),
            None => collections::find_suspended(&mut conn, id).await?,
        };
        let Some(amount) = amount else {
            return Ok(None);
        };
        let reason = receipt.suspense_reason.unwrap_or(match receipt.state {
            ReceiptState::Accepted | ReceiptState::Sent => SuspenseReason::Doubled,
            _ => SuspenseReason::Late,
        });
        let about = Sms::PremiumSuspended { amount, reason };
        Ok(Some((receipt.farmer_id, id.uuid(), about)))
    }

    /// Paid and unpaid alike are told; who is paid is told when the money has arrived.
    async fn settled(
        &self,
        policy_id: PolicyId,
        evaluation_id: EvaluationId,
    ) -> Result<Option<Told>, Outcome> {
        let mut conn = self.acquire().await?;
        let settled = notices::get_settled(&mut conn, policy_id, evaluation_id).await?;
        let about = match settled.payout {
            None => Sms::NoPayout {
                ward: settled.ward.clone(),
                ground: ground(&settled),
                evidence: settled.evidence.clone(),
            },
            Some((_, PayoutState::Held)) => Sms::PayoutDelayed {
                ward: settled.ward.clone(),
            },
            Some(_) => return Ok(None),
        };
        Ok(Some((settled.farmer_id, policy_id.uuid(), about)))
    }

    async fn paid(&self, id: PayoutId) -> Result<Told, Outcome> {
        let mut conn = self.acquire().await?;
        let paid = notices::get_paid(&mut conn, id).await?;
        let settled = notices::get_settled(&mut conn, paid.policy_id, paid.evaluation_id).await?;
        let ground = ground(&settled);
        let about = Sms::PayoutPaid {
            ward: settled.ward,
            payout: settled.payout.map_or(Money::ZERO_KES, |(amount, _)| amount),
            sum_insured: settled.sum_insured,
            ground,
            receipt: paid.receipts,
            evidence: settled.evidence,
        };
        Ok((settled.farmer_id, id.uuid(), about))
    }

    async fn refused(&self, id: PayoutId) -> Result<Option<Told>, Outcome> {
        let mut conn = self.acquire().await?;
        let paid = notices::get_paid(&mut conn, id).await?;
        let settled = notices::get_settled(&mut conn, paid.policy_id, paid.evaluation_id).await?;
        let owed = settled.payout.map(|(payout, _)| payout);
        Ok(owed.map(|payout| (settled.farmer_id, id.uuid(), Sms::PayoutRefused { payout })))
    }

    async fn acquire(&self) -> Result<Pooled, StoreError> {
        Ok(self.context.pool.acquire().await?)
    }

    fn count(&self, kind: &str, outcome: &str) {
        self.context
            .metrics
            .sms
            .with_label_values(&[kind, outcome])
            .inc();
    }
}

/// The measured reason: the phase that was furthest below its trigger, and the damage index of
/// products that have one.
fn ground(settled: &Settled) -> Ground {
    let triggers = settled
        .product
        .zone(&settled.zone)
        .map_or(&[][..], |zone| &zone.triggers);
    let worst = triggers
        .iter()
        .filter_map(|trigger| {
            let sum = settled
                .observed
                .phases
                .iter()
                .find(|sum| sum.phase == trigger.phase)?;
            Some((sum.rain_um, trigger.trigger_whole()))
        })
        .min_by(|(rain, trigger), (other_rain, other_trigger)| {
            // rain / trigger, compared without dividing
            let left = i128::from(*rain) * i128::from(*other_trigger);
            let right = i128::from(*other_rain) * i128::from(*trigger);
            left.cmp(&right)
        });
    let (rain_um, trigger_mm) = worst.unwrap_or_default();
    let damage_index = match (&settled.product.payout, settled.settlement.damage_index_bp) {
        (PayoutTerms::Tiers { attach_bp, .. }, Some(index)) => Some((index, *attach_bp)),
        _ => None,
    };
    Ground {
        rain_um,
        trigger_mm,
        damage_index,
    }
}
