use super::*;
use crate::account::Account;
use crate::app::{App, Parameters};
use crate::channel::{Channel, PerChannel};
use crate::exemption::Subject;
use crate::key::Key;
use crate::lockout::{MAX_FAILURES, Throttle};
use crate::method::{METHODS, Method, Methods};
use crate::service::Services;
use crate::user::{Contact, EnrolledApp};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

fn enrolled() -> Vec<EnrolledApp> {
    let key = Key::new(vec![1; 20]).unwrap();
    let app = App {
        parameters: Parameters::default(),
        key,
        used: None,
    };
    vec![EnrolledApp {
        id: 1,
        label: "phone".into(),
        enrolled_at: NOW,
        must_resync: false,
        app,
    }]
}

fn by(service: &str) -> LoginSource<'_> {
    LoginSource {
        service: Some(service),
        ..LoginSource::default()
    }
}

fn decided(policy: &Policy, user: &User, has_trusted_device: bool) -> Decision {
    decide(DecisionFacts {
        policy,
        user,
        exemption: None,
        source: by("sudo"),
        has_trusted_device,
        has_identity_mismatch: false,
        now: NOW,
    })
}

#[test]
fn only_the_services_of_the_policy_ask_and_jobs_without_anybody_to_ask_never_do() {
    let user = User {
        apps: enrolled(),
        ..User::default()
    };
    for (mode, services, service, decision) in [
        (
            "mandatory",
            "ssh",
            Some("sudo"),
            Decision::NotRequired(Reason::Service),
        ),
        ("mandatory", "ssh", Some("sshd"), Decision::Challenge),
        ("mandatory", "ssh", None, Decision::Challenge),
        (
            "mandatory",
            "all",
            Some("cron"),
            Decision::NotRequired(Reason::Service),
        ),
        (
            "disabled",
            "ssh",
            Some("sudo"),
            Decision::NotRequired(Reason::Disabled),
        ),
    ] {
        let policy = Policy::from_settings([("mode", mode), ("services", services)]).unwrap();
        let facts = DecisionFacts {
            policy: &policy,
            user: &user,
            exemption: None,
            source: LoginSource {
                service,
                ..LoginSource::default()
            },
            has_trusted_device: false,
            has_identity_mismatch: false,
            now: NOW,
        };
        assert_eq!(decide(facts), decision, "{services} {service:?}");
    }
}

/// Every mode, whether an administrator requires it, what the person set, whether the device is trusted,
/// whether an app is enrolled. A class is in it through the mode, which is all a class can say here.
#[test]
#[rustfmt::skip]
fn mode_requirement_setting_device_and_enrolment_decide() {
    use Decision::{Challenge as Ask, Enrol, NotRequired, Trusted as Pass};
    use Mode::{Disabled, Mandatory, Optional, Report};
    use Verify::{Always, Never, NewDevice};
    const OFF: Decision = NotRequired(Reason::Disabled);
    const REP: Decision = NotRequired(Reason::Report);
    const BARE: Decision = NotRequired(Reason::NotEnrolled);
    const OUT: Decision = NotRequired(Reason::OptedOut);
    // mode, required, setting: nothing enrolled; enrolled: on an unknown device, on a trusted one
    let rows = [
        (Disabled,  false, Never,     [OFF,   OFF, OFF]),
        (Disabled,  false, NewDevice, [OFF,   OFF, OFF]),
        (Disabled,  false, Always,    [OFF,   OFF, OFF]),
        (Disabled,  true,  Never,     [OFF,   OFF, OFF]),
        (Disabled,  true,  NewDevice, [OFF,   OFF, OFF]),
        (Disabled,  true,  Always,    [OFF,   OFF, OFF]),
        (Report,    false, Never,     [REP,   REP, REP]),
        (Report,    false, Always,    [REP,   REP, REP]),
        (Report,    true,  Never,     [REP,   REP, REP]),
        (Report,    true,  Always,    [REP,   REP, REP]),
        (Optional,  false, Never,     [BARE,  OUT, OUT]),
        (Optional,  false, NewDevice, [BARE,  Ask, Pass]),
        (Optional,  false, Always,    [BARE,  Ask, Ask]),
        (Optional,  true,  Never,     [Enrol, Ask, Pass]),
        (Optional,  true,  NewDevice, [Enrol, Ask, Pass]),
        (Optional,  true,  Always,    [Enrol, Ask, Ask]),
        (Mandatory, false, Never,     [Enrol, Ask, Pass]),
        (Mandatory, false, NewDevice, [Enrol, Ask, Pass]),
        (Mandatory, false, Always,    [Enrol, Ask, Ask]),
        (Mandatory, true,  Never,     [Enrol, Ask, Pass]),
        (Mandatory, true,  NewDevice, [Enrol, Ask, Pass]),
        (Mandatory, true,  Always,    [Enrol, Ask, Ask]),
    ];
    let trusted = true;
    for (mode, required, verify, [bare, unknown, known]) in rows {
        let policy = Policy { mode, ..Policy::default() };
        let user = |apps| User { required, verify, apps, ..User::default() };
        let row = format!("{mode:?} required={required} {verify}");
        assert_eq!(decided(&policy, &user(Vec::new()), false), bare, "{row}, not enrolled");
        assert_eq!(decided(&policy, &user(Vec::new()), trusted), bare, "{row}, not enrolled on a trusted device");
        assert_eq!(decided(&policy, &user(enrolled()), false), unknown, "{row}, unknown device");
        assert_eq!(decided(&policy, &user(enrolled()), trusted), known, "{row}, trusted device");
    }
}

#[test]
fn an_exemption_spares_everybody_and_needs_no_enrolment() {
    let exemption = Exemption {
        subject: Subject::User(Account {
            name: "backup".into(),
            uid: 900,
        }),
        network: None,
        service: None,
        reason: "nightly copies".into(),
        granted_by: 0,
        granted_at: NOW,
        until: None,
    };
    for mode in [Mode::Optional, Mode::Mandatory] {
        let policy = Policy {
            mode,
            ..Policy::default()
        };
        for apps in [Vec::new(), enrolled()] {
            let user = User {
                required: true,
                apps,
                ..User::default()
            };
            let facts = DecisionFacts {
                policy: &policy,
                user: &user,
                exemption: Some(&exemption),
                source: by("sudo"),
                has_trusted_device: false,
                has_identity_mismatch: false,
                now: NOW,
            };
            assert_eq!(decide(facts), Decision::NotRequired(Reason::Exempt));
        }
    }
}

#[test]
fn enrolment_beforehand_refuses_where_enrolment_at_login_leads() {
    let policy = Policy {
        mode: Mode::Mandatory,
        enrolment: Enrolment::Beforehand,
        ..Policy::default()
    };
    assert_eq!(
        decided(&policy, &User::default(), false),
        Decision::Deny(Denial::NotEnrolled)
    );
    let user = User {
        apps: enrolled(),
        ..User::default()
    };
    assert_eq!(decided(&policy, &user, false), Decision::Challenge);
}

#[test]
fn a_lock_refuses_until_its_end_on_a_trusted_device_too() {
    let policy = Policy {
        mode: Mode::Optional,
        ..Policy::default()
    };
    let throttle = Throttle {
        attempts: 10,
        locked_until: Some(NOW.after(60)),
        ..Throttle::default()
    };
    let user = User {
        apps: enrolled(),
        throttle,
        ..User::default()
    };
    let locked = Decision::Deny(Denial::Locked(Lock::Until(NOW.after(60))));
    for has_trusted_device in [false, true] {
        let facts = DecisionFacts {
            policy: &policy,
            user: &user,
            exemption: None,
            source: by("sudo"),
            has_trusted_device,
            has_identity_mismatch: false,
            now: NOW,
        };
        assert_eq!(decide(facts), locked);
        assert_ne!(
            decide(DecisionFacts {
                now: NOW.after(60),
                ..facts
            }),
            locked
        );
    }
}

#[test]
fn a_hundred_failures_refuse_until_an_administrator_unlocks() {
    let policy = Policy {
        mode: Mode::Mandatory,
        ..Policy::default()
    };
    let throttle = Throttle {
        attempts: MAX_FAILURES.into(),
        ..Throttle::default()
    };
    let user = User {
        apps: enrolled(),
        throttle,
        ..User::default()
    };
    assert_eq!(
        decided(&policy, &user, false),
        Decision::Deny(Denial::Locked(Lock::Administrator))
    );
}

#[test]
fn an_account_with_another_ones_name_or_uid_is_refused_unless_nobody_is_asked() {
    for (mode, decision) in [
        (Mode::Disabled, Decision::NotRequired(Reason::Disabled)),
        (Mode::Report, Decision::NotRequired(Reason::Report)),
        (Mode::Optional, Decision::Deny(Denial::IdentityMismatch)),
        (Mode::Mandatory, Decision::Deny(Denial::IdentityMismatch)),
    ] {
        let policy = Policy {
            mode,
            ..Policy::default()
        };
        let user = User::default();
        let facts = DecisionFacts {
            policy: &policy,
            user: &user,
            exemption: None,
            source: by("sudo"),
            has_trusted_device: false,
            has_identity_mismatch: true,
            now: NOW,
        };
        assert_eq!(decide(facts), decision, "{mode:?}");
    }
}

#[test]
fn report_says_what_mandatory_would_do_under_any_mode_and_services_and_locks_stay_what_they_are() {
    let locked = Throttle {
        attempts: MAX_FAILURES.into(),
        ..Throttle::default()
    };
    for mode in Mode::ALL {
        for user in [
            User::default(),
            User {
                apps: enrolled(),
                ..User::default()
            },
            User {
                throttle: locked,
                apps: enrolled(),
                ..User::default()
            },
        ] {
            for services in ["all", "ssh"] {
                let policy = |mode| Policy {
                    mode,
                    services: Services::read(services).unwrap(),
                    ..Policy::default()
                };
                let (own, mandatory) = (policy(mode), policy(Mode::Mandatory));
                let facts = |policy| DecisionFacts {
                    policy,
                    user: &user,
                    exemption: None,
                    source: by("sudo"),
                    has_trusted_device: false,
                    has_identity_mismatch: false,
                    now: NOW,
                };
                assert_eq!(
                    would_decide(facts(&own)),
                    decide(facts(&mandatory)),
                    "{mode:?}"
                );
            }
        }
    }
}

/// Every mode, requirement and setting for somebody with an app where only e-mail is allowed.
#[test]
#[rustfmt::skip]
fn a_method_that_is_no_longer_allowed_is_neither_sufficient_nor_ignored() {
    use Mode::{Disabled, Mandatory, Optional};
    use Verify::{Always, Never, NewDevice};
    const OFF: Decision = Decision::NotRequired(Reason::Disabled);
    const OUT: Decision = Decision::NotRequired(Reason::OptedOut);
    let rows = [
        (Disabled,  true,  Always,    OFF),
        (Optional,  false, Never,     OUT),
        (Optional,  false, NewDevice, Decision::Replace),
        (Optional,  false, Always,    Decision::Replace),
        (Optional,  true,  Never,     Decision::Replace),
        (Mandatory, false, Never,     Decision::Replace),
        (Mandatory, false, NewDevice, Decision::Replace),
    ];
    for (mode, required, verify, expected) in rows {
        let methods = Methods::ALL.without(Method::App);
        let policy = Policy { mode, methods, ..Policy::default() };
        let user = User { required, verify, apps: enrolled(), ..User::default() };
        for has_trusted_device in [false, true] {
            assert_eq!(decided(&policy, &user, has_trusted_device), expected, "{mode:?} required={required} {verify}");
        }
        let beforehand = Policy { enrolment: Enrolment::Beforehand, ..policy };
        let expected = match expected {
            Decision::Replace => Decision::Deny(Denial::NotAllowed),
            other => other,
        };
        assert_eq!(decided(&beforehand, &user, false), expected, "{mode:?} {verify} beforehand");
    }
}

/// What a decision may rest on, small enough to draw at random.
#[derive(Debug, Clone)]
struct Case {
    policy: Policy,
    user: User,
    is_exempt: bool,
    has_trusted_device: bool,
    has_identity_mismatch: bool,
}

impl Case {
    fn lets_in(&self) -> bool {
        let exemption = Exemption {
            subject: Subject::User(Account {
                name: "alice".into(),
                uid: 1000,
            }),
            network: None,
            service: None,
            reason: String::new(),
            granted_by: 0,
            granted_at: NOW,
            until: None,
        };
        let decision = decide(DecisionFacts {
            policy: &self.policy,
            user: &self.user,
            exemption: self.is_exempt.then_some(&exemption),
            source: by("sudo"),
            has_trusted_device: self.has_trusted_device,
            has_identity_mismatch: self.has_identity_mismatch,
            now: NOW,
        });
        matches!(decision, Decision::NotRequired(_) | Decision::Trusted)
    }

    /// This case with one thing stricter, once for each thing there is.
    fn stricter(&self) -> Vec<Self> {
        let changes: [fn(&mut Self); 8] = [
            |case| case.policy.services = Services::All,
            |case| {
                case.policy.mode = if case.policy.mode == Mode::Disabled {
                    Mode::Optional
                } else {
                    Mode::Mandatory
                }
            },
            |case| case.policy.enrolment = Enrolment::Beforehand,
            |case| case.user.required = true,
            |case| {
                case.user.verify = if case.user.verify == Verify::Never {
                    Verify::NewDevice
                } else {
                    Verify::Always
                }
            },
            |case| case.is_exempt = false,
            |case| case.has_trusted_device = false,
            |case| case.user.throttle.locked_until = Some(NOW.after(60)),
        ];
        let changed = changes.iter().map(|change| {
            let mut stricter = self.clone();
            change(&mut stricter);
            stricter
        });
        let without_a_method = Methods::ALL.iter().map(|method| {
            let mut stricter = self.clone();
            stricter.policy.methods = stricter.policy.methods.without(method);
            stricter
        });
        let mut all: Vec<_> = changed.chain(without_a_method).collect();
        // Nothing is stored of an account that has no record of its own.
        for stricter in all
            .iter_mut()
            .filter(|stricter| stricter.has_identity_mismatch)
        {
            stricter.user = User::default();
        }
        all
    }
}

fn methods() -> impl Strategy<Value = Methods> {
    prop::collection::vec(any::<bool>(), METHODS.len()).prop_map(|chosen| {
        let chosen = Methods::ALL.iter().zip(chosen);
        chosen
            .filter(|(_, is_in)| *is_in)
            .map(|(method, _)| method)
            .collect()
    })
}

prop_compose! {
    fn case()(
        mode in prop::sample::select(vec![Mode::Disabled, Mode::Optional, Mode::Mandatory]),
        beforehand: bool, is_for_ssh: bool, required: bool, is_exempt: bool, is_known: bool, has_identity_mismatch: bool,
        allowed in methods(), has in methods(),
        verify in prop::sample::select(vec![Verify::Never, Verify::NewDevice, Verify::Always]),
    ) -> Case {
        let contact = |channel: Channel| has.contains(channel.method())
            .then(|| Contact { address: "somewhere".into(), verified: true, by_owner: false });
        Case {
            policy: Policy {
                mode,
                methods: allowed,
                enrolment: if beforehand { Enrolment::Beforehand } else { Enrolment::AtLogin },
                services: Services::read(if is_for_ssh { "ssh" } else { "all" }).unwrap(),
                ..Policy::default()
            },
            user: if has_identity_mismatch { User::default() } else { User {
                required,
                verify,
                apps: if has.contains(Method::App) { enrolled() } else { Vec::new() },
                contacts: PerChannel::from_fn(contact),
                ..User::default()
            } },
            is_exempt,
            has_trusted_device: is_known,
            has_identity_mismatch,
        }
    }
}

proptest! {
    #[test]
    fn nothing_that_gets_stricter_lets_anybody_in_who_was_asked_or_refused(case in case()) {
        for stricter in case.stricter() {
            prop_assert!(case.lets_in() || !stricter.lets_in(), "{stricter:#?}");
        }
    }
}
