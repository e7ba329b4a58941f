//! Whether this server is still one of the fleet: its row in the store is looked at every few seconds, and so are its files.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::getpid;

use super::Shared;
use crate::process::{clock, log};
use crate::sending::notices::Wakeup;

/// How often the row is looked at.
const INTERVAL: Duration = Duration::from_secs(5);

/// Starts the thread. It ends with `wakeup`.
pub(super) fn start(shared: Arc<Shared>, wakeup: Arc<Wakeup>) -> io::Result<()> {
    let watcher = thread::Builder::new().name("own row".to_owned());
    watcher
        .spawn(move || {
            let mut noted = Vec::new();
            while is_member(&shared) {
                follow_files(&shared, &mut noted);
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

/// Reads files that have changed, and says in the store which authorities this server has, if that is not what was `noted`.
fn follow_files(shared: &Shared, noted: &mut Vec<String>) {
    if let Err(error) = shared.reload(clock::now()) {
        log::warn(&format!(
            "the files of this server have changed and cannot be used: {error}; it goes on with those before"
        ));
    }
    let loaded = shared.loaded();
    let (Ok(has), Ok(broker)) = (loaded.authorities(), shared.store.open()) else {
        return;
    };
    let id = loaded.files.id.as_str();
    let store = broker.services().store;
    if *noted != has && store.note_server_authorities(id, &has).is_ok() {
        *noted = has;
    }
}

/// `false` only if the store says so. One that cannot be reached lets nobody in, and needs no watcher for that.
fn is_member(shared: &Shared) -> bool {
    let Ok(broker) = shared.store.open() else {
        return true;
    };
    let services = broker.services();
    let loaded = shared.loaded();
    let id = loaded.files.id.as_str();
    services
        .store
        .note_server_serves(id, services.now())
        .unwrap_or(true)
}
