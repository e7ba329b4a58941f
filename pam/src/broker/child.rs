//! A child process that the module starts in an application that does not know of it.
//!
//! The application may reap it: by waiting for all of its children, or by ignoring `SIGCHLD`, so that the kernel does. From
//! then on its number may belong to another process. So it is identified by a descriptor, which stays its own
//! (`pidfd_open(2)`).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::time::Instant;

use nix::poll::PollFlags;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, pidfd_open, pidfd_send_signal,
    waitid,
};

use crate::deadline::wait_for;
use crate::sigchld::DefaultSigchld;

/// A process that was started here. It keeps running when this is dropped.
pub struct Child {
    pid: Pid,
    /// `None` on a kernel before 5.3.
    descriptor: Option<OwnedFd>,
}

impl Child {
    /// Starts `command`.
    pub fn spawn(mut command: Command) -> io::Result<Self> {
        let _sigchld = DefaultSigchld::hold()?;
        let pid = command.spawn()?.id();
        let pid = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self {
            pid,
            descriptor: pidfd_open(pid, PidfdFlags::empty()).ok(),
        })
    }

    /// Kills it, if it has not exited.
    pub fn kill(&self) {
        let _ = match &self.descriptor {
            Some(descriptor) => pidfd_send_signal(descriptor, Signal::KILL),
            // The number is its own until it is reaped, and then it is no child of ours.
            None if self.is_our_child() => kill_process(self.pid, Signal::KILL),
            None => Ok(()),
        };
    }

    /// Reaps it, unless the application or the kernel did, as soon as it has exited. If it does not exit by `deadline`
    /// although it was killed, because a disk or a debugger holds it, it is left to the application.
    pub fn reap(&self, deadline: Instant) {
        let exited = WaitIdOptions::EXITED;
        let Some(descriptor) = &self.descriptor else {
            let _ = waitid(WaitId::Pid(self.pid), exited);
            return;
        };
        let _ = wait_for(descriptor, PollFlags::POLLIN, deadline);
        // Linux 5.3 has the descriptor, but cannot wait for it.
        if let Err(Errno::INVAL) = waitid(
            WaitId::PidFd(descriptor.as_fd()),
            exited | WaitIdOptions::NOHANG,
        ) {
            let _ = waitid(WaitId::Pid(self.pid), exited | WaitIdOptions::NOHANG);
        }
    }

    fn is_our_child(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(self.pid), look).is_ok()
    }

    #[cfg(test)]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigchld::has_unreaped_child;
    use crate::sys::tests::{handle_sigchld, ignore_sigchld};
    use nix::sys::wait::wait;
    use std::process::Stdio;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use std::{env, fs, thread};

    const TIMEOUT: Duration = Duration::from_secs(10);
    const REQUEST: &str = "PAM_TWOFA_TEST_CHILDREN";

    /// Runs `application` in a process of its own: what it does about children would affect those of other tests.
    fn in_an_application(name: &str, application: impl FnOnce()) {
        if env::var_os(REQUEST).is_some_and(|requested| requested == name) {
            application();
            return;
        }
        if env::var_os(REQUEST).is_some() {
            return;
        }
        let run = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                &format!("broker::child::tests::{name}"),
                "--nocapture",
            ])
            .env(REQUEST, name)
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
        assert!(
            run.status.success() && output.contains("1 passed"),
            "{output}"
        );
    }

    fn program(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn until(condition: impl Fn() -> bool) {
        let end = Instant::now() + TIMEOUT;
        while !condition() {
            assert!(Instant::now() < end, "timed out");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn exists(pid: u32) -> bool {
        fs::exists(format!("/proc/{pid}")).unwrap()
    }

    fn kill_and_reap(child: &Child) {
        child.kill();
        let start = Instant::now();
        child.reap(start + TIMEOUT);
        assert!(start.elapsed() < TIMEOUT);
        assert!(!exists(child.pid()));
    }

    /// Whether `SIGCHLD` (17) is in this set of `/proc/self/status`.
    fn is_sigchld_in(set: &str) -> bool {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let set = status
            .lines()
            .find_map(|line| line.strip_prefix(set)?.strip_prefix(":\t"))
            .unwrap();
        u64::from_str_radix(set, 16).unwrap() & 1 << 16 != 0
    }

    #[test]
    fn a_child_is_killed_and_reaped_in_an_application_that_ignores_its_children() {
        in_an_application(
            "a_child_is_killed_and_reaped_in_an_application_that_ignores_its_children",
            || {
                ignore_sigchld();
                let child = Child::spawn(program("exec sleep 1000")).unwrap();
                assert!(is_sigchld_in("SigIgn"), "restored once the child runs");
                kill_and_reap(&child);

                let child = Child::spawn(program("exit 0")).unwrap();
                until(|| !exists(child.pid()));
                kill_and_reap(&child);
            },
        );
    }

    #[test]
    fn a_child_is_killed_and_reaped_in_an_application_that_waits_for_all_its_children() {
        in_an_application(
            "a_child_is_killed_and_reaped_in_an_application_that_waits_for_all_its_children",
            || {
                let application = Child::spawn(program("exec sleep 1000")).unwrap();
                let waits = thread::spawn(|| while wait().is_ok() {});
                for script in ["exec sleep 1000", "exit 0"].repeat(50) {
                    kill_and_reap(&Child::spawn(program(script)).unwrap());
                }
                application.kill();
                waits.join().unwrap();
            },
        );
    }

    #[test]
    fn a_handler_of_the_application_is_called_for_its_own_children_and_for_none_that_ends_in_order()
    {
        in_an_application(
            "a_handler_of_the_application_is_called_for_its_own_children_and_for_none_that_ends_in_order",
            || {
                static HEARD: AtomicUsize = AtomicUsize::new(0);
                handle_sigchld(&HEARD);
                let child = Child::spawn(program("exec sleep 1000")).unwrap();
                {
                    let _sigchld = DefaultSigchld::hold().unwrap();
                    kill_and_reap(&child);
                }
                assert_eq!(HEARD.load(Ordering::Relaxed), 0);

                let sigchld = DefaultSigchld::hold().unwrap();
                let mut own = program("exit 0").spawn().unwrap();
                until(has_unreaped_child);
                assert_eq!(HEARD.load(Ordering::Relaxed), 0);
                drop(sigchld);
                assert_eq!(HEARD.load(Ordering::Relaxed), 1);
                assert!(own.try_wait().unwrap().is_some());
            },
        );
    }

    #[test]
    fn a_process_that_has_the_number_of_a_child_that_is_gone_is_not_killed() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        in_an_application(
            "a_process_that_has_the_number_of_a_child_that_is_gone_is_not_killed",
            || {
                let child = Child::spawn(program("exit 0")).unwrap();
                wait().unwrap();
                // Other processes of the machine may come first.
                let mut another = (0..1000)
                    .find_map(|_| {
                        fs::write(
                            "/proc/sys/kernel/ns_last_pid",
                            (child.pid() - 1).to_string(),
                        )
                        .unwrap();
                        let mut another = program("exec sleep 1000").spawn().unwrap();
                        if another.id() == child.pid() {
                            return Some(another);
                        }
                        another.kill().unwrap();
                        another.wait().unwrap();
                        None
                    })
                    .unwrap();

                child.kill();
                child.reap(Instant::now() + TIMEOUT);

                assert!(
                    another.try_wait().unwrap().is_none(),
                    "it was another process"
                );
                another.kill().unwrap();
                another.wait().unwrap();
            },
        );
    }
}
