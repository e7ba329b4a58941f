//! A byte stream to a server whose every read and write ends by the deadline, with or without TLS.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Bytes per read.
const CHUNK: usize = 4096;

/// The maximum length of a line, in bytes.
const MAX_LINE: usize = 4096;

/// The time left until `deadline`; an error if it has passed.
fn time_left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(ErrorKind::TimedOut.into())
    } else {
        Ok(left)
    }
}

/// A connection, with or without TLS.
#[derive(Debug)]
pub(crate) struct Stream {
    inner: Inner,
    /// Bytes that were received and not yet returned.
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum Inner {
    Plain(DeadlineSocket),
    Tls(Box<StreamOwned<ClientConnection, DeadlineSocket>>),
    /// During the TLS handshake, and after one that failed.
    Handshaking,
}

/// A socket whose every read and write ends by the deadline, so that a server that sends single bytes cannot prolong
/// them.
#[derive(Debug)]
struct DeadlineSocket {
    socket: TcpStream,
    deadline: Instant,
}

impl Stream {
    /// Connects to the first of `addresses` that accepts the connection. Each has its share of the time, so that one
    /// that drops packets does not use up the time of all.
    pub(crate) fn connect(addresses: &[SocketAddr], deadline: Instant) -> io::Result<Self> {
        let mut last = io::Error::other("the name has no address");
        for (i, address) in addresses.iter().enumerate() {
            let remaining = u32::try_from(addresses.len() - i - 1).unwrap_or(u32::MAX - 1);
            match TcpStream::connect_timeout(address, time_left(deadline)? / (remaining + 1)) {
                Ok(socket) => {
                    // Each command is one small packet whose reply is awaited.
                    socket.set_nodelay(true)?;
                    return Ok(Self {
                        inner: Inner::Plain(DeadlineSocket { socket, deadline }),
                        buffer: Vec::new(),
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The address of this end of the connection.
    pub(crate) fn local_address(&self) -> io::Result<SocketAddr> {
        match &self.inner {
            Inner::Plain(socket) => socket.socket.local_addr(),
            Inner::Tls(tls) => tls.sock.socket.local_addr(),
            Inner::Handshaking => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Performs the TLS handshake.
    pub(crate) fn start_tls(&mut self, config: &Arc<ClientConfig>, name: &str) -> io::Result<()> {
        if !self.buffer.is_empty() {
            // Bytes received unencrypted would be read as a reply received under TLS (STARTTLS injection,
            // CVE-2011-0411).
            return Err(io::Error::other(
                "the server sent more than its reply to STARTTLS before TLS began",
            ));
        }
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let Inner::Plain(socket) = std::mem::replace(&mut self.inner, Inner::Handshaking) else {
            return Err(ErrorKind::NotConnected.into());
        };
        let mut tls = StreamOwned::new(session, socket);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        self.inner = Inner::Tls(Box::new(tls));
        Ok(())
    }

    /// The server's certificate, as DER. `None`: there is no TLS.
    pub(crate) fn certificate(&self) -> Option<&[u8]> {
        let Inner::Tls(tls) = &self.inner else {
            return None;
        };
        tls.conn.peer_certificates()?.first().map(AsRef::as_ref)
    }

    /// Sets the deadline for all further reads and writes.
    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        match &mut self.inner {
            Inner::Plain(socket) => socket.deadline = deadline,
            Inner::Tls(tls) => tls.sock.deadline = deadline,
            Inner::Handshaking => (),
        }
    }

    /// Whether the server has neither closed the connection nor sent anything unsolicited.
    pub(crate) fn is_quiet(&self) -> bool {
        let socket = match &self.inner {
            Inner::Plain(socket) => socket,
            Inner::Tls(tls) => &tls.sock,
            Inner::Handshaking => return false,
        };
        self.buffer.is_empty() && socket.is_quiet().unwrap_or(false)
    }

    /// Writes all of `bytes`.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.inner {
            Inner::Plain(socket) => socket.write_all(bytes),
            Inner::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
            Inner::Handshaking => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Reads the next line, without its line ending.
    pub(crate) fn read_line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&b| b == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            if self.buffer.len() > MAX_LINE {
                return Err(io::Error::other(format!(
                    "the server sent a line longer than {MAX_LINE} bytes"
                )));
            }
            let mut chunk = [0; CHUNK];
            let count = match &mut self.inner {
                Inner::Plain(socket) => socket.read(&mut chunk),
                Inner::Tls(tls) => tls.read(&mut chunk),
                Inner::Handshaking => Err(ErrorKind::NotConnected.into()),
            };
            match count {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends `farewell` and closes the connection without waiting for a reply.
    pub(crate) fn close(&mut self, farewell: &[u8]) {
        self.set_deadline(Instant::now() + Duration::from_millis(5));
        let _ = self.write(farewell);
        if let Inner::Tls(tls) = &mut self.inner {
            tls.conn.send_close_notify();
            let _ = tls.conn.complete_io(&mut tls.sock);
        }
    }
}

impl DeadlineSocket {
    fn is_quiet(&self) -> io::Result<bool> {
        self.socket.set_nonblocking(true)?;
        let unsolicited = self.socket.peek(&mut [0]);
        self.socket.set_nonblocking(false)?;
        Ok(unsolicited.is_err_and(|error| error.kind() == ErrorKind::WouldBlock))
    }
}

impl Read for DeadlineSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket
            .set_read_timeout(Some(time_left(self.deadline)?))?;
        self.socket.read(buffer).map_err(timed_out)
    }
}

impl Write for DeadlineSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket
            .set_write_timeout(Some(time_left(self.deadline)?))?;
        self.socket.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket reports an expired timeout as `WouldBlock`.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock {
        ErrorKind::TimedOut.into()
    } else {
        error
    }
}
