//! Policies over REST. A partner buys for a farmer with her consent on record; what follows is
//! what follows her own purchase: capacity, a policy awaiting its premium, and her phone is asked.
//! Must never put a policy on risk: only her money does. Called over HTTP by partners.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use domain::id::{AgentId, FarmerId, PolicyId, QuoteId};
use domain::money::Money;
use domain::policy::PolicyState;
use domain::quote::{Quote, sale_window_of};
use domain::season::SeasonKey;
use domain::ussd::CONSENT_VERSION;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::api_keys::Scope;
use store::partner_views::{self, PolicyFilter, PolicyView};
use store::policies::{self, Consent};
use store::{Connection, StoreError, agents, capacity, receipts};
use utoipa::{IntoParams, ToSchema};

use super::amount::Amount;
use super::caller::Partner;
use super::change::{Begun, Mutation, Reply};
use super::input::{self, FieldFault};
use super::issue::{self, Actor};
use super::page::{Filter, Listed, PageQuery, Paging};
use super::quotes::{self, CoverBody};
use crate::App;
use crate::error::ApiError;
use crate::routes::Route;
use crate::ussd::{ask_for_premium, planned};

/// How far the clock of whoever wrote the consent down may be behind ours.
const CLOCKS_APART_MAX: TimeDelta = TimeDelta::minutes(10);

pub(super) fn routes() -> Vec<Route> {
    let (reads, writes) = (Scope::PoliciesRead, Scope::PoliciesWrite);
    vec![
        Route::partner_get("/api/v1/policies", reads, list),
        Route::partner_post("/api/v1/policies", writes, buy),
        Route::partner_get("/api/v1/policies/{policy}", reads, show),
        Route::partner_post("/api/v1/policies/{policy}/cancel", writes, cancel),
    ]
}

/// A farmer's consent to a purchase that was made for her.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PurchaseConsent {
    /// Version of the text she agreed to.
    version: String,
    /// The agent who asked her.
    obtained_by: Option<String>,
    /// When she agreed.
    obtained_at: DateTime<Utc>,
}

/// A policy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyBody {
    /// `pol_…`.
    id: String,
    /// What its holder knows it by.
    short_code: String,
    /// Whose.
    farmer_id: String,
    /// For which plot.
    plot_id: String,
    /// The quote it was bought at.
    quote_id: String,
    /// Its risk, once it is on risk.
    risk_id: Option<String>,
    /// Code of its product.
    product: String,
    /// Season it covers, `MAM-2026`.
    season: String,
    /// Zone whose triggers apply.
    zone: String,
    /// The cell it is observed in.
    risk_cell: String,
    /// Days covered.
    cover: CoverBody,
    /// What is insured.
    sum_insured: Amount,
    /// What it costs.
    premium: Amount,
    /// `awaiting_premium`, `active`, `settled`, `lapsed` or `cancelled`.
    state: &'static str,
    /// Her consent; null when she bought it herself, by phone.
    consent: Option<PurchaseConsent>,
    /// When it was bought.
    bought_at: DateTime<Utc>,
    /// When it lapses unpaid.
    lapses_at: DateTime<Utc>,
    /// When the sale of its season closes.
    sale_closes_at: DateTime<Utc>,
    /// When it came on risk.
    activated_at: Option<DateTime<Utc>>,
    /// When its season was settled.
    settled_at: Option<DateTime<Utc>>,
    /// When it lapsed or was cancelled.
    ended_at: Option<DateTime<Utc>>,
}

impl From<PolicyView> for PolicyBody {
    fn from(row: PolicyView) -> Self {
        Self {
            id: row.id.to_string(),
            short_code: row.short_code,
            farmer_id: row.farmer_id.to_string(),
            plot_id: row.plot_id.to_string(),
            quote_id: row.quote_id.to_string(),
            risk_id: row.risk_id.map(|id| id.to_string()),
            product: row.product,
            season: row.season.to_string(),
            zone: row.zone,
            risk_cell: row.risk_cell,
            cover: row.cover.into(),
            sum_insured: row.sum_insured.into(),
            premium: row.premium.into(),
            state: row.state.as_str(),
            consent: row.consent.map(|consent| PurchaseConsent {
                version: consent.version,
                obtained_by: consent.agent.map(|id| id.to_string()),
                obtained_at: consent.obtained_at,
            }),
            bought_at: row.bought_at,
            lapses_at: row.lapses_at,
            sale_closes_at: row.sale_closes_at,
            activated_at: row.activated_at,
            settled_at: row.settled_at,
            ended_at: row.ended_at,
        }
    }
}

/// A purchase to make for a farmer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyInput {
    /// The quote, `quo_…`.
    quote: String,
    /// Her consent.
    #[schema(required = true, nullable = false)]
    consent: Option<PurchaseConsentInput>,
}

/// Her consent to this purchase.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PurchaseConsentInput {
    /// Version of the consent text in force.
    #[schema(required = true, nullable = false)]
    version: Option<String>,
    /// The agent who asked her: id or code; left out when she agreed without one.
    obtained_by: Option<String>,
    /// When she agreed, RFC 3339, not in the future.
    #[schema(required = true, nullable = false)]
    obtained_at: Option<String>,
}

/// Which policies are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PolicyQuery {
    /// In this state.
    state: Option<String>,
    /// Of the product with this code.
    product: Option<String>,
    /// Of this season, `MAM-2026`.
    season: Option<String>,
    /// Of the farmer with this id.
    farmer: Option<String>,
    /// Bought at this time or later, RFC 3339.
    created_from: Option<String>,
    /// Bought before this time, RFC 3339.
    created_before: Option<String>,
}

fn filter(query: PolicyQuery) -> Result<PolicyFilter, FieldFault> {
    let farmer = query.farmer.map(|text| input::id_in_body("farmer", &text));
    let farmer: Option<FarmerId> = farmer.transpose()?;
    let state = query.state.map(|text| {
        PolicyState::parse(&text).ok_or_else(|| {
            let rule = "state must be awaiting_premium, active, settled, lapsed or cancelled";
            FieldFault::new("state", "malformed", rule)
        })
    });
    let time = |field, text: Option<String>| -> Result<Option<DateTime<Utc>>, FieldFault> {
        text.map(|text| input::instant(field, &text)).transpose()
    };
    Ok(PolicyFilter {
        state: state.transpose()?,
        product: query.product,
        season: query.season.as_deref().map(season).transpose()?,
        farmer,
        created_from: time("created_from", query.created_from)?,
        created_before: time("created_before", query.created_before)?,
    })
}

/// A season in a query.
pub(super) fn season(text: &str) -> Result<SeasonKey, FieldFault> {
    text.parse()
        .map_err(|_| FieldFault::new("season", "malformed", "season must look like MAM-2026"))
}

/// Policies of the organisation's farmers, bought for them or by themselves.
#[utoipa::path(
    get, path = "/api/v1/policies", tag = "policies", params(PageQuery, PolicyQuery),
    responses((status = 200, body = Listed<PolicyBody>))
)]
pub(crate) async fn list(
    partner: Partner,
    State(app): State<App>,
    paging: Paging,
    Filter(query): Filter<PolicyQuery>,
) -> Result<Json<Listed<PolicyBody>>, ApiError> {
    let filter = filter(query).map_err(FieldFault::refuse)?;
    let mut tx = partner.begin(&app).await?;
    let slice = paging.slice;
    let rows = partner_views::list_policies(&mut tx, partner.organisation, &filter, slice).await?;
    let page = Listed::of(rows, paging, |row| row.id.uuid(), PolicyBody::from);
    Ok(Json(page))
}

/// One policy.
#[utoipa::path(
    get, path = "/api/v1/policies/{policy}", tag = "policies", params(("policy" = String, Path)),
    responses((status = 200, body = PolicyBody), (status = 304), (status = 404))
)]
pub(crate) async fn show(
    partner: Partner,
    State(app): State<App>,
    Path(policy): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id: PolicyId = input::id_in_path(&policy)?;
    let mut tx = partner.begin(&app).await?;
    let body = load(&mut tx, &partner, id).await?;
    Ok(Reply::ok(&body)?.hashed().answer_to(&headers))
}

async fn load(
    conn: &mut Connection,
    partner: &Partner,
    id: PolicyId,
) -> Result<PolicyBody, ApiError> {
    partner_views::find_policy(conn, partner.organisation, id)
        .await?
        .map(PolicyBody::from)
        .ok_or_else(ApiError::not_found)
}

/// Buys what was quoted, for a farmer who agreed to it, and asks her phone for the premium.
#[utoipa::path(
    post, path = "/api/v1/policies", tag = "policies", request_body = PolicyInput,
    responses((status = 201, body = PolicyBody), (status = 409), (status = 422))
)]
pub(crate) async fn buy(
    partner: Partner,
    State(app): State<App>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    let wanted: PolicyInput = mutation.json()?;
    match attempt(&app, &partner, &mutation, &wanted).await {
        // it lost a race for the plot, and now finds the winner
        Err(lost) if lost.code == "conflict" => attempt(&app, &partner, &mutation, &wanted).await,
        other => other,
    }
}

async fn attempt(
    app: &App,
    partner: &Partner,
    mutation: &Mutation,
    wanted: &PolicyInput,
) -> Result<Response, ApiError> {
    let id: QuoteId = input::id_in_body("quote", &wanted.quote).map_err(FieldFault::refuse)?;
    let mut change = match mutation.begin(app, partner).await? {
        Begun::Fresh(change) => change,
        Begun::Replayed(response) => return Ok(response),
    };
    let now = change.now;
    let conn = change.conn();
    let consent = consent(conn, partner, now, wanted.consent.as_ref()).await?;
    let policy = bind(app, conn, partner, now, id, &consent).await?;
    policies::record_consent(conn, policy.id, &consent).await?;
    ask_for_premium(app, now, &policy, conn).await?;
    note(app, conn, now, partner, "policy.bought", policy.id).await?;
    let body = load(conn, partner, policy.id).await?;
    let location = format!("/api/v1/policies/{}", policy.id);
    let reply = Reply::created(location, &body)?.hashed();
    change.finish(app, reply).await
}

/// Writes down whose key bought or cancelled: a consent that is disputed can be traced to it.
async fn note(
    app: &App,
    conn: &mut Connection,
    now: DateTime<Utc>,
    partner: &Partner,
    action: &str,
    policy: PolicyId,
) -> Result<(), StoreError> {
    let actor = Actor(partner.key.to_string());
    let details = json!({ "organisation": partner.organisation.to_string() });
    let noted = (action, &*policy.to_string(), details);
    issue::note(conn, now, &app.ids, &actor, noted).await
}

/// Writes the policy of a quote, with its exposure reserved.
async fn bind(
    app: &App,
    conn: &mut Connection,
    partner: &Partner,
    now: DateTime<Utc>,
    id: QuoteId,
    consent: &Consent,
) -> Result<policies::Policy, ApiError> {
    let (given, plot, version) = quotes::accepted(conn, partner, id).await?;
    if consent.obtained_at < given.created_at - CLOCKS_APART_MAX {
        let rule = "consent.obtained_at is before the quote; she agrees to a price she was told";
        let fault = FieldFault::new("consent.obtained_at", "before_the_quote", rule);
        return Err(fault.refuse());
    }
    let live = policies::find_live_locked(conn, plot.id, given.version, given.season_year).await?;
    if let Some(live) = live {
        return Err(already_insured(live.id));
    }
    if given.policy_id.is_some() {
        let rule = "this quote was bought and that policy has ended; ask for a new quote";
        return Err(ApiError::conflict("quote_used", rule));
    }
    let Some(version) = version else {
        let rule = "the product has a newer version; ask for a new quote";
        return Err(ApiError::refused("product_replaced", rule));
    };
    let product = &version.product;
    let sale = sale_window_of(product, given.season_year).map_err(ApiError::internal)?;
    if now >= sale.closes_at() {
        let rule = "the sale of this season has closed; ask for a quote when the next one opens";
        return Err(ApiError::refused("sale_closed", rule));
    }
    if now >= given.expires_at {
        let rule = "the quote has expired; ask for a new one and tell the farmer its price";
        return Err(ApiError::refused("quote_expired", rule));
    }
    let cover = product
        .cover_window(given.season_year)
        .map_err(ApiError::internal)?;
    let quote = Quote {
        zone: given.zone,
        season_year: given.season_year,
        cover,
        sum_insured: given.sum_insured,
        premium: given.premium,
        expires_at: given.expires_at,
    };
    let policy = planned(app, now, &plot, version.id, &quote, sale.closes_at());
    let limit = Money::kes(product.capacity_kes_per_cell).unwrap_or(Money::ZERO_KES);
    let row_id = app.ids.uuid(now);
    let (exposure, amount) = (policy.exposure(), policy.sum_insured);
    if !capacity::reserve(conn, row_id, exposure, amount, limit).await? {
        let rule = "what may be insured around this plot this season is sold; \
                    ask for a smaller sum insured or another product";
        return Err(ApiError::conflict("capacity_full", rule));
    }
    policies::insert(conn, &policy, given.id, None).await?;
    Ok(policy)
}

/// 409, with the policy that stands.
fn already_insured(id: PolicyId) -> ApiError {
    let rule = "the plot has this cover for this season already; see `policy_id`";
    let mut error = ApiError::conflict("already_insured", rule);
    error.more = Some(("policy_id", json!(id.to_string())));
    error
}

/// Her consent, complete and by an agent who works for the partner.
async fn consent(
    conn: &mut Connection,
    partner: &Partner,
    now: DateTime<Utc>,
    wanted: Option<&PurchaseConsentInput>,
) -> Result<Consent, ApiError> {
    let (version, obtained_at) = agreed(now, wanted).map_err(FieldFault::refuse)?;
    let named = wanted.and_then(|consent| consent.obtained_by.as_ref());
    let agent = match named {
        None => None,
        Some(text) => {
            let ids: Vec<AgentId> = text.parse().into_iter().collect();
            let codes = std::slice::from_ref(text);
            let found = agents::list_referred(conn, partner.organisation, codes, &ids).await?;
            let unknown = || {
                let rule = "no agent of yours who works now has this id or code; add it first";
                FieldFault::new("consent.obtained_by", "unknown", rule).refuse()
            };
            let (_, id) = found.into_iter().next().ok_or_else(unknown)?;
            Some(id)
        }
    };
    Ok(Consent {
        version,
        obtained_at,
        agent,
    })
}

fn agreed(
    now: DateTime<Utc>,
    wanted: Option<&PurchaseConsentInput>,
) -> Result<(String, DateTime<Utc>), FieldFault> {
    let wanted = wanted.ok_or_else(|| FieldFault::missing("consent"))?;
    let version = wanted.version.as_deref();
    let version = version.ok_or_else(|| FieldFault::missing("consent.version"))?;
    if version != CONSENT_VERSION {
        let rule = format!("consent.version must be {CONSENT_VERSION}, the text in force");
        return Err(FieldFault::new("consent.version", "unknown_version", rule));
    }
    let at = wanted.obtained_at.as_deref();
    let at = at.ok_or_else(|| FieldFault::missing("consent.obtained_at"))?;
    let at = input::instant("consent.obtained_at", at)?;
    if at > now {
        let rule = "consent.obtained_at must not be in the future";
        return Err(FieldFault::new(
            "consent.obtained_at",
            "in_the_future",
            rule,
        ));
    }
    Ok((version.to_owned(), at))
}

/// Ends a policy whose premium is not paid, unless her phone is being asked for it.
#[utoipa::path(
    post, path = "/api/v1/policies/{policy}/cancel", tag = "policies",
    params(("policy" = String, Path)),
    responses((status = 200, body = PolicyBody), (status = 404), (status = 409))
)]
pub(crate) async fn cancel(
    partner: Partner,
    State(app): State<App>,
    Path(policy): Path<String>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    let id: PolicyId = input::id_in_path(&policy)?;
    let mut change = match mutation.begin(&app, &partner).await? {
        Begun::Fresh(change) => change,
        Begun::Replayed(response) => return Ok(response),
    };
    let now = change.now;
    let conn = change.conn();
    load(conn, &partner, id).await?;
    // policy before receipt, as everybody locks them
    let policy = policies::get_locked(conn, id).await?;
    if policy.state != PolicyState::AwaitingPremium {
        let state = policy.state.as_str();
        let rule = format!("only a policy that awaits its premium can be cancelled; it is {state}");
        return Err(ApiError::conflict("not_awaiting_premium", rule));
    }
    if receipts::has_open_prompt(conn, id).await? {
        let rule = "the farmer's phone is being asked for the premium; try again in some minutes";
        return Err(ApiError::conflict("prompt_open", rule));
    }
    receipts::refuse_unsent(conn, now, id).await?;
    policies::cancel(conn, now, id).await?;
    capacity::release(conn, policy.exposure(), policy.sum_insured).await?;
    let body = load(conn, &partner, id).await?;
    note(&app, conn, now, &partner, "policy.cancelled", id).await?;
    let reply = Reply::ok(&body)?.hashed();
    change.finish(&app, reply).await
}
