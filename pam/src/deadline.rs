//! Waiting, but not longer than until a point in time.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use twofa_proto::Stream;

/// A stream that gives up at a point in time, however little arrives at once and however often a signal interrupts.
pub struct DeadlineStream {
    stream: Stream,
    deadline: Cell<Instant>,
}

impl DeadlineStream {
    /// `stream`, read until `deadline`.
    pub fn new(stream: Stream, deadline: Instant) -> Self {
        Self {
            stream,
            deadline: Cell::new(deadline),
        }
    }

    /// Reads until `deadline` from now on.
    pub fn set_deadline(&self, deadline: Instant) {
        self.deadline.set(deadline);
    }
}

impl Read for DeadlineStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        wait_for(&self.stream, PollFlags::POLLIN, self.deadline.get())?;
        self.stream.read(buffer)
    }
}

impl Write for DeadlineStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Waits for one of `events`, or a hang-up, on `file`. Fails with [`ErrorKind::TimedOut`] at `deadline`.
pub fn wait_for(file: &impl AsFd, events: PollFlags, deadline: Instant) -> io::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up, so that the last millisecond is not spent spinning.
        let left = PollTimeout::try_from(left.as_millis() + u128::from(!left.is_zero()))
            .map_err(|_| ErrorKind::InvalidInput)?;
        match poll(&mut [PollFd::new(file.as_fd(), events)], left) {
            Ok(0) => return Err(ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
