//! Listening: who is served, when, and until when.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use twofa_proto::{ChannelError, Done, Request, Stream, Verdict};
use twofa_store::{Location, StoreError};

use crate::identity::accounts;
use crate::identity::authority::{Peer, Permission};
use crate::process::log::say;
use crate::requests::connection::{self, Broker};
use crate::sending::notices::{self, Bell};

use super::connection_limits::{self, Crowd, Place};
use super::deadlines::Patient;
use super::owner::{Owner, Owners};
use super::pending::{self, Visitor};
use super::stop::Stop;
use super::workers;

/// How long conversations that are at work may go on after SIGTERM.
const FINISH_PATIENCE: Duration = Duration::from_secs(10);
/// How often new connections are turned away meanwhile.
const TURN_AWAY_EVERY: Duration = Duration::from_millis(100);
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
    // Whoever connects is known by uid; lock screens and polkit helpers run as the user.
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

/// Serves `listener` until SIGTERM or SIGINT. Then people at prompts are told, and work in progress may finish.
pub fn serve(listener: &UnixListener, location: Location) -> io::Result<()> {
    let mut ends = SigSet::empty();
    ends.add(Signal::SIGTERM);
    ends.add(Signal::SIGINT);
    // Before any thread, so that all of them have it blocked.
    ends.thread_block()?;
    listener.set_nonblocking(true)?;
    make_room();
    let shelf = Arc::new(Shelf {
        location,
        broker: Mutex::default(),
    });
    if let Err(error) = shelf.broker() {
        say(&format!(
            "{error}; every login is refused until that is mended"
        ));
    }
    let bell = Arc::new(Bell::default());
    let (stopper, stop) = Stop::new()?;
    let owners = Arc::new(Mutex::new(Owners::of_this_machine()));
    let gate = Gate {
        owners: owners.clone(),
        asking: Arc::default(),
        served: Arc::default(),
    };
    let (near, stock, ring) = (stop.clone(), shelf.clone(), bell.clone());
    let pool = workers::start(listener.try_clone()?, stop, owners, move |visitor| {
        converse(visitor, &near, &gate, &stock);
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
    drop(stopper);
    pool.close();
    let until = Instant::now() + FINISH_PATIENCE;
    while !pool.wait_until_served(TURN_AWAY_EVERY) && Instant::now() < until {
        turn_away(listener);
    }
    shelf.close();
    Ok(())
}

/// Closes the connections that came while the last conversations finish: at that root's module starts a broker of its
/// own, which it would otherwise do only after two seconds.
fn turn_away(listener: &UnixListener) {
    while listener.accept().is_ok() {}
}

/// Raises the soft limit on descriptors, where it is too low, to what the crowd may need.
fn make_room() {
    let conversations = connection_limits::MOST_OF_ROOT + 2 * connection_limits::MOST_OF_ALL_USERS;
    let silent = pending::MOST_OF_ROOT + pending::MOST_OF_ALL_USERS;
    let needed = (conversations * DESCRIPTORS_OF_ONE + silent + DESCRIPTORS_OF_ALL) as rlim_t;
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

/// Finds places for requests.
#[derive(Debug)]
struct Gate {
    owners: Arc<Mutex<Owners>>,
    /// Those who are being looked up, which may hang with the name service, and those who are told no.
    asking: Arc<Crowd>,
    /// Those who may ask for what they want.
    served: Arc<Crowd>,
}

impl Gate {
    /// A place for `request`, if there is one. A peer that may not ask for it takes no place from those that may: they are
    /// told so, and that is all.
    fn admit(&self, peer: Peer, owner: Owner, request: &Request) -> Option<Place> {
        let enter = |crowd, owner| {
            Crowd::enter(crowd, owner)
                .inspect_err(|full| say(&format!("{full}: turned away")))
                .ok()
        };
        if peer.is_root() {
            return enter(&self.served, owner);
        }
        let asking = enter(&self.asking, owner)?;
        let account = accounts::find(request.user()).ok().flatten();
        if account.is_none_or(|account| peer.may(request, &account) == Permission::Refused) {
            return Some(asking);
        }
        if owner != Owner::STRANGER {
            return enter(&self.served, owner);
        }
        self.owners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remember(peer.uid);
        enter(&self.served, Owner::user(peer.uid))
    }
}

fn converse(visitor: Visitor, stop: &Arc<Stop>, gate: &Gate, shelf: &Shelf) {
    let Visitor {
        stream,
        peer,
        owner,
        opening,
    } = visitor;
    match Patient::new(stream, opening, Some(stop.clone())) {
        Ok(stream) => {
            let broker = shelf.broker();
            let admit = |request: &Request| gate.admit(peer, owner, request);
            report(&connection::hold(broker.as_deref(), peer, stream, admit));
        }
        Err(error) => say(&format!("cannot limit a connection: {error}")),
    }
}

/// Holds the one conversation of `twofad --session` on `stream`.
pub fn serve_session(stream: Stream, location: Location) -> io::Result<()> {
    let peer = Peer {
        uid: stream.peer_uid()?,
    };
    // First, since it may wait for the store, and a client's time begins with the stream.
    let broker = Broker::open(location);
    let stream = Patient::new(stream, Vec::new(), None)?;
    report(&connection::hold(broker.as_ref(), peer, stream, |_| {
        Some(())
    }));
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
        Ok(Done::Login {
            verdict: Verdict::Unavailable,
            why,
        }) => {
            say(&format!("a login could not be checked: {why}"));
        }
        Err(error @ (ChannelError::OutOfTurn(_) | ChannelError::Version(_))) => {
            say(&error.to_string())
        }
        Ok(_) | Err(ChannelError::Codec(_)) => {}
    }
}
