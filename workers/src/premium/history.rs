//! The rail's history as evidence: the amount of a collected order, the order of a prompt whose
//! acknowledgement was lost, proof that no such order was ever made, and the daily comparison of
//! everything the rail collected with everything we booked.
//! Never takes a row that cannot be read for absent money. Called by the premium role.

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::ReceiptId;
use domain::msisdn::Msisdn;
use domain::season::{day_starts_at, local_day, next_day};
use providers::swypt::{self, HistoryRow};
use store::receipts::{self, Receipt};
use store::{StoreError, collections, farmers};

use super::{Again, Premiums, ignore_stale};
use crate::consumer::Outcome;

/// Most pages read for one question; 100 orders each.
const PAGES_MAX: u32 = 200;
/// The provider's clock may differ from ours by this much.
const CLOCK_SLACK: TimeDelta = TimeDelta::minutes(5);
/// A prompt is on no phone any more, and every order is in the books, this long after the call:
/// M-Pesa drops an unanswered prompt after one to two minutes.
const ABSENT_AFTER: TimeDelta = TimeDelta::minutes(15);
/// Local hour of the daily comparison.
const RECONCILE_HOUR: TimeDelta = TimeDelta::hours(2);
/// For how long one process has the comparison to itself.
const RECONCILE_LEASE: TimeDelta = TimeDelta::minutes(10);

/// What a comparison did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reconciled {
    /// Movements the history shows.
    pub seen: usize,
    /// Movements that were not booked before.
    pub booked: usize,
    /// Rows that could not be read: a person must look.
    pub unreadable: u32,
}

/// Orders of the history that may be a prompt's own, newest first.
struct Candidates {
    rows: Vec<HistoryRow>,
    /// Whether every order since the prompt was read.
    is_complete: bool,
}

impl Premiums {
    /// The money of an order, once the history shows that it moved. `None` is no evidence.
    pub(super) async fn find_movement(
        &self,
        order_id: &str,
        prompted_at: DateTime<Utc>,
    ) -> Option<HistoryRow> {
        let oldest = prompted_at - CLOCK_SLACK;
        for page in 1..=PAGES_MAX {
            let history = self.timed("history", self.rail.history(page)).await.ok()?;
            let is_past = history
                .rows
                .iter()
                .any(|row| row.created_at.is_some_and(|at| at < oldest));
            if let Some(row) = history
                .rows
                .into_iter()
                .find(|row| row.order_id == order_id)
            {
                return row.receipt.is_some().then_some(row);
            }
            if is_past || page >= history.pages {
                break;
            }
        }
        None
    }

    /// A prompt without an order: its acknowledgement was lost, or the process ended before the
    /// call. The history shows its order, or, completely read and late enough, that there is none.
    pub(super) async fn find_order(
        &self,
        now: DateTime<Utc>,
        receipt: &Receipt,
        prompted_at: DateTime<Utc>,
    ) -> Result<Again, Outcome> {
        let contact = {
            let mut conn = self.acquire().await?;
            farmers::get_contact(&mut conn, &self.context.pii, receipt.farmer_id).await?
        };
        let Some(found) = self.candidates(receipt, &contact.phone, prompted_at).await else {
            return self.wait(now, receipt, prompted_at, None).await;
        };
        let mut conn = self.acquire().await?;
        let ids: Vec<String> = found.rows.iter().map(|row| row.order_id.clone()).collect();
        let known = receipts::list_known_orders(&mut conn, &ids).await?;
        // the oldest unseen one is the prompt; a later one would be a doubled collection
        if let Some(order_id) = ids.iter().rev().find(|id| !known.contains(id)) {
            tracing::info!(receipt = %receipt.id, "lost acknowledgement found in the history");
            ignore_stale(receipts::record_order(&mut conn, receipt.id, order_id).await)?;
            return Ok(true);
        }
        if found.is_complete && now - prompted_at >= ABSENT_AFTER {
            tracing::info!(receipt = %receipt.id, "the rail never made an order; asked again");
            ignore_stale(receipts::mark_unsent(&mut conn, receipt.id, now).await)?;
            return Ok(true);
        }
        drop(conn);
        self.wait(now, receipt, prompted_at, None).await
    }

    /// Orders of this phone and amount since the prompt; `None` when the history cannot be read.
    async fn candidates(
        &self,
        receipt: &Receipt,
        phone: &Msisdn,
        prompted_at: DateTime<Utc>,
    ) -> Option<Candidates> {
        let oldest = prompted_at - CLOCK_SLACK;
        let mut found = Candidates {
            rows: Vec::new(),
            is_complete: true,
        };
        for page in 1..=PAGES_MAX {
            let history = self.timed("history", self.rail.history(page)).await.ok()?;
            found.is_complete &= history.unreadable == 0;
            let mut is_past = false;
            for row in history.rows {
                match row.created_at {
                    Some(at) if at < oldest => is_past = true,
                    Some(_) if row.amount == receipt.amount && row.phone.is_none() => {
                        found.is_complete = false;
                    }
                    Some(_)
                        if row.amount == receipt.amount && row.phone.as_ref() == Some(phone) =>
                    {
                        found.rows.push(row);
                    }
                    Some(_) => {}
                    None => found.is_complete = false,
                }
            }
            if is_past || page >= history.pages {
                return Some(found);
            }
        }
        found.is_complete = false;
        Some(found)
    }

    /// The daily comparison, if it is due: every movement of the history that is not booked is
    /// booked now, with its receipt if it has one, else in suspense. `None` when it is not due.
    pub async fn reconcile(&self) -> Result<Option<Reconciled>, StoreError> {
        let now = self.context.clock.now();
        let mut conn = self.acquire().await?;
        collections::ensure_check(&mut conn, swypt::NAME, next_reconciliation(now)).await?;
        if !collections::claim_check(&mut conn, now, swypt::NAME, RECONCILE_LEASE).await? {
            return Ok(None);
        }
        drop(conn);
        let mut done = Reconciled::default();
        let mut page = 1;
        loop {
            let history = match self.timed("history", self.rail.history(page)).await {
                Ok(history) => history,
                Err(error) => {
                    // the lease ends and it is tried again
                    tracing::warn!(%error, page, "reconciliation broke off");
                    return Ok(Some(done));
                }
            };
            done.unreadable = done.unreadable.saturating_add(history.unreadable);
            for row in history.rows.iter().filter(|row| row.receipt.is_some()) {
                done.seen += 1;
                done.booked += usize::from(self.reconcile_row(row).await?);
            }
            if page >= history.pages {
                break;
            }
            page += 1;
        }
        if done.unreadable > 0 {
            tracing::error!(
                rows = done.unreadable,
                "the rail's history has unreadable rows"
            );
        }
        tracing::info!(
            seen = done.seen,
            booked = done.booked,
            "premiums reconciled"
        );
        let now = self.context.clock.now();
        let mut conn = self.acquire().await?;
        let next = next_reconciliation(now);
        collections::finish_check(&mut conn, now, swypt::NAME, next).await?;
        Ok(Some(done))
    }

    /// Books one movement unless it is booked; whether it was new.
    async fn reconcile_row(&self, row: &HistoryRow) -> Result<bool, StoreError> {
        let mut conn = self.acquire().await?;
        let receipt_id = match receipts::find_by_order(&mut conn, &row.order_id).await? {
            Some(id) => Some(id),
            None => self.find_stray(&mut conn, row).await?,
        };
        drop(conn);
        match receipt_id {
            Some(id) => self.book_movement(id, row).await,
            None => self.book_foreign(row).await,
        }
    }

    /// The receipt that money under an order nobody asked for most likely repeats.
    async fn find_stray(
        &self,
        conn: &mut store::Connection,
        row: &HistoryRow,
    ) -> Result<Option<ReceiptId>, StoreError> {
        let Some(phone) = &row.phone else {
            return Ok(None);
        };
        let phone_index = self.context.pii.phone_index(phone);
        let Some(farmer_id) = farmers::find_id(conn, &phone_index).await? else {
            return Ok(None);
        };
        let at = row.created_at.unwrap_or_else(|| self.context.clock.now()) + CLOCK_SLACK;
        let receipt = receipts::find_for_stray(conn, farmer_id, row.amount, at).await?;
        Ok(receipt.map(|receipt| receipt.id))
    }
}

/// The next 02:00 in Kenya after `now`.
fn next_reconciliation(now: DateTime<Utc>) -> DateTime<Utc> {
    let today = local_day(now);
    let at = day_starts_at(today) + RECONCILE_HOUR;
    if at > now {
        at
    } else {
        day_starts_at(next_day(today)) + RECONCILE_HOUR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn books_are_compared_every_night_at_two() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let next = next_reconciliation(at("2026-02-01T09:00:00Z"));
        assert_eq!(next, at("2026-02-01T23:00:00Z"));
        assert_eq!(next_reconciliation(next), at("2026-02-02T23:00:00Z"));
        assert_eq!(
            next_reconciliation(at("2026-02-01T21:30:00Z")),
            at("2026-02-01T23:00:00Z")
        );
    }
}
