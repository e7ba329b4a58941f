//! Accounts, as the name service knows them (local files, LDAP, SSSD).

use std::collections::{HashMap, HashSet};
use std::ffi::CString;
use std::fs;

use nix::unistd::{Gid, Group, User, getgrouplist};
use twofa_core::Account;

/// The name service did not answer.
#[derive(Debug, thiserror::Error)]
#[error("the name service does not answer: {0}")]
pub struct NameServiceError(#[from] nix::Error);

/// The account called `name`, spelled as the name service spells it, so that an alias of a name leads to
/// the same record. `None` when there is no such account; a name service that fails is an error, because
/// "cannot ask" is not "nobody".
pub fn find(name: &str) -> Result<Option<Account>, NameServiceError> {
    // getpwnam(3) would stop reading at a NUL.
    if name.is_empty() || name.contains('\0') {
        return Ok(None);
    }
    let user = User::from_name(name)?;
    Ok(user.map(|user| Account { name: user.name, uid: user.uid.as_raw() }))
}

/// The groups of an account, looked up when the first one is asked about.
#[derive(Debug)]
pub struct Groups<'a> {
    account: &'a Account,
    gids: Option<Vec<Gid>>,
}

impl<'a> Groups<'a> {
    /// The groups of `account`.
    pub const fn of(account: &'a Account) -> Self {
        Self { account, gids: None }
    }

    /// Whether the account is in the group called `group`. A group that does not exist has no members; a name
    /// service that fails is an error.
    pub fn contains(&mut self, group: &str) -> Result<bool, NameServiceError> {
        let Some(group) = Group::from_name(group)? else { return Ok(false) };
        if self.gids.is_none() {
            let user = User::from_name(&self.account.name)?;
            let name = CString::new(self.account.name.as_str());
            // The account was there a moment ago: one that is gone now cannot be asked about, which is no answer.
            let (Some(user), Ok(name)) = (user, name) else { return Err(nix::Error::ENOENT.into()) };
            self.gids = Some(getgrouplist(&name, user.gid)?);
        }
        Ok(self.gids.as_ref().is_some_and(|gids| gids.contains(&group.gid)))
    }
}

/// The login names of the members of the group called `name`: those it lists, and the accounts of `/etc/passwd` whose
/// primary group it is. `None`: there is no such group.
pub fn members(name: &str) -> Result<Option<Vec<String>>, NameServiceError> {
    let Some(group) = Group::from_name(name)? else { return Ok(None) };
    let mut members = group.mem;
    let primary = Directory::read().local.into_iter().filter(|(_, (_, gid))| *gid == group.gid);
    let mut primary: Vec<_> = primary.map(|(name, _)| name).filter(|name| !members.contains(name)).collect();
    primary.sort();
    members.append(&mut primary);
    Ok(Some(members))
}

/// Whether there is a group called `name`.
pub fn group_exists(name: &str) -> Result<bool, NameServiceError> {
    Ok(Group::from_name(name)?.is_some())
}

/// Membership for many accounts at once, as a listing needs it: each group is looked up once, and an account of
/// `/etc/passwd` not at all. Logins ask the name service about the one account instead ([`Groups`]).
#[derive(Debug, Default)]
pub struct Directory {
    /// Uid and primary group of the accounts of this machine.
    local: HashMap<String, (u32, Gid)>,
    /// Gid and members of the groups that were asked about; `None`: there is no such group.
    groups: HashMap<String, Option<(Gid, HashSet<String>)>>,
}

impl Directory {
    /// The directory of this machine. Without `/etc/passwd` every account is asked about.
    pub fn read() -> Self {
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Self { local: passwd.lines().filter_map(local_account).collect(), groups: HashMap::new() }
    }

    /// Whether `account` is in the group called `group`.
    pub fn is_member(&mut self, account: &Account, group: &str) -> Result<bool, NameServiceError> {
        if !self.groups.contains_key(group) {
            let found = Group::from_name(group)?;
            let found = found.map(|found| (found.gid, found.mem.into_iter().collect()));
            self.groups.insert(group.to_owned(), found);
        }
        let Some(Some((gid, members))) = self.groups.get(group) else { return Ok(false) };
        if members.contains(&account.name) {
            return Ok(true);
        }
        match self.local.get(&account.name) {
            Some((uid, primary)) => Ok(*uid == account.uid && primary == gid),
            None => Groups::of(account).contains(group),
        }
    }
}

/// Name, uid and primary group of a line of `/etc/passwd` (passwd(5)).
fn local_account(line: &str) -> Option<(String, (u32, Gid))> {
    let mut fields = line.split(':');
    let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    Some((name.to_owned(), (uid.parse().ok()?, Gid::from_raw(gid.parse().ok()?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_passwd_has_a_uid_and_a_primary_group() {
        let alice = local_account("alice:x:1001:100:Alice:/home/alice:/bin/sh");
        assert_eq!(alice, Some(("alice".to_owned(), (1001, Gid::from_raw(100)))));
        assert_eq!(local_account("+::::::"), None);
        assert_eq!(local_account(""), None);
    }

    #[test]
    fn the_directory_and_the_name_service_say_the_same_of_root() {
        let root = Account { name: "root".into(), uid: 0 };
        for group in ["root", "daemon", "no-such-group"] {
            let one = Groups::of(&root).contains(group).unwrap();
            assert_eq!(Directory::read().is_member(&root, group).unwrap(), one, "{group}");
        }
    }
}
