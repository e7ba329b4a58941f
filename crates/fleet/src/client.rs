//! A joined host's end: a server that answers is found, and connections are kept for the next login.
//!
//! A server may take two seconds to accept a login or an answer, then the next one is asked. One that failed is asked last for
//! half a minute. A conversation goes on with any server: one that dies in it costs nobody their login.

pub mod policy;

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use twofa_proto::codec::CodecError;
use twofa_proto::state::{MessageKind, State};
use twofa_proto::{ConnectionError, Secret};

use crate::dial::connect_to_any;
use crate::stream::{self, ToServer};
use crate::token::Address;
use crate::wire::{FromHost, FromServer, HostAnswer, HostLogin, Mark};

/// How long a server may take to accept a login, connecting included.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);
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

/// No server has accepted a login; why, for each of them.
#[derive(Debug, thiserror::Error)]
#[error("no server of the fleet can be reached: {}", .0.join("; "))]
pub struct Unreached(Vec<String>);

/// A login that a server has accepted.
#[derive(Debug)]
pub struct Conversation<'a> {
    servers: &'a Servers,
    server: usize,
    link: ToServer,
    state: State,
    first: Option<FromServer>,
    mark: Option<Mark>,
    /// What the servers were told last.
    last: Last,
    /// How often another server may be asked to go on.
    failovers: usize,
}

/// A message that waits for its reply.
#[derive(Debug, Clone)]
enum Last {
    Login(HostLogin),
    Answer(HostAnswer),
}

impl Last {
    /// It for the server that serves the conversation.
    fn message(&self, left: Duration) -> FromHost {
        match self.with_deadline(left) {
            Self::Login(login) => FromHost::Login(login),
            Self::Answer(answer) => FromHost::Answer(answer),
        }
    }

    /// It for another server, or on another connection.
    fn message_again(&self, left: Duration) -> FromHost {
        match self.with_deadline(left) {
            Self::Login(login) => FromHost::Login(HostLogin {
                is_again: true,
                ..login
            }),
            Self::Answer(answer) => FromHost::Resume(answer),
        }
    }

    fn with_deadline(&self, left: Duration) -> Self {
        let deadline = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
        match self.clone() {
            Self::Login(login) => Self::Login(HostLogin { deadline, ..login }),
            Self::Answer(answer) => Self::Answer(HostAnswer { deadline, ..answer }),
        }
    }
}

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
        let mut conversation = [0; 16];
        getrandom::fill(&mut conversation).map_err(|error| Unreached(vec![error.to_string()]))?;
        let login = HostLogin {
            conversation,
            ..login.clone()
        };
        self.deliver(&Last::Login(login), false, deadline)
    }

    /// Hands the message to a server, the first that accepts it. `is_again`: one may have had it.
    fn deliver(
        &self,
        last: &Last,
        mut is_again: bool,
        deadline: Instant,
    ) -> Result<Conversation<'_>, Unreached> {
        let mut failures = Vec::new();
        for server in self.order(Instant::now()) {
            let address = &self.addresses[server];
            let now = Instant::now();
            if now >= deadline {
                failures.push(format!("{address}: no time is left"));
                continue;
            }
            let until = deadline.min(now + SERVER_TIMEOUT);
            let left = deadline.saturating_duration_since(now);
            match self.deliver_at(server, last, &mut is_again, left, until) {
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
        left: Duration,
        until: Instant,
    ) -> Result<Conversation<'_>, ConnectionError> {
        if let Some(link) = self.take_idle(server) {
            // The server may have closed it meanwhile. Or a firewall has forgotten it and all others, and nobody answers: then half
            // of the time is left for a new one.
            let now = Instant::now();
            let half = now + until.saturating_duration_since(now) / 2;
            if let Ok(conversation) = self.begin(server, link, last, is_again, left, half) {
                return Ok(conversation);
            }
            self.lock().idle.retain(|idle| idle.server != server);
        }
        let link =
            connect(&self.config, &self.addresses[server], until).map_err(CodecError::from)?;
        self.begin(server, link, last, is_again, left, until)
    }

    fn begin(
        &self,
        server: usize,
        mut link: ToServer,
        last: &Last,
        is_again: &mut bool,
        left: Duration,
        until: Instant,
    ) -> Result<Conversation<'_>, ConnectionError> {
        let message = if *is_again {
            last.message_again(left)
        } else {
            last.message(left)
        };
        *is_again = true;
        link.set_deadline(until);
        link.send(&message)?;
        let mut conversation = Conversation {
            servers: self,
            server,
            link,
            state: State::Opened,
            first: None,
            mark: None,
            last: last.clone(),
            failovers: self.addresses.len(),
        };
        match conversation.receive_here(until)? {
            FromServer::Accepted(mark) => conversation.mark = mark,
            first => conversation.first = Some(first),
        }
        Ok(conversation)
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

impl Conversation<'_> {
    /// The server that serves it.
    pub fn server(&self) -> &Address {
        &self.servers.addresses[self.server]
    }

    /// The last mark of the fleet's database, of which the server has told.
    pub const fn mark(&self) -> Option<Mark> {
        self.mark
    }

    /// The next message, if it comes before `deadline`. If the connection ends, another server goes on.
    pub fn receive(&mut self, deadline: Instant) -> Result<FromServer, ConnectionError> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        let error = loop {
            // A server that lives accepts what it is told at once.
            let is_accepted = self.state != State::Opened;
            let until = if is_accepted {
                deadline
            } else {
                deadline.min(Instant::now() + SERVER_TIMEOUT)
            };
            match self.receive_here(until) {
                Ok(FromServer::Accepted(_)) => {}
                Ok(message) => return Ok(message),
                Err(ConnectionError::Codec(CodecError::TimedOut)) if is_accepted => {
                    return Err(CodecError::TimedOut.into());
                }
                Err(error) => break error,
            }
        };
        self.go_on_elsewhere(deadline).map_err(|_| error)?;
        self.receive(deadline)
    }

    fn receive_here(&mut self, deadline: Instant) -> Result<FromServer, ConnectionError> {
        self.link.set_deadline(deadline);
        let message: FromServer = self.link.receive()?;
        self.state = self.state.after(message.kind())?;
        Ok(message)
    }

    /// Has another server, or this one on another connection, go on with what was said last.
    fn go_on_elsewhere(&mut self, deadline: Instant) -> Result<(), Unreached> {
        let Some(failovers) = self.failovers.checked_sub(1) else {
            return Err(Unreached(Vec::new()));
        };
        self.servers.has_failed(self.server);
        let servers = self.servers;
        *self = Conversation {
            failovers,
            ..servers.deliver(&self.last, true, deadline)?
        };
        Ok(())
    }

    /// Sends the answer to a prompt, if that goes before `deadline`.
    pub fn answer(
        &mut self,
        answer: Option<Secret>,
        deadline: Instant,
    ) -> Result<(), ConnectionError> {
        self.state = self.state.after(MessageKind::Answer)?;
        let (conversation, number) = match &self.last {
            Last::Login(login) => (login.conversation, 1),
            Last::Answer(last) => (last.conversation, last.number.saturating_add(1)),
        };
        self.last = Last::Answer(HostAnswer {
            conversation,
            number,
            deadline: 0,
            answer,
        });
        self.state = State::Opened;
        self.link.set_deadline(deadline);
        let left = deadline.saturating_duration_since(Instant::now());
        if self.link.send(&self.last.message(left)).is_ok() {
            return Ok(());
        }
        let gone = |_| ConnectionError::from(CodecError::Closed);
        self.go_on_elsewhere(deadline).map_err(gone)
    }

    /// Ends it. If it has come to its end, the connection is kept.
    pub fn finish(self) {
        if self.state == State::Over {
            self.servers.keep(self.server, self.link);
        }
    }
}

/// Connects to a server, until `deadline`. Its name must be in its certificate.
pub fn connect(
    config: &Arc<ClientConfig>,
    server: &Address,
    deadline: Instant,
) -> io::Result<ToServer> {
    let socket = connect_to_any(&look_up(server, deadline)?, deadline)?;
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
