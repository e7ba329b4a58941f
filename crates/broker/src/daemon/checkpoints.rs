//! The thread that writes the checkpoints of the audit log, deletes old grants and records what was counted: at intervals, and when there is much to
//! seal.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::lazy_store::LazyStore;
use super::records;
use crate::journal::{self, Anchored};
use crate::process::log;
use crate::sending::notices::Wakeup;
use crate::text::messages::log_lines;

/// How long an event waits for its checkpoint at most.
const INTERVAL: Duration = Duration::from_secs(60);
/// How long an event in a database on a server waits for its place in the journal.
const ENTERING: Duration = Duration::from_secs(1);

/// Starts the thread. It ends with `wakeup`, and writes a checkpoint before its time when that wakes it.
pub(super) fn start(store: Arc<LazyStore>, wakeup: Arc<Wakeup>) -> io::Result<()> {
    let writer = thread::Builder::new().name("journal".to_owned());
    writer
        .spawn(move || keep_writing(&store, &wakeup, INTERVAL))
        .map(drop)
}

fn keep_writing(store: &LazyStore, wakeup: &Wakeup, interval: Duration) {
    loop {
        records::record_counts(store, false);
        write(store);
        prune_devices(store);
        if !wait(store, wakeup, interval) {
            return;
        }
    }
}

/// Waits until the interval is over or `wakeup` wakes, and meanwhile has events entered in the journal. Returns whether to go on.
fn wait(store: &LazyStore, wakeup: &Wakeup, interval: Duration) -> bool {
    let server = store.if_open().filter(|it| it.store().is_on_server());
    let Some(broker) = server else {
        return wakeup.wait(interval);
    };
    for _ in 0..INTERVAL.as_secs() / ENTERING.as_secs() {
        if let Err(error) = broker.store().enter_events() {
            log::warn(&log_lines::no_checkpoint(&error));
        }
        if !wakeup.wait(ENTERING) {
            return false;
        }
    }
    true
}

/// Writes a checkpoint if anything is in none, and removes events that are too old.
pub(super) fn write(store: &LazyStore) {
    let Some(broker) = store.if_open() else {
        return;
    };
    let now = broker.services().now();
    if let Err(error) = journal::catch_up(broker.store(), now, Anchored::AsLines) {
        log::warn(&log_lines::no_checkpoint(&error));
    }
}

/// Deletes some of the grants of trusted devices that are over.
fn prune_devices(store: &LazyStore) {
    let Some(broker) = store.if_open() else {
        return;
    };
    if let Err(error) = broker.store().prune_devices(broker.services().now()) {
        log::warn(&log_lines::grants_not_deleted(&error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::store_in;
    use std::time::Instant;
    use twofa_store::journal::SystemLog;
    use twofa_store::{Event, Origin};

    const HOUR: Duration = Duration::from_secs(3_600);

    /// Logs an event while the thread runs with `interval`, and waits until that is in a checkpoint.
    fn is_written(interval: Duration, wakes: bool) {
        let folder = tempfile::tempdir().unwrap();
        let store = LazyStore::new(store_in(folder.path()));
        let wakeup = Wakeup::default();
        let broker = store.open().unwrap();
        let unsealed = || {
            let verified = broker.store().verify_log(&SystemLog::default(), None);
            verified.unwrap().tail.events
        };
        thread::scope(|scope| {
            let writer = scope.spawn(|| keep_writing(&store, &wakeup, interval));
            for _ in 0..2 {
                let (origin, now) = (Origin::command_line(0), broker.services().now());
                broker
                    .store()
                    .record(None, &Event::Reset, &origin, now)
                    .unwrap();
                if wakes {
                    wakeup.wake();
                }
                let until = Instant::now() + HOUR / 60;
                while unsealed() > 0 && Instant::now() < until {
                    thread::yield_now();
                }
                assert_eq!(unsealed(), 0);
            }
            wakeup.end();
            writer.join().unwrap();
        });
    }

    #[test]
    fn an_event_gets_its_checkpoint_when_the_interval_is_over() {
        is_written(Duration::from_millis(1), false);
    }

    #[test]
    fn an_event_gets_its_checkpoint_before_its_time_when_there_is_much_to_seal() {
        is_written(HOUR, true);
    }
}
