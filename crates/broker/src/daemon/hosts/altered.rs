//! Rows of the database that another program than a server has written are looked for, and logged.

use twofa_core::Timestamp;
use twofa_store::Origin;

use crate::context::Services;
use crate::process::log;
use crate::text::messages::log_lines;

/// How often all rows are looked at, in seconds.
const INTERVAL: u64 = 60;

/// When it was looked last.
#[derive(Debug, Default)]
pub(super) struct Rows {
    looked: Option<Timestamp>,
}

impl Rows {
    /// Looks at all rows, if it is time to.
    pub(super) fn look(&mut self, services: Services<'_>) {
        let now = services.now();
        let is_due = |looked: Timestamp| looked > now || looked.after(INTERVAL) <= now;
        if !self.looked.is_none_or(is_due) {
            return;
        }
        self.looked = Some(now);
        let origin = Origin::command_line(nix::unistd::geteuid().as_raw());
        match services.store.note_altered_rows(&origin, now) {
            Ok(fresh) => {
                for row in fresh {
                    log::warn(&log_lines::row_altered(&row));
                }
            }
            Err(error) => log::warn(&log_lines::rows_not_looked_at(&error)),
        }
    }
}
