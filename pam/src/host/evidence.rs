//! What root knows about the process that a login happens in. Users can write none of it; what cannot be read is left out,
//! and proves nothing.

use std::fmt::Write;
use std::fs;
use std::io;
use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{geteuid, getpid, getppid, getuid};
use sha2::{Digest, Sha256};
use twofa_proto::{
    Confirm, Evidence, PasswordState, ProcessId, SessionEvidence, SessionProcess, TerminalEvidence,
};
use zeroize::Zeroizing;

use super::own_address::is_own_address;
use super::process_stat::Stat;
use super::sshd;

/// Who asks, as the application says.
pub(super) struct Asker<'a> {
    pub(super) user: &'a str,
    pub(super) service: &'a str,
    pub(super) remote_host: Option<String>,
    /// sshd's own `SSH_CONNECTION`: client address, port, server address, port.
    pub(super) ssh_connection: Option<&'a str>,
    /// What sshd has verified (`SSH_AUTH_INFO_0`).
    pub(super) ssh_auth_info: Option<&'a str>,
    pub(super) is_sshd: bool,
    /// In the account phase: what the end of the same login in `auth` asked for.
    pub(super) confirms: Confirm,
}

/// What can be read; `None` without root.
///
/// Where the account phase only confirms a login, the device is on the ticket that the login left. What would show it is then
/// not looked for again, and reported so that no device could become trusted by it.
pub(super) fn collect(asker: &Asker<'_>) -> Option<Evidence> {
    if !geteuid().is_root() {
        return None;
    }
    let own = u32::try_from(getpid().as_raw()).ok()?;
    let ssh_client = asker
        .ssh_connection
        .and_then(|connection| connection.split(' ').next())
        .map(ToOwned::to_owned);
    let process = process(own)?;
    let recognised = Evidence {
        boot: boot()?,
        process,
        parent: asker
            .is_sshd
            .then(|| self::process(u32::try_from(getppid().as_raw()).ok()?))
            .flatten(),
        login_uid: login_uid(),
        is_from_this_machine: true,
        has_default_sshd_config: false,
        session: None,
        controlling_terminal: None,
        password: password_state(asker.user),
        confirms: asker.confirms,
        ssh_client,
    };
    if asker.confirms != Confirm::No {
        return Some(recognised);
    }
    let remote = recognised
        .ssh_client
        .as_deref()
        .or(asker.remote_host.as_deref());
    let is_polkit = asker.service == "polkit-1";
    let session = if is_polkit {
        session_of_polkit_caller(own)
    } else {
        session(own)
    };
    Some(Evidence {
        is_from_this_machine: remote.is_some_and(is_own_address),
        has_default_sshd_config: asker.is_sshd
            && asker.ssh_auth_info.is_some_and(may_prove_security_key)
            && sshd::has_default_config(),
        session,
        // polkit's agent shows the prompt, wherever the program runs that asks.
        controlling_terminal: (!is_polkit).then(|| controlling_terminal(own)).flatten(),
        ..recognised
    })
}

/// Whether a key in `SSH_AUTH_INFO_0` may be a security key: all of their types begin with this. Of other keys, sshd's
/// configuration demands nothing that matters here.
fn may_prove_security_key(info: &str) -> bool {
    info.contains("sk-")
}

/// The process that opens a session; `None` without root.
pub(super) fn session_process() -> Option<SessionProcess> {
    if !geteuid().is_root() {
        return None;
    }
    Some(SessionProcess {
        boot: boot()?,
        id: process(u32::try_from(getpid().as_raw()).ok()?)?,
        login_uid: login_uid(),
    })
}

fn boot() -> Option<String> {
    read("/proc/sys/kernel/random/boot_id")
}

fn login_uid() -> Option<u32> {
    read("/proc/self/loginuid")
        .and_then(|uid| uid.parse().ok())
        .filter(|uid| *uid != u32::MAX)
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path)
        .ok()
        .map(|text| text.trim().to_owned())
}

/// The session in which polkit's helper was called, if that belongs to the caller. Who calls is not what the helper says: it
/// names the user who is to be authenticated.
///
/// polkit 127 and later start the helper as a service of its own, with the agent at its standard input. Before, the helper is
/// setuid, and what stands at its input is for the caller to choose.
fn session_of_polkit_caller(own: u32) -> Option<SessionEvidence> {
    let (pid, uid) = if getuid().is_root() {
        peer_of_stdin(own)?
    } else {
        (own, getuid().as_raw())
    };
    session(pid).filter(|session| session.uid == uid)
}

/// The process at the other end of standard input and its uid, if that is a socket of this machine and the process connected
/// to it itself: one that began after this service has only taken over its number.
fn peer_of_stdin(own: u32) -> Option<(u32, u32)> {
    let peer = getsockopt(&io::stdin().as_fd(), PeerCredentials).ok()?;
    let pid = u32::try_from(peer.pid()).ok().filter(|pid| *pid > 0)?;
    let is_same = process(pid)?.start <= process(own)?.start;
    is_same.then_some((pid, peer.uid()))
}

fn process(pid: u32) -> Option<ProcessId> {
    let start = Stat::read(pid)?.number(22)?;
    Some(ProcessId { pid, start })
}

fn controlling_terminal(pid: u32) -> Option<TerminalEvidence> {
    let stat = Stat::read(pid)?;
    let device = stat.number(7).filter(|device| *device != 0)?;
    let leader = u32::try_from(stat.number(6)?).ok()?;
    Some(TerminalEvidence {
        device,
        leader: process(leader)?,
    })
}

/// The session of systemd-logind that the process is in by its control group, if that is open. Users cannot move their
/// processes to the scope of one; see [`session_of`].
fn session(pid: u32) -> Option<SessionEvidence> {
    let groups = read(&format!("/proc/{pid}/cgroup"))?;
    let id = session_of(&groups)?;
    let (session, leader) = parse_session(id, &read(&format!("/run/systemd/sessions/{id}"))?)?;
    let leader = leader.and_then(process);
    Some(SessionEvidence { leader, ..session })
}

/// The id in a control group such as `0::/user.slice/user-1000.slice/session-c1.scope`.
///
/// The scope must be directly in slices, which are root's: below their `user@UID.service` users make groups of any name. Of
/// the hierarchies only those of systemd count (cgroups(7)).
fn session_of(groups: &str) -> Option<&str> {
    groups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (hierarchy, path) = rest.split_once(':')?;
        let is_systemds = matches!(hierarchy, "" | "name=systemd");
        let mut parts = path.strip_prefix('/').filter(|_| is_systemds)?.split('/');
        let unit = parts.find(|part| part.strip_suffix(".slice").is_none())?;
        let id = unit.strip_prefix("session-")?.strip_suffix(".scope")?;
        let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_id.then_some(id)
    })
}

/// The session, and the number of the process that opened it.
fn parse_session(id: &str, file: &str) -> Option<(SessionEvidence, Option<u32>)> {
    let value = |key: &str| {
        file.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    // "closing": its login is over, but some of its processes still run.
    if !matches!(value("STATE")?, "active" | "online" | "opening") {
        return None;
    }
    let session = SessionEvidence {
        id: id.to_owned(),
        start: value("MONOTONIC")?.parse().ok()?,
        uid: value("UID")?.parse().ok()?,
        leader: None,
    };
    Some((session, value("LEADER").and_then(|pid| pid.parse().ok())))
}

/// What the files of this machine say of the password. They are bytes: whatever stands in other lines must not matter.
fn password_state(user: &str) -> PasswordState {
    let shadow = fs::read("/etc/shadow").ok().map(Zeroizing::new);
    let passwd = fs::read("/etc/passwd").ok();
    let shadow = shadow.as_ref().map(|bytes| bytes.as_slice());
    password_in(user, passwd.as_deref(), shadow)
}

/// The same, where these are the contents of `/etc/passwd` and `/etc/shadow`, if they can be read.
fn password_in(user: &str, passwd: Option<&[u8]>, shadow: Option<&[u8]>) -> PasswordState {
    let shadow_entry = shadow.and_then(|shadow| entry(user, shadow));
    if let Some([hash, changed]) = shadow_entry {
        return PasswordState::Hashed(digest(hash, changed));
    }
    let Some(passwd) = passwd else {
        return PasswordState::Unknown;
    };
    match entry(user, passwd) {
        None => PasswordState::Elsewhere,
        // It should be in /etc/shadow.
        Some([b"x", _]) => PasswordState::Unknown,
        Some([hash, _]) => PasswordState::Hashed(digest(hash, b"")),
    }
}

/// The second and third field of the line of `user`.
fn entry<'a>(user: &str, file: &'a [u8]) -> Option<[&'a [u8]; 2]> {
    let mut lines = file.split(|byte| *byte == b'\n');
    lines.find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let is_theirs = fields.next()? == user.as_bytes();
        is_theirs.then_some([fields.next()?, fields.next()?])
    })
}

/// A hash of a password's hash and the day of its last change.
fn digest(hash: &[u8], changed: &[u8]) -> String {
    let digest = Sha256::new()
        .chain_update(hash)
        .chain_update([0])
        .chain_update(changed)
        .finalize();
    let mut text = String::with_capacity(2 * digest.len());
    for byte in digest {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_process_has_a_start() {
        let own = process(std::process::id()).unwrap();
        assert!(own.start > 0);
    }

    #[test]
    fn a_session_is_known_by_its_scope_alone() {
        for (groups, id) in [
            (
                "0::/user.slice/user-1000.slice/session-c1.scope",
                Some("c1"),
            ),
            (
                "12:pids:/\n1:name=systemd:/user.slice/user-1000.slice/session-42.scope\n0::/",
                Some("42"),
            ),
            (
                "0::/user.slice/user-1000.slice/session-c1.scope/pod",
                Some("c1"),
            ),
            // What users may make themselves.
            (
                "0::/user.slice/user-1000.slice/user@1000.service/session-c1.scope",
                None,
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/session-c1.scope",
                None,
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/a:name=systemd:/session-c1.scope",
                None,
            ),
            (
                "12:pids:/user.slice/user-1000.slice/session-c1.scope\n0::/system.slice/cron.service",
                None,
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope",
                None,
            ),
            ("0::/system.slice/ssh.service", None),
            ("0::/session-../../etc.scope", None),
            ("", None),
        ] {
            assert_eq!(session_of(groups), id, "{groups}");
        }
    }

    #[test]
    fn a_session_that_is_closing_is_none() {
        let file =
            |state: &str| format!("# private\nUID=1000\nSTATE={state}\nMONOTONIC=123\nLEADER=7\n");
        let (session, leader) = parse_session("c1", &file("active")).unwrap();
        assert_eq!((session.start, session.uid, leader), (123, 1000, Some(7)));
        assert_eq!(parse_session("c1", &file("closing")), None);
        assert_eq!(parse_session("c1", "UID=1000\nSTATE=active\n"), None);
    }

    #[test]
    fn a_new_password_and_the_same_one_set_again_change_the_hash() {
        let passwd: &[u8] = b"bob:x:1001:1001::/:\nalice:x:1000:1000::/:\n";
        let state = |shadow: &[u8]| password_in("alice", Some(passwd), Some(shadow));
        let before = state(b"bob:x:1\nalice:$y$a:19000:0:\n");
        assert_eq!(before.hash().unwrap().len(), 64);
        for shadow in ["alice:$y$b:19000:0:", "alice:$y$a:19001:0:"] {
            assert_ne!(state(shadow.as_bytes()), before);
        }
        assert_eq!(state(b"alice:$y$a:19000:99:"), before);
        let not_utf_8 = b"bob:$y$\xff:1:\n\xfe:\n\nalice:$y$a:19000:0:";
        assert_eq!(state(not_utf_8), before, "other lines do not matter");
    }

    #[test]
    fn a_password_that_should_be_in_shadow_and_cannot_be_read_is_not_one_of_a_directory() {
        let passwd: &[u8] = b"alice:x:1000:1000::/:\nold:$1$a:1:1::/:\nshort\n";
        for (user, passwd, shadow, expected) in [
            ("alice", Some(passwd), None, PasswordState::Unknown),
            (
                "alice",
                Some(passwd),
                Some("al:$y$a:1:"),
                PasswordState::Unknown,
            ),
            (
                "alice",
                Some(passwd),
                Some("alice:$y$a"),
                PasswordState::Unknown,
            ),
            ("alice", None, None, PasswordState::Unknown),
            ("carol", None, Some("alice:$y$a:1:"), PasswordState::Unknown),
            (
                "carol",
                Some(passwd),
                Some("alice:$y$a:1:"),
                PasswordState::Elsewhere,
            ),
            ("carol", Some(passwd), None, PasswordState::Elsewhere),
            (
                "old",
                Some(passwd),
                None,
                PasswordState::Hashed(digest(b"$1$a", b"")),
            ),
        ] {
            let state = password_in(user, passwd, shadow.map(str::as_bytes));
            assert_eq!(state, expected, "{user} {shadow:?}");
        }
    }

    #[test]
    fn where_the_account_phase_only_confirms_nothing_that_is_reported_shows_a_device_that_could_become_trusted()
     {
        if !geteuid().is_root() {
            return;
        }
        let collected = |confirms| {
            let asker = Asker {
                user: "root",
                service: "sshd",
                remote_host: None,
                ssh_connection: Some("192.0.2.77 50000 192.0.2.1 22"),
                ssh_auth_info: None,
                is_sshd: true,
                confirms,
            };
            collect(&asker).unwrap()
        };
        let whole = collected(Confirm::No);
        assert!(!whole.is_from_this_machine);
        let confirms = Confirm::Trust(twofa_proto::Ticket(7));
        let expected = Evidence {
            is_from_this_machine: true,
            has_default_sshd_config: false,
            session: None,
            controlling_terminal: None,
            confirms,
            ..whole
        };
        assert_eq!(collected(confirms), expected);
        assert!(expected.parent.is_some());
        assert_ne!(expected.password, PasswordState::Elsewhere);
    }
}
