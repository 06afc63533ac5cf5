//! Quotes: the price a policy was or may be bought at, and until when it holds. A phone's is
//! written when it is accepted, a partner's when it is asked for.
//! Never priced here. Called by purchases and partners' routes.

use chrono::{DateTime, Utc};
use domain::id::{FarmerId, OrganisationId, PlotId, PolicyId, ProductVersionId, QuoteId};
use domain::money::Money;
use domain::quote::Quote;
use sqlx::PgConnection;

use crate::decode::money;
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

/// A quote as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Id.
    pub id: QuoteId,
    /// For whom.
    pub farmer_id: FarmerId,
    /// For which plot.
    pub plot_id: PlotId,
    /// Of which version.
    pub version: ProductVersionId,
    /// Year its cover begins in.
    pub season_year: i32,
    /// Zone whose triggers and rate apply.
    pub zone: String,
    /// Sum insured.
    pub sum_insured: Money,
    /// Premium.
    pub premium: Money,
    /// When it was given.
    pub created_at: DateTime<Utc>,
    /// Until when it holds.
    pub expires_at: DateTime<Utc>,
    /// The policy that was bought with it.
    pub policy_id: Option<PolicyId>,
}

/// A quote for an organisation's farmer.
pub async fn find_of_organisation(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    id: QuoteId,
) -> Result<Option<Given>, StoreError> {
    let row = sqlx::query!(
        r#"-- quotes.find_of_organisation
        select q.farmer_id, q.plot_id, q.product_version_id, q.season_year, q.zone,
               q.sum_insured_minor, q.premium_minor, q.currency, q.created_at, q.expires_at,
               p.id as "policy_id?"
        from quotes q left join policies p on p.quote_id = q.id
        where q.organisation_id = $1 and q.id = $2"#,
        organisation.uuid(),
        id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let sum_insured = money(row.sum_insured_minor, &row.currency, "quotes", id.uuid())?;
        Ok(Given {
            id,
            farmer_id: row.farmer_id.into(),
            plot_id: row.plot_id.into(),
            version: row.product_version_id.into(),
            season_year: row.season_year,
            zone: row.zone,
            sum_insured,
            premium: Money {
                minor: row.premium_minor,
                ..sum_insured
            },
            created_at: row.created_at,
            expires_at: row.expires_at,
            policy_id: row.policy_id.map(PolicyId::from),
        })
    })
    .transpose()
}
