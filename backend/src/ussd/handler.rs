//! One hop: session, conversation, changes, answer. A hop sent twice gets the same answer; a
//! session that was lost is gone through again from the cumulative text.
//! Must answer whatever happens, and never log what was typed. Called for each readable call.

use std::error::Error;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::i18n::Language;
use domain::ussd::{
    self, CONTINUE, Catalogue, Kind, Notice, Paused, Reply, Screen, Session, Step, Turn, View,
};
use sha2::{Digest, Sha256};

use super::call::Dial;
use super::intents::{self, Hop, Performed};
use super::needs::{self, HopError};
use super::session::{self, Record, TextHash, text_hash};
use crate::App;

/// Longest a hop may take; the gateway hangs up after 10 s.
const HOP_SECONDS_MAX: u64 = 8;
/// Most inputs of one conversation: a gateway session lasts 180 s.
const INPUTS_MAX: usize = 120;
/// Longest cumulative text, bytes.
const TEXT_BYTES_MAX: usize = 8 * 1024;
/// Rounds in which a hop may ask for something more.
const NEEDS_MAX: usize = 6;

/// How a hop ended, for the counters.
pub(super) struct Answer {
    /// The screen, prefix included.
    pub(super) reply: String,
    /// `continued`, `ended`, `repeated`, `healed`, or a notice.
    pub(super) outcome: &'static str,
    /// Name of the screen.
    pub(super) screen: &'static str,
}

/// The last words for a notice.
pub(super) fn told(notice: Notice, language: Option<Language>) -> Answer {
    let outcome = match notice {
        Notice::Closed => "closed",
        Notice::Busy => "busy",
        Notice::Failed => "failed",
        Notice::Garbled => "garbled",
        Notice::TooLong => "too_long",
    };
    Answer {
        reply: ussd::notice(language, notice).to_string(),
        outcome,
        screen: "notice",
    }
}

/// Answers a readable call.
pub(super) async fn answer_dial(app: &App, dial: &Dial) -> Answer {
    let phone_index = app.pii.phone_index(&dial.phone);
    if !app.ussd.phones.allow(&phone_index) {
        app.metrics
            .rejected_inputs
            .with_label_values(&["ussd", "phone"])
            .inc();
        return told(Notice::Busy, None);
    }
    let record = session::load(&app.redis, &app.pii, &phone_index).await;
    let language = record.as_ref().map(|record| record.session.language);
    let inputs: Vec<&str> = if dial.text.is_empty() {
        Vec::new()
    } else {
        dial.text.split('*').collect()
    };
    if inputs.len() > INPUTS_MAX || dial.text.len() > TEXT_BYTES_MAX {
        app.metrics
            .rejected_inputs
            .with_label_values(&["ussd", "too_long"])
            .inc();
        return told(Notice::TooLong, language);
    }
    let talk = Talk::new(app, dial, &phone_index, &inputs);
    if let Some(answer) = record.as_ref().and_then(|record| talk.at_once(record)) {
        return answer;
    }
    // boxed: few hops come here, and every hop would carry its size
    let going = Box::pin(talk.go(record));
    match tokio::time::timeout(Duration::from_secs(HOP_SECONDS_MAX), going).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            let cause = error.source().map(ToString::to_string);
            tracing::error!(%error, cause, "a ussd hop failed");
            told(Notice::Failed, language)
        }
        Err(_) => {
            tracing::error!(seconds = HOP_SECONDS_MAX, "a ussd hop took too long");
            told(Notice::Failed, language)
        }
    }
}

/// One call of the gateway while it is answered.
struct Talk<'a> {
    app: &'a App,
    dial: &'a Dial,
    phone_index: &'a [u8],
    inputs: &'a [&'a str],
    /// Hash of the whole text.
    hash: TextHash,
    now: DateTime<Utc>,
}

/// Where a call starts from.
struct Start {
    /// The session after `hops` inputs; `None` before the dial was answered.
    session: Option<Session>,
    hops: usize,
    opened_with: Option<Paused>,
    /// Whether hops are gone through that were answered before.
    replayed: bool,
    /// Whether the outcome is the newest state of the phone.
    newest: bool,
}

impl<'a> Talk<'a> {
    fn new(app: &'a App, dial: &'a Dial, phone_index: &'a [u8], inputs: &'a [&'a str]) -> Self {
        Self {
            app,
            dial,
            phone_index,
            inputs,
            hash: text_hash(&dial.session_id, &dial.text),
            now: app.clock.now(),
        }
    }

    /// The answer that takes nothing but the stored session: the same one again, or the next
    /// screen where it needs and changes nothing. `None` sends the hop the long way.
    fn at_once(&self, record: &Record) -> Option<Answer> {
        if record.session_id != self.dial.session_id {
            return None;
        }
        if record.text_hash == self.hash {
            return Some(Answer {
                reply: record.reply.clone(),
                outcome: "repeated",
                screen: record.session.screen.name(),
            });
        }
        let (input, before) = self.inputs.split_last()?;
        if !self.follows(record) || record.hops != before.len() {
            return None;
        }
        let catalogue = self.app.ussd.shelf.fresh()?;
        let previous = before.last().unwrap_or(&"");
        let turn = Turn {
            view: &View::default(),
            catalogue: &catalogue,
            now: self.now,
        };
        let step = ussd::step(&record.session, ussd::Hop { input, previous }, &turn).ok()?;
        let is_talk_only = step.intents.is_empty();
        is_talk_only.then(|| {
            let opened_with = record.opened_with.clone();
            self.finish((step.session, step.reply), opened_with, false, true)
        })
    }

    async fn go(&self, record: Option<Record>) -> Result<Answer, HopError> {
        let start = self.start(record);
        let (replayed, newest) = (start.replayed, start.newest);
        let opened_with = start.opened_with.clone();
        let reached = self.walk(start).await?;
        Ok(self.finish(reached, opened_with, replayed, newest))
    }

    /// Keeps what was reached, if it is the newest, and says it.
    fn finish(
        &self,
        (session, reply): (Session, Reply),
        opened_with: Option<Paused>,
        replayed: bool,
        newest: bool,
    ) -> Answer {
        let screen = session.screen.name();
        let outcome = match (replayed, reply.kind) {
            (true, _) => "healed",
            (false, Kind::Con) => "continued",
            (false, Kind::End) => "ended",
        };
        let record = Record {
            session_id: self.dial.session_id.clone(),
            hops: self.inputs.len(),
            text_hash: self.hash,
            session,
            opened_with,
            reply: reply.screen(),
            saved_at: self.now,
        };
        if newest {
            let app = self.app;
            session::save_later(&app.redis, &app.pii, &app.ids, self.phone_index, &record);
        }
        Answer {
            reply: record.reply,
            outcome,
            screen,
        }
    }

    /// Whether what was typed begins with what the record has consumed, and goes on.
    fn follows(&self, record: &Record) -> bool {
        record.hops < self.inputs.len()
            && self
                .consumed(record.hops)
                .is_some_and(|text| text_hash(&self.dial.session_id, text) == record.text_hash)
    }

    /// From the stored session when it is this conversation's and what was typed begins with what
    /// it has consumed; else from the dial.
    fn start(&self, record: Option<Record>) -> Start {
        let from_dial = |opened_with, newest| Start {
            session: None,
            hops: 0,
            opened_with,
            replayed: !self.inputs.is_empty(),
            newest,
        };
        match record {
            Some(record) if record.session_id == self.dial.session_id => {
                if self.follows(&record) {
                    return Start {
                        session: Some(record.session),
                        hops: record.hops,
                        opened_with: record.opened_with,
                        replayed: self.inputs.len() - record.hops > 1,
                        newest: true,
                    };
                }
                // an older hop that arrives late must not set the newer state back
                from_dial(record.opened_with, record.hops <= self.inputs.len())
            }
            Some(record) => from_dial(record.session.paused(record.saved_at, self.now), true),
            None => from_dial(None, true),
        }
    }

    /// The text up to and with its `hops`th input; `None` when it has fewer.
    fn consumed(&self, hops: usize) -> Option<&str> {
        let inputs = self.inputs.get(..hops)?;
        let stars = hops.saturating_sub(1);
        let bytes: usize = inputs.iter().map(|input| input.len()).sum();
        self.dial.text.get(..bytes.saturating_add(stars))
    }

    /// Goes through every input that was not consumed yet.
    async fn walk(&self, start: Start) -> Result<(Session, Reply), HopError> {
        let shelf = &self.app.ussd.shelf;
        let catalogue = match shelf.fresh() {
            Some(catalogue) => catalogue,
            None => Box::pin(shelf.current(&self.app.pool)).await?,
        };
        let resumed = start.opened_with.is_some();
        let (mut session, mut reply) = if let Some(session) = start.session {
            (
                session,
                Reply {
                    kind: Kind::Con,
                    text: String::new(),
                },
            )
        } else {
            let opened_with = start.opened_with;
            let open = |turn: &Turn<'_>| ussd::open(opened_with.clone(), turn);
            self.hop(0, start.replayed, &catalogue, open).await?
        };
        // she took up a conversation of which nothing is left: what she typed since means nothing
        if start.hops == 0 && !resumed && self.inputs.first() == Some(&CONTINUE) {
            return Ok((session, reply));
        }
        for (index, input) in self.inputs.iter().enumerate().skip(start.hops) {
            let previous = index
                .checked_sub(1)
                .and_then(|i| self.inputs.get(i))
                .unwrap_or(&"");
            let hop = ussd::Hop { input, previous };
            (session, reply) = self
                .hop(index + 1, start.replayed, &catalogue, |turn| {
                    ussd::step(&session, hop, turn)
                })
                .await?;
        }
        Ok((session, reply))
    }

    /// What tells this conversation from every other one, in the database.
    fn session_key(&self) -> [u8; 32] {
        let mut key = Sha256::new();
        key.update(self.phone_index);
        key.update(self.dial.session_id.as_bytes());
        key.finalize().into()
    }

    /// One hop: what it needs, then what it changes.
    async fn hop(
        &self,
        number: usize,
        replayed: bool,
        catalogue: &Catalogue,
        decide: impl Fn(&Turn<'_>) -> Result<Step, ussd::Need>,
    ) -> Result<(Session, Reply), HopError> {
        let hop = Hop {
            phone: &self.dial.phone,
            phone_index: self.phone_index,
            session_key: &self.session_key(),
            number: i16::try_from(number).unwrap_or(i16::MAX),
            replayed,
        };
        let mut view = View::default();
        for _ in 0..NEEDS_MAX {
            let turn = Turn {
                view: &view,
                catalogue,
                now: self.now,
            };
            match decide(&turn) {
                Ok(step) => return self.perform(&hop, step).await,
                // boxed: most hops need nothing, and every hop would carry its size
                Err(need) => {
                    Box::pin(needs::load(self.app, &hop, self.now, need, &mut view)).await?;
                }
            }
        }
        Err(HopError::Unsatisfied)
    }

    async fn perform(&self, hop: &Hop<'_>, step: Step) -> Result<(Session, Reply), HopError> {
        let Step {
            mut session,
            mut reply,
            intents,
        } = step;
        for intent in &intents {
            match Box::pin(intents::perform(self.app, hop, self.now, intent)).await? {
                Performed::Done => {}
                Performed::Bought(premium) => reply = ussd::bought(session.language, premium),
                Performed::Refused(refusal) => {
                    session.screen = Screen::Ended;
                    return Ok((session.clone(), ussd::refused(session.language, refusal)));
                }
            }
        }
        Ok((session, reply))
    }
}
