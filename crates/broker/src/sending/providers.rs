//! The providers as the store has them now: opened when they change, kept open in between.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use twofa_core::{Channel, Timestamp};
use twofa_delivery::{
    Attempted, Catalogue, Configuration, Courier, Dispatcher, Message, Places, Provider, Received,
    SendError, Step, Undelivered,
};
use twofa_store::{ProviderRecord, Store, StoreError};
use zeroize::Zeroizing;

use crate::process::log;

/// Carries by the providers in the store.
#[derive(Debug)]
pub struct StoredProviders {
    store: Arc<Store>,
    places: Places,
    /// The providers as they were opened last. They keep their connections for as long as nothing about them changes.
    open: Mutex<Option<Opened>>,
}

/// Providers that are open, and what they were opened from.
#[derive(Debug)]
struct Opened {
    /// The version of the store.
    version: u64,
    /// What the administrator's own files were like.
    stamp: u64,
    /// Those whose files the providers have read.
    configurations: Vec<(Configuration, u64)>,
    /// Some could not be opened; from then on that is tried again.
    again_at: Option<Instant>,
    dispatcher: Arc<Dispatcher>,
}

/// How long a provider that could not be opened is left alone.
const REST: Duration = Duration::from_secs(30);

/// A provider of the store as the delivery wants it.
pub fn configuration(record: &ProviderRecord) -> Configuration {
    let settings = record.settings.iter();
    Configuration {
        name: record.name.clone(),
        kind: record.kind.clone(),
        title: record.title.clone(),
        settings: settings
            .map(|(name, value)| (name.clone(), Zeroizing::new(value.text().to_owned())))
            .collect(),
    }
}

impl StoredProviders {
    /// The providers in `store`; an administrator's own files are in `places`.
    pub const fn new(store: Arc<Store>, places: Places) -> Self {
        Self {
            store,
            places,
            open: Mutex::new(None),
        }
    }

    /// The providers as they are now.
    fn dispatcher(&self) -> Result<Arc<Dispatcher>, StoreError> {
        let version = self.store.providers_version()?;
        let stamp = self.places.stamp();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = open
            .as_ref()
            .filter(|opened| opened.is_good(version, stamp))
        {
            return Ok(opened.dispatcher.clone());
        }
        let opened = self.open_all(stamp)?;
        let dispatcher = opened.dispatcher.clone();
        *open = Some(opened);
        Ok(dispatcher)
    }

    fn open_all(&self, stamp: u64) -> Result<Opened, StoreError> {
        let providers = self.store.providers()?;
        let mut has_failed = !providers.broken.is_empty();
        for (name, why) in &providers.broken {
            log::warn(&format!("provider '{name}' cannot be used: {why}"));
        }
        let (catalogue, bad) = Catalogue::load(self.places.clone());
        for bad in bad {
            log::warn(&bad.to_string());
        }
        let (mut opened, mut configurations) = (Vec::new(), Vec::new());
        for name in providers.order.iter().flat_map(|(_, order)| order) {
            let Some(record) = providers.find(name) else {
                continue;
            };
            let configuration = configuration(record);
            match catalogue.open(&configuration) {
                Ok(provider) => opened.push((name.clone(), Arc::<dyn Provider>::from(provider))),
                Err(error) => {
                    has_failed = true;
                    log::warn(&format!("provider '{name}' cannot be used: {error}"));
                }
            }
            let stamp = configuration.stamp();
            configurations.push((configuration, stamp));
        }
        Ok(Opened {
            version: providers.version,
            stamp,
            configurations,
            again_at: has_failed.then(|| Instant::now() + REST),
            dispatcher: Arc::new(Dispatcher::new(opened)),
        })
    }
}

impl Opened {
    /// Whether all is still as it was when they were opened.
    fn is_good(&self, version: u64, stamp: u64) -> bool {
        self.version == version
            && self.stamp == stamp
            && self
                .again_at
                .is_none_or(|again_at| Instant::now() < again_at)
            && self
                .configurations
                .iter()
                .all(|(configuration, stamp)| configuration.stamp() == *stamp)
    }
}

impl Courier for StoredProviders {
    fn carries(&self, channel: Channel) -> bool {
        match self.dispatcher() {
            Ok(dispatcher) => dispatcher.carries(channel),
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
    ) -> Result<Attempted, Undelivered> {
        match self.dispatcher() {
            Ok(dispatcher) => dispatcher.send(channel, to, message, deadline),
            Err(error) => {
                let error = SendError::at(Step::Settings, error.to_string());
                Err(Undelivered {
                    tried: vec![("store".to_owned(), error)],
                })
            }
        }
    }

    fn inbox_number(&self) -> Option<String> {
        self.dispatcher().ok()?.inbox_number()
    }

    fn received(&self, since: Timestamp, deadline: Instant) -> Result<Vec<Received>, SendError> {
        let dispatcher = self
            .dispatcher()
            .map_err(|error| SendError::at(Step::Settings, error.to_string()))?;
        dispatcher.received(since, deadline)
    }
}
