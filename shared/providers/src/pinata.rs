//! Pinning evidence on IPFS by Pinata's v3 API: the exact bytes go up, the address that comes back
//! is for the caller to compare with its own. Never lets Pinata serialise an object, and never
//! holds farmer data (the bundle is per risk).
//! Called by the damage worker; `verify` uses [`fetch`].

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use serde::Deserialize;

use crate::scalar::Scalar;
use crate::wire::{Effect, REPLY_BYTES_MAX, exchange, is_path_segment, join};
use crate::{ProviderError, Secret};

/// The provider's name in rows and metrics.
pub const NAME: &str = "pinata";
/// Largest object: above one 256 KiB chunk the address is no longer the hash of the bytes.
pub const OBJECT_BYTES_MAX: usize = 256 * 1024;

/// Where and as whom to pin.
#[derive(Debug, Clone)]
pub struct Config {
    /// Root of the upload API, live `https://uploads.pinata.cloud`.
    pub upload_url: String,
    /// Gateway root, the part before `/ipfs/{cid}`.
    pub gateway_url: String,
    /// Bearer token.
    pub jwt: Secret,
    /// Whole-request limit (provider notes: 60 s).
    pub timeout: Duration,
}

impl Config {
    /// With the usual time-out.
    #[must_use]
    pub fn new(upload_url: &str, gateway_url: &str, jwt: Secret) -> Self {
        Self {
            upload_url: upload_url.to_owned(),
            gateway_url: gateway_url.to_owned(),
            jwt,
            timeout: Duration::from_mins(1),
        }
    }
}

/// What Pinata says it stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// Pinata's own file id.
    pub id: String,
    /// The content address Pinata computed; compare it with ours before anything else.
    pub cid: String,
    /// Bytes stored, when told.
    pub size: Option<i64>,
    /// Whether the same bytes were there already.
    pub is_duplicate: bool,
}

/// A client of the upload API and a gateway.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    config: Config,
}

#[derive(Deserialize)]
struct Envelope {
    data: File,
}

#[derive(Deserialize)]
struct File {
    id: Scalar,
    cid: String,
    #[serde(default)]
    size: Option<Scalar>,
    #[serde(default)]
    is_duplicate: Option<bool>,
}

impl Client {
    /// A client over `http`.
    #[must_use]
    pub fn new(http: reqwest::Client, config: Config) -> Self {
        Self { http, config }
    }

    /// Uploads the exact bytes to public IPFS. Safe to repeat: the same bytes have the same
    /// address. Fails as `Refused` only for bytes or metadata that will never be taken.
    pub async fn upload(&self, name: &str, bytes: Vec<u8>) -> Result<Uploaded, ProviderError> {
        if bytes.len() > OBJECT_BYTES_MAX {
            return Err(ProviderError::refused(
                "too_large",
                "object is larger than 256 KiB",
            ));
        }
        let part = Part::bytes(bytes)
            .file_name(name.to_owned())
            .mime_str("application/json")
            .map_err(|_| ProviderError::refused("mime", "file type was not accepted"))?;
        // `network` is always sent: left out it means private, which nobody could verify
        let form = Form::new()
            .part("file", part)
            .text("network", "public")
            .text("name", name.to_owned());
        let request = self
            .http
            .post(join(&self.config.upload_url, "v3/files"))
            .bearer_auth(self.config.jwt.expose())
            .timeout(self.config.timeout)
            .multipart(form);
        let reply = exchange(request, Effect::Read, REPLY_BYTES_MAX).await?;
        if reply.status.is_success() {
            let envelope = reply.json::<Envelope>().ok_or_else(|| {
                ProviderError::transient("undecodable", "upload answer was not understood")
            })?;
            return Ok(Uploaded {
                id: envelope.data.id.text().to_owned(),
                cid: envelope.data.cid,
                size: envelope.data.size.and_then(|size| size.decimal()?.exact(0)),
                is_duplicate: envelope.data.is_duplicate.unwrap_or(false),
            });
        }
        let code = reply.http_code();
        Err(match reply.status.as_u16() {
            400 | 413 | 415 | 422 => ProviderError::refused(code, &reply.text()),
            _ => ProviderError::transient(code, &reply.text()),
        })
    }

    /// Reads an object back from the gateway, at most [`OBJECT_BYTES_MAX`] long. The caller
    /// compares the bytes with the address.
    pub async fn fetch(&self, cid: &str) -> Result<Vec<u8>, ProviderError> {
        if !is_path_segment(cid) {
            return Err(ProviderError::refused(
                "malformed_cid",
                "not a content address",
            ));
        }
        let request = self
            .http
            .get(join(&self.config.gateway_url, &format!("ipfs/{cid}")))
            .timeout(self.config.timeout);
        let reply = exchange(request, Effect::Read, OBJECT_BYTES_MAX).await?;
        match reply.status.as_u16() {
            200 => Ok(reply.body),
            400 | 410 => Err(ProviderError::refused(reply.http_code(), &reply.text())),
            // not found is no verdict: an address may take minutes to spread
            _ => Err(ProviderError::transient(reply.http_code(), &reply.text())),
        }
    }
}
