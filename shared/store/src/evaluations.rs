//! The one decision on each closed risk: its inputs under lock, the recorded evaluation and the
//! fan-out's progress. Its evidence is in `bundles`, its release by people in `approvals`.
//! Never decides (`domain::settle` does) and never plans money (`payouts` does).
//! Called by the damage worker, by operators' routes and by sweeps.

use chrono::{DateTime, Utc};
use domain::cell::RiskCell;
use domain::evidence::Check;
use domain::id::{EvaluationId, IndexRunId, PolicyId, RiskId};
use domain::money::Money;
use domain::season::Window;
use domain::settle::{HoldReason, Observed, Settlement};
use sqlx::PgConnection;

use crate::decode::{cell_of, corrupt, json, money};
use crate::error::{StoreError, one_row};
use crate::products::ProductVersion;

/// Where a risk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RiskState {
    /// Its window runs, or its index is not final yet.
    Open,
    /// Its index is final but days are missing.
    Deferred,
    /// The days for deciding have passed: whatever is decided now, two people look at it.
    Held,
    /// Decided.
    Evaluated,
}

impl RiskState {
    /// From storage.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "open" => Some(Self::Open),
            "deferred" => Some(Self::Deferred),
            "held" => Some(Self::Held),
            "evaluated" => Some(Self::Evaluated),
            _ => None,
        }
    }
}

/// Whether an evaluation's money may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvaluationState {
    /// Waits for two people.
    Held,
    /// Released.
    Approved,
}

impl EvaluationState {
    /// Every one.
    pub const ALL: &[Self] = &[Self::Held, Self::Approved];

    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Approved => "approved",
        }
    }

    /// From storage.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "held" => Some(Self::Held),
            "approved" => Some(Self::Approved),
            _ => None,
        }
    }
}

/// The final index run of a risk.
#[derive(Debug, Clone)]
pub struct FinalRun {
    /// Id.
    pub id: IndexRunId,
    /// What it observed.
    pub observed: Observed,
    /// What quality control found odd.
    pub checks: Vec<Check>,
    /// Version of the number work.
    pub engine_version: String,
}

/// A risk as the decision sees it, locked until the transaction ends.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Id.
    pub risk_id: RiskId,
    /// State.
    pub state: RiskState,
    /// Zone whose triggers apply.
    pub zone: String,
    /// Cell.
    pub cell: RiskCell,
    /// Year the cover began in.
    pub season_year: i32,
    /// Days covered.
    pub window: Window,
    /// When the window has passed.
    pub closes_at: DateTime<Utc>,
    /// What was sold.
    pub version: ProductVersion,
    /// Whether something was recorded that the run does not count yet.
    pub index_dirty: bool,
    /// The run that settles, once there is one.
    pub run: Option<FinalRun>,
}

/// Policies on risk with one sum insured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposure {
    /// The sum insured of each.
    pub sum_insured: Money,
    /// How many.
    pub policies: i64,
}

/// A decision to be recorded.
#[derive(Debug, Clone)]
pub struct Decision<'a> {
    /// Id of the evaluation.
    pub id: EvaluationId,
    /// Risk decided.
    pub risk_id: RiskId,
    /// Run it follows from.
    pub index_run_id: IndexRunId,
    /// What was observed.
    pub observed: &'a Observed,
    /// What that pays.
    pub settlement: &'a Settlement,
    /// Every reason for two people to look, the release's own included.
    pub holds: &'a [HoldReason],
    /// Policies on risk.
    pub policies: i64,
    /// What they are owed together.
    pub total: Money,
    /// Held or approved.
    pub state: EvaluationState,
    /// Content address of the bundle.
    pub cid: &'a str,
    /// What stands in texts.
    pub short_code: &'a str,
    /// The evidence, canonical bytes.
    pub bundle: &'a [u8],
}

/// An evaluation, locked until the transaction ends.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// Id.
    pub id: EvaluationId,
    /// Risk decided.
    pub risk_id: RiskId,
    /// Held or approved.
    pub state: EvaluationState,
    /// What it pays.
    pub settlement: Settlement,
    /// When every policy had been settled.
    pub fanned_out_at: Option<DateTime<Utc>>,
}

fn hold_names(holds: &[HoldReason]) -> Vec<String> {
    holds
        .iter()
        .filter_map(|hold| serde_json::to_value(hold).ok()?.as_str().map(str::to_owned))
        .collect()
}

/// Locks a risk and reads what its decision needs.
pub async fn lock_subject(
    conn: &mut PgConnection,
    risk_id: RiskId,
) -> Result<Option<Subject>, StoreError> {
    let row = sqlx::query!(
        r#"-- evaluations.lock_subject
        select risks.id, risks.state, risks.zone, risks.risk_cell, risks.season_year,
               risks.window_start, risks.window_end, risks.window_closes_at,
               product_versions.id as version_id, product_versions.hash,
               product_versions.document, risks.final_index_run_id, risks.index_dirty
        from risks join product_versions on product_versions.id = risks.product_version_id
        where risks.id = $1
        for update of risks"#,
        risk_id.uuid(),
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let version = ProductVersion {
        id: row.version_id.into(),
        hash: row.hash,
        product: json(row.document, "product_versions", "document", row.version_id)?,
    };
    let run = match row.final_index_run_id {
        Some(id) => Some(get_run(conn, id.into()).await?),
        None => None,
    };
    Ok(Some(Subject {
        risk_id,
        state: RiskState::parse(&row.state).ok_or_else(|| corrupt("risks", "state", risk_id))?,
        zone: row.zone,
        cell: cell_of(&row.risk_cell, "risks", risk_id)?,
        season_year: row.season_year,
        window: Window {
            start: row.window_start,
            end: row.window_end,
        },
        closes_at: row.window_closes_at,
        version,
        index_dirty: row.index_dirty,
        run,
    }))
}

async fn get_run(conn: &mut PgConnection, id: IndexRunId) -> Result<FinalRun, StoreError> {
    let row = sqlx::query!(
        r#"-- evaluations.get_run
        select phases, stations, confidence, vegetation_bp, vegetation_milli, index_se_bp, checks,
               engine_version
        from index_runs where id = $1"#,
        id.uuid(),
    )
    .fetch_one(conn)
    .await?;
    let broken = |column| corrupt("index_runs", column, id);
    let vegetation_bp = row
        .vegetation_bp
        .map(|bp| {
            let bp = u16::try_from(bp).map_err(|_| broken("vegetation_bp"))?;
            domain::money::BasisPoints::new(bp).map_err(|_| broken("vegetation_bp"))
        })
        .transpose()?;
    Ok(FinalRun {
        id,
        observed: Observed {
            phases: json(row.phases, "index_runs", "phases", id.uuid())?,
            vegetation_bp,
            vegetation_milli: row.vegetation_milli,
            index_se_bp: row
                .index_se_bp
                .map(|bp| u16::try_from(bp).map_err(|_| broken("index_se_bp")))
                .transpose()?,
            stations: u8::try_from(row.stations).map_err(|_| broken("stations"))?,
            confidence: u8::try_from(row.confidence).map_err(|_| broken("confidence"))?,
        },
        checks: json(row.checks, "index_runs", "checks", id.uuid())?,
        engine_version: row.engine_version,
    })
}

/// What is on risk, by sum insured.
pub async fn list_exposures(
    conn: &mut PgConnection,
    risk_id: RiskId,
) -> Result<Vec<Exposure>, StoreError> {
    let rows = sqlx::query!(
        r#"-- evaluations.list_exposures
        select sum_insured_minor, currency, count(*) as "policies!"
        from policies where risk_id = $1 and state = 'active'
        group by sum_insured_minor, currency order by sum_insured_minor limit 10000"#,
        risk_id.uuid(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let sum_insured = money(
                row.sum_insured_minor,
                &row.currency,
                "policies",
                risk_id.uuid(),
            )?;
            Ok(Exposure {
                sum_insured,
                policies: row.policies,
            })
        })
        .collect()
}

/// Records a decision and closes its risk, which the caller has locked; `false` when the risk
/// had been decided before.
pub async fn record(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    decision: &Decision<'_>,
) -> Result<bool, StoreError> {
    let settlement = decision.settlement;
    let points = |bp: domain::money::BasisPoints| i16::try_from(bp.get()).unwrap_or(i16::MAX);
    let approved_at = (decision.state == EvaluationState::Approved).then_some(now);
    let done = sqlx::query!(
        r#"-- evaluations.record
        insert into evaluations
            (id, risk_id, index_run_id, observed, settlement, share_numerator, share_denominator,
             weather_bp, vegetation_bp, damage_index_bp, holds, policies, total_minor, currency,
             state, cid, short_code, bundle, next_check_at, evaluated_at, approved_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                $19, $19, $20)
        on conflict (risk_id) do nothing"#,
        decision.id.uuid(),
        decision.risk_id.uuid(),
        decision.index_run_id.uuid(),
        serde_json::to_value(decision.observed).unwrap_or_default(),
        serde_json::to_value(settlement).unwrap_or_default(),
        settlement.share.numerator(),
        settlement.share.denominator(),
        points(settlement.weather_bp),
        settlement.vegetation_bp.map(points),
        settlement.damage_index_bp.map(points),
        &hold_names(decision.holds),
        i32::try_from(decision.policies).unwrap_or(i32::MAX),
        decision.total.minor,
        decision.total.currency.code(),
        decision.state.as_str(),
        decision.cid,
        decision.short_code,
        decision.bundle,
        now,
        approved_at,
    )
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    let closed = sqlx::query!(
        r#"-- evaluations.close_risk
        update risks set state = 'evaluated', next_check_at = null, stations_check_at = null
        where id = $1 and state <> 'evaluated'"#,
        decision.risk_id.uuid(),
    )
    .execute(conn)
    .await?;
    one_row(closed.rows_affected(), "risk", decision.risk_id)?;
    Ok(true)
}

/// Looks at a risk again later: its index is not final yet, or (`deferred`) days are missing.
pub async fn postpone_risk(
    conn: &mut PgConnection,
    risk_id: RiskId,
    deferred: bool,
    next_check_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"-- evaluations.postpone_risk
        update risks set state = case when $2 then 'deferred' else state end, next_check_at = $3
        where id = $1 and state in ('open', 'deferred')"#,
        risk_id.uuid(),
        deferred,
        next_check_at,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "risk", risk_id)
}

/// Hands an undecided risk to people.
pub async fn hold_risk(conn: &mut PgConnection, risk_id: RiskId) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"-- evaluations.hold_risk
        update risks set state = 'held', next_check_at = null
        where id = $1 and state in ('open', 'deferred')"#,
        risk_id.uuid(),
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "risk", risk_id)
}

/// Locks an evaluation.
pub async fn lock(
    conn: &mut PgConnection,
    id: EvaluationId,
) -> Result<Option<Evaluation>, StoreError> {
    let row = sqlx::query!(
        r#"-- evaluations.lock
        select risk_id, state, settlement, fanned_out_at from evaluations where id = $1 for update"#,
        id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Evaluation {
            id,
            risk_id: row.risk_id.into(),
            state: EvaluationState::parse(&row.state)
                .ok_or_else(|| corrupt("evaluations", "state", id))?,
            settlement: json(row.settlement, "evaluations", "settlement", id.uuid())?,
            fanned_out_at: row.fanned_out_at,
        })
    })
    .transpose()
}

/// Locks the next policies of a risk that are still on risk, by id.
pub async fn lock_policies(
    conn: &mut PgConnection,
    risk_id: RiskId,
    limit: i64,
) -> Result<Vec<(PolicyId, Money)>, StoreError> {
    let rows = sqlx::query!(
        r#"-- evaluations.lock_policies
        select id, sum_insured_minor, currency from policies
        where risk_id = $1 and state = 'active' order by id limit $2 for update"#,
        risk_id.uuid(),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let insured = money(row.sum_insured_minor, &row.currency, "policies", row.id)?;
            Ok((row.id.into(), insured))
        })
        .collect()
}

/// Settles policies that the caller has locked.
pub async fn settle_policies(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    policies: &[PolicyId],
) -> Result<(), StoreError> {
    let ids: Vec<uuid::Uuid> = policies.iter().map(|id| id.uuid()).collect();
    let done = sqlx::query!(
        r#"-- evaluations.settle_policies
        update policies set state = 'settled', settled_at = $1
        where id = any($2) and state = 'active'"#,
        now,
        &ids,
    )
    .execute(conn)
    .await?;
    if usize::try_from(done.rows_affected()).is_ok_and(|rows| rows == policies.len()) {
        Ok(())
    } else {
        Err(StoreError::Stale {
            entity: "policies of a risk",
            id: "(batch)".to_owned(),
        })
    }
}

/// Records that no policy of the risk is left to settle.
pub async fn mark_fanned_out(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: EvaluationId,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"-- evaluations.mark_fanned_out
        update evaluations set fanned_out_at = coalesce(fanned_out_at, $2) where id = $1"#,
        id.uuid(),
        now,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "evaluation", id)
}

/// Evaluations with policies left to settle, or released with payouts still held. Since when a
/// batch has been under way is not known, so a bell may be rung beside one that still rings.
pub async fn list_unfinished(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<EvaluationId>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"-- evaluations.list_unfinished
        select id from evaluations
        where evaluated_at <= $1
          and (fanned_out_at is null
               or (state = 'approved'
                   and id in (select evaluation_id from payouts where state = 'held')))
        order by evaluated_at, id limit $2"#,
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(EvaluationId::from).collect())
}
