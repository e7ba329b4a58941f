//! What a provider is to its callers.

use std::collections::BTreeMap;
use std::fmt;
use twofa_core::PerChannel;

use zeroize::Zeroizing;

/// The value of a provider's setting.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// Anybody who may see the store may see it.
    Plain(String),
    /// Sealed in the store. Never printed.
    Secret(Zeroizing<String>),
}

impl Value {
    /// The value, secret or not.
    pub fn text(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(text) => text,
        }
    }

    /// Whether it must not be shown.
    pub const fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => f.debug_tuple("Plain").field(text).finish(),
            Self::Secret(_) => f.write_str("Secret(…)"),
        }
    }
}

/// A provider, its secret settings opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRecord {
    /// What the administrator calls it: 1 to 32 of `a`–`z`, `0`–`9`, `-`, `_` and `.`.
    pub name: String,
    /// The name of its kind, such as `smtp`.
    pub kind: String,
    /// The title that users see; `None`: that of the kind.
    pub title: Option<String>,
    /// Its settings by name.
    pub settings: BTreeMap<String, Value>,
}

/// All providers, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Providers {
    /// As [`crate::Store::providers_version`].
    pub version: u64,
    /// Those that can be used, by name.
    pub all: Vec<ProviderRecord>,
    /// The names of those that send by each channel, in the order in which they are tried. Broken ones keep their
    /// place.
    pub order: PerChannel<Vec<String>>,
    /// The names of those whose settings do not open, and why.
    pub broken: Vec<(String, String)>,
}

impl Providers {
    /// The usable provider of this name.
    pub fn find(&self, name: &str) -> Option<&ProviderRecord> {
        self.all.iter().find(|provider| provider.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let password = Value::Secret(Zeroizing::new("swordfish".into()));
        let settings = BTreeMap::from([("password".to_owned(), password)]);
        let record = ProviderRecord {
            name: "relay".into(),
            kind: "smtp".into(),
            title: None,
            settings,
        };
        let printed = format!("{record:?}");
        assert!(
            printed.contains("Secret(…)") && !printed.contains("swordfish"),
            "{printed}"
        );
    }
}
