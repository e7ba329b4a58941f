//! The listening socket that a service manager passes, see `sd_listen_fds(3)`.

use std::io;
use std::os::unix::net::UnixListener;

use super::sys;

/// The socket that the service manager passed (`LISTEN_FDS`), if it passed one.
///
/// Must be called once, before anything else opens a file.
pub(crate) fn listening_socket() -> io::Result<Option<UnixListener>> {
    let mut passed = sys::take_passed_descriptors()?;
    if passed.len() > 1 {
        return Err(io::Error::other(
            "the service manager passed more than one socket",
        ));
    }
    Ok(passed.pop().map(UnixListener::from))
}
