//! `twofad --server`: serves the hosts of a fleet.
//!
//! A connection begins with a handshake, for which there are few permits and little time. A host that shows its certificate
//! has [`conversation`]s, one after the other, in each of which its row in the store is looked at with every message. It can
//! also ask about [`itself`]. One that has no certificate yet can only [`join`], and so can a server ([`server_join`]). A server
//! that was removed from the fleet ends ([`own_row`]). Each host keeps one connection open on which it waits for what it is to
//! do ([`mod@watch`]). What is [`loaded`] from files is followed while it serves.
//!
//! A connection on which nothing is being done is [`waiting`], and holds no thread: neither between two logins nor at a prompt,
//! as the conversation itself is in the store ([`turns`], [`own_turns`]). When a message arrives, it is queued for one of a few
//! workers ([`mod@work`]).

mod altered;
mod connection;
mod conversation;
mod itself;
mod join;
mod loaded;
mod opened;
mod own_row;
mod own_turns;
mod permits;
mod policy;
mod replies;
mod rescue;
mod seats;
mod seen;
mod server_join;
mod silence;
mod spoken;
#[cfg(test)]
mod tests;
mod turns;
mod waiting;
mod watch;
mod work;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::socket::{self, Backlog};
use twofa_fleet::stream::{self, Accepted, Protocol};
use twofa_fleet::{PORT, certificate};
use twofa_store::Location;

use self::connection::{HostConnection, Next};
use self::loaded::Loaded;
use self::permits::{Permits, Purpose};
use self::seats::Seats;
use self::silence::Listening;
use self::waiting::Waiting;
use self::work::{Job, Task, WorkQueue};
use super::lazy_store::LazyStore;
use super::server::{raise_descriptor_limit, start_notices, tell};
use super::{Failure, checkpoints, marks, records};
use crate::fleet::files::FleetDirectory;
use crate::process::{clock, log, service_manager};
use crate::sending::notices::Wakeup;
use crate::text::messages::log_lines;

/// How long a handshake, or joining, may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one that connects waits where as many handshakes are going on as may.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(1);
/// How long a host may keep a connection on which it asks nothing; it gives up after a minute by itself.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// How long a host may take to read a message.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often conversations that have ended are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(15);
/// How long work may go on after SIGTERM.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
const SHUTDOWN_INTERVAL: Duration = Duration::from_millis(50);
/// How long nothing is accepted when there are no descriptors or threads.
const RECOVERY_PAUSE: Duration = Duration::from_millis(100);
/// Enough for TLS, SQLite and a frame.
const STACK_BYTES: usize = 512 * 1024;

/// What all connections share.
struct Shared {
    directory: FleetDirectory,
    loaded: RwLock<Arc<Loaded>>,
    store: Arc<LazyStore>,
    permits: Arc<Permits>,
    seats: Seats,
    notices: Arc<Wakeup>,
    seen: seen::Seen,
    policy: policy::SignedPolicy,
    waiting: Waiting,
    queue: Arc<WorkQueue>,
}

/// Serves hosts until SIGTERM or SIGINT.
pub(super) fn serve(location: Location) -> Result<(), Failure> {
    let mut ends = SigSet::empty();
    ends.add(Signal::SIGTERM);
    ends.add(Signal::SIGINT);
    // Before any thread is started, so that all of them have the signals blocked.
    ends.thread_block()?;
    let directory = FleetDirectory::default();
    let loaded = Loaded::read(&directory, clock::now())?;
    let listener = bind().map_err(|error| format!("cannot listen on port {PORT}: {error}"))?;
    raise_descriptor_limit(permits::MAX_OF_ALL);
    let store = Arc::new(LazyStore::new(location));
    if let Err(error) = store.open() {
        log::warn(&format!(
            "{error}; every login of a host is refused until that is fixed"
        ));
    }
    let (notices, journal) = (Arc::new(Wakeup::default()), Arc::new(Wakeup::default()));
    start_notices(store.clone(), notices.clone())?;
    checkpoints::start(store.clone(), journal.clone())?;
    let marks_end = Arc::new(Wakeup::default());
    marks::start(store.clone(), marks_end.clone())?;
    let recorder = records::start(store.clone())?;
    start_sweeping(store.clone())?;
    let shared = Arc::new(Shared {
        directory,
        loaded: RwLock::new(Arc::new(loaded)),
        store: store.clone(),
        permits: Arc::default(),
        seats: Seats::default(),
        notices: notices.clone(),
        seen: seen::Seen::default(),
        policy: policy::SignedPolicy::default(),
        waiting: Waiting::new()?,
        queue: Arc::default(),
    });
    start(&shared)?;
    let permits = shared.permits.clone();
    watch::start(shared.clone())?;
    let own_row = Arc::new(Wakeup::default());
    own_row::start(shared.clone(), own_row.clone())?;
    thread::Builder::new()
        .name("accept".to_owned())
        .spawn(move || accept(&listener, &shared))?;
    tell(service_manager::notify_ready());
    ends.wait()?;
    tell(service_manager::notify_stopping());
    notices.end();
    journal.end();
    marks_end.end();
    own_row.end();
    finish(&permits);
    records::end(&store, &recorder);
    checkpoints::write(&store);
    store.close();
    Ok(())
}

/// Waits for what is being decided. What is at a prompt is cut off: its host says that the server is gone.
fn finish(permits: &Permits) {
    let until = Instant::now() + SHUTDOWN_TIMEOUT;
    while permits.is_deciding() && Instant::now() < until {
        thread::sleep(SHUTDOWN_INTERVAL);
    }
}

/// Starts what works on the messages of hosts.
fn start(shared: &Arc<Shared>) -> io::Result<()> {
    let watching = shared.clone();
    thread::Builder::new()
        .name("watch".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || watching.waiting.watch(&watching.queue))?;
    let working = shared.clone();
    shared.queue.start(move |job| work(&working, job))
}

/// Does what is to be done on a connection, and lets it wait for the next message.
fn work(shared: &Arc<Shared>, job: Job) {
    match conversation::serve(shared, job) {
        Next::Wait(connection) => wait(shared, connection),
        Next::End => {}
    }
}

fn wait(shared: &Shared, mut connection: HostConnection) {
    let kept = match connection.has_arrived() {
        // It was read together with the last one.
        Ok(true) => {
            shared.queue.push(Job::new(connection, Task::Message));
            Ok(())
        }
        Ok(false) => shared.waiting.add(connection),
        Err(_) => Ok(()),
    };
    if let Err(error) = kept {
        log::warn(&format!("a host's connection is closed: {error}"));
    }
}

/// Removes the conversations that have ended, and hosts that are silent, from time to time.
fn start_sweeping(store: Arc<LazyStore>) -> io::Result<()> {
    let mut listening = Listening::default();
    let mut rows = altered::Rows::default();
    let mut is_done = true;
    let sweep = move || loop {
        if is_done {
            thread::sleep(SWEEP_INTERVAL);
        }
        is_done = true;
        let Some(broker) = store.if_open() else {
            listening = Listening::default();
            continue;
        };
        let swept = turns::sweep(broker.services());
        listening.remove_silent(swept.is_ok(), broker.services());
        rows.look(broker.services());
        match swept {
            Ok(all) => is_done = all,
            Err(error) => log::warn(&log_lines::not_swept(&error)),
        }
    };
    let thread = thread::Builder::new().name("sweep".to_owned());
    thread.stack_size(STACK_BYTES).spawn(sweep).map(drop)
}

/// Listens at all addresses, of both kinds where the kernel has both.
fn bind() -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT))
        .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)))?;
    // The standard library has 128 wait to be accepted. After a restart all hosts connect at once, and one that is turned away
    // there tries again after one second, three and seven.
    socket::listen(&listener, Backlog::MAXALLOWABLE)?;
    Ok(listener)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let accepted = listener.accept().and_then(|(socket, address)| {
            // Without a permit the connection is closed, and the host tries another server.
            let Some(permit) = shared.permits.wait_for_handshake(HANDSHAKE_WAIT) else {
                return Ok(());
            };
            let shared = shared.clone();
            thread::Builder::new()
                .stack_size(STACK_BYTES)
                .spawn(move || serve_connection(&shared, socket, address, permit))
                .map(drop)
        });
        if let Err(error) = accepted {
            log::warn(&format!("cannot accept a host's connection: {error}"));
            thread::sleep(RECOVERY_PAUSE);
        }
    }
}

fn serve_connection(
    shared: &Arc<Shared>,
    socket: TcpStream,
    address: SocketAddr,
    handshake: permits::Permit,
) {
    let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
    let accepted = match stream::accept(&shared.loaded_now(clock::now()).config, socket, deadline) {
        Ok(accepted) => accepted,
        // Probes of the port are not worth a line.
        Err(error) if error.kind() != io::ErrorKind::InvalidData => return,
        Err(error) => return shared.permits.warn(&format!("{address}: {error}")),
    };
    let Accepted {
        link,
        protocol,
        certificate,
        shown,
    } = accepted;
    match (protocol, certificate) {
        (Protocol::Join, None) => join::serve(shared, link, address, deadline),
        (Protocol::Server, None) => server_join::serve(shared, link, address, deadline),
        (Protocol::Host, Some(der)) => itself::serve(shared, link, address, &der, deadline),
        (Protocol::Fleet | Protocol::Watch, Some(der)) => {
            drop(handshake);
            let Ok((key, _)) = certificate::key_and_end(&der) else {
                return;
            };
            let new = match protocol {
                Protocol::Watch => HostConnection::watching,
                _ => HostConnection::new,
            };
            match shared.permits.acquire(Purpose::Host(key)) {
                Some(permit) => wait(shared, new(link, key, shown, permit)),
                None => shared
                    .permits
                    .warn(&format!("{address}: too many connections")),
            }
        }
        _ => {}
    }
}
