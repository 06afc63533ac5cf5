//! Servers named by URL: are they there, and what are they? Says how to mend it if not.
//! Never changes anything on them. Called by `Servers` before use, and by private servers' probes.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::database;
use super::private::numbers;
use crate::context::Context;
use crate::progress::without_password;

const CONNECT_SECONDS_MAX: u64 = 5;

/// The parts of a server URL that a connection needs.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    tls: bool,
    user: Option<String>,
    password: Option<String>,
    host: String,
    port: u16,
}

fn address(url: &str, port_default: u16) -> anyhow::Result<Address> {
    let (scheme, rest) = url
        .split_once("://")
        .context("a server URL looks like scheme://user:password@host:port/name")?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (login, host_port) = match authority.rsplit_once('@') {
        Some((login, host_port)) => (Some(login), host_port),
        None => (None, authority),
    };
    let (host, port) = match host_port.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            (host, port.parse().context("the port is not a number")?)
        }
        _ => (host_port, port_default),
    };
    ensure!(!host.is_empty(), "the URL names no host");
    let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
        Some((user, password)) => (Some(user.to_owned()), Some(password.to_owned())),
        None => (None, None),
    };
    Ok(Address {
        tls: matches!(scheme, "rediss" | "amqps"),
        user: user.filter(|text| !text.is_empty()),
        password: password.filter(|text| !text.is_empty()),
        host: host.trim_matches(['[', ']']).to_owned(),
        port,
    })
}

fn connect(host: &str, port: u16, limit: Duration) -> anyhow::Result<TcpStream> {
    let mut last = None;
    for target in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&target, limit) {
            Ok(stream) => {
                stream.set_read_timeout(Some(limit))?;
                stream.set_write_timeout(Some(limit))?;
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(error.into()),
        None => bail!("{host} has no address"),
    }
}

/// Asks Redis for its version; it answers only when it is ready for work.
pub(super) fn redis_answers(
    host: &str,
    port: u16,
    login: Option<(Option<&str>, &str)>,
) -> anyhow::Result<String> {
    let mut stream = connect(host, port, Duration::from_secs(CONNECT_SECONDS_MAX))?;
    if let Some((user, password)) = login {
        let mut parts = vec!["AUTH"];
        parts.extend(user);
        parts.push(password);
        stream.write_all(resp(&parts).as_bytes())?;
        let mut reply = [0_u8; 256];
        let read = stream.read(&mut reply)?;
        ensure!(
            reply.get(..read).is_some_and(|text| text.starts_with(b"+")),
            "redis refused the password"
        );
    }
    stream.write_all(resp(&["INFO", "server"]).as_bytes())?;
    let mut reply = vec![0_u8; 4096];
    let read = stream.read(&mut reply).context("no Redis answer")?;
    let text = String::from_utf8_lossy(reply.get(..read).unwrap_or_default()).into_owned();
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("redis_version:"))
        .with_context(|| format!("redis answered {:?}", text.lines().next().unwrap_or("")))?;
    Ok(version.trim().to_owned())
}

fn resp(parts: &[&str]) -> String {
    let mut text = format!("*{}\r\n", parts.len());
    for part in parts {
        text.extend(["$", &part.len().to_string(), "\r\n", part, "\r\n"]);
    }
    text
}

/// Says hello in AMQP 0-9-1; a broker that is ready answers with `connection.start`, whose server
/// properties hold its version.
pub(super) fn rabbitmq_answers(host: &str, port: u16) -> anyhow::Result<String> {
    let mut stream = connect(host, port, Duration::from_secs(CONNECT_SECONDS_MAX))?;
    stream.write_all(b"AMQP\x00\x00\x09\x01")?;
    let mut frame = vec![0_u8; 2048];
    let read = stream.read(&mut frame).context("no AMQP answer")?;
    let frame = frame.get(..read).unwrap_or_default();
    // frame: type 1 (method), channel 0, length, class 10 (connection), method 10 (start)
    ensure!(
        frame.first() == Some(&1) && frame.get(7..11) == Some(&[0, 10, 0, 10]),
        "something other than an AMQP 0-9-1 broker answered"
    );
    let text = String::from_utf8_lossy(frame).into_owned();
    Ok(text
        .split_once("version")
        .and_then(|(_, after)| numbers(after))
        .map_or_else(String::new, |(major, minor)| format!("{major}.{minor}")))
}

fn explain(variable: &str, url: &str) -> String {
    format!(
        "{variable} is set to {} but that server cannot be used; \
         start it, correct the variable, or unset it to get a private server",
        without_password(url)
    )
}

/// PostgreSQL 15 or newer, reachable and allowed to make databases.
pub(super) fn check_postgres(context: &Context, url: &str) -> anyhow::Result<()> {
    super::install::ensure_psql(context)?;
    let version = database::query(url, "show server_version")
        .with_context(|| explain("DATABASE_URL", url))?;
    ensure!(
        numbers(&version).is_none_or(|(major, _)| major >= 15),
        "DATABASE_URL is PostgreSQL {version}; 15 or newer is needed"
    );
    let may = database::query(
        url,
        "select rolcreatedb or rolsuper from pg_roles where rolname = current_user",
    )?;
    ensure!(
        may == "t",
        "the user of DATABASE_URL may not make databases; run `alter role … createdb` as its owner"
    );
    let may = database::query(
        url,
        "select rolcreaterole or rolsuper from pg_roles where rolname = current_user",
    )?;
    ensure!(
        may == "t",
        "the user of DATABASE_URL may not make roles, and processes need a login of their own; \
         run `alter role … createrole` as its owner"
    );
    context.say("postgres", format!("{version} given by DATABASE_URL"));
    Ok(())
}

/// Redis, reachable.
pub(super) fn check_redis(context: &Context, url: &str) -> anyhow::Result<()> {
    let known = address(url, 6379).with_context(|| explain("REDIS_URL", url))?;
    if known.tls {
        connect(
            &known.host,
            known.port,
            Duration::from_secs(CONNECT_SECONDS_MAX),
        )
        .with_context(|| explain("REDIS_URL", url))?;
        context.say("redis", "given by REDIS_URL (TLS; version not asked)");
        return Ok(());
    }
    let login = known
        .password
        .as_deref()
        .map(|password| (known.user.as_deref(), password));
    let version =
        redis_answers(&known.host, known.port, login).with_context(|| explain("REDIS_URL", url))?;
    context.say("redis", format!("{version} given by REDIS_URL"));
    Ok(())
}

/// RabbitMQ, reachable.
pub(super) fn check_rabbitmq(context: &Context, url: &str) -> anyhow::Result<()> {
    let known = address(url, 5672).with_context(|| explain("RABBITMQ_URL", url))?;
    if known.tls {
        connect(
            &known.host,
            known.port,
            Duration::from_secs(CONNECT_SECONDS_MAX),
        )
        .with_context(|| explain("RABBITMQ_URL", url))?;
        context.say("rabbitmq", "given by RABBITMQ_URL (TLS; version not asked)");
        return Ok(());
    }
    let version =
        rabbitmq_answers(&known.host, known.port).with_context(|| explain("RABBITMQ_URL", url))?;
    context.say("rabbitmq", format!("{version} given by RABBITMQ_URL"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let known = address("rediss://:pw@cache.example:6380/0", 6379).unwrap();
        assert!(known.tls);
        assert_eq!(
            (known.user, known.password.as_deref(), known.port),
            (None, Some("pw"), 6380)
        );
        let known = address("amqp://guest:guest@[::1]/%2f", 5672).unwrap();
        assert_eq!((known.host.as_str(), known.port), ("::1", 5672));
        assert!(address("localhost:5432", 1).is_err());
    }

    #[test]
    fn a_closed_port_is_an_error_that_says_how_to_mend_it() {
        let port = crate::ports::Ports::default().free().unwrap();
        assert!(redis_answers("127.0.0.1", port, None).is_err());
        assert!(rabbitmq_answers("127.0.0.1", port).is_err());
        let text = explain("REDIS_URL", "redis://:secret@h:1/0");
        assert!(text.contains("unset it") && !text.contains("secret"));
    }
}
