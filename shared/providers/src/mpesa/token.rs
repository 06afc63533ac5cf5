//! The access token: fetched once, used for 80 % of its life, dropped when the gateway calls it
//! invalid. Runs on real elapsed time, as the gateway does; a failure to fetch proves that no
//! money request was sent.
//! Called by the client before each post.

use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Config, GatewayError};
use crate::scalar::Scalar;
use crate::wire::{Effect, REPLY_BYTES_MAX, exchange, join};
use crate::{ProviderError, Secret};

/// Life assumed when the answer's `expires_in` cannot be read, seconds.
const LIFE_SECONDS_DEFAULT: u64 = 600;
/// Longest life believed, seconds.
const LIFE_SECONDS_MAX: u64 = 3_600;

#[derive(Debug)]
struct Token {
    value: Secret,
    renew_at: Instant,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    #[serde(default)]
    expires_in: Option<Scalar>,
}

/// One token for one client; concurrent callers share one fetch.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Option<Token>>);

impl Cache {
    /// The token, fetched if there is none or it is past 80 % of its life.
    pub(super) async fn get(
        &self,
        http: &reqwest::Client,
        config: &Config,
    ) -> Result<Secret, ProviderError> {
        let mut held = self.0.lock().await;
        if let Some(token) = held.as_ref()
            && Instant::now() < token.renew_at
        {
            return Ok(token.value.clone());
        }
        let token = fetch(http, config).await?;
        let value = token.value.clone();
        *held = Some(token);
        Ok(value)
    }

    /// Forgets the token.
    pub(super) async fn clear(&self) {
        *self.0.lock().await = None;
    }
}

async fn fetch(http: &reqwest::Client, config: &Config) -> Result<Token, ProviderError> {
    let request = http
        .get(join(&config.base_url, "oauth/v1/generate"))
        .query(&[("grant_type", "client_credentials")])
        .basic_auth(
            config.consumer_key.expose(),
            Some(config.consumer_secret.expose()),
        )
        .timeout(config.timeout);
    let reply = exchange(request, Effect::Read, REPLY_BYTES_MAX).await?;
    if !reply.status.is_success() {
        let code = reply
            .json::<GatewayError>()
            .map_or_else(|| reply.http_code(), |error| error.code.text().to_owned());
        return Err(ProviderError::transient(
            code,
            "no access token; check the app's credentials",
        ));
    }
    let answer = reply
        .json::<Answer>()
        .ok_or_else(|| ProviderError::transient("undecodable", "token answer not understood"))?;
    let life = answer
        .expires_in
        .and_then(|life| life.text().trim().parse::<u64>().ok())
        .unwrap_or(LIFE_SECONDS_DEFAULT)
        .min(LIFE_SECONDS_MAX);
    let used = Duration::from_secs(life.saturating_mul(4) / 5);
    Ok(Token {
        value: Secret::new(answer.access_token),
        renew_at: Instant::now() + used,
    })
}
