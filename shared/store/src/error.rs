//! What can go wrong with stored state, by what the caller should do about it.
//! Never carries a row's content. Returned by every function of this crate.

use domain::quote::QuoteError;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or is shutting down: pause, nothing is wrong with the work.
    #[error("database is unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// A constraint said no: another transaction was first, or the input breaks a rule.
    #[error("constraint `{constraint}` refused the change")]
    Conflict {
        /// Name of the constraint.
        constraint: String,
    },
    /// The row was not in the state the change expects: read it again.
    #[error("{entity} {id} is not in the expected state")]
    Stale {
        /// What kind of row.
        entity: &'static str,
        /// Which one.
        id: String,
    },
    /// A stored value does not decode: page someone.
    #[error("{table}.{column} of {id} does not decode")]
    Corrupt {
        /// Table.
        table: &'static str,
        /// Column.
        column: &'static str,
        /// Which row.
        id: String,
    },
    /// A document that may not be sold: it was not published.
    #[error("{code} may not be sold: it was not published")]
    Unsellable {
        /// Code of the product.
        code: String,
        /// What forbids it, and how to mend that.
        #[source]
        fault: QuoteError,
    },
    /// Anything else the database said.
    #[error("database refused the statement")]
    Other(#[source] sqlx::Error),
}

impl StoreError {
    /// Whether the world is to blame rather than the work.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                // 08: connection, 57P: shutdown, 53: out of resources, 25006: read-only standby; and
                // what another transaction is to blame for, so that the same again may well do:
                // 40: serialisation and deadlock, 55P03: a lock not had in time, 57014: too slow
                if ["08", "57P", "53", "25006", "40", "55P03", "57014"]
                    .iter()
                    .any(|class| code.starts_with(class))
                {
                    return Self::Unavailable(error);
                }
                match database.constraint() {
                    Some(constraint) => Self::Conflict {
                        constraint: constraint.to_owned(),
                    },
                    None => Self::Other(error),
                }
            }
            _ => Self::Other(error),
        }
    }
}

/// Requires that a guarded change touched exactly one row.
pub(crate) fn one_row(
    rows: u64,
    entity: &'static str,
    id: impl std::fmt::Display,
) -> Result<(), StoreError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(StoreError::Stale {
            entity,
            id: id.to_string(),
        })
    }
}
