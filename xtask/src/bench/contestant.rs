//! A server that takes part: started on the contestants' core, waited for, loaded, stopped.
//! Never runs two windows at once: whoever measures has the machine. Called by the rows.

use std::io::Read;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::measure::Window;
use super::{CONNECTIONS, Ground, port};
use crate::http;
use crate::ports::{Ports, random_hex};
use crate::process::{Launch, Lifetime, Process, StopBy, dies_with_us};
use crate::progress::{Progress, tail};
use crate::record::{Record, Recorded};

/// A server that does not answer by then never will.
const READY_SECONDS_MAX: u64 = 60;

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// The product.
    Backend,
    /// axum, a session read and written in one pipelined round trip.
    FloorPipelined,
    /// axum, a session read and then written.
    FloorSeparate,
    /// axum and sqlx, rows in PostgreSQL.
    FloorRows,
    /// Express.
    Peer,
}

impl Who {
    /// Name in progress lines and logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::FloorPipelined => "floor, pipelined",
            Self::FloorSeparate => "floor, GET then SET",
            Self::FloorRows => "floor, axum + sqlx",
            Self::Peer => "Express",
        }
    }
}

/// A running contestant; dropping it stops it.
pub(super) struct Contestant {
    /// Which one.
    pub(super) who: Who,
    /// Where it answers.
    pub(super) port: u16,
    process: Process,
    record: Record,
    log: PathBuf,
    progress: Progress,
}

impl Contestant {
    /// Starts it and waits until it answers. `extra` variables are the backend's.
    pub(super) fn start(
        ground: &Ground,
        ports: &mut Ports,
        who: Who,
        extra: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let port = port(ports)?;
        let metrics_port = super::port(ports)?;
        let mut env = ground.env.clone();
        for (name, value) in [
            ("PORT", port.to_string().as_str()),
            ("METRICS_PORT", metrics_port.to_string().as_str()),
            ("NODE_ENV", "production"),
        ]
        .iter()
        .chain(extra)
        {
            env.retain(|(known, _)| known != name);
            env.push(((*name).to_owned(), (*value).to_owned()));
        }
        if who != Who::Backend {
            // theirs are scratch tables, without roles and row-level security
            env.retain(|(known, _)| known != "DATABASE_URL");
            env.push(("DATABASE_URL".to_owned(), ground.urls.database.clone()));
        }
        let walk = ground.context.root.join("bench/walk.json");
        env.push(("WALK".to_owned(), walk.display().to_string()));
        let binary = |name: &str| ground.bin_dir.join(name).display().to_string();
        let mut argv: Vec<String> = match who {
            Who::Backend => vec![binary("backend"), "serve".to_owned()],
            Who::FloorPipelined | Who::FloorSeparate | Who::FloorRows => {
                let kind = match who {
                    Who::FloorPipelined => "pipelined",
                    Who::FloorSeparate => "separate",
                    _ => "rows",
                };
                vec![binary("bench"), "floor".to_owned(), kind.to_owned()]
            }
            Who::Peer => {
                let dir = ground
                    .peer_dir
                    .as_ref()
                    .context("the peer is not installed")?;
                let script = dir.join("server.js").display().to_string();
                vec!["node".to_owned(), script]
            }
        };
        if let Some(core) = ground.pinning.contestant {
            let pinned = ["taskset", "-c", &core.to_string()].map(str::to_owned);
            argv.splice(0..0, pinned);
        }
        let program = argv.remove(0);
        let log = ground
            .home
            .join("logs")
            .join(format!("{}.log", who.name().replace([' ', ','], "-")));
        let launch = Launch {
            name: who.name().to_owned(),
            program: program.into(),
            args: argv.into_iter().map(Into::into).collect(),
            env,
            dir: ground.context.root.clone(),
            user: None,
            lifetime: Lifetime::WithUs,
            stop: StopBy::Kill,
            log: log.clone(),
        };
        let state = ground.context.state_dir();
        let mut record = Record::create(state.join(format!("bench-{}.json", random_hex(4))), true)?;
        let process = launch.launch()?;
        record.add_process(Recorded {
            name: launch.name.clone(),
            identity: process.identity.clone(),
            stop: StopBy::Kill,
        })?;
        let mut contestant = Self {
            who,
            port,
            process,
            record,
            log,
            progress: ground.context.progress,
        };
        contestant.await_ready(ground)?;
        Ok(contestant)
    }

    fn await_ready(&mut self, ground: &Ground) -> anyhow::Result<()> {
        let began = Instant::now();
        while http::status(self.port, "/health/live") != Some(200) {
            self.check_alive()?;
            if began.elapsed() > Duration::from_secs(READY_SECONDS_MAX) {
                bail!(
                    "{} is not ready after {READY_SECONDS_MAX} s; its log ends:\n{}",
                    self.who.name(),
                    tail(&self.log, 10)
                );
            }
            ground.context.interrupt.sleep(Duration::from_millis(50))?;
        }
        Ok(())
    }

    fn check_alive(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.process.ended() {
            bail!(
                "{} ended by itself ({status}); its log ends:\n{}",
                self.who.name(),
                tail(&self.log, 10)
            );
        }
        Ok(())
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.process.identity.pid
    }

    /// One window of traffic. Any answer that is not the expected one is an error: a wrong answer
    /// has no speed.
    pub(super) fn load(&mut self, ground: &Ground, traffic: &[String]) -> anyhow::Result<Window> {
        let child = self.start_load(ground, ground.effort.seconds, traffic)?;
        self.finish_load(ground, child)
    }

    /// Starts the generator against it.
    pub(super) fn start_load(
        &self,
        ground: &Ground,
        seconds: u32,
        traffic: &[String],
    ) -> anyhow::Result<std::process::Child> {
        let mut command = dies_with_us(ground.bin_dir.join("bench"));
        command
            .args(["load", "--port", &self.port.to_string()])
            .args(["--pid", &self.pid().to_string()])
            .args(["--connections", &CONNECTIONS.to_string()])
            .args(["--warm-seconds", &ground.effort.warm_seconds.to_string()])
            .args(["--seconds", &seconds.to_string()])
            .args(traffic)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command.spawn().context("cannot run the generator")
    }

    /// Waits for the generator and reads its line.
    pub(super) fn finish_load(
        &mut self,
        ground: &Ground,
        child: std::process::Child,
    ) -> anyhow::Result<Window> {
        let line = one_line(ground, child);
        self.check_alive()?;
        let line =
            line.with_context(|| format!("the generator failed against {}", self.who.name()))?;
        let window: Window =
            serde_json::from_str(&line).with_context(|| format!("the generator said {line:?}"))?;
        window.check(self.who.name())?;
        Ok(window)
    }
}

/// Waits for a child that prints one line, far below what a pipe holds; a failure is an error.
pub(super) fn one_line(ground: &Ground, mut child: std::process::Child) -> anyhow::Result<String> {
    let mut out = child.stdout.take().context("the child has no stdout")?;
    let status = ground.context.wait(child)?;
    let mut line = String::new();
    out.read_to_string(&mut line)?;
    ensure!(status.success(), "it ended with {status}");
    Ok(line)
}

impl Drop for Contestant {
    fn drop(&mut self) {
        self.process.kill_now();
        self.record.stop(self.progress);
    }
}
