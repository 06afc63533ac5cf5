//! The body of an M-Pesa result as Safaricom documents it, with a number that makes it new.
//! Sent by the generator; read by the floor only as far as a floor must: what makes it new.

use serde::Deserialize;

/// A B2C result; `{n}` is replaced by the number.
pub const B2C_RESULT: &str = r#"{"Result":{"ResultType":0,"ResultCode":0,"ResultDesc":"The service request is processed successfully.","OriginatorConversationID":"MC{n}","ConversationID":"AG_20260115_{n}","TransactionID":"SG{n}","ResultParameters":{"ResultParameter":[{"Key":"TransactionAmount","Value":3000},{"Key":"TransactionReceipt","Value":"SG{n}"},{"Key":"ReceiverPartyPublicName","Value":"254700000001 - BENCH FARMER"},{"Key":"TransactionCompletedDateTime","Value":"15.01.2026 09:00:00"},{"Key":"B2CUtilityAccountAvailableFunds","Value":8959269.6},{"Key":"B2CWorkingAccountAvailableFunds","Value":0},{"Key":"B2CRecipientIsRegisteredCustomer","Value":"Y"},{"Key":"B2CChargesPaidAccountAvailableFunds","Value":0}]},"ReferenceData":{"ReferenceItem":{"Key":"QueueTimeoutURL","Value":"https://example.org/timeout"}}}}"#;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "Result", borrow)]
    result: Inner<'a>,
}

#[derive(Deserialize)]
struct Inner<'a> {
    #[serde(rename = "ConversationID")]
    conversation_id: &'a str,
}

/// What makes a repeat the same.
pub fn conversation_id(body: &[u8]) -> Option<&str> {
    let envelope: Envelope<'_> = serde_json::from_slice(body).ok()?;
    Some(envelope.result.conversation_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_another_conversation() {
        let body = B2C_RESULT.replace("{n}", "00000007");
        assert_eq!(
            conversation_id(body.as_bytes()),
            Some("AG_20260115_00000007")
        );
    }
}
