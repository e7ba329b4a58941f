use super::*;
use std::io::{Read, Write};

use super::super::shutdown::ShutdownTrigger;

/// Says "hello" and stays until the client goes.
fn greet(connection: ReadyConnection) {
    let mut stream = connection.stream;
    let _ = stream.write_all(b"hello");
    let _ = stream.read(&mut [0]);
}

/// The shortest message there is.
const MESSAGE: &[u8] = &[0; 4];

struct Bench<S> {
    _directory: tempfile::TempDir,
    path: std::path::PathBuf,
    trigger: Option<ShutdownTrigger>,
    running: RunningPool<S>,
}

impl<S: Fn(ReadyConnection) + Send + Sync + 'static> Bench<S> {
    fn new(serve: S) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (trigger, shutdown) = Shutdown::new().unwrap();
        let owners = Arc::new(Mutex::new(Owners::of_this_machine()));
        let running = start(listener, shutdown, owners, serve).unwrap();
        Self {
            _directory: directory,
            path,
            trigger: Some(trigger),
            running,
        }
    }

    /// A client that is being served: it has received its greeting.
    fn client(&self) -> UnixStream {
        let mut client = UnixStream::connect(&self.path).unwrap();
        client.write_all(MESSAGE).unwrap();
        client.read_exact(&mut [0; 5]).unwrap();
        client
    }

    fn wait_until(&self, reached: impl Fn(Counts) -> bool) -> Counts {
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
fn however_many_are_served_a_worker_is_ready_for_the_next() {
    let bench = Bench::new(greet);
    let clients: Vec<_> = (0..16).map(|_| bench.client()).collect();
    let workers = bench.wait_until(|workers| workers.idle >= MIN_IDLE);
    assert_eq!(workers.busy(), clients.len());
    assert!(workers.idle <= MAX_IDLE, "{workers:?}");
}

#[test]
fn after_a_rush_only_a_few_idle_workers_stay() {
    let bench = Bench::new(greet);
    drop((0..16).map(|_| bench.client()).collect::<Vec<_>>());
    let workers = bench.wait_until(|workers| workers.busy() == 0);
    assert!((MIN_IDLE..=MAX_IDLE).contains(&workers.idle), "{workers:?}");
}

#[test]
fn logins_one_after_the_other_start_no_threads() {
    let bench = Bench::new(greet);
    for _ in 0..200 {
        drop(bench.client());
        let workers = bench.wait_until(|workers| workers.busy() == 0);
        assert!(workers.all <= MAX_IDLE, "{workers:?}");
    }
}

#[test]
fn silent_connections_take_no_thread_and_delay_no_client() {
    let bench = Bench::new(greet);
    // More than a user can have, which the client that comes after them is, too, unless root runs this.
    let silent: Vec<_> = (0..100)
        .map(|_| UnixStream::connect(&bench.path).unwrap())
        .collect();
    let client = bench.client();
    assert_eq!(
        bench.wait_until(|workers| workers.idle >= MIN_IDLE).busy(),
        1
    );
    assert!(lock(&bench.running.0.workers).all <= MAX_IDLE);
    drop((client, silent));
    bench.wait_until_all_are_served();
}

#[test]
fn a_panic_ends_one_connection_and_no_other() {
    let bench = Bench::new(|ReadyConnection { mut stream, .. }| {
        let mut byte = [0];
        let _ = stream.write_all(b"hello");
        let _ = stream.read(&mut byte);
        assert_ne!(byte, *b"!", "as the test asks");
    });
    for _ in 0..=MAX_IDLE {
        bench.client().write_all(b"!").unwrap();
    }
    drop(bench.client());
    bench.wait_until(|workers| workers.busy() == 0 && workers.idle >= MIN_IDLE);
    bench.wait_until_all_are_served();
}

#[test]
fn a_pool_at_a_shutdown_finishes_what_is_under_way_and_accepts_nothing() {
    let mut bench = Bench::new(greet);
    let mut client = bench.client();
    let mut silent = UnixStream::connect(&bench.path).unwrap();
    drop(bench.client());
    bench.trigger = None;
    bench.running.close();
    assert_eq!(
        silent.read(&mut [0]).unwrap(),
        0,
        "a client without a request can turn to another broker"
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
fn a_leader_at_a_shutdown_starts_no_successor() {
    let mut bench = Bench::new(greet);
    bench.wait_until(|workers| workers.idle >= MIN_IDLE);
    bench.trigger = None;
    bench.wait_until(|workers| workers.all == 0);
    // Like a worker that comes back from serving.
    *lock(&bench.running.0.workers) = Counts { all: 1, idle: 1 };
    assert!(bench.running.0.next().is_none());
    assert_eq!(lock(&bench.running.0.workers).all, 1);
}
