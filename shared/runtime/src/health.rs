//! Whether a process is alive and whether it can serve, on its private port together with its
//! metrics. Alive means that every loop went round lately: a worker that consumes nothing must be
//! restarted, not admired. Must never be reachable from outside. Called by every `main`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;

/// A loop older than this is dead; loops go round at least every second or while backing off
/// at most every 60 s.
pub const LOOP_AGE_SECONDS_MAX: u64 = 120;

/// Health of one process; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<Board>>);

#[derive(Debug, Default)]
struct Board {
    beats: BTreeMap<String, Instant>,
    unready: BTreeMap<String, String>,
}

impl Health {
    /// Nothing watched, nothing wrong.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A loop went round.
    pub fn beat(&self, name: &str) {
        let now = Instant::now();
        self.board(|board| match board.beats.get_mut(name) {
            Some(beat) => *beat = now,
            None => drop(board.beats.insert(name.to_owned(), now)),
        });
    }

    /// A part can serve again.
    pub fn ready(&self, name: &str) {
        self.board(|board| drop(board.unready.remove(name)));
    }

    /// A part cannot serve, and why.
    pub fn unready(&self, name: &str, reason: &str) {
        self.board(|board| drop(board.unready.insert(name.to_owned(), reason.to_owned())));
    }

    /// The parts that cannot serve: `name: reason`; empty when ready.
    #[must_use]
    pub fn unready_parts(&self) -> Vec<String> {
        self.board(|board| {
            board
                .unready
                .iter()
                .map(|(name, reason)| format!("{name}: {reason}"))
                .collect()
        })
    }

    /// The loops that have not gone round for too long; empty when alive.
    #[must_use]
    pub fn dead_loops(&self) -> Vec<String> {
        let limit = Duration::from_secs(LOOP_AGE_SECONDS_MAX);
        self.ages()
            .into_iter()
            .filter(|(_, age)| *age > limit)
            .map(|(name, _)| name)
            .collect()
    }

    /// How long ago each loop last went round.
    #[must_use]
    pub fn ages(&self) -> Vec<(String, Duration)> {
        self.board(|board| {
            board
                .beats
                .iter()
                .map(|(name, beat)| (name.clone(), beat.elapsed()))
                .collect()
        })
    }

    fn board<T>(&self, act: impl FnOnce(&mut Board) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Clone)]
struct Served {
    health: Health,
    metrics: Arc<Metrics>,
    lifecycle: Lifecycle,
}

/// The routes `/health/live`, `/health/ready` and `/metrics`.
pub fn router(health: Health, metrics: Arc<Metrics>, lifecycle: Lifecycle) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(render))
        .with_state(Served {
            health,
            metrics,
            lifecycle,
        })
}

/// Serves the private port until the very end of the process, so that the drain can be watched.
pub async fn serve(
    port: u16,
    health: Health,
    metrics: Arc<Metrics>,
    lifecycle: &Lifecycle,
) -> Result<(), std::io::Error> {
    let listener = TcpListener::bind(("0.0.0.0", port)).await?;
    let router = router(health, metrics, lifecycle.clone());
    lifecycle.spawn_last(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the health port is closed");
        }
    });
    Ok(())
}

async fn live(State(served): State<Served>) -> impl IntoResponse {
    answer(&served.health.dead_loops())
}

async fn ready(State(served): State<Served>) -> impl IntoResponse {
    let mut parts = served.health.unready_parts();
    if served.lifecycle.is_stopping() {
        parts.push("process: stopping".to_owned());
    }
    answer(&parts)
}

async fn render(State(served): State<Served>) -> impl IntoResponse {
    for (name, age) in served.health.ages() {
        served
            .metrics
            .consumer_age_seconds
            .with_label_values(&[&name])
            .set(age.as_secs_f64());
    }
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        served.metrics.render(),
    )
}

fn answer(wrong: &[String]) -> (StatusCode, String) {
    if wrong.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{}\n", wrong.join("\n")),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_stands_still_is_dead() {
        let health = Health::new();
        health.beat("payout");
        assert!(health.dead_loops().is_empty());
        tokio::time::advance(Duration::from_secs(LOOP_AGE_SECONDS_MAX + 1)).await;
        assert_eq!(health.dead_loops(), ["payout"]);
        health.beat("payout");
        assert!(health.dead_loops().is_empty());
    }

    #[test]
    fn readiness_names_what_is_missing() {
        let health = Health::new();
        health.unready("payout", "postgres is away");
        assert_eq!(health.unready_parts(), ["payout: postgres is away"]);
        health.ready("payout");
        assert!(health.unready_parts().is_empty());
    }
}
