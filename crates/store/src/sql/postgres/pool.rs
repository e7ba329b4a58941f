//! A few connections that are used again, and the transactions that run on them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::address::Address;
use super::pipeline::{DatabaseCounters, Traffic};
use super::session::Session;
use super::watch::Watch;
use crate::deadline;
use crate::error::StoreError;
use crate::sql::{Ahead, Db};

/// How long a transaction waits for a connection.
const WAIT: Duration = Duration::from_secs(5);
/// How often a transaction is run again that others were in the way of.
const TRIES: u32 = 10;

// Nothing is set for longer than a transaction, since PgBouncer may run the next one on another connection. A lock is given up
// before our own deadline passes. A process that was stopped in the middle of a transaction keeps nobody waiting for long.
const LIMITS: &str = "SET LOCAL client_min_messages = warning; SET LOCAL lock_timeout = '4s'; \
                      SET LOCAL idle_in_transaction_session_timeout = '10s'";
const VIEW: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const CHANGE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
const UNSYNCED_CHANGE: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off";

/// What a transaction is for.
#[derive(Debug, Clone, Copy)]
enum Access {
    View,
    Change {
        /// It is on disk when it is committed.
        is_synced: bool,
    },
}

#[derive(Debug)]
pub(crate) struct Pool {
    address: Address,
    watch: Option<Watch>,
    kept: Mutex<Kept>,
    given_back: Condvar,
}

#[derive(Debug, Default)]
struct Kept {
    idle: Vec<Session>,
    /// Those in use among them.
    open: usize,
    traffic: Traffic,
    counters: DatabaseCounters,
}

impl Pool {
    /// Connects to the database once, so that one that cannot be reached is noticed.
    pub(crate) fn open(address: Address) -> Result<Self, StoreError> {
        let pool = Self {
            address,
            watch: None,
            kept: Mutex::default(),
            given_back: Condvar::new(),
        };
        pool.view(|_| Ok(()))?;
        Ok(pool)
    }

    /// From here on each transaction begins only if the database is fit for it.
    pub(crate) fn watched_by(self, watch: Watch) -> Self {
        let watch = Some(watch);
        Self { watch, ..self }
    }

    /// What is known of the database, if it is watched.
    pub(crate) const fn watch(&self) -> Option<&Watch> {
        self.watch.as_ref()
    }

    /// Runs `work` on one consistent view.
    pub(crate) fn view<T>(
        &self,
        work: impl FnOnce(&Db<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.view_ahead(&[], work)
    }

    /// The same, with what `work` asks ahead.
    pub(crate) fn view_ahead<T>(
        &self,
        ahead: &[Ahead],
        work: impl FnOnce(&Db<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.check_given()?;
        let ahead: Vec<_> = ahead.iter().map(|ahead| ahead.in_change(false)).collect();
        let lease = self.lease(VIEW, Access::View, &ahead)?;
        let value = work(&Db::postgres(lease.session()?, false));
        // Of a view nothing is left to undo, but it must end.
        lease.session()?.end_view();
        value
    }

    /// Runs `work` as one write transaction, again if another one was in its way: on any error nothing of it happened, or,
    /// if the database did not answer, nobody learns that it did.
    pub(crate) fn transact<T>(
        &self,
        is_synced: bool,
        work: impl Fn(&Db<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.transact_ahead(is_synced, &[], work)
    }

    /// The same, with what `work` asks ahead.
    pub(crate) fn transact_ahead<T>(
        &self,
        is_synced: bool,
        ahead: &[Ahead],
        work: impl Fn(&Db<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.check_given()?;
        self.transact_anyway(is_synced, ahead, work)
    }

    /// The same, also where this process could not give the database its mark for too long.
    pub(crate) fn transact_though_silent<T>(
        &self,
        is_synced: bool,
        work: impl Fn(&Db<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.transact_anyway(is_synced, &[], work)
    }

    fn transact_anyway<T>(
        &self,
        is_synced: bool,
        ahead: &[Ahead],
        work: impl Fn(&Db<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let begin = if is_synced { CHANGE } else { UNSYNCED_CHANGE };
        let mut tries = 0;
        loop {
            tries += 1;
            let lease = self.lease(begin, Access::Change { is_synced }, ahead)?;
            let session = lease.session()?;
            let done = work(&Db::postgres(session, true));
            let committed = done.and_then(|value| {
                let committed = session.commit();
                if matches!(
                    committed,
                    Err(StoreError::Unanswered | StoreError::Unreachable(_))
                ) {
                    self.lock().counters.unknown_commits += 1;
                }
                committed.map(|()| value)
            });
            if committed.is_err() {
                session.roll_back();
            }
            match committed {
                Err(StoreError::Conflict) if tries < TRIES => self.lock().counters.retries += 1,
                committed => return committed,
            }
        }
    }

    /// What was sent to the database on connections that are not in use.
    pub(crate) fn traffic(&self) -> Traffic {
        self.lock().traffic
    }

    /// What has happened since it was opened.
    pub(crate) fn counters(&self) -> DatabaseCounters {
        self.lock().counters
    }

    fn check_given(&self) -> Result<(), StoreError> {
        let watch = self.watch.as_ref();
        watch.map_or(Ok(()), |watch| watch.check_given(Instant::now()))
    }

    /// A connection on which `begin` was run, so that one that broke while it was idle is noticed in time, and on which the
    /// database is fit for a transaction.
    fn lease(&self, begin: &str, access: Access, ahead: &[Ahead]) -> Result<Lease<'_>, StoreError> {
        loop {
            if deadline::left(WAIT).is_zero() {
                return Err(StoreError::Unanswered);
            }
            let mut lease = self.take()?;
            if let Some(session) = &lease.session {
                match self.begin(session, begin, access, ahead) {
                    Ok(()) => return Ok(lease),
                    // Now another one, and at last a new one, perhaps of another host.
                    Err(_) => continue,
                }
            }
            let is_fit = |session: &Session| self.begin(session, begin, access, ahead);
            lease.session = Some(Session::connect_where(&self.address, is_fit)?);
            return Ok(lease);
        }
    }

    fn begin(
        &self,
        session: &Session,
        begin: &str,
        access: Access,
        ahead: &[Ahead],
    ) -> Result<(), StoreError> {
        match &self.watch {
            None => session.begin(&format!("{begin}; {LIMITS}")),
            Some(watch) => {
                let demands = match access {
                    Access::View => watch.demands(false, true),
                    Access::Change { is_synced } => watch.demands(true, is_synced),
                };
                let found = session.begin_fit(begin, &demands?, ahead)?;
                watch.note(found);
                Ok(())
            }
        }
    }

    /// An idle connection, or leave to make one.
    fn take(&self) -> Result<Lease<'_>, StoreError> {
        let mut kept = self.lock();
        let is_full =
            |kept: &mut Kept| kept.idle.is_empty() && kept.open >= self.address.connections;
        if is_full(&mut kept) {
            let begun = Instant::now();
            let wait = deadline::left(WAIT);
            let waited = self.given_back.wait_timeout_while(kept, wait, is_full);
            let (now, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            kept = now;
            kept.counters.waits += 1;
            let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            kept.counters.waited_microseconds += micros;
            if waited.timed_out() {
                return Err(StoreError::Busy(None));
            }
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
        let session = self.session.take();
        let traffic = session.as_ref().map(Session::take_traffic);
        let session = session.filter(Session::is_usable);
        let mut kept = self.pool.lock();
        let Traffic {
            statements,
            round_trips,
        } = traffic.unwrap_or_default();
        kept.traffic.statements += statements;
        kept.traffic.round_trips += round_trips;
        match session {
            Some(session) => kept.idle.push(session),
            None => kept.open -= 1,
        }
        drop(kept);
        self.pool.given_back.notify_one();
    }
}
