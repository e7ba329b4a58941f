//! `twofa provider`.
//!
//! What a provider is told is put together by [`settings`], tried by [`testing`] and kept by [`change`]; [`show`] tells
//! of it. All but reading a file of secrets happens as the broker's user: what works here works there.

mod change;
mod settings;
mod show;
mod test;

use std::io::IsTerminal;

use twofa_broker::admin::Administration;
use twofa_core::Channel;
use twofa_delivery::{BadProvider, Catalogue, ConfigDirs, ProviderKind};
use twofa_proto::Failure;
use twofa_store::{ProviderRecord, Providers, StoreError};

use crate::arguments::{ProviderCommand, Testing};
use crate::client;
use crate::error::CommandError;
use crate::output::Output;

pub(crate) fn run(command: &ProviderCommand, output: Output) -> Result<(), CommandError> {
    match command {
        ProviderCommand::Kinds { kind } => return show::kinds(kind.as_deref(), output),
        ProviderCommand::Check { file } => return show::check(file, output),
        _ => {}
    }
    if !client::is_root() {
        return Err(CommandError::only_root("see or change providers"));
    }
    match command {
        ProviderCommand::Add {
            name,
            kind,
            settings,
            title,
            testing,
        } => {
            let secrets = secrets(testing)?;
            let wish = change::Wish {
                given: settings,
                has_secrets: secrets.is_some(),
                secrets: secrets.unwrap_or_default(),
                title: title.as_deref(),
                unset: &[],
                is_tried: !testing.no_test,
            };
            change::add(&client::open()?, name, kind, wish)
        }
        ProviderCommand::Set {
            name,
            settings,
            unset,
            title,
            testing,
        } => {
            let secrets = secrets(testing)?;
            let wish = change::Wish {
                given: settings,
                has_secrets: secrets.is_some(),
                secrets: secrets.unwrap_or_default(),
                title: title.as_deref(),
                unset,
                is_tried: !testing.no_test,
            };
            change::set(&client::open()?, name, wish)
        }
        ProviderCommand::Remove { name, confirmation } => {
            change::remove(&client::open()?, name, *confirmation)
        }
        ProviderCommand::Show { name, reveal } => {
            show::one(&client::open()?, name, *reveal, output)
        }
        ProviderCommand::Test { name, to } => {
            test::test(&client::open()?, name, to.as_deref(), output)
        }
        ProviderCommand::List | ProviderCommand::Kinds { .. } | ProviderCommand::Check { .. } => {
            show::list(&client::open()?, output)
        }
    }
}

/// The file of secrets, read as root.
fn secrets(testing: &Testing) -> Result<Option<settings::Values>, CommandError> {
    testing
        .secrets_from
        .as_deref()
        .map(settings::read)
        .transpose()
}

/// The kinds there are. A broken file of an administrator's is the doctor's business.
fn catalogue() -> Catalogue {
    Catalogue::load(ConfigDirs::default()).0
}

fn kind<'a>(catalogue: &'a Catalogue, name: &str) -> Result<&'a ProviderKind, CommandError> {
    catalogue.find(name).ok_or_else(|| {
        let message = format!(
            "there is no kind of provider called '{}'",
            name.escape_debug()
        );
        CommandError::new(Failure::NotFound, message).hinted("see 'twofa provider kinds'")
    })
}

/// The provider called `name`.
fn record<'a>(providers: &'a Providers, name: &str) -> Result<&'a ProviderRecord, CommandError> {
    if let Some(record) = providers.find(name) {
        return Ok(record);
    }
    if let Some((_, why)) = providers.broken.iter().find(|(broken, _)| broken == name) {
        let hint = format!("remove it with 'twofa provider remove {name}' and add it again");
        return Err(CommandError::new(Failure::Unavailable, why).hinted(hint));
    }
    Err(StoreError::ProviderUnknown(name.escape_debug().to_string()).into())
}

/// `Codes by e-mail go out by: mail, then relay.`
pub(crate) fn order(channel: Channel, names: &[String]) -> String {
    let way = twofa_broker::words::way(channel);
    match names {
        [] => format!("No codes go out by {way}."),
        names => format!("Codes by {way} go out by: {}.", names.join(", then ")),
    }
}

/// A provider that cannot be made of its settings.
fn bad(kind: &str, bad: &BadProvider) -> CommandError {
    let error = CommandError::new(Failure::Usage, bad.to_string());
    match bad {
        BadProvider::File { .. } => error,
        _ => error.hinted(format!("see 'twofa provider kinds {kind}'")),
    }
}

/// Whether somebody is there to answer questions.
fn is_asked() -> bool {
    std::io::stdin().is_terminal()
}

fn all(broker: &Administration) -> Result<Providers, CommandError> {
    Ok(broker.store().providers()?)
}
