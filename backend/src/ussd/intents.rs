//! What a hop changes: each intent is one store transaction, unique on (session, hop), so that a
//! hop sent twice or replayed finds its first outcome instead of doing it again.
//! Must never call a provider; the money is asked for by a worker that hears the bell.
//! Called by the handler before it answers.

use chrono::{DateTime, Utc};
use domain::event::{Envelope, Event};
use domain::i18n::Language;
use domain::id::{FarmerId, PlotId, PolicyId, ProductVersionId, QuoteId, ReceiptId};
use domain::money::Money;
use domain::msisdn::Msisdn;
use domain::policy::{PolicyState, lapses_at};
use domain::quote::{Quote, QuoteError, quote, sale_window_of};
use domain::ussd::{Intent, PLOTS_MAX, Pin, Purchase, Refusal, WardCode, policy_code};
use store::farmers::{self, NewFarmer, Registered};
use store::plots::{self, NewPlot};
use store::policies::{self, Policy};
use store::ussd::DONE;
use store::{Connection, StoreError, capacity, outbox, quotes, wards};

use super::needs::HopError;
use crate::App;

/// One hop of one conversation.
#[derive(Clone, Copy)]
pub(super) struct Hop<'a> {
    /// Whose.
    pub(super) phone: &'a Msisdn,
    /// Keyed hash of the phone.
    pub(super) phone_index: &'a [u8],
    /// Hash of phone and gateway session: a session id belongs to one phone.
    pub(super) session_key: &'a [u8],
    /// 0 for the dial, then 1 for the first input.
    pub(super) number: i16,
    /// Whether it is gone through again because its session was lost.
    pub(super) replayed: bool,
}

/// Kinds of recorded changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Register,
    SetLanguage,
    AddPlot,
    Buy,
    SetPin,
    PinMissed,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::SetLanguage => "set_language",
            Self::AddPlot => "add_plot",
            Self::Buy => "buy",
            Self::SetPin => "set_pin",
            Self::PinMissed => "pin_missed",
        }
    }
}

/// What came of an intent.
pub(super) enum Performed {
    /// It is done, now or before.
    Done,
    /// Bought; the premium that is asked for (an earlier purchase keeps its own).
    Bought(Money),
    /// It cannot be done.
    Refused(Refusal),
}

/// Outcome of the work inside a transaction, with what was made.
type Worked = Result<Option<uuid::Uuid>, Refusal>;

/// Performs one intent in its own transaction. A purchase that lost a race for its plot is tried
/// once more and then finds the winner.
pub(super) async fn perform(
    app: &App,
    hop: &Hop<'_>,
    now: DateTime<Utc>,
    intent: &Intent,
) -> Result<Performed, HopError> {
    match attempt(app, hop, now, intent).await {
        Err(HopError::Store(StoreError::Conflict { .. })) => attempt(app, hop, now, intent).await,
        other => other,
    }
}

async fn attempt(
    app: &App,
    hop: &Hop<'_>,
    now: DateTime<Utc>,
    intent: &Intent,
) -> Result<Performed, HopError> {
    let kind = kind_of(intent);
    // hashing takes long: before the transaction, never inside it
    let pin_hash = match new_pin(intent) {
        Some(pin) => Some(app.ussd.pins.hash(&app.ids, pin.digits()).await?),
        None => None,
    };
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let before =
        store::ussd::claim(&mut tx, now, hop.session_key, hop.number, kind.as_str()).await?;
    let worked: Worked = match before {
        Some(recorded) if recorded.outcome == DONE => Ok(recorded.subject_id),
        Some(recorded) => Err(read_refusal(&recorded.outcome)),
        None => {
            let worked = work(app, hop, now, intent, pin_hash.as_deref(), &mut tx).await?;
            let (outcome, subject) = match &worked {
                Ok(subject) => (DONE.to_owned(), *subject),
                Err(refusal) => (write_refusal(*refusal), None),
            };
            let key = hop.session_key;
            store::ussd::conclude(&mut tx, key, hop.number, kind.as_str(), &outcome, subject)
                .await?;
            worked
        }
    };
    let done = match worked {
        Err(refusal) => Performed::Refused(refusal),
        Ok(Some(policy)) if kind == Kind::Buy => Performed::Bought(
            policies::get(&mut tx, PolicyId::from(policy))
                .await?
                .premium,
        ),
        Ok(_) => Performed::Done,
    };
    tx.commit().await.map_err(StoreError::from)?;
    Ok(done)
}

async fn work(
    app: &App,
    hop: &Hop<'_>,
    now: DateTime<Utc>,
    intent: &Intent,
    pin_hash: Option<&str>,
    conn: &mut Connection,
) -> Result<Worked, StoreError> {
    match intent {
        Intent::Register {
            name,
            national_id,
            ward,
            language,
            consent_version,
            ..
        } => {
            let person = Person {
                name,
                national_id,
                ward: *ward,
                language: *language,
            };
            register(app, hop, now, &person, consent_version, pin_hash, conn).await
        }
        Intent::SetLanguage(language) => {
            let known = farmers::set_language(conn, hop.phone_index, *language).await?;
            Ok(if known { Ok(None) } else { Err(Refusal::Gone) })
        }
        Intent::AddPlot {
            ward,
            crop,
            acres_e2,
            sowing,
        } => {
            let Some(farmer_id) = farmers::find_id(conn, hop.phone_index).await? else {
                return Ok(Err(Refusal::Gone));
            };
            let full = i64::try_from(PLOTS_MAX).unwrap_or(i64::MAX);
            if plots::count_locked(conn, farmer_id).await? >= full {
                return Ok(Err(Refusal::PlotsFull));
            }
            let Some(ward) = wards::find(conn, &ward.to_string()).await? else {
                return Ok(Err(Refusal::Gone));
            };
            let id: PlotId = app.ids.mint(now);
            let plot = NewPlot {
                id,
                farmer_id,
                ward_code: &ward.code,
                cell: ward.cell,
                acres_e2: *acres_e2,
                crop: *crop,
                sown_on: *sowing,
                intent_key: None,
            };
            plots::insert(conn, now, &plot).await?;
            Ok(Ok(Some(id.uuid())))
        }
        Intent::Buy(purchase) => {
            if let Some(hash) = pin_hash {
                let Some(farmer_id) = farmers::find_id(conn, hop.phone_index).await? else {
                    return Ok(Err(Refusal::Gone));
                };
                let kind = Kind::SetPin.as_str();
                store::ussd::claim(conn, now, hop.session_key, hop.number, kind).await?;
                farmers::set_pin(conn, farmer_id, hash).await?;
            }
            buy(app, hop, now, purchase, conn).await
        }
    }
}

/// Who registers.
struct Person<'a> {
    name: &'a str,
    national_id: &'a str,
    ward: WardCode,
    language: Language,
}

async fn register(
    app: &App,
    hop: &Hop<'_>,
    now: DateTime<Utc>,
    person: &Person<'_>,
    consent_version: &str,
    pin_hash: Option<&str>,
    conn: &mut Connection,
) -> Result<Worked, StoreError> {
    let seal = |plain: &str| app.pii.seal(app.ids.bytes(), plain.as_bytes());
    let id: FarmerId = app.ids.mint(now);
    let farmer = NewFarmer {
        id,
        phone_index: hop.phone_index,
        phone_cipher: &seal(hop.phone.digits())?,
        name_cipher: &seal(person.name)?,
        national_id_index: &app.pii.national_id_index(person.national_id),
        national_id_cipher: &seal(person.national_id)?,
        language: person.language,
        ward_code: &person.ward.to_string(),
        pin_hash,
        consent_version,
    };
    Ok(match farmers::insert(conn, now, &farmer).await? {
        Registered::Fresh => Ok(Some(id.uuid())),
        // a second conversation of the same phone was quicker: she is registered
        Registered::PhoneTaken => Ok(None),
        Registered::NationalIdTaken => Err(Refusal::IdTaken),
    })
}

/// Quote, policy awaiting its premium, capacity, receipt and bell; or the purchase that stands.
async fn buy(
    app: &App,
    hop: &Hop<'_>,
    now: DateTime<Utc>,
    purchase: &Purchase,
    conn: &mut Connection,
) -> Result<Worked, StoreError> {
    let Some(farmer_id) = farmers::find_id(conn, hop.phone_index).await? else {
        return Ok(Err(Refusal::Gone));
    };
    let Some(plot) = plots::find_of_farmer(conn, farmer_id, purchase.plot).await? else {
        return Ok(Err(Refusal::Gone));
    };
    let catalogue = app.ussd.shelf.current(&app.pool).await?;
    let Some(version) = catalogue.version(purchase.version) else {
        return Ok(Err(Refusal::SaleClosed));
    };
    let product = &version.product;
    let live = policies::find_live_locked(conn, plot.id, version.id, purchase.season_year).await?;
    if let Some(policy) = live {
        return resume(app, now, &policy, conn).await;
    }
    let quote = match quote(product, &plot.ward_code, purchase.sum_insured, now) {
        Ok(quote) if quote.season_year != purchase.season_year => {
            return Ok(Err(Refusal::SaleClosed));
        }
        Ok(quote) if quote.premium != purchase.premium => return Ok(Err(Refusal::PriceChanged)),
        Ok(quote) => quote,
        Err(
            QuoteError::NotOnSale(..)
            | QuoteError::NoZone
            | QuoteError::Draft
            | QuoteError::Untold(_),
        ) => {
            return Ok(Err(Refusal::SaleClosed));
        }
        Err(_) => return Ok(Err(Refusal::PriceChanged)),
    };
    let Ok(sale) = sale_window_of(product, quote.season_year) else {
        return Ok(Err(Refusal::SaleClosed));
    };
    let policy = planned(app, now, &plot, version.id, &quote, sale.closes_at());
    let limit = Money::kes(product.capacity_kes_per_cell).unwrap_or(Money::ZERO_KES);
    let row_id = app.ids.uuid(now);
    let reserved =
        capacity::reserve(conn, row_id, policy.exposure(), policy.sum_insured, limit).await?;
    if !reserved {
        return Ok(Err(Refusal::SoldOut));
    }
    let quote_id: QuoteId = app.ids.mint(now);
    let quoted = quotes::Quoted {
        id: quote_id,
        farmer_id,
        plot_id: plot.id,
        version: version.id,
        quote: &quote,
    };
    quotes::insert(conn, now, quoted).await?;
    policies::insert(conn, &policy, quote_id, None).await?;
    ask_for_premium(app, now, &policy, conn).await?;
    Ok(Ok(Some(policy.id.uuid())))
}

/// A policy of a plot at a quoted price, as it is when it is bought.
pub(crate) fn planned(
    app: &App,
    now: DateTime<Utc>,
    plot: &plots::Plot,
    version: ProductVersionId,
    quote: &Quote,
    sale_closes_at: DateTime<Utc>,
) -> Policy {
    let id: PolicyId = app.ids.mint(now);
    let risk_cell = plot.cell.risk_cell();
    Policy {
        id,
        farmer_id: plot.farmer_id,
        plot_id: plot.id,
        version,
        season_year: quote.season_year,
        zone: quote.zone.clone(),
        risk_cell,
        accumulation_cell: risk_cell.accumulation_cell(),
        risk_id: None,
        window: quote.cover,
        sale_closes_at,
        sum_insured: quote.sum_insured,
        premium: quote.premium,
        state: PolicyState::AwaitingPremium,
        short_code: policy_code(id),
        bought_at: now,
        lapses_at: lapses_at(now),
    }
}

/// The purchase that stands: paid, or still to be paid with its open prompt or a fresh one.
async fn resume(
    app: &App,
    now: DateTime<Utc>,
    policy: &Policy,
    conn: &mut Connection,
) -> Result<Worked, StoreError> {
    if policy.state != PolicyState::AwaitingPremium {
        return Ok(Err(Refusal::AlreadyInsured));
    }
    if now >= policy.sale_closes_at {
        return Ok(Err(Refusal::SaleClosed));
    }
    ask_for_premium(app, now, policy, conn).await?;
    Ok(Ok(Some(policy.id.uuid())))
}

/// One open asking a policy: writes the next receipt unless one is open, and rings for it.
pub(crate) async fn ask_for_premium(
    app: &App,
    now: DateTime<Utc>,
    policy: &Policy,
    conn: &mut Connection,
) -> Result<(), StoreError> {
    let receipt_id: ReceiptId = app.ids.mint(now);
    let Some(receipt_id) = policies::request_premium(conn, now, policy, receipt_id).await? else {
        return Ok(());
    };
    let event = Event::PremiumRequested {
        receipt_id,
        policy_id: policy.id,
    };
    let envelope = Envelope {
        id: app.ids.mint(now),
        event,
        traceparent: None,
    };
    outbox::push(conn, now, &envelope, now).await
}

fn kind_of(intent: &Intent) -> Kind {
    match intent {
        Intent::Register { .. } => Kind::Register,
        Intent::SetLanguage(_) => Kind::SetLanguage,
        Intent::AddPlot { .. } => Kind::AddPlot,
        Intent::Buy(_) => Kind::Buy,
    }
}

fn new_pin(intent: &Intent) -> Option<&Pin> {
    match intent {
        Intent::Register { pin, .. } => Some(pin),
        Intent::Buy(purchase) => purchase.new_pin.as_ref(),
        Intent::SetLanguage(_) | Intent::AddPlot { .. } => None,
    }
}

fn write_refusal(refusal: Refusal) -> String {
    match serde_json::to_value(refusal) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}

fn read_refusal(text: &str) -> Refusal {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).unwrap_or(Refusal::Gone)
}
