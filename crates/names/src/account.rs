//! Accounts by name.

use std::time::Instant;

use nix::unistd::User;
use twofa_core::Account;

use crate::Unanswered;
use crate::files::{Entry, Groups, Passwd};
use crate::query::{TIMEOUT, query};
use crate::switch::Switch;

/// The account called `name`, spelled as the name service spells it, so that an alias leads to the same record. `None`
/// when there is no such account; a name service that does not answer is an error, because "cannot ask" is not "does not
/// exist".
///
/// No other source is asked about an account of `/etc/passwd` where that file comes first. Where it comes later, it is
/// used when the sources before it give no answer.
pub fn find(name: &str) -> Result<Option<Account>, Unanswered> {
    Ok(entry(name)?.map(|(name, Entry { uid, .. })| Account { name, uid }))
}

/// Uid and primary gid of the account called `name`, from `/etc/passwd` if it is there, whatever nsswitch.conf says. For
/// system users, which must be found while a directory is down.
pub fn system_user(name: &str) -> Result<Option<(u32, u32)>, Unanswered> {
    let ids = |Entry { uid, gid }| (uid, gid);
    if let Some(entry) = Passwd::read().ok().and_then(|passwd| passwd.entry(name)) {
        return Ok(Some(ids(entry)));
    }
    Ok(entry(name)?.map(|(_, entry)| ids(entry)))
}

/// Whether `/etc/passwd` has an account called `name`.
pub fn is_local(name: &str) -> Result<bool, Unanswered> {
    let passwd = Passwd::read().map_err(Unanswered)?;
    Ok(passwd.entry(name).is_some())
}

/// The other names that `/etc/passwd` has for the uid of `account`.
pub fn namesakes(account: &Account) -> Result<Vec<String>, Unanswered> {
    let passwd = Passwd::read().map_err(Unanswered)?;
    let of_uid = passwd
        .entries()
        .filter(|(_, entry)| entry.uid == account.uid);
    let names = of_uid.map(|(name, _)| String::from_utf8_lossy(name).into_owned());
    Ok(names.filter(|name| *name != account.name).collect())
}

/// The groups of `/etc/group` that list `name`.
pub fn listed_groups(name: &str) -> Vec<u32> {
    let Ok(groups) = Groups::read() else {
        return Vec::new();
    };
    groups
        .lines()
        .filter(|line| line.lists(name))
        .map(|line| line.gid)
        .collect()
}

/// The primary group of `account`; `None`: it no longer exists.
pub(crate) fn primary_group(account: &Account) -> Result<Option<u32>, Unanswered> {
    let found = entry(&account.name)?.map(|(_, entry)| entry);
    Ok(found
        .filter(|entry| entry.uid == account.uid)
        .map(|entry| entry.gid))
}

fn entry(name: &str) -> Result<Option<(String, Entry)>, Unanswered> {
    // getpwnam(3) would stop reading at a NUL.
    if name.is_empty() || name.contains('\0') {
        return Ok(None);
    }
    // Accounts of /etc/passwd are found even where nsswitch.conf cannot be read.
    let (sources, unread) = match Switch::read() {
        Ok(switch) => (switch.passwd(), None),
        Err(why) => (vec!["files".to_owned()], Some(why)),
    };
    let first = sources.first().map(String::as_str);
    let local = || {
        let passwd = Passwd::read()
            .ok()
            .filter(|passwd| first != Some("compat") || !passwd.has_compat_lines())?;
        Some((name.to_owned(), passwd.entry(name)?))
    };
    if matches!(first, Some("files" | "compat"))
        && let Some(found) = local()
    {
        return Ok(Some(found));
    }
    if let Some(why) = unread {
        return Err(Unanswered(why));
    }
    let wanted = name.to_owned();
    let asked = query("passwd", Instant::now() + TIMEOUT, move || {
        User::from_name(&wanted)
    });
    let why = match asked {
        Ok(Ok(user)) => {
            return Ok(user.map(|user| {
                (
                    user.name,
                    Entry {
                        uid: user.uid.as_raw(),
                        gid: user.gid.as_raw(),
                    },
                )
            }));
        }
        Ok(Err(error)) => error.desc().to_owned(),
        Err(why) => why,
    };
    let is_local = sources.iter().any(|source| source == "files");
    is_local
        .then(local)
        .flatten()
        .map(Some)
        .ok_or_else(|| Unanswered(format!("account {name:?} of {}: {why}", sources.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_and_nobody_is_nobody() {
        assert_eq!(
            find("root"),
            Ok(Some(Account {
                name: "root".into(),
                uid: 0
            }))
        );
        for name in ["", "root\0x", "no-such-user"] {
            assert_eq!(find(name), Ok(None), "{name:?}");
        }
        assert_eq!(
            primary_group(&Account {
                name: "root".into(),
                uid: 0
            }),
            Ok(Some(0))
        );
        assert_eq!(
            primary_group(&Account {
                name: "root".into(),
                uid: 1
            }),
            Ok(None)
        );
    }
}
