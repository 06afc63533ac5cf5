//! Becoming a farmer and adding a plot: who she is, where, that she agrees, her PIN; and what
//! grows where. The ward screens serve both; the PIN screens also serve a first purchase.
//! Never stores the first PIN: the second is compared with the input before it.
//! Called by [`super::step`].

use super::buy::bind;
use super::input;
use super::places::WardCode;
use super::screen::{constituencies, farmer, wards};
use super::session::{Caller, Goal, Intent, Pin, Screen, Session};
use super::step::{Move, Moved, again, end, to};
use super::text::{CONSENT_VERSION, Texts, texts};
use super::view::Turn;
use crate::i18n::Crop;

/// The screens of registration, of wards and of a new PIN.
pub(super) fn register(
    session: &mut Session,
    input: &str,
    previous: &str,
    words: &'static Texts,
    turn: &Turn<'_>,
) -> Moved {
    let places = &turn.catalogue.places;
    let ward_found = |session: &mut Session, ward: WardCode| {
        session.draft.ward = Some(ward);
        to(Screen::WardConfirm)
    };
    match session.screen {
        Screen::Name => match input::name(input) {
            Some(name) => {
                session.draft.name = Some(name);
                to(Screen::NationalId)
            }
            None => again(words.bad_name),
        },
        Screen::NationalId => match input::national_id(input) {
            Some(number) => {
                session.draft.national_id = Some(number);
                to(Screen::WardCode)
            }
            None => again(words.bad_id),
        },
        Screen::WardCode if input == "1" => to(Screen::Counties),
        Screen::WardCode => match WardCode::parse(input)
            .ok()
            .and_then(|code| places.ward(code))
        {
            Some(ward) => ward_found(session, ward.code),
            None => again(words.bad_ward),
        },
        Screen::Counties => match input::choice(input, places.counties().len()) {
            Some(index) => {
                session.draft.county = Some(index);
                to(Screen::Constituencies)
            }
            None => again(words.bad),
        },
        Screen::Constituencies => {
            match input::choice(input, constituencies(&session.draft, turn).len()) {
                Some(index) => {
                    session.draft.constituency = Some(index);
                    to(Screen::Wards)
                }
                None => again(words.bad),
            }
        }
        Screen::Wards => {
            let list = wards(&session.draft, turn);
            match input::choice(input, list.len()).and_then(|index| list.get(index)) {
                Some((code, _)) => ward_found(session, *code),
                None => again(words.bad),
            }
        }
        Screen::WardConfirm => match input {
            "1" if session.draft.goal == Goal::AddPlot => plot_added(session),
            "1" => to(Screen::Consent),
            "2" => to(Screen::WardCode),
            _ => again(words.bad),
        },
        Screen::Consent => match input {
            "1" => to(Screen::PinNew),
            "2" => end(words.consent_refused),
            _ => again(words.bad),
        },
        Screen::PinNew => {
            if Pin::parse(input).is_some() {
                to(Screen::PinAgain)
            } else {
                again(words.bad_pin)
            }
        }
        _ => match Pin::parse(input).filter(|_| input == previous) {
            Some(pin) if session.draft.goal == Goal::Buy => bind(session, Some(pin), turn),
            Some(pin) => registered(session, pin),
            None => (Move::Say(Screen::PinNew, words.pin_differs), Vec::new()),
        },
    }
}

fn registered(session: &mut Session, pin: Pin) -> Moved {
    let words = texts(session.language);
    let draft = &session.draft;
    let (Some(name), Some(national_id), Some(ward)) =
        (draft.name.clone(), draft.national_id.clone(), draft.ward)
    else {
        return to(Screen::Start);
    };
    let intent = Intent::Register {
        name,
        national_id,
        ward,
        language: session.language,
        consent_version: CONSENT_VERSION,
        pin,
    };
    session.caller = Caller::Unknown;
    (Move::Say(Screen::Home, words.home_registered), vec![intent])
}

/// The screens of a new plot.
pub(super) fn add_plot(
    session: &mut Session,
    input: &str,
    words: &'static Texts,
    turn: &Turn<'_>,
) -> Moved {
    match session.screen {
        Screen::Acres => match input::acres(input) {
            Some(area) => {
                session.draft.acres_e2 = Some(area);
                to(Screen::CropPick)
            }
            None => again(words.bad_acres),
        },
        Screen::CropPick => {
            match input::choice(input, Crop::ALL.len()).and_then(|index| Crop::ALL.get(index)) {
                Some(crop) => {
                    session.draft.crop = Some(*crop);
                    to(Screen::Sowing)
                }
                None => again(words.bad),
            }
        }
        Screen::Sowing if input == "1" => {
            session.draft.sowing = None;
            to(Screen::PlotWard)
        }
        Screen::Sowing => match input::day_month(input, crate::season::local_day(turn.now)) {
            Some(date) => {
                session.draft.sowing = Some(date);
                to(Screen::PlotWard)
            }
            None => again(words.bad_date),
        },
        _ => match input {
            "1" => {
                session.draft.ward = farmer(session).map(|farmer| farmer.ward);
                plot_added(session)
            }
            "2" => to(Screen::WardCode),
            _ => again(words.bad),
        },
    }
}

fn plot_added(session: &mut Session) -> Moved {
    let draft = &session.draft;
    let (Some(ward), Some(crop), Some(acres_e2)) = (draft.ward, draft.crop, draft.acres_e2) else {
        return to(Screen::Home);
    };
    let intent = Intent::AddPlot {
        ward,
        crop,
        acres_e2,
        sowing: draft.sowing,
    };
    session.caller = Caller::Unknown;
    (
        Move::Say(Screen::Home, texts(session.language).home_plot_saved),
        vec![intent],
    )
}
