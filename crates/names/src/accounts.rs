//! Accounts in bulk: looking up many one after another, and listing all.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::time::{Duration, Instant};

use nix::unistd::{Uid, User};
use twofa_core::Account;

use crate::Unanswered;
use crate::account::find;
use crate::files::Passwd;
use crate::groups::look_up;
use crate::module::{Key, all_accounts};
use crate::query::{TIMEOUT, query};
use crate::switch::Switch;

/// The lowest uid of a person where login.defs(5) names none.
const UID_MIN: u32 = 1000;
/// `nobody`, on every distribution; and the uids that systemd gives to services for as long as they run (UIDS-GIDS.md).
const NO_PERSON: [std::ops::RangeInclusive<u32>; 2] = [65534..=65534, 61184..=65519];
/// What an account has instead of a shell if nobody may log in with it. Other shells need not be in /etc/shells: sshd does not
/// look there.
const NO_SHELLS: [&str; 2] = ["nologin", "false"];

/// Looks up many accounts, as a listing does. Once the name service has not answered, nothing more is asked: a directory that
/// is down costs one wait.
#[derive(Debug)]
pub struct AccountLookup {
    uids: HashMap<String, u32>,
    names: HashMap<u32, String>,
    deadline: Instant,
    unanswered: Option<Unanswered>,
    /// Every source has answered, so that "not found" can be believed.
    has_answered: bool,
}

impl AccountLookup {
    /// Reads `/etc/passwd`. Accounts that are not there are asked about one by one, until `limit` has passed.
    pub fn read_within(limit: Duration) -> Self {
        let (mut uids, mut names) = (HashMap::new(), HashMap::new());
        if let Ok(passwd) = Passwd::read() {
            for (name, entry) in passwd.entries() {
                let name = String::from_utf8_lossy(name).into_owned();
                names.entry(entry.uid).or_insert_with(|| name.clone());
                uids.entry(name).or_insert(entry.uid);
            }
        }
        Self {
            uids,
            names,
            deadline: Instant::now() + limit,
            unanswered: None,
            has_answered: false,
        }
    }

    /// The account called `name`, as the name service spells it. `None`: every source has said that there is none.
    pub fn account(&mut self, name: &str) -> Result<Option<Account>, Unanswered> {
        if let Some(uid) = self.uids.get(name) {
            return Ok(Some(Account {
                name: name.to_owned(),
                uid: *uid,
            }));
        }
        self.ask(|| find(name))
    }

    /// The name of the account that has `uid`, or one of its names. `None`: every source has said that there is none.
    pub fn name_of(&mut self, uid: u32) -> Result<Option<String>, Unanswered> {
        if let Some(name) = self.names.get(&uid) {
            return Ok(Some(name.clone()));
        }
        self.ask(|| name_of(uid))
    }

    fn ask<T>(
        &mut self,
        question: impl FnOnce() -> Result<Option<T>, Unanswered>,
    ) -> Result<Option<T>, Unanswered> {
        if let Some(unanswered) = &self.unanswered {
            return Err(unanswered.clone());
        }
        let answer = if self.deadline <= Instant::now() {
            Err(Unanswered(
                "it took too long to ask about everybody".to_owned(),
            ))
        } else {
            question()
        };
        let answer = match answer {
            // libc says "not found" even where a source before the last was down.
            Ok(None) if !self.has_answered => every_source_answers().map(|()| {
                self.has_answered = true;
                None
            }),
            answer => answer,
        };
        answer.inspect_err(|unanswered| self.unanswered = Some(unanswered.clone()))
    }
}

fn name_of(uid: u32) -> Result<Option<String>, Unanswered> {
    let asked = query("passwd", Instant::now() + TIMEOUT, move || {
        User::from_uid(Uid::from_raw(uid))
    });
    match asked {
        Ok(Ok(user)) => Ok(user.map(|user| user.name)),
        Ok(Err(error)) => Err(Unanswered(format!("user ID {uid}: {}", error.desc()))),
        Err(why) => Err(Unanswered(format!("user ID {uid}: {why}"))),
    }
}

/// Whether each source of accounts apart from the local ones answers at all. Each is asked for a group, because accounts are
/// looked up through libc, which hides which source answered.
pub fn every_source_answers() -> Result<(), Unanswered> {
    let deadline = Instant::now() + TIMEOUT;
    for source in Switch::read().map_err(Unanswered)?.directories() {
        look_up(&source, Key::Gid(0), deadline)
            .map_err(|why| Unanswered(format!("source '{source}': {why}")))?;
    }
    Ok(())
}

/// All accounts with which people could log in.
#[derive(Debug, Default)]
pub struct LoginAccounts {
    /// The accounts, by name.
    pub accounts: Vec<Account>,
    /// The sources that may have accounts which they do not list, as most directories do.
    pub incomplete: Vec<String>,
    /// Why the name service did not list what is not in `/etc/passwd`.
    pub unanswered: Option<String>,
}

/// The accounts with which people could log in, in one pass over what the name service lists: root, and those from the lowest
/// uid of a person on (`UID_MIN`, login.defs(5)), if they have a shell.
pub fn login_accounts() -> LoginAccounts {
    let lowest = lowest_person();
    let could_log_in =
        |uid: u32, shell: &[u8]| (uid == 0 || is_person_from(lowest, uid)) && is_shell(shell);
    let (incomplete, mut unanswered) = match Switch::read() {
        Ok(switch) => (switch.directories(), None),
        Err(why) => (Vec::new(), Some(why)),
    };
    let mut found = HashMap::new();
    if let Ok(passwd) = Passwd::read() {
        for (name, entry, shell) in passwd.entries_with_shells() {
            if could_log_in(entry.uid, shell) {
                let name = String::from_utf8_lossy(name).into_owned();
                found.entry(name).or_insert(entry.uid);
            }
        }
    }
    if !incomplete.is_empty() {
        match query("passwd", Instant::now() + TIMEOUT, all_accounts) {
            Ok(all) => {
                for (name, entry, shell) in all {
                    if could_log_in(entry.uid, &shell) {
                        found.entry(name).or_insert(entry.uid);
                    }
                }
            }
            Err(why) => unanswered = Some(why),
        }
    }
    let mut accounts: Vec<_> = found
        .into_iter()
        .map(|(name, uid)| Account { name, uid })
        .collect();
    accounts.sort();
    LoginAccounts {
        accounts,
        incomplete,
        unanswered,
    }
}

/// Whether `uid` is that of a person, not of root or of a service: from the lowest uid of a person on (`UID_MIN`,
/// login.defs(5)).
pub fn is_person(uid: u32) -> bool {
    is_person_from(lowest_person(), uid)
}

fn is_person_from(lowest: u32, uid: u32) -> bool {
    uid >= lowest && !NO_PERSON.iter().any(|no| no.contains(&uid))
}

fn lowest_person() -> u32 {
    lowest_uid(&fs::read_to_string("/etc/login.defs").unwrap_or_default())
}

/// The uids of `/etc/passwd` that more than one name has, with those names.
pub fn shared_uids() -> BTreeMap<u32, Vec<String>> {
    let mut names: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    if let Ok(passwd) = Passwd::read() {
        for (name, entry) in passwd.entries() {
            let name = String::from_utf8_lossy(name).into_owned();
            let names = names.entry(entry.uid).or_default();
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names.retain(|_, names| names.len() > 1);
    names
}

/// Whether a person can log in with this in the place of the shell. Empty is `/bin/sh` (passwd(5)).
fn is_shell(shell: &[u8]) -> bool {
    let name = shell.rsplit(|byte| *byte == b'/').next().unwrap_or(shell);
    !NO_SHELLS.iter().any(|no| no.as_bytes() == name)
}

fn lowest_uid(login_defs: &str) -> u32 {
    let mut lines = login_defs.lines().map(str::split_whitespace);
    let value = lines.find_map(|mut words| (words.next()? == "UID_MIN").then(|| words.next())?);
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or(UID_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_can_log_in_and_services_cannot() {
        let names: Vec<_> = login_accounts()
            .accounts
            .into_iter()
            .map(|account| account.name)
            .collect();
        assert!(names.contains(&"root".to_owned()), "{names:?}");
        assert!(!names.contains(&"nobody".to_owned()), "{names:?}");
        assert!(!names.contains(&"daemon".to_owned()), "{names:?}");
    }

    #[test]
    fn an_empty_shell_is_one_and_nologin_is_none_wherever_it_is() {
        assert!(is_shell(b"") && is_shell(b"/bin/bash") && is_shell(b"/opt/fish"));
        assert!(!is_shell(b"/sbin/nologin") && !is_shell(b"/usr/bin/false"));
    }

    #[test]
    fn the_lowest_uid_of_a_person_is_that_of_login_defs() {
        assert_eq!(
            lowest_uid("# UID_MIN 5\nUID_MIN\t\t  500\nUID_MAX 60000\n"),
            500
        );
        assert_eq!(lowest_uid(""), 1000);
    }

    #[test]
    fn what_no_source_has_does_not_exist_and_what_was_not_asked_is_unknown() {
        let mut lookup = AccountLookup::read_within(TIMEOUT);
        let root = lookup.account("root").unwrap().unwrap();
        assert_eq!((root.name.as_str(), root.uid), ("root", 0));
        assert_eq!(lookup.name_of(0).unwrap().as_deref(), Some("root"));
        assert_eq!(lookup.account("no-such-account"), Ok(None));
        assert_eq!(lookup.name_of(4_000_000_000), Ok(None));
        let mut late = AccountLookup::read_within(Duration::ZERO);
        assert!(late.account("no-such-account").is_err());
        assert!(late.account("root").is_ok());
    }
}
