//! The kinds of providers on this machine: built in, and from an administrator's data files.

use crate::provider::{BadProvider, ConfigDirs, Provider, ProviderConfig, ProviderKind};
use crate::{mail, sms};

/// The kinds of providers on this machine.
#[derive(Debug, Clone)]
pub struct Catalogue {
    dirs: ConfigDirs,
    kinds: Vec<ProviderKind>,
}

impl Catalogue {
    /// Loads the built-in kinds and those in `dirs`. A data file that cannot be read or is invalid is left out and
    /// returned as an error; all other kinds still work.
    pub fn load(dirs: ConfigDirs) -> (Self, Vec<BadProvider>) {
        let mut kinds = mail::kinds();
        let (sms, bad) = sms::kinds(&dirs.sms, &kinds);
        kinds.extend(sms);
        (Self { dirs, kinds }, bad)
    }

    /// All kinds, those for e-mail first.
    pub fn kinds(&self) -> &[ProviderKind] {
        &self.kinds
    }

    /// The kind with this name or alias.
    pub fn find(&self, name: &str) -> Option<&ProviderKind> {
        self.kinds.iter().find(|kind| kind.is_called(name))
    }

    /// Opens the provider that `config` describes. Connects to nothing.
    pub fn open(&self, config: &ProviderConfig) -> Result<Box<dyn Provider>, BadProvider> {
        match self.find(&config.kind) {
            Some(kind) => kind.open(config, &self.dirs),
            None => Err(BadProvider::UnknownKind(config.kind.clone())),
        }
    }
}
