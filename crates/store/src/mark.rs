//! Nothing goes back: each second, every server gives the database a mark, a number and a random value. Servers and hosts
//! remember the last one that they have seen, here in a file, and a database that does not have it in its history serves
//! nobody: it was restored from a dump, it is an old primary, or a standby that had not got everything. In it, codes would be
//! unused that were used.
//!
//! An administrator who knows that it is the right one says so with `twofa fleet resume` ([`crate::Store::resume`]).

use std::time::{Duration, Instant};

use twofa_core::Timestamp;

use crate::database::Store;
use crate::error::StoreError;
use crate::model::mark::Mark;
use crate::sql::postgres::marks;
use crate::sql::postgres::pool::Pool;
use crate::sql::postgres::watch::Watch;
use crate::tx::View;

/// How often a host's last mark is written at most. Servers write each of theirs.
const HOST_INTERVAL: Duration = Duration::from_secs(60);

impl Store {
    /// Gives the database another mark, at `now`. From the first one on this process serves nobody when it could not give one
    /// for five seconds. In a file there is nothing to do.
    pub fn give_mark(&self, now: Timestamp) -> Result<(), StoreError> {
        let Some(pool) = self.server() else {
            return Ok(());
        };
        let begin = Instant::now();
        let mut value = [0; 16];
        getrandom::fill(&mut value)?;
        let mark = pool.transact_though_silent(true, |db| marks::give(db, value, now))?;
        pool.watch().inspect(|watch| watch.note_given(begin));
        self.seen_mark().remember(&mark, Duration::ZERO)
    }

    /// The last mark that this machine has seen, of the database of its own or of its fleet.
    pub fn last_mark(&self) -> Result<Option<Mark>, StoreError> {
        self.seen_mark().last()
    }

    /// On a host: the last mark of its fleet's database that it has seen; `None`: none since [`Self::forget_mark`], which another
    /// process may have called.
    pub fn mark_of_fleet(&self) -> Result<Option<Mark>, StoreError> {
        self.seen_mark().forget_if_gone()?;
        self.last_mark()
    }

    /// On a host that joins or leaves: forgets the mark, which is of another fleet's database.
    pub fn forget_mark(&self) -> Result<(), StoreError> {
        self.seen_mark().forget()
    }

    /// On a host: remembers a mark that a server of its fleet has sent.
    pub fn remember_mark(&self, mark: &Mark) -> Result<(), StoreError> {
        self.seen_mark().remember(mark, HOST_INTERVAL)
    }

    /// Fails unless the database has had `mark`, which a host has seen. A store in a file has no marks.
    pub fn check_mark(&self, mark: &Mark) -> Result<(), StoreError> {
        if !self.must_be_known(mark) {
            return Ok(());
        }
        self.read(|view| check_known(view, mark))
    }

    /// Whether a mark that a host has seen is to be looked for in the database: every transaction is to have our own last one.
    pub(crate) fn must_be_known(&self, mark: &Mark) -> bool {
        let last = self.last_mark();
        self.is_on_server() && !last.is_ok_and(|last| last.as_ref() == Some(mark))
    }

    /// Has the clock of the database compared with `clock` at the beginning of each transaction.
    pub fn compare_clock(&self, clock: fn() -> Timestamp) {
        if let Some(watch) = self.server().and_then(Pool::watch) {
            watch.compare_clock(clock);
        }
    }

    /// How many seconds the clock of the database was ahead of ours when that was compared last; negative: behind.
    pub fn clock_ahead(&self) -> i64 {
        let watch = self.server().and_then(Pool::watch);
        watch.map_or(0, Watch::clock_ahead)
    }
}

/// Fails unless the database has had `mark`.
pub(crate) fn check_known(view: &View<'_>, mark: &Mark) -> Result<(), StoreError> {
    if marks::is_known(view.db, mark)? {
        Ok(())
    } else {
        Err(StoreError::WentBack(mark.clone()))
    }
}
