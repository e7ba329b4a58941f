//! Classes: rules for the members of a Unix group.
//!
//! The first class whose group a user is a member of applies to that user, with its own value for some settings. For the
//! other settings, and for users in no class, the machine's policy applies; it is shown as the last class, [`EVERYONE`].
//!
//! When the name service cannot say whether a user is a member of a group, more than one of these could apply. Then the
//! strictest does ([`effective`]): a directory that is down, or that somebody made unreachable, must not let anyone in
//! without a code, and users who can show a code are asked for one rather than refused.

use std::cmp::Reverse;

use crate::group::{Group, Membership};
use crate::method::Methods;
use crate::policy::{BadSetting, Enrolment, Policy};
use crate::service::Services;
use crate::time::Timestamp;
use crate::user::{Status, Summary};

/// The name under which the machine's own policy is listed, last among the classes.
pub const EVERYONE: &str = "everyone";
const MAX_NAME_LENGTH: usize = 32;

/// Settings for the members of a Unix group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// The name that administrators gave it.
    pub name: String,
    /// The group whose members it applies to.
    pub group: Group,
    /// Its own values for some [`crate::policy::KEYS`], by name.
    pub settings: Vec<(String, String)>,
}

/// The policy that applies to a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective<'a> {
    /// The machine's policy with the class's own settings.
    pub policy: Policy,
    /// The class that it comes from; `None`: [`EVERYONE`].
    pub class: Option<&'a Class>,
}

impl Effective<'_> {
    /// The name of the class.
    pub fn class_name(&self) -> &str {
        self.class.map_or(EVERYONE, |class| &class.name)
    }
}

/// A setting of a class is invalid, so that no policy can be found for those whom the class could apply to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("class '{class}' is broken: {error}")]
pub struct BrokenClass {
    /// The name of the class.
    pub class: String,
    /// What is wrong with it.
    pub error: BadSetting,
}

/// The policy that applies to `user`: the strictest of the [`candidates`]. `membership` says whether the user is a member
/// of a group.
pub fn effective<'a>(
    machine: &Policy,
    classes: &'a [Class],
    user: &Summary,
    membership: impl FnMut(&Group) -> Membership,
) -> Result<Effective<'a>, BrokenClass> {
    let first = Effective {
        policy: machine.clone(),
        class: None,
    };
    Ok(strictest(candidates(machine, classes, membership)?, user).unwrap_or(first))
}

/// Every policy that could apply to the user whose `membership` in a group is known, in the order of the classes; at least
/// one. Classes after the first that certainly applies are not looked at.
///
/// A class whose group certainly does not exist is skipped, like any class that the user is certainly not in: the former
/// members lost what the group gave them, and if the class could apply to everybody instead, deleting a group would lock
/// out people who were never in it. `twofa doctor` reports such a class.
pub fn candidates<'a>(
    machine: &Policy,
    classes: &'a [Class],
    mut membership: impl FnMut(&Group) -> Membership,
) -> Result<Vec<Effective<'a>>, BrokenClass> {
    let mut candidates = Vec::new();
    for class in classes {
        let membership = membership(&class.group);
        if membership == Membership::NotMember {
            continue;
        }
        let policy = class.policy(machine).map_err(|error| BrokenClass {
            class: class.name.clone(),
            error,
        })?;
        candidates.push(Effective {
            policy,
            class: Some(class),
        });
        if membership == Membership::Member {
            return Ok(candidates);
        }
    }
    candidates.push(Effective {
        policy: machine.clone(),
        class: None,
    });
    Ok(candidates)
}

/// The strictest of `candidates` for `user`. Equally strict ones apply together: a method must be allowed by all of them,
/// and trust ends when it ends by any of them. No device is trusted if one of the milder candidates would lead through
/// enrolment or refuse. A service at which any of them asks is asked at.
fn strictest<'a>(mut candidates: Vec<Effective<'a>>, user: &Summary) -> Option<Effective<'a>> {
    let ranks: Vec<_> = candidates
        .iter()
        .map(|candidate| strictness(&candidate.policy, user))
        .collect();
    let most = ranks.iter().copied().max()?;
    let trusts_devices = ranks
        .iter()
        .all(|rank| *rank == most || *rank == ASKS_NOTHING);
    let services = asking_services(&candidates);
    candidates.retain(|candidate| strictness(&candidate.policy, user) == most);
    // Stable: the first class of a mode stays first. The mode counts among policies that ask nothing, too: one that is not
    // disabled refuses an account that does not match its record.
    candidates.sort_by_key(|candidate| Reverse(candidate.policy.mode));
    let mut candidates = candidates.into_iter();
    let first = candidates.next()?;
    let mut policy = candidates.fold(first.policy, |policy, other| {
        combine(policy, &other.policy, user)
    });
    if let Some(services) = services {
        policy.services = services;
    }
    if !trusts_devices {
        policy.trust = Policy::default().trust;
    }
    Some(Effective { policy, ..first })
}

/// The services at which any of `candidates` asks somebody; `None`: all of them are disabled.
fn asking_services(candidates: &[Effective<'_>]) -> Option<Services> {
    let policies = candidates.iter().map(|candidate| &candidate.policy);
    let asking = policies.filter(|policy| policy.mode.asks());
    asking
        .map(|policy| policy.services.clone())
        .reduce(|services, others| services.union(&others))
}

/// The lowest [`strictness`].
const ASKS_NOTHING: u8 = 0;

/// How strict `policy` is with `user`. Exemptions, locks and devices are left out: their effect is the same under any
/// policy that asks.
///
/// Asking for a code is stricter than leading through enrolment, for which a password is enough. It is also preferred to
/// refusing users without a method, because a user who has a method under one of the policies can show a code.
fn strictness(policy: &Policy, user: &Summary) -> u8 {
    // By then, every lock that ends has ended.
    let end_of_time = Timestamp::from_unix(i64::MAX);
    match user.status(policy, None, end_of_time) {
        Status::Off | Status::Reported | Status::Exempt(_) => ASKS_NOTHING,
        Status::Pending => match policy.enrolment {
            Enrolment::AtLogin => 1,
            Enrolment::Beforehand => 2,
        },
        Status::NotAllowed => 3,
        Status::Enabled => 4,
        Status::Locked(_) | Status::IdentityMismatch => 5,
    }
}

/// `policy` and `other`, which are equally strict with `user`, applied together.
fn combine(policy: Policy, other: &Policy, user: &Summary) -> Policy {
    let (a, b) = (policy.methods, other.methods);
    let common = a.intersection(b);
    // A method to show, or to enrol, must be left.
    let is_enough = if user.enrolled.intersects(a) {
        user.enrolled.intersects(common)
    } else {
        common.intersects(Methods::standing_alone())
    };
    Policy {
        methods: if is_enough { common } else { a },
        trust: policy.trust.stricter(&other.trust),
        session_lifetime: policy
            .session_lifetime
            .shorter_lifetime(other.session_lifetime),
        fallback_to_email: Some(
            policy.sms_falls_back_to_email() && other.sms_falls_back_to_email(),
        ),
        ..policy
    }
}

impl Class {
    /// The machine's policy with this class's own settings.
    pub fn policy(&self, machine: &Policy) -> Result<Policy, BadSetting> {
        machine.overridden(
            self.settings
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str())),
        )
    }
}

/// Whether `name` is valid for a class.
pub fn is_class_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= MAX_NAME_LENGTH && name.chars().all(fits) && name != EVERYONE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::Method;
    use crate::policy::Mode;
    use crate::user::User;

    fn class(name: &str, group: &str, mode: &str) -> Class {
        Class {
            name: name.into(),
            group: Group::called(group),
            settings: vec![("mode".into(), mode.into())],
        }
    }

    fn summary(enrolled: Methods) -> Summary {
        Summary {
            enrolled,
            ..User::default().summary()
        }
    }

    fn mode_of(groups: &[&str], unknown: &[&str]) -> (Mode, String) {
        let classes = [
            class("services", "svc", "disabled"),
            class("admins", "sudo", "mandatory"),
        ];
        let membership = |group: &Group| {
            if unknown.contains(&group.name.as_str()) {
                Membership::Unknown
            } else if groups.contains(&group.name.as_str()) {
                Membership::Member
            } else {
                Membership::NotMember
            }
        };
        let user = summary(Methods::NONE);
        let found = effective(&Policy::default(), &classes, &user, membership).unwrap();
        (found.policy.mode, found.class_name().to_owned())
    }

    #[test]
    fn the_first_class_that_matches_applies_and_everyone_is_last() {
        assert_eq!(mode_of(&["sudo"], &[]), (Mode::Mandatory, "admins".into()));
        assert_eq!(
            mode_of(&["sudo", "svc"], &[]),
            (Mode::Disabled, "services".into())
        );
        assert_eq!(
            mode_of(&["users"], &[]),
            (Mode::Disabled, "everyone".into())
        );
    }

    #[test]
    fn where_a_membership_is_unknown_the_strictest_class_that_could_apply_does() {
        let admins = (Mode::Mandatory, "admins".to_owned());
        assert_eq!(mode_of(&[], &["sudo"]), admins, "could be an administrator");
        assert_eq!(
            mode_of(&["sudo"], &["svc"]),
            admins,
            "could be a service, and need not be"
        );
        assert_eq!(mode_of(&[], &["svc", "sudo"]), admins);
        assert_eq!(
            mode_of(&["svc"], &["sudo"]).0,
            Mode::Disabled,
            "a class behind one that is certain"
        );
        assert_eq!(
            mode_of(&[], &["svc"]).0,
            Mode::Disabled,
            "nothing that could apply asks"
        );
    }

    #[test]
    fn a_user_who_can_show_a_code_is_asked_for_one_and_not_refused_or_led_through_enrolment() {
        let enrolled = Methods::NONE.with(Method::Email);
        let machine = Policy::from_settings([("mode", "mandatory")]).unwrap();
        for enrolment in ["at-login", "beforehand"] {
            let mut only_apps = class("apps", "apps", "mandatory");
            only_apps.settings.push(("methods".into(), "app".into()));
            only_apps
                .settings
                .push(("enrolment".into(), enrolment.into()));
            let classes = [only_apps];
            let found = effective(&machine, &classes, &summary(enrolled), |_| {
                Membership::Unknown
            })
            .unwrap();
            assert_eq!(found.class, None, "{enrolment}");
        }
    }

    #[test]
    fn equally_strict_policies_apply_together() {
        let enrolled = Methods::from_iter([Method::App, Method::Email]);
        let mut few = class("few", "few", "mandatory");
        few.settings.push(("methods".into(), "app,sms".into()));
        few.settings.push(("trust.remote".into(), "1d".into()));
        let machine =
            Policy::from_settings([("mode", "mandatory"), ("trust.remote", "2d")]).unwrap();
        let classes = [few];
        let held = |user: &Summary| {
            let found = effective(&machine, &classes, user, |_| Membership::Unknown)
                .unwrap()
                .policy;
            (found.methods.to_string(), found.trust.remote.to_string())
        };
        assert_eq!(
            held(&summary(enrolled)),
            ("app,sms".to_owned(), "1d".to_owned())
        );
    }

    #[test]
    fn a_broken_class_is_an_error_for_those_whom_it_could_apply_to() {
        let classes = [class("admins", "sudo", "sometimes")];
        let found = |membership| {
            effective(
                &Policy::default(),
                &classes,
                &summary(Methods::NONE),
                |_| membership,
            )
        };
        assert!(found(Membership::Member).is_err());
        assert!(found(Membership::Unknown).is_err());
        assert!(found(Membership::NotMember).is_ok());
    }

    #[test]
    fn a_class_name_is_a_plain_word() {
        assert!(is_class_name("admins") && is_class_name("site-b.2"));
        for name in ["", "everyone", "a b", "ä", "x\n", &"x".repeat(33)] {
            assert!(!is_class_name(name), "{name:?}");
        }
    }
}
