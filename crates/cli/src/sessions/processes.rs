//! The processes of this machine, from `/proc`.

use std::collections::{HashMap, HashSet};
use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// When it started, in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub(crate) start: u64,
    pub(crate) parent: u32,
    /// The session of systemd-logind whose control group it is in.
    pub(crate) scope: Option<String>,
}

/// All processes at one moment.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    by_pid: HashMap<u32, Process>,
}

impl Processes {
    pub(crate) fn read() -> Self {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(Process::read).collect()
    }

    /// Whether processes of other users are among them: proc(5) can be mounted so that they are not.
    pub(crate) fn are_all(&self) -> bool {
        self.by_pid.contains_key(&1)
    }

    /// The process of this number and start.
    pub(crate) fn find(&self, pid: u32, start: u64) -> Option<&Process> {
        self.by_pid
            .get(&pid)
            .filter(|process| process.start == start)
    }

    /// Those in the control group of a session of systemd-logind.
    pub(crate) fn in_scope(&self, scope: &str) -> Vec<Process> {
        let is_in = |process: &&Process| process.scope.as_deref() == Some(scope);
        self.by_pid.values().filter(is_in).cloned().collect()
    }

    /// These processes, as far as they still exist, and all that descend from them.
    pub(crate) fn with_descendants(&self, roots: &[Process]) -> Vec<Process> {
        let mut children: HashMap<u32, Vec<&Process>> = HashMap::new();
        for process in self.by_pid.values() {
            children.entry(process.parent).or_default().push(process);
        }
        let mut found: Vec<Process> = Vec::new();
        let mut seen = HashSet::new();
        let alive = |root: &Process| self.find(root.pid, root.start);
        let mut waiting: Vec<&Process> = roots.iter().filter_map(alive).collect();
        while let Some(process) = waiting.pop() {
            if seen.insert(process.pid) {
                found.push(process.clone());
                waiting.extend(children.get(&process.pid).into_iter().flatten());
            }
        }
        found
    }

    /// The process `pid` and those that it descends from.
    pub(crate) fn ancestors(&self, mut pid: u32) -> HashSet<u32> {
        let mut found = HashSet::new();
        while let Some(process) = self.by_pid.get(&pid) {
            if !found.insert(pid) {
                break;
            }
            pid = process.parent;
        }
        found
    }
}

impl FromIterator<Process> for Processes {
    fn from_iter<T: IntoIterator<Item = Process>>(processes: T) -> Self {
        let by_pid = processes
            .into_iter()
            .map(|process| (process.pid, process))
            .collect();
        Self { by_pid }
    }
}

impl Process {
    fn read(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (parent, start) = parse_stat(&stat)?;
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        Some(Self {
            pid,
            start,
            parent,
            scope: scope_of(&groups),
        })
    }

    /// Sends it `signals`, unless another process has its number by now.
    pub(crate) fn signal(&self, signals: &[Signal]) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|_| self.pid > 1) else {
            return;
        };
        // The number may be given to another process until it is held, and not after that.
        let Ok(held) = pidfd_open(pid, PidfdFlags::empty()) else {
            return;
        };
        let is_same = Self::read(self.pid).is_some_and(|now| now.start == self.start);
        for signal in signals.iter().filter(|_| is_same) {
            let _ = pidfd_send_signal(&held, *signal);
        }
    }
}

/// Fields 4 and 22 of `/proc/PID/stat`, and nothing of a process that has exited. The second field is the name of the program
/// in parentheses, which may contain both and spaces.
fn parse_stat(stat: &str) -> Option<(u32, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let start = fields.nth(17)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some((parent, start))
}

/// The id in a control group such as `0::/user.slice/user-1000.slice/session-c1.scope`.
///
/// The scope must be directly in slices, which are root's. Containers have sessions with the same ids in groups of their own,
/// and users make groups of any name below their `user@UID.service`. Of the hierarchies only those of systemd count
/// (cgroups(7)).
fn scope_of(groups: &str) -> Option<String> {
    groups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (hierarchy, path) = rest.split_once(':')?;
        let is_systemds = matches!(hierarchy, "" | "name=systemd");
        let mut parts = path.strip_prefix('/').filter(|_| is_systemds)?.split('/');
        let unit = parts.find(|part| part.strip_suffix(".slice").is_none())?;
        let id = unit.strip_prefix("session-")?.strip_suffix(".scope")?;
        Some(id.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32, scope: Option<&str>) -> Process {
        Process {
            pid,
            start: u64::from(pid) * 10,
            parent,
            scope: scope.map(Into::into),
        }
    }

    #[allow(
        clippy::needless_pass_by_value,
        reason = "what is given was made for this"
    )]
    fn pids(processes: Vec<Process>) -> Vec<u32> {
        let mut pids: Vec<_> = processes.iter().map(|process| process.pid).collect();
        pids.sort_unstable();
        pids
    }

    #[test]
    fn a_program_may_be_called_anything_and_one_that_exited_is_none() {
        let stat = |state| {
            format!("12 (a b) c) {state} 7 12 13 34816 12 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0")
        };
        assert_eq!(parse_stat(&stat("S")), Some((7, 4711)));
        assert_eq!(parse_stat(&stat("Z")), None);
        assert_eq!(parse_stat("12 (a"), None);
    }

    #[test]
    fn groups_of_containers_and_of_users_are_not_those_of_a_session() {
        let own = "/user.slice/user-1000.slice/session-c1.scope";
        for groups in [
            format!("0::{own}\n"),
            format!("0::{own}/nested\n"),
            format!("4:cpu:/\n1:name=systemd:{own}\n0::/\n"),
        ] {
            assert_eq!(scope_of(&groups).as_deref(), Some("c1"), "{groups}");
        }
        for groups in [
            format!("0::/machine.slice/systemd-nspawn@vm.service/payload{own}\n"),
            format!("0::/machine.slice/libpod-1.scope/container{own}\n"),
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/session-c1.scope\n".into(),
            "4:cpu:/session-c1.scope\n".into(),
        ] {
            assert_eq!(scope_of(&groups), None, "{groups}");
        }
    }

    #[test]
    fn a_session_is_its_scope_or_the_tree_below_the_process_that_opened_it() {
        let processes = Processes::from_iter([
            process(1, 0, None),
            process(10, 1, Some("c1")),
            process(11, 10, Some("c1")),
            process(12, 11, Some("c2")),
            process(20, 1, Some("c1")),
        ]);
        assert_eq!(pids(processes.in_scope("c1")), [10, 11, 20]);
        let root = process(10, 1, None);
        assert_eq!(pids(processes.with_descendants(&[root])), [10, 11, 12]);
        let reused = Process {
            start: 5,
            ..process(10, 1, None)
        };
        assert_eq!(pids(processes.with_descendants(&[reused])), [0; 0]);
        assert_eq!(processes.ancestors(12), HashSet::from([1, 10, 11, 12]));
    }

    #[test]
    fn this_very_process_is_among_them() {
        let processes = Processes::read();
        let own = std::process::id();
        let found = processes.by_pid.get(&own).unwrap();
        assert!(found.start > 0);
        assert!(processes.ancestors(own).contains(&found.parent));
    }
}
