//! The workers: each waits for a connection, serves it on the spot, and waits again.
//!
//! One of the idle workers, the leader, has the turn: it waits for the next connection, passes the turn
//! to another and serves what came. So a login is served by the very thread that its connection woke;
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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use twofa_proto::Stream;

use super::crowd::{Crowd, Seat};
use crate::authority::Peer;
use crate::journal::say;

/// Idle workers there always are: the leader, and one that takes over when a connection comes.
const LEAST_IDLE: usize = 2;
/// More idle workers than this are sent home.
const MOST_IDLE: usize = 4;
/// Enough for SQLite and a frame; 500 of these are address space, not memory.
const STACK_BYTES: usize = 512 * 1024;
/// How long the leader waits for descriptors or memory to be given back.
const RECOVERY: Duration = Duration::from_millis(100);

/// What the workers share. How many there are is limited by the seats of the crowd: a worker is idle or
/// has one.
struct Pool<S> {
    listener: UnixListener,
    /// At its end when nobody is to be accepted any more.
    stop: UnixStream,
    turn: Mutex<()>,
    workers: Mutex<Workers>,
    crowd: Arc<Crowd>,
    serve: S,
}

#[derive(Debug, Default, Clone, Copy)]
struct Workers {
    all: usize,
    /// Among them the leader.
    idle: usize,
}

/// A pool at work.
pub(super) struct Running<S> {
    pool: Arc<Pool<S>>,
    stop: UnixStream,
}

/// Serves the connections to `listener`, which must be non-blocking, by `serve`, as far as `crowd` has
/// seats.
pub(super) fn start<S>(listener: UnixListener, crowd: Arc<Crowd>, serve: S) -> io::Result<Running<S>>
where
    S: Fn(Stream, Peer) + Send + Sync + 'static,
{
    let (stop, stopped) = UnixStream::pair()?;
    let pool = Arc::new(Pool {
        listener,
        stop: stopped,
        turn: Mutex::default(),
        workers: Mutex::default(),
        crowd,
        serve,
    });
    pool.start_worker()?;
    Ok(Running { pool, stop })
}

impl<S> Running<S> {
    /// Accepts nobody any more. Whoever was accepted has a seat in the crowd when this returns.
    pub(super) fn stop(self) {
        drop(self.stop);
        drop(lock(&self.pool.turn));
    }
}

impl<S: Fn(Stream, Peer) + Send + Sync + 'static> Pool<S> {
    fn start_worker(self: &Arc<Self>) -> io::Result<()> {
        let shift = Shift::begin(self.clone());
        let started = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || shift.work());
        if started.is_err() {
            lock(&self.workers).idle -= 1;
        }
        started.map(drop)
    }

    /// The next connection, and the seat of whoever made it; none when it is time to end.
    fn next(self: &Arc<Self>) -> Option<(Stream, Seat)> {
        let _turn = lock(&self.turn);
        loop {
            // Now, while nobody waits for it. If it fails, it is tried again when somebody does.
            let _ = self.ensure_successor();
            let Some((stream, seat)) = self.admit(self.accept()?) else { continue };
            // The last worker serves nobody: it would leave the door unattended.
            if let Err(error) = self.ensure_successor() {
                say(&format!("cannot start a thread: {error}; uid {} is turned away", seat.peer().uid));
                continue;
            }
            lock(&self.workers).idle -= 1;
            return Some((stream, seat));
        }
    }

    fn ensure_successor(self: &Arc<Self>) -> io::Result<()> {
        // Only the leader makes this number smaller.
        let idle = lock(&self.workers).idle;
        if idle < LEAST_IDLE { self.start_worker() } else { Ok(()) }
    }

    fn accept(&self) -> Option<UnixStream> {
        loop {
            let mut events = [
                PollFd::new(self.listener.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.stop.as_fd(), PollFlags::POLLIN),
            ];
            let polled = poll(&mut events, PollTimeout::NONE);
            if events[1].any() == Some(true) {
                return None;
            }
            let accepted = match polled {
                Ok(_) => self.listener.accept(),
                Err(Errno::EINTR) => continue,
                Err(error) => Err(error.into()),
            };
            match accepted {
                Ok((stream, _)) => return Some(stream),
                // The client did not wait.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Out of descriptors or memory: those that are open will give some back.
                Err(error) => {
                    say(&format!("cannot accept a connection: {error}"));
                    self.crowd.wait_for_one_to_leave(RECOVERY);
                }
            }
        }
    }

    /// Gives a new connection a seat, if its peer has not too many already. A connection that is closed
    /// before anything was said is a "not now" that the module understands.
    fn admit(&self, stream: UnixStream) -> Option<(Stream, Seat)> {
        let stream = Stream::from(stream);
        let uid = stream
            .peer_uid()
            .inspect_err(|error| say(&format!("cannot tell who connected: {error}")))
            .ok()?;
        let seat = Crowd::enter(&self.crowd, Peer { uid })
            .inspect_err(|full| say(&format!("{full}: turned away")))
            .ok()?;
        Some((stream, seat))
    }

    /// Whether a worker that has served may wait for more.
    fn rejoin(&self) -> bool {
        let mut workers = lock(&self.workers);
        let wanted = workers.idle < MOST_IDLE;
        workers.idle += usize::from(wanted);
        wanted
    }
}

/// A worker's time in the pool, which ends with a conversation that panics too.
struct Shift<S>(Arc<Pool<S>>);

impl<S: Fn(Stream, Peer) + Send + Sync + 'static> Shift<S> {
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
        while let Some((stream, seat)) = pool.next() {
            (pool.serve)(stream, seat.peer());
            drop(seat);
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

    /// Says "hello" and stays until the client goes.
    fn greet(mut stream: Stream, _: Peer) {
        let _ = stream.write_all(b"hello");
        let _ = stream.read(&mut [0]);
    }

    struct Bench<S> {
        _directory: tempfile::TempDir,
        path: std::path::PathBuf,
        crowd: Arc<Crowd>,
        running: Running<S>,
    }

    impl<S: Fn(Stream, Peer) + Send + Sync + 'static> Bench<S> {
        fn new(serve: S) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("socket");
            let listener = UnixListener::bind(&path).unwrap();
            listener.set_nonblocking(true).unwrap();
            let crowd = Arc::new(Crowd::default());
            let running = start(listener, crowd.clone(), serve).unwrap();
            Self { _directory: directory, path, crowd, running }
        }

        /// A client that is being served: it has seen its greeting.
        fn client(&self) -> UnixStream {
            let mut client = UnixStream::connect(&self.path).unwrap();
            client.read_exact(&mut [0; 5]).unwrap();
            client
        }

        fn wait_until(&self, reached: impl Fn(Workers) -> bool) -> Workers {
            loop {
                let workers = *lock(&self.running.pool.workers);
                if reached(workers) {
                    return workers;
                }
                thread::yield_now();
            }
        }
    }

    #[test]
    fn however_many_are_served_somebody_is_ready_for_the_next() {
        let bench = Bench::new(greet);
        // As many as any uid may have that the tests run as.
        let clients: Vec<_> = (0..16).map(|_| bench.client()).collect();
        let workers = bench.wait_until(|workers| workers.idle >= LEAST_IDLE);
        assert_eq!(workers.all - workers.idle, clients.len());
        assert!(workers.idle <= MOST_IDLE, "{workers:?}");
    }

    #[test]
    fn after_a_rush_only_a_few_idle_workers_stay() {
        let bench = Bench::new(greet);
        drop((0..16).map(|_| bench.client()).collect::<Vec<_>>());
        let workers = bench.wait_until(|workers| workers.all == workers.idle);
        assert!((LEAST_IDLE..=MOST_IDLE).contains(&workers.idle), "{workers:?}");
    }

    #[test]
    fn logins_one_after_the_other_start_no_threads() {
        let bench = Bench::new(greet);
        for _ in 0..200 {
            drop(bench.client());
            let workers = bench.wait_until(|workers| workers.all == workers.idle);
            assert!(workers.all <= MOST_IDLE, "{workers:?}");
        }
    }

    #[test]
    fn a_conversation_that_panics_takes_nobody_with_it() {
        let bench = Bench::new(|mut stream: Stream, _| {
            let mut byte = [0];
            let _ = stream.write_all(b"hello");
            let _ = stream.read(&mut byte);
            assert_ne!(byte, *b"!", "as the test asks");
        });
        for _ in 0..=MOST_IDLE {
            bench.client().write_all(b"!").unwrap();
        }
        drop(bench.client());
        bench.wait_until(|workers| workers.all == workers.idle && workers.idle >= LEAST_IDLE);
        bench.crowd.wait_for_all_to_leave(Duration::from_secs(3600));
    }

    #[test]
    fn a_pool_that_is_stopped_finishes_what_is_under_way_and_accepts_nobody() {
        let bench = Bench::new(greet);
        let mut client = bench.client();
        let Bench { _directory, path, crowd, running } = bench;
        let pool = running.pool.clone();
        running.stop();
        // The listening socket is open still, as the service manager's would be: this one waits for the next broker.
        let waiting = UnixStream::connect(&path).unwrap();
        while lock(&pool.workers).idle > 0 {
            thread::yield_now();
        }
        waiting.set_nonblocking(true).unwrap();
        assert_eq!((&waiting).read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        client.write_all(b"?").unwrap();
        crowd.wait_for_all_to_leave(Duration::from_secs(3600));
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
}
