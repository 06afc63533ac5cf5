//! Pinata's twin: uploads by multipart, addresses computed from the bytes, a gateway that serves
//! them back, and switches for its failures. The same bytes are the same object. The address is
//! computed here on its own, so that it checks the product's arithmetic rather than shares it.
//! Nested under `/pinata` and `/gateway`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Multipart, Path, State as Shared};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use chrono::{DateTime, SecondsFormat, Utc};
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::reply::{Subject, faulted, json, text};
use crate::world::State;
use crate::{World, draw};

const NAME: &str = "pinata";
/// Largest upload read.
const UPLOAD_BYTES_MAX: usize = 2 << 20;

/// Failures switched on until switched off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Switches {
    /// 401 to every upload.
    pub(crate) unauthorised: bool,
    /// The answer names an address that is not that of the bytes.
    pub(crate) wrong_cid: bool,
    /// Only the fields that are always there.
    pub(crate) sparse: bool,
    /// The gateway answers 504.
    pub(crate) gateway_down: bool,
}

/// Pinned objects by address.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    by_cid: BTreeMap<String, Vec<u8>>,
    pub(crate) switches: Switches,
}

impl Objects {
    pub(crate) fn cids(&self) -> Vec<&String> {
        self.by_cid.keys().collect()
    }
}

/// The upload endpoints, relative to the upload root.
pub(crate) fn router() -> Router<World> {
    Router::new()
        .route("/v3/files", post(upload))
        .route("/data/testAuthentication", get(greet))
        .layer(DefaultBodyLimit::max(UPLOAD_BYTES_MAX))
}

/// The gateway, relative to its root.
pub(crate) fn gateway() -> Router<World> {
    Router::new().route("/ipfs/{cid}", get(fetch))
}

fn trouble(status: u16) -> Response {
    json(
        status,
        &json!({"error": {"reason": "UNAVAILABLE", "details": "try again"}}),
    )
}

fn is_authorised(world: &World, headers: &HeaderMap) -> bool {
    let shown = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    world.with(|state, _| {
        let expected = format!("Bearer {}", state.settings.credentials.pinata_jwt);
        !state.pinata.switches.unauthorised && shown == Some(expected.as_str())
    })
}

async fn greet(Shared(world): Shared<World>, headers: HeaderMap) -> Response {
    if is_authorised(&world, &headers) {
        let greeting = "Congratulations! You are communicating with the Pinata API!";
        json(200, &json!({"message": greeting}))
    } else {
        text(401, "Unauthorized")
    }
}

async fn upload(
    Shared(world): Shared<World>,
    headers: HeaderMap,
    mut multipart: Multipart,
) -> Response {
    if !is_authorised(&world, &headers) {
        return text(401, "Unauthorized");
    }
    let (mut file, mut network, mut name) = (None, None, None);
    loop {
        let part = match multipart.next_field().await {
            Ok(Some(part)) => part,
            Ok(None) => break,
            Err(_) => return json(400, &json!({"error": "malformed multipart body"})),
        };
        let part_name = part.name().unwrap_or_default().to_owned();
        let Ok(bytes) = part.bytes().await else {
            return json(400, &json!({"error": "malformed multipart body"}));
        };
        match part_name.as_str() {
            "file" => file = Some(bytes.to_vec()),
            "network" => network = Some(bytes.to_vec()),
            "name" => name = String::from_utf8(bytes.to_vec()).ok(),
            _ => {}
        }
    }
    let Some(file) = file else {
        return json(400, &json!({"error": "file is required"}));
    };
    if network.as_deref() != Some(b"public") {
        return json(400, &json!({"error": "this twin serves public files only"}));
    }
    let cid = raw_cid(&file);
    let subject = Subject {
        provider: NAME,
        operation: "upload",
        key: &cid,
    };
    faulted(&world, subject, trouble, |state, now| {
        keep(state, now, &cid, file, name.as_deref())
    })
}

fn keep(
    state: &mut State,
    now: DateTime<Utc>,
    cid: &str,
    file: Vec<u8>,
    name: Option<&str>,
) -> Response {
    let size = file.len();
    let is_duplicate = state.pinata.by_cid.contains_key(cid);
    if let Some(path) = path_of(state, cid)
        && let Err(error) = std::fs::write(&path, &file)
    {
        tracing::warn!(%error, "pinned object not kept on disk");
    }
    state.pinata.by_cid.insert(cid.to_owned(), file);
    let switches = state.pinata.switches;
    let shown = if switches.wrong_cid {
        raw_cid(b"something else")
    } else {
        cid.to_owned()
    };
    let id = draw::hex(32, &["file", cid]);
    let data = if switches.sparse {
        json!({"id": id, "cid": shown, "size": size})
    } else {
        let mut data = json!({"id": id, "name": name, "cid": shown, "size": size,
                              "created_at": now.to_rfc3339_opts(SecondsFormat::Millis, true),
                              "number_of_files": 1, "mime_type": "application/json",
                              "user_id": "sandbox", "group_id": null, "keyvalues": {},
                              "vectorized": false, "network": "public"});
        if is_duplicate {
            data["is_duplicate"] = json!(true);
        }
        data
    };
    json(200, &json!({"data": data}))
}

async fn fetch(Shared(world): Shared<World>, Path(cid): Path<String>) -> Response {
    let subject = Subject {
        provider: NAME,
        operation: "gateway",
        key: &cid,
    };
    faulted(&world, subject, trouble, |state, _| {
        if state.pinata.switches.gateway_down {
            return text(504, "Gateway Timeout");
        }
        let kept = state.pinata.by_cid.get(&cid).cloned();
        match kept.or_else(|| std::fs::read(path_of(state, &cid)?).ok()) {
            Some(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
            None => text(404, "ipfs resolve: no link by that name"),
        }
    })
}

/// Where an object lies on disk; only for names that are addresses.
fn path_of(state: &State, cid: &str) -> Option<PathBuf> {
    let is_address = cid
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let folder = state
        .settings
        .pinata_folder
        .as_ref()
        .filter(|_| is_address)?;
    Some(folder.join(format!("{cid}.json")))
}

/// `b` + base32(`01 55 12 20` + SHA-256): the address of a small file, as Pinata's v3 API gives it.
fn raw_cid(bytes: &[u8]) -> String {
    let mut cid = vec![0x01, 0x55, 0x12, 0x20];
    cid.extend_from_slice(&Sha256::digest(bytes));
    format!(
        "b{}",
        data_encoding::BASE32_NOPAD
            .encode(&cid)
            .to_ascii_lowercase()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_the_published_ones() {
        // vectors of Kubo and of Pinata's own SDK page
        for (bytes, cid) in [
            (
                "Hello World!",
                "bafkreid7qoywk77r7rj3slobqfekdvs57qwuwh5d2z3sqsw52iabe3mqne",
            ),
            (
                "hello",
                "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq",
            ),
        ] {
            assert_eq!(raw_cid(bytes.as_bytes()), cid);
        }
    }
}
