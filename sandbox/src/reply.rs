//! Answers: JSON, text, and the answer that never comes; and the one place where a request meets
//! its fault. Never does the work of a request that its fault stops.
//! Used by every twin.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use http::{StatusCode, header};
use serde_json::Value;

use crate::World;
use crate::faults::RequestFault;
use crate::world::State;

/// A JSON answer.
pub(crate) fn json(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}

/// A plain text answer.
pub(crate) fn text(status: u16, body: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (
        status,
        [(header::CONTENT_TYPE, "text/plain")],
        body.to_owned(),
    )
        .into_response()
}

/// An answer that breaks off before its end: the server closes the connection mid-body. In-process
/// callers see a body that fails.
pub(crate) fn lost() -> Response {
    let broken = futures_util::stream::once(async {
        Err::<Bytes, _>(std::io::Error::new(
            std::io::ErrorKind::ConnectionReset,
            "reply lost",
        ))
    });
    Response::new(Body::from_stream(broken))
}

/// What a request is, for its fault: provider, operation and the natural key it is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) provider: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) key: &'a str,
}

/// Does the work of a request unless its fault comes first; `shape` gives the provider's own body
/// of a 429 or 500.
pub(crate) fn faulted(
    world: &World,
    subject: Subject<'_>,
    shape: fn(u16) -> Response,
    work: impl FnOnce(&mut State, DateTime<Utc>) -> Response,
) -> Response {
    world.with(|state, now| {
        match state
            .faults
            .request(subject.provider, subject.operation, subject.key)
        {
            RequestFault::None => work(state, now),
            RequestFault::TooMany => shape(429),
            RequestFault::ErrorBefore => shape(500),
            RequestFault::ErrorAfter => {
                drop(work(state, now));
                shape(500)
            }
            RequestFault::LostReply => {
                drop(work(state, now));
                lost()
            }
        }
    })
}
