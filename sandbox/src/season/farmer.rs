//! A farmer at her handset: reads each screen, types what she would, mistypes, lets the call drop
//! and dials again, until her cover is bought. Never types by position alone, so that a call
//! resumed anywhere goes on. Called by the stage in which everybody dials.

use std::time::Duration;

use domain::i18n::Language;

use super::dial::{Call, Fault};
use super::net::Net;
use super::people::{Farmer, Habit};
use super::recognise::{Shown, items, recognise};
use crate::draw;

/// Most calls of one farmer; under chaos some drop.
const CALLS_MAX: u32 = 40;
/// Most hops of one call; registering and buying takes about 25.
const HOPS_MAX: u32 = 60;
/// Pause before dialling again after a dropped call.
const REDIAL_PAUSE: Duration = Duration::from_millis(500);

/// How a turn at the handset ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Bought,
    /// The call dropped as her habit is; she dials again when she has time.
    HungUp,
}

/// What happened on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) hops: u32,
    pub(crate) mistyped: u32,
    pub(crate) dropped: u32,
    pub(crate) resumed: u32,
    pub(crate) repeated: u32,
    pub(crate) wrong_pins: u32,
    /// Calls lost to the network or to our trouble.
    pub(crate) redialled: u32,
    /// Hops posted again because the answer was lost.
    pub(crate) reposts: u32,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.hops += other.hops;
        self.mistyped += other.mistyped;
        self.dropped += other.dropped;
        self.resumed += other.resumed;
        self.repeated += other.repeated;
        self.wrong_pins += other.wrong_pins;
        self.redialled += other.redialled;
        self.reposts += other.reposts;
    }
}

enum Act {
    Type(String),
    HangUp,
    Done,
    Redial,
}

/// A farmer between calls.
#[derive(Debug)]
pub(crate) struct AtHandset<'a> {
    farmer: &'a Farmer,
    seed: u64,
    calls: u32,
    /// Which visit to the handset this is; 0 is the first.
    round: u32,
    /// Whether the one peculiarity has shown already.
    is_habit_over: bool,
    wrong_answers: u32,
    is_resuming: bool,
    /// Whether a dropped call must be found again: not while processes are being killed.
    must_resume: bool,
    pub(crate) tally: Tally,
}

impl<'a> AtHandset<'a> {
    pub(crate) fn new(farmer: &'a Farmer, seed: u64, must_resume: bool) -> Self {
        Self {
            farmer,
            seed,
            calls: 0,
            round: 0,
            is_habit_over: false,
            wrong_answers: 0,
            is_resuming: false,
            must_resume,
            tally: Tally::default(),
        }
    }

    /// A later visit, with the peculiarity behind her.
    pub(crate) fn again(farmer: &'a Farmer, seed: u64, round: u32) -> Self {
        Self {
            round,
            is_habit_over: true,
            ..Self::new(farmer, seed, false)
        }
    }

    /// Dials until she has bought or hangs up; the error says what the product did wrong.
    pub(crate) async fn dial(&mut self, net: &Net) -> Result<Outcome, String> {
        let mut trouble = String::new();
        while self.calls < CALLS_MAX {
            self.calls += 1;
            let (seed, index) = (self.seed.to_string(), self.farmer.index.to_string());
            let nth = format!("{}.{}", self.round, self.calls);
            let id = draw::hex(32, &[&seed, "call", &index, &nth]);
            let mut call = Call::new(net, &self.farmer.phone, format!("ATUid_{id}"));
            let ended = self.converse(&mut call).await;
            self.tally.reposts += call.reposts;
            match ended {
                Ok(Some(outcome)) => return Ok(outcome),
                Ok(None) => trouble = String::from("the product asked to dial again"),
                Err(Fault::Dropped(reason)) => trouble = reason,
                Err(Fault::Broken(reason)) => return Err(self.blame(&reason)),
            }
            self.tally.redialled += 1;
            tokio::time::sleep(REDIAL_PAUSE).await;
        }
        Err(self.blame(&format!("{CALLS_MAX} calls dropped, the last: {trouble}")))
    }

    fn blame(&self, reason: &str) -> String {
        format!("farmer {}: {reason}", self.farmer.index)
    }

    /// One call; `None` asks to dial again.
    async fn converse(&mut self, call: &mut Call<'_>) -> Result<Option<Outcome>, Fault> {
        let mut screen = call.open().await?;
        for _ in 0..HOPS_MAX {
            self.tally.hops += 1;
            let shown = recognise(&screen);
            if self.farmer.habit == Habit::Repeats(shown) && !self.is_habit_over {
                self.is_habit_over = true;
                self.tally.repeated += 1;
                let again = call.repeat().await?;
                if again != screen {
                    let what = format!("the same hop was answered {screen:?} and then {again:?}");
                    return Err(Fault::Broken(what));
                }
            }
            let input = match self.act(shown, &screen)? {
                Act::Type(input) => input,
                Act::Done => return Ok(Some(Outcome::Bought)),
                Act::HangUp => return Ok(Some(Outcome::HungUp)),
                Act::Redial => return Ok(None),
            };
            screen = call.answer(&input).await?;
        }
        Err(Fault::Broken(format!(
            "no end after {HOPS_MAX} hops, at {screen:?}"
        )))
    }

    fn act(&mut self, shown: Shown, screen: &str) -> Result<Act, Fault> {
        let farmer = self.farmer;
        if !self.is_habit_over {
            match farmer.habit {
                Habit::Drops(at) if at == shown => {
                    self.is_habit_over = true;
                    self.is_resuming = true;
                    self.tally.dropped += 1;
                    return Ok(Act::HangUp);
                }
                Habit::Mistypes(at) if at == shown => {
                    self.is_habit_over = true;
                    self.tally.mistyped += 1;
                    return typed("abc #77");
                }
                Habit::WrongPin if shown == Shown::Pin => {
                    self.is_habit_over = true;
                    self.tally.wrong_pins += 1;
                    return typed(&farmer.other_pin());
                }
                Habit::WrongAnswers if shown == Shown::QuizFirst => {
                    self.wrong_answers += 1;
                    self.is_habit_over = self.wrong_answers == 2;
                    return typed("1");
                }
                _ => {}
            }
        }
        if self.is_resuming {
            self.is_resuming = false;
            if shown != Shown::Resume && self.must_resume {
                let what = format!("a dropped call could not be taken up: {screen:?}");
                return Err(Fault::Broken(what));
            }
        }
        let yes = "1";
        match shown {
            Shown::Resume => {
                self.tally.resumed += 1;
                typed("8")
            }
            Shown::Start if farmer.language == Language::En => typed(yes),
            Shown::Name => typed(&farmer.name),
            Shown::NationalId => typed(&farmer.national_id),
            Shown::WardCode => typed(&farmer.ward),
            Shown::PinNew | Shown::PinAgain | Shown::Pin => typed(&farmer.pin),
            Shown::Acres => typed(&farmer.acres),
            Shown::Sowing => typed(&farmer.sowing),
            Shown::Covers => typed(&self.cover(screen)?.to_string()),
            Shown::Sums => {
                let last = items(screen).last().map_or(1, |(number, _)| *number);
                typed(&farmer.sum.saturating_add(1).min(last).to_string())
            }
            Shown::Start | Shown::QuizFirst => typed("2"),
            Shown::Home
            | Shown::WardConfirm
            | Shown::Consent
            | Shown::Crop
            | Shown::PlotWard
            | Shown::PlotPick
            | Shown::Quote
            | Shown::QuizSecond
            | Shown::Explain => typed(yes),
            Shown::Bought | Shown::Insured => Ok(Act::Done),
            Shown::Trouble => Ok(Act::Redial),
            Shown::Policies | Shown::Policy | Shown::Season | Shown::Ended | Shown::Unknown => {
                Err(Fault::Broken(format!("an unexpected screen: {screen:?}")))
            }
        }
    }

    /// The number of the cover she wants.
    fn cover(&self, screen: &str) -> Result<u32, Fault> {
        let (english, swahili) = &self.farmer.cover;
        items(screen)
            .into_iter()
            .find(|(_, name)| name.starts_with(english) || name.starts_with(swahili))
            .map(|(number, _)| number)
            .ok_or_else(|| Fault::Broken(format!("the cover {english:?} is not sold: {screen:?}")))
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "so that each screen is one short arm"
)]
fn typed(input: &str) -> Result<Act, Fault> {
    Ok(Act::Type(input.to_owned()))
}
