//! When hosts were seen, for the listing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use twofa_core::text::printable;
use twofa_store::Host;

use super::Shared;
use crate::context::Services;

/// How often at most it is noted that somebody logs in on a host.
const SEEN_INTERVAL: Duration = Duration::from_secs(60);
/// Characters of a host's version that are kept at most.
const MAX_VERSION: usize = 32;

/// When it was noted of each host that somebody logs in there.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashMap<String, Instant>>);

impl Seen {
    fn is_due(&self, host: &str) -> bool {
        let now = Instant::now();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, at| now.saturating_duration_since(*at) < SEEN_INTERVAL);
        let is_due = !seen.contains_key(host);
        if is_due {
            seen.insert(host.to_owned(), now);
        }
        is_due
    }
}

/// Notes now and then that the host is there.
pub(super) fn note_seen(shared: &Shared, services: Services<'_>, host: &Host, version: &str) {
    if shared.seen.is_due(&host.id) {
        // Only a listing shows it.
        let version: String = printable(version).chars().take(MAX_VERSION).collect();
        let _ = services
            .store
            .note_host_seen(&host.id, &version, services.now());
    }
}
