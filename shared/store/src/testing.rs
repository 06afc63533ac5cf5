//! Databases for whole-system tests that need more than one per test: made empty, migrated, and
//! dropped again. Must never touch a database it did not make. Compiled for tests only.

use domain::id::OrganisationId;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use crate::error::StoreError;
use crate::login::LOGIN;
use crate::pool::{MIGRATOR, Pool, connect, migrate};
use crate::tenancy;

/// Most connections of a pool of one test; the server has three hundred for all of them.
const CONNECTIONS_MAX: u32 = 4;

/// A database of its own; [`Scratch::discard`] drops it.
#[derive(Debug)]
pub struct Scratch {
    /// Connections to it.
    pub pool: Pool,
    /// Its address.
    pub url: String,
    server_url: String,
    name: String,
}

impl Scratch {
    /// Creates and migrates a database called `name` on the server of `server_url`, replacing one
    /// of that name that an interrupted run left.
    pub async fn create(server_url: &str, name: &str) -> Result<Self, StoreError> {
        let mut server = PgConnection::connect(server_url).await?;
        run(
            &mut server,
            format!("drop database if exists \"{name}\" with (force)"),
        )
        .await?;
        run(&mut server, format!("create database \"{name}\"")).await?;
        let url = match server_url.rsplit_once('/') {
            Some((server, _)) => format!("{server}/{name}"),
            None => server_url.to_owned(),
        };
        let pool = connect(&url, 0, 5).await?;
        migrate(&pool)
            .await
            .map_err(|error| StoreError::Other(sqlx::Error::Migrate(Box::new(error))))?;
        Ok(Self {
            pool,
            url,
            server_url: server_url.to_owned(),
            name: name.to_owned(),
        })
    }

    /// A pool that answers every question with "unavailable", as when the server is gone.
    pub async fn unavailable(&self) -> Result<Pool, StoreError> {
        let pool = connect(&self.url, 0, 1).await?;
        pool.close().await;
        Ok(pool)
    }

    /// Drops the database.
    pub async fn discard(self) -> Result<(), StoreError> {
        self.pool.close().await;
        let mut server = PgConnection::connect(&self.server_url).await?;
        run(
            &mut server,
            format!("drop database if exists \"{}\" with (force)", self.name),
        )
        .await
    }
}

/// The same database as our processes reach it: by the login that owns nothing. On a server that
/// asks for passwords, the login needs the one of `owner`'s.
#[must_use]
pub fn as_process(owner: &Pool) -> Pool {
    let options = owner.connect_options().as_ref().clone();
    PgPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .connect_lazy_with(options.username(LOGIN))
}

/// Applies the migrations before this one, for a test of what it does with rows that exist.
pub async fn migrate_before(pool: &Pool, version: i64) -> Result<(), MigrateError> {
    let before = MIGRATOR.iter().filter(|each| each.version < version);
    Migrator::with_migrations(before.cloned().collect())
        .run(pool)
        .await
}

/// The number a test asks for: the first column of the first row, a `bigint`.
pub async fn number(pool: &Pool, sql: &'static str) -> Result<i64, StoreError> {
    let row = sqlx::raw_sql(sql).fetch_one(pool).await?;
    Ok(row.try_get(0)?)
}

/// The text a test asks for: the first column of the first row.
pub async fn text(pool: &Pool, sql: &'static str) -> Result<String, StoreError> {
    let row = sqlx::raw_sql(sql).fetch_one(pool).await?;
    Ok(row.try_get(0)?)
}

/// The number a test asks for behind the wall of a partner, without any filter of ours.
pub async fn number_behind(
    pool: &Pool,
    organisation: OrganisationId,
    sql: impl Into<String>,
) -> Result<i64, StoreError> {
    let mut tx = tenancy::begin(pool, organisation).await?;
    let row = sqlx::raw_sql(AssertSqlSafe(sql.into()))
        .fetch_one(&mut *tx)
        .await?;
    Ok(row.try_get(0)?)
}

/// The texts a test asks for: the first column of every row.
pub async fn texts(pool: &Pool, sql: &'static str) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::raw_sql(sql).fetch_all(pool).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Statements by which a test damages or prepares what no store function would.
pub async fn change(pool: &Pool, sql: impl Into<String>) -> Result<(), StoreError> {
    sqlx::raw_sql(AssertSqlSafe(sql.into()))
        .execute(pool)
        .await?;
    Ok(())
}

async fn run(conn: &mut PgConnection, statement: String) -> Result<(), StoreError> {
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(conn)
        .await?;
    Ok(())
}
