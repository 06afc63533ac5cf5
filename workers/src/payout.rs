//! Sends released payouts by M-Pesa and asks after those in doubt. A leg is recorded as sent, with
//! its id, before the rail is called; only the rail's evidence ends it. Never posts a leg under
//! another id, never takes silence for an answer, and plans no second attempt by itself.
//! Heard on payout.approved and payout.check_due; results arrive as callbacks at the backend.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::event::Event;
use domain::id::{LegId, PayoutId};
use domain::money::Money;
use domain::msisdn::Msisdn;
use domain::payout::{DOUBT_TO_PERSON_HOURS, LegState, PayoutState, next_check};
use providers::ProviderError;
use providers::mpesa::{self, B2cAck, B2cRequest};
use runtime::broker::Message;
use runtime::topology::Role;
use store::legs::{self, Leg, NeedsPerson, Pause};
use store::payouts::{self, Ending, Payout};
use store::{StoreError, Transaction};
use tokio::time::Instant;

use crate::consumer::{Handler, Outcome, decode};
use crate::role::Context;

/// Wait after the rail provably did not take a leg.
const SEND_AGAIN: TimeDelta = TimeDelta::minutes(1);
/// Wait while sending is paused for a person.
const PAUSED: TimeDelta = TimeDelta::minutes(10);
/// Wait between looks at a leg whose earlier attempt is contradicted.
const CONTRADICTED: TimeDelta = TimeDelta::hours(24);
/// Wait between looks at a leg that only a person can decide.
const LEFT_TO_PERSON: TimeDelta = TimeDelta::hours(24);
/// What stands in the rail's statement.
const REMARKS: &str = "Crop insurance payout";

/// The payout role.
#[derive(Debug, Clone)]
pub struct Payouts {
    context: Context,
    mpesa: Arc<mpesa::Client>,
}

/// What a step did with a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it is decided, not released, or not due.
    Nothing,
    /// Nothing until a person lets sending go on.
    Paused,
    /// The rail acknowledged it.
    Acknowledged,
    /// The rail did not take it; it waits to be sent again.
    NotTaken,
    /// The rail refused the request: no money moved.
    Refused,
    /// The rail was asked what became of it; the answer comes as a callback.
    Asked,
    /// Nothing is known; it is looked at again.
    InDoubt,
}

/// A leg that is recorded as sent and must now be posted.
#[derive(Debug, Clone)]
pub struct Posting {
    /// The leg.
    pub leg_id: LegId,
    /// The rail's idempotency key.
    pub originator_id: String,
    /// How much.
    pub amount: Money,
    phone: Msisdn,
}

/// The payout role over its settings.
pub fn build(context: &Context) -> Payouts {
    let settings = &context.settings;
    let rail = &settings.mpesa;
    let secret = |secret: &runtime::config::Secret| providers::Secret::new(secret.expose());
    let root = format!(
        "{}/api/webhooks/mpesa/{}",
        settings.public_base_url,
        rail.mpesa_callback_token.expose()
    );
    let config = mpesa::Config {
        base_url: rail.mpesa_base_url.clone(),
        consumer_key: secret(&rail.mpesa_consumer_key),
        consumer_secret: secret(&rail.mpesa_consumer_secret),
        shortcode: rail.mpesa_shortcode.clone(),
        initiator_name: rail.mpesa_initiator_name.clone(),
        security_credential: secret(&rail.mpesa_security_credential),
        callback_root: providers::Secret::new(root),
        timeout: mpesa::Config::timeout_default(),
    };
    let client = mpesa::Client::new(context.http.clone(), config);
    Payouts {
        context: context.clone(),
        mpesa: Arc::new(client),
    }
}

impl Handler for Payouts {
    const ROLE: Role = Role::Payout;

    async fn handle(&self, message: &Message) -> Outcome {
        self.hear(message).await.into()
    }
}

impl Payouts {
    async fn hear(&self, message: &Message) -> Result<(), Outcome> {
        match decode(message)? {
            Event::PayoutApproved { payout_id } => self.send(payout_id).await,
            Event::PayoutCheckDue { leg_id } => self.check(leg_id).await.map(|_| ()),
            _ => Ok(()),
        }
    }

    async fn begin(&self) -> Result<Transaction, StoreError> {
        Ok(self.context.pool.begin().await?)
    }

    /// Sends every leg of a released payout that is planned. No dedupe row: planned → sent under
    /// lock is what makes a repeated bell harmless, leg by leg.
    pub async fn send(&self, payout_id: PayoutId) -> Result<(), Outcome> {
        let mut conn = self
            .context
            .pool
            .acquire()
            .await
            .map_err(StoreError::from)?;
        let planned: Vec<LegId> = legs::list(&mut conn, payout_id)
            .await?
            .into_iter()
            .filter(|leg| leg.state == LegState::Planned)
            .map(|leg| leg.id)
            .collect();
        drop(conn);
        for leg in planned {
            self.send_leg(leg).await?;
        }
        Ok(())
    }

    /// Sends one planned leg: record, call, record.
    pub async fn send_leg(&self, leg_id: LegId) -> Result<Step, Outcome> {
        match self.begin_sending(leg_id).await? {
            Ok(posting) => {
                let answer = self.post(&posting).await;
                self.record_answer(&posting, answer).await
            }
            Err(step) => Ok(step),
        }
    }

    /// Transaction A: planned → sent, committed before anything leaves the house. From here on
    /// the leg is in doubt until somebody proves otherwise.
    pub async fn begin_sending(&self, leg_id: LegId) -> Result<Result<Posting, Step>, Outcome> {
        let now = self.context.clock.now();
        let mut tx = self.begin().await?;
        let Some((payout, leg)) = legs::lock(&mut tx, leg_id).await? else {
            return Err(Outcome::Park(format!("{leg_id} does not exist")));
        };
        let released = matches!(payout.state, PayoutState::Approved | PayoutState::Sent);
        let waits = leg.next_check_at.is_some_and(|at| at > now);
        if leg.state != LegState::Planned || !released || waits {
            return Ok(Err(Step::Nothing));
        }
        if legs::is_contradicted(&mut tx, payout.id, leg.leg).await? {
            tracing::error!(leg = %leg_id, "not sent: an earlier attempt may have been paid");
            legs::postpone(&mut tx, leg_id, now + CONTRADICTED).await?;
            tx.commit().await.map_err(StoreError::from)?;
            return Ok(Err(Step::Paused));
        }
        if legs::pause(&mut tx).await? != Pause::None {
            legs::postpone(&mut tx, leg_id, now + PAUSED).await?;
            tx.commit().await.map_err(StoreError::from)?;
            return Ok(Err(Step::Paused));
        }
        let phone = self.phone(&mut tx, payout.id).await?;
        legs::mark_sent(&mut tx, now, leg_id, next_check(now, 0)).await?;
        payouts::refresh(&mut tx, now, &payout).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(Ok(posting(leg, phone)))
    }

    /// The farmer's number, decrypted for this call alone.
    async fn phone(&self, tx: &mut Transaction, payout: PayoutId) -> Result<Msisdn, Outcome> {
        let recipient = payouts::get_recipient(tx, payout).await?;
        let digits = self.context.pii.open_text(&recipient.phone_cipher)?;
        Msisdn::parse(&digits)
            .map_err(|_| Outcome::Park(format!("the phone of {} is none", recipient.farmer_id)))
    }

    /// The call. Posting the same leg again is an enquiry: the rail refuses a repeated id.
    pub async fn post(&self, posting: &Posting) -> Result<B2cAck, ProviderError> {
        let request = B2cRequest {
            originator_id: &posting.originator_id,
            phone: &posting.phone,
            amount: posting.amount,
            remarks: REMARKS,
            occasion: None,
        };
        let started = Instant::now();
        let answer = self.mpesa.send_b2c(&request).await;
        let outcome = match &answer {
            Ok(B2cAck::Accepted { .. }) => "ok",
            Ok(B2cAck::AlreadyAccepted) => "duplicate",
            Err(error) => error.kind(),
        };
        self.measured("b2c", outcome, started);
        answer
    }

    /// Transaction B after a leg's first posting.
    pub async fn record_answer(
        &self,
        posting: &Posting,
        answer: Result<B2cAck, ProviderError>,
    ) -> Result<Step, Outcome> {
        let leg_id = posting.leg_id;
        match answer {
            Ok(B2cAck::Accepted { conversation_id }) => {
                self.acknowledge(leg_id, &conversation_id).await
            }
            Ok(B2cAck::AlreadyAccepted) => self.ask(leg_id, &posting.originator_id).await,
            Err(error @ ProviderError::InDoubt { .. }) => {
                tracing::warn!(leg = %leg_id, %error, "a leg is in doubt");
                Ok(Step::InDoubt)
            }
            Err(error) => self.record_untaken(leg_id, &error).await,
        }
    }

    /// The rail proved that the first posting was not taken: back to planned, or, when it never
    /// will be, refused. Only the first posting may prove that; later ones say nothing about it.
    async fn record_untaken(&self, leg_id: LegId, error: &ProviderError) -> Result<Step, Outcome> {
        let now = self.context.clock.now();
        let mut tx = self.begin().await?;
        let Some((payout, leg)) = legs::lock(&mut tx, leg_id).await? else {
            return Ok(Step::Nothing);
        };
        let untouched =
            leg.state == LegState::Sent && leg.conversation_id.is_none() && leg.enquiries == 0;
        if !untouched {
            return Ok(Step::InDoubt);
        }
        let step = if let ProviderError::Refused { code, .. } = error {
            tracing::error!(leg = %leg_id, %error, "the rail refused a leg's request");
            let ending = Ending::Refused {
                code,
                needs: NeedsPerson::RequestRefused,
            };
            let bell = self.context.ids.mint(now);
            payouts::end_leg(&mut tx, now, (&payout, &leg), ending, bell).await?;
            Step::Refused
        } else {
            tracing::warn!(leg = %leg_id, %error, "the rail did not take a leg");
            legs::mark_unsent(&mut tx, leg_id, now + SEND_AGAIN).await?;
            payouts::refresh(&mut tx, now, &payout).await?;
            Step::NotTaken
        };
        tx.commit().await.map_err(StoreError::from)?;
        Ok(step)
    }

    async fn acknowledge(&self, leg_id: LegId, conversation: &str) -> Result<Step, Outcome> {
        let mut conn = self
            .context
            .pool
            .acquire()
            .await
            .map_err(StoreError::from)?;
        legs::record_acknowledgement(&mut conn, leg_id, conversation).await?;
        Ok(Step::Acknowledged)
    }

    /// Looks at a leg that is due: sends it if it is planned, asks after it if it is in doubt.
    pub async fn check(&self, leg_id: LegId) -> Result<Step, Outcome> {
        let now = self.context.clock.now();
        let mut tx = self.begin().await?;
        let Some((payout, leg)) = legs::lock(&mut tx, leg_id).await? else {
            return Err(Outcome::Park(format!("{leg_id} does not exist")));
        };
        match leg.state {
            LegState::Paid | LegState::Refused => return Ok(Step::Nothing),
            LegState::Planned => {
                drop(tx);
                return self.send_leg(leg_id).await;
            }
            LegState::Sent if leg.next_check_at.is_some_and(|at| at > now) => {
                return Ok(Step::Nothing);
            }
            LegState::Sent => {}
        }
        if let Some(wait) = self.left_alone(&mut tx, now, &leg).await? {
            legs::postpone(&mut tx, leg_id, now + wait).await?;
            tx.commit().await.map_err(StoreError::from)?;
            return Ok(Step::Paused);
        }
        let enquiries = leg.enquiries.saturating_add(1);
        legs::begin_enquiry(&mut tx, leg_id, next_check(now, enquiries)).await?;
        let pause = legs::pause(&mut tx).await?;
        let again = leg.conversation_id.is_none() && pause == Pause::None;
        let posting = self.repeat(&mut tx, &payout, leg, again).await?;
        tx.commit().await.map_err(StoreError::from)?;
        match posting {
            Ok(posting) => self.post_again(&posting).await,
            Err(originator_id) => self.ask(leg_id, &originator_id).await,
        }
    }

    /// How long a leg is not asked about, if it is not: it is a person's, or every call is barred.
    async fn left_alone(
        &self,
        tx: &mut Transaction,
        now: DateTime<Utc>,
        leg: &Leg,
    ) -> Result<Option<TimeDelta>, Outcome> {
        if leg.needs_person.is_some_and(NeedsPerson::bars_evidence) {
            return Ok(Some(LEFT_TO_PERSON));
        }
        let doubt_hours = TimeDelta::hours(DOUBT_TO_PERSON_HOURS);
        if leg.needs_person.is_none() && leg.sent_at.is_some_and(|at| now - at >= doubt_hours) {
            tracing::error!(leg = %leg.id, "a leg has been in doubt for a day");
            legs::flag(tx, leg.id, NeedsPerson::Doubt).await?;
        }
        Ok((legs::pause(tx).await? == Pause::Everything).then_some(PAUSED))
    }

    async fn repeat(
        &self,
        tx: &mut Transaction,
        payout: &Payout,
        leg: Leg,
        again: bool,
    ) -> Result<Result<Posting, String>, Outcome> {
        if !again {
            return Ok(Err(leg.originator_id));
        }
        let phone = self.phone(tx, payout.id).await?;
        Ok(Ok(posting(leg, phone)))
    }

    /// Posts a leg whose acknowledgement we never saw once more under the same id. Accepted: the
    /// earlier posting had not arrived, and this one is acknowledged. Duplicate: it had, so ask.
    /// Anything else proves nothing about the earlier one.
    async fn post_again(&self, posting: &Posting) -> Result<Step, Outcome> {
        match self.post(posting).await {
            Ok(B2cAck::Accepted { conversation_id }) => {
                self.acknowledge(posting.leg_id, &conversation_id).await
            }
            Ok(B2cAck::AlreadyAccepted) => self.ask(posting.leg_id, &posting.originator_id).await,
            Err(ProviderError::Refused { .. }) => {
                self.ask(posting.leg_id, &posting.originator_id).await
            }
            Err(error) => {
                tracing::warn!(leg = %posting.leg_id, %error, "a leg stays in doubt");
                Ok(Step::InDoubt)
            }
        }
    }

    /// Asks what became of a leg and records the conversation its answer will carry.
    async fn ask(&self, leg_id: LegId, originator_id: &str) -> Result<Step, Outcome> {
        let started = Instant::now();
        let answer = self.mpesa.query_status(originator_id).await;
        let outcome = answer.as_ref().map_or_else(ProviderError::kind, |_| "ok");
        self.measured("status", outcome, started);
        match answer {
            Ok(acknowledged) => {
                let mut conn = self
                    .context
                    .pool
                    .acquire()
                    .await
                    .map_err(StoreError::from)?;
                legs::record_enquiry(&mut conn, leg_id, &acknowledged.conversation_id).await?;
                Ok(Step::Asked)
            }
            Err(error) => {
                tracing::warn!(leg = %leg_id, %error, "the rail did not take a question");
                Ok(Step::InDoubt)
            }
        }
    }

    fn measured(&self, operation: &str, outcome: &str, started: Instant) {
        self.context
            .metrics
            .provider_call_seconds
            .with_label_values(&[mpesa::NAME, operation, outcome])
            .observe(started.elapsed().as_secs_f64());
    }
}

fn posting(leg: Leg, phone: Msisdn) -> Posting {
    Posting {
        leg_id: leg.id,
        originator_id: leg.originator_id,
        amount: leg.amount,
        phone,
    }
}
