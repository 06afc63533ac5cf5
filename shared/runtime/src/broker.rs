//! The broker as the rest of the product sees it: publish with confirmation, consume with explicit
//! answers. Two implementations: RabbitMQ (`amqp`) and a step-driven one in memory (`memory`) for
//! tests and simulation. Only the relay may publish; a message is a bell, the row is the work.

use uuid::Uuid;

use crate::amqp::{Rabbit, RabbitConsumer, RabbitHandle};
use crate::memory::{InMemory, MemoryConsumer, MemoryHandle};
use crate::topology::Role;

/// What travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The outbox row's id; consumers deduplicate by it.
    pub id: Uuid,
    /// Routing key: `policy.activated.v1`.
    pub topic: String,
    /// JSON of the event.
    pub body: Vec<u8>,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

/// What the broker said to one published message; only `Published` counts as success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// Stored in at least one queue.
    Published,
    /// No queue is bound to its topic: a fault of the topology.
    Returned,
    /// Refused by the broker (queue full).
    Nacked,
    /// No answer in time, or no connection: it may or may not have arrived.
    NotConfirmed,
}

impl Confirm {
    /// Every way in which a message may not be confirmed.
    pub const FAILURES: [Self; 3] = [Self::Returned, Self::Nacked, Self::NotConfirmed];

    /// For metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Returned => "returned",
            Self::Nacked => "nacked",
            Self::NotConfirmed => "not_confirmed",
        }
    }
}

/// The broker is lost for longer than a consumer may wait; the process must end.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The first connection or the declaration of the topology failed.
    #[error("broker cannot be used: {0}")]
    Unusable(String),
    /// An operation failed; the connection may recover.
    #[error("broker operation failed: {0}")]
    Failed(String),
    /// No recovery within the limit.
    #[error("broker did not recover within {0} s")]
    Lost(u64),
}

/// Messages waiting in a role's queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Whose queues.
    pub role: Role,
    /// Ready to be delivered.
    pub ready: u32,
    /// Waiting for another try.
    pub retrying: u32,
    /// Waiting for a person.
    pub parked: u32,
}

/// A broker; clones share the connection.
#[derive(Debug, Clone)]
pub enum Broker {
    /// RabbitMQ over AMQP.
    Rabbit(Rabbit),
    /// Queues in this process, moved by steps.
    InMemory(InMemory),
}

impl Broker {
    /// Publishes all messages and waits for all answers; the answers are in the order given.
    pub async fn publish_all(&self, messages: &[Message]) -> Vec<Confirm> {
        match self {
            Self::Rabbit(rabbit) => rabbit.publish_all(messages).await,
            Self::InMemory(memory) => memory.publish_all(messages),
        }
    }

    /// Starts consuming a role's queue with at most `prefetch` messages unanswered.
    pub async fn consume(&self, role: Role, prefetch: u16) -> Result<Consumer, BrokerError> {
        match self {
            Self::Rabbit(rabbit) => Ok(Consumer::Rabbit(Box::new(
                rabbit.consume(role, prefetch).await?,
            ))),
            Self::InMemory(memory) => Ok(Consumer::InMemory(memory.consume(role))),
        }
    }

    /// Whether it can be spoken to at this moment.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        match self {
            Self::Rabbit(rabbit) => rabbit.is_connected(),
            Self::InMemory(memory) => !memory.is_down(),
        }
    }

    /// How many messages wait, for each role in turn.
    pub async fn depths(&self, roles: &[Role]) -> Result<Vec<Depth>, BrokerError> {
        match self {
            Self::Rabbit(rabbit) => rabbit.depths(roles).await,
            Self::InMemory(memory) => Ok(roles.iter().map(|role| memory.depth(*role)).collect()),
        }
    }
}

/// A subscription to one role's queue.
#[derive(Debug)]
pub enum Consumer {
    /// Over AMQP.
    Rabbit(Box<RabbitConsumer>),
    /// In memory.
    InMemory(MemoryConsumer),
}

impl Consumer {
    /// The next message. `None` means nothing came: after about a second with RabbitMQ, so that
    /// the caller can show it is alive; at once in memory. Safe to cancel.
    pub async fn next(&mut self) -> Result<Option<Delivery>, BrokerError> {
        match self {
            Self::Rabbit(consumer) => consumer.next().await,
            Self::InMemory(consumer) => Ok(consumer.take()),
        }
    }

    /// The next messages, at most `max`: waits for the first like [`Consumer::next`], then takes
    /// what is here already. Empty means that nothing came. Safe to cancel: a message is either
    /// given or still waiting.
    pub async fn next_batch(&mut self, max: usize) -> Result<Vec<Delivery>, BrokerError> {
        let mut batch = Vec::new();
        if let Some(first) = self.next().await? {
            batch.push(first);
            while batch.len() < max {
                let Some(delivery) = self.take_ready() else {
                    break;
                };
                batch.push(delivery);
            }
        }
        Ok(batch)
    }

    /// A message that is here already.
    fn take_ready(&mut self) -> Option<Delivery> {
        match self {
            Self::Rabbit(consumer) => consumer.take_ready(),
            Self::InMemory(consumer) => consumer.take(),
        }
    }

    /// Whose queue it is.
    #[must_use]
    pub fn role(&self) -> Role {
        match self {
            Self::Rabbit(consumer) => consumer.role(),
            Self::InMemory(consumer) => consumer.role(),
        }
    }

    /// Stops consuming; messages not answered yet go back to the queue.
    pub async fn close(self) {
        match self {
            Self::Rabbit(consumer) => consumer.close().await,
            Self::InMemory(_) => {}
        }
    }
}

/// A message that waits for an answer. Dropping it without one gives it back, sooner or later.
#[derive(Debug)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// How often it was retried before.
    pub retries: u32,
    /// Whether it was delivered before without an answer.
    pub redelivered: bool,
    pub(crate) handle: Handle,
}

#[derive(Debug)]
pub(crate) enum Handle {
    Rabbit(RabbitHandle),
    InMemory(MemoryHandle),
}

impl Delivery {
    /// Done: forget it. `Err` means that it will come again.
    pub async fn ack(self) -> Result<(), BrokerError> {
        match self.handle {
            Handle::Rabbit(handle) => handle.ack().await,
            Handle::InMemory(handle) => {
                handle.ack();
                Ok(())
            }
        }
    }

    /// This message failed: deliver it again after the retry delay, and count it.
    pub async fn retry(self) -> Result<(), BrokerError> {
        match self.handle {
            Handle::Rabbit(handle) => handle.reject().await,
            Handle::InMemory(handle) => {
                handle.retry();
                Ok(())
            }
        }
    }

    /// Hopeless: keep it for a person, with the reason.
    pub async fn park(self, reason: &str) -> Result<(), BrokerError> {
        match self.handle {
            Handle::Rabbit(handle) => handle.park(&self.message, reason).await,
            Handle::InMemory(handle) => {
                handle.park(reason);
                Ok(())
            }
        }
    }

    /// The world failed, not the message: give it back uncounted.
    pub async fn give_back(self) -> Result<(), BrokerError> {
        match self.handle {
            Handle::Rabbit(handle) => handle.give_back().await,
            Handle::InMemory(handle) => {
                handle.give_back();
                Ok(())
            }
        }
    }
}
