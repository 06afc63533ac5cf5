//! Sending one leg of a payout. The leg id goes out as the originator id, so posting the same leg
//! again is an enquiry: a duplicate answer means the first was taken. Never retries here.
//! Called by the payout worker after the leg is stored as sent.

use domain::money::Money;
use domain::msisdn::Msisdn;
use serde::Deserialize;
use serde_json::json;

use super::{B2C_SHILLINGS_MAX, B2C_SHILLINGS_MIN, Client, GatewayError, gateway_error};
use crate::ProviderError;
use crate::scalar::Scalar;
use crate::wire::{Effect, Reply};

/// One leg to pay.
#[derive(Debug, Clone, Copy)]
pub struct B2cRequest<'a> {
    /// The leg's id, stored before this call; unique for ever.
    pub originator_id: &'a str,
    /// Who is paid.
    pub phone: &'a Msisdn,
    /// Whole shillings, 10 to 250,000.
    pub amount: Money,
    /// 2 to 100 characters, shown in the statement; no personal data.
    pub remarks: &'a str,
    /// 1 to 100 characters, or left out.
    pub occasion: Option<&'a str>,
}

/// The gateway took the leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum B2cAck {
    /// Taken now.
    Accepted {
        /// The conversation its result will carry: evidence of our own TLS call.
        conversation_id: String,
    },
    /// This originator id was taken before; ask by status query what became of it.
    AlreadyAccepted,
}

#[derive(Deserialize)]
pub(super) struct Ack {
    #[serde(rename = "ConversationID")]
    pub(super) conversation_id: Option<String>,
    #[serde(rename = "OriginatorConversationID")]
    pub(super) originator_id: Option<String>,
    #[serde(rename = "ResponseCode")]
    pub(super) response_code: Option<Scalar>,
    #[serde(rename = "ResponseDescription", default)]
    pub(super) description: Option<String>,
}

impl Client {
    /// Asks for one leg to be paid. `Refused`: this leg will never be paid by this request, and
    /// nothing moved. `InDoubt`: post the same leg again later, or query; never a new id.
    pub async fn send_b2c(&self, leg: &B2cRequest<'_>) -> Result<B2cAck, ProviderError> {
        let shillings = payable(leg)?;
        let mut body = json!({
            "OriginatorConversationID": leg.originator_id,
            "InitiatorName": self.config.initiator_name,
            "SecurityCredential": self.config.security_credential.expose(),
            "CommandID": "BusinessPayment",
            "Amount": shillings.to_string(),
            "PartyA": self.config.shortcode,
            "PartyB": leg.phone.digits(),
            "Remarks": leg.remarks,
            "QueueTimeOutURL": self.config.callback_url("b2c-timeout"),
            "ResultURL": self.config.callback_url("b2c-result"),
        });
        if let (Some(occasion), Some(fields)) = (leg.occasion, body.as_object_mut()) {
            // two s: the gateway's spelling
            fields.insert("Occassion".to_owned(), json!(occasion));
        }
        let reply = self
            .post("mpesa/b2c/v3/paymentrequest", &body, Effect::Write)
            .await?;
        acknowledged(&reply, leg.originator_id)
    }
}

/// Whole shillings within the rail's limits, and texts within theirs; checked before anything
/// leaves the house.
fn payable(leg: &B2cRequest<'_>) -> Result<i64, ProviderError> {
    let shillings = leg
        .amount
        .whole_shillings()
        .ok_or_else(|| ProviderError::refused("amount", "amount must be whole shillings"))?;
    if !(B2C_SHILLINGS_MIN..=B2C_SHILLINGS_MAX).contains(&shillings) {
        return Err(ProviderError::refused(
            "amount",
            "amount must be 10 to 250000 shillings",
        ));
    }
    if !(2..=100).contains(&leg.remarks.chars().count())
        || leg
            .occasion
            .is_some_and(|text| !(1..=100).contains(&text.chars().count()))
    {
        return Err(ProviderError::refused(
            "remarks",
            "remarks must have 2 to 100 characters",
        ));
    }
    if leg.originator_id.is_empty() {
        return Err(ProviderError::refused(
            "originator_id",
            "a leg needs its id",
        ));
    }
    Ok(shillings)
}

fn acknowledged(reply: &Reply, originator_id: &str) -> Result<B2cAck, ProviderError> {
    if !reply.status.is_success() {
        let duplicate = |error: GatewayError| error.code.text() == "500.002.1001";
        if reply.json::<GatewayError>().is_some_and(duplicate) {
            return Ok(B2cAck::AlreadyAccepted);
        }
        return Err(gateway_error(reply, Effect::Write));
    }
    let Some(ack) = reply.json::<Ack>() else {
        return Err(ProviderError::in_doubt(
            "undecodable",
            "acknowledgement not understood",
        ));
    };
    let code = ack.response_code.as_ref().map_or("", Scalar::text);
    let description = ack.description.unwrap_or_default();
    if code != "0" {
        return Err(ProviderError::in_doubt(
            format!("response_{code}"),
            &description,
        ));
    }
    if ack
        .originator_id
        .as_deref()
        .is_some_and(|echoed| echoed != originator_id)
    {
        return Err(ProviderError::in_doubt(
            "foreign_ack",
            "acknowledgement names another leg",
        ));
    }
    match ack.conversation_id {
        Some(id) if !id.is_empty() => Ok(B2cAck::Accepted {
            conversation_id: id,
        }),
        _ => Err(ProviderError::in_doubt(
            "no_conversation",
            "taken without a conversation id",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> Result<B2cAck, ProviderError> {
        let status = reqwest::StatusCode::from_u16(status).unwrap();
        acknowledged(
            &Reply {
                status,
                body: body.as_bytes().to_vec(),
            },
            "MC1",
        )
    }

    #[test]
    fn the_documented_acknowledgement_is_taken() {
        let body = r#"{"ConversationID":"AG_20240706_20106e9209f64bebd05b","OriginatorConversationID":"MC1","ResponseCode":"0","ResponseDescription":"Accept the service request successfully."}"#;
        let expected = B2cAck::Accepted {
            conversation_id: "AG_20240706_20106e9209f64bebd05b".to_owned(),
        };
        assert_eq!(answered(200, body), Ok(expected));
    }

    #[test]
    fn a_duplicate_means_the_first_was_taken() {
        let body = r#"{"requestId":"1","errorCode":"500.002.1001","errorMessage":"Duplicate OriginatorConversationID"}"#;
        assert_eq!(answered(500, body), Ok(B2cAck::AlreadyAccepted));
    }

    #[test]
    fn an_acknowledgement_that_proves_nothing_is_doubt() {
        for body in [
            "not json",
            r#"{"ResponseCode":"0"}"#,
            r#"{"ResponseCode":"9","ConversationID":"AG"}"#,
            r#"{"ResponseCode":"0","ConversationID":"AG","OriginatorConversationID":"other"}"#,
        ] {
            assert!(answered(200, body).unwrap_err().is_in_doubt(), "{body}");
        }
    }

    #[test]
    fn what_the_rail_cannot_pay_never_leaves_the_house() {
        let phone = Msisdn::parse("0712345678").unwrap();
        let leg = |minor| B2cRequest {
            originator_id: "MC1",
            phone: &phone,
            amount: Money::kes_minor(minor),
            remarks: "Crop payout",
            occasion: None,
        };
        for minor in [0, 900, 1_050, 25_000_100, -1_000] {
            assert_eq!(
                payable(&leg(minor)).unwrap_err().kind(),
                "refused",
                "{minor}"
            );
        }
        assert_eq!(payable(&leg(25_000_000)), Ok(250_000));
    }
}
