//! Whether a vegetation scene exists for a risk. Without a source that is recorded honestly, and
//! the product's rule for absent vegetation applies. Called by the satellite worker.

use chrono::{DateTime, Utc};
use domain::id::RiskId;
use sqlx::PgConnection;

use crate::error::StoreError;

/// Records that no source of scenes is configured; `false` when that was known.
pub async fn record_unconfigured(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    risk_id: RiskId,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- scenes.record_unconfigured
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
