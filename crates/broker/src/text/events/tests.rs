use super::*;
use crate::testing::{Bench, clock};
use twofa_core::{Channel, Method};
use twofa_store::event::{
    AppFields, DeviceFields, ExemptionFields, NotSent, SessionEnd, SessionFields, SmsAlarm,
};

const MAIL: &str = "alice@example.org";
const CHANNEL: Channel = Channel::Email;

/// Events of every kind, and the sentence that their user is sent of each. Where it depends on the fields, of each case.
fn events() -> Vec<(Event, Option<&'static str>)> {
    let mut events = events_of_methods();
    events.extend(events_of_administration());
    events
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn events_of_methods() -> Vec<(Event, Option<&'static str>)> {
    let label = String::from("dad's phone', old");
    let app = AppFields {
        label: label.clone(),
        algorithm: "SHA1".into(),
        digits: 6,
        period: Some(30),
    };
    let enrolled = |channel| Event::AddressEnrolled {
        channel,
        address: "new".into(),
        attestation: Attestation::Confirmed,
        replaced: None,
    };
    let removed = |channel| Event::AddressRemoved {
        channel,
        address: "old".into(),
        instead: None,
    };
    let verify = |value| Event::UserChanged(UserChange::Verify { value });
    let why = RefusalReason::WrongCode;
    let by = Proof::SentCode { channel: CHANNEL };
    vec![
        (Event::Passed { by }, None),
        (
            Event::BackupCodeUsed,
            Some("A backup code was used to log in."),
        ),
        (Event::Refused { why }, None),
        (
            Event::Locked { failures: 5 },
            Some("Logins were locked after 5 wrong codes in a row."),
        ),
        (
            Event::AppEnrolled(app),
            Some("An authenticator app called 'dad's phone', old' was added."),
        ),
        (
            Event::SecurityKeyEnrolled {
                label: "blue".into(),
                fingerprint: "SHA256:x".into(),
            },
            Some("A security key called 'blue' was added."),
        ),
        (
            Event::SecurityKeyRemoved {
                label: "blue".into(),
            },
            Some("The security key called 'blue' was removed."),
        ),
        (
            Event::AppRemoved { label },
            Some("The authenticator app called 'dad's phone', old' was removed."),
        ),
        (
            enrolled(Channel::Email),
            Some("A new e-mail address for codes was set."),
        ),
        (
            enrolled(Channel::Sms),
            Some("A new phone number for codes was set."),
        ),
        (
            removed(Channel::Email),
            Some("The e-mail address for codes was removed."),
        ),
        (
            removed(Channel::Sms),
            Some("The phone number for codes was removed."),
        ),
        (Event::BackupCodesMade, None),
        (
            Event::BackupCodesReplaced,
            Some("New backup codes were made. The earlier ones no longer work."),
        ),
        (Event::BackupCodesRemoved, None),
        (
            verify(Verify::Never),
            Some("Logins no longer ask for a code unless the policy requires one."),
        ),
        (verify(Verify::NewDevice), None),
        (verify(Verify::Always), None),
        (
            Event::UserChanged(UserChange::Preferred {
                method: Some(Method::App),
            }),
            None,
        ),
        (
            Event::UserChanged(UserChange::Address {
                channel: CHANNEL,
                address: None,
            }),
            None,
        ),
    ]
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn events_of_administration() -> Vec<(Event, Option<&'static str>)> {
    let exemption = ExemptionFields {
        id: 1,
        group: None,
        network: None,
        service: None,
        seconds: None,
        reason: "new phone".into(),
    };
    let (name, of_kind) = (String::from("relay"), String::from("smtp"));
    let address = DeviceFields {
        of_kind: "address".into(),
        label: "192.0.2.7".into(),
    };
    vec![
        (Event::Required, None),
        (Event::Released, None),
        (Event::Unlocked { failures: 5 }, None),
        (
            Event::Reset,
            Some("An administrator reset your second factor. It must be set up again."),
        ),
        (
            Event::UserRemoved,
            Some("Your second factor was removed by an administrator."),
        ),
        (
            Event::PolicyChanged {
                what: "mode".into(),
                from: None,
                to: None,
            },
            None,
        ),
        (Event::Exempted(exemption.clone()), None),
        (Event::ExemptionEnded(exemption), None),
        (Event::UserAdded, None),
        (Event::UserInvited { until: 1 }, None),
        (
            Event::UserMerged {
                from: vec![name.clone()],
                apps: 1,
            },
            None,
        ),
        (
            Event::CodeSent {
                channel: CHANNEL,
                to: "a***e".into(),
                provider: name.clone(),
                id: None,
                milliseconds: None,
                failed: Vec::new(),
            },
            None,
        ),
        (
            Event::CodeNotSent {
                channel: CHANNEL,
                to: "a***e".into(),
                why: NotSent::LimitReached,
            },
            None,
        ),
        (
            Event::ProviderAdded {
                name: name.clone(),
                of_kind: of_kind.clone(),
                channel: CHANNEL,
            },
            None,
        ),
        (
            Event::ProviderChanged {
                name: name.clone(),
                settings: Vec::new(),
            },
            None,
        ),
        (
            Event::HostAdded {
                name: name.clone(),
                services: String::new(),
                people: None,
                may_enrol: false,
            },
            None,
        ),
        (
            Event::HostPeopleLimit {
                name: name.clone(),
                people: 1000,
            },
            None,
        ),
        (
            Event::HostCutOff {
                name: name.clone(),
                people: 21,
            },
            None,
        ),
        (Event::HostUnlocked { name: name.clone() }, None),
        (
            Event::RowAltered {
                table: "setting".into(),
                row: "mode".into(),
            },
            None,
        ),
        (
            Event::RescueShown {
                name: name.clone(),
                reason: "disk full".into(),
            },
            None,
        ),
        (
            Event::RescueUsed {
                name: name.clone(),
                of_user: "root".into(),
                of_service: "login".into(),
                since: 1,
            },
            None,
        ),
        (
            Event::HostJoined {
                name: name.clone(),
                join_key: None,
            },
            None,
        ),
        (Event::HostSilent { name: name.clone() }, None),
        (
            Event::JoinKeyAdded {
                name: name.clone(),
                names: "web-*".into(),
                services: String::new(),
                people: None,
                may_enrol: false,
                uses: 5,
                until: 1,
            },
            None,
        ),
        (Event::JoinKeyRemoved { name: name.clone() }, None),
        (Event::HostRemoved { name: name.clone() }, None),
        (Event::HostReadmitted { name: name.clone() }, None),
        (Event::HostRenewed { name: name.clone() }, None),
        (Event::HostCopied { name: name.clone() }, None),
        (Event::ServerAdded { name: name.clone() }, None),
        (Event::ServerJoined { name: name.clone() }, None),
        (Event::SealingKeyAdded { number: 2 }, None),
        (
            Event::SealedAgain {
                number: 2,
                values: 3,
            },
            None,
        ),
        (
            Event::CaRotationStarted {
                authority: "00".to_owned(),
            },
            None,
        ),
        (
            Event::CaRotationOpened {
                authority: "00".to_owned(),
            },
            None,
        ),
        (Event::CaRotationFinished { hosts: 2 }, None),
        (Event::ServerRemoved { name: name.clone() }, None),
        (Event::FleetJoined { name: name.clone() }, None),
        (Event::FleetLeft { name: name.clone() }, None),
        (Event::FleetResumed { since: Some(1) }, None),
        (Event::ProviderRemoved { name, of_kind }, None),
        (
            Event::ProviderOrderChanged {
                channel: CHANNEL,
                order: Vec::new(),
            },
            None,
        ),
        (
            Event::DeviceTrusted {
                device: address.clone(),
                until: 1,
            },
            Some("A code was right, and no code is asked for from now on from address 192.0.2.7."),
        ),
        (
            Event::TrustRenewed {
                device: address.clone(),
                until: 1,
            },
            None,
        ),
        (Event::DeviceRevoked { device: address }, None),
        (Event::DevicesRevoked { count: 2 }, None),
        (Event::PasswordChanged { count: 2 }, None),
        (
            Event::SessionEnded {
                session: SessionFields {
                    number: 1,
                    of_service: "sshd".into(),
                    place: None,
                },
                why: SessionEnd::Lifetime,
            },
            None,
        ),
        (
            Event::SessionEndAsked {
                session: SessionFields {
                    number: 1,
                    of_service: "sshd".into(),
                    place: None,
                },
                on_host: "web1".into(),
            },
            None,
        ),
        (
            Event::SummedUp {
                of_kind: "refused".into(),
                count: 2,
                other_places: 0,
                since: 0,
                until: 1,
                digest: String::new(),
            },
            None,
        ),
        (
            Event::LogPruned {
                through: 1,
                before: 1,
            },
            None,
        ),
        (Event::LogKeyMade { checkpoint: 1 }, None),
        (
            Event::Reported {
                class: "everyone".into(),
                outcome: twofa_store::event::ReportedOutcome::Asked,
            },
            None,
        ),
        (Event::ReportsMissed { count: 1, since: 0 }, None),
        (
            Event::UnprovedRefused {
                reason: twofa_store::event::UnprovedReason::NoCode,
                count: 1,
                since: 0,
            },
            None,
        ),
        (
            Event::SmsLimit {
                alarm: SmsAlarm::All,
                all: 1,
                unverified: 1,
                limit: 1,
            },
            None,
        ),
    ]
}

/// Serde names every variant when it is asked for one that does not exist.
fn kinds() -> usize {
    let error = serde_json::from_str::<Event>(r#"{"kind": ""}"#).unwrap_err();
    let expected = error.to_string();
    expected
        .split_once("one of")
        .unwrap()
        .1
        .matches('`')
        .count()
        / 2
}

#[test]
fn each_kind_of_event_makes_its_notice_or_none() {
    let events = events();
    let named: std::collections::HashSet<_> = events
        .iter()
        .map(|(event, _)| std::mem::discriminant(event))
        .collect();
    assert_eq!(named.len(), kinds(), "an event is missing here");
    let bench = Bench::new().with(CHANNEL, MAIL);
    for (event, expected) in events {
        bench
            .store
            .record(Some(&bench.alice), &event, &bench.origin, clock())
            .unwrap();
        let told: Vec<_> = bench
            .store
            .claim_notices(clock(), 10)
            .unwrap()
            .into_iter()
            .map(|queued| {
                bench.store.notice_sent(queued.id).unwrap();
                notice(&queued.record, &queued.source)
            })
            .collect();
        assert_eq!(told, expected.as_slice(), "{event:?}");
    }
}

#[test]
fn a_backup_code_for_a_change_is_not_a_login() {
    let record = Record::Event(Box::new(Event::BackupCodeUsed));
    let source = NoticeSource::CommandLine;
    let expected = "A backup code was used to allow a change.";
    assert_eq!(notice(&record, &source), expected);
    let from = notice_source(&source);
    assert_eq!(from.as_deref(), Some("the command line of this machine"));
}

#[test]
fn a_sentence_that_an_earlier_version_queued_is_sent_as_it_is() {
    let what = "An authenticator app called 'phone' was added.";
    let source = NoticeSource::Login(Some("192.0.2.7".into()));
    assert_eq!(notice(&Record::Text(what.into()), &source), what);
    assert_eq!(notice_source(&source).as_deref(), Some("192.0.2.7"));
}
