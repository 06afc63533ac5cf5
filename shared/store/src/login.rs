//! Who our processes are to the database: a login that owns nothing and goes round no policy, so
//! that row-level security is a wall for our own mistakes too. Must never change a role.
//! Called by every process when it starts.

use crate::error::StoreError;
use crate::pool::Pool;

/// The login that processes are meant to use; made by the migrations, without a password.
pub const LOGIN: &str = "microcrop_app";

/// Why a login may do more than a process should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// Row-level security does not hold for it.
    #[error("goes round row-level security")]
    Bypasses,
    /// An owner may drop the walls.
    #[error("owns tables")]
    Owns,
}

/// A login that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// It may do too much.
    #[error("the user of DATABASE_URL {0}; connect as {LOGIN}, which `backend migrate` makes")]
    TooStrong(Excess),
    /// It could not be looked at.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Refuses a login that may do too much if `enforced`, as it is in production; else only says so.
pub async fn check(pool: &Pool, enforced: bool) -> Result<(), LoginError> {
    match excess(pool).await? {
        Some(excess) if enforced => Err(LoginError::TooStrong(excess)),
        Some(excess) => {
            tracing::warn!(%excess, "the database login is stronger than production allows");
            Ok(())
        }
        None => Ok(()),
    }
}

/// What the login of `pool` may do too much, if anything. A role taken on after the login does not
/// count: `reset role` would undo it.
pub async fn excess(pool: &Pool) -> Result<Option<Excess>, StoreError> {
    let found = sqlx::query!(
        r#"-- login.excess
        select (rolsuper or rolbypassrls) as "bypasses!",
               exists (select 1 from pg_class
                       where pg_has_role(pg_roles.oid, relowner, 'member')
                         and relnamespace = 'public'::regnamespace) as "owns!"
        from pg_roles where rolname = session_user"#,
    )
    .fetch_one(pool)
    .await?;
    Ok(match (found.bypasses, found.owns) {
        (true, _) => Some(Excess::Bypasses),
        (false, true) => Some(Excess::Owns),
        (false, false) => None,
    })
}
