//! A call of the gateway: path, token, ceiling, form in; a screen out.
//! Must always answer 200 with a screen (404 for a wrong token), and never log the form.
//! Called by the door and by the router, once for every input of a caller.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use axum::BoxError;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::msisdn::Msisdn;
use domain::ussd::Notice;
use futures_util::FutureExt as _;
use http_body_util::{BodyExt as _, Limited};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use super::handler::{answer_dial, told};
use crate::App;
use crate::error::ApiError;
use crate::routes::{BODY_BYTES_MAX, REQUEST_SECONDS_MAX};

/// The paths of the channel.
pub(super) const ROUTE: &str = "/api/ussd";
pub(super) const ROUTE_WITH_TOKEN: &str = "/api/ussd/{token}";
/// The type of every screen.
pub(crate) const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// Longest session id, characters.
const SESSION_ID_CHARS_MAX: usize = 128;

/// What was dialled or typed, read from the form.
pub(super) struct Dial {
    /// The gateway's id of the conversation.
    pub(super) session_id: String,
    /// Whose phone.
    pub(super) phone: Msisdn,
    /// Everything typed so far, with stars between.
    pub(super) text: String,
}

/// A call on one of the channel's paths.
pub(crate) struct Call {
    /// The template of its path.
    pub(crate) route: &'static str,
    /// Whether it knows the secret part of it, or none is configured.
    is_known: bool,
}

/// Which call a POST to this path is; `None` for paths of others.
pub(crate) fn call(app: &App, path: &str) -> Option<Call> {
    let token = match path.strip_prefix(ROUTE)? {
        "" => return Some(call_without_token(app)),
        rest => rest.strip_prefix('/')?,
    };
    // what is written in another way is for the router to read
    let is_plain = !token.is_empty() && !token.contains(['/', '%']);
    is_plain.then(|| call_with_token(app, token))
}

fn call_without_token(app: &App) -> Call {
    Call {
        route: ROUTE,
        is_known: app.config.at_callback_token.is_empty(),
    }
}

fn call_with_token(app: &App, token: &str) -> Call {
    let expected = app.config.at_callback_token.expose().as_bytes();
    Call {
        route: ROUTE_WITH_TOKEN,
        is_known: !expected.is_empty() && bool::from(expected.ct_eq(token.as_bytes())),
    }
}

/// `POST /api/ussd`: only where no token is configured.
pub(super) async fn without_token(State(app): State<App>, request: Request) -> Response {
    let call = call_without_token(&app);
    in_full(hop(&app, &call, request.into_body()).await)
}

/// `POST /api/ussd/{token}`.
pub(super) async fn with_token(
    State(app): State<App>,
    Path(token): Path<String>,
    request: Request,
) -> Response {
    let call = call_with_token(&app, &token);
    in_full(hop(&app, &call, request.into_body()).await)
}

fn in_full(screen: Option<String>) -> Response {
    match screen {
        Some(screen) => ([(header::CONTENT_TYPE, PLAIN)], screen).into_response(),
        None => ApiError::not_found().into_response(),
    }
}

/// Answers a call with a screen; `None` when it does not know the token. A failure of ours (a
/// panic, a body that does not come) is still a screen, because the gateway shows its own error
/// for anything but 200.
pub(crate) async fn hop<B>(app: &App, call: &Call, body: B) -> Option<String>
where
    B: axum::body::HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let rejected = |why| {
        app.metrics
            .rejected_inputs
            .with_label_values(&["ussd", why])
    };
    if !app.limits.allows_hop() {
        rejected("ceiling").inc();
        return Some(told(Notice::Busy, None).reply);
    }
    if !call.is_known {
        rejected("token").inc();
        return None;
    }
    let answering = async {
        let mut reading = pin!(to_bytes(body, BODY_BYTES_MAX));
        // it comes with the head, nearly always: no timer for that
        let body = if let Some(body) = reading.as_mut().now_or_never() {
            body.ok()
        } else {
            let limit = Duration::from_secs(REQUEST_SECONDS_MAX);
            let body = tokio::time::timeout(limit, reading).await;
            body.ok().and_then(Result::ok)
        };
        answer(app, body).await
    };
    if let Ok(screen) = AssertUnwindSafe(answering).catch_unwind().await {
        return Some(screen);
    }
    // the panic hook has printed where
    tracing::error!("a ussd hop panicked");
    app.metrics
        .ussd_sessions
        .with_label_values(&["failed", "panic"])
        .inc();
    Some(told(Notice::Failed, None).reply)
}

/// A whole body of at most `max` bytes; the one piece that nearly every body is, as it came.
async fn to_bytes<B>(body: B, max: usize) -> Result<Bytes, BoxError>
where
    B: axum::body::HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let mut body = pin!(Limited::new(body, max));
    let mut whole = Bytes::new();
    while let Some(frame) = body.frame().await {
        if let Ok(piece) = frame?.into_data() {
            if whole.is_empty() {
                whole = piece;
            } else {
                whole = [whole, piece].concat().into();
            }
        }
    }
    Ok(whole)
}

async fn answer(app: &App, body: Option<Bytes>) -> String {
    let started = Instant::now();
    let dial = body.as_deref().and_then(read);
    // it is a piece of the connection's buffer, which can then be used again
    drop(body);
    let answer = match dial {
        _ if !app.config.enable_ussd => told(Notice::Closed, None),
        Some(dial) => answer_dial(app, &dial).await,
        None => {
            app.metrics
                .rejected_inputs
                .with_label_values(&["ussd", "form"])
                .inc();
            told(Notice::Garbled, None)
        }
    };
    let took = started.elapsed().as_secs_f64();
    let metrics = &app.metrics;
    metrics
        .ussd_reply_seconds
        .with_label_values(&[answer.outcome])
        .observe(took);
    metrics
        .ussd_sessions
        .with_label_values(&[answer.outcome, answer.screen])
        .inc();
    answer.reply
}

/// Reads the gateway's form; fields that are not used are not looked at, and one that is there
/// twice is a form of somebody else.
fn read(form: &[u8]) -> Option<Dial> {
    let (mut session_id, mut phone_number, mut text) = (None, None, None);
    for (name, value) in form_urlencoded::parse(form) {
        let field = match &*name {
            "sessionId" => &mut session_id,
            "phoneNumber" => &mut phone_number,
            "text" => &mut text,
            _ => continue,
        };
        if field.replace(value).is_some() {
            return None;
        }
    }
    let session_id = session_id?;
    let sane = (1..=SESSION_ID_CHARS_MAX).contains(&session_id.chars().count());
    let phone = Msisdn::parse(&phone_number?).ok().filter(|_| sane)?;
    Some(Dial {
        session_id: session_id.into_owned(),
        phone,
        text: text.unwrap_or_default().into_owned(),
    })
}
