//! Who hears which topic, and the exchanges and queues that carry it, in one const table.
//! Every process declares all of it at start, so that no bell is rung into a void; arguments are
//! immutable on a live broker, a mismatch fails the start. Used by `amqp`, `memory` and the docs.

use std::fmt;

/// Retries after which a message is parked for a person.
pub const RETRIES_MAX: u32 = 20;
/// Backstop of the broker against a consumer that crashes on a message again and again.
pub const DELIVERY_LIMIT: u32 = 50;

/// A consumer of messages: one work queue with its retry and parked queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Fetches stations and their days.
    Weather,
    /// Fetches scenes.
    Satellite,
    /// Decides closed windows, pins evidence and fans out payouts.
    Damage,
    /// Asks for premiums and enquires after them.
    Premium,
    /// Sends payouts and enquires after them.
    Payout,
    /// Sends texts.
    Notify,
    /// Writes webhooks to partners; another loop sends them.
    Outbound,
    /// Computes indices.
    Index,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 8] = [
        Self::Weather,
        Self::Satellite,
        Self::Damage,
        Self::Premium,
        Self::Payout,
        Self::Notify,
        Self::Outbound,
        Self::Index,
    ];

    /// The name of its queue, of its rows in `consumed` and of its metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Weather => "weather",
            Self::Satellite => "satellite",
            Self::Damage => "damage",
            Self::Premium => "premium",
            Self::Payout => "payout",
            Self::Notify => "notify",
            Self::Outbound => "outbound",
            Self::Index => "index",
        }
    }

    /// The topics it hears.
    #[must_use]
    pub const fn topics(self) -> &'static [&'static str] {
        match self {
            Self::Weather => &["policy.activated.v1", "stations.due.v1", "weather.due.v1"],
            Self::Satellite => &["scene.due.v1"],
            Self::Damage => &[
                "index.final.v1",
                "window.closed.v1",
                "evaluation.recorded.v1",
                "evidence.due.v1",
            ],
            Self::Premium => &["premium.requested.v1", "premium.check_due.v1"],
            Self::Payout => &["payout.approved.v1", "payout.check_due.v1"],
            Self::Notify => &[
                "policy.activated.v1",
                "policy.lapsed.v1",
                "policy.settled.v1",
                "premium.suspended.v1",
                "premium.refused.v1",
                "payout.paid.v1",
                "payout.refused.v1",
                "sms.due.v1",
            ],
            Self::Outbound => &[
                "policy.activated.v1",
                "policy.lapsed.v1",
                "index.updated.v1",
                "payout.approved.v1",
                "payout.paid.v1",
                "payout.refused.v1",
            ],
            Self::Index => &[
                "stations.recorded.v1",
                "observation.recorded.v1",
                "scene.captured.v1",
                "index.due.v1",
            ],
        }
    }

    /// The roles that hear `topic`.
    pub fn hearing(topic: &str) -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(move |role| role.topics().contains(&topic))
    }

    /// Every pair of topic and role, for finding messages that somebody has not heard yet.
    pub fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
        Self::ALL
            .into_iter()
            .flat_map(|role| role.topics().iter().map(move |topic| (*topic, role.name())))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The names and delays of one installation's exchanges and queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// In front of every name.
    pub prefix: String,
    /// How long a retried message waits, in milliseconds. A queue's time to live cannot be
    /// changed on a live broker, so it is part of the retry queue's name and of the dead-letter
    /// key of the work queue: starting with another delay on the same queues is refused by the
    /// broker. Use another prefix, or delete the queues: they hold bells, and sweeps ring again.
    pub retry_delay_ms: u32,
}

impl Topology {
    /// The topic exchange all bells are published to.
    #[must_use]
    pub fn events(&self) -> String {
        format!("{}events", self.prefix)
    }

    /// The direct exchange of rejected messages.
    #[must_use]
    pub fn retry_exchange(&self) -> String {
        format!("{}retry", self.prefix)
    }

    /// The work queue of a role.
    #[must_use]
    pub fn work(&self, role: Role) -> String {
        format!("{}{role}", self.prefix)
    }

    /// Where a role's rejected messages wait.
    #[must_use]
    pub fn retry(&self, role: Role) -> String {
        format!("{}{role}.retry.{}", self.prefix, self.retry_delay_ms)
    }

    /// Where a role's hopeless messages wait for a person.
    #[must_use]
    pub fn parked(&self, role: Role) -> String {
        format!("{}{role}.parked", self.prefix)
    }

    /// The arguments of the work queue of a role.
    #[must_use]
    pub fn work_arguments(&self, role: Role) -> Vec<(&'static str, Argument)> {
        vec![
            ("x-queue-type", Argument::Text("quorum".to_owned())),
            (
                "x-dead-letter-exchange",
                Argument::Text(self.retry_exchange()),
            ),
            (
                "x-dead-letter-routing-key",
                Argument::Text(self.retry(role)),
            ),
            (
                "x-dead-letter-strategy",
                Argument::Text("at-least-once".to_owned()),
            ),
            ("x-overflow", Argument::Text("reject-publish".to_owned())),
            ("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)),
        ]
    }

    /// The arguments of the retry queue of a role.
    #[must_use]
    pub fn retry_arguments(&self, role: Role) -> Vec<(&'static str, Argument)> {
        vec![
            ("x-queue-type", Argument::Text("quorum".to_owned())),
            ("x-message-ttl", Argument::Number(self.retry_delay_ms)),
            ("x-dead-letter-exchange", Argument::Text(String::new())),
            ("x-dead-letter-routing-key", Argument::Text(self.work(role))),
            (
                "x-dead-letter-strategy",
                Argument::Text("at-least-once".to_owned()),
            ),
            ("x-overflow", Argument::Text("reject-publish".to_owned())),
        ]
    }

    /// The arguments of a parked queue.
    #[must_use]
    pub fn parked_arguments(&self) -> Vec<(&'static str, Argument)> {
        vec![("x-queue-type", Argument::Text("quorum".to_owned()))]
    }
}

/// The value of a queue argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// A text.
    Text(String),
    /// A count or milliseconds.
    Number(u32),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_heard_by_someone_and_no_role_hears_an_unknown_one() {
        for topic in domain::event::Event::TOPICS {
            assert!(
                Role::hearing(topic).next().is_some(),
                "nobody hears {topic}"
            );
        }
        for (topic, role) in Role::pairs() {
            assert!(
                domain::event::Event::TOPICS.contains(&topic),
                "{role} hears unknown {topic}"
            );
        }
    }

    #[test]
    fn names_carry_the_prefix_and_the_delay() {
        let topology = Topology {
            prefix: "demo-".to_owned(),
            retry_delay_ms: 1000,
        };
        assert_eq!(topology.work(Role::Payout), "demo-payout");
        assert_eq!(topology.retry(Role::Payout), "demo-payout.retry.1000");
        assert_eq!(topology.parked(Role::Payout), "demo-payout.parked");
    }
}
