//! A private PostgreSQL: fast because its data may be lost (fsync off), TCP on loopback only.
//! Never used for crash or backup tests, which need fsync. Called by `private`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::private::{Plan, hand_over, numbers, version_of};
use crate::context::Context;
use crate::ports::Ports;
use crate::process::{Launch, Lifetime, StopBy, is_root, which};
use crate::progress::tail;

/// Name in progress lines and records.
pub(super) const NAME: &str = "postgres";

/// The oldest major version the SQL is written for.
const MAJOR_MIN: u32 = 15;

/// The system user the packages make; PostgreSQL refuses to run as root.
pub(super) const SYSTEM_USER: &str = "postgres";

/// Tests run in parallel with up to three connections each, beside eight processes' pools.
const CONNECTIONS_MAX: u32 = 300;

/// The folder of the newest installed PostgreSQL's programs.
pub(super) fn bin_dir() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        for version in versions.flatten() {
            let bin = version.path().join("bin");
            let major = version.file_name().to_string_lossy().parse();
            if let (Ok(major), true) = (major, bin.join("postgres").is_file()) {
                found.push((major, bin));
            }
        }
    }
    if let Some(bin) = which("postgres").and_then(|file| file.parent().map(Path::to_path_buf))
        && let Some((major, _)) = numbers(&version_of(&bin.join("postgres")))
    {
        found.push((major, bin));
    }
    found
        .into_iter()
        .filter(|(major, bin)| *major >= MAJOR_MIN && bin.join("initdb").is_file())
        .max_by_key(|(major, _)| *major)
        .map(|(_, bin)| bin)
}

/// A client: the server's own, else one on PATH.
pub(super) fn client(program: &str) -> Option<PathBuf> {
    bin_dir()
        .map(|bin| bin.join(program))
        .filter(|file| file.is_file())
        .or_else(|| which(program))
}

/// Settings without an archive, and with one: a segment of changes every ten seconds.
fn archive(folder: Option<&Path>) -> Vec<String> {
    match folder {
        None => vec!["wal_level=minimal".to_owned()],
        Some(folder) => vec![
            "wal_level=replica".to_owned(),
            "archive_mode=on".to_owned(),
            "archive_timeout=10s".to_owned(),
            format!("archive_command=cp \"%p\" \"{}/%f\"", folder.display()),
        ],
    }
}

/// Makes the data folder and says how to start the server, and its URL.
pub(super) fn plan(
    context: &Context,
    dir: &Path,
    lifetime: Lifetime,
    ports: &mut Ports,
    watched: bool,
) -> anyhow::Result<(Plan, String)> {
    let bin = bin_dir().context("PostgreSQL is not installed")?;
    let home = dir.join("postgres");
    let data = home.join("data");
    let log = dir.join("postgres.log");
    let archived = watched.then(|| home.join("archive"));
    fs::create_dir_all(archived.as_ref().unwrap_or(&home))?;
    let user = is_root().then(|| SYSTEM_USER.to_owned());
    if let Some(user) = &user {
        hand_over(&home, user)?;
    }
    let out = fs::File::create(&log)?;
    // one setpriv for both: changing the user afterwards would clear the signal
    let mut initdb = Command::new("setpriv");
    initdb.args(["--pdeathsig", "TERM"]);
    if let Some(user) = &user {
        initdb.args(["--reuid", user, "--regid", user, "--init-groups"]);
    }
    initdb.arg("--").arg(bin.join("initdb"));
    initdb
        .arg("-D")
        .arg(&data)
        .args(["-U", "postgres", "-A", "trust", "-E", "UTF8"])
        .args(["--locale=C.UTF-8", "--no-sync"])
        .current_dir(&home)
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out);
    let status = context.run(&mut initdb)?;
    ensure!(status.success(), "initdb failed:\n{}", tail(&log, 15));
    let port = ports.free()?;
    let mut args = vec!["-D".into(), data.into_os_string()];
    for setting in [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        // TCP only: a socket's path may not exceed 107 bytes, a checkout's may
        "unix_socket_directories=".to_owned(),
        "fsync=off".to_owned(),
        "synchronous_commit=off".to_owned(),
        "full_page_writes=off".to_owned(),
        "max_wal_senders=0".to_owned(),
        "jit=off".to_owned(),
        "timezone=UTC".to_owned(),
        format!("max_connections={CONNECTIONS_MAX}"),
    ]
    .into_iter()
    .chain(archive(archived.as_deref()))
    {
        args.push("-c".into());
        args.push(setting.into());
    }
    let version = numbers(&version_of(&bin.join("postgres")))
        .map_or_else(String::new, |(major, minor)| format!("{major}.{minor}"));
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let probe_url = url.clone();
    let plan = Plan {
        launch: Launch {
            name: NAME.to_owned(),
            program: bin.join("postgres"),
            args,
            env: vec![("LANG".to_owned(), "C.UTF-8".to_owned())],
            dir: home,
            user,
            lifetime,
            // SIGINT is the fast shutdown: sessions are ended, shared memory is given back
            stop: StopBy::Int,
            log,
        },
        probe: Box::new(move || super::database::query(&probe_url, "select 1").is_ok()),
        about: format!("{version}, 127.0.0.1:{port}"),
    };
    Ok((plan, url))
}
