//! What is stored about a user.

use std::fmt;
use std::str::FromStr;

use crate::app::App;
use crate::backup::BackupSet;
use crate::channel::PerChannel;
use crate::device::DeviceKind;
use crate::duration::Duration;
use crate::exemption::Exemption;
use crate::lockout::{Lock, Throttle};
use crate::method::{Method, Methods};
use crate::policy::{Mode, Policy, Trust};
use crate::time::Timestamp;

/// An authenticator app that a user enrolled.
#[derive(Debug, Clone)]
pub struct EnrolledApp {
    /// The app's number in the store.
    pub id: i64,
    /// Its owner's name for it, such as `phone`. No two apps of a user have the same.
    pub label: String,
    /// When it was enrolled.
    pub enrolled_at: Timestamp,
    /// It is a token that counts, and codes of it may have been used that are not on record: it takes two in a row until one
    /// is accepted again.
    pub must_resync: bool,
    /// The app itself.
    pub app: App,
}

/// A key in a FIDO2 authenticator that a user enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityKey {
    /// The key's number in the store.
    pub id: i64,
    /// Its owner's name for it. No other method of the user's has the same.
    pub label: String,
    /// The public key in its wire format, its application included ([`crate::device::ssh_key::ProvedKey::identity`]).
    pub identity: Vec<u8>,
    /// `SHA256:…`, as ssh-keygen(1) shows it.
    pub fingerprint: String,
    /// When it was enrolled.
    pub enrolled_at: Timestamp,
    /// When sshd first proved that the user holds it; `None`: not yet.
    pub confirmed_at: Option<Timestamp>,
    /// Its owner allowed it to be used without a touch.
    pub without_touch: bool,
}

/// When a user wants to be asked, as far as the policy leaves it to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// Never, unless a second factor is required.
    Never,
    /// On a device that is not trusted.
    #[default]
    NewDevice,
    /// Every time, on a trusted device too.
    Always,
}

const VERIFY: [(Verify, &str); 3] = [
    (Verify::Never, "never"),
    (Verify::NewDevice, "new-device"),
    (Verify::Always, "always"),
];

impl Verify {
    /// For how long a code of this user makes a device of this `kind` trusted; zero: it is asked for every time.
    pub fn trust_duration(self, kind: DeviceKind, trust: &Trust) -> Duration {
        match self {
            Self::Always => Duration::from_seconds(0),
            // `never` reads as `new-device` where the policy asks anyway.
            Self::Never | Self::NewDevice => kind.duration(trust),
        }
    }
}

impl fmt::Display for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = VERIFY
            .iter()
            .find(|(verify, _)| verify == self)
            .map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

/// The text names no [`Verify`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it must be never, new-device or always")]
pub struct UnknownVerify;

impl FromStr for Verify {
    type Err = UnknownVerify;

    fn from_str(text: &str) -> Result<Self, UnknownVerify> {
        VERIFY
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(verify, _)| *verify)
            .ok_or(UnknownVerify)
    }
}

/// An address that codes could be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The e-mail address or phone number.
    pub address: String,
    /// Whether it counts as a method: a code sent there was typed back, or an administrator attested it.
    pub verified: bool,
    /// Whether only the user says that it is theirs: it was neither verified nor set by an administrator.
    pub by_owner: bool,
}

/// `address` as it may be shown at a login prompt: enough for its owner to recognise, too little for anybody else, such as
/// `a***e@example.org` or `**** 4567`. The mask is ASCII: in the C locale OpenSSH shows other characters as octal numbers.
pub fn masked(address: &str) -> String {
    let Some((local, domain)) = address.rsplit_once('@') else {
        let digits: Vec<char> = address.chars().filter(char::is_ascii_digit).collect();
        let last: String = digits.iter().skip(digits.len().saturating_sub(4)).collect();
        return format!("**** {last}");
    };
    let mut letters = local.chars();
    match (letters.next(), letters.next_back()) {
        // Two of two letters would be the whole name.
        (Some(first), Some(last)) if letters.next().is_some() => {
            format!("{first}***{last}@{domain}")
        }
        (Some(first), Some(_)) => format!("{first}***@{domain}"),
        _ => format!("***@{domain}"),
    }
}

/// What is stored about a user; [`User::default`] if nothing is.
#[derive(Debug, Clone, Default)]
pub struct User {
    /// Whether an administrator requires a second factor of this user.
    pub required: bool,
    /// When the user wants to be asked.
    pub verify: Verify,
    /// The addresses that codes can be sent to.
    pub contacts: PerChannel<Option<Contact>>,
    /// The method that logins begin with, if the user chose one.
    pub preferred: Option<Method>,
    /// Failures and lock.
    pub throttle: Throttle,
    /// The enrolled apps, oldest first.
    pub apps: Vec<EnrolledApp>,
    /// The backup codes, if there are any.
    pub backup: Option<BackupSet>,
    /// The enrolled security keys, oldest first. They do not stand alone: nothing but ssh can ask for them.
    pub security_keys: Vec<SecurityKey>,
}

/// A user's status, as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not asked for a second factor.
    Off,
    /// Not asked either, because the mode is report: logins are recorded.
    Reported,
    /// Must have a second factor and has none.
    Pending,
    /// Enrolled, but with no method that the policy still allows: must prove an old one and enrol another.
    NotAllowed,
    /// Asked for a second factor.
    Enabled,
    /// Refused because of too many wrong codes.
    Locked(Lock),
    /// Exempt wherever a login comes from, until this time (`None`: without end).
    Exempt(Option<Timestamp>),
    /// Refused: nothing is stored about the account, but its name or its uid is that of another account's record.
    IdentityMismatch,
}

impl Status {
    /// This status of an account about which nothing is stored, where there is a record with its name or its uid: a changed
    /// uid must not read as "not enrolled".
    #[must_use]
    pub fn with_identity_mismatch(self, policy: &Policy) -> Self {
        match self {
            Self::Off | Self::Pending if policy.mode.asks() => Self::IdentityMismatch,
            status => status,
        }
    }
}

/// The part of a user that the status depends on. A listing reads no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Whether an administrator requires a second factor.
    pub required: bool,
    /// When the user wants to be asked.
    pub verify: Verify,
    /// The enrolled methods that can stand alone.
    pub enrolled: Methods,
    /// Failures and lock.
    pub throttle: Throttle,
}

impl User {
    /// The enrolled methods that can stand alone.
    pub fn enrolled(&self) -> Methods {
        let mut enrolled = Methods::NONE;
        if !self.apps.is_empty() {
            enrolled.insert(Method::App);
        }
        for (channel, contact) in self.contacts.iter() {
            if contact.as_ref().is_some_and(|contact| contact.verified) {
                enrolled.insert(channel.method());
            }
        }
        enrolled
    }

    /// Whether an enrolled method is `allowed`.
    pub fn is_enrolled(&self, allowed: Methods) -> bool {
        self.enrolled().intersects(allowed)
    }

    /// The methods that a login can ask for, in order: first the preferred one, if it is enrolled and `allowed`.
    pub fn methods(&self, allowed: Methods) -> Vec<Method> {
        let mut methods: Vec<_> = self.enrolled().intersection(allowed).iter().collect();
        // Stable: the others keep their order.
        methods.sort_by_key(|method| Some(*method) != self.preferred);
        methods
    }

    /// How many backup codes are left.
    pub fn backup_codes_left(&self) -> usize {
        self.backup.as_ref().map_or(0, |set| set.unused.len())
    }

    /// The part that the status depends on.
    pub fn summary(&self) -> Summary {
        let Self {
            required,
            verify,
            throttle,
            ..
        } = *self;
        Summary {
            required,
            verify,
            enrolled: self.enrolled(),
            throttle,
        }
    }
}

impl Summary {
    /// Whether this user must have a second factor.
    pub const fn is_obliged(&self, policy: &Policy) -> bool {
        self.is_obliged_by(policy.mode)
    }

    const fn is_obliged_by(&self, mode: Mode) -> bool {
        match mode {
            Mode::Disabled | Mode::Report => false,
            Mode::Optional => self.required,
            Mode::Mandatory => true,
        }
    }

    /// The status at `now`, under the policy and exemption that apply to the user.
    pub fn status(&self, policy: &Policy, exemption: Option<&Exemption>, now: Timestamp) -> Status {
        self.status_in_mode(policy.mode, policy, exemption, now)
    }

    /// The status if the mode were mandatory, and nothing else different.
    pub fn status_if_mandatory(
        &self,
        policy: &Policy,
        exemption: Option<&Exemption>,
        now: Timestamp,
    ) -> Status {
        self.status_in_mode(Mode::Mandatory, policy, exemption, now)
    }

    fn status_in_mode(
        &self,
        mode: Mode,
        policy: &Policy,
        exemption: Option<&Exemption>,
        now: Timestamp,
    ) -> Status {
        // Methods that are no longer allowed count: after a change to a stricter policy, users must not seem to have never
        // enrolled.
        let willing = !self.enrolled.is_empty() && self.verify != Verify::Never;
        if mode == Mode::Report {
            Status::Reported
        } else if !mode.asks() {
            Status::Off
        } else if let Some(exemption) = exemption {
            Status::Exempt(exemption.until)
        } else if !self.is_obliged_by(mode) && !willing {
            Status::Off
        } else if let Some(lock) = self.throttle.lock(now) {
            Status::Locked(lock)
        } else if self.enrolled.intersects(policy.methods) {
            Status::Enabled
        } else if self.enrolled.is_empty() {
            Status::Pending
        } else {
            Status::NotAllowed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Channel;

    #[test]
    fn a_masked_address_shows_little() {
        for (address, shown) in [
            ("alice@example.org", "a***e@example.org"),
            ("bob@example.org", "b***b@example.org"),
            ("al@example.org", "a***@example.org"),
            ("a@example.org", "***@example.org"),
            ("öä@ü@example.org", "ö***ü@example.org"),
            ("+4930123456", "**** 3456"),
            ("+12", "**** 12"),
        ] {
            assert_eq!(masked(address), shown);
        }
    }

    #[test]
    fn a_login_begins_with_the_preferred_method_where_possible() {
        let verified = |address: &str| {
            Some(Contact {
                address: address.into(),
                verified: true,
                by_owner: false,
            })
        };
        let all = Policy::default().methods;
        let mut user = User {
            contacts: PerChannel::default()
                .with(Channel::Email, verified("alice@example.org"))
                .with(Channel::Sms, verified("+4930123456")),
            ..User::default()
        };
        assert_eq!(user.methods(all), [Method::Email, Method::Sms]);
        user.preferred = Some(Method::Sms);
        assert_eq!(user.methods(all), [Method::Sms, Method::Email]);
        assert_eq!(user.methods(all.without(Method::Sms)), [Method::Email]);
        user.preferred = Some(Method::App);
        assert_eq!(user.methods(all), [Method::Email, Method::Sms]);
        user.contacts[Channel::Sms].as_mut().unwrap().verified = false;
        assert_eq!(user.methods(all.without(Method::Email)), []);
        assert!(!user.is_enrolled(all.without(Method::Email)));
    }
}
