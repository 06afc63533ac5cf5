//! A partner's groups of farmers: a co-operative's branches, a lender's circles. A farmer belongs
//! to at most one. Never holds a person's data. Called by partners' routes.

use chrono::{DateTime, Utc};
use domain::id::{GroupId, OrganisationId};
use sqlx::PgConnection;

use crate::error::{StoreError, one_row};
use crate::page::Slice;
use crate::patch::Patch;

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Id.
    pub id: GroupId,
    /// The partner's own code, unique within it.
    pub code: String,
    /// Name.
    pub name: String,
    /// Where it meets.
    pub ward_code: Option<String>,
    /// Changes with every correction.
    pub version: i32,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// A group to add.
#[derive(Debug, Clone)]
pub struct NewGroup<'a> {
    /// Id.
    pub id: GroupId,
    /// Whose.
    pub organisation: OrganisationId,
    /// The partner's own code.
    pub code: &'a str,
    /// Name.
    pub name: &'a str,
    /// Where it meets.
    pub ward_code: Option<&'a str>,
}

struct Row {
    id: uuid::Uuid,
    code: String,
    name: String,
    ward_code: Option<String>,
    version: i32,
    created_at: DateTime<Utc>,
}

impl From<Row> for Group {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            code: row.code,
            name: row.name,
            ward_code: row.ward_code,
            version: row.version,
            created_at: row.created_at,
        }
    }
}

/// Adds a group; `false` when the code is taken.
pub async fn insert(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    group: &NewGroup<'_>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- groups.insert
        insert into groups (id, organisation_id, code, name, ward_code, created_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (organisation_id, code) do nothing",
        group.id.uuid(),
        group.organisation.uuid(),
        group.code,
        group.name,
        group.ward_code,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A group of an organisation.
pub async fn find(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    id: GroupId,
) -> Result<Option<Group>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "-- groups.find
        select id, code, name, ward_code, version, created_at
        from groups where organisation_id = $1 and id = $2",
        organisation.uuid(),
        id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Group::from))
}

/// Groups of an organisation.
pub async fn list(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    slice: Slice,
) -> Result<Vec<Group>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "-- groups.list
        select id, code, name, ward_code, version, created_at
        from groups where organisation_id = $1 and ($2::uuid is null or id > $2)
        order by id limit $3",
        organisation.uuid(),
        slice.after,
        slice.rows(),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Group::from).collect())
}

/// Code and id of the groups with these codes or ids, for a whole file at once.
pub async fn list_referred(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    codes: &[String],
    ids: &[GroupId],
) -> Result<Vec<(String, GroupId)>, StoreError> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        "-- groups.list_referred
        select code, id from groups
        where organisation_id = $1 and (code = any($2) or id = any($3))",
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

/// Corrects a group of this version; stale when the version is another. `None` leaves a value.
pub async fn update(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    (id, version): (GroupId, i32),
    name: Option<&str>,
    ward_code: Patch<&str>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- groups.update
        update groups set
            name = coalesce($4, name),
            ward_code = case when $5 then $6 else ward_code end,
            version = version + 1
        where organisation_id = $1 and id = $2 and version = $3",
        organisation.uuid(),
        id.uuid(),
        version,
        name,
        ward_code.is_change(),
        ward_code.value(),
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "group", id)
}
