//! Partners' keys: only their hashes, what each may do, and until when. Never holds a key itself.
//! Read by the gate of every partner route; changed by partners and by administrators.

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::{ApiKeyId, OrganisationId};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::decode::corrupt;
use crate::error::{StoreError, one_row};
use crate::page::Slice;

/// Keys an organisation may have at once; more are forgotten ones.
pub const KEYS_MAX: i64 = 20;
/// Use is noted at most once in this time, seconds: a busy key must not rewrite its row.
pub const USE_NOTED_SECONDS: i64 = 60;

macro_rules! scopes {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// What a key may do: a noun and `read` or `write`; `write` does not include `read`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Scope {
            $($(#[$doc])* $name,)+
        }

        impl Scope {
            /// Every scope.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// As stored and as sent.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// From storage, a request or a command line.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$name),)+
                    _ => None,
                }
            }
        }
    };
}

scopes! {
    /// See the organisation itself.
    OrganisationRead = "organisation:read",
    /// List keys.
    KeysRead = "keys:read",
    /// Make, rotate and end keys, within the scopes of the key that does it.
    KeysWrite = "keys:write",
    /// See farmers.
    FarmersRead = "farmers:read",
    /// Enrol farmers and correct them.
    FarmersWrite = "farmers:write",
    /// See plots.
    PlotsRead = "plots:read",
    /// Add plots.
    PlotsWrite = "plots:write",
    /// See agents.
    AgentsRead = "agents:read",
    /// Add, correct and end agents.
    AgentsWrite = "agents:write",
    /// See groups.
    GroupsRead = "groups:read",
    /// Add and correct groups.
    GroupsWrite = "groups:write",
    /// See quotes.
    QuotesRead = "quotes:read",
    /// Ask for quotes.
    QuotesWrite = "quotes:write",
    /// See policies.
    PoliciesRead = "policies:read",
    /// Buy and cancel policies.
    PoliciesWrite = "policies:write",
    /// See payments of premiums.
    PaymentsRead = "payments:read",
    /// See evaluations and their evidence.
    EvaluationsRead = "evaluations:read",
    /// See payouts.
    PayoutsRead = "payouts:read",
    /// Take whole tables as CSV.
    ExportsRead = "exports:read",
    /// See webhook endpoints and deliveries.
    WebhooksRead = "webhooks:read",
    /// Add, change and test webhook endpoints.
    WebhooksWrite = "webhooks:write",
}

/// A key, without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Id.
    pub id: ApiKeyId,
    /// What it is for, in the partner's words.
    pub name: String,
    /// Its public part, by which people recognise it.
    pub hint: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The key it replaces.
    pub rotated_from: Option<ApiKeyId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last used, within a minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// From when it is refused.
    pub ends_at: Option<DateTime<Utc>>,
}

impl ApiKey {
    /// Whether it is taken at `now`.
    #[must_use]
    pub fn is_good(&self, now: DateTime<Utc>) -> bool {
        self.ends_at.is_none_or(|ends_at| now < ends_at)
    }
}

/// A key to add.
#[derive(Debug, Clone)]
pub struct NewApiKey<'a> {
    /// Id.
    pub id: ApiKeyId,
    /// Whose.
    pub organisation: OrganisationId,
    /// What it is for.
    pub name: &'a str,
    /// Its public part: eight lower-case base32 characters.
    pub hint: &'a str,
    /// [`hash_of`] the key.
    pub key_hash: &'a [u8],
    /// What it may do.
    pub scopes: &'a [Scope],
    /// The key it replaces.
    pub rotated_from: Option<ApiKeyId>,
}

/// Whose key a request carries.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The key.
    pub key: ApiKey,
    /// Whose.
    pub organisation: OrganisationId,
    /// Whether that organisation's keys are refused for now.
    pub is_suspended: bool,
}

/// What is stored of a key: SHA-256 of the whole. The secret has 256 random bits, so it needs
/// neither salt nor stretching.
#[must_use]
pub fn hash_of(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

struct Row {
    id: uuid::Uuid,
    name: String,
    hint: String,
    scopes: Vec<String>,
    rotated_from: Option<uuid::Uuid>,
    created_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
}

fn decode(row: Row) -> Result<ApiKey, StoreError> {
    let scopes = row
        .scopes
        .iter()
        .map(|text| Scope::parse(text).ok_or_else(|| corrupt("api_keys", "scopes", row.id)))
        .collect::<Result<_, _>>()?;
    Ok(ApiKey {
        id: row.id.into(),
        name: row.name,
        hint: row.hint,
        scopes,
        rotated_from: row.rotated_from.map(ApiKeyId::from),
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        ends_at: row.ends_at,
    })
}

/// Adds a key.
pub async fn insert(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    key: &NewApiKey<'_>,
) -> Result<(), StoreError> {
    let scopes: Vec<String> = key.scopes.iter().map(|s| s.as_str().to_owned()).collect();
    sqlx::query!(
        "-- api_keys.insert
        insert into api_keys (id, organisation_id, name, hint, key_hash, scopes, rotated_from, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)",
        key.id.uuid(),
        key.organisation.uuid(),
        key.name,
        key.hint,
        key.key_hash,
        &scopes,
        key.rotated_from.map(ApiKeyId::uuid),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Who holds the key with this hash. Not for use behind a tenant's wall: it finds the tenant.
pub async fn find_holder(
    conn: &mut PgConnection,
    key_hash: &[u8],
) -> Result<Option<Holder>, StoreError> {
    let row = sqlx::query!(
        "-- api_keys.find_holder
        select k.id, k.organisation_id, k.name, k.hint, k.scopes, k.rotated_from, k.created_at,
               k.last_used_at, k.ends_at, o.state
        from api_keys k join organisations o on o.id = k.organisation_id
        where k.key_hash = $1",
        key_hash,
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let key = decode(Row {
        id: row.id,
        name: row.name,
        hint: row.hint,
        scopes: row.scopes,
        rotated_from: row.rotated_from,
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        ends_at: row.ends_at,
    })?;
    Ok(Some(Holder {
        key,
        organisation: row.organisation_id.into(),
        is_suspended: row.state != "active",
    }))
}

/// Notes that a key is in use, at most once in [`USE_NOTED_SECONDS`]; says whether it was noted.
pub async fn note_use(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    id: ApiKeyId,
) -> Result<bool, StoreError> {
    let noted_before = now
        .checked_sub_signed(TimeDelta::seconds(USE_NOTED_SECONDS))
        .unwrap_or(now);
    let done = sqlx::query!(
        "-- api_keys.note_use
        update api_keys set last_used_at = $2
        where id = $1 and (last_used_at is null or last_used_at <= $3)",
        id.uuid(),
        now,
        noted_before,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// An organisation's keys, ended ones included.
pub async fn list(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    slice: Slice,
) -> Result<Vec<ApiKey>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "-- api_keys.list
        select id, name, hint, scopes, rotated_from, created_at, last_used_at, ends_at
        from api_keys
        where organisation_id = $1 and ($2::uuid is null or id > $2)
        order by id limit $3",
        organisation.uuid(),
        slice.after,
        slice.rows(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(decode).collect()
}

/// A key of an organisation.
pub async fn find(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    id: ApiKeyId,
) -> Result<Option<ApiKey>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "-- api_keys.find
        select id, name, hint, scopes, rotated_from, created_at, last_used_at, ends_at
        from api_keys where organisation_id = $1 and id = $2",
        organisation.uuid(),
        id.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(decode).transpose()
}

/// How many keys of an organisation are good at `now`.
pub async fn count_good(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    organisation: OrganisationId,
) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"-- api_keys.count_good
        select count(*) as "count!" from api_keys
        where organisation_id = $1 and (ends_at is null or ends_at > $2)"#,
        organisation.uuid(),
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// Lets a key end at `ends_at`; stale when it ends by then anyway.
pub async fn end(
    conn: &mut PgConnection,
    organisation: OrganisationId,
    id: ApiKeyId,
    ends_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let done = sqlx::query!(
        "-- api_keys.end
        update api_keys set ends_at = $3
        where organisation_id = $1 and id = $2 and (ends_at is null or ends_at > $3)",
        organisation.uuid(),
        id.uuid(),
        ends_at,
    )
    .execute(conn)
    .await?;
    one_row(done.rows_affected(), "api key", id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_reads_back_what_it_is_stored_as() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(*scope));
        }
        assert_eq!(Scope::parse("farmers:*"), None);
    }
}
