//! Languages, and how days, crops and amounts are written in each; fills text templates so that
//! the result always fits. Never writes a character outside GSM-7.
//! Called by the USSD screens and by SMS texts.

use std::fmt;

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::money::{Money, grouped};
use crate::season::Window;
use crate::ussd::gsm7;

/// A language we speak to farmers in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Swahili.
    Sw,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::En, Self::Sw];

    /// ISO 639-1 code, as stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Sw => "sw",
        }
    }

    /// The language of a stored code.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|language| language.as_str() == code)
    }
}

/// A crop a plot can carry. Products name it by [`Crop::code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crop {
    /// Maize.
    Maize,
    /// Beans.
    Beans,
    /// Sorghum.
    Sorghum,
    /// Green grams.
    GreenGrams,
    /// Millet.
    Millet,
}

impl Crop {
    /// Every crop, in the order of the menu.
    pub const ALL: [Self; 5] = [
        Self::Maize,
        Self::Beans,
        Self::Sorghum,
        Self::GreenGrams,
        Self::Millet,
    ];

    /// As stored, and as products write it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Maize => "maize",
            Self::Beans => "beans",
            Self::Sorghum => "sorghum",
            Self::GreenGrams => "green_grams",
            Self::Millet => "millet",
        }
    }

    /// The crop of a stored code.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|crop| crop.code() == code)
    }

    /// Its name, at most 12 characters.
    #[must_use]
    pub fn name(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::Maize, Language::En) => "Maize",
            (Self::Maize, Language::Sw) => "Mahindi",
            (Self::Beans, Language::En) => "Beans",
            (Self::Beans, Language::Sw) => "Maharagwe",
            (Self::Sorghum, Language::En) => "Sorghum",
            (Self::Sorghum, Language::Sw) => "Mtama",
            (Self::GreenGrams, Language::En) => "Green grams",
            (Self::GreenGrams, Language::Sw) => "Ndengu",
            (Self::Millet, Language::En) => "Millet",
            (Self::Millet, Language::Sw) => "Wimbi",
        }
    }
}

const MONTHS_EN: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const MONTHS_SW: [&str; 12] = [
    "Jan", "Feb", "Mac", "Apr", "Mei", "Jun", "Jul", "Ago", "Sep", "Okt", "Nov", "Des",
];

/// A day without its year: `1 Mar`, `1 Mac`.
#[must_use]
pub fn day(language: Language, date: NaiveDate) -> String {
    let months = match language {
        Language::En => MONTHS_EN,
        Language::Sw => MONTHS_SW,
    };
    let index = usize::try_from(date.month0()).unwrap_or(0);
    format!(
        "{} {}",
        date.day(),
        months.get(index).copied().unwrap_or("?")
    )
}

/// First and last day of a window: `1 Mar-31 May`.
#[must_use]
pub fn window(language: Language, window: &Window) -> String {
    format!(
        "{}-{}",
        day(language, window.start),
        day(language, window.last_day())
    )
}

/// Whole shillings in groups of three, without the currency: `10,000`. Cents are shown when there
/// are any.
#[must_use]
pub fn shillings(amount: Money) -> String {
    match amount.whole_shillings().map(u64::try_from) {
        Some(Ok(whole)) => grouped(whole),
        _ => amount.to_string().trim_start_matches("KES ").to_owned(),
    }
}

/// Whole millimetres of rain, halves up.
#[must_use]
pub fn millimetres(um: i64) -> String {
    um.saturating_add(500)
        .checked_div(1_000)
        .unwrap_or(0)
        .to_string()
}

/// A value for a `{slot}` of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// Must be shown whole: amounts, codes, dates.
    Whole(String),
    /// May be cut to fit: names of people and places.
    Elastic(String),
}

impl Slot {
    /// Shown whole.
    pub fn whole(value: impl fmt::Display) -> Self {
        Self::Whole(gsm7::cleaned(value.to_string()))
    }

    /// May be cut.
    pub fn elastic(value: impl fmt::Display) -> Self {
        Self::Elastic(gsm7::cleaned(value.to_string()))
    }

    fn text(&self) -> &str {
        match self {
            Self::Whole(text) | Self::Elastic(text) => text,
        }
    }
}

/// Characters an elastic value keeps at least.
const ELASTIC_MIN: usize = 3;

/// A template with its slots filled, at most `max` septets: elastic values are shortened, longest
/// first, until it fits; a text that still does not fit is cut at its end. A slot without a value
/// stays empty.
#[must_use]
pub fn fill(template: &str, slots: &[(&str, Slot)], max: usize) -> String {
    fit(template, slots, max).unwrap_or_else(|text| cut(&text, max))
}

/// Like [`fill`], but hands back the overlong text as an error instead of cutting it.
pub fn fit(template: &str, slots: &[(&str, Slot)], max: usize) -> Result<String, String> {
    let fits = |text: &str| gsm7::length(text).is_some_and(|length| length <= max);
    let mut text = substitute(template, slots);
    if fits(&text) {
        return Ok(text);
    }
    let mut values: Vec<(&str, Slot)> = slots.to_vec();
    loop {
        let longest = values
            .iter_mut()
            .filter_map(|(_, slot)| match slot {
                Slot::Elastic(text) if text.chars().count() > ELASTIC_MIN => Some(text),
                _ => None,
            })
            .max_by_key(|text| text.chars().count());
        match longest {
            Some(text) => shorten(text),
            None => return Err(text),
        }
        text = substitute(template, &values);
        if fits(&text) {
            return Ok(text);
        }
    }
}

/// One character less, a full stop standing for what is missing.
fn shorten(text: &mut String) {
    if text.ends_with('.') {
        text.pop();
    }
    text.pop();
    while text.ends_with([' ', '-', '/']) {
        text.pop();
    }
    text.push('.');
}

/// The longest beginning of at most `max` septets.
fn cut(text: &str, max: usize) -> String {
    let mut used = 0_usize;
    gsm7::clean(text)
        .chars()
        .take_while(|c| {
            used = used.saturating_add(gsm7::width(*c).unwrap_or(2));
            used <= max
        })
        .collect()
}

fn substitute(template: &str, values: &[(&str, Slot)]) -> String {
    let mut out = String::with_capacity(template.len().saturating_add(64));
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            break;
        };
        if let Some((_, slot)) = values.iter().find(|(slot, _)| *slot == name) {
            out.push_str(slot.text());
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// Names of the slots of a template, in order; tests compare languages with it.
#[cfg(test)]
pub(crate) fn slots_of(template: &str) -> Vec<&str> {
    let mut names: Vec<&str> = template
        .split('{')
        .skip(1)
        .filter_map(|part| part.split('}').next())
        .collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_give_way_and_amounts_do_not() {
        let template = "{name} pays KES {sum}";
        let slots = [
            ("name", Slot::elastic("Wanjiku Kamau")),
            ("sum", Slot::whole("10,000")),
        ];
        assert_eq!(fill(template, &slots, 60), "Wanjiku Kamau pays KES 10,000");
        assert_eq!(fill(template, &slots, 26), "Wanjiku K. pays KES 10,000");
        assert_eq!(fill(template, &slots, 12), "Wa. pays KES");
    }

    #[test]
    fn days_and_amounts_read_as_people_write_them() {
        let start = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
        let end = NaiveDate::from_ymd_opt(2026, 8, 1).unwrap();
        assert_eq!(window(Language::Sw, &Window { start, end }), "1 Mac-31 Jul");
        assert_eq!(shillings(Money::kes(10_000).unwrap()), "10,000");
        assert_eq!(shillings(Money::kes_minor(84_450)), "844.50");
        assert_eq!(millimetres(162_500), "163");
    }

    #[test]
    fn codes_survive_storage() {
        for language in Language::ALL {
            assert_eq!(Language::parse(language.as_str()), Some(language));
            for crop in Crop::ALL {
                assert!(crop.name(language).len() <= 12);
                assert_eq!(Crop::parse(crop.code()), Some(crop));
            }
        }
    }
}
