//! The watchdog: the service manager is told that the broker is alive for as long as connections are accepted, and restarts
//! it otherwise. The store is not asked: one on a disk that hangs would hang the next broker as well.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use twofa_proto::Stream;

use super::shutdown::{Shutdown, wait_for_any};
use crate::process::{log, service_manager};

/// How long the broker may take to accept a connection and to close it.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts the thread that reports at least twice in `timeout`, as long as the broker at `socket` accepts connections.
pub(super) fn start(socket: PathBuf, timeout: Duration, shutdown: Arc<Shutdown>) -> io::Result<()> {
    let interval = timeout / 3;
    let reporter = thread::Builder::new().name("watchdog".to_owned());
    reporter
        .spawn(move || {
            while !is_over(&shutdown, interval) {
                let reported = check_accepts(&socket, ACCEPT_TIMEOUT)
                    .and_then(|()| service_manager::notify_alive());
                if let Err(error) = reported {
                    log::warn(&format!("no sign of life for the watchdog: {error}"));
                }
            }
        })
        .map(drop)
}

/// Waits for `interval`. Returns whether the shutdown was requested by then.
fn is_over(shutdown: &Shutdown, interval: Duration) -> bool {
    // An error lasts, and would be reported in a tight loop.
    wait_for_any(&[shutdown.as_fd()], Some(Instant::now() + interval))
        .map_or(true, |happened| happened == [true])
}

/// Makes a connection without a request, which the broker closes.
fn check_accepts(socket: &Path, timeout: Duration) -> io::Result<()> {
    let mut stream = Stream::connect(socket, timeout)?;
    stream.set_read_timeout(timeout)?;
    stream.finish()?;
    match stream.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(io::Error::other("an answer to no request")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_broker_that_accepts_nothing_gives_no_sign_of_life() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("twofad.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let timeout = Duration::from_millis(50);
        assert!(check_accepts(&socket, timeout).is_err());

        // The connection from before is the first in the queue.
        let accepting = thread::spawn(move || {
            for stream in listener.incoming().take(2) {
                drop(stream.unwrap());
            }
        });
        assert!(check_accepts(&socket, Duration::from_secs(5)).is_ok());
        accepting.join().unwrap();
    }
}
