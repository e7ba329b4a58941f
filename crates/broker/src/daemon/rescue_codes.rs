//! The thread that keeps the rescue codes of a host: it fetches the hashes of new ones, and tells servers of uses.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use twofa_store::StoreError;

use super::lazy_store::LazyStore;
use crate::context::Services;
use crate::fleet::rescue::exchange;
use crate::fleet::upkeep::UpkeepError;
use crate::process::log;
use crate::sending::notices::Wakeup;
use crate::text::messages::log_lines;

/// How often a server is asked for nothing in particular: so long a code that was shown can outlive its time on a host that is
/// reached.
const INTERVAL: Duration = Duration::from_secs(15 * 60);
/// How often it is looked at whether servers are to know something.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How soon a server is asked again that could not be.
const RETRY_INTERVAL: Duration = Duration::from_secs(15);

/// Starts the thread. It ends with `wakeup`.
pub(super) fn start(store: Arc<LazyStore>, wakeup: Arc<Wakeup>) -> io::Result<()> {
    let keeper = thread::Builder::new().name("rescue".to_owned());
    keeper
        .spawn(move || {
            let mut keeper = Keeper::default();
            loop {
                if let Some(broker) = store.if_open() {
                    keeper.look(broker.services());
                }
                if !wakeup.wait(LOOK_INTERVAL) {
                    return;
                }
            }
        })
        .map(drop)
}

#[derive(Default)]
struct Keeper {
    /// When a server last answered.
    answered_at: Option<Instant>,
    /// When one was last asked.
    asked_at: Option<Instant>,
    /// What was wrong the last time, which is not said again.
    said: Option<String>,
}

impl Keeper {
    fn look(&mut self, services: Services<'_>) {
        match is_urgent(services) {
            Ok(Some(is_urgent)) if self.is_due(is_urgent) => {
                self.asked_at = Some(Instant::now());
                let exchanged = exchange(services.store, services.fleet);
                self.note(exchanged);
            }
            Ok(Some(_)) => {}
            // It is in no fleet.
            Ok(None) => *self = Self::default(),
            Err(error) => self.note(Err(error.into())),
        }
    }

    fn is_due(&self, is_urgent: bool) -> bool {
        let is_over = |at: Option<Instant>, time| at.is_none_or(|at: Instant| at.elapsed() >= time);
        if self.said.is_some() {
            return is_over(self.asked_at, RETRY_INTERVAL);
        }
        // What stays urgent, as a lock does, is not asked about all the time.
        is_over(self.answered_at, INTERVAL) || is_urgent && is_over(self.asked_at, RETRY_INTERVAL)
    }

    fn note(&mut self, exchanged: Result<(), UpkeepError>) {
        match exchanged {
            Ok(()) => {
                self.answered_at = Some(Instant::now());
                self.said = None;
            }
            Err(error) => {
                let why = log_lines::no_rescue_codes(&error);
                if self.said.as_ref() != Some(&why) {
                    log::warn(&why);
                    self.said = Some(why);
                }
            }
        }
    }
}

/// Whether servers are to know something; `None`: this machine is in no fleet.
fn is_urgent(services: Services<'_>) -> Result<Option<bool>, StoreError> {
    let store = services.store;
    if store.rules_in_force()?.fleet.is_none() {
        return Ok(None);
    }
    Ok(Some(store.own_rescue()?.is_urgent()))
}
