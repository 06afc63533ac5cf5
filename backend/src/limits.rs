//! Ceilings by class of route, and what is answered above them. A USSD hop is always answered with
//! 200 and a screen, whatever went wrong; a callback of a known provider is never refused by rate.
//! Counters live in this process only: a ceiling is per pod. Applied by `app::build`.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::ussd::{Notice, notice};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use runtime::metrics::Metrics;
use sha2::{Digest, Sha256};
use tower_governor::GovernorError;
use tower_governor::governor::{GovernorConfig, GovernorConfigBuilder};
use tower_governor::key_extractor::{GlobalKeyExtractor, KeyExtractor};

use crate::config::Ceilings;
use crate::error::ApiError;

/// Counters of /api/v1: credentials fall into this many, so that invented ones cannot fill memory.
/// Two partners share one with a chance of 1 in 4,096.
const API_BUCKETS: u16 = 4_096;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The ceiling of one credential.
pub(crate) type ApiCeiling = GovernorConfig<CredentialKey, governor::middleware::NoOpMiddleware>;
/// The ceiling of all USSD hops.
pub(crate) type UssdCeiling =
    GovernorConfig<GlobalKeyExtractor, governor::middleware::NoOpMiddleware>;

/// Who asks, as far as a ceiling is concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CredentialKey;

impl KeyExtractor for CredentialKey {
    type Key = u16;

    fn extract<T>(&self, request: &http::Request<T>) -> Result<u16, GovernorError> {
        let headers = request.headers();
        let credential = headers
            .get(header::AUTHORIZATION)
            .or_else(|| headers.get("x-api-key"));
        let digest = Sha256::digest(credential.map_or(&b""[..], HeaderValue::as_bytes));
        Ok(u16::from_be_bytes([digest[0], digest[1]]) % API_BUCKETS)
    }
}

/// Every ceiling of this process.
#[derive(Clone)]
pub(crate) struct Limits {
    pub(crate) api: Arc<ApiCeiling>,
    pub(crate) ussd: Arc<UssdCeiling>,
    unknown_callbacks: Arc<DefaultDirectRateLimiter>,
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Limits")
    }
}

impl Limits {
    /// Fresh counters.
    #[expect(
        clippy::expect_used,
        reason = "the builder refuses only a zero period or burst"
    )]
    pub(crate) fn new(ceilings: &Ceilings) -> Self {
        let api = GovernorConfigBuilder::default()
            .period(period(ceilings.api_rate_per_second))
            .burst_size(ceilings.api_rate_burst.max(1))
            .key_extractor(CredentialKey)
            .finish()
            .expect("period and burst exceed zero");
        let ussd = GovernorConfigBuilder::default()
            .period(period(ceilings.ussd_rate_per_second))
            .burst_size(ceilings.ussd_rate_burst.max(1))
            .key_extractor(GlobalKeyExtractor)
            .finish()
            .expect("period and burst exceed zero");
        let quota = Quota::per_second(at_least_one(ceilings.webhook_rate_per_second))
            .allow_burst(at_least_one(ceilings.webhook_rate_burst));
        Self {
            api: Arc::new(api),
            ussd: Arc::new(ussd),
            unknown_callbacks: Arc::new(RateLimiter::direct(quota)),
        }
    }

    /// Whether one more callback without a known token may be answered by a plain 404.
    pub(crate) fn allows_unknown_callback(&self) -> bool {
        self.unknown_callbacks.check().is_ok()
    }
}

fn period(rate_per_second: u32) -> Duration {
    let nanos = NANOS_PER_SECOND / u64::from(rate_per_second.max(1));
    Duration::from_nanos(nanos.max(1))
}

fn at_least_one(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN)
}

/// A screen that ends the conversation, as 200.
pub(crate) fn ended(what: Notice) -> Response {
    let text = notice(None, what).to_string();
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    ([(header::CONTENT_TYPE, plain)], text).into_response()
}

/// The answer above the USSD ceiling.
pub(crate) fn ussd_busy(metrics: &Metrics) -> Response<Body> {
    metrics
        .rejected_inputs
        .with_label_values(&["ussd", "ceiling"])
        .inc();
    ended(Notice::Busy)
}

/// The answer above an API ceiling.
pub(crate) fn api_busy(metrics: &Metrics, error: &GovernorError) -> Response<Body> {
    metrics
        .rejected_inputs
        .with_label_values(&["api", "ceiling"])
        .inc();
    let mut response = ApiError::too_many().into_response();
    if let GovernorError::TooManyRequests { wait_time, .. } = error {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, (*wait_time).max(1).into());
    }
    response
}

/// Around every USSD route: a failure of ours (panic, time-out, too large) is still a screen,
/// because the gateway shows its own error for anything but 200. A wrong token stays 404.
pub(crate) async fn always_a_screen(
    State(metrics): State<Arc<Metrics>>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    match response.status() {
        StatusCode::OK | StatusCode::NOT_FOUND => response,
        status => {
            metrics
                .ussd_sessions
                .with_label_values(&["failed", status.as_str()])
                .inc();
            ended(Notice::Failed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_keep_their_bucket_and_rates_their_period() {
        let asked = |value: &str| {
            let request = http::Request::builder().header("authorization", value);
            CredentialKey.extract(&request.body(()).unwrap()).unwrap()
        };
        assert_eq!(asked("Bearer a"), asked("Bearer a"));
        assert_ne!(asked("Bearer a"), asked("Bearer b"));
        assert_eq!(period(100), Duration::from_millis(10));
        assert!(period(u32::MAX) > Duration::ZERO);
    }
}
