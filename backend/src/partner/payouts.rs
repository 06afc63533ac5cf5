//! Payouts over REST: what each policy is owed, where it stands and the rail's receipt numbers of
//! what arrived. Must never show a leg: how money travels is the house's business.
//! Called over HTTP by partners.

use axum::Json;
use axum::extract::{Path, State};
use chrono::{DateTime, Utc};
use domain::id::PayoutId;
use domain::payout::PayoutState;
use serde::{Deserialize, Serialize};
use store::api_keys::Scope;
use store::partner_views::{self, PayoutFilter, PayoutView};
use utoipa::{IntoParams, ToSchema};

use super::amount::Amount;
use super::caller::Partner;
use super::input::{self, FieldFault};
use super::page::{Filter, Listed, PageQuery, Paging};
use crate::App;
use crate::error::ApiError;
use crate::routes::Route;

pub(super) fn routes() -> Vec<Route> {
    let scope = Scope::PayoutsRead;
    vec![
        Route::partner_get("/api/v1/payouts", scope, list),
        Route::partner_get("/api/v1/payouts/{payout}", scope, show),
    ]
}

/// What a policy is owed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PayoutBody {
    /// `pay_…`.
    id: String,
    /// Of which policy.
    policy_id: String,
    /// Whose.
    farmer_id: String,
    /// By which decision.
    evaluation_id: String,
    /// How much.
    amount: Amount,
    /// `planned`, `held` (waits for two people), `approved`, `sent`, `paid` or `refused`.
    state: &'static str,
    /// M-Pesa's receipt numbers of what arrived; several when it travelled in parts.
    receipts: Vec<String>,
    /// When it was decided on.
    planned_at: DateTime<Utc>,
    /// When it was released.
    approved_at: Option<DateTime<Utc>>,
    /// When all of it had arrived.
    paid_at: Option<DateTime<Utc>>,
}

impl From<PayoutView> for PayoutBody {
    fn from(row: PayoutView) -> Self {
        Self {
            id: row.id.to_string(),
            policy_id: row.policy_id.to_string(),
            farmer_id: row.farmer_id.to_string(),
            evaluation_id: row.evaluation_id.to_string(),
            amount: row.amount.into(),
            state: row.state.as_str(),
            receipts: row.receipts,
            planned_at: row.planned_at,
            approved_at: row.approved_at,
            paid_at: row.decided_at.filter(|_| row.state == PayoutState::Paid),
        }
    }
}

/// Which payouts are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PayoutQuery {
    /// Of the policy with this id.
    policy: Option<String>,
    /// Of the farmer with this id.
    farmer: Option<String>,
    /// By the decision with this id.
    evaluation: Option<String>,
    /// In this state.
    state: Option<String>,
}

fn filter(query: &PayoutQuery) -> Result<PayoutFilter, FieldFault> {
    let policy = query.policy.as_deref();
    let policy = policy.map(|text| input::id_in_body("policy", text));
    let farmer = query.farmer.as_deref();
    let farmer = farmer.map(|text| input::id_in_body("farmer", text));
    let evaluation = query.evaluation.as_deref();
    let evaluation = evaluation.map(|text| input::id_in_body("evaluation", text));
    let state = query.state.as_deref().map(|text| {
        PayoutState::parse(text).ok_or_else(|| {
            let rule = "state must be planned, held, approved, sent, paid or refused";
            FieldFault::new("state", "malformed", rule)
        })
    });
    Ok(PayoutFilter {
        policy: policy.transpose()?,
        farmer: farmer.transpose()?,
        evaluation: evaluation.transpose()?,
        state: state.transpose()?,
    })
}

/// Payouts of policies of the organisation's farmers.
#[utoipa::path(
    get, path = "/api/v1/payouts", tag = "payouts", params(PageQuery, PayoutQuery),
    responses((status = 200, body = Listed<PayoutBody>))
)]
pub(crate) async fn list(
    partner: Partner,
    State(app): State<App>,
    paging: Paging,
    Filter(query): Filter<PayoutQuery>,
) -> Result<Json<Listed<PayoutBody>>, ApiError> {
    let filter = filter(&query).map_err(FieldFault::refuse)?;
    let mut tx = partner.begin(&app).await?;
    let (organisation, slice) = (partner.organisation, paging.slice);
    let rows = partner_views::list_payouts(&mut tx, organisation, None, filter, slice).await?;
    let page = Listed::of(rows, paging, |row| row.id.uuid(), PayoutBody::from);
    Ok(Json(page))
}

/// One payout.
#[utoipa::path(
    get, path = "/api/v1/payouts/{payout}", tag = "payouts", params(("payout" = String, Path)),
    responses((status = 200, body = PayoutBody), (status = 404))
)]
pub(crate) async fn show(
    partner: Partner,
    State(app): State<App>,
    Path(payout): Path<String>,
) -> Result<Json<PayoutBody>, ApiError> {
    let id: PayoutId = input::id_in_path(&payout)?;
    let mut tx = partner.begin(&app).await?;
    let payout = partner_views::find_payout(&mut tx, partner.organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    Ok(Json(payout.into()))
}
