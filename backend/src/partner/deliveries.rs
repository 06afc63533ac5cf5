//! What a partner was told, over REST: each delivery with what came of it; one of them, or all since
//! a time, sent again; and a test. Must never change what a delivery says, nor send anything itself.
//! Called over HTTP by partners.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::id::{DeliveryId, EndpointId};
use domain::webhook::{EventKind, Notice};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::api_keys::Scope;
use store::deliveries::{self, Delivery, DeliveryState, Hearer, NewDelivery, Replay};
use store::endpoints;
use utoipa::{IntoParams, ToSchema};

use super::caller::Partner;
use super::change::{Begun, Change, Mutation, Reply};
use super::input::{self, FieldFault};
use super::page::{Filter, Listed, PageQuery, Paging};
use crate::App;
use crate::error::ApiError;
use crate::routes::Route;

/// Most deliveries sent again by one request.
const REPLAY_MAX: i64 = 10_000;

pub(super) fn routes() -> Vec<Route> {
    let (read, write) = (Scope::WebhooksRead, Scope::WebhooksWrite);
    vec![
        Route::partner_get("/api/v1/deliveries", read, list),
        Route::partner_get("/api/v1/deliveries/{delivery}", read, show),
        Route::partner_post("/api/v1/deliveries/{delivery}/replay", write, replay),
        Route::partner_post("/api/v1/endpoints/{endpoint}/test", write, test),
        Route::partner_post("/api/v1/endpoints/{endpoint}/replay", write, replay_since),
    ]
}

/// One event on its way to one endpoint.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct DeliveryBody {
    /// `dlv_…`.
    id: String,
    /// `whk_…`.
    endpoint_id: String,
    /// `evt_…`, the `webhook-id` it carries at every attempt.
    event_id: String,
    /// `payout.paid` and the like.
    event: &'static str,
    /// `pending`, `delivered` or `failed`.
    state: &'static str,
    /// Attempts since it was written, or last sent again.
    attempts: i16,
    /// How often it was sent again.
    replays: i32,
    /// When it happened.
    occurred_at: DateTime<Utc>,
    /// When it is tried next.
    next_attempt_at: Option<DateTime<Utc>>,
    /// When it was tried last.
    attempted_at: Option<DateTime<Utc>>,
    /// HTTP status of the last answer.
    status: Option<i16>,
    /// What went wrong last: `status`, `connect`, `timeout`, `broken`, `address_refused`,
    /// `url_refused` or `endpoint_disabled`.
    failure: Option<String>,
    /// When it was delivered, or given up.
    decided_at: Option<DateTime<Utc>>,
    /// What is sent.
    body: Value,
}

impl From<Delivery> for DeliveryBody {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            endpoint_id: delivery.endpoint_id.to_string(),
            event_id: delivery.event_id.to_string(),
            event: delivery.kind.as_str(),
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            replays: delivery.replays,
            occurred_at: delivery.occurred_at,
            next_attempt_at: delivery.next_attempt_at,
            attempted_at: delivery.attempted_at,
            status: delivery.status,
            failure: delivery.failure,
            decided_at: delivery.decided_at,
            body: serde_json::from_str(&delivery.body).unwrap_or_default(),
        }
    }
}

/// Which deliveries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveryQuery {
    /// To this endpoint only, `whk_…`.
    endpoint: Option<String>,
    /// `pending`, `delivered` or `failed`.
    state: Option<String>,
    /// Of this event only: `payout.paid` and the like.
    event: Option<String>,
    /// Of what happened at or after this time.
    since: Option<String>,
}

/// What is sent again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayInput {
    /// What happened, or was given up, at or after this time; and whatever waits.
    since: String,
    /// Also what was delivered; otherwise only what failed or still waits.
    #[serde(default)]
    delivered: bool,
    /// `dlv_…`: where the request before this one ended.
    after: Option<String>,
}

/// How much is sent again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReplayedBody {
    /// Deliveries that are due again.
    replayed: i64,
    /// Whether that was all.
    complete: bool,
    /// If it was not, ask again with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

/// A test under way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestBody {
    /// `dlv_…`: look at this delivery for what came of it.
    delivery_id: String,
}

/// Deliveries in the order in which they were written; they are kept for 30 days once decided.
#[utoipa::path(
    get, path = "/api/v1/deliveries", tag = "webhooks", params(DeliveryQuery, PageQuery),
    responses((status = 200, body = Listed<DeliveryBody>), (status = 422))
)]
pub(crate) async fn list(
    partner: Partner,
    State(app): State<App>,
    paging: Paging,
    Filter(query): Filter<DeliveryQuery>,
) -> Result<Json<Listed<DeliveryBody>>, ApiError> {
    let filter = filter(&query).map_err(FieldFault::refuse)?;
    let mut tx = partner.begin(&app).await?;
    let rows = deliveries::list(&mut tx, partner.organisation, &filter, paging.slice).await?;
    Ok(Json(Listed::of(
        rows,
        paging,
        |row| row.id.uuid(),
        DeliveryBody::from,
    )))
}

/// One delivery.
#[utoipa::path(
    get, path = "/api/v1/deliveries/{delivery}", tag = "webhooks",
    params(("delivery" = String, Path)),
    responses((status = 200, body = DeliveryBody), (status = 404))
)]
pub(crate) async fn show(
    partner: Partner,
    State(app): State<App>,
    Path(delivery): Path<String>,
) -> Result<Json<DeliveryBody>, ApiError> {
    let id: DeliveryId = input::id_in_path(&delivery)?;
    let mut tx = partner.begin(&app).await?;
    let delivery = deliveries::find(&mut tx, partner.organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    Ok(Json(delivery.into()))
}

/// Sends one delivery again, under the same `webhook-id`.
#[utoipa::path(
    post, path = "/api/v1/deliveries/{delivery}/replay", tag = "webhooks",
    params(("delivery" = String, Path)),
    responses((status = 202, body = DeliveryBody), (status = 404), (status = 409))
)]
pub(crate) async fn replay(
    partner: Partner,
    State(app): State<App>,
    Path(delivery): Path<String>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    let id: DeliveryId = input::id_in_path(&delivery)?;
    let mut change = match mutation.begin(&app, &partner).await? {
        Begun::Fresh(change) => change,
        Begun::Replayed(response) => return Ok(response),
    };
    let now = change.now;
    let organisation = partner.organisation;
    let found = deliveries::find(change.conn(), organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    lock_enabled(&mut change, &partner, found.endpoint_id).await?;
    if !deliveries::replay(change.conn(), now, found.endpoint_id, id).await? {
        let rule = "the delivery is being sent at this moment; look at what comes of it";
        return Err(ApiError::conflict("delivery_under_way", rule));
    }
    let delivery = deliveries::find(change.conn(), organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let reply = Reply::new(StatusCode::ACCEPTED, &DeliveryBody::from(delivery))?;
    change.finish(&app, reply).await
}

/// Sends `endpoint.tested` to an endpoint, like any other event.
#[utoipa::path(
    post, path = "/api/v1/endpoints/{endpoint}/test", tag = "webhooks",
    params(("endpoint" = String, Path)),
    responses((status = 202, body = TestBody), (status = 404), (status = 409))
)]
pub(crate) async fn test(
    partner: Partner,
    State(app): State<App>,
    Path(endpoint): Path<String>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    let id: EndpointId = input::id_in_path(&endpoint)?;
    let mut change = match mutation.begin(&app, &partner).await? {
        Begun::Fresh(change) => change,
        Begun::Replayed(response) => return Ok(response),
    };
    let now = change.now;
    lock_enabled(&mut change, &partner, id).await?;
    let delivery_id: DeliveryId = app.ids.mint(now);
    let notice = Notice::of_test(app.ids.mint(now), now, id);
    let new = NewDelivery {
        id: delivery_id,
        hearer: Hearer {
            endpoint_id: id,
            is_enabled: true,
        },
        organisation_id: partner.organisation,
        notice: &notice,
    };
    deliveries::insert(change.conn(), now, &new).await?;
    let body = TestBody {
        delivery_id: delivery_id.to_string(),
    };
    change
        .finish(&app, Reply::new(StatusCode::ACCEPTED, &body)?)
        .await
}

/// Sends again what an endpoint missed since a time, or everything since then, in order; at most ten
/// thousand by one request.
#[utoipa::path(
    post, path = "/api/v1/endpoints/{endpoint}/replay", tag = "webhooks",
    params(("endpoint" = String, Path)), request_body = ReplayInput,
    responses((status = 202, body = ReplayedBody), (status = 404), (status = 409), (status = 422))
)]
pub(crate) async fn replay_since(
    partner: Partner,
    State(app): State<App>,
    Path(endpoint): Path<String>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    let id: EndpointId = input::id_in_path(&endpoint)?;
    let wanted: ReplayInput = mutation.json()?;
    let since = input::instant("since", &wanted.since).map_err(FieldFault::refuse)?;
    let after: Option<DeliveryId> = wanted
        .after
        .as_deref()
        .map(|text| input::id_in_body("after", text))
        .transpose()
        .map_err(FieldFault::refuse)?;
    let mut change = match mutation.begin(&app, &partner).await? {
        Begun::Fresh(change) => change,
        Begun::Replayed(response) => return Ok(response),
    };
    let now = change.now;
    lock_enabled(&mut change, &partner, id).await?;
    if let Some(after) = after {
        let found = deliveries::find(change.conn(), partner.organisation, after).await?;
        if found.is_none_or(|found| found.endpoint_id != id) {
            let rule = "after is not a delivery of this endpoint; begin without it";
            return Err(FieldFault::new("after", "unknown", rule).refuse());
        }
    }
    let replay = Replay {
        since,
        with_delivered: wanted.delivered,
        after,
        limit: REPLAY_MAX,
    };
    let (replayed, last) = deliveries::replay_since(change.conn(), now, id, &replay).await?;
    let is_complete = replayed < REPLAY_MAX;
    let body = ReplayedBody {
        replayed,
        complete: is_complete,
        after: last.filter(|_| !is_complete).map(|id| id.to_string()),
    };
    change
        .finish(&app, Reply::new(StatusCode::ACCEPTED, &body)?)
        .await
}

/// Locks an endpoint that may be sent to.
async fn lock_enabled(
    change: &mut Change,
    partner: &Partner,
    id: EndpointId,
) -> Result<(), ApiError> {
    let endpoint = endpoints::lock(change.conn(), partner.organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    if endpoint.disabled.is_none() {
        return Ok(());
    }
    let rule = "the endpoint is disabled; enable it first";
    Err(ApiError::conflict("endpoint_disabled", rule))
}

fn filter(query: &DeliveryQuery) -> Result<deliveries::Filter, FieldFault> {
    let endpoint_id: Option<EndpointId> = query
        .endpoint
        .as_deref()
        .map(|text| input::id_in_body("endpoint", text))
        .transpose()?;
    let state = query.state.as_deref().map(|text| {
        let rule = "state must be pending, delivered or failed";
        DeliveryState::parse(text).ok_or_else(|| FieldFault::new("state", "malformed", rule))
    });
    let kind = query.event.as_deref().map(|text| {
        let rule = "event must be the name of one, such as payout.paid";
        EventKind::parse(text).ok_or_else(|| FieldFault::new("event", "malformed", rule))
    });
    let since = query.since.as_deref();
    Ok(deliveries::Filter {
        endpoint_id,
        state: state.transpose()?,
        kind: kind.transpose()?,
        since: since
            .map(|text| input::instant("since", text))
            .transpose()?,
    })
}
