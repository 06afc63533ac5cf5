//! Passwords of people who work here: Argon2id over HMAC(pepper, password), off the async threads
//! and two at a time; who comes when too many wait is sent away, so that guessing cannot take every
//! core, all memory or every connection. Must never keep or log a password.
//! Called by signing in and by accepting an invitation.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::{Error, PasswordHasher, PasswordVerifier};
use hmac::{Hmac, KeyInit, Mac};
use runtime::config::Secret;
use runtime::ids::Ids;
use sha2::Sha256;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;

/// Hashes computed at once: 19 MiB and about 50 ms of a core each.
const AT_ONCE: usize = 2;
/// Requests that hash or wait for it; at 50 ms each the last waits less than a second.
const WAITING_MAX: usize = 32;
/// Bytes of salt (RFC 9106 recommends 16).
const SALT_BYTES: usize = 16;
/// Fewest characters: NIST SP 800-63B-4 asks for 8 beside a second factor; money is released here.
const CHARS_MIN: usize = 12;
/// Most characters; NIST asks that at least 64 be taken.
const CHARS_MAX: usize = 128;
/// Sets passwords apart from PINs, which are hashed under the same pepper.
const DOMAIN: &[u8] = b"operator-password\0";
/// Compared with when nobody has the name, so that the answer takes as long; of no password, with
/// the parameters of `Argon2::default()`.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A password could not be hashed or compared: a fault of ours, not a wrong password.
#[derive(Debug, thiserror::Error)]
#[error("password could not be hashed or compared: {0}")]
pub(crate) struct PasswordError(String);

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        Self::internal(error)
    }
}

/// Hashes and compares passwords.
#[derive(Clone)]
pub(crate) struct Passwords {
    pepper: Hmac<Sha256>,
    places: Arc<Semaphore>,
    working: Arc<Semaphore>,
}

/// The right to hash, for as long as it is held.
#[derive(Clone)]
pub(crate) struct Turn {
    pepper: Hmac<Sha256>,
    // shared with the thread that hashes: it may outlive a request that its caller gave up
    _held: Arc<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Passwords {
    /// With the pepper from `PIN_PEPPER`.
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    pub(crate) fn new(pepper: &Secret) -> Self {
        let pepper = Hmac::<Sha256>::new_from_slice(pepper.expose().as_bytes());
        Self {
            pepper: pepper.expect("a key of any length"),
            places: Arc::new(Semaphore::new(WAITING_MAX)),
            working: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Waits for a turn. Take it before a connection: those who wait then hold none.
    pub(crate) async fn turn(&self) -> Result<Turn, ApiError> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| ApiError::too_many())?;
        let work = Arc::clone(&self.working)
            .acquire_owned()
            .await
            .map_err(fault)?;
        Ok(Turn {
            pepper: self.pepper.clone(),
            _held: Arc::new((place, work)),
        })
    }
}

impl Turn {
    /// The hash to store for a new password.
    pub(crate) async fn hash(&self, ids: &Ids, password: &str) -> Result<String, PasswordError> {
        let peppered = self.peppered(password);
        let salt: [u8; SALT_BYTES] = ids.bytes();
        self.apart(move || {
            let hash = Argon2::default().hash_password_with_salt(&peppered, &salt);
            hash.map(|hash| hash.to_string()).map_err(fault)
        })
        .await
    }

    /// Whether a password is the one that was hashed. Without a hash the same work is done, and it
    /// is not.
    pub(crate) async fn verify(
        &self,
        stored: Option<String>,
        password: &str,
    ) -> Result<bool, PasswordError> {
        let peppered = self.peppered(password);
        self.apart(move || {
            let is_known = stored.is_some();
            let stored = stored.as_deref().unwrap_or(NOBODY);
            match Argon2::default().verify_password(&peppered, stored) {
                Ok(()) => Ok(is_known),
                Err(Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(fault(error)),
            }
        })
        .await
    }

    fn peppered(&self, password: &str) -> [u8; 32] {
        let mut mac = self.pepper.clone();
        mac.update(DOMAIN);
        mac.update(password.as_bytes());
        mac.finalize().into_bytes().into()
    }

    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let turn = self.clone();
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        })
        .await
        .map_err(fault)?
    }
}

fn fault(error: impl std::fmt::Display) -> PasswordError {
    PasswordError(error.to_string())
}

/// Whether a new password may be taken: length alone, as NIST SP 800-63B-4 advises, and that it
/// is not what everybody knows of the person.
pub(crate) fn check(password: &str, known: &[&str]) -> Result<(), ApiError> {
    if !(CHARS_MIN..=CHARS_MAX).contains(&password.chars().count()) {
        let rule = format!("password must have {CHARS_MIN} to {CHARS_MAX} characters");
        return Err(ApiError::refused("password_length", rule));
    }
    let lower = password.to_lowercase();
    if known.iter().any(|known| lower == known.to_lowercase()) {
        let rule = "password must not be your name or address";
        return Err(ApiError::refused("password_known", rule));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords(pepper: &str) -> Passwords {
        Passwords::new(&Secret::new(pepper.to_owned()))
    }

    #[tokio::test]
    async fn a_password_is_recognised_only_with_its_pepper_and_nobody_has_one() {
        let turn = passwords("pepper").turn().await.unwrap();
        let (ids, right) = (Ids::seeded(1), "korosho na maziwa");
        let hash = turn.hash(&ids, right).await.unwrap();
        assert!(turn.verify(Some(hash.clone()), right).await.unwrap());
        assert!(!turn.verify(Some(hash.clone()), "korosho").await.unwrap());
        let other = passwords("salt").turn().await.unwrap();
        assert!(!other.verify(Some(hash.clone()), right).await.unwrap());
        assert!(!turn.verify(None, right).await.unwrap());
        let garbage = Some("no hash".to_owned());
        assert!(turn.verify(garbage, right).await.is_err());
        // comparing with nobody's costs what comparing with anybody's does
        let parameters = |hash: &str| hash.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(parameters(&hash), parameters(NOBODY));
    }

    #[tokio::test]
    async fn two_work_thirty_wait_and_the_next_is_sent_away() {
        let passwords = passwords("pepper");
        let first = passwords.turn().await.unwrap();
        let _second = passwords.turn().await.unwrap();
        let waiting: Vec<_> = (0..WAITING_MAX - AT_ONCE)
            .map(|_| {
                let mut waiting = Box::pin(passwords.turn());
                let polled = futures_poll(&mut waiting);
                assert!(polled.is_none());
                waiting
            })
            .collect();
        let busy = passwords.turn().await.err().unwrap();
        assert_eq!(busy.code, "too_many_requests");
        drop(first);
        let mut waiting = waiting.into_iter();
        assert!(waiting.next().unwrap().await.is_ok());
    }

    /// What a future answers at its first poll.
    fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::Pin::new(future).poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn a_password_is_long_and_not_the_persons_name() {
        let known = ["Wanjiku wa Kamau", "wanjiku@example.com"];
        assert!(check("korosho na maziwa", &known).is_ok());
        for (wrong, code) in [
            ("korosho", "password_length"),
            ("wanjiku WA kamau", "password_known"),
            (&"a".repeat(CHARS_MAX + 1), "password_length"),
        ] {
            assert_eq!(check(wrong, &known).unwrap_err().code, code, "{wrong}");
        }
    }
}
