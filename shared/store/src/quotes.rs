//! Quotes that were accepted: the price a policy was bought at, and until when it held.
//! Never priced here. Called by purchases.

use chrono::{DateTime, Utc};
use domain::id::{FarmerId, PlotId, ProductVersionId, QuoteId};
use domain::quote::Quote;
use sqlx::PgConnection;

use crate::error::StoreError;

/// Whose quote, for what.
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'a> {
    /// Id.
    pub id: QuoteId,
    /// For whom.
    pub farmer_id: FarmerId,
    /// For which plot.
    pub plot_id: PlotId,
    /// Of which version.
    pub version: ProductVersionId,
    /// The price.
    pub quote: &'a Quote,
}

/// Records a quote.
pub async fn insert(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    quoted: Quoted<'_>,
) -> Result<(), StoreError> {
    let quote = quoted.quote;
    sqlx::query!(
        "-- quotes.insert
        insert into quotes
            (id, farmer_id, plot_id, product_version_id, season_year, zone,
             sum_insured_minor, premium_minor, currency, created_at, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        quoted.id.uuid(),
        quoted.farmer_id.uuid(),
        quoted.plot_id.uuid(),
        quoted.version.uuid(),
        quote.season_year,
        quote.zone,
        quote.sum_insured.minor,
        quote.premium.minor,
        quote.premium.currency.code(),
        now,
        quote.expires_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}
