//! The two operators of the simulated system: one proposes the release of a held evaluation, the
//! other confirms it, over HTTP as in life. Must never release what is not held.
//! Called by `system` while it comes to rest.

use anyhow::ensure;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use backend::operator::issue_token;
use serde_json::Value;
use store::approvals::list_runs;
use store::evaluations::EvaluationState;
use tower::ServiceExt;

use crate::system::System;

/// Who proposes, and who confirms.
const PEOPLE: [&str; 2] = ["Wanjiku", "Otieno"];

impl System {
    /// Lets both people look at what is held; whether anything was.
    pub(crate) async fn approve_held(&self) -> anyhow::Result<bool> {
        let mut conn = self.app.pool.acquire().await?;
        if list_runs(&mut conn, EvaluationState::Held, 1)
            .await?
            .is_empty()
        {
            return Ok(false);
        }
        drop(conn);
        for token in self.operator_tokens().await? {
            let held = self.call(&token, "GET", "/api/v1/payout-runs").await?;
            for run in held["runs"].as_array().into_iter().flatten() {
                let id = run["evaluation"].as_str().unwrap_or_default();
                let path = format!("/api/v1/payout-runs/{id}/approve");
                self.call(&token, "POST", &path).await?;
            }
        }
        Ok(true)
    }

    /// A token for each of the two.
    pub async fn operator_tokens(&self) -> anyhow::Result<Vec<String>> {
        let (app, mut tokens) = (&self.app, Vec::new());
        for name in PEOPLE {
            let (now, role) = (app.clock.now(), "approver");
            let issued = issue_token(&app.pool, now, &app.ids, &app.config, name, role);
            tokens.push(issued.await?);
        }
        Ok(tokens)
    }

    async fn call(&self, token: &str, method: &str, path: &str) -> anyhow::Result<Value> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .body(Body::empty())?;
        let response = self.router.clone().oneshot(request).await?;
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 1 << 20).await?;
        let text = String::from_utf8_lossy(&bytes);
        ensure!(status.is_success(), "{path} answered {status}: {text}");
        Ok(serde_json::from_slice(&bytes)?)
    }
}
