//! Signing in and out: a password and a code give a bearer token for fifteen minutes and a refresh
//! token that is good once. Five misses close the door for fifteen minutes, and longer each time.
//! Must never tell who exists: a stranger and a person with a wrong password hear the same after the
//! same work. Called by people, without a bearer token.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use domain::id::SessionId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::credentials::{self, Credential};
use store::operators::Operator;
use store::sessions::{self, NewSession, SessionEnd};
use store::{Connection, StoreError};

use super::{OperatorShown, audited, codes, hash, read, secret, token};
use crate::App;
use crate::auth;
use crate::error::ApiError;

/// How long a bearer token is good.
const ACCESS: TimeDelta = TimeDelta::minutes(15);
/// How long a session lasts, however often it is refreshed: a working day.
const SESSION: TimeDelta = TimeDelta::hours(12);
/// Misses that close the door.
const MISSES_MAX: i16 = 5;
/// How long the door is closed the first time; twice as long each time after.
const LOCK: TimeDelta = TimeDelta::minutes(15);
/// Doublings after which it does not grow: 15 min × 2⁶ = 16 h.
const LOCK_DOUBLINGS_MAX: i16 = 6;
/// Sessions that expired this long ago are forgotten.
const KEPT: TimeDelta = TimeDelta::days(30);
/// Sessions forgotten at each sign-in, at most.
const PURGED_MAX: i64 = 100;

/// Who signs in.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    /// Name or email address; may also be called `email`.
    #[serde(alias = "email")]
    name: String,
    /// Password.
    password: String,
    /// The six digits that the authenticator app shows.
    totp: String,
}

/// A refresh token.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefreshToken {
    /// As the last answer gave it.
    refresh_token: String,
}

/// A signed-in session.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SessionShown {
    /// Send as `Authorization: Bearer …`.
    access_token: String,
    /// Until when the bearer token is good.
    expires_at: DateTime<Utc>,
    /// Good once, for another bearer token and another refresh token.
    refresh_token: String,
    /// Until when the session may be refreshed.
    session_expires_at: DateTime<Utc>,
    /// Who is signed in.
    operator: OperatorShown,
}

/// Signs a person in.
#[utoipa::path(
    post, path = "/api/v1/sessions", tag = "people", request_body = SignIn,
    responses(
        (status = 201, description = "Signed in", body = SessionShown),
        (status = 401, description = "`sign_in_refused`: wrong name, password or code, or too many misses"),
        (status = 429, description = "`too_many_requests`: too many are signing in"),
    )
)]
pub(crate) async fn sign_in(State(app): State<App>, body: Bytes) -> Result<Response, ApiError> {
    let asked: SignIn = read(
        &body,
        "{\"name\": \"name or email\", \"password\": \"…\", \"totp\": \"123456\"}",
    )?;
    let turn = app.passwords.turn().await?;
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    // the row stays locked while the password is compared: guesses at one person queue up
    let found = credentials::lock(&mut tx, asked.name.trim()).await?;
    let stored = found.as_ref().map(|found| found.password_hash.clone());
    let is_password_right = turn.verify(stored, &asked.password).await?;
    drop(turn);
    let Some(found) = found else {
        return Err(refused(&app, "unknown_person"));
    };
    let now = app.clock.now();
    if found.locked_until.is_some_and(|until| now < until) {
        return Err(refused(&app, "locked"));
    }
    let step = codes::step(&app.pii, &found.totp_cipher, &asked.totp, now)?
        .filter(|step| *step > found.totp_step_last);
    let (Some(step), true) = (step, is_password_right) else {
        miss(&app, &mut tx, now, &found).await?;
        tx.commit().await.map_err(StoreError::from)?;
        return Err(refused(&app, "sign_in"));
    };
    let operator = &found.operator;
    credentials::record_success(&mut tx, operator.id, step).await?;
    let shown = start(&app, &mut tx, now, operator).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(secret(StatusCode::CREATED, shown))
}

/// The one answer to every refusal.
fn refused(app: &App, reason: &str) -> ApiError {
    app.metrics
        .rejected_inputs
        .with_label_values(&["sign_in", reason])
        .inc();
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "sign_in_refused",
        "name, password or code is wrong or the code was used; after five misses wait fifteen \
         minutes, and longer after more",
    )
}

/// Counts a miss, and closes the door at the fifth.
async fn miss(
    app: &App,
    conn: &mut Connection,
    now: DateTime<Utc>,
    found: &Credential,
) -> Result<(), StoreError> {
    let misses = found.misses.saturating_add(1);
    let id = found.operator.id;
    let details = if misses < MISSES_MAX {
        credentials::record_miss(conn, id, misses, found.locks, None).await?;
        json!({ "misses": misses })
    } else {
        let doublings = u32::from(found.locks.clamp(0, LOCK_DOUBLINGS_MAX).unsigned_abs());
        let until = now + LOCK * 2_i32.pow(doublings);
        let locks = found.locks.saturating_add(1);
        credentials::record_miss(conn, id, 0, locks, Some(until)).await?;
        json!({ "misses": misses, "locked_until": until })
    };
    let subject = id.to_string();
    let what = ("session.refused", subject.as_str(), details);
    audited(conn, now, &app.ids, "anybody", what).await
}

/// Starts a session for a person who has proved who they are.
pub(super) async fn start(
    app: &App,
    conn: &mut Connection,
    now: DateTime<Utc>,
    operator: &Operator,
) -> Result<SessionShown, ApiError> {
    let id: SessionId = app.ids.mint(now);
    let (refresh_token, refresh_hash) = token(&app.ids, "mcr");
    let expires_at = now + SESSION;
    let new = NewSession {
        id,
        operator: operator.id,
        expires_at,
        refresh_hash: &refresh_hash,
    };
    sessions::purge(conn, now - KEPT, PURGED_MAX).await?;
    sessions::start(conn, now, &new).await?;
    let (actor, subject) = (operator.id.to_string(), id.to_string());
    let what = ("session.started", subject.as_str(), json!({}));
    audited(conn, now, &app.ids, &actor, what).await?;
    shown(app, now, operator, (id, expires_at, refresh_token))
}

fn shown(
    app: &App,
    now: DateTime<Utc>,
    operator: &Operator,
    (id, session_expires_at, refresh_token): (SessionId, DateTime<Utc>, String),
) -> Result<SessionShown, ApiError> {
    // a bearer token never outlives its session
    let expires_at = (now + ACCESS).min(session_expires_at);
    let person = (operator.id, operator.name.as_str(), Some(id));
    let access_token =
        auth::sign(&app.config.jwt_secret, now, expires_at, person).map_err(ApiError::internal)?;
    Ok(SessionShown {
        access_token,
        expires_at,
        refresh_token,
        session_expires_at,
        operator: operator.into(),
    })
}

const REFRESH: &str = "{\"refresh_token\": \"mcr_…\"}";

/// Gives another bearer token and another refresh token for a refresh token, which is used up.
#[utoipa::path(
    post, path = "/api/v1/sessions/refresh", tag = "people", request_body = RefreshToken,
    responses(
        (status = 200, description = "The session goes on", body = SessionShown),
        (status = 401, description = "`session_over`: sign in again; a token used twice ends its session"),
    )
)]
pub(crate) async fn refresh(State(app): State<App>, body: Bytes) -> Result<Response, ApiError> {
    let asked: RefreshToken = read(&body, REFRESH)?;
    let now = app.clock.now();
    let used = hash(&asked.refresh_token);
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let found = sessions::lock_by_refresh(&mut tx, &used).await?;
    let Some(found) = found.filter(|found| found.ended_at.is_none()) else {
        return Err(over(&app, "unknown_refresh"));
    };
    let (operator, id) = (&found.operator, found.session);
    if found.used_at.is_some() {
        // two have had this token, and one of them is a thief: neither goes on
        sessions::end(&mut tx, now, id, SessionEnd::Reused).await?;
        let details = json!({ "operator": operator.id.to_string() });
        let what = ("session.reused", &*id.to_string(), details);
        audited(&mut tx, now, &app.ids, "anybody", what).await?;
        tx.commit().await.map_err(StoreError::from)?;
        return Err(over(&app, "reused_refresh"));
    }
    if found.expires_at <= now || operator.ended_at.is_some() {
        return Err(over(&app, "expired_refresh"));
    }
    let (next, next_hash) = token(&app.ids, "mcr");
    sessions::use_refresh(&mut tx, now, &used).await?;
    sessions::add_refresh(&mut tx, now, id, &next_hash).await?;
    let shown = shown(&app, now, operator, (id, found.expires_at, next))?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(secret(StatusCode::OK, shown))
}

fn over(app: &App, reason: &str) -> ApiError {
    app.metrics
        .rejected_inputs
        .with_label_values(&["sign_in", reason])
        .inc();
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "session_over",
        "the session is over; sign in again with POST /api/v1/sessions",
    )
}

/// Ends the session of a refresh token. One that is over or unknown is answered the same.
#[utoipa::path(
    post, path = "/api/v1/sessions/sign-out", tag = "people", request_body = RefreshToken,
    responses((status = 204, description = "Signed out; bearer tokens of the session are refused from now on"))
)]
pub(crate) async fn sign_out(State(app): State<App>, body: Bytes) -> Result<Response, ApiError> {
    let asked: RefreshToken = read(&body, REFRESH)?;
    let now = app.clock.now();
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let found = sessions::lock_by_refresh(&mut tx, &hash(&asked.refresh_token)).await?;
    if let Some(found) = found.filter(|found| found.ended_at.is_none()) {
        let (id, actor) = (found.session, found.operator.id.to_string());
        sessions::end(&mut tx, now, id, SessionEnd::SignedOut).await?;
        let what = ("session.ended", &*id.to_string(), json!({}));
        audited(&mut tx, now, &app.ids, &actor, what).await?;
        tx.commit().await.map_err(StoreError::from)?;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
