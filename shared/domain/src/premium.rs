//! Money that came in: whether it activates the policy it was asked for, or waits in suspense for
//! a person. Never activates on doubt: late, doubled or mismatching money goes to suspense.
//! Called when a rail reports a collection, whichever way the report came.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::money::Money;
use crate::policy::PolicyState;

/// Where one asking for a premium stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    /// Decided, not yet sent to a rail.
    Requested,
    /// Sent to a rail; leaves this state only on the rail's evidence.
    Sent,
    /// The farmer paid and the money activated her policy.
    Accepted,
    /// The farmer paid and the money waits in suspense.
    Suspended,
    /// The rail says that no money moved.
    Refused,
}

impl ReceiptState {
    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Suspended => "suspended",
            Self::Refused => "refused",
        }
    }

    /// From storage.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Requested,
            Self::Sent,
            Self::Accepted,
            Self::Suspended,
            Self::Refused,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
    }
}

/// Why money waits in suspense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuspenseReason {
    /// The prompt was sent after the sale had closed, or the policy had lapsed before it was paid.
    Late,
    /// The policy was already paid.
    Doubled,
    /// Another amount than the premium.
    Mismatched,
}

impl SuspenseReason {
    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Doubled => "doubled",
            Self::Mismatched => "mismatched",
        }
    }

    /// From storage.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Late, Self::Doubled, Self::Mismatched]
            .into_iter()
            .find(|reason| reason.as_str() == text)
    }
}

/// What is to be done with collected money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Post the premium and activate the policy.
    Accept,
    /// Post to suspense and tell the farmer.
    Suspend(SuspenseReason),
}

/// What is known when a collection is matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collection {
    /// The policy's state now, read under lock.
    pub policy: PolicyState,
    /// The premium asked for.
    pub expected: Money,
    /// What the rail's history says was collected.
    pub collected: Money,
    /// When the prompt was sent.
    pub prompted_at: DateTime<Utc>,
    /// When the sale of the season closes.
    pub sale_closes_at: DateTime<Utc>,
}

/// Decides one collection. A prompt sent before the sale closed is in time, however late its
/// confirmation arrives.
#[must_use]
pub fn match_collection(collection: &Collection) -> Verdict {
    match collection.policy {
        PolicyState::Active | PolicyState::Settled => {
            return Verdict::Suspend(SuspenseReason::Doubled);
        }
        PolicyState::Lapsed | PolicyState::Cancelled => {
            return Verdict::Suspend(SuspenseReason::Late);
        }
        PolicyState::AwaitingPremium => {}
    }
    if collection.collected != collection.expected {
        return Verdict::Suspend(SuspenseReason::Mismatched);
    }
    if collection.prompted_at >= collection.sale_closes_at {
        return Verdict::Suspend(SuspenseReason::Late);
    }
    Verdict::Accept
}

/// Seconds until a rail without callbacks is asked again, by how long the prompt has been out:
/// every 5 s for 2 minutes, every minute for half an hour, then every 15 minutes.
#[must_use]
pub fn next_poll(prompted_at: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    let out_seconds = now.signed_duration_since(prompted_at).num_seconds();
    let wait_seconds = match out_seconds {
        ..120 => 5,
        120..1_800 => 60,
        _ => 900,
    };
    now.checked_add_signed(TimeDelta::seconds(wait_seconds))
        .unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paid(policy: PolicyState, collected_kes: i64, prompted_at: &str) -> Verdict {
        match_collection(&Collection {
            policy,
            expected: Money::kes(844).unwrap(),
            collected: Money::kes(collected_kes).unwrap(),
            prompted_at: prompted_at.parse().unwrap(),
            sale_closes_at: "2026-02-28T21:00:00Z".parse().unwrap(),
        })
    }

    #[test]
    fn only_the_right_amount_for_a_waiting_policy_activates() {
        let in_time = "2026-02-28T20:59:59Z";
        let waiting = PolicyState::AwaitingPremium;
        assert_eq!(paid(waiting, 844, in_time), Verdict::Accept);
        assert_eq!(
            paid(waiting, 843, in_time),
            Verdict::Suspend(SuspenseReason::Mismatched)
        );
        assert_eq!(
            paid(waiting, 845, in_time),
            Verdict::Suspend(SuspenseReason::Mismatched)
        );
        assert_eq!(
            paid(waiting, 844, "2026-02-28T21:00:00Z"),
            Verdict::Suspend(SuspenseReason::Late)
        );
        assert_eq!(
            paid(PolicyState::Active, 844, in_time),
            Verdict::Suspend(SuspenseReason::Doubled)
        );
        assert_eq!(
            paid(PolicyState::Lapsed, 844, in_time),
            Verdict::Suspend(SuspenseReason::Late)
        );
    }
}
