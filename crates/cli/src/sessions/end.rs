//! Ends the processes of sessions: politely, then for good.

use std::process::{self, Child};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::logind;
use super::machine::{Machine, Target};
use super::processes::Process;

/// How long a session has before it is killed.
const GRACE: Duration = Duration::from_secs(3);
/// How long the kernel has to end what was killed. It takes a moment, unless the machine has more to do than it can.
const AFTER_KILL: Duration = Duration::from_secs(10);
/// How long systemd-logind has before processes are signalled without it.
const LOGIND_GRACE: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(100);

/// Shells ignore SIGTERM and heed SIGHUP; who is stopped heeds neither until it goes on. systemd sends the same.
const POLITE: [Signal; 3] = [Signal::TERM, Signal::HUP, Signal::CONT];

/// A session that is being ended.
struct Ending<'a> {
    target: &'a Target,
    members: Vec<Process>,
}

/// Ends these sessions, all at the same time. Returns the numbers of those that have no processes any longer.
pub(crate) fn end(targets: &[Target]) -> Vec<i64> {
    let machine = Machine::read();
    let mut endings: Vec<_> = targets
        .iter()
        .map(|target| Ending {
            target,
            members: others(machine.members(target)),
        })
        .collect();
    let begun = Instant::now();
    let mut terminating = begin(&machine, &endings);
    let mut is_asked = terminating.is_empty();
    while update(&mut endings) && begun.elapsed() < GRACE {
        let is_over = terminating
            .iter_mut()
            .all(|child| child.try_wait().is_ok_and(|status| status.is_some()));
        let has_failed = is_over && !terminating.iter_mut().all(has_succeeded);
        if !is_asked && (has_failed || begun.elapsed() > LOGIND_GRACE && !is_over) {
            is_asked = true;
            signal(&endings, &POLITE);
        }
        thread::sleep(POLL);
    }
    let killing = Instant::now();
    while update(&mut endings) && killing.elapsed() < AFTER_KILL {
        signal(&endings, &[Signal::KILL]);
        thread::sleep(POLL);
    }
    for child in &mut terminating {
        let _ = child.kill();
        let _ = child.wait();
    }
    let ended = endings.iter().filter(|ending| ending.members.is_empty());
    ended.map(|ending| ending.target.id).collect()
}

/// Without this process: it is to end the others first, and then ends by itself.
fn others(mut members: Vec<Process>) -> Vec<Process> {
    members.retain(|member| member.pid != process::id());
    members
}

/// Asks systemd-logind to end what it knows, and processes to end that it does not.
fn begin(machine: &Machine, endings: &[Ending<'_>]) -> Vec<Child> {
    let mut known = Vec::new();
    for ending in endings {
        let scope = machine.scope(ending.target);
        match scope.filter(|scope| machine.knows(scope)) {
            Some(scope) => known.push(scope),
            None => signal(std::slice::from_ref(ending), &POLITE),
        }
    }
    let known: Vec<_> = known.iter().map(String::as_str).collect();
    let terminating = logind::terminate(&known);
    if terminating.is_empty() {
        signal(endings, &POLITE);
    }
    terminating
}

fn has_succeeded(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(Some(status)) if status.success())
}

fn signal(endings: &[Ending<'_>], signals: &[Signal]) {
    let members = endings.iter().flat_map(|ending| &ending.members);
    members.for_each(|member| member.signal(signals));
}

/// Finds out what is left of each session, with what was started meanwhile. Returns whether anything is.
fn update(endings: &mut [Ending<'_>]) -> bool {
    if endings.iter().all(|ending| ending.members.is_empty()) {
        return false;
    }
    let machine = Machine::read();
    for ending in endings.iter_mut() {
        let mut members = machine.remaining(&ending.members);
        members.extend(others(machine.members(ending.target)));
        members.sort_by_key(|member| member.pid);
        members.dedup();
        ending.members = members;
    }
    endings.iter().any(|ending| !ending.members.is_empty())
}
