//! What a season begins with: risks with frozen stations, the days of its nights, policies. COPY for
//! what a formula of ours gives; the server's own loop for a million rows that nothing reads one by
//! one. Called by the season's parts.

use anyhow::ensure;
use chrono::{Days, NaiveDate};
use domain::cell::RiskCell;
use domain::id::PlotId;
use domain::money::Money;
use domain::season::{Window, next_day, previous_day};
use h3o::{LatLng, Resolution};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, Row as _};

use super::{PRODUCT, Season, YEAR, count, id, rain_um, risk_id, vacuum};
use crate::copy::Copy;

/// Stations of a cell: one leads, one confirms.
const STATIONS: u32 = 2;
/// Plots of a farmer: nothing of a night reads either.
const PLOTS: u32 = 10;

fn station(cell: u32, rank: u32) -> String {
    format!("bench-{cell:05}-{rank}")
}

/// Neighbouring cells of northern Kenya, each once.
fn cells(count: u32) -> anyhow::Result<Vec<RiskCell>> {
    let mut found = std::collections::BTreeSet::new();
    let side = f64::from(count).sqrt().ceil();
    let mut place = 0_u32;
    while found.len() < usize::try_from(count)? {
        // a little wider than a cell; squares on hexagons skip some and meet some twice
        let (row, column) = ((f64::from(place) / side).floor(), f64::from(place) % side);
        let point = LatLng::new(1.0 + row * 0.025, 36.6 + column * 0.025)?;
        found.insert(RiskCell::new(point.to_cell(Resolution::Seven))?);
        place += 1;
    }
    Ok(found.into_iter().collect())
}

/// Risks with two frozen stations each, and the days of the first nights.
pub async fn weather(
    conn: &mut PgConnection,
    season: &Season,
    count: u32,
    nights: u32,
) -> anyhow::Result<Value> {
    let cells = cells(count)?;
    let (window, sold_at) = (season.window, season.sold_at());
    let mut tx = conn.begin().await?;
    let mut risks = Copy::begin(
        &mut tx,
        "risks (id, product_version_id, zone, risk_cell, season_year, window_start, window_end,
                window_closes_at, state, stations_frozen_at, next_check_at, created_at)",
    )
    .await?;
    for (number, cell) in (0..).zip(&cells) {
        let row = [
            risk_id(season, number).uuid().to_string(),
            season.version.to_string(),
            season.zone.clone(),
            cell.to_string(),
            YEAR.to_string(),
            window.start.to_string(),
            window.end.to_string(),
            window.closes_at().to_rfc3339(),
            "open".to_owned(),
            sold_at.to_rfc3339(),
            window.closes_at().to_rfc3339(),
            sold_at.to_rfc3339(),
        ];
        risks.row(&row).await?;
    }
    risks.end().await?;
    let mut stations = Copy::begin(
        &mut tx,
        "stations (id, name, risk_cell, lat_e6, lon_e6, elevation_dm, seen_at)",
    )
    .await?;
    for (number, cell) in (0..).zip(&cells) {
        let centre = LatLng::from(cell.index());
        for rank in 1..=STATIONS {
            let e6 = |degrees: f64| format!("{:.0}", degrees * 1e6 + f64::from(rank) * 2_000.0);
            let row = [
                station(number, rank),
                station(number, rank),
                cell.to_string(),
                e6(centre.lat()),
                e6(centre.lng()),
                "9000".to_owned(),
                sold_at.to_rfc3339(),
            ];
            stations.row(&row).await?;
        }
    }
    stations.end().await?;
    let mut frozen = Copy::begin(
        &mut tx,
        "risk_stations (risk_id, station_id, distance_m, elevation_gap_dm, data_quality_e4,
                        location_quality_e4, rank, recorded_at)",
    )
    .await?;
    for number in 0..count {
        for rank in 1..=STATIONS {
            let row = [
                risk_id(season, number).uuid().to_string(),
                station(number, rank),
                (rank * 300).to_string(),
                "0".to_owned(),
                "9700".to_owned(),
                "10000".to_owned(),
                rank.to_string(),
                sold_at.to_rfc3339(),
            ];
            frozen.row(&row).await?;
        }
    }
    frozen.end().await?;
    tx.commit().await?;
    let days = bring(conn, season, nights).await?;
    for table in ["risks", "stations", "risk_stations"] {
        vacuum(conn, table).await?;
    }
    Ok(json!({ "risks": count, "station_days": days }))
}

/// The local days up to the night that are not there yet, each recorded, computed and done with.
pub async fn bring(conn: &mut PgConnection, season: &Season, nights: u32) -> anyhow::Result<u64> {
    let known: Option<NaiveDate> = sqlx::query("select max(day) from station_days")
        .fetch_one(&mut *conn)
        .await?
        .try_get(0)?;
    let first = known.map_or(previous_day(season.window.start), next_day);
    let brought = Window {
        start: first,
        end: season.window.start + Days::new(nights.into()),
    };
    let count = count(conn, "select count(*) from risks").await?;
    let at = season.after(nights).to_rfc3339();
    let mut tx = conn.begin().await?;
    let mut days = Copy::begin(
        &mut tx,
        "station_days (station_id, day, rain_um, samples, resets, flags, replies, computed_at)",
    )
    .await?;
    for cell in 0..u32::try_from(count)? {
        for rank in 1..=STATIONS {
            for day in brought.days() {
                // the second confirms, a twentieth lower
                let rain = rain_um(cell, day) * if rank == 1 { 20 } else { 19 } / 20;
                let reply = format!("{{{}}}", "0".repeat(64));
                let row = [
                    station(cell, rank),
                    day.to_string(),
                    rain.to_string(),
                    "96".to_owned(),
                    "0".to_owned(),
                    "{}".to_owned(),
                    reply,
                    at.clone(),
                ];
                days.row(&row).await?;
            }
        }
    }
    let brought_days = days.end().await?;
    let mut fetched = Copy::begin(
        &mut tx,
        "station_utc_days (id, station_id, utc_date, state, attempts, reply_sha256,
                           data_quality_e4, location_quality_e4, recorded_at, computed_at)",
    )
    .await?;
    let mut number = 0_u32;
    for cell in 0..u32::try_from(count)? {
        for rank in 1..=STATIONS {
            for day in brought.days() {
                number += 1;
                let made = u64::try_from(season.after(nights).timestamp_millis())?;
                let row = [
                    PlotId::from_parts(made, id(2, number)).uuid().to_string(),
                    station(cell, rank),
                    day.to_string(),
                    "recorded".to_owned(),
                    "1".to_owned(),
                    "0".repeat(64),
                    "9700".to_owned(),
                    "10000".to_owned(),
                    at.clone(),
                    at.clone(),
                ];
                fetched.row(&row).await?;
            }
        }
    }
    fetched.end().await?;
    tx.commit().await?;
    for table in ["station_days", "station_utc_days"] {
        vacuum(conn, table).await?;
    }
    Ok(brought_days)
}

/// Made by the server itself: a million rows of text would say nothing that a formula does not.
pub async fn policies(
    conn: &mut PgConnection,
    season: &Season,
    wanted: u32,
) -> anyhow::Result<Value> {
    let sums: Vec<i64> = season
        .product
        .sums_insured_kes
        .iter()
        .map(|kes| Money::kes(*kes).map(|money| money.minor))
        .collect::<Result<_, _>>()?;
    let mut tx = conn.begin().await?;
    // rows of one making that refer to each other: not asked a million times whether they do
    sqlx::raw_sql("set local session_replication_role = replica")
        .execute(&mut *tx)
        .await?;
    let risks = count(&mut tx, "select count(*) from risks").await?;
    let farmers = format!(
        "insert into farmers (id, phone_index, phone_cipher, name_cipher, national_id_index,
             national_id_cipher, language, ward_code, consent_version, consented_at, created_at)
         select md5('farmer' || n)::uuid, sha256(('phone' || n)::bytea), '\\x00', '\\x00',
             sha256(('national' || n)::bytea), '\\x00', 'en', '{ward}', 'bench', '{at}', '{at}'
         from generate_series(0, ({wanted} - 1) / {PLOTS}) n",
        ward = season.ward,
        at = season.sold_at().to_rfc3339(),
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(farmers))
        .execute(&mut *tx)
        .await?;
    sqlx::raw_sql(
        "create temporary table numbered on commit drop as
         select id, risk_cell, row_number() over (order by id) - 1 as number from risks",
    )
    .execute(&mut *tx)
    .await?;
    sqlx::raw_sql("create unique index on numbered (number); analyze numbered")
        .execute(&mut *tx)
        .await?;
    let common =
        format!("from generate_series(0, {wanted} - 1) n join numbered on number = n % {risks}");
    let at = season.sold_at().to_rfc3339();
    let (window, version, zone) = (season.window, season.version, &season.zone);
    let sum = format!("(array{sums:?})[(n / {risks}) % {} + 1]", sums.len());
    for statement in [
        format!(
            "insert into plots (id, farmer_id, ward_code, plot_cell, risk_cell, acres_e2, crop,
                                created_at)
             select md5('plot' || n)::uuid, md5('farmer' || n / {PLOTS})::uuid, '{}', risk_cell,
                    risk_cell, 50, 'maize', '{at}' {common}",
            season.ward
        ),
        format!(
            "insert into quotes (id, farmer_id, plot_id, product_version_id, season_year, zone,
                                 sum_insured_minor, premium_minor, currency, created_at, expires_at)
             select md5('quote' || n)::uuid, md5('farmer' || n / {PLOTS})::uuid,
                    md5('plot' || n)::uuid, '{version}', {YEAR}, '{zone}', {sum}, 100, 'KES',
                    '{at}', '{at}' {common}"
        ),
        format!(
            "insert into policies (id, farmer_id, plot_id, quote_id, product_version_id,
                 product_code, season_year, zone, risk_cell, accumulation_cell, risk_id,
                 window_start, window_end, sale_closes_at, sum_insured_minor, premium_minor,
                 currency, state, short_code, bought_at, lapses_at, activated_at)
             select md5('policy' || n)::uuid, md5('farmer' || n / {PLOTS})::uuid,
                    md5('plot' || n)::uuid, md5('quote' || n)::uuid, '{version}', '{PRODUCT}',
                    {YEAR}, '{zone}', risk_cell, risk_cell, numbered.id, '{}', '{}', '{at}', {sum},
                    100, 'KES', 'active', 'B' || n, '{at}', '{at}', '{at}' {common}",
            window.start, window.end
        ),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    for table in ["farmers", "plots", "quotes", "policies"] {
        vacuum(conn, table).await?;
    }
    let made = count(conn, "select count(*) from policies where state = 'active'").await?;
    ensure!(made == i64::from(wanted), "{made} policies were made");
    Ok(json!({ "policies": made }))
}
