//! What the API answers when it cannot do what was asked: problem documents (RFC 9457) with stable
//! codes. Never shows what failed inside: a 5xx carries the request's id and nothing else, and is
//! logged once, here. Returned by every handler under /api/v1 and by webhooks.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use store::StoreError;

use crate::partner::input::FieldFault;
use crate::record;

/// A refusal or a failure.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// Stable code, `snake_case`, for programs.
    pub code: &'static str,
    /// What is wrong and how to mend it, for people; not shown for a 5xx.
    pub detail: String,
    /// Further members of the problem document, such as `errors` by field.
    pub more: Option<(&'static str, serde_json::Value)>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ApiError {
    /// A refusal.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            more: None,
            source: None,
        }
    }

    /// 400: the request cannot be read.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// 401: no valid credential.
    #[must_use]
    pub fn unauthorised() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorised",
            "send a valid bearer token",
        )
    }

    /// 403: a valid credential without the right.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 404.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here")
    }

    /// 409: the thing is not in the state that the request needs.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 422: readable, but breaks a rule.
    pub fn refused(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 422: fields that break a rule, each with its code and reason.
    pub(crate) fn invalid(faults: &[FieldFault]) -> Self {
        let detail = match faults {
            [only] => only.reason.clone(),
            many => format!("{} fields are wrong; see `errors`", many.len()),
        };
        Self {
            more: Some(("errors", json!(faults))),
            ..Self::refused("invalid", detail)
        }
    }

    /// 429.
    #[must_use]
    pub fn too_many() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            "slow down and try again",
        )
    }

    /// 503: a server of ours is away; the same request may work in a while.
    pub fn unavailable(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "unavailable",
            detail: "a part of the service is away".to_owned(),
            more: None,
            source: Some(Box::new(source)),
        }
    }

    /// 500: a fault of ours.
    pub fn internal(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "internal",
            detail: "a fault on our side".to_owned(),
            more: None,
            source: Some(Box::new(source)),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::unavailable(error),
            StoreError::Conflict { .. } | StoreError::Stale { .. } => Self::conflict(
                "conflict",
                "another change came first; read the resource again",
            ),
            StoreError::Corrupt { .. } | StoreError::Unsellable { .. } | StoreError::Other(_) => {
                Self::internal(error)
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let request_id = record::request_id();
        let is_ours = self.status.is_server_error();
        if is_ours {
            let error = causes(&self);
            tracing::error!(code = self.code, error, request_id, "request failed");
        }
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "code": self.code,
        });
        if let Some(fields) = body.as_object_mut() {
            if is_ours {
                fields.insert("request_id".to_owned(), json!(request_id));
            } else {
                fields.insert("detail".to_owned(), json!(self.detail));
                if let Some((name, value)) = self.more {
                    fields.insert(name.to_owned(), value);
                }
            }
        }
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if matches!(
            self.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// What layers and extractors answer in plain text (a body too large, an unknown method, a path that
/// is no UTF-8) as the API answers.
pub(crate) fn as_problem(response: Response) -> Response {
    let is_plain = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_none_or(|kind| kind == HeaderValue::from_static("text/plain; charset=utf-8"));
    if !is_plain {
        return response;
    }
    let status = response.status();
    let problem = |code, detail: &str| ApiError::new(status, code, detail).into_response();
    match status {
        StatusCode::BAD_REQUEST => problem("malformed", "the path or the query cannot be read"),
        StatusCode::PAYLOAD_TOO_LARGE => {
            problem("too_large", "the body is larger than this route takes")
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            let detail = "the resource has no such method; see the Allow header";
            let mut problem = problem("method_not_allowed", detail);
            if let Some(allow) = response.headers().get(header::ALLOW) {
                problem.headers_mut().insert(header::ALLOW, allow.clone());
            }
            problem
        }
        StatusCode::SERVICE_UNAVAILABLE => problem("unavailable", "it took too long"),
        _ => response,
    }
}

/// An error with its causes on one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
