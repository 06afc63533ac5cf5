//! PINs: Argon2id over HMAC(pepper, PIN), off the async threads and two at a time, so that a
//! crowd of purchases cannot take every core or all memory.
//! Must never keep or log a PIN. Called by the needs and intents of a hop.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use hmac::{Hmac, KeyInit, Mac};
use runtime::config::Secret;
use runtime::ids::Ids;
use sha2::Sha256;
use tokio::sync::Semaphore;

/// Hashes computed at once: 19 MiB and about 50 ms of a core each.
const AT_ONCE: usize = 2;
/// Bytes of salt (RFC 9106 recommends 16).
const SALT_BYTES: usize = 16;

/// A PIN could not be hashed or compared: a fault of ours, not a wrong PIN.
#[derive(Debug, thiserror::Error)]
#[error("pin could not be hashed or compared: {0}")]
pub(super) struct PinError(String);

/// Hashes and compares PINs.
#[derive(Clone)]
pub(super) struct Pins {
    pepper: Hmac<Sha256>,
    permits: Arc<Semaphore>,
}

impl Pins {
    /// With the pepper from `PIN_PEPPER`.
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    pub(super) fn new(pepper: &Secret) -> Self {
        let pepper = Hmac::<Sha256>::new_from_slice(pepper.expose().as_bytes());
        let pepper = pepper.expect("a key of any length");
        Self {
            pepper,
            permits: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// The hash to store for a new PIN.
    pub(super) async fn hash(&self, ids: &Ids, pin: &str) -> Result<String, PinError> {
        let peppered = self.peppered(pin);
        let salt: [u8; SALT_BYTES] = ids.bytes();
        self.apart(move || {
            let hash = Argon2::default().hash_password_with_salt(&peppered, &salt);
            hash.map(|hash| hash.to_string()).map_err(fault)
        })
        .await
    }

    /// Whether a PIN is the one that was hashed.
    pub(super) async fn verify(&self, stored: String, pin: &str) -> Result<bool, PinError> {
        let peppered = self.peppered(pin);
        self.apart(move || {
            use argon2::password_hash::Error;
            match Argon2::default().verify_password(&peppered, stored.as_str()) {
                Ok(()) => Ok(true),
                Err(Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(fault(error)),
            }
        })
        .await
    }

    fn peppered(&self, pin: &str) -> [u8; 32] {
        let mut mac = self.pepper.clone();
        mac.update(pin.as_bytes());
        mac.finalize().into_bytes().into()
    }

    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PinError> + Send + 'static,
    ) -> Result<T, PinError> {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(fault)?;
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        })
        .await
        .map_err(fault)?
    }
}

fn fault(error: impl std::fmt::Display) -> PinError {
    PinError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pin_is_recognised_only_with_its_pepper() {
        let pins = Pins::new(&Secret::new("pepper".to_owned()));
        let hash = pins.hash(&Ids::seeded(1), "2580").await.unwrap();
        assert!(hash.starts_with("$argon2id$") && !hash.contains("2580"));
        assert!(pins.verify(hash.clone(), "2580").await.unwrap());
        assert!(!pins.verify(hash.clone(), "2581").await.unwrap());
        let other = Pins::new(&Secret::new("salt".to_owned()));
        assert!(!other.verify(hash, "2580").await.unwrap());
        assert!(pins.verify("not a hash".to_owned(), "2580").await.is_err());
    }
}
