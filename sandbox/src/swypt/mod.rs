//! Swypt's twin: orders that ring a phone, statuses in mixed types, one deposit an order, and the
//! history with amounts. Money leaves a wallet only when its owner's behaviour says so; nobody is
//! ever called back. Nested under `/swypt/api`.

mod reading;

use std::collections::BTreeMap;

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
use crate::schedule::Action;
use crate::wallets::{Prompt, StkBehaviour};
use crate::world::State;
use crate::{World, draw};

const NAME: &str = "swypt";
/// A handset shows one prompt at a time and drops it after about this long.
const PROMPT_SECONDS: i64 = 60;
/// When a doubled collection follows the first.
const TWICE_SECONDS: i64 = 40;
/// How much more is taken from who pays over, shillings.
const OVER_SHILLINGS: i64 = 50;

#[derive(Debug, Clone, PartialEq, Eq)]
enum OrderState {
    Pending,
    Success,
    Failed(&'static str),
}

#[derive(Debug, Clone)]
struct Order {
    id: String,
    digits: String,
    shillings: i64,
    user_address: String,
    created_at: DateTime<Utc>,
    state: OrderState,
    receipt: Option<String>,
    hash: Option<String>,
}

/// Orders by id, and ids in order of making.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    by_id: BTreeMap<String, Order>,
    sequence: Vec<String>,
}

/// The provider's endpoints, relative to its base address.
pub(crate) fn router() -> Router<World> {
    Router::new()
        .route("/onramp-orders", post(order))
        .route("/onramp-order-status/{order_id}", get(reading::status))
        .route("/deposit", post(deposit))
        .route("/deposit-transactions/{address}", get(reading::history))
        .route("/fx-quotes", post(reading::quote))
}

fn error(status: u16, message: &str) -> Response {
    json(status, &json!({"status": "error", "message": message}))
}

fn trouble(status: u16) -> Response {
    match status {
        429 => error(429, "Too many requests"),
        status => json(status, &json!({"error": "Internal server error"})),
    }
}

fn unauthorised(world: &World, headers: &HeaderMap) -> Option<Response> {
    let shown = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(key), Some(secret)) = (shown("x-api-key"), shown("x-api-secret")) else {
        return Some(error(401, "API key and secret are required"));
    };
    let known = world.with(|state, _| {
        let credentials = &state.settings.credentials;
        credentials.swypt_api_key == key && credentials.swypt_secret_key == secret
    });
    (!known).then(|| error(401, "Invalid API credentials"))
}

fn field<'a>(body: &'a Value, name: &str) -> &'a str {
    body.get(name).and_then(Value::as_str).unwrap_or_default()
}

async fn order(Shared(world): Shared<World>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(refusal) = unauthorised(&world, &headers) {
        return refusal;
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let phone = Msisdn::parse(field(&body, "partyA"));
    let shillings = field(&body, "amount").parse::<i64>();
    let (Ok(phone), Ok(shillings)) = (phone, shillings) else {
        return error(400, "Failed to record the onramp transaction order");
    };
    let is_whole = field(&body, "side") == "onramp"
        && !field(&body, "userAddress").is_empty()
        && !field(&body, "tokenAddress").is_empty()
        && (1..=10_000).contains(&shillings);
    if !is_whole {
        return error(400, "Failed to record the onramp transaction order");
    }
    let subject = Subject {
        provider: NAME,
        operation: "order",
        key: phone.digits(),
    };
    faulted(&world, subject, trouble, |state, now| {
        ring(
            state,
            now,
            phone.digits(),
            shillings,
            field(&body, "userAddress"),
        )
    })
}

/// Rings the phone, unless it is busy with a prompt.
fn ring(
    state: &mut State,
    now: DateTime<Utc>,
    digits: &str,
    shillings: i64,
    address: &str,
) -> Response {
    let open_since = now - TimeDelta::seconds(PROMPT_SECONDS);
    let owner = state.wallets.phone(digits);
    let is_busy = owner
        .prompts
        .iter()
        .any(|prompt| prompt.state == "open" && prompt.at > open_since);
    if is_busy {
        state.faults.count("prompts_refused_busy");
        return error(500, "Failed to initiate STK Push payment");
    }
    let (behaviour, late_seconds) = (owner.stk, owner.late_seconds);
    let id = enter(state, now, digits, shillings, address);
    let nth = state.swypt.sequence.len().to_string();
    let think = |from: i64, span| {
        let seconds = draw::below(span, &[&state.salt, "think", digits, &nth]);
        TimeDelta::seconds(from + i64::from(seconds))
    };
    let answer_after = match behaviour {
        StkBehaviour::Pay | StkBehaviour::Twice | StkBehaviour::Over => Some(think(6, 14)),
        StkBehaviour::Cancel | StkBehaviour::Short => Some(think(3, 6)),
        StkBehaviour::Late => Some(TimeDelta::seconds(i64::from(late_seconds))),
        StkBehaviour::Never | StkBehaviour::Ask => None,
    };
    state.faults.count("prompts");
    let prompt = Prompt {
        at: now,
        order_id: id.clone(),
        amount_minor: shillings.saturating_mul(100),
        state: "open",
    };
    state.wallets.phone(digits).prompts.push(prompt);
    if let Some(after) = answer_after {
        state.schedule.add(
            now + after,
            Action::AnswerPrompt {
                order_id: id.clone(),
            },
        );
    }
    json(
        200,
        &json!({"status": "success", "message": "STK Push initiated successfully",
                "data": {"orderID": id, "message": "Success. Request accepted for processing"}}),
    )
}

/// Enters a pending order and gives its id.
fn enter(
    state: &mut State,
    now: DateTime<Utc>,
    digits: &str,
    shillings: i64,
    address: &str,
) -> String {
    const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut nth = state.swypt.sequence.len();
    let id = loop {
        let nth_text = nth.to_string();
        let parts = [state.salt.as_str(), "order", digits, nth_text.as_str()];
        let tail = [state.salt.as_str(), "order-tail", digits, nth_text.as_str()];
        let id = format!(
            "D-{}-{}",
            draw::text(5, LOWER, &parts),
            draw::text(2, UPPER, &tail)
        );
        if !state.swypt.by_id.contains_key(&id) {
            break id;
        }
        nth += 1_000_003;
    };
    let order = Order {
        id: id.clone(),
        digits: digits.to_owned(),
        shillings,
        user_address: address.to_owned(),
        created_at: now,
        state: OrderState::Pending,
        receipt: None,
        hash: None,
    };
    state.swypt.by_id.insert(id.clone(), order);
    state.swypt.sequence.push(id.clone());
    id
}

/// A person at the phone answers its open prompt: pays (and is refused when the wallet is short) or
/// cancels. Gives what the prompt shows then; an error says why nothing was done.
pub(crate) fn answer_by_hand(
    state: &mut State,
    digits: &str,
    order_id: &str,
    is_paying: bool,
    at: DateTime<Utc>,
) -> Result<&'static str, &'static str> {
    let owner = state.wallets.phone(digits);
    let is_open = |prompt: &&mut Prompt| prompt.order_id == order_id && prompt.state == "open";
    let Some(prompt) = owner.prompts.iter_mut().find(is_open) else {
        return Err("no such prompt is open on this phone");
    };
    let minor = prompt.amount_minor;
    let (outcome, shown) = if !is_paying {
        (OrderState::Failed("Request cancelled by user"), "cancelled")
    } else if state.wallets.collect(digits, minor, order_id, at).is_ok() {
        (OrderState::Success, "paid")
    } else {
        (OrderState::Failed("Insufficient balance"), "short")
    };
    let receipt = (outcome == OrderState::Success).then(|| receipt(&state.salt, order_id));
    if let Some(order) = state.swypt.by_id.get_mut(order_id) {
        order.state = outcome;
        order.receipt = receipt;
    }
    let prompts = &mut state.wallets.phone(digits).prompts;
    if let Some(prompt) = prompts.iter_mut().find(|p| p.order_id == order_id) {
        prompt.state = shown;
    }
    Ok(shown)
}

/// The owner of the prompted phone acts.
pub(crate) fn answer_prompt(state: &mut State, order_id: &str, at: DateTime<Utc>) {
    let Some(order) = state.swypt.by_id.get(order_id).cloned() else {
        return;
    };
    let behaviour = state.wallets.phone(&order.digits).stk;
    let taken = order.shillings
        + if behaviour == StkBehaviour::Over {
            OVER_SHILLINGS
        } else {
            0
        };
    let (outcome, shown) = match behaviour {
        StkBehaviour::Cancel => (OrderState::Failed("Request cancelled by user"), "cancelled"),
        StkBehaviour::Short => (OrderState::Failed("Insufficient balance"), "short"),
        _ => match state
            .wallets
            .collect(&order.digits, taken.saturating_mul(100), order_id, at)
        {
            Ok(()) => (OrderState::Success, "paid"),
            Err(_) => (OrderState::Failed("Insufficient balance"), "short"),
        },
    };
    let is_paid = outcome == OrderState::Success;
    let receipt = is_paid.then(|| receipt(&state.salt, order_id));
    if let Some(order) = state.swypt.by_id.get_mut(order_id) {
        order.state = outcome;
        order.receipt = receipt;
        order.shillings = taken;
    }
    let prompts = &mut state.wallets.phone(&order.digits).prompts;
    if let Some(prompt) = prompts
        .iter_mut()
        .find(|prompt| prompt.order_id == order_id)
    {
        prompt.state = shown;
    }
    if is_paid && behaviour == StkBehaviour::Twice {
        let again = at + TimeDelta::seconds(TWICE_SECONDS);
        state.schedule.add(
            again,
            Action::CollectAgain {
                order_id: order_id.to_owned(),
            },
        );
    }
}

/// M-Pesa takes the money of an order once more, under an order nobody asked for.
pub(crate) fn collect_again(state: &mut State, order_id: &str, at: DateTime<Utc>) {
    let Some(first) = state.swypt.by_id.get(order_id).cloned() else {
        return;
    };
    let id = enter(
        state,
        at,
        &first.digits,
        first.shillings,
        &first.user_address,
    );
    let minor = first.shillings.saturating_mul(100);
    let taken = state.wallets.collect(&first.digits, minor, &id, at).is_ok();
    let receipt = taken.then(|| receipt(&state.salt, &id));
    if let Some(order) = state.swypt.by_id.get_mut(&id) {
        order.state = if taken {
            OrderState::Success
        } else {
            OrderState::Failed("Insufficient balance")
        };
        order.receipt = receipt;
    }
    state.faults.count("collected_twice");
}

fn receipt(salt: &str, order_id: &str) -> String {
    draw::text(
        10,
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        &[salt, "receipt", order_id],
    )
}

async fn deposit(Shared(world): Shared<World>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(refusal) = unauthorised(&world, &headers) {
        return refusal;
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (order_id, chain) = (
        field(&body, "orderID").to_owned(),
        field(&body, "chain").to_owned(),
    );
    if order_id.is_empty() || field(&body, "address").is_empty() {
        return error(400, "Missing required parameters: address or orderID");
    }
    if !["base", "celo", "polygon", "lisk"].contains(&chain.as_str()) {
        return error(400, &format!("Invalid chain: {chain}"));
    }
    let digits = world.with(|state, _| Some(state.swypt.by_id.get(&order_id)?.digits.clone()));
    let key = digits.unwrap_or_default();
    let subject = Subject {
        provider: NAME,
        operation: "deposit",
        key: &key,
    };
    faulted(&world, subject, trouble, |state, now| {
        let hash = format!("0x{}", draw::hex(64, &[&state.salt, "deposit", &order_id]));
        let Some(order) = state.swypt.by_id.get_mut(&order_id) else {
            return error(
                404,
                &format!("No transaction found for orderID: {order_id}"),
            );
        };
        match (&order.state, &order.hash) {
            (OrderState::Pending, _) => error(
                400,
                &format!("Transaction {order_id}: STK push payment is being processed"),
            ),
            (OrderState::Failed(_), _) => {
                error(400, &format!("Transaction {order_id}: Payment failed"))
            }
            (OrderState::Success, Some(_)) => error(
                400,
                &format!("Transaction {order_id} has already been processed"),
            ),
            (OrderState::Success, None) => {
                order.hash = Some(hash.clone());
                json(
                    200,
                    &json!({"status": 200, "message": "Transaction processed successfully",
                            "createdAt": reading::stamp(order.created_at), "updatedAt": reading::stamp(now),
                            "hash": hash}),
                )
            }
        }
    })
}
