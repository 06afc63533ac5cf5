//! What a farmer is shown on her phone about her policies and their season: summaries across
//! policies, payouts and measured days. Reads only; nothing is decided on it.
//! Called by the USSD shell.

use chrono::NaiveDate;
use domain::i18n::Crop;
use domain::id::{PlotId, PolicyId, ProductVersionId};
use domain::money::{Currency, Money};
use domain::season::Window;
use domain::ussd::{PolicyStatus, PolicySummary, WardCode};
use sqlx::PgConnection;

use crate::error::StoreError;

/// A phone's policies, newest first.
pub async fn list_policies(
    conn: &mut PgConnection,
    phone_index: &[u8],
    limit: i64,
) -> Result<Vec<PolicySummary>, StoreError> {
    let rows = sqlx::query!(
        r#"-- seasons.list_policies
        select p.id, p.short_code, p.state, p.sum_insured_minor, p.premium_minor, p.currency,
               p.window_start, p.window_end, plots.crop, plots.ward_code,
               owed.amount_minor as "payout_minor?", owed.state as "payout_state?",
               (select string_agg(l.rail_receipt, ' ' order by l.leg)
                from payout_legs l where l.payout_id = owed.id and l.state = 'paid') as receipts
        from farmers f
        join policies p on p.farmer_id = f.id
        join plots on plots.id = p.plot_id
        left join lateral (
            select id, amount_minor, state from payouts
            where policy_id = p.id order by planned_at desc, id desc limit 1
        ) owed on true
        where f.phone_index = $1
        order by p.bought_at desc, p.id desc
        limit $2"#,
        phone_index,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let id = PolicyId::from(row.id);
            let corrupt = |column| StoreError::Corrupt {
                table: "policies",
                column,
                id: id.to_string(),
            };
            let currency = Currency::parse(&row.currency).ok_or_else(|| corrupt("currency"))?;
            let money = |minor| Money { minor, currency };
            let payout = row.payout_minor.map(money);
            let status = match (row.state.as_str(), payout, row.payout_state.as_deref()) {
                ("awaiting_premium", ..) => PolicyStatus::AwaitingPremium,
                ("lapsed", ..) => PolicyStatus::Lapsed,
                ("cancelled", ..) => PolicyStatus::Cancelled,
                (_, Some(payout), Some("paid")) => PolicyStatus::Paid {
                    payout,
                    receipt: row.receipts.unwrap_or_default(),
                },
                (_, Some(payout), Some("held" | "refused")) => PolicyStatus::UnderReview(payout),
                (_, Some(payout), Some(_)) => PolicyStatus::Coming(payout),
                ("active", ..) => PolicyStatus::Active,
                ("settled", ..) => PolicyStatus::NoPayout,
                _ => return Err(corrupt("state")),
            };
            Ok(PolicySummary {
                id,
                code: row.short_code,
                crop: Crop::parse(&row.crop).ok_or_else(|| corrupt("crop"))?,
                ward: WardCode::parse(&row.ward_code).map_err(|_| corrupt("ward_code"))?,
                sum_insured: money(row.sum_insured_minor),
                premium: money(row.premium_minor),
                cover: Window {
                    start: row.window_start,
                    end: row.window_end,
                },
                status,
            })
        })
        .collect()
}

/// A plot's newest season on risk, as measured so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Season {
    /// Version that covers it.
    pub version: ProductVersionId,
    /// Zone whose triggers apply.
    pub zone: String,
    /// Ward of the plot.
    pub ward_code: String,
    /// Year the cover begins in.
    pub season_year: i32,
    /// Days covered.
    pub window: Window,
    /// Rain of each measured day; days without a number are left out.
    pub days: Vec<(NaiveDate, i32)>,
}

/// The season of the newest active or settled policy of a plot that belongs to the phone.
pub async fn find(
    conn: &mut PgConnection,
    phone_index: &[u8],
    plot_id: PlotId,
) -> Result<Option<Season>, StoreError> {
    let row = sqlx::query!(
        "-- seasons.find
        select p.product_version_id, p.zone, p.season_year, p.window_start, p.window_end,
               p.risk_id, plots.ward_code
        from farmers f
        join policies p on p.farmer_id = f.id
        join plots on plots.id = p.plot_id
        where f.phone_index = $1 and p.plot_id = $2 and p.state in ('active', 'settled')
        order by p.window_start desc, p.bought_at desc
        limit 1",
        phone_index,
        plot_id.uuid(),
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let days = sqlx::query!(
        r#"-- seasons.list_days
        select day, rain_um as "rain_um!" from cell_days
        where risk_id = $1 and rain_um is not null and day >= $2 and day < $3
        order by day limit 366"#,
        row.risk_id,
        row.window_start,
        row.window_end,
    )
    .fetch_all(conn)
    .await?;
    Ok(Some(Season {
        version: row.product_version_id.into(),
        zone: row.zone,
        ward_code: row.ward_code,
        season_year: row.season_year,
        window: Window {
            start: row.window_start,
            end: row.window_end,
        },
        days: days.into_iter().map(|day| (day.day, day.rain_um)).collect(),
    }))
}
