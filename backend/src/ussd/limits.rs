//! The ceiling of one phone. Over it, she is told to dial again in a minute; she is never cut off
//! by a 429. The ceiling of the whole process is the route's.
//! Must never limit by address: every farmer comes from the gateway's few. Called by the handler.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::config::Ceilings;

/// Hops after which phones that have been quiet are forgotten.
const FORGET_EVERY_HOPS: u32 = 10_000;

/// Ceilings by phone.
pub(super) struct Phones {
    limiter: DefaultKeyedRateLimiter<u64>,
    hops: AtomicU32,
}

impl Phones {
    pub(super) fn new(ceilings: &Ceilings) -> Self {
        let at_least_one = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(ceilings.ussd_phone_rate_per_second))
            .allow_burst(at_least_one(ceilings.ussd_phone_rate_burst));
        Self {
            limiter: RateLimiter::keyed(quota),
            hops: AtomicU32::new(0),
        }
    }

    /// Whether another hop of this phone may be served now.
    pub(super) fn allow(&self, phone_index: &[u8]) -> bool {
        if self
            .hops
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(FORGET_EVERY_HOPS)
        {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        let mut key = [0_u8; 8];
        for (byte, given) in key.iter_mut().zip(phone_index) {
            *byte = *given;
        }
        self.limiter.check_key(&u64::from_le_bytes(key)).is_ok()
    }
}
