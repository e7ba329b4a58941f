//! Lines for the system log.
//!
//! The syslog protocol is spoken here, without `syslog(3)` or a crate: both wait forever for a log daemon that hangs, and
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
use twofa_core::text::is_unprintable;
use twofa_store::Event;
use twofa_store::event::Happening;
use twofa_store::journal::Anchor;

use crate::text::messages::log_lines;

/// The socket of the log daemon, see `syslog(3)`.
const LOG: &str = "/dev/log";
/// The facility for logins, which only administrators can read (RFC 5424 §6.2.1, code 10).
const AUTHPRIV: u8 = 10 << 3;
/// How long a busy log is waited for, in milliseconds. After that the line is lost.
const WRITE_TIMEOUT: u8 = 50;
/// Bytes of a line; the rest is cut off. Log daemons accept 8 KiB and more.
const MAX_LINE: usize = 4096;

/// How urgent a line is (RFC 5424 §6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// An administrator must look at it.
    Warning = 4,
    /// Normal, but significant.
    Notice = 5,
    /// Nothing an administrator must act on.
    Info = 6,
}

/// Writes a line about something an administrator has to fix: to standard error, or to syslog if that is `/dev/null`, as in
/// a broker that the module has started.
///
/// If the log accepts nothing, the line is lost after 50 ms.
pub fn warn(line: &str) {
    if is_dev_null(&io::stderr()) {
        let _ = to_syslog(Path::new(LOG), Priority::Warning, &on_one_line(line));
    } else {
        to_stderr(&on_one_line(line));
    }
}

/// Writes an event to syslog, as facility `authpriv`; to standard error where there is no syslog.
///
/// If the log accepts nothing, the line is lost after 50 ms. The caller holds no transaction meanwhile.
pub fn event(happening: &Happening) {
    if let Err(line) = event_to_syslog(happening) {
        to_stderr(&line);
    }
}

/// The same for a command that root runs, whose standard error is a terminal: without syslog, only the store has the event.
pub fn event_of_command(happening: &Happening) {
    let _ = event_to_syslog(happening);
}

/// Writes the anchor of a checkpoint, like an event.
pub fn anchor(anchor: &Anchor) {
    if let Err(line) = anchor_to_syslog(anchor) {
        to_stderr(&line);
    }
}

/// The same for a command that root runs.
pub fn anchor_of_command(anchor: &Anchor) {
    let _ = anchor_to_syslog(anchor);
}

fn anchor_to_syslog(anchor: &Anchor) -> Result<(), String> {
    let line = log_lines::anchor(anchor);
    to_syslog(Path::new(LOG), Priority::Info, &line).map_err(|_| line)
}

/// Fails with the line if there is no syslog.
fn event_to_syslog(happening: &Happening) -> Result<(), String> {
    let priority = match happening.event {
        Event::Refused { .. } | Event::Locked { .. } => Priority::Notice,
        Event::SmsLimit { .. } => Priority::Warning,
        _ => Priority::Info,
    };
    let line = log_lines::event(happening);
    to_syslog(Path::new(LOG), priority, &on_one_line(&line)).map_err(|_| line)
}

/// Whether `file` is `/dev/null`, by its device number.
fn is_dev_null(file: &impl AsFd) -> bool {
    fstat(file).is_ok_and(|found| found.st_rdev == makedev(1, 3))
}

fn to_stderr(line: &str) {
    // Locked, so that no other thread uses the room that was found.
    let mut stderr = io::stderr().lock();
    if wait_for_room(&stderr).is_ok() {
        let _ = writeln!(stderr, "twofad: {line}");
    }
}

/// Sends `line` to the log daemon at `log` in the format of RFC 3164, without the time, which the daemon adds.
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

/// `line` with everything escaped that would break the line or control a terminal: it may contain what people typed.
fn on_one_line(line: &str) -> String {
    let mut safe = String::with_capacity(line.len());
    for c in line.chars() {
        let written = if is_unprintable(c) {
            write!(safe, "{}", c.escape_default())
        } else {
            safe.push(c);
            Ok(())
        };
        if written.is_err() || safe.len() >= MAX_LINE {
            break;
        }
    }
    safe
}

#[cfg(test)]
mod tests;
