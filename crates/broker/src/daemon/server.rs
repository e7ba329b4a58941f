//! Listening at the socket, and serving what comes.

use std::fs;
use std::io;
use std::mem;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use twofa_proto::{ConnectionError, Done, Request, Stream, Verdict};
use twofa_store::{Location, StoreError};

use super::admission::Admission;
use super::deadlines::DeadlineStream;
use super::lazy_store::LazyStore;
use super::owner::Owners;
use super::pending::{self, ReadyConnection};
use super::shutdown::Shutdown;
use super::{
    checkpoints, connection_limits, fleet_policy, fleet_sessions, marks, records, rescue_codes,
    upkeep, watchdog, workers,
};
use crate::fleet::upkeep::Upkeep;
use crate::identity::authority::Peer;
use crate::journal::{self, Anchored};
use crate::process::{log, service_manager};
use crate::requests::broker::Broker;
use crate::requests::connection;
use crate::sending::notices::{self, Wakeup};

/// How long connections that are being served may go on after SIGTERM.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
/// How often new connections are closed meanwhile.
const CLOSE_INTERVAL: Duration = Duration::from_millis(100);
/// Descriptors that a connection needs: its socket, and one for the name service or a provider.
const DESCRIPTORS_PER_CONNECTION: usize = 2;
/// Descriptors for the store, the sockets and the standard streams.
const DESCRIPTORS_IN_COMMON: usize = 64;

/// Makes the socket at `path`. One that a dead broker left is removed; one that answers is not.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if UnixStream::connect(path).is_ok() {
                return Err(io::Error::new(
                    error.kind(),
                    "another broker is listening there",
                ));
            }
            fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        result => result?,
    };
    // Every peer is known by its uid. Screen lockers and polkit helpers run as the user.
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

/// Serves `listener` until SIGTERM or SIGINT. Then people at prompts are told, and work in progress may finish.
pub fn serve(listener: &UnixListener, location: Location) -> io::Result<()> {
    let mut ends = SigSet::empty();
    ends.add(Signal::SIGTERM);
    ends.add(Signal::SIGINT);
    // Before any thread is started, so that all of them have the signals blocked.
    ends.thread_block()?;
    listener.set_nonblocking(true)?;
    raise_descriptor_limit(descriptors_of_connections());
    let store = Arc::new(LazyStore::new(location));
    if let Err(error) = store.open() {
        log::warn(&format!(
            "{error}; every login is refused until that is fixed"
        ));
    }
    let wakeup = Arc::new(Wakeup::default());
    let (trigger, shutdown) = Shutdown::new()?;
    let owners = Arc::new(Mutex::new(Owners::of_this_machine()));
    let admission = Admission::new(owners.clone());
    let watched = shutdown.clone();
    let (requested, stored, waker) = (shutdown.clone(), store.clone(), wakeup.clone());
    let journal_wakeup = Arc::new(Wakeup::default());
    let journal_waker = journal_wakeup.clone();
    let pool = workers::start(listener.try_clone()?, shutdown, owners, move |connection| {
        serve_connection(connection, &requested, &admission, &stored);
        let may_have_notices = |broker: Arc<Broker>| broker.store().may_have_notices();
        if stored.if_open().is_some_and(may_have_notices) {
            waker.wake();
        }
        let may_be_full = |broker: Arc<Broker>| broker.store().journal_may_be_full();
        if stored.if_open().is_some_and(may_be_full) {
            journal_waker.wake();
        }
    })?;
    start_notices(store.clone(), wakeup.clone())?;
    checkpoints::start(store.clone(), journal_wakeup.clone())?;
    let fleet = start_fleet(&store)?;
    let recorder = records::start(store.clone())?;
    report_ready(listener, watched)?;
    ends.wait()?;
    tell(service_manager::notify_stopping());
    wakeup.end();
    journal_wakeup.end();
    for wakeup in &fleet {
        wakeup.end();
    }
    drop(trigger);
    pool.close();
    let until = Instant::now() + SHUTDOWN_TIMEOUT;
    while !pool.wait_until_served(CLOSE_INTERVAL) && Instant::now() < until {
        close_new(listener);
    }
    records::end(&store, &recorder);
    checkpoints::write(&store);
    store.close();
    Ok(())
}

/// Starts what a host of a fleet has to do, and what a server of one gives its database. Each ends with its wakeup.
fn start_fleet(store: &Arc<LazyStore>) -> io::Result<[Arc<Wakeup>; 5]> {
    let wakeups: [Arc<Wakeup>; 5] = Default::default();
    let [policy, sessions, marks_end, fleet, rescue] = &wakeups;
    fleet_policy::start(store.clone(), policy.clone())?;
    fleet_sessions::start(store.clone(), sessions.clone(), policy.clone())?;
    marks::start(store.clone(), marks_end.clone())?;
    upkeep::start(store.clone(), fleet.clone())?;
    rescue_codes::start(store.clone(), rescue.clone())?;
    Ok(wakeups)
}

/// Tells the service manager, if there is one, that connections are served, and from then on that they still are.
fn report_ready(listener: &UnixListener, shutdown: Arc<Shutdown>) -> io::Result<()> {
    tell(service_manager::notify_ready());
    let Some(timeout) = service_manager::watchdog_timeout() else {
        return Ok(());
    };
    match listener.local_addr()?.as_pathname() {
        Some(socket) => watchdog::start(socket.to_owned(), timeout, shutdown),
        None => Err(io::Error::other(
            "the socket has no path, which the watchdog needs",
        )),
    }
}

/// Logs that the service manager could not be told something.
pub(super) fn tell(told: io::Result<()>) {
    if let Err(error) = told {
        log::warn(&format!("cannot notify the service manager: {error}"));
    }
}

/// Starts the thread that sends notices.
pub(super) fn start_notices(store: Arc<LazyStore>, wakeup: Arc<Wakeup>) -> io::Result<()> {
    let sender = thread::Builder::new().name("notices".to_owned());
    sender
        .spawn(move || {
            let keep_sending = || notices::keep_sending(&wakeup, || send_notices(&store));
            // A notice that was being sent stays claimed for two minutes: this does not panic in a tight loop.
            while panic::catch_unwind(AssertUnwindSafe(keep_sending)).is_err() {
                log::warn("a notice could not be sent because of a bug in this program; the others are sent");
            }
        })
        .map(drop)
}

/// Closes the connections that arrive while the last ones finish. Root's module then starts a broker of its own at once
/// instead of after two seconds.
fn close_new(listener: &UnixListener) {
    while listener.accept().is_ok() {}
}

/// As many descriptors as connections take at most.
const fn descriptors_of_connections() -> usize {
    let served = connection_limits::MAX_OF_ROOT + 2 * connection_limits::MAX_OF_ALL_USERS;
    let pending = pending::MAX_OF_ROOT + pending::MAX_OF_ALL_USERS;
    served * DESCRIPTORS_PER_CONNECTION + pending
}

/// Raises the soft limit on descriptors, where it is too low, to what all connections need.
pub(super) fn raise_descriptor_limit(for_connections: usize) {
    let needed = (for_connections + DESCRIPTORS_IN_COMMON) as rlim_t;
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < needed {
            setrlimit(Resource::RLIMIT_NOFILE, needed.min(hard), hard)?;
        }
        Ok(soft.max(hard))
    });
    match raised {
        Ok(limit) if limit >= needed => {}
        Ok(limit) => log::warn(&format!(
            "the limit on open files is {limit}; below {needed}, logins may be refused when there are many at once"
        )),
        Err(error) => log::warn(&format!("cannot raise the limit on open files: {error}")),
    }
}

/// Sends the notices that are due. Returns the seconds until the next is due.
fn send_notices(store: &LazyStore) -> Option<u64> {
    let broker = store.open().ok()?;
    notices::send_due(broker.services()).unwrap_or_else(|error| {
        log::warn(&format!("cannot send notices: {error}"));
        None
    })
}

fn serve_connection(
    connection: ReadyConnection,
    shutdown: &Arc<Shutdown>,
    admission: &Admission,
    store: &LazyStore,
) {
    if store.is_outdated() {
        make_way(connection);
        return;
    }
    let ReadyConnection {
        stream,
        peer,
        owner,
        opening,
    } = connection;
    match DeadlineStream::new(stream, opening, Some(shutdown.clone())) {
        Ok(stream) => {
            let broker = store.open();
            let admit = |request: &Request| admission.admit(peer, owner, request);
            report(&connection::serve(broker.as_deref(), peer, stream, admit));
        }
        Err(error) => log::warn(&format!("cannot set the timeout of a connection: {error}")),
    }
}

/// Ends this broker, because a newer program has brought the store up to date. systemd starts the one on disk when the
/// client of `connection` tries again, or else root's module does.
fn make_way(connection: ReadyConnection) {
    log::warn(
        "a newer twofa has brought the store up to date: this broker ends, so that the new one serves",
    );
    // It closes with this process. A client that tried again before would still find this one.
    mem::forget(connection);
    if let Err(error) = kill(Pid::this(), Signal::SIGTERM) {
        log::warn(&format!("cannot end: {error}"));
    }
}

/// Serves the one connection of `twofad --stdio` on `stream`.
pub fn serve_stdio(stream: Stream, location: Location) -> io::Result<()> {
    let peer = Peer::new(stream.peer_uid()?);
    // First, since it may wait for the store, and the client's time begins with the stream.
    let broker = Broker::open(location, log::event).map(Arc::new);
    let stream = DeadlineStream::new(stream, Vec::new(), None)?;
    report(&connection::serve(broker.as_deref(), peer, stream, |_| {
        Some(())
    }));
    let Ok(broker) = broker else { return Ok(()) };
    records::record_now(&broker);
    let is_checkpoint_due = || {
        let store = broker.store();
        store.has_logged()
            && store
                .is_checkpoint_due(broker.services().now())
                .unwrap_or(false)
    };
    if notices::is_any_due(broker.services()) || is_checkpoint_due() {
        notices::send_by_another_process()?;
    }
    // Somebody waits for the end of the process.
    if broker.store().leave_short_log().unwrap_or(false) {
        broker.keep_store_open();
    }
    Ok(())
}

/// Writes a checkpoint of the audit log and sends notices, if they are due.
pub fn serve_notices(location: Location) -> Result<(), StoreError> {
    let broker = Broker::open(location, log::event)?;
    journal::keep_up(broker.store(), broker.services().now(), Anchored::AsLines)?;
    notices::send_due(broker.services())?;
    // Where no daemon runs, this is the only process that has the time.
    upkeep::run(broker.services(), Upkeep::CertificateOnly, None);
    Ok(())
}

/// Tells the administrator what the person at the prompt cannot fix. The module logs refused codes, with the login's own
/// lines.
fn report(ended: &Result<Done, ConnectionError>) {
    match ended {
        Ok(Done::Login {
            verdict: Verdict::Unavailable,
            why,
            ..
        }) => {
            log::warn(&format!("a login could not be checked: {why}"));
        }
        Err(error @ (ConnectionError::OutOfTurn(_) | ConnectionError::Version(_))) => {
            log::warn(&error.to_string());
        }
        Ok(_) | Err(ConnectionError::Codec(_)) => {}
    }
}
