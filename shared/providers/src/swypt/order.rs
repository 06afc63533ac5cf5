//! Prompting a phone to pay, and asking what became of the prompt. A prompt whose answer was lost
//! may be ringing: history is the evidence, not a second prompt. The status has no amount.
//! Called by the premium worker after the receipt is stored as sent.

use domain::money::Money;
use domain::msisdn::Msisdn;
use serde::Deserialize;
use serde_json::json;

use super::reply::{Answer, common, read};
use super::{Client, ONRAMP_SHILLINGS_MAX};
use crate::ProviderError;
use crate::scalar::Scalar;
use crate::wire::{Effect, is_path_segment};

/// A prompt the provider took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnrampOrder {
    /// The provider's order, `D-xxxxx-XX`.
    pub order_id: String,
}

/// Where an order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderState {
    /// The farmer has not answered, or the money is on its way.
    Pending,
    /// M-Pesa took the money.
    Collected {
        /// M-Pesa's receipt, once the provider shows a real one.
        receipt: Option<String>,
    },
    /// No money was taken.
    Failed {
        /// The provider's words, bounded and masked.
        reason: String,
    },
}

/// The answer to an order enquiry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderStatus {
    /// Where it stands.
    pub state: OrderState,
    /// Whose prompt it is, when told: compare before crediting.
    pub phone: Option<Msisdn>,
}

#[derive(Deserialize)]
struct OrderData {
    #[serde(rename = "orderID")]
    order_id: String,
}

#[derive(Deserialize)]
struct StatusData {
    status: String,
    #[serde(default)]
    message: Option<String>,
    #[serde(rename = "orderID", default)]
    order_id: Option<String>,
    #[serde(default)]
    details: Option<Details>,
}

#[derive(Deserialize, Default)]
struct Details {
    #[serde(rename = "phoneNumber", default)]
    phone: Option<Scalar>,
    #[serde(rename = "mpesaReceipt", default)]
    receipt: Option<String>,
    #[serde(rename = "resultDescription", default)]
    description: Option<String>,
}

impl Client {
    /// Sends a payment prompt for whole shillings, 1 to 10,000. `InDoubt` may be ringing on the
    /// phone: look in the history before sending another.
    pub async fn prompt(
        &self,
        phone: &Msisdn,
        amount: Money,
    ) -> Result<OnrampOrder, ProviderError> {
        let shillings = amount
            .whole_shillings()
            .filter(|shillings| (1..=ONRAMP_SHILLINGS_MAX).contains(shillings))
            .ok_or_else(|| {
                ProviderError::refused("amount", "amount must be 1 to 10000 whole shillings")
            })?;
        let body = json!({
            "partyA": phone.digits(),
            "amount": shillings.to_string(),
            "side": "onramp",
            "userAddress": self.config.user_address,
            "tokenAddress": self.config.token_address,
        });
        let reply = self.post("onramp-orders", &body, Effect::Write).await?;
        match read(&reply, Effect::Write)? {
            Answer::Ok(envelope) => match envelope.data::<OrderData>() {
                Some(data) if is_path_segment(&data.order_id) => Ok(OnrampOrder {
                    order_id: data.order_id,
                }),
                _ => Err(ProviderError::in_doubt(
                    "no_order",
                    "prompt taken without an order id",
                )),
            },
            Answer::No(text) if text.contains("Failed to initiate STK Push") => {
                Err(ProviderError::refused("prompt_not_sent", &text))
            }
            Answer::No(text) if text.contains("Failed to record the onramp transaction") => {
                Err(ProviderError::refused("not_recorded", &text))
            }
            Answer::No(text) if text.contains("error occurred during the STK Push") => {
                Err(ProviderError::in_doubt("prompt_unknown", &text))
            }
            Answer::No(text) => Err(common(&reply, &text, Effect::Write)),
        }
    }

    /// Asks where an order stands. An unknown status word is an error, never a state.
    pub async fn order_status(&self, order_id: &str) -> Result<OrderStatus, ProviderError> {
        if !is_path_segment(order_id) {
            return Err(ProviderError::refused(
                "order_id",
                "not an order id of this provider",
            ));
        }
        let reply = self
            .get(&format!("onramp-order-status/{order_id}"), &[])
            .await?;
        match read(&reply, Effect::Read)? {
            Answer::Ok(envelope) => {
                let data = envelope.data::<StatusData>().ok_or_else(|| {
                    ProviderError::transient("undecodable", "order status was not understood")
                })?;
                understood(data, order_id)
            }
            Answer::No(text) if text.contains("not found") || text.contains("is required") => {
                Err(ProviderError::refused("order_not_found", &text))
            }
            Answer::No(text) => Err(common(&reply, &text, Effect::Read)),
        }
    }
}

fn understood(data: StatusData, order_id: &str) -> Result<OrderStatus, ProviderError> {
    if data.order_id.as_deref().is_some_and(|id| id != order_id) {
        return Err(ProviderError::in_doubt(
            "foreign_order",
            "answer is about another order",
        ));
    }
    let details = data.details.unwrap_or_default();
    let state = match data.status.as_str() {
        "PENDING" => OrderState::Pending,
        "SUCCESS" => OrderState::Collected {
            receipt: details.receipt.filter(|text| is_receipt(text)),
        },
        "FAILED" => {
            let reason = details.description.or(data.message).unwrap_or_default();
            OrderState::Failed {
                reason: crate::error::masked(&reason),
            }
        }
        unknown => {
            return Err(ProviderError::in_doubt("unknown_status", unknown));
        }
    };
    let phone = details
        .phone
        .and_then(|phone| Msisdn::parse(phone.text()).ok());
    Ok(OrderStatus { state, phone })
}

/// Ten capitals or digits: a real M-Pesa receipt. Until success the provider shows the checkout
/// request id (`ws_CO_…`) in the same field.
#[must_use]
pub fn is_receipt(text: &str) -> bool {
    text.len() == 10
        && text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(json: &str) -> Result<OrderStatus, ProviderError> {
        understood(serde_json::from_str(json).unwrap(), "D-roug7-UT")
    }

    #[test]
    fn the_documented_states_are_read() {
        let pending = r#"{"status":"PENDING","message":"Your deposit is being processed","orderID":"D-roug7-UT","details":{"phoneNumber":"254703710518","mpesaReceipt":"ws_CO_15022025083848183703710518","transactionDate":"2025-02-15T08:38:48.000Z","resultDescription":"Transaction initiated"}}"#;
        let found = status(pending).unwrap();
        assert_eq!(found.state, OrderState::Pending);
        assert_eq!(
            found.phone.as_ref().map(Msisdn::digits),
            Some("254703710518")
        );
        let paid = pending.replace("PENDING", "SUCCESS");
        assert_eq!(
            status(&paid).unwrap().state,
            OrderState::Collected { receipt: None },
            "a checkout id is no receipt"
        );
        let receipted = paid.replace("ws_CO_15022025083848183703710518", "TBF842GPCO");
        assert_eq!(
            status(&receipted).unwrap().state,
            OrderState::Collected {
                receipt: Some("TBF842GPCO".to_owned())
            }
        );
        let failed = r#"{"status":"FAILED","details":{"phoneNumber":254703710518,"resultDescription":"Insufficient balance"}}"#;
        assert_eq!(
            status(failed).unwrap().state,
            OrderState::Failed {
                reason: "Insufficient balance".to_owned()
            }
        );
    }

    #[test]
    fn an_unknown_word_or_another_order_is_an_error() {
        assert!(
            status(r#"{"status":"REVERSED"}"#)
                .unwrap_err()
                .is_in_doubt()
        );
        assert!(
            status(r#"{"status":"SUCCESS","orderID":"D-other-XX"}"#)
                .unwrap_err()
                .is_in_doubt()
        );
    }
}
