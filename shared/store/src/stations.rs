//! Weather stations, and which of them observe a risk: candidates while none is chosen, then
//! frozen with a rank for the whole window. Never changes a rank once the risk is frozen.
//! Called by the weather worker (candidates), the data-processor (ranks) and `bundles` (evidence).

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use domain::cell::RiskCell;
use domain::evidence::{Place, StationDay, StationEvidence};
use domain::id::RiskId;
use domain::measure::RainUm;
use domain::season::Window;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::decode;
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
    let mut candidates = list_all_candidates(conn, &[risk_id]).await?;
    Ok(candidates.remove(&risk_id).unwrap_or_default())
}

/// The candidates of some risks, nearest first; a risk without any is left out.
pub async fn list_all_candidates(
    conn: &mut PgConnection,
    risks: &[RiskId],
) -> Result<BTreeMap<RiskId, Vec<Candidate>>, StoreError> {
    let ids: Vec<Uuid> = risks.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        "-- stations.list_candidates
        select given.risk_id, near.id, near.name, near.risk_cell, near.lat_e6, near.lon_e6,
               near.elevation_dm, near.distance_m, near.elevation_gap_dm, near.data_quality_e4,
               near.location_quality_e4
        from (select distinct risk_id from unnest($1::uuid[]) as ids (risk_id)) as given
        cross join lateral (
            select stations.id, stations.name, stations.risk_cell, stations.lat_e6,
                   stations.lon_e6, stations.elevation_dm, risk_stations.distance_m,
                   risk_stations.elevation_gap_dm, risk_stations.data_quality_e4,
                   risk_stations.location_quality_e4
            from risk_stations join stations on stations.id = risk_stations.station_id
            where risk_stations.risk_id = given.risk_id
            order by risk_stations.distance_m, stations.id limit 100
        ) as near
        order by given.risk_id, near.distance_m, near.id",
        &ids,
    )
    .fetch_all(conn)
    .await?;
    let mut found: BTreeMap<RiskId, Vec<Candidate>> = BTreeMap::new();
    for row in rows {
        let Some(risk_id) = row.risk_id else { continue };
        found.entry(risk_id.into()).or_default().push(Candidate {
            cell: decode::cell_of(&row.risk_cell, "stations", &row.id)?,
            id: row.id,
            name: row.name,
            lat_e6: row.lat_e6,
            lon_e6: row.lon_e6,
            elevation_dm: row.elevation_dm,
            distance_m: row.distance_m,
            elevation_gap_dm: row.elevation_gap_dm,
            data_quality_e4: row.data_quality_e4,
            location_quality_e4: row.location_quality_e4,
        });
    }
    Ok(found)
}

/// A candidate chosen for a risk, and its place among those chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranked {
    /// The risk.
    pub risk_id: RiskId,
    /// The station.
    pub station_id: String,
    /// 1 is the first.
    pub rank: i16,
}

/// Gives the chosen candidates of risks, which the caller has locked, their ranks.
pub async fn rank(conn: &mut PgConnection, ranked: &[Ranked]) -> Result<u64, StoreError> {
    let risks: Vec<Uuid> = ranked.iter().map(|chosen| chosen.risk_id.uuid()).collect();
    let ids: Vec<String> = ranked
        .iter()
        .map(|chosen| chosen.station_id.clone())
        .collect();
    let ranks: Vec<i16> = ranked.iter().map(|chosen| chosen.rank).collect();
    let done = sqlx::query!(
        "-- stations.rank
        update risk_stations set rank = given.rank
        from unnest($1::uuid[], $2::text[], $3::smallint[]) as given (risk_id, station_id, rank)
        where risk_stations.risk_id = given.risk_id
          and risk_stations.station_id = given.station_id and risk_stations.rank is null",
        &risks,
        &ids,
        &ranks,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Locks stations until the transaction ends, in id order: the days of a station are computed by one
/// transaction at a time. Returns those that are known, in id order.
pub async fn lock(conn: &mut PgConnection, ids: &[&str]) -> Result<Vec<String>, StoreError> {
    let found = sqlx::query_scalar!(
        "-- stations.lock
        select id from stations where id = any($1) order by id for no key update",
        ids as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(found)
}

/// The frozen stations of a risk by rank, with what is known of their days in the window.
pub async fn list_frozen(
    conn: &mut PgConnection,
    risk_id: RiskId,
    window: Window,
) -> Result<Vec<StationEvidence>, StoreError> {
    let mut observers = list_observers(conn, &[(risk_id, window)]).await?;
    Ok(observers.remove(&risk_id).unwrap_or_default())
}

/// The frozen stations of some risks by rank, with what is known of their days in each risk's
/// window; a risk without any is left out.
pub async fn list_observers(
    conn: &mut PgConnection,
    risks: &[(RiskId, Window)],
) -> Result<BTreeMap<RiskId, Vec<StationEvidence>>, StoreError> {
    let ids: Vec<Uuid> = risks.iter().map(|(id, _)| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"-- stations.list_observers
        select risks.id as risk_id, chosen.station_id, chosen.rank as "rank!", chosen.distance_m,
               chosen.data_quality_e4, chosen.location_quality_e4, stations.lat_e6,
               stations.lon_e6
        from risks
        cross join lateral (
            select * from risk_stations
            where risk_stations.risk_id = risks.id and rank is not null order by rank limit 10
        ) as chosen
        join stations on stations.id = chosen.station_id
        where risks.id = any($1)
        order by risks.id, chosen.rank"#,
        &ids,
    )
    .fetch_all(&mut *conn)
    .await?;
    let windows: BTreeMap<RiskId, Window> = risks.iter().copied().collect();
    let mut wanted: HashSet<(&str, Window)> = HashSet::new();
    for row in &rows {
        if let Some(window) = windows.get(&RiskId::from(row.risk_id)) {
            wanted.insert((&row.station_id, *window));
        }
    }
    let days = list_days(conn, &wanted.into_iter().collect::<Vec<_>>()).await?;
    let quality = |e4: Option<i16>| u16::try_from(e4.unwrap_or(0)).unwrap_or(0);
    let mut found: BTreeMap<RiskId, Vec<StationEvidence>> = BTreeMap::new();
    for row in rows {
        let risk_id = RiskId::from(row.risk_id);
        let Some(window) = windows.get(&risk_id) else {
            continue;
        };
        found.entry(risk_id).or_default().push(StationEvidence {
            rank: u16::try_from(row.rank).unwrap_or(u16::MAX),
            distance_m: u32::try_from(row.distance_m).unwrap_or(u32::MAX),
            data_quality_e4: quality(row.data_quality_e4),
            location_quality_e4: quality(row.location_quality_e4),
            place: Some(Place {
                lat_e6: row.lat_e6,
                lon_e6: row.lon_e6,
            }),
            days: days
                .get(&(row.station_id.clone(), *window))
                .cloned()
                .unwrap_or_default(),
            id: row.station_id,
        });
    }
    Ok(found)
}

/// The days of stations, each within a window of its own.
async fn list_days(
    conn: &mut PgConnection,
    wanted: &[(&str, Window)],
) -> Result<HashMap<(String, Window), Vec<StationDay>>, StoreError> {
    let stations: Vec<&str> = wanted.iter().map(|(station, _)| *station).collect();
    let starts: Vec<NaiveDate> = wanted.iter().map(|(_, window)| window.start).collect();
    let ends: Vec<NaiveDate> = wanted.iter().map(|(_, window)| window.end).collect();
    // arrays: one row a station is read several times faster than one a day
    let rows = sqlx::query!(
        r#"-- stations.list_days
        select given.station_id as "station_id!", given.first as "first!",
               given.after_last as "after_last!", found.days as "days!",
               found.rain as "rain!: Vec<Option<i32>>", found.samples as "samples!",
               found.resets as "resets!", found.flags as "flags!", found.replies as "replies!"
        from unnest($1::text[], $2::date[], $3::date[]) as given (station_id, first, after_last)
        cross join lateral (
            select array_agg(day) as days, array_agg(rain_um) as rain,
                   array_agg(samples) as samples, array_agg(resets) as resets,
                   string_agg(array_to_string(flags, ','), ';') as flags,
                   string_agg(array_to_string(replies, ','), ';') as replies
            from station_days
            where station_days.station_id = given.station_id
              and station_days.day >= given.first and station_days.day < given.after_last
        ) as found
        where found.days is not null"#,
        &stations as _,
        &starts,
        &ends,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let window = Window {
                start: row.first,
                end: row.after_last,
            };
            let whole = |n: i32| u32::try_from(n).unwrap_or(0);
            let mut days: Vec<StationDay> = row
                .days
                .into_iter()
                .zip(row.rain)
                .zip(row.samples.into_iter().zip(row.resets))
                .zip(row.flags.split(';').zip(row.replies.split(';')))
                .map(
                    |(((day, rain), (samples, resets)), (flags, replies))| StationDay {
                        day,
                        rain_um: rain.map(RainUm),
                        samples: whole(samples),
                        resets: whole(resets),
                        flags: list(flags),
                        replies: list(replies),
                    },
                )
                .collect();
            days.sort_unstable_by_key(|day| day.day);
            ((row.station_id, window), days)
        })
        .collect())
}

/// The parts of a list that travelled as text.
fn list(text: &str) -> Vec<String> {
    if text.is_empty() {
        Vec::new()
    } else {
        text.split(',').map(str::to_owned).collect()
    }
}
