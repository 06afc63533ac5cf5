//! One hop: token, form, ceiling, session, conversation, changes, answer. A hop sent twice gets
//! the same answer; a session that was lost is gone through again from the cumulative text.
//! Must always answer 200 with a screen (404 for a wrong token), and never log the form.
//! Called by the gateway, once for every input of a caller.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use axum::BoxError;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::i18n::Language;
use domain::msisdn::Msisdn;
use domain::ussd::{
    self, CONTINUE, Catalogue, Kind, Notice, Paused, Reply, Screen, Session, Step, Turn, View,
};
use futures_util::FutureExt as _;
use http_body_util::{BodyExt as _, Limited};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use super::intents::{self, Hop, Performed};
use super::needs::{self, HopError};
use super::session::{self, Record, TextHash, text_hash};
use crate::App;
use crate::error::ApiError;
use crate::routes::{BODY_BYTES_MAX, REQUEST_SECONDS_MAX};

/// The paths of the channel.
pub(super) const ROUTE: &str = "/api/ussd";
pub(super) const ROUTE_WITH_TOKEN: &str = "/api/ussd/{token}";
/// The type of every screen.
pub(crate) const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// Longest a hop may take; the gateway hangs up after 10 s.
const HOP_SECONDS_MAX: u64 = 8;
/// Most inputs of one conversation: a gateway session lasts 180 s.
const INPUTS_MAX: usize = 120;
/// Longest cumulative text, bytes.
const TEXT_BYTES_MAX: usize = 8 * 1024;
/// Longest session id, characters.
const SESSION_ID_CHARS_MAX: usize = 128;
/// Rounds in which a hop may ask for something more.
const NEEDS_MAX: usize = 6;

/// A readable call.
struct Dial {
    session_id: String,
    phone: Msisdn,
    text: String,
}

/// How a hop ended, for the counters.
struct Answer {
    reply: String,
    outcome: &'static str,
    screen: &'static str,
}

/// A call on one of the channel's paths.
pub(crate) struct Call {
    /// The template of its path.
    pub(crate) route: &'static str,
    /// Whether it knows the secret part of it, or none is configured.
    is_known: bool,
}

/// Which call a POST to this path is; `None` for paths of others.
pub(crate) fn call(app: &App, path: &str) -> Option<Call> {
    let token = match path.strip_prefix(ROUTE)? {
        "" => return Some(call_without_token(app)),
        rest => rest.strip_prefix('/')?,
    };
    // what is written in another way is for the router to read
    let is_plain = !token.is_empty() && !token.contains(['/', '%']);
    is_plain.then(|| call_with_token(app, token))
}

fn call_without_token(app: &App) -> Call {
    Call {
        route: ROUTE,
        is_known: app.config.at_callback_token.is_empty(),
    }
}

fn call_with_token(app: &App, token: &str) -> Call {
    let expected = app.config.at_callback_token.expose().as_bytes();
    Call {
        route: ROUTE_WITH_TOKEN,
        is_known: !expected.is_empty() && bool::from(expected.ct_eq(token.as_bytes())),
    }
}

/// `POST /api/ussd`: only where no token is configured.
pub(super) async fn without_token(State(app): State<App>, request: Request) -> Response {
    let call = call_without_token(&app);
    in_full(hop(&app, &call, request.into_body()).await)
}

/// `POST /api/ussd/{token}`.
pub(super) async fn with_token(
    State(app): State<App>,
    Path(token): Path<String>,
    request: Request,
) -> Response {
    let call = call_with_token(&app, &token);
    in_full(hop(&app, &call, request.into_body()).await)
}

fn in_full(screen: Option<String>) -> Response {
    match screen {
        Some(screen) => ([(header::CONTENT_TYPE, PLAIN)], screen).into_response(),
        None => ApiError::not_found().into_response(),
    }
}

/// Answers a call with a screen; `None` when it does not know the token. A failure of ours (a
/// panic, a body that does not come) is still a screen, because the gateway shows its own error
/// for anything but 200.
pub(crate) async fn hop<B>(app: &App, call: &Call, body: B) -> Option<String>
where
    B: axum::body::HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let rejected = |why| {
        app.metrics
            .rejected_inputs
            .with_label_values(&["ussd", why])
    };
    if !app.limits.allows_hop() {
        rejected("ceiling").inc();
        return Some(told(Notice::Busy, None).reply);
    }
    if !call.is_known {
        rejected("token").inc();
        return None;
    }
    let answering = async {
        let mut reading = pin!(to_bytes(body, BODY_BYTES_MAX));
        // it comes with the head, nearly always: no timer for that
        let body = if let Some(body) = reading.as_mut().now_or_never() {
            body.ok()
        } else {
            let limit = Duration::from_secs(REQUEST_SECONDS_MAX);
            let body = tokio::time::timeout(limit, reading).await;
            body.ok().and_then(Result::ok)
        };
        answer(app, body).await
    };
    if let Ok(screen) = AssertUnwindSafe(answering).catch_unwind().await {
        return Some(screen);
    }
    // the panic hook has printed where
    tracing::error!("a ussd hop panicked");
    app.metrics
        .ussd_sessions
        .with_label_values(&["failed", "panic"])
        .inc();
    Some(told(Notice::Failed, None).reply)
}

/// A whole body of at most `max` bytes; the one piece that nearly every body is, as it came.
async fn to_bytes<B>(body: B, max: usize) -> Result<Bytes, BoxError>
where
    B: axum::body::HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let mut body = pin!(Limited::new(body, max));
    let mut whole = Bytes::new();
    while let Some(frame) = body.frame().await {
        if let Ok(piece) = frame?.into_data() {
            if whole.is_empty() {
                whole = piece;
            } else {
                whole = [whole, piece].concat().into();
            }
        }
    }
    Ok(whole)
}

async fn answer(app: &App, body: Option<Bytes>) -> String {
    let started = Instant::now();
    let dial = body.as_deref().and_then(read);
    // it is a piece of the connection's buffer, which can then be used again
    drop(body);
    let answer = match dial {
        _ if !app.config.enable_ussd => told(Notice::Closed, None),
        Some(dial) => answer_dial(app, &dial).await,
        None => {
            app.metrics
                .rejected_inputs
                .with_label_values(&["ussd", "form"])
                .inc();
            told(Notice::Garbled, None)
        }
    };
    let took = started.elapsed().as_secs_f64();
    let metrics = &app.metrics;
    metrics
        .ussd_reply_seconds
        .with_label_values(&[answer.outcome])
        .observe(took);
    metrics
        .ussd_sessions
        .with_label_values(&[answer.outcome, answer.screen])
        .inc();
    answer.reply
}

/// Reads the gateway's form; fields that are not used are not looked at, and one that is there
/// twice is a form of somebody else.
fn read(form: &[u8]) -> Option<Dial> {
    let (mut session_id, mut phone_number, mut text) = (None, None, None);
    for (name, value) in form_urlencoded::parse(form) {
        let field = match &*name {
            "sessionId" => &mut session_id,
            "phoneNumber" => &mut phone_number,
            "text" => &mut text,
            _ => continue,
        };
        if field.replace(value).is_some() {
            return None;
        }
    }
    let session_id = session_id?;
    let sane = (1..=SESSION_ID_CHARS_MAX).contains(&session_id.chars().count());
    let phone = Msisdn::parse(&phone_number?).ok().filter(|_| sane)?;
    Some(Dial {
        session_id: session_id.into_owned(),
        phone,
        text: text.unwrap_or_default().into_owned(),
    })
}

fn told(notice: Notice, language: Option<Language>) -> Answer {
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

async fn answer_dial(app: &App, dial: &Dial) -> Answer {
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
