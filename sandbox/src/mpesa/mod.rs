//! M-Pesa's twin: token, B2C with an originator id that is remembered for ever, status enquiries,
//! and results called back by the clock. An accepted payment settles even when nobody is ever told.
//! Nested under `/mpesa`.

mod results;
mod settlement;

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::response::Response;
use axum::routing::{get, post};
use chrono::{DateTime, TimeDelta, Utc};
use domain::msisdn::Msisdn;
use http::HeaderMap;
use serde_json::{Value, json};

use crate::reply::{Subject, faulted, json};
use crate::schedule::{Action, Enquiry};
use crate::wallets::B2cBehaviour;
use crate::world::State;
use crate::{World, draw};

pub(crate) use settlement::{answer_enquiry, settle};

const NAME: &str = "mpesa";
/// What the utility account holds at the start, cents: KES 50 million.
const FLOAT_MINOR_DEFAULT: i64 = 5_000_000_000;

/// What became of an accepted payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Moving,
    Paid { receipt: String, at: DateTime<Utc> },
    Failed { code: String },
}

/// An accepted payment.
#[derive(Debug, Clone)]
pub(crate) struct Disbursement {
    pub(crate) originator_id: String,
    pub(crate) conversation_id: String,
    pub(crate) digits: String,
    pub(crate) shillings: i64,
    pub(crate) result_url: String,
    pub(crate) timeout_url: String,
    pub(crate) is_initiator_known: bool,
    pub(crate) outcome: Outcome,
}

/// Payments by originator id, tokens, and the paying account.
#[derive(Debug)]
pub(crate) struct Disbursements {
    pub(crate) by_originator: BTreeMap<String, Disbursement>,
    pub(crate) tokens: BTreeSet<String>,
    pub(crate) tokens_issued: u64,
    pub(crate) enquiries: u64,
    pub(crate) float_minor: i64,
}

impl Default for Disbursements {
    fn default() -> Self {
        Self {
            by_originator: BTreeMap::new(),
            tokens: BTreeSet::new(),
            tokens_issued: 0,
            enquiries: 0,
            float_minor: FLOAT_MINOR_DEFAULT,
        }
    }
}

/// The provider's endpoints, relative to its base address.
pub(crate) fn router() -> Router<World> {
    Router::new()
        .route("/oauth/v1/generate", get(token))
        .route("/mpesa/b2c/v3/paymentrequest", post(pay))
        .route("/mpesa/transactionstatus/v1/query", post(enquire))
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let request_id = draw::hex(16, &["request", code, message]);
    json(
        status,
        &json!({"requestId": request_id, "errorCode": code, "errorMessage": message}),
    )
}

fn trouble(status: u16) -> Response {
    match status {
        429 => error(429, "500.003.02", "Spike Arrest Violation"),
        status => error(status, "500.003.1001", "Internal Server Error"),
    }
}

fn field<'a>(body: &'a Value, name: &str) -> &'a str {
    body.get(name).and_then(Value::as_str).unwrap_or_default()
}

async fn token(Shared(world): Shared<World>, headers: HeaderMap) -> Response {
    let expected = world.with(|state, _| {
        let credentials = &state.settings.credentials;
        let pair = format!(
            "{}:{}",
            credentials.mpesa_consumer_key, credentials.mpesa_consumer_secret
        );
        format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()))
    });
    let shown = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    if shown != Some(expected.as_str()) {
        return error(400, "400.008.01", "Invalid Authentication passed");
    }
    let issued = world.with(|state, _| {
        state.mpesa.tokens_issued += 1;
        let nth = state.mpesa.tokens_issued.to_string();
        let token = draw::hex(28, &[&state.salt, "token", &nth]);
        state.mpesa.tokens.insert(token.clone());
        token
    });
    json(200, &json!({"access_token": issued, "expires_in": "3599"}))
}

fn unauthorised(world: &World, headers: &HeaderMap) -> Option<Response> {
    let shown = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let Some(bearer) = shown.and_then(|text| text.strip_prefix("Bearer ")) else {
        return Some(error(404, "404.001.04", "Invalid Authentication Header"));
    };
    let known = world.with(|state, _| state.mpesa.tokens.contains(bearer));
    (!known).then(|| error(401, "401.002.01", "Error Occurred - Invalid Access Token"))
}

async fn pay(Shared(world): Shared<World>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(refusal) = unauthorised(&world, &headers) {
        return refusal;
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let payment = match read(&world, &body) {
        Ok(payment) => payment,
        Err(name) => {
            return error(400, "400.002.02", &format!("Bad Request - Invalid {name}"));
        }
    };
    let digits = payment.digits.clone();
    let subject = Subject {
        provider: NAME,
        operation: "b2c",
        key: &digits,
    };
    let mut overtakes = false;
    let response = faulted(&world, subject, trouble, |state, now| {
        let (response, overtook) = accept(state, now, payment);
        overtakes = overtook;
        response
    });
    if overtakes {
        // the result is on its way before the acknowledgement
        world.step().await;
    }
    response
}

/// The payment a request asks for, or the name of its first bad field.
fn read(world: &World, body: &Value) -> Result<Disbursement, &'static str> {
    let shillings = match body.get("Amount") {
        Some(Value::String(text)) => text.parse::<i64>().ok(),
        Some(Value::Number(number)) => number.as_i64(),
        _ => None,
    };
    let originator_id = field(body, "OriginatorConversationID");
    if originator_id.is_empty() {
        return Err("OriginatorConversationID");
    }
    if field(body, "InitiatorName").is_empty() {
        return Err("InitiatorName");
    }
    if !["SalaryPayment", "BusinessPayment", "PromotionPayment"].contains(&field(body, "CommandID"))
    {
        return Err("CommandID");
    }
    let shillings = shillings
        .filter(|shillings| *shillings >= 1)
        .ok_or("Amount")?;
    let known =
        world.with(|state, _| state.settings.credentials.mpesa_shortcode == field(body, "PartyA"));
    if !known {
        return Err("PartyA");
    }
    let party_b = field(body, "PartyB");
    let phone = Msisdn::parse(party_b)
        .ok()
        .filter(|phone| phone.digits() == party_b);
    let phone = phone.ok_or("PartyB")?;
    if !(2..=100).contains(&field(body, "Remarks").chars().count()) {
        return Err("Remarks");
    }
    for name in ["ResultURL", "QueueTimeOutURL"] {
        if !field(body, name).starts_with("http") {
            return Err(name);
        }
    }
    Ok(Disbursement {
        originator_id: originator_id.to_owned(),
        conversation_id: String::new(),
        digits: phone.digits().to_owned(),
        shillings,
        result_url: field(body, "ResultURL").to_owned(),
        timeout_url: field(body, "QueueTimeOutURL").to_owned(),
        is_initiator_known: !field(body, "SecurityCredential").is_empty(),
        outcome: Outcome::Moving,
    })
}

/// Takes a payment once; the second value is whether its result overtakes the acknowledgement.
fn accept(state: &mut State, now: DateTime<Utc>, mut payment: Disbursement) -> (Response, bool) {
    state.faults.count("b2c_requests");
    if state
        .mpesa
        .by_originator
        .contains_key(&payment.originator_id)
    {
        state.faults.count("b2c_duplicates");
        return (
            error(500, "500.002.1001", "Duplicate OriginatorConversationID"),
            false,
        );
    }
    payment.conversation_id = conversation_id(&state.salt, now, &payment.originator_id);
    let behaviour = state.wallets.phone(&payment.digits).b2c.clone();
    let overtakes = behaviour == B2cBehaviour::BeforeAck
        || state.faults.overtakes(NAME, "b2c-ack", &payment.digits);
    let seconds = draw::below(5, &[&state.salt, "settle", &payment.originator_id]);
    let after = if overtakes { 0 } else { 1 + i64::from(seconds) };
    let settle = Action::Settle {
        originator_id: payment.originator_id.clone(),
    };
    state.schedule.add(now + TimeDelta::seconds(after), settle);
    let body = json!({"ConversationID": payment.conversation_id,
                      "OriginatorConversationID": payment.originator_id,
                      "ResponseCode": "0",
                      "ResponseDescription": "Accept the service request successfully."});
    state
        .mpesa
        .by_originator
        .insert(payment.originator_id.clone(), payment);
    (json(200, &body), overtakes)
}

fn conversation_id(salt: &str, now: DateTime<Utc>, about: &str) -> String {
    format!(
        "AG_{}_{}",
        now.format("%Y%m%d"),
        draw::hex(20, &[salt, "conversation", about])
    )
}

async fn enquire(Shared(world): Shared<World>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(refusal) = unauthorised(&world, &headers) {
        return refusal;
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let subject_id = match field(&body, "OriginatorConversationID") {
        "" => field(&body, "TransactionID"),
        id => id,
    };
    let missing = [
        "Initiator",
        "SecurityCredential",
        "ResultURL",
        "QueueTimeOutURL",
    ]
    .into_iter()
    .find(|name| field(&body, name).is_empty())
    .or((field(&body, "CommandID") != "TransactionStatusQuery").then_some("CommandID"))
    .or((field(&body, "IdentifierType") != "4").then_some("IdentifierType"))
    .or(subject_id.is_empty().then_some("OriginatorConversationID"));
    if let Some(name) = missing {
        return error(400, "400.002.02", &format!("Bad Request - Invalid {name}"));
    }
    let key = world.with(|state, _| {
        let payment = state.mpesa.by_originator.get(subject_id);
        payment.map_or_else(String::new, |payment| payment.digits.clone())
    });
    let subject = Subject {
        provider: NAME,
        operation: "status",
        key: &key,
    };
    faulted(&world, subject, trouble, |state, now| {
        state.mpesa.enquiries += 1;
        state.faults.count("status_enquiries");
        let nth = format!("enquiry-{}", state.mpesa.enquiries);
        let enquiry = Enquiry {
            originator_id: draw::hex(24, &[&state.salt, &nth]),
            conversation_id: conversation_id(&state.salt, now, &nth),
            subject: subject_id.to_owned(),
            result_url: field(&body, "ResultURL").to_owned(),
        };
        let ack = json!({"ConversationID": enquiry.conversation_id,
                         "OriginatorConversationID": enquiry.originator_id,
                         "ResponseCode": "0",
                         "ResponseDescription": "Accept the service request successfully."});
        let seconds = 1 + draw::below(4, &[&state.salt, "enquiry-delay", &nth]);
        let at = now + TimeDelta::seconds(i64::from(seconds));
        state.schedule.add(at, Action::AnswerEnquiry(enquiry));
        json(200, &ack)
    })
}
