//! Booking a movement of money once: the collection, the receipt, the ledger, the policy with its
//! risk and capacity, and the bell commit together or not at all. What `domain::premium` does not
//! accept goes to suspense and a text, never silently into a policy.
//! Called for what the rail's history shows, by polling and by reconciliation.

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::id::ReceiptId;
use domain::ledger;
use domain::premium::{Collection, ReceiptState, SuspenseReason, Verdict, match_collection};
use providers::swypt::HistoryRow;
use store::collections::{self, Movement};
use store::cover::{self, CoverIds};
use store::policies::{self, Policy};
use store::receipts::{self, Collected, Receipt};
use store::{Connection, StoreError, farmers};

use super::{Premiums, commit};

impl Premiums {
    /// Books a movement that belongs to a receipt; `false` when it is booked already.
    pub(super) async fn book_movement(
        &self,
        id: ReceiptId,
        row: &HistoryRow,
    ) -> Result<bool, StoreError> {
        let now = self.context.clock.now();
        let mut tx = self.begin().await?;
        let policy_id = receipts::get(&mut tx, id).await?.policy_id;
        let policy = policies::get_locked(&mut tx, policy_id).await?;
        let receipt = receipts::get_locked(&mut tx, id).await?;
        let pii = &self.context.pii;
        let asked = farmers::get_contact(&mut tx, pii, receipt.farmer_id)
            .await?
            .phone;
        let payer = row.phone.as_ref().unwrap_or(&asked);
        let is_first = is_own(&receipt, row);
        let verdict = if !is_first {
            Verdict::Suspend(SuspenseReason::Doubled)
        } else if *payer == asked {
            judge(now, &policy, &receipt, row)
        } else {
            // our order, another phone: not the one that was prompted
            Verdict::Suspend(SuspenseReason::Mismatched)
        };
        let movement = Movement {
            id: self.context.ids.uuid(now),
            rail_reference: &row.order_id,
            receipt_id: Some(id),
            phone_index: &pii.phone_index(payer),
            amount: row.amount,
            is_accepted: verdict == Verdict::Accept,
            collected_at: row.created_at.unwrap_or(now),
        };
        if !collections::book(&mut tx, now, movement).await? {
            return Ok(false);
        }
        if is_first {
            self.decide(&mut tx, now, (&policy, &receipt), row, verdict)
                .await?;
        } else {
            let transfer = ledger::collected_again(id, &row.order_id, row.amount);
            store::ledger::post(&mut tx, now, &transfer).await?;
            self.ring(&mut tx, now, Event::PremiumSuspended { receipt_id: id })
                .await?;
        }
        commit(tx).await?;
        tracing::info!(receipt = %id, ?verdict, is_first, "premium booked");
        Ok(true)
    }

    /// The first movement of a receipt ends it.
    async fn decide(
        &self,
        conn: &mut Connection,
        now: DateTime<Utc>,
        (policy, receipt): (&Policy, &Receipt),
        row: &HistoryRow,
        verdict: Verdict,
    ) -> Result<(), StoreError> {
        if receipt.rail_order_id.is_none() {
            receipts::record_order(conn, receipt.id, &row.order_id).await?;
        }
        let reason = match verdict {
            Verdict::Accept => None,
            Verdict::Suspend(reason) => Some(reason),
        };
        let shown = Collected {
            rail_receipt: row.receipt.as_deref(),
            amount: row.amount,
        };
        receipts::mark_collected(conn, now, receipt.id, shown, reason).await?;
        let transfer = ledger::collected(receipt.id, verdict, row.amount);
        store::ledger::post(conn, now, &transfer).await?;
        match verdict {
            Verdict::Accept => {
                let ids = CoverIds {
                    risk: self.context.ids.mint(now),
                    message: self.context.ids.mint(now),
                };
                cover::begin(conn, now, policy, ids).await?;
            }
            Verdict::Suspend(_) => {
                self.ring(
                    conn,
                    now,
                    Event::PremiumSuspended {
                        receipt_id: receipt.id,
                    },
                )
                .await?;
            }
        }
        Ok(())
    }

    /// Books money of somebody we never asked: it waits in suspense under the movement's own id.
    pub(super) async fn book_foreign(&self, row: &HistoryRow) -> Result<bool, StoreError> {
        let now = self.context.clock.now();
        let id = self.context.ids.uuid(now);
        let phone_index = match &row.phone {
            Some(phone) => self.context.pii.phone_index(phone),
            None => Vec::new(),
        };
        let mut tx = self.begin().await?;
        let movement = Movement {
            id,
            rail_reference: &row.order_id,
            receipt_id: None,
            phone_index: &phone_index,
            amount: row.amount,
            is_accepted: false,
            collected_at: row.created_at.unwrap_or(now),
        };
        if !collections::book(&mut tx, now, movement).await? {
            return Ok(false);
        }
        // no receipt: the movement itself is the subject of its transfer
        let transfer = ledger::collected_again(ReceiptId::from(id), &row.order_id, row.amount);
        store::ledger::post(&mut tx, now, &transfer).await?;
        commit(tx).await?;
        tracing::error!(collection = %id, "the rail collected money nobody was asked for");
        Ok(true)
    }
}

/// Whether a movement answers the receipt's own prompt, rather than repeating it.
fn is_own(receipt: &Receipt, row: &HistoryRow) -> bool {
    receipt.state == ReceiptState::Sent
        && receipt
            .rail_order_id
            .as_ref()
            .is_none_or(|order_id| *order_id == row.order_id)
}

/// What the money does, and the one thing the rule cannot see: a window that has closed is
/// decided, and nobody joins it any more.
fn judge(now: DateTime<Utc>, policy: &Policy, receipt: &Receipt, row: &HistoryRow) -> Verdict {
    let Some(prompted_at) = receipt.prompted_at else {
        return Verdict::Suspend(SuspenseReason::Late);
    };
    let verdict = match_collection(&Collection {
        policy: policy.state,
        expected: receipt.amount,
        collected: row.amount,
        prompted_at,
        sale_closes_at: policy.sale_closes_at,
    });
    match verdict {
        Verdict::Accept if now >= policy.window.closes_at() => {
            Verdict::Suspend(SuspenseReason::Late)
        }
        verdict => verdict,
    }
}
