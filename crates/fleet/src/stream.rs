//! A TLS connection on which reads and writes end at a deadline, however few bytes arrive before it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::ops::DerefMut;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send, setsockopt, sockopt};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{AcceptedAlert, Acceptor};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, ServerConnection, SideData, StreamOwned,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use twofa_proto::codec::{self, CodecError};

use crate::tls::{ServerConfigs, Shown};
use crate::{
    HOST_PROTOCOL, JOIN_PROTOCOL, PREVIOUS_PROTOCOL, PROTOCOL, SERVER_PROTOCOL, WATCH_PROTOCOL,
};

/// How long a flow is quiet before the kernel asks whether the other end is there, and how often it asks again, in seconds.
const KEEP_ALIVE: u32 = 60;
/// How long what was sent, or asked, may stay unanswered (`TCP_USER_TIMEOUT`, RFC 5482).
const USER_TIMEOUT: Duration = Duration::from_secs(20);

/// A TCP connection whose reads and writes fail as timed out from a deadline on.
#[derive(Debug)]
pub struct TimedSocket {
    socket: TcpStream,
    deadline: Instant,
}

/// A host's end of a connection.
pub type ToServer = Link<ClientConnection>;
/// A server's end.
pub type ToHost = Link<ServerConnection>;

/// One end of a connection.
#[derive(Debug)]
pub struct Link<C>(StreamOwned<C, TimedSocket>)
where
    StreamOwned<C, TimedSocket>: std::fmt::Debug;

/// What the two ends agreed to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// [`PROTOCOL`], or [`PREVIOUS_PROTOCOL`]
    Fleet,
    /// [`HOST_PROTOCOL`]
    Host,
    /// [`JOIN_PROTOCOL`]
    Join,
    /// [`SERVER_PROTOCOL`]
    Server,
    /// [`WATCH_PROTOCOL`]
    Watch,
}

/// A connection that a server has accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The connection.
    pub link: ToHost,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// The host's certificate, verified; `None`: it has shown none.
    pub certificate: Option<CertificateDer<'static>>,
    /// The certificate that it was shown.
    pub shown: Arc<Shown>,
}

/// Shakes hands with a client that connected by `socket`, until `deadline`.
pub fn accept(
    configs: &ServerConfigs,
    socket: TcpStream,
    deadline: Instant,
) -> io::Result<Accepted> {
    let mut socket = TimedSocket { socket, deadline };
    let (connection, shown) = begin(configs, &mut socket)?;
    let link = Link::shake_hands(connection, socket)?;
    let connection = &link.0.conn;
    let certificate = connection
        .peer_certificates()
        .and_then(<[_]>::first)
        .map(|certificate| certificate.clone().into_owned());
    let protocol = match connection.alpn_protocol() {
        Some(PROTOCOL | PREVIOUS_PROTOCOL) => Protocol::Fleet,
        Some(HOST_PROTOCOL) => Protocol::Host,
        Some(JOIN_PROTOCOL) => Protocol::Join,
        Some(SERVER_PROTOCOL) => Protocol::Server,
        Some(WATCH_PROTOCOL) => Protocol::Watch,
        _ => return Err(io::Error::other("the client names no protocol of ours")),
    };
    Ok(Accepted {
        link,
        protocol,
        certificate,
        shown,
    })
}

/// Reads what a client says first, and begins the handshake with the configuration that is for it.
fn begin(
    configs: &ServerConfigs,
    socket: &mut TimedSocket,
) -> io::Result<(ServerConnection, Arc<Shown>)> {
    let mut acceptor = Acceptor::default();
    let refuse = |socket: &mut TimedSocket, (error, mut alert): (rustls::Error, AcceptedAlert)| {
        // It is told why, if it still listens.
        let _ = alert.write_all(socket);
        io::Error::new(ErrorKind::InvalidData, error)
    };
    let accepted = loop {
        if acceptor.read_tls(socket)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => break accepted,
            Ok(None) => {}
            Err(refused) => return Err(refuse(socket, refused)),
        }
    };
    // A client that could go on with anything else shows a certificate that has not ended.
    let (is_itself, shown) = {
        let hello = accepted.client_hello();
        let mut protocols = hello.alpn().into_iter().flatten();
        let is_itself = protocols.next() == Some(HOST_PROTOCOL) && protocols.next().is_none();
        (is_itself, configs.choose(hello.certificate_authorities()))
    };
    let shown = shown.ok_or(ErrorKind::NotFound)?.clone();
    let config = if is_itself {
        &shown.itself
    } else {
        &shown.usual
    };
    let connection = accepted
        .into_connection(config.clone())
        .map_err(|refused| refuse(socket, refused))?;
    Ok((connection, shown))
}

/// Shakes hands with the server `name` at the other end of `socket`, until `deadline`.
pub fn connect(
    config: Arc<ClientConfig>,
    name: &str,
    socket: TcpStream,
    deadline: Instant,
) -> io::Result<ToServer> {
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
    let link = Link::shake_hands(connection, TimedSocket { socket, deadline })?;
    if link.0.conn.alpn_protocol().is_none() {
        return Err(io::Error::other("the server speaks no protocol of ours"));
    }
    Ok(link)
}

impl<C, S> Link<C>
where
    C: DerefMut<Target = ConnectionCommon<S>> + std::fmt::Debug,
    S: SideData,
    StreamOwned<C, TimedSocket>: std::fmt::Debug,
{
    fn shake_hands(mut connection: C, mut socket: TimedSocket) -> io::Result<Self> {
        socket.socket.set_nodelay(true)?;
        notice_dead_peer(&socket.socket)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(Self(StreamOwned::new(connection, socket)))
    }

    /// From now on, reads and writes fail at `deadline`.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.0.sock.deadline = deadline;
    }

    /// The connection below.
    pub const fn socket(&self) -> &TcpStream {
        &self.0.sock.socket
    }

    /// Receives a message.
    pub fn receive<T: DeserializeOwned>(&mut self) -> Result<T, CodecError> {
        codec::read(&mut self.0)
    }

    /// Sends a message.
    pub fn send<T: Serialize>(&mut self, message: &T) -> Result<(), CodecError> {
        codec::write(&mut self.0, message)
    }
}

/// Has the kernel keep the flow alive while a person is at a prompt, and give it up when the other end is gone: without that, a
/// write into a flow that a firewall has forgotten waits for a quarter of an hour.
fn notice_dead_peer(socket: &TcpStream) -> io::Result<()> {
    setsockopt(socket, sockopt::KeepAlive, &true)?;
    setsockopt(socket, sockopt::TcpKeepIdle, &KEEP_ALIVE)?;
    setsockopt(socket, sockopt::TcpKeepInterval, &KEEP_ALIVE)?;
    let milliseconds = USER_TIMEOUT.as_millis().try_into().unwrap_or(u32::MAX);
    Ok(setsockopt(socket, sockopt::TcpUserTimeout, &milliseconds)?)
}

impl ToServer {
    /// The certificates that the server has shown, its own first.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        self.0.conn.peer_certificates().unwrap_or_default()
    }

    /// Whether the server speaks [`PROTOCOL`], and not the one before.
    pub fn is_current(&self) -> bool {
        self.0.conn.alpn_protocol() == Some(PROTOCOL)
    }

    /// Whether a message arrives within `timeout`, or the beginning of one. Fails if the connection has ended.
    pub fn arrives_within(&mut self, timeout: Duration) -> io::Result<bool> {
        let unread = self
            .0
            .conn
            .process_new_packets()
            .map_err(io::Error::other)?;
        if unread.plaintext_bytes_to_read() > 0 {
            return Ok(true);
        }
        let socket = &self.0.sock.socket;
        socket.set_read_timeout(Some(timeout))?;
        match socket.peek(&mut [0]) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether nothing has come from the server, not even its end. Between two conversations nothing should.
    pub fn is_quiet(&mut self) -> bool {
        let socket = self.0.sock.socket.as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK;
        let peeked = recv(socket, &mut [0], flags);
        peeked == Err(Errno::EAGAIN)
    }
}

impl ToHost {
    /// Whether a message has arrived, or the beginning of one. Does not wait for anything. Fails if the connection has ended.
    pub fn has_arrived(&mut self) -> io::Result<bool> {
        let StreamOwned { conn, sock } = &mut self.0;
        let unread = conn.process_new_packets().map_err(io::Error::other)?;
        if unread.plaintext_bytes_to_read() > 0 {
            return Ok(true);
        }
        match conn.read_tls(&mut AtOnce(&sock.socket)) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        let state = conn.process_new_packets().map_err(io::Error::other)?;
        match state.plaintext_bytes_to_read() {
            0 if state.peer_has_closed() => Err(ErrorKind::UnexpectedEof.into()),
            bytes => Ok(bytes > 0),
        }
    }
}

impl TimedSocket {
    fn time_left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            Err(ErrorKind::TimedOut.into())
        } else {
            Ok(left)
        }
    }
}

/// Reads what is there, and waits for nothing.
struct AtOnce<'a>(&'a TcpStream);

impl Read for AtOnce<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(recv(self.0.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT)?)
    }
}

impl Read for TimedSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(self.time_left()?))?;
        self.socket.read(buffer)
    }
}

impl Write for TimedSocket {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let left = self.time_left()?;
        // There is nearly always room, and then there is no time to be set.
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match send(self.socket.as_raw_fd(), buffer, flags) {
            Err(Errno::EAGAIN) => {}
            sent => return Ok(sent?),
        }
        self.socket.set_write_timeout(Some(left))?;
        self.socket.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
