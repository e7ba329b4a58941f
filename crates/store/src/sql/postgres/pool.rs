//! A few connections that are used again, and the transactions that run on them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::address::Address;
use super::session::Session;
use crate::error::StoreError;
use crate::sql::Db;

/// How long a transaction waits for a connection.
const WAIT: Duration = Duration::from_secs(5);
/// How often a transaction is run again that others were in the way of.
const TRIES: u32 = 10;

const VIEW: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const CHANGE: &str = "BEGIN";
const UNSYNCED_CHANGE: &str = "BEGIN; SET LOCAL synchronous_commit = off";

#[derive(Debug)]
pub(crate) struct Pool {
    address: Address,
    kept: Mutex<Kept>,
    given_back: Condvar,
}

#[derive(Debug, Default)]
struct Kept {
    idle: Vec<Session>,
    /// Those in use among them.
    open: usize,
}

impl Pool {
    /// Connects to the database once, so that one that cannot be reached is noticed.
    pub(crate) fn open(address: Address) -> Result<Self, StoreError> {
        let pool = Self {
            address,
            kept: Mutex::default(),
            given_back: Condvar::new(),
        };
        pool.view(|_| Ok(()))?;
        Ok(pool)
    }

    /// Runs `work` on one consistent view.
    pub(crate) fn view<T>(
        &self,
        work: impl FnOnce(&Db<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let lease = self.lease(VIEW)?;
        let value = work(&Db::postgres(lease.session()?, false));
        // Of a view nothing is left to undo, but it must end.
        lease.session()?.roll_back();
        value
    }

    /// Runs `work` as one write transaction, again if another one was in its way: on any error nothing of it happened, or,
    /// if the database did not answer, nobody learns that it did.
    pub(crate) fn transact<T>(
        &self,
        is_synced: bool,
        work: impl Fn(&Db<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let begin = if is_synced { CHANGE } else { UNSYNCED_CHANGE };
        let mut tries = 0;
        loop {
            tries += 1;
            let lease = self.lease(begin)?;
            let session = lease.session()?;
            let done = work(&Db::postgres(session, true));
            let committed = done.and_then(|value| session.commit().map(|()| value));
            if committed.is_err() {
                session.roll_back();
            }
            match committed {
                Err(StoreError::Conflict) if tries < TRIES => {}
                committed => return committed,
            }
        }
    }

    /// A connection on which `begin` was run, so that one that broke while it was idle is noticed in time.
    fn lease(&self, begin: &str) -> Result<Lease<'_>, StoreError> {
        loop {
            let mut lease = self.take()?;
            let is_new = lease.session.is_none();
            if is_new {
                lease.session = Some(Session::connect(&self.address)?);
            }
            match lease.session()?.begin(begin) {
                Ok(()) => return Ok(lease),
                Err(error) if is_new => return Err(error),
                // Now another one, and at last a new one.
                Err(_) => {}
            }
        }
    }

    /// An idle connection, or leave to make one.
    fn take(&self) -> Result<Lease<'_>, StoreError> {
        let kept = self.lock();
        let is_full =
            |kept: &mut Kept| kept.idle.is_empty() && kept.open >= self.address.connections;
        let waited = self.given_back.wait_timeout_while(kept, WAIT, is_full);
        let (mut kept, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(StoreError::Busy(None));
        }
        let session = kept.idle.pop();
        if session.is_none() {
            kept.open += 1;
        }
        Ok(Lease {
            pool: self,
            session,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use. It goes back unless it broke.
struct Lease<'a> {
    pool: &'a Pool,
    session: Option<Session>,
}

impl Lease<'_> {
    fn session(&self) -> Result<&Session, StoreError> {
        self.session.as_ref().ok_or(StoreError::Unanswered)
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let session = self.session.take().filter(Session::is_usable);
        let mut kept = self.pool.lock();
        match session {
            Some(session) => kept.idle.push(session),
            None => kept.open -= 1,
        }
        drop(kept);
        self.pool.given_back.notify_one();
    }
}
