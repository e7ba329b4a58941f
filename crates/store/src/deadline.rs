//! How long a request waits for a database on a server: its calls together, not each. Those who serve the request say until when
//! somebody waits for it, and a call that would take longer fails as one that was not answered.
//!
//! It belongs to the thread, as a request does while it is served: no statement takes part in it. A commit that was sent before it
//! passed is not cancelled, and counts as not done.

use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    static UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Runs `work`, which waits for the database until `deadline` at most.
pub fn within<T>(deadline: Instant, work: impl FnOnce() -> T) -> T {
    let _outer = Outer(UNTIL.replace(Some(deadline)));
    work()
}

/// Gives what [`within`] runs on this thread a new deadline, since a person has answered meanwhile.
pub fn begin_again(deadline: Instant) {
    UNTIL.set(UNTIL.get().map(|_| deadline));
}

/// What is left of `most`.
pub(crate) fn left(most: Duration) -> Duration {
    UNTIL.get().map_or(most, |until| {
        until.saturating_duration_since(Instant::now()).min(most)
    })
}

/// The deadline that holds again afterwards.
struct Outer(Option<Instant>);

impl Drop for Outer {
    fn drop(&mut self) {
        UNTIL.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_secs(5);

    #[test]
    fn a_deadline_holds_for_what_runs_within_it_and_begins_again_with_an_answer() {
        let (past, later) = (Instant::now(), Instant::now() + Duration::from_secs(3_600));
        assert_eq!(left(MOST), MOST);
        begin_again(past);
        assert_eq!(left(MOST), MOST, "nobody waits for it");
        within(past, || {
            assert!(left(MOST).is_zero());
            within(later, || assert_eq!(left(MOST), MOST));
            assert!(left(MOST).is_zero());
            begin_again(later);
            assert_eq!(left(MOST), MOST);
        });
        assert_eq!(left(MOST), MOST);
    }
}
