//! Sending one text. The gateway answers 2xx for refused requests too, and has no idempotency key:
//! an answer that never came is doubt, and the caller resends at most once.
//! Called by the notify worker.

use std::time::Duration;

use domain::money::Money;
use domain::msisdn::Msisdn;
use serde::Deserialize;

use crate::scalar::{Decimal, Scalar};
use crate::wire::{Effect, REPLY_BYTES_MAX, Reply, TIMEOUT_DEFAULT, exchange, join};
use crate::{ProviderError, Secret};

/// Where and as whom to send.
#[derive(Debug, Clone)]
pub struct Config {
    /// Live `https://api.africastalking.com`.
    pub base_url: String,
    /// The app's user name; `sandbox` in their sandbox.
    pub username: String,
    /// Header `apiKey`.
    pub api_key: Secret,
    /// Approved alphanumeric sender; `None` uses the shared one.
    pub sender_id: Option<String>,
    /// Whole-request limit.
    pub timeout: Duration,
}

impl Config {
    /// With the usual time-out and no sender id.
    #[must_use]
    pub fn new(base_url: &str, username: &str, api_key: Secret) -> Self {
        Self {
            base_url: base_url.to_owned(),
            username: username.to_owned(),
            api_key,
            sender_id: None,
            timeout: TIMEOUT_DEFAULT,
        }
    }
}

/// How the gateway took a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// 100: a report will follow.
    Processed,
    /// 101.
    Sent,
    /// 102.
    Queued,
}

/// A text the gateway took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentSms {
    /// The id that delivery reports carry.
    pub message_id: String,
    /// How it was taken.
    pub taken: Taken,
    /// What it cost, when told in shillings to at most two decimals.
    pub cost: Option<Money>,
}

/// A client of the SMS gateway.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    config: Config,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "SMSMessageData")]
    data: MessageData,
}

#[derive(Deserialize)]
struct MessageData {
    #[serde(rename = "Message", default)]
    message: Option<String>,
    #[serde(rename = "Recipients", default)]
    recipients: Vec<Recipient>,
}

#[derive(Deserialize)]
struct Recipient {
    #[serde(rename = "statusCode")]
    status_code: Scalar,
    #[serde(default)]
    status: Option<String>,
    #[serde(rename = "messageId", default)]
    message_id: Option<String>,
    #[serde(default)]
    cost: Option<Scalar>,
}

impl Client {
    /// A client over `http`.
    #[must_use]
    pub fn new(http: reqwest::Client, config: Config) -> Self {
        Self { http, config }
    }

    /// Sends one text to one phone. Not idempotent: `InDoubt` may mean it is on its way.
    pub async fn send(&self, phone: &Msisdn, text: &str) -> Result<SentSms, ProviderError> {
        let to = phone.e164();
        let mut form = vec![
            ("username", self.config.username.as_str()),
            ("to", to.as_str()),
            ("message", text),
            ("bulkSMSMode", "1"),
        ];
        if let Some(sender_id) = &self.config.sender_id {
            form.push(("from", sender_id));
        }
        let request = self
            .http
            .post(join(&self.config.base_url, "version1/messaging"))
            .header("apiKey", self.config.api_key.expose())
            .header("Accept", "application/json")
            .timeout(self.config.timeout)
            .form(&form);
        let reply = exchange(request, Effect::Write, REPLY_BYTES_MAX).await?;
        if reply.status.is_success() {
            taken(&reply)
        } else {
            Err(refusal(&reply))
        }
    }
}

/// A 2xx answer: success only if our one recipient is in it with a code that says so.
fn taken(reply: &Reply) -> Result<SentSms, ProviderError> {
    let Some(Envelope { data }) = reply.json::<Envelope>() else {
        return Err(ProviderError::in_doubt(
            "undecodable",
            "send answer was not understood",
        ));
    };
    let Some(recipient) = data.recipients.into_iter().next() else {
        // whole-request refusals come as success without recipients, the reason in the message
        let reason = data.message.unwrap_or_default();
        return Err(if reason.contains("InsufficientBalance") {
            ProviderError::transient("InsufficientBalance", &reason)
        } else {
            ProviderError::refused("no_recipients", &reason)
        });
    };
    let code = recipient.status_code.text().to_owned();
    let status = recipient.status.unwrap_or_default();
    let how = match code.as_str() {
        "100" => Taken::Processed,
        "101" => Taken::Sent,
        "102" => Taken::Queued,
        // account out of money, no route, gateway trouble: the text was not taken, later it may be
        "405" | "407" | "500" | "501" => return Err(ProviderError::transient(code, &status)),
        "401" | "402" | "403" | "404" | "406" | "409" | "502" => {
            return Err(ProviderError::refused(code, &status));
        }
        _ => return Err(ProviderError::in_doubt(code, &status)),
    };
    match recipient.message_id {
        Some(id) if !id.is_empty() && id != "None" => {
            let cost = recipient.cost.as_ref().and_then(cost);
            Ok(SentSms {
                message_id: id,
                taken: how,
                cost,
            })
        }
        _ => Err(ProviderError::in_doubt(
            "no_message_id",
            "taken without a message id",
        )),
    }
}

/// `KES 0.8000` in cents.
fn cost(text: &Scalar) -> Option<Money> {
    let amount = text.text().trim().strip_prefix("KES")?;
    Decimal::parse(amount)?.exact(2).map(Money::kes_minor)
}

/// A non-2xx answer; the body is often plain text.
fn refusal(reply: &Reply) -> ProviderError {
    let code = reply.http_code();
    match reply.status.as_u16() {
        400 | 404 | 405 | 413 | 415 | 422 => ProviderError::refused(code, &reply.text()),
        401 | 403 | 429 => ProviderError::transient(code, &reply.text()),
        _ => ProviderError::in_doubt(code, &reply.text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Result<SentSms, ProviderError> {
        taken(&Reply {
            status: reqwest::StatusCode::CREATED,
            body: body.as_bytes().to_vec(),
        })
    }

    fn recipient(code: &str) -> Result<SentSms, ProviderError> {
        answer(&format!(
            r#"{{"SMSMessageData":{{"Message":"m","Recipients":[{{"statusCode":{code},"number":"+254711000111","status":"s","cost":"KES 0.8000","messageId":"ATXid_1"}}]}}}}"#
        ))
    }

    #[test]
    fn the_documented_success_is_a_success() {
        let sent = recipient("101").unwrap();
        assert_eq!(
            (sent.message_id.as_str(), sent.taken),
            ("ATXid_1", Taken::Sent)
        );
        assert_eq!(sent.cost, Some(Money::kes_minor(80)));
        assert!(recipient("100").is_ok() && recipient("102").is_ok());
        assert!(recipient("\"101\"").is_ok(), "code as text");
    }

    #[test]
    fn every_documented_failure_has_its_class() {
        for code in ["401", "402", "403", "404", "406", "409", "502"] {
            assert_eq!(recipient(code).unwrap_err().kind(), "refused", "{code}");
        }
        for code in ["405", "407", "500", "501"] {
            assert_eq!(recipient(code).unwrap_err().kind(), "transient", "{code}");
        }
        assert_eq!(recipient("777").unwrap_err().kind(), "in_doubt");
    }

    #[test]
    fn success_without_recipients_is_no_success() {
        let refused = answer(r#"{"SMSMessageData":{"Message":"InvalidSenderId","Recipients":[]}}"#);
        assert_eq!(refused.unwrap_err().kind(), "refused");
        let broke =
            answer(r#"{"SMSMessageData":{"Message":"InsufficientBalance","Recipients":[]}}"#);
        assert_eq!(broke.unwrap_err().kind(), "transient");
        assert_eq!(answer("<xml/>").unwrap_err().kind(), "in_doubt");
    }

    #[test]
    fn taken_without_an_id_stays_in_doubt() {
        let body = r#"{"SMSMessageData":{"Message":"m","Recipients":[{"statusCode":101,"messageId":"None"}]}}"#;
        assert_eq!(answer(body).unwrap_err().kind(), "in_doubt");
    }
}
