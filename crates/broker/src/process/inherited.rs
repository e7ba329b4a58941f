//! What this process has from the one that started it: descriptors, limits, scheduling, signals. The one place
//! with unsafe code: a descriptor is taken over by its number, and neither scheduling nor the effect of a signal is
//! set by a safe function of the standard library or nix.
//!
//! A broker that the module starts, and root's `twofa` under sudo(8), begin with what a user has set for the
//! processes of a session. Every login waits for the write lock of the store, so none of that may slow down or
//! stop a process that holds it.
#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;

use nix::libc;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{Pid, geteuid};

use crate::process::cgroup::{self, CgroupError};

/// The listening socket that the service manager passed (`LISTEN_FDS`), if it passed one.
///
/// Must be called once, before anything else opens a file.
pub(crate) fn listening_socket() -> io::Result<Option<UnixListener>> {
    let mut fds = sd_notify::listen_fds()?;
    let Some(fd) = fds.next() else {
        return Ok(None);
    };
    if fds.next().is_some() {
        return Err(io::Error::other(
            "the service manager passed more than one socket",
        ));
    }
    // SAFETY: sd_listen_fds(3) says that this descriptor was passed to this very process (LISTEN_PID) and
    // is open; we are called once, and nothing else in this program knows its number.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok(Some(UnixListener::from(fd)))
}

/// Has root's process run as the system starts processes: with the kernel's limits and scheduling, and in no
/// control group of a session.
///
/// Must be called before any thread is started, and before root is given up; without root it does nothing. What
/// the kernel refuses, as in some containers, stays as it was; of a control group that could not be left the
/// caller is told, because its owner can stop this process.
pub fn shed() -> Result<(), CgroupError> {
    if !geteuid().is_root() {
        return Ok(());
    }
    reset_limits();
    reset_scheduling();
    // proc(5): how soon this process is killed when memory is short.
    let _ = fs::write("/proc/self/oom_score_adj", "0");
    cgroup::leave()
}

/// What only a misbehaving broker could need more of: the kernel's own defaults, soft and hard (Linux,
/// `include/asm-generic/resource.h`).
const LIMITED: [(Resource, rlim_t, rlim_t); 5] = [
    (Resource::RLIMIT_NOFILE, 1024, 4096),
    (Resource::RLIMIT_STACK, 8 << 20, RLIM_INFINITY),
    (Resource::RLIMIT_MEMLOCK, 8 << 20, 8 << 20),
    (Resource::RLIMIT_NICE, 0, 0),
    (Resource::RLIMIT_RTPRIO, 0, 0),
];

const UNLIMITED: [Resource; 9] = [
    Resource::RLIMIT_AS,
    Resource::RLIMIT_CPU,
    Resource::RLIMIT_DATA,
    Resource::RLIMIT_FSIZE,
    Resource::RLIMIT_LOCKS,
    Resource::RLIMIT_NPROC,
    Resource::RLIMIT_RSS,
    Resource::RLIMIT_RTTIME,
    Resource::RLIMIT_SIGPENDING,
];

fn reset_limits() {
    for resource in UNLIMITED {
        set_limit(resource, RLIM_INFINITY, RLIM_INFINITY);
    }
    for (resource, soft, hard) in LIMITED {
        set_limit(resource, soft, hard);
    }
}

fn set_limit(resource: Resource, soft: rlim_t, hard: rlim_t) {
    if setrlimit(resource, soft, hard).is_err()
        // Without CAP_SYS_RESOURCE a hard limit is not raised.
        && let Ok((_, most)) = getrlimit(resource)
    {
        let _ = setrlimit(resource, soft.min(most), most);
    }
}

fn reset_scheduling() {
    /// What init starts with (Linux, `init/init_task.c`), in nanoseconds.
    const TIMER_SLACK: u64 = 50_000;
    /// `ioprio_set(2)`: of one process, no class of its own, so that it goes by its nice value.
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
    let mut all = CpuSet::new();
    if (0..CpuSet::count()).all(|cpu| all.set(cpu).is_ok()) {
        let _ = sched_setaffinity(Pid::from_raw(0), &all);
    }
    let _ = prctl::set_timerslack(TIMER_SLACK);
}

/// Blocks no signal, and gives each its default effect, but for SIGPIPE and those of a fault, which the standard
/// library has set up.
pub(crate) fn reset_signals() {
    use Signal::{SIGBUS, SIGKILL, SIGPIPE, SIGSEGV, SIGSTOP};
    for signal in Signal::iterator() {
        if !matches!(signal, SIGBUS | SIGKILL | SIGPIPE | SIGSEGV | SIGSTOP) {
            set_effect(signal, SigHandler::SigDfl);
        }
    }
    let _ = SigSet::empty().thread_set_mask();
}

/// Has the keys of a terminal not stop this process: neither Ctrl-Z, nor reading or writing in the background
/// (termios(3), "job control"). A process that is stopped keeps its locks; one that is killed does not, so Ctrl-C
/// stays what it is.
pub fn ignore_job_control() {
    for signal in [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU] {
        set_effect(signal, SigHandler::SigIgn);
    }
}

fn set_effect(signal: Signal, effect: SigHandler) {
    let action = SigAction::new(effect, SaFlags::empty(), SigSet::empty());
    // SAFETY: both effects that this is called with are the kernel's own, so no code runs on a signal.
    let _ = unsafe { sigaction(signal, &action) };
}
