//! Lines for the log of the system.
//!
//! Syslog is spoken here rather than by syslog(3) or a crate: both wait without end for a log daemon that hangs, and
//! every login would wait with them.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::process;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{self, AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr};
use nix::sys::stat::{fstat, makedev};

/// Where the log daemon listens, see syslog(3).
const LOG: &str = "/dev/log";
/// The facility of what concerns logins, which only administrators can read (RFC 5424 §6.2.1, code 10).
const AUTHPRIV: u8 = 10 << 3;
/// How long a busy log is waited for, in milliseconds. After that the line is lost.
const WRITE_TIMEOUT: u8 = 50;
/// Bytes of a line, of which log daemons take 8 KiB and more. The rest is cut off.
const LONGEST: usize = 4096;

/// How urgent a line is (RFC 5424 §6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Something an administrator has to look at.
    Warning = 4,
    /// Normal, but of importance.
    Notice = 5,
    /// What happened.
    Info = 6,
}

/// Writes a line of the broker's own, about something an administrator has to put right: to standard error, or
/// to syslog where that is `/dev/null`, as in a broker that the module has started.
///
/// A log that takes nothing costs the line, and 50 ms.
pub fn warn(line: &str) {
    if leads_nowhere(&io::stderr()) {
        let _ = to_syslog(Path::new(LOG), Priority::Warning, &on_one_line(line));
    } else {
        to_stderr(&on_one_line(line));
    }
}

/// Writes a line about a login to syslog, as facility `authpriv`; to standard error where there is no syslog.
///
/// A log that takes nothing costs the line, and 50 ms. The caller holds no transaction meanwhile.
pub fn auth(priority: Priority, line: &str) {
    let line = on_one_line(line);
    if to_syslog(Path::new(LOG), priority, &line).is_err() {
        to_stderr(&line);
    }
}

/// Whether `file` is `/dev/null`, by its device number.
fn leads_nowhere(file: &impl AsFd) -> bool {
    fstat(file).is_ok_and(|found| found.st_rdev == makedev(1, 3))
}

fn to_stderr(line: &str) {
    // The lock, so that no other thread takes the room that was found.
    let mut stderr = io::stderr().lock();
    if wait_for_room(&stderr).is_ok() {
        let _ = writeln!(stderr, "twofad: {line}");
    }
}

/// Sends `line` to the log daemon at `log` in the form of RFC 3164, without the time: the daemon has that too.
fn to_syslog(log: &Path, priority: Priority, line: &str) -> nix::Result<()> {
    let mut message = format!(
        "<{}>twofad[{}]: {line}",
        AUTHPRIV | priority as u8,
        process::id()
    );
    match send(log, SockType::Datagram, &message) {
        Err(Errno::EPROTOTYPE) => {
            message.push('\0');
            send(log, SockType::Stream, &message)
        }
        sent => sent,
    }
}

fn send(log: &Path, kind: SockType, message: &str) -> nix::Result<()> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket::socket(AddressFamily::Unix, kind, flags, None)?;
    socket::connect(socket.as_raw_fd(), &UnixAddr::new(log)?)?;
    wait_for_room(&socket)?;
    socket::send(
        socket.as_raw_fd(),
        message.as_bytes(),
        MsgFlags::MSG_NOSIGNAL,
    )
    .map(drop)
}

fn wait_for_room(file: &impl AsFd) -> nix::Result<()> {
    let mut files = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
    match poll(&mut files, PollTimeout::from(WRITE_TIMEOUT))? {
        0 => Err(Errno::EAGAIN),
        _ => Ok(()),
    }
}

/// `line` so that it stays one line and commands no terminal: what people typed may be part of it.
fn on_one_line(line: &str) -> String {
    let mut safe = String::with_capacity(line.len());
    for c in line.chars() {
        let written = if is_printable(c) {
            safe.push(c);
            Ok(())
        } else {
            write!(safe, "{}", c.escape_default())
        };
        if written.is_err() || safe.len() >= LONGEST {
            break;
        }
    }
    safe
}

/// Neither a control character nor one that changes how a line is laid out (Unicode: line and paragraph separator,
/// bidirectional controls).
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
    use std::time::{Duration, Instant};

    #[test]
    fn a_line_reaches_syslog_as_authpriv_with_the_programs_name_and_number() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let log = UnixDatagram::bind(&path).unwrap();
        for (priority, number) in [
            (Priority::Warning, 84),
            (Priority::Notice, 85),
            (Priority::Info, 86),
        ] {
            to_syslog(&path, priority, "a wrong code for alice").unwrap();
            let mut buffer = [0; 100];
            let length = log.recv(&mut buffer).unwrap();
            let expected = format!(
                "<{number}>twofad[{}]: a wrong code for alice",
                process::id()
            );
            assert_eq!(String::from_utf8_lossy(&buffer[..length]), expected);
        }
    }

    #[test]
    fn a_log_daemon_that_wants_a_stream_gets_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let log = UnixListener::bind(&path).unwrap();
        to_syslog(&path, Priority::Info, "a line").unwrap();
        let mut text = String::new();
        log.accept().unwrap().0.read_to_string(&mut text).unwrap();
        assert!(text.ends_with("]: a line\0"), "{text:?}");
    }

    #[test]
    fn a_log_daemon_that_hangs_holds_up_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let _log = UnixDatagram::bind(&path).unwrap();
        let start = Instant::now();
        let refused = (0..100_000).find_map(|_| to_syslog(&path, Priority::Info, "a line").err());
        assert_eq!(refused, Some(Errno::EAGAIN));
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{:?}",
            start.elapsed()
        );
    }

    #[test]
    fn a_machine_without_a_log_daemon_is_no_reason_to_wait() {
        assert_eq!(
            to_syslog(Path::new("/nonexistent/log"), Priority::Info, "a line"),
            Err(Errno::ENOENT)
        );
    }

    #[test]
    fn a_reader_of_standard_error_that_hangs_is_noticed() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        assert_eq!(wait_for_room(&ours), Ok(()));
        ours.set_nonblocking(true).unwrap();
        while (&ours).write(&[b'x'; 4096]).is_ok() {}
        assert_eq!(wait_for_room(&ours), Err(Errno::EAGAIN));
    }

    #[test]
    fn only_dev_null_leads_nowhere() {
        assert!(leads_nowhere(
            &File::options().write(true).open("/dev/null").unwrap()
        ));
        assert!(!leads_nowhere(&File::open("/dev/zero").unwrap()));
        assert!(!leads_nowhere(&tempfile::tempfile().unwrap()));
        assert!(!leads_nowhere(&UnixStream::pair().unwrap().0));
    }

    #[test]
    fn what_is_logged_stays_one_line_and_commands_no_terminal() {
        assert_eq!(
            on_one_line("für DOM\\alice: \"x\""),
            "für DOM\\alice: \"x\""
        );
        assert_eq!(
            on_one_line("a\nb\r\t\0\x1b[2J\u{9b}2J"),
            "a\\nb\\r\\t\\u{0}\\u{1b}[2J\\u{9b}2J"
        );
        assert_eq!(
            on_one_line("a\u{2028}b\u{202e}c\u{2066}"),
            "a\\u{2028}b\\u{202e}c\\u{2066}"
        );
        assert!(on_one_line(&"ü".repeat(LONGEST)).len() <= LONGEST + 10);
    }
}
