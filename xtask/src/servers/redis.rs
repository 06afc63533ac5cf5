//! A private Redis: nothing on disk, loopback only, since it holds only what may be lost.
//! Never given persistence. Called by `private`.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::given::redis_answers;
use super::private::{Plan, numbers, version_of};
use crate::ports::Ports;
use crate::process::{Launch, Lifetime, StopBy, which};

/// Name in progress lines and records.
pub(super) const NAME: &str = "redis";

/// Says how to start the server, and its URL.
pub(super) fn plan(
    dir: &Path,
    lifetime: Lifetime,
    ports: &mut Ports,
) -> anyhow::Result<(Plan, String)> {
    let program = which("redis-server").context("Redis is not installed")?;
    let home = dir.join("redis");
    fs::create_dir_all(&home)?;
    let port = ports.free()?;
    let version = numbers(&version_of(&program))
        .map_or_else(String::new, |(major, minor)| format!("{major}.{minor}"));
    let args = [
        "--port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--databases",
        "16",
    ]
    .iter()
    .map(Into::into)
    .collect();
    let plan = Plan {
        launch: Launch {
            name: NAME.to_owned(),
            program,
            args,
            env: Vec::new(),
            dir: home,
            user: None,
            lifetime,
            stop: StopBy::Term,
            log: dir.join("redis.log"),
        },
        probe: Box::new(move || redis_answers("127.0.0.1", port, None).is_ok()),
        about: format!("{version}, 127.0.0.1:{port}"),
    };
    Ok((plan, format!("redis://127.0.0.1:{port}/0")))
}
