//! Classes: rules for the members of a Unix group.
//!
//! The first class whose group somebody is in holds for them, with its own value for some settings; for the
//! rest, and for everybody else, the machine's policy holds. That policy is shown as the last class,
//! [`EVERYONE`].

use crate::policy::{BadSetting, Policy};

/// The name under which the machine's own policy stands last among the classes.
pub const EVERYONE: &str = "everyone";
const LONGEST_NAME: usize = 32;

/// A rule for the members of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// What administrators call it.
    pub name: String,
    /// The Unix group whose members it holds for.
    pub group: String,
    /// What it has of its own, as settings of [`crate::policy::KEYS`].
    pub settings: Vec<(String, String)>,
}

/// The policy that holds for somebody, and the class it comes from (`None`: [`EVERYONE`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective<'a> {
    /// The machine's policy with the class's own settings.
    pub policy: Policy,
    /// The class.
    pub class: Option<&'a Class>,
}

impl Effective<'_> {
    /// The name of the class.
    pub fn class_name(&self) -> &str {
        self.class.map_or(EVERYONE, |class| &class.name)
    }
}

/// Why no policy could be found for somebody. Either way nobody gets in.
#[derive(Debug, thiserror::Error)]
pub enum ClassError<E> {
    /// Whether somebody is in a group could not be found out.
    #[error(transparent)]
    Membership(E),
    /// A class's settings do not read.
    #[error("class '{class}' is broken: {error}")]
    Broken {
        /// The class.
        class: String,
        /// What is wrong.
        error: BadSetting,
    },
}

/// The policy that holds for somebody whose membership in a group `is_member` tells. Classes behind the first
/// that fits are not looked at.
pub fn effective<'a, E>(
    machine: &Policy,
    classes: &'a [Class],
    mut is_member: impl FnMut(&str) -> Result<bool, E>,
) -> Result<Effective<'a>, ClassError<E>> {
    for class in classes {
        if is_member(&class.group).map_err(ClassError::Membership)? {
            let policy = class.policy(machine);
            let policy = policy.map_err(|error| ClassError::Broken { class: class.name.clone(), error })?;
            return Ok(Effective { policy, class: Some(class) });
        }
    }
    Ok(Effective { policy: machine.clone(), class: None })
}

impl Class {
    /// The machine's policy with this class's own settings.
    pub fn policy(&self, machine: &Policy) -> Result<Policy, BadSetting> {
        machine.overridden(self.settings.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }
}

/// Whether a class can be called `name`.
pub fn is_class_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(fits) && name != EVERYONE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Mode;
    use std::convert::Infallible;

    fn class(name: &str, group: &str, mode: &str) -> Class {
        Class { name: name.into(), group: group.into(), settings: vec![("mode".into(), mode.into())] }
    }

    fn mode_of(groups: &[&str]) -> (Mode, String) {
        let classes = [class("services", "svc", "disabled"), class("admins", "sudo", "mandatory")];
        let found =
            effective(&Policy::default(), &classes, |group| Ok::<_, Infallible>(groups.contains(&group)));
        let found = found.unwrap();
        (found.policy.mode, found.class_name().to_owned())
    }

    #[test]
    fn the_first_class_that_fits_holds_and_everyone_is_last() {
        assert_eq!(mode_of(&["sudo"]), (Mode::Mandatory, "admins".into()));
        assert_eq!(mode_of(&["sudo", "svc"]), (Mode::Disabled, "services".into()));
        assert_eq!(mode_of(&["users"]), (Mode::Disabled, "everyone".into()));
    }

    #[test]
    fn a_name_service_that_fails_is_no_membership_and_no_lack_of_it() {
        let classes = [class("admins", "sudo", "mandatory")];
        let found = effective(&Policy::default(), &classes, |_| Err("no answer"));
        assert!(matches!(found, Err(ClassError::Membership("no answer"))));
    }

    #[test]
    fn a_broken_class_is_an_error_for_whom_it_holds() {
        let classes = [class("admins", "sudo", "sometimes")];
        let found = effective(&Policy::default(), &classes, |_| Ok::<_, Infallible>(true));
        assert!(matches!(found, Err(ClassError::Broken { .. })));
    }

    #[test]
    fn a_class_name_is_a_plain_word() {
        assert!(is_class_name("admins") && is_class_name("site-b.2"));
        for name in ["", "everyone", "a b", "ä", "x\n", &"x".repeat(33)] {
            assert!(!is_class_name(name), "{name:?}");
        }
    }
}
