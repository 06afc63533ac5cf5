//! Every movement of money a rail's history shows, booked once: the rail's reference is unique, so
//! that poll, history match and reconciliation can all find the same movement and book it once.
//! Never decides where money belongs. Called in the transaction that posts it to the ledger.

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::ReceiptId;
use domain::money::{Currency, Money};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;

/// A movement.
#[derive(Debug, Clone, Copy)]
pub struct Movement<'a> {
    /// Id of the row.
    pub id: Uuid,
    /// The rail's own reference: its order.
    pub rail_reference: &'a str,
    /// The asking it belongs to, if any is known.
    pub receipt_id: Option<ReceiptId>,
    /// Keyed hash of who paid.
    pub phone_index: &'a [u8],
    /// How much.
    pub amount: Money,
    /// Whether it bought cover; else it waits in suspense.
    pub is_accepted: bool,
    /// When the rail says.
    pub collected_at: DateTime<Utc>,
}

/// Writes a movement; `false` when it is booked already, and then nothing may be posted.
pub async fn book(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    movement: Movement<'_>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- collections.book
        insert into collections
            (id, rail, rail_reference, receipt_id, phone_index, amount_minor, currency, outcome,
             collected_at, recorded_at)
        values ($1, 'swypt', $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (rail, rail_reference) do nothing",
        movement.id,
        movement.rail_reference,
        movement.receipt_id.map(ReceiptId::uuid),
        movement.phone_index,
        movement.amount.minor,
        movement.amount.currency.code(),
        if movement.is_accepted {
            "accepted"
        } else {
            "suspended"
        },
        movement.collected_at,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The newest suspended movement of a receipt.
pub async fn find_suspended(
    conn: &mut PgConnection,
    receipt_id: ReceiptId,
) -> Result<Option<Money>, StoreError> {
    let row = sqlx::query!(
        "-- collections.find_suspended
        select amount_minor, currency from collections
        where receipt_id = $1 and outcome = 'suspended' order by recorded_at desc, id desc limit 1",
        receipt_id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Currency::parse(&row.currency)
            .map(|currency| Money {
                minor: row.amount_minor,
                currency,
            })
            .ok_or_else(|| StoreError::Corrupt {
                table: "collections",
                column: "currency",
                id: receipt_id.to_string(),
            })
    })
    .transpose()
}

/// Writes when the rail is first compared, unless that is known.
pub async fn ensure_check(
    conn: &mut PgConnection,
    rail: &str,
    next_check_at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- collections.ensure_check
        insert into rail_checks (rail, next_check_at) values ($1, $2) on conflict do nothing",
        rail,
        next_check_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Claims a comparison that is due for `lease`, so that one process at a time does it and another
/// takes over when that one dies. `false` when none is due.
pub async fn claim_check(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    rail: &str,
    lease: TimeDelta,
) -> Result<bool, StoreError> {
    let until = now.checked_add_signed(lease).unwrap_or(now);
    let done = sqlx::query!(
        "-- collections.claim_check
        update rail_checks set next_check_at = $3 where rail = $1 and next_check_at <= $2",
        rail,
        now,
        until,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records a finished comparison and when the next is due.
pub async fn finish_check(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    rail: &str,
    next_check_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- collections.finish_check
        update rail_checks set last_run_at = $2, next_check_at = $3 where rail = $1",
        rail,
        now,
        next_check_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}
