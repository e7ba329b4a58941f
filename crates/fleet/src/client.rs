//! A joined host's end: a server that answers is found, and connections are kept for the next login.
//!
//! A server may take two seconds to accept a login, then the next one is asked. One that failed is asked last for half a
//! minute. Once a server has accepted a login, that login is served there or nowhere.

pub mod policy;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use rustls::ClientConfig;
use twofa_proto::codec::CodecError;
use twofa_proto::state::State;
use twofa_proto::{ConnectionError, Secret};

use crate::stream::{self, ToServer};
use crate::token::Address;
use crate::wire::{FromHost, FromServer, HostLogin};

/// How long a server may take to accept a login, connecting included.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);
/// For how long a server that failed is asked last.
const COOLDOWN: Duration = Duration::from_secs(30);
/// How long a connection is kept without a login. Firewalls forget one after four minutes or more.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections that are kept at most.
const MAX_IDLE: usize = 8;
/// While a person is at a prompt, the flow is kept alive at this interval, in seconds.
const KEEP_ALIVE: u32 = 60;

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

    /// Hands `login` to a server, until `deadline`. On an error no server has done anything that counts.
    pub fn open(
        &self,
        login: &HostLogin,
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
            let left = deadline.saturating_duration_since(now).as_millis();
            let login = HostLogin {
                deadline: u32::try_from(left).unwrap_or(u32::MAX),
                ..login.clone()
            };
            match self.open_at(server, login, until) {
                Ok(conversation) => {
                    self.lock().failed[server] = None;
                    return Ok(conversation);
                }
                Err(error) => {
                    self.lock().failed[server] = Some(Instant::now());
                    failures.push(format!("{address}: {error}"));
                }
            }
        }
        Err(Unreached(failures))
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

    fn open_at(
        &self,
        server: usize,
        login: HostLogin,
        until: Instant,
    ) -> Result<Conversation<'_>, ConnectionError> {
        let request = FromHost::Login(login);
        while let Some(link) = self.take_idle(server) {
            // The server may have closed it meanwhile.
            if let Ok(conversation) = self.begin(server, link, &request, until) {
                return Ok(conversation);
            }
        }
        let link =
            connect(&self.config, &self.addresses[server], until).map_err(CodecError::from)?;
        self.begin(server, link, &request, until)
    }

    fn begin(
        &self,
        server: usize,
        mut link: ToServer,
        request: &FromHost,
        until: Instant,
    ) -> Result<Conversation<'_>, ConnectionError> {
        link.set_deadline(until);
        link.send(request)?;
        let mut conversation = Conversation {
            servers: self,
            server,
            link,
            state: State::Opened,
            first: None,
        };
        match conversation.receive(until)? {
            FromServer::Accepted => {}
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

    /// The next message, if it comes before `deadline`.
    pub fn receive(&mut self, deadline: Instant) -> Result<FromServer, ConnectionError> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        self.link.set_deadline(deadline);
        let message: FromServer = self.link.receive()?;
        self.state = self.state.after(message.kind())?;
        Ok(message)
    }

    /// Sends the answer to a prompt, if that goes before `deadline`.
    pub fn answer(
        &mut self,
        answer: Option<Secret>,
        deadline: Instant,
    ) -> Result<(), ConnectionError> {
        let message = FromHost::Answer(answer);
        self.state = self.state.after(message.kind())?;
        self.link.set_deadline(deadline);
        Ok(self.link.send(&message)?)
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
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut addresses = look_up(server, deadline)?;
    // RFC 6724 puts them in order; one that drops what is sent to it must leave time for another.
    addresses.truncate(2);
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        let time = deadline.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        if time.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let connected = TcpStream::connect_timeout(&address, time).and_then(|socket| {
            keep_alive(&socket)?;
            stream::connect(config.clone(), &server.name, socket, deadline)
        });
        match connected {
            Ok(link) => return Ok(link),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn keep_alive(socket: &TcpStream) -> io::Result<()> {
    setsockopt(socket, sockopt::KeepAlive, &true)?;
    setsockopt(socket, sockopt::TcpKeepIdle, &KEEP_ALIVE)?;
    Ok(setsockopt(socket, sockopt::TcpKeepInterval, &KEEP_ALIVE)?)
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
