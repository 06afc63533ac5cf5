//! The least an axum server could do and still answer the same requests: the same screens from a
//! constant table with the session in Redis, the same bytes into PostgreSQL, the same row out of
//! it. No rule, no sealing, no limit, no log. What a contestant costs above its floor is what the
//! product does.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use redis::AsyncCommands as _;
use redis::aio::ConnectionManager;
use serde::Deserialize;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use crate::callbacks::conversation_id;
use crate::walk::{WALK, number};

/// As long as the backend keeps a session.
const KEEP_SECONDS: u64 = 48 * 3_600;
/// As many connections as the backend's pool has by default.
const POOL_MAX: u32 = 10;

/// Which floor, and where.
#[derive(Args)]
pub struct Options {
    kind: Kind,
    #[arg(long, env = "PORT")]
    port: u16,
    #[arg(long, env = "REDIS_URL")]
    redis_url: String,
    #[arg(long, env = "DATABASE_URL")]
    database_url: String,
}

/// The floors.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A session read and written in one pipelined round trip
    Pipelined,
    /// A session read, then written
    Separate,
    /// Callbacks and rows in PostgreSQL
    Rows,
}

/// Serves until killed.
pub fn run(options: Options) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(options))
}

async fn serve(options: Options) -> anyhow::Result<()> {
    let router = match options.kind {
        Kind::Pipelined => {
            let redis = connect(&options.redis_url).await?;
            Router::new()
                .route("/ussd", post(pipelined))
                .with_state(redis)
        }
        Kind::Separate => {
            let redis = connect(&options.redis_url).await?;
            Router::new()
                .route("/ussd", post(separate))
                .with_state(redis)
        }
        Kind::Rows => {
            let pool = PgPoolOptions::new()
                .max_connections(POOL_MAX)
                .connect(&options.database_url)
                .await?;
            Router::new()
                .route("/callbacks", post(store_callback))
                .route("/farmers/{id}", get(find_farmer))
                .route("/farmers", post(add_farmer))
                .with_state(Arc::new(pool))
        }
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", options.port)).await?;
    axum::serve(listener, router.route("/health/live", get(|| async {}))).await?;
    Ok(())
}

async fn connect(url: &str) -> anyhow::Result<ConnectionManager> {
    let client = redis::Client::open(url)?;
    ConnectionManager::new(client)
        .await
        .context("REDIS_URL cannot be used")
}

/// A UUIDv7, as the product's are: new rows land together at the end of an index.
fn new_id() -> Uuid {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = u64::try_from(Utc::now().timestamp_millis()).unwrap_or_default();
    let mut random = [0; 10];
    random[..8].copy_from_slice(&RandomState::new().hash_one(now).to_be_bytes());
    let count = COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    random[8..].copy_from_slice(&count[6..]);
    uuid::Builder::from_unix_timestamp_millis(now, &random).into_uuid()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Form {
    session_id: String,
    phone_number: String,
    #[serde(default)]
    text: String,
}

/// The form, the screen and the session's key.
fn read(body: &[u8]) -> Option<(Form, &'static str, String)> {
    let form: Form = serde_urlencoded::from_bytes(body).ok()?;
    let screen = WALK.screen(&form.text, number(&form.phone_number)?)?;
    let key = format!("floor:{}", form.phone_number);
    Some((form, screen, key))
}

/// What a floor remembers of a session: which it is and how far it got.
fn session(form: &Form) -> String {
    format!("{}|{}", form.session_id, form.text)
}

async fn pipelined(State(mut redis): State<ConnectionManager>, body: Bytes) -> Response {
    let Some((form, screen, key)) = read(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let mut pipeline = redis::pipe();
    pipeline
        .get(&key)
        .set_ex(&key, session(&form), KEEP_SECONDS)
        .ignore();
    let read: Result<(Option<String>,), _> = pipeline.query_async(&mut redis).await;
    answer(read.is_ok(), screen)
}

async fn separate(State(mut redis): State<ConnectionManager>, body: Bytes) -> Response {
    let Some((form, screen, key)) = read(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let read: Result<Option<String>, _> = redis.get(&key).await;
    let written: Result<(), _> = redis.set_ex(&key, session(&form), KEEP_SECONDS).await;
    answer(read.is_ok() && written.is_ok(), screen)
}

fn answer(went_well: bool, screen: &'static str) -> Response {
    if !went_well {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    (
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
        screen,
    )
        .into_response()
}

/// The same bytes, once a conversation.
async fn store_callback(State(pool): State<Arc<PgPool>>, body: Bytes) -> Response {
    let Some(key) = conversation_id(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let stored = sqlx::query(
        "insert into bench_callbacks (id, key, body, received_at) values ($1, $2, $3, $4)
         on conflict (key) do nothing",
    )
    .bind(new_id())
    .bind(key)
    .bind(&body[..])
    .bind(Utc::now())
    .execute(&*pool)
    .await;
    let accepted = r#"{"ResultCode":0,"ResultDesc":"Accepted"}"#;
    match stored {
        Ok(_) => ([(header::CONTENT_TYPE, "application/json")], accepted).into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

type FarmerRow = (Uuid, String, String, DateTime<Utc>);

async fn find_farmer(State(pool): State<Arc<PgPool>>, Path(id): Path<Uuid>) -> Response {
    let row: Result<Option<FarmerRow>, _> =
        sqlx::query_as("select id, language, ward_code, created_at from farmers where id = $1")
            .bind(id)
            .fetch_optional(&*pool)
            .await;
    match row {
        Ok(Some((id, language, ward, created_at))) => axum::Json(serde_json::json!({
            "id": id, "language": language, "ward_code": ward, "created_at": created_at,
        }))
        .into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

#[derive(Deserialize)]
struct NewFarmer<'a> {
    phone: &'a str,
    name: &'a str,
    national_id: &'a str,
    language: &'a str,
    ward_code: &'a str,
}

/// The same columns and the same two uniquenesses, unsealed.
async fn add_farmer(State(pool): State<Arc<PgPool>>, body: Bytes) -> Response {
    let Ok(farmer) = serde_json::from_slice::<NewFarmer<'_>>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let id = new_id();
    let stored = sqlx::query(
        "insert into bench_farmers (id, phone, name, national_id, language, ward_code, created_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(id)
    .bind(farmer.phone)
    .bind(farmer.name)
    .bind(farmer.national_id)
    .bind(farmer.language)
    .bind(farmer.ward_code)
    .bind(Utc::now())
    .execute(&*pool)
    .await;
    match stored {
        Ok(_) => (
            StatusCode::CREATED,
            axum::Json(serde_json::json!({ "id": id })),
        )
            .into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
