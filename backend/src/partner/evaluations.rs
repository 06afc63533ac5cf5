//! Evaluations over REST: the one decision on each risk that a partner's farmers have policies on,
//! with the numbers it follows from. Must never show what others have on the same risk.
//! Called over HTTP by partners.

use axum::Json;
use axum::extract::{Path, State};
use chrono::{DateTime, Utc};
use domain::id::EvaluationId;
use domain::money::BasisPoints;
use domain::settle::HoldReason;
use serde::{Deserialize, Serialize};
use store::api_keys::Scope;
use store::partner_views::{self, EvaluationFilter, EvaluationView};
use utoipa::{IntoParams, ToSchema};

use super::caller::Partner;
use super::input::{self, FieldFault};
use super::page::{Filter, Listed, PageQuery, Paging};
use super::policies::season;
use super::quotes::{CoverBody, RainBody};
use crate::App;
use crate::error::ApiError;
use crate::routes::Route;

pub(super) fn routes() -> Vec<Route> {
    let scope = Scope::EvaluationsRead;
    vec![
        Route::partner_get("/api/v1/evaluations", scope, list),
        Route::partner_get("/api/v1/evaluations/{evaluation}", scope, show),
    ]
}

/// An exact share of the sum insured.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShareBody {
    /// Upper part.
    numerator: i64,
    /// Lower part.
    denominator: i64,
    /// Nearest basis point, for people; amounts follow from the exact share.
    nearest_bp: u16,
}

/// Where the evidence of a decision is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EvidenceBody {
    /// Content address: it follows from the bytes alone.
    cid: String,
    /// What stands in texts to farmers.
    short_code: String,
    /// Where its bytes are, here.
    path: String,
}

/// A decision on a risk.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EvaluationBody {
    /// `eva_…`.
    id: String,
    /// Risk decided.
    risk_id: String,
    /// Code of its product.
    product: String,
    /// Season it covered, `MAM-2026`.
    season: String,
    /// Zone whose triggers applied.
    zone: String,
    /// Cell that was observed.
    risk_cell: String,
    /// Days covered.
    cover: CoverBody,
    /// Rain that was observed, by phase.
    rain: Vec<RainBody>,
    /// Loss by rain, basis points.
    weather_bp: u16,
    /// Loss of vegetation, basis points; null when no satellite saw any or the product has none.
    vegetation_bp: Option<u16>,
    /// The damage index, basis points; null for products without one.
    damage_index_bp: Option<u16>,
    /// Share of each sum insured that is paid.
    share: ShareBody,
    /// Why two people had to look at the number: `low_confidence`, `few_stations`, `borderline`,
    /// `vegetation_absent`.
    #[schema(value_type = Vec<String>)]
    holds: Vec<HoldReason>,
    /// 0 to 100; decides how fast it is released, never an amount.
    confidence: u8,
    /// Stations that observed it.
    stations: u8,
    /// `held` (waits for two people) or `approved`.
    state: &'static str,
    /// Its evidence.
    evidence: EvidenceBody,
    /// Policies of the organisation's farmers that it decides.
    policies: i64,
    /// When it was decided.
    evaluated_at: DateTime<Utc>,
    /// When it was released.
    approved_at: Option<DateTime<Utc>>,
}

impl From<EvaluationView> for EvaluationBody {
    fn from(row: EvaluationView) -> Self {
        let (observed, settlement) = (row.observed, row.settlement);
        Self {
            id: row.id.to_string(),
            risk_id: row.risk_id.to_string(),
            product: row.product,
            season: row.season.to_string(),
            zone: row.zone,
            risk_cell: row.risk_cell.to_string(),
            cover: row.cover.into(),
            rain: observed.phases.into_iter().map(RainBody::from).collect(),
            weather_bp: settlement.weather_bp.get(),
            vegetation_bp: settlement.vegetation_bp.map(BasisPoints::get),
            damage_index_bp: settlement.damage_index_bp.map(BasisPoints::get),
            share: ShareBody {
                numerator: settlement.share.numerator(),
                denominator: settlement.share.denominator(),
                nearest_bp: settlement.share.basis_points().get(),
            },
            holds: settlement.holds,
            confidence: observed.confidence,
            stations: observed.stations,
            state: row.state.as_str(),
            evidence: EvidenceBody {
                path: format!("/api/v1/evidence/{}", row.cid),
                cid: row.cid,
                short_code: row.short_code,
            },
            policies: row.policies,
            evaluated_at: row.evaluated_at,
            approved_at: row.approved_at,
        }
    }
}

/// Which decisions are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EvaluationQuery {
    /// On the risk of the policy with this id.
    policy: Option<String>,
    /// Of the product with this code.
    product: Option<String>,
    /// Of this season, `MAM-2026`.
    season: Option<String>,
}

fn filter(query: EvaluationQuery) -> Result<EvaluationFilter, FieldFault> {
    let policy = query.policy.as_deref();
    let policy = policy.map(|text| input::id_in_body("policy", text));
    Ok(EvaluationFilter {
        policy: policy.transpose()?,
        season: query.season.as_deref().map(season).transpose()?,
        product: query.product,
    })
}

/// Decisions on risks that the organisation's farmers have policies on.
#[utoipa::path(
    get, path = "/api/v1/evaluations", tag = "evaluations", params(PageQuery, EvaluationQuery),
    responses((status = 200, body = Listed<EvaluationBody>))
)]
pub(crate) async fn list(
    partner: Partner,
    State(app): State<App>,
    paging: Paging,
    Filter(query): Filter<EvaluationQuery>,
) -> Result<Json<Listed<EvaluationBody>>, ApiError> {
    let filter = filter(query).map_err(FieldFault::refuse)?;
    let mut tx = partner.begin(&app).await?;
    let (organisation, slice) = (partner.organisation, paging.slice);
    let rows = partner_views::list_evaluations(&mut tx, organisation, None, &filter, slice).await?;
    let page = Listed::of(rows, paging, |row| row.id.uuid(), EvaluationBody::from);
    Ok(Json(page))
}

/// One decision.
#[utoipa::path(
    get, path = "/api/v1/evaluations/{evaluation}", tag = "evaluations",
    params(("evaluation" = String, Path)),
    responses((status = 200, body = EvaluationBody), (status = 404))
)]
pub(crate) async fn show(
    partner: Partner,
    State(app): State<App>,
    Path(evaluation): Path<String>,
) -> Result<Json<EvaluationBody>, ApiError> {
    let id: EvaluationId = input::id_in_path(&evaluation)?;
    let mut tx = partner.begin(&app).await?;
    let evaluation = partner_views::find_evaluation(&mut tx, partner.organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    Ok(Json(evaluation.into()))
}
