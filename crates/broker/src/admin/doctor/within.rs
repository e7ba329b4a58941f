//! Examines parts of the machine one after the other, each within a time. A file system, a name service or a program can
//! hang for good, and the doctor is called when something does.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::finding::{Finding, Part};

/// How long most parts may take.
pub(super) const USUAL: Duration = Duration::from_secs(20);
/// How long it may take to read all of the store, which can be large.
pub(super) const LARGE: Duration = Duration::from_secs(60);
/// How long all parts may take together.
const TOTAL: Duration = Duration::from_secs(120);

/// The time that is left for an examination.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeLeft(Instant);

impl TimeLeft {
    /// All of it.
    pub(super) fn start() -> Self {
        Self(Instant::now() + TOTAL)
    }

    /// What `examine` returns, unless that takes longer than `limit`: then its thread is left behind. The error says that
    /// `part` could not be examined.
    pub(super) fn within<T: Send + 'static>(
        self,
        part: Part,
        limit: Duration,
        examine: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Finding> {
        let limit = limit.min(self.0.saturating_duration_since(Instant::now()));
        let (result, awaited) = mpsc::sync_channel(1);
        let started = thread::Builder::new().spawn(move || {
            // Nobody waits for what comes too late.
            let _ = result.send(examine());
        });
        let error = match started.map(|_| awaited.recv_timeout(limit)) {
            Ok(Ok(result)) => return Ok(result),
            Ok(Err(RecvTimeoutError::Timeout)) if limit.is_zero() => {
                "the parts before it took too long".to_owned()
            }
            Ok(Err(RecvTimeoutError::Timeout)) => {
                format!("this did not finish within {} seconds", limit.as_secs())
            }
            Ok(Err(RecvTimeoutError::Disconnected)) => "the examination broke off".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(Finding::NotExamined { part, error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_hangs_or_breaks_off_is_named_and_the_others_are_examined() {
        let time = TimeLeft::start();
        let (held, holds) = mpsc::channel::<()>();
        let hangs = time.within(Part::Rules, Duration::from_millis(1), move || holds.recv());
        let not_examined = |part, error: &str| {
            let error = error.to_owned();
            Finding::NotExamined { part, error }
        };
        let hung = not_examined(Part::Rules, "this did not finish within 0 seconds");
        assert_eq!(hangs, Err(hung));
        drop(held);
        let breaks: Result<(), _> =
            time.within(Part::Log, USUAL, || std::panic::resume_unwind(Box::new(())));
        assert_eq!(
            breaks,
            Err(not_examined(Part::Log, "the examination broke off"))
        );
        assert_eq!(time.within(Part::People, USUAL, || 1), Ok(1));
        let over = TimeLeft(Instant::now());
        let late = over.within(Part::Log, USUAL, || {
            loop {
                thread::park();
            }
        });
        assert_eq!(
            late,
            Err(not_examined(Part::Log, "the parts before it took too long"))
        );
    }
}
