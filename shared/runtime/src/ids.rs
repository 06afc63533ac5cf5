//! The one place where the product draws randomness: identifiers, leg ids, nonces, salts.
//! Binaries draw from the operating system; only the in-process simulation may be seeded (a
//! re-minted id after a crash would look like a provider's duplicate). Handed down from `main`.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

/// A source of random bits; cloning it is cheap and clones share one stream.
#[derive(Clone)]
pub struct Ids(Source);

#[derive(Clone)]
enum Source {
    System,
    Seeded(Arc<Mutex<ChaCha8Rng>>),
}

impl Ids {
    /// Randomness of the operating system: every binary.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A reproducible stream: simulation and tests only.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(
            ChaCha8Rng::seed_from_u64(seed),
        ))))
    }

    /// `N` random bytes, good enough for keys and nonces when drawn from the system.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// Fills `bytes` with randomness.
    pub fn fill(&self, bytes: &mut [u8]) {
        match &self.0 {
            Source::System => system_rng().fill_bytes(bytes),
            Source::Seeded(rng) => {
                rng.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .fill_bytes(bytes);
            }
        }
    }

    /// A UUIDv7 of the instant `now` and 74 random bits, so that ids sort by creation.
    #[must_use]
    pub fn uuid(&self, now: DateTime<Utc>) -> Uuid {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    /// A typed identifier: `ids.mint::<PolicyId>(now)`.
    #[must_use]
    pub fn mint<T: From<Uuid>>(&self, now: DateTime<Utc>) -> T {
        T::from(self.uuid(now))
    }

    /// `length` characters of RFC 4648 base32 (`A`–`Z`, `2`–`7`): five random bits each.
    #[must_use]
    pub fn base32(&self, length: usize) -> String {
        let mut bytes = vec![0; length.saturating_mul(5).div_ceil(8)];
        self.fill(&mut bytes);
        let mut text = data_encoding::BASE32_NOPAD.encode(&bytes);
        text.truncate(length);
        text
    }

    /// A number in `0..below`; 0 when `below` is 0. The modulo bias is below 2⁻³² for any
    /// bound that fits a `u32`, which is plenty for jitter and for choosing.
    #[must_use]
    pub fn below(&self, below: u64) -> u64 {
        u64::from_le_bytes(self.bytes())
            .checked_rem(below)
            .unwrap_or(0)
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System => "Ids::System",
            Source::Seeded(_) => "Ids::Seeded",
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where randomness enters")]
fn system_rng() -> rand::rngs::ThreadRng {
    rand::rng()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_ids_repeat_and_system_ids_do_not() {
        let now = DateTime::from_timestamp_millis(1_767_225_600_000).unwrap();
        assert_eq!(Ids::seeded(7).uuid(now), Ids::seeded(7).uuid(now));
        assert_ne!(Ids::system().uuid(now), Ids::system().uuid(now));
        assert_eq!(Ids::seeded(7).uuid(now).get_version_num(), 7);
    }

    #[test]
    fn base32_has_the_length_asked_for() {
        for length in 0..40 {
            let text = Ids::system().base32(length);
            assert_eq!(text.len(), length);
            assert!(
                text.bytes()
                    .all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b))
            );
        }
    }

    #[test]
    fn a_bound_is_never_reached() {
        let ids = Ids::seeded(1);
        assert!((0..1000).all(|_| ids.below(7) < 7));
        assert_eq!(ids.below(0), 0);
    }
}
