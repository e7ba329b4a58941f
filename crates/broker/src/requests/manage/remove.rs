//! Removing a method.

use twofa_core::Method;
use twofa_proto::{Done, Failure};

use super::request::{ManageRequest, sending_channel};
use crate::context::Context;
use crate::requests::error::RequestError;
use crate::text::messages::commands;

/// Removes the app or security key with this label, the address of `email` or `sms`, or the backup codes.
pub(super) fn method(manage: &ManageRequest<'_>, name: &str) -> Result<Done, RequestError> {
    let context = manage.context;
    let Context {
        account, origin, ..
    } = context;
    let generation = context.person.snapshot.generation;
    let (store, now) = (context.store(), context.now());
    if name == Method::Backup.name() {
        return if store.remove_backup_codes(account, generation, origin, now)? {
            Ok(Done::Changed)
        } else {
            Err(commands::NO_BACKUP_CODES.into())
        };
    }
    let apps = &context.user().apps;
    let keys = &context.user().security_keys;
    let channel = sending_channel(name)
        .ok()
        .filter(|channel| context.user().contacts[*channel].is_some());
    match channel {
        Some(channel) => {
            manage.may_lose(channel.method())?;
            store.remove_address(account, generation, channel, origin, now)?;
        }
        None if apps.iter().any(|app| app.label == name) => {
            if apps.len() == 1 {
                manage.may_lose(Method::App)?;
            }
            store.remove_app(account, generation, name, origin, now)?;
        }
        None if keys.iter().any(|key| key.label == name) => {
            store.remove_security_key(account, generation, name, origin, now)?;
        }
        None => return Err(unknown(context, name)),
    }
    Ok(Done::Changed)
}

fn unknown(context: Context<'_>, name: &str) -> RequestError {
    let user = context.user();
    let mut names: Vec<_> = user.apps.iter().map(|app| app.label.as_str()).collect();
    names.extend(user.security_keys.iter().map(|key| key.label.as_str()));
    for method in user
        .enrolled()
        .intersection(context.policy().methods)
        .iter()
    {
        if method.channel().is_some() {
            names.push(method.name());
        }
    }
    RequestError::new(Failure::NotFound, commands::no_method(name))
        .hinted(commands::enrolled_methods(&names))
}
