//! The connection pool and the migrations. Never holds a rule.
//! Opened once by each process.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::error::StoreError;

/// A pool of connections.
pub type Pool = sqlx::PgPool;
/// One connection; what every query function takes.
pub type Connection = sqlx::PgConnection;
/// A transaction; derefs to [`Connection`]. Dropped without commit it rolls back.
pub type Transaction = sqlx::Transaction<'static, sqlx::Postgres>;

/// A connection borrowed from the pool; derefs to [`Connection`].
pub type Pooled = sqlx::pool::PoolConnection<sqlx::Postgres>;

/// What the driver says before it is sorted into a [`StoreError`].
pub type DatabaseError = sqlx::Error;

/// Every migration, embedded.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

/// Longest wait for a free connection before the store counts as unavailable, seconds.
const ACQUIRE_SECONDS: u64 = 5;

/// Opens a pool of `min..=max` connections. Fails when the database cannot be reached.
pub async fn connect(url: &str, min: u32, max: u32) -> Result<Pool, StoreError> {
    let options: PgConnectOptions = url.parse()?;
    let options = options
        .application_name("microcrop")
        // no statement of ours runs longer; a stuck one must not hold its locks
        .options([("statement_timeout", "30s"), ("lock_timeout", "10s")]);
    Ok(PgPoolOptions::new()
        .min_connections(min)
        .max_connections(max)
        .acquire_timeout(Duration::from_secs(ACQUIRE_SECONDS))
        .connect_with(options)
        .await?)
}

/// Applies migrations that are not yet applied.
pub async fn migrate(pool: &Pool) -> Result<(), sqlx::migrate::MigrateError> {
    MIGRATOR.run(pool).await
}

/// Whether the database answers.
pub async fn ping(conn: &mut Connection) -> Result<(), StoreError> {
    sqlx::query!("-- pool.ping\nselect 1 as one")
        .fetch_one(conn)
        .await?;
    Ok(())
}
