//! Swypt: collecting a premium by an M-Pesa prompt and turning it into stablecoin. It calls nobody
//! back, so everything is asked for; it mixes texts and numbers, so everything is read tolerantly.
//! A prompt is not idempotent and is never repeated here.
//! Called by the premium worker.

pub mod deposit;
pub mod history;
pub mod order;
pub mod quote;
mod reply;

use std::time::Duration;

use serde_json::Value;

use crate::wire::{Effect, REPLY_BYTES_MAX, Reply, TIMEOUT_DEFAULT, exchange, join};
use crate::{ProviderError, Secret};

pub use deposit::Deposit;
pub use history::{HistoryPage, HistoryRow};
pub use order::{OnrampOrder, OrderState, OrderStatus};
pub use quote::{Quote, QuoteKind};

/// The provider's name in rows and metrics.
pub const NAME: &str = "swypt";
/// Most one prompt collects, shillings (sample quotes; the quote's own limit governs).
pub const ONRAMP_SHILLINGS_MAX: i64 = 10_000;

/// Where, as whom and to which address to collect.
#[derive(Debug, Clone)]
pub struct Config {
    /// Live `https://pool.swypt.io/api`.
    pub base_url: String,
    /// Header `x-api-key`.
    pub api_key: Secret,
    /// Header `x-api-secret`.
    pub secret_key: Secret,
    /// Our address on the chain, where collected money ends.
    pub user_address: String,
    /// The token's contract; USDC on Base.
    pub token_address: String,
    /// Chain name in `/deposit`, `base`.
    pub chain: String,
    /// Project name in `/deposit`.
    pub project: String,
    /// Whole-request limit.
    pub timeout: Duration,
}

impl Config {
    /// On Base for this project, with the usual time-out.
    #[must_use]
    pub fn new(
        base_url: &str,
        api_key: Secret,
        secret_key: Secret,
        user_address: &str,
        token_address: &str,
    ) -> Self {
        Self {
            base_url: base_url.to_owned(),
            api_key,
            secret_key,
            user_address: user_address.to_owned(),
            token_address: token_address.to_owned(),
            chain: "base".to_owned(),
            project: "microcrop".to_owned(),
            timeout: TIMEOUT_DEFAULT,
        }
    }
}

/// A client of Swypt.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    config: Config,
}

impl Client {
    /// A client over `http`.
    #[must_use]
    pub fn new(http: reqwest::Client, config: Config) -> Self {
        Self { http, config }
    }

    async fn post(&self, path: &str, body: &Value, effect: Effect) -> Result<Reply, ProviderError> {
        let request = self.http.post(join(&self.config.base_url, path)).json(body);
        exchange(self.authorised(request), effect, REPLY_BYTES_MAX).await
    }

    async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Reply, ProviderError> {
        let request = self
            .http
            .get(join(&self.config.base_url, path))
            .query(query);
        exchange(self.authorised(request), Effect::Read, REPLY_BYTES_MAX).await
    }

    fn authorised(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        request
            .header("x-api-key", self.config.api_key.expose())
            .header("x-api-secret", self.config.secret_key.expose())
            .timeout(self.config.timeout)
    }
}
