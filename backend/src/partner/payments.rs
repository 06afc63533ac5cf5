//! Payments of premiums over REST: what was asked of farmers' phones and what came of it.
//! Must never show how the rail works. Called over HTTP by partners.

use axum::Json;
use axum::extract::{Path, State};
use chrono::{DateTime, Utc};
use domain::id::ReceiptId;
use domain::premium::{ReceiptState, SuspenseReason};
use serde::{Deserialize, Serialize};
use store::api_keys::Scope;
use store::payments::{self, Payment, PaymentFilter};
use utoipa::{IntoParams, ToSchema};

use super::amount::Amount;
use super::caller::Partner;
use super::input::{self, FieldFault};
use super::page::{Filter, Listed, PageQuery, Paging};
use crate::App;
use crate::error::ApiError;
use crate::routes::Route;

pub(super) fn routes() -> Vec<Route> {
    let scope = Scope::PaymentsRead;
    vec![
        Route::partner_get("/api/v1/payments", scope, list),
        Route::partner_get("/api/v1/payments/{payment}", scope, show),
    ]
}

/// One asking for a premium.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PaymentBody {
    /// `rec_…`.
    id: String,
    /// Policy it is for.
    policy_id: String,
    /// Who is asked.
    farmer_id: String,
    /// Counts the askings for a policy from 1.
    attempt: i16,
    /// What is asked for.
    amount: Amount,
    /// `requested` (not yet sent to her phone), `sent` (her phone is asked), `accepted` (paid, and
    /// the policy is on risk), `suspended` (paid, and a person must look at it) or `refused` (no
    /// money moved).
    state: &'static str,
    /// What came in.
    collected: Option<Amount>,
    /// Why it is suspended: `late`, `doubled` or `mismatched`.
    suspense_reason: Option<&'static str>,
    /// When it was asked for.
    created_at: DateTime<Utc>,
    /// When her phone was asked.
    prompted_at: Option<DateTime<Utc>>,
    /// When it was decided.
    decided_at: Option<DateTime<Utc>>,
}

impl From<Payment> for PaymentBody {
    fn from(row: Payment) -> Self {
        Self {
            id: row.id.to_string(),
            policy_id: row.policy_id.to_string(),
            farmer_id: row.farmer_id.to_string(),
            attempt: row.attempt,
            amount: row.amount.into(),
            state: row.state.as_str(),
            collected: row.collected.map(Amount::from),
            suspense_reason: row.suspense_reason.map(SuspenseReason::as_str),
            created_at: row.created_at,
            prompted_at: row.prompted_at,
            decided_at: row.decided_at,
        }
    }
}

/// Which payments are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PaymentQuery {
    /// For the policy with this id.
    policy: Option<String>,
    /// Of the farmer with this id.
    farmer: Option<String>,
    /// In this state.
    state: Option<String>,
}

fn filter(query: &PaymentQuery) -> Result<PaymentFilter, FieldFault> {
    let policy = query.policy.as_deref();
    let policy = policy.map(|text| input::id_in_body("policy", text));
    let farmer = query.farmer.as_deref();
    let farmer = farmer.map(|text| input::id_in_body("farmer", text));
    let state = query.state.as_deref().map(|text| {
        ReceiptState::parse(text).ok_or_else(|| {
            let rule = "state must be requested, sent, accepted, suspended or refused";
            FieldFault::new("state", "malformed", rule)
        })
    });
    Ok(PaymentFilter {
        policy: policy.transpose()?,
        farmer: farmer.transpose()?,
        state: state.transpose()?,
    })
}

/// Payments for policies of the organisation's farmers.
#[utoipa::path(
    get, path = "/api/v1/payments", tag = "payments", params(PageQuery, PaymentQuery),
    responses((status = 200, body = Listed<PaymentBody>))
)]
pub(crate) async fn list(
    partner: Partner,
    State(app): State<App>,
    paging: Paging,
    Filter(query): Filter<PaymentQuery>,
) -> Result<Json<Listed<PaymentBody>>, ApiError> {
    let filter = filter(&query).map_err(FieldFault::refuse)?;
    let mut tx = partner.begin(&app).await?;
    let slice = paging.slice;
    let rows = payments::list_of_organisation(&mut tx, partner.organisation, filter, slice).await?;
    let page = Listed::of(rows, paging, |row| row.id.uuid(), PaymentBody::from);
    Ok(Json(page))
}

/// One payment.
#[utoipa::path(
    get, path = "/api/v1/payments/{payment}", tag = "payments", params(("payment" = String, Path)),
    responses((status = 200, body = PaymentBody), (status = 404))
)]
pub(crate) async fn show(
    partner: Partner,
    State(app): State<App>,
    Path(payment): Path<String>,
) -> Result<Json<PaymentBody>, ApiError> {
    let id: ReceiptId = input::id_in_path(&payment)?;
    let mut tx = partner.begin(&app).await?;
    let payment = payments::find_of_organisation(&mut tx, partner.organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    Ok(Json(payment.into()))
}
