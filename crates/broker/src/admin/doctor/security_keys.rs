//! Whether security keys count that the policy allows. It looks with the broker's rights, as a login does.

use twofa_core::Method;

use super::finding::{Finding, HostFinding};
use crate::admin::{AdminError, Administration};
use crate::identity::sshd_options::KeyDemand;

/// That the policy or a class allows security keys, and sshd is not seen to demand a touch of them.
pub(super) fn finding(admin: &Administration) -> Result<Option<Finding>, AdminError> {
    if KeyDemand::of_this_machine() > KeyDemand::Nothing {
        return Ok(None);
    }
    let rulebook = admin.store().rulebook()?;
    let machine = rulebook.machine();
    let by_class = rulebook
        .classes()
        .iter()
        .filter_map(|class| class.policy(machine).ok())
        .any(|policy| policy.methods.contains(Method::SecurityKey));
    let is_allowed = machine.methods.contains(Method::SecurityKey) || by_class;
    Ok(is_allowed.then_some(Finding::Host(HostFinding::SecurityKeysDoNotCount)))
}
