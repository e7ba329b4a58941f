//! Questions that may never be answered.
//!
//! A module of the name service can hang for minutes (sssd's waits five for its daemon), and nothing can break it off. So it
//! is asked on a thread of its own. While a source owes an answer for longer than anybody waits, it is not asked
//! again: neither threads nor waiting people pile up behind it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The longest that a person waits for the name service, in one look at their account and in one at their groups. The
/// PAM module waits 20 s for a message of the broker.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Enough for modules, which are written for the 8 MiB of a main thread but keep what is large on the heap.
const STACK: usize = 1 << 20;

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

/// Asks `source` and waits until `until`. Fails with the reason.
pub(crate) fn ask<T: Send + 'static>(
    source: &str,
    until: Instant,
    question: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    {
        let mut open = open();
        let now = Instant::now();
        if open.iter().any(|earlier| earlier.source == source && earlier.until <= now) {
            return Err("it still owes an earlier answer".to_owned());
        }
        open.push(Open { id, source: source.to_owned(), until });
    }
    let ended = Ended(id);
    let (answer, answered) = mpsc::sync_channel(1);
    let asking = thread::Builder::new().name(format!("nss {source}")).stack_size(STACK).spawn(move || {
        let ended = ended;
        let value = question();
        // Before anybody learns the answer, so that the next question finds this one gone.
        drop(ended);
        let _ = answer.send(value);
    });
    asking.map_err(|error| format!("cannot start a thread for it: {error}"))?;
    let left = until.saturating_duration_since(Instant::now());
    answered.recv_timeout(left).map_err(|error| match error {
        RecvTimeoutError::Timeout => format!("no answer within {} s", PATIENCE.as_secs()),
        RecvTimeoutError::Disconnected => "asking it failed".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_source_that_hangs_is_not_asked_again_until_it_has_answered() {
        let source = "hangs";
        let (let_go, held) = channel::<()>();
        let (done, is_done) = channel();
        let hanging = ask(source, Instant::now(), move || {
            let _ = held.recv();
            let _ = done.send(());
        });
        assert!(hanging.is_err());
        let soon = || Instant::now() + PATIENCE;
        assert_eq!(ask(source, soon(), || 1), Err("it still owes an earlier answer".to_owned()));
        assert_eq!(ask("another", soon(), || 2), Ok(2));
        let_go.send(()).unwrap();
        is_done.recv().unwrap();
        while open().iter().any(|question| question.source == source) {
            thread::yield_now();
        }
        assert_eq!(ask(source, soon(), || 3), Ok(3));
    }

    #[test]
    fn a_question_that_panics_is_no_answer_and_does_not_stay_open() {
        let soon = Instant::now() + PATIENCE;
        let answer: Result<(), _> = ask("panics", soon, || std::panic::resume_unwind(Box::new(())));
        assert!(answer.is_err());
        assert_eq!(ask("panics", soon, || 1), Ok(1));
    }
}
