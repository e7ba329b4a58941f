//! Providers: which there are, their settings, and whether they work.
//!
//! [`draft`] puts a new provider or a change together of what an administrator gives ([`settings`]), so that it can be
//! tested before it is saved; [`mod@test`] tests what is saved. Everything but reading a file of secrets happens with the
//! rights of the broker: what works here works there.

pub mod draft;
pub mod settings;
pub mod test;

use std::collections::BTreeMap;

use twofa_core::Channel;
pub use twofa_delivery::provider::{Setting, SmsFeatures};
pub use twofa_delivery::sms::{DataFileReport, check_file};
pub use twofa_delivery::{BadProvider, ProviderKind};
use twofa_delivery::{Catalogue, ConfigDirs, SendError};
pub use twofa_store::Value;
use twofa_store::{ProviderRecord, Providers, StoreError};

use super::checks::{self, Concern};
use super::{AdminError, Administration};
use crate::sending::providers::configuration;

/// Why a provider could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderFailure {
    /// How far it came, such as `connect` or `TLS`.
    pub step: &'static str,
    /// Why it failed there: one printable line, without secrets.
    pub reason: String,
    /// What an administrator can do about it.
    pub hint: Option<String>,
}

impl From<SendError> for ProviderFailure {
    fn from(
        SendError {
            step, reason, hint, ..
        }: SendError,
    ) -> Self {
        Self {
            step: step.name(),
            reason,
            hint,
        }
    }
}

/// One provider in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedProvider {
    /// What the administrator calls it.
    pub name: String,
    /// Its kind, where its settings open.
    pub kind: Option<String>,
    /// The channel it sends by, if known.
    pub channel: Option<Channel>,
    /// When it is tried among those of its channel: the first is 1. `None`: it is not used.
    pub order: Option<usize>,
    /// The name that users see: its own title, else its kind's.
    pub title: Option<String>,
    /// Why it cannot be used.
    pub problem: Option<String>,
}

/// A provider in full.
#[derive(Debug)]
pub struct ProviderDetails {
    /// Its entry in the listing.
    pub listed: ListedProvider,
    /// Its settings by name, including secrets, which are marked.
    pub settings: BTreeMap<String, Value>,
}

/// A removal that has not been made yet.
#[derive(Debug)]
pub struct RemovalPlan {
    /// What could lock people out, and did not before.
    pub concerns: Vec<Concern>,
    name: String,
    before: Providers,
}

/// The kinds of providers, the built-in ones and the administrator's own. A broken file among those is the doctor's to
/// report.
pub fn kinds() -> Vec<ProviderKind> {
    catalogue().kinds().to_vec()
}

/// The kind called `name`, by any of its names.
pub fn kind(name: &str) -> Result<ProviderKind, AdminError> {
    Ok(find_kind(&catalogue(), name)?.clone())
}

impl Administration {
    /// Every provider: by channel in the order in which they are tried, then those that are not used, by name.
    pub fn providers(&self) -> Result<Vec<ListedProvider>, AdminError> {
        let providers = self.store().providers()?;
        let catalogue = catalogue();
        let names = providers.all.iter().map(|provider| &provider.name);
        let names = names.chain(providers.broken.iter().map(|(name, _)| name));
        let mut listed: Vec<_> = names
            .map(|name| listed(&providers, &catalogue, name))
            .collect();
        listed.sort_by_cached_key(|provider| {
            let place = place(&providers, &provider.name);
            (place.is_none(), place, provider.name.clone())
        });
        Ok(listed)
    }

    /// The provider called `name`.
    pub fn provider(&self, name: &str) -> Result<ProviderDetails, AdminError> {
        let providers = self.store().providers()?;
        let record = find(&providers, name)?;
        Ok(ProviderDetails {
            listed: listed(&providers, &catalogue(), name),
            settings: record.settings.clone(),
        })
    }

    /// The names of the providers of `channel`, in the order in which they are tried.
    pub fn provider_order(&self, channel: Channel) -> Result<Vec<String>, AdminError> {
        Ok(self.store().providers()?.order[channel].clone())
    }

    /// Plans to remove the provider called `name`. One whose settings do not open can be removed as well.
    pub fn plan_removal(&self, name: &str) -> Result<RemovalPlan, AdminError> {
        let before = self.store().providers()?;
        if !is_broken(&before, name) {
            find(&before, name)?;
        }
        let mut after = before.clone();
        after.all.retain(|provider| provider.name != name);
        Ok(RemovalPlan {
            concerns: checks::concerns_about_providers(self.store(), &before, &after)?,
            name: name.to_owned(),
            before,
        })
    }

    /// Removes the provider, and returns the orders that it was part of, as they are now.
    pub fn remove_provider(
        &self,
        plan: &RemovalPlan,
    ) -> Result<Vec<(Channel, Vec<String>)>, AdminError> {
        let (origin, now) = (self.origin(), self.now());
        if !self.store().remove_provider(&plan.name, &origin, now)? {
            return Err(StoreError::ChangedMeanwhile.into());
        }
        let after = self.store().providers()?;
        let changed = after
            .order
            .iter()
            .filter(|(channel, order)| plan.before.order[*channel] != **order);
        Ok(changed
            .map(|(channel, order)| (channel, order.clone()))
            .collect())
    }
}

pub(super) fn catalogue() -> Catalogue {
    Catalogue::load(ConfigDirs::default()).0
}

fn find_kind<'a>(catalogue: &'a Catalogue, name: &str) -> Result<&'a ProviderKind, AdminError> {
    let kind = catalogue.find(name);
    kind.ok_or_else(|| AdminError::NoKind(name.escape_debug().to_string()))
}

/// The usable provider called `name`.
fn find<'a>(providers: &'a Providers, name: &str) -> Result<&'a ProviderRecord, AdminError> {
    if let Some(record) = providers.find(name) {
        return Ok(record);
    }
    let mut broken = providers.broken.iter();
    Err(match broken.find(|(broken, _)| broken == name) {
        Some((name, why)) => AdminError::ProviderSealed {
            name: name.clone(),
            error: why.clone(),
        },
        None => AdminError::NoProvider(name.escape_debug().to_string()),
    })
}

fn is_broken(providers: &Providers, name: &str) -> bool {
    providers.broken.iter().any(|(broken, _)| broken == name)
}

fn listed(providers: &Providers, catalogue: &Catalogue, name: &str) -> ListedProvider {
    let place = place(providers, name);
    let record = providers.find(name);
    let kind = record.and_then(|record| catalogue.find(&record.kind));
    let problem = match record {
        Some(record) => catalogue
            .open(&configuration(record))
            .err()
            .map(|error| error.to_string()),
        None => providers
            .broken
            .iter()
            .find(|(broken, _)| broken == name)
            .map(|(_, why)| why.clone()),
    };
    ListedProvider {
        name: name.to_owned(),
        kind: record.map(|record| record.kind.clone()),
        channel: kind
            .map(|kind| kind.channel)
            .or(place.map(|(channel, _)| channel)),
        order: place.map(|(_, order)| order),
        title: record
            .and_then(|record| record.title.clone())
            .or(kind.map(|kind| kind.title.clone())),
        problem,
    }
}

/// The channel that a provider is used for, and when it is tried: the first is 1.
fn place(providers: &Providers, name: &str) -> Option<(Channel, usize)> {
    providers.order.iter().find_map(|(channel, order)| {
        let at = order.iter().position(|other| other == name)?;
        Some((channel, at + 1))
    })
}
