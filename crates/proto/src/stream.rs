//! The Unix socket under a connection.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, getsockopt, recv, send,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

/// A connected stream socket that never raises `SIGPIPE`: the programs that load the module may not ignore that signal.
#[derive(Debug)]
pub struct Stream(UnixStream);

impl Stream {
    /// Connects to the socket at `path`, waiting at most `timeout` for room in its backlog.
    pub fn connect(path: &Path, timeout: Duration) -> io::Result<Self> {
        let fd = socket(
            AddressFamily::Unix,
            SockType::Stream,
            SockFlag::SOCK_CLOEXEC,
            None,
        )?;
        // connect(2) on a Unix socket with a full backlog waits as long as SO_SNDTIMEO says (unix(7)).
        let timeout = i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX);
        setsockopt(&fd, sockopt::SendTimeout, &TimeVal::microseconds(timeout))?;
        connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
        Ok(Self(UnixStream::from(fd)))
    }

    /// The uid of the process at the other end, as the kernel knows it (`SO_PEERCRED`): the one that
    /// connected, or the one that called listen(2).
    pub fn peer_uid(&self) -> io::Result<u32> {
        Ok(getsockopt(&self.0, sockopt::PeerCredentials)?.uid())
    }

    /// Reads what has arrived, without waiting: [`io::ErrorKind::WouldBlock`] if nothing has.
    pub fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(recv(self.0.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT)?)
    }

    /// How long a read waits before it fails with [`io::ErrorKind::WouldBlock`].
    pub fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.0.set_read_timeout(Some(timeout))
    }

    /// How long a write waits before it fails with [`io::ErrorKind::WouldBlock`].
    pub fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.0.set_write_timeout(Some(timeout))
    }

    /// Tells the peer that nothing more will be sent.
    pub fn finish(&self) -> io::Result<()> {
        self.0.shutdown(std::net::Shutdown::Write)
    }
}

impl From<OwnedFd> for Stream {
    fn from(fd: OwnedFd) -> Self {
        Self(fd.into())
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self(stream)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(send(self.0.as_raw_fd(), buffer, MsgFlags::MSG_NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
