//! The outside world's own books as the driver reads them: every shilling that moved, every wallet,
//! every text that arrived. Never corrected here. Fetched for the close.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::net::Net;

/// Which way money moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Out of a wallet, to us.
    Collect,
    /// Into a wallet, from us.
    Disburse,
}

/// One movement.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Movement {
    pub(crate) kind: Kind,
    pub(crate) msisdn: String,
    pub(crate) amount_minor: i64,
    /// Order id, or originator id.
    pub(crate) reference: String,
}

/// A wallet.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Wallet {
    pub(crate) msisdn: String,
    pub(crate) balance_minor: i64,
}

/// A text received.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Text {
    pub(crate) text: String,
}

/// All wallets and the book.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Wallets {
    pub(crate) collected_minor: i64,
    pub(crate) disbursed_minor: i64,
    pub(crate) book: Vec<Movement>,
    pub(crate) phones: Vec<Wallet>,
}

/// Everything outside that the report is compared with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Books {
    pub(crate) wallets: Wallets,
    /// Texts by twelve-digit number.
    pub(crate) inboxes: BTreeMap<String, Vec<String>>,
    pub(crate) counters: BTreeMap<String, u64>,
}

impl Books {
    /// Cents that reached a wallet.
    pub(crate) fn disbursed_to(&self, msisdn: &str) -> i64 {
        let is_hers = |entry: &&Movement| entry.kind == Kind::Disburse && entry.msisdn == msisdn;
        self.wallets
            .book
            .iter()
            .filter(is_hers)
            .map(|entry| entry.amount_minor)
            .sum()
    }
}

#[derive(Deserialize)]
struct Phone {
    sms: Vec<Text>,
}

/// Fetches wallets, inboxes and counters.
pub(crate) async fn fetch(net: &Net) -> anyhow::Result<Books> {
    let wallets: Wallets = net.control("/control/wallets").await?;
    let mut inboxes = BTreeMap::new();
    for wallet in &wallets.phones {
        let phone: Phone = net
            .control(&format!("/control/phones/{}", wallet.msisdn))
            .await?;
        let texts = phone.sms.into_iter().map(|sms| sms.text).collect();
        inboxes.insert(wallet.msisdn.clone(), texts);
    }
    let counters = net.control("/control/counters").await?;
    Ok(Books {
        wallets,
        inboxes,
        counters,
    })
}
