//! Evidence bundles: what goes into one, which wait for the network, which are pinned.
//! Never changes a byte of one. Called by the damage worker, sweeps and partners' routes.

use chrono::{DateTime, Utc};
use domain::evidence::{CellDay, StationDay, StationEvidence};
use domain::id::{EvaluationId, OrganisationId, RiskId};
use domain::measure::RainUm;
use domain::season::Window;
use sqlx::PgConnection;

use crate::error::StoreError;

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
    /// Rain of its cell, day by day.
    pub days: Vec<CellDay>,
}

/// What was observed of a risk in its window.
pub async fn load_inputs(
    conn: &mut PgConnection,
    risk_id: RiskId,
    window: Window,
) -> Result<Inputs, StoreError> {
    let frozen = sqlx::query!(
        r#"-- bundles.load_stations
        select station_id, rank as "rank!", distance_m, data_quality_e4, location_quality_e4
        from risk_stations where risk_id = $1 and rank is not null order by rank"#,
        risk_id.uuid(),
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut stations = Vec::new();
    for row in frozen {
        let quality = |e4: Option<i16>| u16::try_from(e4.unwrap_or(0)).unwrap_or(0);
        let days = load_station_days(conn, &row.station_id, window).await?;
        stations.push(StationEvidence {
            rank: u16::try_from(row.rank).unwrap_or(u16::MAX),
            distance_m: u32::try_from(row.distance_m).unwrap_or(u32::MAX),
            data_quality_e4: quality(row.data_quality_e4),
            location_quality_e4: quality(row.location_quality_e4),
            id: row.station_id,
            days,
        });
    }
    let days = sqlx::query!(
        r#"-- bundles.load_cell_days
        select day, rain_um, source from cell_days
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
    })
    .collect();
    Ok(Inputs { stations, days })
}

async fn load_station_days(
    conn: &mut PgConnection,
    station: &str,
    window: Window,
) -> Result<Vec<StationDay>, StoreError> {
    let rows = sqlx::query!(
        r#"-- bundles.load_station_days
        select day, rain_um, samples, resets, flags, replies from station_days
        where station_id = $1 and day >= $2 and day < $3 order by day"#,
        station,
        window.start,
        window.end,
    )
    .fetch_all(conn)
    .await?;
    let count = |n: i32| u32::try_from(n).unwrap_or(0);
    Ok(rows
        .into_iter()
        .map(|row| StationDay {
            day: row.day,
            rain_um: row.rain_um.map(RainUm),
            samples: count(row.samples),
            resets: count(row.resets),
            flags: row.flags,
            replies: row.replies,
        })
        .collect())
}
