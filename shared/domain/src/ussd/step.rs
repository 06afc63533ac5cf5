//! One hop of a conversation: session, input and view in; next session, reply and intents out.
//! Never reads or writes anything; asks by [`Need`] for what the view lacks. Replaying the inputs
//! of a session gives the same session again.
//! Called by the shell for the dial and for each new input.

use super::buy::buy;
use super::input;
use super::register::{add_plot, register};
use super::reply::{Kind, Reply};
use super::screen::{body, farmer, item_count, per_page};
use super::session::{Caller, Draft, Goal, Intent, Need, PLOTS_MAX, Paused, Screen, Session};
use super::text::{Texts, texts};
use super::view::Turn;
use crate::i18n::Language;

/// Input that takes up an interrupted conversation. No menu has an item of this number, so that
/// replaying it into a conversation that has lost its past is noticed.
pub const CONTINUE: &str = "8";
/// Input that starts again instead.
const RESTART: &str = "9";
/// Input that goes one screen back.
const BACK: &str = "0";
/// Input that goes to the main menu.
const HOME: &str = "00";
/// Input that turns the page of a list.
const MORE: &str = "98";
/// Longest input looked at, characters (networks allow 80 to 90).
const INPUT_MAX: usize = 160;

/// The outcome of one hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The session to keep.
    pub session: Session,
    /// What to answer, if the intents succeed.
    pub reply: Reply,
    /// What must be done first; a refusal is answered by [`refused`] instead.
    pub intents: Vec<Intent>,
}

/// An input with the one before it.
#[derive(Debug, Clone, Copy)]
pub struct Hop<'a> {
    /// What was typed now.
    pub input: &'a str,
    /// What was typed one hop ago; empty on the first.
    pub previous: &'a str,
}

/// What a hop leads to.
pub(super) enum Move {
    /// Another screen.
    To(Screen),
    /// The same screen, on the page the session now says.
    Stay,
    /// The same screen again, with a note.
    Again(&'static str),
    /// The same screen again, with a note already filled.
    AgainFilled(String),
    /// Another screen, with a note.
    Say(Screen, &'static str),
    /// Last words.
    End(String),
}

/// What a move does, besides where it leads.
pub(super) type Moved = (Move, Vec<Intent>);

pub(super) fn to(screen: Screen) -> Moved {
    (Move::To(screen), Vec::new())
}

pub(super) fn again(note: &'static str) -> Moved {
    (Move::Again(note), Vec::new())
}

pub(super) fn end(text: &str) -> Moved {
    (Move::End(text.to_owned()), Vec::new())
}

/// The first hop: a stranger chooses a language, a farmer sees the menu, either may take up what
/// broke off. Needs the farmer.
pub fn open(paused: Option<Paused>, turn: &Turn<'_>) -> Result<Step, Need> {
    let mut session = Session {
        language: paused
            .as_ref()
            .map_or(Language::default(), |paused| paused.language),
        screen: Screen::Start,
        caller: Caller::Unknown,
        draft: Draft::default(),
        page: 0,
        paused: None,
    };
    know(&mut session, turn)?;
    session.screen = root(&session);
    if let Some(paused) = paused.filter(|paused| still_holds(paused, &session)) {
        session.paused = Some(Box::new(paused));
        session.screen = Screen::Resume;
    }
    let text = body(&mut session, None, turn)?;
    Ok(Step {
        session,
        reply: Reply {
            kind: Kind::Con,
            text,
        },
        intents: Vec::new(),
    })
}

/// Any later hop.
pub fn step(session: &Session, hop: Hop<'_>, turn: &Turn<'_>) -> Result<Step, Need> {
    let mut next = session.clone();
    let bounded: String = hop.input.chars().take(INPUT_MAX).collect();
    let (moved, intents) = decide(&mut next, bounded.trim(), hop.previous.trim(), turn)?;
    let mut note = None;
    match moved {
        Move::To(screen) => turn_to(&mut next, screen),
        Move::Say(screen, text) => {
            turn_to(&mut next, screen);
            note = Some(text.to_owned());
        }
        Move::Stay => {}
        Move::Again(text) => note = Some(text.to_owned()),
        Move::AgainFilled(text) => note = Some(text),
        Move::End(text) => {
            turn_to(&mut next, Screen::Ended);
            next.draft = Draft::default();
            return Ok(Step {
                session: next,
                reply: Reply::end(&text),
                intents,
            });
        }
    }
    if next.screen != Screen::Resume {
        next.paused = None;
    }
    let text = body(&mut next, note.as_deref(), turn)?;
    if next.screen == Screen::Home {
        next.draft = Draft::default();
    }
    Ok(Step {
        session: next,
        reply: Reply {
            kind: Kind::Con,
            text,
        },
        intents,
    })
}

fn turn_to(session: &mut Session, screen: Screen) {
    session.screen = screen;
    session.page = 0;
}

/// Makes sure that it is known who calls.
fn know(session: &mut Session, turn: &Turn<'_>) -> Result<(), Need> {
    if session.caller == Caller::Unknown {
        session.caller = match turn.view.farmer.as_ref().ok_or(Need::Farmer)? {
            Some(farmer) => {
                let mut farmer = farmer.clone();
                farmer.plots.truncate(PLOTS_MAX);
                session.language = farmer.language;
                Caller::Known(farmer)
            }
            None => Caller::Stranger,
        };
    }
    Ok(())
}

/// The screen everything starts from.
fn root(session: &Session) -> Screen {
    match session.caller {
        Caller::Stranger => Screen::Start,
        Caller::Known(_) | Caller::Unknown => Screen::Home,
    }
}

/// Whether what broke off still makes sense for the caller.
fn still_holds(paused: &Paused, session: &Session) -> bool {
    match (paused.draft.goal, farmer(session)) {
        (Goal::Register, None) => true,
        (Goal::AddPlot, Some(farmer)) => farmer.plots.len() < PLOTS_MAX,
        (Goal::Buy, Some(farmer)) => farmer
            .plots
            .iter()
            .any(|plot| Some(plot.id) == paused.draft.plot),
        _ => false,
    }
}

fn decide(
    session: &mut Session,
    input: &str,
    previous: &str,
    turn: &Turn<'_>,
) -> Result<Moved, Need> {
    let words = texts(session.language);
    match input {
        HOME if session.screen != Screen::Start => return Ok(to(root(session))),
        BACK => return back(session, words, turn),
        MORE if item_count_of_list(session, turn)? > 0 => return Ok(turn_page(session, turn)),
        _ => {}
    }
    match session.screen {
        Screen::Start => Ok(match input {
            "1" => begin(session, Language::En),
            "2" => begin(session, Language::Sw),
            _ => again(words.bad),
        }),
        Screen::Resume => resume(session, input, previous, turn),
        Screen::Home => home(session, input, words, turn),
        Screen::Name
        | Screen::NationalId
        | Screen::Consent
        | Screen::PinNew
        | Screen::PinAgain
        | Screen::WardCode
        | Screen::Counties
        | Screen::Constituencies
        | Screen::Wards
        | Screen::WardConfirm => Ok(register(session, input, previous, words, turn)),
        Screen::Acres | Screen::CropPick | Screen::Sowing | Screen::PlotWard => {
            Ok(add_plot(session, input, words, turn))
        }
        Screen::PlotPick => Ok(pick_plot(session, input, words)),
        Screen::Covers
        | Screen::Sums
        | Screen::Quote
        | Screen::QuizFirst
        | Screen::QuizSecond
        | Screen::Explain
        | Screen::Pin => buy(session, input, words, turn),
        Screen::Policies => {
            let policies = turn.view.policies.as_ref().ok_or(Need::Policies)?;
            session.draft.policy = input::choice(input, policies.len());
            Ok(if session.draft.policy.is_some() {
                to(Screen::Policy)
            } else {
                again(words.bad)
            })
        }
        Screen::Language => Ok(match input {
            "1" => speak(session, Language::En),
            "2" => speak(session, Language::Sw),
            _ => again(words.bad),
        }),
        Screen::Policy | Screen::Season | Screen::Help => Ok(again(words.bad)),
        Screen::Ended => Ok(end(words.bye)),
    }
}

/// Items of the list on the screen; reads what it is made of first.
fn item_count_of_list(session: &Session, turn: &Turn<'_>) -> Result<usize, Need> {
    if session.screen == Screen::Policies && turn.view.policies.is_none() {
        return Err(Need::Policies);
    }
    Ok(item_count(session, turn))
}

/// The next page; after the last comes the first again.
fn turn_page(session: &mut Session, turn: &Turn<'_>) -> Moved {
    let next = session.page.saturating_add(1);
    let shown = next.saturating_mul(per_page(session.screen));
    session.page = if shown < item_count(session, turn) {
        next
    } else {
        0
    };
    (Move::Stay, Vec::new())
}

fn back(session: &mut Session, words: &Texts, turn: &Turn<'_>) -> Result<Moved, Need> {
    if session.page > 0 {
        session.page = session.page.saturating_sub(1);
        return Ok((Move::Stay, Vec::new()));
    }
    let goal = session.draft.goal;
    let several = farmer(session).is_some_and(|farmer| farmer.plots.len() > 1);
    Ok(to(match session.screen {
        Screen::Start | Screen::Home | Screen::Ended => return Ok(end(words.bye)),
        Screen::Name => Screen::Start,
        Screen::NationalId => Screen::Name,
        Screen::WardCode if goal == Goal::AddPlot => Screen::PlotWard,
        Screen::WardCode => Screen::NationalId,
        Screen::Counties | Screen::WardConfirm | Screen::Consent => Screen::WardCode,
        Screen::Constituencies => Screen::Counties,
        Screen::Wards => Screen::Constituencies,
        Screen::PinNew if goal == Goal::Buy => Screen::Quote,
        Screen::PinNew => Screen::Consent,
        Screen::PinAgain => Screen::PinNew,
        Screen::CropPick => Screen::Acres,
        Screen::Sowing => Screen::CropPick,
        Screen::PlotWard => Screen::Sowing,
        Screen::Covers | Screen::Season if several => Screen::PlotPick,
        Screen::Sums => Screen::Covers,
        Screen::Quote => Screen::Sums,
        Screen::QuizFirst | Screen::Pin => Screen::Quote,
        Screen::Explain if session.draft.second_question => Screen::QuizSecond,
        Screen::QuizSecond | Screen::Explain => Screen::QuizFirst,
        Screen::Policy => {
            turn.view.policies.as_ref().ok_or(Need::Policies)?;
            Screen::Policies
        }
        _ => root(session),
    }))
}

/// A stranger has chosen a language and begins to register.
fn begin(session: &mut Session, language: Language) -> Moved {
    session.language = language;
    session.draft = Draft::default();
    to(Screen::Name)
}

/// A farmer has chosen another language.
fn speak(session: &mut Session, language: Language) -> Moved {
    session.language = language;
    if let Caller::Known(farmer) = &mut session.caller {
        farmer.language = language;
    }
    let note = texts(language).home_language;
    (
        Move::Say(Screen::Home, note),
        vec![Intent::SetLanguage(language)],
    )
}

/// Continue, start again, or anything that means the same without the offer to continue: a
/// replay after the loss of the offer therefore reads it alike.
fn resume(
    session: &mut Session,
    input: &str,
    previous: &str,
    turn: &Turn<'_>,
) -> Result<Moved, Need> {
    let paused = session.paused.take();
    turn_to(session, root(session));
    match (input, paused) {
        (CONTINUE, Some(paused)) => {
            session.language = paused.language;
            session.draft = paused.draft;
            Ok(to(paused.screen))
        }
        (RESTART, _) => Ok(to(session.screen)),
        (_, paused) => {
            let (moved, intents) = decide(session, input, previous, turn)?;
            if matches!(moved, Move::Again(_)) {
                session.screen = Screen::Resume;
                session.paused = paused;
            }
            Ok((moved, intents))
        }
    }
}

fn home(
    session: &mut Session,
    input: &str,
    words: &'static Texts,
    turn: &Turn<'_>,
) -> Result<Moved, Need> {
    know(session, turn)?;
    let Some(farmer) = farmer(session) else {
        return Ok(to(Screen::Start));
    };
    let plots = farmer.plots.len();
    let only_plot = farmer.plots.first().map(|plot| plot.id);
    session.draft = Draft::default();
    let pick = |session: &mut Session, goal: Goal, then: Screen| {
        session.draft.goal = goal;
        session.draft.plot = only_plot;
        to(if plots > 1 { Screen::PlotPick } else { then })
    };
    Ok(match input {
        "1" if plots == 0 => {
            session.draft.goal = Goal::AddPlot;
            to(Screen::Acres)
        }
        "1" => pick(session, Goal::Buy, Screen::Covers),
        "2" => to(Screen::Policies),
        "3" => pick(session, Goal::Season, Screen::Season),
        "4" if plots >= PLOTS_MAX => (Move::Say(Screen::Home, words.plots_full), Vec::new()),
        "4" => {
            session.draft.goal = Goal::AddPlot;
            to(Screen::Acres)
        }
        "5" => to(Screen::Help),
        "6" => to(Screen::Language),
        RESTART => to(Screen::Home),
        _ => again(words.bad),
    })
}

fn pick_plot(session: &mut Session, input: &str, words: &'static Texts) -> Moved {
    let plots = farmer(session).map_or(&[][..], |farmer| &farmer.plots);
    match input::choice(input, plots.len()).and_then(|index| plots.get(index)) {
        Some(plot) => {
            session.draft.plot = Some(plot.id);
            to(if session.draft.goal == Goal::Buy {
                Screen::Covers
            } else {
                Screen::Season
            })
        }
        None => again(words.bad),
    }
}
