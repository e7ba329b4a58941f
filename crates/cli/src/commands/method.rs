//! `twofa method`.

use std::io::{self, Write};

use serde::Serialize;
use twofa_broker::admin::Administration;
use twofa_broker::clock;
use twofa_core::{Channel, Methods};
use twofa_delivery::{Catalogue, ConfigDirs};
use twofa_proto::Failure;
use twofa_store::Providers;

use super::{by_root, confirm, provider};
use crate::arguments::{Confirmation, MethodCommand};
use crate::client;
use crate::error::CommandError;
use crate::messages;
use crate::output::{Output, Value};

pub(crate) fn run(command: &MethodCommand, output: Output) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root(
            "see or change how codes are carried",
        ));
    }
    let broker = client::open()?;
    match command {
        MethodCommand::List => list(&broker, output),
        MethodCommand::Set {
            method,
            providers,
            confirmation,
            ..
        } => set(&broker, *method, providers, *confirmation),
    }
}

/// A method as JSON has it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    method: &'static str,
    /// For everyone who is in no class.
    allowed: bool,
    allowed_for_classes: Vec<&'a str>,
    /// None where nothing is carried.
    providers: Option<&'a [String]>,
}

fn list(broker: &Administration, output: Output) -> Result<(), CommandError> {
    let rulebook = broker.store().rulebook()?;
    let providers = broker.store().providers()?;
    let mut listing = output.listing(&["METHOD", "ALLOWED", "PROVIDERS"]);
    for method in Methods::ALL.iter() {
        let allowed = rulebook.machine().methods.contains(method);
        let allows = |class: &&twofa_core::Class| {
            class
                .policy(rulebook.machine())
                .is_ok_and(|policy| policy.methods.contains(method))
        };
        let classes: Vec<_> = rulebook
            .classes()
            .iter()
            .filter(allows)
            .map(|class| class.name.as_str())
            .collect();
        let order = method
            .channel()
            .map(|channel| providers.order[channel].as_slice());
        let row = Row {
            method: method.name(),
            allowed,
            allowed_for_classes: classes,
            providers: order,
        };
        listing.row(&row, || {
            let by_classes = &row.allowed_for_classes;
            let allowed = messages::policy::allowed(allowed, by_classes, rulebook.classes().len());
            vec![
                Value::Text(method.name().to_owned()),
                Value::Text(allowed),
                carriers(&providers, order),
            ]
        })?;
    }
    listing.end("")
}

fn carriers(providers: &Providers, order: Option<&[String]>) -> Value {
    match order {
        None => Value::Text("-".to_owned()),
        Some([]) => Value::Warning("none".to_owned()),
        Some(order) => {
            let text = order.join(", ");
            let is_usable = order.iter().any(|name| providers.find(name).is_some());
            if is_usable {
                Value::Text(text)
            } else {
                Value::Bad(text)
            }
        }
    }
}

fn set(
    broker: &Administration,
    channel: Channel,
    names: &[String],
    confirmation: Confirmation,
) -> Result<(), CommandError> {
    let before = broker.store().providers()?;
    let (catalogue, _) = Catalogue::load(ConfigDirs::default());
    for name in names {
        let kind = before
            .find(name)
            .and_then(|record| catalogue.find(&record.kind));
        if let Some(kind) = kind.filter(|kind| kind.channel != channel) {
            let message = format!("'{name}' carries {}, not {channel}", kind.channel);
            return Err(
                CommandError::new(Failure::Usage, message).hinted("see 'twofa provider list'")
            );
        }
    }
    let mut after = before.clone();
    after.order[channel] = names.to_vec();
    confirm::confirm(
        broker
            .concerns_about_providers(&before, &after)?
            .iter()
            .map(messages::policy::concern),
        confirmation,
    )?;
    let changed = broker
        .store()
        .set_provider_order(channel, names, &by_root(), clock::now())?;
    let already = if changed { "" } else { "Nothing to change. " };
    Ok(writeln!(
        io::stdout(),
        "{already}{}",
        provider::order(channel, names)
    )?)
}
