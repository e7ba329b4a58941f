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

use crate::identity::authority::Peer;

/// How many services are remembered. More names than a machine has services are made up.
const MOST: usize = 64;
/// The longest that the name of a file can be, in bytes (`NAME_MAX`, limits.h).
const LONGEST_NAME: usize = 255;
/// The methods of sshd that prove who somebody is before PAM is asked (`SSH_AUTH_INFO_0`, see `sshd_config(5)`).
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
    /// A line that asks too early is followed by another one, in `auth` or in `account`.
    is_followed: bool,
    /// The same, in `auth`.
    is_followed_in_auth: bool,
    /// The account phase lets nobody through without a line that has `challenge`.
    account_challenges: bool,
    /// Why nothing is known of the lines.
    doubt: Option<String>,
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
        let phase = if matches!(request, Request::Account(_)) {
            Phase::Account
        } else {
            Phase::Auth
        };
        let mut same = known
            .lines
            .iter()
            .filter(|line| line.phase == phase && line.arguments == login.arguments)
            .peekable();
        let is_found = same.peek().is_some();
        if is_found && same.all(|line| !line.may_be_unproved) {
            return FirstFactor::Shown;
        }
        // Programs that run with the user's rights are lockers whatever they are called, and not all of those come to the
        // account phase.
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

    /// Why nothing is known of the stack that `login` comes from, for the system log. `None`: it is known.
    pub fn doubt(&self, login: &Login) -> Option<String> {
        if !sees_our_files(login) {
            return Some("the program that asks has another /etc/pam.d than twofad".to_owned());
        }
        match self.known(&login.service) {
            None => Some(format!("there is no stack '{}' to be read", login.service)),
            Some(known) => known.doubt,
        }
    }

    fn known(&self, service: &str) -> Option<Known> {
        if service.len() > LONGEST_NAME {
            return None;
        }
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
            is_followed: true,
            is_followed_in_auth: false,
            account_challenges: true,
            doubt: None,
        };
        Self {
            known: Mutex::new(HashMap::from([("sshd".to_owned(), known)])),
        }
    }
}

impl Known {
    /// `None`: libpam could not start this service either, or its files are being changed.
    fn read(name: &str) -> Option<Self> {
        let first = Service::read(name, &ThisMachine).ok()?;
        // Their state from before they are read: a change while they are read must show later.
        let files = first
            .files
            .iter()
            .map(|path| (path.clone(), found(path)))
            .collect();
        let service = Service::read(name, &ThisMachine).ok()?;
        // A file that was included only just now would not be watched.
        if service.files != first.files {
            return None;
        }
        let lines = service.own_lines().into_iter().map(|line| Line {
            phase: line.phase,
            arguments: line.arguments,
            may_be_unproved: line.unproved,
        });
        let answers = service.answers();
        let is_locker = twofa_stacks::is_locker(&service.name);
        let doubt = service.doubts.first().map(ToString::to_string);
        Some(Self {
            files,
            lines: lines.collect(),
            is_followed: !is_locker
                && answers
                    .as_ref()
                    .is_some_and(|answers| answers.early_line_is_followed),
            is_followed_in_auth: answers
                .as_ref()
                .is_some_and(|answers| answers.early_line_is_followed_in_auth),
            account_challenges: !is_locker
                && answers.is_some_and(|answers| answers.account_challenges),
            doubt,
        })
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

fn found(path: &str) -> Option<Found> {
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

fn sees_our_files(login: &Login) -> bool {
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
mod tests {
    use super::*;

    fn line(phase: Phase, arguments: &[&str], may_be_unproved: bool) -> Line {
        Line {
            phase,
            arguments: arguments.iter().map(ToString::to_string).collect(),
            may_be_unproved,
        }
    }

    /// Stacks that know one service, `door`, by this.
    fn stacks(lines: Vec<Line>, is_followed: bool, account_challenges: bool) -> Stacks {
        let known = Known {
            files: Vec::new(),
            lines,
            is_followed,
            is_followed_in_auth: false,
            account_challenges,
            doubt: None,
        };
        Stacks {
            known: Mutex::new(HashMap::from([("door".to_owned(), known)])),
        }
    }

    fn login(arguments: &[&str]) -> Login {
        let pam_folder = fs::metadata("/etc/pam.d")
            .ok()
            .map(|folder| (folder.dev(), folder.ino()));
        let arguments = arguments.iter().map(ToString::to_string).collect();
        Login {
            service: "door".into(),
            arguments,
            pam_folder,
            ..Login::default()
        }
    }

    fn in_auth(stacks: &Stacks, login: &Login) -> FirstFactor {
        stacks.first_factor(Peer::ROOT, &Request::Login(login.clone()), login)
    }

    #[test]
    fn what_the_stack_proves_is_believed_for_the_line_that_asks() {
        let stacks = stacks(
            vec![
                line(Phase::Auth, &["forward_pass"], true),
                line(Phase::Auth, &[], false),
            ],
            true,
            false,
        );
        let early = Login {
            behind_password: true,
            ..login(&["forward_pass"])
        };
        assert_eq!(in_auth(&stacks, &early), FirstFactor::LaterLine);
        assert_eq!(in_auth(&stacks, &login(&[])), FirstFactor::Shown);
        assert_eq!(
            in_auth(&stacks, &login(&["debug"])),
            FirstFactor::Unknown,
            "no such line"
        );
    }

    #[test]
    fn of_two_equal_lines_the_one_that_proves_less_counts() {
        let stacks = stacks(
            vec![line(Phase::Auth, &[], false), line(Phase::Auth, &[], true)],
            false,
            false,
        );
        assert_eq!(in_auth(&stacks, &login(&[])), FirstFactor::Unknown);
    }

    #[test]
    fn only_an_account_line_with_challenge_takes_the_question_over() {
        let lines = || {
            vec![
                line(Phase::Auth, &[], true),
                line(Phase::Account, &["challenge"], false),
            ]
        };
        assert_eq!(
            in_auth(&stacks(lines(), true, true), &login(&[])),
            FirstFactor::LaterLine
        );
        assert_eq!(
            in_auth(&stacks(lines(), true, false), &login(&[])),
            FirstFactor::Unknown
        );
    }

    #[test]
    fn a_screen_locker_is_not_left_to_an_account_phase_that_it_may_not_come_to() {
        let lines = vec![
            line(Phase::Auth, &[], true),
            line(Phase::Auth, &["forward_pass"], true),
            line(Phase::Account, &["challenge"], false),
        ];
        let stacks = stacks(lines, true, true);
        let early = Login {
            behind_password: true,
            ..login(&["forward_pass"])
        };
        for login in [login(&[]), early] {
            let request = Request::Login(login.clone());
            assert_eq!(
                stacks.first_factor(Peer::ROOT, &request, &login),
                FirstFactor::LaterLine
            );
            assert_eq!(
                stacks.first_factor(Peer { uid: 1000 }, &request, &login),
                FirstFactor::Unknown
            );
        }
    }

    #[test]
    fn an_application_with_another_pam_d_than_ours_is_not_judged_by_ours() {
        let stacks = stacks(vec![line(Phase::Auth, &[], false)], false, true);
        for pam_folder in [None, Some((0, 0))] {
            assert_eq!(
                in_auth(
                    &stacks,
                    &Login {
                        pam_folder,
                        ..login(&[])
                    }
                ),
                FirstFactor::Unknown
            );
        }
    }

    #[test]
    fn what_sshd_proved_is_believed_from_root_alone() {
        let stacks = stacks(vec![line(Phase::Auth, &[], true)], false, false);
        let by = |info: &str| Login {
            ssh_auth_info: Some(info.into()),
            ..login(&[])
        };
        assert_eq!(
            in_auth(&stacks, &by("publickey ssh-ed25519 AAAA\n")),
            FirstFactor::Shown
        );
        assert_eq!(
            in_auth(&stacks, &by("password\nkeyboard-interactive/pam\n")),
            FirstFactor::Unknown
        );
        let claim = by("publickey ssh-ed25519 AAAA\n");
        let user = Peer { uid: 1000 };
        assert_eq!(
            stacks.first_factor(user, &Request::Login(claim.clone()), &claim),
            FirstFactor::Unknown
        );
    }

    #[test]
    fn a_stack_that_changed_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("door");
        fs::write(&path, "one").unwrap();
        let path = path.to_str().unwrap().to_owned();
        let known = Known {
            files: vec![(path.clone(), found(&path)), (format!("{path}-none"), None)],
            lines: Vec::new(),
            is_followed: false,
            is_followed_in_auth: false,
            account_challenges: false,
            doubt: None,
        };
        assert!(known.is_current());
        fs::write(&path, "another").unwrap();
        assert!(!known.is_current());
    }
}
