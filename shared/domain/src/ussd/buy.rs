//! Buying: cover, sum insured, offer, two comprehension questions, PIN. Ends in one [`Purchase`].
//! Never binds without both answers right and the PIN as the last input.
//! Called by [`super::step`].

use super::input;
use super::reply::bought;
use super::screen::{BODY_MAX, chosen_plot, farmer};
use super::session::{Intent, Need, Pin, PinCheck, Purchase, Screen, Session};
use super::step::{Move, Moved, again, end, to};
use super::text::{Texts, texts};
use super::view::{Turn, chosen_offer, offers};
use crate::i18n::{Slot, fill};

/// Wrong answers after which the cover is explained; one more and nothing is sold.
const WRONG_EXPLAINED: u8 = 2;

/// The screens of a purchase.
pub(super) fn buy(
    session: &mut Session,
    input: &str,
    words: &'static Texts,
    turn: &Turn<'_>,
) -> Result<Moved, Need> {
    Ok(match session.screen {
        Screen::Covers => {
            let shown = &session.draft.shown;
            match input::choice(input, shown.len()).and_then(|index| shown.get(index)) {
                Some(version) => {
                    session.draft.version = Some(*version);
                    to(Screen::Sums)
                }
                None => again(words.bad),
            }
        }
        Screen::Sums => {
            let version = session
                .draft
                .version
                .and_then(|id| turn.catalogue.version(id));
            let (Some(plot), Some(version)) = (chosen_plot(session), version) else {
                return Ok(end(words.refused_gone));
            };
            let list = offers(&version.product, plot.ward, turn.now);
            let chosen = input::choice(input, list.len()).and_then(|index| list.get(index));
            match chosen.and_then(|quote| quote.sum_insured.whole_shillings()) {
                Some(sum) => {
                    session.draft.sum_insured_kes = Some(sum);
                    to(Screen::Quote)
                }
                None => again(words.bad),
            }
        }
        Screen::Quote => match input {
            "1" => to(Screen::QuizFirst),
            "2" => to(Screen::Sums),
            _ => again(words.bad),
        },
        Screen::QuizFirst => match input {
            "1" => wrong_answer(session, false),
            "2" => to(Screen::QuizSecond),
            _ => again(words.bad),
        },
        Screen::QuizSecond => match input {
            "1" if farmer(session).is_some_and(|farmer| farmer.has_pin) => to(Screen::Pin),
            "1" => to(Screen::PinNew),
            "2" => wrong_answer(session, true),
            _ => again(words.bad),
        },
        Screen::Explain => match input {
            "1" if session.draft.second_question => to(Screen::QuizSecond),
            "1" => to(Screen::QuizFirst),
            _ => again(words.bad),
        },
        _ => {
            let Some(pin) = Pin::parse(input) else {
                return Ok(again(words.bad_pin));
            };
            match turn.view.pin.ok_or(Need::PinCheck(pin))? {
                PinCheck::Right => bind(session, None, turn),
                PinCheck::Wrong { left } => {
                    let note = fill(words.pin_wrong, &[("left", Slot::whole(left))], BODY_MAX);
                    (Move::AgainFilled(note), Vec::new())
                }
                PinCheck::Locked => end(words.pin_locked),
            }
        }
    })
}

/// The first wrong answer is asked again, the second explains, the third ends.
fn wrong_answer(session: &mut Session, second_question: bool) -> Moved {
    let words = texts(session.language);
    session.draft.second_question = second_question;
    session.draft.wrong_answers = session.draft.wrong_answers.saturating_add(1);
    match session.draft.wrong_answers {
        WRONG_EXPLAINED => to(Screen::Explain),
        wrong if wrong > WRONG_EXPLAINED => end(words.quiz_failed),
        _ => again(words.quiz_wrong),
    }
}

/// The purchase as accepted, or why there is none any more.
pub(super) fn bind(session: &mut Session, new_pin: Option<Pin>, turn: &Turn<'_>) -> Moved {
    let words = texts(session.language);
    let version = session
        .draft
        .version
        .and_then(|id| turn.catalogue.version(id));
    let (Some(plot), Some(version)) = (chosen_plot(session), version) else {
        return end(words.refused_gone);
    };
    let sum = session.draft.sum_insured_kes;
    let Some(quote) = chosen_offer(&version.product, plot.ward, sum, turn.now) else {
        return end(words.refused_sale);
    };
    let purchase = Purchase {
        plot: plot.id,
        version: version.id,
        season_year: quote.season_year,
        sum_insured: quote.sum_insured,
        premium: quote.premium,
        new_pin,
    };
    let last_words = bought(session.language, quote.premium).text;
    (Move::End(last_words), vec![Intent::Buy(purchase)])
}
