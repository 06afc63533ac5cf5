//! A broker inside the process for tests and simulation: no background task, every movement is a
//! call. It routes by the real topology table, and can lose, repeat, reorder and withhold messages
//! on demand. Must never be used by a binary.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::broker::{Confirm, Delivery, Depth, Handle, Message};
use crate::ids::Ids;
use crate::topology::Role;

/// A broker in memory; clones share the queues.
#[derive(Debug, Clone, Default)]
pub struct InMemory(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    queues: BTreeMap<Role, Queue>,
    down: bool,
    unconfirmed_next: u32,
    lost_acks_next: u32,
}

#[derive(Debug, Default)]
struct Queue {
    ready: VecDeque<Held>,
    retrying: VecDeque<Held>,
    parked: Vec<(Message, String)>,
    in_flight: u32,
}

#[derive(Debug, Clone)]
struct Held {
    message: Message,
    retries: u32,
    redelivered: bool,
}

impl InMemory {
    /// Empty queues for every role.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts each message into the queues of the roles that hear its topic.
    pub fn publish_all(&self, messages: &[Message]) -> Vec<Confirm> {
        self.state(|state| {
            messages
                .iter()
                .map(|message| state.publish(message))
                .collect()
        })
    }

    /// A subscription; any number may exist for a role.
    #[must_use]
    pub fn consume(&self, role: Role) -> MemoryConsumer {
        MemoryConsumer {
            memory: self.clone(),
            role,
        }
    }

    /// How many messages wait.
    #[must_use]
    pub fn depth(&self, role: Role) -> Depth {
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        self.queue(role, |queue| Depth {
            role,
            ready: count(queue.ready.len()),
            retrying: count(queue.retrying.len()),
            parked: count(queue.parked.len()),
        })
    }

    /// The messages waiting for a person, with the reasons.
    #[must_use]
    pub fn parked(&self, role: Role) -> Vec<(Message, String)> {
        self.queue(role, |queue| queue.parked.clone())
    }

    /// Ends the retry delay of every rejected message; returns how many came back.
    pub fn release_retries(&self) -> usize {
        self.state(|state| {
            let mut released = 0;
            for queue in state.queues.values_mut() {
                released += queue.retrying.len();
                queue.ready.append(&mut queue.retrying);
            }
            released
        })
    }

    /// Takes the broker away or brings it back; queues survive.
    pub fn set_down(&self, down: bool) {
        self.state(|state| state.down = down);
    }

    /// Whether it was taken away.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.state(|state| state.down)
    }

    /// The next `count` publications arrive but their confirmation is lost.
    pub fn lose_confirms(&self, count: u32) {
        self.state(|state| state.unconfirmed_next += count);
    }

    /// The next `count` acknowledgements are lost: their messages come again.
    pub fn lose_acks(&self, count: u32) {
        self.state(|state| state.lost_acks_next += count);
    }

    /// Forgets one waiting message chosen by `ids`; says whether there was one.
    pub fn drop_one(&self, role: Role, ids: &Ids) -> bool {
        self.queue(role, |queue| {
            choose(queue, ids).is_some_and(|at| queue.ready.remove(at).is_some())
        })
    }

    /// Delivers one waiting message twice; says whether there was one.
    pub fn repeat_one(&self, role: Role, ids: &Ids) -> bool {
        self.queue(role, |queue| {
            let copy = choose(queue, ids).and_then(|at| queue.ready.get(at).cloned());
            copy.map(|held| queue.ready.push_back(held)).is_some()
        })
    }

    /// Shuffles the waiting messages.
    pub fn reorder(&self, role: Role, ids: &Ids) {
        self.queue(role, |queue| {
            for at in (1..queue.ready.len()).rev() {
                let below = u64::try_from(at).unwrap_or(u64::MAX).saturating_add(1);
                queue
                    .ready
                    .swap(at, usize::try_from(ids.below(below)).unwrap_or(at));
            }
        });
    }

    /// Forgets everything, as a broker whose disk was lost.
    pub fn lose_all(&self) {
        self.state(|state| state.queues.clear());
    }

    fn state<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn queue<T>(&self, role: Role, act: impl FnOnce(&mut Queue) -> T) -> T {
        self.state(|state| act(state.queues.entry(role).or_default()))
    }
}

impl State {
    fn publish(&mut self, message: &Message) -> Confirm {
        if self.down {
            return Confirm::NotConfirmed;
        }
        let mut heard = false;
        for role in Role::hearing(&message.topic) {
            heard = true;
            let held = Held {
                message: message.clone(),
                retries: 0,
                redelivered: false,
            };
            self.queues.entry(role).or_default().ready.push_back(held);
        }
        if !heard {
            return Confirm::Returned;
        }
        if self.unconfirmed_next > 0 {
            self.unconfirmed_next -= 1;
            return Confirm::NotConfirmed;
        }
        Confirm::Published
    }
}

fn choose(queue: &Queue, ids: &Ids) -> Option<usize> {
    let length = u64::try_from(queue.ready.len())
        .ok()
        .filter(|length| *length > 0)?;
    usize::try_from(ids.below(length)).ok()
}

/// A subscription to one role's queue in memory.
#[derive(Debug)]
pub struct MemoryConsumer {
    memory: InMemory,
    role: Role,
}

impl MemoryConsumer {
    /// The first waiting message, at once.
    pub fn take(&mut self) -> Option<Delivery> {
        if self.memory.is_down() {
            return None;
        }
        let held = self.memory.queue(self.role, |queue| {
            let held = queue.ready.pop_front()?;
            queue.in_flight += 1;
            Some(held)
        })?;
        Some(Delivery {
            message: held.message.clone(),
            retries: held.retries,
            redelivered: held.redelivered,
            handle: Handle::InMemory(MemoryHandle {
                memory: self.memory.clone(),
                role: self.role,
                held: Some(held),
            }),
        })
    }

    /// Whose queue it is.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }
}

/// The answer to one delivery; dropped without one, the message comes again (a crash).
#[derive(Debug)]
pub struct MemoryHandle {
    memory: InMemory,
    role: Role,
    held: Option<Held>,
}

impl MemoryHandle {
    pub(crate) fn ack(mut self) {
        let lost = self.memory.state(|state| {
            let lost = state.lost_acks_next > 0;
            state.lost_acks_next = state.lost_acks_next.saturating_sub(1);
            lost
        });
        if !lost {
            self.settle(|_, _| ());
        }
    }

    pub(crate) fn retry(mut self) {
        self.settle(|queue, held| {
            queue.retrying.push_back(Held {
                retries: held.retries.saturating_add(1),
                ..held
            });
        });
    }

    pub(crate) fn park(mut self, reason: &str) {
        self.settle(|queue, held| queue.parked.push((held.message, reason.to_owned())));
    }

    pub(crate) fn give_back(self) {
        drop(self);
    }

    fn settle(&mut self, act: impl FnOnce(&mut Queue, Held)) {
        if let Some(held) = self.held.take() {
            self.memory.queue(self.role, |queue| {
                queue.in_flight = queue.in_flight.saturating_sub(1);
                act(queue, held);
            });
        }
    }
}

impl Drop for MemoryHandle {
    fn drop(&mut self) {
        self.settle(|queue, held| {
            queue.ready.push_front(Held {
                redelivered: true,
                ..held
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::broker::Consumer;

    fn message(n: u128) -> Message {
        Message {
            id: Uuid::from_u128(n),
            topic: "payout.approved.v1".to_owned(),
            body: b"{}".to_vec(),
            traceparent: None,
        }
    }

    #[tokio::test]
    async fn a_delivery_dropped_without_an_answer_comes_again() {
        let memory = InMemory::new();
        assert_eq!(memory.publish_all(&[message(1)]), [Confirm::Published]);
        let mut consumer = memory.consume(Role::Payout);
        drop(consumer.take().unwrap());
        let again = consumer.take().unwrap();
        assert!(again.redelivered);
        again.ack().await.unwrap();
        assert!(consumer.take().is_none());
    }

    #[tokio::test]
    async fn a_batch_is_what_is_there_and_no_more_than_was_asked_for() {
        let memory = InMemory::new();
        memory.publish_all(&[message(1), message(2), message(3)]);
        let mut consumer = Consumer::InMemory(memory.consume(Role::Payout));
        let batch = consumer.next_batch(2).await.unwrap();
        let ids: Vec<_> = batch.iter().map(|delivery| delivery.message.id).collect();
        assert_eq!(ids, [message(1).id, message(2).id]);
        for delivery in batch {
            delivery.ack().await.unwrap();
        }
        let rest = consumer.next_batch(2).await.unwrap();
        assert_eq!(rest.len(), 1, "one is left");
        assert!(consumer.next_batch(2).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_retry_waits_until_released_and_is_counted() {
        let memory = InMemory::new();
        memory.publish_all(&[message(1)]);
        let mut consumer = memory.consume(Role::Payout);
        consumer.take().unwrap().retry().await.unwrap();
        assert!(consumer.take().is_none());
        assert_eq!(memory.release_retries(), 1);
        let again = consumer.take().unwrap();
        assert_eq!(again.retries, 1);
        again.park("no use").await.unwrap();
        assert_eq!(memory.parked(Role::Payout).len(), 1);
    }

    #[tokio::test]
    async fn faults_on_demand_lose_repeat_and_withhold() {
        let (memory, ids) = (InMemory::new(), Ids::seeded(5));
        let mut unknown = message(1);
        unknown.topic = "nobody.hears.v1".to_owned();
        assert_eq!(memory.publish_all(&[unknown]), [Confirm::Returned]);
        memory.lose_confirms(1);
        assert_eq!(
            memory.publish_all(&[message(1), message(2)]),
            [Confirm::NotConfirmed, Confirm::Published]
        );
        assert!(memory.repeat_one(Role::Payout, &ids));
        assert_eq!(memory.depth(Role::Payout).ready, 3);
        assert!(memory.drop_one(Role::Payout, &ids));
        memory.reorder(Role::Payout, &ids);
        memory.lose_acks(1);
        let mut consumer = memory.consume(Role::Payout);
        consumer.take().unwrap().ack().await.unwrap();
        assert!(consumer.take().unwrap().redelivered);
        memory.set_down(true);
        assert!(consumer.take().is_none());
        assert_eq!(memory.publish_all(&[message(3)]), [Confirm::NotConfirmed]);
    }
}
