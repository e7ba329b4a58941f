//! What a joined host adds to the rules of its fleet. It makes them stricter, never weaker.

use crate::class::Class;
use crate::group::{Group, Membership};
use crate::policy::{BadSetting, Policy};

/// A host's own settings and classes. What is not set is as the fleet has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostRules {
    /// Values for some [`crate::policy::KEYS`], by name.
    pub settings: Vec<(String, String)>,
    /// Classes, in the order in which they are tried.
    pub classes: Vec<Class>,
}

impl HostRules {
    /// The fleet's `policy` made stricter for a user in none of the host's classes.
    pub fn tighten(&self, policy: &Policy) -> Result<Policy, BadSetting> {
        policy.tightened(pairs(&self.settings))
    }

    /// The fleet's `policy` made stricter for the members of the host's class `class`, whose values stand in the place of the
    /// host's other ones.
    pub fn tighten_for_class(&self, class: &Class, policy: &Policy) -> Result<Policy, BadSetting> {
        let is_overridden = |name: &str| class.settings.iter().any(|(own, _)| own == name);
        let kept = pairs(&self.settings).filter(|(name, _)| !is_overridden(name));
        policy.tightened(kept.chain(pairs(&class.settings)))
    }

    /// The fleet's `policy` made stricter by all that could apply to the user whose `membership` in a group is known.
    pub(crate) fn tighten_for_user(
        &self,
        mut policy: Policy,
        mut membership: impl FnMut(&Group) -> Membership,
    ) -> Result<Policy, (String, BadSetting)> {
        for class in &self.classes {
            let membership = membership(&class.group);
            if membership == Membership::NotMember {
                continue;
            }
            policy = self
                .tighten_for_class(class, &policy)
                .map_err(|error| (class.name.clone(), error))?;
            if membership == Membership::Member {
                return Ok(policy);
            }
        }
        let tightened = self.tighten(&policy);
        tightened.map_err(|error| (crate::class::EVERYONE.to_owned(), error))
    }
}

fn pairs(settings: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
}
