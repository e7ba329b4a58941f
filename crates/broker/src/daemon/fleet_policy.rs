//! The thread that keeps the rules of the fleet up to date on a host.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::lazy_store::LazyStore;
use crate::process::log;
use crate::sending::notices::Wakeup;
use crate::text::messages::log_lines;

/// How often the servers are asked. A change holds on all hosts within five seconds.
const INTERVAL: Duration = Duration::from_secs(4);
/// How long all servers together may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Starts the thread. It ends with `wakeup`.
pub(super) fn start(store: Arc<LazyStore>, wakeup: Arc<Wakeup>) -> io::Result<()> {
    let keeper = thread::Builder::new().name("policy".to_owned());
    keeper
        .spawn(move || {
            // What was wrong the last time is not said again.
            let mut said = None;
            loop {
                refresh(&store, &mut said);
                if !wakeup.wait(INTERVAL) {
                    return;
                }
            }
        })
        .map(drop)
}

fn refresh(store: &LazyStore, said: &mut Option<String>) {
    let Some(broker) = store.if_open() else {
        return;
    };
    let services = broker.services();
    let deadline = Instant::now() + TIMEOUT;
    let refreshed = services
        .fleet
        .refresh_policy(services.store, services.now(), deadline);
    match refreshed {
        Ok(Some(answer)) => {
            if said.take().is_some() {
                log::warn(&log_lines::policy_confirmed(&answer.server, answer.version));
            }
        }
        Ok(None) => *said = None,
        Err(error) => {
            let why = error.to_string();
            if said.as_ref() != Some(&why) {
                log::warn(&log_lines::policy_not_refreshed(&why));
                *said = Some(why);
            }
        }
    }
}
