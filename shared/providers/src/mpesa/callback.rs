//! What Daraja posts to us, read tolerantly: codes as numbers or texts, one item or many, values
//! missing. Nothing here is believed yet: the caller ties it to an acknowledgement of its own.
//! The receiver's name is left behind. Called by the backend's webhooks and their processing step.

use chrono::{DateTime, FixedOffset, NaiveDateTime, Utc};
use domain::money::Money;
use domain::msisdn::Msisdn;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::scalar::{Scalar, one_or_many};

/// Kenya's offset from UTC, seconds: Daraja prints local time without a zone.
const EAT_SECONDS: i32 = 3 * 3_600;

/// The body is not a result envelope. Shows nothing of it: it names people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("body is not a daraja result; keep it and look at it by hand")]
pub struct CallbackError;

/// The outcome of a B2C payment as called back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct B2cResult {
    /// The code as characters; see [`super::codes::classify`].
    pub result_code: String,
    /// The provider's words, bounded and masked.
    pub description: String,
    /// Our leg id, where the provider echoes it.
    pub originator_id: Option<String>,
    /// The conversation of the acknowledgement.
    pub conversation_id: Option<String>,
    /// M-Pesa's transaction id; also present on failures.
    pub transaction_id: Option<String>,
    /// M-Pesa receipt, on success.
    pub receipt: Option<String>,
    /// Amount moved, on success.
    pub amount: Option<Money>,
    /// Who received it, where the number is not masked.
    pub receiver: Option<Msisdn>,
    /// When it completed, on success.
    pub completed_at: Option<DateTime<Utc>>,
    /// What is left on the utility account, on success.
    pub utility_funds: Option<Money>,
}

/// What a status enquiry found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundStatus {
    /// The payment is complete.
    Completed,
    /// The payment failed or was given up: no money moved.
    Failed,
    /// Not found, still moving, or a word we do not know: proves nothing.
    Undetermined,
}

/// The answer to a status enquiry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusResult {
    /// Code of the enquiry itself, as characters.
    pub result_code: String,
    /// The provider's words, bounded and masked.
    pub description: String,
    /// The conversation of the enquiry: compare with [`super::StatusAck::conversation_id`].
    pub conversation_id: Option<String>,
    /// The leg id the answer is about.
    pub subject_originator_id: Option<String>,
    /// The payment's own conversation.
    pub subject_conversation_id: Option<String>,
    /// What was found.
    pub found: FoundStatus,
    /// M-Pesa receipt, when found.
    pub receipt: Option<String>,
    /// Amount, when found.
    pub amount: Option<Money>,
    /// When it was finalised, when found.
    pub finalised_at: Option<DateTime<Utc>>,
}

/// A request waited too long in a queue: its outcome is unknown, whatever the body says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueTimeout {
    /// Our leg id, where the body carries one.
    pub originator_id: Option<String>,
    /// The conversation, where the body carries one.
    pub conversation_id: Option<String>,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "Result")]
    result: ResultBody,
}

#[derive(Deserialize)]
struct ResultBody {
    #[serde(rename = "ResultCode")]
    code: Scalar,
    #[serde(rename = "ResultDesc", default)]
    description: Option<String>,
    #[serde(rename = "OriginatorConversationID", default)]
    originator_id: Option<String>,
    #[serde(rename = "ConversationID", default)]
    conversation_id: Option<String>,
    #[serde(rename = "TransactionID", default)]
    transaction_id: Option<String>,
    #[serde(rename = "ResultParameters", default)]
    parameters: Option<Parameters>,
}

#[derive(Deserialize)]
struct Parameters {
    #[serde(rename = "ResultParameter", default)]
    items: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "Value", default)]
    value: Option<Scalar>,
}

/// The parameters by key; a key that comes twice keeps its first value.
struct Items(Vec<Item>);

impl Items {
    fn text(&self, key: &str) -> Option<&str> {
        let item = self.0.iter().find(|item| item.key == key)?;
        item.value.as_ref()?.non_empty()
    }

    fn owned(&self, key: &str) -> Option<String> {
        self.text(key).map(str::to_owned)
    }

    fn money(&self, key: &str) -> Option<Money> {
        crate::scalar::Decimal::parse(self.text(key)?)?
            .exact(2)
            .map(Money::kes_minor)
    }

    fn instant(&self, key: &str) -> Option<DateTime<Utc>> {
        local_instant(self.text(key)?)
    }
}

impl ResultBody {
    fn parse(body: &[u8]) -> Result<(Self, Items), CallbackError> {
        let Envelope { result } = serde_json::from_slice(body).map_err(|_| CallbackError)?;
        let raw = result
            .parameters
            .as_ref()
            .and_then(|parameters| parameters.items.as_ref());
        let items = match raw {
            Some(raw) => one_or_many(raw).map_err(|_| CallbackError)?,
            None => Vec::new(),
        };
        Ok((result, Items(items)))
    }
}

impl B2cResult {
    /// Reads a `ResultURL` body of a payment.
    pub fn parse(body: &[u8]) -> Result<Self, CallbackError> {
        let (result, items) = ResultBody::parse(body)?;
        Ok(Self {
            result_code: result.code.text().trim().to_owned(),
            description: crate::error::masked(&result.description.unwrap_or_default()),
            originator_id: filled(result.originator_id),
            conversation_id: filled(result.conversation_id),
            transaction_id: filled(result.transaction_id),
            receipt: items.owned("TransactionReceipt"),
            amount: items.money("TransactionAmount"),
            receiver: items.text("ReceiverPartyPublicName").and_then(named_phone),
            completed_at: items.instant("TransactionCompletedDateTime"),
            utility_funds: items.money("B2CUtilityAccountAvailableFunds"),
        })
    }

    /// What makes a repeat of this callback the same event.
    #[must_use]
    pub fn event_key(&self) -> String {
        event_key(
            "b2c",
            self.conversation_id.as_deref(),
            self.originator_id.as_deref(),
            &self.result_code,
        )
    }
}

impl StatusResult {
    /// Reads a `ResultURL` body of a status enquiry.
    pub fn parse(body: &[u8]) -> Result<Self, CallbackError> {
        let (result, items) = ResultBody::parse(body)?;
        let code = result.code.text().trim().to_owned();
        let found = match (code.as_str(), items.text("TransactionStatus")) {
            ("0", Some("Completed")) => FoundStatus::Completed,
            ("0", Some("Failed" | "Declined" | "Cancelled" | "Expired")) => FoundStatus::Failed,
            _ => FoundStatus::Undetermined,
        };
        Ok(Self {
            result_code: code,
            description: crate::error::masked(&result.description.unwrap_or_default()),
            conversation_id: filled(result.conversation_id),
            subject_originator_id: items.owned("OriginatorConversationID"),
            subject_conversation_id: items.owned("ConversationID"),
            found,
            receipt: items.owned("ReceiptNo"),
            amount: items.money("Amount"),
            finalised_at: items.instant("FinalisedTime"),
        })
    }

    /// What makes a repeat of this callback the same event.
    #[must_use]
    pub fn event_key(&self) -> String {
        event_key(
            "status",
            self.conversation_id.as_deref(),
            None,
            &self.result_code,
        )
    }
}

impl QueueTimeout {
    /// Reads a `QueueTimeOutURL` body. Its format is not documented, so any body is a time-out;
    /// ids are taken where a result envelope carries them.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        match ResultBody::parse(body) {
            Ok((result, _)) => Self {
                originator_id: filled(result.originator_id),
                conversation_id: filled(result.conversation_id),
            },
            Err(CallbackError) => Self::default(),
        }
    }

    /// What makes a repeat of this callback the same event, or `None` when the body names nothing.
    #[must_use]
    pub fn event_key(&self) -> Option<String> {
        let id = self
            .conversation_id
            .as_deref()
            .or(self.originator_id.as_deref())?;
        Some(format!("timeout:{id}"))
    }
}

fn event_key(
    kind: &str,
    conversation: Option<&str>,
    originator: Option<&str>,
    code: &str,
) -> String {
    format!(
        "{kind}:{}:{}:{code}",
        conversation.unwrap_or("-"),
        originator.unwrap_or("-")
    )
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

/// The number in `254705912645 - JANE DOE`.
fn named_phone(text: &str) -> Option<Msisdn> {
    Msisdn::parse(text.split(" - ").next()?).ok()
}

/// `06.07.2024 22:48:52`, or the same as `20240706224852`, Kenya time.
fn local_instant(text: &str) -> Option<DateTime<Utc>> {
    let local = ["%d.%m.%Y %H:%M:%S", "%Y%m%d%H%M%S"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())?;
    let zone = FixedOffset::east_opt(EAT_SECONDS)?;
    local
        .and_local_timezone(zone)
        .single()
        .map(|instant| instant.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAID: &str = r#"{"Result":{"ResultType":0,"ResultCode":0,"ResultDesc":"The service request is processed successfully.",
 "OriginatorConversationID":"MC1","ConversationID":"AG_1","TransactionID":"SG632NMUAB",
 "ResultParameters":{"ResultParameter":[
  {"Key":"TransactionAmount","Value":10},{"Key":"TransactionReceipt","Value":"SG632NMUAB"},
  {"Key":"ReceiverPartyPublicName","Value":"254705912645 - JANE DOE"},
  {"Key":"TransactionCompletedDateTime","Value":"06.07.2024 22:48:52"},
  {"Key":"B2CUtilityAccountAvailableFunds","Value":8959269.6},{"Key":"B2CRecipientIsRegisteredCustomer","Value":"Y"}]},
 "ReferenceData":{"ReferenceItem":{"Key":"QueueTimeoutURL","Value":"https://x"}}}}"#;

    #[test]
    fn a_paid_result_is_read_without_the_name() {
        let result = B2cResult::parse(PAID.as_bytes()).unwrap();
        assert_eq!(result.result_code, "0");
        assert_eq!(result.amount, Some(Money::kes_minor(1_000)));
        assert_eq!(result.utility_funds, Some(Money::kes_minor(895_926_960)));
        assert_eq!(
            result.receiver.as_ref().map(Msisdn::digits),
            Some("254705912645")
        );
        let expected = "2024-07-06T19:48:52Z".parse::<DateTime<Utc>>().unwrap();
        assert_eq!(result.completed_at, Some(expected));
        assert_eq!(result.event_key(), "b2c:AG_1:MC1:0");
        assert!(!format!("{result:?}").contains("JANE"));
    }

    #[test]
    fn codes_as_text_and_single_objects_are_read() {
        let body = r#"{"Result":{"ResultType":"0","ResultCode":"SFC_IC0003","ResultDesc":"no number","OriginatorConversationID":"MC1","ConversationID":"AG_1","TransactionID":"T",
          "ResultParameters":{"ResultParameter":{"Key":"TransactionAmount","Value":"10.00"}}}}"#;
        let result = B2cResult::parse(body.as_bytes()).unwrap();
        assert_eq!(result.result_code, "SFC_IC0003");
        assert_eq!(result.amount, Some(Money::kes_minor(1_000)));
    }

    #[test]
    fn a_failure_has_no_parameters() {
        let body = br#"{"Result":{"ResultCode":2001,"ResultDesc":"The initiator information is invalid.","ConversationID":"AG_1","TransactionID":"SG1"}}"#;
        let result = B2cResult::parse(body).unwrap();
        assert_eq!((result.result_code.as_str(), result.amount), ("2001", None));
        assert_eq!(result.originator_id, None);
    }

    #[test]
    fn what_is_no_result_is_an_error_but_any_body_is_a_time_out() {
        for body in [&b""[..], b"{}", b"{\"Result\":{}}", b"[1]"] {
            assert_eq!(B2cResult::parse(body), Err(CallbackError));
            assert_eq!(QueueTimeout::parse(body), QueueTimeout::default());
        }
        let named = QueueTimeout::parse(PAID.as_bytes());
        assert_eq!(named.event_key().as_deref(), Some("timeout:AG_1"));
    }

    #[test]
    fn a_status_answer_names_its_subject() {
        let body = br#"{"Result":{"ResultType":0,"ResultCode":0,"ResultDesc":"ok","OriginatorConversationID":"q","ConversationID":"AG_Q","TransactionID":"T",
          "ResultParameters":{"ResultParameter":[{"Key":"ReceiptNo","Value":"SG632NMUAB"},{"Key":"ConversationID","Value":"AG_1"},{"Key":"OriginatorConversationID","Value":"MC1"},
          {"Key":"FinalisedTime","Value":20240706224852},{"Key":"Amount","Value":"1500.00"},{"Key":"TransactionStatus","Value":"Completed"},{"Key":"TransactionReason"}]}}}"#;
        let status = StatusResult::parse(body).unwrap();
        assert_eq!(status.found, FoundStatus::Completed);
        assert_eq!(status.conversation_id.as_deref(), Some("AG_Q"));
        assert_eq!(status.subject_originator_id.as_deref(), Some("MC1"));
        assert_eq!(status.amount, Some(Money::kes_minor(150_000)));
        assert!(status.finalised_at.is_some());
    }

    #[test]
    fn an_unknown_status_word_proves_nothing() {
        let body = br#"{"Result":{"ResultCode":0,"ResultParameters":{"ResultParameter":[{"Key":"TransactionStatus","Value":"Vaporised"}]}}}"#;
        assert_eq!(
            StatusResult::parse(body).unwrap().found,
            FoundStatus::Undetermined
        );
        let failed = br#"{"Result":{"ResultCode":"R000001","ResultParameters":{"ResultParameter":[{"Key":"TransactionStatus","Value":"Completed"}]}}}"#;
        assert_eq!(
            StatusResult::parse(failed).unwrap().found,
            FoundStatus::Undetermined
        );
    }
}
