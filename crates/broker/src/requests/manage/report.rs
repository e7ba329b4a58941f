//! The status of a user, as it is reported to the client.

use twofa_core::exemption::Exemption;
use twofa_core::user::{Contact, EnrolledApp, SecurityKey};
use twofa_core::{Channel, Lock, Status, Timestamp};
use twofa_proto::{
    AppReport, ContactReport, ExemptionReport, SecurityKeyReport, UserReport, UserStatus,
};
use twofa_store::StoredExemption;

use crate::context::Context;
use crate::text::{explain, messages};

/// The person's record, without secrets.
pub(super) fn record(context: Context<'_>) -> UserReport {
    let Context {
        account, person, ..
    } = context;
    let (user, now) = (context.user(), context.now());
    UserReport {
        user: account.name.clone(),
        uid: account.uid,
        status: user_status(person.status(account, now)),
        class: person.class.clone(),
        verify: user.verify.to_string(),
        email: user.contacts[Channel::Email].as_ref().map(contact),
        phone: user.contacts[Channel::Sms].as_ref().map(contact),
        methods: user
            .methods(person.policy.methods)
            .iter()
            .map(|method| method.name().to_owned())
            .collect(),
        exemptions: person
            .exemptions(account, now)
            .into_iter()
            .map(exemption)
            .collect(),
        required: user.required,
        failures: user.throttle.failures(),
        apps: user.apps.iter().map(app_report).collect(),
        trust: person
            .trusted_kinds()
            .into_iter()
            .map(|(kind, duration)| (kind.name().to_owned(), duration.seconds()))
            .collect(),
        security_keys: user.security_keys.iter().map(key_report).collect(),
        void_codes_shown_at: person.snapshot.codes_shown_at.map(Timestamp::unix),
        difference: person
            .snapshot
            .identity_mismatch
            .as_ref()
            .map(|record| explain::difference(account, record)),
        backup_codes_left: u32::try_from(user.backup_codes_left()).unwrap_or(u32::MAX),
    }
}

/// A status as the protocol has it.
pub const fn user_status(status: Status) -> UserStatus {
    match status {
        Status::Off => UserStatus::Off,
        Status::Reported => UserStatus::Reported,
        Status::Pending => UserStatus::Pending,
        Status::NotAllowed => UserStatus::NotAllowed,
        Status::Enabled => UserStatus::Enabled,
        Status::Locked(Lock::Until(until)) => UserStatus::LockedUntil(until.unix()),
        Status::Locked(Lock::Administrator) => UserStatus::Locked,
        Status::IdentityMismatch => UserStatus::IdentityMismatch,
        Status::Exempt(None) => UserStatus::Exempt(None),
        Status::Exempt(Some(until)) => UserStatus::Exempt(Some(until.unix())),
    }
}

fn contact(contact: &Contact) -> ContactReport {
    ContactReport {
        address: contact.address.clone(),
        verified: contact.verified,
    }
}

fn exemption(stored: &StoredExemption) -> ExemptionReport {
    let Exemption { reason, until, .. } = &stored.exemption;
    ExemptionReport {
        id: stored.id,
        reason: reason.clone(),
        until: until.map(Timestamp::unix),
        only: messages::exemption_scope(&stored.exemption),
    }
}

fn key_report(key: &SecurityKey) -> SecurityKeyReport {
    SecurityKeyReport {
        label: key.label.clone(),
        fingerprint: key.fingerprint.clone(),
        enrolled_at: key.enrolled_at.unix(),
        confirmed_at: key.confirmed_at.map(Timestamp::unix),
    }
}

fn app_report(enrolled: &EnrolledApp) -> AppReport {
    AppReport {
        label: enrolled.label.clone(),
        parameters: enrolled.app.parameters.to_string(),
        enrolled_at: enrolled.enrolled_at.unix(),
    }
}
