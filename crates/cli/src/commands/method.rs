//! `twofa method`.

use std::io::{self, Write};

use serde::Serialize;
use twofa_broker::admin::Administration;
use twofa_broker::admin::methods::ListedMethod;
use twofa_core::Channel;

use super::confirm;
use crate::arguments::{Confirmation, MethodCommand};
use crate::client;
use crate::error::CommandError;
use crate::messages::{policy, provider as messages};
use crate::output::{Output, Value};

pub(crate) fn run(command: &MethodCommand, output: Output) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("see or change how codes are sent"));
    }
    let admin = client::open()?;
    match command {
        MethodCommand::List => list(&admin, output),
        MethodCommand::Set {
            method,
            providers,
            confirmation,
            ..
        } => set(&admin, *method, providers, *confirmation),
    }
}

/// A method as JSON has it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    method: &'static str,
    /// For everyone who is in no class.
    allowed: bool,
    allowed_for_classes: &'a [String],
    /// None where nothing is sent.
    providers: Option<&'a [String]>,
}

fn list(admin: &Administration, output: Output) -> Result<(), CommandError> {
    let mut listing = output.listing(&["METHOD", "ALLOWED", "PROVIDERS"]);
    for method in &admin.methods()? {
        let row = Row {
            method: method.method.name(),
            allowed: method.allowed,
            allowed_for_classes: &method.allowed_by,
            providers: method.providers.as_deref(),
        };
        listing.row(&row, || {
            vec![
                Value::Text(row.method.to_owned()),
                Value::Text(policy::allowed(
                    method.allowed,
                    &method.allowed_by,
                    method.classes,
                )),
                providers(method),
            ]
        })?;
    }
    listing.end("")
}

fn providers(method: &ListedMethod) -> Value {
    match method.providers.as_deref() {
        None => Value::Text("-".to_owned()),
        Some([]) => Value::Warning("none".to_owned()),
        Some(order) if method.is_carried => Value::Text(order.join(", ")),
        Some(order) => Value::Bad(order.join(", ")),
    }
}

fn set(
    admin: &Administration,
    channel: Channel,
    names: &[String],
    confirmation: Confirmation,
) -> Result<(), CommandError> {
    let plan = admin.plan_order(channel, names)?;
    confirm::confirm(plan.concerns.iter().map(policy::concern), confirmation)?;
    let mut out = io::stdout().lock();
    if !admin.set_order(&plan)? {
        write!(out, "Nothing to change: it is already set that way. ")?;
    }
    Ok(writeln!(out, "{}", messages::order(channel, names))?)
}
