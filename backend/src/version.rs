//! Which build answers. Shows nothing about the machine it runs on.
//! Called by deployments and by people.

use axum::Json;
use serde_json::{Value, json};

use crate::routes::{Auth, Limit, Route};

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::get(
        "/api/version",
        Auth::Public,
        Limit::Api,
        version,
    )]
}

async fn version() -> Json<Value> {
    Json(json!({
        "name": "microcrop",
        "version": env!("CARGO_PKG_VERSION"),
        "commit": option_env!("GIT_COMMIT").unwrap_or("unknown"),
    }))
}
