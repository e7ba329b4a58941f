//! When hosts may be removed because nothing was heard of them.
//!
//! A host asks about itself every five minutes. If no server could hear it, because none ran or the database was gone, it was not
//! silent: after such a time this server waits until every host that is there has had its turn.

use twofa_core::Timestamp;
use twofa_store::Origin;

use crate::context::Services;
use crate::process::log;
use crate::text::messages::log_lines;

/// For how many seconds hosts must have been heard: three times as long as one takes to ask again.
const PATIENCE: u64 = 15 * 60;
/// When this server has not listened for so many seconds, hosts were not heard.
const GAP: u64 = 60;
/// How often it is looked for hosts that are silent, in seconds.
const INTERVAL: u64 = 5 * 60;

/// For how long this server has listened.
#[derive(Debug, Default)]
pub(super) struct Listening {
    since: Option<Timestamp>,
    last: Option<Timestamp>,
    looked: Option<Timestamp>,
}

impl Listening {
    /// Notes that this server listens at `now`, if it `can`. Says whether it is to look for silent hosts.
    fn note(&mut self, can: bool, now: Timestamp) -> bool {
        let follows = |last: Timestamp| last <= now && now <= last.after(GAP);
        if !can || !self.last.is_some_and(follows) {
            self.since = None;
        }
        self.last = can.then_some(now);
        if !can {
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let is_due = |looked: Timestamp| looked > now || looked.after(INTERVAL) <= now;
        if since.after(PATIENCE) > now || !self.looked.is_none_or(is_due) {
            return false;
        }
        self.looked = Some(now);
        true
    }

    /// Removes the hosts that are silent, if it is time to look for them. `can`: whether this server can serve hosts.
    pub(super) fn remove_silent(&mut self, can: bool, services: Services<'_>) {
        let now = services.now();
        if !self.note(can, now) {
            return;
        }
        let origin = Origin::command_line(nix::unistd::geteuid().as_raw());
        match services.store.remove_silent_hosts(&origin, now) {
            Ok(names) => {
                for name in names {
                    log::warn(&log_lines::host_silent(&name));
                }
            }
            Err(error) => log::warn(&log_lines::silent_not_removed(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_hosts_are_looked_for_only_after_every_host_could_be_heard() {
        let start = Timestamp::from_unix(1_800_000_000);
        let mut listening = Listening::default();
        let mut looks = |from: u64, to: u64, can: bool| {
            let at = (from..to).step_by(15).map(|second| start.after(second));
            at.filter(|now| listening.note(can, *now)).count()
        };
        assert_eq!(looks(0, PATIENCE, true), 0);
        // At once, and every five minutes from then on.
        assert_eq!(looks(PATIENCE, PATIENCE + 601, true), 3);
        let mut at = PATIENCE + 615;
        // The database did not answer once.
        assert_eq!(looks(at, at + 1, false), 0);
        at += 15;
        assert_eq!(looks(at, at + PATIENCE, true), 0);
        at += PATIENCE;
        assert_eq!(looks(at, at + 1, true), 1);
        // The machine slept for two days, or the clock was put forward; and back again.
        for jumped in [at + 2 * 86_400, at + 86_400] {
            assert_eq!(looks(jumped, jumped + PATIENCE, true), 0);
            assert_eq!(looks(jumped + PATIENCE, jumped + PATIENCE + 1, true), 1);
        }
    }
}
