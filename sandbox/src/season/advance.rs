//! Time: waits until nothing moves any more, then moves the clock to whatever comes next. Never
//! skips work that is due, and never waits for ever: what is still busy after the bound is named.
//! Called by the stages.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use chrono::{DateTime, TimeDelta, Utc};

use super::chaos::{Chaos, Stage};
use super::clock::ClockFile;
use super::net::{Idle, Net, NextDue};
use super::say::Say;

/// Pause between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// Looks in a row that must find nothing to do.
const QUIET_LOOKS: u32 = 2;
/// Longest real time until everything due is done.
const SETTLE_SECONDS_MAX: u64 = 90;
/// The same while processes are killed and answers lost.
const SETTLE_CHAOS_SECONDS_MAX: u64 = 180;
/// After this long in one place a person is told what is busy.
const SETTLE_TELL_SECONDS: u64 = 10;

/// What the stages share.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) net: Net,
    pub(crate) clock: ClockFile,
    pub(crate) chaos: Chaos,
    pub(crate) say: Say,
    pub(crate) jumps: u32,
}

impl Driver {
    /// Waits until nothing is due, twice in a row; then says when something will be.
    pub(crate) async fn settle(&self) -> anyhow::Result<Option<DateTime<Utc>>> {
        let seconds_max = if self.chaos.is_on() {
            SETTLE_CHAOS_SECONDS_MAX
        } else {
            SETTLE_SECONDS_MAX
        };
        let began = Instant::now();
        let mut told_at = SETTLE_TELL_SECONDS;
        let mut quiet = 0;
        let mut pause = LOOK_PAUSE;
        loop {
            let looked = self.look().await;
            match &looked {
                Ok((idle, due)) if self.is_quiet(idle, due) => {
                    quiet += 1;
                    pause = LOOK_PAUSE;
                    if quiet >= QUIET_LOOKS {
                        return Ok(earliest(idle.next_urgent, due.next_due));
                    }
                }
                _ => quiet = 0,
            }
            let waited = began.elapsed();
            if waited > Duration::from_secs(told_at) {
                told_at += SETTLE_TELL_SECONDS;
                let text = format!(
                    "{} s at {}: {}",
                    waited.as_secs(),
                    self.clock.now(),
                    busy(&looked)
                );
                self.say.progress("waiting", &text);
            }
            if waited > Duration::from_secs(seconds_max) {
                bail!(
                    "still busy after {seconds_max} s at {}: {}",
                    self.clock.now(),
                    busy(&looked)
                );
            }
            tokio::time::sleep(pause).await;
            pause = (pause + Duration::from_millis(5)).min(Duration::from_millis(60));
        }
    }

    async fn look(&self) -> anyhow::Result<(Idle, NextDue)> {
        let due = self.net.next_due().await?;
        let idle = self.net.idle().await?;
        Ok((idle, due))
    }

    fn is_quiet(&self, idle: &Idle, due: &NextDue) -> bool {
        // a backend that has not read the new instant yet is judged by it as soon as it has
        idle.is_quiet && due.overdue == 0 && idle.at >= self.clock.now()
    }

    /// Lets time pass until `target`: settles, moves to the next thing due (`grain` later at the
    /// earliest, so that things close together are met together), and settles again.
    pub(crate) async fn advance_to(
        &mut self,
        target: DateTime<Utc>,
        grain: TimeDelta,
        stage: Stage,
    ) -> anyhow::Result<()> {
        self.advance_while(target, grain, stage, || true).await
    }

    /// The same as long as `may_go_on` says so, which is asked before every move: whatever is due
    /// by then is done, and nothing more becomes due.
    pub(crate) async fn advance_while(
        &mut self,
        target: DateTime<Utc>,
        grain: TimeDelta,
        stage: Stage,
        may_go_on: impl Fn() -> bool + Send,
    ) -> anyhow::Result<()> {
        loop {
            let next = self
                .settle()
                .await
                .with_context(|| format!("in the {stage:?} stage"))?;
            let now = self.clock.now();
            if now >= target || !may_go_on() {
                return Ok(());
            }
            let soonest = now.checked_add_signed(grain).unwrap_or(target);
            let jump = next
                .filter(|next| *next < target)
                .map_or(target, |next| next.max(soonest));
            self.clock.set(jump.min(target))?;
            self.jumps += 1;
            self.chaos.jumped(stage).await?;
        }
    }
}

fn earliest(a: Option<DateTime<Utc>>, b: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    a.into_iter().chain(b).min()
}

/// What is not done yet, in words.
fn busy(looked: &anyhow::Result<(Idle, NextDue)>) -> String {
    match looked {
        Err(error) => format!("the backend does not answer: {error:#}"),
        Ok((idle, due)) => {
            let work: Vec<String> = idle
                .work_now
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(_, count)| count.as_i64() != Some(0))
                .map(|(name, count)| format!("{name} {count}"))
                .collect();
            format!(
                "backend [{}], sandbox [{} overdue]",
                work.join(", "),
                due.overdue
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_busy_is_named_and_what_is_not_is_left_out() {
        let at = DateTime::<Utc>::UNIX_EPOCH;
        let idle = Idle {
            at,
            is_quiet: false,
            work_now: json!({"outbox": 3, "receipts": 0}),
            next_urgent: None,
        };
        let looked = Ok((
            idle,
            NextDue {
                next_due: None,
                overdue: 2,
            },
        ));
        assert_eq!(busy(&looked), "backend [outbox 3], sandbox [2 overdue]");
        assert_eq!(earliest(None, Some(at)), Some(at));
    }
}
