//! Whether the first factor of a login was right when the module asks.
//!
//! A module cannot see it: a stack may go on after a wrong password (`substack` on EL, `forward_pass` before pam_unix).
//! So the stack is read here, and what the model cannot settle counts as not shown. Without the first factor nobody is
//! sent a code, enrolled, shown an address, or able to lock an account.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use twofa_core::service;
use twofa_proto::{Login, Request};
use twofa_stacks::{File, Host, Phase, Service};

use crate::identity::authority::Peer;

/// How many services are remembered. A machine has fewer; more names than that are invented by clients.
const MAX_SERVICES: usize = 64;
/// The longest name of a file, in bytes (`NAME_MAX`, limits.h).
const MAX_NAME: usize = 255;
/// The methods of sshd that authenticate a user before PAM is asked (`SSH_AUTH_INFO_0`, see `sshd_config(5)`).
const PROOFS_OF_SSHD: [&str; 3] = ["publickey", "hostbased", "gssapi-with-mic"];

/// What is known of the first factor when a line of the stack is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstFactor {
    /// It was right whenever this line is called.
    Shown,
    /// It may be wrong, and a later line of the stack is called when it is right. That line asks.
    LaterLine,
    /// It may be wrong, and nothing comes later.
    Unknown,
}

/// The stacks of this machine's services, read when they are first asked about.
#[derive(Debug, Default)]
pub struct Stacks {
    known: Mutex<HashMap<String, Known>>,
}

/// What is known of a service from its files.
#[expect(
    clippy::struct_excessive_bools,
    reason = "answers to questions that do not depend on each other"
)]
#[derive(Debug, Clone)]
struct Known {
    /// The files that were looked for, with their state. While that is the same, the rest is current.
    files: Vec<(String, Option<FileState>)>,
    lines: Vec<Line>,
    /// Whether a line with `proved` lets a key skip the password.
    has_key_line: bool,
    /// Whether a line that asks too early is followed by another one, in `auth` or in `account`.
    is_followed: bool,
    /// The same, in `auth`.
    is_followed_in_auth: bool,
    /// Whether nobody who passed `auth` passes the account phase without a line of ours.
    account_confirms: bool,
    /// Whether nobody passes the account phase without a line that has `challenge`.
    account_challenges: bool,
    /// Why the lines are not understood.
    doubt: Option<String>,
}

#[derive(Debug, Clone)]
struct Line {
    phase: Phase,
    arguments: Vec<String>,
    may_be_unproved: bool,
}

/// The state of a file: device, inode, size, and times of the last change.
type FileState = (u64, u64, u64, i64, i64, i64, i64);

impl Stacks {
    /// What is known of the first factor at the line that makes `request` about `login`.
    pub fn first_factor(&self, peer: Peer, request: &Request, login: &Login) -> FirstFactor {
        if peer.is_root() && is_proved_by_sshd(login) {
            return FirstFactor::Shown;
        }
        // In a container the application has other files than the broker.
        let Some(known) = self
            .known(&login.service)
            .filter(|_| sees_same_files(login))
        else {
            return FirstFactor::Unknown;
        };
        let phase = phase(request);
        let mut same = known.same_lines(request, login).peekable();
        let is_found = same.peek().is_some();
        if is_found && same.all(|line| !line.may_be_unproved) {
            return FirstFactor::Shown;
        }
        // A program that runs with the user's rights is a screen locker, whatever its name, and not every one of those enters
        // the account phase.
        let in_account = if login.behind_password {
            known.is_followed
        } else {
            known.account_challenges
        };
        let comes_later =
            login.behind_password && known.is_followed_in_auth || peer.is_root() && in_account;
        if is_found && phase == Phase::Auth && comes_later {
            FirstFactor::LaterLine
        } else {
            FirstFactor::Unknown
        }
    }

    /// Whether a factor other than a key was right whenever the line that makes `request` about `login` is called: no key
    /// skips the password, as it would with a line with `proved` or in a stack for keys alone.
    pub fn is_password_shown(&self, request: &Request, login: &Login) -> bool {
        let known = self
            .known(&login.service)
            .filter(|known| sees_same_files(login) && !known.has_key_line);
        let Some(known) = known else {
            return false;
        };
        let mut same = known.same_lines(request, login).peekable();
        same.peek().is_some() && same.all(|line| !line.may_be_unproved)
    }

    /// Whether nobody who passed `auth` of the stack that `login` comes from gets in without a line of ours in the account
    /// phase.
    pub fn confirms_logins(&self, login: &Login) -> bool {
        let known = self
            .known(&login.service)
            .filter(|_| sees_same_files(login));
        known.is_some_and(|known| known.account_confirms)
    }

    /// Why nothing is known of the stack that `login` comes from, for the system log. `None`: it is known.
    pub fn doubt(&self, login: &Login) -> Option<String> {
        if !sees_same_files(login) {
            return Some("the program that asks has another /etc/pam.d than twofad".to_owned());
        }
        match self.known(&login.service) {
            None => Some(format!("there is no stack '{}' to be read", login.service)),
            Some(known) => known.doubt,
        }
    }

    fn known(&self, service: &str) -> Option<Known> {
        if service.len() > MAX_NAME {
            return None;
        }
        let known = self.lock().get(service).cloned();
        if let Some(known) = known.filter(Known::is_current) {
            return Some(known);
        }
        // Read without the lock: another login of the same service would read the same.
        let known = Known::read(service)?;
        let mut all = self.lock();
        if all.len() >= MAX_SERVICES {
            all.clear();
        }
        all.insert(service.to_owned(), known.clone());
        Some(known)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Stacks {
    /// Stacks in which the one line of the service `sshd` asks too early, and a later one asks again.
    pub(crate) fn with_a_later_line() -> Self {
        let early = Line {
            phase: Phase::Auth,
            arguments: Vec::new(),
            may_be_unproved: true,
        };
        let known = Known {
            files: Vec::new(),
            lines: vec![early],
            has_key_line: false,
            is_followed: true,
            is_followed_in_auth: false,
            account_confirms: false,
            account_challenges: true,
            doubt: None,
        };
        Self {
            known: Mutex::new(HashMap::from([("sshd".to_owned(), known)])),
        }
    }
}

impl Known {
    /// `None`: libpam could not start this service either, or its files are changing.
    fn read(name: &str) -> Option<Self> {
        let first = Service::read(name, &ThisMachine).ok()?;
        // Their state before they are read, so that a change while they are read is noticed later.
        let files = first
            .files
            .iter()
            .map(|path| (path.clone(), found(path)))
            .collect();
        let service = Service::read(name, &ThisMachine).ok()?;
        // A file that was included between the two readings would not be watched.
        if service.files != first.files {
            return None;
        }
        let lines = service.own_lines().into_iter().map(|line| Line {
            phase: line.phase,
            arguments: line.arguments,
            may_be_unproved: line.unproved,
        });
        let answers = service.answers();
        let is_locker = service::is_locker(&service.name);
        let doubt = service.doubts.first().map(ToString::to_string);
        Some(Self {
            files,
            lines: lines.collect(),
            has_key_line: !service.key_lines().is_empty(),
            is_followed: !is_locker
                && answers
                    .as_ref()
                    .is_some_and(|answers| answers.early_line_is_followed),
            is_followed_in_auth: answers
                .as_ref()
                .is_some_and(|answers| answers.early_line_is_followed_in_auth),
            account_confirms: answers
                .as_ref()
                .is_some_and(|answers| answers.account_confirms),
            account_challenges: !is_locker
                && answers.is_some_and(|answers| answers.account_challenges),
            doubt,
        })
    }

    /// The lines that `login` may come from: those of its phase with its arguments.
    fn same_lines(&self, request: &Request, login: &Login) -> impl Iterator<Item = &Line> {
        let phase = phase(request);
        self.lines
            .iter()
            .filter(move |line| line.phase == phase && line.arguments == login.arguments)
    }

    fn is_current(&self) -> bool {
        self.files
            .iter()
            .all(|(path, before)| found(path) == *before)
    }
}

/// The files of this machine.
struct ThisMachine;

impl Host for ThisMachine {
    fn read(&self, path: &str) -> File {
        match fs::read(path) {
            Ok(bytes) => File::Text(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => File::Missing,
            Err(error) if error.kind() == ErrorKind::IsADirectory => File::Text(String::new()),
            Err(_) => File::Unreadable,
        }
    }

    fn debian(&self) -> bool {
        fs::exists("/etc/debian_version").unwrap_or_default()
    }
}

fn found(path: &str) -> Option<FileState> {
    let file = fs::metadata(path).ok()?;
    let (mtime, ctime) = (
        (file.mtime(), file.mtime_nsec()),
        (file.ctime(), file.ctime_nsec()),
    );
    Some((
        file.dev(),
        file.ino(),
        file.size(),
        mtime.0,
        mtime.1,
        ctime.0,
        ctime.1,
    ))
}

const fn phase(request: &Request) -> Phase {
    if matches!(request, Request::Account(_)) {
        Phase::Account
    } else {
        Phase::Auth
    }
}

/// Whether the application that asks about `login` has the `/etc` of this process.
pub fn sees_same_files(login: &Login) -> bool {
    let ours = fs::metadata("/etc/pam.d")
        .ok()
        .map(|folder| (folder.dev(), folder.ino()));
    login.pam_folder.is_some() && login.pam_folder == ours
}

fn is_proved_by_sshd(login: &Login) -> bool {
    let methods = login.ssh_auth_info.as_deref().unwrap_or_default().lines();
    methods
        .filter_map(|line| line.split_whitespace().next())
        .any(|method| PROOFS_OF_SSHD.contains(&method))
}

#[cfg(test)]
mod tests;
