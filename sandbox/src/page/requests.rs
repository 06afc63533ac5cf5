//! What the page's buttons ask for besides phones: play and pause, the sky, two operators' approvals.
//! Every body is JSON and says so, which a form on another site cannot; a mistake is 400 with the
//! reason. Routed by the page.

use axum::body::Bytes;
use axum::extract::{Path, State as Shared};
use axum::response::Response;
use http::{HeaderMap, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Page;
use super::calendar::Pace;
use crate::reply::json;
use crate::season::net::Operator;
use crate::weather::scenario::Scenario;

/// Longest id of an evaluation.
const ID_CHARS_MAX: usize = 64;
/// Longest wait for the backend's answer to an approval.
const ANSWER_SECONDS_MAX: u64 = 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockOrder {
    #[serde(default)]
    playing: Option<bool>,
    #[serde(default)]
    pace: Option<Pace>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SkyOrder {
    scenario: Scenario,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Desk {
    First,
    Second,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Approval {
    operator: Desk,
}

/// A refusal in words.
pub(super) fn refusal(status: u16, message: &str) -> Response {
    json(status, &json!({"error": message}))
}

/// The body as `T`, or the refusal that says what is wrong with it.
#[expect(clippy::result_large_err, reason = "the error is the answer itself")]
pub(super) fn read<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Response> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    if !kind.starts_with("application/json") {
        return Err(refusal(415, "send application/json"));
    }
    serde_json::from_slice(bytes).map_err(|error| refusal(400, &error.to_string()))
}

pub(super) async fn clock(
    Shared(page): Shared<Page>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let order: ClockOrder = match read(&headers, &bytes) {
        Ok(order) => order,
        Err(refused) => return refused,
    };
    let Some(player) = &page.0.player else {
        return refusal(
            409,
            "this system runs on real time; its clock cannot be played",
        );
    };
    player.order(order.playing, order.pace);
    let orders = player.orders();
    json(
        200,
        &json!({"playing": orders.is_playing, "pace": orders.pace}),
    )
}

pub(super) async fn weather(
    Shared(page): Shared<Page>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let order: SkyOrder = match read(&headers, &bytes) {
        Ok(order) => order,
        Err(refused) => return refused,
    };
    match page.choose_sky(order.scenario) {
        Ok(()) => json(200, &json!({"scenario": page.sky_name()})),
        Err(message) => refusal(409, message),
    }
}

/// One of two operators approves a held release; the product itself refuses one person twice.
pub(super) async fn approve(
    Shared(page): Shared<Page>,
    Path(evaluation): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let approval: Approval = match read(&headers, &bytes) {
        Ok(approval) => approval,
        Err(refused) => return refused,
    };
    let is_id = evaluation.len() <= ID_CHARS_MAX
        && evaluation
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !is_id {
        return refusal(400, "that is no evaluation's id");
    }
    let operator = match approval.operator {
        Desk::First => Operator::Maker,
        Desk::Second => Operator::Checker,
    };
    let path = format!("/api/v1/payout-runs/{evaluation}/approve");
    let body = json!({"reason": "approved on the page"});
    let asked = page.0.net.order(operator, "POST", &path, &body);
    let limit = std::time::Duration::from_secs(ANSWER_SECONDS_MAX);
    match tokio::time::timeout(limit, asked).await {
        Ok(Ok(answer)) if answer.status == 200 => {
            json(200, &json!({"state": answer.body["state"]}))
        }
        Ok(Ok(answer)) => {
            let detail = answer.body["detail"].as_str();
            refusal(409, detail.unwrap_or("the product refused the approval"))
        }
        Ok(Err(_)) | Err(_) => refusal(502, "the backend did not answer; try again"),
    }
}
