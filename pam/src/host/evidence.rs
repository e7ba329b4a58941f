//! What root knows about the process that a login happens in. Users can write none of it; what cannot be read is left out,
//! and proves nothing.

use std::fmt::Write;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{geteuid, getpid, getppid, getuid};
use sha2::{Digest, Sha256};
use twofa_proto::{Evidence, ProcessId, SessionEvidence, SessionProcess, TerminalEvidence};

/// Who asks, as the application says.
pub(super) struct Asker<'a> {
    pub(super) user: &'a str,
    pub(super) service: &'a str,
    pub(super) remote_host: Option<String>,
    /// sshd's own `SSH_CONNECTION`: client address, port, server address, port.
    pub(super) ssh_connection: Option<&'a str>,
    pub(super) is_sshd: bool,
}

/// What can be read; `None` without root.
pub(super) fn collect(asker: &Asker<'_>) -> Option<Evidence> {
    if !geteuid().is_root() {
        return None;
    }
    let own = u32::try_from(getpid().as_raw()).ok()?;
    let ssh_client = asker
        .ssh_connection
        .and_then(|connection| connection.split(' ').next())
        .map(ToOwned::to_owned);
    let remote = ssh_client.as_deref().or(asker.remote_host.as_deref());
    // polkit 127 and later start the helper as a service of its own: the session is that of the agent at its socket. Before,
    // the helper is setuid, and what stands at its input is for the caller to choose.
    let asking = if asker.service == "polkit-1" && getuid().is_root() {
        peer_of_stdin().unwrap_or(own)
    } else {
        own
    };
    Some(Evidence {
        boot: boot()?,
        process: process(own)?,
        parent: asker
            .is_sshd
            .then(|| process(u32::try_from(getppid().as_raw()).ok()?))
            .flatten(),
        login_uid: login_uid(),
        is_from_this_machine: remote.is_some_and(is_own_address),
        ssh_client,
        session: session(asking),
        controlling_terminal: controlling_terminal(asking),
        password: password_fingerprint(asker.user),
    })
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

/// The process behind standard input, if that is a socket of this machine.
fn peer_of_stdin() -> Option<u32> {
    let peer = getsockopt(&io::stdin().as_fd(), PeerCredentials).ok()?;
    u32::try_from(peer.pid()).ok().filter(|pid| *pid > 0)
}

fn process(pid: u32) -> Option<ProcessId> {
    let start = Stat::read(pid)?.number(22)?;
    Some(ProcessId { pid, start })
}

/// `/proc/PID/stat` from its third field on.
struct Stat(String);

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&read(&format!("/proc/{pid}/stat"))?)
    }

    /// The second field is the name of the program in parentheses, which may contain both and spaces.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        Some(Self(rest.trim_start().to_owned()))
    }

    /// The field of this number in proc(5), where the first is 1.
    fn number(&self, field: usize) -> Option<u64> {
        let mut fields = self.0.split(' ');
        fields.nth(field.checked_sub(3)?)?.parse().ok()
    }
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
    parse_session(id, &read(&format!("/run/systemd/sessions/{id}"))?)
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

fn parse_session(id: &str, file: &str) -> Option<SessionEvidence> {
    let value = |key: &str| {
        file.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    // "closing": its login is over, but some of its processes still run.
    if !matches!(value("STATE")?, "active" | "online" | "opening") {
        return None;
    }
    Some(SessionEvidence {
        id: id.to_owned(),
        start: value("MONOTONIC")?.parse().ok()?,
        uid: value("UID")?.parse().ok()?,
    })
}

fn is_own_address(text: &str) -> bool {
    let bare = text.split('%').next().unwrap_or_default();
    let Ok(address) = bare.parse::<IpAddr>() else {
        return false;
    };
    let address = address.to_canonical();
    let Ok(interfaces) = getifaddrs() else {
        // It is unknown, so nothing may depend on it.
        return true;
    };
    interfaces
        .filter_map(|interface| interface.address)
        .filter_map(|own| {
            let v4 = own.as_sockaddr_in().map(|own| IpAddr::V4(own.ip()));
            v4.or_else(|| own.as_sockaddr_in6().map(|own| IpAddr::V6(own.ip())))
        })
        .any(|own| own.to_canonical() == address)
}

/// A hash of what `/etc/shadow` has of the password and of its last change.
fn password_fingerprint(user: &str) -> Option<String> {
    let shadow = zeroize::Zeroizing::new(fs::read_to_string("/etc/shadow").ok()?);
    fingerprint(user, &shadow)
}

fn fingerprint(user: &str, shadow: &str) -> Option<String> {
    let mut lines = shadow.lines().map(|line| line.split(':'));
    let mut fields = lines.find_map(|mut fields| (fields.next()? == user).then_some(fields))?;
    let (hash, changed) = (fields.next()?, fields.next()?);
    let digest = Sha256::new()
        .chain_update(hash)
        .chain_update([0])
        .chain_update(changed)
        .finalize();
    let mut text = String::with_capacity(2 * digest.len());
    for byte in digest {
        let _ = write!(text, "{byte:02x}");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_be_called_anything() {
        let stat = "12 (a b) c) S 1 12 13 34816 12 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0";
        let stat = Stat::parse(stat).unwrap();
        assert_eq!(
            (stat.number(6), stat.number(7), stat.number(22)),
            (Some(13), Some(34816), Some(4711))
        );
        assert_eq!(stat.number(99), None);
    }

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
        let file = |state: &str| format!("# private\nUID=1000\nSTATE={state}\nMONOTONIC=123\n");
        let session = parse_session("c1", &file("active")).unwrap();
        assert_eq!((session.start, session.uid), (123, 1000));
        assert_eq!(parse_session("c1", &file("closing")), None);
        assert_eq!(parse_session("c1", "UID=1000\nSTATE=active\n"), None);
    }

    #[test]
    fn a_new_password_and_the_same_one_set_again_change_the_fingerprint() {
        let before = fingerprint("alice", "bob:x:1\nalice:$y$a:19000:0:\n").unwrap();
        assert_eq!(before.len(), 64);
        for shadow in ["alice:$y$b:19000:0:", "alice:$y$a:19001:0:"] {
            assert_ne!(fingerprint("alice", shadow), Some(before.clone()));
        }
        assert_eq!(fingerprint("alice", "alice:$y$a:19000:99:"), Some(before));
        assert_eq!(fingerprint("al", "alice:$y$a:19000:0:"), None);
    }

    #[test]
    fn an_address_of_an_interface_is_ones_own() {
        for (address, own) in [
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("192.0.2.77", false),
            ("localhost", false),
        ] {
            assert_eq!(is_own_address(address), own, "{address}");
        }
    }
}
