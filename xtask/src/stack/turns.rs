//! Parts of a running system replaced one after another, each as an orchestrator replaces a pod: out of
//! the balancer, SIGTERM, its own drain, a new one, back. Never hides an end that came late or with
//! another code than 0: that fails whoever watches. Driven by `Stack::watch`.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::Signal;

use super::{READY_SECONDS_MAX, Running, Stack};
use crate::http;
use crate::process::Launch;
use crate::progress::tail;

/// Between a part that is back and the next one.
const REST: Duration = Duration::from_millis(150);
/// How long it is waited for somebody to be at work, so as to be asked in the middle of it.
const IDLE_MAX: Duration = Duration::from_millis(500);
/// What a process logs of each message it has handled.
const HANDLED: &str = "\"outcome\":\"done\"";
/// How many turns a busy part may be ahead of the others.
const AHEAD_MAX: usize = 2;

/// Whose turn it can be, and what it is given.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    /// Name of the part.
    pub(crate) name: String,
    /// A file that takes it out of the balancer while it exists; none for whom nobody calls.
    pub(crate) away: Option<PathBuf>,
    /// How long it still serves after that, as the manifests' preStop says.
    pub(crate) leave: Duration,
    /// How long it may take to end after SIGTERM.
    pub(crate) drain: Duration,
    /// It writes nothing of its work, but works whenever anybody does (the relay).
    pub(crate) is_hub: bool,
}

/// A part that was replaced.
#[derive(Clone, Debug)]
pub(crate) struct Replaced {
    /// Name of the part.
    pub(crate) name: String,
    /// From SIGTERM to its end.
    pub(crate) drained: Duration,
    /// Whether it was at work just before.
    pub(crate) was_at_work: bool,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Resting(Instant),
    Leaving(Instant),
    /// Whether it was at work.
    Draining(Instant, bool),
    Coming(Instant),
}

/// Everybody's turn, round after round.
#[derive(Debug)]
pub(crate) struct Turns {
    order: Vec<Turn>,
    at: usize,
    phase: Phase,
    /// Bytes of everybody's log at the last look: who has written of messages since is at work.
    logged: Vec<u64>,
    /// Who was replaced so far.
    pub(crate) replaced: Vec<Replaced>,
}

impl Turns {
    /// Nobody replaced yet.
    pub(crate) fn new(order: Vec<Turn>) -> Self {
        Self {
            logged: vec![0; order.len()],
            order,
            at: 0,
            phase: Phase::Resting(Instant::now()),
            replaced: Vec::new(),
        }
    }

    fn is_resting(&self) -> bool {
        matches!(self.phase, Phase::Resting(_))
    }

    /// Whether a part has written of a message since the last look at it.
    fn is_at_work(&mut self, stack: &Stack, at: usize) -> anyhow::Result<bool> {
        let (Some(turn), Some(logged)) = (self.order.get(at), self.logged.get_mut(at)) else {
            return Ok(false);
        };
        let mut log = fs::File::open(&stack.launch_of(&turn.name)?.log)?;
        log.seek(SeekFrom::Start(*logged))?;
        let mut fresh = Vec::new();
        let read = log.read_to_end(&mut fresh)?;
        *logged += u64::try_from(read)?;
        Ok(String::from_utf8_lossy(&fresh).contains(HANDLED))
    }

    /// Whose turn is next and whether it is at work: of those who had few, the first who is; after a
    /// while without work, whoever had fewest.
    fn next(&mut self, stack: &Stack, is_late: bool) -> anyhow::Result<Option<(usize, bool)>> {
        let had = |turn: &Turn| {
            self.replaced
                .iter()
                .filter(|one| one.name == turn.name)
                .count()
        };
        let mut turns: Vec<(usize, usize)> = self.order.iter().map(had).zip(0..).collect();
        // stable: equals stay in their order
        turns.sort_by_key(|(had, _)| *had);
        let fewest = turns.first().map_or(0, |(had, _)| *had);
        let mut at_work = vec![false; self.order.len()];
        for (at, is) in at_work.iter_mut().enumerate() {
            *is = self.is_at_work(stack, at)?;
        }
        let is_any = at_work.contains(&true);
        let is_busy = |at: usize| {
            let works = at_work.get(at) == Some(&true);
            // whoever is called leaves slowly, and comes when nobody else does
            let mut turn = self.order.get(at).into_iter();
            turn.any(|turn| turn.away.is_none() && (works || turn.is_hub && is_any))
        };
        let busy = turns
            .iter()
            .find(|(had, at)| *had <= fewest + AHEAD_MAX && is_busy(*at))
            .map(|(_, at)| (*at, true));
        let first = turns
            .first()
            .filter(|_| is_late)
            .map(|(_, at)| (*at, false));
        Ok(busy.or(first))
    }

    /// One look; never waits.
    fn step(&mut self, stack: &mut Stack) -> anyhow::Result<()> {
        let now = Instant::now();
        if let Phase::Resting(since) = self.phase {
            let next = self.next(stack, since + IDLE_MAX <= now)?;
            let Some((at, is_at_work)) = next.filter(|_| since + REST <= now) else {
                return Ok(());
            };
            self.at = at;
            let turn = self.order.get(at).context("nobody has a turn")?;
            if let Some(away) = &turn.away {
                fs::write(away, "")?;
                self.phase = Phase::Leaving(now);
            } else {
                stack.ask_to_stop(&turn.name)?;
                self.phase = Phase::Draining(now, is_at_work);
            }
            return Ok(());
        }
        let turn = self.order.get(self.at).context("nobody has a turn")?;
        match self.phase {
            Phase::Leaving(since) if since + turn.leave <= now => {
                stack.ask_to_stop(&turn.name)?;
                self.phase = Phase::Draining(Instant::now(), false);
            }
            Phase::Draining(since, was_at_work) => match stack.exit_of(&turn.name)? {
                Some(status) => {
                    let drained = since.elapsed();
                    ensure!(
                        status.success(),
                        "{} was asked to stop and ended with {status} after {:.1} s; its log ends:\n{}",
                        turn.name,
                        drained.as_secs_f32(),
                        stack.log_tail(&turn.name)
                    );
                    self.replaced.push(Replaced {
                        name: turn.name.clone(),
                        drained,
                        was_at_work,
                    });
                    stack.start_again(&turn.name)?;
                    self.phase = Phase::Coming(Instant::now());
                }
                None if since.elapsed() > turn.drain => bail!(
                    "{} had not ended {:.0} s after SIGTERM; its log ends:\n{}",
                    turn.name,
                    turn.drain.as_secs_f32(),
                    stack.log_tail(&turn.name)
                ),
                None => {}
            },
            Phase::Coming(since) => {
                if stack.is_ready(&turn.name)? {
                    if let Some(away) = &turn.away {
                        fs::remove_file(away)?;
                    }
                    self.phase = Phase::Resting(Instant::now());
                } else if since.elapsed() > Duration::from_secs(READY_SECONDS_MAX) {
                    bail!(
                        "{} did not come back; its log ends:\n{}",
                        turn.name,
                        stack.log_tail(&turn.name)
                    );
                }
            }
            Phase::Resting(_) | Phase::Leaving(_) => {}
        }
        Ok(())
    }
}

impl Stack {
    /// One look at everybody: turns go on, and an end nobody asked for is an error.
    pub(crate) fn watch(&mut self) -> anyhow::Result<()> {
        if let Some(mut turns) = self.turns.take() {
            let went = turns.step(self);
            self.turns = Some(turns);
            went?;
        }
        self.fail_on_exit()
    }

    /// Ends the turn that is under way, and returns who was replaced.
    pub(crate) fn end_turns(&mut self) -> anyhow::Result<Vec<Replaced>> {
        while self.turns.as_ref().is_some_and(|turns| !turns.is_resting()) {
            self.watch()?;
            self.context.interrupt.sleep(Duration::from_millis(50))?;
        }
        Ok(self
            .turns
            .take()
            .map(|turns| turns.replaced)
            .unwrap_or_default())
    }

    /// How a part was started.
    pub(crate) fn launch_of(&self, name: &str) -> anyhow::Result<&Launch> {
        self.part(name).map(|part| &part.launch)
    }

    /// SIGTERM; its end is no fault from now on.
    pub(crate) fn ask_to_stop(&mut self, name: &str) -> anyhow::Result<()> {
        let part = self.part_mut(name)?;
        part.is_leaving = true;
        part.process.identity.signal(Signal::TERM);
        Ok(())
    }

    /// Its end is no fault from now on, asked for or not.
    pub(crate) fn may_end(&mut self, name: &str) -> anyhow::Result<()> {
        self.part_mut(name)?.is_leaving = true;
        Ok(())
    }

    /// SIGKILL, without a word; its end is no fault.
    pub(crate) fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        let part = self.part_mut(name)?;
        part.is_leaving = true;
        part.process.kill_now();
        Ok(())
    }

    /// How a part ended, once it has.
    pub(crate) fn exit_of(&mut self, name: &str) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.part_mut(name)?.process.child.try_wait()?)
    }

    /// Starts a part that has ended once more, the same way.
    pub(crate) fn start_again(&mut self, name: &str) -> anyhow::Result<()> {
        let at = self
            .running
            .iter()
            .position(|part| part.launch.name == name);
        self.relaunch(at.with_context(|| format!("there is no process called {name:?}"))?)?;
        self.part_mut(name)?.is_leaving = false;
        Ok(())
    }

    /// Whether a part answers that it can serve.
    pub(crate) fn is_ready(&self, name: &str) -> anyhow::Result<bool> {
        let (port, path) = self.part(name)?.ready;
        Ok(http::status(port, path) == Some(200))
    }

    /// Takes a part that has ended out of the system.
    pub(crate) fn forget(&mut self, name: &str) {
        self.running.retain(|part| part.launch.name != name);
    }

    /// The end of a part's log.
    pub(crate) fn log_tail(&self, name: &str) -> String {
        self.part(name)
            .map(|part| tail(&part.launch.log, 15))
            .unwrap_or_default()
    }

    fn part(&self, name: &str) -> anyhow::Result<&Running> {
        let mut parts = self.running.iter();
        parts
            .find(|part| part.launch.name == name)
            .with_context(|| format!("there is no process called {name:?}"))
    }

    fn part_mut(&mut self, name: &str) -> anyhow::Result<&mut Running> {
        let mut parts = self.running.iter_mut();
        parts
            .find(|part| part.launch.name == name)
            .with_context(|| format!("there is no process called {name:?}"))
    }
}
