//! Weather stations, and which of them observe a risk: candidates while none is chosen, then
//! frozen with a rank for the whole window. Never changes a rank once the risk is frozen.
//! Called by the weather worker (candidates), the data-processor (ranks) and `bundles` (evidence).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::cell::RiskCell;
use domain::evidence::{StationDay, StationEvidence};
use domain::id::RiskId;
use domain::measure::RainUm;
use domain::season::Window;
use sqlx::PgConnection;

use crate::error::StoreError;

/// A station near a risk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The provider's id.
    pub id: String,
    /// Its display name.
    pub name: String,
    /// The cell it stands in.
    pub cell: RiskCell,
    /// Latitude, millionths of a degree.
    pub lat_e6: i32,
    /// Longitude, millionths of a degree.
    pub lon_e6: i32,
    /// Elevation, decimetres, where the provider knows it.
    pub elevation_dm: Option<i32>,
    /// Distance to the centre of the risk's cell, metres.
    pub distance_m: i32,
    /// How much higher than the nearest candidate it stands, decimetres.
    pub elevation_gap_dm: Option<i32>,
    /// Data quality at that time, 1e-4.
    pub data_quality_e4: Option<i16>,
    /// Location quality at that time, 1e-4.
    pub location_quality_e4: Option<i16>,
}

/// Records the stations around a risk whose stations are not frozen, which the caller has locked.
pub async fn record_candidates(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    risk_id: RiskId,
    candidates: &[Candidate],
) -> Result<(), StoreError> {
    // a fixed order, so that two risks with common stations cannot lock each other out
    let mut sorted: Vec<&Candidate> = candidates.iter().collect();
    sorted.sort_by(|a, b| a.id.cmp(&b.id));
    let texts = |of: fn(&Candidate) -> String| sorted.iter().map(|c| of(c)).collect::<Vec<_>>();
    let (ids, names) = (texts(|c| c.id.clone()), texts(|c| c.name.clone()));
    let cells = texts(|c| c.cell.to_string());
    let lats: Vec<i32> = sorted.iter().map(|c| c.lat_e6).collect();
    let lons: Vec<i32> = sorted.iter().map(|c| c.lon_e6).collect();
    let elevations: Vec<Option<i32>> = sorted.iter().map(|c| c.elevation_dm).collect();
    sqlx::query!(
        "-- stations.record
        insert into stations (id, name, risk_cell, lat_e6, lon_e6, elevation_dm, seen_at)
        select id, name, risk_cell, lat_e6, lon_e6, elevation_dm, $7
        from unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::integer[], $6::integer[])
            as given (id, name, risk_cell, lat_e6, lon_e6, elevation_dm)
        on conflict (id) do update set
            name = excluded.name, risk_cell = excluded.risk_cell, lat_e6 = excluded.lat_e6,
            lon_e6 = excluded.lon_e6, elevation_dm = excluded.elevation_dm,
            seen_at = excluded.seen_at",
        &ids,
        &names,
        &cells,
        &lats,
        &lons,
        &elevations as _,
        now,
    )
    .execute(&mut *conn)
    .await?;
    let distances: Vec<i32> = sorted.iter().map(|c| c.distance_m).collect();
    let gaps: Vec<Option<i32>> = sorted.iter().map(|c| c.elevation_gap_dm).collect();
    let data: Vec<Option<i16>> = sorted.iter().map(|c| c.data_quality_e4).collect();
    let locations: Vec<Option<i16>> = sorted.iter().map(|c| c.location_quality_e4).collect();
    sqlx::query!(
        "-- stations.record_candidates
        insert into risk_stations (risk_id, station_id, distance_m, elevation_gap_dm,
            data_quality_e4, location_quality_e4, recorded_at)
        select $1, station_id, distance_m, elevation_gap_dm, data_quality_e4, location_quality_e4, $7
        from unnest($2::text[], $3::integer[], $4::integer[], $5::smallint[], $6::smallint[])
            as given (station_id, distance_m, elevation_gap_dm, data_quality_e4, location_quality_e4)
        on conflict (risk_id, station_id) do update set
            distance_m = excluded.distance_m, elevation_gap_dm = excluded.elevation_gap_dm,
            data_quality_e4 = excluded.data_quality_e4,
            location_quality_e4 = excluded.location_quality_e4, recorded_at = excluded.recorded_at
        where risk_stations.rank is null",
        risk_id.uuid(),
        &ids,
        &distances,
        &gaps as _,
        &data as _,
        &locations as _,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The candidates of a risk, nearest first.
pub async fn list_candidates(
    conn: &mut PgConnection,
    risk_id: RiskId,
) -> Result<Vec<Candidate>, StoreError> {
    let rows = sqlx::query!(
        "-- stations.list_candidates
        select stations.id, stations.name, stations.risk_cell, stations.lat_e6, stations.lon_e6,
               stations.elevation_dm, risk_stations.distance_m, risk_stations.elevation_gap_dm,
               risk_stations.data_quality_e4, risk_stations.location_quality_e4
        from risk_stations join stations on stations.id = risk_stations.station_id
        where risk_stations.risk_id = $1
        order by risk_stations.distance_m, stations.id limit 100",
        risk_id.uuid(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Candidate {
                cell: row.risk_cell.parse().map_err(|_| StoreError::Corrupt {
                    table: "stations",
                    column: "risk_cell",
                    id: row.id.clone(),
                })?,
                id: row.id,
                name: row.name,
                lat_e6: row.lat_e6,
                lon_e6: row.lon_e6,
                elevation_dm: row.elevation_dm,
                distance_m: row.distance_m,
                elevation_gap_dm: row.elevation_gap_dm,
                data_quality_e4: row.data_quality_e4,
                location_quality_e4: row.location_quality_e4,
            })
        })
        .collect()
}

/// Gives the chosen candidates of a risk, which the caller has locked, their ranks.
pub async fn rank(
    conn: &mut PgConnection,
    risk_id: RiskId,
    ranked: &[(String, i16)],
) -> Result<u64, StoreError> {
    let ids: Vec<String> = ranked.iter().map(|(id, _)| id.clone()).collect();
    let ranks: Vec<i16> = ranked.iter().map(|(_, rank)| *rank).collect();
    let done = sqlx::query!(
        "-- stations.rank
        update risk_stations set rank = given.rank
        from unnest($2::text[], $3::smallint[]) as given (station_id, rank)
        where risk_stations.risk_id = $1 and risk_stations.station_id = given.station_id
          and risk_stations.rank is null",
        risk_id.uuid(),
        &ids,
        &ranks,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Locks a station until the transaction ends: its days are computed by one transaction at a time.
pub async fn lock(conn: &mut PgConnection, station_id: &str) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar!(
        "-- stations.lock
        select id from stations where id = $1 for update",
        station_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.is_some())
}

/// The frozen stations of a risk by rank, with what is known of their days in the window.
pub async fn list_frozen(
    conn: &mut PgConnection,
    risk_id: RiskId,
    window: Window,
) -> Result<Vec<StationEvidence>, StoreError> {
    let rows = sqlx::query!(
        r#"-- stations.list_frozen
        select station_id, rank as "rank!", distance_m, data_quality_e4, location_quality_e4
        from risk_stations where risk_id = $1 and rank is not null order by rank limit 10"#,
        risk_id.uuid(),
    )
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<String> = rows.iter().map(|row| row.station_id.clone()).collect();
    let mut days = list_days(conn, &ids, window).await?;
    let quality = |e4: Option<i16>| u16::try_from(e4.unwrap_or(0)).unwrap_or(0);
    Ok(rows
        .into_iter()
        .map(|row| StationEvidence {
            rank: u16::try_from(row.rank).unwrap_or(u16::MAX),
            distance_m: u32::try_from(row.distance_m).unwrap_or(u32::MAX),
            data_quality_e4: quality(row.data_quality_e4),
            location_quality_e4: quality(row.location_quality_e4),
            days: days.remove(&row.station_id).unwrap_or_default(),
            id: row.station_id,
        })
        .collect())
}

async fn list_days(
    conn: &mut PgConnection,
    ids: &[String],
    window: Window,
) -> Result<BTreeMap<String, Vec<StationDay>>, StoreError> {
    let rows = sqlx::query!(
        "-- stations.list_days
        select station_id, day, rain_um, samples, resets, flags, replies from station_days
        where station_id = any($1) and day >= $2 and day < $3 order by station_id, day limit 4000",
        ids,
        window.start,
        window.end,
    )
    .fetch_all(conn)
    .await?;
    let mut days: BTreeMap<String, Vec<StationDay>> = BTreeMap::new();
    for row in rows {
        days.entry(row.station_id).or_default().push(StationDay {
            day: row.day,
            rain_um: row.rain_um.map(RainUm),
            samples: u32::try_from(row.samples).unwrap_or(0),
            resets: u32::try_from(row.resets).unwrap_or(0),
            flags: row.flags,
            replies: row.replies,
        });
    }
    Ok(days)
}

/// Whether the station that leads a risk stands in the risk's own cell.
pub async fn leads_in_cell(conn: &mut PgConnection, risk_id: RiskId) -> Result<bool, StoreError> {
    let inside = sqlx::query_scalar!(
        r#"-- stations.leads_in_cell
        select exists (
            select 1 from risk_stations r
            join stations s on s.id = r.station_id
            join risks k on k.id = r.risk_id
            where r.risk_id = $1 and r.rank = 1 and s.risk_cell = k.risk_cell) as "inside!""#,
        risk_id.uuid(),
    )
    .fetch_one(conn)
    .await?;
    Ok(inside)
}
