//! People who may look, propose and release. Never holds a password: tokens are signed.
//! Read by every operator route, so that a token outlives neither its person nor their role.

use chrono::{DateTime, Utc};
use domain::id::OperatorId;
use sqlx::PgConnection;

use crate::decode::corrupt;
use crate::error::StoreError;

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorRole {
    /// Proposes and confirms releases, refines wards.
    Operator,
    /// The same; set apart for those whose main work it is.
    Approver,
    /// Looks only.
    Auditor,
    /// Everything.
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

    /// Whether this person may change anything.
    #[must_use]
    pub fn may_act(self) -> bool {
        self != Self::Auditor
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
    /// When they left.
    pub ended_at: Option<DateTime<Utc>>,
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
        returning id, name, role, ended_at"#,
        id.uuid(),
        name,
        role.as_str(),
        now,
    )
    .fetch_one(conn)
    .await?;
    decode(row.id.into(), row.name, &row.role, row.ended_at)
}

/// An operator by id.
pub async fn find(conn: &mut PgConnection, id: OperatorId) -> Result<Option<Operator>, StoreError> {
    let row = sqlx::query!(
        r#"-- operators.find
        select name, role, ended_at from operators where id = $1"#,
        id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| decode(id, row.name, &row.role, row.ended_at))
        .transpose()
}

fn decode(
    id: OperatorId,
    name: String,
    role: &str,
    ended_at: Option<DateTime<Utc>>,
) -> Result<Operator, StoreError> {
    let role = OperatorRole::parse(role).ok_or_else(|| corrupt("operators", "role", id))?;
    Ok(Operator {
        id,
        name,
        role,
        ended_at,
    })
}
