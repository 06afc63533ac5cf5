//! One tolerant decoder for Swypt's answers and errors: `status`, `statusCode`, `error` and
//! `message` are all optional, and the text says more than the HTTP status does. A text that is
//! not in the provider's table proves nothing.
//! Called by every call of this provider.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ProviderError;
use crate::scalar::Scalar;
use crate::wire::{Effect, Reply};

/// Any answer of Swypt.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Envelope {
    #[serde(default)]
    status: Option<Scalar>,
    #[serde(rename = "statusCode", default)]
    status_code: Option<Scalar>,
    #[serde(default)]
    error: Option<Box<RawValue>>,
    #[serde(default)]
    message: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) data: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) hash: Option<String>,
    #[serde(default)]
    pub(super) pagination: Option<Box<RawValue>>,
}

/// What an answer turned out to be.
#[derive(Debug)]
pub(super) enum Answer {
    /// The provider says it worked.
    Ok(Envelope),
    /// The provider says something else; the text is its own.
    No(String),
}

impl Envelope {
    fn says_ok(&self) -> bool {
        let good = |scalar: &Scalar| matches!(scalar.text(), "success" | "200" | "201");
        self.error.is_none()
            && match (&self.status, &self.status_code) {
                (Some(status), None) => good(status),
                (None, Some(code)) => good(code),
                (Some(status), Some(code)) => good(status) && good(code),
                (None, None) => false,
            }
    }

    fn text(&self) -> String {
        let parts = [&self.message, &self.error];
        let mut texts = parts.into_iter().flatten().map(|raw| {
            serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| raw.get().to_owned())
        });
        let first = texts.next().unwrap_or_default();
        texts.fold(first, |all, text| format!("{all}: {text}"))
    }

    /// `data` as `T`.
    pub(super) fn data<T: for<'de> Deserialize<'de>>(&self) -> Option<T> {
        serde_json::from_str(self.data.as_ref()?.get()).ok()
    }
}

/// Reads an answer; only what is no answer of Swypt at all is an error here.
pub(super) fn read(reply: &Reply, effect: Effect) -> Result<Answer, ProviderError> {
    match reply.json::<Envelope>() {
        Some(envelope) if reply.status.is_success() && envelope.says_ok() => {
            Ok(Answer::Ok(envelope))
        }
        Some(envelope) => Ok(Answer::No(envelope.text())),
        None if matches!(reply.status.as_u16(), 401 | 403 | 429) => {
            Err(ProviderError::transient(reply.http_code(), &reply.text()))
        }
        None => Err(effect.lost("undecodable", "answer was not understood")),
    }
}

/// Texts that mean the same for every call; the rest is decided by the call, else `lost`.
pub(super) fn common(reply: &Reply, text: &str, effect: Effect) -> ProviderError {
    let code = reply.http_code();
    if text.contains("API key and secret are required") || text.contains("Invalid API credentials")
    {
        return ProviderError::transient("credentials", text);
    }
    match reply.status.as_u16() {
        401 | 403 | 429 => ProviderError::transient(code, text),
        // the validation form: {"statusCode":400,"message":...,"error":...}
        400 | 422 if text.contains("Invalid network") || text.contains("Unsupported") => {
            ProviderError::transient("configuration", text)
        }
        400 | 422 if text.contains("Missing required") => ProviderError::refused("missing", text),
        _ => effect.lost(code, text),
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

    #[test]
    fn success_is_said_in_three_ways() {
        for body in [
            r#"{"status":"success"}"#,
            r#"{"status":200}"#,
            r#"{"statusCode":200}"#,
        ] {
            assert!(
                matches!(read(&reply(200, body), Effect::Write), Ok(Answer::Ok(_))),
                "{body}"
            );
        }
    }

    #[test]
    fn errors_in_every_form_keep_their_text() {
        for (body, text) in [
            (
                r#"{"status":"error","message":"Invalid API credentials"}"#,
                "Invalid API credentials",
            ),
            (
                r#"{"error":"Internal server error"}"#,
                "Internal server error",
            ),
            (
                r#"{"statusCode":400,"message":"Invalid network","error":"Unsupported network."}"#,
                "Invalid network: Unsupported network.",
            ),
            (r#"{"surprise":true}"#, ""),
        ] {
            match read(&reply(200, body), Effect::Write) {
                Ok(Answer::No(found)) => assert_eq!(found, text),
                other => panic!("{body}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_not_swypt_is_doubt_for_a_write() {
        let error = read(&reply(502, "<html>"), Effect::Write).unwrap_err();
        assert!(error.is_in_doubt());
        assert_eq!(
            read(&reply(502, "<html>"), Effect::Read)
                .unwrap_err()
                .kind(),
            "transient"
        );
        assert_eq!(
            read(&reply(429, ""), Effect::Write).unwrap_err().kind(),
            "transient"
        );
    }
}
