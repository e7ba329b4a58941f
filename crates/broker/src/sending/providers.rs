//! The providers in the store: opened when they change, and kept open in between.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use twofa_core::{Channel, Timestamp};
use twofa_delivery::{
    Accepted, Catalogue, ConfigDirs, Dispatcher, InboundSms, Message, Provider, ProviderConfig,
    SendError, Sender, Step, Undelivered,
};
use twofa_store::{ProviderRecord, Store, StoreError};
use zeroize::Zeroizing;

use crate::process::log;

/// Sends by the providers in the store.
#[derive(Debug)]
pub struct StoredProviders {
    store: Arc<Store>,
    dirs: ConfigDirs,
    /// The providers as they were opened last. They keep their connections for as long as nothing about them changes.
    open: Mutex<Option<Opened>>,
}

/// Providers that are open, and what they were opened from.
#[derive(Debug)]
struct Opened {
    /// The version of the store.
    version: u64,
    /// The fingerprint of the administrator's own files.
    fingerprint: u64,
    /// The providers' configurations, with the fingerprints of the files they name.
    configs: Vec<(ProviderConfig, u64)>,
    /// When those that could not be opened are tried again. `None`: all are open.
    retry_at: Option<Instant>,
    dispatcher: Arc<Dispatcher>,
}

/// How long it takes until a provider that could not be opened is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// The configuration of a provider in the store.
pub fn configuration(record: &ProviderRecord) -> ProviderConfig {
    let settings = record.settings.iter();
    ProviderConfig {
        name: record.name.clone(),
        kind: record.kind.clone(),
        title: record.title.clone(),
        settings: settings
            .map(|(name, value)| (name.clone(), Zeroizing::new(value.text().to_owned())))
            .collect(),
    }
}

impl StoredProviders {
    /// The providers in `store`, with an administrator's own files in `dirs`.
    pub const fn new(store: Arc<Store>, dirs: ConfigDirs) -> Self {
        Self {
            store,
            dirs,
            open: Mutex::new(None),
        }
    }

    /// The providers as they are now.
    fn dispatcher(&self) -> Result<Arc<Dispatcher>, StoreError> {
        let version = self.store.providers_version()?;
        let fingerprint = self.dirs.fingerprint();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = open
            .as_ref()
            .filter(|opened| opened.is_current(version, fingerprint))
        {
            return Ok(opened.dispatcher.clone());
        }
        let opened = self.open_all(fingerprint)?;
        let dispatcher = opened.dispatcher.clone();
        *open = Some(opened);
        Ok(dispatcher)
    }

    fn open_all(&self, fingerprint: u64) -> Result<Opened, StoreError> {
        let providers = self.store.providers()?;
        let mut has_failed = !providers.broken.is_empty();
        for (name, why) in &providers.broken {
            log::warn(&format!("provider '{name}' cannot be used: {why}"));
        }
        let (catalogue, bad) = Catalogue::load(self.dirs.clone());
        for bad in bad {
            log::warn(&bad.to_string());
        }
        let (mut opened, mut configs) = (Vec::new(), Vec::new());
        for name in providers.order.iter().flat_map(|(_, order)| order) {
            let Some(record) = providers.find(name) else {
                continue;
            };
            let config = configuration(record);
            match catalogue.open(&config) {
                Ok(provider) => opened.push((name.clone(), Arc::<dyn Provider>::from(provider))),
                Err(error) => {
                    has_failed = true;
                    log::warn(&format!("provider '{name}' cannot be used: {error}"));
                }
            }
            let files = config.fingerprint();
            configs.push((config, files));
        }
        Ok(Opened {
            version: providers.version,
            fingerprint,
            configs,
            retry_at: has_failed.then(|| Instant::now() + RETRY_AFTER),
            dispatcher: Arc::new(Dispatcher::new(opened)),
        })
    }
}

impl Opened {
    /// Whether nothing has changed since they were opened.
    fn is_current(&self, version: u64, fingerprint: u64) -> bool {
        self.version == version
            && self.fingerprint == fingerprint
            && self
                .retry_at
                .is_none_or(|retry_at| Instant::now() < retry_at)
            && self
                .configs
                .iter()
                .all(|(config, files)| config.fingerprint() == *files)
    }
}

impl Sender for StoredProviders {
    fn serves(&self, channel: Channel) -> bool {
        match self.dispatcher() {
            Ok(dispatcher) => dispatcher.serves(channel),
            Err(error) => {
                log::warn(&format!("cannot read the providers: {error}"));
                false
            }
        }
    }

    fn send(
        &self,
        channel: Channel,
        to: &str,
        message: &Message,
        deadline: Instant,
    ) -> Result<Accepted, Undelivered> {
        match self.dispatcher() {
            Ok(dispatcher) => dispatcher.send(channel, to, message, deadline),
            Err(error) => {
                let error = SendError::new(Step::Settings, error.to_string());
                Err(Undelivered {
                    failed: vec![("store".to_owned(), error)],
                })
            }
        }
    }

    fn inbox_number(&self) -> Option<String> {
        self.dispatcher().ok()?.inbox_number()
    }

    fn received(&self, since: Timestamp, deadline: Instant) -> Result<Vec<InboundSms>, SendError> {
        let dispatcher = self
            .dispatcher()
            .map_err(|error| SendError::new(Step::Settings, error.to_string()))?;
        dispatcher.received(since, deadline)
    }
}
