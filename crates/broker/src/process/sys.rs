//! The system calls that have no safe function in the standard library or nix: taking over a descriptor by its number,
//! scheduling, the state of the clock, and the effect of a signal. All unsafe code of the broker is here.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd};

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// The descriptors that the service manager passed, see `sd_listen_fds(3)`. Must be called once, before anything else opens a
/// file.
pub(super) fn take_passed_descriptors() -> std::io::Result<Vec<OwnedFd>> {
    let passed = sd_notify::listen_fds()?;
    // SAFETY: sd_listen_fds(3) says that these descriptors were passed to this very process (LISTEN_PID) and are open;
    // this is called once, and nothing else in this program knows their numbers.
    Ok(passed
        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
        .collect())
}

/// Gives this thread the scheduling that init starts with.
pub(super) fn set_normal_scheduling() {
    /// `ioprio_set(2)`: for one process, no class of its own, so that its nice value applies.
    const IOPRIO_WHO_PROCESS: libc::c_int = 1;
    const IOPRIO_CLASS_NONE: libc::c_int = 0;

    // Zeroed rather than by name: on some C libraries it has more fields, which are for other policies.
    // SAFETY: `sched_param` is made of integers.
    let normal: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: 0 is this thread, and the kernel copies the parameters.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const normal) };
    // SAFETY: setpriority(2) takes numbers; 0 is this thread.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 0) };
    // SAFETY: ioprio_set(2) takes numbers; 0 is this thread.
    unsafe {
        libc::syscall(
            libc::SYS_ioprio_set,
            IOPRIO_WHO_PROCESS,
            0,
            IOPRIO_CLASS_NONE,
        )
    };
}

/// Sets the effect of `signal` to one of the kernel's own.
pub(super) fn set_signal_effect(signal: Signal, effect: SigHandler) {
    let action = SigAction::new(effect, SaFlags::empty(), SigSet::empty());
    // SAFETY: callers pass `SigDfl` or `SigIgn`, so no code runs on a signal.
    let _ = unsafe { sigaction(signal, &action) };
}

/// Whether the kernel takes its clock for synchronised, see `adjtimex(2)`; `None`: it does not say.
pub(super) fn is_clock_synchronised() -> Option<bool> {
    // SAFETY: `timex` is made of integers, and `modes` 0 changes nothing.
    let mut time: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes into `time`, which outlives the call.
    let state = unsafe { libc::adjtimex(&raw mut time) };
    (state >= 0).then_some(time.status & libc::STA_UNSYNC == 0)
}
