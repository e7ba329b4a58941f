//! Changes of the policy and its classes: planned first, with what they would do to people, and then made.

use twofa_core::rulebook::{Change, Rulebook};
use twofa_core::{Class, Group, Timestamp};
use twofa_store::StoreError;

use super::checks::{self, Concern, Remark};
use super::listing::remark_on_unenrolled;
use super::{AdminError, Administration};
use crate::fleet::files::FleetDirectory;
use crate::fleet::policy_copy;
use crate::identity::accounts;

/// A change of the rules that has not been made yet.
#[derive(Debug)]
pub struct PolicyPlan {
    /// What could lock people out, and did not before. If there is any, the administrator must confirm the change.
    pub concerns: Vec<Concern>,
    /// What may surprise, and was not there before.
    pub remarks: Vec<Remark>,
    /// `None`: what is stored is broken, and may be replaced by what is not.
    before: Option<Rulebook>,
    after: Rulebook,
    scope: Scope,
}

/// How much of the rules a change is about.
#[derive(Debug)]
enum Scope {
    /// These settings of the machine's policy. Whatever else somebody changes meanwhile stays.
    Settings(Vec<(String, String)>),
    /// All of them: nobody may have changed anything meanwhile.
    Everything,
}

impl PolicyPlan {
    /// What would change, in the order of settings and classes.
    pub fn changes(&self) -> Vec<Change> {
        let nothing = Rulebook::default();
        let before = self.before.as_ref().unwrap_or(&nothing);
        before.changes_to(&self.after)
    }
}

/// Which version of the fleet's policy is in force, on a server or a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyVersion {
    /// Its number.
    pub version: i64,
    /// On a host: what became of it there.
    pub on_host: Option<OnHost>,
}

/// What is known of the fleet's policy on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnHost {
    /// Since when it is in force.
    pub since: Timestamp,
    /// When a server last confirmed that it is the fleet's; `None`: not known.
    pub confirmed: Option<Timestamp>,
    /// Whether no server has confirmed it for so long that it may be an old one.
    pub is_stale: bool,
}

/// The servers are asked every few seconds. So many seconds without an answer are too many.
const STALE_SECONDS: u64 = 60;

impl Administration {
    /// The version of the fleet's policy in force; `None`: this machine is in no fleet.
    pub fn policy_version(&self) -> Result<Option<PolicyVersion>, AdminError> {
        if FleetDirectory::default().is_server() {
            let version = self.store().policy_version()?;
            let on_host = None;
            return Ok(Some(PolicyVersion { version, on_host }));
        }
        let rules = self.store().rules_in_force()?;
        let copy = self.broker.services().fleet.policy_copy();
        let confirmed = policy_copy::confirmed_at(copy);
        let earliest = self.now().before(STALE_SECONDS);
        Ok(rules.fleet_policy.as_ref().map(|policy| PolicyVersion {
            version: policy.version,
            on_host: Some(OnHost {
                since: policy.since,
                confirmed,
                is_stale: confirmed.is_none_or(|at| at < earliest),
            }),
        }))
    }

    /// The policy and the classes in force.
    pub fn rulebook(&self) -> Result<Rulebook, AdminError> {
        Ok(self.store().rulebook()?)
    }

    /// Plans to change these settings of the machine's policy.
    pub fn plan_settings(&self, settings: &[(String, String)]) -> Result<PolicyPlan, AdminError> {
        let wanted = self.store().preview_policy(pairs(settings))?;
        self.plan(wanted, Scope::Settings(settings.to_vec()))
    }

    /// Plans to put `wanted` in the place of all rules. Its groups get their gids: as the name service has them now, else as
    /// they were known before.
    pub fn plan_rulebook(&self, wanted: Rulebook) -> Result<PolicyPlan, AdminError> {
        let before = self.in_force()?;
        let groups = groups(before.as_ref());
        let wanted = wanted.with_groups(|group| match accounts::group(&group.name) {
            Ok(found) => found.unwrap_or_else(|| group.clone()),
            Err(_) => known_group(&groups, &group.name),
        });
        self.plan(wanted, Scope::Everything)
    }

    /// Makes the change, and says what it changed.
    pub fn make_change(&self, plan: &PolicyPlan) -> Result<Vec<Change>, AdminError> {
        let (origin, now) = (self.origin(), self.now());
        let changes = match &plan.scope {
            Scope::Settings(settings) => {
                self.store().change_policy(pairs(settings), &origin, now)?
            }
            Scope::Everything => {
                let before = plan.before.as_ref();
                self.store()
                    .replace_rulebook(before, &plan.after, &origin, now)?
            }
        };
        Ok(changes)
    }

    /// Plans to put `classes` in the place of those of `before`.
    pub(super) fn plan_classes(
        &self,
        before: Rulebook,
        classes: Vec<Class>,
    ) -> Result<PolicyPlan, AdminError> {
        let wanted = Rulebook::new(before.machine().clone(), classes)?;
        self.plan_from(Some(before), wanted, Scope::Everything)
    }

    fn plan(&self, after: Rulebook, scope: Scope) -> Result<PolicyPlan, AdminError> {
        self.plan_from(self.in_force()?, after, scope)
    }

    fn plan_from(
        &self,
        before: Option<Rulebook>,
        after: Rulebook,
        scope: Scope,
    ) -> Result<PolicyPlan, AdminError> {
        let mut remarks = checks::new_remarks(before.as_ref(), &after);
        let (store, now) = (self.store(), self.now());
        remarks.extend(remark_on_unenrolled(store, before.as_ref(), &after, now)?);
        Ok(PolicyPlan {
            concerns: checks::concerns_about_rules(store, before.as_ref(), &after)?,
            remarks,
            before,
            after,
            scope,
        })
    }

    /// The rulebook in force; `None`: what is stored is broken, or another program has written it.
    fn in_force(&self) -> Result<Option<Rulebook>, AdminError> {
        match self.store().rulebook() {
            Ok(rulebook) => Ok(Some(rulebook)),
            Err(StoreError::BrokenPolicy(_) | StoreError::Altered(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn pairs(settings: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    settings
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
}

fn groups(rulebook: Option<&Rulebook>) -> Vec<Group> {
    let classes = rulebook.into_iter().flat_map(Rulebook::classes);
    classes.map(|class| class.group.clone()).collect()
}

/// The group called `name` as one of `groups`, or without a gid.
pub(super) fn known_group(groups: &[Group], name: &str) -> Group {
    groups
        .iter()
        .find(|group| group.name == name)
        .cloned()
        .unwrap_or_else(|| Group::called(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::document;
    use crate::admin::testing::{Bench, owned};
    use twofa_core::policy::KEYS;

    #[test]
    fn a_plan_says_what_would_change_and_changes_nothing_until_it_is_made() {
        let bench = Bench::new();
        let beforehand = owned(&[("mode", "mandatory"), ("enrolment", "beforehand")]);
        let plan = bench.plan_settings(&beforehand).unwrap();
        assert_eq!(
            plan.concerns,
            [Concern::EnrolledBeforehandOnly {
                class: "everyone".into()
            }]
        );
        assert_eq!(plan.changes().len(), 2);
        assert_eq!(bench.rulebook().unwrap(), Rulebook::default());
        assert_eq!(bench.make_change(&plan).unwrap(), plan.changes());
        // What is so already raises no concern again.
        let next = bench
            .plan_settings(&owned(&[("lockout.after", "5")]))
            .unwrap();
        assert_eq!(next.concerns, []);
    }

    #[test]
    fn a_change_of_settings_survives_a_concurrent_change_and_a_whole_policy_does_not() {
        let bench = Bench::new();
        let whole = document::read("[policy]\nmode = \"optional\"").unwrap();
        let whole = bench.plan_rulebook(whole).unwrap();
        let mode = bench
            .plan_settings(&owned(&[("mode", "optional")]))
            .unwrap();
        bench.policy(&[("lockout.after", "5")]);
        assert!(matches!(
            bench.make_change(&whole),
            Err(AdminError::ChangedMeanwhile(_))
        ));
        bench.make_change(&mode).unwrap();
        let rulebook = bench.rulebook().unwrap();
        let value = |name| {
            let key = KEYS.iter().find(|key| key.name == name).unwrap();
            key.value(rulebook.machine())
        };
        assert_eq!(
            (value("mode").as_str(), value("lockout.after").as_str()),
            ("optional", "5")
        );
    }

    #[test]
    fn a_setting_that_is_wrong_is_not_planned() {
        let bench = Bench::new();
        for wrong in [("mode", "perhaps"), ("moed", "optional")] {
            assert!(matches!(
                bench.plan_settings(&owned(&[wrong])),
                Err(AdminError::BadRulebook(_))
            ));
        }
    }
}
