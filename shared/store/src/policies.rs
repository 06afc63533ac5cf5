//! Policies: one plot, one product version, one season. Every change of state is guarded by the
//! state it leaves; activation and settlement happen only in the transactions that book them.
//! Called by purchases, the premium side, damage and notify.

use chrono::{DateTime, NaiveDate, Utc};
use domain::cell::{AccumulationCell, RiskCell};
use domain::id::{
    AgentId, FarmerId, PlotId, PolicyId, ProductVersionId, QuoteId, ReceiptId, RiskId,
};
use domain::money::{Currency, Money};
use domain::policy::PolicyState;
use domain::season::Window;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::capacity::Exposure;
use crate::error::{StoreError, one_row};

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Id.
    pub id: PolicyId,
    /// Whose.
    pub farmer_id: FarmerId,
    /// Of which plot.
    pub plot_id: PlotId,
    /// Of which version.
    pub version: ProductVersionId,
    /// Year its cover begins in.
    pub season_year: i32,
    /// Zone whose triggers apply.
    pub zone: String,
    /// Cell that is observed.
    pub risk_cell: RiskCell,
    /// Cell its exposure counts in.
    pub accumulation_cell: AccumulationCell,
    /// Its risk, once active.
    pub risk_id: Option<RiskId>,
    /// Days covered.
    pub window: Window,
    /// When the sale of its season closes.
    pub sale_closes_at: DateTime<Utc>,
    /// Sum insured.
    pub sum_insured: Money,
    /// Premium.
    pub premium: Money,
    /// Where it stands.
    pub state: PolicyState,
    /// Short code for people.
    pub short_code: String,
    /// When it was bought.
    pub bought_at: DateTime<Utc>,
    /// When it lapses unpaid.
    pub lapses_at: DateTime<Utc>,
}

impl Policy {
    /// Which exposure it counts in.
    #[must_use]
    pub fn exposure(&self) -> Exposure {
        Exposure {
            version: self.version,
            season_year: self.season_year,
            cell: self.accumulation_cell,
        }
    }
}

/// A policy as the row has it.
struct Row {
    id: Uuid,
    farmer_id: Uuid,
    plot_id: Uuid,
    product_version_id: Uuid,
    season_year: i32,
    zone: String,
    risk_cell: String,
    accumulation_cell: String,
    risk_id: Option<Uuid>,
    window_start: NaiveDate,
    window_end: NaiveDate,
    sale_closes_at: DateTime<Utc>,
    sum_insured_minor: i64,
    premium_minor: i64,
    currency: String,
    state: String,
    short_code: String,
    bought_at: DateTime<Utc>,
    lapses_at: DateTime<Utc>,
}

impl TryFrom<Row> for Policy {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let id = PolicyId::from(row.id);
        let corrupt = |column| StoreError::Corrupt {
            table: "policies",
            column,
            id: id.to_string(),
        };
        let currency = Currency::parse(&row.currency).ok_or_else(|| corrupt("currency"))?;
        Ok(Self {
            id,
            farmer_id: row.farmer_id.into(),
            plot_id: row.plot_id.into(),
            version: row.product_version_id.into(),
            season_year: row.season_year,
            zone: row.zone,
            risk_cell: row.risk_cell.parse().map_err(|_| corrupt("risk_cell"))?,
            accumulation_cell: row
                .accumulation_cell
                .parse()
                .map_err(|_| corrupt("accumulation_cell"))?,
            risk_id: row.risk_id.map(RiskId::from),
            window: Window {
                start: row.window_start,
                end: row.window_end,
            },
            sale_closes_at: row.sale_closes_at,
            sum_insured: Money {
                minor: row.sum_insured_minor,
                currency,
            },
            premium: Money {
                minor: row.premium_minor,
                currency,
            },
            state: PolicyState::parse(&row.state).ok_or_else(|| corrupt("state"))?,
            short_code: row.short_code,
            bought_at: row.bought_at,
            lapses_at: row.lapses_at,
        })
    }
}

/// Writes a policy awaiting its premium, bought with `quote_id` by the intent `intent_key`.
/// Conflicts on `policies_one_live` when the plot has this cover already.
pub async fn insert(
    conn: &mut PgConnection,
    policy: &Policy,
    quote_id: QuoteId,
    intent_key: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- policies.insert
        insert into policies
            (id, farmer_id, plot_id, quote_id, product_version_id, season_year, zone, risk_cell,
             accumulation_cell, window_start, window_end, sale_closes_at, sum_insured_minor,
             premium_minor, currency, state, intent_key, short_code, bought_at, lapses_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
                'awaiting_premium', $16, $17, $18, $19)",
        policy.id.uuid(),
        policy.farmer_id.uuid(),
        policy.plot_id.uuid(),
        quote_id.uuid(),
        policy.version.uuid(),
        policy.season_year,
        policy.zone,
        policy.risk_cell.to_string(),
        policy.accumulation_cell.to_string(),
        policy.window.start,
        policy.window.end,
        policy.sale_closes_at,
        policy.sum_insured.minor,
        policy.premium.minor,
        policy.premium.currency.code(),
        intent_key,
        policy.short_code,
        policy.bought_at,
        policy.lapses_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A policy.
pub async fn get(conn: &mut PgConnection, id: PolicyId) -> Result<Policy, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "-- policies.get
        select id, farmer_id, plot_id, product_version_id, season_year, zone, risk_cell,
               accumulation_cell, risk_id, window_start, window_end, sale_closes_at,
               sum_insured_minor, premium_minor, currency, state, short_code, bought_at, lapses_at
        from policies where id = $1",
        id.uuid(),
    )
    .fetch_one(conn)
    .await?;
    row.try_into()
}

/// A policy, locked until the transaction ends.
pub async fn get_locked(conn: &mut PgConnection, id: PolicyId) -> Result<Policy, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "-- policies.get_locked
        select id, farmer_id, plot_id, product_version_id, season_year, zone, risk_cell,
               accumulation_cell, risk_id, window_start, window_end, sale_closes_at,
               sum_insured_minor, premium_minor, currency, state, short_code, bought_at, lapses_at
        from policies where id = $1 for update",
        id.uuid(),
    )
    .fetch_one(conn)
    .await?;
    row.try_into()
}

/// The live policy of a plot, version and season, locked until the transaction ends.
pub async fn find_live_locked(
    conn: &mut PgConnection,
    plot_id: PlotId,
    version: ProductVersionId,
    season_year: i32,
) -> Result<Option<Policy>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "-- policies.find_live_locked
        select id, farmer_id, plot_id, product_version_id, season_year, zone, risk_cell,
               accumulation_cell, risk_id, window_start, window_end, sale_closes_at,
               sum_insured_minor, premium_minor, currency, state, short_code, bought_at, lapses_at
        from policies
        where plot_id = $1 and season_year = $3
          and product_code = (select code from product_versions where id = $2)
          and state in ('awaiting_premium', 'active', 'settled')
        for update",
        plot_id.uuid(),
        version.uuid(),
        season_year,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Policy::try_from).transpose()
}

/// AwaitingPremium → Active, on the risk it belongs to.
pub async fn activate(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: PolicyId,
    risk_id: RiskId,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- policies.activate
        update policies set state = 'active', risk_id = $2, activated_at = $3
        where id = $1 and state = 'awaiting_premium'",
        id.uuid(),
        risk_id.uuid(),
        now,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "policy", id)
}

/// AwaitingPremium → Lapsed.
pub async fn lapse(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: PolicyId,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- policies.lapse
        update policies set state = 'lapsed', ended_at = $2
        where id = $1 and state = 'awaiting_premium'",
        id.uuid(),
        now,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "policy", id)
}

/// AwaitingPremium → Cancelled.
pub async fn cancel(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: PolicyId,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- policies.cancel
        update policies set state = 'cancelled', ended_at = $2
        where id = $1 and state = 'awaiting_premium'",
        id.uuid(),
        now,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "policy", id)
}

/// A farmer's consent to a purchase that is made for her.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Version of the text she agreed to.
    pub version: String,
    /// When she agreed.
    pub obtained_at: DateTime<Utc>,
    /// Which of the organisation's agents asked her, if one did.
    pub agent: Option<AgentId>,
}

/// States her consent to a purchase that was just made for her; never changed afterwards.
pub async fn record_consent(
    conn: &mut PgConnection,
    id: PolicyId,
    consent: &Consent,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- policies.record_consent
        update policies set consent_version = $2, consented_at = $3, consent_agent_id = $4
        where id = $1 and state = 'awaiting_premium' and consented_at is null",
        id.uuid(),
        consent.version,
        consent.obtained_at,
        consent.agent.map(AgentId::uuid),
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "policy", id)
}

/// Active → Settled.
pub async fn settle(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: PolicyId,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- policies.settle
        update policies set state = 'settled', settled_at = $2
        where id = $1 and state = 'active'",
        id.uuid(),
        now,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "policy", id)
}

/// Unpaid policies whose time is up, oldest first; a prompt still in doubt keeps its policy.
pub async fn list_to_lapse(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<PolicyId>, StoreError> {
    let ids = sqlx::query_scalar!(
        "-- policies.list_to_lapse
        select id from policies p
        where state = 'awaiting_premium' and lapses_at <= $1
          and not exists (select 1 from receipts r where r.policy_id = p.id and r.state = 'sent')
        order by lapses_at limit $2",
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(PolicyId::from).collect())
}

/// Writes the next asking for the premium of a policy that awaits it, under `id`. `None` when one
/// is out already (requested or sent): its prompt stands. The policy must be locked or new.
pub async fn request_premium(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    policy: &Policy,
    id: ReceiptId,
) -> Result<Option<ReceiptId>, StoreError> {
    let written = sqlx::query_scalar!(
        r#"-- policies.request_premium
        insert into receipts
            (id, policy_id, farmer_id, attempt, rail, amount_minor, currency, state, created_at)
        select $1, $2, $3, coalesce(max(attempt), 0) + 1, 'swypt', $4, $5, 'requested', $6
        from receipts where policy_id = $2
        having count(*) filter (where state in ('requested', 'sent')) = 0
        returning id"#,
        id.uuid(),
        policy.id.uuid(),
        policy.farmer_id.uuid(),
        policy.premium.minor,
        policy.premium.currency.code(),
        now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(written.map(ReceiptId::from))
}
