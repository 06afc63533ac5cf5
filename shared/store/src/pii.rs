//! Personal data at rest: AES-256-GCM for reading back, a keyed hash for looking up.
//! Never logs, never prints. Held by the `Store` handle of every process that meets a person.

use aes_gcm::aead::{Aead, AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use data_encoding::HEXLOWER_PERMISSIVE;
use domain::msisdn::Msisdn;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::error::StoreError;

/// Bytes of an AES-GCM nonce.
const NONCE_BYTES: usize = 12;
/// Bytes of its tag, which stands at the end.
const TAG_BYTES: usize = 16;

/// Why keys could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("key must be 64 hexadecimal digits (32 bytes); make one with `openssl rand -hex 32`")]
pub struct KeyError;

/// The two keys of personal data.
#[derive(Clone)]
pub struct Pii {
    cipher: Aes256Gcm,
    index: Hmac<Sha256>,
}

impl std::fmt::Debug for Pii {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pii(***)")
    }
}

impl Pii {
    /// From `ENCRYPTION_KEY` and `PII_INDEX_KEY`, 64 hexadecimal digits each.
    pub fn from_hex(encryption_key: &str, index_key: &str) -> Result<Self, KeyError> {
        let read = |text: &str| -> Result<[u8; 32], KeyError> {
            let bytes = HEXLOWER_PERMISSIVE
                .decode(text.trim().as_bytes())
                .map_err(|_| KeyError)?;
            bytes.try_into().map_err(|_| KeyError)
        };
        let key: Key<Aes256Gcm> = read(encryption_key)?.into();
        let index = Hmac::<Sha256>::new_from_slice(&read(index_key)?).map_err(|_| KeyError)?;
        Ok(Self {
            cipher: Aes256Gcm::new(&key),
            index,
        })
    }

    /// Encrypts under a fresh nonce, which the caller draws; the nonce is stored in front.
    pub fn seal(&self, nonce: [u8; NONCE_BYTES], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut out = Vec::with_capacity(NONCE_BYTES + plain.len() + TAG_BYTES);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let (_, body) = out.split_at_mut(NONCE_BYTES);
        let tag = self
            .cipher
            .encrypt_inout_detached(&Nonce::from(nonce), &[], body.into())
            .map_err(|_| corrupt("seal"))?;
        out.extend_from_slice(&tag);
        Ok(out)
    }

    /// Decrypts what [`Self::seal`] made.
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (nonce, body) = sealed
            .split_at_checked(NONCE_BYTES)
            .ok_or_else(|| corrupt("nonce"))?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| corrupt("nonce"))?;
        self.cipher
            .decrypt(&Nonce::from(nonce), body)
            .map_err(|_| corrupt("open"))
    }

    /// Decrypts text.
    pub fn open_text(&self, sealed: &[u8]) -> Result<String, StoreError> {
        String::from_utf8(self.open(sealed)?).map_err(|_| corrupt("text"))
    }

    /// Keyed hash of a phone number, for lookup and for session keys.
    #[must_use]
    pub fn phone_index(&self, phone: &Msisdn) -> Vec<u8> {
        self.keyed(b"phone", phone.digits().as_bytes())
    }

    /// Keyed hash of a national ID.
    #[must_use]
    pub fn national_id_index(&self, national_id: &str) -> Vec<u8> {
        self.keyed(b"national-id", national_id.as_bytes())
    }

    /// Keyed hash of a request, which may hold personal data: nobody without the key can try
    /// guesses against it.
    #[must_use]
    pub fn fingerprint(&self, request: &[u8]) -> Vec<u8> {
        self.keyed(b"request", request)
    }

    fn keyed(&self, kind: &[u8], value: &[u8]) -> Vec<u8> {
        let mut mac = self.index.clone();
        mac.update(kind);
        mac.update(&[0]);
        mac.update(value);
        mac.finalize().into_bytes().to_vec()
    }
}

fn corrupt(column: &'static str) -> StoreError {
    StoreError::Corrupt {
        table: "personal data",
        column,
        id: "(hidden)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pii() -> Pii {
        Pii::from_hex(&"ab".repeat(32), &"cd".repeat(32)).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_again_and_tampering_is_noticed() {
        let mut sealed = pii().seal([1; NONCE_BYTES], b"Wanjiku").unwrap();
        assert_eq!(pii().open_text(&sealed).unwrap(), "Wanjiku");
        let last = sealed.len() - 1;
        sealed[last] ^= 1;
        assert!(pii().open(&sealed).is_err());
        assert!(pii().open(b"short").is_err());
    }

    #[test]
    fn an_index_depends_on_the_key_and_the_kind() {
        let phone = Msisdn::parse("0712345678").unwrap();
        let other = Pii::from_hex(&"ab".repeat(32), &"ce".repeat(32)).unwrap();
        assert_eq!(pii().phone_index(&phone), pii().phone_index(&phone));
        assert_ne!(pii().phone_index(&phone), other.phone_index(&phone));
        assert_ne!(
            pii().phone_index(&phone),
            pii().national_id_index("254712345678")
        );
        assert!(Pii::from_hex("zz", "zz").is_err());
    }
}
