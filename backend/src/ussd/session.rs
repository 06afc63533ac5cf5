//! A conversation in Redis: one sealed record a phone, keyed by the keyed hash of its number.
//! Must never hold typed text (only its hash) and may be lost at any time: the handler replays.
//! Called by the handler.
//!
//! The record is written in postcard, where a field is known by its place alone: [`FORMAT`] stands
//! in front, and a record of another format is the same as none.

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

/// The shape of a record, sealed with it. Raise it with every change of [`Record`] or of what is in
/// it, a new variant apart; below `{`, which began the records that were JSON.
const FORMAT: u8 = 2;

/// Room that nearly every record fits.
const BYTES_MOSTLY: usize = 1_024;

/// Hash of a cumulative text.
pub(super) type TextHash = [u8; 32];

/// What is kept of a phone's last conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The gateway's id of the conversation; a record of another one can only be resumed.
    pub(super) session_id: String,
    /// Inputs consumed so far.
    pub(super) hops: usize,
    /// Hash of the cumulative text consumed so far.
    pub(super) text_hash: TextHash,
    /// Where it stands.
    pub(super) session: Session,
    /// What the conversation could take up when it was opened; a replay begins with it.
    pub(super) opened_with: Option<Paused>,
    /// The last reply, prefix included.
    pub(super) reply: String,
    /// When, by our clock.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub(super) saved_at: DateTime<Utc>,
}

impl Record {
    fn write(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![0; BYTES_MOSTLY];
        let (format, rest) = bytes.split_first_mut()?;
        *format = FORMAT;
        if let Ok(written) = postcard::to_slice(self, rest) {
            let length = written.len().saturating_add(1);
            bytes.truncate(length);
            return Some(bytes);
        }
        postcard::to_extend(self, vec![FORMAT]).ok()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (format, record) = bytes.split_first()?;
        if *format != FORMAT {
            return None;
        }
        postcard::from_bytes(record).ok()
    }
}

/// Hash of a cumulative text. The session is mixed in, and the record is sealed: a PIN at the end
/// of a text cannot be guessed from it.
pub(super) fn text_hash(session_id: &str, text: &str) -> TextHash {
    let mut hash = Sha256::new();
    hash.update(session_id.as_bytes());
    hash.update([0]);
    hash.update(text.as_bytes());
    hash.finalize().into()
}

fn key(phone_index: &[u8]) -> String {
    let mut key = String::with_capacity(5 + 2 * phone_index.len());
    key.push_str("ussd:");
    HEXLOWER.encode_append(phone_index, &mut key);
    key
}

/// The phone's record. Redis away, or a record that does not open, is the same as none.
pub(super) async fn load(redis: &Redis, pii: &Pii, phone_index: &[u8]) -> Option<Record> {
    let sealed = redis.get(&key(phone_index)).await.ok().flatten()?;
    Record::read(&pii.open(&sealed).ok()?)
}

/// Sends the record to Redis without waiting; a lost write is healed by the next hop's replay.
pub(super) fn save_later(redis: &Redis, pii: &Pii, ids: &Ids, phone_index: &[u8], record: &Record) {
    let sealed = record
        .write()
        .and_then(|plain| pii.seal(ids.bytes(), &plain).ok());
    if let Some(sealed) = sealed {
        redis.set_later(&key(phone_index), sealed, KEEP);
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use domain::i18n::{Crop, Language};
    use domain::ussd::{Caller, Draft, Farmer, Goal, Plot, Screen, WardCode};
    use uuid::Uuid;

    use super::*;

    fn record() -> Record {
        let ward = WardCode::parse("0234").unwrap();
        let plot = Plot {
            id: Uuid::from_u128(1).into(),
            ward,
            crop: Crop::ALL[0],
            acres_e2: 150,
        };
        let draft = Draft {
            goal: Goal::Buy,
            name: Some("Wanjiku".to_owned()),
            national_id: Some("12345678".to_owned()),
            county: Some(1),
            constituency: Some(2),
            ward: Some(ward),
            acres_e2: Some(25),
            crop: Some(Crop::ALL[0]),
            sowing: chrono::NaiveDate::from_ymd_opt(2026, 3, 15),
            plot: Some(plot.id),
            shown: vec![Uuid::from_u128(2).into()],
            version: Some(Uuid::from_u128(2).into()),
            sum_insured_kes: Some(3_000),
            wrong_answers: 1,
            second_question: true,
            policy: Some(3),
        };
        let paused = Paused {
            screen: Screen::Quote,
            draft: draft.clone(),
            language: Language::Sw,
        };
        Record {
            session_id: "ATUid_1".to_owned(),
            hops: 3,
            text_hash: [7; 32],
            session: Session {
                language: Language::En,
                screen: Screen::Resume,
                caller: Caller::Known(Farmer {
                    name: "Wanjiku".to_owned(),
                    language: Language::En,
                    ward,
                    has_pin: true,
                    plots: vec![plot],
                }),
                draft,
                page: 1,
                paused: Some(Box::new(paused.clone())),
            },
            opened_with: Some(paused),
            reply: "CON".to_owned(),
            saved_at: "2026-01-20T06:00:00.000001Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_record_is_read_back_as_it_was_and_one_of_another_format_is_none() {
        let mut bytes = record().write().unwrap();
        assert_eq!(Record::read(&bytes), Some(record()));
        bytes[0] = b'{';
        assert_eq!(Record::read(&bytes), None);
        assert_eq!(Record::read(&[]), None);
    }

    #[test]
    fn the_shape_of_a_record_changes_only_with_its_format() {
        let hash = Sha256::digest(record().write().unwrap());
        // a new hash here means that the shape has changed: raise FORMAT with it
        let (format, expected) = (2, "65a0c7d301c4d533");
        assert_eq!(
            (FORMAT, HEXLOWER.encode(&hash).get(..16)),
            (format, Some(expected))
        );
    }
}
