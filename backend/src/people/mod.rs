//! People who work here: invitations, sign-in with a password and a code, sessions, roles, and the
//! log of what was done. Every change is audited in its own transaction.
//! Must never keep or log a password, a code or a token. Called over HTTP and by `backend operator
//! invite` and `backend audit verify`.

pub mod access;
pub(crate) mod audit;
pub(crate) mod codes;
pub(crate) mod invitations;
pub(crate) mod passwords;
pub(crate) mod persons;
pub(crate) mod sessions;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use data_encoding::BASE64URL_NOPAD;
use domain::id::OperatorId;
use runtime::ids::Ids;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::audit::Line;
use store::operators::{Operator, OperatorRole};
use store::{Connection, StoreError};

pub use audit::verify;
pub use invitations::{Invited, invite_from_command_line};

use crate::error::ApiError;
use crate::partner::input::require_storable;
use crate::routes::{Auth, Limit, Route};

/// Rows of a list when none are asked for.
const ROWS_USUAL: u16 = 50;
/// Most rows of a list.
const ROWS_MAX: u16 = 200;
/// Random bytes of a token: nobody guesses 256 bits.
const TOKEN_BYTES: usize = 32;

pub(crate) fn routes() -> Vec<Route> {
    let (open, person, limit) = (Auth::Public, Auth::Operator, Limit::Api);
    vec![
        Route::post("/api/v1/sessions", open, limit, sessions::sign_in),
        Route::post("/api/v1/sessions/refresh", open, limit, sessions::refresh),
        Route::post("/api/v1/sessions/sign-out", open, limit, sessions::sign_out),
        Route::post(
            "/api/v1/invitations/accept",
            open,
            limit,
            invitations::accept,
        ),
        Route::post(
            "/api/v1/invitations/confirm",
            open,
            limit,
            invitations::confirm,
        ),
        Route::get("/api/v1/operator/me", person, limit, persons::me),
        Route::get("/api/v1/operator/people", person, limit, persons::list),
        Route::post(
            "/api/v1/operator/people/{operator}/role",
            person,
            limit,
            persons::set_role,
        ),
        Route::post(
            "/api/v1/operator/people/{operator}/end",
            person,
            limit,
            persons::end,
        ),
        Route::get(
            "/api/v1/operator/invitations",
            person,
            limit,
            invitations::list,
        ),
        Route::post(
            "/api/v1/operator/invitations",
            person,
            limit,
            invitations::invite,
        ),
        Route::post(
            "/api/v1/operator/invitations/{invitation}/withdraw",
            person,
            limit,
            invitations::withdraw,
        ),
        Route::get("/api/v1/operator/audit", person, limit, audit::list),
    ]
}

/// A person as others see them.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct OperatorShown {
    /// Id, `opr_…`.
    pub(crate) id: String,
    /// Name.
    pub(crate) name: String,
    /// `operator`, `approver`, `auditor` or `administrator`.
    pub(crate) role: &'static str,
}

impl From<&Operator> for OperatorShown {
    fn from(operator: &Operator) -> Self {
        Self {
            id: operator.id.to_string(),
            name: operator.name.clone(),
            role: operator.role.as_str(),
        }
    }
}

/// Which part of a list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Slice {
    /// How many, 1 to 200; 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
    /// `next_cursor` of the part before.
    cursor: Option<String>,
}

impl Slice {
    /// How many rows are wanted.
    fn rows(&self) -> Result<usize, ApiError> {
        let limit = self.limit.unwrap_or(ROWS_USUAL);
        if (1..=ROWS_MAX).contains(&limit) {
            return Ok(usize::from(limit));
        }
        let rule = format!("limit must be 1 to {ROWS_MAX}");
        Err(ApiError::refused("limit_out_of_range", rule))
    }

    /// The place behind which the part begins, if the cursor is one of ours.
    fn place<T: std::str::FromStr>(&self) -> Result<Option<T>, ApiError> {
        let wrong = || ApiError::malformed("cursor must be a next_cursor that this list gave");
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let bytes = BASE64URL_NOPAD
            .decode(cursor.as_bytes())
            .map_err(|_| wrong())?;
        let text = String::from_utf8(bytes).map_err(|_| wrong())?;
        text.parse().map(Some).map_err(|_| wrong())
    }
}

/// Cuts the row that was read only to see whether there is more, and names the place to go on from.
fn cut<T>(items: &mut Vec<T>, rows: usize, place: impl Fn(&T) -> String) -> Option<String> {
    if items.len() <= rows {
        return None;
    }
    items.truncate(rows);
    items
        .last()
        .map(|last| BASE64URL_NOPAD.encode(place(last).as_bytes()))
}

/// Rows to ask the database for.
fn rows_and_one(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX).saturating_add(1)
}

/// A body as JSON; `example` says what it should have been.
fn read<T: DeserializeOwned>(body: &[u8], example: &str) -> Result<T, ApiError> {
    require_storable(body)?;
    serde_json::from_slice(body).map_err(|_| ApiError::malformed(format!("send {example}")))
}

/// A role by its name.
fn role(text: &str) -> Result<OperatorRole, ApiError> {
    OperatorRole::parse(text).ok_or_else(|| {
        let known = OperatorRole::ALL.map(OperatorRole::as_str).join(", ");
        ApiError::refused("unknown_role", format!("role must be one of {known}"))
    })
}

/// A role that an administrator may give. Who invites sees the token and could use it themselves, so
/// the roles that release money or invite come from the command line, where somebody else sits.
fn grantable(text: &str) -> Result<OperatorRole, ApiError> {
    match role(text)? {
        role @ (OperatorRole::Operator | OperatorRole::Auditor) => Ok(role),
        role @ (OperatorRole::Approver | OperatorRole::Administrator) => {
            let role = role.as_str();
            Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "command_line_only",
                format!(
                    "nobody becomes {role} over HTTP; whoever runs the servers does it with \
                     `backend operator invite --role {role}`"
                ),
            ))
        }
    }
}

/// An address as stored: lower case, one `@` with something on both sides.
fn email(text: &str) -> Option<String> {
    let email = text.trim().to_lowercase();
    let (local, host) = email.split_once('@')?;
    let is_address = email.len() <= 254
        && !local.is_empty()
        && host.contains('.')
        && !host.contains('@')
        && !email
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == ':');
    is_address.then_some(email)
}

/// A new token that starts with `prefix`, and the hash that is stored of it.
fn token(ids: &Ids, prefix: &str) -> (String, [u8; 32]) {
    let secret = BASE64URL_NOPAD.encode(&ids.bytes::<TOKEN_BYTES>());
    let token = format!("{prefix}_{secret}");
    let hash = hash(&token);
    (token, hash)
}

/// What is stored of a token: 256 random bits need no slow hash.
fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// An answer that holds a secret and must stay nowhere on its way.
fn secret<T: Serialize>(status: StatusCode, body: T) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    let headers = [(header::CACHE_CONTROL, no_store)];
    (status, headers, axum::Json(body)).into_response()
}

/// Writes what was done into the log, in the transaction of what was done and at its end.
async fn audited(
    conn: &mut Connection,
    now: DateTime<Utc>,
    ids: &Ids,
    actor: &str,
    (action, subject, details): (&str, &str, serde_json::Value),
) -> Result<(), StoreError> {
    let line = Line {
        id: ids.uuid(now),
        actor,
        action,
        subject,
        details,
    };
    store::audit::record(conn, now, &line).await
}

/// Refuses a person who would do this to themselves.
fn require_other(operator: OperatorId, subject: OperatorId) -> Result<(), ApiError> {
    if operator != subject {
        return Ok(());
    }
    let detail = "nobody changes their own access; ask another administrator";
    Err(ApiError::conflict("not_yourself", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_two_sides_and_one_case() {
        assert_eq!(
            email(" Asha@Example.COM ").as_deref(),
            Some("asha@example.com")
        );
        for wrong in [
            "", "asha", "@b.c", "a@", "a@b@c.d", "a b@c.d", "a:b@c.d", "a@host",
        ] {
            assert_eq!(email(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_cursor_goes_on_where_the_part_before_ended() {
        let mut items = vec![3, 2, 1];
        let cursor = cut(&mut items, 2, ToString::to_string);
        assert_eq!(items, [3, 2]);
        let slice = Slice {
            limit: None,
            cursor,
        };
        assert_eq!(slice.place::<i64>().unwrap(), Some(2));
        assert_eq!(cut(&mut items, 2, ToString::to_string), None);
        let forged = Slice {
            limit: Some(0),
            cursor: Some("!".to_owned()),
        };
        assert!(forged.place::<i64>().is_err());
        assert_eq!(forged.rows().unwrap_err().code, "limit_out_of_range");
    }
}
