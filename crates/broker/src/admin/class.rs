//! Classes: their order and settings, and which one applies to a user.

use twofa_core::class::EVERYONE;
use twofa_core::exemption::{Exemption, LoginSource};
use twofa_core::forecast::LockedOut;
use twofa_core::policy::KEYS;
use twofa_core::service::Services;
use twofa_core::{Account, Class, Decision, DeviceKind, Duration, Group, Mode, Timestamp};

use super::checks::{self, Remark};
use super::policy::{PolicyPlan, known_group};
use super::{AdminError, Administration};
use crate::fleet::shared;
use crate::identity::accounts;
use crate::identity::person::Person;

/// What a class is to be. One that does not exist yet is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassChange {
    /// The name of the class.
    pub name: String,
    /// The Unix group whose members it applies to; `None`: unchanged, or for a new class the group of that name.
    pub group: Option<String>,
    /// The class before which it is tried; `None`: unchanged, or last for a new class.
    pub before: Option<String>,
    /// Its own settings; an empty value removes one.
    pub settings: Vec<(String, String)>,
}

/// Which rules apply to a user now, and what they would do to a login without a known origin.
#[derive(Debug)]
pub struct ClassTest {
    /// The account, as the name service spells it.
    pub account: Account,
    /// The account on record that has its name or its uid, where they are not the same.
    pub identity_mismatch: Option<Account>,
    /// The name of the class that applies.
    pub class: String,
    /// Whether that class makes a second factor mandatory, optional or disabled.
    pub mode: Mode,
    /// Whether an administrator requires a second factor of the user.
    pub required: bool,
    /// Whether it is the servers of the fleet that decide, since this is one of its hosts and the account is shared. What is here
    /// about the user is then what this host knows.
    pub by_servers: bool,
    /// The time of the test.
    pub at: Timestamp,
    /// What a login of the user would get.
    pub decision: Decision,
    /// Why the user is kept out, if that is so: by the decision, or because it asks for what cannot be shown or enrolled.
    pub kept_out: Option<LockedOut>,
    /// The exemption that led to that decision, if any.
    pub exemption: Option<Exemption>,
    /// Why it is unknown which class applies, so that the strictest does; `None`: it is known.
    pub doubts: Option<String>,
    /// For how long a code makes which kinds of devices trusted; without those that it does not.
    pub trust: Vec<(DeviceKind, Duration)>,
    /// The services at which a code is asked for.
    pub services: Services,
    /// The exemptions that cover some logins only.
    pub narrow_exemptions: Vec<Exemption>,
}

impl Administration {
    /// The classes in the order in which they are tried, with the machine's policy as the last.
    pub fn classes(&self) -> Result<Vec<Class>, AdminError> {
        let rulebook = self.rulebook()?;
        let per_class = KEYS.iter().filter(|key| key.per_class);
        let everyone = Class {
            name: EVERYONE.to_owned(),
            group: Group::called(""),
            settings: per_class
                .map(|key| (key.name.to_owned(), key.value(rulebook.machine())))
                .collect(),
        };
        let mut classes = rulebook.classes().to_vec();
        classes.push(everyone);
        Ok(classes)
    }

    /// Plans to make or change a class. Where the name service does not answer, a remark says so: a directory that is out
    /// of reach keeps nobody from making rules for its groups.
    pub fn plan_class(&self, change: &ClassChange) -> Result<PolicyPlan, AdminError> {
        if change.name == EVERYONE {
            return Err(AdminError::EveryoneIsNoClass);
        }
        let rulebook = self.rulebook()?;
        let known = position(rulebook.classes(), &change.name);
        let before = known.and_then(|at| rulebook.classes().get(at));
        let group = before.map_or_else(|| Group::called(&change.name), |class| class.group.clone());
        let (group, remark) = find_group(&group, change.group.as_deref())?;
        let classes = changed(rulebook.classes(), change, group)?;
        let mut plan = self.plan_classes(rulebook, classes)?;
        plan.remarks.extend(remark);
        Ok(plan)
    }

    /// Plans to remove a class.
    pub fn plan_class_removal(&self, name: &str) -> Result<PolicyPlan, AdminError> {
        let rulebook = self.rulebook()?;
        let mut classes = rulebook.classes().to_vec();
        let at = position(&classes, name).ok_or_else(|| AdminError::NoClass(name.to_owned()))?;
        classes.remove(at);
        self.plan_classes(rulebook, classes)
    }

    /// Finds out which rules hold for the user called `name`, and what they would do.
    pub fn test_class(&self, name: &str) -> Result<ClassTest, AdminError> {
        let account =
            accounts::find(name)?.ok_or_else(|| AdminError::NoAccount(name.to_owned()))?;
        let by_servers = self.is_decided_by_servers(&account)?;
        let person = Person::load(self.store(), &account)?;
        let now = self.now();
        let (decision, exemption) = person.decide(&account, LoginSource::default(), false, now);
        let exemptions = person.exemptions(&account, now).into_iter();
        let carried = checks::carried(&self.store().providers()?);
        Ok(ClassTest {
            narrow_exemptions: exemptions
                .map(|stored| stored.exemption.clone())
                .filter(|exemption| !exemption.is_general())
                .collect(),
            kept_out: person.locked_out(&account, carried, now),
            doubts: person.doubts(),
            trust: person.trusted_kinds(),
            services: person.policy.services.clone(),
            mode: person.policy.mode,
            required: person.snapshot.user.required,
            identity_mismatch: person.snapshot.identity_mismatch,
            class: person.class,
            account,
            by_servers,
            at: now,
            decision,
            exemption,
        })
    }

    /// Whether logins to this account are relayed to the fleet's servers.
    fn is_decided_by_servers(&self, account: &Account) -> Result<bool, AdminError> {
        let rules = self.store().rules_in_force()?;
        let may_be_shared = rules.fleet.is_some() && account.uid != 0;
        Ok(may_be_shared && shared::is_shared(rules.rulebook.machine(), account)?)
    }
}

fn position(classes: &[Class], name: &str) -> Option<usize> {
    classes.iter().position(|class| class.name == name)
}

/// `classes` after `change`, in their order, with `group` for the one it is about.
fn changed(
    classes: &[Class],
    change: &ClassChange,
    group: Group,
) -> Result<Vec<Class>, AdminError> {
    let mut classes = classes.to_vec();
    let at = position(&classes, &change.name);
    let mut class = at.map_or_else(
        || Class {
            name: change.name.clone(),
            group: Group::called(""),
            settings: Vec::new(),
        },
        |at| classes.remove(at),
    );
    class.group = group;
    for (key, value) in &change.settings {
        class.settings.retain(|(kept, _)| kept != key);
        if !value.is_empty() {
            class.settings.push((key.clone(), value.clone()));
        }
    }
    let position = match &change.before {
        Some(before) => {
            position(&classes, before).ok_or_else(|| AdminError::NoClass(before.clone()))?
        }
        None => at.unwrap_or(classes.len()),
    };
    classes.insert(position, class);
    Ok(classes)
}

/// The group called `name`, or else the one that is `known`, with its gid.
fn find_group(known: &Group, name: Option<&str>) -> Result<(Group, Option<Remark>), AdminError> {
    let name = name.unwrap_or(&known.name);
    match accounts::group(name) {
        Ok(Some(group)) => Ok((group, None)),
        Ok(None) => Err(AdminError::NoGroupForClass(name.to_owned())),
        Err(error) => {
            let remark = Remark::GroupUnsettled {
                group: name.to_owned(),
                error: error.to_string(),
            };
            Ok((known_group(std::slice::from_ref(known), name), Some(remark)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::testing::{Bench, owned};

    fn classes(names: &[&str]) -> Vec<Class> {
        let class = |name: &&str| Class {
            name: (*name).into(),
            group: Group::called(*name),
            settings: vec![("mode".into(), "mandatory".into())],
        };
        names.iter().map(class).collect()
    }

    fn change(name: &str, before: Option<&str>, settings: &[(&str, &str)]) -> ClassChange {
        ClassChange {
            name: name.into(),
            group: None,
            before: before.map(str::to_owned),
            settings: settings
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
        }
    }

    fn order(names: &[&str], change: &ClassChange) -> Vec<String> {
        let group = Group::called("some");
        let classes = changed(&classes(names), change, group).unwrap();
        classes.into_iter().map(|class| class.name).collect()
    }

    #[test]
    fn a_new_class_comes_last_and_a_known_one_stays_unless_it_is_moved() {
        let known = ["a", "b", "c"];
        assert_eq!(order(&known, &change("d", None, &[])), ["a", "b", "c", "d"]);
        assert_eq!(order(&known, &change("b", None, &[])), known);
        assert_eq!(
            order(&known, &change("d", Some("b"), &[])),
            ["a", "d", "b", "c"]
        );
        assert_eq!(order(&known, &change("c", Some("a"), &[])), ["c", "a", "b"]);
        let nowhere = change("d", Some("x"), &[]);
        let result = changed(&classes(&known), &nowhere, Group::called("d"));
        assert!(matches!(result, Err(AdminError::NoClass(name)) if name == "x"));
    }

    #[test]
    fn a_setting_is_changed_added_or_taken_away() {
        let settings = |change: &[(&str, &str)]| {
            let change = self::change("a", None, change);
            let classes = changed(&classes(&["a"]), &change, Group::called("a")).unwrap();
            classes[0].settings.clone()
        };
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            settings(&[("mode", "optional"), ("methods", "app")]),
            [pair("mode", "optional"), pair("methods", "app")]
        );
        assert_eq!(settings(&[("mode", "")]), []);
    }

    #[test]
    fn a_class_is_made_listed_before_everyone_and_removed() {
        let bench = Bench::new();
        let root = ClassChange {
            group: Some("root".into()),
            ..change("admins", None, &[("mode", "mandatory")])
        };
        let plan = bench.plan_class(&root).unwrap();
        bench.make_change(&plan).unwrap();
        let classes = bench.classes().unwrap();
        let names: Vec<_> = classes.iter().map(|class| class.name.as_str()).collect();
        assert_eq!(names, ["admins", EVERYONE]);
        assert_eq!(classes[0].settings, owned(&[("mode", "mandatory")]));
        assert_eq!(bench.test_class("root").unwrap().class, "admins");
        let removal = bench.plan_class_removal("admins").unwrap();
        bench.make_change(&removal).unwrap();
        assert!(matches!(
            bench.plan_class_removal("admins"),
            Err(AdminError::NoClass(_))
        ));
    }

    #[test]
    fn a_class_needs_a_group_that_exists_and_everyone_is_none() {
        let bench = Bench::new();
        assert!(matches!(
            bench.plan_class(&change("no such group", None, &[])),
            Err(AdminError::NoGroupForClass(_))
        ));
        assert!(matches!(
            bench.plan_class(&change(EVERYONE, None, &[])),
            Err(AdminError::EveryoneIsNoClass)
        ));
    }
}
