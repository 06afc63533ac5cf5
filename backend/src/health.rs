//! Whether the process lives, whether it can serve, and which server is away. Never waits longer
//! than a probe does, and shows no address. Called by supervisors, probes and people.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::time::timeout;

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

#[derive(Debug, Clone, Copy)]
enum Server {
    Database,
    Redis,
    Rabbitmq,
}

async fn live(State(app): State<App>) -> Response {
    answer(app.health.dead_loops().is_empty())
}

/// Ready is: the database answers and nobody asked us to stop. Redis and RabbitMQ away cost
/// comfort (resumed sessions, latency), not service.
async fn ready(State(app): State<App>) -> Response {
    let serving = !app.lifecycle.is_stopping() && app.health.unready_parts().is_empty();
    answer(serving && is_up(&app, Server::Database).await)
}

async fn db(State(app): State<App>) -> Response {
    answer(is_up(&app, Server::Database).await)
}

async fn redis(State(app): State<App>) -> Response {
    answer(is_up(&app, Server::Redis).await)
}

async fn rabbitmq(State(app): State<App>) -> Response {
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
    (status, axum::Json(json!({ "status": word }))).into_response()
}
