//! Operators' bearer tokens: signed HS256 with `JWT_SECRET`, good until `exp` by our clock, and
//! only as long as their person is still an operator. Must never trust the role in a token: the
//! row says it. Extracted by every operator route before anything else is read.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use chrono::{DateTime, TimeDelta, Utc};
use domain::id::OperatorId;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use runtime::config::Secret;
use serde::{Deserialize, Serialize};
use store::operators::{self, OperatorRole};

use crate::App;
use crate::error::ApiError;

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    /// Printed id of the operator.
    sub: String,
    /// Their name, for people who look into a token.
    name: String,
    /// Issued at, seconds since 1970.
    iat: i64,
    /// Good until, seconds since 1970.
    exp: i64,
}

/// The person behind a request.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    /// Id.
    pub(crate) id: OperatorId,
    /// What they may do, as of now.
    pub(crate) role: OperatorRole,
}

impl Operator {
    /// Refuses who may only look.
    pub(crate) fn require_act(&self) -> Result<(), ApiError> {
        if self.role.may_act() {
            return Ok(());
        }
        let detail = format!(
            "the role {} may only look; ask an operator",
            self.role.as_str()
        );
        Err(ApiError::forbidden(detail))
    }
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
        let id = verify(token, &app.config.jwt_secret, app.clock.now())
            .map_err(|error| refuse(error.code, error))?;
        let mut conn = app.acquire().await?;
        match operators::find(&mut conn, id).await? {
            Some(person) if person.ended_at.is_none() => Ok(Self {
                id: person.id,
                role: person.role,
            }),
            _ => Err(refuse("not_an_operator", ApiError::unauthorised())),
        }
    }
}

/// A token for an operator.
pub(crate) fn sign(
    secret: &Secret,
    now: DateTime<Utc>,
    good_for: TimeDelta,
    (id, name): (OperatorId, &str),
) -> Result<String, jsonwebtoken::errors::Error> {
    let claims = Claims {
        sub: id.to_string(),
        name: name.to_owned(),
        iat: now.timestamp(),
        exp: (now + good_for).timestamp(),
    };
    let key = EncodingKey::from_secret(secret.expose().as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)
}

/// Whose token it is, if it is ours and still good.
fn verify(token: &str, secret: &Secret, now: DateTime<Utc>) -> Result<OperatorId, ApiError> {
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
            "the token is no longer good; ask for a new one (`backend operator token`)",
        ));
    }
    claims.sub.parse().map_err(|_| ApiError::unauthorised())
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
        let id = OperatorId::from_parts(1, [1; 10]);
        let issued = at("1984-06-01T08:00:00Z");
        let key = secret("0123456789abcdef0123456789abcdef");
        let token = sign(&key, issued, TimeDelta::hours(1), (id, "wanjiku")).unwrap();
        assert_eq!(
            verify(&token, &key, at("1984-06-01T08:59:59Z")).unwrap(),
            id
        );
        let late = verify(&token, &key, at("1984-06-01T09:00:00Z")).unwrap_err();
        assert_eq!(late.code, "token_expired");
        let other = secret("another-key-0123456789abcdef0123");
        assert_eq!(
            verify(&token, &other, issued).unwrap_err().code,
            "unauthorised"
        );
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
