//! Making partners and keys: what the API, administrators and the command line have in common.
//! Every step is audited in its transaction. Must never write a key anywhere.
//! Called by `api_keys`, `admin` and `backend partner`.

use chrono::{DateTime, Utc};
use domain::id::{ApiKeyId, OrganisationId};
use runtime::ids::Ids;
use serde_json::json;
use store::api_keys::{self, ApiKey, KEYS_MAX, NewApiKey, Scope};
use store::audit::{self, Line};
use store::organisations::{self, NewOrganisation, Organisation, OrganisationKind};
use store::{Connection, StoreError};

use super::credential;
use super::input::FieldFault;
use crate::error::ApiError;

/// Who does it, for the audit: an id or a command.
#[derive(Debug, Clone)]
pub(crate) struct Actor(pub(crate) String);

/// Why nothing was issued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssueError {
    /// A rule is broken.
    #[error("{detail}")]
    Refused {
        /// Stable code.
        code: &'static str,
        /// What is wrong and how to mend it.
        detail: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<IssueError> for ApiError {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Refused { code, detail } => Self::conflict(code, detail),
            IssueError::Store(error) => error.into(),
        }
    }
}

fn refused(code: &'static str, detail: impl Into<String>) -> IssueError {
    IssueError::Refused {
        code,
        detail: detail.into(),
    }
}

/// A key that is asked for.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// Whose.
    pub(crate) organisation: OrganisationId,
    /// What it is for.
    pub(crate) name: &'a str,
    /// What it may do.
    pub(crate) scopes: &'a [Scope],
    /// The key it replaces.
    pub(crate) rotated_from: Option<ApiKeyId>,
}

/// A key that was made.
#[derive(Debug)]
pub(crate) struct Issued {
    /// What is stored.
    pub(crate) key: ApiKey,
    /// The key itself, to be shown once.
    pub(crate) secret: String,
}

/// Scopes from their texts, each once.
pub(crate) fn scopes(texts: &[String]) -> Result<Vec<Scope>, FieldFault> {
    let fault = |reason: String| FieldFault::new("scopes", "malformed", reason);
    let mut scopes = Vec::new();
    for text in texts {
        let scope = Scope::parse(text).ok_or_else(|| {
            let known: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
            fault(format!("scopes must be some of {}", known.join(", ")))
        })?;
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    if scopes.is_empty() {
        return Err(fault("scopes must name at least one".to_owned()));
    }
    Ok(scopes)
}

/// Scopes from a comma-separated text; `all` is every one.
pub(crate) fn scopes_of_text(text: &str) -> Result<Vec<Scope>, IssueError> {
    if text.trim() == "all" {
        return Ok(Scope::ALL.to_vec());
    }
    let texts: Vec<String> = text.split(',').map(|part| part.trim().to_owned()).collect();
    scopes(&texts).map_err(|fault| refused("scopes", fault.reason))
}

/// Adds a partner.
pub(crate) async fn organisation(
    conn: &mut Connection,
    now: DateTime<Utc>,
    ids: &Ids,
    actor: &Actor,
    (name, kind): (&str, &str),
) -> Result<Organisation, IssueError> {
    let name = super::input::title("name", name).map_err(|f| refused("name", f.reason))?;
    let kind = OrganisationKind::parse(kind).ok_or_else(|| {
        let known = OrganisationKind::ALL
            .map(OrganisationKind::as_str)
            .join(", ");
        refused("kind", format!("kind must be one of {known}"))
    })?;
    let id: OrganisationId = ids.mint(now);
    let new = NewOrganisation {
        id,
        name: &name,
        kind,
    };
    if !organisations::insert(conn, now, &new).await? {
        let rule = "an organisation of this name exists; choose another name";
        return Err(refused("name_taken", rule));
    }
    let details = json!({ "kind": kind.as_str() });
    note(
        conn,
        now,
        ids,
        actor,
        ("organisation.created", &id.to_string(), details),
    )
    .await?;
    Ok(Organisation {
        id,
        name,
        kind,
        is_suspended: false,
        created_at: now,
    })
}

/// Makes a key of an organisation.
pub(crate) async fn key(
    conn: &mut Connection,
    now: DateTime<Utc>,
    ids: &Ids,
    actor: &Actor,
    asked: &Asked<'_>,
) -> Result<Issued, IssueError> {
    if api_keys::count_good(conn, now, asked.organisation).await? >= KEYS_MAX {
        let rule = format!("the organisation has {KEYS_MAX} keys; end one first");
        return Err(refused("keys_full", rule));
    }
    let drawn = credential::draw(ids);
    let id: ApiKeyId = ids.mint(now);
    let new = NewApiKey {
        id,
        organisation: asked.organisation,
        name: asked.name,
        hint: &drawn.hint,
        key_hash: &api_keys::hash_of(&drawn.text),
        scopes: asked.scopes,
        rotated_from: asked.rotated_from,
    };
    api_keys::insert(conn, now, &new).await?;
    let action = if asked.rotated_from.is_some() {
        "api_key.rotated"
    } else {
        "api_key.created"
    };
    let scopes: Vec<_> = asked.scopes.iter().map(|scope| scope.as_str()).collect();
    let details = json!({
        "organisation": asked.organisation.to_string(),
        "hint": drawn.hint,
        "scopes": scopes,
        "rotated_from": asked.rotated_from.map(|id| id.to_string()),
    });
    note(conn, now, ids, actor, (action, &id.to_string(), details)).await?;
    Ok(Issued {
        key: ApiKey {
            id,
            name: asked.name.to_owned(),
            hint: drawn.hint,
            scopes: asked.scopes.to_vec(),
            rotated_from: asked.rotated_from,
            created_at: now,
            last_used_at: None,
            ends_at: None,
        },
        secret: drawn.text,
    })
}

/// Ends a key now; stale when it has ended.
pub(crate) async fn end_key(
    conn: &mut Connection,
    now: DateTime<Utc>,
    ids: &Ids,
    actor: &Actor,
    (organisation, id): (OrganisationId, ApiKeyId),
) -> Result<(), StoreError> {
    api_keys::end(conn, organisation, id, now).await?;
    let details = json!({ "organisation": organisation.to_string() });
    note(
        conn,
        now,
        ids,
        actor,
        ("api_key.ended", &id.to_string(), details),
    )
    .await
}

/// Writes what was done into the log.
pub(crate) async fn note(
    conn: &mut Connection,
    now: DateTime<Utc>,
    ids: &Ids,
    actor: &Actor,
    (action, subject, details): (&str, &str, serde_json::Value),
) -> Result<(), StoreError> {
    let line = Line {
        id: ids.uuid(now),
        actor: &actor.0,
        action,
        subject,
        details,
    };
    audit::record(conn, now, &line).await
}
