//! The page's phones: what a visitor's keys do. Dialling goes through the gateway's twin as any
//! phone's would, a payment prompt waits for its owner, and a PIN is checked for its form and then
//! forgotten: it is never stored, logged or compared with anything. Routed by the page.

use std::sync::PoisonError;

use axum::body::Bytes;
use axum::extract::{Path, State as Shared};
use axum::response::Response;
use domain::msisdn::Msisdn;
use http::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Page;
use super::requests::{read, refusal};
use crate::africastalking::SERVICE_CODE;
use crate::reply::json;
use crate::swypt;
use crate::wallets::{PhoneSetup, StkBehaviour};

/// Phones a page may have: more do not fit side by side.
const PHONES_MAX: usize = 6;
/// Shillings in a new wallet: enough for the dearest cover on sale.
const OPENING_KES: i64 = 5_000;
/// First number of the page; the others follow it.
const FIRST_NUMBER: u64 = 254_712_000_001;
/// Longest answer a handset sends.
const INPUT_CHARS_MAX: usize = 160;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dialled {
    code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answered {
    order_id: String,
    /// Left out to cancel.
    #[serde(default)]
    pin: Option<String>,
}

impl Page {
    /// Puts another phone on the page, with a wallet of its own.
    pub(super) fn add_phone(&self) -> Result<Msisdn, String> {
        let mut phones = self.0.phones.lock().unwrap_or_else(PoisonError::into_inner);
        if phones.len() >= PHONES_MAX {
            return Err(format!("the page has room for {PHONES_MAX} phones"));
        }
        let nth = u64::try_from(phones.len()).unwrap_or_default();
        let digits = FIRST_NUMBER.saturating_add(nth).to_string();
        let phone = Msisdn::parse(&digits).map_err(|error| error.to_string())?;
        self.0.world.set_up_phone(PhoneSetup {
            msisdn: digits,
            balance_kes: OPENING_KES,
            stk: Some(StkBehaviour::Ask),
            ..PhoneSetup::default()
        })?;
        phones.push(phone.clone());
        Ok(phone)
    }

    /// The code these phones dial.
    pub(super) fn service_code(&self) -> String {
        let code = self
            .0
            .world
            .with(|state, _| state.settings.service_code.clone());
        code.unwrap_or_else(|| SERVICE_CODE.to_owned())
    }

    /// The phone of these digits and what is asked of it.
    #[expect(clippy::result_large_err, reason = "the error is the answer itself")]
    fn order<T: DeserializeOwned>(
        &self,
        digits: &str,
        headers: &HeaderMap,
        bytes: &[u8],
    ) -> Result<(Msisdn, T), Response> {
        let known = self.phones().into_iter().find(|p| p.digits() == digits);
        let Some(phone) = known else {
            return Err(refusal(404, "no such phone is on this page"));
        };
        Ok((phone, read(headers, bytes)?))
    }
}

pub(super) async fn add(Shared(page): Shared<Page>, headers: HeaderMap, bytes: Bytes) -> Response {
    if let Err(refused) = read::<Nothing>(&headers, &bytes) {
        return refused;
    }
    match page.add_phone() {
        Ok(phone) => json(200, &json!({"msisdn": phone.digits()})),
        Err(message) => refusal(409, &message),
    }
}

/// Dials a code: the product's gives its first screen, any other what a network says to it.
pub(super) async fn dial(
    Shared(page): Shared<Page>,
    Path(digits): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let (phone, dialled): (Msisdn, Dialled) = match page.order(&digits, &headers, &bytes) {
        Ok(both) => both,
        Err(refused) => return refused,
    };
    if dialled.code != page.service_code() {
        return json(
            200,
            &shown(None, false, Some("Connection problem or invalid MMI code.")),
        );
    }
    if let Some(player) = &page.0.player {
        player.hold_for_call();
    }
    hop(&page, &phone, "").await
}

/// Answers the open session's screen.
pub(super) async fn input(
    Shared(page): Shared<Page>,
    Path(digits): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let (phone, typed): (Msisdn, Typed) = match page.order(&digits, &headers, &bytes) {
        Ok(both) => both,
        Err(refused) => return refused,
    };
    let length = typed.text.chars().count();
    if !(1..=INPUT_CHARS_MAX).contains(&length) || typed.text.contains(['*', '#']) {
        return refusal(400, "an answer has 1 to 160 characters, without * and #");
    }
    if let Some(player) = &page.0.player {
        player.hold_for_call();
    }
    hop(&page, &phone, &typed.text).await
}

async fn hop(page: &Page, phone: &Msisdn, text: &str) -> Response {
    match page.0.world.dial(phone, text).await {
        Ok(screen) => {
            let text = screen.screen.as_deref().and_then(|text| text.get(4..));
            // what went wrong in detail is for logs; a handset has its own words for it
            let error = screen.error.map(|_| "Network problem. Please dial again.");
            json(200, &shown(text, screen.is_open, error))
        }
        Err(message) => refusal(409, &message),
    }
}

fn shown(text: Option<&str>, is_open: bool, error: Option<&str>) -> Value {
    json!({"text": text, "open": is_open, "error": error})
}

/// The red key.
pub(super) async fn hang_up(
    Shared(page): Shared<Page>,
    Path(digits): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    match page.order::<Nothing>(&digits, &headers, &bytes) {
        Ok((phone, _)) => json(200, &json!({"ended": page.0.world.hang_up(&phone)})),
        Err(refused) => refused,
    }
}

/// The owner enters her M-Pesa PIN, or cancels.
pub(super) async fn answer(
    Shared(page): Shared<Page>,
    Path(digits): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let (phone, answered): (Msisdn, Answered) = match page.order(&digits, &headers, &bytes) {
        Ok(both) => both,
        Err(refused) => return refused,
    };
    if let Some(pin) = &answered.pin
        && !(pin.len() == 4 && pin.chars().all(|c| c.is_ascii_digit()))
    {
        return refusal(400, "an M-Pesa PIN has four digits");
    }
    let is_paying = answered.pin.is_some();
    let done = page.0.world.with(|state, now| {
        swypt::answer_by_hand(state, phone.digits(), &answered.order_id, is_paying, now)
    });
    match done {
        Ok(shown) => {
            if let Some(player) = &page.0.player {
                player.let_a_moment_pass(page.0.world.now());
            }
            json(200, &json!({"state": shown}))
        }
        Err(message) => refusal(409, message),
    }
}
