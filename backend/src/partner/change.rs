//! A change that a partner asks for: its Idempotency-Key, its body, its If-Match, and the answer,
//! which is recorded in the transaction of the change. Asked again, the same answer comes and
//! nothing changes. Must never record a refusal: it is decided anew.
//! Used by every partner handler that changes something.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use domain::id::OrganisationId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use store::idempotency::{self, Answered, Claim};
use store::{Connection, Pii, StoreError, Transaction};

use super::caller::Partner;
use super::input;
use crate::App;
use crate::error::ApiError;

/// The header that makes a change happen once.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Longest key, characters.
const KEY_CHARS_MAX: usize = 64;

/// A request for a change. Extract it last: it reads the body.
pub(crate) struct Mutation {
    /// The body as sent.
    pub(crate) body: Bytes,
    /// Its `Content-Type`, lower case, without parameters.
    pub(crate) content_type: String,
    if_match: Option<String>,
    key: Result<String, &'static str>,
    hash: Vec<u8>,
}

impl FromRequest<App> for Mutation {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let headers = &parts.headers;
        let content_type = text(headers, &header::CONTENT_TYPE).unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default().trim();
        let content_type = content_type.to_ascii_lowercase();
        let if_match = text(headers, &header::IF_MATCH).map(str::to_owned);
        let key = key_of(headers);
        let request_line = format!(
            "{} {}\n{content_type}\n{}\n",
            parts.method,
            parts.uri,
            if_match.as_deref().unwrap_or_default(),
        );
        let request = Request::from_parts(parts, body);
        let body = Bytes::from_request(request, app)
            .await
            .map_err(|rejected| {
                let status = rejected.status();
                if status == StatusCode::PAYLOAD_TOO_LARGE {
                    let detail = "the body is larger than this route takes";
                    return ApiError::new(status, "too_large", detail);
                }
                ApiError::malformed("the body ended early; send it again")
            })?;
        let mut hashed = request_line.into_bytes();
        hashed.extend_from_slice(&body);
        let hash = app.pii.fingerprint(&hashed);
        Ok(Self {
            body,
            content_type,
            if_match,
            key,
            hash,
        })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn key_of(headers: &HeaderMap) -> Result<String, &'static str> {
    let key = headers
        .get(&IDEMPOTENCY_KEY)
        .ok_or("idempotency_key_required")?;
    let key = key.to_str().unwrap_or_default();
    let is_key =
        (1..=KEY_CHARS_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    if is_key {
        Ok(key.to_owned())
    } else {
        Err("idempotency_key_malformed")
    }
}

impl Mutation {
    /// The body as JSON; a fault is named by its place.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        input::json(&self.body)
    }

    /// The version that `If-Match` names: 428 when it is missing, 412 when it is no version of ours.
    pub(crate) fn version(&self) -> Result<i32, ApiError> {
        let tag = self.if_match.as_deref().ok_or_else(|| {
            let detail = "send the ETag of the resource as If-Match";
            ApiError::new(
                StatusCode::PRECONDITION_REQUIRED,
                "precondition_required",
                detail,
            )
        })?;
        tag.trim()
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .and_then(|version| version.parse().ok())
            .ok_or_else(precondition_failed)
    }

    /// Opens the partner's transaction and claims the key: a fresh change, or the answer of old.
    pub(crate) async fn begin(&self, app: &App, partner: &Partner) -> Result<Begun, ApiError> {
        let key = self.key.as_ref().map_err(|code| {
            let detail = "send an Idempotency-Key header of 1 to 64 visible characters, \
                          a new one for each change";
            ApiError::new(StatusCode::BAD_REQUEST, code, detail)
        })?;
        let now = app.clock.now();
        let organisation = partner.organisation;
        let mut tx = partner.begin(app).await?;
        match idempotency::claim(&mut tx, now, organisation, key, &self.hash).await? {
            Claim::Fresh => Ok(Begun::Fresh(Change {
                tx,
                now,
                organisation,
                key: key.clone(),
            })),
            Claim::Answered(answered) => Ok(Begun::Replayed(replay(&app.pii, answered)?)),
            Claim::Reused => {
                let detail = "this Idempotency-Key was used for another request; draw a new one";
                Err(ApiError::refused("idempotency_key_reused", detail))
            }
        }
    }
}

/// 404 when there is no such resource, 412 when its version is another than the one asked for.
pub(crate) fn require_version(found: Option<i32>, asked: i32) -> Result<(), ApiError> {
    match found {
        None => Err(ApiError::not_found()),
        Some(version) if version == asked => Ok(()),
        Some(_) => Err(precondition_failed()),
    }
}

/// 412.
pub(crate) fn precondition_failed() -> ApiError {
    let detail = "the resource has changed since; read it again and send its new ETag as If-Match";
    ApiError::new(
        StatusCode::PRECONDITION_FAILED,
        "precondition_failed",
        detail,
    )
}

/// Whether a change is new.
pub(crate) enum Begun {
    /// It is: make it, then [`Change::finish`].
    Fresh(Change),
    /// It was made before; this is what was answered.
    Replayed(Response),
}

/// A change under way. Dropped without [`Self::finish`], nothing has happened.
pub(crate) struct Change {
    tx: Transaction,
    /// The instant of the change.
    pub(crate) now: DateTime<Utc>,
    organisation: OrganisationId,
    key: String,
}

impl Change {
    /// The connection behind the partner's wall.
    pub(crate) fn conn(&mut self) -> &mut Connection {
        &mut self.tx
    }

    /// Records the answer, commits, and answers.
    pub(crate) async fn finish(self, app: &App, reply: Reply) -> Result<Response, ApiError> {
        let recorded = reply.clone();
        self.finish_showing(app, recorded, reply).await
    }

    /// The same, when what is shown now must not be shown again (a secret).
    pub(crate) async fn finish_showing(
        mut self,
        app: &App,
        recorded: Reply,
        shown: Reply,
    ) -> Result<Response, ApiError> {
        let answered = Answered {
            status: i16::try_from(recorded.status.as_u16()).unwrap_or(i16::MAX),
            etag: recorded.etag,
            location: recorded.location,
            body_cipher: app.pii.seal(app.ids.bytes(), &recorded.body)?,
        };
        idempotency::record(&mut self.tx, self.organisation, &self.key, &answered).await?;
        self.tx.commit().await.map_err(StoreError::from)?;
        Ok(shown.into_response_with(false))
    }
}

fn replay(pii: &Pii, answered: Answered) -> Result<Response, ApiError> {
    let status = u16::try_from(answered.status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok())
        .unwrap_or(StatusCode::OK);
    let reply = Reply {
        status,
        body: pii.open(&answered.body_cipher)?,
        etag: answered.etag,
        location: answered.location,
    };
    Ok(reply.into_response_with(true))
}

/// Whether `If-None-Match` names this ETag.
pub(crate) fn knows(headers: &HeaderMap, tag: &str) -> bool {
    let known = text(headers, &header::IF_NONE_MATCH).unwrap_or_default();
    known
        .split(',')
        .any(|one| one.trim().trim_start_matches("W/") == tag)
}

/// An answer with a JSON body.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: StatusCode,
    body: Vec<u8>,
    etag: Option<String>,
    location: Option<String>,
}

impl Reply {
    /// 200.
    pub(crate) fn ok<T: Serialize>(body: &T) -> Result<Self, ApiError> {
        Self::new(StatusCode::OK, body)
    }

    /// 201, with the path of what was made.
    pub(crate) fn created<T: Serialize>(location: String, body: &T) -> Result<Self, ApiError> {
        let reply = Self::new(StatusCode::CREATED, body)?;
        Ok(Self {
            location: Some(location),
            ..reply
        })
    }

    /// Any other status.
    pub(crate) fn new<T: Serialize>(status: StatusCode, body: &T) -> Result<Self, ApiError> {
        Ok(Self {
            status,
            body: serde_json::to_vec(body).map_err(ApiError::internal)?,
            etag: None,
            location: None,
        })
    }

    /// With the resource's version as ETag.
    pub(crate) fn version(self, version: i32) -> Self {
        Self {
            etag: Some(format!("\"{version}\"")),
            ..self
        }
    }

    /// With a digest of the body as ETag, for a resource without a version.
    pub(crate) fn hashed(self) -> Self {
        let digest = HEXLOWER.encode(&Sha256::digest(&self.body));
        Self {
            etag: digest.get(..32).map(|digest| format!("\"{digest}\"")),
            ..self
        }
    }

    /// As an answer to a GET.
    pub(crate) fn answer(self) -> Response {
        self.into_response_with(false)
    }

    /// As an answer to a GET that may say which version it knows: 304 when that is this one.
    pub(crate) fn answer_to(self, headers: &HeaderMap) -> Response {
        let is_known = self.etag.as_ref().is_some_and(|tag| knows(headers, tag));
        let mut response = self.into_response_with(false);
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response.headers_mut().remove(header::CONTENT_TYPE);
            *response.body_mut() = Body::empty();
        }
        response
    }

    fn into_response_with(self, is_replayed: bool) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        for (name, value) in [(header::ETAG, self.etag), (header::LOCATION, self.location)] {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                headers.insert(name, value);
            }
        }
        if is_replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}
