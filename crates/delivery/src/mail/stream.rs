//! A connection to a server that can be late at any byte, and is then given up at the deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Bytes that are read at a time.
const CHUNK: usize = 4096;

/// Bytes a server may send without an end of line.
const LONGEST_LINE: usize = 4096;

/// How long it is until `deadline`; an error when it has passed.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(ErrorKind::TimedOut.into())
    } else {
        Ok(left)
    }
}

/// Both directions of a connection, with or without TLS.
#[derive(Debug)]
pub(super) struct Stream {
    inner: Inner,
    /// What was read and not yet asked for.
    read: Vec<u8>,
}

#[derive(Debug)]
enum Inner {
    Plain(Timed),
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
    /// While TLS is being put on.
    Neither,
}

/// A socket whose every read and write ends by the deadline, so that a server that drips bytes gains nothing.
#[derive(Debug)]
struct Timed {
    socket: TcpStream,
    deadline: Instant,
}

impl Stream {
    /// Connects to the first of `addresses` that answers. Each of them has its share of the time, so that one that
    /// swallows packets does not use it up for all.
    pub(super) fn connect(addresses: &[SocketAddr], deadline: Instant) -> io::Result<Self> {
        let mut last = io::Error::other("the name has no address");
        for (i, address) in addresses.iter().enumerate() {
            let others = u32::try_from(addresses.len() - i - 1).unwrap_or(u32::MAX - 1);
            match TcpStream::connect_timeout(address, left(deadline)? / (others + 1)) {
                Ok(socket) => {
                    // Each command is one small packet that waits for its answer.
                    socket.set_nodelay(true)?;
                    return Ok(Self {
                        inner: Inner::Plain(Timed { socket, deadline }),
                        read: Vec::new(),
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Puts TLS on, with the handshake done.
    pub(super) fn secure(&mut self, config: &Arc<ClientConfig>, name: &str) -> io::Result<()> {
        if !self.read.is_empty() {
            // What came in the clear would be taken for an answer under TLS (the STARTTLS injection, CVE-2011-0411).
            return Err(io::Error::other(
                "the server sent more than its answer before TLS began",
            ));
        }
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let Inner::Plain(timed) = std::mem::replace(&mut self.inner, Inner::Neither) else {
            return Err(ErrorKind::NotConnected.into());
        };
        let mut tls = StreamOwned::new(session, timed);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        self.inner = Inner::Tls(Box::new(tls));
        Ok(())
    }

    /// Everything from now on is done by `deadline`.
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        match &mut self.inner {
            Inner::Plain(timed) => timed.deadline = deadline,
            Inner::Tls(tls) => tls.sock.deadline = deadline,
            Inner::Neither => (),
        }
    }

    /// Whether the server has neither closed the connection nor said anything unasked.
    pub(super) fn is_quiet(&self) -> bool {
        let timed = match &self.inner {
            Inner::Plain(timed) => timed,
            Inner::Tls(tls) => &tls.sock,
            Inner::Neither => return false,
        };
        self.read.is_empty() && timed.is_quiet().unwrap_or(false)
    }

    /// Writes all of `bytes`.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.inner {
            Inner::Plain(timed) => timed.write_all(bytes),
            Inner::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
            Inner::Neither => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// The next line, without its end.
    pub(super) fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = self.read.iter().position(|&b| b == b'\n') {
                let mut line: Vec<u8> = self.read.drain(..=end).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            if self.read.len() > LONGEST_LINE {
                return Err(io::Error::other("the server sent a line without an end"));
            }
            let mut chunk = [0; CHUNK];
            let count = match &mut self.inner {
                Inner::Plain(timed) => timed.read(&mut chunk),
                Inner::Tls(tls) => tls.read(&mut chunk),
                Inner::Neither => Err(ErrorKind::NotConnected.into()),
            };
            match count {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.read.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
            }
        }
    }

    /// Says `parting` and ends, without waiting for anything.
    pub(super) fn end(&mut self, parting: &[u8]) {
        self.set_deadline(Instant::now() + Duration::from_millis(5));
        let _ = self.send(parting);
        if let Inner::Tls(tls) = &mut self.inner {
            tls.conn.send_close_notify();
            let _ = tls.conn.complete_io(&mut tls.sock);
        }
    }
}

impl Timed {
    fn is_quiet(&self) -> io::Result<bool> {
        self.socket.set_nonblocking(true)?;
        let unasked = self.socket.peek(&mut [0]);
        self.socket.set_nonblocking(false)?;
        Ok(unasked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock))
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(left(self.deadline)?))?;
        self.socket.read(buffer).map_err(late)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(left(self.deadline)?))?;
        self.socket.write(bytes).map_err(late)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket that has waited long enough says that it would have to wait longer.
fn late(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock {
        ErrorKind::TimedOut.into()
    } else {
        error
    }
}
