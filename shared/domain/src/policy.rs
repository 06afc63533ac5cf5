//! The life of a policy: AwaitingPremium → Active → Settled, or Lapsed, or Cancelled. Says which
//! step may follow which; the store enforces the same with guarded updates.
//! Never activates without money: activation is decided in [`crate::premium`].

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Hours after which an unpaid policy lapses and frees its capacity.
pub const UNPAID_LAPSE_HOURS: i64 = 24;

/// Where a policy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyState {
    /// Bought, premium asked for, not yet posted.
    AwaitingPremium,
    /// Premium posted in the ledger; on risk.
    Active,
    /// Its window was evaluated and what it owed has been planned.
    Settled,
    /// Not paid in time.
    Lapsed,
    /// Ended by a person.
    Cancelled,
}

impl PolicyState {
    /// Every one.
    pub const ALL: &[Self] = &[
        Self::AwaitingPremium,
        Self::Active,
        Self::Settled,
        Self::Lapsed,
        Self::Cancelled,
    ];

    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingPremium => "awaiting_premium",
            Self::Active => "active",
            Self::Settled => "settled",
            Self::Lapsed => "lapsed",
            Self::Cancelled => "cancelled",
        }
    }

    /// From storage.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|state| state.as_str() == text)
    }

    /// Whether a plot with a policy in this state may not buy the same cover again.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::AwaitingPremium | Self::Active | Self::Settled)
    }

    /// Whether `next` may follow.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (
                Self::AwaitingPremium,
                Self::Active | Self::Lapsed | Self::Cancelled
            ) | (Self::Active, Self::Settled | Self::Cancelled)
        )
    }
}

/// When an unpaid policy bought at `bought_at` lapses.
#[must_use]
pub fn lapses_at(bought_at: DateTime<Utc>) -> DateTime<Utc> {
    bought_at
        .checked_add_signed(TimeDelta::hours(UNPAID_LAPSE_HOURS))
        .unwrap_or(bought_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_survive_storage_and_ended_ones_stay_ended() {
        for &state in PolicyState::ALL {
            assert_eq!(PolicyState::parse(state.as_str()), Some(state));
            for ended in [
                PolicyState::Settled,
                PolicyState::Lapsed,
                PolicyState::Cancelled,
            ] {
                assert!(!ended.may_become(state));
            }
        }
    }
}
