//! Organisations: partners, each a tenant. Never holds a person's data.
//! Called by administrators' routes and commands, and by a partner asking about itself.

use chrono::{DateTime, Utc};
use domain::id::OrganisationId;
use sqlx::PgConnection;

use crate::decode::corrupt;
use crate::error::{StoreError, one_row};
use crate::page::Slice;

/// What kind of partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrganisationKind {
    /// A co-operative of farmers.
    Cooperative,
    /// A lender that insures what it lends.
    Lender,
    /// An insurer or its agent.
    Insurer,
}

impl OrganisationKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Cooperative, Self::Lender, Self::Insurer];

    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cooperative => "cooperative",
            Self::Lender => "lender",
            Self::Insurer => "insurer",
        }
    }

    /// From storage, a request or a command line.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisation {
    /// Id.
    pub id: OrganisationId,
    /// Unique name.
    pub name: String,
    /// What kind.
    pub kind: OrganisationKind,
    /// Whether its keys are refused for now.
    pub is_suspended: bool,
    /// Since when it is a partner.
    pub created_at: DateTime<Utc>,
}

/// A partner to add.
#[derive(Debug, Clone)]
pub struct NewOrganisation<'a> {
    /// Id.
    pub id: OrganisationId,
    /// Name, unique.
    pub name: &'a str,
    /// What kind.
    pub kind: OrganisationKind,
}

struct Row {
    id: uuid::Uuid,
    name: String,
    kind: String,
    state: String,
    created_at: DateTime<Utc>,
}

fn decode(row: Row) -> Result<Organisation, StoreError> {
    let kind = OrganisationKind::parse(&row.kind)
        .ok_or_else(|| corrupt("organisations", "kind", row.id))?;
    Ok(Organisation {
        id: row.id.into(),
        name: row.name,
        kind,
        is_suspended: row.state != "active",
        created_at: row.created_at,
    })
}

/// Adds a partner; `false` when the name is taken.
pub async fn insert(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    organisation: &NewOrganisation<'_>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- organisations.insert
        insert into organisations (id, name, kind, state, created_at)
        values ($1, $2, $3, 'active', $4)
        on conflict (name) do nothing",
        organisation.id.uuid(),
        organisation.name,
        organisation.kind.as_str(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A partner by id.
pub async fn find(
    conn: &mut PgConnection,
    id: OrganisationId,
) -> Result<Option<Organisation>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "-- organisations.find
        select id, name, kind, state, created_at from organisations where id = $1",
        id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(decode).transpose()
}

/// Partners in the order they came.
pub async fn list(conn: &mut PgConnection, slice: Slice) -> Result<Vec<Organisation>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "-- organisations.list
        select id, name, kind, state, created_at from organisations
        where $1::uuid is null or id > $1
        order by id limit $2",
        slice.after,
        slice.rows(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(decode).collect()
}

/// Refuses a partner's keys, or takes them again; stale when it is so already.
pub async fn set_suspended(
    conn: &mut PgConnection,
    id: OrganisationId,
    is_suspended: bool,
) -> Result<(), StoreError> {
    let (before, after) = if is_suspended {
        ("active", "suspended")
    } else {
        ("suspended", "active")
    };
    let done = sqlx::query!(
        "-- organisations.set_suspended
        update organisations set state = $3 where id = $1 and state = $2",
        id.uuid(),
        before,
        after,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "organisation", id)
}
