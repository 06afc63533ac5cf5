//! The people who work here: who they are, what they may do, and that they left. Must never let a
//! person change their own access, or give another the power to release money.
//! Called by administrators, and by everybody about themselves.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use domain::id::OperatorId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::operators::{self, Person};
use store::sessions::{self, SessionEnd};
use store::{Connection, StoreError, invitations};

use super::{OperatorShown, Slice, audited, cut, grantable, read, require_other, rows_and_one};
use crate::App;
use crate::auth::Operator;
use crate::error::ApiError;

/// A person as administrators and auditors see them.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct PersonShown {
    /// Who.
    #[serde(flatten)]
    operator: OperatorShown,
    /// Address; null for people who cannot sign in.
    email: Option<String>,
    /// Who invited them; null for the command line.
    invited_by: Option<String>,
    /// Since when they are known.
    created_at: DateTime<Utc>,
    /// Until when signing in is refused after misses.
    locked_until: Option<DateTime<Utc>>,
    /// When they left.
    ended_at: Option<DateTime<Utc>>,
}

impl From<Person> for PersonShown {
    fn from(person: Person) -> Self {
        Self {
            operator: (&person.operator).into(),
            email: person.email,
            invited_by: person.operator.invited_by.map(|id| id.to_string()),
            created_at: person.created_at,
            locked_until: person.locked_until,
            ended_at: person.operator.ended_at,
        }
    }
}

/// A part of the people.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct PersonPage {
    /// In the order they came.
    items: Vec<PersonShown>,
    /// Where the next part begins; null at the end.
    next_cursor: Option<String>,
}

/// Another role.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRole {
    /// `operator`, `approver`, `auditor` or `administrator`.
    role: String,
}

/// Who is asking.
#[utoipa::path(
    get, path = "/api/v1/operator/me", tag = "people",
    responses((status = 200, description = "The person of the bearer token", body = OperatorShown)),
    security(("operator" = []))
)]
pub(crate) async fn me(operator: Operator) -> Json<OperatorShown> {
    Json(OperatorShown {
        id: operator.id.to_string(),
        name: operator.name,
        role: operator.role.as_str(),
    })
}

/// Everybody, those who left as well.
#[utoipa::path(
    get, path = "/api/v1/operator/people", tag = "people", params(Slice),
    responses((status = 200, description = "A part of the list", body = PersonPage)),
    security(("operator" = []))
)]
pub(crate) async fn list(
    _: Operator,
    State(app): State<App>,
    Query(slice): Query<Slice>,
) -> Result<Json<PersonPage>, ApiError> {
    let (rows, after) = (slice.rows()?, slice.place::<OperatorId>()?);
    let mut conn = app.acquire().await?;
    let mut found = operators::list(&mut conn, after, rows_and_one(rows)).await?;
    let next_cursor = cut(&mut found, rows, |person| person.operator.id.to_string());
    let items = found.into_iter().map(PersonShown::from).collect();
    Ok(Json(PersonPage { items, next_cursor }))
}

/// Gives a person another role, which holds from their next request on.
#[utoipa::path(
    post, path = "/api/v1/operator/people/{operator}/role", tag = "people",
    params(("operator" = String, Path, description = "`opr_…`")), request_body = NewRole,
    responses(
        (status = 200, description = "They have the role", body = OperatorShown),
        (status = 403, description = "`command_line_only`: approvers and administrators"),
        (status = 404, description = "`unknown_operator`"),
        (status = 409, description = "`not_yourself`, or `conflict`: they have left"),
        (status = 422, description = "`unknown_role`"),
    ), security(("operator" = []))
)]
pub(crate) async fn set_role(
    operator: Operator,
    State(app): State<App>,
    Path(subject): Path<String>,
    body: Bytes,
) -> Result<Json<OperatorShown>, ApiError> {
    let asked: NewRole = read(&body, "{\"role\": \"auditor\"}")?;
    let role = grantable(&asked.role)?;
    let now = app.clock.now();
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let person = other(&mut tx, &operator, &subject).await?;
    operators::set_role(&mut tx, person.id, role).await?;
    let withdrawn = invitations::withdraw_with(&mut tx, now, person.id).await?;
    let details = json!({
        "from": person.role.as_str(), "to": role.as_str(), "invitations_withdrawn": withdrawn,
    });
    let (actor, subject) = (operator.id.to_string(), person.id.to_string());
    let what = ("person.role_changed", subject.as_str(), details);
    audited(&mut tx, now, &app.ids, &actor, what).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(Json(OperatorShown {
        id: subject,
        name: person.name,
        role: role.as_str(),
    }))
}

/// A person has left: their sessions end and their tokens are refused from now on.
#[utoipa::path(
    post, path = "/api/v1/operator/people/{operator}/end", tag = "people",
    params(("operator" = String, Path, description = "`opr_…`")),
    responses(
        (status = 204, description = "They are an operator no more; an invitation brings them back"),
        (status = 404, description = "`unknown_operator`"),
        (status = 409, description = "`not_yourself`, or `conflict`: they have left already"),
    ), security(("operator" = []))
)]
pub(crate) async fn end(
    operator: Operator,
    State(app): State<App>,
    Path(subject): Path<String>,
) -> Result<StatusCode, ApiError> {
    let now = app.clock.now();
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let person = other(&mut tx, &operator, &subject).await?;
    operators::end(&mut tx, now, person.id).await?;
    let ended = sessions::end_all(&mut tx, now, person.id, SessionEnd::PersonEnded).await?;
    let (actor, subject) = (operator.id.to_string(), person.id.to_string());
    let withdrawn = invitations::withdraw_with(&mut tx, now, person.id).await?;
    let details = json!({ "sessions_ended": ended, "invitations_withdrawn": withdrawn });
    let what = ("person.ended", subject.as_str(), details);
    audited(&mut tx, now, &app.ids, &actor, what).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The person of a path, who is not the one who asks.
async fn other(
    conn: &mut Connection,
    operator: &Operator,
    subject: &str,
) -> Result<operators::Operator, ApiError> {
    let unknown = || {
        let detail = "there is no such person; list them with GET /api/v1/operator/people";
        ApiError::new(StatusCode::NOT_FOUND, "unknown_operator", detail)
    };
    let id: OperatorId = subject.parse().map_err(|_| unknown())?;
    require_other(operator.id, id)?;
    operators::find(conn, id).await?.ok_or_else(unknown)
}
