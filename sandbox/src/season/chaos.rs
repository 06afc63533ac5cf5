//! Chaos on purpose: which process dies at which step, and the faults the sandbox is told to make.
//! Kill points follow from the seed and the step's number, never from wall time, so that a failing
//! seed fails again. Asks its supervisor on stdout and waits for `done` on stdin.
//! Called by the stages after each step.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::say;
use crate::draw;

/// Part of the season, for counting steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// People dial; a step is a farmer who has bought.
    Dialling,
    /// Payments arrive.
    Paying,
    /// The season passes.
    Growing,
    /// Windows have closed.
    Deciding,
    /// Payouts go out.
    Releasing,
}

const STAGES: usize = 5;
/// A blow falls this long after its step at most, ms: most work of a step takes longer.
const MOMENT_MS: u32 = 500;

impl Stage {
    fn position(self) -> usize {
        match self {
            Self::Dialling => 0,
            Self::Paying => 1,
            Self::Growing => 2,
            Self::Deciding => 3,
            Self::Releasing => 4,
        }
    }
}

/// What is asked of the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    Kill(&'static str),
    RestartBroker,
}

/// When each blow falls: stage, earliest step, and how many steps later at most by the seed.
const BLOWS: [(Stage, u32, u32, Blow); 15] = [
    (Stage::Dialling, 5, 10, Blow::Kill("backend")),
    (Stage::Dialling, 20, 15, Blow::Kill("relay")),
    (Stage::Dialling, 45, 30, Blow::Kill("backend")),
    (Stage::Paying, 1, 1, Blow::Kill("payout")),
    (Stage::Paying, 3, 2, Blow::Kill("notify")),
    (Stage::Paying, 6, 2, Blow::Kill("backend")),
    (Stage::Growing, 2, 2, Blow::Kill("weather")),
    (Stage::Growing, 4, 2, Blow::Kill("data-processor")),
    (Stage::Growing, 6, 2, Blow::RestartBroker),
    (Stage::Deciding, 1, 2, Blow::Kill("damage")),
    (Stage::Deciding, 4, 2, Blow::Kill("data-processor")),
    (Stage::Releasing, 1, 1, Blow::Kill("payout")),
    (Stage::Releasing, 2, 2, Blow::Kill("backend")),
    (Stage::Releasing, 4, 2, Blow::Kill("payout")),
    (Stage::Releasing, 6, 2, Blow::Kill("relay")),
];

/// Chaos, or its absence.
#[derive(Debug)]
pub(crate) struct Chaos {
    is_on: bool,
    seed: u64,
    kills: AtomicU32,
    restarts: AtomicU32,
    steps: [AtomicU32; STAGES],
    /// One request at a time: the answers carry no name.
    line: Mutex<()>,
}

impl Chaos {
    pub(crate) fn new(is_on: bool, seed: u64) -> Self {
        Self {
            is_on,
            seed,
            kills: AtomicU32::new(0),
            restarts: AtomicU32::new(0),
            steps: Default::default(),
            line: Mutex::new(()),
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Processes killed so far.
    pub(crate) fn kills(&self) -> u32 {
        self.kills.load(Ordering::Relaxed)
    }

    /// The faults the sandbox is to make, as its control API takes them.
    pub(crate) fn faults(&self) -> Value {
        json!({"seed": self.seed, "rates": {
            "lost_reply": 0.06, "http_500": 0.05, "http_429": 0.03, "repeat_callback": 0.25,
            "late_callback": 0.10, "reorder": 0.15, "never": 0.05}})
    }

    /// The clock was moved within a stage: a moment later, while the work it set off is under way,
    /// the blow of this step falls.
    pub(crate) async fn jumped(&self, stage: Stage) -> anyhow::Result<()> {
        if !self.is_on {
            return Ok(());
        }
        for (nth, blow) in self.due(stage) {
            let parts = [self.seed.to_string(), format!("{stage:?}"), nth.to_string()];
            let parts = [
                parts[0].as_str(),
                "moment",
                parts[1].as_str(),
                parts[2].as_str(),
            ];
            let moment = draw::below(MOMENT_MS, &parts);
            tokio::time::sleep(Duration::from_millis(u64::from(moment))).await;
            self.strike(blow).await?;
        }
        Ok(())
    }

    /// Counts a step and gives the blows that fall at it.
    fn due(&self, stage: Stage) -> Vec<(usize, Blow)> {
        let step = match self.steps.get(stage.position()) {
            Some(counter) => counter.fetch_add(1, Ordering::Relaxed) + 1,
            None => return Vec::new(),
        };
        BLOWS
            .iter()
            .enumerate()
            .filter(|(nth, (at, earliest, span, _))| {
                let later = draw::below(*span, &[&self.seed.to_string(), "blow", &nth.to_string()]);
                *at == stage && earliest + later == step
            })
            .map(|(nth, (_, _, _, blow))| (nth, *blow))
            .collect()
    }

    async fn strike(&self, blow: Blow) -> anyhow::Result<()> {
        let (request, counter) = match blow {
            Blow::Kill(role) => (format!("@kill {role}"), &self.kills),
            Blow::RestartBroker => ("@rabbit-restart".to_owned(), &self.restarts),
        };
        self.ask(&request).await?;
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Asks something of the supervisor and waits until it is done.
    pub(crate) async fn ask(&self, request: &str) -> anyhow::Result<()> {
        let _turn = self.line.lock().await;
        say::line(request);
        let answer = tokio::task::spawn_blocking(|| {
            let mut answer = String::new();
            std::io::stdin().read_line(&mut answer).map(|_| answer)
        })
        .await?
        .context("the supervisor's answer cannot be read")?;
        ensure!(
            answer.trim() == "done",
            "`{request}` was answered {answer:?}; --chaos and --history need a supervisor that \
             says `done`"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(seed: u64) -> Vec<(u32, Blow)> {
        let chaos = Chaos::new(true, seed);
        (1..=100)
            .flat_map(|step| {
                chaos
                    .due(Stage::Dialling)
                    .into_iter()
                    .map(move |(_, blow)| (step, blow))
            })
            .collect()
    }

    #[test]
    fn the_same_seed_kills_at_the_same_steps() {
        assert_eq!(schedule(7), schedule(7));
        assert_eq!(schedule(7).len(), 3, "every blow of the stage falls once");
        assert!((8..40).any(|seed| schedule(seed) != schedule(7)));
    }
}
