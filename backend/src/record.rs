//! The outermost middleware: gives each request an id, measures it and writes its one log line.
//! Must never log a path as it was sent (callback paths hold tokens), a body, or a phone number:
//! only the route's template, the status and the time. Applied by `app::build` to every route.

use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

use crate::App;

/// The header of a request's id, in and out.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id a caller may choose, characters.
const REQUEST_ID_CHARS_MAX: usize = 64;

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request this task answers; empty outside one.
pub(crate) fn request_id() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

/// Runs the rest with an id, then counts and logs.
pub(crate) async fn record(State(app): State<App>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("(none)", MatchedPath::as_str)
        .to_owned();
    let id = chosen_id(&request).unwrap_or_else(|| app.ids.base32(20));
    let header = HeaderValue::from_str(&id).ok();
    let mut response = CURRENT.scope(id.clone(), next.run(request)).await;
    if let Some(header) = header {
        response.headers_mut().insert(REQUEST_ID, header);
    }
    measure(
        &app,
        method.as_str(),
        &path,
        &response,
        started.elapsed(),
        &id,
    );
    response
}

/// The caller's own id, when it is one.
fn chosen_id(request: &Request) -> Option<String> {
    let text = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    let is_id = (1..=REQUEST_ID_CHARS_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    is_id.then(|| text.to_owned())
}

fn measure(
    app: &App,
    method: &str,
    path: &str,
    response: &Response,
    took: Duration,
    request_id: &str,
) {
    let status = response.status();
    // a method nobody routes is the caller's invention, and metrics must not grow with it
    let known = matches!(method, "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD");
    let method = if known { method } else { "OTHER" };
    let labels = [method, path, status.as_str()];
    app.metrics.http_requests.with_label_values(&labels).inc();
    app.metrics
        .http_request_seconds
        .with_label_values(&labels)
        .observe(took.as_secs_f64());
    let (status, duration_ms) = (
        status.as_u16(),
        u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    );
    if status >= 500 {
        tracing::warn!(method, path, status, duration_ms, request_id, "request");
    } else if path.starts_with("/health") {
        tracing::debug!(method, path, status, duration_ms, request_id, "request");
    } else {
        tracing::info!(method, path, status, duration_ms, request_id, "request");
    }
}
