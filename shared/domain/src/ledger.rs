//! Double entry: which accounts an event moves money between. A transfer debits one account and
//! credits another with the same amount; its id is derived from what caused it, so posting twice
//! is posting once. Never updates anything: money in doubt is pending, then posted or voided.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::id::{PayoutId, ReceiptId, TransferId};
use crate::money::Money;
use crate::premium::Verdict;

macro_rules! accounts {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// An account of the ledger.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Account { $($(#[$doc])* $variant),+ }

        impl Account {
            /// Every account.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As stored.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// From storage.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

accounts! {
    /// Money Swypt collected for us (asset, debit balance).
    SwyptClearing = "swypt_clearing",
    /// Premiums earned or to be earned (credit balance).
    Premiums = "premiums",
    /// Claims paid (expense, debit balance).
    Claims = "claims",
    /// The M-Pesa utility account payouts leave from (asset; credits are money out).
    MpesaUtility = "mpesa_utility",
    /// Collected money that belongs to nobody's policy yet (liability, credit balance).
    Suspense = "suspense",
}

/// What a transfer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferKind {
    /// Moves money at once.
    Posted,
    /// Reserves a movement that is not yet certain.
    Pending,
    /// Makes a pending transfer real.
    PostPending,
    /// Gives a pending transfer up.
    VoidPending,
}

impl TransferKind {
    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Posted => "posted",
            Self::Pending => "pending",
            Self::PostPending => "post_pending",
            Self::VoidPending => "void_pending",
        }
    }
}

/// One balanced movement between two accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Derived from the cause: the idempotency key.
    pub id: TransferId,
    /// What it does.
    pub kind: TransferKind,
    /// The pending transfer this one ends, if it ends one.
    pub pending_id: Option<TransferId>,
    /// Debited account.
    pub debit: Account,
    /// Credited account.
    pub credit: Account,
    /// Positive amount.
    pub amount: Money,
    /// The receipt or payout leg that caused it.
    pub subject: Uuid,
}

/// A transfer id that the same cause always yields again.
fn derived_id(cause: &str, subject: Uuid) -> TransferId {
    let mut hash = Sha256::new();
    hash.update(cause.as_bytes());
    hash.update(subject.as_bytes());
    let digest = hash.finalize();
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    TransferId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// Collected money: to premiums when accepted, else to suspense.
#[must_use]
pub fn collected(receipt: ReceiptId, verdict: Verdict, amount: Money) -> Transfer {
    let credit = match verdict {
        Verdict::Accept => Account::Premiums,
        Verdict::Suspend(_) => Account::Suspense,
    };
    Transfer {
        id: derived_id("collected", receipt.uuid()),
        kind: TransferKind::Posted,
        pending_id: None,
        debit: Account::SwyptClearing,
        credit,
        amount,
        subject: receipt.uuid(),
    }
}

/// A second collection for the same asking: always suspense, keyed by the rail's own reference.
#[must_use]
pub fn collected_again(receipt: ReceiptId, rail_reference: &str, amount: Money) -> Transfer {
    let cause = format!("collected-again:{rail_reference}");
    Transfer {
        id: derived_id(&cause, receipt.uuid()),
        kind: TransferKind::Posted,
        pending_id: None,
        debit: Account::SwyptClearing,
        credit: Account::Suspense,
        amount,
        subject: receipt.uuid(),
    }
}

/// A planned leg of a payout: reserved, not yet moved. `attempt` starts at 1.
#[must_use]
pub fn payout_planned(payout: PayoutId, leg: u16, attempt: u16, amount: Money) -> Transfer {
    Transfer {
        id: derived_id(&format!("payout:{leg}:{attempt}"), payout.uuid()),
        kind: TransferKind::Pending,
        pending_id: None,
        debit: Account::Claims,
        credit: Account::MpesaUtility,
        amount,
        subject: payout.uuid(),
    }
}

/// The rail says the leg arrived.
#[must_use]
pub fn payout_paid(payout: PayoutId, leg: u16, attempt: u16, amount: Money) -> Transfer {
    ended(payout, leg, attempt, amount, TransferKind::PostPending)
}

/// The rail says, finally, that the leg moved no money.
#[must_use]
pub fn payout_refused(payout: PayoutId, leg: u16, attempt: u16, amount: Money) -> Transfer {
    ended(payout, leg, attempt, amount, TransferKind::VoidPending)
}

fn ended(payout: PayoutId, leg: u16, attempt: u16, amount: Money, kind: TransferKind) -> Transfer {
    let pending = payout_planned(payout, leg, attempt, amount);
    Transfer {
        // one id for both ends: a leg can be posted or voided, never both
        id: derived_id(&format!("payout-end:{leg}:{attempt}"), payout.uuid()),
        kind,
        pending_id: Some(pending.id),
        ..pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_cause_is_the_same_transfer_and_another_cause_another() {
        let receipt = ReceiptId::from_parts(1, [1; 10]);
        let amount = Money::kes(844).unwrap();
        let once = collected(receipt, Verdict::Accept, amount);
        assert_eq!(once, collected(receipt, Verdict::Accept, amount));
        assert_ne!(
            once.id,
            collected(ReceiptId::from_parts(2, [1; 10]), Verdict::Accept, amount).id
        );
        assert_ne!(once.id, collected_again(receipt, "D-abc", amount).id);
    }

    #[test]
    fn a_leg_cannot_be_both_posted_and_voided() {
        let payout = PayoutId::from_parts(1, [1; 10]);
        let amount = Money::kes(5_000).unwrap();
        let paid = payout_paid(payout, 1, 1, amount);
        let refused = payout_refused(payout, 1, 1, amount);
        assert_eq!(paid.id, refused.id);
        assert_eq!(
            paid.pending_id,
            Some(payout_planned(payout, 1, 1, amount).id)
        );
    }
}
