//! What may happen to the system, one step at a time. Only names and parameters; `system` performs.
//! Must stay small and independent, so that a failing list shrinks well. Drawn by the tests.

use runtime::topology::Role;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Time passes.
    Advance {
        /// Seconds.
        seconds: u32,
    },
    /// A farmer presses her next keys.
    Dial {
        /// Which farmer.
        farmer: u8,
    },
    /// The gateway sends a farmer's last hop once more; the screen must be the same.
    DialAgain {
        /// Which farmer.
        farmer: u8,
    },
    /// A farmer's session breaks off; her next keys begin with a new dial.
    HangUp {
        /// Which farmer.
        farmer: u8,
    },
    /// The outbox is published.
    Relay,
    /// The calendar is looked at.
    Sweep,
    /// A role handles its waiting messages.
    Consume {
        /// Which role.
        role: u8,
    },
    /// A role commits its effect and dies before the broker hears of it.
    ConsumeThenCrash {
        /// Which role.
        role: u8,
    },
    /// A message is lost.
    DropMessage {
        /// Whose.
        role: u8,
    },
    /// A message arrives twice.
    RepeatMessage {
        /// Whose.
        role: u8,
    },
    /// Messages change their order.
    ReorderMessages {
        /// Whose.
        role: u8,
    },
    /// The providers' world moves on: prompts are answered, transfers settle.
    Providers,
    /// Callbacks that are on their way arrive.
    CallbacksArrive,
    /// They arrive twice and in reverse order.
    CallbacksRepeat,
    /// They never arrive.
    CallbacksNever,
    /// Stored callbacks are processed.
    Process,
    /// For a while providers accept and the answer is lost, or they fail.
    ProvidersFail {
        /// Percent of calls whose answer is lost after the work was done.
        lost_percent: u8,
        /// Percent of calls answered by HTTP 500.
        broken_percent: u8,
    },
    /// Providers answer again.
    ProvidersHeal,
    /// Everything in Redis is gone.
    RedisFlush,
    /// The database cannot be reached.
    DatabaseDown,
    /// The database is back.
    DatabaseUp,
    /// Every process ends and starts again.
    Restart,
}

/// The roles that consume, in a fixed order.
pub const ROLES: [Role; 8] = [
    Role::Weather,
    Role::Satellite,
    Role::Index,
    Role::Damage,
    Role::Premium,
    Role::Payout,
    Role::Notify,
    Role::Outbound,
];

/// The role of a drawn number.
#[must_use]
pub fn role(drawn: u8) -> Role {
    ROLES[usize::from(drawn) % ROLES.len()]
}
