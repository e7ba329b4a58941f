//! What the audit log says of each event, beside its kind.

use twofa_broker::admin::log::{
    AppFields, DeviceFields, Event, ExemptionFields, NotSent, Record, ReportedOutcome, SessionEnd,
    SessionFields, SmsAlarm, SmsCount, UnprovedReason,
};
use twofa_broker::text::events;
use twofa_broker::text::messages::log_lines::sms_alarm;
use twofa_broker::text::messages::moment;
use twofa_core::app::{Algorithm, OtpKind, Parameters};
use twofa_core::duration::Duration;
use twofa_core::{Channel, Timestamp};

/// What was logged at `at`; `None`: the kind says it all.
pub(crate) fn detail(record: &Record, at: Timestamp) -> Option<String> {
    match record {
        Record::Event(event) => event_detail(event, at),
        Record::Text(text) => Some(text.clone()).filter(|text| !text.is_empty()),
    }
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn event_detail(event: &Event, at: Timestamp) -> Option<String> {
    Some(match event {
        Event::Passed { by } => events::proof(by),
        Event::Refused { why } => events::refusal(*why, at),
        Event::Locked { failures } | Event::Unlocked { failures } => {
            format!("after {failures} wrong codes in a row")
        }
        Event::AppEnrolled(app) => app_detail(app),
        Event::AppRemoved { label } | Event::SecurityKeyRemoved { label } => format!("'{label}'"),
        Event::SecurityKeyEnrolled { label, fingerprint } => format!("'{label}' ({fingerprint})"),
        Event::AddressEnrolled { replaced, .. } => change_detail(event, replaced.as_deref())?,
        Event::AddressRemoved { address, .. } => change_detail(event, Some(address))?,
        Event::UserChanged(_) => change_detail(event, None)?,
        Event::PolicyChanged { what, from, to } => {
            let [from, to] = [from, to].map(|value| setting(value.as_deref()));
            format!("{what} from {from} to {to}")
        }
        Event::Exempted(exemption) | Event::ExemptionEnded(exemption) => {
            exemption_detail(exemption)
        }
        Event::Reported { class, outcome } => {
            format!("class {class}: {}", reported(*outcome))
        }
        Event::ReportsMissed { count, since } => {
            let since = moment(Timestamp::from_unix(*since), at);
            format!("{count} since {since}")
        }
        Event::UnprovedRefused {
            reason,
            count,
            since,
        } => unproved(*reason, *count, &moment(Timestamp::from_unix(*since), at)),
        Event::CodeSent {
            channel,
            to,
            provider,
            id,
            ..
        } => {
            let id = id.as_ref().map_or(String::new(), |id| format!(" as {id}"));
            format!("{} by '{provider}'{id}", destination(*channel, to))
        }
        Event::CodeNotSent { channel, to, why } => {
            format!("{}: {}", destination(*channel, to), not_sent(why))
        }
        Event::ProviderAdded {
            name,
            of_kind,
            channel,
        } => format!("'{name}' ({of_kind}), for {channel}"),
        Event::ProviderChanged { name, settings } => format!("'{name}': {}", settings.join(", ")),
        Event::ProviderRemoved { name, of_kind } => format!("'{name}' ({of_kind})"),
        Event::ProviderOrderChanged { channel, order } => provider_order(*channel, order),
        Event::HostAdded { name, .. }
        | Event::HostJoined {
            name,
            join_key: None,
        }
        | Event::HostRemoved { name }
        | Event::HostSilent { name }
        | Event::JoinKeyRemoved { name }
        | Event::HostReadmitted { name }
        | Event::HostRenewed { name }
        | Event::HostCopied { name }
        | Event::ServerAdded { name }
        | Event::ServerJoined { name }
        | Event::ServerRemoved { name }
        | Event::HostUnlocked { name }
        | Event::FleetJoined { name }
        | Event::FleetLeft { name } => format!("'{name}'"),
        Event::HostJoined {
            name,
            join_key: Some(key),
        } => format!("'{name}', with the join key '{key}'"),
        Event::JoinKeyAdded {
            name, names, uses, ..
        } => format!("'{name}', for up to {uses} hosts called {names}"),
        Event::SealingKeyAdded { number } => format!("key {number}"),
        Event::SealedAgain { number, values } => format!("{values} values, with key {number}"),
        Event::RowAltered { table, row } => format!("'{row}' in the table '{table}'"),
        Event::RescueShown { name, reason } => format!("'{name}': {reason}"),
        Event::RescueUsed {
            name,
            of_user,
            of_service,
            since,
        } => {
            let since = moment(Timestamp::from_unix(*since), at);
            format!("'{name}', by {of_user} at {of_service}, {since}")
        }
        Event::CaRotationStarted { authority } | Event::CaRotationOpened { authority } => {
            format!("SHA-256 {authority}")
        }
        Event::CaRotationFinished { hosts } => match hosts {
            0 => "no host was left behind".to_owned(),
            1 => "1 host was left behind".to_owned(),
            hosts => format!("{hosts} hosts were left behind"),
        },
        Event::HostPeopleLimit { name, people } => {
            format!(
                "'{name}' asked about {people} people within an hour, and may ask about no more"
            )
        }
        Event::HostCutOff { name, people } => {
            format!("'{name}', after wrong codes for {people} people within an hour")
        }
        Event::UserMerged { from, apps } => {
            let apps = match apps {
                1 => "1 app".to_owned(),
                apps => format!("{apps} apps"),
            };
            format!("from {}, {apps}", from.join(", "))
        }
        Event::UserInvited { until } => {
            format!("until {}", moment(Timestamp::from_unix(*until), at))
        }
        Event::FleetResumed { since } => since.map_or_else(
            || "it had no mark".to_owned(),
            |since| {
                let since = moment(Timestamp::from_unix(since), at);
                format!("written after {since} is lost")
            },
        ),
        Event::DeviceTrusted { device, until } | Event::TrustRenewed { device, until } => {
            trusted_until(device, *until, at)
        }
        Event::DeviceRevoked { device } => events::device_words(device),
        Event::DevicesRevoked { count } => format!("{count} of them"),
        Event::PasswordChanged { count } => format!("{count} trusted before"),
        Event::SessionEnded { session, why } => session_end(session, *why),
        Event::SessionEndAsked { session, on_host } => {
            format!("{} on {on_host}", session_name(session))
        }
        Event::SummedUp {
            of_kind,
            count,
            other_places,
            since,
            until,
            ..
        } => {
            let [since, until] = [since, until].map(|time| moment(Timestamp::from_unix(*time), at));
            let others = match other_places {
                0 => String::new(),
                1 => ", also from another place".to_owned(),
                places => format!(", also from {places} other places"),
            };
            format!("{of_kind} ×{count}, {since} to {until}{others}")
        }
        Event::LogPruned { through, before } => {
            let before = moment(Timestamp::from_unix(*before), at);
            format!("events up to number {through}, from before {before}")
        }
        Event::LogKeyMade { checkpoint } => format!("from checkpoint {checkpoint} on"),
        Event::SmsLimit {
            alarm,
            all,
            unverified,
            limit,
        } => sms_limit(*alarm, *all, *unverified, *limit),
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

/// Refusals in which the first factor may have been wrong; `since` is when the first of several was.
fn unproved(reason: UnprovedReason, count: u64, since: &str) -> String {
    let why = match reason {
        UnprovedReason::NoAccount => "there is no such account",
        UnprovedReason::NotPermitted => "a program that is not root asked about another account",
        UnprovedReason::NothingToShow => {
            "no code could be shown there, or the rules refuse the user"
        }
        UnprovedReason::NoCode => "no code was entered",
        UnprovedReason::WrongCode => "wrong code or password",
        UnprovedReason::Locked => "too many wrong codes before",
    };
    match count {
        1 => why.to_owned(),
        count => format!("{why} (×{count} since {since})"),
    }
}

/// What would have come of a login that was only reported.
pub(crate) const fn reported(outcome: ReportedOutcome) -> &'static str {
    match outcome {
        ReportedOutcome::Asked => "would have been asked for a code",
        ReportedOutcome::Trusted => "would not have been asked: from a trusted device",
        ReportedOutcome::Enrols => "would have had to enrol",
        ReportedOutcome::Replaces => "would have had to enrol an allowed method",
        ReportedOutcome::NoMethod => "would have been refused: no allowed method is enrolled",
        ReportedOutcome::NoProvider => {
            "would have been refused: no provider delivers codes of the user's methods"
        }
        ReportedOutcome::CannotAsk => "would have been refused: the program cannot ask for a code",
        ReportedOutcome::Locked => "would have been refused: locked",
        ReportedOutcome::IdentityMismatch => {
            "would have been refused: the account does not match the one on record"
        }
        ReportedOutcome::Exempt => "would have been exempt",
    }
}

fn trusted_until(device: &DeviceFields, until: i64, at: Timestamp) -> String {
    let until = moment(Timestamp::from_unix(until), at);
    format!("{} until {until}", events::device_words(device))
}

fn sms_limit(alarm: SmsAlarm, all: u32, unverified: u32, limit: u32) -> String {
    sms_alarm(alarm, SmsCount { all, unverified }, limit)
}

fn session_end(session: &SessionFields, why: SessionEnd) -> String {
    let why = match why {
        SessionEnd::Administrator => "by an administrator",
        SessionEnd::Lifetime => "it was over its lifetime",
        SessionEnd::Fleet => "by an administrator on a server of the fleet",
    };
    format!("{}: {why}", session_name(session))
}

fn session_name(session: &SessionFields) -> String {
    let SessionFields {
        number,
        of_service,
        place,
    } = session;
    let from = place.as_ref();
    let from = from.map_or(String::new(), |place| format!(" from {place}"));
    format!("session {number} of {of_service}{from}")
}

/// With the address that was the method until then, if it is a method no longer.
fn change_detail(event: &Event, old: Option<&str>) -> Option<String> {
    let change = events::change(event)?;
    Some(match old {
        Some(old) => format!("{change}; it was {old}"),
        None => change,
    })
}

fn app_detail(app: &AppFields) -> String {
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

fn exemption_detail(exemption: &ExemptionFields) -> String {
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

fn setting(value: Option<&str>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| format!("'{value}'"))
}

fn not_sent(why: &NotSent) -> &str {
    match why {
        NotSent::LimitReached => "the limit is reached",
        NotSent::Undelivered { error, .. } => error,
    }
}

fn provider_order(channel: Channel, order: &[String]) -> String {
    match order {
        [] => format!("{channel}: none"),
        order => format!("{channel}: {}", order.join(", ")),
    }
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

    #[track_caller]
    fn says(event: Event, expected: &str) {
        let detail = detail(&Record::Event(Box::new(event)), Timestamp::from_unix(0));
        assert_eq!(detail.as_deref(), Some(expected));
    }

    #[test]
    fn a_login_says_what_was_shown_or_why_it_was_refused() {
        let app = Proof::App {
            label: "dad's phone".into(),
        };
        says(Event::Passed { by: app }, "app 'dad's phone'");
        let code = Proof::SentCode {
            channel: Channel::Email,
        };
        says(Event::Passed { by: code }, "e-mail code");
        let enrolled = Proof::EnrolledAddress {
            channel: Channel::Sms,
            address: "+49********56".into(),
        };
        says(
            Event::Passed { by: enrolled },
            "by enrolling text message to +49********56",
        );
        let why = RefusalReason::Drifted { seconds: -90 };
        says(
            Event::Refused { why },
            "a code from 90 s behind: the clock of the phone or of this machine is wrong",
        );
        says(
            Event::Locked { failures: 5 },
            "after 5 wrong codes in a row",
        );
    }

    #[test]
    fn a_change_of_methods_and_settings_says_what_they_are_and_were() {
        says(
            Event::AppEnrolled(AppFields {
                label: "phone".into(),
                algorithm: "SHA1".into(),
                digits: 6,
                period: Some(30),
            }),
            "'phone', TOTP SHA1, 6 digits, 30 s",
        );
        let (channel, address) = (Channel::Email, String::from("alice@example.org"));
        says(
            Event::AddressEnrolled {
                channel,
                address: address.clone(),
                attestation: Attestation::Confirmed,
                replaced: Some("old@example.org".into()),
            },
            "email is alice@example.org, verified; it was old@example.org",
        );
        says(
            Event::AddressRemoved {
                channel,
                address,
                instead: None,
            },
            "email was removed; it was alice@example.org",
        );
        says(
            Event::UserChanged(UserChange::Verify {
                value: Verify::Never,
            }),
            "verify is never",
        );
        says(
            Event::UserChanged(UserChange::Preferred { method: None }),
            "logins begin with no particular method",
        );
    }

    #[test]
    fn what_is_sent_says_where_to_and_by_which_provider() {
        let (channel, to) = (Channel::Email, String::from("a***e@example.org"));
        says(
            Event::CodeSent {
                channel,
                to: to.clone(),
                provider: "relay".into(),
                id: Some("250 queued".into()),
                milliseconds: None,
                failed: Vec::new(),
            },
            "e-mail to a***e@example.org by 'relay' as 250 queued",
        );
        let why = NotSent::LimitReached;
        says(
            Event::CodeNotSent { channel, to, why },
            "e-mail to a***e@example.org: the limit is reached",
        );
        let alarm = Event::SmsLimit {
            alarm: SmsAlarm::Most,
            all: 8,
            unverified: 0,
            limit: 10,
        };
        let detail = event_detail(&alarm, Timestamp::from_unix(0)).unwrap();
        assert!(
            detail.contains("24 hours: 8, and the limit send.sms-daily=10 will soon be reached")
        );
    }

    #[test]
    fn what_administrators_do_says_what_changed() {
        says(
            Event::PolicyChanged {
                what: "class admins".into(),
                from: None,
                to: Some("group sudo".into()),
            },
            "class admins from nothing to 'group sudo'",
        );
        says(
            Event::Exempted(exemption()),
            "number 3 of group robots for 1d from 2001:db8::/32 at sshd: backups",
        );
        let general = ExemptionFields {
            group: None,
            network: None,
            service: None,
            seconds: None,
            ..exemption()
        };
        says(
            Event::ExemptionEnded(general),
            "number 3 without end: backups",
        );
        let (name, channel) = (String::from("relay"), Channel::Email);
        let added = Event::ProviderAdded {
            name: name.clone(),
            of_kind: "smtp".into(),
            channel,
        };
        says(added, "'relay' (smtp), for email");
        let settings = vec!["host".into(), "title".into()];
        says(
            Event::ProviderChanged { name, settings },
            "'relay': host, title",
        );
        let order = Vec::new();
        says(
            Event::ProviderOrderChanged { channel, order },
            "email: none",
        );
    }

    #[test]
    fn what_an_earlier_version_wrote_is_shown_as_it_is() {
        let now = Timestamp::from_unix(0);
        let text = |text: &str| detail(&Record::Text(text.into()), now);
        assert_eq!(text("verify is never").as_deref(), Some("verify is never"));
        assert_eq!(text(""), None);
    }
}
