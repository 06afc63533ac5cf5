//! Ceilings by class of route, and what is answered above them. A USSD hop is always answered with
//! 200 and a screen, whatever went wrong; a callback of a known provider is never refused by rate.
//! Counters live in this process only: a ceiling is per pod. Applied by `app::build` and, for hops,
//! by their handler.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use runtime::metrics::Metrics;
use sha2::{Digest, Sha256};
use tower_governor::GovernorError;
use tower_governor::governor::{GovernorConfig, GovernorConfigBuilder};
use tower_governor::key_extractor::KeyExtractor;

use crate::config::Ceilings;
use crate::error::ApiError;

/// Counters of /api/v1: credentials fall into this many, so that invented ones cannot fill memory.
/// Two partners share one with a chance of 1 in 4,096.
const API_BUCKETS: u16 = 4_096;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The ceiling of one credential.
pub(crate) type ApiCeiling = GovernorConfig<CredentialKey, governor::middleware::NoOpMiddleware>;
/// The ceiling of one partner's key, which tells how much of it is left.
type PartnerCeiling =
    RateLimiter<u16, DefaultKeyedStateStore<u16>, DefaultClock, StateInformationMiddleware>;

/// Who asks, as far as a ceiling is concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CredentialKey;

impl KeyExtractor for CredentialKey {
    type Key = u16;

    fn extract<T>(&self, request: &http::Request<T>) -> Result<u16, GovernorError> {
        Ok(bucket(request.headers()))
    }
}

/// The counter of a credential.
fn bucket(headers: &HeaderMap) -> u16 {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let plain = || headers.get("x-api-key").map(HeaderValue::as_bytes);
    // what is no credential to the gates is none here: it must not buy a counter of its own
    let digest = Sha256::digest(bearer.or_else(plain).unwrap_or_default());
    u16::from_be_bytes([digest[0], digest[1]]) % API_BUCKETS
}

/// How a partner's key stands with its ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Requests at once.
    pub(crate) limit: u32,
    /// How many of them are left.
    pub(crate) remaining: u32,
    /// Seconds until all are back; for a refusal, until one is.
    pub(crate) reset_seconds: u64,
}

impl Allowance {
    /// As the headers `RateLimit-Limit`, `-Remaining` and `-Reset`.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        let limit = HeaderName::from_static("ratelimit-limit");
        headers.insert(limit, self.limit.into());
        let remaining = HeaderName::from_static("ratelimit-remaining");
        headers.insert(remaining, self.remaining.into());
        let reset = HeaderName::from_static("ratelimit-reset");
        headers.insert(reset, self.reset_seconds.into());
    }
}

/// Every ceiling of this process.
#[derive(Clone)]
pub(crate) struct Limits {
    pub(crate) api: Arc<ApiCeiling>,
    ussd: Arc<DefaultDirectRateLimiter>,
    unknown_callbacks: Arc<DefaultDirectRateLimiter>,
    partners: Arc<PartnerCeiling>,
    partner_rate_per_second: u32,
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
        let ussd = Quota::per_second(at_least_one(ceilings.ussd_rate_per_second))
            .allow_burst(at_least_one(ceilings.ussd_rate_burst));
        let quota = Quota::per_second(at_least_one(ceilings.webhook_rate_per_second))
            .allow_burst(at_least_one(ceilings.webhook_rate_burst));
        let partners = Quota::per_second(at_least_one(ceilings.api_rate_per_second))
            .allow_burst(at_least_one(ceilings.api_rate_burst));
        let partners = RateLimiter::keyed(partners).with_middleware::<StateInformationMiddleware>();
        Self {
            partners: Arc::new(partners),
            partner_rate_per_second: ceilings.api_rate_per_second.max(1),
            api: Arc::new(api),
            ussd: Arc::new(RateLimiter::direct(ussd)),
            unknown_callbacks: Arc::new(RateLimiter::direct(quota)),
        }
    }

    /// Counts one request of a partner's key; `Err` when it is one too many.
    pub(crate) fn admit_partner(&self, headers: &HeaderMap) -> Result<Allowance, Allowance> {
        match self.partners.check_key(&bucket(headers)) {
            Ok(state) => {
                let limit = state.quota().burst_size().get();
                let remaining = state.remaining_burst_capacity();
                let spent = limit.saturating_sub(remaining);
                Ok(Allowance {
                    limit,
                    remaining,
                    reset_seconds: u64::from(spent.div_ceil(self.partner_rate_per_second)),
                })
            }
            Err(refused) => {
                let wait = refused.wait_time_from(DefaultClock::default().now());
                Err(Allowance {
                    limit: refused.quota().burst_size().get(),
                    remaining: 0,
                    reset_seconds: wait.as_secs().saturating_add(1),
                })
            }
        }
    }

    /// Whether one more hop may be served now.
    pub(crate) fn allows_hop(&self) -> bool {
        self.ussd.check().is_ok()
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

/// Makes refusals and apologies known from the start, so that the first of each is an increase.
pub fn count_from_zero(metrics: &Metrics) {
    for refused in [
        ["ussd", "ceiling"],
        ["ussd", "phone"],
        ["ussd", "token"],
        ["ussd", "form"],
        ["api", "ceiling"],
        ["partner", "ceiling"],
        ["operator", "role"],
    ] {
        metrics.rejected_inputs.with_label_values(&refused);
    }
    for outcome in ["failed", "busy"] {
        metrics
            .ussd_sessions
            .with_label_values(&[outcome, "notice"]);
    }
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

    #[test]
    fn the_first_refusal_is_an_increase() {
        let metrics = Metrics::build().unwrap();
        count_from_zero(&metrics);
        let text = metrics.render();
        for line in [
            "rejected_inputs_total{reason=\"ceiling\",surface=\"ussd\"} 0",
            "ussd_sessions_total{outcome=\"failed\",screen=\"notice\"} 0",
        ] {
            assert!(text.contains(line), "{line}");
        }
    }
}
