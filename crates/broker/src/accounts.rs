//! Accounts, as the name service knows them (local files, LDAP, SSSD).

use std::ffi::CString;

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
            self.gids = Some(match (user, name) {
                (Some(user), Ok(name)) => getgrouplist(&name, user.gid)?,
                _ => Vec::new(),
            });
        }
        Ok(self.gids.as_ref().is_some_and(|gids| gids.contains(&group.gid)))
    }
}

/// Whether there is a group called `name`.
pub fn group_exists(name: &str) -> Result<bool, NameServiceError> {
    Ok(Group::from_name(name)?.is_some())
}
