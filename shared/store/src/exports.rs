//! Whole tables of one partner, a slice at a time, for files. Never holds personal data: farmers
//! are exported through `enrolments`. Called by partners' exports.

use chrono::{DateTime, NaiveDate, Utc};
use domain::id::{EvaluationId, FarmerId, OrganisationId, PayoutId, PlotId, PolicyId};
use sqlx::PgConnection;

use crate::error::StoreError;
use crate::page::Slice;

/// A policy, as a line of a file.
#[derive(Debug, Clone)]
pub struct PolicyLine {
    /// Id.
    pub id: PolicyId,
    /// What its holder knows it by.
    pub short_code: String,
    /// Whose.
    pub farmer_id: FarmerId,
    /// For which plot.
    pub plot_id: PlotId,
    /// Code of its product.
    pub product_code: String,
    /// Year of its season.
    pub season_year: i32,
    /// Zone whose triggers hold.
    pub zone: String,
    /// First day of cover.
    pub window_start: NaiveDate,
    /// The day after the last.
    pub window_end: NaiveDate,
    /// Sum insured, minor units.
    pub sum_insured_minor: i64,
    /// Premium, minor units.
    pub premium_minor: i64,
    /// Currency of both.
    pub currency: String,
    /// State.
    pub state: String,
    /// When it was bought.
    pub bought_at: DateTime<Utc>,
    /// When it came on risk.
    pub activated_at: Option<DateTime<Utc>>,
}

/// A payout, as a line of a file.
#[derive(Debug, Clone)]
pub struct PayoutLine {
    /// Id.
    pub id: PayoutId,
    /// Of which policy.
    pub policy_id: PolicyId,
    /// By which decision.
    pub evaluation_id: EvaluationId,
    /// Minor units.
    pub amount_minor: i64,
    /// Currency.
    pub currency: String,
    /// State.
    pub state: String,
    /// When it was decided on.
    pub planned_at: DateTime<Utc>,
    /// When it was released.
    pub approved_at: Option<DateTime<Utc>>,
    /// When it was paid or refused.
    pub decided_at: Option<DateTime<Utc>>,
}

/// Policies of an organisation.
pub async fn list_policies(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    slice: Slice,
) -> Result<Vec<PolicyLine>, StoreError> {
    let lines = sqlx::query_as!(
        PolicyLine,
        "-- exports.list_policies
        select p.id, p.short_code, p.farmer_id, p.plot_id, v.code as product_code, p.season_year,
               p.zone, p.window_start, p.window_end, p.sum_insured_minor, p.premium_minor,
               p.currency, p.state, p.bought_at, p.activated_at
        from policies p join product_versions v on v.id = p.product_version_id
        where p.organisation_id = $1 and ($2::uuid is null or p.id > $2)
        order by p.id limit $3",
        organisation.uuid(),
        slice.after,
        slice.rows(),
    )
    .fetch_all(conn)
    .await?;
    Ok(lines)
}

/// Payouts of an organisation's policies.
pub async fn list_payouts(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    slice: Slice,
) -> Result<Vec<PayoutLine>, StoreError> {
    let lines = sqlx::query_as!(
        PayoutLine,
        "-- exports.list_payouts
        select o.id, o.policy_id, o.evaluation_id, o.amount_minor, o.currency, o.state,
               o.planned_at, o.approved_at, o.decided_at
        from payouts o join policies p on p.id = o.policy_id
        where p.organisation_id = $1 and ($2::uuid is null or o.id > $2)
        order by o.id limit $3",
        organisation.uuid(),
        slice.after,
        slice.rows(),
    )
    .fetch_all(conn)
    .await?;
    Ok(lines)
}
