//! What can happen, and what is known of each time it did.

use serde::{Deserialize, Serialize};
use twofa_core::Channel;

use super::as_text;
use super::fields::{
    AppFields, Attestation, DeviceFields, ExemptionFields, NotSent, Proof, SessionEnd,
    SessionFields, SmsAlarm, UserChange,
};
use super::reasons::{RefusalReason, ReportedOutcome, UnprovedReason};

/// What happened. Its user, if it has one, its origin and its time are kept beside it. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "fields", rename_all = "kebab-case")]
pub enum Event {
    /// A code was right: at a login, which may still fail for other reasons, or to allow a change.
    Passed {
        /// What was shown.
        by: Proof,
    },
    /// A backup code was right, likewise.
    BackupCodeUsed,
    /// A login was refused, or a code for a change.
    Refused {
        /// The reason, of which programs make the sentence.
        why: RefusalReason,
    },
    /// A login was not asked because the mode is report.
    Reported {
        /// The class whose policy applied.
        class: String,
        /// What the mode mandatory would have done.
        outcome: ReportedOutcome,
    },
    /// Logins under the mode report of which there is no record.
    ReportsMissed {
        /// How many there were.
        count: u64,
        /// When the first of them was, in seconds since 1970.
        since: i64,
    },
    /// Logins were refused in which the first factor may have been wrong. Nothing in it was chosen by those who tried.
    UnprovedRefused {
        /// Why.
        reason: UnprovedReason,
        /// How many there were.
        count: u64,
        /// When the first of them was, in seconds since 1970.
        since: i64,
    },
    /// Wrong codes locked an account.
    Locked {
        /// How many there were in a row.
        failures: u64,
    },
    /// An authenticator app or token was enrolled.
    AppEnrolled(AppFields),
    /// An authenticator app or token was removed.
    AppRemoved {
        /// What its owner called it.
        label: String,
    },
    /// A security key was enrolled.
    SecurityKeyEnrolled {
        /// What its owner calls it.
        label: String,
        /// `SHA256:…`, as ssh-keygen(1) shows it.
        fingerprint: String,
    },
    /// A security key was removed.
    SecurityKeyRemoved {
        /// What its owner called it.
        label: String,
    },
    /// An address became a method, or took the place of one that was.
    AddressEnrolled {
        /// How codes get there.
        #[serde(with = "as_text")]
        channel: Channel,
        /// The new address.
        address: String,
        /// Why it counts as the user's.
        attestation: Attestation,
        /// The address that was the method until then, if it was another one.
        replaced: Option<String>,
    },
    /// An address is no longer a method.
    AddressRemoved {
        /// How codes got there.
        #[serde(with = "as_text")]
        channel: Channel,
        /// The address that was the method.
        address: String,
        /// The address that replaces it and is not verified yet.
        instead: Option<String>,
    },
    /// Backup codes were made where there were none.
    BackupCodesMade,
    /// Backup codes were made, and the ones before died.
    BackupCodesReplaced,
    /// The backup codes were removed.
    BackupCodesRemoved,
    /// A second factor is required of a user.
    Required,
    /// It is required no longer.
    Released,
    /// An administrator opened a lock.
    Unlocked {
        /// How many wrong codes in a row were forgotten with that.
        failures: u64,
    },
    /// An administrator removed all of a user's methods.
    Reset,
    /// An administrator removed a user's record.
    UserRemoved,
    /// An administrator changed a setting of the policy, or a class.
    PolicyChanged {
        /// A key, or `class NAME`, or `class NAME: KEY`.
        what: String,
        /// Its value before; `None`: there was none.
        from: Option<String>,
        /// Its value now; `None`: there is none.
        to: Option<String>,
    },
    /// An administrator exempted a user or a group.
    Exempted(ExemptionFields),
    /// An administrator ended an exemption.
    ExemptionEnded(ExemptionFields),
    /// An administrator made a record.
    UserAdded,
    /// An administrator made a one-time code with which a user can set up a first method on a host of the fleet.
    UserInvited {
        /// Until when it works, in seconds since 1970.
        until: i64,
    },
    /// An administrator merged what exported stores know of a user.
    UserMerged {
        /// The hosts that these are of.
        from: Vec<String>,
        /// How many apps were added.
        apps: u64,
    },
    /// What a user set, or an administrator for one, that is no method.
    UserChanged(UserChange),
    /// A code was sent.
    CodeSent {
        /// By which way.
        #[serde(with = "as_text")]
        channel: Channel,
        /// Where to, masked.
        to: String,
        /// The provider that took it.
        provider: String,
        /// What that provider calls the message.
        id: Option<String>,
        /// How long it took, with the providers that failed, in milliseconds. Earlier versions did not record it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        milliseconds: Option<u64>,
        /// The providers that failed before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failed: Vec<String>,
    },
    /// A code was not sent.
    CodeNotSent {
        /// By which way.
        #[serde(with = "as_text")]
        channel: Channel,
        /// Where to, masked.
        to: String,
        /// The reason, of which programs make the sentence.
        why: NotSent,
    },
    /// An administrator added a provider.
    ProviderAdded {
        /// The name that the administrator gave it.
        name: String,
        /// The name of its kind.
        of_kind: String,
        /// What it carries.
        #[serde(with = "as_text")]
        channel: Channel,
    },
    /// An administrator changed a provider.
    ProviderChanged {
        /// The name that the administrator gave it.
        name: String,
        /// The names of the settings that changed.
        settings: Vec<String>,
    },
    /// An administrator removed a provider.
    ProviderRemoved {
        /// The name that the administrator gave it.
        name: String,
        /// The name of its kind.
        of_kind: String,
    },
    /// An administrator changed the order in which providers are tried.
    ProviderOrderChanged {
        /// The channel that they are tried for.
        #[serde(with = "as_text")]
        channel: Channel,
        /// Their names, the first to be tried first.
        order: Vec<String>,
    },
    /// An administrator added a host to the fleet, which may now join.
    HostAdded {
        /// The name that the administrator gave it.
        name: String,
        /// The PAM services that it may ask for; empty: all.
        services: String,
        /// The group whose members it may ask about; `None`: everybody.
        #[serde(default)]
        people: Option<String>,
        /// Whether people may set up their first method there.
        may_enrol: bool,
    },
    /// A host has joined.
    HostJoined {
        /// The name that it has.
        name: String,
        /// The name of the key with which it did; `None`: it had a token of its own.
        #[serde(default)]
        join_key: Option<String>,
    },
    /// A host was removed because it had been silent for as long as the key says with which it joined.
    HostSilent {
        /// The name that it had.
        name: String,
    },
    /// An administrator made a key with which many hosts may join.
    JoinKeyAdded {
        /// Its name.
        name: String,
        /// What its hosts are called.
        names: String,
        /// The PAM services that they may ask for; empty: all.
        services: String,
        /// The group whose members they may ask about; `None`: everybody.
        people: Option<String>,
        /// Whether people may set up their first method there.
        may_enrol: bool,
        /// How many hosts may join with it.
        uses: u64,
        /// When it ends, in seconds since 1970.
        until: i64,
    },
    /// An administrator removed such a key.
    JoinKeyRemoved {
        /// Its name.
        name: String,
    },
    /// An administrator removed a host from the fleet.
    HostRemoved {
        /// The name that the administrator gave it.
        name: String,
    },
    /// An administrator lets a host join again that had joined before.
    HostReadmitted {
        /// The name that the administrator gave it.
        name: String,
    },
    /// A host has a new certificate.
    HostRenewed {
        /// The name that the administrator gave it.
        name: String,
    },
    /// A host asked for a new certificate with one that it had renewed before: two machines have its key, and both are refused.
    HostCopied {
        /// The name that the administrator gave it.
        name: String,
    },
    /// An administrator added a server to the fleet, which may now join.
    ServerAdded {
        /// The name that the administrator gave it.
        name: String,
    },
    /// A server has joined.
    ServerJoined {
        /// The name that the administrator gave it.
        name: String,
    },
    /// An administrator removed a server from the fleet.
    ServerRemoved {
        /// The name that the administrator gave it.
        name: String,
    },
    /// An administrator added a sealing key, which is to replace the one before.
    SealingKeyAdded {
        /// Its number.
        number: u32,
    },
    /// Values in the store were sealed with a newer key.
    SealedAgain {
        /// The number of the key.
        number: u32,
        /// How many values.
        values: u64,
    },
    /// A row of the database was found that another program has written.
    RowAltered {
        /// Its table.
        table: String,
        /// What an administrator knows it by.
        row: String,
    },
    /// An administrator began to replace the fleet's certificate authority.
    CaRotationStarted {
        /// SHA-256 of the new authority for servers, as hexadecimal digits.
        authority: String,
    },
    /// Every server has the new certificate authority, and hosts get certificates of it.
    CaRotationOpened {
        /// SHA-256 of the new authority for servers, as hexadecimal digits.
        authority: String,
    },
    /// An administrator ended the replacement: the old certificate authority is no longer trusted.
    CaRotationFinished {
        /// How many hosts had no certificate of the new one.
        hosts: u64,
    },
    /// A host asked about more people within an hour than it may.
    HostPeopleLimit {
        /// The name that the administrator gave it.
        name: String,
        /// How many it may ask about.
        people: u64,
    },
    /// A host sent wrong codes for so many people that it may ask only about those who have passed there.
    HostCutOff {
        /// The name that the administrator gave it.
        name: String,
        /// For how many.
        people: u64,
    },
    /// An administrator ended that a host is cut off.
    HostUnlocked {
        /// The name that the administrator gave it.
        name: String,
    },
    /// An administrator had a rescue code of a host shown.
    RescueShown {
        /// The name of the host.
        name: String,
        /// Why, as the administrator wrote it.
        reason: String,
    },
    /// A host reported that somebody logged in there with a rescue code.
    RescueUsed {
        /// The name of the host.
        name: String,
        /// To which account there.
        of_user: String,
        /// At which PAM service.
        of_service: String,
        /// When, as the host has it, in seconds since 1970.
        since: i64,
    },
    /// This machine has joined a fleet.
    FleetJoined {
        /// The name that this machine has there.
        name: String,
    },
    /// This machine has left its fleet.
    FleetLeft {
        /// The name that this machine had there.
        name: String,
    },
    /// An administrator had a database that had gone back count as the right one.
    FleetResumed {
        /// When it had its last mark, in seconds since 1970; `None`: it had none. What was written after that is lost.
        since: Option<i64>,
    },
    /// A device became trusted that was not.
    DeviceTrusted {
        /// Which.
        device: DeviceFields,
        /// Until when, in seconds since 1970.
        until: i64,
    },
    /// A device became trusted again, or an address soon after another.
    TrustRenewed {
        /// Which.
        device: DeviceFields,
        /// Until when, in seconds since 1970.
        until: i64,
    },
    /// The trust in a device was ended.
    DeviceRevoked {
        /// Which.
        device: DeviceFields,
    },
    /// The trust in all devices of a user, or of everybody, was ended.
    DevicesRevoked {
        /// How many there were.
        count: u64,
    },
    /// A new password ended the trust in all devices of a user.
    PasswordChanged {
        /// How many there were.
        count: u64,
    },
    /// A login session was ended from outside.
    SessionEnded {
        /// Which.
        session: SessionFields,
        /// Why.
        why: SessionEnd,
    },
    /// A host of the fleet was told to end a login session.
    SessionEndAsked {
        /// Which; its number is the host's.
        session: SessionFields,
        /// The name of the host.
        on_host: String,
    },
    /// Earlier events gave way to this one, because there were too many.
    SummedUp {
        /// The name of their kind.
        of_kind: String,
        /// How many there were.
        count: u64,
        /// From how many places apart from the origin of this event, which is where most of them came from.
        other_places: u64,
        /// When the first of them was, in seconds since 1970.
        since: i64,
        /// When the last of them was, in seconds since 1970.
        until: i64,
        /// A hash of what proves that they were there, in hexadecimal.
        digest: String,
    },
    /// Events were removed because of their age.
    LogPruned {
        /// The number of the last one.
        through: i64,
        /// They were from before this time, in seconds since 1970.
        before: i64,
    },
    /// A verification key of the log was made.
    LogKeyMade {
        /// The number of the first checkpoint that it verifies.
        checkpoint: i64,
    },
    /// Many text messages were sent.
    SmsLimit {
        /// What about them an administrator should know.
        alarm: SmsAlarm,
        /// How many went out in the last 24 hours.
        all: u32,
        /// How many of them to numbers that were not verified.
        unverified: u32,
        /// `send.sms-daily` at that time.
        limit: u32,
    },
}

impl Event {
    /// Whether the user whom it is about gets a notice of it: where something happened to the second factor that a
    /// user should know of who did not do it.
    #[allow(clippy::too_many_lines, reason = "a table")]
    pub const fn is_noticed(&self) -> bool {
        match self {
            Self::BackupCodeUsed
            | Self::Locked { .. }
            | Self::AppEnrolled(_)
            | Self::AppRemoved { .. }
            | Self::SecurityKeyEnrolled { .. }
            | Self::SecurityKeyRemoved { .. }
            | Self::AddressEnrolled { .. }
            | Self::AddressRemoved { .. }
            | Self::DeviceTrusted { .. }
            | Self::BackupCodesReplaced
            | Self::Reset
            | Self::UserRemoved => true,
            Self::UserChanged(change) => change.is_noticed(),
            Self::Passed { .. }
            | Self::Refused { .. }
            | Self::Reported { .. }
            | Self::ReportsMissed { .. }
            | Self::UnprovedRefused { .. }
            | Self::BackupCodesMade
            | Self::BackupCodesRemoved
            | Self::Required
            | Self::Released
            | Self::Unlocked { .. }
            | Self::PolicyChanged { .. }
            | Self::Exempted(_)
            | Self::ExemptionEnded(_)
            | Self::UserAdded
            | Self::UserInvited { .. }
            | Self::UserMerged { .. }
            | Self::CodeSent { .. }
            | Self::CodeNotSent { .. }
            | Self::ProviderAdded { .. }
            | Self::ProviderChanged { .. }
            | Self::ProviderRemoved { .. }
            | Self::ProviderOrderChanged { .. }
            | Self::HostAdded { .. }
            | Self::HostJoined { .. }
            | Self::HostRemoved { .. }
            | Self::HostSilent { .. }
            | Self::JoinKeyAdded { .. }
            | Self::JoinKeyRemoved { .. }
            | Self::HostReadmitted { .. }
            | Self::HostRenewed { .. }
            | Self::HostCopied { .. }
            | Self::ServerAdded { .. }
            | Self::ServerJoined { .. }
            | Self::ServerRemoved { .. }
            | Self::SealingKeyAdded { .. }
            | Self::SealedAgain { .. }
            | Self::RowAltered { .. }
            | Self::CaRotationStarted { .. }
            | Self::CaRotationOpened { .. }
            | Self::CaRotationFinished { .. }
            | Self::HostPeopleLimit { .. }
            | Self::HostCutOff { .. }
            | Self::HostUnlocked { .. }
            | Self::RescueShown { .. }
            | Self::RescueUsed { .. }
            | Self::FleetJoined { .. }
            | Self::FleetLeft { .. }
            | Self::FleetResumed { .. }
            | Self::TrustRenewed { .. }
            | Self::DeviceRevoked { .. }
            | Self::DevicesRevoked { .. }
            | Self::PasswordChanged { .. }
            | Self::SessionEnded { .. }
            | Self::SessionEndAsked { .. }
            | Self::SummedUp { .. }
            | Self::LogPruned { .. }
            | Self::LogKeyMade { .. }
            | Self::SmsLimit { .. } => false,
        }
    }
}
