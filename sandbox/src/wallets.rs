//! Phones and their M-Pesa wallets, with a book of every shilling that moved. The book is the truth
//! a test compares the ledger with: it is only ever appended to, except that a test may tamper
//! with a balance on purpose. Moved by the Swypt and M-Pesa twins.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What a phone does with a payment prompt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StkBehaviour {
    /// Pays within 20 s; fails when the wallet is short.
    #[default]
    Pay,
    /// Pays, but only after `late_seconds`.
    Late,
    /// Pays, and M-Pesa takes the money again under a second order.
    Twice,
    /// Never answers: the order stays pending for ever.
    Never,
    /// Cancels.
    Cancel,
    /// Fails for lack of money.
    Short,
    /// Pays, and M-Pesa takes KES 50 more than was asked; the history says so.
    Over,
    /// Waits for a person to enter a PIN or to cancel: the phones of the page.
    Ask,
}

/// What M-Pesa does with a payment to this phone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum B2cBehaviour {
    /// Pays and calls back.
    #[default]
    Pay,
    /// Pays and never calls back.
    Never,
    /// Pays and calls back twice.
    Twice,
    /// Pays and calls back before it acknowledges.
    BeforeAck,
    /// Calls the queue time-out address, and pays all the same.
    QueueTimeout,
    /// Fails with this result code.
    Code(String),
}

impl TryFrom<String> for B2cBehaviour {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Ok(match text.as_str() {
            "pay" => Self::Pay,
            "never" => Self::Never,
            "twice" => Self::Twice,
            "before_ack" => Self::BeforeAck,
            "queue_timeout" => Self::QueueTimeout,
            other => match other.strip_prefix("code:") {
                Some(code) if !code.is_empty() => Self::Code(code.to_owned()),
                _ => {
                    return Err(
                        "b2c must be pay, never, twice, before_ack, queue_timeout or \
                                code:<result code>"
                            .to_owned(),
                    );
                }
            },
        })
    }
}

impl From<B2cBehaviour> for String {
    fn from(behaviour: B2cBehaviour) -> Self {
        match behaviour {
            B2cBehaviour::Pay => "pay".to_owned(),
            B2cBehaviour::Never => "never".to_owned(),
            B2cBehaviour::Twice => "twice".to_owned(),
            B2cBehaviour::BeforeAck => "before_ack".to_owned(),
            B2cBehaviour::QueueTimeout => "queue_timeout".to_owned(),
            B2cBehaviour::Code(code) => format!("code:{code}"),
        }
    }
}

/// How a phone is set up through the control API; what is left out keeps its value.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhoneSetup {
    /// The number, in any Kenyan form.
    pub msisdn: String,
    /// Whole shillings in the wallet, when it is opened; an open wallet keeps its balance.
    #[serde(default)]
    pub balance_kes: i64,
    /// What it does with prompts.
    #[serde(default)]
    pub stk: Option<StkBehaviour>,
    /// How late `late` is, seconds; 25 hours unless set, past the lapse of an unpaid policy.
    #[serde(default)]
    pub late_seconds: Option<u32>,
    /// What M-Pesa does with payments to it.
    #[serde(default)]
    pub b2c: Option<B2cBehaviour>,
    /// Whether the provider's history shows a wrong amount for it.
    #[serde(default)]
    pub wrong_history: Option<bool>,
}

/// Seconds after which a `late` phone pays: an hour past the 24 h after which an unpaid policy
/// lapses.
const LATE_SECONDS_DEFAULT: u32 = 25 * 3_600;

/// A text received.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Text {
    pub(crate) at: DateTime<Utc>,
    pub(crate) text: String,
}

/// A payment prompt shown.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Prompt {
    pub(crate) at: DateTime<Utc>,
    pub(crate) order_id: String,
    pub(crate) amount_minor: i64,
    /// `open`, `paid`, `cancelled`, `short` or `ignored`.
    pub(crate) state: &'static str,
}

/// An open USSD session of a phone.
#[derive(Debug, Clone)]
pub(crate) struct UssdSession {
    pub(crate) session_id: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) hops: u32,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) last_screen: String,
}

/// A phone, with or without a wallet.
#[derive(Debug)]
pub(crate) struct Phone {
    pub(crate) is_registered: bool,
    pub(crate) balance_minor: i64,
    pub(crate) stk: StkBehaviour,
    pub(crate) late_seconds: u32,
    pub(crate) b2c: B2cBehaviour,
    pub(crate) is_history_wrong: bool,
    pub(crate) sms: Vec<Text>,
    pub(crate) prompts: Vec<Prompt>,
    pub(crate) ussd: Option<UssdSession>,
    pub(crate) dials: u32,
}

impl Default for Phone {
    fn default() -> Self {
        Self {
            is_registered: false,
            balance_minor: 0,
            stk: StkBehaviour::Pay,
            late_seconds: LATE_SECONDS_DEFAULT,
            b2c: B2cBehaviour::Pay,
            is_history_wrong: false,
            sms: Vec::new(),
            prompts: Vec::new(),
            ussd: None,
            dials: 0,
        }
    }
}

/// Which way money moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MovementKind {
    /// From a phone to us.
    Collect,
    /// From us to a phone.
    Disburse,
}

/// One line of the book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Movement {
    /// Position in the book, from 1.
    pub entry: u64,
    /// Which way.
    pub kind: MovementKind,
    /// Whose wallet, twelve digits.
    pub msisdn: String,
    /// How much, cents.
    pub amount_minor: i64,
    /// Order id of a collection, originator id of a disbursement.
    pub reference: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// The wallet has less than was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotEnough;

/// All phones by their twelve digits, and the book.
#[derive(Debug, Default)]
pub(crate) struct Wallets {
    pub(crate) phones: BTreeMap<String, Phone>,
    pub(crate) book: Vec<Movement>,
}

impl Wallets {
    /// The phone of these digits, known or new.
    pub(crate) fn phone(&mut self, digits: &str) -> &mut Phone {
        self.phones.entry(digits.to_owned()).or_default()
    }

    /// Opens a wallet, or changes how an open one behaves; `digits` are already checked.
    pub(crate) fn set_up(&mut self, digits: &str, setup: PhoneSetup) {
        let phone = self.phone(digits);
        if !phone.is_registered {
            phone.is_registered = true;
            phone.balance_minor = setup.balance_kes.saturating_mul(100);
        }
        phone.stk = setup.stk.unwrap_or(phone.stk);
        phone.late_seconds = setup.late_seconds.unwrap_or(phone.late_seconds);
        phone.is_history_wrong = setup.wrong_history.unwrap_or(phone.is_history_wrong);
        if let Some(b2c) = setup.b2c {
            phone.b2c = b2c;
        }
    }

    /// Takes money from a wallet.
    pub(crate) fn collect(
        &mut self,
        digits: &str,
        amount_minor: i64,
        reference: &str,
        at: DateTime<Utc>,
    ) -> Result<(), NotEnough> {
        let phone = self.phone(digits);
        let left = phone
            .balance_minor
            .checked_sub(amount_minor)
            .filter(|left| *left >= 0);
        let Some(left) = left.filter(|_| phone.is_registered) else {
            return Err(NotEnough);
        };
        phone.balance_minor = left;
        self.enter(MovementKind::Collect, digits, amount_minor, reference, at);
        Ok(())
    }

    /// Puts money into a wallet.
    pub(crate) fn disburse(
        &mut self,
        digits: &str,
        amount_minor: i64,
        reference: &str,
        at: DateTime<Utc>,
    ) {
        let phone = self.phone(digits);
        phone.balance_minor = phone.balance_minor.saturating_add(amount_minor);
        self.enter(MovementKind::Disburse, digits, amount_minor, reference, at);
    }

    /// Sum of one kind of movement, cents.
    pub(crate) fn total(&self, kind: MovementKind) -> i64 {
        self.book
            .iter()
            .filter(|movement| movement.kind == kind)
            .map(|m| m.amount_minor)
            .sum()
    }

    fn enter(
        &mut self,
        kind: MovementKind,
        digits: &str,
        amount_minor: i64,
        reference: &str,
        at: DateTime<Utc>,
    ) {
        let entry = u64::try_from(self.book.len())
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        self.book.push(Movement {
            entry,
            kind,
            msisdn: digits.to_owned(),
            amount_minor,
            reference: reference.to_owned(),
            at,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shilling_that_moves_is_in_the_book() {
        let mut wallets = Wallets::default();
        let setup = PhoneSetup {
            balance_kes: 100,
            ..PhoneSetup::default()
        };
        wallets.set_up("254711000111", setup.clone());
        let at = DateTime::<Utc>::UNIX_EPOCH;
        assert_eq!(wallets.collect("254711000111", 6_000, "D-1", at), Ok(()));
        assert_eq!(
            wallets.collect("254711000111", 6_000, "D-2", at),
            Err(NotEnough)
        );
        wallets.disburse("254711000111", 50_000, "MC1", at);
        assert_eq!(wallets.phone("254711000111").balance_minor, 54_000);
        assert_eq!(wallets.total(MovementKind::Collect), 6_000);
        assert_eq!(wallets.total(MovementKind::Disburse), 50_000);
        assert_eq!(wallets.book.len(), 2);
        wallets.set_up("254711000111", setup);
        assert_eq!(
            wallets.phone("254711000111").balance_minor,
            54_000,
            "set up again, not refilled"
        );
    }
}
