//! The text of a key: `mck_<8>_<52>`, lower-case base32. The first part lets people recognise a
//! key, the second has 260 random bits. Must never keep or log one.
//! Used by the gate and by what makes keys.

use runtime::ids::Ids;

/// What every key starts with; secret scanners may look for it.
const PREFIX: &str = "mck_";
/// Characters of the public part.
const HINT_CHARS: usize = 8;
/// Characters of the secret part, five bits each.
const SECRET_CHARS: usize = 52;

/// A new key, to be shown once.
pub(super) struct Credential {
    /// Its public part.
    pub(super) hint: String,
    /// The whole.
    pub(super) text: String,
}

/// Draws a key.
pub(super) fn draw(ids: &Ids) -> Credential {
    let hint = ids.base32(HINT_CHARS).to_ascii_lowercase();
    let secret = ids.base32(SECRET_CHARS).to_ascii_lowercase();
    Credential {
        text: format!("{PREFIX}{hint}_{secret}"),
        hint,
    }
}

/// Whether a text looks like a key.
pub(super) fn is_key(text: &str) -> bool {
    let is_base32 = |part: &str| {
        part.bytes()
            .all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b))
    };
    text.strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('_'))
        .is_some_and(|(hint, secret)| {
            hint.len() == HINT_CHARS
                && secret.len() == SECRET_CHARS
                && is_base32(hint)
                && is_base32(secret)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawn_key_looks_like_one_and_other_texts_do_not() {
        let drawn = draw(&Ids::system());
        assert!(is_key(&drawn.text) && drawn.text.contains(&drawn.hint));
        assert_ne!(draw(&Ids::system()).text, drawn.text);
        for text in ["", "mck_", "mck_abcdefgh_", "sk_abcdefgh_secret"] {
            assert!(!is_key(text), "{text}");
        }
        assert!(!is_key(&drawn.text.to_ascii_uppercase()));
    }
}
