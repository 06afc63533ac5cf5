//! The partner itself, as it asks. Must never show another's name or state.
//! Called over HTTP by partners.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use store::api_keys::Scope;
use store::organisations::{self, Organisation};
use utoipa::ToSchema;

use super::caller::Partner;
use crate::App;
use crate::error::ApiError;
use crate::routes::Route;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::partner_get(
        "/api/v1/organisation",
        Scope::OrganisationRead,
        show,
    )]
}

/// An organisation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrganisationBody {
    /// `org_…`.
    pub(super) id: String,
    /// Name.
    pub(super) name: String,
    /// `cooperative`, `lender` or `insurer`.
    pub(super) kind: &'static str,
    /// `active` or `suspended`.
    pub(super) state: &'static str,
    /// Since when it is a partner.
    pub(super) created_at: DateTime<Utc>,
}

impl From<Organisation> for OrganisationBody {
    fn from(organisation: Organisation) -> Self {
        Self {
            id: organisation.id.to_string(),
            name: organisation.name,
            kind: organisation.kind.as_str(),
            state: if organisation.is_suspended {
                "suspended"
            } else {
                "active"
            },
            created_at: organisation.created_at,
        }
    }
}

/// The organisation that the key belongs to.
#[utoipa::path(
    get,
    path = "/api/v1/organisation",
    tag = "organisation",
    responses((status = 200, body = OrganisationBody))
)]
pub(crate) async fn show(
    partner: Partner,
    State(app): State<App>,
) -> Result<Json<OrganisationBody>, ApiError> {
    let mut tx = partner.begin(&app).await?;
    let organisation = organisations::find(&mut tx, partner.organisation)
        .await?
        .ok_or_else(ApiError::not_found)?;
    Ok(Json(organisation.into()))
}
