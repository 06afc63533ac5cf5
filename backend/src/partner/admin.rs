//! Partners as administrators see them: added, given keys, suspended, their keys ended. Which role
//! may do it is in `people::access`. Must never show a key a second time.
//! Called over HTTP by operators.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use domain::id::{ApiKeyId, OrganisationId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Connection, StoreError, api_keys, organisations};
use utoipa::ToSchema;

use super::api_keys::{ApiKeyBody, ApiKeyInput, IssuedKeyBody};
use super::input::{self, FieldFault};
use super::issue::{self, Actor, Asked};
use super::organisations::OrganisationBody;
use super::page::{Listed, PageQuery, Paging};
use crate::App;
use crate::auth::Operator;
use crate::error::ApiError;
use crate::routes::{Auth, Limit, Route};

pub(super) fn routes() -> Vec<Route> {
    let (auth, limit) = (Auth::Operator, Limit::Api);
    vec![
        Route::get("/api/v1/operator/organisations", auth, limit, list),
        Route::post("/api/v1/operator/organisations", auth, limit, create),
        Route::post(
            "/api/v1/operator/organisations/{organisation}/state",
            auth,
            limit,
            set_state,
        ),
        Route::get(
            "/api/v1/operator/organisations/{organisation}/keys",
            auth,
            limit,
            list_keys,
        ),
        Route::post(
            "/api/v1/operator/organisations/{organisation}/keys",
            auth,
            limit,
            create_key,
        ),
        Route::post(
            "/api/v1/operator/organisations/{organisation}/keys/{key}/end",
            auth,
            limit,
            end_key,
        ),
    ]
}

/// A partner to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrganisationInput {
    /// Unique name, 2 to 120 characters.
    name: String,
    /// `cooperative`, `lender` or `insurer`.
    kind: String,
}

/// Whether a partner's keys are taken.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateInput {
    /// `active` or `suspended`.
    state: String,
}

/// Partners in the order they came.
#[utoipa::path(
    get, path = "/api/v1/operator/organisations", tag = "operators", params(PageQuery),
    responses((status = 200, body = Listed<OrganisationBody>))
)]
pub(crate) async fn list(
    _: Operator,
    State(app): State<App>,
    paging: Paging,
) -> Result<Json<Listed<OrganisationBody>>, ApiError> {
    let mut conn = app.acquire().await?;
    let rows = organisations::list(&mut conn, paging.slice).await?;
    Ok(Json(Listed::of(
        rows,
        paging,
        |row| row.id.uuid(),
        OrganisationBody::from,
    )))
}

/// Adds a partner.
#[utoipa::path(
    post, path = "/api/v1/operator/organisations", tag = "operators",
    request_body = OrganisationInput,
    responses((status = 201, body = OrganisationBody), (status = 409))
)]
pub(crate) async fn create(
    operator: Operator,
    State(app): State<App>,
    body: Bytes,
) -> Result<(StatusCode, Json<OrganisationBody>), ApiError> {
    let wanted: OrganisationInput = input::json(&body)?;
    let now = app.clock.now();
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let actor = Actor(operator.id.to_string());
    let named = (wanted.name.as_str(), wanted.kind.as_str());
    let organisation = issue::organisation(&mut tx, now, &app.ids, &actor, named).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok((StatusCode::CREATED, Json(organisation.into())))
}

/// Suspends a partner, or lets it in again.
#[utoipa::path(
    post, path = "/api/v1/operator/organisations/{organisation}/state", tag = "operators",
    params(("organisation" = String, Path)), request_body = StateInput,
    responses((status = 200, body = OrganisationBody), (status = 404), (status = 409))
)]
pub(crate) async fn set_state(
    operator: Operator,
    State(app): State<App>,
    Path(organisation): Path<String>,
    body: Bytes,
) -> Result<Json<OrganisationBody>, ApiError> {
    let wanted: StateInput = input::json(&body)?;
    let is_suspended = match wanted.state.as_str() {
        "active" => false,
        "suspended" => true,
        _ => {
            let rule = "state must be active or suspended";
            return Err(FieldFault::new("state", "malformed", rule).refuse());
        }
    };
    let now = app.clock.now();
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let id = known(&mut tx, &organisation).await?;
    organisations::set_suspended(&mut tx, id, is_suspended).await?;
    let actor = Actor(operator.id.to_string());
    let action = format!("organisation.{}", wanted.state);
    issue::note(
        &mut tx,
        now,
        &app.ids,
        &actor,
        (&action, &id.to_string(), json!({})),
    )
    .await?;
    let row = organisations::find(&mut tx, id).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(Json(row.ok_or_else(ApiError::not_found)?.into()))
}

/// A partner's keys.
#[utoipa::path(
    get, path = "/api/v1/operator/organisations/{organisation}/keys", tag = "operators",
    params(("organisation" = String, Path), PageQuery),
    responses((status = 200, body = Listed<ApiKeyBody>), (status = 404))
)]
pub(crate) async fn list_keys(
    _: Operator,
    State(app): State<App>,
    Path(organisation): Path<String>,
    paging: Paging,
) -> Result<Json<Listed<ApiKeyBody>>, ApiError> {
    let mut conn = app.acquire().await?;
    let id = known(&mut conn, &organisation).await?;
    let keys = api_keys::list(&mut conn, id, paging.slice).await?;
    Ok(Json(Listed::of(
        keys,
        paging,
        |key| key.id.uuid(),
        ApiKeyBody::from,
    )))
}

/// Makes a partner's key; a first one needs `keys:write` to make others.
#[utoipa::path(
    post, path = "/api/v1/operator/organisations/{organisation}/keys", tag = "operators",
    params(("organisation" = String, Path)), request_body = ApiKeyInput,
    responses((status = 201, body = IssuedKeyBody), (status = 404), (status = 409))
)]
pub(crate) async fn create_key(
    operator: Operator,
    State(app): State<App>,
    Path(organisation): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<IssuedKeyBody>), ApiError> {
    let wanted: ApiKeyInput = input::json(&body)?;
    let name = input::title("name", &wanted.name).map_err(FieldFault::refuse)?;
    let scopes = issue::scopes(&wanted.scopes).map_err(FieldFault::refuse)?;
    let now = app.clock.now();
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let asked = Asked {
        organisation: known(&mut tx, &organisation).await?,
        name: &name,
        scopes: &scopes,
        rotated_from: None,
    };
    let actor = Actor(operator.id.to_string());
    let issued = issue::key(&mut tx, now, &app.ids, &actor, &asked).await?;
    tx.commit().await.map_err(StoreError::from)?;
    let body = IssuedKeyBody {
        key: issued.key.into(),
        secret: Some(issued.secret),
    };
    Ok((StatusCode::CREATED, Json(body)))
}

/// Ends a partner's key now.
#[utoipa::path(
    post, path = "/api/v1/operator/organisations/{organisation}/keys/{key}/end",
    tag = "operators", params(("organisation" = String, Path), ("key" = String, Path)),
    responses((status = 204), (status = 404), (status = 409))
)]
pub(crate) async fn end_key(
    operator: Operator,
    State(app): State<App>,
    Path((organisation, key)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let key: ApiKeyId = input::id_in_path(&key)?;
    let now = app.clock.now();
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let id = known(&mut tx, &organisation).await?;
    api_keys::find(&mut tx, id, key)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let actor = Actor(operator.id.to_string());
    issue::end_key(&mut tx, now, &app.ids, &actor, (id, key)).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn known(conn: &mut Connection, text: &str) -> Result<OrganisationId, ApiError> {
    let id: OrganisationId = input::id_in_path(text)?;
    let found = organisations::find(conn, id).await?;
    found.map(|row| row.id).ok_or_else(ApiError::not_found)
}
