//! Databases by `psql`: make, migrate, drop, dump. xtask links no driver, so that it builds in seconds.
//! Never touches a database it did not make. Called by servers, record, sqlx and demo.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::postgres::client;
use crate::process::{self, dies_with_us};

/// A statement that takes this long waits for something that never comes.
const STATEMENT_MAX: Duration = Duration::from_mins(20);

fn psql(url: &str) -> anyhow::Result<Command> {
    let program = client("psql").context(
        "psql is not installed; install the package postgresql-client, then run this again",
    )?;
    let mut command = dies_with_us(program);
    command
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url])
        .env("PGCONNECT_TIMEOUT", "5")
        .env_remove("PGDATABASE")
        .current_dir("/");
    Ok(command)
}

fn output(mut command: Command) -> anyhow::Result<String> {
    // Ctrl-C reaches it by the terminal
    let out = process::output(&mut command, STATEMENT_MAX, &|| false).context("cannot run psql")?;
    if !out.status.success() {
        let text = String::from_utf8_lossy(&out.stderr).trim().to_owned();
        bail!("psql: {text}");
    }
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// One value from one statement.
pub(crate) fn query(url: &str, statement: &str) -> anyhow::Result<String> {
    let mut command = psql(url)?;
    command.args(["-c", statement]);
    output(command)
}

/// Runs a file of statements in one transaction.
pub(crate) fn run_file(url: &str, file: &Path) -> anyhow::Result<()> {
    // "does not exist, skipping" is a notice, not news
    let mut command = psql(url)?;
    command
        .env("PGOPTIONS", "-c client_min_messages=warning")
        .arg("-1")
        .arg("-f")
        .arg(file);
    output(command)
        .map(drop)
        .with_context(|| format!("{} failed", file.display()))
}

fn check_name(name: &str) -> anyhow::Result<()> {
    ensure!(
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
        "{name:?} is not a database name of ours"
    );
    Ok(())
}

/// Makes an empty database.
pub(crate) fn create(admin_url: &str, name: &str) -> anyhow::Result<()> {
    check_name(name)?;
    query(admin_url, &format!("create database {name}")).map(drop)
}

/// Drops a database, ending its sessions; absent is fine.
pub(crate) fn drop_quietly(admin_url: &str, name: &str) -> anyhow::Result<()> {
    check_name(name)?;
    ensure!(name.starts_with("microcrop_"), "{name} is not ours to drop");
    // "does not exist, skipping" is a notice, not news
    let mut command = psql(admin_url)?;
    command
        .env("PGOPTIONS", "-c client_min_messages=warning")
        .args([
            "-c",
            &format!("drop database if exists {name} with (force)"),
        ]);
    output(command).map(drop)
}

/// The same server's URL with another database.
pub(crate) fn url_of(url: &str, name: &str) -> anyhow::Result<String> {
    let (scheme, rest) = url.split_once("://").context("DATABASE_URL is not a URL")?;
    let (before_query, query) = match rest.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (rest, None),
    };
    let authority = before_query.split('/').next().unwrap_or_default();
    Ok(match query {
        Some(query) => format!("{scheme}://{authority}/{name}?{query}"),
        None => format!("{scheme}://{authority}/{name}"),
    })
}

/// The login that owns nothing, by which processes reach a database; migrations make it too.
const APP_LOGIN: &str = "microcrop_app";

/// Makes the processes' login usable on a server for development: with the password of `url`'s own
/// user, if that has one.
pub(crate) fn make_app_login(url: &str) -> anyhow::Result<()> {
    let password = password_of(url).unwrap_or_default().replace('\'', "''");
    // roles belong to the whole server: another run may be making the same one right now
    query(
        url,
        &format!(
            "do $$ begin
                if not exists (select 1 from pg_roles where rolname = '{APP_LOGIN}') then
                    create role {APP_LOGIN} login;
                end if;
                if '{password}' <> '' then
                    alter role {APP_LOGIN} login password '{password}';
                end if;
            exception when duplicate_object or unique_violation or internal_error then
                null;
            end $$"
        ),
    )
    .map(drop)
    .context("the processes' login cannot be made")
}

/// A URL as processes use it: by the login that owns nothing.
pub(crate) fn app_url(url: &str) -> anyhow::Result<String> {
    let (scheme, rest) = url.split_once("://").context("DATABASE_URL is not a URL")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let password = password_of(url).map_or_else(String::new, |password| format!(":{password}"));
    Ok(format!("{scheme}://{APP_LOGIN}{password}@{host}/{path}"))
}

/// The password in a URL, as it is written there.
fn password_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let (login, _) = rest.split('/').next()?.rsplit_once('@')?;
    login.split_once(':').map(|(_, password)| password)
}

/// The database a URL names.
pub(crate) fn name_of(url: &str) -> anyhow::Result<String> {
    url.split_once("://")
        .and_then(|(_, rest)| rest.split_once('/'))
        .map(|(_, path)| path.split('?').next().unwrap_or_default().to_owned())
        .filter(|name| !name.is_empty())
        .context("the URL names no database")
}

/// Runs every migration in order, each in one transaction, as `backend migrate` would; used where
/// the backend cannot be built yet because its queries need a database to be checked against.
pub(crate) fn migrate(url: &str, migrations: &Path) -> anyhow::Result<usize> {
    let mut files: Vec<_> = std::fs::read_dir(migrations)
        .with_context(|| format!("cannot read {}", migrations.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "sql"))
        .collect();
    files.sort();
    for file in &files {
        run_file(url, file)?;
    }
    Ok(files.len())
}

/// Writes the whole database as SQL to a file.
pub(crate) fn dump(url: &str, to: &Path) -> anyhow::Result<()> {
    let program = client("pg_dump").context("pg_dump is not installed (postgresql-client)")?;
    let out = Command::new(program)
        .args(["--no-owner", "--no-privileges", "-d", url, "-f"])
        .arg(to)
        .stdin(Stdio::null())
        .output()
        .context("cannot run pg_dump")?;
    ensure!(
        out.status.success(),
        "pg_dump: {}",
        String::from_utf8_lossy(&out.stderr).trim()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_of_the_same_server_keeps_login_and_options() {
        let url = "postgres://u:p@h:5/mc_dev?sslmode=require";
        assert_eq!(
            url_of(url, "microcrop_test_1").unwrap(),
            "postgres://u:p@h:5/microcrop_test_1?sslmode=require"
        );
        assert_eq!(url_of("postgres://h", "x").unwrap(), "postgres://h/x");
        assert_eq!(name_of(url).unwrap(), "mc_dev");
    }

    #[test]
    fn processes_log_in_as_one_that_owns_nothing() {
        let url = "postgres://u:p@h:5/mc_dev?sslmode=require";
        assert_eq!(
            app_url(url).unwrap(),
            "postgres://microcrop_app:p@h:5/mc_dev?sslmode=require"
        );
        let trusted = app_url("postgres://postgres@h/x").unwrap();
        assert_eq!(trusted, "postgres://microcrop_app@h/x");
        assert_eq!(
            app_url("postgres://h/x").unwrap(),
            "postgres://microcrop_app@h/x"
        );
    }

    #[test]
    fn only_databases_of_ours_can_be_dropped() {
        assert!(drop_quietly("postgres://h/x", "production").is_err());
        assert!(drop_quietly("postgres://h/x", "microcrop_x; drop table y").is_err());
    }
}
