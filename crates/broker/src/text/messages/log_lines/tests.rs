use super::*;
use std::collections::BTreeSet;
use twofa_core::user::Verify;
use twofa_store::event::names::EVENT_NAMES;
use twofa_store::event::{
    AppFields, Attestation, DeviceFields, ExemptionFields, NotSent, Proof, RefusalReason,
    UserChange,
};
use twofa_store::event::{SessionEnd, SessionFields};
use twofa_store::journal::EventAnchor;
use twofa_store::{Event, Origin};

const COMMON: [&str; 9] = [
    "event",
    "from",
    "user",
    "service",
    "tty",
    "ruser",
    "uid",
    "login-uid",
    "leaf",
];

fn anchored() -> EventAnchor {
    "5f0c:7:a5a5a5a5a5a5a5a5".parse().unwrap()
}

fn line(event: Event, login: LoginOrigin) -> String {
    super::event(&Happening {
        user: Some(Account {
            name: "alice".into(),
            uid: 1000,
        }),
        event,
        origin: Origin::login(0, login),
        anchor: Some(anchored()),
    })
}

fn ssh() -> LoginOrigin {
    LoginOrigin {
        service: Some("sshd".into()),
        remote_host: Some("192.0.2.7".into()),
        terminal: Some("ssh".into()),
        remote_user: None,
    }
}

#[test]
fn the_address_comes_first_and_the_keys_of_the_kind_last() {
    let why = RefusalReason::WrongCode;
    assert_eq!(
        line(Event::Refused { why }, ssh()),
        r#"event="refused" from="192.0.2.7" user="alice" service="sshd" tty="ssh" uid="0" reason="wrong-code" leaf="5f0c:7:a5a5a5a5a5a5a5a5""#
    );
    let changed = event(&Happening {
        user: None,
        event: Event::PolicyChanged {
            what: "mode".into(),
            from: Some("optional".into()),
            to: Some("mandatory".into()),
        },
        origin: Origin::command_line(0).by_login_uid(Some(1000)),
        anchor: Some(anchored()),
    });
    assert_eq!(
        changed,
        r#"event="policy-changed" service="twofa" uid="0" login-uid="1000" old="optional" new="mandatory" what="mode" leaf="5f0c:7:a5a5a5a5a5a5a5a5""#
    );
}

#[test]
fn text_chosen_by_users_cannot_forge_a_key() {
    let login = LoginOrigin {
        remote_user: Some("x\" from=\"9.9.9.9".into()),
        ..ssh()
    };
    let label = String::from("\"\n event=\"passed");
    let line = line(Event::AppRemoved { label }, login);
    assert_eq!(line.matches(" from=\"").count(), 1, "{line}");
    assert_eq!(line.matches("event=\"").count(), 1, "{line}");
    assert_eq!(line.lines().count(), 1);
}

#[test]
fn every_key_of_an_event_is_in_the_table_and_no_complete_address_is_logged() {
    for event in samples() {
        let name = event.name();
        let entry = EVENT_NAMES.iter().find(|entry| entry.name == name);
        let allowed: BTreeSet<_> = entry.unwrap().keys.split(' ').collect();
        let line = line(event, ssh());
        assert!(!line.contains("alice@example.org"), "{line}");
        let keys: Vec<_> = line.split("=\"").map(last_word).collect();
        for key in &keys[..keys.len() - 1] {
            assert!(
                COMMON.contains(key) || allowed.contains(key),
                "{key} of {line}"
            );
        }
    }
}

fn last_word(text: &str) -> &str {
    text.rsplit(' ').next().unwrap()
}

#[allow(clippy::too_many_lines, reason = "a table of events")]
fn samples() -> Vec<Event> {
    let channel = Channel::Email;
    let address = || String::from("alice@example.org");
    let device = || DeviceFields {
        of_kind: "address".into(),
        label: "192.0.2.7".into(),
    };
    let name = || String::from("relay");
    let exemption = || ExemptionFields {
        id: 1,
        group: Some("robots".into()),
        network: Some("192.0.2.0/24".into()),
        service: Some("sshd".into()),
        seconds: Some(60),
        reason: "backups".into(),
    };
    vec![
        Event::Passed {
            by: Proof::EnrolledAddress {
                channel,
                address: "a***e@example.org".into(),
            },
        },
        Event::Passed {
            by: Proof::TrustedDevice(device()),
        },
        Event::Refused {
            why: RefusalReason::Drifted { seconds: -60 },
        },
        Event::Refused {
            why: RefusalReason::Locked { until: Some(1) },
        },
        Event::Locked { failures: 5 },
        Event::Unlocked { failures: 5 },
        Event::AppEnrolled(AppFields {
            label: "phone".into(),
            algorithm: "SHA1".into(),
            digits: 6,
            period: Some(30),
        }),
        Event::AddressEnrolled {
            channel,
            address: address(),
            attestation: Attestation::Confirmed,
            replaced: Some(address()),
        },
        Event::AddressRemoved {
            channel,
            address: address(),
            instead: Some(address()),
        },
        Event::Exempted(exemption()),
        Event::ExemptionEnded(exemption()),
        Event::UserChanged(UserChange::Address {
            channel,
            address: Some(address()),
        }),
        Event::UserChanged(UserChange::Verify {
            value: Verify::Never,
        }),
        Event::UserChanged(UserChange::Preferred {
            method: Some(twofa_core::Method::App),
        }),
        Event::CodeSent {
            channel,
            to: "a***e@example.org".into(),
            provider: name(),
            id: Some("1".into()),
            milliseconds: None,
            failed: Vec::new(),
        },
        Event::CodeNotSent {
            channel,
            to: "a***e@example.org".into(),
            why: NotSent::Undelivered {
                error: "no answer".into(),
                failed: vec![name()],
            },
        },
        Event::ProviderAdded {
            name: name(),
            of_kind: "smtp".into(),
            channel,
        },
        Event::ProviderChanged {
            name: name(),
            settings: vec!["host".into(), "port".into()],
        },
        Event::ProviderRemoved {
            name: name(),
            of_kind: "smtp".into(),
        },
        Event::ProviderOrderChanged {
            channel,
            order: vec![name()],
        },
        Event::HostAdded {
            name: name(),
            services: "sshd,sudo".into(),
            people: Some("staff".into()),
            may_enrol: false,
        },
        Event::HostPeopleLimit {
            name: name(),
            people: 1000,
        },
        Event::HostCutOff {
            name: name(),
            people: 21,
        },
        Event::HostUnlocked { name: name() },
        Event::RowAltered {
            table: "setting".into(),
            row: "mode".into(),
        },
        Event::RescueShown {
            name: name(),
            reason: "disk full".into(),
        },
        Event::RescueUsed {
            name: name(),
            of_user: "root".into(),
            of_service: "login".into(),
            since: 1,
        },
        Event::HostJoined {
            name: name(),
            join_key: Some("web".into()),
        },
        Event::HostSilent { name: name() },
        Event::JoinKeyAdded {
            name: name(),
            names: "web-*".into(),
            services: "sshd".into(),
            people: Some("staff".into()),
            may_enrol: false,
            uses: 5,
            until: 1,
        },
        Event::JoinKeyRemoved { name: name() },
        Event::HostRemoved { name: name() },
        Event::HostReadmitted { name: name() },
        Event::HostRenewed { name: name() },
        Event::HostCopied { name: name() },
        Event::ServerAdded { name: name() },
        Event::ServerJoined { name: name() },
        Event::SealingKeyAdded { number: 2 },
        Event::SealedAgain {
            number: 2,
            values: 3,
        },
        Event::CaRotationStarted { authority: name() },
        Event::CaRotationOpened { authority: name() },
        Event::CaRotationFinished { hosts: 2 },
        Event::ServerRemoved { name: name() },
        Event::FleetJoined { name: name() },
        Event::FleetLeft { name: name() },
        Event::FleetResumed { since: Some(1) },
        Event::DeviceTrusted {
            device: device(),
            until: 1,
        },
        Event::TrustRenewed {
            device: device(),
            until: 1,
        },
        Event::DeviceRevoked { device: device() },
        Event::DevicesRevoked { count: 2 },
        Event::PasswordChanged { count: 2 },
        Event::SessionEnded {
            session: SessionFields {
                number: 1,
                of_service: "sshd".into(),
                place: Some("192.0.2.7".into()),
            },
            why: SessionEnd::Lifetime,
        },
        Event::SessionEndAsked {
            session: SessionFields {
                number: 1,
                of_service: "sshd".into(),
                place: Some("192.0.2.7".into()),
            },
            on_host: name(),
        },
        Event::SmsLimit {
            alarm: SmsAlarm::Most,
            all: 1,
            unverified: 1,
            limit: 2,
        },
    ]
}
