//! The second factor: TOTP as authenticator apps do it (RFC 6238, SHA-1, 6 digits, 30 s, one step
//! of skew either way). Must never look at the machine's clock, nor say yes to a used code: the
//! caller compares the step with the last one used.
//! Called by signing in and by confirming an invitation.

use chrono::{DateTime, Utc};
use runtime::ids::Ids;
use store::{Pii, StoreError};
use totp_rs::{Algorithm, Builder, Totp};

use crate::error::ApiError;

/// Bytes of a secret: RFC 4226 recommends 160 bits.
const SECRET_BYTES: usize = 20;
/// Digits of a code.
const DIGITS: u8 = 6;
/// Seconds of a step.
const STEP_SECONDS: u64 = 30;
/// Steps early or late that are still taken.
const SKEW_STEPS: u16 = 1;
/// Who an authenticator app says the code is for.
const ISSUER: &str = "MicroCrop";

/// A fresh secret: sealed for the database, and as the person's app wants it.
pub(crate) struct Enrolled {
    /// Sealed by the key of personal data.
    pub(crate) cipher: Vec<u8>,
    /// Base32, for typing.
    pub(crate) secret: String,
    /// `otpauth://totp/…`, for a QR code.
    pub(crate) uri: String,
}

/// A secret for a person of this address.
pub(crate) fn enrol(ids: &Ids, pii: &Pii, email: &str) -> Result<Enrolled, ApiError> {
    let secret: [u8; SECRET_BYTES] = ids.bytes();
    let totp = totp(secret.to_vec(), email)?;
    Ok(Enrolled {
        cipher: pii.seal(ids.bytes(), &secret)?,
        secret: totp.secret().to_base32(),
        uri: totp.to_url().map_err(ApiError::internal)?,
    })
}

/// The step whose code this is, if it is one of now; 30 s each, counted from 1970.
pub(crate) fn step(
    pii: &Pii,
    cipher: &[u8],
    code: &str,
    now: DateTime<Utc>,
) -> Result<Option<i64>, ApiError> {
    let totp = totp(pii.open(cipher)?, "")?;
    let Ok(seconds) = u64::try_from(now.timestamp()) else {
        return Ok(None);
    };
    let step = totp.check(code.trim(), seconds);
    Ok(step.and_then(|step| i64::try_from(step).ok()))
}

fn totp(secret: Vec<u8>, email: &str) -> Result<Totp, ApiError> {
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(DIGITS)
        .with_skew(SKEW_STEPS)
        .with_step_duration(STEP_SECONDS)
        .with_secret(secret)
        .with_issuer(Some(ISSUER))
        .with_account_name(email)
        .build()
        .map_err(|_| {
            ApiError::from(StoreError::Corrupt {
                table: "credentials",
                column: "totp_cipher",
                id: "(hidden)".to_owned(),
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pii() -> Pii {
        Pii::from_hex(&"1f".repeat(32), &"2e".repeat(32)).unwrap()
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // RFC 6238, appendix B, SHA-1, the last six of eight digits
        let cipher = pii().seal([1; 12], b"12345678901234567890").unwrap();
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            let found = step(&pii(), &cipher, code, at(seconds)).unwrap();
            assert_eq!(found, Some(seconds / 30), "{seconds}");
        }
    }

    #[test]
    fn a_code_is_taken_one_step_early_or_late_and_no_more() {
        let cipher = pii().seal([1; 12], b"12345678901234567890").unwrap();
        for (seconds, is_taken) in [(29, true), (30, true), (59, true), (89, true), (90, false)] {
            let found = step(&pii(), &cipher, "287082", at(seconds)).unwrap();
            assert_eq!(found.is_some(), is_taken, "{seconds}");
        }
        for wrong in ["", "28708", "2870822", "28708a", "٢٨٧٠٨٢"] {
            assert_eq!(
                step(&pii(), &cipher, wrong, at(59)).unwrap(),
                None,
                "{wrong}"
            );
        }
        assert_eq!(step(&pii(), &cipher, "287082", at(-60)).unwrap(), None);
    }

    #[test]
    fn an_app_can_read_what_is_enrolled() {
        let enrolled = enrol(&Ids::seeded(3), &pii(), "asha@example.com").unwrap();
        assert_eq!(pii().open(&enrolled.cipher).unwrap().len(), SECRET_BYTES);
        let expected = format!(
            "otpauth://totp/MicroCrop:asha%40example.com?secret={}&issuer=MicroCrop",
            enrolled.secret
        );
        assert_eq!(enrolled.uri, expected);
    }
}
