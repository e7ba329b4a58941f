//! What a provider is: its kind and settings, the trait it implements, and what it can say.
//!
//! These types stand below everything else in the crate. A kind carries the function that opens its providers, so that
//! nothing here knows which kinds exist; [`crate::catalogue`] lists them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use twofa_core::{Channel, Timestamp};
use zeroize::Zeroizing;

use crate::error::SendError;
use crate::message::Message;

/// The directories with an administrator's own files.
#[derive(Debug, Clone)]
pub struct ConfigDirs {
    /// Data files of SMS providers that are not built in.
    pub sms: PathBuf,
    /// Templates that replace the built-in ones.
    pub templates: PathBuf,
}

impl Default for ConfigDirs {
    fn default() -> Self {
        Self {
            sms: "/etc/twofa/sms.d".into(),
            templates: "/etc/twofa/templates".into(),
        }
    }
}

/// Opens a provider of a kind. Connects to nothing.
type Open = dyn Fn(&ProviderKind, &ProviderConfig, &ConfigDirs) -> Result<Box<dyn Provider>, BadProvider>
    + Send
    + Sync;

/// A kind of provider, such as `smtp` or `twilio`.
#[derive(Clone)]
pub struct ProviderKind {
    /// The name that an administrator types.
    pub name: String,
    /// Other names that mean the same kind.
    pub aliases: Vec<String>,
    /// The name shown to people, such as `Twilio`.
    pub title: String,
    /// The channel it sends on.
    pub channel: Channel,
    /// The settings it takes, in the order in which they are asked for.
    pub settings: Vec<Setting>,
    /// The names of settings in the order of an account string; empty if the kind has no account strings.
    pub account: Vec<String>,
    /// What its interface can do; `None` if it is not an SMS provider's.
    pub sms: Option<SmsFeatures>,
    pub(crate) open: Arc<Open>,
}

/// What the interface of an SMS provider can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmsFeatures {
    /// The format in which it takes a recipient's number, as an example: `+15551234567`.
    pub number: &'static str,
    /// It is told when a code expires, so that it does not deliver the code later.
    pub lifetime: bool,
    /// It lists the messages that people send to it, so that they can verify their number with one.
    pub inbox: bool,
    /// Its keys are tried when it is added, by a request that changes nothing.
    pub check: bool,
}

/// A setting that a kind of provider takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// What an administrator types before the `=`.
    pub name: String,
    /// One line of explanation without a full stop.
    pub help: String,
    /// Encrypted in the store, masked on the screen, never accepted in argv.
    pub secret: bool,
    /// The provider cannot be opened without it.
    pub required: bool,
    /// The value used if none is given.
    pub default: Option<String>,
}

/// A provider as it is configured in the store.
#[derive(Clone)]
pub struct ProviderConfig {
    /// The administrator's name for it.
    pub name: String,
    /// The name of its [`ProviderKind`].
    pub kind: String,
    /// A title chosen by the administrator; without one, the kind's title is shown.
    pub title: Option<String>,
    /// Values by the name of the setting.
    pub settings: BTreeMap<String, Zeroizing<String>>,
}

/// Why a provider cannot be opened with its settings. No variant contains the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadProvider {
    /// No kind has this name or alias.
    #[error("there is no kind of provider called '{0}'")]
    UnknownKind(String),
    /// The kind has no such setting.
    #[error("{kind} has no setting called '{setting}'")]
    UnknownSetting {
        /// The kind's name.
        kind: String,
        /// The setting's name.
        setting: String,
    },
    /// A required setting has no value.
    #[error("{kind} needs '{setting}': {help}")]
    Missing {
        /// The kind's name.
        kind: String,
        /// The setting's name.
        setting: String,
        /// The setting's one-line explanation.
        help: String,
    },
    /// The setting does not accept this value.
    #[error("'{setting}' {why}")]
    Value {
        /// The setting's name.
        setting: String,
        /// What is wrong, beginning with a verb: `must be …`.
        why: String,
    },
    /// A data file, template or directory cannot be used.
    #[error("{file}: {why}")]
    File {
        /// The path of the file.
        file: String,
        /// What is wrong, with the line number where it is known.
        why: String,
    },
}

/// What a provider returned when it accepted a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipt {
    /// The provider's ID of the message, if it returned one: printable, one line.
    pub id: Option<String>,
}

/// An open provider.
pub trait Provider: fmt::Debug + Send + Sync {
    /// The channel it sends on.
    fn channel(&self) -> Channel;

    /// Sends `message` to the address or number `to`. Returns by `deadline`, with an error if there was no answer.
    fn send(&self, to: &str, message: &Message, deadline: Instant) -> Result<Receipt, SendError>;

    /// Connects and logs in, as far as that is possible without sending a message.
    fn check(&self, deadline: Instant) -> Result<(), SendError>;

    /// When the certificate ends that its server showed at the last connection. `None`: there was none with TLS, or it went
    /// through a proxy.
    fn certificate_end(&self) -> Option<Timestamp> {
        None
    }

    /// The address or number it sends from, if a message can be sent there: the default recipient of a test message.
    fn sender_address(&self) -> Option<&str>;

    /// The text messages it has received, for providers that can list them.
    fn inbox(&self) -> Option<&dyn Inbox> {
        None
    }
}

/// The text messages that people sent to a provider's number.
pub trait Inbox: Send + Sync {
    /// The number that people send text messages to.
    fn number(&self) -> &str;

    /// The messages received since `since`. May also return older ones, and the same ones again.
    fn received(&self, since: Timestamp, deadline: Instant) -> Result<Vec<InboundSms>, SendError>;
}

/// A text message that somebody sent to a provider's number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundSms {
    /// The number it came from, as the provider writes it.
    pub from: String,
    /// The text as it was received.
    pub text: String,
    /// When it was received, if the provider says so.
    pub at: Option<Timestamp>,
}

impl ProviderKind {
    /// A kind without aliases and account strings, whose providers are opened by `open`.
    pub fn new(
        name: &str,
        title: &str,
        channel: Channel,
        settings: Vec<Setting>,
        open: impl Fn(&Self, &ProviderConfig, &ConfigDirs) -> Result<Box<dyn Provider>, BadProvider>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            aliases: Vec::new(),
            title: title.to_owned(),
            channel,
            settings,
            account: Vec::new(),
            sms: None,
            open: Arc::new(open),
        }
    }

    /// Whether `name` is the kind's name or one of its aliases.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }

    /// The setting of this name.
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// Opens the provider that `config` describes. Connects to nothing.
    pub(crate) fn open(
        &self,
        config: &ProviderConfig,
        dirs: &ConfigDirs,
    ) -> Result<Box<dyn Provider>, BadProvider> {
        self.check(&config.settings)?;
        (self.open)(self, config, dirs)
    }

    /// Checks that all `settings` are settings of this kind and that no required one is missing.
    fn check(&self, settings: &BTreeMap<String, Zeroizing<String>>) -> Result<(), BadProvider> {
        if let Some(unknown) = settings.keys().find(|name| self.setting(name).is_none()) {
            return Err(BadProvider::UnknownSetting {
                kind: self.name.clone(),
                setting: unknown.clone(),
            });
        }
        let is_missing = |setting: &&Setting| {
            setting.required
                && settings
                    .get(&setting.name)
                    .is_none_or(|value| value.is_empty())
        };
        match self.settings.iter().find(is_missing) {
            Some(setting) => Err(self.missing(&setting.name)),
            None => Ok(()),
        }
    }

    /// The error for a setting of this kind that needs a value and has none.
    pub(crate) fn missing(&self, name: &str) -> BadProvider {
        let help = self.setting(name).map(|setting| setting.help.clone());
        BadProvider::Missing {
            kind: self.name.clone(),
            setting: name.to_owned(),
            help: help.unwrap_or_default(),
        }
    }
}

impl fmt::Debug for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderKind")
            .field("name", &self.name)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

impl ProviderConfig {
    /// The value of the setting `name`, or the kind's default. An empty value counts as none.
    pub(crate) fn value<'a>(&'a self, kind: &'a ProviderKind, name: &str) -> Option<&'a str> {
        let given = self
            .settings
            .get(name)
            .map(|value| value.as_str())
            .filter(|value| !value.is_empty());
        given.or_else(|| kind.setting(name)?.default.as_deref())
    }
}

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderConfig")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
