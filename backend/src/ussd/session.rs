//! A conversation in Redis: one sealed record a phone, keyed by the keyed hash of its number.
//! Must never hold typed text (only its hash) and may be lost at any time: the handler replays.
//! Called by the handler.

use std::time::Duration;

use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use domain::ussd::{Paused, Session};
use runtime::ids::Ids;
use runtime::redis::Redis;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::Pii;

/// How long Redis keeps a record, real time; the resume window itself is judged by our clock.
const KEEP: Duration = Duration::from_hours(48);

/// What is kept of a phone's last conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The gateway's id of the conversation; a record of another one can only be resumed.
    pub(super) session_id: String,
    /// Inputs consumed so far.
    pub(super) hops: usize,
    /// Hash of the cumulative text consumed so far.
    pub(super) text_hash: String,
    /// Where it stands.
    pub(super) session: Session,
    /// What the conversation could take up when it was opened; a replay begins with it.
    pub(super) opened_with: Option<Paused>,
    /// The last reply, prefix included.
    pub(super) reply: String,
    /// When, by our clock.
    pub(super) saved_at: DateTime<Utc>,
}

/// Hash of a cumulative text. The session is mixed in, and the record is sealed: a PIN at the end
/// of a text cannot be guessed from it.
pub(super) fn text_hash(session_id: &str, text: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(session_id.as_bytes());
    hash.update([0]);
    hash.update(text.as_bytes());
    HEXLOWER.encode(&hash.finalize())
}

fn key(phone_index: &[u8]) -> String {
    format!("ussd:{}", HEXLOWER.encode(phone_index))
}

/// The phone's record, in one round trip. Redis away, or a record that does not open, is the same
/// as none.
pub(super) async fn load(redis: &Redis, pii: &Pii, phone_index: &[u8]) -> Option<Record> {
    let sealed = redis.get(&key(phone_index)).await.ok().flatten()?;
    let plain = pii.open(&sealed).ok()?;
    serde_json::from_slice(&plain).ok()
}

/// Sends the record to Redis without waiting; a lost write is healed by the next hop's replay.
pub(super) fn save_later(redis: &Redis, pii: &Pii, ids: &Ids, phone_index: &[u8], record: &Record) {
    let sealed = serde_json::to_vec(record)
        .ok()
        .and_then(|plain| pii.seal(ids.bytes(), &plain).ok());
    if let Some(sealed) = sealed {
        redis.set_many_later(vec![(key(phone_index), sealed)], KEEP);
    }
}
