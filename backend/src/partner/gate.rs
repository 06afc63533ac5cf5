//! The gate of every partner route: its ceiling, then the key, then the scope that the route's row
//! names. Must never say whether a key exists, and never log one. Put around the routes by
//! `app::build`; a handler behind it finds its [`Partner`] and checks nothing more.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use store::api_keys::{self, Holder, Scope, USE_NOTED_SECONDS};

use super::caller::Partner;
use super::credential;
use crate::App;
use crate::error::{ApiError, as_problem};

/// Lets a request through to its handler, or answers it.
pub(crate) async fn pass(
    State((app, scope)): State<(App, Scope)>,
    mut request: Request,
    next: Next,
) -> Response {
    let allowance = match app.limits.admit_partner(request.headers()) {
        Ok(allowance) => allowance,
        Err(spent) => {
            reject(&app, "ceiling");
            let mut response = ApiError::too_many().into_response();
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, spent.reset_seconds.into());
            spent.write(headers);
            return response;
        }
    };
    let mut response = match let_in(&app, request.headers(), scope).await {
        Ok(partner) => {
            request.extensions_mut().insert(partner);
            as_problem(next.run(request).await)
        }
        Err(error) => error.into_response(),
    };
    allowance.write(response.headers_mut());
    response
}

async fn let_in(app: &App, headers: &HeaderMap, scope: Scope) -> Result<Partner, ApiError> {
    let key = key_of(headers).ok_or_else(|| {
        reject(app, "no_key");
        ApiError::unauthorised()
    })?;
    let now = app.clock.now();
    let mut conn = app.acquire().await?;
    let holder = api_keys::find_holder(&mut conn, &api_keys::hash_of(key)).await?;
    let Some(Holder {
        key,
        organisation,
        is_suspended,
    }) = holder.filter(|holder| holder.key.is_good(now))
    else {
        reject(app, "not_a_key");
        return Err(ApiError::unauthorised());
    };
    if is_suspended {
        reject(app, "suspended");
        let detail = "the organisation is suspended; ask us";
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "organisation_suspended",
            detail,
        ));
    }
    let partner = Partner {
        organisation,
        key: key.id,
        scopes: key.scopes,
    };
    partner
        .require(scope)
        .inspect_err(|_| reject(app, "scope"))?;
    let is_noted = key
        .last_used_at
        .is_some_and(|at| (now - at).num_seconds() < USE_NOTED_SECONDS);
    if !is_noted {
        api_keys::note_use(&mut conn, now, key.id).await?;
    }
    Ok(partner)
}

/// The key of a request: `Authorization: Bearer mck_…` or `X-Api-Key: mck_…`. What does not look
/// like a key never reaches the database.
fn key_of(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let plain = || headers.get("x-api-key")?.to_str().ok();
    bearer.or_else(plain).filter(|key| credential::is_key(key))
}

fn reject(app: &App, reason: &str) {
    app.metrics
        .rejected_inputs
        .with_label_values(&["partner", reason])
        .inc();
}
