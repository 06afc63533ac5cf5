//! Releasing the stablecoin of a collected order. The provider guards it: a second call says
//! "already been processed", which is success, and the hash is then in the history.
//! Called by the premium worker, only for collected orders.

use serde_json::json;

use super::Client;
use super::reply::{Answer, common, read};
use crate::ProviderError;
use crate::wire::Effect;

/// History pages searched for the hash of a deposit made before; the newest come first.
const PAGES_MAX: u32 = 20;

/// A released deposit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposit {
    /// Transaction hash on the chain; `None` when the provider no longer shows it.
    pub hash: Option<String>,
}

impl Client {
    /// Releases a collected order, once or again. `InDoubt` and `Transient` are both answered by
    /// calling again.
    pub async fn deposit(&self, order_id: &str) -> Result<Deposit, ProviderError> {
        let body = json!({
            "chain": self.config.chain,
            "address": self.config.user_address,
            "orderID": order_id,
            "project": self.config.project,
        });
        let reply = self.post("deposit", &body, Effect::Write).await?;
        match read(&reply, Effect::Write)? {
            Answer::Ok(envelope) => match envelope.hash {
                Some(hash) if !hash.is_empty() => Ok(Deposit { hash: Some(hash) }),
                _ => Err(ProviderError::in_doubt(
                    "no_hash",
                    "released without a hash",
                )),
            },
            Answer::No(text) if text.contains("has already been processed") => Ok(Deposit {
                hash: self.find_hash(order_id).await?,
            }),
            Answer::No(text) if text.contains("is being processed") => {
                Err(ProviderError::transient("being_processed", &text))
            }
            Answer::No(text) if text.contains("Payment failed") => {
                Err(ProviderError::refused("payment_failed", &text))
            }
            Answer::No(text) if text.contains("No transaction found") => {
                Err(ProviderError::refused("order_not_found", &text))
            }
            Answer::No(text)
                if text.contains("Invalid chain") || text.contains("chain is not supported") =>
            {
                Err(ProviderError::transient("configuration", &text))
            }
            // the money is taken, the coin not sent: calling again is guarded by the provider
            Answer::No(text) if text.contains("Failed to process") => {
                Err(ProviderError::transient("not_released", &text))
            }
            Answer::No(text) => Err(common(&reply, &text, Effect::Write)),
        }
    }

    async fn find_hash(&self, order_id: &str) -> Result<Option<String>, ProviderError> {
        for page in 1..=PAGES_MAX {
            let history = self.history(page).await?;
            if let Some(row) = history.rows.iter().find(|row| row.order_id == order_id) {
                return Ok(row.hash.clone());
            }
            if page >= history.pages {
                break;
            }
        }
        Ok(None)
    }
}
