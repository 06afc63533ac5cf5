//! Policies, decisions and payouts as a partner sees them: joined with what it needs to understand
//! them, without what concerns other partners or the house. Must never be read outside the wall:
//! the organisation is asked for in each statement, and the wall asks again.
//! Called by partners' routes.

use chrono::{DateTime, NaiveDate, Utc};
use domain::cell::RiskCell;
use domain::id::{
    AgentId, EvaluationId, FarmerId, OrganisationId, PayoutId, PlotId, PolicyId, QuoteId, RiskId,
};
use domain::money::Money;
use domain::payout::PayoutState;
use domain::policy::PolicyState;
use domain::season::{SeasonKey, Window};
use domain::settle::{Observed, Settlement};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::decode::{corrupt, json, money};
use crate::error::StoreError;
use crate::evaluations::EvaluationState;
use crate::page::Slice;
use crate::policies::Consent;

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyView {
    /// Id.
    pub id: PolicyId,
    /// What people read to each other.
    pub short_code: String,
    /// Whose.
    pub farmer_id: FarmerId,
    /// For which plot.
    pub plot_id: PlotId,
    /// The quote it was bought at.
    pub quote_id: QuoteId,
    /// Its risk, once it is on risk.
    pub risk_id: Option<RiskId>,
    /// Code of its product.
    pub product: String,
    /// Season it covers.
    pub season: SeasonKey,
    /// Zone whose triggers apply.
    pub zone: String,
    /// Cell that is observed.
    pub risk_cell: String,
    /// Days covered.
    pub cover: Window,
    /// Sum insured.
    pub sum_insured: Money,
    /// Premium.
    pub premium: Money,
    /// Where it stands.
    pub state: PolicyState,
    /// Her consent, when a partner bought it for her.
    pub consent: Option<Consent>,
    /// When it was bought.
    pub bought_at: DateTime<Utc>,
    /// When it lapses unpaid.
    pub lapses_at: DateTime<Utc>,
    /// When the sale of its season closes.
    pub sale_closes_at: DateTime<Utc>,
    /// When it came on risk.
    pub activated_at: Option<DateTime<Utc>>,
    /// When its season was settled.
    pub settled_at: Option<DateTime<Utc>>,
    /// When it lapsed or was cancelled.
    pub ended_at: Option<DateTime<Utc>>,
}

/// Which policies.
#[derive(Debug, Clone, Default)]
pub struct PolicyFilter {
    /// In this state.
    pub state: Option<PolicyState>,
    /// Of the product with this code.
    pub product: Option<String>,
    /// Of this season.
    pub season: Option<SeasonKey>,
    /// Of this farmer.
    pub farmer: Option<FarmerId>,
    /// Bought then or later.
    pub created_from: Option<DateTime<Utc>>,
    /// Bought earlier.
    pub created_before: Option<DateTime<Utc>>,
}

struct PolicyRow {
    id: Uuid,
    short_code: String,
    farmer_id: Uuid,
    plot_id: Uuid,
    quote_id: Uuid,
    risk_id: Option<Uuid>,
    product: String,
    season_code: String,
    season_year: i32,
    zone: String,
    risk_cell: String,
    window_start: NaiveDate,
    window_end: NaiveDate,
    sum_insured_minor: i64,
    premium_minor: i64,
    currency: String,
    state: String,
    consent_version: Option<String>,
    consented_at: Option<DateTime<Utc>>,
    consent_agent_id: Option<Uuid>,
    bought_at: DateTime<Utc>,
    lapses_at: DateTime<Utc>,
    sale_closes_at: DateTime<Utc>,
    activated_at: Option<DateTime<Utc>>,
    settled_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
}

impl TryFrom<PolicyRow> for PolicyView {
    type Error = StoreError;

    fn try_from(row: PolicyRow) -> Result<Self, StoreError> {
        let id = PolicyId::from(row.id);
        let sum_insured = money(row.sum_insured_minor, &row.currency, "policies", row.id)?;
        let consent = row.consent_version.zip(row.consented_at);
        Ok(Self {
            id,
            short_code: row.short_code,
            farmer_id: row.farmer_id.into(),
            plot_id: row.plot_id.into(),
            quote_id: row.quote_id.into(),
            risk_id: row.risk_id.map(RiskId::from),
            product: row.product,
            season: SeasonKey {
                code: row.season_code,
                year: row.season_year,
            },
            zone: row.zone,
            risk_cell: row.risk_cell,
            cover: Window {
                start: row.window_start,
                end: row.window_end,
            },
            sum_insured,
            premium: Money {
                minor: row.premium_minor,
                ..sum_insured
            },
            state: PolicyState::parse(&row.state)
                .ok_or_else(|| corrupt("policies", "state", id))?,
            consent: consent.map(|(version, obtained_at)| Consent {
                version,
                obtained_at,
                agent: row.consent_agent_id.map(AgentId::from),
            }),
            bought_at: row.bought_at,
            lapses_at: row.lapses_at,
            sale_closes_at: row.sale_closes_at,
            activated_at: row.activated_at,
            settled_at: row.settled_at,
            ended_at: row.ended_at,
        })
    }
}

/// A policy of an organisation's farmer.
pub async fn find_policy(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    id: PolicyId,
) -> Result<Option<PolicyView>, StoreError> {
    let row = sqlx::query_as!(
        PolicyRow,
        r#"-- partner_views.find_policy
        select p.id, p.short_code, p.farmer_id, p.plot_id, p.quote_id, p.risk_id,
               v.code as product, v.document #>> '{season,code}' as "season_code!", p.season_year,
               p.zone, p.risk_cell, p.window_start, p.window_end, p.sum_insured_minor,
               p.premium_minor, p.currency, p.state, p.consent_version, p.consented_at,
               p.consent_agent_id, p.bought_at, p.lapses_at, p.sale_closes_at, p.activated_at,
               p.settled_at, p.ended_at
        from policies p join product_versions v on v.id = p.product_version_id
        where p.organisation_id = $1 and p.id = $2"#,
        organisation.uuid(),
        id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(PolicyView::try_from).transpose()
}

/// Policies of an organisation's farmers.
pub async fn list_policies(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    filter: &PolicyFilter,
    slice: Slice,
) -> Result<Vec<PolicyView>, StoreError> {
    let rows = sqlx::query_as!(
        PolicyRow,
        r#"-- partner_views.list_policies
        select p.id, p.short_code, p.farmer_id, p.plot_id, p.quote_id, p.risk_id,
               v.code as product, v.document #>> '{season,code}' as "season_code!", p.season_year,
               p.zone, p.risk_cell, p.window_start, p.window_end, p.sum_insured_minor,
               p.premium_minor, p.currency, p.state, p.consent_version, p.consented_at,
               p.consent_agent_id, p.bought_at, p.lapses_at, p.sale_closes_at, p.activated_at,
               p.settled_at, p.ended_at
        from policies p join product_versions v on v.id = p.product_version_id
        where p.organisation_id = $1
          and ($2::text is null or p.state = $2)
          and ($3::text is null or v.code = $3)
          and ($4::text is null or v.document #>> '{season,code}' = $4)
          and ($5::integer is null or p.season_year = $5)
          and ($6::uuid is null or p.farmer_id = $6)
          and ($7::timestamptz is null or p.bought_at >= $7)
          and ($8::timestamptz is null or p.bought_at < $8)
          and ($9::uuid is null or p.id > $9)
        order by p.id limit $10"#,
        organisation.uuid(),
        filter.state.map(PolicyState::as_str),
        filter.product.as_deref(),
        filter.season.as_ref().map(|season| season.code.as_str()),
        filter.season.as_ref().map(|season| season.year),
        filter.farmer.map(FarmerId::uuid),
        filter.created_from,
        filter.created_before,
        slice.after,
        slice.rows(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(PolicyView::try_from).collect()
}

/// A decision on a risk that an organisation's farmers have policies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluationView {
    /// Id.
    pub id: EvaluationId,
    /// Risk decided.
    pub risk_id: RiskId,
    /// Code of its product.
    pub product: String,
    /// Season it covered.
    pub season: SeasonKey,
    /// Zone whose triggers applied.
    pub zone: String,
    /// Cell that was observed.
    pub risk_cell: RiskCell,
    /// Days covered.
    pub cover: Window,
    /// What was observed.
    pub observed: Observed,
    /// What that pays; its holds are those of the number, not those of the day's release.
    pub settlement: Settlement,
    /// Held or approved.
    pub state: EvaluationState,
    /// Content address of the evidence.
    pub cid: String,
    /// What stands in texts.
    pub short_code: String,
    /// Policies of the organisation that it decides.
    pub policies: i64,
    /// When it was decided.
    pub evaluated_at: DateTime<Utc>,
    /// When it was released.
    pub approved_at: Option<DateTime<Utc>>,
}

/// Which decisions.
#[derive(Debug, Clone, Default)]
pub struct EvaluationFilter {
    /// On this policy's risk.
    pub policy: Option<PolicyId>,
    /// Of the product with this code.
    pub product: Option<String>,
    /// Of this season.
    pub season: Option<SeasonKey>,
}

/// Decisions that concern an organisation's policies.
pub async fn list_evaluations(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    id: Option<EvaluationId>,
    filter: &EvaluationFilter,
    slice: Slice,
) -> Result<Vec<EvaluationView>, StoreError> {
    let rows = sqlx::query!(
        r#"-- partner_views.list_evaluations
        select e.id, e.risk_id, v.code as product, v.document #>> '{season,code}' as "season_code!",
               r.season_year, r.zone, r.risk_cell, r.window_start, r.window_end, e.observed,
               e.settlement, e.state, e.cid, e.short_code,
               (select count(*) from policies p
                where p.risk_id = e.risk_id and p.organisation_id = $1) as "policies!",
               e.evaluated_at, e.approved_at
        from evaluations e
        join risks r on r.id = e.risk_id
        join product_versions v on v.id = r.product_version_id
        where exists (select 1 from policies p
                      where p.risk_id = e.risk_id and p.organisation_id = $1
                        and ($2::uuid is null or p.id = $2))
          and ($3::uuid is null or e.id = $3)
          and ($4::text is null or v.code = $4)
          and ($5::text is null or v.document #>> '{season,code}' = $5)
          and ($6::integer is null or r.season_year = $6)
          and ($7::uuid is null or e.id > $7)
        order by e.id limit $8"#,
        organisation.uuid(),
        filter.policy.map(PolicyId::uuid),
        id.map(EvaluationId::uuid),
        filter.product.as_deref(),
        filter.season.as_ref().map(|season| season.code.as_str()),
        filter.season.as_ref().map(|season| season.year),
        slice.after,
        slice.rows(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let id = EvaluationId::from(row.id);
            let risk_cell = row.risk_cell.parse();
            Ok(EvaluationView {
                id,
                risk_id: row.risk_id.into(),
                product: row.product,
                season: SeasonKey {
                    code: row.season_code,
                    year: row.season_year,
                },
                zone: row.zone,
                risk_cell: risk_cell
                    .map_err(|_| corrupt("risks", "risk_cell", RiskId::from(row.risk_id)))?,
                cover: Window {
                    start: row.window_start,
                    end: row.window_end,
                },
                observed: json(row.observed, "evaluations", "observed", row.id)?,
                settlement: json(row.settlement, "evaluations", "settlement", row.id)?,
                state: EvaluationState::parse(&row.state)
                    .ok_or_else(|| corrupt("evaluations", "state", id))?,
                cid: row.cid,
                short_code: row.short_code,
                policies: row.policies,
                evaluated_at: row.evaluated_at,
                approved_at: row.approved_at,
            })
        })
        .collect()
}

/// A decision that concerns an organisation's policies.
pub async fn find_evaluation(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    id: EvaluationId,
) -> Result<Option<EvaluationView>, StoreError> {
    let (any, one) = (EvaluationFilter::default(), Slice::first(1));
    let found = list_evaluations(conn, organisation, Some(id), &any, one).await?;
    Ok(found.into_iter().next())
}

/// What a policy is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutView {
    /// Id.
    pub id: PayoutId,
    /// Of which policy.
    pub policy_id: PolicyId,
    /// Whose.
    pub farmer_id: FarmerId,
    /// By which decision.
    pub evaluation_id: EvaluationId,
    /// How much.
    pub amount: Money,
    /// Where it stands.
    pub state: PayoutState,
    /// The rail's receipt numbers of what arrived.
    pub receipts: Vec<String>,
    /// When it was decided on.
    pub planned_at: DateTime<Utc>,
    /// When it was released.
    pub approved_at: Option<DateTime<Utc>>,
    /// When it was paid or refused.
    pub decided_at: Option<DateTime<Utc>>,
}

/// Which payouts.
#[derive(Debug, Clone, Copy, Default)]
pub struct PayoutFilter {
    /// Of this policy.
    pub policy: Option<PolicyId>,
    /// Of this farmer.
    pub farmer: Option<FarmerId>,
    /// By this decision.
    pub evaluation: Option<EvaluationId>,
    /// In this state.
    pub state: Option<PayoutState>,
}

/// Payouts of an organisation's policies.
pub async fn list_payouts(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    id: Option<PayoutId>,
    filter: PayoutFilter,
    slice: Slice,
) -> Result<Vec<PayoutView>, StoreError> {
    let rows = sqlx::query!(
        r#"-- partner_views.list_payouts
        select o.id, o.policy_id, p.farmer_id, o.evaluation_id, o.amount_minor, o.currency, o.state,
               coalesce(payout_receipts(o.id), '{}') as "receipts!",
               o.planned_at, o.approved_at, o.decided_at
        from payouts o join policies p on p.id = o.policy_id
        where p.organisation_id = $1
          and ($2::uuid is null or o.id = $2)
          and ($3::uuid is null or o.policy_id = $3)
          and ($4::uuid is null or p.farmer_id = $4)
          and ($5::uuid is null or o.evaluation_id = $5)
          and ($6::text is null or o.state = $6)
          and ($7::uuid is null or o.id > $7)
        order by o.id limit $8"#,
        organisation.uuid(),
        id.map(PayoutId::uuid),
        filter.policy.map(PolicyId::uuid),
        filter.farmer.map(FarmerId::uuid),
        filter.evaluation.map(EvaluationId::uuid),
        filter.state.map(PayoutState::as_str),
        slice.after,
        slice.rows(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let id = PayoutId::from(row.id);
            Ok(PayoutView {
                id,
                policy_id: row.policy_id.into(),
                farmer_id: row.farmer_id.into(),
                evaluation_id: row.evaluation_id.into(),
                amount: money(row.amount_minor, &row.currency, "payouts", row.id)?,
                state: PayoutState::parse(&row.state)
                    .ok_or_else(|| corrupt("payouts", "state", id))?,
                receipts: row.receipts,
                planned_at: row.planned_at,
                approved_at: row.approved_at,
                decided_at: row.decided_at,
            })
        })
        .collect()
}

/// A payout of an organisation's policy.
pub async fn find_payout(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    id: PayoutId,
) -> Result<Option<PayoutView>, StoreError> {
    let (any, one) = (PayoutFilter::default(), Slice::first(1));
    let found = list_payouts(conn, organisation, Some(id), any, one).await?;
    Ok(found.into_iter().next())
}
