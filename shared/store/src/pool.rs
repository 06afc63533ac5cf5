//! The connection pool and the migrations. Never holds a rule.
//! Opened once by each process.

use std::time::Duration;

use sqlx::Connection as _;
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

/// A connection that belongs to one task; see [`connect_alone`].
pub type Alone = sqlx::PgConnection;

/// What the driver says before it is sorted into a [`StoreError`].
pub type DatabaseError = sqlx::Error;

/// Every migration, embedded.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

/// Longest wait for a free connection before the store counts as unavailable, seconds.
const ACQUIRE_SECONDS: u64 = 5;

/// How long a connection may have been idle without being asked whether it still answers.
const IDLE_UNASKED_MAX: Duration = Duration::from_secs(1);

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
        // asking before every use costs a round trip that tells nothing of a connection in use
        .test_before_acquire(false)
        .before_acquire(|conn, meta| {
            Box::pin(async move {
                if meta.idle_for > IDLE_UNASKED_MAX {
                    conn.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(options)
        .await?)
}

/// A connection of its own to the same database, outside the pool: for one task that asks all the
/// time, which the pool's taking and giving back would cost more than the asking.
pub async fn connect_alone(pool: &Pool) -> Result<Alone, StoreError> {
    if pool.is_closed() {
        return Err(sqlx::Error::PoolClosed.into());
    }
    Ok(Alone::connect_with(&pool.connect_options()).await?)
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
