//! What every handler shares, and the router over the table of routes with its middleware.
//! Holds no handler and no rule. Built by `main`, by tests and by the simulation.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{StatusCode, header};
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
use tower::ServiceBuilder;
use tower::util::{MapRequestLayer, MapResponseLayer};
use tower_governor::GovernorLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use crate::config::Config;
use crate::error::{ApiError, as_problem};
use crate::limits::{self, Limits};
use crate::partner::gate;
use crate::people::passwords::Passwords;
use crate::record::Record;
use crate::routes::{self, Auth, Limit, Route};
use crate::ussd::Channel;

/// What every handler shares; cloning it is cheap, which every request does more than once.
#[derive(Clone)]
pub struct App(Arc<Shared>);

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// What is in an [`App`].
pub struct Shared {
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
    broker: OnceCell<Broker>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("App")
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
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
        let ussd = Arc::new(Channel::new(
            &parts.config,
            &parts.lifecycle,
            &parts.pool,
            &parts.pii,
        ));
        let passwords = Passwords::new(&parts.config.pin_pepper);
        Self(Arc::new(Shared {
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
            broker: OnceCell::new(),
        }))
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
/// 2. the class's ceiling: refusing must cost next to nothing. For partners it is part of their
///    gate, which also checks the key and the scope before anything is read.
/// 3. panics become 500 and time-outs 503, for this request alone.
/// 4. the body limit, before a handler reads it.
/// 5. the handler, which checks its credential before anything else.
///
/// USSD hops are so many that 2 to 4 are steps of their handler instead of layers around it, and
/// what becomes of a failure there is a screen (`ussd::handler`).
pub fn build(app: App) -> Router {
    let mut router = Router::new();
    for route in routes::table() {
        let path = route.path;
        let layered = layered(&app, route).layer::<_, Infallible>(Record(app.clone()));
        router = router.route(path, layered);
    }
    let unknown: MethodRouter = axum::routing::any(|| async { ApiError::not_found() });
    router
        .fallback_service(unknown.layer(Record(app.clone())))
        .with_state(app)
}

fn layered(app: &App, route: Route) -> MethodRouter<App> {
    if route.limit == Limit::Ussd {
        return route.handler;
    }
    let limit = Duration::from_secs(route.request_seconds_max);
    // one layer of layers: each by itself would be boxed at every request; the first is outermost
    let guards = ServiceBuilder::new()
        .layer(CatchPanicLayer::custom(panicked))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            limit,
        ))
        .layer(RequestBodyLimitLayer::new(route.body_bytes_max))
        .layer(DefaultBodyLimit::max(route.body_bytes_max));
    let guarded: MethodRouter<App> = route.handler.layer(guards);
    if let Auth::Partner(scope) = route.auth {
        return guarded.layer(middleware::from_fn_with_state(
            (app.clone(), scope),
            gate::pass,
        ));
    }
    match route.limit {
        Limit::None | Limit::Webhook | Limit::Ussd => guarded,
        Limit::Api => {
            let metrics = app.metrics.clone();
            let ceiling = GovernorLayer::new(app.limits.api.clone())
                .error_handler(move |error| limits::api_busy(&metrics, &error));
            let answers = MapResponseLayer::new(as_problem);
            let guarded = guarded.layer(ServiceBuilder::new().layer(ceiling).layer(answers));
            if route.auth == Auth::Public {
                // who needs no credential must not choose their own counter by inventing one
                guarded.layer(MapRequestLayer::new(without_credential))
            } else {
                guarded
            }
        }
    }
}

fn without_credential(mut request: Request) -> Request {
    request.headers_mut().remove(header::AUTHORIZATION);
    request.headers_mut().remove("x-api-key");
    request
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    // the panic hook has printed where; the answer must not
    ApiError::internal(Panicked).into_response()
}

#[derive(Debug, thiserror::Error)]
#[error("the handler panicked")]
struct Panicked;
