//! What every command needs to know: where the checkout is, who is waiting, which servers were given.
//! Never starts anything. Made once by main and passed down.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::Signal;

use crate::interrupt::{Interrupt, Interrupted};
use crate::process::{Identity, WRAPPER, output, wait_gone};
use crate::progress::Progress;

/// How often a person is told that something long is still at work.
const SAID_EVERY_SECONDS: u64 = 30;

/// Servers named by the environment: used as they are, never started or stopped by us.
#[derive(clap::Args, Clone, Debug, Default)]
#[expect(
    clippy::struct_field_names,
    reason = "the fields are the variables' names, which clap shows"
)]
pub(crate) struct Given {
    /// PostgreSQL 15 or newer to use; without it a private one is started
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    pub(crate) database_url: Option<String>,
    /// Redis 7 to use; without it a private one is started
    #[arg(long, env = "REDIS_URL", hide_env_values = true, global = true)]
    pub(crate) redis_url: Option<String>,
    /// RabbitMQ 3.10 or newer to use; without it a private one is started
    #[arg(long, env = "RABBITMQ_URL", hide_env_values = true, global = true)]
    pub(crate) rabbitmq_url: Option<String>,
}

impl Given {
    /// An empty variable means "not given", as in most shells' scripts.
    pub(crate) fn without_empty(mut self) -> Self {
        for url in [
            &mut self.database_url,
            &mut self.redis_url,
            &mut self.rabbitmq_url,
        ] {
            if url.as_deref().is_some_and(|text| text.trim().is_empty()) {
                *url = None;
            }
        }
        self
    }
}

/// The command's surroundings.
#[derive(Clone)]
pub(crate) struct Context {
    /// Stopwatch and voice.
    pub(crate) progress: Progress,
    /// Ctrl-C.
    pub(crate) interrupt: Interrupt,
    /// The checkout.
    pub(crate) root: PathBuf,
    /// Servers given by the environment.
    pub(crate) given: Given,
}

impl Context {
    /// Finds the checkout and installs the Ctrl-C handlers.
    pub(crate) fn new(given: Given) -> anyhow::Result<Self> {
        // `cargo run` sets this at run time, which stays true when a checkout is moved
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .parent()
            .map(Path::to_path_buf)
            .context("xtask is not inside a workspace")?;
        Ok(Self {
            progress: Progress::start(),
            interrupt: Interrupt::install()?,
            root,
            given: given.without_empty(),
        })
    }

    /// `target/xtask`: what this checkout has running.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.root.join("target/xtask")
    }

    /// One line of progress.
    pub(crate) fn say(&self, part: &str, text: impl std::fmt::Display) {
        self.progress.say(part, text);
    }

    /// Runs a command of the foreground (cargo, apt-get) to its end; Ctrl-C ends it too.
    pub(crate) fn run(&self, command: &mut Command) -> anyhow::Result<ExitStatus> {
        self.interrupt.check()?;
        let child = command
            .spawn()
            .with_context(|| format!("cannot run `{}`", shown(command)))?;
        self.wait(child)
    }

    /// Like `run`, but a failure is an error that names the command.
    pub(crate) fn run_ok(&self, command: &mut Command) -> anyhow::Result<()> {
        let status = self.run(command)?;
        ensure!(status.success(), "`{}` failed ({status})", shown(command));
        Ok(())
    }

    /// Like `run_ok`, for what takes minutes and says little meanwhile: it is told every half minute
    /// that it is at work, and what takes longer than `limit` is ended.
    pub(crate) fn run_long(
        &self,
        part: &str,
        command: &mut Command,
        limit: Duration,
    ) -> anyhow::Result<()> {
        self.interrupt.check()?;
        let child = command
            .spawn()
            .with_context(|| format!("cannot run `{}`", shown(command)))?;
        let began = Instant::now();
        let mut said = 0;
        let status = self.attend(child, &mut || {
            let (seconds, minutes) = (began.elapsed().as_secs(), limit.as_secs() / 60);
            ensure!(
                began.elapsed() <= limit,
                "`{}` had not ended after {minutes} minutes",
                shown(command)
            );
            if seconds / SAID_EVERY_SECONDS > said {
                said = seconds / SAID_EVERY_SECONDS;
                self.say(part, format!("still at work after {seconds} s"));
            }
            Ok(())
        })?;
        ensure!(status.success(), "`{}` failed ({status})", shown(command));
        Ok(())
    }

    /// What a command printed, at most `limit` long at work; Ctrl-C ends it.
    pub(crate) fn output(&self, command: &mut Command, limit: Duration) -> anyhow::Result<Output> {
        self.interrupt.check()?;
        output(command, limit, &|| self.interrupt.is_set())
            .with_context(|| format!("cannot run `{}`", shown(command)))
    }

    /// Waits for a foreground child.
    pub(crate) fn wait(&self, child: Child) -> anyhow::Result<ExitStatus> {
        self.attend(child, &mut || Ok(()))
    }

    /// Waits for a foreground child; an error of `look` ends it. On Ctrl-C the terminal has already
    /// told it; give it time to end tidily, then insist.
    fn attend(
        &self,
        mut child: Child,
        look: &mut dyn FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<ExitStatus> {
        let identity = Identity::of(child.id());
        let mut interrupted_at: Option<Instant> = None;
        let mut asked = false;
        loop {
            if let Some(status) = child.try_wait()? {
                self.interrupt.check()?;
                return Ok(status);
            }
            if let Err(error) = look() {
                if let Some(identity) = &identity {
                    identity.signal(Signal::TERM);
                    wait_gone(std::slice::from_ref(identity), Duration::from_secs(15));
                }
                child.kill()?;
                child.wait()?;
                return Err(error);
            }
            if self.interrupt.is_set() {
                let waited = interrupted_at.get_or_insert_with(Instant::now).elapsed();
                if waited > Duration::from_secs(15) {
                    child.kill()?;
                    child.wait()?;
                    return Err(Interrupted.into());
                }
                if waited > Duration::from_secs(2) && !asked {
                    asked = true;
                    if let Some(identity) = &identity {
                        identity.signal(Signal::TERM);
                    }
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(std::ffi::OsStr::to_string_lossy));
    let wrapped = words
        .get(1..)
        .is_some_and(|rest| rest.starts_with(&WRAPPER.map(Into::into)));
    let from = if wrapped { WRAPPER.len() + 1 } else { 0 };
    words.get(from..).unwrap_or_default().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::dies_with_us;

    #[test]
    fn a_command_is_shown_without_its_wrapper() {
        let mut command = dies_with_us("cargo");
        command.args(["fmt", "--check"]);
        assert_eq!(shown(&command), "cargo fmt --check");
        assert_eq!(shown(Command::new("ls").arg("-l")), "ls -l");
    }
}
