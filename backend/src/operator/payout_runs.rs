//! Releasing an evaluation's payouts: one operator proposes, another confirms, and only then does
//! money move. The same person twice is refused, here and by two constraints in SQL.
//! Called by operators.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use domain::event::{Envelope, Event};
use domain::id::EvaluationId;
use runtime::ids::Ids;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::approvals::{self, Approval, ApprovalStep, Run};
use store::evaluations::{self, EvaluationState};
use store::{Connection, StoreError, operators, outbox, payouts};
use utoipa::{IntoParams, ToSchema};

use super::{Reason, audited};
use crate::App;
use crate::auth::Operator;
use crate::error::ApiError;

/// Runs shown at once, oldest first.
const RUNS_MAX: i64 = 100;
/// Payouts released by the confirming request itself; the damage worker releases the rest.
const RELEASED_MAX: i64 = 500;

/// Which runs are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunQuery {
    /// `held` or `approved`; `held` if left out.
    state: Option<String>,
}

/// The payouts of one evaluation, which are released together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunShown {
    /// `eva_…`.
    evaluation: String,
    /// `held` or `approved`.
    state: String,
    /// Code of the product.
    product: String,
    /// Season it covered, `MAM-2026`.
    season: String,
    /// Cell that was observed.
    cell: String,
    /// Policies it decides.
    policies: i32,
    /// Payouts it plans.
    payouts: i64,
    /// All of them together, minor units.
    total_minor: i64,
    /// `KES`.
    currency: &'static str,
    /// Share of each sum insured, as people write it.
    payout: String,
    /// 0 to 100.
    confidence: u8,
    /// Why two people must look at it.
    holds: Vec<String>,
    /// When it was decided.
    evaluated_at: DateTime<Utc>,
    /// Who has looked at it.
    approvals: Vec<ApprovalShown>,
}

/// One person's part in a release.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalShown {
    /// `made` (proposed) or `checked` (confirmed).
    step: String,
    /// Name of the person.
    operator: String,
    /// When.
    at: DateTime<Utc>,
}

/// Runs, oldest first; at most 100.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunList {
    /// The runs.
    runs: Vec<RunShown>,
}

/// Where a release stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReleaseShown {
    /// `eva_…`.
    evaluation: String,
    /// `made` (proposed, waits for another person) or `approved`.
    state: &'static str,
    /// Payouts that this request released.
    released: usize,
}

/// Runs of payouts that wait for two people, or have been released.
#[utoipa::path(
    get, path = "/api/v1/payout-runs", tag = "operators", params(RunQuery),
    responses((status = 200, description = "The runs", body = RunList))
)]
pub(crate) async fn list(
    _: Operator,
    State(app): State<App>,
    Query(filter): Query<RunQuery>,
) -> Result<Json<RunList>, ApiError> {
    let text = filter.state.as_deref().unwrap_or("held");
    let state = EvaluationState::parse(text)
        .ok_or_else(|| ApiError::refused("unknown_state", "state must be held or approved"))?;
    let mut conn = app.acquire().await?;
    let mut runs = Vec::new();
    for run in approvals::list_runs(&mut conn, state, RUNS_MAX).await? {
        let given = approvals::list(&mut conn, run.id).await?;
        runs.push(shown(run, &given));
    }
    Ok(Json(RunList { runs }))
}

fn shown(run: Run, given: &[Approval]) -> RunShown {
    let approvals = given.iter().map(|approval| ApprovalShown {
        step: approval.step.clone(),
        operator: approval.operator.clone(),
        at: approval.approved_at,
    });
    RunShown {
        evaluation: run.id.to_string(),
        state: run.state,
        product: run.product,
        season: run.season,
        cell: run.cell,
        policies: run.policies,
        payouts: run.payouts,
        total_minor: run.total.minor,
        currency: run.total.currency.code(),
        payout: run.share.to_string(),
        confidence: run.confidence,
        holds: run.holds,
        evaluated_at: run.evaluated_at,
        approvals: approvals.collect(),
    }
}

/// Proposes the release of an evaluation's payouts, or confirms another person's proposal.
#[utoipa::path(
    post, path = "/api/v1/payout-runs/{evaluation}/approve", tag = "operators",
    params(("evaluation" = String, Path, description = "`eva_…`")),
    request_body = Reason,
    responses(
        (status = 200, description = "Proposed or released", body = ReleaseShown),
        (status = 404, description = "`unknown_evaluation`"),
        (status = 409, description = "`not_held`, `already_approved`, `maker_cannot_check` or `not_independent`"),
    )
)]
pub(crate) async fn approve(
    operator: Operator,
    State(app): State<App>,
    Path(evaluation): Path<String>,
    body: Bytes,
) -> Result<Json<ReleaseShown>, ApiError> {
    let reason = Reason::read(&body)?;
    let unknown = || {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "unknown_evaluation",
            "no such evaluation; list those that wait with GET /api/v1/payout-runs?state=held",
        )
    };
    let id: EvaluationId = evaluation.parse().map_err(|_| unknown())?;
    let now = app.clock.now();
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let locked = evaluations::lock(&mut tx, id).await?.ok_or_else(unknown)?;
    let given = approvals::list(&mut tx, id).await?;
    let mine = given
        .iter()
        .any(|approval| approval.operator_id == operator.id);
    let (step, state, released) = match (locked.state, given.as_slice()) {
        (EvaluationState::Approved, []) => {
            let detail = "it needed no approval: its payouts were released when it was decided";
            return Err(ApiError::conflict("not_held", detail));
        }
        (EvaluationState::Approved, _) if mine => {
            return Ok(Json(ReleaseShown {
                evaluation: id.to_string(),
                state: "approved",
                released: 0,
            }));
        }
        (EvaluationState::Approved, _) => {
            let detail = "two operators have approved it already";
            return Err(ApiError::conflict("already_approved", detail));
        }
        (EvaluationState::Held, []) => {
            approvals::add(&mut tx, now, id, ApprovalStep::Made, operator.id, &reason).await?;
            (ApprovalStep::Made, "made", 0)
        }
        (EvaluationState::Held, _) if mine => {
            let detail = "you proposed this release; another operator must confirm it";
            return Err(ApiError::conflict("maker_cannot_check", detail));
        }
        (EvaluationState::Held, [made, ..]) => {
            require_independent(&mut tx, &operator, made).await?;
            approvals::add(
                &mut tx,
                now,
                id,
                ApprovalStep::Checked,
                operator.id,
                &reason,
            )
            .await?;
            approvals::release(&mut tx, now, id).await?;
            (
                ApprovalStep::Checked,
                "approved",
                release(&mut tx, now, &app.ids, id).await?,
            )
        }
    };
    let action = format!("payout_run.{}", step.as_str());
    let details = json!({ "reason": reason, "released": released });
    audited(
        &mut tx,
        now,
        &app.ids,
        &operator,
        (&action, &id.to_string(), details),
    )
    .await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(Json(ReleaseShown {
        evaluation: id.to_string(),
        state,
        released,
    }))
}

/// Whether this person's confirmation counts: an approver's, and neither invited by the person who
/// proposed nor the other way round, because who invites could have invited themselves.
async fn require_independent(
    conn: &mut Connection,
    checker: &Operator,
    made: &Approval,
) -> Result<(), ApiError> {
    if !checker.role.may_confirm() {
        let detail = format!(
            "the role {} may propose a release; an approver must confirm it",
            checker.role.as_str()
        );
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "approver_needed",
            detail,
        ));
    }
    let maker = operators::find(conn, made.operator_id).await?;
    let was_invited_by_checker = maker.and_then(|maker| maker.invited_by) == Some(checker.id);
    if was_invited_by_checker || checker.invited_by == Some(made.operator_id) {
        let detail = "one of you invited the other; another approver must confirm it";
        return Err(ApiError::conflict("not_independent", detail));
    }
    Ok(())
}

/// Releases the first payouts and rings for each; the rest are the damage worker's.
async fn release(
    conn: &mut Connection,
    now: DateTime<Utc>,
    ids: &Ids,
    id: EvaluationId,
) -> Result<usize, StoreError> {
    let released = payouts::release_batch(conn, now, id, RELEASED_MAX).await?;
    let count = released.len();
    let mut events: Vec<Event> = released
        .into_iter()
        .map(|payout_id| Event::PayoutApproved { payout_id })
        .collect();
    events.push(Event::EvaluationRecorded { evaluation_id: id });
    for event in events {
        let envelope = Envelope {
            id: ids.mint(now),
            event,
            traceparent: None,
        };
        outbox::push(conn, now, &envelope, now).await?;
    }
    Ok(count)
}
