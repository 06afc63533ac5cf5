//! Private servers: started side by side, watched until each answers, restarted for chaos.
//! Never blocks one server's start on another's. Called by `Servers` only, on the main thread.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::{Servers, Wanted, install, postgres, rabbitmq, redis};
use crate::context::Context;
use crate::ports::Ports;
use crate::process::{Launch, Lifetime, Process, is_root, wait_gone};
use crate::progress::tail;
use crate::record::{Record, Recorded};

/// RabbitMQ boots in 9 to 20 s on two busy cores; beyond this something is wrong.
const READY_SECONDS_MAX: u64 = 120;

/// A server that was prepared and how to see that it answers.
pub(super) struct Plan {
    /// How to start it.
    pub(super) launch: Launch,
    /// True once it answers.
    pub(super) probe: Box<dyn Fn() -> bool>,
    /// Said when it answers: version and address.
    pub(super) about: String,
}

/// A running private server.
pub(crate) struct Private {
    plan: Plan,
    process: Process,
}

impl Private {
    /// The server's name.
    pub(super) fn name(&self) -> &str {
        &self.plan.launch.name
    }

    fn start(plan: Plan, record: &mut Record) -> anyhow::Result<Self> {
        let process = plan.launch.launch()?;
        record.add_process(Recorded {
            name: plan.launch.name.clone(),
            identity: process.identity.clone(),
            stop: plan.launch.stop,
        })?;
        Ok(Self { plan, process })
    }

    /// An error with the end of its log if it has ended.
    pub(super) fn check_alive(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.process.ended() {
            bail!(
                "{} ended by itself ({status}); its log ended:\n{}",
                self.plan.launch.name,
                tail(&self.plan.launch.log, 15)
            );
        }
        Ok(())
    }

    /// Stops it, starts it again with the same data and port, waits until it answers.
    pub(super) fn restart(&mut self, context: &Context, record: &mut Record) -> anyhow::Result<()> {
        context.say(self.name(), "stopping for a restart");
        self.process.identity.signal(self.plan.launch.stop.signal());
        if !wait_gone(
            std::slice::from_ref(&self.process.identity),
            Duration::from_secs(30),
        ) {
            self.process.kill_now();
        }
        let _ = self.process.child.wait();
        self.process = self.plan.launch.launch()?;
        record.add_process(Recorded {
            name: self.plan.launch.name.clone(),
            identity: self.process.identity.clone(),
            stop: self.plan.launch.stop,
        })?;
        await_ready(context, std::slice::from_mut(self))
    }
}

/// The folder the private servers' data live in: PostgreSQL refuses root, and its own user cannot
/// reach a checkout under /root, so root uses the system's temp area; others use `target/`.
fn data_dir(context: &Context, id: &str) -> PathBuf {
    if is_root() {
        std::env::temp_dir().join(format!("microcrop-{id}"))
    } else {
        context.state_dir().join(format!("data-{id}"))
    }
}

/// Installs what is missing, starts the wanted servers and waits for all of them.
pub(super) fn start_all(
    servers: &mut Servers,
    missing: Wanted,
    lifetime: Lifetime,
    id: &str,
    watched: bool,
) -> anyhow::Result<()> {
    let context = servers.context.clone();
    install::ensure(&context, missing)?;
    let dir = data_dir(&context, id);
    servers.record.make_dir(&dir)?;
    let mut ports = Ports::default();
    // the slowest first, so that the others start in its shadow
    if missing.rabbitmq {
        servers.rabbitmq_metrics = watched.then(|| ports.free()).transpose()?;
        let metrics = servers.rabbitmq_metrics;
        let (plan, url) = rabbitmq::plan(&context, &dir, lifetime, &mut ports, (id, metrics))?;
        context.say(rabbitmq::NAME, format!("starting ({})", plan.about));
        servers.urls.rabbitmq = url;
        let private = Private::start(plan, &mut servers.record)?;
        servers.private.push(private);
    }
    if missing.redis {
        let (plan, url) = redis::plan(&dir, lifetime, &mut ports)?;
        context.say(redis::NAME, format!("starting ({})", plan.about));
        servers.urls.redis = url;
        let private = Private::start(plan, &mut servers.record)?;
        servers.private.push(private);
    }
    if missing.postgres {
        context.say(postgres::NAME, "making a data folder");
        let (plan, url) = postgres::plan(&context, &dir, lifetime, &mut ports, watched)?;
        context.say(postgres::NAME, format!("starting ({})", plan.about));
        servers.urls.database = url;
        let private = Private::start(plan, &mut servers.record)?;
        servers.private.push(private);
        servers.throwaway_postgres = lifetime == Lifetime::WithUs;
    }
    await_ready(&context, &mut servers.private)
}

fn await_ready(context: &Context, servers: &mut [Private]) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut spoken_at = Instant::now();
    let mut waiting: Vec<&mut Private> = servers.iter_mut().collect();
    while !waiting.is_empty() {
        let mut still = Vec::new();
        for server in waiting {
            server.check_alive()?;
            if (server.plan.probe)() {
                context.say(server.name(), format!("ready ({})", server.plan.about));
            } else {
                still.push(server);
            }
        }
        waiting = still;
        if waiting.is_empty() {
            break;
        }
        if spoken_at.elapsed() > Duration::from_secs(5) {
            spoken_at = Instant::now();
            let names: Vec<&str> = waiting.iter().map(|server| server.name()).collect();
            context.say("servers", format!("waiting for {}", names.join(", ")));
        }
        if began.elapsed() > Duration::from_secs(READY_SECONDS_MAX) {
            let late: Vec<String> = waiting
                .iter()
                .map(|s| format!("{}:\n{}", s.name(), tail(&s.plan.launch.log, 15)))
                .collect();
            bail!("not ready after {READY_SECONDS_MAX} s: {}", late.join("\n"));
        }
        context.interrupt.sleep(Duration::from_millis(50))?;
    }
    Ok(())
}

/// The first line a program prints for `--version`, trimmed.
pub(super) fn version_of(program: &Path) -> String {
    Command::new(program)
        .arg("--version")
        .output()
        .map(|out| {
            String::from_utf8_lossy(&out.stdout)
                .lines()
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned()
        })
        .unwrap_or_default()
}

/// The first `major.minor` in a text.
pub(super) fn numbers(text: &str) -> Option<(u32, u32)> {
    for word in text.split(|c: char| !(c.is_ascii_digit() || c == '.')) {
        let mut parts = word.split('.').map(str::parse::<u32>);
        if let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) {
            return Some((major, minor));
        }
    }
    None
}

/// Gives a folder and what is in it to a user, when we are root.
pub(super) fn hand_over(dir: &Path, user: &str) -> anyhow::Result<()> {
    let status = Command::new("chown")
        .args(["-R", &format!("{user}:")])
        .arg(dir)
        .status()
        .context("cannot run chown")?;
    anyhow::ensure!(
        status.success(),
        "cannot give {} to the user {user}",
        dir.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_are_read_from_what_programs_print() {
        assert_eq!(
            numbers("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"),
            Some((15, 18))
        );
        assert_eq!(
            numbers("Redis server v=7.0.15 sha=00000000:0"),
            Some((7, 0))
        );
        assert_eq!(numbers("rabbitmq_server-3.10.8"), Some((3, 10)));
        assert_eq!(numbers("nothing"), None);
    }
}
