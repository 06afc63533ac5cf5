//! What Swypt tells when asked: the status of an order, the history with amounts, a quote. Texts and
//! numbers are mixed as the real one mixes them; nothing here changes an order.
//! Called by the twin's router.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{Path, Query, State as Shared};
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};
use http::HeaderMap;
use serde_json::{Value, json};

use super::{NAME, Order, OrderState, error, field, trouble, unauthorised};
use crate::reply::{Subject, faulted, json};
use crate::{World, draw};

/// Shillings for one coin, in hundredths (sample quote).
const RATE_HUNDREDTHS: i64 = 12_945;
/// How wrong a wrong history is, shillings.
const WRONG_HISTORY_SHILLINGS: i64 = 50;
/// Longest history page served.
const ROWS_MAX: usize = 100;

fn checkout_id(order: &Order) -> String {
    format!(
        "ws_CO_{}{}",
        order.created_at.format("%d%m%Y%H%M%S"),
        order.digits
    )
}

pub(super) fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(super) async fn status(
    Shared(world): Shared<World>,
    Path(order_id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = unauthorised(&world, &headers) {
        return refusal;
    }
    let digits = world.with(|state, _| Some(state.swypt.by_id.get(&order_id)?.digits.clone()));
    let key = digits.unwrap_or_default();
    let subject = Subject {
        provider: NAME,
        operation: "status",
        key: &key,
    };
    faulted(&world, subject, trouble, |state, _| {
        let Some(order) = state.swypt.by_id.get(&order_id) else {
            return error(404, &format!("Transaction {order_id} not found"));
        };
        let (word, message, description) = match &order.state {
            OrderState::Pending => (
                "PENDING",
                "Your deposit is being processed",
                "Transaction initiated",
            ),
            OrderState::Success => (
                "SUCCESS",
                "Deposit completed successfully",
                "Transaction initiated",
            ),
            OrderState::Failed(reason) => ("FAILED", *reason, *reason),
        };
        let receipt = order.receipt.clone().unwrap_or_else(|| checkout_id(order));
        json(
            200,
            &json!({"status": "success", "data": {
                "status": word, "message": message, "orderID": order.id,
                "details": {"phoneNumber": order.digits, "mpesaReceipt": receipt,
                            "transactionDate": stamp(order.created_at),
                            "resultDescription": description}}}),
        )
    })
}

pub(super) async fn history(
    Shared(world): Shared<World>,
    Path(address): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = unauthorised(&world, &headers) {
        return refusal;
    }
    let number = |name: &str, otherwise| {
        query
            .get(name)
            .and_then(|text| text.parse::<usize>().ok())
            .unwrap_or(otherwise)
            .max(1)
    };
    let (page, limit) = (number("page", 1), number("limit", 10).min(ROWS_MAX));
    let subject = Subject {
        provider: NAME,
        operation: "history",
        key: &page.to_string(),
    };
    faulted(&world, subject, trouble, |state, _| {
        let orders: Vec<&Order> = state
            .swypt
            .sequence
            .iter()
            .rev()
            .filter_map(|id| state.swypt.by_id.get(id))
            .filter(|order| order.user_address.eq_ignore_ascii_case(&address))
            .collect();
        if orders.is_empty() {
            return error(404, "No transactions found for the given user address");
        }
        let rows: Vec<Value> = orders
            .iter()
            .skip((page - 1).saturating_mul(limit))
            .take(limit)
            .map(|order| {
                let phone = state.wallets.phones.get(&order.digits);
                row(order, phone.is_some_and(|phone| phone.is_history_wrong))
            })
            .collect();
        json(
            200,
            &json!({"status": 200,
                    "message": "Transactions retrieved successfully (sorted from latest to oldest)",
                    "data": rows,
                    "pagination": {"currentPage": page, "limit": limit,
                                   "totalPages": orders.len().div_ceil(limit),
                                   "totalCount": orders.len()}}),
        )
    })
}

/// A history row; wrong ones show more than was taken.
fn row(order: &Order, is_wrong: bool) -> Value {
    let shown = order.shillings + if is_wrong { WRONG_HISTORY_SHILLINGS } else { 0 };
    // millionths of a coin: shillings, less one of fee, over the rate
    let micro = (order.shillings - 1).max(0).saturating_mul(100_000_000) / RATE_HUNDREDTHS;
    let description = match &order.state {
        OrderState::Pending | OrderState::Success => "Transaction initiated",
        OrderState::Failed(reason) => reason,
    };
    json!({"id": draw::hex(24, &["row", &order.id]),
           "MpesaReceiptNumber": order.receipt,
           "TransactionDate": stamp(order.created_at),
           "cryptoAmount": format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000),
           "feeAmount": "1", "side": "onramp", "symbol": "USDC",
           "isSent": order.hash.is_some(), "createdAt": stamp(order.created_at),
           "Amount": shown, "orderID": order.id, "transactionID": order.hash,
           "PhoneNumber": order.digits.parse::<u64>().unwrap_or_default(),
           "resultDescription": description})
}

pub(super) async fn quote(
    Shared(world): Shared<World>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(refusal) = unauthorised(&world, &headers) {
        return refusal;
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if !["base", "celo", "polygon", "lisk"].contains(&field(&body, "network")) {
        return json(
            400,
            &json!({"statusCode": 400, "message": "Invalid network",
                    "error": "Unsupported network. Supported networks: Lisk, celo, Base, Polygon"}),
        );
    }
    let Ok(amount) = field(&body, "amount").parse::<f64>() else {
        return json(
            400,
            &json!({"statusCode": 400, "message": "Invalid amount",
                                 "error": "amount must be a number"}),
        );
    };
    let rate = 129.45;
    let data = if field(&body, "type") == "offramp" {
        json!({"inputAmount": field(&body, "amount"),
               "outputAmount": format!("{:.4}", amount * rate),
               "inputCurrency": "USDC", "outputCurrency": "KES", "exchangeRate": rate,
               "type": "offramp", "network": field(&body, "network"),
               "fee": {"feeInInputCurrency": "0.007725", "currency": "USDC",
                       "feeInOutputCurrency": 1, "decimals": 6},
               "limits": {"min": 10, "max": 30_000, "currency": "KES"}})
    } else {
        json!({"inputAmount": field(&body, "amount"), "outputAmount": amount / rate,
               "inputCurrency": "KES", "outputCurrency": "USDC", "exchangeRate": rate,
               "type": "onramp", "network": field(&body, "network"),
               "fee": {"feeInKES": 1, "estimatedOutputKES": amount},
               "limits": {"min": 1, "max": 10_000, "currency": "KES"}})
    };
    json(
        200,
        &json!({"statusCode": 200, "message": "Quote retrieved successfully", "data": data}),
    )
}
