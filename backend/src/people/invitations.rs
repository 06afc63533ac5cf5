//! Becoming an operator: an administrator (or the command line) invites an address, the invited
//! person chooses a name and a password, and their first code proves the second factor. The token
//! is shown once, is good for 72 hours and makes one person. Must never make a person without both
//! factors. Called by administrators and by invited people.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use domain::id::{InvitationId, OperatorId};
use runtime::ids::Ids;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::invitations::{self, Invitation, NewInvitation, Offer};
use store::operators::{self, Enrolment, OperatorRole};
use store::sessions::{self, SessionEnd};
use store::{Connection, StoreError, credentials};

use super::sessions::SessionShown;
use super::{
    Slice, audited, codes, cut, email, grantable, hash, passwords, read, require_other,
    rows_and_one, secret, token,
};
use crate::App;
use crate::auth::Operator;
use crate::error::ApiError;

/// How long an invitation is good.
const GOOD_FOR: TimeDelta = TimeDelta::hours(72);
/// Longest name of a person, characters.
const NAME_CHARS_MAX: usize = 80;

/// Whom to invite.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Invite {
    /// Their address.
    email: String,
    /// `operator`, `approver`, `auditor` or `administrator`.
    role: String,
}

/// A new invitation, with the token that is shown once.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Invited {
    /// Id, `inv_…`.
    pub invitation: String,
    /// Address, lower case.
    pub email: String,
    /// What they will be.
    pub role: &'static str,
    /// Give it to the person and to nobody else; it is not kept.
    pub token: String,
    /// Until when the token is good.
    pub expires_at: DateTime<Utc>,
}

impl std::fmt::Display for Invited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} is invited as {} until {}",
            self.email,
            self.role,
            self.expires_at.format("%Y-%m-%d %H:%M UTC")
        )?;
        write!(f, "{}", self.token)
    }
}

/// An open invitation.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct InvitationShown {
    /// Id, `inv_…`.
    invitation: String,
    /// Address, lower case.
    email: String,
    /// What they will be.
    role: &'static str,
    /// Who invited them; null for the command line.
    invited_by: Option<String>,
    /// When.
    created_at: DateTime<Utc>,
    /// Until when the token is good.
    expires_at: DateTime<Utc>,
}

impl From<Invitation> for InvitationShown {
    fn from(invitation: Invitation) -> Self {
        Self {
            invitation: invitation.id.to_string(),
            email: invitation.email,
            role: invitation.role.as_str(),
            invited_by: invitation.invited_by.map(|id| id.to_string()),
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
        }
    }
}

/// A part of the open invitations.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct InvitationPage {
    /// Oldest first.
    items: Vec<InvitationShown>,
    /// Where the next part begins; null at the end.
    next_cursor: Option<String>,
}

/// What an invited person chooses.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Accept {
    /// The invitation's token.
    token: String,
    /// Their name, which others see; left out by people who are known already.
    #[serde(default)]
    name: String,
    /// A password of 12 to 128 characters.
    password: String,
}

/// The second factor to put into an authenticator app.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Accepted {
    /// Their name.
    name: String,
    /// Their address.
    email: String,
    /// What they will be.
    role: &'static str,
    /// Base32 secret, for typing.
    totp_secret: String,
    /// `otpauth://totp/…`, for a QR code.
    otpauth_uri: String,
}

/// The first code.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirm {
    /// The invitation's token.
    token: String,
    /// The six digits that the authenticator app shows.
    totp: String,
}

/// Invites an address; an open invitation to it is withdrawn.
#[utoipa::path(
    post, path = "/api/v1/operator/invitations", tag = "people", request_body = Invite,
    responses(
        (status = 201, description = "Invited; the token is shown this once", body = Invited),
        (status = 403, description = "`forbidden`: administrators only; `command_line_only`: approvers and administrators"),
        (status = 409, description = "`not_yourself`"),
        (status = 422, description = "`unknown_role` or `not_an_address`"),
    ), security(("operator" = []))
)]
pub(crate) async fn invite(
    operator: Operator,
    State(app): State<App>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let asked: Invite = read(
        &body,
        "{\"email\": \"name@example.com\", \"role\": \"operator\"}",
    )?;
    let role = grantable(&asked.role)?;
    let email = email(&asked.email).ok_or_else(|| {
        ApiError::refused("not_an_address", "email must be like name@example.com")
    })?;
    let now = app.clock.now();
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    if let Some(known) = operators::find_by_email(&mut tx, &email).await? {
        require_other(operator.id, known.id)?;
    }
    let invited = add(&mut tx, now, &app.ids, Some(operator.id), &email, role).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(secret(StatusCode::CREATED, invited))
}

/// Invites an address from the command line: the first administrator, or one when all are gone.
pub async fn invite_from_command_line(
    pool: &store::Pool,
    now: DateTime<Utc>,
    ids: &Ids,
    address: &str,
    role: &str,
) -> anyhow::Result<Invited> {
    let role = super::role(role).map_err(|error| anyhow::anyhow!(error.detail))?;
    let email =
        email(address).ok_or_else(|| anyhow::anyhow!("email must be like name@example.com"))?;
    let mut tx = pool.begin().await?;
    let invited = add(&mut tx, now, ids, None, &email, role).await?;
    tx.commit().await?;
    Ok(invited)
}

async fn add(
    conn: &mut Connection,
    now: DateTime<Utc>,
    ids: &Ids,
    invited_by: Option<OperatorId>,
    email: &str,
    role: OperatorRole,
) -> Result<Invited, StoreError> {
    let id: InvitationId = ids.mint(now);
    let (token, token_hash) = token(ids, "mci");
    let expires_at = now + GOOD_FOR;
    let replaced = invitations::withdraw_open(conn, now, email).await?;
    let new = NewInvitation {
        id,
        token_hash: &token_hash,
        email,
        role,
        invited_by,
        expires_at,
    };
    invitations::add(conn, now, &new).await?;
    let actor = invited_by.map_or_else(
        || "backend operator invite".to_owned(),
        |operator| operator.to_string(),
    );
    let details = json!({ "role": role.as_str(), "replaced": replaced });
    let what = ("person.invited", &*id.to_string(), details);
    audited(conn, now, ids, &actor, what).await?;
    Ok(Invited {
        invitation: id.to_string(),
        email: email.to_owned(),
        role: role.as_str(),
        token,
        expires_at,
    })
}

/// Open invitations.
#[utoipa::path(
    get, path = "/api/v1/operator/invitations", tag = "people", params(Slice),
    responses((status = 200, description = "A part of the list", body = InvitationPage)),
    security(("operator" = []))
)]
pub(crate) async fn list(
    _: Operator,
    State(app): State<App>,
    Query(slice): Query<Slice>,
) -> Result<Json<InvitationPage>, ApiError> {
    let (rows, after) = (slice.rows()?, slice.place::<InvitationId>()?);
    let mut conn = app.acquire().await?;
    let now = app.clock.now();
    let mut found = invitations::list_open(&mut conn, now, after, rows_and_one(rows)).await?;
    let next_cursor = cut(&mut found, rows, |invitation| invitation.id.to_string());
    let items = found.into_iter().map(InvitationShown::from).collect();
    Ok(Json(InvitationPage { items, next_cursor }))
}

/// Withdraws an open invitation.
#[utoipa::path(
    post, path = "/api/v1/operator/invitations/{invitation}/withdraw", tag = "people",
    params(("invitation" = String, Path, description = "`inv_…`")),
    responses(
        (status = 204, description = "Its token is good no more"),
        (status = 404, description = "`unknown_invitation`"),
        (status = 409, description = "`conflict`: accepted or withdrawn already"),
    ), security(("operator" = []))
)]
pub(crate) async fn withdraw(
    operator: Operator,
    State(app): State<App>,
    Path(invitation): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id: InvitationId = invitation.parse().map_err(|_| unknown())?;
    let now = app.clock.now();
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    invitations::withdraw(&mut tx, now, id).await?;
    let actor = operator.id.to_string();
    let what = ("invitation.withdrawn", &*id.to_string(), json!({}));
    audited(&mut tx, now, &app.ids, &actor, what).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes an invited person's name and password, and gives them their second factor. May be repeated
/// until it is confirmed; only the last choice counts.
#[utoipa::path(
    post, path = "/api/v1/invitations/accept", tag = "people", request_body = Accept,
    responses(
        (status = 200, description = "Put the secret into an authenticator app, then confirm", body = Accepted),
        (status = 404, description = "`unknown_invitation`: wrong, used, withdrawn or older than 72 h"),
        (status = 409, description = "`name_taken`"),
        (status = 422, description = "`name_length`, `name_characters`, `password_length` or `password_known`"),
        (status = 429, description = "`too_many_requests`"),
    )
)]
pub(crate) async fn accept(State(app): State<App>, body: Bytes) -> Result<Response, ApiError> {
    let asked: Accept = read(
        &body,
        "{\"token\": \"mci_…\", \"name\": \"…\", \"password\": \"…\"}",
    )?;
    let token_hash = hash(&asked.token);
    // before any work is done for strangers; looked up again when the work is done
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let (invitation, name) = invited(&app, &mut tx, &token_hash, &asked.name).await?;
    tx.rollback().await.map_err(StoreError::from)?;
    passwords::check(&asked.password, &[&name, &invitation.email])?;
    let turn = app.passwords.turn().await?;
    let password_hash = turn.hash(&app.ids, &asked.password).await?;
    drop(turn);

    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let (invitation, name) = invited(&app, &mut tx, &token_hash, &asked.name).await?;
    let enrolled = codes::enrol(&app.ids, &app.pii, &invitation.email)?;
    let offer = Offer {
        name,
        password_hash,
        totp_cipher: enrolled.cipher,
    };
    invitations::offer(&mut tx, invitation.id, &offer).await?;
    let what = ("invitation.opened", &*invitation.id.to_string(), json!({}));
    audited(&mut tx, app.clock.now(), &app.ids, "anybody", what).await?;
    tx.commit().await.map_err(StoreError::from)?;
    let accepted = Accepted {
        name: offer.name,
        email: invitation.email,
        role: invitation.role.as_str(),
        totp_secret: enrolled.secret,
        otpauth_uri: enrolled.uri,
    };
    Ok(secret(StatusCode::OK, accepted))
}

/// The open invitation of a token, locked, and the name its person will bear.
async fn invited(
    app: &App,
    conn: &mut Connection,
    token_hash: &[u8],
    name: &str,
) -> Result<(Invitation, String), ApiError> {
    let now = app.clock.now();
    let invitation = invitations::lock(conn, now, token_hash)
        .await?
        .ok_or_else(unknown)?;
    // who is known keeps their name: approvals and the log are read by it
    if let Some(known) = operators::find_by_email(conn, &invitation.email).await? {
        return Ok((invitation, known.name));
    }
    let name = checked(name)?;
    if operators::is_named(conn, &name).await? {
        let detail = "somebody has this name; choose another";
        return Err(ApiError::conflict("name_taken", detail));
    }
    Ok((invitation, name))
}

/// A name as others see it: no `@`, which would make it an address, and nothing invisible.
fn checked(name: &str) -> Result<String, ApiError> {
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    if !(2..=NAME_CHARS_MAX).contains(&name.chars().count()) {
        let rule = format!("name must have 2 to {NAME_CHARS_MAX} characters");
        return Err(ApiError::refused("name_length", rule));
    }
    let is_plain = name
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, ' ' | '\'' | '’' | '-' | '.'));
    if !is_plain {
        let rule = "name may have letters, digits, spaces, apostrophes, hyphens and full stops";
        return Err(ApiError::refused("name_characters", rule));
    }
    Ok(name)
}

fn unknown() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "unknown_invitation",
        "the invitation is unknown, used, withdrawn or older than 72 hours; ask an administrator \
         for another",
    )
}

/// Makes the invited person an operator, once their code shows that the second factor is in their
/// hands, and signs them in. Uses the token up.
#[utoipa::path(
    post, path = "/api/v1/invitations/confirm", tag = "people", request_body = Confirm,
    responses(
        (status = 201, description = "An operator, signed in", body = SessionShown),
        (status = 404, description = "`unknown_invitation`"),
        (status = 409, description = "`not_accepted`: send name and password first; `conflict`: the name was taken meanwhile"),
        (status = 422, description = "`wrong_code`"),
    )
)]
pub(crate) async fn confirm(State(app): State<App>, body: Bytes) -> Result<Response, ApiError> {
    let asked: Confirm = read(&body, "{\"token\": \"mci_…\", \"totp\": \"123456\"}")?;
    let now = app.clock.now();
    let mut tx = app.pool.begin().await.map_err(StoreError::from)?;
    let invitation = invitations::lock(&mut tx, now, &hash(&asked.token))
        .await?
        .ok_or_else(unknown)?;
    let Some(offer) = &invitation.offer else {
        let detail = "choose a name and a password first, with POST /api/v1/invitations/accept";
        return Err(ApiError::conflict("not_accepted", detail));
    };
    let step = codes::step(&app.pii, &offer.totp_cipher, &asked.totp, now)?.ok_or_else(|| {
        let rule = "send the six digits that the app shows now; is the telephone's time right?";
        ApiError::refused("wrong_code", rule)
    })?;
    let enrolment = Enrolment {
        id: app.ids.mint(now),
        email: &invitation.email,
        name: &offer.name,
        role: invitation.role,
        invited_by: invitation.invited_by,
    };
    let person = operators::enrol(&mut tx, now, &enrolment).await?;
    let (hash, cipher) = (&offer.password_hash, &offer.totp_cipher);
    credentials::set(&mut tx, now, person.id, hash, cipher, step).await?;
    let ended = sessions::end_all(&mut tx, now, person.id, SessionEnd::Replaced).await?;
    invitations::accept(&mut tx, now, invitation.id, person.id).await?;
    let details = json!({
        "role": person.role.as_str(),
        "invitation": invitation.id.to_string(),
        "invited_by": invitation.invited_by.map(|id| id.to_string()),
        "sessions_ended": ended,
    });
    let actor = person.id.to_string();
    let what = ("person.enrolled", actor.as_str(), details);
    audited(&mut tx, now, &app.ids, &actor, what).await?;
    let shown = super::sessions::start(&app, &mut tx, now, &person).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(secret(StatusCode::CREATED, shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_people_can_read_and_no_address() {
        assert_eq!(
            checked("  Wanjiku  wa Ng’ang’a ").unwrap(),
            "Wanjiku wa Ng’ang’a"
        );
        for (wrong, code) in [
            ("", "name_length"),
            ("W", "name_length"),
            ("asha@example.com", "name_characters"),
            ("Asha\u{200b}", "name_characters"),
            ("Asha\u{202e}", "name_characters"),
        ] {
            assert_eq!(checked(wrong).unwrap_err().code, code, "{wrong:?}");
        }
    }
}
