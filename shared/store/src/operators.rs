//! People who may look, propose and release, and what each role is. Never holds a password: that is
//! in `credentials`. Read by every operator route, so that a token outlives neither its person nor
//! their role.

use chrono::{DateTime, Utc};
use domain::id::OperatorId;
use sqlx::PgConnection;

use crate::decode::corrupt;
use crate::error::{StoreError, one_row};

/// What a person may do; which route asks for which role is in the backend's table of access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorRole {
    /// Looks, refines wards, proposes releases.
    Operator,
    /// The same, and confirms releases that another person proposed, and orders retries.
    Approver,
    /// Looks only, at the log as well.
    Auditor,
    /// People, partners and switches; may propose a release, never confirm one.
    Administrator,
}

impl OperatorRole {
    /// Every role.
    pub const ALL: [Self; 4] = [
        Self::Operator,
        Self::Approver,
        Self::Auditor,
        Self::Administrator,
    ];

    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
            Self::Administrator => "administrator",
        }
    }

    /// From storage or a command line.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Whether this person's confirmation lets money move.
    #[must_use]
    pub fn may_confirm(self) -> bool {
        self == Self::Approver
    }
}

/// A person.
#[derive(Debug, Clone)]
pub struct Operator {
    /// Id.
    pub id: OperatorId,
    /// Unique name.
    pub name: String,
    /// What they may do.
    pub role: OperatorRole,
    /// Whose invitation made them; `None` for the command line.
    pub invited_by: Option<OperatorId>,
    /// When they left.
    pub ended_at: Option<DateTime<Utc>>,
}

/// A person as administrators see them.
#[derive(Debug, Clone)]
pub struct Person {
    /// Who.
    pub operator: Operator,
    /// Address, lower case; `None` for people who cannot sign in.
    pub email: Option<String>,
    /// Since when they are known.
    pub created_at: DateTime<Utc>,
    /// Until when signing in is refused.
    pub locked_until: Option<DateTime<Utc>>,
}

/// The operator of this name, made if unknown, with this role.
pub async fn ensure(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: OperatorId,
    name: &str,
    role: OperatorRole,
) -> Result<Operator, StoreError> {
    let row = sqlx::query!(
        r#"-- operators.ensure
        insert into operators (id, name, role, created_at) values ($1, $2, $3, $4)
        on conflict (name) do update set role = excluded.role
        returning id, name, role, invited_by, ended_at"#,
        id.uuid(),
        name,
        role.as_str(),
        now,
    )
    .fetch_one(conn)
    .await?;
    decode(
        row.id.into(),
        row.name,
        &row.role,
        row.invited_by.map(OperatorId::from),
        row.ended_at,
    )
}

/// An operator by id.
pub async fn find(conn: &mut PgConnection, id: OperatorId) -> Result<Option<Operator>, StoreError> {
    let row = sqlx::query!(
        r#"-- operators.find
        select name, role, invited_by, ended_at from operators where id = $1"#,
        id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let invited_by = row.invited_by.map(OperatorId::from);
        decode(id, row.name, &row.role, invited_by, row.ended_at)
    })
    .transpose()
}

/// An operator by address, which must be lower case.
pub async fn find_by_email(
    conn: &mut PgConnection,
    email: &str,
) -> Result<Option<Operator>, StoreError> {
    let row = sqlx::query!(
        r#"-- operators.find_by_email
        select id, name, role, invited_by, ended_at from operators where email = $1"#,
        email,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let invited_by = row.invited_by.map(OperatorId::from);
        decode(row.id.into(), row.name, &row.role, invited_by, row.ended_at)
    })
    .transpose()
}

/// Whether somebody bears this name, whatever its case.
pub async fn is_named(conn: &mut PgConnection, name: &str) -> Result<bool, StoreError> {
    let row = sqlx::query!(
        r#"-- operators.is_named
        select exists (select 1 from operators where lower(name) = lower($1)) as "taken!""#,
        name,
    )
    .fetch_one(conn)
    .await?;
    Ok(row.taken)
}

/// Whom an accepted invitation makes.
#[derive(Debug, Clone, Copy)]
pub struct Enrolment<'a> {
    /// Id, if they are new.
    pub id: OperatorId,
    /// Address, lower case.
    pub email: &'a str,
    /// Name, if they are new.
    pub name: &'a str,
    /// What they may do from now on.
    pub role: OperatorRole,
    /// Who invited them.
    pub invited_by: Option<OperatorId>,
}

/// The person of this address: made, or known and (again) an operator with this role.
pub async fn enrol(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    new: &Enrolment<'_>,
) -> Result<Operator, StoreError> {
    let row = sqlx::query!(
        r#"-- operators.enrol
        insert into operators (id, name, role, created_at, email, invited_by)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (email) do update
        set role = excluded.role, invited_by = excluded.invited_by, ended_at = null
        returning id, name, role, invited_by, ended_at"#,
        new.id.uuid(),
        new.name,
        new.role.as_str(),
        now,
        new.email,
        new.invited_by.map(OperatorId::uuid),
    )
    .fetch_one(conn)
    .await?;
    decode(
        row.id.into(),
        row.name,
        &row.role,
        row.invited_by.map(OperatorId::from),
        row.ended_at,
    )
}

/// Gives a person who has not left another role.
pub async fn set_role(
    conn: &mut PgConnection,
    id: OperatorId,
    role: OperatorRole,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"-- operators.set_role
        update operators set role = $2 where id = $1 and ended_at is null"#,
        id.uuid(),
        role.as_str(),
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "operator", id)
}

/// A person is no longer an operator.
pub async fn end(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: OperatorId,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        r#"-- operators.end
        update operators set ended_at = $2 where id = $1 and ended_at is null"#,
        id.uuid(),
        now,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "operator", id)
}

/// People by id, those after `after`, at most `limit`.
pub async fn list(
    conn: &mut PgConnection,
    after: Option<OperatorId>,
    limit: i64,
) -> Result<Vec<Person>, StoreError> {
    let rows = sqlx::query!(
        r#"-- operators.list
        select operators.id, operators.name, operators.role, operators.email,
               operators.invited_by, operators.created_at, operators.ended_at,
               credentials.locked_until as "locked_until?"
        from operators left join credentials on credentials.operator_id = operators.id
        where $1::uuid is null or operators.id > $1
        order by operators.id limit $2"#,
        after.map(OperatorId::uuid),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let invited_by = row.invited_by.map(OperatorId::from);
            Ok(Person {
                operator: decode(row.id.into(), row.name, &row.role, invited_by, row.ended_at)?,
                email: row.email,
                created_at: row.created_at,
                locked_until: row.locked_until,
            })
        })
        .collect()
}

pub(crate) fn decode(
    id: OperatorId,
    name: String,
    role: &str,
    invited_by: Option<OperatorId>,
    ended_at: Option<DateTime<Utc>>,
) -> Result<Operator, StoreError> {
    let role = OperatorRole::parse(role).ok_or_else(|| corrupt("operators", "role", id))?;
    Ok(Operator {
        id,
        name,
        role,
        invited_by,
        ended_at,
    })
}
