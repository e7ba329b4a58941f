//! The providers as the store has them now: opened when they change, kept open in between.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use twofa_core::Timestamp;
use twofa_delivery::{
    Attempted, Catalogue, Channel, Configuration, Courier, Dispatcher, Message, Places, Provider, Received,
    SendError, Step, Undelivered,
};
use twofa_store::{AddressKind, ProviderRecord, Store, StoreError};
use zeroize::Zeroizing;

use crate::journal::say;

/// Carries by the providers in the store.
#[derive(Debug)]
pub struct StoredProviders {
    store: Arc<Store>,
    places: Places,
    /// The providers as of one version of the store. They keep their connections for as long as it is the last.
    open: Mutex<Option<(u64, Arc<Dispatcher>)>>,
}

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
        Self { store, places, open: Mutex::new(None) }
    }

    /// The providers as they are now.
    fn dispatcher(&self) -> Result<Arc<Dispatcher>, StoreError> {
        let version = self.store.providers_version()?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, dispatcher)) = open.as_ref().filter(|(known, _)| *known == version) {
            return Ok(dispatcher.clone());
        }
        let (version, dispatcher) = self.open_all()?;
        *open = Some((version, dispatcher.clone()));
        Ok(dispatcher)
    }

    fn open_all(&self) -> Result<(u64, Arc<Dispatcher>), StoreError> {
        let providers = self.store.providers()?;
        for (name, why) in &providers.broken {
            say(&format!("provider '{name}' cannot be used: {why}"));
        }
        let (catalogue, bad) = Catalogue::load(self.places.clone());
        for bad in bad {
            say(&bad.to_string());
        }
        let mut opened: Vec<(String, Arc<dyn Provider>)> = Vec::new();
        let order = [AddressKind::Email, AddressKind::Phone].map(|which| providers.order(which));
        for name in order.into_iter().flatten() {
            let Some(record) = providers.find(name) else { continue };
            match catalogue.open(&configuration(record)) {
                Ok(provider) => opened.push((name.clone(), provider.into())),
                Err(error) => say(&format!("provider '{name}' cannot be used: {error}")),
            }
        }
        Ok((providers.version, Arc::new(Dispatcher::new(opened))))
    }
}

impl Courier for StoredProviders {
    fn carries(&self, channel: Channel) -> bool {
        match self.dispatcher() {
            Ok(dispatcher) => dispatcher.carries(channel),
            Err(error) => {
                say(&format!("cannot read the providers: {error}"));
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
                Err(Undelivered { tried: vec![("store".to_owned(), error)] })
            }
        }
    }

    fn inbox_number(&self) -> Option<String> {
        self.dispatcher().ok()?.inbox_number()
    }

    fn received(&self, since: Timestamp, deadline: Instant) -> Result<Vec<Received>, SendError> {
        let dispatcher =
            self.dispatcher().map_err(|error| SendError::at(Step::Settings, error.to_string()))?;
        dispatcher.received(since, deadline)
    }
}
