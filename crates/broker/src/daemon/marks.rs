//! The thread that gives the store's database its mark each second (see [`twofa_store::Mark`]), and says when that fails or
//! the clocks differ. A store in a file has no marks.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::lazy_store::LazyStore;
use crate::process::log;
use crate::sending::notices::Wakeup;
use crate::text::messages::log_lines;

/// How often a mark is given.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often at most the log says the same again.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);
/// How far the clocks may differ until the log says so, in seconds.
const NEAR_CLOCK: i64 = 5;

/// Starts the thread. It ends with `end`.
pub(super) fn start(store: Arc<LazyStore>, end: Arc<Wakeup>) -> io::Result<()> {
    let giver = thread::Builder::new().name("marks".to_owned());
    giver.spawn(move || keep_giving(&store, &end)).map(drop)
}

fn keep_giving(store: &LazyStore, end: &Wakeup) {
    let mut warned_at: Option<Instant> = None;
    while end.wait(INTERVAL) {
        let now = Instant::now();
        let is_due = |at: Instant| now.saturating_duration_since(at) >= WARNING_INTERVAL;
        match warning(store) {
            Some(warning) if warned_at.is_none_or(is_due) => {
                log::warn(&warning);
                warned_at = Some(now);
            }
            Some(_) => {}
            // What comes up next is said at once.
            None => warned_at = None,
        }
    }
}

/// Gives a mark, and returns what administrators should know.
fn warning(store: &LazyStore) -> Option<String> {
    let broker = store.if_open()?;
    if let Err(error) = broker.store().give_mark(broker.services().now()) {
        return Some(log_lines::no_mark(&error));
    }
    let ahead = broker.store().clock_ahead();
    (ahead.abs() > NEAR_CLOCK).then(|| log_lines::clocks_differ(ahead))
}
