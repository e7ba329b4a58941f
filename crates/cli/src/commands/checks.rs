//! Whether there is anybody to carry the codes that a policy, or people, rely on.

use twofa_core::Mode;
use twofa_core::class::EVERYONE;
use twofa_core::rulebook::Rulebook;
use twofa_store::{AddressKind, Providers, Store, StoreError};

use crate::error::CommandError;

/// The methods whose codes some provider carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coverage {
    pub(crate) email: bool,
    pub(crate) sms: bool,
}

/// How many people get their codes by each method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Enrolled {
    pub(crate) email: u64,
    pub(crate) sms: u64,
}

impl Coverage {
    /// What the providers in the store carry, so far as their settings open.
    pub(crate) fn of(providers: &Providers) -> Self {
        let some = |which| {
            providers
                .order(which)
                .iter()
                .any(|name: &String| providers.find(name).is_some())
        };
        Self {
            email: some(AddressKind::Email),
            sms: some(AddressKind::Phone),
        }
    }

    /// Whether codes reach addresses of this kind.
    pub(crate) const fn has(self, which: AddressKind) -> bool {
        match which {
            AddressKind::Email => self.email,
            AddressKind::Phone => self.sms,
        }
    }

    /// The classes of `rulebook` that allow nothing but codes that nobody carries.
    pub(crate) fn warnings(self, rulebook: &Rulebook) -> Vec<String> {
        let classes = rulebook.classes().iter();
        let classes = classes.filter_map(|class| {
            Some((class.name.as_str(), class.policy(rulebook.machine()).ok()?))
        });
        let mut warnings = Vec::new();
        for (name, policy) in classes.chain([(EVERYONE, rulebook.machine().clone())]) {
            let methods = policy.methods;
            let possible = methods.app || methods.email && self.email || methods.sms && self.sms;
            if possible || policy.mode == Mode::Disabled {
                continue;
            }
            let (what, consequence) = (
                match (methods.email, methods.sms) {
                    (true, true) => "codes by e-mail or SMS",
                    (true, false) => "codes by e-mail",
                    _ => "codes by SMS",
                },
                match policy.mode {
                    Mode::Mandatory => "whoever of it has no backup code cannot log in",
                    _ => {
                        "nobody of it can enrol, and whoever has cannot log in without a backup code"
                    }
                },
            );
            warnings.push(format!(
                "class '{name}' allows only {what}, and no provider carries them: {consequence} \
                 (see 'twofa provider add')"
            ));
        }
        warnings
    }

    /// What people would lose if this were all that is left of `before`.
    pub(crate) fn losses(self, before: Self, enrolled: Enrolled) -> Vec<String> {
        let all = [
            (AddressKind::Email, enrolled.email),
            (AddressKind::Phone, enrolled.sms),
        ];
        all.into_iter()
            .filter(|(which, count)| *count > 0 && before.has(*which) && !self.has(*which))
            .map(|(which, count)| {
                format!("{}, and no provider would carry them", people(which, count))
            })
            .collect()
    }
}

impl Enrolled {
    /// Counts them.
    pub(crate) fn count(store: &Store) -> Result<Self, StoreError> {
        let mut enrolled = Self::default();
        store.users(|user| {
            enrolled.email += u64::from(user.summary.enrolled.email);
            enrolled.sms += u64::from(user.summary.enrolled.sms);
            true
        })?;
        Ok(enrolled)
    }
}

/// `3 users get their codes by e-mail`.
pub(crate) fn people(which: AddressKind, count: u64) -> String {
    let way = twofa_broker::words::way(which);
    match count {
        1 => format!("one user gets codes by {way}"),
        n => format!("{n} users get their codes by {way}"),
    }
}

/// What to think about before the providers become what `after` says.
pub(crate) fn concerns(
    store: &Store,
    before: &Providers,
    after: &Providers,
) -> Result<Vec<String>, CommandError> {
    let (before, after) = (Coverage::of(before), Coverage::of(after));
    if before == after {
        return Ok(Vec::new());
    }
    let rulebook = store.rulebook()?;
    let known = before.warnings(&rulebook);
    let mut concerns = after.warnings(&rulebook);
    concerns.retain(|concern| !known.contains(concern));
    concerns.extend(after.losses(before, Enrolled::count(store)?));
    Ok(concerns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use twofa_core::Class;
    use twofa_core::policy::Policy;

    const NOTHING: Coverage = Coverage {
        email: false,
        sms: false,
    };

    fn book(settings: &[(&str, &str)]) -> Rulebook {
        Rulebook::new(
            Policy::from_settings(settings.iter().copied()).unwrap(),
            Vec::new(),
        )
        .unwrap()
    }

    #[test]
    fn a_policy_whose_only_methods_nobody_carries_is_warned_of() {
        let by_mail = book(&[("mode", "mandatory"), ("methods", "email,backup")]);
        let warning = &NOTHING.warnings(&by_mail)[0];
        assert!(
            warning.contains("class 'everyone' allows only codes by e-mail, and no provider"),
            "{warning}"
        );
        assert!(
            Coverage {
                sms: true,
                ..NOTHING
            }
            .warnings(&by_mail)
            .len()
                == 1
        );
        assert!(
            Coverage {
                email: true,
                ..NOTHING
            }
            .warnings(&by_mail)
            .is_empty()
        );
    }

    #[test]
    fn a_policy_that_asks_nobody_or_has_another_way_is_not_warned_of() {
        for settings in [
            [("mode", "disabled"), ("methods", "email")],
            [("mode", "mandatory"), ("methods", "app,email")],
        ] {
            assert!(
                NOTHING.warnings(&book(&settings)).is_empty(),
                "{settings:?}"
            );
        }
        let either = book(&[("mode", "optional"), ("methods", "email,sms")]);
        assert!(
            Coverage {
                sms: true,
                ..NOTHING
            }
            .warnings(&either)
            .is_empty()
        );
        assert_eq!(NOTHING.warnings(&either).len(), 1);
    }

    #[test]
    fn a_class_of_its_own_methods_is_warned_of_by_its_name() {
        let class = Class {
            name: "ops".into(),
            group: twofa_core::Group::called("ops"),
            settings: vec![
                ("methods".into(), "sms".into()),
                ("mode".into(), "mandatory".into()),
            ],
        };
        let warnings = NOTHING.warnings(&Rulebook::new(Policy::default(), vec![class]).unwrap());
        assert!(
            warnings.len() == 1 && warnings[0].starts_with("class 'ops' allows only codes by SMS")
        );
    }

    #[test]
    fn only_a_loss_that_somebody_feels_is_told() {
        let all = Coverage {
            email: true,
            sms: true,
        };
        let enrolled = Enrolled { email: 3, sms: 0 };
        let losses = NOTHING.losses(all, enrolled);
        assert_eq!(
            losses,
            ["3 users get their codes by e-mail, and no provider would carry them"]
        );
        assert!(
            NOTHING.losses(NOTHING, enrolled).is_empty() && all.losses(all, enrolled).is_empty()
        );
    }
}
