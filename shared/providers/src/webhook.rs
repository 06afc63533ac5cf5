//! Webhooks to partners in the Standard Webhooks form: signed with each of an endpoint's secrets,
//! sent once, judged by status alone. The address comes from a partner, so it is never followed to
//! a machine of ours: what a name resolves to is checked in the very lookup the connection uses,
//! redirects and proxies are off, and no connection is kept for later.
//! Never retries and never keeps an answer. Called by the outbound worker and partners' routes.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use data_encoding::BASE64;
use domain::address::is_public;
use domain::id::EventId;
use domain::webhook::URL_BYTES_MAX;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use sha2::Sha256;

use crate::Secret;

/// The name of this rail in metrics.
pub const NAME: &str = "webhook";
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a whole exchange, the resolution of the name among it.
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// An answer is read so that the receiver sees a tidy end, and ignored beyond this.
const REPLY_BYTES_MAX: usize = 64 * 1024;
/// In front of every secret (Standard Webhooks, symmetric signatures).
const SECRET_PREFIX: &str = "whsec_";
/// Bytes of a secret's key; the specification asks for 24 to 64.
pub const SECRET_BYTES: usize = 32;

/// Which addresses may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Public ones only, by https.
    Public,
    /// Any, by http as well: for development alone.
    Anywhere,
}

/// What is wrong with the address of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    /// Not an absolute address, or too long.
    #[error("url must be an absolute address of at most 2048 bytes")]
    Malformed,
    /// Not https.
    #[error("url must start with https://")]
    Scheme,
    /// Credentials or a fragment.
    #[error("url must not carry a user name, a password or a fragment")]
    Adorned,
    /// An address that nobody outside could mean.
    #[error("url must name a host on the public internet")]
    Hidden,
}

/// Whether `text` may be the address of an endpoint. A name is judged again each time it is
/// resolved; a bare address is judged here.
pub fn check_url(text: &str, reach: Reach) -> Result<(), UrlFault> {
    parse_url(text, reach).map(drop)
}

fn parse_url(text: &str, reach: Reach) -> Result<Url, UrlFault> {
    if text.len() > URL_BYTES_MAX {
        return Err(UrlFault::Malformed);
    }
    let url = Url::parse(text).map_err(|_| UrlFault::Malformed)?;
    match (url.scheme(), reach) {
        ("https", _) | ("http", Reach::Anywhere) => {}
        _ => return Err(UrlFault::Scheme),
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(UrlFault::Adorned);
    }
    let host = url.host_str().ok_or(UrlFault::Malformed)?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_hidden = match bare.parse() {
        Ok(address) => !is_public(address),
        // the parser has turned every numeric spelling into an address by now
        Err(_) => is_local_name(host),
    };
    if reach == Reach::Public && is_hidden {
        return Err(UrlFault::Hidden);
    }
    Ok(url)
}

/// Names that no public resolver answers: said at once, rather than at the first delivery.
fn is_local_name(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    let top = host.rsplit('.').next().unwrap_or_default();
    !host.contains('.') || matches!(top, "localhost" | "local" | "internal" | "lan" | "home")
}

/// A new secret from random bytes.
#[must_use]
pub fn new_secret(key: [u8; SECRET_BYTES]) -> Secret {
    Secret::new(format!("{SECRET_PREFIX}{}", BASE64.encode(&key)))
}

/// The value of `webhook-signature` under each of `secrets`; `None` when one of them is none.
#[must_use]
pub fn signature(secrets: &[Secret], id: EventId, at: DateTime<Utc>, body: &str) -> Option<String> {
    let signed = secrets.iter().map(|secret| {
        let key = secret.expose().strip_prefix(SECRET_PREFIX)?;
        let key = BASE64.decode(key.as_bytes()).ok()?;
        if key.is_empty() {
            return None;
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        mac.update(format!("{id}.{}.{body}", at.timestamp()).as_bytes());
        Some(format!(
            "v1,{}",
            BASE64.encode(&mac.finalize().into_bytes())
        ))
    });
    let all: Option<Vec<String>> = signed.collect();
    all.filter(|all| !all.is_empty()).map(|all| all.join(" "))
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The address is not one that may be called at all.
    #[error("address may not be called: {0}")]
    Url(#[from] UrlFault),
    /// The name resolves to an address that is not public.
    #[error("the name resolves to an address that is not on the public internet")]
    AddressRefused,
    /// No connection, or no such name.
    #[error("could not connect")]
    Connect,
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The connection broke.
    #[error("connection broke before an answer came")]
    Broken,
    /// The secret is none of ours.
    #[error("secret does not decode")]
    Secret,
}

impl SendError {
    /// Short code, for rows and for the partner.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Url(_) => "url_refused",
            Self::AddressRefused => "address_refused",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Secret => "secret",
        }
    }
}

/// One thing to send.
#[derive(Debug, Clone, Copy)]
pub struct Post<'a> {
    /// Where to.
    pub url: &'a str,
    /// The same at every attempt, so that the receiver can tell a repetition.
    pub id: EventId,
    /// When this attempt is made.
    pub at: DateTime<Utc>,
    /// The exact text.
    pub body: &'a str,
    /// The endpoint's secrets, the newest first.
    pub secrets: &'a [Secret],
}

/// Sends webhooks. It builds its own HTTP client, because the guard is part of it.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    reach: Reach,
}

impl Client {
    /// A client that calls nothing outside `reach`.
    pub fn build(reach: Reach) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            // a proxy would resolve the name itself, out of the guard's sight
            .no_proxy()
            // each connection is looked up, and judged, anew
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(Guard { reach }))
            .user_agent(concat!("microcrop/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http, reach })
    }

    /// Sends once; the status is all that counts of the answer.
    pub async fn send(&self, post: &Post<'_>) -> Result<u16, SendError> {
        let url = parse_url(post.url, self.reach)?;
        let signature = signature(post.secrets, post.id, post.at, post.body);
        let signature = signature.ok_or(SendError::Secret)?;
        let sent = self
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", post.id.to_string())
            .header("webhook-timestamp", post.at.timestamp().to_string())
            .header("webhook-signature", signature)
            .body(post.body.to_owned())
            .send()
            .await;
        let mut response = sent.map_err(|error| classify(&error))?;
        let status = response.status().as_u16();
        let mut read = 0_usize;
        while let Ok(Some(chunk)) = response.chunk().await {
            read = read.saturating_add(chunk.len());
            if read > REPLY_BYTES_MAX {
                break;
            }
        }
        Ok(status)
    }
}

/// Resolves names, and refuses those with an address outside the reach.
#[derive(Debug)]
struct Guard {
    reach: Reach,
}

/// Found again among the causes of a failed connection.
#[derive(Debug, thiserror::Error)]
#[error("address is not on the public internet")]
struct NotPublic;

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Vec<_> = found.collect();
            // one hidden address is enough: which of them would be called is not ours to say
            let all_public = addresses.iter().all(|address| is_public(address.ip()));
            if reach == Reach::Public && !all_public {
                return Err(NotPublic.into());
            }
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

fn classify(error: &reqwest::Error) -> SendError {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = cause {
        if inner.is::<NotPublic>() {
            return SendError::AddressRefused;
        }
        cause = inner.source();
    }
    if error.is_connect() {
        SendError::Connect
    } else if error.is_timeout() {
        SendError::Timeout
    } else {
        SendError::Broken
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    /// The example of the specification's reference libraries, with our id in place of theirs.
    #[test]
    fn a_signature_is_the_hmac_of_id_timestamp_and_body_under_each_secret() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let id = EventId(Uuid::from_u128(7));
        let body = r#"{"test": 2432232314}"#;
        let one = signature(std::slice::from_ref(&secret), id, at(1_614_265_330), body).unwrap();
        assert_eq!(one, "v1,Jy3OoZqpaf6oa48XSgfvWquGfGk1IZiq1omWgecN8+Y=");
        let other = new_secret([9; SECRET_BYTES]);
        assert_eq!(other.expose().len(), "whsec_".len() + 44);
        let both = signature(&[other, secret], id, at(1_614_265_330), body).unwrap();
        let parts: Vec<&str> = both.split(' ').collect();
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[1], one);
    }

    #[test]
    fn what_is_no_secret_signs_nothing() {
        let id = EventId(Uuid::from_u128(7));
        for text in [
            "",
            "whsec_",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_***",
        ] {
            assert_eq!(
                signature(&[Secret::new(text)], id, at(1), "{}"),
                None,
                "{text}"
            );
        }
        assert_eq!(signature(&[], id, at(1), "{}"), None);
    }

    #[test]
    fn only_https_to_public_hosts_is_taken_outside_development() {
        let fault = |text: &str| check_url(text, Reach::Public).err();
        assert_eq!(fault("https://hooks.example.org/microcrop?k=1"), None);
        assert_eq!(fault("https://1.1.1.1/"), None);
        assert_eq!(fault("http://hooks.example.org/"), Some(UrlFault::Scheme));
        assert_eq!(fault("ftp://hooks.example.org/"), Some(UrlFault::Scheme));
        assert_eq!(fault("hooks.example.org"), Some(UrlFault::Malformed));
        assert_eq!(fault("https://a:b@example.org/"), Some(UrlFault::Adorned));
        assert_eq!(fault("https://example.org/#x"), Some(UrlFault::Adorned));
        let long = format!("https://example.org/{}", "x".repeat(URL_BYTES_MAX));
        assert_eq!(fault(&long), Some(UrlFault::Malformed));
        for hidden in [
            "https://localhost/",
            "https://localhost./",
            "https://postgres:5432/",
            "https://backend.default.svc.cluster.local/",
            "https://metadata.google.internal/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest/meta-data/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[fd00::1]/",
        ] {
            assert_eq!(fault(hidden), Some(UrlFault::Hidden), "{hidden}");
            assert_eq!(check_url(hidden, Reach::Anywhere), Ok(()), "{hidden}");
        }
        assert_eq!(check_url("http://127.0.0.1:9/", Reach::Anywhere), Ok(()));
    }

    /// The address itself looks innocent; only what it resolves to gives it away.
    #[tokio::test]
    async fn the_lookup_of_a_connection_refuses_names_of_hidden_machines() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "http://localhost:{}/",
            listener.local_addr().unwrap().port()
        );
        let client = Client::build(Reach::Public).unwrap();
        let error = client.http.post(&url).send().await.unwrap_err();
        assert_eq!(classify(&error), SendError::AddressRefused);
        let came = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(came.is_err(), "a connection was opened");
    }

    #[test]
    fn a_code_says_what_happened_without_the_address() {
        assert_eq!(SendError::from(UrlFault::Hidden).code(), "url_refused");
        assert!(!SendError::AddressRefused.to_string().contains("http"));
    }
}
