//! Asking what became of a leg. The answer comes later, as a callback that counts only when its
//! conversation is the one acknowledged here.
//! Called by the payout worker for legs in doubt.

use serde_json::json;

use super::b2c::Ack;
use super::{Client, gateway_error};
use crate::ProviderError;
use crate::scalar::Scalar;
use crate::wire::Effect;

/// The gateway took the question; its answer will carry this conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusAck {
    /// The conversation of the enquiry itself, not of the payment.
    pub conversation_id: String,
}

impl Client {
    /// Asks for the status of the leg with this originator id. A question moves no money: every
    /// failure is `Transient` or a `Refused` question, and says nothing about the leg.
    pub async fn query_status(&self, originator_id: &str) -> Result<StatusAck, ProviderError> {
        let body = json!({
            "Initiator": self.config.initiator_name,
            "SecurityCredential": self.config.security_credential.expose(),
            "CommandID": "TransactionStatusQuery",
            "OriginatorConversationID": originator_id,
            "PartyA": self.config.shortcode,
            "IdentifierType": "4",
            "ResultURL": self.config.callback_url("status-result"),
            "QueueTimeOutURL": self.config.callback_url("status-timeout"),
            "Remarks": "Status enquiry",
            "Occasion": "Enquiry",
        });
        let reply = self
            .post("mpesa/transactionstatus/v1/query", &body, Effect::Read)
            .await?;
        if !reply.status.is_success() {
            return Err(gateway_error(&reply, Effect::Read));
        }
        let ack = reply
            .json::<Ack>()
            .ok_or_else(|| ProviderError::transient("undecodable", "answer not understood"))?;
        let code = ack.response_code.as_ref().map_or("", Scalar::text);
        match ack.conversation_id {
            Some(id) if code == "0" && !id.is_empty() => Ok(StatusAck {
                conversation_id: id,
            }),
            _ => Err(ProviderError::transient(
                format!("response_{code}"),
                &ack.description.unwrap_or_default(),
            )),
        }
    }
}
