//! A ward's own point, once somebody knows it: plots added from now on lie in its cell. Plots and
//! policies that exist keep the cell they were sold with.
//! Called by operators and, for replays with a points file, by the season driver.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use domain::cell::PlotCell;
use h3o::{LatLng, Resolution};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{StoreError, wards};
use utoipa::ToSchema;

use super::audited;
use crate::App;
use crate::auth::Operator;
use crate::error::ApiError;

/// Kenya lies within these degrees (with the lakes and the sea shore); a point outside them is
/// most often latitude and longitude exchanged.
const LATITUDES: std::ops::RangeInclusive<f64> = -5.0..=5.7;
const LONGITUDES: std::ops::RangeInclusive<f64> = 33.5..=42.1;

/// A ward's point, degrees.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WardPoint {
    /// Latitude, -5.0 to 5.7.
    lat: f64,
    /// Longitude, 33.5 to 42.1.
    lon: f64,
}

/// A ward with its point.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WardShown {
    /// Code.
    code: String,
    /// The H3 cell of its point, resolution 8.
    plot_cell: String,
    /// The cell that its plots are observed in, resolution 7.
    risk_cell: String,
    /// `ward`: the point is the ward's own.
    precision: &'static str,
}

/// Gives a ward its own point: plots that are added from now on lie in its cell.
#[utoipa::path(
    put, path = "/api/v1/operator/wards/{code}", tag = "operators",
    params(("code" = String, Path, description = "Four digits")), request_body = WardPoint,
    responses(
        (status = 200, description = "The ward has this point", body = WardShown),
        (status = 404, description = "`unknown_ward`"),
        (status = 422, description = "`point_outside_kenya`"),
    )
)]
pub(crate) async fn refine(
    operator: Operator,
    State(app): State<App>,
    Path(code): Path<String>,
    body: Bytes,
) -> Result<Json<WardShown>, ApiError> {
    let point: WardPoint = serde_json::from_slice(&body)
        .map_err(|_| ApiError::malformed("send {\"lat\": -1.28, \"lon\": 36.82}, in degrees"))?;
    let cell = cell_of(&point)?;
    let now = app.clock.now();
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let is_code = code.len() == 4 && code.bytes().all(|b| b.is_ascii_digit());
    if !is_code || wards::find(&mut tx, &code).await?.is_none() {
        let detail = "no ward has this code; codes are four digits, 0001 to 1450";
        return Err(ApiError::new(StatusCode::NOT_FOUND, "unknown_ward", detail));
    }
    wards::refine(&mut tx, now, &code, cell).await?;
    let details = json!({ "plot_cell": cell.to_string() });
    audited(
        &mut tx,
        now,
        &app.ids,
        &operator,
        ("ward.refined", &code, details),
    )
    .await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(Json(WardShown {
        code,
        plot_cell: cell.to_string(),
        risk_cell: cell.risk_cell().to_string(),
        precision: "ward",
    }))
}

fn cell_of(point: &WardPoint) -> Result<PlotCell, ApiError> {
    let outside = || {
        let rule = "the point must lie in Kenya: lat -5.0 to 5.7, lon 33.5 to 42.1";
        ApiError::refused("point_outside_kenya", rule)
    };
    if !LATITUDES.contains(&point.lat) || !LONGITUDES.contains(&point.lon) {
        return Err(outside());
    }
    let place = LatLng::new(point.lat, point.lon).map_err(|_| outside())?;
    PlotCell::new(place.to_cell(Resolution::Eight)).map_err(ApiError::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_becomes_its_cell_and_exchanged_coordinates_are_refused() {
        // Kitui, domain notes of the H3 grid
        let cell = cell_of(&WardPoint {
            lat: -1.366_67,
            lon: 38.016_67,
        })
        .unwrap();
        assert_eq!(cell.index().resolution(), Resolution::Eight);
        for (lat, lon) in [(38.0, -1.3), (f64::NAN, 38.0), (0.0, 0.0)] {
            let refused = cell_of(&WardPoint { lat, lon }).unwrap_err();
            assert_eq!(refused.code, "point_outside_kenya");
        }
    }
}
