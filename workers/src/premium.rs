//! Asks farmers' phones for premiums and finds out what became of it. A receipt is written as sent
//! before the rail is called and leaves that state only on the rail's evidence: its status, its
//! history, or a completely read history that shows no such order (`history`).
//! Never sends a second prompt on doubt, never credits by a status (it has no amount), and never
//! calls the rail inside a transaction. Heard on premium.requested and premium.check_due.

mod booking;
mod history;

use std::future::Future;

use chrono::{DateTime, TimeDelta, Utc};
use domain::event::{Envelope, Event};
use domain::id::ReceiptId;
use domain::policy::PolicyState;
use domain::premium::{ReceiptState, next_poll};
use providers::ProviderError;
use providers::swypt::{self, OrderState};
use runtime::broker::Message;
use runtime::topology::Role;
use store::receipts::{self, Receipt};
use store::{Connection, Pooled, StoreError, Transaction, farmers, outbox, policies};

use crate::consumer::{Handler, Outcome, decode};
use crate::role::Context;

pub use history::Reconciled;

/// After this long without evidence a person is told; the rail is still asked, once an hour.
const DOUBT_TO_PERSON: TimeDelta = TimeDelta::hours(24);
/// Between two looks at what a person was told about.
const TOLD: TimeDelta = TimeDelta::hours(1);
/// Wait while another prompt of the same phone is out; a prompt rings for about a minute.
const PHONE_BUSY: TimeDelta = TimeDelta::seconds(30);
/// Shortest and longest wait before a prompt that was provably not taken is sent again.
const SEND_AGAIN_MIN: TimeDelta = TimeDelta::seconds(30);
const SEND_AGAIN_MAX: TimeDelta = TimeDelta::minutes(10);
/// Wait before a release that failed is asked for again; doubled up to an hour.
const RELEASE_AGAIN: TimeDelta = TimeDelta::minutes(2);
/// Steps of one receipt taken at one bell: prompt lost, found, polled, released.
const STEPS_MAX: usize = 5;

/// The premium role.
#[derive(Debug, Clone)]
pub struct Premiums {
    context: Context,
    rail: swypt::Client,
}

/// The premium role over its settings.
#[must_use]
pub fn build(context: &Context) -> Premiums {
    let settings = &context.settings.swypt;
    let secret = |secret: &runtime::config::Secret| providers::Secret::new(secret.expose());
    let config = swypt::Config::new(
        &settings.swypt_api_url,
        secret(&settings.swypt_api_key),
        secret(&settings.swypt_secret_key),
        &settings.swypt_user_address,
        &settings.swypt_token_address,
    );
    let rail = swypt::Client::new(context.http.clone(), config);
    Premiums {
        context: context.clone(),
        rail,
    }
}

impl Handler for Premiums {
    const ROLE: Role = Role::Premium;

    async fn handle(&self, message: &Message) -> Outcome {
        self.hear(message).await.into()
    }
}

/// Whether a receipt can be advanced again at once.
type Again = bool;

impl Premiums {
    async fn hear(&self, message: &Message) -> Result<(), Outcome> {
        match decode(message)? {
            Event::PremiumRequested { receipt_id, .. } | Event::PremiumCheckDue { receipt_id } => {
                self.look(receipt_id).await
            }
            _ => Ok(()),
        }
    }

    /// Advances a receipt as far as it goes now. No dedupe row: each step starts from the state
    /// under lock, which is what makes a repeated bell harmless.
    pub async fn look(&self, id: ReceiptId) -> Result<(), Outcome> {
        for _ in 0..STEPS_MAX {
            if !self.advance(id).await? {
                break;
            }
        }
        Ok(())
    }

    async fn advance(&self, id: ReceiptId) -> Result<Again, Outcome> {
        let now = self.context.clock.now();
        let receipt = receipts::get(&mut *self.acquire().await?, id).await?;
        if receipt.next_check_at.is_some_and(|at| at > now) {
            return Ok(false);
        }
        match (receipt.state, &receipt.rail_order_id, receipt.prompted_at) {
            (ReceiptState::Requested, _, _) => self.prompt(now, id).await,
            (ReceiptState::Sent, Some(order_id), Some(at)) => {
                self.poll(now, &receipt, order_id, at).await
            }
            (ReceiptState::Sent, None, Some(at)) => self.find_order(now, &receipt, at).await,
            (ReceiptState::Accepted | ReceiptState::Suspended, Some(order_id), _)
                if receipt.deposit_hash.is_none() && receipt.next_check_at.is_some() =>
            {
                self.release(now, &receipt, order_id).await
            }
            _ => Ok(false),
        }
    }

    /// Requested → Sent, then the call, then what the call proved.
    async fn prompt(&self, now: DateTime<Utc>, id: ReceiptId) -> Result<Again, Outcome> {
        let Some(receipt) = self.mark_sent(now, id).await? else {
            return Ok(false);
        };
        let contact = {
            let mut conn = self.acquire().await?;
            farmers::get_contact(&mut conn, &self.context.pii, receipt.farmer_id).await?
        };
        let call = self.rail.prompt(&contact.phone, receipt.amount);
        let answer = self.timed("prompt", call).await;
        let now = self.context.clock.now();
        match answer {
            Ok(order) => {
                let mut conn = self.acquire().await?;
                match receipts::record_order(&mut conn, id, &order.order_id).await {
                    // found in the history by somebody else meanwhile
                    Ok(()) | Err(StoreError::Stale { .. }) => Ok(false),
                    Err(error) => Err(error.into()),
                }
            }
            Err(error @ ProviderError::Refused { .. }) => {
                tracing::info!(receipt = %id, code = error.code(), "prompt refused");
                self.refuse(now, &receipt).await
            }
            Err(error @ ProviderError::Transient { .. }) => {
                tracing::warn!(receipt = %id, %error, "prompt not taken");
                let mut conn = self.acquire().await?;
                let age = now - receipt.created_at;
                let wait = (age / 4).clamp(SEND_AGAIN_MIN, SEND_AGAIN_MAX);
                ignore_stale(receipts::mark_unsent(&mut conn, id, now + wait).await)?;
                Ok(false)
            }
            Err(error @ ProviderError::InDoubt { .. }) => {
                // it may be ringing: the history will tell
                tracing::warn!(receipt = %id, %error, "prompt in doubt");
                Ok(false)
            }
        }
    }

    /// The transaction before the call. `None` when there is nothing to send now.
    pub async fn mark_sent(
        &self,
        now: DateTime<Utc>,
        id: ReceiptId,
    ) -> Result<Option<Receipt>, Outcome> {
        let mut tx = self.begin().await?;
        let policy_id = receipts::get(&mut tx, id).await?.policy_id;
        let policy = policies::get_locked(&mut tx, policy_id).await?;
        let receipt = receipts::get_locked(&mut tx, id).await?;
        if receipt.state != ReceiptState::Requested {
            return Ok(None);
        }
        let waits = policy.state == PolicyState::AwaitingPremium
            && now < policy.lapses_at
            && now < policy.sale_closes_at;
        if !waits {
            // a prompt sent now could only bring money into suspense
            receipts::refuse(&mut tx, now, id).await?;
            self.ring(&mut tx, now, Event::PremiumRefused { receipt_id: id })
                .await?;
            commit(tx).await?;
            return Ok(None);
        }
        if receipts::find_open_prompt(&mut tx, receipt.farmer_id)
            .await?
            .is_some()
        {
            receipts::postpone(&mut tx, id, now + PHONE_BUSY, false, None).await?;
            commit(tx).await?;
            return Ok(None);
        }
        receipts::mark_sent(&mut tx, now, id, next_poll(now, now)).await?;
        commit(tx).await?;
        Ok(Some(Receipt {
            state: ReceiptState::Sent,
            prompted_at: Some(now),
            ..receipt
        }))
    }

    /// Asks what became of an order. A status alone neither credits (it has no amount) nor, when
    /// its word is unknown, refuses.
    async fn poll(
        &self,
        now: DateTime<Utc>,
        receipt: &Receipt,
        order_id: &str,
        prompted_at: DateTime<Utc>,
    ) -> Result<Again, Outcome> {
        let status = self
            .timed("order_status", self.rail.order_status(order_id))
            .await;
        let told = match status {
            Ok(status) => match status.state {
                OrderState::Collected { .. } => {
                    return match self.find_movement(order_id, prompted_at).await {
                        Some(row) if self.book_movement(receipt.id, &row).await? => Ok(true),
                        // booked before, and then the receipt has moved on, or for another one
                        Some(_) => {
                            self.wait(now, receipt, prompted_at, Some("booked_elsewhere"))
                                .await
                        }
                        // collected, but the history does not show the amount yet
                        None => self.wait(now, receipt, prompted_at, None).await,
                    };
                }
                OrderState::Failed { reason } => {
                    tracing::info!(receipt = %receipt.id, reason, "premium not paid");
                    return self.refuse(now, receipt).await;
                }
                OrderState::Pending => None,
            },
            Err(error) => {
                tracing::warn!(receipt = %receipt.id, %error, "status not known");
                matches!(
                    error.code(),
                    "unknown_status" | "foreign_order" | "order_not_found"
                )
                .then(|| error.code().to_owned())
            }
        };
        self.wait(now, receipt, prompted_at, told.as_deref()).await
    }

    /// Releases collected money on the chain: idempotent at the rail, so it is simply repeated.
    async fn release(
        &self,
        now: DateTime<Utc>,
        receipt: &Receipt,
        order_id: &str,
    ) -> Result<Again, Outcome> {
        let answer = self.timed("deposit", self.rail.deposit(order_id)).await;
        let mut conn = self.acquire().await?;
        match answer {
            Ok(deposit) => {
                let hash = deposit.hash.unwrap_or_else(|| "not shown".to_owned());
                ignore_stale(receipts::record_deposit(&mut conn, receipt.id, &hash).await)?;
            }
            Err(error) => {
                tracing::warn!(receipt = %receipt.id, %error, "deposit not released");
                let doublings = u32::try_from(receipt.enquiries).unwrap_or(0).min(5);
                let wait = (RELEASE_AGAIN * 2_i32.pow(doublings)).min(TOLD);
                let refused = matches!(error, ProviderError::Refused { .. });
                let code = refused.then(|| error.code().to_owned());
                let at = now + wait;
                receipts::postpone(&mut conn, receipt.id, at, true, code.as_deref()).await?;
            }
        }
        Ok(false)
    }

    /// Looks again later, and tells a person what is odd or has taken a day.
    async fn wait(
        &self,
        now: DateTime<Utc>,
        receipt: &Receipt,
        prompted_at: DateTime<Utc>,
        odd: Option<&str>,
    ) -> Result<Again, Outcome> {
        let is_old = now - prompted_at >= DOUBT_TO_PERSON;
        let told = odd.or(is_old.then_some("in_doubt_for_a_day"));
        let at = if is_old {
            now + TOLD
        } else {
            next_poll(prompted_at, now)
        };
        if told.is_some() && receipt.needs_person.is_none() {
            tracing::error!(receipt = %receipt.id, why = told, "a premium needs a person");
        }
        let mut conn = self.acquire().await?;
        let open = receipts::get(&mut conn, receipt.id).await?;
        if open.state == ReceiptState::Sent {
            receipts::postpone(&mut conn, receipt.id, at, true, told).await?;
        }
        Ok(false)
    }

    /// Sent → Refused on the rail's own word, unless somebody else ended it meanwhile.
    async fn refuse(&self, now: DateTime<Utc>, receipt: &Receipt) -> Result<Again, Outcome> {
        let mut tx = self.begin().await?;
        policies::get_locked(&mut tx, receipt.policy_id).await?;
        let current = receipts::get_locked(&mut tx, receipt.id).await?;
        let is_same = current.state == ReceiptState::Sent
            && current.prompted_at == receipt.prompted_at
            && current.rail_order_id == receipt.rail_order_id;
        if is_same {
            receipts::refuse(&mut tx, now, receipt.id).await?;
            self.ring(
                &mut tx,
                now,
                Event::PremiumRefused {
                    receipt_id: receipt.id,
                },
            )
            .await?;
            commit(tx).await?;
        }
        Ok(false)
    }

    async fn ring(
        &self,
        conn: &mut Connection,
        now: DateTime<Utc>,
        event: Event,
    ) -> Result<(), StoreError> {
        let envelope = Envelope {
            id: self.context.ids.mint(now),
            event,
            traceparent: None,
        };
        outbox::push(conn, now, &envelope, now).await
    }

    async fn begin(&self) -> Result<Transaction, StoreError> {
        Ok(self.context.pool.begin().await?)
    }

    async fn acquire(&self) -> Result<Pooled, StoreError> {
        Ok(self.context.pool.acquire().await?)
    }

    /// A call of the rail, measured.
    async fn timed<T>(
        &self,
        operation: &str,
        call: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        self.context.timed(swypt::NAME, operation, call).await
    }
}

async fn commit(tx: Transaction) -> Result<(), StoreError> {
    tx.commit().await?;
    Ok(())
}

/// Somebody else ended it meanwhile: nothing is left to do.
fn ignore_stale(done: Result<(), StoreError>) -> Result<(), StoreError> {
    match done {
        Err(StoreError::Stale { .. }) => Ok(()),
        other => other,
    }
}
