//! Undoes what the program that started this process has set for it: limits, scheduling, signals.
//!
//! A broker that the module starts, and root's `twofa` under sudo(8), begin with what a user has set for the processes of
//! a session. Every login waits for the write lock of the store, so none of that may slow down or stop a process that
//! holds it.

use std::fs;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, Signal};
use nix::unistd::{Pid, geteuid};

use super::cgroup::{self, CgroupError};
use super::sys;

/// Gives root's process the kernel's limits and scheduling, and takes it out of the control groups of a session, so that
/// it runs as if the system had started it.
///
/// Must be called before any thread is started and before root is given up; without root it does nothing. What the kernel
/// refuses, as in some containers, stays as it was. Fails only if a control group could not be left, because its owner
/// can stop this process.
pub fn reset_limits() -> Result<(), CgroupError> {
    if !geteuid().is_root() {
        return Ok(());
    }
    reset_resources();
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

fn reset_resources() {
    for resource in UNLIMITED {
        set_limit(resource, RLIM_INFINITY, RLIM_INFINITY);
    }
    for (resource, soft, hard) in LIMITED {
        set_limit(resource, soft, hard);
    }
}

fn set_limit(resource: Resource, soft: rlim_t, hard: rlim_t) {
    if setrlimit(resource, soft, hard).is_err()
        // Without CAP_SYS_RESOURCE a hard limit cannot be raised.
        && let Ok((_, max)) = getrlimit(resource)
    {
        let _ = setrlimit(resource, soft.min(max), max);
    }
}

fn reset_scheduling() {
    /// What init starts with (Linux, `init/init_task.c`), in nanoseconds.
    const TIMER_SLACK: u64 = 50_000;

    sys::set_normal_scheduling();
    let mut all = CpuSet::new();
    if (0..CpuSet::count()).all(|cpu| all.set(cpu).is_ok()) {
        let _ = sched_setaffinity(Pid::from_raw(0), &all);
    }
    let _ = prctl::set_timerslack(TIMER_SLACK);
}

/// Unblocks all signals and gives each its default effect, except SIGPIPE and those of a fault, which the standard
/// library has set up.
pub(crate) fn reset_signals() {
    use Signal::{SIGBUS, SIGKILL, SIGPIPE, SIGSEGV, SIGSTOP};
    for signal in Signal::iterator() {
        if !matches!(signal, SIGBUS | SIGKILL | SIGPIPE | SIGSEGV | SIGSTOP) {
            sys::set_signal_effect(signal, SigHandler::SigDfl);
        }
    }
    let _ = SigSet::empty().thread_set_mask();
}

/// Keeps the terminal from stopping this process, by Ctrl-Z or by reading or writing in the background (termios(3), "job
/// control"). A process that is stopped keeps its locks. One that is killed does not, so Ctrl-C keeps its effect.
pub fn ignore_job_control() {
    for signal in [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU] {
        sys::set_signal_effect(signal, SigHandler::SigIgn);
    }
}
