//! The life of a payout and of the legs it travels in: Planned → (Held) → Approved → Sent →
//! Paid | Refused. `Sent` is left only on the rail's evidence; doubt is `Sent` with a next check.
//! Never decides an amount ([`crate::settle`] does) and never plans a second attempt by itself.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::money::Money;

/// What one transfer of a rail may carry, whole shillings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RailLimits {
    /// Least per transfer.
    pub min_kes: i64,
    /// Most per transfer.
    pub max_kes: i64,
}

/// M-Pesa B2C: KES 10 to 250,000 per transaction (Daraja B2C documentation).
pub const MPESA_LIMITS: RailLimits = RailLimits {
    min_kes: 10,
    max_kes: 250_000,
};

/// Length of a leg's originator id after its `MC` prefix; the rail's samples stay within 20.
pub const LEG_CODE_LENGTH: usize = 18;

/// Minutes after which an unanswered leg is asked about.
pub const ENQUIRE_AFTER_MINUTES: i64 = 2;

/// Hours after which doubt about a leg goes to a person.
pub const DOUBT_TO_PERSON_HOURS: i64 = 24;

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

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

states! {
    /// Where a payout stands.
    PayoutState {
        /// Owed; not yet released.
        Planned = "planned",
        /// Waits for two people.
        Held = "held",
        /// Released; may be sent.
        Approved = "approved",
        /// At least one leg is with the rail.
        Sent = "sent",
        /// Every leg arrived.
        Paid = "paid",
        /// Every leg is decided and at least one was finally refused.
        Refused = "refused",
    }
}

states! {
    /// Where a leg stands.
    LegState {
        /// Not yet given to the rail.
        Planned = "planned",
        /// Given to the rail, or about to be: its id is persisted before the call.
        Sent = "sent",
        /// The rail says it arrived.
        Paid = "paid",
        /// The rail says, finally, that no money moved.
        Refused = "refused",
    }
}

/// Splits an amount into legs within a rail's limits: as few as possible, none below the minimum.
/// `None` when the amount is not whole shillings or below the minimum.
#[must_use]
pub fn split(amount: Money, limits: RailLimits) -> Option<Vec<Money>> {
    let shillings = amount.whole_shillings()?;
    if shillings < limits.min_kes || limits.max_kes < limits.min_kes.checked_mul(2)? {
        return None;
    }
    let mut left = shillings;
    let mut legs = Vec::new();
    while left > 0 {
        let mut part = left.min(limits.max_kes);
        let rest = left.checked_sub(part)?;
        if rest > 0 && rest < limits.min_kes {
            part = part.checked_sub(limits.min_kes.checked_sub(rest)?)?;
        }
        legs.push(Money::kes(part).ok()?);
        left = left.checked_sub(part)?;
    }
    Some(legs)
}

/// What a payout's legs make of it, once some are with the rail.
#[must_use]
pub fn state_of_legs(legs: &[LegState]) -> PayoutState {
    let all = |state| legs.iter().all(|leg| *leg == state);
    let any = |state| legs.contains(&state);
    if legs.is_empty() || all(LegState::Planned) {
        PayoutState::Approved
    } else if all(LegState::Paid) {
        PayoutState::Paid
    } else if any(LegState::Sent) || any(LegState::Planned) {
        PayoutState::Sent
    } else {
        PayoutState::Refused
    }
}

/// When a leg in doubt is asked about next: 2, 4, 8 … minutes after it was sent, at most hourly.
#[must_use]
pub fn next_check(now: DateTime<Utc>, enquiries: u32) -> DateTime<Utc> {
    let minutes = ENQUIRE_AFTER_MINUTES
        .saturating_mul(1_i64 << enquiries.min(5))
        .min(60);
    now.checked_add_signed(TimeDelta::minutes(minutes))
        .unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn large_payouts_travel_in_legs_that_the_rail_takes() {
        let kes = |n| Money::kes(n).unwrap();
        assert_eq!(split(kes(75_000), MPESA_LIMITS), Some(vec![kes(75_000)]));
        assert_eq!(
            split(kes(500_000), MPESA_LIMITS),
            Some(vec![kes(250_000); 2])
        );
        // 250,005 would leave a leg of 5, which the rail refuses
        assert_eq!(
            split(kes(250_005), MPESA_LIMITS),
            Some(vec![kes(249_995), kes(10)])
        );
        assert_eq!(split(kes(9), MPESA_LIMITS), None);
        assert_eq!(split(Money::kes_minor(1_050), MPESA_LIMITS), None);
    }

    #[test]
    fn a_payout_is_paid_only_when_every_leg_is() {
        use LegState::{Paid, Planned, Refused, Sent};
        assert_eq!(state_of_legs(&[Paid, Paid]), PayoutState::Paid);
        assert_eq!(state_of_legs(&[Paid, Sent]), PayoutState::Sent);
        assert_eq!(state_of_legs(&[Paid, Planned]), PayoutState::Sent);
        assert_eq!(state_of_legs(&[Paid, Refused]), PayoutState::Refused);
        assert_eq!(state_of_legs(&[Planned]), PayoutState::Approved);
    }

    proptest! {
        #[test]
        fn legs_add_up_and_respect_the_limits(shillings in 10_i64..2_000_000) {
            let legs = split(Money::kes(shillings).unwrap(), MPESA_LIMITS).unwrap();
            let sum: i64 = legs.iter().map(|l| l.whole_shillings().unwrap()).sum();
            prop_assert_eq!(sum, shillings);
            for leg in legs {
                let amount = leg.whole_shillings().unwrap();
                prop_assert!((MPESA_LIMITS.min_kes..=MPESA_LIMITS.max_kes).contains(&amount));
            }
        }
    }
}
