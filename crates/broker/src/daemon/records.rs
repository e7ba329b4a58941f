//! The thread that records what logins have left behind ([`crate::deferred`]), and the counts of what it could not.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::lazy_store::LazyStore;
use crate::deferred::Task;
use crate::process::{clock, log};
use crate::requests::broker::Broker;
use crate::text::messages::log_lines;

/// How long the end of a broker that serves one login waits for the record of that login. Somebody waits for its end.
const STDIO_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the end of the daemon waits for records.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts the thread.
pub(super) fn start(store: Arc<LazyStore>) -> io::Result<JoinHandle<()>> {
    let recorder = thread::Builder::new().name("records".to_owned());
    recorder.spawn(move || {
        while let Some(task) = store.deferred().wait() {
            let record = AssertUnwindSafe(|| record(&store, &task));
            if panic::catch_unwind(record).is_err() {
                log::warn(&log_lines::login_not_recorded(&"a bug in this program"));
            }
        }
    })
}

/// Ends the thread once nothing waits, or after a few seconds, and records what was counted.
pub(super) fn end(store: &LazyStore, recorder: &JoinHandle<()>) {
    store.deferred().end();
    let until = Instant::now() + END_TIMEOUT;
    while !recorder.is_finished() && Instant::now() < until {
        thread::sleep(Duration::from_millis(10));
    }
    record_counts(store, true);
}

fn record(store: &LazyStore, task: &Task) {
    match store.open() {
        Ok(broker) => broker.record(task),
        Err(error) => {
            log::warn(&log_lines::login_not_recorded(&error));
            store.deferred().miss(task, clock::now());
        }
    }
}

/// Records what the only login of `broker` has left behind, and gives up after a second. Of refusals there is the line in the
/// system log: a broker that ends cannot count how many there are in an hour.
pub(super) fn record_now(broker: &Arc<Broker>) {
    let Some(task @ Task::Report(..)) = broker.deferred().take() else {
        return;
    };
    let (broker, (done, awaited)) = (broker.clone(), mpsc::sync_channel(1));
    let recorder = thread::Builder::new().spawn(move || {
        broker.record(&task);
        // Nobody waits for what comes too late.
        let _ = done.send(());
    });
    if recorder.is_err() || awaited.recv_timeout(STDIO_TIMEOUT).is_err() {
        log::warn(&log_lines::login_not_recorded(&"it took too long"));
    }
}

/// Records what was counted in the hours that are over, or all of it if `is_end`.
pub(super) fn record_counts(store: &LazyStore, is_end: bool) {
    let Some(broker) = store.if_open() else {
        return;
    };
    for event in store
        .deferred()
        .take_counts(broker.services().now(), is_end)
    {
        if let Err(error) = broker.record_count(&event) {
            log::warn(&log_lines::login_not_recorded(&error));
            store.deferred().give_back(&event);
        }
    }
}
