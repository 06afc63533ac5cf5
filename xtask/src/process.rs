//! Starting, recognising and stopping processes: each is known by pid *and* start time, so that a
//! recycled pid is never signalled. Never touches a process that is not in one of our records.
//! Called by servers, stack and record.
//!
//! Children die with us by `setpriv --pdeathsig` (util-linux): the safe way where `unsafe` is
//! forbidden. The kernel ties that signal to the *thread* that started the child, so every
//! long-lived child must be started from the main thread; `launch` is called nowhere else.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read as _, Seek as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::interrupt::Interrupted;

/// A process as the kernel knows it: the pid alone may be recycled, pid and start time may not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Process id.
    pub(crate) pid: u32,
    /// Start time in clock ticks since boot (field 22 of `/proc/<pid>/stat`).
    pub(crate) started_ticks: u64,
}

impl Identity {
    /// The identity of a running (not zombie) process.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // the second field is the name in brackets and may hold anything, brackets included
        let (_, after_name) = stat.rsplit_once(')')?;
        let mut fields = after_name.split_whitespace();
        let state = fields.next()?;
        if matches!(state, "Z" | "X") {
            return None;
        }
        // state is field 3; start time is field 22
        let started_ticks = fields.nth(18)?.parse().ok()?;
        Some(Self { pid, started_ticks })
    }

    /// Whether this very process still runs.
    pub(crate) fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Signals this very process, if it still runs.
    pub(crate) fn signal(&self, signal: Signal) {
        if !self.is_alive() {
            return;
        }
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// How a process is asked to end.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StopBy {
    /// SIGTERM.
    Term,
    /// SIGINT: PostgreSQL's fast shutdown.
    Int,
    /// SIGKILL.
    Kill,
}

impl StopBy {
    /// The signal itself.
    pub(crate) fn signal(self) -> Signal {
        match self {
            Self::Term => Signal::TERM,
            Self::Int => Signal::INT,
            Self::Kill => Signal::KILL,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Int => "INT",
            Self::Kill => "KILL",
        }
    }
}

/// Whether a process outlives the command that started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// Dies with this process, even by SIGKILL.
    WithUs,
    /// Runs on in its own session until `down` or `servers stop`.
    Detached,
}

/// Everything needed to start a process, and to start it again the same way.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// Name in records and messages.
    pub(crate) name: String,
    /// Program.
    pub(crate) program: PathBuf,
    /// Arguments.
    pub(crate) args: Vec<OsString>,
    /// The whole environment, PATH apart: a developer's own variables never leak in.
    pub(crate) env: Vec<(String, String)>,
    /// Working directory; must be traversable by `user`.
    pub(crate) dir: PathBuf,
    /// Run as this user (only when we are root).
    pub(crate) user: Option<String>,
    /// Whether it outlives us.
    pub(crate) lifetime: Lifetime,
    /// How it is asked to end, by us and by our death.
    pub(crate) stop: StopBy,
    /// Where stdout and stderr are appended.
    pub(crate) log: PathBuf,
}

/// A started process.
pub(crate) struct Process {
    /// Handle, which also reaps it.
    pub(crate) child: Child,
    /// How the record knows it.
    pub(crate) identity: Identity,
}

impl Process {
    /// The exit status in words once it has ended.
    pub(crate) fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(status.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Ends it now and waits for it.
    pub(crate) fn kill_now(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Launch {
    /// The command line with the wrappers that tie its life to ours and change its user.
    fn command(&self) -> Command {
        let mut argv: Vec<OsString> = Vec::new();
        if self.lifetime == Lifetime::Detached {
            argv.push("setsid".into());
        }
        if self.lifetime == Lifetime::WithUs || self.user.is_some() {
            argv.push("setpriv".into());
            if let Some(user) = &self.user {
                for part in ["--reuid", user, "--regid", user, "--init-groups"] {
                    argv.push(part.into());
                }
            }
            if self.lifetime == Lifetime::WithUs {
                argv.push("--pdeathsig".into());
                argv.push(self.stop.name().into());
            }
            argv.push("--".into());
        }
        argv.push(self.program.clone().into());
        argv.extend(self.args.iter().cloned());
        let mut command = Command::new(argv.remove(0));
        command.args(argv).env_clear().current_dir(&self.dir);
        command.env("PATH", search_path());
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        if self.lifetime == Lifetime::WithUs {
            // own group: the terminal's Ctrl-C reaches only us, and we stop things in order
            command.process_group(0);
        }
        command
    }

    /// Starts it. Main thread only (see the module's header).
    pub(crate) fn launch(&self) -> anyhow::Result<Process> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let mut command = self.command();
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut child = command.spawn().with_context(|| {
            format!(
                "cannot start {} (setpriv and setsid come with util-linux)",
                self.name
            )
        })?;
        let Some(identity) = Identity::of(child.id()) else {
            let status = child.wait()?;
            anyhow::bail!(
                "{} ended at once with {status}; its log {} ends:\n{}",
                self.name,
                self.log.display(),
                crate::progress::tail(&self.log, 10)
            );
        };
        Ok(Process { child, identity })
    }
}

/// A foreground command (cargo, the season driver) that is asked to end if we are killed. Main
/// thread only, like `launch`.
pub(crate) fn dies_with_us(program: impl Into<OsString>) -> Command {
    if which("setpriv").is_none() {
        return Command::new(program.into());
    }
    let mut command = Command::new("setpriv");
    command.args(WRAPPER).arg(program.into());
    command
}

/// How `dies_with_us` calls setpriv; left out where a command is shown to a person.
pub(crate) const WRAPPER: [&str; 3] = ["--pdeathsig", "TERM", "--"];

/// A child's stdout line by line. The thread only reads: children are started by the main thread.
pub(crate) fn lines_of(child: &mut Child) -> anyhow::Result<Receiver<String>> {
    let stdout = child.stdout.take().context("the child has no stdout")?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            let Ok(line) = line else { break };
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}

/// Waits until none of them runs; false when the time is up.
pub(crate) fn wait_gone(identities: &[Identity], limit: Duration) -> bool {
    let until = Instant::now() + limit;
    while identities.iter().any(Identity::is_alive) {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Whether we are root, and so must hand the servers to their own users.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Where administrators' programs are (nginx, runc, iptables), which not every PATH names.
const MORE_FOLDERS: &str = ":/usr/sbin:/sbin";

/// PATH, and where administrators' programs are.
pub(crate) fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    path.push(MORE_FOLDERS);
    path
}

/// An absolute path of `program` on that path.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path())
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// Runs a command to its end and answers what it printed, whatever its code; it is ended when `limit`
/// has passed or `asked_to_stop` says so. Main thread only, like `launch`.
pub(crate) fn output(
    command: &mut Command,
    limit: Duration,
    asked_to_stop: &dyn Fn() -> bool,
) -> anyhow::Result<Output> {
    // files and not pipes: what it leaves running may hold a pipe open for ever
    let (mut out, mut err) = (unnamed()?, unnamed()?);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(err.try_clone()?)
        .spawn()?;
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let is_late = began.elapsed() > limit;
        if is_late || asked_to_stop() {
            if let Some(identity) = Identity::of(child.id()) {
                identity.signal(Signal::TERM);
                wait_gone(&[identity], TIDY_SECONDS_MAX);
            }
            child.kill()?;
            child.wait()?;
            if is_late {
                bail!("it had not ended after {} s", limit.as_secs());
            }
            return Err(Interrupted.into());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let mut output = Output {
        status,
        stdout: Vec::new(),
        stderr: Vec::new(),
    };
    out.rewind()?;
    out.read_to_end(&mut output.stdout)?;
    err.rewind()?;
    err.read_to_end(&mut output.stderr)?;
    Ok(output)
}

/// How long what is ended may tidy up.
const TIDY_SECONDS_MAX: Duration = Duration::from_secs(5);

/// A file that has no name any more and goes with its last reader.
fn unnamed() -> anyhow::Result<File> {
    let path = std::env::temp_dir().join(format!("microcrop-{}", crate::ports::random_hex(8)));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_pid_and_start_time() {
        let us = Identity::of(std::process::id()).unwrap();
        assert!(us.is_alive());
        let recycled = Identity {
            started_ticks: us.started_ticks + 1,
            ..us
        };
        assert!(!recycled.is_alive());
    }

    #[test]
    fn a_dead_child_is_not_alive_before_it_is_reaped() {
        let mut child = Command::new("true").spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(5);
        while Identity::of(child.id()).is_some() && Instant::now() < until {
            std::thread::yield_now();
        }
        assert!(Identity::of(child.id()).is_none());
        child.wait().unwrap();
    }

    #[test]
    fn what_is_printed_is_answered_and_what_hangs_is_ended() {
        let never = || false;
        let limit = Duration::from_mins(1);
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let said = output(&mut command, limit, &never).unwrap();
        assert_eq!(said.status.code(), Some(3));
        assert_eq!(
            (said.stdout, said.stderr),
            (b"out\n".to_vec(), b"err\n".to_vec())
        );
        let mut hangs = Command::new("tail");
        hangs.args(["-f", "/dev/null"]);
        let error = output(&mut hangs, Duration::ZERO, &never).unwrap_err();
        assert!(error.to_string().contains("had not ended"));
        let error = output(&mut hangs, limit, &|| true).unwrap_err();
        assert!(error.is::<Interrupted>());
    }
}
