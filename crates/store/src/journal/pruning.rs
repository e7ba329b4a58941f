//! Events older than `log.keep` are removed once a day: whole checkpoints, oldest first, never the last one. An event says so
//! and is the new beginning of the journal: what is before it is gone at once for [`verify`](super::verify). The rows are
//! deleted afterwards, in steps that keep no login waiting.

use twofa_core::Timestamp;

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin};
use crate::sql::Db;
use crate::sql::journal::{self, Checkpoint};

/// How often the log is pruned, in seconds.
const PRUNED_EVERY: u64 = 86_400;
/// How many rows are deleted in one transaction: a few milliseconds.
const DELETED_AT_ONCE: u32 = 500;

impl Store {
    /// Removes what is older than `log.keep`, if that was not done today. Returns the number of events that were deleted.
    pub fn prune_log(&self, origin: &Origin, now: Timestamp) -> Result<u64, StoreError> {
        let limit = self.read(|view| {
            let last = journal::pruned_at(view.db)?;
            let is_due = last.is_none_or(|last| now.unix().abs_diff(last.unix()) >= PRUNED_EVERY);
            let keep = view.rules()?.rulebook.machine().log_keep;
            let limit = now.before(keep.seconds());
            let is_due = is_due && last_to_remove(view.db, limit)?.is_some();
            Ok(is_due.then_some(limit))
        })?;
        if let Some(limit) = limit {
            self.change(origin, now, |tx| {
                tx.db.lock("journal", "")?;
                let Some(last) = last_to_remove(tx.db, limit)? else {
                    return Ok(());
                };
                let (through, before) = (last.last, limit.unix());
                tx.record(None, &Event::LogPruned { through, before })?;
                journal::delete_checkpoints(tx.db, last.number)?;
                journal::set_pruned_at(tx.db, now)
            })?;
        }
        self.delete_pruned()
    }

    /// Deletes what is before the first checkpoint.
    fn delete_pruned(&self) -> Result<u64, StoreError> {
        if !self.read(|view| journal::has_pruned(view.db))? {
            return Ok(0);
        }
        let mut deleted = 0;
        loop {
            let more =
                self.write_unsynced(|view| journal::delete_pruned(view.db, DELETED_AT_ONCE))?;
            if more == 0 {
                return Ok(deleted);
            }
            deleted += more;
        }
    }
}

/// The last checkpoint to remove. The one that every journal begins with has no events, unless there were some before the
/// journal: to remove it alone would be nothing to tell.
fn last_to_remove(db: &Db<'_>, limit: Timestamp) -> Result<Option<Checkpoint>, StoreError> {
    let last = journal::last_before(db, limit)?;
    Ok(last.filter(|last| last.last > 0))
}
