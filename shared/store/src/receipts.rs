//! Askings for a premium: written as sent before the rail is called, leaving sent only on the
//! rail's evidence. A receipt is locked after its policy, never before: everybody in that order.
//! Never decides what money means (`domain::premium` does). Called by the premium worker, sweeps.

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::{FarmerId, PolicyId, ReceiptId};
use domain::money::{Currency, Money};
use domain::premium::{ReceiptState, SuspenseReason};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::{StoreError, one_row};

/// A requested receipt whose first bell was not answered within this is rung for again, seconds.
const REQUESTED_SECONDS_MAX: i64 = 60;

/// One asking for a premium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Id.
    pub id: ReceiptId,
    /// Policy it is for.
    pub policy_id: PolicyId,
    /// Who is asked.
    pub farmer_id: FarmerId,
    /// Counts the askings of a policy from 1.
    pub attempt: i16,
    /// What is asked for.
    pub amount: Money,
    /// Where it stands.
    pub state: ReceiptState,
    /// The rail's order, once known.
    pub rail_order_id: Option<String>,
    /// What the rail says it collected.
    pub collected: Option<Money>,
    /// Why its money waits in suspense.
    pub suspense_reason: Option<SuspenseReason>,
    /// Hash of the release on the chain, once released.
    pub deposit_hash: Option<String>,
    /// When the prompt was sent.
    pub prompted_at: Option<DateTime<Utc>>,
    /// How often the rail was asked about it.
    pub enquiries: i32,
    /// When it is looked at again.
    pub next_check_at: Option<DateTime<Utc>>,
    /// What a person must look at, if anything.
    pub needs_person: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
}

struct Row {
    id: Uuid,
    policy_id: Uuid,
    farmer_id: Uuid,
    attempt: i16,
    amount_minor: i64,
    currency: String,
    state: String,
    rail_order_id: Option<String>,
    collected_minor: Option<i64>,
    suspense_reason: Option<String>,
    deposit_hash: Option<String>,
    prompted_at: Option<DateTime<Utc>>,
    enquiries: i32,
    next_check_at: Option<DateTime<Utc>>,
    needs_person: Option<String>,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Receipt {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let id = ReceiptId::from(row.id);
        let corrupt = |column| StoreError::Corrupt {
            table: "receipts",
            column,
            id: id.to_string(),
        };
        let currency = Currency::parse(&row.currency).ok_or_else(|| corrupt("currency"))?;
        let suspense_reason = row
            .suspense_reason
            .map(|text| SuspenseReason::parse(&text).ok_or_else(|| corrupt("suspense_reason")))
            .transpose()?;
        Ok(Self {
            id,
            policy_id: row.policy_id.into(),
            farmer_id: row.farmer_id.into(),
            attempt: row.attempt,
            amount: Money {
                minor: row.amount_minor,
                currency,
            },
            state: ReceiptState::parse(&row.state).ok_or_else(|| corrupt("state"))?,
            rail_order_id: row.rail_order_id,
            collected: row.collected_minor.map(|minor| Money { minor, currency }),
            suspense_reason,
            deposit_hash: row.deposit_hash,
            prompted_at: row.prompted_at,
            enquiries: row.enquiries,
            next_check_at: row.next_check_at,
            needs_person: row.needs_person,
            created_at: row.created_at,
        })
    }
}

/// A receipt.
pub async fn get(conn: &mut PgConnection, id: ReceiptId) -> Result<Receipt, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "-- receipts.get
        select id, policy_id, farmer_id, attempt, amount_minor, currency, state, rail_order_id,
               collected_minor, suspense_reason, deposit_hash, prompted_at, enquiries,
               next_check_at, needs_person, created_at
        from receipts where id = $1",
        id.uuid(),
    )
    .fetch_one(conn)
    .await?;
    row.try_into()
}

/// A receipt, locked until the transaction ends; its policy must be locked before.
pub async fn get_locked(conn: &mut PgConnection, id: ReceiptId) -> Result<Receipt, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "-- receipts.get_locked
        select id, policy_id, farmer_id, attempt, amount_minor, currency, state, rail_order_id,
               collected_minor, suspense_reason, deposit_hash, prompted_at, enquiries,
               next_check_at, needs_person, created_at
        from receipts where id = $1 for update",
        id.uuid(),
    )
    .fetch_one(conn)
    .await?;
    row.try_into()
}

/// The receipt an order of the rail belongs to.
pub async fn find_by_order(
    conn: &mut PgConnection,
    order_id: &str,
) -> Result<Option<ReceiptId>, StoreError> {
    let id = sqlx::query_scalar!(
        "-- receipts.find_by_order
        select id from receipts where rail_order_id = $1",
        order_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(ReceiptId::from))
}

/// The receipt that money under an unknown order most likely repeats: the farmer's newest prompt
/// of that amount sent before it, one that is still without an order first.
pub async fn find_for_stray(
    conn: &mut PgConnection,
    farmer_id: FarmerId,
    amount: Money,
    collected_at: DateTime<Utc>,
) -> Result<Option<Receipt>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "-- receipts.find_for_stray
        select id, policy_id, farmer_id, attempt, amount_minor, currency, state, rail_order_id,
               collected_minor, suspense_reason, deposit_hash, prompted_at, enquiries,
               next_check_at, needs_person, created_at
        from receipts
        where farmer_id = $1 and prompted_at <= $4
        order by (amount_minor = $2 and currency = $3) desc,
                 (state = 'sent' and rail_order_id is null) desc, prompted_at desc
        limit 1",
        farmer_id.uuid(),
        amount.minor,
        amount.currency.code(),
        collected_at,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Receipt::try_from).transpose()
}

/// Another receipt of the farmer whose prompt is out, if there is one.
pub async fn find_open_prompt(
    conn: &mut PgConnection,
    farmer_id: FarmerId,
) -> Result<Option<ReceiptId>, StoreError> {
    let id = sqlx::query_scalar!(
        "-- receipts.find_open_prompt
        select id from receipts where farmer_id = $1 and state = 'sent'",
        farmer_id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(ReceiptId::from))
}

/// Which of these orders a receipt or a collection knows already.
pub async fn list_known_orders(
    conn: &mut PgConnection,
    order_ids: &[String],
) -> Result<Vec<String>, StoreError> {
    let known = sqlx::query_scalar!(
        r#"-- receipts.list_known_orders
        select rail_order_id as "order_id!" from receipts where rail_order_id = any($1)
        union
        select rail_reference from collections where rail = 'swypt' and rail_reference = any($1)"#,
        order_ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(known)
}

/// Requested → Sent, before the rail is called. Conflicts on `receipts_one_open_prompt` when
/// another prompt of the farmer went out meanwhile.
pub async fn mark_sent(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: ReceiptId,
    next_check_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- receipts.mark_sent
        update receipts set state = 'sent', prompted_at = $2, next_check_at = $3, enquiries = 0
        where id = $1 and state = 'requested'",
        id.uuid(),
        now,
        next_check_at,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "receipt", id)
}

/// Sent → Requested: the rail provably did not take it, and it is sent again later.
pub async fn mark_unsent(
    conn: &mut PgConnection,
    id: ReceiptId,
    next_check_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- receipts.mark_unsent
        update receipts set state = 'requested', prompted_at = null, next_check_at = $2
        where id = $1 and state = 'sent' and rail_order_id is null",
        id.uuid(),
        next_check_at,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "receipt", id)
}

/// Records which order of the rail a sent prompt is.
pub async fn record_order(
    conn: &mut PgConnection,
    id: ReceiptId,
    order_id: &str,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- receipts.record_order
        update receipts set rail_order_id = $2
        where id = $1 and state = 'sent' and rail_order_id is null",
        id.uuid(),
        order_id,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "receipt", id)
}

/// Looks again later; `asked` counts an enquiry, `needs_person` tells people why.
pub async fn postpone(
    conn: &mut PgConnection,
    id: ReceiptId,
    next_check_at: DateTime<Utc>,
    asked: bool,
    needs_person: Option<&str>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- receipts.postpone
        update receipts set next_check_at = $2, enquiries = enquiries + $3,
               needs_person = coalesce($4, needs_person)
        where id = $1 and state in ('requested', 'sent', 'accepted', 'suspended')",
        id.uuid(),
        next_check_at,
        i32::from(asked),
        needs_person,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "receipt", id)
}

/// What the rail's history shows for a prompt.
#[derive(Debug, Clone, Copy)]
pub struct Collected<'a> {
    /// M-Pesa's receipt, when shown.
    pub rail_receipt: Option<&'a str>,
    /// How much.
    pub amount: Money,
}

/// Sent → Accepted or Suspended (with its reason); the deposit is due at once.
pub async fn mark_collected(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: ReceiptId,
    collected: Collected<'_>,
    suspense_reason: Option<SuspenseReason>,
) -> Result<(), StoreError> {
    let state = match suspense_reason {
        None => ReceiptState::Accepted,
        Some(_) => ReceiptState::Suspended,
    };
    let done = sqlx::query!(
        "-- receipts.mark_collected
        update receipts set state = $2, rail_receipt = $3, collected_minor = $4,
               suspense_reason = $5, decided_at = $6, next_check_at = $6, enquiries = 0,
               needs_person = null
        where id = $1 and state = 'sent'",
        id.uuid(),
        state.as_str(),
        collected.rail_receipt,
        collected.amount.minor,
        suspense_reason.map(SuspenseReason::as_str),
        now,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "receipt", id)
}

/// Requested or Sent → Refused: no money moved, and none will for this asking.
pub async fn refuse(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: ReceiptId,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- receipts.refuse
        update receipts set state = 'refused', decided_at = $2, next_check_at = null,
               needs_person = null
        where id = $1 and state in ('requested', 'sent')",
        id.uuid(),
        now,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "receipt", id)
}

/// Refuses what was requested of a policy and never sent; returns how many.
pub async fn refuse_unsent(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    policy_id: PolicyId,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "-- receipts.refuse_unsent
        update receipts set state = 'refused', decided_at = $2, next_check_at = null
        where policy_id = $1 and state = 'requested'",
        policy_id.uuid(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Whether a prompt of the policy is out.
pub async fn has_open_prompt(
    conn: &mut PgConnection,
    policy_id: PolicyId,
) -> Result<bool, StoreError> {
    let open = sqlx::query_scalar!(
        r#"-- receipts.has_open_prompt
        select exists (select 1 from receipts where policy_id = $1 and state = 'sent') as "open!""#,
        policy_id.uuid(),
    )
    .fetch_one(conn)
    .await?;
    Ok(open)
}

/// Records the release of collected money on the chain; nothing more is due then.
pub async fn record_deposit(
    conn: &mut PgConnection,
    id: ReceiptId,
    hash: &str,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- receipts.record_deposit
        update receipts set deposit_hash = $2, next_check_at = null, needs_person = null
        where id = $1 and state in ('accepted', 'suspended') and deposit_hash is null",
        id.uuid(),
        hash,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "receipt", id)
}

/// Receipts due at `now`, oldest first.
pub async fn list_due(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<ReceiptId>, StoreError> {
    let unanswered_since = now - TimeDelta::seconds(REQUESTED_SECONDS_MAX);
    let ids = sqlx::query_scalar!(
        r#"-- receipts.list_due
        select id as "id!" from (
            (select id, next_check_at as due_at from receipts
             where next_check_at <= $1 order by next_check_at limit $3)
            union
            (select id, created_at from receipts
             where state = 'requested' and next_check_at is null and created_at <= $2
             order by created_at limit $3)
        ) as due order by due_at limit $3"#,
        now,
        unanswered_since,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(ReceiptId::from).collect())
}
