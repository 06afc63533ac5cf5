//! What a conversation remembers between two hops, and what it asks of the shell. Plain data that
//! survives storage; bounded in size.
//! Never holds a PIN. Changed only by [`super::step`]; stored by the shell, encrypted.

use std::fmt;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::places::WardCode;
use crate::i18n::{Crop, Language};
use crate::id::{PlotId, ProductVersionId};
use crate::money::Money;

/// How long an interrupted conversation can be taken up again, hours.
pub const RESUME_HOURS: i64 = 24;

/// Most plots of one farmer; a list on a phone gets no longer.
pub const PLOTS_MAX: usize = 9;

/// Where a conversation stands: the screen last shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Screen {
    /// Strangers choose a language.
    Start,
    /// An interrupted conversation may be taken up.
    Resume,
    /// Main menu.
    Home,
    /// Full name.
    Name,
    /// National identity number.
    NationalId,
    /// Four-digit ward code.
    WardCode,
    /// List of counties.
    Counties,
    /// List of constituencies.
    Constituencies,
    /// List of wards.
    Wards,
    /// The chosen ward, echoed.
    WardConfirm,
    /// Consent to the use of personal data.
    Consent,
    /// A new PIN.
    PinNew,
    /// The new PIN again.
    PinAgain,
    /// Size of a plot.
    Acres,
    /// Crop of a plot.
    CropPick,
    /// Sowing date of a plot.
    Sowing,
    /// Ward of a plot.
    PlotWard,
    /// Which plot.
    PlotPick,
    /// Covers on sale for the plot.
    Covers,
    /// Sums insured with premiums.
    Sums,
    /// The offer in full.
    Quote,
    /// First comprehension question.
    QuizFirst,
    /// Second comprehension question.
    QuizSecond,
    /// Explanation after two wrong answers.
    Explain,
    /// PIN that binds the purchase.
    Pin,
    /// List of policies.
    Policies,
    /// One policy.
    Policy,
    /// Rain of the season so far.
    Season,
    /// Help.
    Help,
    /// Language of a registered farmer.
    Language,
    /// Nothing follows.
    Ended,
}

impl Screen {
    /// Its name, for counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Resume => "resume",
            Self::Home => "home",
            Self::Name => "name",
            Self::NationalId => "national_id",
            Self::WardCode => "ward_code",
            Self::Counties => "counties",
            Self::Constituencies => "constituencies",
            Self::Wards => "wards",
            Self::WardConfirm => "ward_confirm",
            Self::Consent => "consent",
            Self::PinNew => "pin_new",
            Self::PinAgain => "pin_again",
            Self::Acres => "acres",
            Self::CropPick => "crop_pick",
            Self::Sowing => "sowing",
            Self::PlotWard => "plot_ward",
            Self::PlotPick => "plot_pick",
            Self::Covers => "covers",
            Self::Sums => "sums",
            Self::Quote => "quote",
            Self::QuizFirst => "quiz_first",
            Self::QuizSecond => "quiz_second",
            Self::Explain => "explain",
            Self::Pin => "pin",
            Self::Policies => "policies",
            Self::Policy => "policy",
            Self::Season => "season",
            Self::Help => "help",
            Self::Language => "language",
            Self::Ended => "ended",
        }
    }
}

/// What the screens on the way are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Becoming a farmer of ours.
    #[default]
    Register,
    /// Adding a plot.
    AddPlot,
    /// Buying cover.
    Buy,
    /// Looking at the season.
    Season,
}

/// A plot as the conversation needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plot {
    /// Its id.
    pub id: PlotId,
    /// Its ward.
    pub ward: WardCode,
    /// Its crop.
    pub crop: Crop,
    /// Its size in hundredths of an acre.
    pub acres_e2: u32,
}

/// A registered farmer as the conversation needs her.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Farmer {
    /// Her name; only its first word is shown.
    pub name: String,
    /// Her language.
    pub language: Language,
    /// Her ward.
    pub ward: WardCode,
    /// Whether she has chosen a PIN.
    pub has_pin: bool,
    /// Her plots, oldest first; at most [`PLOTS_MAX`] are shown.
    pub plots: Vec<Plot>,
}

/// Who is calling, as far as the conversation knows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    /// Must be looked up before she is needed.
    #[default]
    Unknown,
    /// Not registered.
    Stranger,
    /// Registered.
    Known(Farmer),
}

/// Answers collected so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Draft {
    /// What for.
    pub goal: Goal,
    /// Full name.
    pub name: Option<String>,
    /// National identity number.
    pub national_id: Option<String>,
    /// Position in the list of counties.
    pub county: Option<usize>,
    /// Position in the list of constituencies.
    pub constituency: Option<usize>,
    /// Chosen ward.
    pub ward: Option<WardCode>,
    /// Size of the plot, hundredths of an acre.
    pub acres_e2: Option<u32>,
    /// Crop of the plot.
    pub crop: Option<Crop>,
    /// Sowing date of the plot.
    pub sowing: Option<NaiveDate>,
    /// Plot to insure or look at.
    pub plot: Option<PlotId>,
    /// Versions in the order shown, so that a number means what was on the screen.
    pub shown: Vec<ProductVersionId>,
    /// Chosen version.
    pub version: Option<ProductVersionId>,
    /// Chosen sum insured, KES.
    pub sum_insured_kes: Option<i64>,
    /// Comprehension questions answered wrong.
    pub wrong_answers: u8,
    /// Question to go back to after the explanation.
    pub second_question: bool,
    /// Position of the policy looked at.
    pub policy: Option<usize>,
}

/// A conversation that broke off where it is worth taking up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Where.
    pub screen: Screen,
    /// With what.
    pub draft: Draft,
    /// In which language.
    pub language: Language,
}

/// A conversation between two hops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Language spoken.
    pub language: Language,
    /// Screen last shown.
    pub screen: Screen,
    /// Who calls.
    pub caller: Caller,
    /// Answers so far.
    pub draft: Draft,
    /// Page of a list.
    pub page: usize,
    /// What may be taken up on the resume screen.
    pub paused: Option<Box<Paused>>,
}

impl Session {
    /// What is worth taking up if this conversation broke off at `saved_at`, as of `now`.
    #[must_use]
    pub fn paused(&self, saved_at: DateTime<Utc>, now: DateTime<Utc>) -> Option<Paused> {
        if now.signed_duration_since(saved_at) > TimeDelta::hours(RESUME_HOURS) {
            return None;
        }
        match self.screen {
            Screen::Resume => self.paused.as_deref().cloned(),
            screen if resumable(screen, self.draft.goal) => Some(Paused {
                screen: if screen == Screen::PinAgain {
                    Screen::PinNew
                } else {
                    screen
                },
                draft: self.draft.clone(),
                language: self.language,
            }),
            _ => None,
        }
    }
}

/// Whether enough has been answered to be worth keeping.
fn resumable(screen: Screen, goal: Goal) -> bool {
    match screen {
        Screen::NationalId
        | Screen::WardCode
        | Screen::Counties
        | Screen::Constituencies
        | Screen::Wards
        | Screen::WardConfirm
        | Screen::Consent
        | Screen::PinNew
        | Screen::PinAgain
        | Screen::CropPick
        | Screen::Sowing
        | Screen::PlotWard
        | Screen::Quote
        | Screen::QuizFirst
        | Screen::QuizSecond
        | Screen::Explain
        | Screen::Pin => goal != Goal::Season,
        _ => false,
    }
}

/// Four digits that bind a purchase. Never printed, never stored by the conversation.
#[derive(Clone, PartialEq, Eq)]
pub struct Pin(String);

impl Pin {
    /// Exactly four digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let four = text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit());
        four.then(|| Self(text.to_owned()))
    }

    /// The digits, for hashing.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(****)")
    }
}

/// What came of comparing a PIN with the farmer's; the shell compares and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinCheck {
    /// It is hers.
    Right,
    /// It is not; so many tries are left.
    Wrong {
        /// Tries left before the lock, at least 1.
        left: u8,
    },
    /// Locked, by this miss or an earlier one.
    Locked,
}

/// A change of business state that a hop asks for; each is one transaction of the shell, unique
/// on (session, hop).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Register the caller.
    Register {
        /// Full name, 2 to 40 characters.
        name: String,
        /// National identity number, 6 to 8 digits.
        national_id: String,
        /// Her ward.
        ward: WardCode,
        /// Her language.
        language: Language,
        /// Version of the consent text she agreed to.
        consent_version: &'static str,
        /// Her PIN, to be hashed.
        pin: Pin,
    },
    /// Change the caller's language.
    SetLanguage(Language),
    /// Add a plot.
    AddPlot {
        /// Its ward.
        ward: WardCode,
        /// Its crop.
        crop: Crop,
        /// Its size, hundredths of an acre.
        acres_e2: u32,
        /// When it was or will be sown, if known.
        sowing: Option<NaiveDate>,
    },
    /// Buy cover: quote, policy awaiting premium, capacity, receipt, prompt.
    Buy(Purchase),
}

/// What is bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchase {
    /// The plot.
    pub plot: PlotId,
    /// The product version.
    pub version: ProductVersionId,
    /// Year in which the cover begins.
    pub season_year: i32,
    /// Sum insured.
    pub sum_insured: Money,
    /// Premium as shown; another one now is a refusal.
    pub premium: Money,
    /// A PIN chosen with this purchase, by a farmer who had none.
    pub new_pin: Option<Pin>,
}

/// Why the shell could not do what an intent asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The national identity number is registered with another phone.
    IdTaken,
    /// The farmer has [`PLOTS_MAX`] plots.
    PlotsFull,
    /// The cover is not on sale (any more).
    SaleClosed,
    /// The accumulation limit of the area is reached.
    SoldOut,
    /// The plot has this cover already, paid.
    AlreadyInsured,
    /// The premium is another one now.
    PriceChanged,
    /// The plot or the farmer is not there.
    Gone,
}

/// What the shell must supply in the [`super::View`] before the hop can be decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// The caller, or that she is not registered.
    Farmer,
    /// The caller's policies, newest first, at most [`super::POLICIES_MAX`].
    Policies,
    /// The season of the plot's active policy.
    Season(PlotId),
    /// The comparison of this PIN with hers; a miss is counted once per hop.
    PinCheck(Pin),
}
