//! The life of a process: its tasks, the signals that end it, the drain and the exit code.
//! The one place that may spawn; a task that ends while the process should live is a fault that
//! stops the process, so nothing ever idles half-dead. Called by every `main`.

use std::fmt::Display;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Time to finish work in flight after the first signal; orchestrators kill at 30 s.
pub const DRAIN_SECONDS_MAX: u64 = 25;

/// Why a process must exit with code 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fatal(String);

/// Tasks and tokens of one process; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    fault: Mutex<Option<String>>,
}

impl Lifecycle {
    /// A life without signals: tests, or before [`Lifecycle::obey_signals`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// SIGTERM or SIGINT asks the tasks to stop; a second one, or 25 s, cuts them.
    pub fn obey_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let life = self.clone();
        detach(async move {
            let mut wait = async || {
                tokio::select! {
                    _ = terminate.recv() => (),
                    _ = interrupt.recv() => (),
                }
            };
            wait().await;
            tracing::info!("asked to stop, finishing what is in flight");
            life.stop();
            wait().await;
            tracing::warn!("asked twice, stopping at once");
            life.0.hard.cancel();
        });
        Ok(())
    }

    /// Runs a task that must live as long as the process. Ending early, by an error, by a panic
    /// or by simply returning, stops the process with exit code 1.
    pub fn spawn<F, E>(&self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        let life = self.clone();
        detach(self.0.tasks.track_future(async move {
            let guarded = AssertUnwindSafe(task).catch_unwind();
            let ended = tokio::select! {
                ended = guarded => ended,
                () = life.0.hard.cancelled() => return,
            };
            match ended {
                Ok(Ok(())) if life.is_stopping() => {}
                Ok(Ok(())) => life.fail(&format!("{name} ended although nobody asked it to")),
                Ok(Err(error)) => life.fail(&format!("{name} failed: {error}")),
                Err(_) => life.fail(&format!("{name} panicked")),
            }
        }));
    }

    /// Runs a short errand that nobody waits for but the drain does (a cache write).
    pub fn spawn_errand<F>(&self, errand: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let life = self.clone();
        detach(self.0.tasks.track_future(async move {
            tokio::select! {
                () = errand => (),
                () = life.0.hard.cancelled() => (),
            }
        }));
    }

    /// Runs what ends by itself soon after the process is asked to stop (a connection); the drain
    /// waits for it.
    pub fn spawn_ending<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        detach(self.0.tasks.track_future(task));
    }

    /// Runs something that must outlive the drain and is cut at the very end: the health port.
    pub fn spawn_last<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let life = self.clone();
        detach(async move {
            tokio::select! {
                () = task => (),
                () = life.0.hard.cancelled() => (),
            }
        });
    }

    /// Asks everything to stop.
    pub fn stop(&self) {
        self.0.soft.cancel();
    }

    /// Whether the process was asked to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.soft.is_cancelled()
    }

    /// Resolves when the process is asked to stop.
    pub async fn stopping(&self) {
        self.0.soft.cancelled().await;
    }

    /// Waits `for_how_long`, or less when the process is asked to stop; says whether to go on.
    pub async fn pause(&self, for_how_long: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(for_how_long) => !self.is_stopping(),
            () = self.stopping() => false,
        }
    }

    /// Waits for the request to stop and for the tasks to drain; `Err` means exit code 1.
    pub async fn finish(&self) -> Result<(), Fatal> {
        self.stopping().await;
        self.0.tasks.close();
        let drained = tokio::select! {
            () = self.0.tasks.wait() => true,
            () = self.0.hard.cancelled() => false,
            () = tokio::time::sleep(Duration::from_secs(DRAIN_SECONDS_MAX)) => false,
        };
        self.0.hard.cancel();
        let fault = self
            .0
            .fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match fault {
            Some(fault) => Err(Fatal(fault)),
            None if drained => Ok(()),
            None => Err(Fatal("work in flight was cut short".to_owned())),
        }
    }

    fn fail(&self, fault: &str) {
        tracing::error!(fault, "stopping the process");
        self.0
            .fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(|| fault.to_owned());
        self.stop();
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
fn detach<F>(future: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    drop(tokio::spawn(future));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_early_ends_the_process_with_a_fault() {
        let life = Lifecycle::new();
        life.spawn("loop", async { Ok::<(), String>(()) });
        let fatal = life.finish().await.unwrap_err();
        assert_eq!(fatal.to_string(), "loop ended although nobody asked it to");
    }

    #[tokio::test]
    async fn a_panic_is_a_fault_too() {
        let life = Lifecycle::new();
        life.spawn("loop", async {
            if life_is_hard() {
                panic!("boom")
            } else {
                Ok::<(), String>(())
            }
        });
        assert_eq!(
            life.finish().await.unwrap_err().to_string(),
            "loop panicked"
        );
    }

    fn life_is_hard() -> bool {
        true
    }

    #[tokio::test]
    async fn work_in_flight_is_finished_before_the_end() {
        let life = Lifecycle::new();
        let done = Arc::new(Mutex::new(false));
        let (seen, told) = (done.clone(), life.clone());
        life.spawn("loop", async move {
            told.stopping().await;
            tokio::task::yield_now().await;
            *seen.lock().unwrap() = true;
            Ok::<(), String>(())
        });
        life.stop();
        life.finish().await.unwrap();
        assert!(*done.lock().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_task_is_cut_after_the_drain() {
        let life = Lifecycle::new();
        life.spawn("loop", std::future::pending::<Result<(), String>>());
        life.stop();
        assert!(life.finish().await.is_err());
    }
}
