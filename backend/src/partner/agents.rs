//! A partner's field people over REST. An agent is ended, never deleted, because farmers name who
//! took their consent. Must never show another partner's. Called over HTTP by partners.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::id::AgentId;
use domain::msisdn::Msisdn;
use domain::ussd::read_name;
use serde::{Deserialize, Serialize};
use store::agents::{self, Agent, AgentPatch, NewAgent};
use store::api_keys::Scope;
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
        Route::partner_get("/api/v1/agents", Scope::AgentsRead, list),
        Route::partner_post("/api/v1/agents", Scope::AgentsWrite, create),
        Route::partner_get("/api/v1/agents/{agent}", Scope::AgentsRead, show),
        Route::partner_patch("/api/v1/agents/{agent}", Scope::AgentsWrite, correct),
    ]
}

/// An agent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentBody {
    /// `agt_…`.
    id: String,
    /// The partner's own code.
    code: String,
    /// Name.
    name: String,
    /// Phone, `+254…`.
    phone: Option<String>,
    /// Since when.
    created_at: DateTime<Utc>,
    /// Since when no more.
    ended_at: Option<DateTime<Utc>>,
}

impl From<Agent> for AgentBody {
    fn from(agent: Agent) -> Self {
        Self {
            id: agent.id.to_string(),
            code: agent.code,
            name: agent.name,
            phone: agent.phone.map(|digits| format!("+{digits}")),
            created_at: agent.created_at,
            ended_at: agent.ended_at,
        }
    }
}

/// An agent to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentInput {
    /// The partner's own code: 1 to 32 letters, digits or dashes, unique.
    code: String,
    /// Name, 2 to 40 characters.
    name: String,
    /// A Kenyan mobile number.
    phone: Option<String>,
}

/// What of an agent is corrected; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentCorrection {
    /// Name.
    name: Option<String>,
    /// Phone.
    phone: Option<String>,
    /// `true` ends the agent; it cannot begin again.
    #[serde(default)]
    ended: bool,
}

/// Every agent of the organisation, ended ones included.
#[utoipa::path(
    get, path = "/api/v1/agents", tag = "agents", params(PageQuery),
    responses((status = 200, body = Listed<AgentBody>))
)]
pub(crate) async fn list(
    partner: Partner,
    State(app): State<App>,
    paging: Paging,
) -> Result<Json<Listed<AgentBody>>, ApiError> {
    let mut tx = partner.begin(&app).await?;
    let rows = agents::list(&mut tx, &app.pii, partner.organisation, paging.slice).await?;
    Ok(Json(Listed::of(
        rows,
        paging,
        |row| row.id.uuid(),
        AgentBody::from,
    )))
}

/// One agent.
#[utoipa::path(
    get, path = "/api/v1/agents/{agent}", tag = "agents", params(("agent" = String, Path)),
    responses((status = 200, body = AgentBody), (status = 404))
)]
pub(crate) async fn show(
    partner: Partner,
    State(app): State<App>,
    Path(agent): Path<String>,
) -> Result<Response, ApiError> {
    let id: AgentId = input::id_in_path(&agent)?;
    let mut tx = partner.begin(&app).await?;
    let agent = agents::find(&mut tx, &app.pii, partner.organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let version = agent.version;
    Ok(Reply::ok(&AgentBody::from(agent))?
        .version(version)
        .answer())
}

/// Adds an agent.
#[utoipa::path(
    post, path = "/api/v1/agents", tag = "agents", request_body = AgentInput,
    responses((status = 201, body = AgentBody), (status = 409), (status = 422))
)]
pub(crate) async fn create(
    partner: Partner,
    State(app): State<App>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    let wanted: AgentInput = mutation.json()?;
    let code = input::code("code", &wanted.code).map_err(FieldFault::refuse)?;
    let name = name(&wanted.name)?;
    let phone = wanted.phone.as_deref().map(phone).transpose()?;
    let mut change = match mutation.begin(&app, &partner).await? {
        Begun::Fresh(change) => change,
        Begun::Replayed(response) => return Ok(response),
    };
    let now = change.now;
    let id: AgentId = app.ids.mint(now);
    let seal = |plain: &str| app.pii.seal(app.ids.bytes(), plain.as_bytes());
    let phone_cipher = phone
        .as_ref()
        .map(|phone| seal(phone.digits()))
        .transpose()?;
    let new = NewAgent {
        id,
        organisation: partner.organisation,
        code: &code,
        name_cipher: &seal(&name)?,
        phone_cipher: phone_cipher.as_deref(),
    };
    if !agents::insert(change.conn(), now, &new).await? {
        let rule = "an agent with this code exists; choose another code";
        return Err(ApiError::conflict("code_taken", rule));
    }
    let body = AgentBody {
        id: id.to_string(),
        code,
        name,
        phone: phone.map(|phone| phone.e164()),
        created_at: now,
        ended_at: None,
    };
    let reply = Reply::created(format!("/api/v1/agents/{id}"), &body)?.version(1);
    change.finish(&app, reply).await
}

/// Corrects or ends an agent.
#[utoipa::path(
    patch, path = "/api/v1/agents/{agent}", tag = "agents", params(("agent" = String, Path)),
    request_body = AgentCorrection,
    responses((status = 200, body = AgentBody), (status = 404), (status = 412), (status = 428))
)]
pub(crate) async fn correct(
    partner: Partner,
    State(app): State<App>,
    Path(agent): Path<String>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    let id: AgentId = input::id_in_path(&agent)?;
    let version = mutation.version()?;
    let wanted: AgentCorrection = mutation.json()?;
    let seal = |plain: &str| app.pii.seal(app.ids.bytes(), plain.as_bytes());
    let name = wanted.name.as_deref().map(name).transpose()?;
    let phone = wanted.phone.as_deref().map(phone).transpose()?;
    let name_cipher = name.as_deref().map(seal).transpose()?;
    let phone_cipher = phone
        .as_ref()
        .map(|phone| seal(phone.digits()))
        .transpose()?;
    let mut change = match mutation.begin(&app, &partner).await? {
        Begun::Fresh(change) => change,
        Begun::Replayed(response) => return Ok(response),
    };
    let now = change.now;
    let organisation = partner.organisation;
    let found = agents::find(change.conn(), &app.pii, organisation, id).await?;
    require_version(found.map(|agent| agent.version), version)?;
    let patch = AgentPatch {
        name_cipher: name_cipher.as_deref(),
        phone_cipher: phone_cipher.as_deref(),
        ended_at: wanted.ended.then_some(now),
    };
    agents::update(change.conn(), organisation, (id, version), patch).await?;
    let agent = agents::find(change.conn(), &app.pii, organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let version = agent.version;
    let reply = Reply::ok(&AgentBody::from(agent))?.version(version);
    change.finish(&app, reply).await
}

fn name(text: &str) -> Result<String, ApiError> {
    read_name(text).ok_or_else(|| {
        let rule = "name must have 2 to 40 letters, spaces, dots, dashes or apostrophes";
        FieldFault::new("name", "malformed", rule).refuse()
    })
}

fn phone(text: &str) -> Result<Msisdn, ApiError> {
    Msisdn::parse(text)
        .map_err(|fault| FieldFault::new("phone", "malformed", fault.to_string()).refuse())
}
