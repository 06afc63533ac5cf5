//! What every handler shares, and the router over the table of routes with its middleware.
//! Holds no handler and no rule. Built by `main`, by tests and by the simulation.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use runtime::amqp::Rabbit;
use runtime::broker::Broker;
use runtime::clock::Clock;
use runtime::health::Health;
use runtime::ids::Ids;
use runtime::lifecycle::Lifecycle;
use runtime::metrics::Metrics;
use runtime::redis::Redis;
use runtime::topology::Topology;
use store::{Pii, Pool, Pooled, StoreError};
use tokio::sync::{Notify, OnceCell};
use tower_governor::GovernorLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use crate::config::Config;
use crate::error::ApiError;
use crate::limits::{self, Limits};
use crate::partner::gate;
use crate::people::passwords::Passwords;
use crate::record;
use crate::routes::{self, Auth, Limit, Route};
use crate::ussd::Channel;

/// What every handler shares; cloning it is cheap.
#[derive(Clone)]
pub struct App {
    /// The database.
    pub pool: Pool,
    /// USSD sessions and counters.
    pub redis: Redis,
    /// The time.
    pub clock: Clock,
    /// Identifiers and randomness.
    pub ids: Ids,
    /// Seals and indexes personal data.
    pub pii: Arc<Pii>,
    /// Counters and gauges.
    pub metrics: Arc<Metrics>,
    /// Liveness and readiness.
    pub health: Health,
    /// Tasks and signals.
    pub lifecycle: Lifecycle,
    /// All settings.
    pub config: Arc<Config>,
    /// Rung when a callback was stored, so that it is processed at once.
    pub(crate) callback_stored: Arc<Notify>,
    pub(crate) limits: Limits,
    /// What the USSD channel holds.
    pub(crate) ussd: Arc<Channel>,
    /// Hashes passwords of people who work here.
    pub(crate) passwords: Passwords,
    broker: Arc<OnceCell<Broker>>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("App")
    }
}

/// What an [`App`] is made of.
pub struct Parts {
    /// The database.
    pub pool: Pool,
    /// USSD sessions and counters.
    pub redis: Redis,
    /// The time.
    pub clock: Clock,
    /// Identifiers and randomness.
    pub ids: Ids,
    /// Seals and indexes personal data.
    pub pii: Arc<Pii>,
    /// Counters and gauges.
    pub metrics: Arc<Metrics>,
    /// Tasks and signals.
    pub lifecycle: Lifecycle,
    /// All settings.
    pub config: Config,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parts")
    }
}

impl App {
    /// An app with fresh ceilings.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let limits = Limits::new(&parts.config.ceilings);
        let ussd = Arc::new(Channel::new(&parts.config));
        let passwords = Passwords::new(&parts.config.pin_pepper);
        Self {
            pool: parts.pool,
            redis: parts.redis,
            clock: parts.clock,
            ids: parts.ids,
            pii: parts.pii,
            metrics: parts.metrics,
            health: Health::new(),
            lifecycle: parts.lifecycle,
            config: Arc::new(parts.config),
            callback_stored: Arc::new(Notify::new()),
            limits,
            ussd,
            passwords,
            broker: Arc::new(OnceCell::new()),
        }
    }

    /// A connection of the pool.
    pub async fn acquire(&self) -> Result<Pooled, StoreError> {
        Ok(self.pool.acquire().await?)
    }

    /// The broker, connected at the first question: the backend itself only rings bells through
    /// the outbox. `None` when it cannot be reached.
    pub(crate) async fn broker(&self) -> Option<&Broker> {
        let common = &self.config.common;
        let connect = async || {
            let topology = Topology {
                prefix: common.broker_prefix.clone(),
                retry_delay_ms: common.rabbitmq_retry_delay_ms,
            };
            let url = common.rabbitmq_url.expose();
            Rabbit::connect_for(url, topology, "backend", &[])
                .await
                .map(Broker::Rabbit)
        };
        self.broker.get_or_try_init(connect).await.ok()
    }
}

/// The router: every route of the table, each in its own layers, and one record around all.
///
/// From outside to inside, and why:
/// 1. `record`: the request's id, metrics and log line see the final answer, whatever gave it.
/// 2. USSD only, `always_a_screen`: whatever fails further in becomes a screen.
/// 3. the class's ceiling: refusing must cost next to nothing. For partners it is part of their
///    gate, which also checks the key and the scope before anything is read.
/// 4. panics become 500 and time-outs 503, for this request alone.
/// 5. the body limit, before a handler reads it.
/// 6. the handler, which checks its credential before anything else.
pub fn build(app: App) -> Router {
    let mut router = Router::new();
    for route in routes::table() {
        router = router.route(route.path, layered(&app, route));
    }
    router
        .fallback(|| async { ApiError::not_found() })
        .layer(middleware::from_fn_with_state(app.clone(), record::record))
        .with_state(app)
}

fn layered(app: &App, route: Route) -> MethodRouter<App> {
    let limit = Duration::from_secs(route.request_seconds_max);
    let guarded: MethodRouter<App> = route
        .handler
        .layer::<_, Infallible>(DefaultBodyLimit::max(route.body_bytes_max))
        .layer::<_, Infallible>(RequestBodyLimitLayer::new(route.body_bytes_max))
        .layer::<_, Infallible>(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            limit,
        ))
        .layer(CatchPanicLayer::custom(panicked));
    if let Auth::Partner(scope) = route.auth {
        return guarded.layer(middleware::from_fn_with_state(
            (app.clone(), scope),
            gate::pass,
        ));
    }
    match route.limit {
        Limit::None | Limit::Webhook => guarded,
        Limit::Api => {
            let metrics = app.metrics.clone();
            let ceiling = GovernorLayer::new(app.limits.api.clone())
                .error_handler(move |error| limits::api_busy(&metrics, &error));
            guarded.layer(ceiling)
        }
        Limit::Ussd => {
            let metrics = app.metrics.clone();
            let ceiling = GovernorLayer::new(app.limits.ussd.clone())
                .error_handler(move |_| limits::ussd_busy(&metrics));
            guarded
                .layer::<_, Infallible>(ceiling)
                .layer(middleware::from_fn_with_state(
                    app.metrics.clone(),
                    limits::always_a_screen,
                ))
        }
    }
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    // the panic hook has printed where; the answer must not
    ApiError::internal(Panicked).into_response()
}

#[derive(Debug, thiserror::Error)]
#[error("the handler panicked")]
struct Panicked;
