//! Listening, and a thread for each conversation.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use std::{fs, thread};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use twofa_proto::{ChannelError, Done, Stream, Verdict};
use twofa_store::{Location, StoreError};

use crate::authority::Peer;
use crate::conversation::{self, Broker};
use crate::program::say;

/// Conversations one uid may have open. Root has every login of the machine.
const MOST_OF_A_USER: usize = 16;
const MOST_OF_ROOT: usize = 512;
/// How long a person may think at a prompt; sshd and login end earlier by themselves.
const ANSWER_PATIENCE: Duration = Duration::from_secs(300);
/// How long a client may take to read what we send.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// How long conversations may go on after SIGTERM.
const FINISH_PATIENCE: Duration = Duration::from_secs(10);
/// Enough for SQLite and a frame; 500 of these are address space, not memory.
const STACK_BYTES: usize = 512 * 1024;

/// The store, opened when it is first needed: a broker started before there is one answers, with a
/// refusal that says why, and works as soon as there is.
#[derive(Debug)]
struct Shelf {
    location: Location,
    broker: Mutex<Option<Arc<Broker>>>,
}

impl Shelf {
    fn broker(&self) -> Result<Arc<Broker>, StoreError> {
        let mut shelf = self.broker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(broker) = &*shelf {
            return Ok(broker.clone());
        }
        let broker = Arc::new(Broker::open(self.location.clone())?);
        *shelf = Some(broker.clone());
        Ok(broker)
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
    let signals = SignalFd::with_flags(&ends, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    listener.set_nonblocking(true)?;
    let shelf = Arc::new(Shelf { location, broker: Mutex::default() });
    if let Err(error) = shelf.broker() {
        say(&format!("{error}; every login is refused until that is mended"));
    }
    let crowd = Arc::new(Crowd::default());
    loop {
        let mut events = [
            PollFd::new(listener.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut events, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        if signals.read_signal()?.is_some() {
            break;
        }
        match listener.accept() {
            Ok((stream, _)) => admit(stream.into(), &shelf, &crowd),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Out of descriptors or memory: those that are open will give some back.
            Err(error) => {
                say(&format!("cannot accept a connection: {error}"));
                crowd.wait_for_one_to_leave(Duration::from_millis(100));
            }
        }
    }
    crowd.wait_for_all_to_leave(FINISH_PATIENCE);
    Ok(())
}

/// Starts the conversation on a new connection, if its peer has not too many already. A connection that
/// is closed before anything was said is a "not now" that the module understands.
fn admit(stream: Stream, shelf: &Arc<Shelf>, crowd: &Arc<Crowd>) {
    let peer = match stream.peer_uid() {
        Ok(uid) => Peer { uid },
        Err(error) => return say(&format!("cannot tell who connected: {error}")),
    };
    let Some(seat) = Crowd::enter(crowd, peer) else {
        return say(&format!("uid {} has too many conversations open: turned away", peer.uid));
    };
    let shelf = shelf.clone();
    let conversation = move || {
        let _seat = seat;
        converse(stream, peer, &shelf);
    };
    if let Err(error) = thread::Builder::new().stack_size(STACK_BYTES).spawn(conversation) {
        say(&format!("cannot start a thread: {error}"));
    }
}

fn converse(stream: Stream, peer: Peer, shelf: &Shelf) {
    // A socket whose limits cannot be set is not served.
    if let Err(error) = set_patience(&stream) {
        return say(&format!("cannot limit a connection: {error}"));
    }
    let broker = shelf.broker();
    report(&conversation::hold(broker.as_deref(), peer, stream));
}

/// Holds the one conversation of `twofad --session` on `stream`.
pub fn serve_session(stream: Stream, location: Location) -> io::Result<()> {
    set_patience(&stream)?;
    let peer = Peer { uid: stream.peer_uid()? };
    let broker = Broker::open(location);
    report(&conversation::hold(broker.as_ref(), peer, stream));
    Ok(())
}

fn set_patience(stream: &Stream) -> io::Result<()> {
    stream.set_read_timeout(ANSWER_PATIENCE)?;
    stream.set_write_timeout(WRITE_PATIENCE)
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

/// Who is here, by uid.
#[derive(Debug, Default)]
struct Crowd {
    seats: Mutex<HashMap<u32, usize>>,
    left: Condvar,
}

/// A place in the crowd, given back when dropped.
struct Seat {
    crowd: Arc<Crowd>,
    uid: u32,
}

impl Crowd {
    fn enter(crowd: &Arc<Self>, peer: Peer) -> Option<Seat> {
        let most = if peer.is_root() { MOST_OF_ROOT } else { MOST_OF_A_USER };
        let mut seats = crowd.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = seats.entry(peer.uid).or_default();
        if *taken >= most {
            return None;
        }
        *taken += 1;
        Some(Seat { crowd: crowd.clone(), uid: peer.uid })
    }

    fn wait_for_one_to_leave(&self, patience: Duration) {
        let seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.left.wait_timeout(seats, patience));
    }

    fn wait_for_all_to_leave(&self, patience: Duration) {
        let seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.left.wait_timeout_while(seats, patience, |seats| !seats.is_empty()));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.crowd.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = seats.get_mut(&self.uid) {
            *taken -= 1;
            if *taken == 0 {
                seats.remove(&self.uid);
            }
        }
        self.crowd.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_sixteen_conversations_and_leaves_room_for_others() {
        let crowd = Arc::new(Crowd::default());
        let alice = Peer { uid: 1000 };
        let mut seats: Vec<_> = (0..MOST_OF_A_USER).map(|_| Crowd::enter(&crowd, alice).unwrap()).collect();
        assert!(Crowd::enter(&crowd, alice).is_none());
        assert!(Crowd::enter(&crowd, Peer { uid: 1001 }).is_some());
        seats.pop();
        assert!(Crowd::enter(&crowd, alice).is_some());
    }

    #[test]
    fn an_empty_crowd_is_not_waited_for() {
        let crowd = Arc::new(Crowd::default());
        drop(Crowd::enter(&crowd, Peer::ROOT));
        crowd.wait_for_all_to_leave(Duration::from_secs(3600));
    }
}
