//! The simulated system's outside: what a test says to the sandbox over its control API, and the
//! backend's own address for what must go through a socket. Decides nothing. Called by tests.

use anyhow::ensure;
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::system::System;

impl System {
    /// Chooses how much it will rain.
    pub async fn set_weather(&self, scenario: &str, seed: u64) -> anyhow::Result<()> {
        let weather = json!({"scenario": scenario, "seed": seed});
        self.control("weather", &weather).await
    }

    /// Alters a wallet behind everybody's back, in cents.
    pub async fn adjust_wallet(&self, msisdn: &str, minor: i64) -> anyhow::Result<()> {
        let path = format!("wallets/{msisdn}/adjust");
        self.control(&path, &json!({"minor": minor})).await
    }

    /// Serves the backend on a free loopback port, for what must go through a socket.
    pub async fn serve(&self) -> anyhow::Result<(String, JoinSet<()>)> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (router, mut tasks) = (self.router.clone(), JoinSet::new());
        tasks.spawn(async move {
            // it ends with the set of tasks
            let _ = axum::serve(listener, router).await;
        });
        Ok((url, tasks))
    }

    /// Where the providers listen.
    #[must_use]
    pub fn sandbox_url(&self) -> &str {
        &self.sandbox.base_url
    }

    async fn control(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        let request = Request::post(format!("/control/{path}"))
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))?;
        let response = sandbox::router(self.world.clone()).oneshot(request).await?;
        let status = response.status();
        ensure!(status.is_success(), "{path} was refused: {status}");
        Ok(())
    }
}
