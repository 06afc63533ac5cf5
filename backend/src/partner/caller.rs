//! Who asks: the organisation and the key of a partner's request, put there by the gate.
//! Must never be made from anything but a key that was found good. Extracted by every partner route.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use domain::id::{ApiKeyId, OrganisationId};
use store::api_keys::Scope;
use store::{StoreError, Transaction, tenancy};

use crate::App;
use crate::error::ApiError;

/// The partner behind a request.
#[derive(Debug, Clone)]
pub(crate) struct Partner {
    /// Whose rows it may see.
    pub(crate) organisation: OrganisationId,
    /// Which key was used.
    pub(crate) key: ApiKeyId,
    /// What that key may do.
    pub(crate) scopes: Vec<Scope>,
}

impl Partner {
    /// A transaction that sees this partner's rows only.
    pub(crate) async fn begin(&self, app: &App) -> Result<Transaction, StoreError> {
        tenancy::begin(&app.pool, self.organisation).await
    }

    /// Refuses a key that lacks a scope.
    pub(crate) fn require(&self, scope: Scope) -> Result<(), ApiError> {
        if self.scopes.contains(&scope) {
            return Ok(());
        }
        let detail = format!("the key lacks the scope {}", scope.as_str());
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "missing_scope",
            detail,
        ))
    }
}

impl FromRequestParts<App> for Partner {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| ApiError::internal(NoGate))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the route's row does not say `Auth::Partner`, so nobody was let in")]
struct NoGate;
