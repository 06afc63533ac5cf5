//! The season driver against a running system: what it says is shown, what it asks of a supervisor
//! (lines that begin with `@`) is done, and its verdict is answered. Knows no chaos: a system that is
//! looked at is not killed. Called by compose-up; `demo` has a supervisor of its own.

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

/// A small season takes about a minute; one that takes this long hangs.
const MINUTES_MAX: u64 = 15;

/// How a season is played.
pub(crate) struct Driver<'a> {
    /// The sandbox's program, whose command `season` is.
    pub(crate) program: &'a Path,
    /// Farmers who register and buy.
    pub(crate) farmers: u32,
    /// Seed of farmers and weather.
    pub(crate) seed: u64,
    /// Addresses, tokens and the clock.
    pub(crate) env: &'a [(String, String)],
    /// Folder of the driver's log, and of the years before the season.
    pub(crate) log_dir: &'a Path,
}

impl Driver<'_> {
    /// Plays it to its end. `import` brings the vegetation of the years before into the system,
    /// `alive` fails when something of the system has ended.
    pub(crate) fn play(
        &self,
        context: &Context,
        import: &mut dyn FnMut(&str) -> anyhow::Result<()>,
        alive: &mut dyn FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        context.say("season", format!("{} farmers", self.farmers));
        let log = self.log_dir.join("season.log");
        let args: [OsString; 7] = [
            "season".into(),
            "--farmers".into(),
            self.farmers.to_string().into(),
            "--seed".into(),
            self.seed.to_string().into(),
            "--history".into(),
            self.log_dir.into(),
        ];
        let mut child = dies_with_us(self.program)
            .args(args)
            .env_clear()
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .current_dir(&context.root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log)?)
            .spawn()
            .context("cannot start the season driver")?;
        let outcome = converse(context, &mut child, import, alive);
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

fn converse(
    context: &Context,
    child: &mut Child,
    import: &mut dyn FnMut(&str) -> anyhow::Result<()>,
    alive: &mut dyn FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut stdin = child.stdin.take().context("the driver has no stdin")?;
    let lines = lines_of(child)?;
    let began = Instant::now();
    loop {
        match lines.recv_timeout(Duration::from_millis(50)) {
            Ok(line) => match line.strip_prefix('@') {
                Some(request) => {
                    let file = request.strip_prefix("import ").with_context(|| {
                        format!("the driver asked for `@{request}`, which is for chaos")
                    })?;
                    import(file)?;
                    writeln!(stdin, "done")?;
                    stdin.flush()?;
                }
                None => print_line(line),
            },
            Err(RecvTimeoutError::Timeout) => {
                context.interrupt.check()?;
                alive()?;
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
    alive()
}
