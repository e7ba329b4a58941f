//! The end of the broker, as every thread that waits for somebody notices it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Says that the broker is about to end, when it is dropped.
#[derive(Debug)]
pub(super) struct Stopper(#[expect(dead_code, reason = "dropping it is its use")] UnixStream);

/// Readable, because it is at its end, once the broker is about to end.
#[derive(Debug)]
pub(super) struct Stop(UnixStream);

impl Stop {
    pub(super) fn new() -> io::Result<(Stopper, Arc<Self>)> {
        let (stopper, stop) = UnixStream::pair()?;
        Ok((Stopper(stopper), Arc::new(Self(stop))))
    }

    pub(super) fn is_near(&self) -> bool {
        let mut events = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        poll(&mut events, PollTimeout::ZERO).is_ok() && events[0].any() == Some(true)
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits until something happens to one of `files`, at most until `deadline`, and answers to which.
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
    fn the_end_is_seen_by_everybody_and_stays() {
        let (stopper, stop) = Stop::new().unwrap();
        assert!(!stop.is_near());
        drop(stopper);
        for _ in 0..2 {
            assert!(stop.is_near());
            assert_eq!(wait_for_any(&[stop.as_fd()], None).unwrap(), [true]);
        }
    }
}
