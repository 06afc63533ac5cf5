//! A partner's keys: made, rotated and ended by the partner itself. A key makes only keys that may
//! do no more than itself, and each is shown once. Must never show a key again, not even to the
//! same request repeated. Called over HTTP by partners.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use domain::id::ApiKeyId;
use serde::{Deserialize, Serialize};
use store::api_keys::{self, ApiKey, Scope};
use utoipa::ToSchema;

use super::caller::Partner;
use super::change::{Begun, Change, Mutation, Reply};
use super::input::{self, FieldFault};
use super::issue::{self, Actor, Asked};
use super::page::{Listed, PageQuery, Paging};
use crate::App;
use crate::error::ApiError;
use crate::routes::Route;

/// How long a rotated key goes on unless said otherwise, seconds: a day.
const GRACE_SECONDS_DEFAULT: u32 = 86_400;
/// Longest it may go on, seconds: a week.
const GRACE_SECONDS_MAX: u32 = 604_800;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::partner_get("/api/v1/api-keys", Scope::KeysRead, list),
        Route::partner_get("/api/v1/api-keys/{key}", Scope::KeysRead, show),
        Route::partner_post("/api/v1/api-keys", Scope::KeysWrite, create),
        Route::partner_post("/api/v1/api-keys/{key}/rotate", Scope::KeysWrite, rotate),
        Route::partner_post("/api/v1/api-keys/{key}/end", Scope::KeysWrite, end),
    ]
}

/// A key, without the key.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ApiKeyBody {
    /// `key_…`.
    id: String,
    /// What it is for.
    name: String,
    /// The eight characters after `mck_`, by which people recognise it.
    hint: String,
    /// What it may do.
    scopes: Vec<&'static str>,
    /// The key it replaces.
    rotated_from: Option<String>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was last used, within a minute.
    last_used_at: Option<DateTime<Utc>>,
    /// From when it is refused.
    ends_at: Option<DateTime<Utc>>,
}

impl From<ApiKey> for ApiKeyBody {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            hint: key.hint,
            scopes: key.scopes.into_iter().map(Scope::as_str).collect(),
            rotated_from: key.rotated_from.map(|id| id.to_string()),
            created_at: key.created_at,
            last_used_at: key.last_used_at,
            ends_at: key.ends_at,
        }
    }
}

/// A new key, with the key: keep it, it is not shown again.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct IssuedKeyBody {
    /// The key without the key.
    #[serde(flatten)]
    pub(super) key: ApiKeyBody,
    /// The key itself; null when the answer is replayed. If it was lost, end this key and make
    /// another.
    pub(super) secret: Option<String>,
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKeyInput {
    /// What it is for, 2 to 120 characters.
    pub(super) name: String,
    /// What it may do: scopes of the key that makes it.
    pub(super) scopes: Vec<String>,
}

/// How a key is rotated.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotationInput {
    /// How long the old key goes on, seconds: 0 to 604,800; a day if left out.
    #[schema(minimum = 0, maximum = 604_800)]
    grace_seconds: Option<u32>,
}

/// Every key of the organisation, ended ones included.
#[utoipa::path(
    get, path = "/api/v1/api-keys", tag = "api keys", params(PageQuery),
    responses((status = 200, body = Listed<ApiKeyBody>))
)]
pub(crate) async fn list(
    partner: Partner,
    State(app): State<App>,
    paging: Paging,
) -> Result<Json<Listed<ApiKeyBody>>, ApiError> {
    let mut tx = partner.begin(&app).await?;
    let keys = api_keys::list(&mut tx, partner.organisation, paging.slice).await?;
    Ok(Json(Listed::of(
        keys,
        paging,
        |key| key.id.uuid(),
        ApiKeyBody::from,
    )))
}

/// One key.
#[utoipa::path(
    get, path = "/api/v1/api-keys/{key}", tag = "api keys", params(("key" = String, Path)),
    responses((status = 200, body = ApiKeyBody), (status = 404))
)]
pub(crate) async fn show(
    partner: Partner,
    State(app): State<App>,
    Path(key): Path<String>,
) -> Result<Json<ApiKeyBody>, ApiError> {
    let id: ApiKeyId = input::id_in_path(&key)?;
    let mut tx = partner.begin(&app).await?;
    let key = api_keys::find(&mut tx, partner.organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    Ok(Json(key.into()))
}

/// Makes a key, within the scopes of the key that asks.
#[utoipa::path(
    post, path = "/api/v1/api-keys", tag = "api keys", request_body = ApiKeyInput,
    responses((status = 201, body = IssuedKeyBody), (status = 403), (status = 422))
)]
pub(crate) async fn create(
    partner: Partner,
    State(app): State<App>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    let wanted: ApiKeyInput = mutation.json()?;
    let name = input::title("name", &wanted.name).map_err(FieldFault::refuse)?;
    let scopes = issue::scopes(&wanted.scopes).map_err(FieldFault::refuse)?;
    within(&partner, &scopes)?;
    let change = match mutation.begin(&app, &partner).await? {
        Begun::Fresh(change) => change,
        Begun::Replayed(response) => return Ok(response),
    };
    issue_and_show(&app, &partner, change, (&name, &scopes, None)).await
}

/// Makes a key with the name and scopes of another, which ends after a grace.
#[utoipa::path(
    post, path = "/api/v1/api-keys/{key}/rotate", tag = "api keys", params(("key" = String, Path)),
    request_body = RotationInput,
    responses((status = 201, body = IssuedKeyBody), (status = 403), (status = 404), (status = 409))
)]
pub(crate) async fn rotate(
    partner: Partner,
    State(app): State<App>,
    Path(key): Path<String>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    let id: ApiKeyId = input::id_in_path(&key)?;
    let wanted = if mutation.body.is_empty() {
        RotationInput::default()
    } else {
        mutation.json()?
    };
    let grace = wanted.grace_seconds.unwrap_or(GRACE_SECONDS_DEFAULT);
    if grace > GRACE_SECONDS_MAX {
        let rule = format!("grace_seconds must be 0 to {GRACE_SECONDS_MAX}");
        return Err(FieldFault::new("grace_seconds", "out_of_range", rule).refuse());
    }
    let mut change = match mutation.begin(&app, &partner).await? {
        Begun::Fresh(change) => change,
        Begun::Replayed(response) => return Ok(response),
    };
    let now = change.now;
    let old = good_key(&mut change, &partner, id).await?;
    within(&partner, &old.scopes)?;
    let ends_at = now + TimeDelta::seconds(i64::from(grace));
    if old.ends_at.is_none_or(|at| at > ends_at) {
        api_keys::end(change.conn(), partner.organisation, id, ends_at).await?;
    }
    issue_and_show(
        &app,
        &partner,
        change,
        (&old.name, &old.scopes, Some(old.id)),
    )
    .await
}

/// Ends a key now. A key may end itself.
#[utoipa::path(
    post, path = "/api/v1/api-keys/{key}/end", tag = "api keys", params(("key" = String, Path)),
    responses((status = 200, body = ApiKeyBody), (status = 404), (status = 409))
)]
pub(crate) async fn end(
    partner: Partner,
    State(app): State<App>,
    Path(key): Path<String>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    let id: ApiKeyId = input::id_in_path(&key)?;
    let mut change = match mutation.begin(&app, &partner).await? {
        Begun::Fresh(change) => change,
        Begun::Replayed(response) => return Ok(response),
    };
    let now = change.now;
    let mut key = good_key(&mut change, &partner, id).await?;
    let actor = Actor(partner.key.to_string());
    issue::end_key(
        change.conn(),
        now,
        &app.ids,
        &actor,
        (partner.organisation, id),
    )
    .await?;
    key.ends_at = Some(now);
    change
        .finish(&app, Reply::ok(&ApiKeyBody::from(key))?)
        .await
}

async fn good_key(
    change: &mut Change,
    partner: &Partner,
    id: ApiKeyId,
) -> Result<ApiKey, ApiError> {
    let now = change.now;
    let key = api_keys::find(change.conn(), partner.organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    if key.is_good(now) {
        return Ok(key);
    }
    Err(ApiError::conflict("key_ended", "the key has ended already"))
}

/// A key may hand on only what it has.
fn within(partner: &Partner, scopes: &[Scope]) -> Result<(), ApiError> {
    match scopes.iter().find(|scope| !partner.scopes.contains(scope)) {
        None => Ok(()),
        Some(scope) => {
            let rule = format!(
                "the key that asks lacks {}; a key hands on only what it has",
                scope.as_str()
            );
            Err(ApiError::forbidden(rule))
        }
    }
}

async fn issue_and_show(
    app: &App,
    partner: &Partner,
    mut change: Change,
    (name, scopes, rotated_from): (&str, &[Scope], Option<ApiKeyId>),
) -> Result<Response, ApiError> {
    let now = change.now;
    let asked = Asked {
        organisation: partner.organisation,
        name,
        scopes,
        rotated_from,
    };
    let actor = Actor(partner.key.to_string());
    let issued = issue::key(change.conn(), now, &app.ids, &actor, &asked).await?;
    let location = format!("/api/v1/api-keys/{}", issued.key.id);
    let mut body = IssuedKeyBody {
        key: issued.key.into(),
        secret: Some(issued.secret),
    };
    let shown = Reply::created(location.clone(), &body)?;
    body.secret = None;
    let recorded = Reply::created(location, &body)?;
    change.finish_showing(app, recorded, shown).await
}
