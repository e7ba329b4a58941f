//! What is known of a person.

use std::fmt;
use std::str::FromStr;

use crate::app::App;
use crate::backup::BackupSet;
use crate::channel::PerChannel;
use crate::exemption::Exemption;
use crate::lockout::{Lock, Throttle};
use crate::method::{Method, Methods};
use crate::policy::{Mode, Policy};
use crate::time::Timestamp;

/// An enrolled authenticator app with what people call it.
#[derive(Debug, Clone)]
pub struct EnrolledApp {
    /// Names the app in the store; means nothing outside.
    pub id: i64,
    /// What its owner calls it, such as `phone`. Unique for the user.
    pub label: String,
    /// When it was enrolled.
    pub enrolled_at: Timestamp,
    /// The app itself.
    pub app: App,
}

/// When somebody wants to be asked, as far as policy leaves it to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// Never, where nothing requires it.
    Never,
    /// On a device that is not trusted.
    #[default]
    NewDevice,
    /// Every time, on a trusted device as well.
    Always,
}

const VERIFY: [(Verify, &str); 3] = [
    (Verify::Never, "never"),
    (Verify::NewDevice, "new-device"),
    (Verify::Always, "always"),
];

impl fmt::Display for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = VERIFY
            .iter()
            .find(|(verify, _)| verify == self)
            .map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

/// The text is no [`Verify`].
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
    /// Whether a code sent there came back.
    pub verified: bool,
    /// Nobody's word but the user's: neither verified nor put on file by an administrator.
    pub by_owner: bool,
}

/// `address` as it may be shown to whoever stands at a prompt: enough for its owner to know it, too little for anybody
/// else. `a***e@example.org`, `**** 4567`. In ASCII: OpenSSH shows anything else as octal numbers where the locale is C.
pub fn masked(address: &str) -> String {
    let Some((local, domain)) = address.rsplit_once('@') else {
        let digits: Vec<char> = address.chars().filter(char::is_ascii_digit).collect();
        let last: String = digits.iter().skip(digits.len().saturating_sub(4)).collect();
        return format!("**** {last}");
    };
    let mut letters = local.chars();
    match (letters.next(), letters.next_back()) {
        // Of two letters, both would be all.
        (Some(first), Some(last)) if letters.next().is_some() => {
            format!("{first}***{last}@{domain}")
        }
        (Some(first), Some(_)) => format!("{first}***@{domain}"),
        _ => format!("***@{domain}"),
    }
}

/// What is stored for a person. Somebody nothing is stored for is [`User::default`].
#[derive(Debug, Clone, Default)]
pub struct User {
    /// An administrator requires a second factor of this person.
    pub required: bool,
    /// When the person wants to be asked.
    pub verify: Verify,
    /// The e-mail address and the phone number.
    pub contacts: PerChannel<Option<Contact>>,
    /// The method a login begins with, where the person said so.
    pub preferred: Option<Method>,
    /// Failures and lock.
    pub throttle: Throttle,
    /// The enrolled apps, oldest first.
    pub apps: Vec<EnrolledApp>,
    /// The backup codes, when there are any.
    pub backup: Option<BackupSet>,
}

/// Where a person stands, as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Is not asked for a second factor.
    Off,
    /// Must have one and has none.
    Pending,
    /// Is enrolled, but by no method that the policy still allows: must prove the old one and enrol another.
    NotAllowed,
    /// Is asked.
    Enabled,
    /// Is refused for too many wrong codes.
    Locked(Lock),
    /// Is not asked wherever the login comes from, until the exemption ends (`None`: it does not).
    Exempt(Option<Timestamp>),
}

/// What of a person a status depends on; a listing knows no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// An administrator requires a second factor.
    pub required: bool,
    /// When the person wants to be asked.
    pub verify: Verify,
    /// The methods that are enrolled and can stand alone.
    pub enrolled: Methods,
    /// Failures and lock.
    pub throttle: Throttle,
}

impl User {
    /// The methods that are enrolled and can stand alone: backup codes are not among them.
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

    /// Whether a method that can stand alone is enrolled and allowed.
    pub fn is_enrolled(&self, allowed: Methods) -> bool {
        self.enrolled().intersects(allowed)
    }

    /// The methods a login can ask for, the first one first: the preferred one, where it is enrolled and allowed.
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

    /// What a status depends on.
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
    /// Whether this person must have a second factor, willing or not.
    pub fn is_obliged(&self, policy: &Policy) -> bool {
        match policy.mode {
            Mode::Disabled => false,
            Mode::Optional => self.required,
            Mode::Mandatory => true,
        }
    }

    /// Where the person stands at `now` under the policy that holds for them.
    pub fn status(&self, policy: &Policy, exemption: Option<&Exemption>, now: Timestamp) -> Status {
        // What is enrolled counts even where it is no longer allowed: a policy that got stricter must not read as
        // "never enrolled".
        let willing = !self.enrolled.is_empty() && self.verify != Verify::Never;
        if policy.mode == Mode::Disabled {
            Status::Off
        } else if let Some(exemption) = exemption {
            Status::Exempt(exemption.until)
        } else if !self.is_obliged(policy) && !willing {
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
    fn a_masked_address_is_known_to_its_owner_and_to_nobody_else() {
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
    fn a_login_begins_with_the_preferred_method_if_it_can() {
        let verified = |address: &str| {
            Some(Contact {
                address: address.into(),
                verified: true,
                by_owner: false,
            })
        };
        let all = Policy::default().methods;
        let mut user = User {
            contacts: PerChannel::from_fn(|_| verified("somewhere")),
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
