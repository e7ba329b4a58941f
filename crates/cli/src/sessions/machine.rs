//! What belongs to a session on record at this moment.

use std::fs;
use std::process;

use serde::{Deserialize, Serialize};
use twofa_broker::SessionReport;
use twofa_broker::admin::sessions::StoredSession;

use super::logind::{self, LogindSession};
use super::processes::{Process, Processes};

/// How long after the session line systemd-logind may take to begin its session, in seconds. A session that its leader began
/// at another time is another one, of an earlier process of that number.
const BEGINS_WITHIN: i64 = 60;

/// A session on record, as far as its processes are found by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) id: i64,
    pub(crate) boot: String,
    /// The process that opened it.
    pub(crate) pid: u32,
    pub(crate) start: u64,
    /// Seconds after the Unix epoch.
    pub(crate) started_at: i64,
    /// The id that systemd-logind gave it, if somebody has seen that before.
    pub(crate) scope: Option<String>,
}

/// What was seen of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) id: i64,
    /// Whether it has processes.
    pub(crate) is_open: bool,
    /// Whether this very process is one of them.
    pub(crate) is_own: bool,
    /// The id that systemd-logind gave it.
    pub(crate) scope: Option<String>,
}

/// A session of systemd-logind that is not on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Other {
    pub(crate) scope: String,
    pub(crate) user: String,
    pub(crate) service: String,
    pub(crate) class: String,
}

/// The machine at one moment.
pub(crate) struct Machine {
    boot: String,
    processes: Processes,
    logind: Vec<LogindSession>,
}

impl Machine {
    pub(crate) fn read() -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        // The processes come last: a session that has begun since is not seen without them.
        let logind = logind::sessions();
        Self {
            boot: boot.trim().to_owned(),
            processes: Processes::read(),
            logind,
        }
    }

    pub(crate) fn see(&self, target: &Target) -> Seen {
        let members = self.members(target);
        let own = self.processes.ancestors(process::id());
        // Who may not see the processes of others knows only that the machine has not been restarted.
        let is_hidden = !self.processes.are_all() && self.boot == target.boot;
        Seen {
            id: target.id,
            is_open: !members.is_empty() || is_hidden,
            is_own: members.iter().any(|member| own.contains(&member.pid)),
            scope: self.scope(target),
        }
    }

    /// The processes of a session: those of its control group, else those that descend from the one that opened it.
    pub(crate) fn members(&self, target: &Target) -> Vec<Process> {
        if self.boot != target.boot {
            return Vec::new();
        }
        let scope = self.scope(target);
        let in_scope = scope.map_or_else(Vec::new, |scope| self.processes.in_scope(&scope));
        if !in_scope.is_empty() {
            return in_scope;
        }
        let leader = self.processes.find(target.pid, target.start).cloned();
        self.processes.with_descendants(leader.as_slice())
    }

    /// What is left of `members`, and what descends from them.
    pub(crate) fn remaining(&self, members: &[Process]) -> Vec<Process> {
        self.processes.with_descendants(members)
    }

    /// The id that systemd-logind gave the session. Ids come again when it is restarted, so the session of this id must have
    /// been begun by the same process; or it is not known any longer, and its control group is there still.
    pub(crate) fn scope(&self, target: &Target) -> Option<String> {
        if self.boot != target.boot {
            return None;
        }
        let is_of_target = |session: &&LogindSession| {
            let delay = session.started_at - target.started_at;
            session.leader == target.pid && (-1..=BEGINS_WITHIN).contains(&delay)
        };
        if let Some(session) = self.logind.iter().find(is_of_target) {
            return Some(session.id.clone());
        }
        let seen_before = target.scope.clone()?;
        let is_anothers = self.logind.iter().any(|session| session.id == seen_before);
        (!is_anothers).then_some(seen_before)
    }

    /// Whether systemd-logind knows the session of this id.
    pub(crate) fn knows(&self, scope: &str) -> bool {
        self.logind.iter().any(|session| session.id == scope)
    }

    /// The sessions of systemd-logind that are none of `targets`.
    pub(crate) fn others(&self, targets: &[Target]) -> Vec<Other> {
        let known: Vec<_> = targets
            .iter()
            .filter_map(|target| self.scope(target))
            .collect();
        let others = self
            .logind
            .iter()
            .filter(|session| !known.contains(&session.id));
        others
            .map(|session| Other {
                scope: session.id.clone(),
                user: session.user.clone(),
                service: session.service.clone(),
                class: session.class.clone(),
            })
            .collect()
    }
}

impl From<&StoredSession> for Target {
    fn from(session: &StoredSession) -> Self {
        Self {
            id: session.id,
            boot: session.boot.clone(),
            pid: session.process.pid,
            start: session.process.start,
            started_at: session.started_at.unix(),
            scope: session.scope.clone(),
        }
    }
}

impl From<&SessionReport> for Target {
    fn from(session: &SessionReport) -> Self {
        Self {
            id: session.id,
            boot: session.process.boot.clone(),
            pid: session.process.id.pid,
            start: session.process.id.start,
            started_at: session.started_at,
            scope: session.scope.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32, scope: Option<&str>) -> Process {
        Process {
            pid,
            start: 7,
            parent,
            scope: scope.map(Into::into),
        }
    }

    fn session(id: &str, leader: u32, started_at: i64) -> LogindSession {
        LogindSession {
            id: id.into(),
            leader,
            started_at,
            class: "user".into(),
            user: "alice".into(),
            service: "sshd".into(),
        }
    }

    fn machine(processes: &[Process], logind: &[LogindSession]) -> Machine {
        Machine {
            boot: "boot".into(),
            processes: processes.iter().cloned().collect(),
            logind: logind.to_vec(),
        }
    }

    fn target(pid: u32, scope: Option<&str>) -> Target {
        Target {
            id: 1,
            boot: "boot".into(),
            pid,
            start: 7,
            started_at: 1_000,
            scope: scope.map(Into::into),
        }
    }

    fn is_open(machine: &Machine, target: &Target) -> bool {
        machine.see(target).is_open
    }

    const INIT: Process = Process {
        pid: 1,
        start: 7,
        parent: 0,
        scope: None,
    };

    #[test]
    fn a_session_whose_leader_was_killed_is_open_while_its_scope_has_processes() {
        let shell = process(11, 1, Some("c1"));
        let before = machine(&[INIT, shell.clone()], &[session("c1", 10, 1_001)]);
        assert!(is_open(&before, &target(10, None)));
        // systemd-logind was restarted and has forgotten it.
        let after = machine(&[INIT, shell], &[]);
        assert!(is_open(&after, &target(10, Some("c1"))));
        assert!(!is_open(&machine(&[INIT], &[]), &target(10, Some("c1"))));
    }

    #[test]
    fn a_session_id_that_came_again_is_another_session() {
        let shell = process(21, 1, Some("c1"));
        let machine = machine(&[INIT, shell], &[session("c1", 20, 5_000)]);
        assert!(!is_open(&machine, &target(10, Some("c1"))));
        assert!(!is_open(&machine, &target(20, None)));
        assert_eq!(machine.others(&[target(10, Some("c1"))]).len(), 1);
    }

    #[test]
    fn a_session_without_a_scope_of_its_own_is_the_tree_below_its_leader() {
        let processes = [
            INIT,
            process(10, 1, Some("c1")),
            process(30, 10, Some("c1")),
            process(31, 30, Some("c1")),
        ];
        let machine = machine(&processes, &[session("c1", 10, 1_000)]);
        let members = machine.members(&target(30, None));
        assert_eq!(members.len(), 2, "{members:?}");
        assert_eq!(machine.members(&target(10, None)).len(), 3);
    }

    #[test]
    fn nothing_of_another_boot_is_open() {
        let machine = machine(&[INIT, process(10, 1, None)], &[]);
        let target = Target {
            boot: "before".into(),
            ..target(10, None)
        };
        assert!(!is_open(&machine, &target));
    }
}
