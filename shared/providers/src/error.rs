//! What a failed call proves: that nothing was taken, that the answer is a final no, or nothing at
//! all. Never conflates the first with the third, and never carries a phone number in its text.
//! Returned by every client in this crate; matched by the workers that own the intent.

/// Longest provider text kept in an error, characters.
const MESSAGE_CHARS_MAX: usize = 200;
/// Runs of at least this many digits are masked: a Kenyan number without its code has nine.
const MASKED_DIGITS_MIN: usize = 7;

/// The outcome of a call that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// Provably not taken by the provider (or a read that failed): do it again later, with the
    /// same id. Wrong credentials and missing set-up are here too: mend the configuration.
    #[error("provider did not take the request ({code}): {message}; try again later")]
    Transient {
        /// Stable short code: ours (`connect`, `timeout`, `http_429`) or the provider's.
        code: String,
        /// The provider's words, bounded and masked.
        message: String,
    },
    /// A final no: nothing happened and the same request will never be taken.
    #[error("provider refused the request ({code}): {message}")]
    Refused {
        /// Stable short code: ours or the provider's.
        code: String,
        /// The provider's words, bounded and masked.
        message: String,
    },
    /// Sent, or maybe sent, outcome unknown: only the provider's evidence ends this.
    #[error("outcome unknown ({code}): {message}; ask the provider before sending anything new")]
    InDoubt {
        /// Stable short code: ours or the provider's.
        code: String,
        /// The provider's words, bounded and masked.
        message: String,
    },
}

impl ProviderError {
    pub(crate) fn transient(code: impl Into<String>, message: &str) -> Self {
        Self::Transient {
            code: code.into(),
            message: masked(message),
        }
    }

    pub(crate) fn refused(code: impl Into<String>, message: &str) -> Self {
        Self::Refused {
            code: code.into(),
            message: masked(message),
        }
    }

    pub(crate) fn in_doubt(code: impl Into<String>, message: &str) -> Self {
        Self::InDoubt {
            code: code.into(),
            message: masked(message),
        }
    }

    /// The short code, for metrics and rows.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Transient { code, .. }
            | Self::Refused { code, .. }
            | Self::InDoubt { code, .. } => code,
        }
    }

    /// The provider's words, bounded and masked.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Transient { message, .. }
            | Self::Refused { message, .. }
            | Self::InDoubt { message, .. } => message,
        }
    }

    /// `transient`, `refused` or `in_doubt`: the label of the outcome metric.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Transient { .. } => "transient",
            Self::Refused { .. } => "refused",
            Self::InDoubt { .. } => "in_doubt",
        }
    }

    /// Whether only evidence can end this.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        matches!(self, Self::InDoubt { .. })
    }
}

/// `text` with long digit runs starred and cut to a bounded length: provider messages repeat
/// phone numbers and names of accounts.
pub(crate) fn masked(text: &str) -> String {
    let mut out = String::new();
    let mut run = String::new();
    for character in text.chars().take(MESSAGE_CHARS_MAX) {
        if character.is_ascii_digit() {
            run.push(character);
        } else {
            flush(&mut out, &mut run);
            out.push(character);
        }
    }
    flush(&mut out, &mut run);
    out
}

fn flush(out: &mut String, run: &mut String) {
    if run.len() >= MASKED_DIGITS_MIN {
        out.push_str("***");
    } else {
        out.push_str(run);
    }
    run.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_carry_no_phone_number() {
        let error = ProviderError::refused("2040", "254712345678 is not a customer, code 2040");
        assert_eq!(error.message(), "*** is not a customer, code 2040");
        assert!(!error.to_string().contains("254712345678"));
    }

    #[test]
    fn messages_are_bounded() {
        assert_eq!(masked(&"x".repeat(5_000)).len(), MESSAGE_CHARS_MAX);
    }
}
