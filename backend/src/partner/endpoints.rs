//! Where a partner is told of events, over REST: made, changed, given a new secret, deleted. Must never show a secret twice, not even to the same request
//! repeated, and never take an address that is not on the public internet (but in development).
//! Called over HTTP by partners; sending is the outbound worker's.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use domain::id::EndpointId;
use domain::webhook::{ENDPOINTS_MAX, EventKind, OLD_SECRET_HOURS, OLD_SECRETS_MAX};
use providers::Secret;
use providers::webhook::{Reach, check_url, new_secret};
use runtime::config::Environment;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::api_keys::Scope;
use store::endpoints::{self, Change as EndpointChange, Endpoint, NewEndpoint};
use utoipa::ToSchema;

use super::caller::Partner;
use super::change::{Begun, Change, Mutation, Reply, require_version};
use super::input::{self, FieldFault};
use super::issue::{self, Actor};
use super::page::{Listed, PageQuery, Paging};
use crate::App;
use crate::error::ApiError;
use crate::routes::Route;

/// Longest description, characters.
const DESCRIPTION_CHARS_MAX: usize = 200;

pub(super) fn routes() -> Vec<Route> {
    let (read, write) = (Scope::WebhooksRead, Scope::WebhooksWrite);
    vec![
        Route::partner_get("/api/v1/endpoints", read, list),
        Route::partner_post("/api/v1/endpoints", write, create),
        Route::partner_get("/api/v1/endpoints/{endpoint}", read, show),
        Route::partner_patch("/api/v1/endpoints/{endpoint}", write, correct),
        Route::partner_delete("/api/v1/endpoints/{endpoint}", write, delete),
        Route::partner_post("/api/v1/endpoints/{endpoint}/rotate-secret", write, rotate),
    ]
}

/// An endpoint, without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct EndpointBody {
    /// `whk_…`.
    id: String,
    /// Where events are sent.
    url: String,
    /// The partner's own words.
    description: String,
    /// What it is told of.
    events: Vec<&'static str>,
    /// Whether it is told anything.
    enabled: bool,
    /// Why it is not: `partner` (you did it), `gone` (it answered 410), `failing` (it did nothing
    /// but fail for five days).
    disabled_by: Option<&'static str>,
    /// Since when it is not.
    disabled_at: Option<DateTime<Utc>>,
    /// Since when it has done nothing but fail.
    failing_since: Option<DateTime<Utc>>,
    /// When it last took something, to the minute.
    delivered_at: Option<DateTime<Utc>>,
    /// Until when the secret before the last rotation signs too; those before it end earlier.
    old_secret_ends_at: Option<DateTime<Utc>>,
    /// When it was made.
    created_at: DateTime<Utc>,
}

impl From<Endpoint> for EndpointBody {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            id: endpoint.id.to_string(),
            url: endpoint.url,
            description: endpoint.description,
            events: endpoint.kinds.into_iter().map(EventKind::as_str).collect(),
            enabled: endpoint.disabled.is_none(),
            disabled_by: endpoint.disabled.map(|(by, _)| by.as_str()),
            disabled_at: endpoint.disabled.map(|(_, at)| at),
            failing_since: endpoint.failing_since,
            delivered_at: endpoint.delivered_at,
            old_secret_ends_at: endpoint.old_secret_ends_at,
            created_at: endpoint.created_at,
        }
    }
}

/// An endpoint with its new secret: keep it, it is not shown again.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct EndpointSecretBody {
    /// The endpoint.
    #[serde(flatten)]
    endpoint: EndpointBody,
    /// `whsec_…`; null when the answer is replayed. If it was lost, rotate it.
    secret: Option<String>,
}

/// An endpoint to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointInput {
    /// An https address on the public internet.
    url: String,
    /// Your own words, at most 200 characters.
    #[serde(default)]
    description: String,
    /// `policy.activated`, `policy.lapsed`, `index.updated`, `payout.approved`, `payout.paid`,
    /// `payout.refused`.
    events: Vec<String>,
}

/// What of an endpoint is changed; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointCorrection {
    /// An https address on the public internet.
    url: Option<String>,
    /// Your own words.
    description: Option<String>,
    /// What it is told of.
    events: Option<Vec<String>>,
    /// `false` gives up what waits for it; `true` begins anew, and what was missed can be replayed.
    enabled: Option<bool>,
}

/// Every endpoint of the organisation.
#[utoipa::path(
    get, path = "/api/v1/endpoints", tag = "webhooks", params(PageQuery),
    responses((status = 200, body = Listed<EndpointBody>))
)]
pub(crate) async fn list(
    partner: Partner,
    State(app): State<App>,
    paging: Paging,
) -> Result<Json<Listed<EndpointBody>>, ApiError> {
    let mut tx = partner.begin(&app).await?;
    let rows = endpoints::list(&mut tx, partner.organisation, paging.slice).await?;
    Ok(Json(Listed::of(
        rows,
        paging,
        |row| row.id.uuid(),
        EndpointBody::from,
    )))
}

/// One endpoint.
#[utoipa::path(
    get, path = "/api/v1/endpoints/{endpoint}", tag = "webhooks",
    params(("endpoint" = String, Path)),
    responses((status = 200, body = EndpointBody), (status = 404))
)]
pub(crate) async fn show(
    partner: Partner,
    State(app): State<App>,
    Path(endpoint): Path<String>,
) -> Result<Response, ApiError> {
    let id: EndpointId = input::id_in_path(&endpoint)?;
    let mut tx = partner.begin(&app).await?;
    let endpoint = endpoints::find(&mut tx, partner.organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let version = endpoint.version;
    Ok(Reply::ok(&EndpointBody::from(endpoint))?
        .version(version)
        .answer())
}

/// Makes an endpoint; at most ten, and its secret is shown this once.
#[utoipa::path(
    post, path = "/api/v1/endpoints", tag = "webhooks", request_body = EndpointInput,
    responses((status = 201, body = EndpointSecretBody), (status = 409), (status = 422))
)]
pub(crate) async fn create(
    partner: Partner,
    State(app): State<App>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    let wanted: EndpointInput = mutation.json()?;
    check_address(&app, &wanted.url)?;
    let description = description(&wanted.description)?;
    let kinds = kinds(&wanted.events)?;
    let mut change = match mutation.begin(&app, &partner).await? {
        Begun::Fresh(change) => change,
        Begun::Replayed(response) => return Ok(response),
    };
    let now = change.now;
    let organisation_id = partner.organisation;
    let count = endpoints::count_locked(change.conn(), organisation_id).await?;
    if usize::try_from(count).is_ok_and(|count| count >= ENDPOINTS_MAX) {
        let rule = format!("an organisation has at most {ENDPOINTS_MAX} endpoints; delete one");
        return Err(ApiError::conflict("too_many_endpoints", rule));
    }
    let id: EndpointId = app.ids.mint(now);
    let (secret, secret_cipher) = draw_secret(&app)?;
    let new = NewEndpoint {
        id,
        organisation_id,
        url: &wanted.url,
        description: &description,
        kinds: &kinds,
        secret_cipher: &secret_cipher,
    };
    endpoints::insert(change.conn(), now, &new).await?;
    audited(&app, &mut change, &partner, "endpoint.created", id).await?;
    show_secret(&app, change, &partner, id, (StatusCode::CREATED, &secret)).await
}

/// Changes an endpoint.
#[utoipa::path(
    patch, path = "/api/v1/endpoints/{endpoint}", tag = "webhooks",
    params(("endpoint" = String, Path)), request_body = EndpointCorrection,
    responses(
        (status = 200, body = EndpointBody), (status = 404), (status = 412), (status = 422),
        (status = 428)
    )
)]
pub(crate) async fn correct(
    partner: Partner,
    State(app): State<App>,
    Path(endpoint): Path<String>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    let id: EndpointId = input::id_in_path(&endpoint)?;
    let version = mutation.version()?;
    let wanted: EndpointCorrection = mutation.json()?;
    if let Some(url) = &wanted.url {
        check_address(&app, url)?;
    }
    let description = wanted.description.as_deref().map(description).transpose()?;
    let kinds = wanted.events.as_deref().map(kinds).transpose()?;
    let mut change = match mutation.begin(&app, &partner).await? {
        Begun::Fresh(change) => change,
        Begun::Replayed(response) => return Ok(response),
    };
    let now = change.now;
    let organisation = partner.organisation;
    let found = endpoints::lock(change.conn(), organisation, id).await?;
    require_version(found.as_ref().map(|found| found.version), version)?;
    let found = found.ok_or_else(ApiError::not_found)?;
    let changed = EndpointChange {
        url: wanted.url.as_deref().unwrap_or(&found.url),
        description: description.as_deref().unwrap_or(&found.description),
        kinds: kinds.as_deref().unwrap_or(&found.kinds),
        is_enabled: wanted.enabled.unwrap_or(found.disabled.is_none()),
    };
    endpoints::change(change.conn(), now, id, version, &changed).await?;
    audited(&app, &mut change, &partner, "endpoint.changed", id).await?;
    let endpoint = endpoints::find(change.conn(), organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let version = endpoint.version;
    let reply = Reply::ok(&EndpointBody::from(endpoint))?.version(version);
    change.finish(&app, reply).await
}

/// Forgets an endpoint with all its deliveries.
#[utoipa::path(
    delete, path = "/api/v1/endpoints/{endpoint}", tag = "webhooks",
    params(("endpoint" = String, Path)),
    responses((status = 200, body = EndpointBody), (status = 404))
)]
pub(crate) async fn delete(
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
    let endpoint = endpoints::lock(change.conn(), partner.organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    endpoints::delete(change.conn(), partner.organisation, id).await?;
    audited(&app, &mut change, &partner, "endpoint.deleted", id).await?;
    let reply = Reply::ok(&EndpointBody::from(endpoint))?;
    change.finish(&app, reply).await
}

/// Gives an endpoint a new secret, shown this once; the old one signs beside it for a day, and so do
/// at most three: another rotation waits until one of them has ended.
#[utoipa::path(
    post, path = "/api/v1/endpoints/{endpoint}/rotate-secret", tag = "webhooks",
    params(("endpoint" = String, Path)),
    responses((status = 200, body = EndpointSecretBody), (status = 404), (status = 409))
)]
pub(crate) async fn rotate(
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
    endpoints::lock(change.conn(), partner.organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let (secret, cipher) = draw_secret(&app)?;
    let old_ends_at = now + TimeDelta::hours(OLD_SECRET_HOURS);
    if !endpoints::rotate_secret(change.conn(), now, id, &cipher, old_ends_at).await? {
        let rule = format!(
            "{OLD_SECRETS_MAX} old secrets still sign; rotate again when the oldest of them has \
             ended, at most {OLD_SECRET_HOURS} hours after it was replaced"
        );
        return Err(ApiError::conflict("too_many_secrets", rule));
    }
    audited(&app, &mut change, &partner, "endpoint.secret_rotated", id).await?;
    show_secret(&app, change, &partner, id, (StatusCode::OK, &secret)).await
}

fn check_address(app: &App, url: &str) -> Result<(), ApiError> {
    let reach = match app.config.common.environment {
        Environment::Development => Reach::Anywhere,
        _ => Reach::Public,
    };
    check_url(url, reach)
        .map_err(|fault| FieldFault::new("url", "refused", fault.to_string()).refuse())
}

fn description(text: &str) -> Result<String, ApiError> {
    let text = text.trim();
    let fits = text.chars().count() <= DESCRIPTION_CHARS_MAX;
    if fits && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    let rule = format!("description must have at most {DESCRIPTION_CHARS_MAX} characters");
    Err(FieldFault::new("description", "malformed", rule).refuse())
}

fn kinds(events: &[String]) -> Result<Vec<EventKind>, ApiError> {
    let read = |text: &String| EventKind::parse(text).filter(|kind| kind.is_subscribable());
    let known: Option<Vec<EventKind>> = events.iter().map(read).collect();
    let mut kinds = known.unwrap_or_default();
    kinds.sort_unstable();
    kinds.dedup();
    if !kinds.is_empty() {
        return Ok(kinds);
    }
    let all = EventKind::ALL.iter().filter(|kind| kind.is_subscribable());
    let names: Vec<&str> = all.map(|kind| kind.as_str()).collect();
    let rule = format!("events must name at least one of {}", names.join(", "));
    Err(FieldFault::new("events", "malformed", rule).refuse())
}

/// A secret, and how it is stored.
fn draw_secret(app: &App) -> Result<(Secret, Vec<u8>), ApiError> {
    let secret = new_secret(app.ids.bytes());
    let cipher = app.pii.seal(app.ids.bytes(), secret.expose().as_bytes())?;
    Ok((secret, cipher))
}

async fn show_secret(
    app: &App,
    mut change: Change,
    partner: &Partner,
    id: EndpointId,
    (status, secret): (StatusCode, &Secret),
) -> Result<Response, ApiError> {
    let endpoint = endpoints::find(change.conn(), partner.organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let version = endpoint.version;
    let mut body = EndpointSecretBody {
        endpoint: endpoint.into(),
        secret: Some(secret.expose().to_owned()),
    };
    let reply = |body: &EndpointSecretBody| -> Result<Reply, ApiError> {
        let reply = if status == StatusCode::CREATED {
            Reply::created(format!("/api/v1/endpoints/{id}"), body)?
        } else {
            Reply::new(status, body)?
        };
        Ok(reply.version(version))
    };
    let shown = reply(&body)?;
    body.secret = None;
    let recorded = reply(&body)?;
    change.finish_showing(app, recorded, shown).await
}

/// Who did it is the key, in the transaction of what it did.
async fn audited(
    app: &App,
    change: &mut Change,
    partner: &Partner,
    action: &str,
    id: EndpointId,
) -> Result<(), ApiError> {
    let now = change.now;
    let actor = Actor(partner.key.to_string());
    let details = json!({ "organisation": partner.organisation.to_string() });
    let what = (action, id.to_string());
    issue::note(
        change.conn(),
        now,
        &app.ids,
        &actor,
        (what.0, &what.1, details),
    )
    .await?;
    Ok(())
}
