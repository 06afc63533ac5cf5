//! Questions that are asked at the same time are asked together: while one batch is under way the
//! next one gathers, so that a crowd costs few round trips and a single caller waits for nobody.
//! A crowd large enough does not wait for the batch before it.
//! Must never keep an answer for a later question (it is no cache) nor gather without bound.
//! Called by `redis` and by the backend's look-ups of callers.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::lifecycle::Lifecycle;

/// How long a batch may keep the next ones waiting; a slow one is then left to itself and the
/// questions behind it go on without it.
const PATIENCE: Duration = Duration::from_millis(50);

/// Asks a whole batch: one answer a question, in the same order.
type Ask<Q, A> = dyn Fn(Vec<Q>) -> Pin<Box<dyn Future<Output = Vec<A>> + Send>> + Send + Sync;

/// A place where questions gather; clones share it. No task lives while nobody asks.
pub struct Together<Q, A>(Arc<Inner<Q, A>>);

struct Inner<Q, A> {
    ask: Box<Ask<Q, A>>,
    limits: Limits,
    lifecycle: Lifecycle,
    gathered: Mutex<Gathered<Q, A>>,
}

/// How much may gather.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most questions that wait; one more is refused.
    pub waiting_max: usize,
    /// Most questions of one batch.
    pub batch_max: usize,
    /// So many that wait are asked although a batch is under way.
    pub crowd_min: usize,
    /// Most batches that are under way because of that.
    pub batches_max: usize,
}

struct Gathered<Q, A> {
    waiting: VecDeque<Asked<Q, A>>,
    /// Turns that exist: somebody is about to take what waits.
    turns: usize,
}

struct Asked<Q, A> {
    question: Q,
    answer: Option<oneshot::Sender<A>>,
}

/// Why a question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Too many wait already.
    #[error("too many wait already")]
    Crowded,
    /// The batch was cut: the process ends, or asking panicked.
    #[error("the asking was cut short")]
    Cut,
}

impl<Q, A> Clone for Together<Q, A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Q, A> std::fmt::Debug for Together<Q, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Together")
    }
}

impl<Q: Send + 'static, A: Send + 'static> Together<Q, A> {
    /// A place whose batches are asked by `ask`, as errands of `lifecycle`.
    pub fn new<F, R>(lifecycle: Lifecycle, limits: Limits, ask: F) -> Self
    where
        F: Fn(Vec<Q>) -> R + Send + Sync + 'static,
        R: Future<Output = Vec<A>> + Send + 'static,
    {
        Self(Arc::new(Inner {
            ask: Box::new(move |questions| Box::pin(ask(questions))),
            limits,
            lifecycle,
            gathered: Mutex::new(Gathered {
                waiting: VecDeque::new(),
                turns: 0,
            }),
        }))
    }

    /// Puts a question and waits for its answer.
    pub async fn ask(&self, question: Q) -> Result<A, Unanswered> {
        let (sender, receiver) = oneshot::channel();
        if !self.put(question, Some(sender)) {
            return Err(Unanswered::Crowded);
        }
        receiver.await.map_err(|_| Unanswered::Cut)
    }

    /// Puts a question whose answer nobody waits for; `false` when it was refused.
    #[must_use]
    pub fn tell(&self, question: Q) -> bool {
        self.put(question, None)
    }

    fn put(&self, question: Q, answer: Option<oneshot::Sender<A>>) -> bool {
        let limits = self.0.limits;
        let is_turn_due = {
            let mut gathered = self.0.gathered();
            if gathered.waiting.len() >= limits.waiting_max {
                return false;
            }
            gathered.waiting.push_back(Asked { question, answer });
            let is_crowd = gathered.waiting.len() >= limits.crowd_min;
            let is_turn_due =
                gathered.turns == 0 || (is_crowd && gathered.turns < limits.batches_max);
            gathered.turns += usize::from(is_turn_due);
            is_turn_due
        };
        if is_turn_due {
            self.serve();
        }
        true
    }

    /// Starts an errand that asks until nothing waits.
    fn serve(&self) {
        let mut turn = Turn {
            inner: Arc::clone(&self.0),
            is_held: true,
        };
        let here = self.clone();
        self.0.lifecycle.spawn_errand(async move {
            // whoever is ready to ask as well does so first
            tokio::task::yield_now().await;
            while turn.is_held {
                let Some(batch) = turn.take() else { return };
                let (questions, answers): (Vec<Q>, Vec<_>) = batch
                    .into_iter()
                    .map(|asked| (asked.question, asked.answer))
                    .unzip();
                let mut asking = pin!((here.0.ask)(questions));
                let answered = tokio::select! {
                    biased;
                    answered = &mut asking => answered,
                    () = tokio::time::sleep(PATIENCE) => {
                        if turn.give_up() {
                            here.serve();
                        }
                        asking.await
                    }
                };
                for (sender, answer) in answers.into_iter().zip(answered) {
                    if let Some(sender) = sender {
                        // who gave up waiting needs no answer
                        drop(sender.send(answer));
                    }
                }
            }
        });
    }
}

impl<Q, A> Inner<Q, A> {
    fn gathered(&self) -> MutexGuard<'_, Gathered<Q, A>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to take what waits. The last one, dropped while held (a panic, the end of the process),
/// cuts whoever waits instead of leaving them for ever.
struct Turn<Q, A> {
    inner: Arc<Inner<Q, A>>,
    is_held: bool,
}

impl<Q, A> Turn<Q, A> {
    /// The next batch; ends the turn when nothing waits.
    fn take(&mut self) -> Option<Vec<Asked<Q, A>>> {
        let mut gathered = self.inner.gathered();
        if gathered.waiting.is_empty() {
            gathered.turns -= 1;
            self.is_held = false;
            return None;
        }
        let count = gathered.waiting.len().min(self.inner.limits.batch_max);
        Some(gathered.waiting.drain(..count).collect())
    }

    /// Ends the turn early; says whether somebody waits, for whom the next one must be started.
    fn give_up(&mut self) -> bool {
        self.is_held = false;
        let mut gathered = self.inner.gathered();
        gathered.turns -= 1;
        let is_turn_due = gathered.turns == 0 && !gathered.waiting.is_empty();
        gathered.turns += usize::from(is_turn_due);
        is_turn_due
    }
}

impl<Q, A> Drop for Turn<Q, A> {
    fn drop(&mut self) {
        if self.is_held {
            let mut gathered = self.inner.gathered();
            gathered.turns -= 1;
            if gathered.turns == 0 {
                gathered.waiting.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    const LIMITS: Limits = Limits {
        waiting_max: 8,
        batch_max: 4,
        crowd_min: 8,
        batches_max: 1,
    };

    /// Doubles numbers, one permit a batch, and notes how large the batches were.
    fn doubling(gate: &Arc<Semaphore>, sizes: &Arc<Mutex<Vec<usize>>>) -> Together<u32, u32> {
        let (gate, sizes) = (Arc::clone(gate), Arc::clone(sizes));
        Together::new(Lifecycle::new(), LIMITS, move |questions: Vec<u32>| {
            let (gate, sizes) = (Arc::clone(&gate), Arc::clone(&sizes));
            async move {
                sizes.lock().unwrap().push(questions.len());
                gate.acquire().await.unwrap().forget();
                questions.into_iter().map(|n| n * 2).collect()
            }
        })
    }

    #[tokio::test]
    async fn everyone_who_waits_gets_their_own_answer() {
        let (gate, sizes) = (Arc::new(Semaphore::new(100)), Arc::default());
        let numbers = doubling(&gate, &sizes);
        let answers = join_all((0..6).map(|n| numbers.ask(n))).await;
        assert_eq!(answers, [0, 2, 4, 6, 8, 10].map(Ok));
        assert_eq!(*sizes.lock().unwrap(), [4, 2]);
        assert_eq!(numbers.ask(9).await, Ok(18));
    }

    #[tokio::test]
    async fn a_crowd_does_not_wait_for_the_batch_before_it() {
        let (gate, sizes) = (Arc::new(Semaphore::new(0)), Arc::default());
        let mut numbers = doubling(&gate, &sizes);
        let crowds = Limits {
            crowd_min: 3,
            batches_max: 2,
            ..LIMITS
        };
        if let Some(inner) = Arc::get_mut(&mut numbers.0) {
            inner.limits = crowds;
        }
        let batches = async |count: usize| {
            while sizes.lock().unwrap().len() < count {
                tokio::task::yield_now().await;
            }
        };
        assert!(numbers.tell(1));
        batches(1).await;
        // two are no crowd, three are, and a third batch has to wait
        assert!((2..4).all(|n| numbers.tell(n)));
        tokio::task::yield_now().await;
        assert_eq!(*sizes.lock().unwrap(), [1]);
        assert!(numbers.tell(4));
        batches(2).await;
        assert!((5..9).all(|n| numbers.tell(n)));
        tokio::task::yield_now().await;
        assert_eq!(*sizes.lock().unwrap(), [1, 3]);
        gate.add_permits(100);
        batches(3).await;
        assert_eq!(*sizes.lock().unwrap(), [1, 3, 4]);
    }

    #[tokio::test]
    async fn one_too_many_is_refused_and_nothing_grows() {
        let (gate, sizes) = (Arc::new(Semaphore::new(0)), Arc::default());
        let numbers = doubling(&gate, &sizes);
        assert!((0..8).all(|n| numbers.tell(n)));
        assert!(!numbers.tell(8));
        assert_eq!(numbers.ask(8).await, Err(Unanswered::Crowded));
        gate.add_permits(100);
        // what was refused is forgotten, what was taken is answered
        while !numbers.tell(9) {
            tokio::task::yield_now().await;
        }
        assert_eq!(numbers.ask(10).await, Ok(20));
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_hangs_holds_nobody_else_up() {
        let (gate, sizes) = (Arc::new(Semaphore::new(0)), Arc::default());
        let numbers = doubling(&gate, &sizes);
        let first = numbers.ask(1);
        let second = async {
            while sizes.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            numbers.ask(2).await
        };
        let released = async {
            while sizes.lock().unwrap().len() < 2 {
                tokio::time::sleep(PATIENCE).await;
            }
            gate.add_permits(2);
        };
        let (first, second, ()) = tokio::join!(first, second, released);
        assert_eq!((first, second), (Ok(2), Ok(4)));
    }

    #[tokio::test]
    async fn a_panic_while_asking_cuts_who_waits_and_the_next_is_asked_again() {
        let panicking = Together::new(Lifecycle::new(), LIMITS, |questions: Vec<u32>| async move {
            assert!(!questions.contains(&13), "unlucky");
            questions
        });
        assert_eq!(panicking.ask(13).await, Err(Unanswered::Cut));
        assert_eq!(panicking.ask(14).await, Ok(14));
    }
}
