//! One hop: token, form, ceiling, session, conversation, changes, answer. A hop sent twice gets
//! the same answer; a session that was lost is gone through again from the cumulative text.
//! Must always answer 200 with a screen (404 for a wrong token), and never log the form.
//! Called by the gateway, once for every input of a caller.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use axum::body::to_bytes;
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
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use super::intents::{self, Hop, Performed};
use super::needs::{self, HopError};
use super::session::{self, Record, text_hash};
use crate::App;
use crate::error::ApiError;
use crate::limits;
use crate::routes::{BODY_BYTES_MAX, REQUEST_SECONDS_MAX};

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

/// The gateway's form; fields that are not used are not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Form {
    session_id: String,
    phone_number: String,
    #[serde(default)]
    text: String,
}

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

/// `POST /api/ussd`: only where no token is configured.
pub(super) async fn without_token(State(app): State<App>, request: Request) -> Response {
    if !app.limits.allows_hop() {
        limits::ussd_busy(&app.metrics)
    } else if app.config.at_callback_token.is_empty() {
        always_a_screen(&app, request).await
    } else {
        unknown_path(&app)
    }
}

/// `POST /api/ussd/{token}`.
pub(super) async fn with_token(
    State(app): State<App>,
    Path(token): Path<String>,
    request: Request,
) -> Response {
    let expected = app.config.at_callback_token.expose().as_bytes();
    let right = !expected.is_empty() && bool::from(expected.ct_eq(token.as_bytes()));
    if !app.limits.allows_hop() {
        limits::ussd_busy(&app.metrics)
    } else if right {
        always_a_screen(&app, request).await
    } else {
        unknown_path(&app)
    }
}

/// A failure of ours (a panic, a body that does not come) is still a screen, because the gateway
/// shows its own error for anything but 200.
async fn always_a_screen(app: &App, request: Request) -> Response {
    let answering = async {
        let mut reading = pin!(to_bytes(request.into_body(), BODY_BYTES_MAX));
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
    if let Ok(response) = AssertUnwindSafe(answering).catch_unwind().await {
        return response;
    }
    // the panic hook has printed where
    tracing::error!("a ussd hop panicked");
    app.metrics
        .ussd_sessions
        .with_label_values(&["failed", "panic"])
        .inc();
    limits::ended(Notice::Failed)
}

fn unknown_path(app: &App) -> Response {
    app.metrics
        .rejected_inputs
        .with_label_values(&["ussd", "token"])
        .inc();
    ApiError::not_found().into_response()
}

async fn answer(app: &App, body: Option<Bytes>) -> Response {
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
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    ([(header::CONTENT_TYPE, plain)], answer.reply).into_response()
}

fn read(body: &[u8]) -> Option<Dial> {
    let form: Form = serde_urlencoded::from_bytes(body).ok()?;
    let sane = (1..=SESSION_ID_CHARS_MAX).contains(&form.session_id.chars().count());
    let phone = Msisdn::parse(&form.phone_number).ok().filter(|_| sane)?;
    Some(Dial {
        session_id: form.session_id,
        phone,
        text: form.text,
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
    let limit = Duration::from_secs(HOP_SECONDS_MAX);
    match tokio::time::timeout(limit, talk.go(record)).await {
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
    session_key: [u8; 32],
    inputs: &'a [&'a str],
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
        let mut key = Sha256::new();
        key.update(phone_index);
        key.update(dial.session_id.as_bytes());
        let now = app.clock.now();
        Self {
            app,
            dial,
            phone_index,
            session_key: key.finalize().into(),
            inputs,
            now,
        }
    }

    async fn go(&self, record: Option<Record>) -> Result<Answer, HopError> {
        let hash = text_hash(&self.dial.session_id, &self.dial.text);
        if let Some(record) = &record
            && record.session_id == self.dial.session_id
            && record.text_hash == hash
        {
            let screen = record.session.screen.name();
            return Ok(Answer {
                reply: record.reply.clone(),
                outcome: "repeated",
                screen,
            });
        }
        let start = self.start(record);
        let (replayed, newest) = (start.replayed, start.newest);
        let opened_with = start.opened_with.clone();
        let (session, reply) = self.walk(start).await?;
        let screen = session.screen.name();
        let outcome = match (replayed, reply.kind) {
            (true, _) => "healed",
            (false, Kind::Con) => "continued",
            (false, Kind::End) => "ended",
        };
        let record = Record {
            session_id: self.dial.session_id.clone(),
            hops: self.inputs.len(),
            text_hash: hash,
            session,
            opened_with,
            reply: reply.to_string(),
            saved_at: self.now,
        };
        if newest {
            let app = self.app;
            session::save_later(&app.redis, &app.pii, &app.ids, self.phone_index, &record);
        }
        Ok(Answer {
            reply: record.reply,
            outcome,
            screen,
        })
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
                let consumed = self.consumed(record.hops);
                let hash = consumed.map(|text| text_hash(&self.dial.session_id, text));
                if record.hops < self.inputs.len() && hash.as_ref() == Some(&record.text_hash) {
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
            session_key: &self.session_key,
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
