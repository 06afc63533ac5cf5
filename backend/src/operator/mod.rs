//! What operators see and do: the report, releases of payouts by two people, another attempt at a
//! refused payout, and wards' points. Every change is audited in its own transaction.
//! Must never let one person release alone. Called over HTTP, and by `backend operator token`.

pub(crate) mod payout_runs;
pub(crate) mod payouts;
pub(crate) mod report;
pub(crate) mod wards;

use axum::body::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use runtime::config::Environment;
use runtime::ids::Ids;
use serde::Deserialize;
use store::audit::{self, Line};
use store::operators::{self, OperatorRole};
use store::{Connection, StoreError};

use crate::Config;
use crate::auth::{self, Operator};
use crate::error::ApiError;
use crate::partner::input::require_storable;
use crate::routes::{Auth, Limit, Route};

/// Longest reason a person may give, characters.
const REASON_CHARS_MAX: usize = 500;
/// Longest name of an operator, characters.
const NAME_CHARS_MAX: usize = 80;

pub(crate) fn routes() -> Vec<Route> {
    let (auth, limit) = (Auth::Operator, Limit::Api);
    vec![
        Route::get("/api/v1/operator/report", auth, limit, report::show),
        Route::get("/api/v1/payout-runs", auth, limit, payout_runs::list),
        Route::post(
            "/api/v1/payout-runs/{evaluation}/approve",
            auth,
            limit,
            payout_runs::approve,
        ),
        Route::post(
            "/api/v1/payouts/{payout}/retry",
            auth,
            limit,
            payouts::retry,
        ),
        Route::put("/api/v1/operator/wards/{code}", auth, limit, wards::refine),
    ]
}

/// A person's reason, in the body or left out.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reason {
    /// Why, at most 500 characters.
    #[serde(default)]
    reason: String,
}

impl Reason {
    fn read(body: &Bytes) -> Result<String, ApiError> {
        require_storable(body)?;
        let reason = if body.is_empty() {
            Self::default()
        } else {
            serde_json::from_slice(body)
                .map_err(|_| ApiError::malformed("send {\"reason\": \"…\"} or no body at all"))?
        };
        let text = reason.reason.trim().to_owned();
        if text.chars().count() > REASON_CHARS_MAX {
            let rule = format!("reason must have at most {REASON_CHARS_MAX} characters");
            return Err(ApiError::refused("reason_too_long", rule));
        }
        Ok(text)
    }
}

/// Writes what a person did into the log, in the transaction of what they did.
async fn audited(
    conn: &mut Connection,
    now: DateTime<Utc>,
    ids: &Ids,
    operator: &Operator,
    (action, subject, details): (&str, &str, serde_json::Value),
) -> Result<(), StoreError> {
    let actor = operator.id.to_string();
    let line = Line {
        id: ids.uuid(now),
        actor: &actor,
        action,
        subject,
        details,
    };
    audit::record(conn, now, &line).await
}

/// A token for the operator of this name, who is made if unknown and gets this role: for drivers
/// and tests. Production refuses it: there, people are invited and sign in.
pub async fn issue_token(
    pool: &store::Pool,
    now: DateTime<Utc>,
    ids: &Ids,
    config: &Config,
    name: &str,
    role: &str,
) -> anyhow::Result<String> {
    anyhow::ensure!(
        config.common.environment != Environment::Production,
        "production signs no tokens from the command line; invite a person with `backend operator \
         invite --email name@example.com --role {role}`"
    );
    let name = name.trim();
    anyhow::ensure!(
        (1..=NAME_CHARS_MAX).contains(&name.chars().count()),
        "name must have 1 to {NAME_CHARS_MAX} characters"
    );
    let role = OperatorRole::parse(role).ok_or_else(|| {
        let known = OperatorRole::ALL.map(OperatorRole::as_str).join(", ");
        anyhow::anyhow!("role must be one of {known}")
    })?;
    let mut tx = pool.begin().await?;
    let person = operators::ensure(&mut tx, now, ids.mint(now), name, role).await?;
    anyhow::ensure!(person.ended_at.is_none(), "{name} is no longer an operator");
    let line = Line {
        id: ids.uuid(now),
        actor: "backend operator token",
        action: "operator.token_issued",
        subject: &person.id.to_string(),
        details: serde_json::json!({ "role": role.as_str() }),
    };
    audit::record(&mut tx, now, &line).await?;
    tx.commit().await?;
    let good_for = TimeDelta::from_std(config.jwt_expires_in)?;
    Ok(auth::sign(
        &config.jwt_secret,
        now,
        now + good_for,
        (person.id, name, None),
    )?)
}
