//! The machine's policy and all classes together: validated, compared and changed as one.

use crate::class::{self, BrokenClass, Class, EVERYONE, Effective, is_class_name};
use crate::exemption::LoginSource;
use crate::group::{Group, Membership};
use crate::host_rules::HostRules;
use crate::policy::{BadSetting, KEYS, Policy};
use crate::user::Summary;

/// The machine's policy and the classes, in the order in which they are tried. One that exists is valid.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rulebook {
    machine: Policy,
    classes: Vec<Class>,
    /// On a joined host, whose fleet's rules the other two are, but for the stricter values in `machine`.
    host: Option<Box<OnHost>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct OnHost {
    /// What it adds.
    rules: HostRules,
    /// The policy of the fleet as it is.
    fleet: Policy,
}

/// Why a policy and classes are not a valid rulebook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRulebook {
    /// A setting of the machine is invalid.
    #[error(transparent)]
    Setting(#[from] BadSetting),
    /// A setting of a class is invalid.
    #[error("class '{class}': {error}")]
    ClassSetting {
        /// The name of the class.
        class: String,
        /// What is wrong with the setting.
        error: BadSetting,
    },
    /// A class has an invalid name.
    #[error(
        "a class cannot be called '{0}': a name has 1 to 32 letters, digits, '-', '_' or '.', and is not 'everyone'"
    )]
    Name(String),
    /// Two classes have the same name.
    #[error("there are two classes called '{0}'")]
    Twice(String),
    /// A class has no group.
    #[error("class '{0}' needs a Unix group")]
    NoGroup(String),
}

/// One difference between two rulebooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What differs: a key, `class NAME`, or `class NAME: KEY`.
    pub what: String,
    /// Its value before; `None`: there was none.
    pub from: Option<String>,
    /// Its value after; `None`: there is none.
    pub to: Option<String>,
}

impl Rulebook {
    /// The rulebook of this policy and these classes, if it is valid.
    pub fn new(machine: Policy, classes: Vec<Class>) -> Result<Self, BadRulebook> {
        check_classes(&classes, |class| class.policy(&machine))?;
        Ok(Self {
            machine,
            classes,
            host: None,
        })
    }

    /// These rules, a fleet's, made stricter by those of a host.
    pub fn on_host(self, rules: HostRules) -> Result<Self, BadRulebook> {
        check_classes(&rules.classes, |class| {
            // A class may not have what is the machine's, as elsewhere.
            class.policy(&Policy::default())?;
            rules.tighten_for_class(class, &self.machine)
        })?;
        Ok(Self {
            machine: rules.tighten(&self.machine)?,
            classes: self.classes,
            host: Some(Box::new(OnHost {
                rules,
                fleet: self.machine,
            })),
        })
    }

    /// The policy that applies to `user`, whose `membership` in a group is known.
    pub fn effective(
        &self,
        user: &Summary,
        mut membership: impl FnMut(&Group) -> Membership,
    ) -> Result<Effective<'_>, BrokenClass> {
        let Some(OnHost { rules, fleet }) = self.host.as_deref() else {
            return class::effective(&self.machine, &self.classes, user, membership);
        };
        let found = class::effective(fleet, &self.classes, user, &mut membership)?;
        let policy = rules
            .tighten_for_user(found.policy, membership)
            .map_err(|(class, error)| BrokenClass { class, error })?;
        Ok(Effective { policy, ..found })
    }

    /// The policy of `class`, one of [`Self::classes`].
    pub fn policy_of(&self, class: &Class) -> Result<Policy, BadSetting> {
        match self.host.as_deref() {
            None => class.policy(&self.machine),
            Some(OnHost { rules, fleet }) => rules.tighten(&class.policy(fleet)?),
        }
    }

    /// The machine's policy, which applies to users in no class.
    pub const fn machine(&self) -> &Policy {
        &self.machine
    }

    /// On a joined host: the policy of its fleet as it is, and what the host adds.
    pub fn fleet_and_host(&self) -> Option<(&Policy, &HostRules)> {
        let OnHost { rules, fleet } = self.host.as_deref()?;
        Some((fleet, rules))
    }

    /// The classes, in the order in which they are tried; on a joined host those of the fleet.
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// This rulebook with `known` applied to the group of each class.
    #[must_use]
    pub fn with_groups(mut self, known: impl Fn(&Group) -> Group) -> Self {
        for class in &mut self.classes {
            class.group = known(&class.group);
        }
        self
    }

    /// Whether neither the machine's policy nor any class asks for a second factor at a login from `source`; one from
    /// anywhere, if it is the default.
    pub fn asks_nobody(&self, source: LoginSource<'_>) -> bool {
        let asks = |(_, policy): (&str, Policy)| {
            policy.mode.asks() && policy.services.include(source.service, source.is_sshd)
        };
        !self.policies().any(asks)
    }

    /// The changes that turn this rulebook into `other`, in the order of the keys and classes.
    pub fn changes_to(&self, other: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        for key in &KEYS {
            let (from, to) = (key.value(&self.machine), key.value(&other.machine));
            push(&mut changes, key.name.to_owned(), Some(from), Some(to));
        }
        for class in &other.classes {
            let before = self.classes.iter().find(|before| before.name == class.name);
            changes_of_class(before, Some(class), &mut changes);
        }
        for class in &self.classes {
            if !other.classes.iter().any(|after| after.name == class.name) {
                changes_of_class(Some(class), None, &mut changes);
            }
        }
        let order = |rulebook: &Self| {
            let kept = rulebook.classes.iter().filter(|class| {
                [self, other]
                    .iter()
                    .all(|book| book.classes.iter().any(|kept| kept.name == class.name))
            });
            kept.map(|class| class.name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        push(
            &mut changes,
            "order of classes".to_owned(),
            Some(order(self)),
            Some(order(other)),
        );
        changes
    }

    /// The policy of each class, those of a joined host after those of its fleet, and of everyone else.
    pub fn policies(&self) -> impl Iterator<Item = (&str, Policy)> {
        // A rulebook that exists is valid.
        let classes = self.classes.iter().filter_map(move |class| {
            let policy = self.policy_of(class).ok()?;
            Some((class.name.as_str(), policy))
        });
        let of_host = self.host.iter().flat_map(|host| {
            let policy = |class| host.rules.tighten_for_class(class, &host.fleet).ok();
            let own = host.rules.classes.iter();
            own.filter_map(move |class| Some((class.name.as_str(), policy(class)?)))
        });
        let everyone = [(EVERYONE, self.machine.clone())];
        classes.chain(of_host).chain(everyone)
    }
}

fn check_classes(
    classes: &[Class],
    policy: impl Fn(&Class) -> Result<Policy, BadSetting>,
) -> Result<(), BadRulebook> {
    for (i, class) in classes.iter().enumerate() {
        if !is_class_name(&class.name) {
            return Err(BadRulebook::Name(class.name.escape_debug().to_string()));
        }
        let is_twice = |earlier: &Class| earlier.name == class.name;
        if classes.iter().take(i).any(is_twice) {
            return Err(BadRulebook::Twice(class.name.clone()));
        }
        let group = &class.group.name;
        if group.trim().is_empty() || group.chars().any(char::is_control) {
            return Err(BadRulebook::NoGroup(class.name.clone()));
        }
        policy(class).map_err(|error| BadRulebook::ClassSetting {
            class: class.name.clone(),
            error,
        })?;
    }
    Ok(())
}

fn changes_of_class(before: Option<&Class>, after: Option<&Class>, changes: &mut Vec<Change>) {
    let Some(name) = after.or(before).map(|class| class.name.clone()) else {
        return;
    };
    let group = |class: Option<&Class>| class.map(|class| format!("group {}", class.group));
    push(
        changes,
        format!("class {name}"),
        group(before),
        group(after),
    );
    // A group that was deleted and made again. That a gid becomes known, or is not known now, changes no rule.
    if let (Some(Some(from)), Some(Some(to))) = (
        before.map(|class| class.group.gid),
        after.map(|class| class.group.gid),
    ) {
        push(
            changes,
            format!("class {name}: gid"),
            Some(from.to_string()),
            Some(to.to_string()),
        );
    }
    for key in &KEYS {
        let value = |class: Option<&Class>| {
            let own = class?.settings.iter().find(|(own, _)| own == key.name);
            own.map(|(_, value)| value.clone())
        };
        push(
            changes,
            format!("class {name}: {}", key.name),
            value(before),
            value(after),
        );
    }
}

fn push(changes: &mut Vec<Change>, what: String, from: Option<String>, to: Option<String>) {
    if from != to {
        changes.push(Change { what, from, to });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, settings: &[(&str, &str)]) -> Class {
        let settings = settings
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect();
        Class {
            name: name.into(),
            group: Group::called(name),
            settings,
        }
    }

    fn book(mode: &str, classes: Vec<Class>) -> Rulebook {
        Rulebook::new(Policy::from_settings([("mode", mode)]).unwrap(), classes).unwrap()
    }

    #[test]
    fn an_invalid_rulebook_is_refused() {
        let rulebook = |classes| Rulebook::new(Policy::default(), classes);
        assert!(matches!(
            rulebook(vec![class("a b", &[])]),
            Err(BadRulebook::Name(_))
        ));
        assert!(matches!(
            rulebook(vec![class("a", &[]), class("a", &[])]),
            Err(BadRulebook::Twice(_))
        ));
        assert!(matches!(
            rulebook(vec![class("a", &[("mode", "no")])]),
            Err(BadRulebook::ClassSetting { .. })
        ));
        assert!(matches!(
            rulebook(vec![class("a", &[("lockout.for", "5m")])]),
            Err(BadRulebook::ClassSetting { .. })
        ));
        assert!(matches!(
            rulebook(vec![Class {
                group: Group::called(" "),
                ..class("a", &[])
            }]),
            Err(BadRulebook::NoGroup(_))
        ));
    }

    #[test]
    fn the_changes_say_what_comes_goes_and_differs() {
        let before = book(
            "optional",
            vec![class("ops", &[("mode", "mandatory")]), class("old", &[])],
        );
        let after = book(
            "mandatory",
            vec![class("new", &[("trust.remote", "1d")]), class("ops", &[])],
        );
        let text: Vec<_> = before
            .changes_to(&after)
            .into_iter()
            .map(|c| (c.what, c.from, c.to))
            .collect();
        let row = |what: &str, from: Option<&str>, to: Option<&str>| {
            (
                what.to_owned(),
                from.map(str::to_owned),
                to.map(str::to_owned),
            )
        };
        assert_eq!(
            text,
            [
                row("mode", Some("optional"), Some("mandatory")),
                row("class new", None, Some("group new")),
                row("class new: trust.remote", None, Some("1d")),
                row("class ops: mode", Some("mandatory"), None),
                row("class old", Some("group old"), None),
            ]
        );
        assert!(before.changes_to(&before).is_empty());
    }

    #[test]
    fn nobody_is_asked_where_neither_the_machine_nor_a_class_asks() {
        let sudo = LoginSource {
            service: Some("sudo"),
            ..LoginSource::default()
        };
        let asks = |mode: &str, own: &[(&str, &str)]| {
            !book(mode, vec![class("ops", own)]).asks_nobody(sudo)
        };
        assert!(!asks("disabled", &[]) && !asks("disabled", &[("mode", "disabled")]));
        assert!(asks("optional", &[]) && asks("optional", &[("mode", "disabled")]));
        assert!(asks("disabled", &[("mode", "optional")]));
        assert!(!asks(
            "disabled",
            &[("mode", "optional"), ("services", "ssh")]
        ));
        assert!(asks("optional", &[("services", "ssh")]));
    }

    #[test]
    fn a_host_makes_the_rules_of_its_fleet_stricter_for_all_its_classes_and_never_weaker() {
        use crate::policy::Mode;
        let fleet = book(
            "optional",
            vec![class("guests", &[("mode", "disabled")]), class("ops", &[])],
        );
        let settings = |pairs: &[(&str, &str)]| class("x", pairs).settings;
        let host = |own: &[(&str, &str)], classes| {
            let rules = HostRules {
                settings: settings(own),
                classes,
            };
            fleet.clone().on_host(rules).unwrap()
        };
        let user = crate::User::default().summary();
        let mode = |book: &Rulebook, groups: &[&str]| {
            let membership = |group: &Group| {
                if groups.contains(&group.name.as_str()) {
                    Membership::Member
                } else {
                    Membership::NotMember
                }
            };
            book.effective(&user, membership).unwrap().policy.mode
        };
        let unchanged = host(&[("mode", "disabled"), ("application-name", "Own")], vec![]);
        assert_eq!(unchanged.machine(), fleet.machine());
        assert_eq!(mode(&unchanged, &["guests"]), Mode::Disabled);
        let stricter = host(&[("mode", "mandatory")], vec![]);
        for groups in [&[][..], &["guests"], &["ops"]] {
            assert_eq!(mode(&stricter, groups), Mode::Mandatory, "{groups:?}");
        }
        let own = vec![class("wheel", &[("mode", "mandatory")])];
        let own = host(&[], own);
        assert_eq!(mode(&own, &[]), Mode::Optional);
        assert_eq!(mode(&own, &["wheel"]), Mode::Mandatory);
        assert_eq!(mode(&own, &["guests", "wheel"]), Mode::Mandatory);
        assert_eq!(mode(&own, &["guests"]), Mode::Disabled);
        let unsettled = |_: &Group| Membership::Unknown;
        let found = own.effective(&user, unsettled).unwrap();
        assert_eq!(found.policy.mode, Mode::Mandatory);
        let names: Vec<_> = own.policies().map(|(name, _)| name).collect();
        assert_eq!(names, ["guests", "ops", "wheel", "everyone"]);
    }

    #[test]
    fn another_gid_is_a_change_and_one_that_becomes_known_is_none() {
        let with = |gid| {
            let group = Group {
                name: "ops".into(),
                gid,
            };
            book(
                "optional",
                vec![Class {
                    group,
                    ..class("ops", &[])
                }],
            )
        };
        assert!(with(None).changes_to(&with(Some(5))).is_empty());
        let changes = with(Some(5)).changes_to(&with(Some(6)));
        assert_eq!(
            (changes.len(), changes[0].what.as_str()),
            (1, "class ops: gid")
        );
    }

    #[test]
    fn another_order_is_a_change() {
        let (a, b) = (class("a", &[]), class("b", &[]));
        let changes =
            book("optional", vec![a.clone(), b.clone()]).changes_to(&book("optional", vec![b, a]));
        assert_eq!(changes[0].to.as_deref(), Some("b, a"));
    }
}
