//! The machine's policy and all classes together: validated, compared and changed as one.

use crate::class::{Class, is_class_name};
use crate::exemption::LoginSource;
use crate::group::Group;
use crate::policy::{BadSetting, KEYS, Policy};

/// The machine's policy and the classes, in the order in which they are tried. One that exists is valid.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rulebook {
    machine: Policy,
    classes: Vec<Class>,
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
        for (i, class) in classes.iter().enumerate() {
            if !is_class_name(&class.name) {
                return Err(BadRulebook::Name(class.name.escape_debug().to_string()));
            }
            if classes
                .iter()
                .take(i)
                .any(|earlier| earlier.name == class.name)
            {
                return Err(BadRulebook::Twice(class.name.clone()));
            }
            if class.group.name.trim().is_empty() || class.group.name.chars().any(char::is_control)
            {
                return Err(BadRulebook::NoGroup(class.name.clone()));
            }
            class
                .policy(&machine)
                .map_err(|error| BadRulebook::ClassSetting {
                    class: class.name.clone(),
                    error,
                })?;
        }
        Ok(Self { machine, classes })
    }

    /// The machine's policy, which applies to users in no class.
    pub const fn machine(&self) -> &Policy {
        &self.machine
    }

    /// The classes, in the order in which they are tried.
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
        let asks = |policy: &Policy| {
            policy.mode.asks() && policy.services.include(source.service, source.is_sshd)
        };
        let class_asks = |class: &Class| class.policy(&self.machine).map_or(true, |own| asks(&own));
        !asks(&self.machine) && !self.classes.iter().any(class_asks)
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

    /// The policy of each class, and of everyone else.
    pub fn policies(&self) -> impl Iterator<Item = (&str, Policy)> {
        let own = |class: &'_ Class| class.policy(&self.machine).ok();
        let classes = self
            .classes
            .iter()
            .filter_map(move |class| Some((class.name.as_str(), own(class)?)));
        classes.chain([(crate::class::EVERYONE, self.machine.clone())])
    }
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
