//! One HTTP exchange with a bounded reply, and what its failure proves. Never retries and never
//! treats a lost answer to a write as "not sent".
//! Called by every client in this crate.

use std::time::Duration;

use reqwest::header::HeaderName;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;

use crate::ProviderError;

/// Whole-request limit of the money rails and the SMS gateway when the config does not say
/// otherwise (provider notes: connect 5 s on the client, 30 s in all; none published).
pub(crate) const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// Largest JSON answer read from a money rail or the SMS gateway.
pub(crate) const REPLY_BYTES_MAX: usize = 1 << 20;

/// What an answer that never came means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A read, or a write the provider itself makes idempotent by content: ask again.
    Read,
    /// It may have happened.
    Write,
}

impl Effect {
    /// The error of an exchange whose outcome was not learnt.
    pub(crate) fn lost(self, code: impl Into<String>, message: &str) -> ProviderError {
        match self {
            Self::Read => ProviderError::transient(code, message),
            Self::Write => ProviderError::in_doubt(code, message),
        }
    }
}

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The body as JSON, if it is that.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The body as text, for error messages only.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The stable code of this status: `http_503`.
    pub(crate) fn http_code(&self) -> String {
        format!("http_{}", self.status.as_u16())
    }
}

/// Sends and reads the whole answer, at most `bytes_max` long.
pub(crate) async fn exchange(
    request: RequestBuilder,
    effect: Effect,
    bytes_max: usize,
) -> Result<Reply, ProviderError> {
    let response = request
        .send()
        .await
        .map_err(|error| classify(&error, effect))?;
    read_whole(response, effect, bytes_max).await
}

/// The same for a read whose answer says in a header what it is a part of.
pub(crate) async fn exchange_part(
    request: RequestBuilder,
    bytes_max: usize,
    header: HeaderName,
) -> Result<(Reply, Option<String>), ProviderError> {
    let effect = Effect::Read;
    let response = request
        .send()
        .await
        .map_err(|error| classify(&error, effect))?;
    let told = response.headers().get(header);
    let told = told
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    Ok((read_whole(response, effect, bytes_max).await?, told))
}

async fn read_whole(
    mut response: Response,
    effect: Effect,
    bytes_max: usize,
) -> Result<Reply, ProviderError> {
    let status = response.status();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len().saturating_add(chunk.len()) > bytes_max => {
                return Err(effect.lost("too_large", "answer is larger than the agreed limit"));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(Reply { status, body }),
            Err(error) => return Err(classify(&error, effect)),
        }
    }
}

/// A refused or never opened connection proves that nothing was sent; all else proves nothing.
fn classify(error: &reqwest::Error, effect: Effect) -> ProviderError {
    if error.is_connect() {
        ProviderError::transient("connect", "could not connect")
    } else if error.is_builder() {
        ProviderError::transient(
            "configuration",
            "request could not be built; check the base url",
        )
    } else if error.is_timeout() {
        effect.lost("timeout", "no answer in time")
    } else {
        effect.lost("broken", "connection broke before the whole answer came")
    }
}

/// `base` and `path` with exactly one slash between them.
pub(crate) fn join(base: &str, path: &str) -> String {
    format!(
        "{}/{}",
        base.trim_end_matches('/'),
        path.trim_start_matches('/')
    )
}

/// Whether a text may stand as one path segment as it is.
pub(crate) fn is_path_segment(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
