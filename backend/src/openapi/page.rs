//! The document over HTTP, and the page that shows it: Swagger UI, built into the binary. Must never
//! load anything from another host: the page's own policy forbids the browser to.
//! Asked by partners' programmers and by generators.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use utoipa_swagger_ui::{Config, Url, serve};

use crate::error::ApiError;
use crate::routes::{Auth, Limit, Route};

/// Where the document is.
const DOCUMENT: &str = "/api/openapi.json";
/// Scripts from here alone; the page sets styles and has pictures in itself.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
);

pub(crate) fn routes() -> Vec<Route> {
    let (auth, limit) = (Auth::Public, Limit::Api);
    vec![
        Route::get(DOCUMENT, auth, limit, document),
        Route::get("/api/docs", auth, limit, to_index),
        Route::get("/api/docs/", auth, limit, index),
        Route::get("/api/docs/{file}", auth, limit, file),
    ]
}

async fn document() -> Json<&'static Value> {
    Json(super::document())
}

async fn to_index() -> Response {
    let place = HeaderValue::from_static("/api/docs/");
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, place)]).into_response()
}

async fn index() -> Result<Response, ApiError> {
    page("index.html")
}

async fn file(Path(name): Path<String>) -> Result<Response, ApiError> {
    page(&name)
}

fn page(name: &str) -> Result<Response, ApiError> {
    let config = Config::new([Url::new("MicroCrop", DOCUMENT)])
        .use_base_layout()
        // without this, the page would ask a stranger whether the document is valid
        .validator_url("none")
        .persist_authorization(false);
    let found = serve(name, Arc::new(config))
        .map_err(|fault| ApiError::internal(PageError(fault.to_string())))?
        .ok_or_else(ApiError::not_found)?;
    let mut response = Response::new(Body::from(found.bytes.into_owned()));
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(&found.content_type) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    let no_sniffing = HeaderValue::from_static("nosniff");
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        no_sniffing,
    );
    Ok(response)
}

#[derive(Debug, thiserror::Error)]
#[error("the page could not be made: {0}")]
struct PageError(String);
