//! Taking texts: the form, the key check, 201 with a status for each recipient, the refusal that
//! looks like success, and the delivery reports afterwards. Magic numbers act only for phones that
//! were never registered, so that farmers with unlucky numbers still get their texts.
//! Called by the twin's router.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::{RawQuery, State as Shared};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use domain::msisdn::Msisdn;
use http::HeaderMap;
use serde_json::{Value, json};

use super::NAME;
use crate::reply::{Subject, faulted, json, text};
use crate::wallets::Text;
use crate::world::State;
use crate::{Callback, World, draw};

/// Cents-of-a-shilling price of one part, in ten-thousandths of a shilling.
const PART_PRICE: u64 = 8_000;
/// Characters of one part (GSM-7).
const PART_CHARS: u64 = 160;

/// POST `/version1/messaging`.
pub(super) async fn send(
    Shared(world): Shared<World>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(refusal) = unauthorised(&world, &headers) {
        return refusal;
    }
    let Ok(form) = serde_urlencoded::from_bytes::<HashMap<String, String>>(&body) else {
        return text(400, "Request must be form-encoded");
    };
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let known = world.with(|state, _| state.settings.credentials.at_username == field("username"));
    if !known {
        return text(401, "The supplied authentication is invalid");
    }
    if field("to").is_empty() || field("message").is_empty() {
        return text(400, "Must have 'to' and 'message'");
    }
    let subject = Subject {
        provider: NAME,
        operation: "sms",
        key: field("to"),
    };
    let shape = |status| match status {
        429 => text(429, "Too many requests"),
        status => text(status, "Internal server error"),
    };
    faulted(&world, subject, shape, |state, now| {
        take(state, now, field("to"), field("message"))
    })
}

/// GET `/version1/user`.
pub(super) async fn balance(
    Shared(world): Shared<World>,
    RawQuery(_): RawQuery,
    headers: HeaderMap,
) -> Response {
    unauthorised(&world, &headers)
        .unwrap_or_else(|| json(200, &json!({"UserData": {"balance": "KES 1785.50"}})))
}

fn unauthorised(world: &World, headers: &HeaderMap) -> Option<Response> {
    let shown = headers
        .get("apikey")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let known = world.with(|state, _| state.settings.credentials.at_api_key == shown);
    (!known).then(|| text(401, "The supplied authentication is invalid"))
}

fn take(state: &mut State, now: DateTime<Utc>, to: &str, message: &str) -> Response {
    let numbers: Vec<&str> = to.split(',').map(str::trim).collect();
    let is_magic = |state: &mut State, number: &str, tail: &str| {
        let digits = number.trim_start_matches('+');
        let registered = state
            .wallets
            .phones
            .get(digits)
            .is_some_and(|p| p.is_registered);
        !registered && number.ends_with(tail)
    };
    if numbers.iter().any(|number| is_magic(state, number, "0500")) {
        return text(500, "Internal server error");
    }
    if numbers.iter().any(|number| is_magic(state, number, "0405")) {
        let body = json!({"SMSMessageData": {"Message": "InsufficientBalance", "Recipients": []}});
        return json(201, &body);
    }
    let mut sent = 0_usize;
    let recipients: Vec<Value> = numbers
        .iter()
        .map(|number| match Msisdn::parse(number) {
            Ok(phone) if !is_magic(state, number, "0403") => {
                sent += 1;
                let fails = is_magic(state, number, "0999");
                accepted(state, now, &phone, message, fails)
            }
            _ => json!({"statusCode": 403, "number": number, "status": "InvalidPhoneNumber",
                        "cost": "0", "messageId": "None"}),
        })
        .collect();
    let total = price(message, sent);
    let summary = format!("Sent to {sent}/{} Total Cost: {total}", numbers.len());
    json(
        201,
        &json!({"SMSMessageData": {"Message": summary, "Recipients": recipients}}),
    )
}

fn accepted(
    state: &mut State,
    now: DateTime<Utc>,
    phone: &Msisdn,
    message: &str,
    fails: bool,
) -> Value {
    state.africastalking.taken += 1;
    let nth = state.africastalking.taken.to_string();
    let id = format!(
        "ATXid_{}",
        draw::hex(32, &[&state.salt, "sms", phone.digits(), &nth])
    );
    state.faults.count("sms_taken");
    if !fails {
        let received = Text {
            at: now,
            text: message.to_owned(),
        };
        state.wallets.phone(phone.digits()).sms.push(received);
    }
    let last = if fails { "Failed" } else { "Success" };
    report(state, now, TimeDelta::seconds(2), phone, &id, "Sent");
    report(state, now, TimeDelta::seconds(6), phone, &id, last);
    json!({"statusCode": 101, "number": phone.e164(), "status": "Success",
           "cost": price(message, 1), "messageId": id})
}

fn report(
    state: &mut State,
    now: DateTime<Utc>,
    after: TimeDelta,
    phone: &Msisdn,
    id: &str,
    status: &str,
) {
    if state.settings.at_delivery_url.is_empty() {
        return;
    }
    let number = phone.e164();
    let mut form = vec![
        ("id", id),
        ("status", status),
        ("phoneNumber", &number),
        ("networkCode", "63902"),
    ];
    if status == "Failed" {
        form.push(("failureReason", "UserIsInactive"));
    }
    let callback = Callback {
        provider: NAME,
        kind: "sms-delivery",
        url: state.settings.at_delivery_url.clone(),
        content_type: "application/x-www-form-urlencoded",
        body: serde_urlencoded::to_string(form)
            .unwrap_or_default()
            .into_bytes(),
    };
    let key = format!("{}/{status}", phone.digits());
    state.call_back(now + after, now, &key, callback);
}

/// `KES 0.8000` a part.
fn price(message: &str, recipients: usize) -> String {
    let characters = u64::try_from(message.chars().count()).unwrap_or(u64::MAX);
    let parts = characters.div_ceil(PART_CHARS).max(1);
    let recipients = u64::try_from(recipients).unwrap_or(0);
    let total = PART_PRICE.saturating_mul(parts).saturating_mul(recipients);
    format!("KES {}.{:04}", total / 10_000, total % 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_cost_more() {
        assert_eq!(price("hello", 1), "KES 0.8000");
        assert_eq!(price(&"x".repeat(161), 2), "KES 3.2000");
    }
}
