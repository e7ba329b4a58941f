//! The workers: each waits for a connection, serves it, and waits again.
//!
//! One of the idle workers, the leader, waits for the next connection whose request has arrived
//! ([`super::pending`]), passes the lead to another worker and serves it. So a login is served by the very thread that
//! its connection woke; threads are started beside it, not before it. Measured with a service that echoes (median, p99):
//! 50 µs and 1.9 ms with a thread for each connection, 27 µs and 0.2 ms like this.
//!
//! With all of them blocked in accept(2), where the kernel wakes one as well, it took 24 µs. But the listening socket may
//! be the service manager's, shared with it down to its flags: the manager must not find it blocking, and shutdown(2),
//! which would wake every worker at the end, would end it for the manager too. With all of them in poll(2) every
//! connection wakes every worker: 29 µs and 3.6 ms.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use twofa_proto::Stream;

use super::owner::Owners;
use super::pending::{PendingConnections, ReadyConnection};
use super::shutdown::{Shutdown, wait_for_any};
use crate::identity::authority::Peer;
use crate::process::log;

/// At least this many workers are idle: the leader, and one that takes the lead when a connection comes.
const MIN_IDLE: usize = 2;
/// Idle workers above this number end.
const MAX_IDLE: usize = 4;
/// Enough for SQLite and a frame; 500 of these are address space, not memory.
const STACK_BYTES: usize = 512 * 1024;
/// How long the leader waits for descriptors or memory to become free.
const RECOVERY_PAUSE: Duration = Duration::from_millis(100);

/// What the workers share. The limits on connections, which `serve` keeps, limit the number of workers: a worker is idle,
/// or serves a connection, or refuses one.
struct Pool<S> {
    listener: UnixListener,
    shutdown: Arc<Shutdown>,
    /// The worker that holds this lock is the leader.
    pending: Mutex<PendingConnections>,
    owners: Arc<Mutex<Owners>>,
    workers: Mutex<Counts>,
    /// Notified when a worker has served a connection.
    served: Condvar,
    serve: S,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    all: usize,
    /// The leader is one of them.
    idle: usize,
}

impl Counts {
    const fn busy(self) -> usize {
        self.all - self.idle
    }
}

/// A pool that serves.
pub(super) struct RunningPool<S>(Arc<Pool<S>>);

/// Serves the connections to `listener`, which must be non-blocking, by `serve`, until `shutdown` is requested.
pub(super) fn start<S>(
    listener: UnixListener,
    shutdown: Arc<Shutdown>,
    owners: Arc<Mutex<Owners>>,
    serve: S,
) -> io::Result<RunningPool<S>>
where
    S: Fn(ReadyConnection) + Send + Sync + 'static,
{
    let pool = Arc::new(Pool {
        listener,
        shutdown,
        pending: Mutex::default(),
        owners,
        workers: Mutex::default(),
        served: Condvar::new(),
        serve,
    });
    pool.start_worker()?;
    Ok(RunningPool(pool))
}

impl<S> RunningPool<S> {
    /// Waits until nothing more is accepted, which a [`Shutdown`] leads to, and closes the connections without a request.
    pub(super) fn close(&self) {
        lock(&self.0.pending).close();
    }

    /// Waits until every connection is served, at most for `timeout`. Returns whether they are.
    pub(super) fn wait_until_served(&self, timeout: Duration) -> bool {
        let Pool {
            workers, served, ..
        } = &*self.0;
        let (workers, _) = served
            .wait_timeout_while(lock(workers), timeout, |workers| workers.busy() > 0)
            .unwrap_or_else(PoisonError::into_inner);
        workers.busy() == 0
    }
}

impl<S: Fn(ReadyConnection) + Send + Sync + 'static> Pool<S> {
    fn start_worker(self: &Arc<Self>) -> io::Result<()> {
        let worker = Worker::begin(self.clone());
        let started = thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn(move || worker.run());
        if started.is_err() {
            lock(&self.workers).idle -= 1;
        }
        started.map(drop)
    }

    /// The next connection whose request has arrived; `None` at a shutdown.
    fn next(self: &Arc<Self>) -> Option<ReadyConnection> {
        let mut pending = lock(&self.pending);
        loop {
            // First: at a shutdown each leader would start a successor only for it to end as well.
            if self.shutdown.is_requested() {
                return None;
            }
            // Now, while no client waits for it. If it fails, it is tried again when one does.
            let _ = self.ensure_successor();
            let Some(connection) = self.wait(&mut pending) else {
                continue;
            };
            // The last worker must not serve: no connection would be accepted meanwhile.
            if let Err(error) = self.ensure_successor() {
                log::warn(&format!(
                    "cannot start a thread: {error}; uid {} is not served",
                    connection.peer.uid
                ));
                continue;
            }
            lock(&self.workers).idle -= 1;
            return Some(connection);
        }
    }

    fn ensure_successor(self: &Arc<Self>) -> io::Result<()> {
        // Only the leader makes this number smaller.
        let idle = lock(&self.workers).idle;
        if idle < MIN_IDLE {
            self.start_worker()
        } else {
            Ok(())
        }
    }

    /// Waits until something happens. Returns a connection whose request has arrived by then, if there is one.
    fn wait(&self, pending: &mut PendingConnections) -> Option<ReadyConnection> {
        let mut files = vec![self.shutdown.as_fd(), self.listener.as_fd()];
        files.extend(pending.files());
        let happened = match wait_for_any(&files, pending.deadline()) {
            Ok(happened) => happened,
            Err(error) => {
                self.recover(&error);
                return None;
            }
        };
        let [is_shutdown, connects, readable @ ..] = happened.as_slice() else {
            return None;
        };
        if *is_shutdown {
            return None;
        }
        let now = Instant::now();
        let connection = pending.take_ready(readable);
        pending.close_expired(now);
        // A client that connected meanwhile is left to the next leader.
        if connection.is_some() || !*connects {
            return connection;
        }
        let stream = Stream::from(self.accept()?);
        let uid = stream
            .peer_uid()
            .inspect_err(|error| log::warn(&format!("cannot tell who connected: {error}")))
            .ok()?;
        let owner = lock(&self.owners).owner(uid);
        pending.add(stream, Peer::new(uid), owner, now)
    }

    fn accept(&self) -> Option<UnixStream> {
        match self.listener.accept() {
            Ok((stream, _)) => Some(stream),
            // The client is gone already.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            // Out of descriptors or memory: connections that end will free some.
            Err(error) => {
                self.recover(&error);
                None
            }
        }
    }

    fn recover(&self, error: &io::Error) {
        log::warn(&format!("cannot accept a connection: {error}"));
        drop(
            self.served
                .wait_timeout(lock(&self.workers), RECOVERY_PAUSE),
        );
    }

    /// Makes a worker that has served idle again. Returns whether it is needed.
    fn rejoin(&self) -> bool {
        let mut workers = lock(&self.workers);
        let is_needed = workers.idle < MAX_IDLE;
        workers.idle += usize::from(is_needed);
        drop(workers);
        self.served.notify_all();
        is_needed
    }
}

/// One worker. It is counted until it is dropped, also when serving a connection panics.
struct Worker<S>(Arc<Pool<S>>);

impl<S: Fn(ReadyConnection) + Send + Sync + 'static> Worker<S> {
    /// Counts the worker before its thread runs.
    fn begin(pool: Arc<Pool<S>>) -> Self {
        let mut workers = lock(&pool.workers);
        workers.all += 1;
        workers.idle += 1;
        drop(workers);
        Self(pool)
    }

    fn run(&self) {
        let Self(pool) = self;
        while let Some(connection) = pool.next() {
            (pool.serve)(connection);
            if !pool.rejoin() {
                return;
            }
        }
        lock(&pool.workers).idle -= 1;
    }
}

impl<S> Drop for Worker<S> {
    fn drop(&mut self) {
        lock(&self.0.workers).all -= 1;
        self.0.served.notify_all();
    }
}

/// What the locks protect is consistent at every moment, so a panic elsewhere is no reason to stop.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
