//! M-Pesa by Safaricom's Daraja: paying out by B2C, asking what became of a payment, and reading
//! what it calls back with. The originator id is the caller's leg id; it is the only thing that
//! makes a payment unrepeatable, so nothing here ever invents one or retries with another.
//! Called by the payout worker (client) and the backend's webhooks (parsers).

pub mod b2c;
pub mod callback;
pub mod codes;
pub mod status;
mod token;

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::scalar::Scalar;
use crate::wire::{Effect, REPLY_BYTES_MAX, Reply, TIMEOUT_DEFAULT, exchange, join};
use crate::{ProviderError, Secret};

pub use b2c::{B2cAck, B2cRequest};
pub use status::StatusAck;

/// The provider's name in rows and metrics.
pub const NAME: &str = "mpesa";
/// Least amount of one B2C payment, shillings (Daraja B2C page).
pub const B2C_SHILLINGS_MIN: i64 = 10;
/// Most one B2C payment moves, shillings; larger payouts are split into legs.
pub const B2C_SHILLINGS_MAX: i64 = 250_000;

/// Where, as whom and from which shortcode to pay.
#[derive(Debug, Clone)]
pub struct Config {
    /// Live `https://api.safaricom.co.ke`.
    pub base_url: String,
    /// App key.
    pub consumer_key: Secret,
    /// App secret.
    pub consumer_secret: Secret,
    /// The paying bulk-disbursement shortcode.
    pub shortcode: String,
    /// API operator with the B2C initiator role.
    pub initiator_name: String,
    /// The operator's password under Safaricom's certificate, base64; made outside.
    pub security_credential: Secret,
    /// Root of our callback paths, with the path token:
    /// `https://host/api/webhooks/mpesa/{token}`. The kinds are appended here.
    pub callback_root: Secret,
    /// Whole-request limit.
    pub timeout: Duration,
}

impl Config {
    /// The address of one callback kind, such as `b2c-result`.
    #[must_use]
    pub fn callback_url(&self, kind: &str) -> String {
        join(self.callback_root.expose(), kind)
    }

    /// The usual whole-request limit, 30 s.
    #[must_use]
    pub fn timeout_default() -> Duration {
        TIMEOUT_DEFAULT
    }
}

/// A client of Daraja. Holds one access token; share it by reference or `Arc`.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    config: Config,
    token: token::Cache,
}

/// The gateway's error envelope.
#[derive(Debug, Deserialize)]
pub(crate) struct GatewayError {
    #[serde(rename = "errorCode")]
    pub(crate) code: Scalar,
    #[serde(rename = "errorMessage", default)]
    pub(crate) message: Option<String>,
}

impl Client {
    /// A client over `http`; fetches its token at the first call.
    #[must_use]
    pub fn new(http: reqwest::Client, config: Config) -> Self {
        Self {
            http,
            config,
            token: token::Cache::default(),
        }
    }

    /// The configuration this client was built with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Posts `body` with a token. An invalid-token answer drops the token and posts once more: the
    /// gateway looks at the token before it looks at the request, so nothing was taken.
    async fn post(&self, path: &str, body: &Value, effect: Effect) -> Result<Reply, ProviderError> {
        let mut reply = self.post_once(path, body, effect).await?;
        if is_invalid_token(&reply) {
            self.token.clear().await;
            reply = self.post_once(path, body, effect).await?;
        }
        Ok(reply)
    }

    async fn post_once(
        &self,
        path: &str,
        body: &Value,
        effect: Effect,
    ) -> Result<Reply, ProviderError> {
        let bearer = self.token.get(&self.http, &self.config).await?;
        let request = self
            .http
            .post(join(&self.config.base_url, path))
            .bearer_auth(bearer.expose())
            .timeout(self.config.timeout)
            .json(body);
        exchange(request, effect, REPLY_BYTES_MAX).await
    }
}

fn is_invalid_token(reply: &Reply) -> bool {
    let invalid = |error: GatewayError| {
        matches!(
            error.code.text(),
            "401.002.01" | "404.001.03" | "400.003.01"
        )
    };
    !reply.status.is_success() && reply.json::<GatewayError>().is_some_and(invalid)
}

/// What a non-2xx answer proves. `Write`: only codes that the gateway gives before it hands the
/// request on prove that nothing was taken.
fn gateway_error(reply: &Reply, effect: Effect) -> ProviderError {
    let Some(error) = reply.json::<GatewayError>() else {
        let code = reply.http_code();
        return match reply.status.as_u16() {
            401 | 403 | 429 => ProviderError::transient(code, &reply.text()),
            _ => effect.lost(code, &reply.text()),
        };
    };
    let code = error.code.text();
    let message = error.message.unwrap_or_default();
    match code {
        "400.002.02" => ProviderError::refused(code, &message),
        // our credentials or set-up: nothing was taken, mend and send again
        "401.002.01" | "404.001.03" | "400.003.01" | "404.001.04" | "404.002.01" | "405.001"
        | "400.008.01" | "400.008.02" => ProviderError::transient(code, &message),
        "500.001.1001" if message.to_ascii_lowercase().contains("wrong credentials") => {
            ProviderError::transient(code, &message)
        }
        _ if reply.status.as_u16() == 429 => ProviderError::transient(code, &message),
        // 500.003.* and every code not known to come before the core: unknown until asked
        _ => effect.lost(code, &message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status: reqwest::StatusCode::from_u16(status).unwrap(),
            body: body.as_bytes().to_vec(),
        }
    }

    fn class(status: u16, code: &str, message: &str) -> &'static str {
        let body =
            format!(r#"{{"requestId":"1-2","errorCode":"{code}","errorMessage":"{message}"}}"#);
        gateway_error(&reply(status, &body), Effect::Write).kind()
    }

    #[test]
    fn gateway_codes_prove_what_the_notes_say() {
        assert_eq!(
            class(400, "400.002.02", "Bad Request - Invalid Amount"),
            "refused"
        );
        assert_eq!(
            class(404, "404.001.03", "Invalid Access Token"),
            "transient"
        );
        assert_eq!(class(500, "500.001.1001", "Wrong credentials"), "transient");
        assert_eq!(
            class(500, "500.001.1001", "The transaction is being processed"),
            "in_doubt"
        );
        assert_eq!(
            class(500, "500.003.1001", "Internal Server Error"),
            "in_doubt"
        );
        assert_eq!(class(500, "500.003.02", "System is busy"), "in_doubt");
        assert_eq!(class(500, "999.9", "never seen before"), "in_doubt");
    }

    #[test]
    fn answers_that_are_not_daraja_prove_little() {
        let kind = |status| gateway_error(&reply(status, "<html>"), Effect::Write).kind();
        assert_eq!(
            (kind(502), kind(429), kind(401)),
            ("in_doubt", "transient", "transient")
        );
    }

    #[test]
    fn a_token_is_invalid_only_when_the_gateway_says_so() {
        assert!(is_invalid_token(&reply(
            401,
            r#"{"errorCode":"401.002.01"}"#
        )));
        assert!(!is_invalid_token(&reply(
            500,
            r#"{"errorCode":"500.003.1001"}"#
        )));
        assert!(!is_invalid_token(&reply(
            200,
            r#"{"errorCode":"401.002.01"}"#
        )));
    }
}
