//! Adding, changing and removing providers.

use std::io::{self, Write};

use twofa_broker::admin::Administration;
use twofa_broker::clock;
use twofa_broker::providers::configuration;
use twofa_core::Channel;
use twofa_core::text::is_unprintable;
use twofa_delivery::{Catalogue, ProviderKind};
use twofa_proto::Failure;
use twofa_store::{ProviderRecord, Store, StoreError, Value};

use super::settings::{self, Ask, Values};
use super::{all, bad, catalogue, is_asked, kind, order, record, test};
use crate::arguments::{Confirmation, Given};
use crate::commands::{by_root, confirm};
use crate::error::CommandError;
use crate::messages;

/// What an administrator wants of a provider.
pub(super) struct Wish<'a> {
    pub(super) given: &'a [Given],
    pub(super) has_secrets: bool,
    pub(super) secrets: Values,
    pub(super) title: Option<&'a str>,
    pub(super) unset: &'a [String],
    pub(super) is_tried: bool,
}

/// What there is to do about a test that fails.
const UNTESTED: &str = "--no-test saves it all the same";

pub(super) fn add(
    broker: &Administration,
    name: &str,
    kind_name: &str,
    wish: Wish<'_>,
) -> Result<(), CommandError> {
    let catalogue = catalogue();
    let kind = kind(&catalogue, kind_name)?;
    // Before anybody types a password for nothing.
    Store::check_provider_name(name)?;
    let providers = all(broker)?;
    if providers.find(name).is_some() || providers.broken.iter().any(|(broken, _)| broken == name) {
        return Err(StoreError::ProviderExists(name.to_owned()).into());
    }
    let title = title(wish.title)?;
    let ask: Ask<'_> = if is_asked() {
        Some(&settings::ask)
    } else {
        None
    };
    let mut told = settings::told(kind, wish.given, wish.secrets, ask)?;
    settings::complete(kind, &mut told, wish.has_secrets, ask)?;
    told.retain(|_, value| !value.is_empty());
    let settings = told
        .into_iter()
        .map(|(name, value)| value_of(kind, name, value))
        .collect();
    let record = ProviderRecord {
        name: name.to_owned(),
        kind: kind.name.clone(),
        title,
        settings,
    };
    try_it(&catalogue, &record, wish.is_tried, "nothing was saved")?;
    let channel = kind.channel;
    broker
        .store()
        .add_provider(&record, channel, &by_root(), clock::now())?;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "Added '{name}'. {}",
        order(channel, &all(broker)?.order[channel])
    )?;
    let to = match kind.channel {
        Channel::Email => "you@example.org",
        Channel::Sms => "'+49 30 123456'",
    };
    Ok(writeln!(
        out,
        "Try it: twofa provider test {name} --to {to}"
    )?)
}

pub(super) fn set(broker: &Administration, name: &str, wish: Wish<'_>) -> Result<(), CommandError> {
    if wish.given.is_empty() && wish.unset.is_empty() && !wish.has_secrets && wish.title.is_none() {
        let error = CommandError::new(Failure::Usage, "nothing is said to be changed");
        return Err(error.hinted("say KEY=VALUE, --unset KEY or --title"));
    }
    let catalogue = catalogue();
    let providers = all(broker)?;
    let mut record = record(&providers, name)?.clone();
    let before = record.settings.clone();
    let kind = kind(&catalogue, &record.kind)?;
    if wish.title.is_some() {
        record.title = title(wish.title)?;
    }
    let ask: Ask<'_> = if is_asked() {
        Some(&settings::ask)
    } else {
        None
    };
    for unset in wish.unset {
        if record.settings.remove(unset).is_none() && kind.setting(unset).is_none() {
            return Err(settings::unknown(kind, unset));
        }
    }
    for (name, value) in settings::told(kind, wish.given, wish.secrets, ask)? {
        if value.is_empty() {
            record.settings.remove(&name);
        } else {
            let (name, value) = value_of(kind, name, value);
            record.settings.insert(name, value);
        }
    }
    let is_tried = wish.is_tried && record.settings != before;
    try_it(&catalogue, &record, is_tried, "nothing was changed")?;
    let changed = broker
        .store()
        .change_provider(&record, &by_root(), clock::now())?;
    let mut out = io::stdout().lock();
    match changed.as_slice() {
        [] => writeln!(out, "Nothing to change: it is that already.")?,
        changed => writeln!(out, "Changed '{name}': {}.", changed.join(", "))?,
    }
    Ok(())
}

pub(super) fn remove(
    broker: &Administration,
    name: &str,
    confirmation: Confirmation,
) -> Result<(), CommandError> {
    let before = all(broker)?;
    if !before.broken.iter().any(|(broken, _)| broken == name) {
        record(&before, name)?;
    }
    let mut after = before.clone();
    after.all.retain(|provider| provider.name != name);
    confirm::confirm(
        broker
            .concerns_about_providers(&before, &after)?
            .iter()
            .map(messages::policy::concern),
        confirmation,
    )?;
    if !broker
        .store()
        .remove_provider(name, &by_root(), clock::now())?
    {
        return Err(StoreError::ChangedMeanwhile.into());
    }
    let after = all(broker)?;
    let mut out = io::stdout().lock();
    writeln!(out, "Removed '{name}'.")?;
    for channel in Channel::ALL {
        if before.order[channel] != after.order[channel] {
            writeln!(out, "{}", order(channel, &after.order[channel]))?;
        }
    }
    Ok(())
}

/// Opens the provider and tries it, unless that is not wanted.
fn try_it(
    catalogue: &Catalogue,
    record: &ProviderRecord,
    is_tried: bool,
    nothing: &str,
) -> Result<(), CommandError> {
    let provider = catalogue
        .open(&configuration(record))
        .map_err(|error| bad(&record.kind, &error))?;
    if !is_tried {
        return Ok(());
    }
    let failed = |error| {
        test::failed(
            &record.name,
            &error,
            &format!("; {nothing}"),
            Some(UNTESTED),
        )
    };
    test::check(&record.name, &*provider)
        .map_err(failed)
        .map(drop)
}

fn value_of(
    kind: &ProviderKind,
    name: String,
    value: zeroize::Zeroizing<String>,
) -> (String, Value) {
    // What the kind does not know any more may have been a secret.
    let is_plain = kind.setting(&name).is_some_and(|setting| !setting.secret);
    let value = if is_plain {
        Value::Plain(value.to_string())
    } else {
        Value::Secret(value)
    };
    (name, value)
}

/// A title as it is kept; an empty one is none.
fn title(title: Option<&str>) -> Result<Option<String>, CommandError> {
    let Some(title) = title.map(str::trim).filter(|title| !title.is_empty()) else {
        return Ok(None);
    };
    if title.chars().count() > 100 || title.chars().any(is_unprintable) {
        return Err(CommandError::new(
            Failure::Usage,
            "a title has at most 100 characters, none of them invisible",
        ));
    }
    Ok(Some(title.to_owned()))
}
