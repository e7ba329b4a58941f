//! Providers: what kinds there are, what each wants to know, and opening one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use twofa_core::{Channel, Timestamp};
use zeroize::Zeroizing;

use crate::error::SendError;
use crate::message::Message;
use crate::{mail, sms};

/// Where an administrator's own files are.
#[derive(Debug, Clone)]
pub struct Places {
    /// Data files of SMS providers that are not built in.
    pub sms: PathBuf,
    /// Templates that take the place of the built-in ones.
    pub templates: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            sms: "/etc/twofa/sms.d".into(),
            templates: "/etc/twofa/templates".into(),
        }
    }
}

/// A kind of provider.
#[derive(Debug, Clone)]
pub struct Kind {
    /// What an administrator writes, such as `smtp` or `twilio`.
    pub name: String,
    /// Other names for it.
    pub aliases: Vec<String>,
    /// What it is, for people.
    pub title: String,
    /// What it carries.
    pub channel: Channel,
    /// What it wants to know, in the order in which it is asked.
    pub settings: Vec<Setting>,
}

/// Something that a kind of provider wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// What an administrator writes before the `=`.
    pub name: String,
    /// One line of explanation, no full stop.
    pub help: String,
    /// Sealed in the store, shown masked, never in argv.
    pub secret: bool,
    /// There is no doing without it.
    pub required: bool,
    /// What holds when nothing is given.
    pub default: Option<String>,
}

/// A provider as it is stored.
#[derive(Clone)]
pub struct Configuration {
    /// What the administrator calls it.
    pub name: String,
    /// The name of its [`Kind`].
    pub kind: String,
    /// For people; `None`: the kind's.
    pub title: Option<String>,
    /// By the names of the kind's settings.
    pub settings: BTreeMap<String, Zeroizing<String>>,
}

impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configuration")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// A provider cannot be made of this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadProvider {
    /// There is no such kind.
    #[error("there is no kind of provider called '{0}'")]
    UnknownKind(String),
    /// A setting the kind does not have.
    #[error("{kind} has no setting called '{setting}'")]
    UnknownSetting {
        /// The kind's name.
        kind: String,
        /// The setting's.
        setting: String,
    },
    /// A setting is missing.
    #[error("{kind} needs '{setting}': {help}")]
    Missing {
        /// The kind's name.
        kind: String,
        /// The setting's.
        setting: String,
        /// What it is.
        help: String,
    },
    /// A value is not one the setting takes. It does not hold the value of a secret.
    #[error("'{setting}' {why}")]
    Value {
        /// The setting's name.
        setting: String,
        /// What is wrong, starting with a verb: `must be …`.
        why: String,
    },
    /// A data file is broken.
    #[error("{file}: {why}")]
    File {
        /// Its path.
        file: String,
        /// What is wrong, with the line where one is known.
        why: String,
    },
}

/// What a provider said when it took a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipt {
    /// The provider's own name for the message, if it gave one: printable, one line.
    pub id: Option<String>,
}

/// An open provider.
pub trait Provider: fmt::Debug + Send + Sync {
    /// What it carries.
    fn channel(&self) -> Channel;

    /// Sends `message` to `to`, or gives up by `deadline`.
    fn send(&self, to: &str, message: &Message, deadline: Instant) -> Result<Receipt, SendError>;

    /// Goes as far as it can without sending anything: connects, logs in.
    fn check(&self, deadline: Instant) -> Result<(), SendError>;

    /// Where a test message goes when nobody says: the address it sends from.
    fn own_address(&self) -> Option<&str>;

    /// What was sent to it, for providers that tell.
    fn inbox(&self) -> Option<&dyn Inbox> {
        None
    }
}

/// Text messages that people sent to us.
pub trait Inbox: Send + Sync {
    /// Our number.
    fn number(&self) -> &str;

    /// What came in since `since`. May give older ones as well, and the same again.
    fn received(&self, since: Timestamp, deadline: Instant) -> Result<Vec<Received>, SendError>;
}

/// A text message from somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The number it came from, as the provider writes it.
    pub from: String,
    /// What it says.
    pub text: String,
    /// When, if the provider says.
    pub at: Option<Timestamp>,
}

/// All kinds of providers there are on this machine.
#[derive(Debug, Clone)]
pub struct Catalogue {
    places: Places,
    kinds: Vec<Kind>,
}

impl Catalogue {
    /// The built-in kinds and those in `places`. A file that cannot be read or is broken is left out and told of: the
    /// others still work.
    pub fn load(places: Places) -> (Self, Vec<BadProvider>) {
        let mut kinds = mail::kinds();
        let (sms, bad) = sms::kinds(&places.sms);
        kinds.extend(sms);
        (Self { places, kinds }, bad)
    }

    /// The kinds, e-mail first.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// The kind of this name or alias.
    pub fn find(&self, name: &str) -> Option<&Kind> {
        self.kinds
            .iter()
            .find(|kind| kind.name == name || kind.aliases.iter().any(|alias| alias == name))
    }

    /// Opens the provider that `configuration` describes. Nothing is connected yet.
    pub fn open(&self, configuration: &Configuration) -> Result<Box<dyn Provider>, BadProvider> {
        let kind = self.find(&configuration.kind);
        let kind = kind.ok_or_else(|| BadProvider::UnknownKind(configuration.kind.clone()))?;
        kind.check(&configuration.settings)?;
        if mail::has_kind(&kind.name) {
            mail::open(kind, configuration, &self.places)
        } else {
            sms::open(kind, configuration, &self.places)
        }
    }
}

impl Kind {
    /// The setting of this name.
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// Whether these are settings of this kind, and none is missing.
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
            Some(Setting { name, help, .. }) => Err(BadProvider::Missing {
                kind: self.name.clone(),
                setting: name.clone(),
                help: help.clone(),
            }),
            None => Ok(()),
        }
    }
}

impl Configuration {
    /// The value of the setting `name`, or the kind's default.
    pub(crate) fn value<'a>(&'a self, kind: &'a Kind, name: &str) -> Option<&'a str> {
        let given = self
            .settings
            .get(name)
            .map(|value| value.as_str())
            .filter(|value| !value.is_empty());
        given.or_else(|| kind.setting(name)?.default.as_deref())
    }
}
