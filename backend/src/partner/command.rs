//! What `backend partner …` does: the first partner and the first key come from the command line.
//! Must never write a key anywhere but into its result. Called by `main` and by tests.

use chrono::{DateTime, Utc};
use domain::id::{ApiKeyId, OrganisationId};
use runtime::ids::Ids;
use store::{Pool, StoreError, api_keys, organisations};

use super::input;
use super::issue::{self, Actor, Asked};

/// What to do.
#[derive(Debug, Clone)]
pub enum Command {
    /// Add a partner; prints its id.
    Create {
        /// Name, unique.
        name: String,
        /// `cooperative`, `lender` or `insurer`.
        kind: String,
    },
    /// Make a key; prints it.
    Key {
        /// Whose.
        organisation: OrganisationId,
        /// What it is for.
        name: String,
        /// Scopes with commas between, or `all`.
        scopes: String,
    },
    /// End a key now; prints its id.
    EndKey {
        /// Whose.
        organisation: OrganisationId,
        /// Which.
        key: ApiKeyId,
    },
}

/// Does it, in one transaction; what to print.
pub async fn command(
    pool: &Pool,
    now: DateTime<Utc>,
    ids: &Ids,
    command: Command,
) -> anyhow::Result<String> {
    let mut tx = pool.begin().await.map_err(StoreError::from)?;
    let actor = |what: &str| Actor(format!("backend partner {what}"));
    let printed = match command {
        Command::Create { name, kind } => {
            let named = (name.as_str(), kind.as_str());
            issue::organisation(&mut tx, now, ids, &actor("create"), named)
                .await?
                .id
                .to_string()
        }
        Command::Key {
            organisation,
            name,
            scopes,
        } => {
            let known = organisations::find(&mut tx, organisation).await?;
            anyhow::ensure!(known.is_some(), "there is no partner {organisation}");
            let name = input::title("name", &name).map_err(|f| anyhow::anyhow!(f.reason))?;
            let asked = Asked {
                organisation,
                name: &name,
                scopes: &issue::scopes_of_text(&scopes)?,
                rotated_from: None,
            };
            issue::key(&mut tx, now, ids, &actor("key"), &asked)
                .await?
                .secret
        }
        Command::EndKey { organisation, key } => {
            let known = api_keys::find(&mut tx, organisation, key).await?;
            anyhow::ensure!(known.is_some(), "{organisation} has no key {key}");
            let ended = (organisation, key);
            issue::end_key(&mut tx, now, ids, &actor("end-key"), ended).await?;
            key.to_string()
        }
    };
    tx.commit().await.map_err(StoreError::from)?;
    Ok(printed)
}
