//! Everything collected for our address, newest first: the only place the provider tells amounts,
//! and the evidence that ends doubt about a prompt.
//! Called by the premium worker to confirm amounts and to match lost prompts, and by reconciliation.

use std::fmt;

use chrono::{DateTime, Utc};
use domain::money::Money;
use domain::msisdn::Msisdn;
use serde::Deserialize;

use super::Client;
use super::order::is_receipt;
use super::reply::{Answer, common, read};
use crate::ProviderError;
use crate::scalar::{Decimal, Scalar};
use crate::wire::Effect;

/// Rows asked for at a time; the provider's sample shows 10, larger pages are not promised.
pub const ROWS_PER_PAGE: u32 = 100;

/// One order as the provider's books show it.
#[derive(Clone, PartialEq, Eq)]
pub struct HistoryRow {
    /// The order.
    pub order_id: String,
    /// Collected amount.
    pub amount: Money,
    /// Who paid.
    pub phone: Option<Msisdn>,
    /// M-Pesa's receipt, once there is one: without it the money is not known to have moved.
    pub receipt: Option<String>,
    /// Hash of the release on the chain, once released.
    pub hash: Option<String>,
    /// Whether the coin was sent.
    pub is_sent: bool,
    /// When the order was made.
    pub created_at: Option<DateTime<Utc>>,
    /// Stablecoin amount, exact as written.
    pub crypto_amount: Option<Decimal>,
}

impl fmt::Debug for HistoryRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryRow")
            .field("order_id", &self.order_id)
            .field("amount", &self.amount)
            .field("receipt", &self.receipt)
            .finish_non_exhaustive()
    }
}

/// A page of orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// Orders, newest first.
    pub rows: Vec<HistoryRow>,
    /// Rows the provider sent that could not be read; never treat them as absent money.
    pub unreadable: u32,
    /// Pages there are; 0 when there is nothing.
    pub pages: u32,
}

#[derive(Deserialize)]
struct WireRow {
    #[serde(rename = "orderID")]
    order_id: String,
    #[serde(rename = "Amount")]
    amount: Scalar,
    #[serde(rename = "PhoneNumber", default)]
    phone: Option<Scalar>,
    #[serde(rename = "MpesaReceiptNumber", default)]
    receipt: Option<Scalar>,
    #[serde(rename = "transactionID", default)]
    hash: Option<Scalar>,
    #[serde(rename = "isSent", default)]
    is_sent: Option<bool>,
    #[serde(rename = "createdAt", default)]
    created_at: Option<Scalar>,
    #[serde(rename = "cryptoAmount", default)]
    crypto_amount: Option<Scalar>,
}

#[derive(Deserialize, Default)]
struct Pagination {
    #[serde(rename = "currentPage", default)]
    current: Option<Scalar>,
    #[serde(rename = "totalPages", default)]
    total: Option<Scalar>,
}

impl Client {
    /// Orders of our address, page 1 first. An answer for another page than the one asked for is
    /// an error: the parameter's name is not documented.
    pub async fn history(&self, page: u32) -> Result<HistoryPage, ProviderError> {
        let path = format!("deposit-transactions/{}", self.config.user_address);
        let query = [
            ("page", page.to_string()),
            ("limit", ROWS_PER_PAGE.to_string()),
        ];
        let reply = self.get(&path, &query).await?;
        let envelope = match read(&reply, Effect::Read)? {
            Answer::Ok(envelope) => envelope,
            // an empty list comes as an error
            Answer::No(text) if text.contains("No transactions found") => {
                return Ok(HistoryPage {
                    rows: Vec::new(),
                    unreadable: 0,
                    pages: 0,
                });
            }
            Answer::No(text) => return Err(common(&reply, &text, Effect::Read)),
        };
        let not_understood = || ProviderError::transient("undecodable", "history not understood");
        let wire: Vec<Box<serde_json::value::RawValue>> =
            envelope.data().ok_or_else(not_understood)?;
        let paging = match &envelope.pagination {
            Some(raw) => {
                serde_json::from_str::<Pagination>(raw.get()).map_err(|_| not_understood())?
            }
            None => Pagination::default(),
        };
        let number = |scalar: Option<Scalar>| scalar.and_then(|s| s.text().parse::<u32>().ok());
        if number(paging.current).unwrap_or(1) != page {
            return Err(ProviderError::transient(
                "paging",
                "provider sent another page",
            ));
        }
        let sent = wire.len();
        let rows: Vec<_> = wire.iter().filter_map(|raw| row(raw.get())).collect();
        let unreadable = u32::try_from(sent.saturating_sub(rows.len())).unwrap_or(u32::MAX);
        Ok(HistoryPage {
            rows,
            unreadable,
            pages: number(paging.total).unwrap_or(1),
        })
    }
}

fn row(json: &str) -> Option<HistoryRow> {
    let wire: WireRow = serde_json::from_str(json).ok()?;
    let text = |scalar: Option<Scalar>| scalar.and_then(|s| s.non_empty().map(str::to_owned));
    Some(HistoryRow {
        order_id: wire.order_id,
        amount: Money::kes_minor(wire.amount.decimal()?.exact(2)?),
        phone: wire
            .phone
            .and_then(|phone| Msisdn::parse(phone.text()).ok()),
        receipt: text(wire.receipt).filter(|receipt| is_receipt(receipt)),
        hash: text(wire.hash).filter(|hash| hash.starts_with("0x")),
        is_sent: wire.is_sent.unwrap_or(false),
        created_at: wire
            .created_at
            .and_then(|at| at.text().parse::<DateTime<Utc>>().ok()),
        crypto_amount: wire.crypto_amount.and_then(|amount| amount.decimal()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_row_is_read() {
        let found = row(r#"{"id":"686fb289c86af65ade30aaf6","MpesaReceiptNumber":"TGA6EIIORA","TransactionDate":"2025-07-10T12:31:05.398Z","cryptoAmount":"0.1621872103799815","feeAmount":"1","side":"onramp","symbol":"USDT","isSent":true,"createdAt":"2025-07-10T12:31:05.398Z","Amount":21,"orderID":"D-d9m0k-T8","transactionID":"0x65d0","PhoneNumber":254703710518,"resultDescription":"Transaction initiated"}"#).unwrap();
        assert_eq!(found.amount, Money::kes_minor(2_100));
        assert_eq!(
            found.phone.as_ref().map(Msisdn::digits),
            Some("254703710518")
        );
        assert_eq!(found.receipt.as_deref(), Some("TGA6EIIORA"));
        assert_eq!(found.hash.as_deref(), Some("0x65d0"));
        assert!(found.created_at.is_some() && found.is_sent);
    }

    #[test]
    fn a_row_without_receipt_or_hash_is_not_collected_money() {
        let found = row(r#"{"orderID":"D-1-A","Amount":"21.00","MpesaReceiptNumber":null,"transactionID":"","isSent":false}"#).unwrap();
        assert_eq!((found.receipt, found.hash), (None, None));
        assert!(row(r#"{"orderID":"D-1-A","Amount":"a lot"}"#).is_none());
    }
}
