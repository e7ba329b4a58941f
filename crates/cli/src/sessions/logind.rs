//! The sessions of systemd-logind. Its files are read, because they are there for everybody and say what its D-Bus interface
//! says; `loginctl` is asked to end sessions.

use std::fs;
use std::process::{Child, Command, Stdio};

const SESSIONS: &str = "/run/systemd/sessions";
/// How many ids are given to one command.
const AT_ONCE: usize = 200;

/// A session of systemd-logind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogindSession {
    pub(crate) id: String,
    /// The process that opened it.
    pub(crate) leader: u32,
    /// When it began, in seconds after the Unix epoch.
    pub(crate) started_at: i64,
    /// `user`, `greeter`, `background`, `manager` and others.
    pub(crate) class: String,
    pub(crate) user: String,
    /// The PAM service.
    pub(crate) service: String,
}

/// All of them; none where systemd-logind does not run.
pub(crate) fn sessions() -> Vec<LogindSession> {
    let entries = fs::read_dir(SESSIONS).into_iter().flatten().flatten();
    let read = |entry: fs::DirEntry| {
        let id = entry.file_name().into_string().ok()?;
        // Beside the file `N` of a session is the pipe `N.ref`, and a process that reads from it waits.
        if !is_id(&id) {
            return None;
        }
        parse(&id, &fs::read_to_string(entry.path()).ok()?)
    };
    entries.filter_map(read).collect()
}

/// The file of a session.
fn parse(id: &str, file: &str) -> Option<LogindSession> {
    let value = |key: &str| {
        file.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    let text = |key: &str| value(key).unwrap_or_default().to_owned();
    let realtime: i64 = value("REALTIME")?.parse().ok()?;
    Some(LogindSession {
        id: id.to_owned(),
        leader: value("LEADER")?.parse().ok()?,
        started_at: realtime / 1_000_000,
        class: text("CLASS"),
        user: text("USER"),
        service: text("SERVICE"),
    })
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Has systemd-logind end these sessions, without waiting for it.
pub(crate) fn terminate(ids: &[&str]) -> Vec<Child> {
    let start = |ids: &[&str]| {
        let mut command = Command::new("loginctl");
        command.arg("terminate-session").args(ids);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .current_dir("/");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().ok()
    };
    ids.chunks(AT_ONCE).filter_map(start).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_known_by_its_leader_and_its_begin() {
        let file = "# private\nUID=1000\nUSER=alice\nACTIVE=1\nSTATE=active\nREMOTE=1\nCLASS=user\nSCOPE=session-c1.scope\n\
                    SERVICE=sshd\nLEADER=4711\nREALTIME=1795734000123456\nMONOTONIC=1\n";
        let session = LogindSession {
            id: "c1".into(),
            leader: 4711,
            started_at: 1_795_734_000,
            class: "user".into(),
            user: "alice".into(),
            service: "sshd".into(),
        };
        assert_eq!(parse("c1", file), Some(session));
        assert!(is_id("c1") && !is_id("c1.ref") && !is_id("../c1") && !is_id(""));
        assert_eq!(parse("c1", "LEADER=1\n"), None);
    }
}
