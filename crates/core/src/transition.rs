//! What a change of the rules means for people who are enrolled: who would be left without a method that works.

use crate::group::{Group, Membership};
use crate::lockout::Throttle;
use crate::method::{Method, Methods};
use crate::policy::{Enrolment, Policy};
use crate::rulebook::Rulebook;
use crate::time::Timestamp;
use crate::user::{Status, Summary};

/// What becomes of the logins of somebody who is asked for a code, has enrolled, and has no method that works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consequence {
    /// They prove themselves with a method that is no longer allowed, and enrol another.
    Replace,
    /// A method of theirs is allowed, and no provider carries its codes. Without a backup code they are refused.
    Undeliverable,
    /// They are refused: nothing may be enrolled at a login, or there is nothing to prove themselves with or to enrol.
    Refused,
}

/// Somebody whom a change leaves without a method that works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// What becomes of their logins.
    pub consequence: Consequence,
    /// Whether it is settled which rules hold for them; if not, it could be so.
    pub is_certain: bool,
}

/// Rules, with the methods that work under them.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// Policy and classes.
    pub rulebook: &'a Rulebook,
    /// The methods whose codes reach people: those that need no provider, and those that have one.
    pub carried: Methods,
}

/// A change from some rules to others.
#[derive(Debug)]
pub struct Transition<'a> {
    /// The groups of the classes on either side, each once.
    groups: Vec<&'a Group>,
    before: Vec<Rule>,
    after: Vec<Rule>,
}

/// A class, or what holds for everyone else.
#[derive(Debug)]
struct Rule {
    /// Where the group is among [`Transition::groups`]; `None`: everyone.
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

    /// Whether `user` could lose the last method that works, whatever groups they are in.
    pub fn could_concern(&self, user: &Summary) -> bool {
        self.loss(user, |_| Membership::Unknown).is_some()
    }

    /// What the change takes from `user`, whose membership in a group `membership` tells; it is asked about each group once
    /// at most. `None`: a method still works, or none did before.
    ///
    /// Where a membership is not settled, the worst that could be is told.
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
        let consequences =
            |rules: &[Rule]| -> Vec<_> { rules.iter().map(|rule| rule.does(user)).collect() };
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

    /// Whether somebody is under the rule at `from` before and under the one at `to` afterwards: in the groups of both, and
    /// in no group of a class ahead of them.
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
        let ahead = self
            .before
            .iter()
            .take(from)
            .chain(self.after.iter().take(to));
        let outs: Vec<usize> = ahead.filter_map(|rule| rule.group).collect();
        if ins.iter().any(|group| outs.contains(group)) {
            return Membership::NotMember;
        }
        let ins = ins.into_iter().map(|group| (group, Membership::Member));
        let outs = outs.into_iter().map(|group| (group, Membership::NotMember));
        let mut word = Membership::Member;
        for (group, wanted) in ins.chain(outs) {
            match is_in(group) {
                Membership::Unknown => word = Membership::Unknown,
                found if found != wanted => return Membership::NotMember,
                _ => {}
            }
        }
        word
    }
}

fn rules<'a>(side: Side<'a>, groups: &mut Vec<&'a Group>) -> Vec<Rule> {
    let Side { rulebook, carried } = side;
    let mut rules = Vec::new();
    for class in rulebook.classes() {
        // A rulebook that exists is valid.
        let Ok(policy) = class.policy(rulebook.machine()) else {
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
    /// What becomes of the logins of `user` under this rule. `None`: nothing is asked, a method works, or nothing was ever
    /// enrolled. Locks and exemptions end, and are left out.
    fn does(&self, user: &Summary) -> Option<Consequence> {
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
            Status::Enabled if !self.works(user) => Some(Consequence::Undeliverable),
            _ => None,
        }
    }

    /// Whether `user` has a method that is allowed and whose codes arrive.
    fn works(&self, user: &Summary) -> bool {
        let Self {
            policy, carried, ..
        } = self;
        let by_mail_instead = user.enrolled.contains(Method::Sms)
            && policy.methods.contains(Method::Sms)
            && policy.sms_falls_back_to_email()
            && user.enrolled.contains(Method::Email)
            && carried.contains(Method::Email);
        user.enrolled
            .intersects(policy.methods.intersection(*carried))
            || by_mail_instead
    }
}

/// How bad it is: whom nothing works for already loses nothing.
fn severity(consequence: Option<Consequence>) -> u8 {
    match consequence {
        None => 0,
        Some(Consequence::Replace) => 1,
        Some(Consequence::Undeliverable | Consequence::Refused) => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::Class;
    use crate::user::{User, Verify};

    const MAIL: Methods = Methods::NONE.with(Method::Email);
    const ALL: Methods = Methods::ALL;

    /// A rulebook with these settings of the machine, and a class for each group.
    fn book(machine: &[(&str, &str)], classes: &[(&str, &[(&str, &str)])]) -> Rulebook {
        let class = |(group, settings): &(&str, &[(&str, &str)])| Class {
            name: (*group).to_owned(),
            group: Group::called(*group),
            settings: settings
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
        };
        let machine = [("mode", "optional")].iter().chain(machine).copied();
        // The last of two settings holds.
        let machine = machine.collect::<std::collections::BTreeMap<_, _>>();
        Rulebook::new(
            Policy::from_settings(machine).unwrap(),
            classes.iter().map(class).collect(),
        )
        .unwrap()
    }

    fn user(enrolled: Methods) -> Summary {
        Summary {
            enrolled,
            ..User::default().summary()
        }
    }

    fn is_in(groups: &[&str], unsettled: &[&str]) -> impl Fn(&Group) -> Membership {
        move |group| match group.name.as_str() {
            name if unsettled.contains(&name) => Membership::Unknown,
            name if groups.contains(&name) => Membership::Member,
            _ => Membership::NotMember,
        }
    }

    fn lost(
        before: &Rulebook,
        after: &Rulebook,
        user: &Summary,
        groups: &[&str],
    ) -> Option<Consequence> {
        let [before, after] = [before, after].map(|rulebook| Side {
            rulebook,
            carried: ALL,
        });
        let loss = Transition::new(before, after).loss(user, is_in(groups, &[]))?;
        assert!(loss.is_certain, "every membership is");
        Some(loss.consequence)
    }

    #[test]
    fn people_with_only_a_method_that_is_taken_away_lose_it() {
        let before = book(&[], &[]);
        let after = book(&[("methods", "app,backup")], &[]);
        let app_too = MAIL.with(Method::App);
        assert_eq!(
            lost(&before, &after, &user(MAIL), &[]),
            Some(Consequence::Replace)
        );
        assert_eq!(lost(&before, &after, &user(app_too), &[]), None);
        assert_eq!(lost(&before, &after, &user(Methods::NONE), &[]), None);
        assert_eq!(
            lost(&after, &after, &user(MAIL), &[]),
            None,
            "it was gone before"
        );
        assert_eq!(lost(&after, &before, &user(MAIL), &[]), None);
    }

    #[test]
    fn where_nothing_may_be_enrolled_at_a_login_they_are_refused() {
        let [before, milder, after] = [
            &[][..],
            &[("methods", "app")],
            &[("methods", "app"), ("enrolment", "beforehand")],
        ]
        .map(|settings| book(settings, &[]));
        assert_eq!(
            lost(&before, &after, &user(MAIL), &[]),
            Some(Consequence::Refused)
        );
        assert_eq!(
            lost(&milder, &after, &user(MAIL), &[]),
            Some(Consequence::Refused),
            "that is worse"
        );
        assert_eq!(lost(&after, &milder, &user(MAIL), &[]), None);
    }

    #[test]
    fn people_who_are_not_asked_lose_nothing_until_they_are_asked_again() {
        let [all, app] = ["app,email", "app"].map(|methods| book(&[("methods", methods)], &[]));
        let off = book(&[("methods", "app"), ("mode", "disabled")], &[]);
        assert_eq!(lost(&all, &off, &user(MAIL), &[]), None);
        assert_eq!(
            lost(&off, &app, &user(MAIL), &[]),
            Some(Consequence::Replace)
        );
        let unwilling = Summary {
            verify: Verify::Never,
            ..user(MAIL)
        };
        assert_eq!(lost(&all, &app, &unwilling, &[]), None);
        let required = Summary {
            required: true,
            ..unwilling
        };
        assert_eq!(lost(&all, &app, &required, &[]), Some(Consequence::Replace));
    }

    #[test]
    fn a_lock_that_ends_hides_nobody() {
        let throttle = Throttle {
            attempts: 100,
            ..Throttle::default()
        };
        let locked = Summary {
            throttle,
            ..user(MAIL)
        };
        assert_eq!(
            lost(
                &book(&[], &[]),
                &book(&[("methods", "app")], &[]),
                &locked,
                &[]
            ),
            Some(Consequence::Replace)
        );
    }

    #[test]
    fn a_class_that_comes_changes_moves_or_goes_takes_methods_from_its_members_alone() {
        const APP: &[(&str, &str)] = &[("methods", "app")];
        const EMAIL: &[(&str, &str)] = &[("methods", "email")];
        let plain = book(&[], &[]);
        let ops = book(&[], &[("ops", APP)]);
        let apps_for_all = book(APP, &[]);
        let mail_for_ops = book(APP, &[("ops", EMAIL)]);
        let (ops_first, web_first) = (
            book(&[], &[("ops", EMAIL), ("web", APP)]),
            book(&[], &[("web", APP), ("ops", EMAIL)]),
        );
        let replace = Some(Consequence::Replace);
        for (what, before, after, groups, loss) in [
            ("a new class", &plain, &ops, &["ops"][..], replace),
            ("a new class", &plain, &ops, &["web"], None),
            (
                "a class that goes",
                &mail_for_ops,
                &apps_for_all,
                &["ops"],
                replace,
            ),
            (
                "a class that goes",
                &mail_for_ops,
                &apps_for_all,
                &["web"],
                None,
            ),
            (
                "a class for the exception",
                &plain,
                &mail_for_ops,
                &["ops"],
                None,
            ),
            (
                "a class for the exception",
                &plain,
                &mail_for_ops,
                &[],
                replace,
            ),
            (
                "another order",
                &ops_first,
                &web_first,
                &["ops", "web"],
                replace,
            ),
            ("another order", &ops_first, &web_first, &["ops"], None),
            (
                "another order",
                &web_first,
                &ops_first,
                &["ops", "web"],
                None,
            ),
        ] {
            assert_eq!(
                lost(before, after, &user(MAIL), groups),
                loss,
                "{what} {groups:?}"
            );
        }
    }

    #[test]
    fn who_could_be_in_a_group_is_counted_and_said_to_be_in_doubt() {
        let [before, after] = [book(&[], &[]), book(&[], &[("ops", &[("methods", "app")])])];
        let sides = [&before, &after].map(|rulebook| Side {
            rulebook,
            carried: ALL,
        });
        let change = Transition::new(sides[0], sides[1]);
        let loss = Some(Loss {
            consequence: Consequence::Replace,
            is_certain: false,
        });
        assert_eq!(change.loss(&user(MAIL), is_in(&[], &["ops"])), loss);
        assert!(change.could_concern(&user(MAIL)));
        assert!(!change.could_concern(&user(MAIL.with(Method::App))));
    }

    #[test]
    fn a_change_of_something_else_concerns_nobody_whatever_is_not_settled() {
        let ops: &[(&str, &[(&str, &str)])] = &[("ops", &[("methods", "app")]), ("web", &[])];
        let [before, after] = [book(&[], ops), book(&[("lockout.after", "5")], ops)];
        let sides = [&before, &after].map(|rulebook| Side {
            rulebook,
            carried: ALL,
        });
        assert!(!Transition::new(sides[0], sides[1]).could_concern(&user(MAIL)));
    }

    #[test]
    fn a_method_that_no_provider_carries_does_not_work() {
        let no_mail = ALL.without(Method::Email);
        let [both, mail, app] =
            ["app,email", "email", "app"].map(|methods| book(&[("methods", methods)], &[]));
        let lost = |(before, carried), (after, carried_then), enrolled| {
            let before = Side {
                rulebook: before,
                carried,
            };
            let after = Side {
                rulebook: after,
                carried: carried_then,
            };
            let loss =
                Transition::new(before, after).loss(&user(enrolled), |_| Membership::Unknown)?;
            Some(loss.consequence)
        };
        let app_too = MAIL.with(Method::App);
        assert_eq!(
            lost((&both, ALL), (&both, no_mail), MAIL),
            Some(Consequence::Undeliverable)
        );
        assert_eq!(lost((&both, ALL), (&both, no_mail), app_too), None);
        assert_eq!(
            lost((&both, no_mail), (&mail, no_mail), app_too),
            Some(Consequence::Undeliverable)
        );
        // Nothing worked before.
        assert_eq!(lost((&both, no_mail), (&app, no_mail), MAIL), None);
        // Nothing to prove themselves with any longer.
        assert_eq!(
            lost((&app, ALL), (&app, no_mail), MAIL),
            Some(Consequence::Refused)
        );
    }

    #[test]
    fn a_text_message_that_may_go_by_mail_works_without_a_provider_for_it() {
        let no_sms = ALL.without(Method::Sms);
        let sms_and_mail = MAIL.with(Method::Sms);
        for (fall_back, loss) in [("on", None), ("off", Some(Consequence::Undeliverable))] {
            let rulebook = book(
                &[("methods", "sms"), ("fallback.sms-to-email", fall_back)],
                &[],
            );
            let [before, after] = [ALL, no_sms].map(|carried| Side {
                rulebook: &rulebook,
                carried,
            });
            let found =
                Transition::new(before, after).loss(&user(sms_and_mail), |_| Membership::Unknown);
            assert_eq!(found.map(|loss| loss.consequence), loss, "{fall_back}");
        }
    }
}
