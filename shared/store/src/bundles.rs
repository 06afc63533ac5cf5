//! Evidence bundles: what goes into one, which wait for the network, which are pinned.
//! Never changes a byte of one. Called by the damage worker, sweeps and partners' routes.

use chrono::{DateTime, Utc};
use domain::evidence::{self, CellDay, StationEvidence};
use domain::id::{EvaluationId, OrganisationId};
use domain::measure::RainUm;
use sqlx::PgConnection;

use crate::error::StoreError;
use crate::evaluations::Subject;
use crate::sources::Sources;
use crate::{sources, stations};

/// A bundle that waits to be pinned.
#[derive(Debug, Clone)]
pub struct Unpinned {
    /// Content address it must get.
    pub cid: String,
    /// The bytes.
    pub bundle: Vec<u8>,
    /// Uploads tried before.
    pub attempts: u32,
}

/// The bundle of an evaluation, unless it is pinned already. Not locked: pinning twice is harmless.
pub async fn find_unpinned(
    conn: &mut PgConnection,
    id: EvaluationId,
) -> Result<Option<Unpinned>, StoreError> {
    let row = sqlx::query!(
        r#"-- bundles.find_unpinned
        select cid, bundle, pin_attempts from evaluations where id = $1 and pinned_at is null"#,
        id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Unpinned {
        cid: row.cid,
        bundle: row.bundle,
        attempts: u32::try_from(row.pin_attempts).unwrap_or(0),
    }))
}

/// Records that the bundle is on the network under its own address. Once is enough.
pub async fn mark_pinned(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: EvaluationId,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"-- bundles.mark_pinned
        update evaluations
        set pinned_at = $2, pin_attempts = pin_attempts + 1, next_check_at = null
        where id = $1 and pinned_at is null"#,
        id.uuid(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Tries the upload again later.
pub async fn postpone(
    conn: &mut PgConnection,
    id: EvaluationId,
    next_check_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"-- bundles.postpone
        update evaluations set pin_attempts = pin_attempts + 1, next_check_at = $2
        where id = $1 and pinned_at is null"#,
        id.uuid(),
        next_check_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Evaluations whose evidence is due to be pinned.
pub async fn list_due(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<EvaluationId>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"-- bundles.list_due
        select id from evaluations where next_check_at <= $1 order by next_check_at, id limit $2"#,
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(EvaluationId::from).collect())
}

/// A bundle and its content address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressed {
    /// Evaluation it is the evidence of.
    pub evaluation_id: EvaluationId,
    /// Content address.
    pub cid: String,
    /// The bytes.
    pub bundle: Vec<u8>,
}

/// The bundle with this content address or short code, if its risk is an organisation's too.
pub async fn find_of_organisation(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    address: &str,
) -> Result<Option<Addressed>, StoreError> {
    let row = sqlx::query!(
        "-- bundles.find_of_organisation
        select e.id, e.cid, e.bundle from evaluations e
        where (e.cid = $2 or e.short_code = upper($2))
          and exists (select 1 from policies p
                      where p.risk_id = e.risk_id and p.organisation_id = $1)
        order by e.id limit 1",
        organisation.uuid(),
        address,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Addressed {
        evaluation_id: row.id.into(),
        cid: row.cid,
        bundle: row.bundle,
    }))
}

/// What was observed of a risk, as its evidence states it.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Its stations by rank, with their days of the window.
    pub stations: Vec<StationEvidence>,
    /// What else may stand in for them, and vegetation.
    pub sources: Sources,
    /// Rain of its cell, day by day.
    pub days: Vec<CellDay>,
}

/// What was observed of a risk in its window.
pub async fn load_inputs(conn: &mut PgConnection, subject: &Subject) -> Result<Inputs, StoreError> {
    let (risk_id, window, product) = (subject.risk_id, subject.window, &subject.version.product);
    // the very readings the index was computed from
    let frozen = stations::list_frozen(conn, risk_id, window).await?;
    let stations = evidence::stated(frozen, product);
    let sources = sources::list(conn, product, subject.season_year, window, &[subject.cell])
        .await?
        .remove(&subject.cell)
        .unwrap_or_default();
    let days = sqlx::query!(
        r#"-- bundles.load_cell_days
        select day, rain_um, source, factor_e4 from cell_days
        where risk_id = $1 and day >= $2 and day < $3 order by day"#,
        risk_id.uuid(),
        window.start,
        window.end,
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(|row| CellDay {
        day: row.day,
        rain_um: row.rain_um.map(RainUm),
        source: row.source,
        factor_e4: row.factor_e4.and_then(|e4| u16::try_from(e4).ok()),
    })
    .collect();
    Ok(Inputs {
        stations,
        sources,
        days,
    })
}
