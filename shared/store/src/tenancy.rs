//! The wall between partners: a transaction in which the database itself shows one organisation's
//! rows only, whatever the statement asks for. Must never leave the role or the organisation on a
//! connection: both end with the transaction.
//! Called once for each request of a partner, which runs in that one transaction.

use domain::id::OrganisationId;
use sqlx::PgConnection;

use crate::error::StoreError;
use crate::pool::{Pool, Transaction};

/// The role a partner's request runs as; owns nothing, goes round no policy.
pub const ROLE: &str = "microcrop_partner";

/// Opens a transaction behind the wall of `organisation`.
pub async fn begin(pool: &Pool, organisation: OrganisationId) -> Result<Transaction, StoreError> {
    let mut tx = pool.begin().await?;
    enter(&mut tx, organisation).await?;
    Ok(tx)
}

/// Puts a transaction behind the wall of `organisation`, until it ends.
pub async fn enter(
    conn: &mut PgConnection,
    organisation: OrganisationId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- tenancy.enter
        select set_config('microcrop.organisation', $1, true) as organisation,
               set_config('role', $2, true) as role",
        organisation.uuid().to_string(),
        ROLE,
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}
