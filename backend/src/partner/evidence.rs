//! Evidence over REST: the exact bytes of a decision's bundle, by content address or short code,
//! from which anyone can compute the number again. Must never serve bytes that are not what their
//! address says. Called over HTTP by partners.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use domain::evidence::cid;
use store::api_keys::Scope;
use store::{StoreError, bundles};

use super::caller::Partner;
use super::change;
use crate::App;
use crate::error::ApiError;
use crate::routes::Route;

/// Longest address that is looked up, bytes; a CID has 59.
const ADDRESS_BYTES_MAX: usize = 64;
/// The bytes of an address never change; only who may ask here is the partner's own.
const FOR_EVER: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

pub(super) fn routes() -> Vec<Route> {
    let scope = Scope::EvaluationsRead;
    vec![Route::partner_get(
        "/api/v1/evidence/{evidence}",
        scope,
        show,
    )]
}

/// The evidence of a decision, byte for byte: hash it to check its CID.
#[utoipa::path(
    get, path = "/api/v1/evidence/{evidence}", tag = "evidence",
    params(("evidence" = String, Path, description = "CID or short code")),
    responses(
        (status = 200, body = Object, content_type = "application/json"),
        (status = 304), (status = 404)
    )
)]
pub(crate) async fn show(
    partner: Partner,
    State(app): State<App>,
    Path(address): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let is_address =
        address.len() <= ADDRESS_BYTES_MAX && address.bytes().all(|b| b.is_ascii_alphanumeric());
    if !is_address {
        return Err(ApiError::not_found());
    }
    let mut tx = partner.begin(&app).await?;
    let found = bundles::find_of_organisation(&mut tx, partner.organisation, &address)
        .await?
        .ok_or_else(ApiError::not_found)?;
    if cid(&found.bundle) != found.cid {
        let corrupt = StoreError::Corrupt {
            table: "evaluations",
            column: "bundle",
            id: found.evaluation_id.to_string(),
        };
        return Err(corrupt.into());
    }
    let tag = format!("\"{}\"", found.cid);
    let is_known = change::knows(&headers, &tag);
    let mut response = Response::new(if is_known {
        Body::empty()
    } else {
        Body::from(found.bundle)
    });
    let answer = response.headers_mut();
    answer.insert(header::CACHE_CONTROL, FOR_EVER);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        answer.insert(header::ETAG, tag);
    }
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
    }
    Ok(response)
}
