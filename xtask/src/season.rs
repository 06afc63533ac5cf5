//! The season driver (`sandbox season`) against a running system: what it says is shown, what it asks is
//! passed to whoever supervises that system, and its verdict is answered. Never decides whether a season
//! came out right: the driver does. Called by demo (and whoever plays one of its seasons) and compose-up.
//!
//! The driver's stdout is shown as it is, save lines beginning with `@`, which ask the supervisor for
//! what only it can do; each is answered by one line `done` on the driver's stdin.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};

use crate::context::Context;
use crate::process::{dies_with_us, lines_of};
use crate::progress::{print_line, tail};

/// A season takes about a minute; one that takes this long hangs.
const MINUTES_MAX: u64 = 30;

/// Whoever runs the system that a season is played on.
pub(crate) trait Supervisor {
    /// Does what the driver asks: `kill ROLE`, `rabbit-restart`, `import FILE`.
    fn serve(&mut self, request: &str) -> anyhow::Result<()>;
    /// One look at the system: an error when a part of it has ended that should run.
    fn look(&mut self) -> anyhow::Result<()>;
}

/// How a season is played.
pub(crate) struct Driver<'a> {
    /// The sandbox's program, whose command `season` is.
    pub(crate) program: &'a Path,
    /// What follows `season`.
    pub(crate) args: Vec<OsString>,
    /// Addresses, tokens and the clock.
    pub(crate) env: &'a [(String, String)],
    /// Folder of the driver's log, and of the years before the season.
    pub(crate) log_dir: &'a Path,
}

impl Driver<'_> {
    /// Plays it to its end.
    pub(crate) fn play(
        &self,
        context: &Context,
        supervisor: &mut dyn Supervisor,
    ) -> anyhow::Result<()> {
        context.say("season", "begins");
        let log = self.log_dir.join("season.log");
        let mut child = dies_with_us(self.program)
            .arg("season")
            .args(&self.args)
            .arg("--history")
            .arg(self.log_dir)
            .env_clear()
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .current_dir(&context.root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log)?)
            .spawn()
            .context("cannot start the season driver")?;
        let outcome = converse(context, &mut child, supervisor);
        // ended on every path: a driver without a supervisor is of no use
        let _ = child.kill();
        let _ = child.wait();
        outcome.map_err(|error| {
            anyhow!(
                "{error:#}\nthe driver's own log {} ends:\n{}",
                log.display(),
                tail(&log, 10)
            )
        })
    }
}

/// Shows what the driver says, has done what it asks, and returns its verdict.
fn converse(
    context: &Context,
    child: &mut Child,
    supervisor: &mut dyn Supervisor,
) -> anyhow::Result<()> {
    let mut stdin = child.stdin.take().context("the driver has no stdin")?;
    let lines = lines_of(child)?;
    let began = Instant::now();
    loop {
        match lines.recv_timeout(Duration::from_millis(50)) {
            Ok(line) => match line.strip_prefix('@') {
                Some(request) => {
                    supervisor.serve(request)?;
                    writeln!(stdin, "done")?;
                    stdin.flush()?;
                }
                None => print_line(line),
            },
            Err(RecvTimeoutError::Timeout) => {
                context.interrupt.check()?;
                supervisor.look()?;
                ensure!(
                    began.elapsed() < Duration::from_secs(MINUTES_MAX * 60),
                    "the season did not end within {MINUTES_MAX} minutes"
                );
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = child.wait()?;
    ensure!(status.success(), "the season ended with {status}");
    supervisor.look()
}
