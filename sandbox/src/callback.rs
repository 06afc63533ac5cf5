//! A call this world makes to the product, and the way it goes out: over HTTP, or into a queue that
//! the simulation empties itself. One attempt each: the real providers promise no retry.
//! Made by the twins, delivered by the world's step.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Longest wait for the product's answer, real time.
const DELIVERY_SECONDS_MAX: u64 = 10;

/// One call to the product.
#[derive(Clone, PartialEq, Eq)]
pub struct Callback {
    /// Which provider calls.
    pub provider: &'static str,
    /// What about, in the provider's words: `b2c-result`, `sms-delivery`.
    pub kind: &'static str,
    /// The whole address.
    pub url: String,
    /// The body's content type.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl Callback {
    /// The address without scheme and host.
    #[must_use]
    pub fn path(&self) -> &str {
        let after_scheme = self.url.find("://").map_or(0, |at| at + 3);
        let rest = self.url.get(after_scheme..).unwrap_or_default();
        rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
    }
}

impl std::fmt::Debug for Callback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callback")
            .field("provider", &self.provider)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Where callbacks go.
#[derive(Debug)]
pub enum CallbackSink {
    /// Posted to their address.
    Http(runtime::http::Client),
    /// Kept until someone takes them with `World::take_callbacks`.
    InProcess(Mutex<VecDeque<Callback>>),
}

impl CallbackSink {
    /// A queue for the simulation and for tests without a backend.
    #[must_use]
    pub fn in_process() -> Self {
        Self::InProcess(Mutex::default())
    }

    /// Delivers once; whether the product answered 2xx (a queue always does).
    pub(crate) async fn deliver(&self, callback: Callback) -> bool {
        match self {
            Self::InProcess(queue) => {
                queue
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push_back(callback);
                true
            }
            Self::Http(client) => {
                let answer = client
                    .post(&callback.url)
                    .header("content-type", callback.content_type)
                    .timeout(Duration::from_secs(DELIVERY_SECONDS_MAX))
                    .body(callback.body)
                    .send()
                    .await;
                answer.is_ok_and(|answer| answer.status().is_success())
            }
        }
    }

    /// Everything queued so far, oldest first; empty for HTTP.
    pub(crate) fn take(&self) -> Vec<Callback> {
        match self {
            Self::Http(_) => Vec::new(),
            Self::InProcess(queue) => queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .drain(..)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_what_follows_the_host() {
        let callback = |url: &str| Callback {
            provider: "mpesa",
            kind: "b2c-result",
            url: url.to_owned(),
            content_type: "application/json",
            body: Vec::new(),
        };
        assert_eq!(callback("http://127.0.0.1:3000/api/x/y").path(), "/api/x/y");
        assert_eq!(callback("https://host").path(), "/");
    }
}
