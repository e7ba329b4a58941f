//! The methods: the ways to prove a second factor.
//!
//! [`METHODS`] is the one table: the values of the policy key `methods`, the filters and lists of the command line,
//! how a method is named in prompts, and which methods can stand alone all follow from it.

use std::fmt;
use std::str::FromStr;

use crate::channel::Channel;

/// A way to prove a second factor. Where several are possible and nobody said which, the first comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// An authenticator app or a hardware token.
    App,
    /// A code by e-mail.
    Email,
    /// A code by text message.
    Sms,
    /// Backup codes, which stand in for another method.
    Backup,
    /// A key in a FIDO2 authenticator, with which the user logs in by ssh. No other program can ask for it.
    SecurityKey,
}

/// One row of [`METHODS`].
#[derive(Debug)]
pub struct MethodInfo {
    /// The method that the row is about.
    pub method: Method,
    /// Its name, as an administrator writes it and as it is stored.
    pub name: &'static str,
    /// A noun without an article, for administrators and where somebody chooses what to set up.
    pub noun: &'static str,
    /// What a person who has it is asked for, to stand in a list.
    pub phrase: &'static str,
    /// The channel by which its codes are sent; `None`: nothing is sent.
    pub channel: Option<Channel>,
    /// Whether a user who has only this method counts as enrolled.
    pub stands_alone: bool,
}

/// Every method there is, in the order of [`Method`].
pub static METHODS: [MethodInfo; 5] = [
    MethodInfo {
        method: Method::App,
        name: "app",
        noun: "authenticator app",
        phrase: "a code from your authenticator app",
        channel: None,
        stands_alone: true,
    },
    MethodInfo {
        method: Method::Email,
        name: Channel::Email.name(),
        noun: "e-mail code",
        phrase: "a code by e-mail",
        channel: Some(Channel::Email),
        stands_alone: true,
    },
    MethodInfo {
        method: Method::Sms,
        name: Channel::Sms.name(),
        noun: "SMS code",
        phrase: "a code by text message",
        channel: Some(Channel::Sms),
        stands_alone: true,
    },
    MethodInfo {
        method: Method::Backup,
        name: "backup",
        noun: "backup code",
        phrase: "a backup code",
        channel: None,
        stands_alone: false,
    },
    MethodInfo {
        method: Method::SecurityKey,
        name: "security-key",
        noun: "security key",
        phrase: "your security key",
        channel: None,
        stands_alone: false,
    },
];

impl Method {
    /// The method's row of [`METHODS`].
    pub const fn info(self) -> &'static MethodInfo {
        &METHODS[self as usize]
    }

    /// The method as an administrator writes it and as it is stored.
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// The channel by which its codes are sent; `None`: nothing is sent.
    pub const fn channel(self) -> Option<Channel> {
        self.info().channel
    }
}

impl Channel {
    /// The method whose codes are sent by this channel. The two have the same name.
    pub const fn method(self) -> Method {
        match self {
            Self::Email => Method::Email,
            Self::Sms => Method::Sms,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no [`Method`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it must be one of {}", Methods::ALL)]
pub struct UnknownMethod;

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(text: &str) -> Result<Self, UnknownMethod> {
        METHODS
            .iter()
            .find(|info| info.name == text)
            .map(|info| info.method)
            .ok_or(UnknownMethod)
    }
}

/// A set of methods. It is written as their names with commas between them.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Methods(u32);

impl Methods {
    /// The set that has nothing in it.
    pub const NONE: Self = Self(0);
    /// Every method there is.
    pub const ALL: Self = Self((1 << METHODS.len()) - 1);
    /// Those that need no settings of another program. Security keys take some of sshd's.
    pub const DEFAULT: Self = Self::ALL.without(Method::SecurityKey);

    /// The methods that can stand alone.
    pub fn standing_alone() -> Self {
        Self::ALL
            .iter()
            .filter(|method| method.info().stands_alone)
            .collect()
    }

    /// Whether `method` is among them.
    pub const fn contains(self, method: Method) -> bool {
        self.0 & Self::bit(method) != 0
    }

    /// Puts `method` among them.
    pub const fn insert(&mut self, method: Method) {
        self.0 |= Self::bit(method);
    }

    /// These methods and `method`.
    #[must_use]
    pub const fn with(self, method: Method) -> Self {
        Self(self.0 | Self::bit(method))
    }

    /// These methods but `method`.
    #[must_use]
    pub const fn without(self, method: Method) -> Self {
        Self(self.0 & !Self::bit(method))
    }

    /// The methods that are in `other` as well.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether any of them is in `other` as well.
    pub const fn intersects(self, other: Self) -> bool {
        !self.intersection(other).is_empty()
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The methods in the order of [`METHODS`].
    pub fn iter(self) -> impl Iterator<Item = Method> {
        METHODS
            .iter()
            .map(|info| info.method)
            .filter(move |method| self.contains(*method))
    }

    const fn bit(method: Method) -> u32 {
        1 << method as u32
    }
}

impl FromIterator<Method> for Methods {
    fn from_iter<I: IntoIterator<Item = Method>>(methods: I) -> Self {
        methods.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Method::name).collect();
        f.write_str(&names.join(","))
    }
}

impl fmt::Debug for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FromStr for Methods {
    type Err = UnknownMethod;

    fn from_str(text: &str) -> Result<Self, UnknownMethod> {
        text.split(',').map(|name| name.trim().parse()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_has_its_row_and_each_row_its_name() {
        for (at, info) in METHODS.iter().enumerate() {
            assert_eq!(info.method as usize, at);
            assert_eq!(info.name.parse(), Ok(info.method));
        }
        assert_eq!("fax".parse::<Method>(), Err(UnknownMethod));
    }

    #[test]
    fn a_channel_carries_the_codes_of_the_method_that_names_it() {
        for channel in Channel::ALL {
            assert_eq!(channel.method().channel(), Some(channel));
        }
        let sent = METHODS.iter().filter(|info| info.channel.is_some());
        assert_eq!(sent.count(), Channel::ALL.len());
    }

    #[test]
    fn a_set_is_written_in_the_order_of_the_table_and_reads_back() {
        let two = Methods::from_iter([Method::Sms, Method::App]);
        assert_eq!(two.to_string(), "app,sms");
        assert_eq!("sms, app,sms".parse(), Ok(two));
        assert_eq!(Methods::ALL.to_string().parse(), Ok(Methods::ALL));
        for text in ["", "app,", "app,fax"] {
            assert_eq!(text.parse::<Methods>(), Err(UnknownMethod), "{text:?}");
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        let mut methods = Methods::NONE;
        assert!(methods.is_empty());
        methods.insert(Method::Email);
        assert!(methods.contains(Method::Email) && !methods.contains(Method::Backup));
        assert_eq!(
            methods.with(Method::App).without(Method::Email),
            "app".parse().unwrap()
        );
        assert!(methods.intersects(Methods::ALL) && !methods.intersects(Methods::NONE));
        assert_eq!(
            Methods::standing_alone(),
            Methods::DEFAULT.without(Method::Backup)
        );
    }
}
