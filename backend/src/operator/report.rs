//! The whole house in one report, read in one snapshot. Changes nothing, names no person.
//! Called by operators and, for its closing table, by the season driver.

use axum::Json;
use axum::extract::{Query, State};
use domain::invariants::ProviderBooks;
use serde::Deserialize;
use store::report::{self, Report};
use store::{StoreError, facts};

use crate::App;
use crate::auth::Operator;
use crate::error::ApiError;

/// The rails' own books, when the asker has read them: then they are compared with the ledger.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Books {
    /// What the collecting rail says came in, minor units.
    collected_minor: Option<i64>,
    /// What the paying rail says went out, minor units.
    disbursed_minor: Option<i64>,
}

/// The whole house in one report.
#[utoipa::path(
    get, path = "/api/v1/operator/report", tag = "operators", params(Books),
    responses((status = 200, description = "The report", body = Object))
)]
pub(crate) async fn show(
    _: Operator,
    State(app): State<App>,
    Query(books): Query<Books>,
) -> Result<Json<Report>, ApiError> {
    let books = ProviderBooks {
        collected_minor: books.collected_minor,
        disbursed_minor: books.disbursed_minor,
    };
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    facts::snapshot(&mut tx).await?;
    let report = report::assemble(&mut tx, app.clock.now(), books).await?;
    Ok(Json(report))
}
