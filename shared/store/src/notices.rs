//! What texts to farmers are about, in one read each: the cover of a policy, and how its season
//! was settled. Reads only, and nothing personal.
//! Called by the notify worker.

use domain::i18n::Crop;
use domain::id::{EvaluationId, FarmerId, PayoutId, PolicyId};
use domain::money::{Currency, Money};
use domain::payout::PayoutState;
use domain::product::Product;
use domain::season::Window;
use domain::settle::{Observed, Settlement};
use serde::de::DeserializeOwned;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;

/// A policy as its owner knows it.
#[derive(Debug, Clone)]
pub struct Cover {
    /// Whose.
    pub farmer_id: FarmerId,
    /// Short code.
    pub code: String,
    /// Crop insured.
    pub crop: Crop,
    /// Ward of the plot.
    pub ward: String,
    /// Sum insured.
    pub sum_insured: Money,
    /// Premium.
    pub premium: Money,
    /// Days covered.
    pub cover: Window,
}

/// How a policy's season was settled.
#[derive(Debug, Clone)]
pub struct Settled {
    /// Whose.
    pub farmer_id: FarmerId,
    /// Ward of the plot.
    pub ward: String,
    /// Sum insured.
    pub sum_insured: Money,
    /// What was sold.
    pub product: Product,
    /// Zone whose triggers applied.
    pub zone: String,
    /// What was observed.
    pub observed: Observed,
    /// What that pays.
    pub settlement: Settlement,
    /// Short code of the evidence.
    pub evidence: String,
    /// What is owed and where it stands, if anything is owed.
    pub payout: Option<(Money, PayoutState)>,
}

/// The cover of a policy.
pub async fn get_cover(conn: &mut PgConnection, id: PolicyId) -> Result<Cover, StoreError> {
    let row = sqlx::query!(
        "-- notices.get_cover
        select p.farmer_id, p.short_code, plots.crop, plots.ward_code, p.sum_insured_minor,
               p.premium_minor, p.currency, p.window_start, p.window_end
        from policies p join plots on plots.id = p.plot_id
        where p.id = $1",
        id.uuid(),
    )
    .fetch_one(conn)
    .await?;
    Ok(Cover {
        farmer_id: row.farmer_id.into(),
        code: row.short_code,
        crop: Crop::parse(&row.crop).ok_or_else(|| corrupt("plots", "crop", id.uuid()))?,
        ward: row.ward_code,
        sum_insured: money(row.sum_insured_minor, &row.currency, id.uuid())?,
        premium: money(row.premium_minor, &row.currency, id.uuid())?,
        cover: Window {
            start: row.window_start,
            end: row.window_end,
        },
    })
}

/// How an evaluation settled a policy.
pub async fn get_settled(
    conn: &mut PgConnection,
    policy_id: PolicyId,
    evaluation_id: EvaluationId,
) -> Result<Settled, StoreError> {
    let row = sqlx::query!(
        r#"-- notices.get_settled
        select p.farmer_id, plots.ward_code, p.sum_insured_minor, p.currency, p.zone,
               v.document, e.observed, e.settlement, e.short_code,
               o.amount_minor as "owed_minor?", o.state as "owed_state?"
        from policies p
        join plots on plots.id = p.plot_id
        join product_versions v on v.id = p.product_version_id
        join evaluations e on e.id = $2
        left join payouts o on o.policy_id = p.id and o.evaluation_id = e.id
        where p.id = $1"#,
        policy_id.uuid(),
        evaluation_id.uuid(),
    )
    .fetch_one(conn)
    .await?;
    let id = policy_id.uuid();
    let payout = match (row.owed_minor, row.owed_state) {
        (Some(minor), Some(state)) => {
            let state =
                PayoutState::parse(&state).ok_or_else(|| corrupt("payouts", "state", id))?;
            Some((money(minor, &row.currency, id)?, state))
        }
        _ => None,
    };
    Ok(Settled {
        farmer_id: row.farmer_id.into(),
        ward: row.ward_code,
        sum_insured: money(row.sum_insured_minor, &row.currency, id)?,
        product: json(row.document, "product_versions", "document", id)?,
        zone: row.zone,
        observed: json(
            row.observed,
            "evaluations",
            "observed",
            evaluation_id.uuid(),
        )?,
        settlement: json(
            row.settlement,
            "evaluations",
            "settlement",
            evaluation_id.uuid(),
        )?,
        evidence: row.short_code,
        payout,
    })
}

/// What a payout is for, and the rail's receipts of what arrived.
#[derive(Debug, Clone)]
pub struct Paid {
    /// Policy paid for.
    pub policy_id: PolicyId,
    /// Evaluation it follows from.
    pub evaluation_id: EvaluationId,
    /// M-Pesa's receipts, joined.
    pub receipts: String,
}

/// What a payout is for.
pub async fn get_paid(conn: &mut PgConnection, id: PayoutId) -> Result<Paid, StoreError> {
    let row = sqlx::query!(
        r#"-- notices.get_paid
        select o.policy_id, o.evaluation_id,
               (select coalesce(string_agg(l.rail_receipt, ' ' order by l.leg), '')
                from payout_legs l where l.payout_id = o.id and l.state = 'paid') as "receipts!"
        from payouts o where o.id = $1"#,
        id.uuid(),
    )
    .fetch_one(conn)
    .await?;
    Ok(Paid {
        policy_id: row.policy_id.into(),
        evaluation_id: row.evaluation_id.into(),
        receipts: row.receipts,
    })
}

fn money(minor: i64, currency: &str, id: Uuid) -> Result<Money, StoreError> {
    let currency = Currency::parse(currency).ok_or_else(|| corrupt("policies", "currency", id))?;
    Ok(Money { minor, currency })
}

fn json<T: DeserializeOwned>(
    value: serde_json::Value,
    table: &'static str,
    column: &'static str,
    id: Uuid,
) -> Result<T, StoreError> {
    serde_json::from_value(value).map_err(|_| corrupt(table, column, id))
}

fn corrupt(table: &'static str, column: &'static str, id: Uuid) -> StoreError {
    StoreError::Corrupt {
        table,
        column,
        id: id.to_string(),
    }
}
