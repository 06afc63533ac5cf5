//! The control API: what a test, the season driver or a person does to this world that no provider
//! would allow. A malformed request is 400 with the reason; nothing is half done.
//! Nested under `/control`; weather's own controls are merged beside it.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State as Shared};
use axum::response::Response;
use axum::routing::{get, post};
use chrono::SecondsFormat;
use domain::msisdn::Msisdn;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::faults::Rates;
use crate::pinata::Switches;
use crate::reply::json;
use crate::wallets::PhoneSetup;
use crate::{MovementKind, World};

/// Most phones set up in one request.
const PHONES_MAX: usize = 100_000;
/// Most inputs played in one request.
const INPUTS_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultsSetup {
    #[serde(default)]
    seed: Option<u64>,
    #[serde(default)]
    rates: Rates,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Adjustment {
    minor: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dialled {
    msisdn: String,
    #[serde(default)]
    input: Option<String>,
    #[serde(default)]
    inputs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MpesaSetup {
    #[serde(default)]
    float_minor: Option<i64>,
    #[serde(default)]
    drop_tokens: bool,
}

/// The control endpoints, relative to `/control`.
pub(crate) fn router() -> Router<World> {
    Router::new()
        .route("/next-due", get(next_due))
        .route("/step", post(step))
        .route("/phones", post(set_up_phones))
        .route("/phones/{msisdn}", get(phone))
        .route("/dial", post(dial))
        .route("/wallets", get(wallets))
        .route("/wallets/{msisdn}/adjust", post(adjust))
        .route("/faults", post(set_faults))
        .route("/counters", get(counters))
        .route("/mpesa", post(set_mpesa))
        .route("/pinata", post(set_pinata).get(pinned))
}

fn bad(message: &str) -> Response {
    json(400, &json!({"error": message}))
}

/// The body as `T`, or the 400 that says what is wrong with it.
#[expect(clippy::result_large_err, reason = "the error is the answer itself")]
fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Response> {
    serde_json::from_slice(bytes).map_err(|error| bad(&error.to_string()))
}

#[expect(clippy::result_large_err, reason = "the error is the answer itself")]
fn number(text: &str) -> Result<Msisdn, Response> {
    Msisdn::parse(text).map_err(|error| bad(&error.to_string()))
}

async fn next_due(Shared(world): Shared<World>) -> Response {
    let (next, overdue) = world.next_due();
    let next = next.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    json(200, &json!({"next_due": next, "overdue": overdue}))
}

async fn step(Shared(world): Shared<World>) -> Response {
    let stepped = world.step().await;
    json(
        200,
        &json!({"fired": stepped.fired, "delivered": stepped.delivered,
                "undelivered": stepped.undelivered}),
    )
}

async fn set_up_phones(Shared(world): Shared<World>, bytes: Bytes) -> Response {
    let setups = match body::<Vec<PhoneSetup>>(&bytes) {
        Ok(setups) => setups,
        Err(refusal) => return refusal,
    };
    if setups.len() > PHONES_MAX {
        return bad("at most 100000 phones in one request");
    }
    for setup in &setups {
        if let Err(refusal) = number(&setup.msisdn) {
            return refusal;
        }
        if setup.balance_kes < 0 {
            return bad("balance_kes must not be negative");
        }
    }
    let count = setups.len();
    for setup in setups {
        if let Err(message) = world.set_up_phone(setup) {
            return bad(&message);
        }
    }
    json(200, &json!({"phones": count}))
}

async fn phone(Shared(world): Shared<World>, Path(msisdn): Path<String>) -> Response {
    let number = match number(&msisdn) {
        Ok(number) => number,
        Err(refusal) => return refusal,
    };
    world.with(|state, _| match state.wallets.phones.get(number.digits()) {
        None => json(404, &json!({"error": "this phone was never heard of"})),
        Some(phone) => json(
            200,
            &json!({"msisdn": number.digits(), "balance_minor": phone.balance_minor,
                    "is_registered": phone.is_registered, "stk": phone.stk, "b2c": phone.b2c,
                    "sms": phone.sms, "prompts": phone.prompts,
                    "ussd_session": phone.ussd.as_ref().map(|ussd| &ussd.session_id)}),
        ),
    })
}

/// One input, or a whole conversation: `inputs` dials and then answers each screen, and stops when
/// the session ends.
async fn dial(Shared(world): Shared<World>, bytes: Bytes) -> Response {
    let dialled = match body::<Dialled>(&bytes) {
        Ok(dialled) => dialled,
        Err(refusal) => return refusal,
    };
    let phone = match number(&dialled.msisdn) {
        Ok(phone) => phone,
        Err(refusal) => return refusal,
    };
    if dialled.inputs.len() > INPUTS_MAX {
        return bad("at most 64 inputs in one request");
    }
    let inputs = match (dialled.input, dialled.inputs) {
        (Some(input), rest) if rest.is_empty() => vec![input],
        (None, inputs) => std::iter::once(String::new()).chain(inputs).collect(),
        (Some(_), _) => return bad("give input or inputs, not both"),
    };
    let mut screens = Vec::new();
    for input in inputs {
        match world.dial(&phone, &input).await {
            Ok(screen) => {
                let is_open = screen.is_open;
                screens.push(screen);
                if !is_open {
                    break;
                }
            }
            Err(message) if screens.is_empty() => return bad(&message),
            Err(_) => break,
        }
    }
    let Some(last) = screens.last() else {
        return bad("nothing was dialled");
    };
    let mut answer = json!(last);
    if screens.len() > 1 {
        answer["screens"] = json!(screens);
    }
    json(200, &answer)
}

async fn wallets(Shared(world): Shared<World>) -> Response {
    world.with(|state, _| {
        let wallets = &state.wallets;
        let phones: Vec<_> = wallets
            .phones
            .iter()
            .filter(|(_, phone)| phone.is_registered)
            .map(|(digits, phone)| json!({"msisdn": digits, "balance_minor": phone.balance_minor}))
            .collect();
        json(
            200,
            &json!({"collected_minor": wallets.total(MovementKind::Collect),
                    "disbursed_minor": wallets.total(MovementKind::Disburse),
                    "float_minor": state.mpesa.float_minor,
                    "book": wallets.book, "phones": phones}),
        )
    })
}

/// Tampers with a balance behind the book's back: a test that compares both must notice.
async fn adjust(
    Shared(world): Shared<World>,
    Path(msisdn): Path<String>,
    bytes: Bytes,
) -> Response {
    let adjustment = match body::<Adjustment>(&bytes) {
        Ok(adjustment) => adjustment,
        Err(refusal) => return refusal,
    };
    let number = match number(&msisdn) {
        Ok(number) => number,
        Err(refusal) => return refusal,
    };
    world.with(|state, _| {
        let Some(phone) = state.wallets.phones.get_mut(number.digits()) else {
            return json(404, &json!({"error": "this phone was never heard of"}));
        };
        let Some(balance) = phone.balance_minor.checked_add(adjustment.minor) else {
            return bad("minor overflows the balance");
        };
        phone.balance_minor = balance;
        json(200, &json!({"balance_minor": balance}))
    })
}

async fn set_faults(Shared(world): Shared<World>, bytes: Bytes) -> Response {
    match body::<FaultsSetup>(&bytes) {
        Err(refusal) => refusal,
        Ok(setup) => match world.set_faults(setup.seed, setup.rates) {
            Ok(()) => json(200, &json!({"rates": setup.rates})),
            Err(message) => bad(&message),
        },
    }
}

async fn counters(Shared(world): Shared<World>) -> Response {
    json(200, &json!(world.counters()))
}

async fn set_mpesa(Shared(world): Shared<World>, bytes: Bytes) -> Response {
    let setup = match body::<MpesaSetup>(&bytes) {
        Ok(setup) => setup,
        Err(refusal) => return refusal,
    };
    world.with(|state, _| {
        state.mpesa.float_minor = setup.float_minor.unwrap_or(state.mpesa.float_minor);
        if setup.drop_tokens {
            state.mpesa.tokens.clear();
        }
        json(200, &json!({"float_minor": state.mpesa.float_minor}))
    })
}

async fn set_pinata(Shared(world): Shared<World>, bytes: Bytes) -> Response {
    match body::<Switches>(&bytes) {
        Err(refusal) => refusal,
        Ok(switches) => world.with(|state, _| {
            state.pinata.switches = switches;
            json(200, &json!(switches))
        }),
    }
}

async fn pinned(Shared(world): Shared<World>) -> Response {
    world.with(|state, _| json(200, &json!({"cids": state.pinata.cids()})))
}
