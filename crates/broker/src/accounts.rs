//! Accounts, as the name service knows them (local files, LDAP, SSSD).

use nix::unistd::User;
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
