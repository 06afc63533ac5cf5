//! Invitations to become an operator: known by a token's hash, good until they expire, are accepted
//! or are withdrawn. Never holds a token. Called by administrators' routes, by the invited person's
//! and by the command line.

use chrono::{DateTime, Utc};
use domain::id::{InvitationId, OperatorId};
use sqlx::PgConnection;

use crate::decode::corrupt;
use crate::error::{StoreError, one_row};
use crate::operators::OperatorRole;

/// What an invitation is made of.
#[derive(Debug, Clone, Copy)]
pub struct NewInvitation<'a> {
    /// Id.
    pub id: InvitationId,
    /// SHA-256 of the token.
    pub token_hash: &'a [u8],
    /// Address, lower case.
    pub email: &'a str,
    /// What they will be.
    pub role: OperatorRole,
    /// Who invites; `None` for the command line.
    pub invited_by: Option<OperatorId>,
    /// Until when the token is good.
    pub expires_at: DateTime<Utc>,
}

/// What the invited person chose, until their first code proves the second factor.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Their name.
    pub name: String,
    /// Argon2id, in PHC form.
    pub password_hash: String,
    /// TOTP secret, sealed.
    pub totp_cipher: Vec<u8>,
}

/// An open invitation.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// Id.
    pub id: InvitationId,
    /// Address, lower case.
    pub email: String,
    /// What they will be.
    pub role: OperatorRole,
    /// Who invited them.
    pub invited_by: Option<OperatorId>,
    /// When.
    pub created_at: DateTime<Utc>,
    /// Until when the token is good.
    pub expires_at: DateTime<Utc>,
    /// What they chose, once they did.
    pub offer: Option<Offer>,
}

/// Withdraws the open invitation to this address, if there is one; how many there were.
pub async fn withdraw_open(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    email: &str,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        r#"-- invitations.withdraw_open
        update invitations set withdrawn_at = $2
        where email = $1 and accepted_at is null and withdrawn_at is null"#,
        email,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Withdraws the open invitations to a person and those they gave, whose tokens they saw; how many.
pub async fn withdraw_with(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    person: OperatorId,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        r#"-- invitations.withdraw_with
        update invitations set withdrawn_at = $2
        where accepted_at is null and withdrawn_at is null
          and (invited_by = $1 or email = (select email from operators where id = $1))"#,
        person.uuid(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Adds an invitation; a second open one to the same address breaks a constraint.
pub async fn add(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    new: &NewInvitation<'_>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"-- invitations.add
        insert into invitations (id, token_hash, email, role, invited_by, created_at, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7)"#,
        new.id.uuid(),
        new.token_hash,
        new.email,
        new.role.as_str(),
        new.invited_by.map(OperatorId::uuid),
        now,
        new.expires_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The invitation of this token if it is still good, locked. Good while whoever gave it is an
/// administrator.
pub async fn lock(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    token_hash: &[u8],
) -> Result<Option<Invitation>, StoreError> {
    let row = sqlx::query!(
        r#"-- invitations.lock
        select id, email, role, invited_by, created_at, expires_at, name, password_hash,
               totp_cipher
        from invitations
        where token_hash = $1 and expires_at > $2 and accepted_at is null and withdrawn_at is null
          and (invited_by is null or exists (
              select 1 from operators
              where operators.id = invitations.invited_by and operators.role = 'administrator' and operators.ended_at is null))
        for update"#,
        token_hash,
        now,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let offer = match (row.name, row.password_hash, row.totp_cipher) {
            (Some(name), Some(password_hash), Some(totp_cipher)) => Some(Offer {
                name,
                password_hash,
                totp_cipher,
            }),
            _ => None,
        };
        Ok(Invitation {
            id: row.id.into(),
            email: row.email,
            role: role(&row.role, row.id.into())?,
            invited_by: row.invited_by.map(OperatorId::from),
            created_at: row.created_at,
            expires_at: row.expires_at,
            offer,
        })
    })
    .transpose()
}

/// Keeps what the invited person chose, replacing an earlier choice.
pub async fn offer(
    conn: &mut PgConnection,
    id: InvitationId,
    offer: &Offer,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"-- invitations.offer
        update invitations set name = $2, password_hash = $3, totp_cipher = $4
        where id = $1 and accepted_at is null and withdrawn_at is null"#,
        id.uuid(),
        offer.name,
        offer.password_hash,
        offer.totp_cipher,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "invitation", id)
}

/// Uses an invitation up and forgets the secrets it kept.
pub async fn accept(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: InvitationId,
    operator: OperatorId,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"-- invitations.accept
        update invitations
        set accepted_at = $2, operator_id = $3, password_hash = null, totp_cipher = null
        where id = $1 and accepted_at is null and withdrawn_at is null"#,
        id.uuid(),
        now,
        operator.uuid(),
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "invitation", id)
}

/// Withdraws an open invitation; one that is accepted or withdrawn is `Stale`.
pub async fn withdraw(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: InvitationId,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"-- invitations.withdraw
        update invitations set withdrawn_at = $2
        where id = $1 and accepted_at is null and withdrawn_at is null"#,
        id.uuid(),
        now,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "invitation", id)
}

/// Open invitations by id, those after `after`, at most `limit`; without what was chosen.
pub async fn list_open(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    after: Option<InvitationId>,
    limit: i64,
) -> Result<Vec<Invitation>, StoreError> {
    let rows = sqlx::query!(
        r#"-- invitations.list_open
        select id, email, role, invited_by, created_at, expires_at from invitations
        where accepted_at is null and withdrawn_at is null and expires_at > $1
          and ($2::uuid is null or id > $2)
        order by id limit $3"#,
        now,
        after.map(InvitationId::uuid),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Invitation {
                id: row.id.into(),
                email: row.email,
                role: role(&row.role, row.id.into())?,
                invited_by: row.invited_by.map(OperatorId::from),
                created_at: row.created_at,
                expires_at: row.expires_at,
                offer: None,
            })
        })
        .collect()
}

fn role(text: &str, id: InvitationId) -> Result<OperatorRole, StoreError> {
    OperatorRole::parse(text).ok_or_else(|| corrupt("invitations", "role", id))
}
