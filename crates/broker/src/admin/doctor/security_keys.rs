//! Whether security keys count if the policy allows them. sshd's files are read with the broker's rights, as at a login.

use twofa_core::Method;

use super::finding::{Finding, HostFinding};
use crate::admin::{AdminError, Administration};
use crate::identity::sshd_options::KeyDemand;

/// A finding if the policy or a class allows security keys, but sshd is not known to demand a touch of them.
pub(super) fn finding(admin: &Administration) -> Result<Option<Finding>, AdminError> {
    if KeyDemand::of_this_machine() > KeyDemand::Nothing {
        return Ok(None);
    }
    let rulebook = admin.store().rulebook()?;
    let is_allowed = rulebook
        .policies()
        .any(|(_, policy)| policy.methods.contains(Method::SecurityKey));
    Ok(is_allowed.then_some(Finding::Host(HostFinding::SecurityKeysDoNotCount)))
}
