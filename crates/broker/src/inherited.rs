//! File descriptors that were handed to us when we were started. The one place with unsafe code: the
//! standard library has no safe way to take over a number.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;

/// The listening socket that the service manager passed (`LISTEN_FDS`), if it passed one.
///
/// Must be called once, before anything else opens a file.
pub(crate) fn listening_socket() -> io::Result<Option<UnixListener>> {
    let mut fds = sd_notify::listen_fds()?;
    let Some(fd) = fds.next() else { return Ok(None) };
    if fds.next().is_some() {
        return Err(io::Error::other("the service manager passed more than one socket"));
    }
    // SAFETY: sd_listen_fds(3) says that this descriptor was passed to this very process (LISTEN_PID) and
    // is open; we are called once, and nothing else in this program knows its number.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok(Some(UnixListener::from(fd)))
}
