//! The door of the HTTP port: connections come in here, a farmer's hop goes straight to its
//! handler and everything else to the router.
//!
//! Hops are by far the most requests, and the router's way to a handler (a boxed service, future
//! and body at every layer) cost as much as answering one (docs/benchmarks.md). The router knows
//! the hops' routes as well: both ways lead to the same function, and a test compares them.
//! Must never decide anything itself. Run by `main`.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{Either, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use runtime::lifecycle::Lifecycle;
use tokio::net::TcpListener;
use tower::Service as _;

use crate::app::{App, build};
use crate::{record, ussd};

/// How long no connection is taken after one could not be (no file descriptors left, mostly).
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// The body of an answer: a screen, or whatever the router gave.
pub type Answer = Response<Either<Full<Bytes>, Body>>;

/// The way in.
#[derive(Clone)]
pub struct Door {
    app: App,
    router: Router,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Door")
    }
}

impl Door {
    /// A door before the router of `app`.
    #[must_use]
    pub fn new(app: App) -> Self {
        Self {
            router: build(app.clone()),
            app,
        }
    }

    /// Answers one request.
    pub async fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: axum::body::HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        if request.method() == Method::POST
            && let Some(call) = ussd::call(&self.app, request.uri().path())
        {
            let (head, body) = request.into_parts();
            let hop = ussd::hop(&self.app, &call, body);
            return record::hop(&self.app, call.route, &head.headers, hop).await;
        }
        let Ok(response) = self.router.clone().call(request.map(Body::new)).await;
        response.map(Either::Right)
    }

    /// Takes connections until the process is asked to stop, then finishes what is under way.
    pub async fn serve(self, listener: TcpListener, lifecycle: &Lifecycle) -> std::io::Result<()> {
        let connections = GracefulShutdown::new();
        let mut http = http1::Builder::new();
        // an answer's head and body are small: one buffer, one plain write
        http.writev(false);
        while !lifecycle.is_stopping() {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = lifecycle.stopping() => break,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    lifecycle.pause(PAUSE_AFTER_REFUSAL).await;
                    continue;
                }
            };
            // an answer is written whole: there is nothing to gather. Who has hung up already is
            // noticed below
            drop(stream.set_nodelay(true));
            let door = self.clone();
            let answer = service_fn(move |request| {
                let door = door.clone();
                async move { Ok::<_, Infallible>(door.answer(request).await) }
            });
            let connection = http.serve_connection(TokioIo::new(stream), answer);
            let connection = connections.watch(connection);
            lifecycle.spawn_ending(async move {
                // whoever hangs up in the middle has said enough
                drop(connection.await);
            });
        }
        drop(listener);
        connections.shutdown().await;
        Ok(())
    }
}
