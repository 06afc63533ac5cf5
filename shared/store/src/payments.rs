//! Receipts as a partner sees them: what was asked of her farmers' phones for premiums and what
//! came of it. Must never show how the rail works: no order, no enquiry, no chain.
//! Called by partners' routes, behind their wall; everybody else reads `receipts`.

use chrono::{DateTime, Utc};
use domain::id::{FarmerId, OrganisationId, PolicyId, ReceiptId};
use domain::money::Money;
use domain::premium::{ReceiptState, SuspenseReason};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::decode::{corrupt, money};
use crate::error::StoreError;
use crate::page::Slice;

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
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
    /// What came in.
    pub collected: Option<Money>,
    /// Why what came in waits in suspense.
    pub suspense_reason: Option<SuspenseReason>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When her phone was prompted.
    pub prompted_at: Option<DateTime<Utc>>,
    /// When it was decided.
    pub decided_at: Option<DateTime<Utc>>,
}

/// Which payments.
#[derive(Debug, Clone, Copy, Default)]
pub struct PaymentFilter {
    /// For this policy.
    pub policy: Option<PolicyId>,
    /// Of this farmer.
    pub farmer: Option<FarmerId>,
    /// In this state.
    pub state: Option<ReceiptState>,
}

struct Row {
    id: Uuid,
    policy_id: Uuid,
    farmer_id: Uuid,
    attempt: i16,
    amount_minor: i64,
    currency: String,
    state: String,
    collected_minor: Option<i64>,
    suspense_reason: Option<String>,
    created_at: DateTime<Utc>,
    prompted_at: Option<DateTime<Utc>>,
    decided_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Payment {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let id = ReceiptId::from(row.id);
        let broken = |column| corrupt("receipts", column, id);
        let amount = money(row.amount_minor, &row.currency, "receipts", row.id)?;
        let suspense_reason = row
            .suspense_reason
            .map(|text| SuspenseReason::parse(&text).ok_or_else(|| broken("suspense_reason")))
            .transpose()?;
        Ok(Self {
            id,
            policy_id: row.policy_id.into(),
            farmer_id: row.farmer_id.into(),
            attempt: row.attempt,
            amount,
            state: ReceiptState::parse(&row.state).ok_or_else(|| broken("state"))?,
            collected: row.collected_minor.map(|minor| Money { minor, ..amount }),
            suspense_reason,
            created_at: row.created_at,
            prompted_at: row.prompted_at,
            decided_at: row.decided_at,
        })
    }
}

/// A payment for an organisation's policy.
pub async fn find_of_organisation(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    id: ReceiptId,
) -> Result<Option<Payment>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "-- payments.find_of_organisation
        select r.id, r.policy_id, r.farmer_id, r.attempt, r.amount_minor, r.currency, r.state,
               r.collected_minor, r.suspense_reason, r.created_at, r.prompted_at, r.decided_at
        from receipts r join policies p on p.id = r.policy_id
        where p.organisation_id = $1 and r.id = $2",
        organisation.uuid(),
        id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(Payment::try_from).transpose()
}

/// Payments for an organisation's policies.
pub async fn list_of_organisation(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    filter: PaymentFilter,
    slice: Slice,
) -> Result<Vec<Payment>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "-- payments.list_of_organisation
        select r.id, r.policy_id, r.farmer_id, r.attempt, r.amount_minor, r.currency, r.state,
               r.collected_minor, r.suspense_reason, r.created_at, r.prompted_at, r.decided_at
        from receipts r join policies p on p.id = r.policy_id
        where p.organisation_id = $1
          and ($2::uuid is null or r.policy_id = $2)
          and ($3::uuid is null or r.farmer_id = $3)
          and ($4::text is null or r.state = $4)
          and ($5::uuid is null or r.id > $5)
        order by r.id limit $6",
        organisation.uuid(),
        filter.policy.map(PolicyId::uuid),
        filter.farmer.map(FarmerId::uuid),
        filter.state.map(ReceiptState::as_str),
        slice.after,
        slice.rows(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Payment::try_from).collect()
}
