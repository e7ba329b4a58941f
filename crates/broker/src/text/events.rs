//! Events as people read them: why something was refused, what a notice says, what somebody changed.

use twofa_core::Timestamp;
use twofa_core::user::Verify;
use twofa_store::Event;
use twofa_store::event::{Attestation, NoticeSource, Proof, Record, RefusalReason, UserChange};

use super::messages;

/// Why somebody was refused, for the system log and the audit log.
pub fn refusal(why: RefusalReason, now: Timestamp) -> String {
    let text = match why {
        RefusalReason::WrongCode => "a wrong code",
        RefusalReason::Replayed => "a code that was used already",
        RefusalReason::ClockWentBack => {
            "a code of the present after one of the future: the clock of this machine went back"
        }
        RefusalReason::TokenAhead => "the token ran ahead, its next code is needed",
        RefusalReason::Drifted { seconds } => {
            let direction = if seconds < 0 { "behind" } else { "ahead" };
            let off = seconds.unsigned_abs();
            return format!(
                "a code from {off} s {direction}: the clock of the phone or of this machine is wrong"
            );
        }
        RefusalReason::SentCodeExpired => "a code that was sent too long ago",
        RefusalReason::MethodRemoved => "a code by a method that was disallowed meanwhile",
        RefusalReason::AddressChanged => "the address was changed meanwhile",
        RefusalReason::UnknownBackupCode => "no backup code, or one that was used",
        RefusalReason::BackupCodeJustUsed => "a backup code that was just used",
        RefusalReason::NothingToVerify => "there was no code in the answer",
        RefusalReason::UserRemoved => "the user was removed meanwhile",
        RefusalReason::NoCodeEntered => "no code was entered",
        RefusalReason::GivenUp => {
            "the first factor was right, and the login was given up at the code"
        }
        RefusalReason::NotAskedBySshd => {
            "a second factor is needed and sshd cannot ask for one after a key alone or by its method \
             'password': set 'AuthenticationMethods publickey,keyboard-interactive' and \
             'KbdInteractiveAuthentication yes'"
        }
        RefusalReason::NotAskedBySudo => {
            "a second factor is needed and sudo did not authenticate (NOPASSWD, or within its timestamp): \
             leave the account line out of its stack, or add the argument 'challenge' to it"
        }
        RefusalReason::NotAsked => {
            "a second factor is needed and the program did not authenticate: add the argument 'challenge' \
             to the account line where it can ask"
        }
        RefusalReason::NotConfirmed => "the user was asked to enrol and did not",
        RefusalReason::NoMethod => {
            "the policy allows only methods for which no provider is set up: see 'twofa provider add'"
        }
        RefusalReason::OutOfReach => {
            "an address on file must prove the user, and no provider sends codes there: see \
             'twofa provider add'"
        }
        RefusalReason::MethodsChanged => "the user's methods changed during the login",
        RefusalReason::NotEnrolled => {
            "a second factor is required, nothing is enrolled, and enrolment=beforehand"
        }
        RefusalReason::NotAllowed => {
            "the enrolled method is no longer allowed, and enrolment=beforehand"
        }
        RefusalReason::Locked { until } => {
            return until.map(Timestamp::from_unix).map_or_else(
                || "locked until an administrator unlocks it".to_owned(),
                |until| format!("locked until {}", messages::moment(until, now)),
            );
        }
        RefusalReason::IdentityMismatch => {
            "a second factor is registered for a different account with this name or user ID: see 'twofa user list', \
             and 'twofa user remove' the old account or 'twofa user add' the new one"
        }
    };
    text.to_owned()
}

/// What somebody showed who passed, for the audit log.
pub fn proof(by: &Proof) -> String {
    match by {
        Proof::App { label } => format!("app '{label}'"),
        Proof::SentCode { channel } => channel.method().info().noun.to_owned(),
        Proof::EnrolledApp { label } => format!("by enrolling '{label}'"),
        Proof::EnrolledAddress { channel, address } => {
            format!("by enrolling {} to {address}", channel.noun())
        }
    }
}

/// What a user is told who may not have done it, a whole sentence.
pub fn notice(record: &Record, source: &NoticeSource) -> String {
    match record {
        Record::Event(event) => event_notice(event, source),
        // A sentence that an earlier version queued.
        Record::Text(text) => text.clone(),
    }
}

fn event_notice(event: &Event, source: &NoticeSource) -> String {
    let text = match event {
        Event::AppEnrolled(app) => {
            return format!("An authenticator app called '{}' was added.", app.label);
        }
        Event::AppRemoved { label } => {
            return format!("The authenticator app called '{label}' was removed.");
        }
        Event::Locked { failures } => {
            return format!("Logins were locked after {failures} wrong codes in a row.");
        }
        Event::AddressEnrolled { channel, .. } => {
            return format!("A new {} for codes was set.", channel.address_kind().noun());
        }
        Event::AddressRemoved { channel, .. } => {
            return format!(
                "The {} for codes was removed.",
                channel.address_kind().noun()
            );
        }
        Event::BackupCodeUsed => match source {
            NoticeSource::CommandLine => "A backup code was used to allow a change.",
            NoticeSource::Login(_) => "A backup code was used to log in.",
        },
        Event::BackupCodesReplaced => {
            "New backup codes were made. The earlier ones no longer work."
        }
        Event::Reset => "An administrator reset your second factor. It must be set up again.",
        Event::UserRemoved => "Your second factor was removed by an administrator.",
        Event::UserChanged(UserChange::Verify {
            value: Verify::Never,
        }) => "Logins no longer ask for a code, where nothing requires it.",
        // The store queues no notice of these (`Event::is_noticed`). If one came, its user should still look.
        Event::Passed { .. }
        | Event::Refused { .. }
        | Event::BackupCodesMade
        | Event::BackupCodesRemoved
        | Event::Required
        | Event::Released
        | Event::Unlocked { .. }
        | Event::PolicyChanged { .. }
        | Event::Exempted(_)
        | Event::ExemptionEnded(_)
        | Event::UserAdded
        | Event::UserChanged(_)
        | Event::CodeSent { .. }
        | Event::CodeNotSent { .. }
        | Event::ProviderAdded { .. }
        | Event::ProviderChanged { .. }
        | Event::ProviderRemoved { .. }
        | Event::ProviderOrderChanged { .. }
        | Event::SmsLimit { .. } => "Your second factor was changed.",
    };
    text.to_owned()
}

/// Where that came from, if it is known.
pub fn notice_source(source: &NoticeSource) -> Option<String> {
    match source {
        NoticeSource::Login(place) => place.clone(),
        NoticeSource::CommandLine => Some("the command line of this machine".to_owned()),
    }
}

/// What somebody changed of their settings, or an administrator for them; of other events nothing.
pub fn change(event: &Event) -> Option<String> {
    Some(match event {
        Event::AddressEnrolled {
            channel,
            address,
            attestation,
            ..
        } => {
            let why = match attestation {
                Attestation::Confirmed => "verified",
                Attestation::Administrator => "attested by an administrator",
            };
            format!("{} is {address}, {why}", channel.info().setting)
        }
        Event::AddressRemoved {
            channel,
            instead: address,
            ..
        }
        | Event::UserChanged(UserChange::Address { channel, address }) => match address {
            Some(address) => format!("{} is {address}, not verified yet", channel.info().setting),
            None => format!("{} is removed", channel.info().setting),
        },
        Event::Required => "a second factor must be set up at the next login".to_owned(),
        Event::UserChanged(UserChange::Verify { value }) => format!("verify is {value}"),
        Event::UserChanged(UserChange::Preferred { method }) => match method {
            Some(method) => format!("logins begin with {method}"),
            None => "logins begin with no method in particular".to_owned(),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, clock};
    use twofa_core::{Channel, Method};
    use twofa_store::event::{AppFields, ExemptionFields, NotSent, SmsAlarm};

    const MAIL: &str = "alice@example.org";
    const CHANNEL: Channel = Channel::Email;

    /// Events of every kind, and the sentence that their user is sent of each. Where it depends on the fields, of each case.
    fn events() -> Vec<(Event, Option<&'static str>)> {
        let mut events = events_of_methods();
        events.extend(events_of_administration());
        events
    }

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
                Some("Logins no longer ask for a code, where nothing requires it."),
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
            (
                Event::CodeSent {
                    channel: CHANNEL,
                    to: "a***e".into(),
                    provider: name.clone(),
                    id: None,
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
            (Event::ProviderRemoved { name, of_kind }, None),
            (
                Event::ProviderOrderChanged {
                    channel: CHANNEL,
                    order: Vec::new(),
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

    /// Serde names every variant when it is asked for one that there is not.
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
    fn a_backup_code_for_a_change_was_no_login() {
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
}
