//! The same work for many things, as many at once as the machine has processors. Ends when all of it
//! has; whoever may be interrupted looks at the flag between its steps. Called by folders and real.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// What `work` answers for each of `things`, in their order.
pub(super) fn each<T: Sync, R: Send>(things: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let lanes = thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..lanes.min(things.len()) {
            let tell = tell.clone();
            let (next, work) = (&next, &work);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(thing) = things.get(at) else { break };
                    if tell.send((at, work(thing))).is_err() {
                        break;
                    }
                }
            });
        }
    });
    drop(tell);
    let mut answers: Vec<(usize, R)> = told.into_iter().collect();
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_done_once_and_answered_in_order() {
        let done = AtomicUsize::new(0);
        let things: Vec<usize> = (0..100).collect();
        let answers = each(&things, |thing| {
            done.fetch_add(1, Ordering::Relaxed);
            thing * 2
        });
        assert_eq!(done.into_inner(), 100);
        assert_eq!(answers, (0..100).map(|at| at * 2).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_to_do_is_done_at_once() {
        assert!(each(&[], |(): &()| ()).is_empty());
    }
}
