//! Whether and when a risk's cell is looked at by satellite. A check that is over stays over, but
//! for those that lacked a source: they begin anew when there is one. Never holds a pixel.
//! Called by the satellite worker.

use chrono::{DateTime, Utc};
use domain::id::RiskId;
use sqlx::PgConnection;

use crate::error::StoreError;

/// Where the looking for a risk's scenes has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SceneCheck {
    /// When it is looked for next; never again when it is over.
    pub next_check_at: Option<DateTime<Utc>>,
    /// When it was last looked up to the end.
    pub checked_at: Option<DateTime<Utc>>,
}

/// How the looking for a risk's scenes ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SceneEnd {
    /// There is at least one.
    Recorded,
    /// None came while the product waited.
    Absent,
    /// The product reads none.
    Unneeded,
}

impl SceneEnd {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Absent => "absent",
            Self::Unneeded => "unneeded",
        }
    }
}

/// The check of a risk, while it is not over.
pub async fn find_open(
    conn: &mut PgConnection,
    risk_id: RiskId,
) -> Result<Option<SceneCheck>, StoreError> {
    let row = sqlx::query!(
        "-- scene_checks.find_open
        select next_check_at, checked_at from scene_checks where risk_id = $1 and state = 'due'",
        risk_id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| SceneCheck {
        next_check_at: row.next_check_at,
        checked_at: row.checked_at,
    }))
}

/// Chooses when a risk's scenes are looked for again; `checked_at` is given when they were looked
/// for up to the end. A check that is over stays over.
pub async fn postpone(
    conn: &mut PgConnection,
    risk_id: RiskId,
    next_check_at: DateTime<Utc>,
    checked_at: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- scene_checks.postpone
        update scene_checks
        set next_check_at = $2, checked_at = coalesce($3, checked_at)
        where risk_id = $1 and state = 'due'",
        risk_id.uuid(),
        next_check_at,
        checked_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends the looking for a risk's scenes; `false` when it was over.
pub async fn end(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    risk_id: RiskId,
    end: SceneEnd,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- scene_checks.end
        update scene_checks set state = $2, next_check_at = null, checked_at = $3
        where risk_id = $1 and state = 'due'",
        risk_id.uuid(),
        end.as_str(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records that no source of scenes is configured; `false` when that was known.
pub async fn record_unconfigured(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    risk_id: RiskId,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- scene_checks.record_unconfigured
        insert into scene_checks (risk_id, state, next_check_at, checked_at)
        values ($1, 'unconfigured', null, $2)
        on conflict (risk_id) do update
        set state = 'unconfigured', next_check_at = null, checked_at = excluded.checked_at
        where scene_checks.state = 'due'",
        risk_id.uuid(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Begins anew for risks that lacked a source of scenes and are not decided; returns how many.
pub async fn reopen(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "-- scene_checks.reopen
        update scene_checks set state = 'due', next_check_at = $1, checked_at = null
        from risks
        where scene_checks.state = 'unconfigured' and risks.id = scene_checks.risk_id
          and risks.state <> 'evaluated'",
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
