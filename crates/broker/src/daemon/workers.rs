//! The workers: each waits for a connection, serves it on the spot, and waits again.
//!
//! One of the idle workers, the leader, has the turn: it waits for the next connection that says what it
//! wants ([`super::pending`]), passes the turn to another and serves what came. So a login is served by the very thread that its connection woke;
//! threads are started beside it, not before it. Measured with an echo for a conversation (median, p99):
//! 50 µs and 1.9 ms with a thread for each connection, 27 µs and 0.2 ms like this.
//!
//! All of them blocked in accept(2), where the kernel wakes one as well, took 24 µs. But the listening
//! socket may be the service manager's, shared with it down to its flags: the manager must not find it
//! blocking, and shutdown(2), which would wake everybody for the end, would end it for the manager too.
//! All of them in poll(2) would all wake for each connection: 29 µs and 3.6 ms.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use twofa_proto::Stream;

use super::owner::Owners;
use super::pending::{Lobby, Visitor};
use super::stop::{Stop, wait_for_any};
use crate::identity::authority::Peer;
use crate::process::log::say;

/// Idle workers there always are: the leader, and one that takes over when a connection comes.
const LEAST_IDLE: usize = 2;
/// More idle workers than this are sent home.
const MOST_IDLE: usize = 4;
/// Enough for SQLite and a frame; 500 of these are address space, not memory.
const STACK_BYTES: usize = 512 * 1024;
/// How long the leader waits for descriptors or memory to be given back.
const RECOVERY: Duration = Duration::from_millis(100);

/// What the workers share. How many there are is limited by whom `serve` finds a place for: a worker is idle, or serves
/// somebody, or turns somebody away.
struct Pool<S> {
    listener: UnixListener,
    stop: Arc<Stop>,
    /// The turn.
    lobby: Mutex<Lobby>,
    owners: Arc<Mutex<Owners>>,
    workers: Mutex<Workers>,
    /// A worker has served somebody.
    served: Condvar,
    serve: S,
}

#[derive(Debug, Default, Clone, Copy)]
struct Workers {
    all: usize,
    /// Among them the leader.
    idle: usize,
}

impl Workers {
    const fn busy(self) -> usize {
        self.all - self.idle
    }
}

/// A pool at work.
pub(super) struct Running<S>(Arc<Pool<S>>);

/// Serves the connections to `listener`, which must be non-blocking, by `serve`, until `stop` is near.
pub(super) fn start<S>(
    listener: UnixListener,
    stop: Arc<Stop>,
    owners: Arc<Mutex<Owners>>,
    serve: S,
) -> io::Result<Running<S>>
where
    S: Fn(Visitor) + Send + Sync + 'static,
{
    let pool = Arc::new(Pool {
        listener,
        stop,
        lobby: Mutex::default(),
        owners,
        workers: Mutex::default(),
        served: Condvar::new(),
        serve,
    });
    pool.start_worker()?;
    Ok(Running(pool))
}

impl<S> Running<S> {
    /// Waits until nobody is accepted any more, which the end of [`Stop`] leads to. Connections that have said nothing
    /// are closed then.
    pub(super) fn close(&self) {
        lock(&self.0.lobby).close();
    }

    /// Waits until everybody is served, at most for `patience`. Answers whether they are.
    pub(super) fn wait_until_served(&self, patience: Duration) -> bool {
        let Pool {
            workers, served, ..
        } = &*self.0;
        let (workers, _) = served
            .wait_timeout_while(lock(workers), patience, |workers| workers.busy() > 0)
            .unwrap_or_else(PoisonError::into_inner);
        workers.busy() == 0
    }
}

impl<S: Fn(Visitor) + Send + Sync + 'static> Pool<S> {
    fn start_worker(self: &Arc<Self>) -> io::Result<()> {
        let shift = Shift::begin(self.clone());
        let started = thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn(move || shift.work());
        if started.is_err() {
            lock(&self.workers).idle -= 1;
        }
        started.map(drop)
    }

    /// The next who has said what they want; none when it is time to end.
    fn next(self: &Arc<Self>) -> Option<Visitor> {
        let mut lobby = lock(&self.lobby);
        loop {
            // First: at the end each leader would start another only for it to end as well.
            if self.stop.is_near() {
                return None;
            }
            // Now, while nobody waits for it. If it fails, it is tried again when somebody does.
            let _ = self.ensure_successor();
            let Some(visitor) = self.wait(&mut lobby) else {
                continue;
            };
            // The last worker serves nobody: then nobody would accept connections.
            if let Err(error) = self.ensure_successor() {
                say(&format!(
                    "cannot start a thread: {error}; uid {} is turned away",
                    visitor.peer.uid
                ));
                continue;
            }
            lock(&self.workers).idle -= 1;
            return Some(visitor);
        }
    }

    fn ensure_successor(self: &Arc<Self>) -> io::Result<()> {
        // Only the leader makes this number smaller.
        let idle = lock(&self.workers).idle;
        if idle < LEAST_IDLE {
            self.start_worker()
        } else {
            Ok(())
        }
    }

    /// Waits until something happens, and answers who has said by then what they want, if anybody has.
    fn wait(&self, lobby: &mut Lobby) -> Option<Visitor> {
        let mut files = vec![self.stop.as_fd(), self.listener.as_fd()];
        files.extend(lobby.files());
        let happened = match wait_for_any(&files, lobby.deadline()) {
            Ok(happened) => happened,
            Err(error) => {
                self.recover(&error);
                return None;
            }
        };
        let [stops, connects, ready @ ..] = happened.as_slice() else {
            return None;
        };
        if *stops {
            return None;
        }
        let now = Instant::now();
        let visitor = lobby.next(ready);
        lobby.close_late(now);
        // Who connects meanwhile is still there for the next leader.
        if visitor.is_some() || !*connects {
            return visitor;
        }
        let stream = Stream::from(self.accept()?);
        let uid = stream
            .peer_uid()
            .inspect_err(|error| say(&format!("cannot tell who connected: {error}")))
            .ok()?;
        let owner = lock(&self.owners).owner(uid);
        lobby.admit(stream, Peer { uid }, owner, now)
    }

    fn accept(&self) -> Option<UnixStream> {
        match self.listener.accept() {
            Ok((stream, _)) => Some(stream),
            // The client did not wait.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            // Out of descriptors or memory: those that are open will give some back.
            Err(error) => {
                self.recover(&error);
                None
            }
        }
    }

    fn recover(&self, error: &io::Error) {
        say(&format!("cannot accept a connection: {error}"));
        drop(self.served.wait_timeout(lock(&self.workers), RECOVERY));
    }

    /// Whether a worker that has served may wait for more.
    fn rejoin(&self) -> bool {
        let mut workers = lock(&self.workers);
        let wanted = workers.idle < MOST_IDLE;
        workers.idle += usize::from(wanted);
        drop(workers);
        self.served.notify_all();
        wanted
    }
}

/// A worker's time in the pool, which ends with a conversation that panics too.
struct Shift<S>(Arc<Pool<S>>);

impl<S: Fn(Visitor) + Send + Sync + 'static> Shift<S> {
    /// Counted from here on, before the thread runs.
    fn begin(pool: Arc<Pool<S>>) -> Self {
        let mut workers = lock(&pool.workers);
        workers.all += 1;
        workers.idle += 1;
        drop(workers);
        Self(pool)
    }

    fn work(&self) {
        let Self(pool) = self;
        while let Some(visitor) = pool.next() {
            (pool.serve)(visitor);
            if !pool.rejoin() {
                return;
            }
        }
        lock(&pool.workers).idle -= 1;
    }
}

impl<S> Drop for Shift<S> {
    fn drop(&mut self) {
        lock(&self.0.workers).all -= 1;
        self.0.served.notify_all();
    }
}

/// What the locks protect is whole at every moment, so a panic elsewhere is no reason to stop.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    use super::super::stop::Stopper;

    /// Says "hello" and stays until the client goes.
    fn greet(visitor: Visitor) {
        let mut stream = visitor.stream;
        let _ = stream.write_all(b"hello");
        let _ = stream.read(&mut [0]);
    }

    /// The shortest message there is.
    const MESSAGE: &[u8] = &[0; 4];

    struct Bench<S> {
        _directory: tempfile::TempDir,
        path: std::path::PathBuf,
        stopper: Option<Stopper>,
        running: Running<S>,
    }

    impl<S: Fn(Visitor) + Send + Sync + 'static> Bench<S> {
        fn new(serve: S) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("socket");
            let listener = UnixListener::bind(&path).unwrap();
            listener.set_nonblocking(true).unwrap();
            let (stopper, stop) = Stop::new().unwrap();
            let owners = Arc::new(Mutex::new(Owners::of_this_machine()));
            let running = start(listener, stop, owners, serve).unwrap();
            Self {
                _directory: directory,
                path,
                stopper: Some(stopper),
                running,
            }
        }

        /// A client that is being served: it has seen its greeting.
        fn client(&self) -> UnixStream {
            let mut client = UnixStream::connect(&self.path).unwrap();
            client.write_all(MESSAGE).unwrap();
            client.read_exact(&mut [0; 5]).unwrap();
            client
        }

        fn wait_until(&self, reached: impl Fn(Workers) -> bool) -> Workers {
            loop {
                let workers = *lock(&self.running.0.workers);
                if reached(workers) {
                    return workers;
                }
                thread::yield_now();
            }
        }

        fn wait_until_all_are_served(&self) {
            assert!(self.running.wait_until_served(Duration::from_secs(3600)));
        }
    }

    #[test]
    fn however_many_are_served_somebody_is_ready_for_the_next() {
        let bench = Bench::new(greet);
        let clients: Vec<_> = (0..16).map(|_| bench.client()).collect();
        let workers = bench.wait_until(|workers| workers.idle >= LEAST_IDLE);
        assert_eq!(workers.busy(), clients.len());
        assert!(workers.idle <= MOST_IDLE, "{workers:?}");
    }

    #[test]
    fn after_a_rush_only_a_few_idle_workers_stay() {
        let bench = Bench::new(greet);
        drop((0..16).map(|_| bench.client()).collect::<Vec<_>>());
        let workers = bench.wait_until(|workers| workers.busy() == 0);
        assert!(
            (LEAST_IDLE..=MOST_IDLE).contains(&workers.idle),
            "{workers:?}"
        );
    }

    #[test]
    fn logins_one_after_the_other_start_no_threads() {
        let bench = Bench::new(greet);
        for _ in 0..200 {
            drop(bench.client());
            let workers = bench.wait_until(|workers| workers.busy() == 0);
            assert!(workers.all <= MOST_IDLE, "{workers:?}");
        }
    }

    #[test]
    fn silent_connections_take_no_thread_and_keep_nobody_waiting() {
        let bench = Bench::new(greet);
        // More than a user can have, which the client that comes after them is, too, unless root runs this.
        let silent: Vec<_> = (0..100)
            .map(|_| UnixStream::connect(&bench.path).unwrap())
            .collect();
        let client = bench.client();
        assert_eq!(
            bench
                .wait_until(|workers| workers.idle >= LEAST_IDLE)
                .busy(),
            1
        );
        assert!(lock(&bench.running.0.workers).all <= MOST_IDLE);
        drop((client, silent));
        bench.wait_until_all_are_served();
    }

    #[test]
    fn a_conversation_that_panics_takes_nobody_with_it() {
        let bench = Bench::new(|Visitor { mut stream, .. }| {
            let mut byte = [0];
            let _ = stream.write_all(b"hello");
            let _ = stream.read(&mut byte);
            assert_ne!(byte, *b"!", "as the test asks");
        });
        for _ in 0..=MOST_IDLE {
            bench.client().write_all(b"!").unwrap();
        }
        drop(bench.client());
        bench.wait_until(|workers| workers.busy() == 0 && workers.idle >= LEAST_IDLE);
        bench.wait_until_all_are_served();
    }

    #[test]
    fn a_pool_that_is_stopped_finishes_what_is_under_way_and_accepts_nobody() {
        let mut bench = Bench::new(greet);
        let mut client = bench.client();
        let mut silent = UnixStream::connect(&bench.path).unwrap();
        drop(bench.client());
        bench.stopper = None;
        bench.running.close();
        assert_eq!(
            silent.read(&mut [0]).unwrap(),
            0,
            "whoever said nothing may turn to another broker"
        );
        // The listening socket is open still, as the service manager's would be: this one waits for the next broker.
        let waiting = UnixStream::connect(&bench.path).unwrap();
        bench.wait_until(|workers| workers.idle == 0);
        waiting.set_nonblocking(true).unwrap();
        assert_eq!(
            (&waiting).read(&mut [0]).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        assert!(!bench.running.wait_until_served(Duration::ZERO));
        client.write_all(b"?").unwrap();
        bench.wait_until_all_are_served();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn a_leader_at_the_end_starts_no_other() {
        let mut bench = Bench::new(greet);
        bench.wait_until(|workers| workers.idle >= LEAST_IDLE);
        bench.stopper = None;
        bench.wait_until(|workers| workers.all == 0);
        // As one that comes back from somebody it served.
        *lock(&bench.running.0.workers) = Workers { all: 1, idle: 1 };
        assert!(bench.running.0.next().is_none());
        assert_eq!(lock(&bench.running.0.workers).all, 1);
    }
}
