//! Station-days for the ingest row of `cargo xtask bench`: a weather twin that answers at once, the
//! days that are due with their bells, the wait until every local day is computed, the check of each,
//! and the bare COPY of the same rows. Owner's connection; never records anything itself.
//! Called by xtask, each part prints one JSON line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::extract::{Path as Segment, Query};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use clap::{Args, Subcommand};
use domain::event::Event;
use domain::id::{PlotId, PolicyId};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::postgres::PgPoolCopyExt as _;
use sqlx::{Connection as _, PgConnection, PgPool, Row as _};
use tokio::io::AsyncWriteExt as _;
use tokio::time::sleep;

use crate::copy::Copy;
use crate::season::mix;

/// Samples of a day.
const QUARTERS: u32 = 96;
/// The sample at local midnight, 21:00 UTC.
const MIDNIGHT: u32 = 84;
/// Bytes of a COPY sent at once.
const CHUNK: usize = 1 << 20;
/// Nothing takes longer that ends at all.
const PATIENCE: Duration = Duration::from_mins(20);
/// Between two looks at a few thousand rows.
const LOOK: Duration = Duration::from_millis(50);
/// What is written for a station-day, and how it is read for the floor: the samples in halves.
const TABLES: [(&str, &str, &str); 7] = [
    (
        "observations-0",
        "observations",
        "select * from observations where hashtext(station_id) % 2 = 0",
    ),
    (
        "observations-1",
        "observations",
        "select * from observations where hashtext(station_id) % 2 <> 0",
    ),
    (
        "weather_replies",
        "weather_replies",
        "select * from weather_replies",
    ),
    ("station_days", "station_days", "select * from station_days"),
    (
        "station_utc_days",
        "station_utc_days",
        "select * from station_utc_days",
    ),
    ("outbox", "outbox", "select * from outbox"),
    ("consumed", "consumed", "select * from consumed"),
];

/// What to do.
#[derive(Args)]
pub struct Options {
    /// The migrated database, as its owner
    #[arg(long, env = "MIGRATE_DATABASE_URL", default_value = "")]
    database_url: String,
    /// Stations
    #[arg(long, default_value_t = 0)]
    stations: u32,
    /// UTC days of each
    #[arg(long, default_value_t = 0)]
    days: u32,
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Answer for stations until killed
    Serve {
        /// On the loopback
        #[arg(long)]
        port: u16,
    },
    /// Write the stations, and make the partitions
    Stations,
    /// Make every day due, ring for each, wait until all local days are computed, check them
    Recorded,
    /// Write the rows to files
    Dump {
        /// Folder
        #[arg(long)]
        dir: PathBuf,
    },
    /// Copy the rows of the files in
    Copy {
        /// Folder
        #[arg(long)]
        dir: PathBuf,
        /// At once: 1 or 2
        #[arg(long)]
        connections: u32,
    },
}

/// Does it.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    if let Some(said) = runtime.block_on(part(options))? {
        println!("{said}");
    }
    Ok(())
}

async fn part(options: &Options) -> anyhow::Result<Option<Value>> {
    if let Part::Serve { port } = options.part {
        return serve(port).await.map(|()| None);
    }
    let url = &options.database_url;
    let mut conn = PgConnection::connect(url).await?;
    let said = match &options.part {
        Part::Serve { .. } | Part::Stations => stations(&mut conn, options).await?,
        Part::Recorded => recorded(&mut conn, options).await?,
        Part::Dump { dir } => dump(url, dir).await?,
        Part::Copy { dir, connections } => copy(url, dir, *connections).await?,
    };
    Ok(Some(said))
}

fn first_date() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 3, 1).unwrap_or_default()
}

fn station(number: u32) -> String {
    format!("ingest-{number:05}")
}

/// Rain of a UTC day, µm: up to 19 mm on three days of ten.
fn fallen_um(station: u32, day: u32) -> i64 {
    let mixed = mix(u64::from(station) << 32 | u64::from(day));
    if mixed % 10 < 3 {
        i64::try_from((mixed >> 8) % 19_000).unwrap_or_default()
    } else {
        0
    }
}

/// The counter at a quarter of an hour, µm.
fn counter_um(station: u32, day: u32, quarter: u32) -> i64 {
    let before: i64 = (0..day).map(|day| fallen_um(station, day)).sum();
    let steps = i64::from(QUARTERS) - 1;
    100_000 + before + fallen_um(station, day) * i64::from(quarter) / steps
}

#[derive(Deserialize)]
struct Asked {
    date: NaiveDate,
}

async fn serve(port: u16) -> anyhow::Result<()> {
    let routes = Router::new()
        .route("/health/live", get(|| async { "ok" }))
        .route("/stations/{id}/history", get(history));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, routes).await?;
    Ok(())
}

async fn history(Segment(id): Segment<String>, Query(asked): Query<Asked>) -> impl IntoResponse {
    let number = id.strip_prefix("ingest-").and_then(|n| n.parse().ok());
    let day = u32::try_from(asked.date.signed_duration_since(first_date()).num_days());
    let (Some(number), Ok(day)) = (number, day) else {
        return (
            StatusCode::NOT_FOUND,
            [(header::CONTENT_TYPE, "text/plain")],
            String::new(),
        );
    };
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::OK, kind, answer(number, day, asked.date))
}

/// In the provider's shape, with all a sample carries.
fn answer(station: u32, day: u32, date: NaiveDate) -> String {
    let mut body = format!(
        r#"{{"date":"{date}","health":{{"timestamp":"{date}T00:00:00Z","data_quality":{{"score":0.98}},"location_quality":{{"score":1.0,"reason":"LOCATION_VERIFIED"}}}},"observations":["#
    );
    let (before, whole) = (counter_um(station, day, 0), fallen_um(station, day));
    for quarter in 0..QUARTERS {
        let counter = before + whole * i64::from(quarter) / (i64::from(QUARTERS) - 1);
        let (hour, minute) = (quarter / 4, quarter % 4 * 15);
        let comma = if quarter == 0 { "" } else { "," };
        let _ = write!(
            body,
            r#"{comma}{{"timestamp":"{date}T{hour:02}:{minute:02}:00Z","temperature":24.{quarter:02},"feels_like":24.9,"dew_point":15.2,"precipitation_rate":0.0,"precipitation_accumulated":{}.{:03},"humidity":57.3,"wind_speed":2.41,"wind_gust":3.9,"wind_direction":134,"uv_index":4,"pressure":832.17,"solar_irradiance":412.5,"icon":"partly-cloudy-day"}}"#,
            counter / 1_000,
            counter % 1_000,
        );
    }
    body.push_str(r#"],"location":{"lat":2.33,"lon":37.99,"elevation":1345}}"#);
    body
}

async fn stations(conn: &mut PgConnection, options: &Options) -> anyhow::Result<Value> {
    let mut rows = Copy::begin(
        conn,
        "stations (id, name, risk_cell, lat_e6, lon_e6, elevation_dm, seen_at)",
    )
    .await?;
    for number in 0..options.stations {
        let row = [
            station(number),
            station(number),
            "877a63556ffffff".to_owned(),
            "2330000".to_owned(),
            "37990000".to_owned(),
            "13450".to_owned(),
            "2026-02-01T00:00:00Z".to_owned(),
        ];
        rows.row(&row).await?;
    }
    let written = rows.end().await?;
    // as the relay keeps them ahead, whatever the machine's clock says
    for month in ["2026-02-01", "2026-03-01", "2026-04-01"] {
        sqlx::query("select make_observations_partition($1::text::date)")
            .bind(month)
            .execute(&mut *conn)
            .await?;
    }
    sqlx::raw_sql("vacuum analyze stations")
        .execute(conn)
        .await?;
    Ok(json!({ "stations": written }))
}

async fn recorded(conn: &mut PgConnection, options: &Options) -> anyhow::Result<Value> {
    let first = first_date();
    let due_at: DateTime<Utc> = first.and_time(NaiveTime::MIN).and_utc();
    let made = u64::try_from(due_at.timestamp_millis())?;
    let mut planned = Vec::new();
    for day in 0..options.days {
        for number in 0..options.stations {
            let place = u32::try_from(planned.len())?;
            let id = PlotId::from_parts(made, crate::season::id(3, place)).uuid();
            planned.push((id, number, first + Days::new(day.into())));
        }
    }
    let mut tx = conn.begin().await?;
    let mut rows = Copy::begin(
        &mut tx,
        "station_utc_days (id, station_id, utc_date, state, next_check_at)",
    )
    .await?;
    for (id, number, date) in &planned {
        let row = [
            id.to_string(),
            station(*number),
            date.to_string(),
            "due".to_owned(),
            due_at.to_rfc3339(),
        ];
        rows.row(&row).await?;
    }
    rows.end().await?;
    // what the sweeps ring, all at once: how often they look is not what is measured
    let mut bells = Copy::begin(
        &mut tx,
        "outbox (id, topic, subject_id, body, created_at, available_at)",
    )
    .await?;
    for (place, (id, number, date)) in (0..).zip(&planned) {
        let event = Event::WeatherDue {
            station_day_id: *id,
            station_id: station(*number),
            utc_date: *date,
        };
        let row = [
            PolicyId::from_parts(made, crate::season::id(4, place))
                .uuid()
                .to_string(),
            event.topic().to_owned(),
            event.subject().to_string(),
            serde_json::to_string(&event)?,
            due_at.to_rfc3339(),
            due_at.to_rfc3339(),
        ];
        bells.row(&row).await?;
    }
    bells.end().await?;
    let began = Instant::now();
    tx.commit().await?;
    sqlx::raw_sql("notify outbox").execute(&mut *conn).await?;
    loop {
        let row = sqlx::query(
            "select count(*) from station_utc_days where state = 'due' or computed_at is null",
        )
        .fetch_one(&mut *conn)
        .await?;
        let left: i64 = row.try_get(0)?;
        if left == 0 {
            break;
        }
        ensure!(
            began.elapsed() < PATIENCE,
            "{left} station-days are not computed after {} s",
            PATIENCE.as_secs()
        );
        sleep(LOOK).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let row = sqlx::query(
        "select (select count(*) from observations), (select count(*) from weather_replies),
                (select count(*) from station_utc_days where state = 'recorded')",
    )
    .fetch_one(&mut *conn)
    .await?;
    let (samples, replies, days): (i64, i64, i64) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let expected = i64::try_from(planned.len())?;
    ensure!(
        samples == expected * i64::from(QUARTERS) && replies == expected && days == expected,
        "{samples} samples, {replies} replies, {days} days of {expected} station-days"
    );
    let rows = sqlx::query("select station_id, day, rain_um from station_days")
        .fetch_all(conn)
        .await?;
    let mut found: BTreeMap<(String, NaiveDate), Option<i32>> = BTreeMap::new();
    for row in rows {
        found.insert((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?);
    }
    let mut compared = 0_u32;
    for number in 0..options.stations {
        for day in 1..options.days {
            let key = (station(number), first + Days::new(day.into()));
            let fell = counter_um(number, day, MIDNIGHT) - counter_um(number, day - 1, MIDNIGHT);
            let is_right = found
                .get(&key)
                .is_some_and(|rain| rain.map(i64::from) == Some(fell));
            ensure!(is_right, "{key:?} is {:?}, {fell} µm fell", found.get(&key));
            compared += 1;
        }
    }
    Ok(json!({ "samples": samples, "seconds": seconds, "compared": compared }))
}

fn file(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.copy"))
}

async fn dump(url: &str, dir: &Path) -> anyhow::Result<Value> {
    use futures_util::StreamExt as _;
    fs::create_dir_all(dir)?;
    let pool = PgPool::connect(url).await?;
    let mut bytes = 0_usize;
    for (name, _, select) in TABLES {
        let mut rows = pool
            .copy_out_raw(&format!("copy ({select}) to stdout"))
            .await?;
        let mut out = tokio::fs::File::create(file(dir, name)).await?;
        while let Some(chunk) = rows.next().await {
            let chunk = chunk?;
            bytes += chunk.len();
            out.write_all(&chunk).await?;
        }
        out.flush().await?;
    }
    Ok(json!({ "bytes": bytes }))
}

/// The samples are most of it: with two connections each takes a half, and then its share of the rest.
async fn copy(url: &str, dir: &Path, connections: u32) -> anyhow::Result<Value> {
    let mut loads = Vec::new();
    for (name, table, _) in TABLES {
        let rows = fs::read(file(dir, name)).with_context(|| format!("no {name}"))?;
        loads.push((table, rows));
    }
    let mut one = PgConnection::connect(url).await?;
    let mut other = PgConnection::connect(url).await?;
    let began = Instant::now();
    if connections == 1 {
        copy_all(&mut one, loads.iter().collect()).await?;
    } else {
        let halves = |wanted: usize| {
            let places = loads.iter().enumerate();
            places
                .filter(move |(place, _)| place % 2 == wanted)
                .map(|(_, load)| load)
                .collect::<Vec<_>>()
        };
        tokio::try_join!(
            copy_all(&mut one, halves(0)),
            copy_all(&mut other, halves(1))
        )?;
    }
    let seconds = began.elapsed().as_secs_f64();
    let samples: i64 = sqlx::query("select count(*) from observations")
        .fetch_one(&mut one)
        .await?
        .try_get(0)?;
    Ok(json!({ "samples": samples, "seconds": seconds }))
}

async fn copy_all(
    conn: &mut PgConnection,
    loads: Vec<&(&'static str, Vec<u8>)>,
) -> anyhow::Result<()> {
    for (table, rows) in loads {
        let mut sink = conn
            .copy_in_raw(&format!("copy {table} from stdin"))
            .await?;
        for chunk in rows.chunks(CHUNK) {
            sink.send(chunk).await?;
        }
        sink.finish().await?;
    }
    Ok(())
}
