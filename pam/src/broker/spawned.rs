//! A broker that is started for one login.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use twofa_proto::Stream;

use super::child::Child;
use crate::deadline::wait_for;
use crate::sigchld::DefaultSigchld;
use crate::sys;

/// How long a write to it may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long it may take to exit, and then, when it was killed, to be reaped.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// A broker that was started here for one login. When this is dropped, the broker is told that the login is over, and is
/// reaped when it has exited.
pub struct SpawnedBroker {
    child: Child,
    /// Our end of the stream.
    stream: UnixStream,
}

impl SpawnedBroker {
    /// Starts `program`. Returns the connection to it.
    pub fn start(program: &Path) -> io::Result<(Stream, Self)> {
        let (ours, theirs) = UnixStream::pair()?;
        let stream = Stream::from(ours.try_clone()?);
        stream.set_write_timeout(WRITE_TIMEOUT)?;
        let mut command = Command::new(program);
        // In su the real uid is still the user's, who could send it signals.
        command
            .arg("--stdio")
            .env_clear()
            .current_dir("/")
            .uid(0)
            .gid(0);
        command
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        sys::isolate(&mut command);
        // `command` holds their end, which must be closed for the exit of the child to be noticed.
        Ok((
            stream,
            Self {
                child: Child::spawn(command)?,
                stream: ours,
            },
        ))
    }
}

impl Drop for SpawnedBroker {
    fn drop(&mut self) {
        // Held before it exits, so that the application is not signalled and does not reap it.
        let _sigchld = DefaultSigchld::hold();
        // The broker reads an end of file, and may still write.
        let _ = self.stream.shutdown(Shutdown::Write);
        // The broker's end is its standard input, which is closed when it has exited.
        let _ = wait_for(
            &self.stream,
            PollFlags::empty(),
            Instant::now() + EXIT_TIMEOUT,
        );
        // If it has not exited, it is late, or has closed its standard input.
        self.child.kill();
        self.child.reap(Instant::now() + EXIT_TIMEOUT);
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use nix::sys::signal::{SigmaskHow, Signal, sigprocmask};
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    use std::fs;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::thread;

    /// One test at a time: a child just forked holds the next script open for writing, which then cannot start.
    static SPAWNS: Mutex<()> = Mutex::new(());

    pub fn alone() -> MutexGuard<'static, ()> {
        SPAWNS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A script in the place of the broker.
    pub struct StandIn(
        PathBuf,
        #[expect(dead_code, reason = "held")] MutexGuard<'static, ()>,
    );

    impl StandIn {
        pub fn new(name: &str, script: &str) -> Self {
            let alone = alone();
            let path =
                std::env::temp_dir().join(format!("pam_twofa-{}-{name}", std::process::id()));
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            Self(path, alone)
        }

        pub fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for StandIn {
        fn drop(&mut self) {
            fs::remove_file(&self.0).unwrap();
        }
    }

    fn is_root() -> bool {
        nix::unistd::geteuid().is_root()
    }

    #[test]
    fn a_spawned_broker_inherits_nothing_from_the_application() {
        if !is_root() {
            return;
        }
        let report = std::env::temp_dir().join(format!("pam_twofa-{}-said", std::process::id()));
        // As some libraries leave them open; all that std opens is closed on exec.
        let (leaked, _peer) = socketpair(
            AddressFamily::Unix,
            SockType::Stream,
            None,
            SockFlag::empty(),
        )
        .unwrap();
        let name = fs::read_link(format!("/proc/self/fd/{}", leaked.as_raw_fd())).unwrap();
        // The environment is read from /proc, because a shell adds variables of its own.
        let script = format!(
            "{{ echo \"$@\"; tr '\\0' '\\n' </proc/$$/environ; echo end; pwd; umask; ls -l /proc/$$/fd; \
             grep -E '^(Uid|Gid|Groups)' /proc/$$/status; }} >{0}.tmp; mv {0}.tmp {0}; cat >/dev/null",
            report.display()
        );
        let program = StandIn::new("report", &script);
        let (stream, spawned) = SpawnedBroker::start(&program.0).unwrap();
        while !report.exists() {
            thread::sleep(Duration::from_millis(5));
        }
        drop((stream, spawned));
        let report_text = fs::read_to_string(&report).unwrap();
        fs::remove_file(report).unwrap();
        assert!(
            report_text.starts_with("--stdio\nend\n/\n0077\n"),
            "{report_text}"
        );
        assert!(
            !report_text.contains(name.to_str().unwrap()),
            "{report_text}"
        );
        assert!(report_text.contains(" 2 -> /dev/null"), "{report_text}");
        assert!(report_text.contains("Uid:\t0\t0\t0\t0"), "{report_text}");
    }

    #[test]
    fn a_spawned_broker_has_no_signal_blocked_or_ignored() {
        if !is_root() {
            return;
        }
        let _alone = alone();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&Signal::SIGINT.into()), None).unwrap();
        // Not a shell, which changes its mask itself. A zombie changes nothing.
        let (_stream, spawned) = SpawnedBroker::start(Path::new("/bin/true")).unwrap();
        let status = loop {
            let status =
                fs::read_to_string(format!("/proc/{}/status", spawned.child.pid())).unwrap();
            if status.contains("State:\tZ") {
                break status;
            }
            thread::sleep(Duration::from_millis(1));
        };
        for set in ["SigBlk:\t", "SigIgn:\t"] {
            let set = status
                .lines()
                .find_map(|line| line.strip_prefix(set))
                .unwrap();
            // glibc uses signals above 31 itself.
            assert_eq!(
                u64::from_str_radix(set, 16).unwrap() & 0x7fff_ffff,
                0,
                "{status}"
            );
        }
    }

    #[test]
    fn a_spawned_broker_that_does_not_exit_is_killed() {
        if !is_root() {
            return;
        }
        let program = StandIn::new("stays", "exec sleep 1000");
        let (stream, spawned) = SpawnedBroker::start(&program.0).unwrap();
        let pid = spawned.child.pid();
        let start = Instant::now();
        drop((stream, spawned));
        assert!(start.elapsed() >= EXIT_TIMEOUT && start.elapsed() < EXIT_TIMEOUT * 2);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_spawned_broker_that_closes_its_input_is_killed_at_once() {
        if !is_root() {
            return;
        }
        let program = StandIn::new("lingers", "exec sleep 1000 <&-");
        let (stream, spawned) = SpawnedBroker::start(&program.0).unwrap();
        let pid = spawned.child.pid();
        let start = Instant::now();
        drop((stream, spawned));
        assert!(start.elapsed() < EXIT_TIMEOUT, "{:?}", start.elapsed());
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_spawned_broker_may_write_and_exit_by_itself() {
        if !is_root() {
            return;
        }
        let done = std::env::temp_dir().join(format!("pam_twofa-{}-done", std::process::id()));
        let script = format!(
            "cat >/dev/null; sleep 0.1; echo written >&0; echo $? >{}",
            done.display()
        );
        let program = StandIn::new("writes", &script);
        drop(SpawnedBroker::start(&program.0).unwrap());
        let status = fs::read_to_string(&done).unwrap();
        fs::remove_file(done).unwrap();
        assert_eq!(status.trim(), "0");
    }
}
