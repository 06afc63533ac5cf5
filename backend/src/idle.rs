//! What is due now and what will be next: lets a season driver wait until nothing moves before it
//! moves the clock. Exists only where time is manual; elsewhere it answers 404.
//! Called by the season driver.

use axum::Json;
use axum::extract::State;
use runtime::topology::Role;
use serde_json::{Value, json};

use crate::App;
use crate::error::ApiError;
use crate::routes::{Auth, Limit, Route};

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::get(
        "/internal/idle",
        Auth::ManualClock,
        Limit::None,
        idle,
    )]
}

async fn idle(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    if !app.clock.is_manual() {
        return Err(ApiError::not_found());
    }
    let now = app.clock.now();
    let mut conn = app.acquire().await?;
    let pairs: Vec<_> = Role::pairs().collect();
    let idle = store::idle::look(&mut conn, now, &pairs).await?;
    Ok(Json(json!({
        "at": now,
        "idle": idle.is_idle(),
        "work_now": idle.work_now,
        "next_urgent": idle.next_urgent,
        "next_routine": idle.next_routine,
    })))
}
