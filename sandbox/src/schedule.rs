//! What will happen in this world and when, by the world's clock: answers to prompts, settlements,
//! callbacks. Events fire in order of instant and then of entry; nothing fires by real time.
//! Filled by the twins, emptied by the world's step.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::Callback;

/// Something that will happen.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// A phone answers, or fails to answer, the prompt of a Swypt order.
    AnswerPrompt { order_id: String },
    /// M-Pesa takes the money of a Swypt order a second time, under an order of its own.
    CollectAgain { order_id: String },
    /// M-Pesa settles an accepted payment.
    Settle { originator_id: String },
    /// M-Pesa answers a status enquiry.
    AnswerEnquiry(Enquiry),
    /// A callback is delivered.
    Deliver(Callback),
}

/// A status enquiry that waits for its answer.
#[derive(Debug, Clone)]
pub(crate) struct Enquiry {
    pub(crate) originator_id: String,
    pub(crate) conversation_id: String,
    pub(crate) subject: String,
    pub(crate) result_url: String,
}

/// Events by instant and entry.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    events: BTreeMap<(DateTime<Utc>, u64), Action>,
    entries: u64,
}

impl Schedule {
    /// Enters an event.
    pub(crate) fn add(&mut self, at: DateTime<Utc>, action: Action) {
        self.entries += 1;
        self.events.insert((at, self.entries), action);
    }

    /// Takes the earliest event that is due, with the instant it was due at.
    pub(crate) fn pop_due(&mut self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, Action)> {
        let entry = self.events.first_entry()?;
        if entry.key().0 > now {
            return None;
        }
        let ((at, _), action) = entry.remove_entry();
        Some((at, action))
    }

    /// The instant of the earliest event.
    pub(crate) fn next_due(&self) -> Option<DateTime<Utc>> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }

    /// Events due and not yet fired.
    pub(crate) fn overdue(&self, now: DateTime<Utc>) -> usize {
        self.events.range(..=(now, u64::MAX)).count()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn events_fire_by_instant_and_then_by_entry() {
        let start = DateTime::<Utc>::UNIX_EPOCH;
        let mut schedule = Schedule::default();
        for (seconds, name) in [(5, "c"), (1, "a"), (1, "b"), (9, "d")] {
            let action = Action::Settle {
                originator_id: name.to_owned(),
            };
            schedule.add(start + TimeDelta::seconds(seconds), action);
        }
        assert_eq!(schedule.next_due(), Some(start + TimeDelta::seconds(1)));
        let now = start + TimeDelta::seconds(5);
        assert_eq!(schedule.overdue(now), 3);
        let mut fired = Vec::new();
        while let Some((_, Action::Settle { originator_id })) = schedule.pop_due(now) {
            fired.push(originator_id);
        }
        assert_eq!(fired, ["a", "b", "c"]);
        assert_eq!(schedule.overdue(now), 0);
    }
}
