//! Releases by people: who proposed an evaluation's payouts and which other person confirmed it.
//! Never lets one person do both: a constraint forbids it and the release counts them again.
//! Called by operators' routes inside the transaction that releases.

use chrono::{DateTime, Utc};
use domain::id::{EvaluationId, OperatorId};
use domain::money::{BasisPoints, Money};
use domain::settle::{Observed, Settlement};
use sqlx::PgConnection;

use crate::decode::{json, money};
use crate::error::{StoreError, one_row};
use crate::evaluations::EvaluationState;

/// Step of a release by people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalStep {
    /// Proposed.
    Made,
    /// Confirmed by another person.
    Checked,
}

impl ApprovalStep {
    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Checked => "checked",
        }
    }
}

/// One person's part in a release.
#[derive(Debug, Clone)]
pub struct Approval {
    /// `made` or `checked`.
    pub step: String,
    /// Who.
    pub operator_id: OperatorId,
    /// Their name.
    pub operator: String,
    /// When.
    pub approved_at: DateTime<Utc>,
}

/// Who has approved, maker first.
pub async fn list(conn: &mut PgConnection, id: EvaluationId) -> Result<Vec<Approval>, StoreError> {
    let rows = sqlx::query!(
        r#"-- approvals.list
        select approvals.step, approvals.operator_id, operators.name, approvals.approved_at
        from approvals join operators on operators.id = approvals.operator_id
        where approvals.evaluation_id = $1 order by approvals.step desc"#,
        id.uuid(),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Approval {
            step: row.step,
            operator_id: row.operator_id.into(),
            operator: row.name,
            approved_at: row.approved_at,
        })
        .collect())
}

/// Adds one person's step. A second step by the same person breaks a constraint.
pub async fn add(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: EvaluationId,
    step: ApprovalStep,
    operator: OperatorId,
    reason: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"-- approvals.add
        insert into approvals (evaluation_id, step, operator_id, reason, approved_at)
        values ($1, $2, $3, $4, $5)"#,
        id.uuid(),
        step.as_str(),
        operator.uuid(),
        reason,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Releases a held evaluation that two people have approved; the database counts them again.
pub async fn release(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: EvaluationId,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"-- approvals.release
        update evaluations set state = 'approved', approved_at = $2
        where id = $1 and state = 'held'
          and (select count(distinct operator_id) from approvals where evaluation_id = $1) = 2"#,
        id.uuid(),
        now,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "evaluation", id)
}

/// An evaluation as a unit of release.
#[derive(Debug, Clone)]
pub struct Run {
    /// The evaluation.
    pub id: EvaluationId,
    /// Held or approved, as stored.
    pub state: String,
    /// Product code.
    pub product: String,
    /// Season key, `MAM-1984`.
    pub season: String,
    /// Cell.
    pub cell: String,
    /// Policies on risk.
    pub policies: i32,
    /// Payouts planned.
    pub payouts: i64,
    /// Owed together.
    pub total: Money,
    /// Share of each sum insured, for display.
    pub share: BasisPoints,
    /// 0 to 100.
    pub confidence: u8,
    /// Why two people must look.
    pub holds: Vec<String>,
    /// When it was decided.
    pub evaluated_at: DateTime<Utc>,
}

/// The oldest evaluations in a state.
pub async fn list_runs(
    conn: &mut PgConnection,
    state: EvaluationState,
    limit: i64,
) -> Result<Vec<Run>, StoreError> {
    let rows = sqlx::query!(
        r#"-- approvals.list_runs
        select evaluations.id, evaluations.state, evaluations.observed, evaluations.settlement,
               evaluations.holds, evaluations.policies, evaluations.total_minor,
               evaluations.currency, evaluations.evaluated_at, risks.risk_cell, risks.season_year,
               product_versions.code,
               product_versions.document -> 'season' ->> 'code' as season_code,
               (select count(*) from payouts where payouts.evaluation_id = evaluations.id)
                   as "payouts!"
        from evaluations join risks on risks.id = evaluations.risk_id
        join product_versions on product_versions.id = risks.product_version_id
        where evaluations.state = $1
        order by evaluations.evaluated_at, evaluations.id limit $2"#,
        state.as_str(),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let observed: Observed = json(row.observed, "evaluations", "observed", row.id)?;
            let settlement: Settlement = json(row.settlement, "evaluations", "settlement", row.id)?;
            Ok(Run {
                id: row.id.into(),
                state: row.state,
                product: row.code,
                season: format!(
                    "{}-{}",
                    row.season_code.unwrap_or_default(),
                    row.season_year
                ),
                cell: row.risk_cell,
                policies: row.policies,
                payouts: row.payouts,
                total: money(row.total_minor, &row.currency, "evaluations", row.id)?,
                share: settlement.share.basis_points(),
                confidence: observed.confidence,
                holds: row.holds,
                evaluated_at: row.evaluated_at,
            })
        })
        .collect()
}
