//! Queries to modules of the name service, which may hang.
//!
//! A module can hang for minutes (sssd's waits five minutes for its daemon), and nothing can interrupt it. So it is called
//! on a thread of its own. A source with many overdue answers is not queried again, so that threads do not pile up. The
//! limit is high, because one name that is slow to look up says little about another.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The longest wait for the name service, once for an account and once for its groups. The PAM module waits 20 s for a
/// message of the broker.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes; enough for modules, which are written for the 8 MiB of a main thread but keep large data on the heap.
const STACK_SIZE: usize = 1 << 20;

/// A source with this many overdue answers is not queried again until one has arrived.
const MAX_OVERDUE: usize = 32;

/// [`MAX_OVERDUE`], unless this process has said otherwise.
static MAX: AtomicUsize = AtomicUsize::new(MAX_OVERDUE);

/// From now on, a source with one overdue answer is not queried again. For a process that asks about everybody and then ends:
/// otherwise it waits for each of them.
pub fn stop_asking_overdue_sources() {
    MAX.store(1, Ordering::Relaxed);
}

/// A query without an answer yet.
struct Open {
    id: u64,
    source: String,
    deadline: Instant,
}

static OPEN: Mutex<Vec<Open>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

fn open() -> MutexGuard<'static, Vec<Open>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the query when its thread ends, even by a panic.
struct Ended(u64);

impl Drop for Ended {
    fn drop(&mut self) {
        open().retain(|question| question.id != self.0);
    }
}

/// An answer that is awaited.
pub(crate) struct Pending<T> {
    answered: Receiver<T>,
    deadline: Instant,
}

/// Queries `source`, for an answer by `deadline`. Fails with the reason.
pub(crate) fn start<T: Send + 'static>(
    source: &str,
    deadline: Instant,
    question: impl FnOnce() -> T + Send + 'static,
) -> Result<Pending<T>, String> {
    let ended = register(source, deadline)?;
    let (answer, answered) = mpsc::sync_channel(1);
    let asking = thread::Builder::new()
        .name(format!("nss {source}"))
        .stack_size(STACK_SIZE)
        .spawn(move || {
            let ended = ended;
            let value = question();
            // Before the answer is sent, so that the next query finds this one gone.
            drop(ended);
            let _ = answer.send(value);
        });
    asking.map_err(|error| format!("cannot start a thread for it: {error}"))?;
    Ok(Pending { answered, deadline })
}

fn register(source: &str, deadline: Instant) -> Result<Ended, String> {
    let mut open = open();
    let now = Instant::now();
    let overdue = open
        .iter()
        .filter(|earlier| earlier.source == source && earlier.deadline <= now)
        .count();
    if overdue >= MAX.load(Ordering::Relaxed) {
        return Err(format!("{overdue} earlier questions are not answered yet"));
    }
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    open.push(Open {
        id,
        source: source.to_owned(),
        deadline,
    });
    Ok(Ended(id))
}

impl<T> Pending<T> {
    /// Waits for the answer. Fails with the reason.
    pub(crate) fn wait(self) -> Result<T, String> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.answered
            .recv_timeout(left)
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => format!("no answer within {} s", TIMEOUT.as_secs()),
                RecvTimeoutError::Disconnected => "asking it failed".to_owned(),
            })
    }
}

/// Queries `source` and waits for its answer until `deadline`.
pub(crate) fn query<T: Send + 'static>(
    source: &str,
    deadline: Instant,
    question: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    start(source, deadline, question)?.wait()
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
        for _ in 0..MAX_OVERDUE {
            assert_eq!(
                query(source, Instant::now(), hang()),
                Err("no answer within 5 s".to_owned())
            );
        }
        let soon = || Instant::now() + TIMEOUT;
        assert_eq!(
            query(source, soon(), || 1),
            Err("32 earlier questions are not answered yet".to_owned())
        );
        assert_eq!(query("another", soon(), || 2), Ok(2));
        drop(let_go);
        while query(source, soon(), || 3) != Ok(3) {
            thread::yield_now();
        }
    }

    #[test]
    fn a_query_that_panics_is_no_answer_and_does_not_stay_open() {
        let soon = Instant::now() + TIMEOUT;
        let answer: Result<(), _> =
            query("panics", soon, || std::panic::resume_unwind(Box::new(())));
        assert!(answer.is_err());
        assert_eq!(query("panics", soon, || 1), Ok(1));
    }
}
