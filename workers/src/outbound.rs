//! Webhooks to partners: what they may know of their own farmers' policies and payouts, written as
//! one delivery per endpoint in the transaction that hears of it. Which events there were follows
//! from the rows, not from how the bell sounded, so a lost, late or doubled bell tells nothing twice
//! and nothing out of order.
//! Must never call anybody while it hears, nor delay a text: `sending` is a loop of its own.
//! Runs in the notify process; the simulation calls `handle` and `step`.

mod sending;

use std::sync::Arc;

use chrono::TimeDelta;
use domain::event::Event;
use domain::id::{IndexRunId, OrganisationId, PayoutId, PolicyId};
use domain::webhook::{EventKind, Notice};
use providers::webhook::{Client, Reach};
use runtime::broker::Message;
use runtime::config::Environment;
use runtime::topology::Role;
use store::announcements;
use store::deliveries::{self, NewDelivery};
use store::{StoreError, Transaction};
use tokio::sync::Notify;

pub use sending::Sent;

use crate::consumer::{Handler, Outcome, decode, first_time};
use crate::role::Context;

/// Days of our clock for which deliveries are kept once they are decided; nothing older is told.
const KEPT_DAYS: i64 = 30;
/// A bell published this long ago and not heard is taken to be lost with its queue, minutes.
const LOST_MINUTES: i64 = 10;
/// Lost bells made good, and old deliveries forgotten, in one transaction.
const LOST_MAX: i64 = 100;
const PURGE_MAX: i64 = 5_000;

/// The outbound role.
#[derive(Debug, Clone)]
pub struct Outbound {
    context: Context,
    client: Client,
    /// Rung when something was written that is due at once.
    written: Arc<Notify>,
}

/// The outbound role; only in development may it call private addresses, or without TLS.
pub fn build(context: &Context) -> anyhow::Result<Outbound> {
    let reach = match context.settings.common.environment {
        Environment::Development => Reach::Anywhere,
        _ => Reach::Public,
    };
    Ok(over(context, Client::build(reach)?))
}

/// The outbound role over a client that was built before: building one reads every root
/// certificate of the machine.
#[must_use]
pub fn over(context: &Context, client: Client) -> Outbound {
    Outbound {
        context: context.clone(),
        client,
        written: Arc::default(),
    }
}

impl Handler for Outbound {
    const ROLE: Role = Role::Outbound;

    async fn handle(&self, message: &Message) -> Outcome {
        self.hear(message).await.map(drop).into()
    }
}

impl Outbound {
    /// Writes what a message means to partners; how many deliveries that makes.
    async fn hear(&self, message: &Message) -> Result<usize, Outcome> {
        let event = decode(message)?;
        let mut tx = self.begin().await?;
        if !first_time(&mut tx, &self.context, Role::Outbound, message).await? {
            return Ok(0);
        }
        let written = match event {
            Event::PolicyActivated { policy_id, .. } | Event::PolicyLapsed { policy_id } => {
                self.tell_of_policy(&mut tx, policy_id).await?
            }
            Event::PayoutApproved { payout_id }
            | Event::PayoutPaid { payout_id }
            | Event::PayoutRefused { payout_id } => self.tell_of_payout(&mut tx, payout_id).await?,
            Event::IndexUpdated { index_run_id, .. } => {
                self.tell_of_index(&mut tx, index_run_id).await?
            }
            _ => 0,
        };
        tx.commit().await.map_err(StoreError::from)?;
        if written > 0 {
            self.written.notify_one();
        }
        Ok(written)
    }

    async fn tell_of_policy(
        &self,
        tx: &mut Transaction,
        id: PolicyId,
    ) -> Result<usize, StoreError> {
        let Some(policy) = announcements::find_policy(tx, id).await? else {
            return Ok(0);
        };
        let (kind, at) = match (policy.activated_at, policy.ended_at) {
            (Some(at), _) => (EventKind::PolicyActivated, at),
            (None, Some(at)) => (EventKind::PolicyLapsed, at),
            (None, None) => return Ok(0),
        };
        let notice = Notice::of_policy(kind, at, &policy.facts);
        self.tell(tx, policy.organisation_id, &notice).await
    }

    /// Each release is told before what came of it, and before the next, whichever bell is heard
    /// first and however late: what was told before is not told again.
    async fn tell_of_payout(
        &self,
        tx: &mut Transaction,
        id: PayoutId,
    ) -> Result<usize, StoreError> {
        let Some(payout) = announcements::find_payout(tx, id).await? else {
            return Ok(0);
        };
        let mut written = 0;
        for round in &payout.rounds {
            let released = Some((EventKind::PayoutApproved, round.released_at));
            for (kind, at) in released.into_iter().chain(round.ended) {
                let notice = Notice::of_payout(kind, round.number, at, &payout.facts);
                written += self.tell(tx, payout.organisation_id, &notice).await?;
            }
        }
        Ok(written)
    }

    async fn tell_of_index(
        &self,
        tx: &mut Transaction,
        id: IndexRunId,
    ) -> Result<usize, StoreError> {
        let index = announcements::get_index(tx, id).await?;
        let mut written = 0;
        for (organisation, policies) in index.organisations {
            let notice = Notice::of_index(index.computed_at, &index.facts, policies);
            written += self.tell(tx, organisation, &notice).await?;
        }
        Ok(written)
    }

    /// One delivery for each endpoint of the organisation that wants to know.
    async fn tell(
        &self,
        tx: &mut Transaction,
        organisation_id: OrganisationId,
        notice: &Notice,
    ) -> Result<usize, StoreError> {
        let now = self.context.clock.now();
        if now - notice.occurred_at >= TimeDelta::days(KEPT_DAYS) {
            // its deliveries may have been forgotten, and would be made again
            return Ok(0);
        }
        deliveries::lock_subject(tx, notice.subject).await?;
        let mut written = 0;
        for hearer in deliveries::list_hearers(tx, organisation_id, notice).await? {
            if !hearer.is_enabled && !notice.kind.is_subscribable() {
                // nobody asked for it, so it is not kept for later
                continue;
            }
            let new = NewDelivery {
                id: self.context.ids.mint(now),
                hearer,
                organisation_id,
                notice,
            };
            let is_new = deliveries::insert(tx, now, &new).await?;
            written += usize::from(is_new && hearer.is_enabled);
        }
        Ok(written)
    }

    /// Hears what the broker lost: bells published long ago that this role never heard of.
    pub async fn catch_up(&self) -> Result<usize, StoreError> {
        let before = self.context.clock.now() - TimeDelta::minutes(LOST_MINUTES);
        let mut conn = self.context.pool.acquire().await?;
        let lost = announcements::list_unheard(
            &mut conn,
            Role::Outbound.topics(),
            Role::Outbound.name(),
            before,
            LOST_MAX,
        )
        .await?;
        drop(conn);
        let mut written = 0;
        for claimed in lost {
            let message = Message {
                id: claimed.id,
                topic: claimed.topic,
                body: claimed.body.into_bytes(),
                traceparent: claimed.traceparent,
            };
            match self.hear(&message).await {
                Ok(heard) => written += heard,
                Err(outcome) => {
                    let reason = outcome.reason();
                    tracing::warn!(id = %message.id, reason, "a lost message was not heard");
                }
            }
        }
        Ok(written)
    }

    /// Forgets deliveries that were decided long ago.
    pub async fn purge(&self) -> Result<u64, StoreError> {
        let before = self.context.clock.now() - TimeDelta::days(KEPT_DAYS);
        let mut conn = self.context.pool.acquire().await?;
        deliveries::purge(&mut conn, before, PURGE_MAX).await
    }

    async fn begin(&self) -> Result<Transaction, StoreError> {
        Ok(self.context.pool.begin().await?)
    }
}
