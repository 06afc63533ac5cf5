//! Products on sale over REST: what a partner must know to ask for a quote: where each is sold, for
//! which sums, until when, and at which rain it pays. Must never show what is no longer sold, nor
//! how much of a product's capacity is left. Called over HTTP by partners.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Datelike, Utc};
use domain::money::{Money, MoneyError};
use domain::product::{Bilingual, PayoutTerms, Product, Zone, ZoneTrigger};
use domain::quote::sale_window_of;
use domain::season::local_day;
use serde::Serialize;
use store::api_keys::Scope;
use store::products::{self, ProductVersion};
use utoipa::ToSchema;

use super::amount::Amount;
use super::caller::Partner;
use super::page::{self, Listed, PageQuery, Paging};
use super::quotes::CoverBody;
use crate::App;
use crate::error::ApiError;
use crate::routes::Route;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::partner_get(
        "/api/v1/products",
        Scope::QuotesRead,
        list,
    )]
}

/// A name in both languages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NameBody {
    /// English.
    en: String,
    /// Swahili.
    sw: String,
}

impl From<Bilingual> for NameBody {
    fn from(name: Bilingual) -> Self {
        Self {
            en: name.en,
            sw: name.sw,
        }
    }
}

/// The season that is on sale now, or next.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SaleBody {
    /// `MAM-2026`.
    season: String,
    /// When its sale opens.
    opens_at: DateTime<Utc>,
    /// When its sale closes.
    closes_at: DateTime<Utc>,
    /// Whether it is on sale now.
    is_open: bool,
    /// Days covered.
    cover: CoverBody,
}

/// The rain of one phase that decides.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TriggerBody {
    /// Phase of the product.
    phase: String,
    /// Rain at or above which nothing is lost, millimetres.
    trigger_mm: i32,
    /// Rain at or below which everything is lost, millimetres.
    exit_mm: i32,
}

impl From<ZoneTrigger> for TriggerBody {
    fn from(trigger: ZoneTrigger) -> Self {
        Self {
            trigger_mm: trigger.trigger_whole(),
            exit_mm: trigger.exit_whole(),
            phase: trigger.phase,
        }
    }
}

/// Wards that share triggers and a price.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ZoneBody {
    /// Code, unique in the product.
    code: String,
    /// Codes of its wards.
    wards: Vec<String>,
    /// Premium as a share of the sum insured, basis points.
    rate_bp: u16,
    /// One for each phase.
    triggers: Vec<TriggerBody>,
}

impl From<Zone> for ZoneBody {
    fn from(zone: Zone) -> Self {
        Self {
            code: zone.code,
            wards: zone.wards,
            rate_bp: zone.rate_bp.get(),
            triggers: zone.triggers.into_iter().map(TriggerBody::from).collect(),
        }
    }
}

/// A product on sale. Not sold in a ward that no zone names.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProductBody {
    /// Code, as a quote names it.
    code: String,
    /// Its version, `prd_…`: a policy keeps the one it was sold with.
    version: String,
    /// Name.
    name: NameBody,
    /// What is grown.
    crop: String,
    /// `linear` (rain alone decides) or `tiers` (rain and vegetation).
    payout: &'static str,
    /// Sums that can be insured.
    sums_insured: Vec<Amount>,
    /// The season on sale.
    sale: SaleBody,
    /// Where it is sold.
    zones: Vec<ZoneBody>,
}

impl ProductBody {
    fn of(version: ProductVersion, now: DateTime<Utc>) -> Result<Self, ApiError> {
        let product = version.product;
        let sums = product.sums_insured_kes.iter();
        let sums: Result<Vec<Money>, MoneyError> = sums.map(|kes| Money::kes(*kes)).collect();
        let sums = sums.map_err(ApiError::internal)?;
        Ok(Self {
            version: version.id.to_string(),
            sale: sale(&product, now)?,
            payout: match product.payout {
                PayoutTerms::Linear => "linear",
                PayoutTerms::Tiers { .. } => "tiers",
            },
            code: product.code,
            name: product.name.into(),
            crop: product.crop,
            sums_insured: sums.into_iter().map(Amount::from).collect(),
            zones: product.zones.into_iter().map(ZoneBody::from).collect(),
        })
    }
}

/// The first season whose sale has not closed; sales come once a year.
fn sale(product: &Product, now: DateTime<Utc>) -> Result<SaleBody, ApiError> {
    let bound = |year| sale_window_of(product, year).map_err(ApiError::internal);
    let mut year = local_day(now).year();
    let mut sale = bound(year)?;
    if sale.closes_at() <= now {
        year = year.saturating_add(1);
        sale = bound(year)?;
    }
    let cover = product.cover_window(year).map_err(ApiError::internal)?;
    let (opens_at, closes_at) = (sale.opens_at(), sale.closes_at());
    Ok(SaleBody {
        season: format!("{}-{year}", product.season.code),
        opens_at,
        closes_at,
        is_open: (opens_at..closes_at).contains(&now),
        cover: cover.into(),
    })
}

/// Products that are sold now.
#[utoipa::path(
    get, path = "/api/v1/products", tag = "products", params(PageQuery),
    responses((status = 200, body = Listed<ProductBody>))
)]
pub(crate) async fn list(
    partner: Partner,
    State(app): State<App>,
    paging: Paging,
) -> Result<Json<Listed<ProductBody>>, ApiError> {
    let mut tx = partner.begin(&app).await?;
    let sold = products::list_on_sale(&mut tx).await?;
    let now = app.clock.now();
    let shown = page::cut(sold, paging, |version| version.id.uuid())
        .into_iter()
        .map(|version| Ok((version.id.uuid(), ProductBody::of(version, now)?)))
        .collect::<Result<Vec<_>, ApiError>>()?;
    let page = Listed::of(shown, paging, |(id, _)| *id, |(_, body)| body);
    Ok(Json(page))
}
