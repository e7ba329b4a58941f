//! Whatever the name service leaves unknown, nobody avoids a prompt or a refusal because of it.

#![allow(clippy::unwrap_used)] // a test says what it expects by failing

use proptest::prelude::*;
use twofa_core::class::{self, Class};
use twofa_core::decision::{Decision, DecisionFacts, Denial, decide};
use twofa_core::exemption::{Exemption, LoginSource, Subject, find_covering};
use twofa_core::lockout::Throttle;
use twofa_core::user::{Contact, EnrolledApp};
use twofa_core::{
    Account, App, Channel, Group, Key, Membership, Methods, Parameters, PerChannel, Policy,
    Timestamp, User, Verify,
};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
/// The groups of classes, then those of exemptions.
const GROUPS: usize = 6;

/// All that a login rests on, and what of it is not told.
#[derive(Debug, Clone)]
struct World {
    machine: Policy,
    classes: Vec<Class>,
    exemptions: Vec<Exemption>,
    user: User,
    has_identity_mismatch: bool,
    is_trusted: bool,
    is_member: [bool; GROUPS],
    is_untold: [bool; GROUPS],
}

impl World {
    fn membership(&self, group: &Group, is_all_told: bool) -> Membership {
        let at: usize = group.name.parse().unwrap();
        match (self.is_untold[at] && !is_all_told, self.is_member[at]) {
            (true, _) => Membership::Unknown,
            (false, true) => Membership::Member,
            (false, false) => Membership::NotMember,
        }
    }

    fn decision(&self, is_all_told: bool) -> Decision {
        let membership = |group: &Group| self.membership(group, is_all_told);
        let user = &self.user;
        let effective =
            class::effective(&self.machine, &self.classes, &user.summary(), membership).unwrap();
        let alice = Account {
            name: "alice".into(),
            uid: 1000,
        };
        let exemption = find_covering(
            &self.exemptions,
            &alice,
            LoginSource::default(),
            NOW,
            membership,
        );
        let Self {
            has_identity_mismatch,
            ..
        } = *self;
        // Trust ends when it ends by the policy in force.
        let has_trusted_device =
            self.is_trusted && effective.policy.trust != Policy::default().trust;
        decide(DecisionFacts {
            policy: &effective.policy,
            user,
            exemption,
            source: LoginSource {
                service: Some("sudo"),
                ..LoginSource::default()
            },
            has_trusted_device,
            has_identity_mismatch,
            now: NOW,
        })
    }

    /// Whether a method is enrolled that every rule allows.
    fn can_show_a_code(&self) -> bool {
        let policies = self
            .classes
            .iter()
            .map(|class| class.policy(&self.machine).unwrap());
        let methods = policies
            .chain([self.machine.clone()])
            .map(|policy| policy.methods);
        let common = methods.fold(Methods::standing_alone(), Methods::intersection);
        self.user.is_enrolled(common)
    }
}

fn passes(decision: Decision) -> bool {
    matches!(decision, Decision::NotRequired(_) | Decision::Trusted)
}

fn settings() -> impl Strategy<Value = Vec<(String, String)>> {
    let mode = prop::sample::select(vec!["disabled", "optional", "mandatory"]);
    let methods = prop::sample::select(vec![
        "app,email,sms,backup",
        "app,backup",
        "email",
        "app,sms",
        "sms",
    ]);
    let enrolment = prop::sample::select(vec!["at-login", "beforehand"]);
    let trust = prop::sample::select(vec!["0", "30d"]);
    let services = prop::sample::select(vec!["all", "ssh", "elevation", "ssh,elevation"]);
    (mode, methods, enrolment, trust, services).prop_map(
        |(mode, methods, enrolment, trust, services)| {
            let settings = [
                ("mode", mode),
                ("methods", methods),
                ("enrolment", enrolment),
                ("trust.remote", trust),
                ("services", services),
            ];
            settings
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .to_vec()
        },
    )
}

fn classes() -> impl Strategy<Value = Vec<Class>> {
    prop::collection::vec(settings(), 0..4).prop_map(|all| {
        let class = |(at, settings): (usize, _)| Class {
            name: format!("class-{at}"),
            group: Group::called(at.to_string()),
            settings,
        };
        all.into_iter().enumerate().map(class).collect()
    })
}

fn exemptions() -> impl Strategy<Value = Vec<Exemption>> {
    prop::collection::vec(4..GROUPS, 0..2).prop_map(|groups| {
        let exemption = |group: usize| Exemption {
            subject: Subject::Group(Group::called(group.to_string())),
            network: None,
            service: None,
            reason: "a reason".into(),
            granted_by: 0,
            granted_at: NOW,
            until: None,
        };
        groups.into_iter().map(exemption).collect()
    })
}

fn user() -> impl Strategy<Value = User> {
    let verify = prop::sample::select(vec![Verify::Never, Verify::NewDevice, Verify::Always]);
    (
        any::<[bool; 2]>(),
        any::<[bool; Channel::ALL.len()]>(),
        verify,
        0_u8..3,
    )
        .prop_map(|([required, app], contacts, verify, failures)| {
            let key = Key::new(vec![1; 20]).unwrap();
            let app = app.then(|| App {
                parameters: Parameters::default(),
                key,
                used: None,
            });
            let apps = app.map(|app| EnrolledApp {
                id: 1,
                label: "phone".into(),
                enrolled_at: NOW,
                must_resync: false,
                app,
            });
            let contact = |has: bool| {
                has.then(|| Contact {
                    address: "a@example.org".into(),
                    verified: true,
                    by_owner: false,
                })
            };
            let throttle = match failures {
                0 => Throttle::default(),
                1 => Throttle {
                    attempts: 10,
                    locked_until: Some(NOW.after(60)),
                    ..Throttle::default()
                },
                _ => Throttle {
                    attempts: 100,
                    ..Throttle::default()
                },
            };
            User {
                required,
                verify,
                throttle,
                apps: apps.into_iter().collect(),
                contacts: PerChannel::from_fn(|channel| contact(contacts[channel as usize])),
                ..User::default()
            }
        })
}

fn world() -> impl Strategy<Value = World> {
    let memberships = (any::<[bool; GROUPS]>(), any::<[bool; GROUPS]>());
    (
        settings(),
        classes(),
        exemptions(),
        user(),
        any::<[bool; 2]>(),
        memberships,
    )
        .prop_map(
            |(
                machine,
                classes,
                exemptions,
                user,
                [has_identity_mismatch, is_trusted],
                (is_member, is_untold),
            )| {
                // Nothing is known of a user with an identity mismatch.
                let user = if has_identity_mismatch {
                    User::default()
                } else {
                    user
                };
                let machine = machine
                    .iter()
                    .map(|(key, value)| (key.as_str(), value.as_str()));
                let machine = Policy::from_settings(machine).unwrap();
                World {
                    machine,
                    classes,
                    exemptions,
                    user,
                    has_identity_mismatch,
                    is_trusted,
                    is_member,
                    is_untold,
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn an_unknown_membership_turns_no_question_and_no_refusal_into_a_pass(world in world()) {
        let (told, untold) = (world.decision(true), world.decision(false));
        prop_assert!(passes(told) || !passes(untold), "{told:?} became {untold:?}");
    }

    #[test]
    fn an_unknown_membership_locks_out_nobody_who_can_show_a_code(world in world()) {
        let told = world.decision(true);
        let is_refused = matches!(told, Decision::Deny(Denial::Locked(_) | Denial::IdentityMismatch));
        let is_held_back = world.has_identity_mismatch || world.user.throttle.lock(NOW).is_some();
        let untold = world.decision(false);
        let is_concerned = world.can_show_a_code() && !is_refused && !is_held_back;
        let can_get_in = passes(untold) || untold == Decision::Challenge;
        prop_assert!(can_get_in || !is_concerned, "{told:?} became {untold:?}");
    }
}
