//! A partner's groups of farmers over REST. Must never show another partner's.
//! Called over HTTP by partners.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::id::GroupId;
use serde::{Deserialize, Serialize};
use store::api_keys::Scope;
use store::groups::{self, Group, NewGroup};
use store::patch::Patch;
use store::{Connection, wards};
use utoipa::ToSchema;

use super::caller::Partner;
use super::change::{Begun, Mutation, Reply, require_version};
use super::input::{self, FieldFault};
use super::page::{Listed, PageQuery, Paging};
use crate::App;
use crate::error::ApiError;
use crate::routes::Route;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::partner_get("/api/v1/groups", Scope::GroupsRead, list),
        Route::partner_post("/api/v1/groups", Scope::GroupsWrite, create),
        Route::partner_get("/api/v1/groups/{group}", Scope::GroupsRead, show),
        Route::partner_patch("/api/v1/groups/{group}", Scope::GroupsWrite, correct),
    ]
}

/// A group.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupBody {
    /// `grp_…`.
    id: String,
    /// The partner's own code.
    code: String,
    /// Name.
    name: String,
    /// Code of the ward where it meets.
    ward_code: Option<String>,
    /// Since when.
    created_at: DateTime<Utc>,
}

impl From<Group> for GroupBody {
    fn from(group: Group) -> Self {
        Self {
            id: group.id.to_string(),
            code: group.code,
            name: group.name,
            ward_code: group.ward_code,
            created_at: group.created_at,
        }
    }
}

/// A group to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupInput {
    /// The partner's own code: 1 to 32 letters, digits or dashes, unique.
    code: String,
    /// Name, 2 to 120 characters.
    name: String,
    /// Code of the ward where it meets.
    ward_code: Option<String>,
}

/// What of a group is corrected; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupCorrection {
    /// Name.
    name: Option<String>,
    /// Ward; null for none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    ward_code: Patch<String>,
}

/// Every group of the organisation.
#[utoipa::path(
    get, path = "/api/v1/groups", tag = "groups", params(PageQuery),
    responses((status = 200, body = Listed<GroupBody>))
)]
pub(crate) async fn list(
    partner: Partner,
    State(app): State<App>,
    paging: Paging,
) -> Result<Json<Listed<GroupBody>>, ApiError> {
    let mut tx = partner.begin(&app).await?;
    let rows = groups::list(&mut tx, partner.organisation, paging.slice).await?;
    Ok(Json(Listed::of(
        rows,
        paging,
        |row| row.id.uuid(),
        GroupBody::from,
    )))
}

/// One group.
#[utoipa::path(
    get, path = "/api/v1/groups/{group}", tag = "groups", params(("group" = String, Path)),
    responses((status = 200, body = GroupBody), (status = 404))
)]
pub(crate) async fn show(
    partner: Partner,
    State(app): State<App>,
    Path(group): Path<String>,
) -> Result<Response, ApiError> {
    let id: GroupId = input::id_in_path(&group)?;
    let mut tx = partner.begin(&app).await?;
    let group = groups::find(&mut tx, partner.organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let version = group.version;
    Ok(Reply::ok(&GroupBody::from(group))?
        .version(version)
        .answer())
}

/// Adds a group.
#[utoipa::path(
    post, path = "/api/v1/groups", tag = "groups", request_body = GroupInput,
    responses((status = 201, body = GroupBody), (status = 409), (status = 422))
)]
pub(crate) async fn create(
    partner: Partner,
    State(app): State<App>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    let wanted: GroupInput = mutation.json()?;
    let code = input::code("code", &wanted.code).map_err(FieldFault::refuse)?;
    let name = input::title("name", &wanted.name).map_err(FieldFault::refuse)?;
    let mut change = match mutation.begin(&app, &partner).await? {
        Begun::Fresh(change) => change,
        Begun::Replayed(response) => return Ok(response),
    };
    let now = change.now;
    require_ward(change.conn(), wanted.ward_code.as_deref()).await?;
    let id: GroupId = app.ids.mint(now);
    let new = NewGroup {
        id,
        organisation: partner.organisation,
        code: &code,
        name: &name,
        ward_code: wanted.ward_code.as_deref(),
    };
    if !groups::insert(change.conn(), now, &new).await? {
        let rule = "a group with this code exists; choose another code";
        return Err(ApiError::conflict("code_taken", rule));
    }
    let body = GroupBody {
        id: id.to_string(),
        code,
        name,
        ward_code: wanted.ward_code,
        created_at: now,
    };
    let reply = Reply::created(format!("/api/v1/groups/{id}"), &body)?.version(1);
    change.finish(&app, reply).await
}

/// Corrects a group.
#[utoipa::path(
    patch, path = "/api/v1/groups/{group}", tag = "groups", params(("group" = String, Path)),
    request_body = GroupCorrection,
    responses((status = 200, body = GroupBody), (status = 404), (status = 412), (status = 428))
)]
pub(crate) async fn correct(
    partner: Partner,
    State(app): State<App>,
    Path(group): Path<String>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    let id: GroupId = input::id_in_path(&group)?;
    let version = mutation.version()?;
    let wanted: GroupCorrection = mutation.json()?;
    let name = wanted
        .name
        .map(|name| input::title("name", &name))
        .transpose()
        .map_err(FieldFault::refuse)?;
    let ward = wanted.ward_code.as_deref();
    let mut change = match mutation.begin(&app, &partner).await? {
        Begun::Fresh(change) => change,
        Begun::Replayed(response) => return Ok(response),
    };
    let organisation = partner.organisation;
    let found = groups::find(change.conn(), organisation, id).await?;
    require_version(found.map(|group| group.version), version)?;
    require_ward(change.conn(), ward.value()).await?;
    groups::update(
        change.conn(),
        organisation,
        (id, version),
        name.as_deref(),
        ward,
    )
    .await?;
    let group = groups::find(change.conn(), organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let version = group.version;
    let reply = Reply::ok(&GroupBody::from(group))?.version(version);
    change.finish(&app, reply).await
}

async fn require_ward(conn: &mut Connection, code: Option<&str>) -> Result<(), ApiError> {
    let Some(code) = code else {
        return Ok(());
    };
    if wards::find(conn, code).await?.is_some() {
        return Ok(());
    }
    let rule = "no ward has this code; codes are four digits, 0001 to 1450";
    Err(FieldFault::new("ward_code", "unknown_ward", rule).refuse())
}
