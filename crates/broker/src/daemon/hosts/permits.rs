//! How many connections there are at once: handshakes, of one host, and of all hosts; and how many are being decided.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::process::log;

/// Handshakes at once. Anybody can begin one.
const MAX_HANDSHAKES: usize = 64;
/// Connections of one host, each of which serves one login at a time.
const MAX_OF_A_HOST: usize = 4_096;
/// Connections of all hosts.
pub(super) const MAX_OF_ALL: usize = 24_576;
/// How often at most the log says that somebody was refused.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// What a permit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A connection of which it is not known yet who it is.
    Handshake,
    /// A connection of the host whose certificate has this key.
    Host([u8; 32]),
    /// A message that is being worked on.
    Deciding,
}

/// Counts connections.
#[derive(Debug, Default)]
pub(super) struct Permits {
    counts: Mutex<Counts>,
    /// Notified when a handshake has ended.
    shaken: Condvar,
}

#[derive(Debug, Default)]
struct Counts {
    handshakes: usize,
    by_host: HashMap<[u8; 32], usize>,
    of_all: usize,
    deciding: usize,
    warned_at: Option<Instant>,
}

/// Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    permits: Arc<Permits>,
    purpose: Purpose,
}

impl Permits {
    pub(super) fn acquire(self: &Arc<Self>, purpose: Purpose) -> Option<Permit> {
        let mut counts = self.lock();
        match purpose {
            Purpose::Handshake if counts.handshakes >= MAX_HANDSHAKES => return None,
            Purpose::Handshake => counts.handshakes += 1,
            Purpose::Deciding => counts.deciding += 1,
            Purpose::Host(key) => {
                let of_host = counts.by_host.get(&key).copied().unwrap_or_default();
                if of_host >= MAX_OF_A_HOST || counts.of_all >= MAX_OF_ALL {
                    return None;
                }
                counts.by_host.insert(key, of_host + 1);
                counts.of_all += 1;
            }
        }
        Some(Permit {
            permits: self.clone(),
            purpose,
        })
    }

    /// A permit for a handshake, if there is one within `timeout`.
    pub(super) fn wait_for_handshake(self: &Arc<Self>, timeout: Duration) -> Option<Permit> {
        let is_full = |counts: &mut Counts| counts.handshakes >= MAX_HANDSHAKES;
        let waited = self
            .shaken
            .wait_timeout_while(self.lock(), timeout, is_full);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.acquire(Purpose::Handshake)
    }

    /// Whether a message is being worked on.
    pub(super) fn is_deciding(&self) -> bool {
        self.lock().deciding > 0
    }

    /// Logs that a connection was refused, unless another was a moment ago.
    pub(super) fn warn(&self, why: &str) {
        let now = Instant::now();
        let mut counts = self.lock();
        let is_due = |at: Instant| now.saturating_duration_since(at) >= WARNING_INTERVAL;
        if counts.warned_at.is_none_or(is_due) {
            counts.warned_at = Some(now);
            drop(counts);
            log::warn(&format!(
                "a connection to the fleet's port was refused: {why}"
            ));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.permits.lock();
        match self.purpose {
            Purpose::Handshake => {
                counts.handshakes -= 1;
                self.permits.shaken.notify_one();
            }
            Purpose::Deciding => counts.deciding -= 1,
            Purpose::Host(key) => {
                counts.of_all -= 1;
                give_back(&mut counts.by_host, key);
            }
        }
    }
}

fn give_back(by_host: &mut HashMap<[u8; 32], usize>, key: [u8; 32]) {
    if let Some(of_host) = by_host.get_mut(&key) {
        *of_host -= 1;
        if *of_host == 0 {
            by_host.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_takes_no_permit_from_another_and_handshakes_none_from_hosts() {
        let permits = Arc::new(Permits::default());
        let acquire = |purpose| permits.acquire(purpose);
        let mut of_first: Vec<_> = (0..MAX_OF_A_HOST)
            .map(|_| acquire(Purpose::Host([1; 32])).unwrap())
            .collect();
        let handshakes: Vec<_> = (0..MAX_HANDSHAKES)
            .map(|_| acquire(Purpose::Handshake).unwrap())
            .collect();
        assert!(acquire(Purpose::Host([1; 32])).is_none());
        assert!(acquire(Purpose::Handshake).is_none());
        assert!(acquire(Purpose::Host([2; 32])).is_some());
        of_first.pop();
        assert!(acquire(Purpose::Host([1; 32])).is_some());
        drop((of_first, handshakes));
        assert!(permits.lock().by_host.is_empty() && permits.lock().of_all == 0);
    }
}
