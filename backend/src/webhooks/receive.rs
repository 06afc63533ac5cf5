//! Receiving a callback: token, kind, form, store, 200. One transaction, no interpretation, and
//! never a refusal by rate for who knows the token: what it brings may be evidence about money.
//! Without the token: 404, and 429 above the ceiling. Cannot be stored: 503, so that it comes
//! again; and if it never does, the enquiries and the reconciliation find the same truth.
//! Called by the providers.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use providers::africastalking::delivery::{OptOut, Report};
use providers::africastalking::ussd::{SessionEnded, storable_event};
use providers::africastalking::{FormError, NAME as AFRICASTALKING};
use providers::mpesa::NAME as MPESA;
use runtime::config::Secret;
use sha2::{Digest, Sha256};
use store::provider_events::{self, NewEvent};
use subtle::ConstantTimeEq;

use crate::App;
use crate::error::ApiError;
use crate::webhooks::mpesa as mpesa_events;

/// Outcome of what could not be read and is kept for people.
const MALFORMED: &str = "malformed";
/// Callbacks of M-Pesa that are taken.
const MPESA_KINDS: [&str; 4] = [
    "b2c-result",
    "b2c-timeout",
    "status-result",
    "status-timeout",
];

/// A callback as it will be stored.
struct Read {
    event_key: String,
    raw: Vec<u8>,
    /// Why it cannot be processed, if it cannot.
    fault: Option<String>,
}

pub(super) async fn africastalking(
    State(app): State<App>,
    Path((token, kind)): Path<(String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    admit(&app, AFRICASTALKING, &app.config.at_callback_token, &token)?;
    let body = body.map_err(|_| too_large(&app, AFRICASTALKING))?;
    let read = match kind.as_str() {
        "sms-delivery" => read(Report::parse(&body).map(|report| report.event_key()), &body),
        "sms-opt-out" => read(OptOut::parse(&body).map(|_| digest(&body)), &body),
        "ussd-events" => match storable_event(&body) {
            // the typed input holds PINs: what is stored has lost it already
            Ok(stripped) => {
                let key = SessionEnded::parse(&body).map(|ended| ended.session_id);
                read(key, &stripped)
            }
            Err(error) => read(Err(error), b"(not a form)"),
        },
        _ => return Err(unknown(&app, AFRICASTALKING)),
    };
    keep(&app, AFRICASTALKING, &kind, read).await?;
    Ok(StatusCode::OK.into_response())
}

pub(super) async fn mpesa(
    State(app): State<App>,
    Path((token, kind)): Path<(String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    admit(&app, MPESA, &app.config.mpesa_callback_token, &token)?;
    let body = body.map_err(|_| too_large(&app, MPESA))?;
    if !MPESA_KINDS.contains(&kind.as_str()) {
        return Err(unknown(&app, MPESA));
    }
    let is_object = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&body);
    let read = Read {
        event_key: mpesa_events::event_key(&kind, &body),
        raw: body.to_vec(),
        fault: is_object
            .err()
            .map(|_| "body is not a JSON object".to_owned()),
    };
    keep(&app, MPESA, &kind, read).await?;
    // the words Safaricom's own samples answer with
    let accepted = r#"{"ResultCode":0,"ResultDesc":"Accepted"}"#;
    Ok(([(header::CONTENT_TYPE, "application/json")], accepted).into_response())
}

/// Lets in who knows the token. A surface without a configured token does not exist.
fn admit(app: &App, provider: &str, expected: &Secret, given: &str) -> Result<(), ApiError> {
    // hashes have one length, so that comparing takes one time
    let hash = |text: &str| Sha256::digest(text.as_bytes());
    let same = bool::from(hash(expected.expose()).ct_eq(&hash(given)));
    if same && !expected.is_empty() {
        return Ok(());
    }
    let rejected = &app.metrics.rejected_inputs;
    if app.limits.allows_unknown_callback() {
        rejected.with_label_values(&[provider, "token"]).inc();
        Err(ApiError::not_found())
    } else {
        rejected.with_label_values(&[provider, "ceiling"]).inc();
        Err(ApiError::too_many())
    }
}

fn unknown(app: &App, provider: &str) -> ApiError {
    app.metrics
        .rejected_inputs
        .with_label_values(&[provider, "kind"])
        .inc();
    ApiError::not_found()
}

fn too_large(app: &App, provider: &str) -> ApiError {
    app.metrics
        .rejected_inputs
        .with_label_values(&[provider, "too_large"])
        .inc();
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
        "send at most 64 KiB",
    )
}

fn read(key: Result<String, FormError>, raw: &[u8]) -> Read {
    match key {
        Ok(event_key) => Read {
            event_key,
            raw: raw.to_vec(),
            fault: None,
        },
        Err(error) => Read {
            event_key: digest(raw),
            raw: raw.to_vec(),
            fault: Some(error.to_string()),
        },
    }
}

fn digest(body: &[u8]) -> String {
    format!(
        "body:{}",
        data_encoding::HEXLOWER.encode(&Sha256::digest(body))
    )
}

/// Stores a callback; one that cannot be read is kept too, and answered 400 with the reason.
async fn keep(app: &App, provider: &str, kind: &str, read: Read) -> Result<(), ApiError> {
    let now = app.clock.now();
    let raw_cipher = app.pii.seal(app.ids.bytes(), &read.raw)?;
    let event = NewEvent {
        id: app.ids.mint(now),
        provider,
        kind,
        event_key: &read.event_key,
        raw_cipher: &raw_cipher,
        outcome: read.fault.as_ref().map(|_| MALFORMED),
    };
    let mut conn = app.acquire().await?;
    let is_new = provider_events::store(&mut conn, now, event).await?;
    let counted = &app.metrics.provider_events;
    if let Some(fault) = read.fault {
        counted.with_label_values(&[provider, MALFORMED]).inc();
        return Err(ApiError::malformed(fault));
    }
    counted
        .with_label_values(&[provider, if is_new { "stored" } else { "repeated" }])
        .inc();
    if is_new {
        app.callback_stored.notify_one();
    }
    Ok(())
}
