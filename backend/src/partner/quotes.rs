//! Quotes over REST: what a cover of a farmer's plot costs, until when that price holds and what
//! it would pay. The price is that of the phone: the same pure function on the same document.
//! Must never price by itself. Called over HTTP by partners.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use chrono::{DateTime, NaiveDate, Utc};
use domain::id::{PlotId, QuoteId};
use domain::index::{PhaseSum, phases_losing};
use domain::money::{BasisPoints, Currency, Money, MoneyError};
use domain::product::{PayoutTerms, Product, Zone};
use domain::quote::{QuoteError, quote};
use domain::season::{SeasonKey, Window};
use domain::settle::{Observed, Outcome, settle};
use serde::{Deserialize, Serialize};
use store::api_keys::Scope;
use store::plots;
use store::products::{self, ProductVersion};
use store::quotes::{self, Given, Quoted};
use store::{Connection, StoreError};
use utoipa::ToSchema;

use super::amount::Amount;
use super::caller::Partner;
use super::change::{Begun, Mutation, Reply};
use super::input::{self, FieldFault};
use crate::App;
use crate::error::ApiError;
use crate::routes::Route;

/// Seasons that examples are given for: the share of the way from trigger to exit, basis points.
const EXAMPLE_LOSSES_BP: [u16; 5] = [0, 2_500, 5_000, 7_500, 10_000];
/// Confidence and stations of an example: they never move an amount.
const EXAMPLE_CONFIDENCE: u8 = 100;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::partner_post("/api/v1/quotes", Scope::QuotesWrite, ask),
        Route::partner_get("/api/v1/quotes/{quote}", Scope::QuotesRead, show),
    ]
}

/// Days of cover, local (UTC+3).
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct CoverBody {
    /// First day.
    start: NaiveDate,
    /// The day after the last.
    end: NaiveDate,
}

impl From<Window> for CoverBody {
    fn from(window: Window) -> Self {
        Self {
            start: window.start,
            end: window.end,
        }
    }
}

/// Rain of one phase of a season.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct RainBody {
    /// Phase of the product.
    phase: String,
    /// Rain that counts, micrometres: 1,000 are a millimetre.
    rain_um: i64,
}

impl From<PhaseSum> for RainBody {
    fn from(sum: PhaseSum) -> Self {
        Self {
            phase: sum.phase,
            rain_um: sum.rain_um,
        }
    }
}

/// What a season would pay.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ExampleBody {
    /// Its rain.
    rain: Vec<RainBody>,
    /// Loss of vegetation, basis points; null when no satellite saw any or the product has none.
    vegetation_bp: Option<u16>,
    /// Share of the sum insured, nearest basis point.
    share_bp: u16,
    /// What would be paid.
    payout: Amount,
}

/// A quote.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuoteBody {
    /// `quo_…`.
    id: String,
    /// Whose plot.
    farmer_id: String,
    /// Which plot.
    plot_id: String,
    /// Code of the product.
    product: String,
    /// Season that is covered, `MAM-2026`.
    season: String,
    /// Zone whose triggers and rate apply.
    zone: String,
    /// Days covered.
    cover: CoverBody,
    /// What is insured.
    sum_insured: Amount,
    /// What it costs.
    premium: Amount,
    /// What it would pay, from a season without loss to one of total loss.
    examples: Vec<ExampleBody>,
    /// When it was given.
    created_at: DateTime<Utc>,
    /// Until when the price holds: a day, but never past the close of sale.
    expires_at: DateTime<Utc>,
    /// The policy that was bought with it.
    policy_id: Option<String>,
}

impl QuoteBody {
    fn of(given: Given, product: &Product) -> Result<Self, ApiError> {
        let cover = product
            .cover_window(given.season_year)
            .map_err(ApiError::internal)?;
        let zone = product
            .zone(&given.zone)
            .ok_or_else(|| ApiError::internal(QuoteError::NoZone))?;
        let season = SeasonKey {
            code: product.season.code.clone(),
            year: given.season_year,
        };
        Ok(Self {
            id: given.id.to_string(),
            farmer_id: given.farmer_id.to_string(),
            plot_id: given.plot_id.to_string(),
            product: product.code.clone(),
            season: season.to_string(),
            cover: cover.into(),
            examples: examples(product, zone, given.sum_insured).map_err(ApiError::internal)?,
            sum_insured: given.sum_insured.into(),
            premium: given.premium.into(),
            created_at: given.created_at,
            expires_at: given.expires_at,
            policy_id: given.policy_id.map(|id| id.to_string()),
            zone: given.zone,
        })
    }
}

/// What is to be priced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuoteInput {
    /// Which plot, `plt_…`.
    plot: String,
    /// Code of a product on sale, `KE-MZ-PD-LR`.
    product: String,
    /// One of the amounts the product offers.
    sum_insured: Amount,
}

/// A quote that was given.
#[utoipa::path(
    get, path = "/api/v1/quotes/{quote}", tag = "quotes", params(("quote" = String, Path)),
    responses((status = 200, body = QuoteBody), (status = 404))
)]
pub(crate) async fn show(
    partner: Partner,
    State(app): State<App>,
    Path(quote): Path<String>,
) -> Result<Json<QuoteBody>, ApiError> {
    let id: QuoteId = input::id_in_path(&quote)?;
    let mut tx = partner.begin(&app).await?;
    let given = quotes::find_of_organisation(&mut tx, partner.organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let version = products::get(&mut tx, given.version).await?;
    Ok(Json(QuoteBody::of(given, &version.product)?))
}

/// Prices a cover of a plot.
#[utoipa::path(
    post, path = "/api/v1/quotes", tag = "quotes", request_body = QuoteInput,
    responses((status = 201, body = QuoteBody), (status = 422))
)]
pub(crate) async fn ask(
    partner: Partner,
    State(app): State<App>,
    mutation: Mutation,
) -> Result<Response, ApiError> {
    let wanted: QuoteInput = mutation.json()?;
    let plot: PlotId = input::id_in_body("plot", &wanted.plot).map_err(FieldFault::refuse)?;
    let sum_insured = money(&wanted.sum_insured).map_err(FieldFault::refuse)?;
    let mut change = match mutation.begin(&app, &partner).await? {
        Begun::Fresh(change) => change,
        Begun::Replayed(response) => return Ok(response),
    };
    let now = change.now;
    let organisation = partner.organisation;
    let conn = change.conn();
    let plot = plots::find_of_organisation(conn, organisation, plot)
        .await?
        .ok_or_else(|| FieldFault::new("plot", "unknown", "no plot of yours has this id").refuse())?
        .plot;
    let version = on_sale(conn, &wanted.product).await?;
    let product = &version.product;
    let quote = quote(product, &plot.ward_code, sum_insured, now)
        .map_err(|fault| unpriced(product, fault))?;
    let id: QuoteId = app.ids.mint(now);
    let quoted = Quoted {
        id,
        farmer_id: plot.farmer_id,
        plot_id: plot.id,
        version: version.id,
        quote: &quote,
    };
    quotes::insert(conn, now, quoted).await?;
    let given = quotes::find_of_organisation(conn, organisation, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let body = QuoteBody::of(given, product)?;
    let reply = Reply::created(format!("/api/v1/quotes/{id}"), &body)?;
    change.finish(&app, reply).await
}

fn money(amount: &Amount) -> Result<Money, FieldFault> {
    if Currency::parse(&amount.currency) != Some(Currency::Kes) {
        let rule = "sum_insured.currency must be KES";
        return Err(FieldFault::new(
            "sum_insured.currency",
            "unknown_currency",
            rule,
        ));
    }
    Ok(Money::kes_minor(amount.minor))
}

/// The version of a product that is sold now.
async fn on_sale(conn: &mut Connection, code: &str) -> Result<ProductVersion, ApiError> {
    let versions = products::list_on_sale(conn).await?;
    let codes: Vec<String> = versions.iter().map(|v| v.product.code.clone()).collect();
    let found = versions.into_iter().find(|v| v.product.code == code);
    found.ok_or_else(|| {
        let rule = format!("product must be one of {}", codes.join(", "));
        FieldFault::new("product", "unknown", rule).refuse()
    })
}

/// Why there is no price, and what would help.
fn unpriced(product: &Product, fault: QuoteError) -> ApiError {
    match fault {
        QuoteError::NoZone => {
            let rule = "this product is not sold in the ward of the plot; choose another product";
            ApiError::refused("not_sold_there", rule)
        }
        QuoteError::NotOnSale(first, last) => {
            let rule = format!("this product is on sale from {first} to {last}; ask again then");
            ApiError::refused("sale_closed", rule)
        }
        QuoteError::SumInsured => {
            let offers = product.sums_insured_kes.iter();
            let minor: Vec<String> = offers
                .filter_map(|kes| Some(Money::kes(*kes).ok()?.minor.to_string()))
                .collect();
            let rule = format!("sum_insured.minor must be one of {}", minor.join(", "));
            FieldFault::new("sum_insured", "not_on_offer", rule).refuse()
        }
        QuoteError::LegalLimit => {
            let rule = "the law allows no such premium in microinsurance; choose a smaller sum";
            ApiError::refused("legal_limit", rule)
        }
        // what may not be sold is never published
        QuoteError::Draft
        | QuoteError::Untold(_)
        | QuoteError::Product(_)
        | QuoteError::Money(_) => ApiError::internal(fault),
    }
}

/// What a sum insured would be paid, by the evaluator that will decide: every phase the same part
/// of the way from its trigger to its exit, alone and, where vegetation counts, with as much of it
/// lost.
fn examples(
    product: &Product,
    zone: &Zone,
    sum_insured: Money,
) -> Result<Vec<ExampleBody>, MoneyError> {
    let mut examples = Vec::new();
    for loss_bp in EXAMPLE_LOSSES_BP {
        let loss = BasisPoints::new(loss_bp)?;
        let phases = phases_losing(product, zone, loss)?;
        examples.push(example(product, zone, sum_insured, &phases, None)?);
        if matches!(product.payout, PayoutTerms::Tiers { .. }) {
            let confirmed = example(product, zone, sum_insured, &phases, Some(loss))?;
            examples.push(confirmed);
        }
    }
    Ok(examples)
}

fn example(
    product: &Product,
    zone: &Zone,
    sum_insured: Money,
    phases: &[PhaseSum],
    vegetation_bp: Option<BasisPoints>,
) -> Result<ExampleBody, MoneyError> {
    let (phases, stations) = (phases.to_vec(), product.settlement.stations_min);
    let observed = Observed {
        vegetation_bp,
        ..Observed::of_rain(phases, stations, EXAMPLE_CONFIDENCE)
    };
    match settle(product, zone, &observed)? {
        Outcome::Settled(settlement) => Ok(ExampleBody {
            rain: observed.phases.into_iter().map(RainBody::from).collect(),
            vegetation_bp: vegetation_bp.map(BasisPoints::get),
            share_bp: settlement.share.basis_points().get(),
            payout: settlement.payout(sum_insured)?.into(),
        }),
        Outcome::Deferred { .. } => Err(MoneyError::Share), // no day of an example is missing
    }
}

/// The quote, plot and version a purchase is made of; 422 when the quote is nobody's of the partner.
pub(super) async fn accepted(
    conn: &mut Connection,
    partner: &Partner,
    id: QuoteId,
) -> Result<(Given, plots::Plot, Option<ProductVersion>), ApiError> {
    let given = quotes::find_of_organisation(conn, partner.organisation, id)
        .await?
        .ok_or_else(|| {
            FieldFault::new("quote", "unknown", "no quote of yours has this id").refuse()
        })?;
    let plot = plots::find_of_organisation(conn, partner.organisation, given.plot_id)
        .await?
        .ok_or(StoreError::Corrupt {
            table: "quotes",
            column: "plot_id",
            id: given.id.to_string(),
        })?
        .plot;
    let versions = products::list_on_sale(conn).await?;
    let version = versions.into_iter().find(|v| v.id == given.version);
    Ok((given, plot, version))
}
