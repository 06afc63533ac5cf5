//! The USSD gateway acting for a phone: keeps the session and the joined text, posts each hop in
//! the gateway's form, cuts after 10 s, and tells the product when a session ended. What the
//! product answers is judged as the network would: a bad answer ends the session.
//! Called by the control API and by the page.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::msisdn::Msisdn;
use serde::Serialize;

use super::NAME;
use crate::schedule::Action;
use crate::wallets::UssdSession;
use crate::world::State;
use crate::{Callback, World, draw};

/// The gateway drops a session whose hop is not answered in this time.
const HOP_SECONDS_MAX: u64 = 10;
/// Longest screen of Safaricom's handsets, characters.
const SCREEN_CHARS_MAX: usize = 160;
/// The code dialled unless the settings say otherwise.
pub(crate) const SERVICE_CODE: &str = "*384*57#";

/// What the phone shows after a hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Screen {
    /// The session.
    pub session_id: String,
    /// The product's answer with its `CON ` or `END ` prefix; `None` when the network shows its
    /// own error.
    pub screen: Option<String>,
    /// Whether the session goes on.
    pub is_open: bool,
    /// What went wrong, in the network's words.
    pub error: Option<String>,
}

struct Hop {
    session_id: String,
    url: String,
    form: String,
    is_lost: bool,
    is_repeated: bool,
}

impl World {
    /// Dials (`input` empty: a new session, dropping an open one) or answers the open session.
    /// An error is a mistake of the caller, not of the product.
    pub async fn dial(&self, phone: &Msisdn, input: &str) -> Result<Screen, String> {
        let client = self
            .http()
            .ok_or("this world has no network; post the gateway's form to the router instead")?;
        let hop = self.with(|state, now| start_hop(state, now, phone, input))?;
        let mut answer = post(client, &hop).await;
        if hop.is_repeated {
            let second = post(client, &hop).await;
            if second != answer {
                self.with(|state, _| state.faults.count("ussd_repeat_differs"));
            }
            answer = second;
        }
        if hop.is_lost {
            answer = Err("the network lost the answer".to_owned());
        }
        Ok(self.with(|state, now| finish_hop(state, now, phone, &hop.session_id, answer)))
    }

    /// The phone's owner ends the open session; false when none was open.
    pub fn hang_up(&self, phone: &Msisdn) -> bool {
        self.with(|state, now| {
            let dropped = state.wallets.phone(phone.digits()).ussd.take();
            dropped.is_some_and(|dropped| {
                notify_ended(state, now, phone, &dropped, "Incomplete");
                true
            })
        })
    }
}

fn start_hop(
    state: &mut State,
    now: DateTime<Utc>,
    phone: &Msisdn,
    input: &str,
) -> Result<Hop, String> {
    let salt = state.salt.clone();
    let owner = state.wallets.phone(phone.digits());
    let open = owner.ussd.take();
    let mut session = match (open, input) {
        (open, "") => {
            if let Some(dropped) = open {
                notify_ended(state, now, phone, &dropped, "Incomplete");
            }
            let owner = state.wallets.phone(phone.digits());
            owner.dials += 1;
            let nth = owner.dials.to_string();
            UssdSession {
                session_id: format!("ATUid_{}", draw::hex(32, &[&salt, phone.digits(), &nth])),
                inputs: Vec::new(),
                hops: 0,
                started_at: now,
                last_screen: String::new(),
            }
        }
        (Some(mut session), input) => {
            session.inputs.push(input.to_owned());
            session
        }
        (None, _) => return Err("no session is open; dial first with an empty input".to_owned()),
    };
    session.hops += 1;
    let form = [
        ("sessionId", session.session_id.clone()),
        (
            "serviceCode",
            state
                .settings
                .service_code
                .clone()
                .unwrap_or(SERVICE_CODE.to_owned()),
        ),
        ("phoneNumber", phone.e164()),
        ("text", session.inputs.join("*")),
        ("networkCode", "63902".to_owned()),
    ];
    let key = format!("{}/{}", phone.digits(), session.inputs.len());
    let (is_lost, is_repeated) = state.faults.hop(NAME, &key);
    let hop = Hop {
        session_id: session.session_id.clone(),
        url: state.settings.ussd_url.clone(),
        form: serde_urlencoded::to_string(form).map_err(|error| error.to_string())?,
        is_lost,
        is_repeated,
    };
    state.wallets.phone(phone.digits()).ussd = Some(session);
    Ok(hop)
}

async fn post(client: &runtime::http::Client, hop: &Hop) -> Result<String, String> {
    let answer = client
        .post(&hop.url)
        .header("content-type", "application/x-www-form-urlencoded")
        .timeout(Duration::from_secs(HOP_SECONDS_MAX))
        .body(hop.form.clone())
        .send()
        .await
        .map_err(|_| "no answer within 10 s".to_owned())?;
    let status = answer.status().as_u16();
    let body = answer
        .text()
        .await
        .map_err(|_| "the answer broke off".to_owned())?;
    if status != 200 {
        return Err(format!("http {status}"));
    }
    if body.starts_with("CON ") || body.starts_with("END ") {
        Ok(body)
    } else {
        Err("answer does not start with CON or END".to_owned())
    }
}

fn finish_hop(
    state: &mut State,
    now: DateTime<Utc>,
    phone: &Msisdn,
    session_id: &str,
    answer: Result<String, String>,
) -> Screen {
    let is_open = answer
        .as_ref()
        .is_ok_and(|screen| screen.starts_with("CON "));
    if answer
        .as_ref()
        .is_ok_and(|screen| screen.chars().count() > SCREEN_CHARS_MAX)
    {
        state.faults.count("ussd_screens_too_long");
    }
    let owner = state.wallets.phone(phone.digits());
    // a newer dial may have replaced this session while its hop was on the way
    if let Some(mut session) = owner
        .ussd
        .take_if(|session| session.session_id == session_id)
    {
        if let Ok(screen) = &answer {
            session.last_screen.clone_from(screen);
        }
        if is_open {
            owner.ussd = Some(session);
        } else {
            let status = if answer.is_ok() { "Success" } else { "Failed" };
            notify_ended(state, now, phone, &session, status);
        }
    }
    if answer.is_err() {
        state.faults.count("ussd_hops_failed");
    }
    let (screen, error) = match answer {
        Ok(screen) => (Some(screen), None),
        Err(error) => (None, Some(error)),
    };
    Screen {
        session_id: session_id.to_owned(),
        screen,
        is_open,
        error,
    }
}

/// Schedules the notice that a session ended.
fn notify_ended(
    state: &mut State,
    now: DateTime<Utc>,
    phone: &Msisdn,
    session: &UssdSession,
    status: &str,
) {
    if state.settings.at_events_url.is_empty() {
        return;
    }
    let form = [
        ("date", now.format("%Y-%m-%d %H:%M:%S").to_string()),
        ("sessionId", session.session_id.clone()),
        (
            "serviceCode",
            state
                .settings
                .service_code
                .clone()
                .unwrap_or(SERVICE_CODE.to_owned()),
        ),
        ("networkCode", "63902".to_owned()),
        ("phoneNumber", phone.e164()),
        ("status", status.to_owned()),
        ("cost", "KES 0.10".to_owned()),
        (
            "durationInMillis",
            (now - session.started_at).num_milliseconds().to_string(),
        ),
        ("hopsCount", session.hops.to_string()),
        ("input", session.inputs.join("*")),
        ("lastAppResponse", session.last_screen.clone()),
    ];
    let callback = Callback {
        provider: NAME,
        kind: "ussd-events",
        url: state.settings.at_events_url.clone(),
        content_type: "application/x-www-form-urlencoded",
        body: serde_urlencoded::to_string(form)
            .unwrap_or_default()
            .into_bytes(),
    };
    state
        .schedule
        .add(now + TimeDelta::seconds(1), Action::Deliver(callback));
}
