//! A joined host's end: a server that answers is found, and connections are kept for the next login.
//!
//! A server may take two seconds to accept a login or an answer, then the next one is asked. The last one to ask has all the time
//! of the login. One that failed is asked last for half a minute. A conversation goes on with any server: one that dies in it costs nobody their login, and neither does one that
//! cannot decide, because it has lost the database or its clock is off.

mod conversation;
pub mod policy;
pub mod watch;

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use twofa_proto::ConnectionError;
use twofa_proto::codec::CodecError;

pub use self::conversation::Conversation;
use self::conversation::Last;
use crate::dial::connect_to_any;
use crate::stream::{self, ToServer};
use crate::token::Address;
use crate::wire::{ConversationId, DeviceClaim, HostLogin, HostRequest};

/// How long a server may take to accept a login, connecting included, as long as there is another one to try.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the last one to try may take to be reached. Once it is, it has all the time of the login: nothing is won by giving up
/// on a server that is busy, as the only one is after a restart, when all hosts come at once.
const LAST_TIMEOUT: Duration = Duration::from_secs(5);
/// For how long a server that failed is asked last.
const COOLDOWN: Duration = Duration::from_secs(30);
/// How long a connection is kept without a login. Firewalls forget one after four minutes or more.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections that are kept at most.
const MAX_IDLE: usize = 8;

/// The servers of a host's fleet.
#[derive(Debug)]
pub struct Servers {
    config: Arc<ClientConfig>,
    addresses: Vec<Address>,
    state: Mutex<ServersState>,
}

#[derive(Debug)]
struct ServersState {
    /// When each server failed last.
    failed: Vec<Option<Instant>>,
    idle: Vec<Idle>,
}

#[derive(Debug)]
struct Idle {
    server: usize,
    link: ToServer,
    since: Instant,
}

/// How long a host waits for a server.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// For the reply.
    left: Duration,
    /// Until it accepts what is sent on a connection that was kept. The server may have closed that meanwhile. Or a firewall has
    /// forgotten it and all others, and nobody answers: then half of the time is left for a new one.
    idle: Instant,
    /// Until a new connection is there.
    reached: Instant,
    /// Until the server accepts what is sent on that.
    accepted: Instant,
}

impl Patience {
    /// At `now`, if all must be over by `deadline`.
    fn at(now: Instant, deadline: Instant, is_last: bool) -> Self {
        let within = |time| deadline.min(now + time);
        Self {
            left: deadline.saturating_duration_since(now),
            idle: within(SERVER_TIMEOUT / 2),
            reached: within(if is_last {
                LAST_TIMEOUT
            } else {
                SERVER_TIMEOUT
            }),
            accepted: if is_last {
                deadline
            } else {
                within(SERVER_TIMEOUT)
            },
        }
    }
}

/// No server has accepted a login; why, for each of them.
#[derive(Debug, thiserror::Error)]
#[error("no server of the fleet can be reached: {}", .0.join("; "))]
pub struct Unreached(Vec<String>);

impl Servers {
    /// The servers at these addresses, spoken to with `config`.
    pub fn new(config: Arc<ClientConfig>, addresses: Vec<Address>) -> Self {
        let state = Mutex::new(ServersState {
            failed: vec![None; addresses.len()],
            idle: Vec::new(),
        });
        Self {
            config,
            addresses,
            state,
        }
    }

    /// Hands `login` to a server, until `deadline`. It is given an id of its own. On an error no server has done anything that
    /// counts.
    pub fn open(
        &self,
        login: &HostLogin,
        deadline: Instant,
    ) -> Result<Conversation<'_>, Unreached> {
        self.open_from(login, None, deadline)
    }

    /// The same with what is known of the device behind the login, which is told to servers that know what it is.
    pub fn open_from(
        &self,
        login: &HostLogin,
        device: Option<&DeviceClaim>,
        deadline: Instant,
    ) -> Result<Conversation<'_>, Unreached> {
        let login = HostLogin {
            conversation: random_id()?,
            ..login.clone()
        };
        let last = Last::Login(login, device.cloned());
        self.deliver(&last, false, &[], deadline)
    }

    /// The same for what a person does with their own record. Only the server that has it goes on with it.
    pub fn open_own(
        &self,
        request: &HostRequest,
        deadline: Instant,
    ) -> Result<Conversation<'_>, Unreached> {
        let request = HostRequest {
            conversation: random_id()?,
            ..request.clone()
        };
        self.deliver(&Last::Own(request), false, &[], deadline)
    }

    /// Hands the message to a server, the first that accepts it and is none of `except`. `is_again`: one may have had it.
    fn deliver(
        &self,
        last: &Last,
        mut is_again: bool,
        except: &[usize],
        deadline: Instant,
    ) -> Result<Conversation<'_>, Unreached> {
        let mut failures = Vec::new();
        let order = self.order(Instant::now()).into_iter();
        let mut order = order.filter(|server| !except.contains(server)).peekable();
        while let Some(server) = order.next() {
            let address = &self.addresses[server];
            let now = Instant::now();
            if now >= deadline {
                failures.push(format!("{address}: no time is left"));
                continue;
            }
            let patience = Patience::at(now, deadline, order.peek().is_none());
            match self.deliver_at(server, last, &mut is_again, patience) {
                Ok(conversation) => {
                    self.lock().failed[server] = None;
                    return Ok(conversation);
                }
                Err(error) => {
                    self.has_failed(server);
                    failures.push(format!("{address}: {error}"));
                }
            }
        }
        Err(Unreached(failures))
    }

    fn has_failed(&self, server: usize) {
        self.lock().failed[server] = Some(Instant::now());
    }

    /// The servers, those last that have failed of late.
    fn order(&self, now: Instant) -> Vec<usize> {
        let state = self.lock();
        let failed = |server: &usize| {
            state.failed[*server].is_some_and(|at| now.saturating_duration_since(at) < COOLDOWN)
        };
        let (last, first): (Vec<_>, Vec<_>) = (0..self.addresses.len()).partition(failed);
        first.into_iter().chain(last).collect()
    }

    fn deliver_at(
        &self,
        server: usize,
        last: &Last,
        is_again: &mut bool,
        patience: Patience,
    ) -> Result<Conversation<'_>, ConnectionError> {
        let Patience {
            left,
            idle,
            reached,
            accepted,
        } = patience;
        if let Some(link) = self.take_idle(server) {
            if let Ok(conversation) = self.begin(server, link, last, is_again, left, idle) {
                return Ok(conversation);
            }
            self.lock().idle.retain(|idle| idle.server != server);
        }
        let address = &self.addresses[server];
        let link = connect_in(&self.config, address, reached, accepted);
        let link = link.map_err(CodecError::from)?;
        self.begin(server, link, last, is_again, left, accepted)
    }

    fn take_idle(&self, server: usize) -> Option<ToServer> {
        let mut state = self.lock();
        let now = Instant::now();
        state
            .idle
            .retain(|idle| now.saturating_duration_since(idle.since) < IDLE_TIMEOUT);
        loop {
            let index = state.idle.iter().rposition(|idle| idle.server == server)?;
            let mut link = state.idle.swap_remove(index).link;
            if link.is_quiet() {
                return Some(link);
            }
        }
    }

    fn keep(&self, server: usize, link: ToServer) {
        let mut state = self.lock();
        if state.idle.len() < MAX_IDLE {
            let since = Instant::now();
            state.idle.push(Idle {
                server,
                link,
                since,
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, ServersState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn random_id() -> Result<ConversationId, Unreached> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| Unreached(vec![error.to_string()]))?;
    Ok(id)
}

/// Connects to a server, until `deadline`. Its name must be in its certificate.
pub fn connect(
    config: &Arc<ClientConfig>,
    server: &Address,
    deadline: Instant,
) -> io::Result<ToServer> {
    connect_in(config, server, deadline, deadline)
}

/// The same, with less time to reach it.
fn connect_in(
    config: &Arc<ClientConfig>,
    server: &Address,
    reached: Instant,
    deadline: Instant,
) -> io::Result<ToServer> {
    let socket = connect_to_any(&look_up(server, reached)?, reached)?;
    stream::connect(config.clone(), &server.name, socket, deadline)
}

/// The addresses of a server. The resolver may hang for longer than a login has; it is asked on a thread of its own.
fn look_up(server: &Address, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    let Address { name, port } = server.clone();
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        let found = (name.as_str(), port).to_socket_addrs();
        // Nobody may wait for it by now.
        let _ = sender.send(found.map(Iterator::collect));
    })?;
    let time = deadline.saturating_duration_since(Instant::now());
    receiver.recv_timeout(time).unwrap_or_else(|_| {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the resolver does not answer",
        ))
    })
}
