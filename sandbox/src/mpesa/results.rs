//! Result bodies in Daraja's shape, with its habits: codes sometimes as text, one reference item as
//! an object, values missing, local dates without a zone. Which habit shows depends on the id, so
//! every reader meets them all. Called when a payment settles or an enquiry is answered.

use chrono::{DateTime, FixedOffset, Utc};
use serde_json::{Value, json};

use super::{Disbursement, Outcome};
use crate::draw;
use crate::schedule::Enquiry;

/// The result of a payment.
pub(super) fn b2c(payment: &Disbursement, float_minor: i64, at: DateTime<Utc>) -> Vec<u8> {
    let mut result = json!({
        "ResultType": 0,
        "OriginatorConversationID": payment.originator_id,
        "ConversationID": payment.conversation_id,
        "ReferenceData": {"ReferenceItem": reference(&payment.originator_id, &payment.timeout_url)},
    });
    let is_text = draw::below(4, &["code-as-text", &payment.originator_id]) == 0;
    match &payment.outcome {
        Outcome::Paid { receipt, .. } => {
            result["ResultCode"] = code("0", is_text);
            result["ResultDesc"] = json!("The service request is processed successfully.");
            result["TransactionID"] = json!(receipt);
            result["ResultParameters"] = json!({"ResultParameter": [
                {"Key": "TransactionAmount", "Value": payment.shillings},
                {"Key": "TransactionReceipt", "Value": receipt},
                {"Key": "ReceiverPartyPublicName",
                 "Value": format!("{} - WANJIKU MKULIMA", payment.digits)},
                {"Key": "TransactionCompletedDateTime", "Value": local(at, "%d.%m.%Y %H:%M:%S")},
                {"Key": "B2CUtilityAccountAvailableFunds", "Value": decimal(float_minor)},
                {"Key": "B2CWorkingAccountAvailableFunds", "Value": 0.0},
                {"Key": "B2CRecipientIsRegisteredCustomer", "Value": "Y"},
                {"Key": "B2CChargesPaidAccountAvailableFunds"}]});
        }
        Outcome::Failed { code: failed } => {
            result["ResultCode"] = code(failed, is_text);
            result["ResultDesc"] = json!(description(failed));
            result["TransactionID"] = json!(transaction_id(&payment.originator_id));
        }
        Outcome::Moving => {}
    }
    json!({"Result": result}).to_string().into_bytes()
}

/// A queue time-out: the envelope without a verdict.
pub(super) fn timeout(payment: &Disbursement) -> Vec<u8> {
    json!({"Result": {
        "ResultType": 1, "ResultCode": "SVC0403",
        "ResultDesc": "The request waited too long in the queue.",
        "OriginatorConversationID": payment.originator_id,
        "ConversationID": payment.conversation_id,
        "TransactionID": ""}})
    .to_string()
    .into_bytes()
}

/// The answer to an enquiry.
pub(super) fn status(enquiry: &Enquiry, found: Option<&Disbursement>) -> Vec<u8> {
    let mut result = json!({
        "ResultType": 0, "ResultCode": 0,
        "ResultDesc": "The service request is processed successfully.",
        "OriginatorConversationID": enquiry.originator_id,
        "ConversationID": enquiry.conversation_id,
        "TransactionID": transaction_id(&enquiry.conversation_id),
        "ReferenceData": {"ReferenceItem": {"Key": "Occasion"}},
    });
    let Some(payment) = found else {
        result["ResultCode"] = json!("R000001");
        result["ResultDesc"] = json!("The transaction receipt number does not exist.");
        return json!({"Result": result}).to_string().into_bytes();
    };
    let word = match &payment.outcome {
        Outcome::Moving => "Pending",
        Outcome::Paid { .. } => "Completed",
        Outcome::Failed { .. } => "Failed",
    };
    let mut items = vec![
        json!({"Key": "DebitPartyName", "Value": "600992 - MICROCROP"}),
        json!({"Key": "CreditPartyName", "Value": format!("{} - WANJIKU MKULIMA", payment.digits)}),
        json!({"Key": "OriginatorConversationID", "Value": payment.originator_id}),
        json!({"Key": "ConversationID", "Value": payment.conversation_id}),
        json!({"Key": "Amount", "Value": decimal(payment.shillings.saturating_mul(100))}),
        json!({"Key": "TransactionStatus", "Value": word}),
        json!({"Key": "ReasonType", "Value": "Business Payment to Customer via API"}),
        json!({"Key": "TransactionReason"}),
        json!({"Key": "DebitPartyCharges", "Value": "Fee For B2C Payment|KES|22.40"}),
        json!({"Key": "DebitAccountType", "Value": "Utility Account"}),
    ];
    if let Outcome::Paid { receipt, at } = &payment.outcome {
        items.push(json!({"Key": "ReceiptNo", "Value": receipt}));
        let finalised = local(*at, "%Y%m%d%H%M%S")
            .parse::<u64>()
            .unwrap_or_default();
        items.push(json!({"Key": "FinalisedTime", "Value": finalised}));
    }
    result["ResultParameters"] = json!({"ResultParameter": items});
    json!({"Result": result}).to_string().into_bytes()
}

fn reference(originator_id: &str, url: &str) -> Value {
    let item = json!({"Key": "QueueTimeoutURL", "Value": url});
    if draw::below(2, &["item-as-object", originator_id]) == 0 {
        item
    } else {
        json!([item])
    }
}

/// A code as number, unless it is none or the habit is text.
fn code(code: &str, is_text: bool) -> Value {
    match code.parse::<i64>() {
        Ok(number) if !is_text => json!(number),
        _ => json!(code),
    }
}

fn transaction_id(about: &str) -> String {
    draw::text(
        10,
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        &["transaction", about],
    )
}

/// Cents as a JSON number of shillings: `8959269.6`.
fn decimal(minor: i64) -> Value {
    let text = format!("{}.{:02}", minor / 100, (minor % 100).abs());
    text.parse::<f64>()
        .map_or(Value::Null, |number| json!(number))
}

fn local(at: DateTime<Utc>, format: &str) -> String {
    FixedOffset::east_opt(3 * 3_600).map_or_else(String::new, |zone| {
        at.with_timezone(&zone).format(format).to_string()
    })
}

fn description(code: &str) -> &'static str {
    match code {
        "1" => "The balance is insufficient for the transaction.",
        "2" => "Declined due to limit rule: less than the minimum transaction amount.",
        "3" => "Declined due to limit rule: greater than the maximum transaction amount.",
        "4" => "Declined due to limit rule: would exceed daily transfer limit.",
        "8" => "Declined due to limit rule: would exceed the maximum balance.",
        "2001" => "The initiator information is invalid.",
        "2040" => "The receiver is not a registered customer.",
        "8006" => "The security credential is locked.",
        "SFC_IC0003" => "The operator does not exist.",
        _ => "The service request failed.",
    }
}
