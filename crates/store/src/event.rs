//! Events as data: what the audit log keeps, and what notices are about. Nothing here is a sentence; the programs that
//! show events make the sentences.
//!
//! An event is stored as the name of its kind and a JSON object of its fields. Fields may be added later if they are
//! optional; none is ever renamed, because old rows have them.

use serde::{Deserialize, Serialize};
use twofa_core::app::{OtpKind, Parameters};
use twofa_core::lockout::Lock;
use twofa_core::user::Verify;
use twofa_core::{Channel, Method, Timestamp};

/// What happened. Its user, if it has one, its origin and its time stand beside it. Holds no secret.
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
        /// Why.
        why: RefusalReason,
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
    /// An address became a method, or took the place of one that was.
    AddressEnrolled {
        /// How codes get there.
        #[serde(with = "as_text")]
        channel: Channel,
        /// The address.
        address: String,
        /// Why it is believed to be the user's.
        attestation: Attestation,
        /// The address that was the method until then, if it was another one.
        replaced: Option<String>,
    },
    /// An address is a method no longer.
    AddressRemoved {
        /// How codes got there.
        #[serde(with = "as_text")]
        channel: Channel,
        /// The address that was the method.
        address: String,
        /// What stands in its place and is not verified yet.
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
    },
    /// A code was not sent.
    CodeNotSent {
        /// By which way.
        #[serde(with = "as_text")]
        channel: Channel,
        /// Where to, masked.
        to: String,
        /// Why.
        why: NotSent,
    },
    /// An administrator added a provider.
    ProviderAdded {
        /// Its name.
        name: String,
        /// The name of its kind.
        of_kind: String,
        /// What it carries.
        #[serde(with = "as_text")]
        channel: Channel,
    },
    /// An administrator changed a provider.
    ProviderChanged {
        /// Its name.
        name: String,
        /// The names of the settings that changed.
        settings: Vec<String>,
    },
    /// An administrator removed a provider.
    ProviderRemoved {
        /// Its name.
        name: String,
        /// The name of its kind.
        of_kind: String,
    },
    /// An administrator changed the order in which providers are tried.
    ProviderOrderChanged {
        /// For what.
        #[serde(with = "as_text")]
        channel: Channel,
        /// Their names, the first to be tried first.
        order: Vec<String>,
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

/// What somebody showed who passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
pub enum Proof {
    /// A code of an authenticator app.
    App {
        /// What its owner calls it.
        label: String,
    },
    /// A code that was sent.
    SentCode {
        /// By which way.
        #[serde(with = "as_text")]
        channel: Channel,
    },
    /// The first code of an app that was enrolled in this login.
    EnrolledApp {
        /// What its owner calls it.
        label: String,
    },
    /// A code that was sent to an address which was enrolled with it in this login.
    EnrolledAddress {
        /// By which way.
        #[serde(with = "as_text")]
        channel: Channel,
        /// The address, masked.
        address: String,
    },
}

/// Why a login was refused, or a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum RefusalReason {
    /// The code is wrong.
    WrongCode,
    /// The code was right and is used already.
    Replayed,
    /// The code is of now, and one of a later time was accepted before: the clock of this machine went back.
    ClockWentBack,
    /// A hardware token is ahead of what was accepted last; its next code proves it (RFC 4226 §7.4).
    TokenAhead,
    /// The code is of another time: a clock is wrong.
    Drifted {
        /// How far the code is ahead; negative: behind.
        seconds: i64,
    },
    /// The code was sent too long ago.
    SentCodeExpired,
    /// The code was sent by a method that was taken away since.
    MethodRemoved,
    /// The code was sent to an address that is not the user's any longer.
    AddressChanged,
    /// It is no backup code of the user that is unused.
    UnknownBackupCode,
    /// The backup code was used by another login at the same time.
    BackupCodeJustUsed,
    /// Nothing that could be a code was typed.
    NothingToVerify,
    /// The user was removed while the code was typed.
    UserRemoved,
    /// No code was entered.
    NoCodeEntered,
    /// The login was left at the prompt, after the first factor was right.
    GivenUp,
    /// sshd can ask nothing after a key alone or by its method `password`.
    NotAskedBySshd,
    /// sudo did not authenticate.
    NotAskedBySudo,
    /// The program did not authenticate.
    NotAsked,
    /// The user was asked to enrol and did not.
    NotConfirmed,
    /// No method that the policy allows can be enrolled: nothing carries its codes.
    NoMethod,
    /// Nothing carries codes to the address by which the user would have to be proved.
    OutOfReach,
    /// The user's methods changed while they enrolled.
    MethodsChanged,
    /// A second factor is required, none is enrolled, and nobody is enrolled at a login.
    NotEnrolled,
    /// The method that is enrolled is no longer allowed, and nobody is enrolled at a login.
    NotAllowed,
    /// The account is locked.
    Locked {
        /// Until then, in seconds since 1970; `None`: until an administrator unlocks it.
        until: Option<i64>,
    },
    /// There is a record under the same name or uid of another account.
    IdentityMismatch,
}

impl AsRef<Self> for RefusalReason {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl From<Lock> for RefusalReason {
    fn from(lock: Lock) -> Self {
        Self::Locked {
            until: match lock {
                Lock::Until(until) => Some(until.unix()),
                Lock::Administrator => None,
            },
        }
    }
}

/// An authenticator app, without its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppFields {
    /// What its owner calls it.
    pub label: String,
    /// The name of its hash.
    pub algorithm: String,
    /// Digits of a code.
    pub digits: u8,
    /// Seconds of a time step; `None`: it counts codes (HOTP).
    pub period: Option<u32>,
}

impl AppFields {
    pub(crate) fn new(label: &str, parameters: Parameters) -> Self {
        Self {
            label: label.to_owned(),
            algorithm: parameters.algorithm().name().to_owned(),
            digits: parameters.digits(),
            period: match parameters.kind() {
                OtpKind::Time { period } => Some(period),
                OtpKind::Counter => None,
            },
        }
    }
}

/// Why an address is believed to be a user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attestation {
    /// A code that was sent there came back.
    Confirmed,
    /// An administrator attested it.
    Administrator,
}

/// An exemption. Of a user it is where the event has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExemptionFields {
    /// Its number.
    pub id: i64,
    /// The group whose members are exempt.
    pub group: Option<String>,
    /// From where, as a CIDR.
    pub network: Option<String>,
    /// At which PAM service.
    pub service: Option<String>,
    /// For how many seconds from its grant on; `None`: it has no end.
    pub seconds: Option<u64>,
    /// Why.
    pub reason: String,
}

/// A change of a user's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "setting", rename_all = "kebab-case")]
pub enum UserChange {
    /// An address that is no method.
    Address {
        /// How codes would get there.
        #[serde(with = "as_text")]
        channel: Channel,
        /// It, not verified yet; `None`: it was removed.
        address: Option<String>,
    },
    /// When to ask for a code.
    Verify {
        /// Its new value.
        #[serde(with = "as_text")]
        value: Verify,
    },
    /// The method that logins begin with.
    Preferred {
        /// Its new value; `None`: no matter which.
        #[serde(with = "as_optional_text")]
        method: Option<Method>,
    },
}

/// Why a code was not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum NotSent {
    /// Too many were.
    LimitReached,
    /// No provider took it.
    Undelivered {
        /// What the providers answered.
        error: String,
    },
}

/// That an administrator should hear of it: text messages cost money, and there are people who earn it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SmsAlarm {
    /// As many went to numbers that are not verified as may.
    Unverified,
    /// Four fifths of all that may be sent.
    Most,
    /// All that may be sent.
    All,
}

impl Event {
    /// Whether the user whom it is about gets a notice of it: where something happened to the second factor that a
    /// user should know of who did not do it.
    pub const fn is_noticed(&self) -> bool {
        match self {
            Self::BackupCodeUsed
            | Self::Locked { .. }
            | Self::AppEnrolled(_)
            | Self::AppRemoved { .. }
            | Self::AddressEnrolled { .. }
            | Self::AddressRemoved { .. }
            | Self::BackupCodesReplaced
            | Self::Reset
            | Self::UserRemoved
            | Self::UserChanged(UserChange::Verify {
                value: Verify::Never,
            }) => true,
            Self::Passed { .. }
            | Self::Refused { .. }
            | Self::BackupCodesMade
            | Self::BackupCodesRemoved
            | Self::Required
            | Self::Released
            | Self::Unlocked { .. }
            | Self::PolicyChanged { .. }
            | Self::Exempted(_)
            | Self::ExemptionEnded(_)
            | Self::UserAdded
            | Self::UserChanged(
                UserChange::Verify {
                    value: Verify::NewDevice | Verify::Always,
                }
                | UserChange::Address { .. }
                | UserChange::Preferred { .. },
            )
            | Self::CodeSent { .. }
            | Self::CodeNotSent { .. }
            | Self::ProviderAdded { .. }
            | Self::ProviderChanged { .. }
            | Self::ProviderRemoved { .. }
            | Self::ProviderOrderChanged { .. }
            | Self::SmsLimit { .. } => false,
        }
    }
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredEvent {
    /// The name of its kind.
    pub kind: String,
    /// A JSON object; `None`: it has no fields.
    pub fields: Option<String>,
}

/// The kinds whose stored name has a channel in the place of `address`.
const OF_A_CHANNEL: [&str; 2] = ["address-enrolled", "address-removed"];

impl From<&Event> for StoredEvent {
    fn from(event: &Event) -> Self {
        // Text, numbers and lists of them: there is nothing in it that JSON cannot say.
        let value = serde_json::to_value(event).unwrap_or_default();
        let kind = value["kind"].as_str().unwrap_or_default();
        let fields = &value["fields"];
        let kind = match fields["channel"].as_str() {
            Some(channel) if OF_A_CHANNEL.contains(&kind) => kind.replacen("address", channel, 1),
            _ => kind.to_owned(),
        };
        let fields = (!fields.is_null()).then(|| fields.to_string());
        Self { kind, fields }
    }
}

/// What happened, as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The event.
    Event(Box<Event>),
    /// What an earlier version wrote in words, or the fields as they are that a later one wrote; may be empty.
    Text(String),
}

impl Record {
    /// Reads what was stored under `kind`. `text`: what an earlier version stored instead of fields.
    pub(crate) fn read(kind: &str, fields: Option<String>, text: Option<String>) -> Self {
        let event = match text {
            Some(text) => return Self::Text(text),
            None => parse(kind, fields.as_deref()),
        };
        event.map_or_else(
            || Self::Text(fields.unwrap_or_default()),
            |event| Self::Event(Box::new(event)),
        )
    }
}

fn parse(kind: &str, fields: Option<&str>) -> Option<Event> {
    let mut value = serde_json::Map::new();
    if let Some(fields) = fields {
        value.insert("fields".to_owned(), serde_json::from_str(fields).ok()?);
    }
    let kind = OF_A_CHANNEL
        .into_iter()
        .find(|of_address| {
            let channel = value
                .get("fields")
                .and_then(|fields| fields["channel"].as_str());
            channel.is_some_and(|channel| of_address.replacen("address", channel, 1) == kind)
        })
        .unwrap_or(kind);
    value.insert("kind".to_owned(), kind.into());
    serde_json::from_value(value.into()).ok()
}

/// Who did something, and where it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The uid of the process that asked.
    pub actor: u32,
    /// Where.
    pub source: Source,
}

/// Where something was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A login.
    Login(LoginOrigin),
    /// The command line of this machine: nobody was let in there.
    CommandLine,
}

/// What the application says of a login. As the module of a root program told it, else empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoginOrigin {
    /// PAM service.
    pub service: Option<String>,
    /// Where it came from.
    pub remote_host: Option<String>,
    /// Who asked for it, where somebody logs in as another user: `PAM_RUSER`.
    pub remote_user: Option<String>,
    /// Terminal.
    pub terminal: Option<String>,
}

impl Origin {
    /// The command line, as `actor` uses it.
    pub const fn command_line(actor: u32) -> Self {
        Self {
            actor,
            source: Source::CommandLine,
        }
    }

    /// A login that the process of `actor` asked about.
    pub const fn login(actor: u32, login: LoginOrigin) -> Self {
        Self {
            actor,
            source: Source::Login(login),
        }
    }

    /// What is known of the login, if it was one.
    pub const fn as_login(&self) -> Option<&LoginOrigin> {
        match &self.source {
            Source::Login(login) => Some(login),
            Source::CommandLine => None,
        }
    }

    /// The name in the log for what asked: the PAM service, or `twofa`, which a PAM service may be called too.
    pub fn service(&self) -> Option<&str> {
        match &self.source {
            Source::Login(login) => login.service.as_deref(),
            Source::CommandLine => Some("twofa"),
        }
    }

    /// Where a login came from: the host, else the terminal.
    pub fn host_or_terminal(&self) -> Option<&str> {
        let login = self.as_login()?;
        login.remote_host.as_deref().or(login.terminal.as_deref())
    }

    /// The place this is from, to tell one from another: service, remote host and terminal of a login, or somebody's
    /// command line. It is stored, so it stays as it is.
    pub(crate) fn place(&self) -> String {
        let Source::Login(login) = &self.source else {
            return format!("command line of uid {}", self.actor);
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let host = login.remote_host.as_deref().unwrap_or("this machine");
        let (service, terminal) = (text(&login.service), text(&login.terminal));
        format!("service {service} of {host} at {terminal}")
    }
}

impl Source {
    /// The variant, as it is stored.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Login(_) => LOGIN,
            Self::CommandLine => COMMAND_LINE,
        }
    }

    /// The reverse of [`Source::name`], with what is stored of a login.
    pub(crate) fn stored(name: &str, login: LoginOrigin) -> Self {
        match name {
            COMMAND_LINE => Self::CommandLine,
            _ => Self::Login(login),
        }
    }
}

const LOGIN: &str = "login";
const COMMAND_LINE: &str = "command-line";

/// Where something came from that somebody gets a notice of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeSource {
    /// A login from this host, else at this terminal, if either is known.
    Login(Option<String>),
    /// The command line of this machine.
    CommandLine,
}

impl NoticeSource {
    pub(crate) fn stored(name: &str, place: Option<String>) -> Self {
        match name {
            COMMAND_LINE => Self::CommandLine,
            _ => Self::Login(place),
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Login(_) => LOGIN,
            Self::CommandLine => COMMAND_LINE,
        }
    }

    pub(crate) fn place(&self) -> Option<&str> {
        match self {
            Self::Login(place) => place.as_deref(),
            Self::CommandLine => None,
        }
    }
}

impl From<&Origin> for NoticeSource {
    fn from(origin: &Origin) -> Self {
        match origin.source {
            Source::Login(_) => Self::Login(origin.host_or_terminal().map(ToOwned::to_owned)),
            Source::CommandLine => Self::CommandLine,
        }
    }
}

/// Refused logins that the user has not been told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// How many there were.
    pub count: u32,
    /// When the last one was.
    pub last_at: Timestamp,
    /// From where the last one came: host, else terminal.
    pub last_from: Option<String>,
}

/// An event as it was logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEvent {
    /// Rises with each event.
    pub id: i64,
    /// When it happened.
    pub at: Timestamp,
    /// The name of its kind, such as `passed`.
    pub kind: String,
    /// The login name of the user it happened to.
    pub user: Option<String>,
    /// From where and by whom.
    pub origin: Origin,
    /// What happened.
    pub record: Record,
}

/// A value as its text, for types that have one in the policy or on the command line already.
mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        value: &impl Display,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// The same for a value that may be missing.
mod as_optional_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<impl Display>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        Option::<String>::deserialize(deserializer)?
            .map(|text| text.parse().map_err(D::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(event: &Event) -> Record {
        let StoredEvent { kind, fields } = event.into();
        Record::read(&kind, fields, None)
    }

    #[test]
    fn an_event_is_read_as_it_was_stored() {
        let channel = Channel::Sms;
        let events = [
            Event::Reset,
            Event::Refused {
                why: RefusalReason::Drifted { seconds: -60 },
            },
            Event::AddressEnrolled {
                channel,
                address: "+4930123456".into(),
                attestation: Attestation::Administrator,
                replaced: None,
            },
            Event::AddressRemoved {
                channel,
                address: "\"quoted\"".into(),
                instead: Some("+4930123457".into()),
            },
            Event::UserChanged(UserChange::Preferred {
                method: Some(Method::App),
            }),
            Event::UserChanged(UserChange::Preferred { method: None }),
            Event::UserChanged(UserChange::Verify {
                value: Verify::Never,
            }),
        ];
        for event in events {
            assert_eq!(read(&event), Record::Event(Box::new(event.clone())));
        }
    }

    #[test]
    fn the_kinds_of_addresses_are_named_for_their_channel() {
        let stored = |channel| {
            StoredEvent::from(&Event::AddressRemoved {
                channel,
                address: "it".into(),
                instead: None,
            })
        };
        assert_eq!(stored(Channel::Email).kind, "email-removed");
        assert_eq!(stored(Channel::Sms).kind, "sms-removed");
    }

    #[test]
    fn what_another_version_stored_is_kept_as_text() {
        let old = Record::read("reset", None, Some("in words".into()));
        assert_eq!(old, Record::Text("in words".into()));
        let new = Record::read("teleported", Some("{\"to\":\"Mars\"}".into()), None);
        assert_eq!(new, Record::Text("{\"to\":\"Mars\"}".into()));
        // An old row of a kind that has fields now.
        assert_eq!(
            Record::read("refused", None, None),
            Record::Text(String::new())
        );
    }
}
