//! Whether this server is still one of the fleet: its row in the store is looked at every few seconds.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::getpid;

use super::Shared;
use crate::process::log;
use crate::sending::notices::Wakeup;

/// How often the row is looked at.
const INTERVAL: Duration = Duration::from_secs(5);

/// Starts the thread. It ends with `wakeup`.
pub(super) fn start(shared: Arc<Shared>, wakeup: Arc<Wakeup>) -> io::Result<()> {
    let watcher = thread::Builder::new().name("own row".to_owned());
    watcher
        .spawn(move || {
            while is_member(&shared) {
                if !wakeup.wait(INTERVAL) {
                    return;
                }
            }
            log::warn(
                "this server was removed from the fleet, and ends; it can join again with a token of 'twofa server add'",
            );
            let _ = kill(getpid(), Signal::SIGTERM);
        })
        .map(drop)
}

/// `false` only if the store says so. One that cannot be reached lets nobody in, and needs no watcher for that.
fn is_member(shared: &Shared) -> bool {
    let Ok(broker) = shared.store.open() else {
        return true;
    };
    let services = broker.services();
    let id = shared.files.id.as_str();
    services
        .store
        .note_server_seen(id, services.now())
        .unwrap_or(true)
}
