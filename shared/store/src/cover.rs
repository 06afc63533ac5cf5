//! Putting a policy on risk: the risk it belongs to, written at its first activation, and the
//! policy, its capacity and the bell in one go. Never decides whether (`domain::premium` does).
//! Called in the transaction that posts the premium.

use chrono::{DateTime, TimeDelta, Utc};
use domain::event::{Envelope, Event};
use domain::id::{MessageId, RiskId};
use sqlx::PgConnection;

use crate::error::StoreError;
use crate::policies::{self, Policy};
use crate::{capacity, outbox};

/// Time in which the bell of the first policy finds a risk its stations; then sweeps ring for it.
const STATIONS_WITHIN: TimeDelta = TimeDelta::minutes(15);

/// Ids for rows that may have to be written.
#[derive(Debug, Clone, Copy)]
pub struct CoverIds {
    /// Of the risk, if this is its first policy.
    pub risk: RiskId,
    /// Of the bell.
    pub message: MessageId,
}

/// Activates a locked policy whose premium has just been posted; returns its risk.
pub async fn begin(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    policy: &Policy,
    ids: CoverIds,
) -> Result<RiskId, StoreError> {
    let risk_id = open_risk(conn, now, policy, ids.risk).await?;
    policies::activate(conn, now, policy.id, risk_id).await?;
    capacity::bind(conn, policy.exposure(), policy.sum_insured).await?;
    let event = Event::PolicyActivated {
        policy_id: policy.id,
        risk_id,
    };
    let envelope = Envelope {
        id: ids.message,
        event,
        traceparent: None,
    };
    outbox::push(conn, now, &envelope, now).await?;
    Ok(risk_id)
}

/// The risk of a policy, written if it is the first: due when its window has passed, its scenes
/// looked for at once.
async fn open_risk(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    policy: &Policy,
    id: RiskId,
) -> Result<RiskId, StoreError> {
    let closes_at = policy.window.closes_at();
    sqlx::query!(
        "-- cover.open_risk
        insert into risks
            (id, product_version_id, zone, risk_cell, season_year, window_start, window_end,
             window_closes_at, state, next_check_at, stations_check_at, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, 'open', $8, $10, $9)
        on conflict (product_version_id, risk_cell, season_year) do nothing",
        id.uuid(),
        policy.version.uuid(),
        policy.zone,
        policy.risk_cell.to_string(),
        policy.season_year,
        policy.window.start,
        policy.window.end,
        closes_at,
        now,
        now + STATIONS_WITHIN,
    )
    .execute(&mut *conn)
    .await?;
    let id = sqlx::query_scalar!(
        "-- cover.find_risk
        select id from risks
        where product_version_id = $1 and risk_cell = $2 and season_year = $3",
        policy.version.uuid(),
        policy.risk_cell.to_string(),
        policy.season_year,
    )
    .fetch_one(&mut *conn)
    .await?;
    sqlx::query!(
        "-- cover.open_scene_check
        insert into scene_checks (risk_id, state, next_check_at) values ($1, 'due', $2)
        on conflict (risk_id) do nothing",
        id,
        now,
    )
    .execute(conn)
    .await?;
    Ok(id.into())
}
