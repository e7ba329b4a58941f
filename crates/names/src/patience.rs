//! Questions that may never be answered.
//!
//! A module of the name service can hang for minutes (sssd's waits five for its daemon), and nothing can break it off. So it
//! is asked on a thread of its own. A source that owes many answers for longer than anybody waits is not asked again, so
//! that threads do not pile up. It takes many, because one name that is slow to look up says little about another.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The longest that a person waits for the name service, in one look at their account and in one at their groups. The
/// PAM module waits 20 s for a message of the broker.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Enough for modules, which are written for the 8 MiB of a main thread but keep what is large on the heap.
const STACK: usize = 1 << 20;

/// A source that owes so many overdue answers is not asked again until it has given one.
const MOST_OVERDUE: usize = 32;

/// A question that was asked and is not answered yet.
struct Open {
    id: u64,
    source: String,
    until: Instant,
}

static OPEN: Mutex<Vec<Open>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

fn open() -> MutexGuard<'static, Vec<Open>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the question when its thread does, whatever becomes of it.
struct Ended(u64);

impl Drop for Ended {
    fn drop(&mut self) {
        open().retain(|question| question.id != self.0);
    }
}

/// An answer that is on its way.
pub(crate) struct Pending<T> {
    answered: Receiver<T>,
    until: Instant,
}

/// Asks `source`; the answer is wanted until `until`. Fails with the reason.
pub(crate) fn start<T: Send + 'static>(
    source: &str,
    until: Instant,
    question: impl FnOnce() -> T + Send + 'static,
) -> Result<Pending<T>, String> {
    let ended = register(source, until)?;
    let (answer, answered) = mpsc::sync_channel(1);
    let asking = thread::Builder::new()
        .name(format!("nss {source}"))
        .stack_size(STACK)
        .spawn(move || {
            let ended = ended;
            let value = question();
            // Before anybody learns the answer, so that the next question finds this one gone.
            drop(ended);
            let _ = answer.send(value);
        });
    asking.map_err(|error| format!("cannot start a thread for it: {error}"))?;
    Ok(Pending { answered, until })
}

fn register(source: &str, until: Instant) -> Result<Ended, String> {
    let mut open = open();
    let now = Instant::now();
    let overdue = open
        .iter()
        .filter(|earlier| earlier.source == source && earlier.until <= now)
        .count();
    if overdue >= MOST_OVERDUE {
        return Err(format!("it still owes {overdue} earlier answers"));
    }
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    open.push(Open {
        id,
        source: source.to_owned(),
        until,
    });
    Ok(Ended(id))
}

impl<T> Pending<T> {
    /// Waits for the answer. Fails with the reason.
    pub(crate) fn wait(self) -> Result<T, String> {
        let left = self.until.saturating_duration_since(Instant::now());
        self.answered
            .recv_timeout(left)
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => format!("no answer within {} s", PATIENCE.as_secs()),
                RecvTimeoutError::Disconnected => "asking it failed".to_owned(),
            })
    }
}

/// Asks `source` and waits for its answer until `until`.
pub(crate) fn ask<T: Send + 'static>(
    source: &str,
    until: Instant,
    question: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    start(source, until, question)?.wait()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_source_that_hangs_is_asked_a_few_more_times_and_again_when_it_has_answered() {
        let source = "hangs";
        let (let_go, held) = mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let hang = || {
            let held = held.clone();
            move || drop(held.lock().map(|held| held.recv()))
        };
        for _ in 0..MOST_OVERDUE {
            assert_eq!(
                ask(source, Instant::now(), hang()),
                Err("no answer within 5 s".to_owned())
            );
        }
        let soon = || Instant::now() + PATIENCE;
        assert_eq!(
            ask(source, soon(), || 1),
            Err("it still owes 32 earlier answers".to_owned())
        );
        assert_eq!(ask("another", soon(), || 2), Ok(2));
        drop(let_go);
        while ask(source, soon(), || 3) != Ok(3) {
            thread::yield_now();
        }
    }

    #[test]
    fn a_question_that_panics_is_no_answer_and_does_not_stay_open() {
        let soon = Instant::now() + PATIENCE;
        let answer: Result<(), _> = ask("panics", soon, || std::panic::resume_unwind(Box::new(())));
        assert!(answer.is_err());
        assert_eq!(ask("panics", soon, || 1), Ok(1));
    }
}
