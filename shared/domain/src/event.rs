//! Every message on the wire. A message is a bell: ids and immutable facts, no personal data; who
//! hears it reads the row. A form once sent is decoded for ever: see `testdata/events`.
//! Written to the outbox by the store, published by the relay, decoded by consumers.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::cell::RiskCell;
use crate::id::{
    EvaluationId, IndexRunId, LegId, MessageId, PayoutId, PolicyId, ReceiptId, RiskId, SmsId,
};

/// Why bytes are no message of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// A topic nobody here knows, or of a later version.
    #[error("unknown topic `{0}`")]
    Topic(String),
    /// The body is not the topic's form.
    #[error("body of `{topic}` does not decode: {fault}")]
    Body {
        /// The topic.
        topic: String,
        /// What the decoder said.
        fault: String,
    },
}

macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident = $topic:literal {
        $subject:ident: $sty:ty $(, $field:ident: $ty:ty)* $(,)?
    }),+ $(,)?) => {
        /// A message, by topic.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(untagged)]
        pub enum Event {
            $(
                $(#[$doc])*
                $variant {
                    #[doc = "What the message is about."]
                    $subject: $sty,
                    $(#[doc = "An immutable fact."] $field: $ty,)*
                },
            )+
        }

        impl Event {
            /// Every topic, in the order of this file.
            pub const TOPICS: &'static [&'static str] = &[$($topic),+];

            /// Routing key: `policy.activated.v1`.
            #[must_use]
            pub fn topic(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $topic),+ }
            }

            /// The thing the message is about.
            #[must_use]
            pub fn subject(&self) -> Uuid {
                match self { $(Self::$variant { $subject, .. } => $subject.uuid()),+ }
            }

            /// Decodes a body by its topic.
            pub fn decode(topic: &str, body: &[u8]) -> Result<Self, EventError> {
                match topic {
                    $($topic => {
                        #[derive(Deserialize)]
                        struct Body { $subject: $sty, $($field: $ty,)* }
                        let Body { $subject, $($field,)* } = serde_json::from_slice(body)
                            .map_err(|e| EventError::Body {
                                topic: topic.to_owned(),
                                fault: e.to_string(),
                            })?;
                        Ok(Self::$variant { $subject, $($field,)* })
                    })+
                    _ => Err(EventError::Topic(topic.to_owned())),
                }
            }
        }
    };
}

events! {
    /// A policy was bought: ask the farmer's phone for the premium.
    PremiumRequested = "premium.requested.v1" { receipt_id: ReceiptId, policy_id: PolicyId },
    /// Time to ask the rail what became of a prompt.
    PremiumCheckDue = "premium.check_due.v1" { receipt_id: ReceiptId },
    /// Collected money went to suspense.
    PremiumSuspended = "premium.suspended.v1" { receipt_id: ReceiptId },
    /// A prompt was refused by the farmer or the rail.
    PremiumRefused = "premium.refused.v1" { receipt_id: ReceiptId },
    /// A policy is on risk.
    PolicyActivated = "policy.activated.v1" { policy_id: PolicyId, risk_id: RiskId },
    /// An unpaid policy ended.
    PolicyLapsed = "policy.lapsed.v1" { policy_id: PolicyId },
    /// A policy's season was decided.
    PolicySettled = "policy.settled.v1" { policy_id: PolicyId, evaluation_id: EvaluationId },
    /// A station's UTC day is due to be fetched.
    WeatherDue = "weather.due.v1" { station_day_id: Uuid, station_id: String, utc_date: NaiveDate },
    /// Stations around a risk's cell are to be looked for.
    StationsDue = "stations.due.v1" { risk_id: RiskId },
    /// Stations around a risk's cell are known.
    StationsRecorded = "stations.recorded.v1" { risk_id: RiskId },
    /// A station's UTC day was recorded.
    ObservationRecorded = "observation.recorded.v1" {
        station_day_id: Uuid, station_id: String, utc_date: NaiveDate
    },
    /// A scene of a risk's cell is due.
    SceneDue = "scene.due.v1" { risk_id: RiskId },
    /// Pixels of a cell on a date were recorded.
    SceneCaptured = "scene.captured.v1" {
        scene_window_id: Uuid, risk_cell: RiskCell, day: NaiveDate
    },
    /// A risk's index is due to be computed again.
    IndexDue = "index.due.v1" { risk_id: RiskId },
    /// A risk's index was computed anew; rung only where a partner asked to be told.
    IndexUpdated = "index.updated.v1" { risk_id: RiskId, index_run_id: IndexRunId },
    /// A risk's index will not change any more.
    IndexFinal = "index.final.v1" { risk_id: RiskId, index_run_id: IndexRunId },
    /// The window of a risk has passed.
    WindowClosed = "window.closed.v1" { risk_id: RiskId },
    /// A risk was decided: fan out to its policies.
    EvaluationRecorded = "evaluation.recorded.v1" { evaluation_id: EvaluationId },
    /// An evidence bundle waits to be pinned.
    EvidenceDue = "evidence.due.v1" { evaluation_id: EvaluationId },
    /// A payout is released.
    PayoutApproved = "payout.approved.v1" { payout_id: PayoutId },
    /// Time to ask the rail about a leg.
    PayoutCheckDue = "payout.check_due.v1" { leg_id: LegId },
    /// A payout arrived.
    PayoutPaid = "payout.paid.v1" { payout_id: PayoutId },
    /// A payout was finally refused.
    PayoutRefused = "payout.refused.v1" { payout_id: PayoutId },
    /// A text is due to be sent, or sent again.
    SmsDue = "sms.due.v1" { sms_id: SmsId },
}

/// Lets a bare UUID be the subject of an event.
trait SubjectUuid {
    fn uuid(&self) -> Uuid;
}

impl SubjectUuid for Uuid {
    fn uuid(&self) -> Uuid {
        *self
    }
}

/// A message with its identity, as the outbox keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Identity on the wire; consumers deduplicate by it.
    pub id: MessageId,
    /// What it says.
    pub event: Event,
    /// Trace context, W3C form.
    pub traceparent: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every version ever sent is decoded for ever: never edit a golden file, add one.
    #[test]
    fn golden_files_decode_and_encode_to_themselves() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/events");
        for topic in Event::TOPICS {
            let path = format!("{folder}/{topic}.json");
            let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
            let event = Event::decode(topic, text.as_bytes()).unwrap();
            assert_eq!(event.topic(), *topic);
            let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_value(&event).unwrap(), golden, "{topic}");
        }
    }

    #[test]
    fn an_unknown_topic_or_body_is_an_error_and_never_a_panic() {
        assert!(matches!(
            Event::decode("policy.activated.v9", b"{}"),
            Err(EventError::Topic(_))
        ));
        for body in [&b""[..], b"{}", b"[]", b"\xff"] {
            assert!(Event::decode("policy.activated.v1", body).is_err());
        }
    }
}
