//! Faults on demand: each is drawn from seed, provider, operation, natural key and the number of
//! the call, so that a retry of the same thing meets its own luck. Counts what it injected.
//! Asked by every twin before it answers or schedules a callback.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::draw;

/// Probability of each fault, 0 to 1; all 0 unless set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// The work is done and the connection breaks before the answer.
    pub lost_reply: f64,
    /// HTTP 500; in half the cases the work was done first.
    pub http_500: f64,
    /// HTTP 429, nothing done.
    pub http_429: f64,
    /// A callback comes twice.
    pub repeat_callback: f64,
    /// A callback comes ten minutes late: after the first enquiry.
    pub late_callback: f64,
    /// A callback overtakes what it should follow (the acknowledgement, an earlier report).
    pub reorder: f64,
    /// A callback never comes.
    pub never: f64,
}

impl Rates {
    /// An error naming the first rate that is no probability.
    pub(crate) fn check(self) -> Result<(), String> {
        let named = [
            ("lost_reply", self.lost_reply),
            ("http_500", self.http_500),
            ("http_429", self.http_429),
            ("repeat_callback", self.repeat_callback),
            ("late_callback", self.late_callback),
            ("reorder", self.reorder),
            ("never", self.never),
        ];
        match named.iter().find(|(_, rate)| !(0.0..=1.0).contains(rate)) {
            Some((name, _)) => Err(format!("rate {name} must lie between 0 and 1")),
            None => Ok(()),
        }
    }
}

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestFault {
    None,
    /// 429 before anything is done.
    TooMany,
    /// 500 before anything is done.
    ErrorBefore,
    /// 500 after the work was done.
    ErrorAfter,
    /// The work was done, no answer comes.
    LostReply,
}

/// What goes wrong with one callback.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CallbackFault {
    pub(crate) is_never: bool,
    pub(crate) is_late: bool,
    pub(crate) is_repeated: bool,
    pub(crate) is_reordered: bool,
}

/// The fault switchboard.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) seed: u64,
    pub(crate) rates: Rates,
    calls: BTreeMap<String, u64>,
    counters: BTreeMap<&'static str, u64>,
}

/// Counters that are always shown, so that a reader can tell none from not known.
const ALWAYS_SHOWN: [&str; 8] = [
    "lost_replies",
    "http_500",
    "http_500_after",
    "http_429",
    "repeats",
    "late",
    "reordered",
    "never",
];

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// Adds one to a counter.
    pub(crate) fn count(&mut self, name: &'static str) {
        *self.counters.entry(name).or_default() += 1;
    }

    /// Every counter by name.
    pub(crate) fn counters(&self) -> BTreeMap<&'static str, u64> {
        let mut shown: BTreeMap<_, _> = ALWAYS_SHOWN.iter().map(|name| (*name, 0)).collect();
        shown.extend(self.counters.iter().map(|(name, count)| (*name, *count)));
        shown
    }

    /// The fault of the next request of this kind about this key.
    pub(crate) fn request(&mut self, provider: &str, operation: &str, key: &str) -> RequestFault {
        let nth = self.nth(provider, operation, key);
        let drawn = |kind: &str, rate| {
            draw::happens(
                rate,
                &[&self.seed.to_string(), provider, operation, key, &nth, kind],
            )
        };
        let rates = self.rates;
        let fault = if drawn("429", rates.http_429) {
            RequestFault::TooMany
        } else if drawn("500", rates.http_500) {
            if drawn("500-after", 0.5) {
                RequestFault::ErrorAfter
            } else {
                RequestFault::ErrorBefore
            }
        } else if drawn("lost", rates.lost_reply) {
            RequestFault::LostReply
        } else {
            RequestFault::None
        };
        match fault {
            RequestFault::None => {}
            RequestFault::TooMany => self.count("http_429"),
            RequestFault::ErrorBefore => self.count("http_500"),
            RequestFault::ErrorAfter => self.count("http_500_after"),
            RequestFault::LostReply => self.count("lost_replies"),
        }
        fault
    }

    /// The faults of the next callback of this kind about this key; the caller counts those that
    /// it lets happen.
    pub(crate) fn callback(&mut self, provider: &str, kind: &str, key: &str) -> CallbackFault {
        let nth = self.nth(provider, kind, key);
        let drawn = |what: &str, rate| {
            draw::happens(
                rate,
                &[&self.seed.to_string(), provider, kind, key, &nth, what],
            )
        };
        let rates = self.rates;
        let is_never = drawn("never", rates.never);
        CallbackFault {
            is_never,
            is_late: !is_never && drawn("late", rates.late_callback),
            is_repeated: !is_never && drawn("repeat", rates.repeat_callback),
            is_reordered: !is_never && drawn("reorder", rates.reorder),
        }
    }

    /// Whether the next event of this kind overtakes what it should follow; counted.
    pub(crate) fn overtakes(&mut self, provider: &str, kind: &str, key: &str) -> bool {
        let is_overtaking = self.callback(provider, kind, key).is_reordered;
        if is_overtaking {
            self.count("reordered");
        }
        is_overtaking
    }

    /// What the USSD gateway does to the next hop of this key: loses its answer, posts it twice;
    /// counted.
    pub(crate) fn hop(&mut self, provider: &str, key: &str) -> (bool, bool) {
        let is_repeated = self.callback(provider, "hop-repeat", key).is_repeated;
        let nth = self.nth(provider, "hop-lost", key);
        let seed = self.seed.to_string();
        let is_lost = draw::happens(self.rates.lost_reply, &[&seed, provider, "hop", key, &nth]);
        if is_lost {
            self.count("lost_replies");
        }
        if is_repeated {
            self.count("repeats");
        }
        (is_lost, is_repeated)
    }

    fn nth(&mut self, provider: &str, operation: &str, key: &str) -> String {
        let calls = self
            .calls
            .entry(format!("{provider}/{operation}/{key}"))
            .or_default();
        *calls += 1;
        calls.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(rate: f64) -> Faults {
        let rates = Rates {
            lost_reply: rate,
            never: rate,
            ..Rates::default()
        };
        Faults {
            rates,
            ..Faults::new(7)
        }
    }

    #[test]
    fn the_same_seed_meets_the_same_luck() {
        let draw = |mut faults: Faults| -> Vec<_> {
            (0..50)
                .map(|_| faults.request("mpesa", "b2c", "254711000111"))
                .collect()
        };
        assert_eq!(draw(faults(0.5)), draw(faults(0.5)));
    }

    #[test]
    fn another_caller_does_not_change_my_luck() {
        let mut alone = faults(0.5);
        let mut crowded = faults(0.5);
        for _ in 0..20 {
            let _ = crowded.request("mpesa", "b2c", "other");
            assert_eq!(
                alone.request("mpesa", "b2c", "mine"),
                crowded.request("mpesa", "b2c", "mine")
            );
        }
    }

    #[test]
    fn a_retry_gets_through_in_the_end() {
        let mut faults = faults(0.5);
        let met: Vec<_> = (0..64).map(|_| faults.request("a", "b", "c")).collect();
        let lost = met
            .iter()
            .filter(|fault| **fault == RequestFault::LostReply)
            .count();
        assert!(met.contains(&RequestFault::None) && lost > 0, "{met:?}");
        assert_eq!(
            faults.counters().get("lost_replies"),
            u64::try_from(lost).ok().as_ref()
        );
    }

    #[test]
    fn a_rate_outside_a_probability_is_refused() {
        let bad = Rates {
            never: 1.5,
            ..Rates::default()
        };
        assert!(bad.check().unwrap_err().contains("never"));
        assert!(
            Rates {
                never: f64::NAN,
                ..Rates::default()
            }
            .check()
            .is_err()
        );
    }
}
