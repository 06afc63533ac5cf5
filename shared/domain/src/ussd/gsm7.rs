//! The GSM 03.38 alphabet: what a feature phone can show and how much room it takes.
//! Never lets a character through that would turn a screen or a message into UCS-2 (70 characters).
//! Called by the USSD texts and by [`crate::sms`].

/// The basic table; one septet each.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// The extension table; an escape and a septet each, so two.
const EXTENDED: &str = "^{}\\[~]|€\u{c}";

/// Septets of each ASCII character, 0 for those the alphabet lacks: nearly all that is ever asked.
const ASCII: [u8; 128] = {
    let mut widths = [0; 128];
    let (mut place, mut byte) = (0, 0);
    while place < widths.len() {
        if has(BASIC.as_bytes(), byte) {
            widths[place] = 1;
        } else if has(EXTENDED.as_bytes(), byte) {
            widths[place] = 2;
        }
        place = place.saturating_add(1);
        byte = byte.saturating_add(1);
    }
    widths
};

/// Whether a table has an ASCII character; bytes of longer characters are never ASCII.
const fn has(table: &[u8], byte: u8) -> bool {
    let mut at = 0;
    while at < table.len() {
        if table[at] == byte {
            return true;
        }
        at = at.saturating_add(1);
    }
    false
}

/// Septets one character takes, or `None` when the alphabet has no such character.
#[must_use]
pub fn width(character: char) -> Option<usize> {
    let ascii = u8::try_from(character).ok().map(usize::from);
    if let Some(width) = ascii.and_then(|place| ASCII.get(place)) {
        return Some(usize::from(*width)).filter(|width| *width > 0);
    }
    if BASIC.contains(character) {
        Some(1)
    } else if EXTENDED.contains(character) {
        Some(2)
    } else {
        None
    }
}

/// Septets a text takes, or `None` when it does not fit the alphabet.
#[must_use]
pub fn length(text: &str) -> Option<usize> {
    text.chars()
        .try_fold(0_usize, |sum, c| sum.checked_add(width(c)?))
}

/// The text with every character the alphabet lacks written by its nearest plain one, else `?`.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            _ if width(c) == Some(1) && c != '\r' => c,
            '\u{2018}' | '\u{2019}' | '\u{02bc}' | '`' | '\u{b4}' => '\'',
            '\u{201c}' | '\u{201d}' => '"',
            '\u{2013}' | '\u{2014}' | '~' => '-',
            '\\' | '|' => '/',
            '[' | '{' => '(',
            ']' | '}' => ')',
            'á' | 'â' | 'ã' | 'ā' => 'a',
            'ê' | 'ë' => 'e',
            'í' | 'î' | 'ï' | 'ĩ' => 'i',
            'ó' | 'ô' | 'õ' => 'o',
            'ú' | 'û' | 'ũ' => 'u',
            'Ĩ' => 'I',
            'Ũ' => 'U',
            'ç' => 'c',
            _ if c.is_whitespace() => ' ',
            _ => '?',
        })
        .collect()
}

/// Like [`clean`]; a text that is clean already stays as it is.
#[must_use]
pub fn cleaned(text: String) -> String {
    let plain = |byte: u8| {
        let width = ASCII.get(usize::from(byte)).copied();
        width == Some(1) && byte != b'\r'
    };
    if text.bytes().all(plain) {
        text
    } else {
        clean(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_characters_take_two_septets_and_others_are_refused() {
        assert_eq!(length("Bima"), Some(4));
        assert_eq!(length("a[b]"), Some(6));
        assert_eq!(length("€"), Some(2));
        assert_eq!(length("\u{2019}"), None);
        assert_eq!(length("\u{1f33d}"), None);
        assert_eq!(BASIC.chars().count(), 127);
    }

    #[test]
    fn the_short_way_for_ascii_agrees_with_the_tables() {
        for character in (0..128_u8).map(char::from) {
            let expected = match (BASIC.contains(character), EXTENDED.contains(character)) {
                (true, _) => Some(1),
                (false, true) => Some(2),
                _ => None,
            };
            assert_eq!(width(character), expected, "{character:?}");
        }
    }

    #[test]
    fn cleaning_leaves_only_single_septets() {
        let cleaned = clean("Ng\u{2019}ang\u{2019}a M\u{169}tua \u{1f33d} [x]\t€");
        assert_eq!(cleaned, "Ng'ang'a Mutua ? (x) ?");
        assert_eq!(length(&cleaned), Some(cleaned.chars().count()));
    }

    #[test]
    fn the_short_way_of_cleaning_agrees_with_the_long_one() {
        for character in (0..=300_u32).filter_map(char::from_u32) {
            let text = format!("a{character}b");
            assert_eq!(cleaned(text.clone()), clean(&text), "{character:?}");
        }
    }
}
