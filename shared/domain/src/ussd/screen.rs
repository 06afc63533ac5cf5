//! What each screen says: from a session to the text on the phone, at most 150 GSM-7 characters
//! with its prefix, whatever the data.
//! Never changes what was answered; only remembers in which order a list was shown.
//! Called by the conversation's steps.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::input;
use super::places::WardCode;
use super::session::{Caller, Draft, Farmer, Goal, Need, Plot, Screen, Session};
use super::text::{Texts, texts};
use super::view::{PolicyStatus, PolicySummary, Turn, chosen_offer, cover_name, offers};
use crate::i18n::{self, Crop, Slot, day, fit, millimetres, shillings, window};
use crate::money::Money;

/// Most GSM-7 characters of a screen, `CON ` or `END ` included (Safaricom shows 160, and whether
/// the prefix counts is not documented).
pub const SCREEN_MAX: usize = 150;
/// Characters of the prefix.
const PREFIX: usize = 4;
/// Slots of a page, mostly.
const SLOTS: usize = 8;
/// What is left for the text.
pub(super) const BODY_MAX: usize = SCREEN_MAX - PREFIX;

/// The template and the slots of a screen.
struct Page {
    template: Cow<'static, str>,
    slots: Vec<(&'static str, Slot)>,
}

/// Slots of the rows of a list, by their place on the screen.
const ROWS: [&str; 6] = ["row1", "row2", "row3", "row4", "row5", "row6"];

impl Page {
    fn new(template: impl Into<Cow<'static, str>>) -> Self {
        Self {
            template: template.into(),
            slots: Vec::with_capacity(SLOTS),
        }
    }

    fn slot(mut self, name: &'static str, value: Slot) -> Self {
        self.slots.push((name, value));
        self
    }

    fn whole(self, name: &'static str, value: impl std::fmt::Display) -> Self {
        self.slot(name, Slot::whole(value))
    }

    fn elastic(self, name: &'static str, value: impl std::fmt::Display) -> Self {
        self.slot(name, Slot::elastic(value))
    }

    /// Puts a page of numbered items in place of `{items}` and the hint for more in `{more}`.
    fn items(mut self, items: Vec<Slot>, page: usize, per_page: usize, more: &str) -> Self {
        let first = page.saturating_mul(per_page);
        let after = first.saturating_add(per_page);
        let hint = if after < items.len() { more } else { "" };
        let mut rows = String::with_capacity(BODY_MAX);
        let shown = items.into_iter().enumerate().skip(first).take(per_page);
        for ((index, item), name) in shown.zip(ROWS) {
            let number = index.saturating_add(1);
            // writing to a String cannot fail
            let _ = writeln!(rows, "{number}. {{{name}}}");
            self.slots.push((name, item));
        }
        let template = self.template.replace("{items}", &rows);
        self.template = Cow::Owned(template.replace("{more}", hint));
        self
    }

    /// The text, below a note where there is room for it.
    fn text(&self, note: Option<&str>) -> String {
        if let Some(note) = note {
            let noted = format!("{note}\n{}", self.template);
            if let Ok(text) = fit(&noted, &self.slots, BODY_MAX) {
                return text;
            }
        }
        i18n::fill(&self.template, &self.slots, BODY_MAX)
    }
}

/// Items a list screen shows at once.
pub(super) fn per_page(screen: Screen) -> usize {
    match screen {
        Screen::Policies => 3,
        Screen::PlotPick => 4,
        _ => 6,
    }
}

/// How many items a list screen has in all.
pub(super) fn item_count(session: &Session, turn: &Turn<'_>) -> usize {
    let places = &turn.catalogue.places;
    match session.screen {
        Screen::Counties => places.counties().len(),
        Screen::Constituencies => constituencies(&session.draft, turn).len(),
        Screen::Wards => wards(&session.draft, turn).len(),
        Screen::PlotPick => farmer(session).map_or(0, |farmer| farmer.plots.len()),
        Screen::Policies => turn.view.policies.as_ref().map_or(0, Vec::len),
        _ => 0,
    }
}

/// The farmer, when she is known.
pub(super) fn farmer(session: &Session) -> Option<&Farmer> {
    match &session.caller {
        Caller::Known(farmer) => Some(farmer),
        Caller::Unknown | Caller::Stranger => None,
    }
}

/// The plot chosen in the draft.
pub(super) fn chosen_plot(session: &Session) -> Option<&Plot> {
    let id = session.draft.plot?;
    farmer(session)?.plots.iter().find(|plot| plot.id == id)
}

/// The county chosen in the draft.
fn county<'a>(draft: &Draft, turn: &Turn<'a>) -> Option<&'a str> {
    turn.catalogue
        .places
        .counties()
        .get(draft.county?)
        .map(String::as_str)
}

/// Constituencies of the chosen county.
pub(super) fn constituencies<'a>(draft: &Draft, turn: &Turn<'a>) -> Vec<&'a str> {
    county(draft, turn).map_or_else(Vec::new, |name| turn.catalogue.places.constituencies(name))
}

/// Wards of the chosen constituency: code and name.
pub(super) fn wards<'a>(draft: &Draft, turn: &Turn<'a>) -> Vec<(WardCode, &'a str)> {
    let Some(county) = county(draft, turn) else {
        return Vec::new();
    };
    let names = constituencies(draft, turn);
    let Some(name) = draft.constituency.and_then(|index| names.get(index)) else {
        return Vec::new();
    };
    let wards = turn.catalogue.places.wards_of(county, name);
    wards
        .into_iter()
        .map(|ward| (ward.code, ward.name.as_str()))
        .collect()
}

fn ward_name<'a>(code: WardCode, turn: &Turn<'a>) -> &'a str {
    turn.catalogue
        .places
        .ward(code)
        .map_or("", |ward| ward.name.as_str())
}

fn first_word(name: &str) -> &str {
    name.split(' ').next().unwrap_or("")
}

/// Greeting name of the caller: hers, or the one typed so far.
fn greeting(session: &Session) -> &str {
    match farmer(session) {
        Some(farmer) => first_word(&farmer.name),
        None => session.draft.name.as_deref().map_or("", first_word),
    }
}

/// The text of the session's screen, with a note above it (for the main menu: as its headline).
/// Asks for what it needs and was not read.
pub(super) fn body(
    session: &mut Session,
    note: Option<&str>,
    turn: &Turn<'_>,
) -> Result<String, Need> {
    let words = texts(session.language);
    if session.screen == Screen::Home {
        let headline = note.unwrap_or(words.home_hello);
        return Ok(Page::new(words.home.replace("{headline}", headline))
            .elastic("name", greeting(session))
            .text(None));
    }
    Ok(page(session, words, turn)?.text(note))
}

fn page(session: &mut Session, words: &'static Texts, turn: &Turn<'_>) -> Result<Page, Need> {
    let places = &turn.catalogue.places;
    let (page, size) = (session.page, per_page(session.screen));
    let list = |template: &'static str, items: Vec<Slot>| {
        Page::new(template).items(items, page, size, words.item_more)
    };
    Ok(match session.screen {
        Screen::Start => Page::new(words.start),
        Screen::Home | Screen::Ended => Page::new(words.bye),
        Screen::Resume => resume(session, words, turn),
        Screen::Name => Page::new(words.name),
        Screen::NationalId => Page::new(words.national_id),
        Screen::WardCode => Page::new(words.ward),
        Screen::Counties => list(
            words.county,
            places.counties().iter().map(Slot::elastic).collect(),
        ),
        Screen::Constituencies => {
            let names = constituencies(&session.draft, turn);
            list(
                words.constituency,
                names.into_iter().map(Slot::elastic).collect(),
            )
            .elastic("county", county(&session.draft, turn).unwrap_or(""))
        }
        Screen::Wards => {
            let names = constituencies(&session.draft, turn);
            let chosen = session
                .draft
                .constituency
                .and_then(|index| names.get(index).copied());
            let items = wards(&session.draft, turn);
            list(
                words.ward_pick,
                items
                    .into_iter()
                    .map(|(_, name)| Slot::elastic(name))
                    .collect(),
            )
            .elastic("constituency", chosen.unwrap_or(""))
        }
        Screen::WardConfirm => {
            let ward = session.draft.ward.and_then(|code| places.ward(code));
            Page::new(words.ward_confirm)
                .whole(
                    "code",
                    ward.map(|ward| ward.code.to_string()).unwrap_or_default(),
                )
                .elastic("ward", ward.map_or("", |ward| ward.name.as_str()))
                .elastic("county", ward.map_or("", |ward| ward.county.as_str()))
        }
        Screen::Consent => Page::new(words.consent),
        Screen::PinNew => Page::new(words.pin_new),
        Screen::PinAgain => Page::new(words.pin_again),
        Screen::Acres => Page::new(words.acres),
        Screen::CropPick => {
            let names = Crop::ALL
                .into_iter()
                .map(|crop| Slot::whole(crop.name(session.language)));
            list(words.crop, names.collect())
        }
        Screen::Sowing => Page::new(words.sowing),
        Screen::PlotWard => {
            let code = farmer(session).map(|farmer| farmer.ward);
            Page::new(words.plot_ward)
                .whole(
                    "code",
                    code.map(|code| code.to_string()).unwrap_or_default(),
                )
                .elastic("ward", code.map_or("", |code| ward_name(code, turn)))
        }
        Screen::PlotPick => {
            let plots = farmer(session).map_or(&[][..], |farmer| &farmer.plots);
            let rows = plots
                .iter()
                .map(|plot| plot_row(plot, session, words))
                .collect();
            list(words.plot_pick, rows)
        }
        Screen::Covers => covers(session, words, turn),
        Screen::Sums => sums(session, words, turn),
        Screen::Quote | Screen::Pin => offer(session, words, turn),
        Screen::QuizFirst => Page::new(words.quiz_first),
        Screen::QuizSecond => Page::new(words.quiz_second),
        Screen::Explain => Page::new(words.explain),
        Screen::Policies => {
            let policies = turn.view.policies.as_ref().ok_or(Need::Policies)?;
            let rows = policies
                .iter()
                .map(|policy| policy_row(policy, session, words))
                .collect();
            let template = if policies.is_empty() {
                words.no_policies
            } else {
                words.policies
            };
            list(template, rows)
        }
        Screen::Policy => {
            let policies = turn.view.policies.as_ref().ok_or(Need::Policies)?;
            match session.draft.policy.and_then(|index| policies.get(index)) {
                Some(policy) => told(policy, session, words),
                None => Page::new(words.no_policies),
            }
        }
        Screen::Season => season(session, words, turn)?,
        Screen::Help => Page::new(words.help),
        Screen::Language => Page::new(words.language),
    })
}

fn resume(session: &Session, words: &'static Texts, turn: &Turn<'_>) -> Page {
    let Some(paused) = session.paused.as_deref() else {
        return Page::new(words.bye);
    };
    let draft = &paused.draft;
    let what = match draft.goal {
        Goal::Register | Goal::Season => words.resume_registering,
        Goal::AddPlot => words.resume_plot,
        Goal::Buy => words.resume_buying,
    };
    let product = draft.version.and_then(|id| turn.catalogue.version(id));
    let name = match farmer(session) {
        Some(farmer) => first_word(&farmer.name),
        None => draft.name.as_deref().map_or("", first_word),
    };
    let sum = Money::kes(draft.sum_insured_kes.unwrap_or(0)).unwrap_or(Money::ZERO_KES);
    Page::new(words.resume.replace("{what}", what))
        .elastic("name", name)
        .elastic(
            "cover",
            product.map_or("", |v| cover_name(&v.product, session.language)),
        )
        .whole("sum", shillings(sum))
}

fn plot_row(plot: &Plot, session: &Session, words: &'static Texts) -> Slot {
    let slots = [
        ("crop", Slot::whole(plot.crop.name(session.language))),
        ("acres", Slot::whole(input::acres_text(plot.acres_e2))),
        ("code", Slot::whole(plot.ward)),
    ];
    Slot::whole(i18n::fill(words.plot_item, &slots, BODY_MAX))
}

fn covers(session: &mut Session, words: &'static Texts, turn: &Turn<'_>) -> Page {
    let language = session.language;
    let Some(plot) = chosen_plot(session) else {
        return Page::new(words.refused_gone);
    };
    let versions = turn.catalogue.covers(plot, turn.now);
    let name = plot.crop.name(language);
    let code = plot.ward;
    if versions.is_empty() {
        let opens = turn
            .catalogue
            .sale_opens(plot, turn.now)
            .map_or_else(String::new, |date| {
                words.no_cover_opens.replace("{day}", &day(language, date))
            });
        session.draft.shown = Vec::new();
        let page = Page::new(words.no_cover)
            .whole("crop", name)
            .whole("code", code);
        return page.whole("opens", opens);
    }
    let per_page = per_page(Screen::Covers);
    let items: Vec<Slot> = versions
        .iter()
        .take(per_page)
        .map(|version| Slot::elastic(cover_name(&version.product, language)))
        .collect();
    session.draft.shown = versions
        .iter()
        .take(per_page)
        .map(|version| version.id)
        .collect();
    Page::new(words.covers)
        .whole("crop", name)
        .whole("code", code)
        .items(items, 0, per_page, "")
}

fn sums(session: &Session, words: &'static Texts, turn: &Turn<'_>) -> Page {
    let version = session
        .draft
        .version
        .and_then(|id| turn.catalogue.version(id));
    let (Some(plot), Some(version)) = (chosen_plot(session), version) else {
        return Page::new(words.refused_gone);
    };
    let items = offers(&version.product, plot.ward, turn.now)
        .into_iter()
        .map(|quote| {
            Slot::whole(format!(
                "{} ({})",
                shillings(quote.sum_insured),
                shillings(quote.premium)
            ))
        });
    Page::new(words.sums).items(items.collect(), 0, per_page(Screen::Sums), "")
}

/// The offer in full, or the asking for the PIN that accepts it.
fn offer(session: &Session, words: &'static Texts, turn: &Turn<'_>) -> Page {
    let version = session
        .draft
        .version
        .and_then(|id| turn.catalogue.version(id));
    let (Some(plot), Some(version)) = (chosen_plot(session), version) else {
        return Page::new(words.refused_gone);
    };
    let sum = session.draft.sum_insured_kes;
    let Some(quote) = chosen_offer(&version.product, plot.ward, sum, turn.now) else {
        return Page::new(words.refused_sale);
    };
    let language = session.language;
    let template = if session.screen == Screen::Pin {
        words.pin
    } else {
        words.quote
    };
    Page::new(template)
        .whole("crop", plot.crop.name(language))
        .whole("code", plot.ward)
        .elastic("ward", ward_name(plot.ward, turn))
        .whole("sum", shillings(quote.sum_insured))
        .whole("premium", shillings(quote.premium))
        .whole("window", window(language, &quote.cover))
        .elastic("cover", cover_name(&version.product, language))
}

fn policy_row(policy: &PolicySummary, session: &Session, words: &'static Texts) -> Slot {
    let state = match policy.status {
        PolicyStatus::AwaitingPremium => words.state_awaiting,
        PolicyStatus::Active => words.state_active,
        PolicyStatus::Lapsed => words.state_lapsed,
        PolicyStatus::Cancelled => words.state_cancelled,
        _ => words.state_settled,
    };
    Slot::whole(format!(
        "{} {} {} {state}",
        policy.crop.name(session.language),
        policy.ward,
        shillings(policy.sum_insured),
    ))
}

fn told(policy: &PolicySummary, session: &Session, words: &'static Texts) -> Page {
    let (status, payout, receipt) = match &policy.status {
        PolicyStatus::AwaitingPremium => (words.told_awaiting, None, ""),
        PolicyStatus::Active => (words.told_active, None, ""),
        PolicyStatus::Paid { payout, receipt } => {
            (words.told_paid, Some(*payout), receipt.as_str())
        }
        PolicyStatus::Coming(payout) => (words.told_coming, Some(*payout), ""),
        PolicyStatus::UnderReview(payout) => (words.told_review, Some(*payout), ""),
        PolicyStatus::NoPayout => (words.told_none, None, ""),
        PolicyStatus::Lapsed => (words.told_lapsed, None, ""),
        PolicyStatus::Cancelled => (words.told_cancelled, None, ""),
    };
    Page::new(words.policy.replace("{status}", status))
        .whole("code", &policy.code)
        .whole("crop", policy.crop.name(session.language))
        .whole("ward", policy.ward)
        .whole("sum", shillings(policy.sum_insured))
        .whole("premium", shillings(policy.premium))
        .whole("payout", payout.map(shillings).unwrap_or_default())
        .elastic("receipt", receipt)
        .whole("window", window(session.language, &policy.cover))
}

fn season(session: &Session, words: &'static Texts, turn: &Turn<'_>) -> Result<Page, Need> {
    let Some(plot) = chosen_plot(session) else {
        return Ok(Page::new(words.season_none));
    };
    let Some(season) = turn.view.season.as_ref().ok_or(Need::Season(plot.id))? else {
        return Ok(Page::new(words.season_none));
    };
    let language = session.language;
    let Some(until) = season.measured_until else {
        return Ok(Page::new(words.season_dry)
            .whole("code", season.ward)
            .whole("window", window(language, &season.window))
            .whole("trigger", season.trigger_mm));
    };
    let normal = season
        .normal_um
        .and_then(|normal| season.rain_um.checked_mul(100)?.checked_div(normal))
        .map_or_else(String::new, |percent| {
            words
                .season_normal
                .replace("{normal}", &percent.to_string())
        });
    Ok(Page::new(words.season)
        .whole("code", season.ward)
        .whole("since", day(language, season.window.start))
        .whole("until", day(language, until))
        .whole("rain", millimetres(season.rain_um))
        .whole("normal", normal)
        .whole("end", day(language, season.window.last_day()))
        .whole("trigger", season.trigger_mm))
}
