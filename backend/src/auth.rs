//! Operators' bearer tokens: signed HS256 with `JWT_SECRET`, good until `exp` by our clock, and
//! only as long as their session is open and their person is still an operator. Must never trust
//! the role in a token: the row says it, and `people::access` says what the role may call.
//! Extracted by every operator route before anything else is read.

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use chrono::{DateTime, Utc};
use domain::id::{OperatorId, SessionId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use runtime::config::{Environment, Secret};
use serde::{Deserialize, Serialize};
use store::operators::{self, OperatorRole};
use store::{Connection, StoreError, sessions};

use crate::App;
use crate::error::ApiError;
use crate::people::access;

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    /// Printed id of the operator.
    sub: String,
    /// Their name, for people who look into a token.
    name: String,
    /// Printed id of the session; without one the token came from the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    /// Issued at, seconds since 1970.
    iat: i64,
    /// Good until, seconds since 1970.
    exp: i64,
}

/// Whose token it is.
#[derive(Debug, PartialEq, Eq)]
struct Bearer {
    operator: OperatorId,
    session: Option<SessionId>,
}

/// The person behind a request, whose role may call the route.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    /// Id.
    pub(crate) id: OperatorId,
    /// Name.
    pub(crate) name: String,
    /// What they may do, as of now.
    pub(crate) role: OperatorRole,
    /// Whose invitation made them.
    pub(crate) invited_by: Option<OperatorId>,
}

impl FromRequestParts<App> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let refuse = |reason: &str, error: ApiError| {
            app.metrics
                .rejected_inputs
                .with_label_values(&["operator", reason])
                .inc();
            error
        };
        let token = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .ok_or_else(|| refuse("no_token", ApiError::unauthorised()))?;
        let now = app.clock.now();
        let bearer = verify(token, &app.config.jwt_secret, now)
            .map_err(|error| refuse(error.code, error))?;
        let has_session = bearer.session.is_some();
        if !has_session && app.config.common.environment == Environment::Production {
            // the command line signs none there, so its key is in other hands
            return Err(refuse("no_session", ApiError::unauthorised()));
        }
        let mut conn = app.acquire().await?;
        let person = find(&mut conn, now, &bearer)
            .await?
            .ok_or_else(|| refuse("not_an_operator", ApiError::unauthorised()))?;
        let path = parts
            .extensions
            .get::<MatchedPath>()
            .map_or("", MatchedPath::as_str);
        let roles = access::roles(parts.method.as_str(), path);
        if !roles.contains(&person.role) {
            let detail = format!(
                "the role {} may not do this; ask an administrator who may",
                person.role.as_str()
            );
            return Err(refuse("role", ApiError::forbidden(detail)));
        }
        Ok(Self {
            id: person.id,
            name: person.name,
            role: person.role,
            invited_by: person.invited_by,
        })
    }
}

/// The person of a token, if they have not left and their session is open.
async fn find(
    conn: &mut Connection,
    now: DateTime<Utc>,
    bearer: &Bearer,
) -> Result<Option<operators::Operator>, StoreError> {
    let person = match bearer.session {
        Some(session) => sessions::find_operator(conn, now, session).await?,
        None => operators::find(conn, bearer.operator).await?,
    };
    Ok(person.filter(|person| person.id == bearer.operator && person.ended_at.is_none()))
}

/// A token for an operator, of a session or (outside production) of none.
pub(crate) fn sign(
    secret: &Secret,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    (id, name, session): (OperatorId, &str, Option<SessionId>),
) -> Result<String, jsonwebtoken::errors::Error> {
    let claims = Claims {
        sub: id.to_string(),
        name: name.to_owned(),
        sid: session.map(|session| session.to_string()),
        iat: now.timestamp(),
        exp: expires_at.timestamp(),
    };
    let key = EncodingKey::from_secret(secret.expose().as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)
}

/// Whose token it is, if it is ours and still good.
fn verify(token: &str, secret: &Secret, now: DateTime<Utc>) -> Result<Bearer, ApiError> {
    let mut validation = Validation::new(Algorithm::HS256);
    // checked below: the library looks at the machine's clock, and time is an input here
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    let key = DecodingKey::from_secret(secret.expose().as_bytes());
    let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation)
        .map_err(|_| ApiError::unauthorised())?
        .claims;
    if claims.exp <= now.timestamp() {
        return Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "token_expired",
            "the token is no longer good; refresh it with POST /api/v1/sessions/refresh",
        ));
    }
    let session = claims.sid.map(|sid| sid.parse()).transpose();
    match (claims.sub.parse(), session) {
        (Ok(operator), Ok(session)) => Ok(Bearer { operator, session }),
        _ => Err(ApiError::unauthorised()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn secret(text: &str) -> Secret {
        text.parse().unwrap()
    }

    #[test]
    fn a_token_is_good_until_its_end_by_our_clock_and_only_under_our_key() {
        let operator = OperatorId::from_parts(1, [1; 10]);
        let session = SessionId::from_parts(2, [2; 10]);
        let (issued, end) = (at("1984-06-01T08:00:00Z"), at("1984-06-01T09:00:00Z"));
        let key = secret("0123456789abcdef0123456789abcdef");
        for session in [None, Some(session)] {
            let token = sign(&key, issued, end, (operator, "wanjiku", session)).unwrap();
            assert_eq!(
                verify(&token, &key, at("1984-06-01T08:59:59Z")).unwrap(),
                Bearer { operator, session }
            );
            let late = verify(&token, &key, end).unwrap_err();
            assert_eq!(late.code, "token_expired");
            let other = secret("another-key-0123456789abcdef0123");
            assert_eq!(
                verify(&token, &other, issued).unwrap_err().code,
                "unauthorised"
            );
        }
        assert_eq!(
            verify("a.b.c", &key, issued).unwrap_err().code,
            "unauthorised"
        );
    }

    #[test]
    fn an_unsigned_token_is_nobody() {
        // {"alg":"none"}.{"sub":"opr_…","exp":9999999999}.
        let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJvcHJfMCIsImV4cCI6OTk5OTk5OTk5OX0.";
        let key = secret("0123456789abcdef0123456789abcdef");
        assert!(verify(token, &key, at("2026-01-01T00:00:00Z")).is_err());
    }
}
