//! Events as people read them: why something was refused, what a notice says, what somebody changed.

use twofa_core::user::Verify;
use twofa_core::{DeviceKind, Timestamp};
use twofa_store::Event;
use twofa_store::event::{
    Attestation, DeviceFields, NoticeSource, Proof, Record, RefusalReason, UserChange,
};

use super::messages::{self, reasons};

/// Why somebody was refused, for the system log and the audit log.
#[allow(clippy::too_many_lines, reason = "a table")]
pub fn refusal(why: RefusalReason, now: Timestamp) -> String {
    let text = match why {
        RefusalReason::WrongCode => "a wrong code",
        RefusalReason::Replayed => "a code that had already been used",
        RefusalReason::ClockWentBack => {
            "a code from now after one from the future: the clock of this machine was set back"
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
        RefusalReason::MethodRemoved => "a code from a method that is no longer allowed",
        RefusalReason::AddressChanged => "the address was changed in the meantime",
        RefusalReason::UnknownBackupCode => "not a backup code, or one that had already been used",
        RefusalReason::BackupCodeJustUsed => "a backup code that had just been used",
        RefusalReason::NothingToVerify => "there was no code in the answer",
        RefusalReason::UserRemoved => "the user was removed in the meantime",
        RefusalReason::NoCodeEntered => "no code was entered",
        RefusalReason::GivenUp => {
            "the first factor was correct, and the login was given up at the prompt for a code"
        }
        RefusalReason::NotAskedBySshd => {
            "a second factor is needed and sshd cannot ask for one after a key alone or with its 'password' method: \
             set 'KbdInteractiveAuthentication yes', 'PasswordAuthentication no' and AuthenticationMethods, see twofa-admin(7)"
        }
        RefusalReason::NotAskedBySudo => {
            "a second factor is needed and sudo did not authenticate (NOPASSWD, or within its timestamp): \
             leave the account line out of its stack, or add the argument 'challenge' to it"
        }
        RefusalReason::NotAsked => {
            "a second factor is needed and the program did not authenticate: remove the account line from its stack, or \
             add the argument 'challenge' to it where somebody can be asked"
        }
        RefusalReason::TrustEnded => reasons::TRUST_ENDED,
        RefusalReason::OnePrompt => {
            "this client has only one prompt, and a code must be sent or a method set up first"
        }
        RefusalReason::WrongInvitation => "the code typed is not the user's invitation",
        RefusalReason::UsedInvitation => "the invitation has been used",
        RefusalReason::ExpiredInvitation => "the invitation has expired: see 'twofa user invite'",
        RefusalReason::WrongRescueCode => {
            "not a rescue code of this host, or one that had already been used"
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
        Proof::BackupCode => "backup code".to_owned(),
        Proof::Server => "by the fleet".to_owned(),
        Proof::RescueCode => "rescue code".to_owned(),
        Proof::SecurityKey { label } => format!("security key '{label}'"),
        Proof::TrustedDevice(device) => format!("trusted {}", device_words(device)),
        Proof::EnrolledApp { label } => format!("by enrolling '{label}'"),
        Proof::EnrolledAddress { channel, address } => {
            format!("by enrolling {} to {address}", channel.noun())
        }
    }
}

/// A device in words, such as `address 192.0.2.7`.
pub fn device_words(device: &DeviceFields) -> String {
    let DeviceFields { of_kind, label } = device;
    match DeviceKind::named(of_kind) {
        Some(DeviceKind::Key | DeviceKind::Address | DeviceKind::Host) => {
            format!("{of_kind} {label}")
        }
        Some(DeviceKind::Seat) => format!("console {label}"),
        Some(DeviceKind::Session | DeviceKind::Terminal) | None => label.clone(),
    }
}

/// The sentence of a notice, for a user who may not have caused the event.
pub fn notice(record: &Record, source: &NoticeSource) -> String {
    match record {
        Record::Event(event) => event_notice(event, source),
        // A sentence that an earlier version queued.
        Record::Text(text) => text.clone(),
    }
}

fn added(what: &str, label: &str) -> String {
    format!("{what} called '{label}' was added.")
}

fn removed(what: &str, label: &str) -> String {
    format!("{what} called '{label}' was removed.")
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn event_notice(event: &Event, source: &NoticeSource) -> String {
    let text = match event {
        Event::AppEnrolled(app) => return added("An authenticator app", &app.label),
        Event::AppRemoved { label } => return removed("The authenticator app", label),
        Event::SecurityKeyEnrolled { label, .. } => return added("A security key", label),
        Event::SecurityKeyRemoved { label } => return removed("The security key", label),
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
        Event::DeviceTrusted { device, .. } => return device_notice(device),
        Event::BackupCodesReplaced => {
            "New backup codes were made. The earlier ones no longer work."
        }
        Event::RescueShown { name, reason } => {
            return format!(
                "An administrator had a rescue code for the host {name} shown: {reason}"
            );
        }
        Event::RescueUsed {
            name,
            of_user,
            of_service,
            ..
        } => {
            return format!(
                "A rescue code was used on the host {name}: {of_user} logged in at {of_service}."
            );
        }
        Event::Reset => "An administrator reset your second factor. It must be set up again.",
        Event::UserRemoved => "Your second factor was removed by an administrator.",
        Event::UserChanged(UserChange::Verify {
            value: Verify::Never,
        }) => "Logins no longer ask for a code unless the policy requires one.",
        // The store queues no notice of these (`Event::is_noticed`). If one came, its user should still look.
        Event::Passed { .. }
        | Event::Refused { .. }
        | Event::Reported { .. }
        | Event::ReportsMissed { .. }
        | Event::UnprovedRefused { .. }
        | Event::BackupCodesMade
        | Event::BackupCodesRemoved
        | Event::Required
        | Event::Released
        | Event::Unlocked { .. }
        | Event::PolicyChanged { .. }
        | Event::Exempted(_)
        | Event::ExemptionEnded(_)
        | Event::UserAdded
        | Event::UserInvited { .. }
        | Event::UserMerged { .. }
        | Event::UserChanged(_)
        | Event::CodeSent { .. }
        | Event::CodeNotSent { .. }
        | Event::ProviderAdded { .. }
        | Event::ProviderChanged { .. }
        | Event::ProviderRemoved { .. }
        | Event::ProviderOrderChanged { .. }
        | Event::HostAdded { .. }
        | Event::HostJoined { .. }
        | Event::HostRemoved { .. }
        | Event::HostSilent { .. }
        | Event::JoinKeyAdded { .. }
        | Event::JoinKeyRemoved { .. }
        | Event::HostReadmitted { .. }
        | Event::HostRenewed { .. }
        | Event::HostCopied { .. }
        | Event::ServerAdded { .. }
        | Event::ServerJoined { .. }
        | Event::ServerRemoved { .. }
        | Event::SealingKeyAdded { .. }
        | Event::SealedAgain { .. }
        | Event::RowAltered { .. }
        | Event::CaRotationStarted { .. }
        | Event::CaRotationOpened { .. }
        | Event::CaRotationFinished { .. }
        | Event::HostPeopleLimit { .. }
        | Event::HostCutOff { .. }
        | Event::HostUnlocked { .. }
        | Event::FleetJoined { .. }
        | Event::FleetLeft { .. }
        | Event::FleetResumed { .. }
        | Event::TrustRenewed { .. }
        | Event::DeviceRevoked { .. }
        | Event::DevicesRevoked { .. }
        | Event::PasswordChanged { .. }
        | Event::SessionEnded { .. }
        | Event::SessionEndAsked { .. }
        | Event::SummedUp { .. }
        | Event::LogPruned { .. }
        | Event::LogKeyMade { .. }
        | Event::SmsLimit { .. } => "Your second factor was changed.",
    };
    text.to_owned()
}

fn device_notice(device: &DeviceFields) -> String {
    let device = device_words(device);
    format!("A code was right, and no code is asked for from now on from {device}.")
}

/// Where that came from, if it is known.
pub fn notice_source(source: &NoticeSource) -> Option<String> {
    match source {
        NoticeSource::Login(place) => place.clone(),
        NoticeSource::CommandLine => Some("the command line of this machine".to_owned()),
    }
}

/// What a user, or an administrator for them, changed in the settings; `None` for other events.
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
            None => format!("{} was removed", channel.info().setting),
        },
        Event::Required => "a second factor must be set up at the next login".to_owned(),
        Event::UserChanged(UserChange::Verify { value }) => format!("verify is {value}"),
        Event::UserChanged(UserChange::Preferred { method }) => match method {
            Some(method) => format!("logins begin with {method}"),
            None => "logins begin with no particular method".to_owned(),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
