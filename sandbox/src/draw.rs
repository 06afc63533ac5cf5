//! Chance as a function of what it is about: a hash of seed, place and count, so that one more
//! call somewhere does not change the outcome of another elsewhere. Never a shared stream.
//! Used for faults, delays and the ids this world hands out.

use sha2::{Digest, Sha256};

/// 32 bytes that depend on every part and on where one part ends.
pub(crate) fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}

/// A number in `0..4294967296`.
pub(crate) fn number(parts: &[&str]) -> u32 {
    let [a, b, c, d, ..] = digest(parts);
    u32::from_be_bytes([a, b, c, d])
}

/// A number in `0..below`; 0 when `below` is 0.
pub(crate) fn below(limit: u32, parts: &[&str]) -> u32 {
    number(parts).checked_rem(limit).unwrap_or(0)
}

/// Whether something of the given probability happens.
pub(crate) fn happens(probability: f64, parts: &[&str]) -> bool {
    // 2^32, the number of values `number` takes
    f64::from(number(parts)) / 4_294_967_296.0 < probability
}

/// Lower-case hexadecimal text of `length` characters, at most 64.
pub(crate) fn hex(length: usize, parts: &[&str]) -> String {
    let mut text = data_encoding::HEXLOWER.encode(&digest(parts));
    text.truncate(length);
    text
}

/// Text of `length` characters of `alphabet`, at most 32.
pub(crate) fn text(length: usize, alphabet: &[u8], parts: &[&str]) -> String {
    let size = alphabet.len().max(1);
    digest(parts)
        .iter()
        .take(length)
        .filter_map(|byte| alphabet.get(usize::from(*byte) % size))
        .map(|byte| char::from(*byte))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_question_has_the_same_answer() {
        assert_eq!(digest(&["a", "b"]), digest(&["a", "b"]));
        assert_ne!(digest(&["a", "b"]), digest(&["ab", ""]));
    }

    #[test]
    fn nothing_happens_at_zero_and_everything_at_one() {
        for nth in 0..200 {
            let nth = format!("{nth}");
            assert!(!happens(0.0, &["x", &nth]));
            assert!(happens(1.0, &["x", &nth]));
        }
    }
}
