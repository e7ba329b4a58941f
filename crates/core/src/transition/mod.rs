//! What a change of policy, classes or providers means for enrolled users: who would be left without a working method.

use crate::group::{Group, Membership};
use crate::lockout::Throttle;
use crate::method::{Method, Methods};
use crate::policy::{Enrolment, Policy};
use crate::rulebook::Rulebook;
use crate::time::Timestamp;
use crate::user::{Status, Summary};

/// What happens at the logins of a user who is asked for a code and has enrolled, but has no working method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consequence {
    /// They show a code of a method that is no longer allowed, and enrol another.
    Replace,
    /// They have an allowed method, but no provider delivers its codes. Without a backup code they are refused.
    Undeliverable,
    /// They are refused: the policy has users enrol before the login, or there is no method to show or to enrol.
    Refused,
}

/// How a change leaves a user without a working method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// What happens at their logins.
    pub consequence: Consequence,
    /// Whether it is known which class applies to them. If not, this could happen, and is the worst that could.
    pub is_certain: bool,
}

/// Policy, classes and providers, before or after a change.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The policy and the classes.
    pub rulebook: &'a Rulebook,
    /// The methods whose codes reach people: those that need no provider, and those that have one.
    pub carried: Methods,
}

/// A change of policy, classes or providers.
#[derive(Debug)]
pub struct Transition<'a> {
    /// The groups of all classes, before or after, each once.
    groups: Vec<&'a Group>,
    before: Vec<Rule>,
    after: Vec<Rule>,
}

/// A class, or the machine's policy for everyone else.
#[derive(Debug)]
struct Rule {
    /// Index of its group in [`Transition::groups`]; `None`: everyone.
    group: Option<usize>,
    policy: Policy,
    carried: Methods,
}

impl<'a> Transition<'a> {
    /// The change from `before` to `after`.
    pub fn new(before: Side<'a>, after: Side<'a>) -> Self {
        let mut groups = Vec::new();
        let [before, after] = [before, after].map(|side| rules(side, &mut groups));
        Self {
            groups,
            before,
            after,
        }
    }

    /// Whether `user` could lose the last working method if all their memberships were unknown.
    pub fn could_concern(&self, user: &Summary) -> bool {
        self.loss(user, |_| Membership::Unknown).is_some()
    }

    /// How the change leaves `user` without a working method; `None`: a method still works, or none did before. `membership`
    /// says whether the user is a member of a group, and is asked about each group at most once. Where it is unknown, the
    /// result is the worst that could happen.
    pub fn loss(
        &self,
        user: &Summary,
        mut membership: impl FnMut(&Group) -> Membership,
    ) -> Option<Loss> {
        let mut known: Vec<Option<Membership>> = vec![None; self.groups.len()];
        let mut is_in = |at: usize| {
            let (Some(group), Some(slot)) = (self.groups.get(at), known.get_mut(at)) else {
                return Membership::Unknown;
            };
            *slot.get_or_insert_with(|| membership(group))
        };
        let consequences = |rules: &[Rule]| -> Vec<_> {
            rules.iter().map(|rule| rule.consequence(user)).collect()
        };
        let (before, after) = (consequences(&self.before), consequences(&self.after));
        let mut worst: Option<Loss> = None;
        for (to, consequence) in after.iter().enumerate() {
            let Some(consequence) = *consequence else {
                continue;
            };
            if worst.is_some_and(|worst| worst.consequence >= consequence) {
                continue;
            }
            for (from, earlier) in before.iter().enumerate() {
                if severity(*earlier) >= severity(Some(consequence)) {
                    continue;
                }
                let likelihood = self.likelihood(from, to, &mut is_in);
                if likelihood != Membership::NotMember {
                    worst = Some(Loss {
                        consequence,
                        is_certain: likelihood == Membership::Member,
                    });
                    break;
                }
            }
        }
        worst
    }

    /// Whether the rule at `from` applies before the change and the one at `to` after it: the user is a member of the groups
    /// of both, and of no group of an earlier class.
    fn likelihood(
        &self,
        from: usize,
        to: usize,
        is_in: &mut impl FnMut(usize) -> Membership,
    ) -> Membership {
        let group = |rules: &[Rule], at: usize| rules.get(at).and_then(|rule| rule.group);
        let ins: Vec<usize> = [group(&self.before, from), group(&self.after, to)]
            .into_iter()
            .flatten()
            .collect();
        let earlier = self
            .before
            .iter()
            .take(from)
            .chain(self.after.iter().take(to));
        let outs: Vec<usize> = earlier.filter_map(|rule| rule.group).collect();
        if ins.iter().any(|group| outs.contains(group)) {
            return Membership::NotMember;
        }
        let ins = ins.into_iter().map(|group| (group, Membership::Member));
        let outs = outs.into_iter().map(|group| (group, Membership::NotMember));
        let mut likelihood = Membership::Member;
        for (group, wanted) in ins.chain(outs) {
            match is_in(group) {
                Membership::Unknown => likelihood = Membership::Unknown,
                found if found != wanted => return Membership::NotMember,
                _ => {}
            }
        }
        likelihood
    }
}

fn rules<'a>(side: Side<'a>, groups: &mut Vec<&'a Group>) -> Vec<Rule> {
    let Side { rulebook, carried } = side;
    let mut rules = Vec::new();
    for class in rulebook.classes() {
        // A rulebook that exists is valid.
        let Ok(policy) = rulebook.policy_of(class) else {
            continue;
        };
        let at = groups
            .iter()
            .position(|group| **group == class.group)
            .unwrap_or_else(|| {
                groups.push(&class.group);
                groups.len() - 1
            });
        rules.push(Rule {
            group: Some(at),
            policy,
            carried,
        });
    }
    rules.push(Rule {
        group: None,
        policy: rulebook.machine().clone(),
        carried,
    });
    rules
}

impl Rule {
    /// What happens at the logins of `user` under this rule; `None`: no code is asked for, a method works, or nothing is
    /// enrolled. Locks and exemptions are left out, because they end.
    fn consequence(&self, user: &Summary) -> Option<Consequence> {
        let Self {
            policy, carried, ..
        } = self;
        let unlocked = Summary {
            throttle: Throttle::default(),
            ..*user
        };
        match unlocked.status(policy, None, Timestamp::from_unix(0)) {
            Status::NotAllowed => {
                let working = policy.methods.intersection(*carried);
                let can_enrol = policy.enrolment == Enrolment::AtLogin
                    && working.intersects(Methods::standing_alone());
                let can_prove = user.enrolled.intersects(*carried);
                Some(if can_enrol && can_prove {
                    Consequence::Replace
                } else {
                    Consequence::Refused
                })
            }
            Status::Enabled if !self.has_working_method(user) => Some(Consequence::Undeliverable),
            _ => None,
        }
    }

    /// Whether `user` has an allowed method whose codes are delivered.
    fn has_working_method(&self, user: &Summary) -> bool {
        let Self {
            policy, carried, ..
        } = self;
        let falls_back_to_email = user.enrolled.contains(Method::Sms)
            && policy.methods.contains(Method::Sms)
            && policy.sms_falls_back_to_email()
            && user.enrolled.contains(Method::Email)
            && carried.contains(Method::Email);
        user.enrolled
            .intersects(policy.methods.intersection(*carried))
            || falls_back_to_email
    }
}

/// How bad a consequence is. A user loses something only if it gets worse.
fn severity(consequence: Option<Consequence>) -> u8 {
    match consequence {
        None => 0,
        Some(Consequence::Replace) => 1,
        Some(Consequence::Undeliverable | Consequence::Refused) => 2,
    }
}

#[cfg(test)]
mod tests;
