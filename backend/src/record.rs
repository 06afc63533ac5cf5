//! The outermost middleware: gives each request an id, measures it and writes its one log line.
//! Must never log a path as it was sent (callback paths hold tokens), a body, or a phone number:
//! only the route's template, the status and the time. Applied by `app::build` to every route.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use http_body_util::Either;
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::App;
use crate::door::Answer;
use crate::error::ApiError;
use crate::ussd::PLAIN;

/// The header of a request's id, in and out.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id a caller may choose, characters.
const REQUEST_ID_CHARS_MAX: usize = 64;

/// Random characters of an id that is made here.
const REQUEST_ID_CHARS: usize = 20;

tokio::task_local! {
    static CURRENT: HeaderValue;
}

/// The id of the request this task answers; empty outside one.
pub(crate) fn request_id() -> String {
    CURRENT
        .try_with(|id| text(id).to_owned())
        .unwrap_or_default()
}

/// An id is plain ASCII, see [`chosen_id`].
fn text(id: &HeaderValue) -> &str {
    id.to_str().unwrap_or_default()
}

/// The layer: runs what is inside with an id, then counts and logs. Written out rather than made
/// with `middleware::from_fn`, which boxes the service anew at every request.
#[derive(Clone)]
pub(crate) struct Record(pub(crate) App);

impl<S> Layer<S> for Record {
    type Service = Recorded<S>;

    fn layer(&self, inner: S) -> Recorded<S> {
        Recorded {
            app: self.0.clone(),
            inner,
        }
    }
}

/// A service in its record.
#[derive(Clone)]
pub(crate) struct Recorded<S> {
    app: App,
    inner: S,
}

impl<S> Service<Request> for Recorded<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let started = Instant::now();
        let app = self.app.clone();
        let method = request.method().clone();
        let path = request.extensions().get::<MatchedPath>().cloned();
        let id = chosen_id(request.headers()).unwrap_or_else(|| new_id(&app));
        let answering = CURRENT.scope(id.clone(), self.inner.call(request));
        Box::pin(async move {
            let mut response = answering.await?;
            let path = path.as_ref().map_or("(none)", MatchedPath::as_str);
            let took = started.elapsed();
            measure(&app, method.as_str(), path, response.status(), took, &id);
            response.headers_mut().insert(REQUEST_ID, id);
            Ok(response)
        })
    }
}

/// What the door does around a hop, as the layer does around everything else; `None` of the
/// `hop` is a path nobody has.
pub(crate) async fn hop<F>(app: &App, route: &'static str, headers: &HeaderMap, hop: F) -> Answer
where
    F: Future<Output = Option<String>>,
{
    let started = Instant::now();
    let id = chosen_id(headers).unwrap_or_else(|| new_id(app));
    let mut response = if let Some(screen) = hop.await {
        let mut response = Response::new(Either::Left(screen.into()));
        response.headers_mut().insert(header::CONTENT_TYPE, PLAIN);
        response
    } else {
        let missing = || ApiError::not_found().into_response();
        CURRENT.sync_scope(id.clone(), missing).map(Either::Right)
    };
    let took = started.elapsed();
    measure(app, "POST", route, response.status(), took, &id);
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

fn new_id(app: &App) -> HeaderValue {
    let id = app.ids.base32(REQUEST_ID_CHARS);
    HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static(""))
}

/// The caller's own id, when it is one.
fn chosen_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let id = headers.get(REQUEST_ID)?;
    let is_id = (1..=REQUEST_ID_CHARS_MAX).contains(&id.len())
        && id
            .as_bytes()
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || *b == b'-' || *b == b'_');
    is_id.then(|| id.clone())
}

fn measure(
    app: &App,
    method: &str,
    path: &str,
    status: StatusCode,
    took: Duration,
    id: &HeaderValue,
) {
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
    let request_id = text(id);
    if status >= 500 {
        tracing::warn!(method, path, status, duration_ms, request_id, "request");
    } else if path.starts_with("/health") || (status == 200 && path.starts_with("/api/ussd")) {
        // frequent and all alike: the metrics count them
        tracing::debug!(method, path, status, duration_ms, request_id, "request");
    } else {
        tracing::info!(method, path, status, duration_ms, request_id, "request");
    }
}
