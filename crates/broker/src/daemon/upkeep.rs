//! The thread that keeps up a joined host: it learns where servers are and renews its certificate.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::lazy_store::LazyStore;
use crate::context::Services;
use crate::fleet::upkeep::{Upkeep, keep_up};
use crate::process::log;
use crate::sending::notices::Wakeup;
use crate::text::messages::log_lines;

/// How often a server is asked.
const INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Starts the thread. It ends with `wakeup`.
pub(super) fn start(store: Arc<LazyStore>, wakeup: Arc<Wakeup>) -> io::Result<()> {
    let keeper = thread::Builder::new().name("fleet".to_owned());
    keeper
        .spawn(move || {
            let mut said: Option<String> = None;
            loop {
                if let Some(broker) = store.if_open() {
                    said = run(broker.services(), Upkeep::Everything, said.as_deref());
                }
                if !wakeup.wait(INTERVAL) {
                    return;
                }
            }
        })
        .map(drop)
}

/// Does what is due, and logs what became of it unless that is what was `said` last. Returns what is.
pub(super) fn run(services: Services<'_>, what: Upkeep, said: Option<&str>) -> Option<String> {
    match keep_up(services.store, services.fleet, services.now(), what) {
        Ok(false) => None,
        Ok(true) => {
            log::warn(log_lines::HOST_RENEWED);
            None
        }
        Err(error) => {
            let now = log_lines::not_kept_up(&error);
            if said != Some(now.as_str()) {
                log::warn(&now);
            }
            Some(now)
        }
    }
}
