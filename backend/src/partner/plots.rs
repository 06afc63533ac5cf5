//! Plots of a partner's farmers over REST, placed by ward, point or outline; only cells are kept.
//! Must never show another partner's. Called over HTTP by partners.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use chrono::{DateTime, NaiveDate, Utc};
use domain::cell::PlotCell;
use domain::i18n::Crop;
use domain::id::{FarmerId, PlotId};
use domain::season::local_day;
use domain::ussd::{PLOTS_MAX, read_acres};
use serde::{Deserialize, Serialize};
use store::api_keys::Scope;
use store::plots::{self, LocatedBy, NewPlot, PartnerPlot};
use store::{enrolments, wards};
use utoipa::{IntoParams, ToSchema};

use super::caller::Partner;
use super::change::{Begun, Mutation, Reply};
use super::input::{self, FieldFault};
use super::page::{Filter, Listed, PageQuery, Paging};
use super::place::{self, Point, Polygon};
use crate::App;
use crate::error::ApiError;
use crate::routes::Route;

/// How far a day of sowing may be from today: two years, for a crop that stays on the field.
const SOWN_DAYS_MAX: i64 = 731;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::partner_get("/api/v1/plots", Scope::PlotsRead, list),
        Route::partner_post("/api/v1/plots", Scope::PlotsWrite, add),
        Route::partner_get("/api/v1/plots/{plot}", Scope::PlotsRead, show),
    ]
}

/// A plot.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlotBody {
    /// `plt_…`.
    id: String,
    /// Whose.
    farmer_id: String,
    /// Code of its ward.
    ward_code: String,
    /// Its H3 cell of resolution 8.
    plot_cell: String,
    /// The cell it is observed in, resolution 7.
    risk_cell: String,
    /// `ward`, `point` or `polygon`.
    located_by: String,
    /// Its size.
    acres: f64,
    /// `maize`, `beans`, `sorghum`, `green_grams` or `millet`.
    crop: &'static str,
    /// When it was or will be sown.
    sown_on: Option<NaiveDate>,
    /// When it was added.
    created_at: DateTime<Utc>,
}

impl From<PartnerPlot> for PlotBody {
    fn from(row: PartnerPlot) -> Self {
        let plot = row.plot;
        Self {
            id: plot.id.to_string(),
            farmer_id: plot.farmer_id.to_string(),
            ward_code: plot.ward_code,
            plot_cell: plot.cell.to_string(),
            risk_cell: plot.cell.risk_cell().to_string(),
            located_by: row.located_by,
            acres: f64::from(plot.acres_e2) / 100.0,
            crop: plot.crop.code(),
            sown_on: row.sown_on,
            created_at: row.created_at,
        }
    }
}

/// A plot to add: by its ward alone, or by a point, or by an outline.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlotInput {
    /// Whose, `far_…`.
    farmer_id: String,
    /// Code of its ward; her own if left out.
    ward_code: Option<String>,
    /// Where it lies.
    point: Option<Point>,
    /// Its outline.
    polygon: Option<Polygon>,
    /// Its size, 0.1 to 100 acres with at most two decimals; of the outline if left out.
    #[schema(value_type = Option<f64>)]
    acres: Option<serde_json::Number>,
    /// `maize`, `beans`, `sorghum`, `green_grams` or `millet`.
    crop: String,
    /// When it was or will be sown.
    sown_on: Option<NaiveDate>,
}

/// Which plots are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PlotFilter {
    /// Of the farmer with this id.
    farmer: Option<String>,
}

/// Plots of the organisation's farmers.
#[utoipa::path(
    get, path = "/api/v1/plots", tag = "plots", params(PageQuery, PlotFilter),
    responses((status = 200, body = Listed<PlotBody>))
)]
pub(crate) async fn list(
    partner: Partner,
    State(app): State<App>,
    paging: Paging,
    Filter(filter): Filter<PlotFilter>,
) -> Result<Json<Listed<PlotBody>>, ApiError> {
    let farmer = filter
        .farmer
        .map(|text| input::id_in_body::<FarmerId>("farmer", &text))
        .transpose()
        .map_err(FieldFault::refuse)?;
    let mut tx = partner.begin(&app).await?;
    let slice = paging.slice;
    let rows = plots::list_of_organisation(&mut tx, partner.organisation, farmer, slice).await?;
    Ok(Json(Listed::of(
        rows,
        paging,
        |row| row.plot.id.uuid(),
        PlotBody::from,
    )))
}

/// One plot.
#[utoipa::path(
    get, path = "/api/v1/plots/{plot}", tag = "plots", params(("plot" = String, Path)),
    responses((status = 200, body = PlotBody), (status = 404))
)]
pub(crate) async fn show(
    partner: Partner,
    State(app): State<App>,
    Path(plot): Path<String>,
) -> Result<Json<PlotBody>, ApiError> {
    let id: PlotId = input::id_in_path(&plot)?;
    let mut tx = partner.begin(&app).await?;
    let plot = plots::find_of_organisation(&mut tx, partner.organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    Ok(Json(plot.into()))
}

/// Where a plot was said to lie.
enum Located {
    Ward,
    At(PlotCell, LocatedBy),
}

/// What of a plot can be read without the database.
struct Read {
    farmer: FarmerId,
    located: Located,
    acres_e2: u32,
    crop: Crop,
}

fn read(wanted: &PlotInput) -> Result<Read, FieldFault> {
    let farmer = input::id_in_body("farmer_id", &wanted.farmer_id)?;
    let crop = Crop::parse(&wanted.crop).ok_or_else(|| {
        let known = Crop::ALL.map(Crop::code).join(", ");
        FieldFault::new("crop", "malformed", format!("crop must be one of {known}"))
    })?;
    let stated = wanted.acres.as_ref().map(ToString::to_string);
    let (located, acres) = match (wanted.point, &wanted.polygon) {
        (Some(_), Some(_)) => {
            let rule = "send a point or a polygon, not both";
            return Err(FieldFault::new("point", "ambiguous", rule));
        }
        (Some(point), None) => {
            let cell = place::cell("point", point)?;
            (Located::At(cell, LocatedBy::Point), stated)
        }
        (None, Some(polygon)) => {
            let outlined = polygon.outline()?;
            if let Some(stated) = wanted.acres.as_ref().and_then(serde_json::Number::as_f64) {
                outlined.require_acres(stated)?;
            }
            let cell = place::cell("polygon", outlined.centroid)?;
            let acres = stated.unwrap_or_else(|| outlined.acres_text());
            (Located::At(cell, LocatedBy::Polygon), Some(acres))
        }
        (None, None) => (Located::Ward, stated),
    };
    let acres = acres.ok_or_else(|| FieldFault::missing("acres"))?;
    let acres_e2 = read_acres(&acres).ok_or_else(|| {
        let rule = "acres must be 0.1 to 100 with at most two decimals";
        FieldFault::new("acres", "out_of_range", rule)
    })?;
    Ok(Read {
        farmer,
        located,
        acres_e2,
        crop,
    })
}

/// A day of sowing that can be meant: what stands on the field, or will.
fn sown_on(day: Option<NaiveDate>, now: DateTime<Utc>) -> Result<Option<NaiveDate>, FieldFault> {
    let is_near = |day: &NaiveDate| (local_day(now) - *day).num_days().abs() <= SOWN_DAYS_MAX;
    if day.as_ref().is_none_or(is_near) {
        return Ok(day);
    }
    let rule = format!("sown_on must be within {SOWN_DAYS_MAX} days of today");
    Err(FieldFault::new("sown_on", "out_of_range", rule))
}

/// Adds a plot of one of the organisation's farmers.
#[utoipa::path(
    post, path = "/api/v1/plots", tag = "plots", request_body = PlotInput,
    responses((status = 201, body = PlotBody), (status = 422))
)]
pub(crate) async fn add(
    partner: Partner,
    State(app): State<App>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    let wanted: PlotInput = mutation.json()?;
    let read = read(&wanted).map_err(FieldFault::refuse)?;
    let mut change = match mutation.begin(&app, &partner).await? {
        Begun::Fresh(change) => change,
        Begun::Replayed(response) => return Ok(response),
    };
    let now = change.now;
    let sown_on = sown_on(wanted.sown_on, now).map_err(FieldFault::refuse)?;
    let organisation = partner.organisation;
    let conn = change.conn();
    let farmer = enrolments::find(conn, &app.pii, organisation, read.farmer)
        .await?
        .ok_or_else(|| {
            let rule = "no farmer of yours has this id";
            FieldFault::new("farmer_id", "unknown", rule).refuse()
        })?;
    let full = i64::try_from(PLOTS_MAX).unwrap_or(i64::MAX);
    if plots::count_locked(conn, farmer.id).await? >= full {
        let rule = format!("the farmer has {PLOTS_MAX} plots, as many as a phone can show");
        return Err(ApiError::refused("plots_full", rule));
    }
    let code = wanted.ward_code.unwrap_or(farmer.ward_code);
    let ward = wards::find(conn, &code).await?.ok_or_else(|| {
        let rule = "no ward has this code; codes are four digits, 0001 to 1450";
        FieldFault::new("ward_code", "unknown_ward", rule).refuse()
    })?;
    let (cell, located_by) = match read.located {
        Located::Ward => (ward.cell, LocatedBy::Ward),
        Located::At(cell, by) => {
            place::require_near(cell, ward.cell).map_err(FieldFault::refuse)?;
            (cell, by)
        }
    };
    let id: PlotId = app.ids.mint(now);
    let new = NewPlot {
        id,
        farmer_id: farmer.id,
        ward_code: &ward.code,
        cell,
        acres_e2: read.acres_e2,
        crop: read.crop,
        sown_on,
        intent_key: None,
    };
    plots::insert_located(conn, now, &new, located_by).await?;
    let plot = plots::find_of_organisation(conn, organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let location = format!("/api/v1/plots/{id}");
    let reply = Reply::created(location, &PlotBody::from(plot))?;
    change.finish(&app, reply).await
}
