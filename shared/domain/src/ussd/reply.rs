//! What the phone shows: a text that goes on or ends, and the last words for refusals and for the
//! shell's own troubles. Every one fits a screen.
//! Never knows a session. Used by the steps and by the shell.

use super::screen::BODY_MAX;
use super::session::Refusal;
use super::text::texts;
use crate::i18n::{Language, Slot, fill, shillings};
use crate::money::Money;

/// Whether the conversation goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `CON `: an answer is expected.
    Con,
    /// `END `: the last words.
    End,
}

/// What the phone shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Whether it goes on.
    pub kind: Kind,
    /// The text below the prefix.
    pub text: String,
}

impl Reply {
    /// Last words; cut to what a screen holds.
    #[must_use]
    pub fn end(text: &str) -> Self {
        Self {
            kind: Kind::End,
            text: fill(text, &[], BODY_MAX),
        }
    }
}

impl Reply {
    /// As the gateway wants it: prefix, space, text.
    #[must_use]
    pub fn screen(&self) -> String {
        let prefix = match self.kind {
            Kind::Con => "CON ",
            Kind::End => "END ",
        };
        [prefix, &self.text].concat()
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.screen())
    }
}

/// Words of the shell when it cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The channel is switched off.
    Closed,
    /// Over a ceiling.
    Busy,
    /// A failure of ours.
    Failed,
    /// A request that cannot be read.
    Garbled,
    /// More inputs than a conversation may have.
    TooLong,
}

/// The last words for a notice; in both languages when hers is not known.
#[must_use]
pub fn notice(language: Option<Language>, notice: Notice) -> Reply {
    let say = |language| {
        let words = texts(language);
        match notice {
            Notice::Closed => words.closed,
            Notice::Busy => words.busy,
            Notice::Failed => words.failed,
            Notice::Garbled => words.garbled,
            Notice::TooLong => words.too_long,
        }
    };
    match language {
        Some(language) => Reply::end(say(language)),
        None => Reply::end(&format!("{}\n{}", say(Language::Sw), say(Language::En))),
    }
}

/// The last words of a purchase: the prompt for this premium is coming.
#[must_use]
pub fn bought(language: Language, premium: Money) -> Reply {
    let slots = [("premium", Slot::whole(shillings(premium)))];
    Reply::end(&fill(texts(language).bought, &slots, BODY_MAX))
}

/// The last words when an intent was refused.
#[must_use]
pub fn refused(language: Language, refusal: Refusal) -> Reply {
    let words = texts(language);
    Reply::end(match refusal {
        Refusal::IdTaken => words.refused_id,
        Refusal::PlotsFull => words.refused_plots,
        Refusal::SaleClosed => words.refused_sale,
        Refusal::SoldOut => words.refused_capacity,
        Refusal::AlreadyInsured => words.refused_insured,
        Refusal::PriceChanged => words.refused_price,
        Refusal::Gone => words.refused_gone,
    })
}
