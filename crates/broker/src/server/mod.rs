//! Listening: who is served, when, and for how long.
//!
//! The [`pool`] accepts and serves, as far as the [`crowd`] has seats and each client keeps within our
//! [`patience`].

mod crowd;
mod patience;
mod pool;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use twofa_proto::{ChannelError, Done, Stream, Verdict};
use twofa_store::{Location, StoreError};

use crate::authority::Peer;
use crate::conversation::{self, Broker};
use crate::journal::say;
use crate::notices::{self, Bell};

use self::crowd::Crowd;
use self::patience::Patient;

/// How long conversations may go on after SIGTERM.
const FINISH_PATIENCE: Duration = Duration::from_secs(10);
/// What a conversation has open: its socket, and what the name service or a provider takes meanwhile.
const DESCRIPTORS_OF_ONE: usize = 2;
/// The store, the sockets, the standard streams.
const DESCRIPTORS_OF_ALL: usize = 64;

/// The store, opened when it is first needed: a broker started before there is one answers, with a
/// refusal that says why, and works as soon as there is.
#[derive(Debug)]
struct Shelf {
    location: Location,
    broker: Mutex<Option<Arc<Broker>>>,
}

impl Shelf {
    fn broker(&self) -> Result<Arc<Broker>, StoreError> {
        let mut shelf = self.lock();
        if let Some(broker) = &*shelf {
            return Ok(broker.clone());
        }
        let broker = Arc::new(Broker::open(self.location.clone())?);
        // One that cannot be written is opened for each conversation, until it can.
        if !broker.store().is_snapshot() {
            *shelf = Some(broker.clone());
        }
        Ok(broker)
    }

    /// Closes the store, as soon as nobody uses it: a clean end leaves no write-ahead log.
    fn close(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Broker>>> {
        self.broker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the socket at `path`. One that a dead broker left is taken away, one that answers is not.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if UnixStream::connect(path).is_ok() {
                return Err(io::Error::new(error.kind(), "another broker is listening there"));
            }
            fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        result => result?,
    };
    // Whoever connects is known by uid; lock screens and polkit helpers run as the user.
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

/// Serves `listener` until SIGTERM or SIGINT, then lets what is open finish.
pub fn serve(listener: &UnixListener, location: Location) -> io::Result<()> {
    let mut ends = SigSet::empty();
    ends.add(Signal::SIGTERM);
    ends.add(Signal::SIGINT);
    // Before any thread, so that all of them have it blocked.
    ends.thread_block()?;
    listener.set_nonblocking(true)?;
    make_room();
    let shelf = Arc::new(Shelf { location, broker: Mutex::default() });
    if let Err(error) = shelf.broker() {
        say(&format!("{error}; every login is refused until that is mended"));
    }
    let crowd = Arc::new(Crowd::default());
    let bell = Arc::new(Bell::default());
    let (stock, ring) = (shelf.clone(), bell.clone());
    let pool = pool::start(listener.try_clone()?, crowd.clone(), move |stream, peer| {
        converse(stream, peer, &stock);
        // A store that cannot be opened has nothing to send.
        let broker = stock.lock().clone();
        if broker.is_some_and(|broker| notices::is_any_due(broker.services())) {
            ring.ring();
        }
    })?;
    let (stock, rung) = (shelf.clone(), bell.clone());
    let messenger = thread::Builder::new().name("notices".to_owned());
    messenger.spawn(move || {
        let keep_sending = || notices::keep_sending(&rung, || send_notices(&stock));
        // What was being sent is claimed for two minutes: this is no way to panic without end.
        while panic::catch_unwind(AssertUnwindSafe(keep_sending)).is_err() {
            say("a notice could not be sent for a fault of this program; the others are");
        }
    })?;
    ends.wait()?;
    bell.silence();
    pool.stop();
    crowd.wait_for_all_to_leave(FINISH_PATIENCE);
    shelf.close();
    Ok(())
}

/// Raises the soft limit on descriptors, where it is too low, to what the crowd may need.
fn make_room() {
    let seats = crowd::MOST_OF_ROOT + crowd::MOST_OF_ALL_USERS;
    let needed = (seats * DESCRIPTORS_OF_ONE + DESCRIPTORS_OF_ALL) as rlim_t;
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < needed {
            setrlimit(Resource::RLIMIT_NOFILE, needed.min(hard), hard)?;
        }
        Ok(soft.max(hard))
    });
    match raised {
        Ok(most) if most >= needed => {}
        Ok(most) => say(&format!(
            "the limit on open files is {most}: with fewer than {needed}, logins are turned away in a rush"
        )),
        Err(error) => say(&format!("cannot raise the limit on open files: {error}")),
    }
}

/// Sends the notices that are due, and says in how many seconds the next is.
fn send_notices(shelf: &Shelf) -> Option<u64> {
    let broker = shelf.broker().ok()?;
    notices::send_due(broker.services()).unwrap_or_else(|error| {
        say(&format!("cannot send notices: {error}"));
        None
    })
}

fn converse(stream: Stream, peer: Peer, shelf: &Shelf) {
    match Patient::new(stream) {
        Ok(stream) => {
            let broker = shelf.broker();
            report(&conversation::hold(broker.as_deref(), peer, stream));
        }
        Err(error) => say(&format!("cannot limit a connection: {error}")),
    }
}

/// Holds the one conversation of `twofad --session` on `stream`.
pub fn serve_session(stream: Stream, location: Location) -> io::Result<()> {
    let peer = Peer { uid: stream.peer_uid()? };
    let stream = Patient::new(stream)?;
    let broker = Broker::open(location);
    report(&conversation::hold(broker.as_ref(), peer, stream));
    if broker.is_ok_and(|broker| notices::is_any_due(broker.services())) {
        notices::send_by_another_process()?;
    }
    Ok(())
}

/// Sends the notices that are due, and ends.
pub fn serve_notices(location: Location) -> Result<(), StoreError> {
    notices::send_due(Broker::open(location)?.services()).map(drop)
}

/// Tells the administrator what the person at the prompt cannot mend. Refused codes are the module's to
/// log, where the login's own lines are.
fn report(ended: &Result<Done, ChannelError>) {
    match ended {
        Ok(Done::Login { verdict: Verdict::Unavailable, why }) => {
            say(&format!("a login could not be checked: {why}"));
        }
        Err(error @ (ChannelError::OutOfTurn(_) | ChannelError::Version(_))) => say(&error.to_string()),
        Ok(_) | Err(ChannelError::Codec(_)) => {}
    }
}
