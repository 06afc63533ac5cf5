//! A partner's field people: who enrol farmers and take their consent. Name and phone are sealed.
//! Never deleted, because farmers name who enrolled them: ended. Called by partners' routes.

use chrono::{DateTime, Utc};
use domain::id::{AgentId, OrganisationId};
use sqlx::PgConnection;

use crate::error::{StoreError, one_row};
use crate::page::Slice;
use crate::pii::Pii;

/// An agent, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Id.
    pub id: AgentId,
    /// The partner's own code, unique within it.
    pub code: String,
    /// Name.
    pub name: String,
    /// Phone, twelve digits.
    pub phone: Option<String>,
    /// Changes with every correction.
    pub version: i32,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// Since when no more.
    pub ended_at: Option<DateTime<Utc>>,
}

/// An agent to add; personal data already sealed.
#[derive(Debug, Clone)]
pub struct NewAgent<'a> {
    /// Id.
    pub id: AgentId,
    /// Whose.
    pub organisation: OrganisationId,
    /// The partner's own code.
    pub code: &'a str,
    /// Sealed name.
    pub name_cipher: &'a [u8],
    /// Sealed phone.
    pub phone_cipher: Option<&'a [u8]>,
}

/// What may be corrected; `None` leaves it.
#[derive(Debug, Clone, Copy, Default)]
pub struct AgentPatch<'a> {
    /// Sealed name.
    pub name_cipher: Option<&'a [u8]>,
    /// Sealed phone.
    pub phone_cipher: Option<&'a [u8]>,
    /// Since when no more; an agent does not begin again.
    pub ended_at: Option<DateTime<Utc>>,
}

struct Row {
    id: uuid::Uuid,
    code: String,
    name_cipher: Vec<u8>,
    phone_cipher: Option<Vec<u8>>,
    version: i32,
    created_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

fn decode(pii: &Pii, row: Row) -> Result<Agent, StoreError> {
    Ok(Agent {
        id: row.id.into(),
        code: row.code,
        name: pii.open_text(&row.name_cipher)?,
        phone: row
            .phone_cipher
            .map(|cipher| pii.open_text(&cipher))
            .transpose()?,
        version: row.version,
        created_at: row.created_at,
        ended_at: row.ended_at,
    })
}

/// Adds an agent; `false` when the code is taken.
pub async fn insert(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    agent: &NewAgent<'_>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- agents.insert
        insert into agents (id, organisation_id, code, name_cipher, phone_cipher, created_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (organisation_id, code) do nothing",
        agent.id.uuid(),
        agent.organisation.uuid(),
        agent.code,
        agent.name_cipher,
        agent.phone_cipher,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// An agent of an organisation.
pub async fn find(
    conn: &mut PgConnection,
    pii: &Pii,
    organisation: OrganisationId,
    id: AgentId,
) -> Result<Option<Agent>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "-- agents.find
        select id, code, name_cipher, phone_cipher, version, created_at, ended_at
        from agents where organisation_id = $1 and id = $2",
        organisation.uuid(),
        id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| decode(pii, row)).transpose()
}

/// Agents of an organisation, ended ones included.
pub async fn list(
    conn: &mut PgConnection,
    pii: &Pii,
    organisation: OrganisationId,
    slice: Slice,
) -> Result<Vec<Agent>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "-- agents.list
        select id, code, name_cipher, phone_cipher, version, created_at, ended_at
        from agents where organisation_id = $1 and ($2::uuid is null or id > $2)
        order by id limit $3",
        organisation.uuid(),
        slice.after,
        slice.rows(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| decode(pii, row)).collect()
}

/// Code and id of the working agents with these codes or ids, for a whole file at once.
pub async fn list_referred(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    codes: &[String],
    ids: &[AgentId],
) -> Result<Vec<(String, AgentId)>, StoreError> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        "-- agents.list_referred
        select code, id from agents
        where organisation_id = $1 and (code = any($2) or id = any($3)) and ended_at is null",
        organisation.uuid(),
        codes,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.code, row.id.into()))
        .collect())
}

/// Corrects an agent of this version; stale when the version is another.
pub async fn update(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    (id, version): (AgentId, i32),
    patch: AgentPatch<'_>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- agents.update
        update agents set
            name_cipher = coalesce($4, name_cipher),
            phone_cipher = coalesce($5, phone_cipher),
            ended_at = coalesce(ended_at, $6),
            version = version + 1
        where organisation_id = $1 and id = $2 and version = $3",
        organisation.uuid(),
        id.uuid(),
        version,
        patch.name_cipher,
        patch.phone_cipher,
        patch.ended_at,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "agent", id)
}
