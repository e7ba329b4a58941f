//! Whether somebody has shown the first factor when the module asks about them.
//!
//! A module cannot see it: a stack may go on after a wrong password (`substack` on EL, `forward_pass` in front of
//! pam_unix). So the stack is read here, and what the model cannot settle counts as not shown. Without the first factor
//! nobody is sent a code, enrolled, told an address, or able to lock an account.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use twofa_proto::{Login, Request};
use twofa_stacks::{File, Host, Phase, Service};

use crate::authority::Peer;

/// How many services are remembered. More names than a machine has services are made up.
const MOST: usize = 64;
/// The methods of sshd that prove who somebody is before PAM is asked (`SSH_AUTH_INFO_0`, see sshd_config(5)).
const PROOFS_OF_SSHD: [&str; 3] = ["publickey", "hostbased", "gssapi-with-mic"];

/// What is known of the first factor when a line of the stack is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstFactor {
    /// It was right.
    Shown,
    /// It may be wrong, and a later line of the stack is called when it is right. That line asks.
    LaterLine,
    /// It may be wrong, and nothing comes later.
    Unknown,
}

/// The stacks of this machine's services, as far as they have been asked about.
#[derive(Debug, Default)]
pub struct Stacks {
    known: Mutex<HashMap<String, Known>>,
}

/// What a service's files came to.
#[derive(Debug, Clone)]
struct Known {
    /// The files that were looked for, with what was found. While that is the same, the rest holds.
    files: Vec<(String, Option<Found>)>,
    lines: Vec<Line>,
    /// A line that asks too early is followed by another one.
    is_followed: bool,
    /// The account phase lets nobody through without a line that has `challenge`.
    account_challenges: bool,
}

#[derive(Debug, Clone)]
struct Line {
    phase: Phase,
    arguments: Vec<String>,
    may_be_unproved: bool,
}

/// What tells one state of a file from another.
type Found = (u64, u64, u64, i64, i64, i64, i64);

impl Stacks {
    /// What is known of the first factor at the line that makes `request` about `login`.
    pub fn first_factor(&self, peer: Peer, request: &Request, login: &Login) -> FirstFactor {
        if peer.is_root() && is_proved_by_sshd(login) {
            return FirstFactor::Shown;
        }
        // In a container the application has other files than we do.
        let Some(known) = self.known(&login.service).filter(|_| sees_our_files(login)) else {
            return FirstFactor::Unknown;
        };
        let phase = if matches!(request, Request::Account(_)) { Phase::Account } else { Phase::Auth };
        let mut same = known
            .lines
            .iter()
            .filter(|line| line.phase == phase && line.arguments == login.arguments)
            .peekable();
        let is_found = same.peek().is_some();
        if is_found && same.all(|line| !line.may_be_unproved) {
            return FirstFactor::Shown;
        }
        let comes_later = if login.behind_password { known.is_followed } else { known.account_challenges };
        if is_found && phase == Phase::Auth && comes_later {
            FirstFactor::LaterLine
        } else {
            FirstFactor::Unknown
        }
    }

    fn known(&self, service: &str) -> Option<Known> {
        let known = self.lock().get(service).cloned();
        if let Some(known) = known.filter(Known::is_current) {
            return Some(known);
        }
        // Read without the lock: another login of the same service reads the same.
        let known = Known::read(service)?;
        let mut all = self.lock();
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(service.to_owned(), known.clone());
        Some(known)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// `None`: libpam could not start this service either.
    fn read(name: &str) -> Option<Self> {
        let service = Service::read(name, &ThisMachine).ok()?;
        // Found before they were read, lest a change in between go unnoticed.
        let files = service.files.iter().map(|path| (path.clone(), found(path))).collect();
        let service = Service::read(name, &ThisMachine).ok()?;
        let lines = service.own_lines().into_iter().map(|line| Line {
            phase: line.phase,
            arguments: line.arguments,
            may_be_unproved: line.unproved,
        });
        let answers = service.answers();
        Some(Self {
            files,
            lines: lines.collect(),
            is_followed: answers.as_ref().is_some_and(|answers| answers.early_line_is_followed),
            account_challenges: answers.is_some_and(|answers| answers.account_challenges),
        })
    }

    fn is_current(&self) -> bool {
        self.files.iter().all(|(path, before)| found(path) == *before)
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

fn found(path: &str) -> Option<Found> {
    let file = fs::metadata(path).ok()?;
    let (mtime, ctime) = ((file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec()));
    Some((file.dev(), file.ino(), file.size(), mtime.0, mtime.1, ctime.0, ctime.1))
}

fn sees_our_files(login: &Login) -> bool {
    let ours = fs::metadata("/etc/pam.d").ok().map(|folder| (folder.dev(), folder.ino()));
    login.pam_folder.is_some() && login.pam_folder == ours
}

fn is_proved_by_sshd(login: &Login) -> bool {
    let methods = login.ssh_auth_info.as_deref().unwrap_or_default().lines();
    methods.filter_map(|line| line.split_whitespace().next()).any(|method| PROOFS_OF_SSHD.contains(&method))
}
