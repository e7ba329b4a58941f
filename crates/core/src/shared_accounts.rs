//! Which accounts of a joined host are the fleet's.

use std::fmt;
use std::ops::RangeInclusive;

use crate::account::Account;

/// Which accounts of a joined host are shared with the fleet. The others are the host's own, and root always is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SharedAccounts {
    /// Those of people that a directory knows: that are not in `/etc/passwd`.
    Directory,
    /// The members of this Unix group.
    Group(String),
    /// Those with these uids.
    Uids(RangeInclusive<u32>),
    /// Those with these names.
    Names(Vec<String>),
}

/// By what an account on one host is known to be the same person as one on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FleetIdentity {
    /// By name and uid together.
    NameAndUid,
    /// By the name alone, where hosts have given out uids by themselves.
    Name,
}

impl FleetIdentity {
    pub(crate) const ALL: [Self; 2] = [Self::NameAndUid, Self::Name];

    /// As an administrator writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NameAndUid => "name-and-uid",
            Self::Name => "name",
        }
    }
}

/// Whether an account is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// It is.
    Shared,
    /// It is the host's own.
    Own,
    /// It is if a directory knows it, and it is a person's.
    IfOfDirectory,
    /// It is if it is a member of the group.
    IfMember,
}

const DIRECTORY: &str = "directory";
const GROUP: &str = "group:";
const UIDS: &str = "uid:";

impl SharedAccounts {
    /// The accounts that `text` describes: `directory`, `group:NAME`, `uid:FROM-TO`, or names with commas between them.
    pub fn read(text: &str) -> Option<Self> {
        let is_name = |name: &str| {
            let is_good = |c: char| !c.is_whitespace() && !c.is_control() && !",:/".contains(c);
            !name.is_empty() && name.chars().all(is_good)
        };
        if text == DIRECTORY {
            return Some(Self::Directory);
        }
        if let Some(group) = text.strip_prefix(GROUP) {
            return is_name(group).then(|| Self::Group(group.to_owned()));
        }
        if let Some(uids) = text.strip_prefix(UIDS) {
            let (from, to) = uids.split_once('-')?;
            let uids: RangeInclusive<u32> = from.parse().ok()?..=to.parse().ok()?;
            return (!uids.is_empty()).then_some(Self::Uids(uids));
        }
        let names: Vec<_> = text.split(',').map(str::to_owned).collect();
        names
            .iter()
            .all(|name| is_name(name))
            .then_some(Self::Names(names))
    }

    /// Whether `account` is shared, as far as that follows from its name and uid.
    pub fn sharing(&self, account: &Account) -> Sharing {
        let shared = |is_shared| {
            if is_shared {
                Sharing::Shared
            } else {
                Sharing::Own
            }
        };
        if account.uid == 0 {
            return Sharing::Own;
        }
        match self {
            Self::Directory => Sharing::IfOfDirectory,
            Self::Group(_) => Sharing::IfMember,
            Self::Uids(uids) => shared(uids.contains(&account.uid)),
            Self::Names(names) => shared(names.contains(&account.name)),
        }
    }
}

impl fmt::Display for SharedAccounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory => f.write_str(DIRECTORY),
            Self::Group(group) => write!(f, "{GROUP}{group}"),
            Self::Uids(uids) => write!(f, "{UIDS}{}-{}", uids.start(), uids.end()),
            Self::Names(names) => f.write_str(&names.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_anything_else_is_refused() {
        for text in [
            "directory",
            "group:staff",
            "uid:2000-59999",
            "alice",
            "alice,bob",
        ] {
            let read = SharedAccounts::read(text).unwrap();
            assert_eq!(read.to_string(), text);
        }
        for text in [
            "",
            "group:",
            "group:a b",
            "uid:",
            "uid:5",
            "uid:5-4",
            "uid:-1",
            "a,,b",
            "a,",
            "a:b",
        ] {
            assert_eq!(SharedAccounts::read(text), None, "{text:?}");
        }
    }

    #[test]
    fn root_is_never_shared() {
        let account = |name: &str, uid| Account {
            name: name.to_owned(),
            uid,
        };
        for text in ["directory", "group:root", "uid:0-59999", "root,toor,alice"] {
            let accounts = SharedAccounts::read(text).unwrap();
            for name in ["root", "toor"] {
                assert_eq!(accounts.sharing(&account(name, 0)), Sharing::Own, "{text}");
            }
            let alice = accounts.sharing(&account("alice", 1000));
            assert_ne!(alice, Sharing::Own, "{text}");
        }
    }
}
