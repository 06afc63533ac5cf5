//! A partner's farmers over REST: enrolled one at a time, read, corrected. Her phone number is not
//! corrected here: money goes to it, so she changes it herself, with her PIN. Must never tell whose
//! a farmer of another tenant is. Called over HTTP by partners; `bulk` enrols files.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::id::{FarmerId, GroupId};
use serde::{Deserialize, Serialize};
use store::api_keys::Scope;
use store::enrolments::{self, Enrolment, EnrolmentFilter, EnrolmentPatch};
use store::patch::Patch;
use store::{groups, wards};
use utoipa::{IntoParams, ToSchema};

use super::caller::Partner;
use super::change::{Begun, Mutation, Reply, require_version};
use super::enrolment::{self, FarmerInput, Known};
use super::input::{self, FieldFault};
use super::page::{Filter, Listed, PageQuery, Paging};
use crate::App;
use crate::error::ApiError;
use crate::routes::Route;

/// Code of a farmer who is enrolled with the same partner already.
pub(super) const ALREADY_ENROLLED: &str = "already_enrolled";
/// Code of a farmer whom somebody else insures; says nothing of whom.
pub(super) const ALREADY_INSURED: &str = "already_insured_elsewhere";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::partner_get("/api/v1/farmers", Scope::FarmersRead, list),
        Route::partner_post("/api/v1/farmers", Scope::FarmersWrite, enrol),
        Route::partner_get("/api/v1/farmers/{farmer}", Scope::FarmersRead, show),
        Route::partner_patch("/api/v1/farmers/{farmer}", Scope::FarmersWrite, correct),
    ]
}

/// A farmer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FarmerBody {
    /// `far_…`.
    id: String,
    /// Phone, `+254…`.
    phone: String,
    /// Name.
    name: String,
    /// National ID with all but its last three digits hidden.
    national_id: String,
    /// `en` or `sw`.
    language: &'static str,
    /// Code of her ward.
    ward_code: String,
    /// Her group.
    group_id: Option<String>,
    /// Who enrolled her and took her consent.
    agent_id: Option<String>,
    /// Her consent.
    consent: ConsentBody,
    /// When she was enrolled.
    created_at: DateTime<Utc>,
}

/// What a farmer agreed to, and how.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConsentBody {
    /// Version of the consent text.
    version: String,
    /// `ussd`, `paper`, `spoken` or `electronic`.
    obtained: &'static str,
    /// When.
    at: DateTime<Utc>,
}

impl From<Enrolment> for FarmerBody {
    fn from(farmer: Enrolment) -> Self {
        Self {
            id: farmer.id.to_string(),
            phone: format!("+{}", farmer.phone),
            name: farmer.name,
            national_id: masked(&farmer.national_id),
            language: farmer.language.as_str(),
            ward_code: farmer.ward_code,
            group_id: farmer.group.map(|id| id.to_string()),
            agent_id: farmer.agent.map(|id| id.to_string()),
            consent: ConsentBody {
                version: farmer.consent_version,
                obtained: farmer.consent_obtained.as_str(),
                at: farmer.consented_at,
            },
            created_at: farmer.created_at,
        }
    }
}

/// All but the last three characters hidden.
pub(super) fn masked(text: &str) -> String {
    let shown_from = text.chars().count().saturating_sub(3);
    text.chars()
        .enumerate()
        .map(|(at, c)| if at < shown_from { '*' } else { c })
        .collect()
}

/// Which farmers are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FarmerFilter {
    /// Of the ward with this code.
    ward: Option<String>,
    /// Of the group with this id.
    group: Option<String>,
    /// Enrolled at this time or later, RFC 3339.
    created_from: Option<String>,
    /// Enrolled before this time, RFC 3339.
    created_before: Option<String>,
}

impl FarmerFilter {
    fn read(self) -> Result<EnrolmentFilter, FieldFault> {
        let group = self.group.map(|text| input::id_in_body("group", &text));
        let from = self
            .created_from
            .map(|text| input::instant("created_from", &text));
        let before = self
            .created_before
            .map(|text| input::instant("created_before", &text));
        Ok(EnrolmentFilter {
            ward_code: self.ward,
            group: group.transpose()?,
            created_from: from.transpose()?,
            created_before: before.transpose()?,
        })
    }
}

/// What of a farmer is corrected; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FarmerCorrection {
    /// Name.
    name: Option<String>,
    /// `en` or `sw`.
    language: Option<String>,
    /// Code of her ward; her plots stay where they are.
    ward_code: Option<String>,
    /// Her group's id; null for none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    group_id: Patch<String>,
}

/// Farmers of the organisation.
#[utoipa::path(
    get, path = "/api/v1/farmers", tag = "farmers", params(PageQuery, FarmerFilter),
    responses((status = 200, body = Listed<FarmerBody>))
)]
pub(crate) async fn list(
    partner: Partner,
    State(app): State<App>,
    paging: Paging,
    Filter(filter): Filter<FarmerFilter>,
) -> Result<Json<Listed<FarmerBody>>, ApiError> {
    let filter = filter.read().map_err(FieldFault::refuse)?;
    let mut tx = partner.begin(&app).await?;
    let slice = paging.slice;
    let rows = enrolments::list(&mut tx, &app.pii, partner.organisation, &filter, slice).await?;
    Ok(Json(Listed::of(
        rows,
        paging,
        |row| row.id.uuid(),
        FarmerBody::from,
    )))
}

/// One farmer.
#[utoipa::path(
    get, path = "/api/v1/farmers/{farmer}", tag = "farmers", params(("farmer" = String, Path)),
    responses((status = 200, body = FarmerBody), (status = 404))
)]
pub(crate) async fn show(
    partner: Partner,
    State(app): State<App>,
    Path(farmer): Path<String>,
) -> Result<Response, ApiError> {
    let id: FarmerId = input::id_in_path(&farmer)?;
    let mut tx = partner.begin(&app).await?;
    let farmer = enrolments::find(&mut tx, &app.pii, partner.organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let version = farmer.version;
    Ok(Reply::ok(&FarmerBody::from(farmer))?
        .version(version)
        .answer())
}

/// Enrols a farmer, with her consent.
#[utoipa::path(
    post, path = "/api/v1/farmers", tag = "farmers", request_body = FarmerInput,
    responses(
        (status = 201, body = FarmerBody),
        (status = 409, description = "`already_enrolled` or `already_insured_elsewhere`"),
        (status = 422)
    )
)]
pub(crate) async fn enrol(
    partner: Partner,
    State(app): State<App>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    let wanted: FarmerInput = mutation.json()?;
    let mut change = match mutation.begin(&app, &partner).await? {
        Begun::Fresh(change) => change,
        Begun::Replayed(response) => return Ok(response),
    };
    let now = change.now;
    let organisation = partner.organisation;
    let known = Known::load(change.conn(), organisation, std::iter::once(&wanted)).await?;
    let checked =
        enrolment::check(&wanted, &known, now).map_err(|faults| ApiError::invalid(&faults))?;
    let new = enrolment::seal(&app.pii, &app.ids, now, checked)?;
    let (phones, ids) = ([new.phone_index.clone()], [new.national_id_index.clone()]);
    let id = new.id;
    if enrolments::insert_many(change.conn(), now, organisation, &[new])
        .await?
        .is_empty()
    {
        let own = enrolments::list_known(change.conn(), organisation, &phones, &ids).await?;
        return Err(refused(!own.is_empty()));
    }
    let farmer = enrolments::find(change.conn(), &app.pii, organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let location = format!("/api/v1/farmers/{id}");
    let reply = Reply::created(location, &FarmerBody::from(farmer))?.version(1);
    change.finish(&app, reply).await
}

fn refused(is_own: bool) -> ApiError {
    let (code, detail) = refusal(is_own);
    ApiError::new(StatusCode::CONFLICT, code, detail)
}

/// Why a farmer cannot be enrolled: code and reason.
pub(super) fn refusal(is_own: bool) -> (&'static str, &'static str) {
    if is_own {
        let reason = "a farmer of yours has this phone or this national ID already";
        (ALREADY_ENROLLED, reason)
    } else {
        let reason = "this person cannot be enrolled: she has insurance with us already";
        (ALREADY_INSURED, reason)
    }
}

/// Corrects a farmer's name, language, ward or group.
#[utoipa::path(
    patch, path = "/api/v1/farmers/{farmer}", tag = "farmers", params(("farmer" = String, Path)),
    request_body = FarmerCorrection,
    responses(
        (status = 200, body = FarmerBody), (status = 404), (status = 412), (status = 422),
        (status = 428)
    )
)]
pub(crate) async fn correct(
    partner: Partner,
    State(app): State<App>,
    Path(farmer): Path<String>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    let id: FarmerId = input::id_in_path(&farmer)?;
    let version = mutation.version()?;
    let wanted: FarmerCorrection = mutation.json()?;
    let name = wanted.name.as_deref();
    let name = name.map(|name| enrolment::name(Some(name))).transpose();
    let name = name.map_err(FieldFault::refuse)?;
    let language = wanted.language.as_deref();
    let language = language.map(|text| enrolment::language(Some(text)));
    let language = language.transpose().map_err(FieldFault::refuse)?;
    let read = |text: String| input::id_in_body::<GroupId>("group_id", &text);
    let group = wanted.group_id.try_map(read).map_err(FieldFault::refuse)?;
    let mut change = match mutation.begin(&app, &partner).await? {
        Begun::Fresh(change) => change,
        Begun::Replayed(response) => return Ok(response),
    };
    let organisation = partner.organisation;
    let conn = change.conn();
    let found = enrolments::find(conn, &app.pii, organisation, id).await?;
    require_version(found.map(|farmer| farmer.version), version)?;
    if let Some(code) = wanted.ward_code.as_deref() {
        let rule = "no ward has this code; codes are four digits, 0001 to 1450";
        let fault = || FieldFault::new("ward_code", "unknown_ward", rule).refuse();
        wards::find(conn, code).await?.ok_or_else(fault)?;
    }
    if let Some(group) = group.value() {
        let rule = "no group of yours has this id";
        let fault = || FieldFault::new("group_id", "unknown", rule).refuse();
        let group = groups::find(conn, organisation, group).await?;
        group.ok_or_else(fault)?;
    }
    let name_cipher = name
        .map(|name| app.pii.seal(app.ids.bytes(), name.as_bytes()))
        .transpose()?;
    let patch = EnrolmentPatch {
        name_cipher: name_cipher.as_deref(),
        language,
        ward_code: wanted.ward_code.as_deref(),
        group,
    };
    enrolments::update(conn, organisation, (id, version), patch).await?;
    let farmer = enrolments::find(conn, &app.pii, organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let version = farmer.version;
    let reply = Reply::ok(&FarmerBody::from(farmer))?.version(version);
    change.finish(&app, reply).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_shows_its_last_three_digits_only() {
        assert_eq!(masked("12345678"), "*****678");
        assert_eq!(masked("12"), "12");
    }
}
