//! Ctrl-C where it must not simply end this process: what is under way is told to the person first, and the terminal is as it
//! was.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Holds Ctrl-C back until it is dropped. If it was pressed meanwhile and nobody has [taken](take) it, it ends this process
/// then.
#[derive(Debug)]
pub(crate) struct Held(SigSet);

impl Held {
    pub(crate) fn begin() -> Result<Self, Errno> {
        let before = SigSet::thread_get_mask()?;
        hold()?;
        Ok(Self(before))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.thread_set_mask();
    }
}

/// Holds Ctrl-C back from now on.
pub(crate) fn hold() -> Result<(), Errno> {
    interrupt().thread_block()
}

/// Lets Ctrl-C end this process, even if the one that started it holds it back: what is held back is inherited.
pub(crate) fn release() -> Result<(), Errno> {
    interrupt().thread_unblock()
}

/// Whether Ctrl-C was pressed while it was held back. It has no further effect.
pub(crate) fn take() -> Result<bool, Errno> {
    Ok(descriptor()?.read_signal()?.is_some())
}

/// Waits until one of `files` can be read, and says which can; `None`: Ctrl-C was pressed, which must be held back.
pub(crate) fn wait_for<const N: usize>(
    files: [BorrowedFd<'_>; N],
) -> Result<Option<[bool; N]>, Errno> {
    let interrupts = descriptor()?;
    let all = files.iter().copied().chain([interrupts.as_fd()]);
    let mut polled: Vec<_> = all
        .map(|file| PollFd::new(file, PollFlags::POLLIN))
        .collect();
    while let Err(error) = poll(&mut polled, PollTimeout::NONE) {
        if error != Errno::EINTR {
            return Err(error);
        }
    }
    let ready = std::array::from_fn(|at| polled[at].any() == Some(true));
    Ok((!take()?).then_some(ready))
}

fn descriptor() -> Result<SignalFd, Errno> {
    SignalFd::with_flags(&interrupt(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
}

fn interrupt() -> SigSet {
    let mut interrupt = SigSet::empty();
    interrupt.add(Signal::SIGINT);
    interrupt
}
