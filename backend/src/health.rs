//! Whether the process lives, whether it can serve, and which server is away. Never waits longer
//! than a probe does, and shows no address. Called by supervisors, probes and people.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::App;
use crate::routes::{Auth, Limit, Route};

/// Longest wait for one server; probes give up at 3 s or later.
const PROBE: Duration = Duration::from_secs(2);

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/health/live", Auth::Public, Limit::None, live),
        Route::get("/health/ready", Auth::Public, Limit::None, ready),
        Route::get("/health/db", Auth::Public, Limit::None, db),
        Route::get("/health/redis", Auth::Public, Limit::None, redis),
        Route::get("/health/rabbitmq", Auth::Public, Limit::None, rabbitmq),
    ]
}

/// Whether it is well.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthShown {
    /// `ok` or `unavailable`.
    status: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Server {
    Database,
    Redis,
    Rabbitmq,
}

/// Whether the process lives.
#[utoipa::path(
    get, path = "/health/live", tag = "health",
    responses(
        (status = 200, description = "Well", body = HealthShown),
        (status = 503, description = "A part of the process has died", body = HealthShown),
    )
)]
pub(crate) async fn live(State(app): State<App>) -> Response {
    answer(app.health.dead_loops().is_empty())
}

/// Ready is: the database answers and nobody asked us to stop. Redis and RabbitMQ away cost
/// comfort (resumed sessions, latency), not service.
#[utoipa::path(
    get, path = "/health/ready", tag = "health",
    responses(
        (status = 200, description = "Well", body = HealthShown),
        (status = 503, description = "It cannot serve now", body = HealthShown),
    )
)]
pub(crate) async fn ready(State(app): State<App>) -> Response {
    let serving = !app.lifecycle.is_stopping() && app.health.unready_parts().is_empty();
    answer(serving && is_up(&app, Server::Database).await)
}

/// Whether the database answers.
#[utoipa::path(
    get, path = "/health/db", tag = "health",
    responses(
        (status = 200, description = "Well", body = HealthShown),
        (status = 503, description = "The database is away", body = HealthShown),
    )
)]
pub(crate) async fn db(State(app): State<App>) -> Response {
    answer(is_up(&app, Server::Database).await)
}

/// Whether Redis answers.
#[utoipa::path(
    get, path = "/health/redis", tag = "health",
    responses(
        (status = 200, description = "Well", body = HealthShown),
        (status = 503, description = "Redis is away", body = HealthShown),
    )
)]
pub(crate) async fn redis(State(app): State<App>) -> Response {
    answer(is_up(&app, Server::Redis).await)
}

/// Whether RabbitMQ answers.
#[utoipa::path(
    get, path = "/health/rabbitmq", tag = "health",
    responses(
        (status = 200, description = "Well", body = HealthShown),
        (status = 503, description = "RabbitMQ is away", body = HealthShown),
    )
)]
pub(crate) async fn rabbitmq(State(app): State<App>) -> Response {
    answer(is_up(&app, Server::Rabbitmq).await)
}

async fn is_up(app: &App, server: Server) -> bool {
    let asked = async {
        match server {
            Server::Database => match app.pool.acquire().await {
                Ok(mut conn) => store::pool::ping(&mut conn).await.is_ok(),
                Err(_) => false,
            },
            Server::Redis => app.redis.ping().await.is_ok(),
            // asking anything reopens a connection that was lost
            Server::Rabbitmq => match app.broker().await {
                Some(broker) => broker.depths(&[]).await.is_ok(),
                None => false,
            },
        }
    };
    timeout(PROBE, asked).await.unwrap_or(false)
}

fn answer(is_well: bool) -> Response {
    let (status, word) = if is_well {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    };
    (status, axum::Json(HealthShown { status: word })).into_response()
}
