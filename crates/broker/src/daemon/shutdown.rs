//! How every thread that waits learns that the broker is about to end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Announces the shutdown when it is dropped.
#[derive(Debug)]
pub(super) struct ShutdownTrigger(
    #[expect(dead_code, reason = "dropping it is its use")] UnixStream,
);

/// Becomes readable, at end of file, once shutdown was requested.
#[derive(Debug)]
pub(super) struct Shutdown(UnixStream);

impl Shutdown {
    pub(super) fn new() -> io::Result<(ShutdownTrigger, Arc<Self>)> {
        let (trigger, shutdown) = UnixStream::pair()?;
        Ok((ShutdownTrigger(trigger), Arc::new(Self(shutdown))))
    }

    pub(super) fn is_requested(&self) -> bool {
        let mut events = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        poll(&mut events, PollTimeout::ZERO).is_ok() && events[0].any() == Some(true)
    }
}

impl AsFd for Shutdown {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits until one of `files` is readable, at most until `deadline`. The answer says for each whether it is.
pub(super) fn wait_for_any(
    files: &[BorrowedFd<'_>],
    deadline: Option<Instant>,
) -> io::Result<Vec<bool>> {
    let mut events: Vec<_> = files
        .iter()
        .map(|file| PollFd::new(*file, PollFlags::POLLIN))
        .collect();
    loop {
        match poll(&mut events, time_left(deadline)) {
            Ok(_) => {
                return Ok(events
                    .iter()
                    .map(|event| event.any() != Some(false))
                    .collect());
            }
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn time_left(deadline: Option<Instant>) -> PollTimeout {
    let Some(deadline) = deadline else {
        return PollTimeout::NONE;
    };
    let left = deadline.saturating_duration_since(Instant::now());
    // Rounded up: the last part of a millisecond must not be spent in a loop.
    PollTimeout::try_from(left.as_millis() + u128::from(!left.is_zero()))
        .unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shutdown_is_seen_by_every_waiter_and_stays_requested() {
        let (trigger, shutdown) = Shutdown::new().unwrap();
        assert!(!shutdown.is_requested());
        drop(trigger);
        for _ in 0..2 {
            assert!(shutdown.is_requested());
            assert_eq!(wait_for_any(&[shutdown.as_fd()], None).unwrap(), [true]);
        }
    }
}
