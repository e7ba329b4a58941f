//! Memberships of many accounts at once.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use twofa_core::{Account, Group, Membership};

use crate::files::{self, Entry, Passwd};
use crate::groups::{is_files, look_up};
use crate::membership::Groups;
use crate::module::Key;
use crate::query::TIMEOUT;
use crate::switch::Switch;

/// Membership for many accounts at once, as a listing needs it: for an account of `/etc/passwd` the members of each group
/// are looked up once, instead of the groups of each account. A login asks about the one account ([`Groups`]).
#[derive(Debug, Default)]
pub struct Directory {
    /// The accounts in `/etc/passwd`, by name.
    local: HashMap<Vec<u8>, Entry>,
    groups: HashMap<Group, Members>,
    /// From this time on, other accounts are not asked about.
    deadline: Option<Instant>,
}

/// The members of a group.
#[derive(Debug, Default)]
struct Members {
    gid: Option<u32>,
    listed: HashSet<Vec<u8>>,
    /// The list has all members.
    is_complete: bool,
}

impl Directory {
    /// Reads `/etc/passwd`. If it cannot be read, every account is asked about.
    pub fn read() -> Self {
        let mut local = HashMap::new();
        if let Ok(passwd) = Passwd::read() {
            for (name, entry) in passwd.entries() {
                local.entry(name.to_vec()).or_insert(entry);
            }
        }
        Self {
            local,
            ..Self::default()
        }
    }

    /// The same, for counts that must not take long: accounts that are not in `/etc/passwd` are asked about one by one, and
    /// after `limit` the memberships of the rest are unknown.
    pub fn read_within(limit: Duration) -> Self {
        Self {
            deadline: Some(Instant::now() + limit),
            ..Self::read()
        }
    }

    /// Whether `account` is in `group`.
    pub fn membership(&mut self, account: &Account, group: &Group) -> Membership {
        let local = self
            .local
            .get(account.name.as_bytes())
            .filter(|entry| entry.uid == account.uid);
        let Some(local) = local else {
            return match self.deadline {
                Some(deadline) if deadline <= Instant::now() => Membership::Unknown,
                _ => Groups::new(account).membership(group),
            };
        };
        let members = match self.groups.entry(group.clone()) {
            Slot::Occupied(members) => members.into_mut(),
            Slot::Vacant(slot) => slot.insert(members_of(group)),
        };
        let is_listed = members.listed.contains(account.name.as_bytes());
        if is_listed || members.gid == Some(local.gid) {
            Membership::Member
        } else if members.is_complete {
            Membership::NotMember
        } else {
            Membership::Unknown
        }
    }
}

fn members_of(group: &Group) -> Members {
    let (Ok(files), Ok(switch)) = (files::Groups::read(), Switch::read()) else {
        return Members::default();
    };
    let mut gid = group.gid.or_else(|| files.gid_of(&group.name));
    let mut members = Members {
        is_complete: true,
        ..Members::default()
    };
    let deadline = Instant::now() + TIMEOUT;
    for source in switch.initgroups() {
        if is_files(&source, Some(&files)) {
            let lines = files.lines().filter(|line| Some(line.gid) == gid);
            members
                .listed
                .extend(lines.flat_map(files::Line::members).map(<[u8]>::to_vec));
            continue;
        }
        let key = gid.map_or_else(|| Key::Name(group.name.clone()), Key::Gid);
        match look_up(&source, key, deadline) {
            Ok(Some(entry)) => {
                gid = gid.or(Some(entry.gid));
                members.listed.extend(entry.members);
            }
            Ok(None) => {}
            Err(_) => members.is_complete = false,
        }
    }
    members.gid = gid;
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_the_time_is_over_only_accounts_of_this_machine_are_settled() {
        let mut directory = Directory::read_within(Duration::ZERO);
        let group = Group::called("root");
        let root = Account {
            name: "root".into(),
            uid: 0,
        };
        assert_eq!(directory.membership(&root, &group), Membership::Member);
        let elsewhere = Account {
            name: "no-such-account".into(),
            uid: 4_000_000_000,
        };
        assert_eq!(
            directory.membership(&elsewhere, &group),
            Membership::Unknown
        );
        assert_eq!(
            directory.membership(&elsewhere, &Group::called("no-such-group")),
            Membership::Unknown
        );
        assert_eq!(
            Directory::read().membership(&elsewhere, &Group::called("no-such-group")),
            Membership::NotMember
        );
    }

    #[test]
    fn a_listing_and_a_login_say_the_same_of_root() {
        let root = Account {
            name: "root".into(),
            uid: 0,
        };
        for name in ["root", "daemon", "no-such-group"] {
            let group = Group::called(name);
            let one = Groups::new(&root).membership(&group);
            assert_eq!(Directory::read().membership(&root, &group), one, "{name}");
        }
    }
}
