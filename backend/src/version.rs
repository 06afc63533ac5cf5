//! Which build answers. Shows nothing about the machine it runs on.
//! Called by deployments and by people.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::routes::{Auth, Limit, Route};

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::get(
        "/api/version",
        Auth::Public,
        Limit::Api,
        version,
    )]
}

/// Which build answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionShown {
    /// `microcrop`.
    name: &'static str,
    /// Version of the program.
    version: &'static str,
    /// Commit it was built from, or `unknown`.
    commit: &'static str,
}

/// Which build answers.
#[utoipa::path(
    get, path = "/api/version", tag = "health",
    responses((status = 200, description = "The build", body = VersionShown))
)]
pub(crate) async fn version() -> Json<VersionShown> {
    Json(VersionShown {
        name: "microcrop",
        version: env!("CARGO_PKG_VERSION"),
        commit: option_env!("GIT_COMMIT").unwrap_or("unknown"),
    })
}
