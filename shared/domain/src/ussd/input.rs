//! What people type, taken apart: names, numbers, acres, dates. Bounded and forgiving; says `None`
//! to everything else.
//! Never panics on hostile text. Called by the conversation's steps.

use chrono::{Datelike, NaiveDate};

use super::gsm7;

/// Shortest and longest name kept, characters.
const NAME_CHARS: std::ops::RangeInclusive<usize> = 2..=40;
/// Digits of a national identity number, old and new.
const ID_DIGITS: std::ops::RangeInclusive<usize> = 6..=8;
/// Smallest and largest plot, hundredths of an acre.
const ACRES_E2: std::ops::RangeInclusive<u32> = 10..=10_000;

/// A name: letters, spaces and `' - .`, single-spaced; at least two letters.
pub fn name(input: &str) -> Option<String> {
    let mut out = String::new();
    for c in gsm7::clean(input).chars() {
        let kept = c.is_alphabetic() || matches!(c, '\'' | '-' | '.');
        if kept {
            out.push(c);
        } else if c == ' ' && !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
    }
    let name = out.trim_end().to_owned();
    let letters = name.chars().filter(|c| c.is_alphabetic()).count();
    (letters >= 2 && NAME_CHARS.contains(&name.chars().count())).then_some(name)
}

/// A national identity number: 6 to 8 digits, blanks ignored.
pub fn national_id(input: &str) -> Option<String> {
    let digits: String = input.chars().filter(|c| *c != ' ').collect();
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    (plain && ID_DIGITS.contains(&digits.len())).then_some(digits)
}

/// A choice from a numbered list of `count` items: 1 to `count`, as a position from 0.
pub(super) fn choice(input: &str, count: usize) -> Option<usize> {
    if input.is_empty() || input.len() > 3 || !input.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: usize = input.parse().ok()?;
    if number == 0 || number > count {
        None
    } else {
        number.checked_sub(1)
    }
}

/// Acres with up to two decimals, point or comma, as hundredths of an acre.
pub fn acres(input: &str) -> Option<u32> {
    let plain = input.replace(',', ".");
    let (whole, decimals) = plain.split_once('.').unwrap_or((&plain, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() > 3 || decimals.len() > 2 || !digits(whole) || !digits(decimals) {
        return None;
    }
    if whole.is_empty() && decimals.is_empty() {
        return None;
    }
    let whole: u32 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let decimals: u32 = format!("{decimals:0<2}").parse().ok()?;
    let acres_e2 = whole.checked_mul(100)?.checked_add(decimals)?;
    ACRES_E2.contains(&acres_e2).then_some(acres_e2)
}

/// Hundredths of an acre as people write acres: `0.5`, `2`.
pub(super) fn acres_text(acres_e2: u32) -> String {
    let whole = acres_e2.checked_div(100).unwrap_or(0);
    let rest = acres_e2.checked_rem(100).unwrap_or(0);
    if rest == 0 {
        return whole.to_string();
    }
    format!("{whole}.{rest:02}")
        .trim_end_matches('0')
        .to_owned()
}

/// `DDMM` as the date of that day nearest to today.
pub(super) fn day_month(input: &str, today: NaiveDate) -> Option<NaiveDate> {
    if input.len() != 4 || !input.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let day: u32 = input.get(..2)?.parse().ok()?;
    let month: u32 = input.get(2..)?.parse().ok()?;
    let year = today.year();
    [year.checked_sub(1)?, year, year.checked_add(1)?]
        .into_iter()
        .filter_map(|year| NaiveDate::from_ymd_opt(year, month, day))
        .min_by_key(|date| date.signed_duration_since(today).num_days().abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_and_bounded() {
        assert_eq!(
            name("  Wanjiku   wa Ng\u{2019}ang\u{2019}a "),
            Some("Wanjiku wa Ng'ang'a".to_owned())
        );
        for bad in ["", "A", "12345", "..", "\u{1f33d}", &"a".repeat(41), "a; 1"] {
            assert_eq!(name(bad), None, "{bad}");
        }
    }

    #[test]
    fn acres_take_a_point_or_a_comma() {
        for (text, expected) in [
            ("0.5", 50),
            ("2", 200),
            ("1,25", 125),
            (".1", 10),
            ("100", 10_000),
        ] {
            assert_eq!(acres(text), Some(expected), "{text}");
        }
        for bad in [
            "",
            ".",
            "0",
            "0.05",
            "0.125",
            "101",
            "-1",
            "1.2.3",
            "1e3",
            "9999999999",
        ] {
            assert_eq!(acres(bad), None, "{bad}");
        }
        assert_eq!(
            (acres_text(50), acres_text(200)),
            ("0.5".to_owned(), "2".to_owned())
        );
    }

    #[test]
    fn a_sowing_day_is_the_nearest_of_its_kind() {
        let today = NaiveDate::from_ymd_opt(2026, 1, 20).unwrap();
        assert_eq!(
            day_month("1503", today),
            NaiveDate::from_ymd_opt(2026, 3, 15)
        );
        assert_eq!(
            day_month("2012", today),
            NaiveDate::from_ymd_opt(2025, 12, 20)
        );
        assert_eq!(day_month("2902", today), None);
        for bad in ["", "3113", "0000", "1 03", "15033"] {
            assert_eq!(day_month(bad, today), None, "{bad}");
        }
    }

    #[test]
    fn choices_stay_inside_the_list() {
        assert_eq!(choice("1", 3), Some(0));
        for bad in ["0", "4", "", "-1", "99999", "1x"] {
            assert_eq!(choice(bad, 3), None, "{bad}");
        }
    }
}
