//! What decided risks were paid on, for the report of what they would be paid on today. Reads only:
//! a decision is never made twice. Called by the data-processor's `restatements` command.

use chrono::{DateTime, Utc};
use domain::id::RiskId;
use domain::money::Money;
use domain::settle::Settlement;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::decode::{json, money};
use crate::error::StoreError;
use crate::evaluations::Exposure;

/// A decision as it stands.
#[derive(Debug, Clone)]
pub struct Decided {
    /// Risk decided.
    pub risk_id: RiskId,
    /// When.
    pub evaluated_at: DateTime<Utc>,
    /// Name of the number work it was decided with.
    pub engine_version: String,
    /// What it pays.
    pub settlement: Settlement,
    /// What its policies are owed together.
    pub total: Money,
    /// Its policies by sum insured.
    pub exposures: Vec<Exposure>,
}

/// Decisions of a season, or of all, by the risk's id after `after`.
pub async fn list_decided(
    conn: &mut PgConnection,
    season_year: Option<i32>,
    after: Option<RiskId>,
    limit: i64,
) -> Result<Vec<Decided>, StoreError> {
    let rows = sqlx::query!(
        r#"-- restatements.list_decided
        select e.risk_id, e.evaluated_at, e.settlement, e.total_minor, e.currency,
               index_runs.engine_version, insured.sums as "sums!", insured.counts as "counts!"
        from evaluations e
        join risks on risks.id = e.risk_id
        join index_runs on index_runs.id = e.index_run_id
        cross join lateral (
            select coalesce(array_agg(sum_insured_minor), '{}') as sums,
                   coalesce(array_agg(policies), '{}') as counts
            from (
                select sum_insured_minor, count(*) as policies from policies
                where policies.risk_id = e.risk_id and policies.currency = e.currency
                  and policies.state in ('active', 'settled')
                group by sum_insured_minor order by sum_insured_minor limit 10000
            ) as by_sum
        ) as insured
        where ($1::integer is null or risks.season_year = $1)
          and ($2::uuid is null or e.risk_id > $2)
        order by e.risk_id limit $3"#,
        season_year,
        after.map(domain::id::RiskId::uuid),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let of = |minor| money(minor, &row.currency, "policies", row.risk_id);
            let exposures = row.sums.iter().zip(&row.counts).map(|(sum, policies)| {
                Ok(Exposure {
                    sum_insured: of(*sum)?,
                    policies: *policies,
                })
            });
            let exposures = exposures.collect::<Result<Vec<_>, StoreError>>()?;
            let id: Uuid = row.risk_id;
            Ok(Decided {
                risk_id: id.into(),
                evaluated_at: row.evaluated_at,
                engine_version: row.engine_version,
                total: of(row.total_minor)?,
                settlement: json(row.settlement, "evaluations", "settlement", id)?,
                exposures,
            })
        })
        .collect()
}
