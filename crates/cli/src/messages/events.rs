//! What the audit log says of each event, beside its kind.

use twofa_broker::admin::log::{AppFields, Event, ExemptionFields, NotSent, Record, SmsCount};
use twofa_broker::{events, words};
use twofa_core::app::{Algorithm, OtpKind, Parameters};
use twofa_core::duration::Duration;
use twofa_core::{Channel, Timestamp};

/// What was logged at `at`; `None`: the kind says it all.
pub(crate) fn detail(record: &Record, at: Timestamp) -> Option<String> {
    match record {
        Record::Event(event) => of_event(event, at),
        Record::Text(text) => Some(text.clone()).filter(|text| !text.is_empty()),
    }
}

fn of_event(event: &Event, at: Timestamp) -> Option<String> {
    Some(match event {
        Event::Passed { by } => events::proof(by),
        Event::Refused { why } => events::refusal(*why, at),
        Event::Locked { failures } | Event::Unlocked { failures } => {
            format!("after {failures} wrong codes in a row")
        }
        Event::AppEnrolled(app) => of_app(app),
        Event::AppRemoved { label } => format!("'{label}'"),
        Event::AddressEnrolled { replaced, .. } => of_change(event, replaced.as_deref())?,
        Event::AddressRemoved { address, .. } => of_change(event, Some(address))?,
        Event::UserChanged(_) => of_change(event, None)?,
        Event::PolicyChanged { what, from, to } => {
            format!(
                "{what} from {} to {}",
                value(from.as_deref()),
                value(to.as_deref())
            )
        }
        Event::Exempted(exemption) | Event::ExemptionEnded(exemption) => of_exemption(exemption),
        Event::CodeSent {
            channel,
            to,
            provider,
            id,
        } => {
            let id = id.as_ref().map_or(String::new(), |id| format!(" as {id}"));
            format!("{} by '{provider}'{id}", destination(*channel, to))
        }
        Event::CodeNotSent { channel, to, why } => {
            let why = match why {
                NotSent::LimitReached => "the limit is reached",
                NotSent::Undelivered { error } => error,
            };
            format!("{}: {why}", destination(*channel, to))
        }
        Event::ProviderAdded {
            name,
            of_kind,
            channel,
        } => format!("'{name}' ({of_kind}), for {channel}"),
        Event::ProviderChanged { name, settings } => format!("'{name}': {}", settings.join(", ")),
        Event::ProviderRemoved { name, of_kind } => format!("'{name}' ({of_kind})"),
        Event::ProviderOrderChanged { channel, order } if order.is_empty() => {
            format!("{channel}: none")
        }
        Event::ProviderOrderChanged { channel, order } => {
            format!("{channel}: {}", order.join(", "))
        }
        Event::SmsLimit {
            alarm,
            all,
            unverified,
            limit,
        } => {
            let (all, unverified) = (*all, *unverified);
            words::log_lines::sms_alarm(*alarm, SmsCount { all, unverified }, *limit)
        }
        Event::BackupCodeUsed
        | Event::BackupCodesMade
        | Event::BackupCodesReplaced
        | Event::BackupCodesRemoved
        | Event::Required
        | Event::Released
        | Event::Reset
        | Event::UserAdded
        | Event::UserRemoved => return None,
    })
}

/// With the address that was the method until then, if it is a method no longer.
fn of_change(event: &Event, old: Option<&str>) -> Option<String> {
    let change = events::change(event)?;
    Some(match old {
        Some(old) => format!("{change}; it was {old}"),
        None => change,
    })
}

fn of_app(app: &AppFields) -> String {
    let AppFields {
        label,
        algorithm,
        digits,
        period,
    } = app;
    let kind = period.map_or(OtpKind::Counter, |period| OtpKind::Time { period });
    let parameters = algorithm
        .parse::<Algorithm>()
        .ok()
        .and_then(|algorithm| Parameters::new(kind, algorithm, *digits).ok());
    parameters.map_or_else(
        || format!("'{label}'"),
        |parameters| format!("'{label}', {parameters}"),
    )
}

fn of_exemption(exemption: &ExemptionFields) -> String {
    let ExemptionFields {
        id,
        group,
        network,
        service,
        seconds,
        reason,
    } = exemption;
    let part = |word: &str, text: &Option<String>| {
        text.as_ref()
            .map_or(String::new(), |text| format!(" {word} {text}"))
    };
    let until = seconds.map_or_else(
        || "without end".to_owned(),
        |seconds| format!("for {}", Duration::from_seconds(seconds)),
    );
    format!(
        "number {id}{} {until}{}{}: {reason}",
        part("of group", group),
        part("from", network),
        part("at", service)
    )
}

fn value(value: Option<&str>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| format!("'{value}'"))
}

fn destination(channel: Channel, to: &str) -> String {
    format!("{} to {to}", channel.noun())
}

#[cfg(test)]
mod tests {
    use super::*;
    use twofa_broker::admin::log::{Attestation, Proof, RefusalReason, SmsAlarm, UserChange};
    use twofa_core::user::Verify;

    fn exemption() -> ExemptionFields {
        ExemptionFields {
            id: 3,
            group: Some("robots".into()),
            network: Some("2001:db8::/32".into()),
            service: Some("sshd".into()),
            seconds: Some(86_400),
            reason: "backups".into(),
        }
    }

    #[test]
    fn each_event_is_told_as_it_always_was() {
        let (channel, address) = (Channel::Email, String::from("alice@example.org"));
        let to = String::from("a***e@example.org");
        let name = String::from("relay");
        let events = [
            (
                Event::Passed {
                    by: Proof::App {
                        label: "dad's phone".into(),
                    },
                },
                "app 'dad's phone'",
            ),
            (
                Event::Passed {
                    by: Proof::SentCode { channel },
                },
                "e-mail code",
            ),
            (
                Event::Passed {
                    by: Proof::EnrolledAddress {
                        channel: Channel::Sms,
                        address: "+49********56".into(),
                    },
                },
                "by enrolling text message to +49********56",
            ),
            (
                Event::Refused {
                    why: RefusalReason::Drifted { seconds: -90 },
                },
                "a code from 90 s behind: the clock of the phone or of this machine is wrong",
            ),
            (
                Event::Locked { failures: 5 },
                "after 5 wrong codes in a row",
            ),
            (
                Event::AppEnrolled(AppFields {
                    label: "phone".into(),
                    algorithm: "SHA1".into(),
                    digits: 6,
                    period: Some(30),
                }),
                "'phone', TOTP SHA1, 6 digits, 30 s",
            ),
            (
                Event::AddressEnrolled {
                    channel,
                    address: address.clone(),
                    attestation: Attestation::Confirmed,
                    replaced: Some("old@example.org".into()),
                },
                "email is alice@example.org, verified; it was old@example.org",
            ),
            (
                Event::AddressRemoved {
                    channel,
                    address,
                    instead: None,
                },
                "email is removed; it was alice@example.org",
            ),
            (
                Event::UserChanged(UserChange::Verify {
                    value: Verify::Never,
                }),
                "verify is never",
            ),
            (
                Event::UserChanged(UserChange::Preferred { method: None }),
                "logins begin with no method in particular",
            ),
            (
                Event::PolicyChanged {
                    what: "class admins".into(),
                    from: None,
                    to: Some("group sudo".into()),
                },
                "class admins from nothing to 'group sudo'",
            ),
            (
                Event::Exempted(exemption()),
                "number 3 of group robots for 1d from 2001:db8::/32 at sshd: backups",
            ),
            (
                Event::ExemptionEnded(ExemptionFields {
                    group: None,
                    network: None,
                    service: None,
                    seconds: None,
                    ..exemption()
                }),
                "number 3 without end: backups",
            ),
            (
                Event::CodeSent {
                    channel,
                    to: to.clone(),
                    provider: name.clone(),
                    id: Some("250 queued".into()),
                },
                "e-mail to a***e@example.org by 'relay' as 250 queued",
            ),
            (
                Event::CodeNotSent {
                    channel,
                    to,
                    why: NotSent::LimitReached,
                },
                "e-mail to a***e@example.org: the limit is reached",
            ),
            (
                Event::ProviderAdded {
                    name: name.clone(),
                    of_kind: "smtp".into(),
                    channel,
                },
                "'relay' (smtp), for email",
            ),
            (
                Event::ProviderChanged {
                    name,
                    settings: vec!["host".into(), "title".into()],
                },
                "'relay': host, title",
            ),
            (
                Event::ProviderOrderChanged {
                    channel,
                    order: Vec::new(),
                },
                "email: none",
            ),
        ];
        for (event, expected) in events {
            let record = Record::Event(Box::new(event));
            let detail = detail(&record, Timestamp::from_unix(0));
            assert_eq!(detail.as_deref(), Some(expected));
        }
        let alarm = Event::SmsLimit {
            alarm: SmsAlarm::Most,
            all: 8,
            unverified: 0,
            limit: 10,
        };
        let detail = of_event(&alarm, Timestamp::from_unix(0)).unwrap();
        assert!(detail.contains("24 hours: 8, and send.sms-daily=10 is soon reached"));
    }

    #[test]
    fn what_an_earlier_version_wrote_is_shown_as_it_is() {
        let now = Timestamp::from_unix(0);
        let text = |text: &str| detail(&Record::Text(text.into()), now);
        assert_eq!(text("verify is never").as_deref(), Some("verify is never"));
        assert_eq!(text(""), None);
    }
}
