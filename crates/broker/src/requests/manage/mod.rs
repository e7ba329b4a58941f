//! What users and administrators do with a record: look, enrol, change, remove, make backup codes.
//!
//! A [`request`] is permitted first, if necessary after a [`proof`]; then it enrols ([`enrol`], [`security_key`]), sets ([`set`]),
//! removes ([`remove`]) or reports ([`report`]). Trusted devices are listed and revoked in [`devices`].

mod devices;
mod enrol;
mod proof;
mod remove;
mod report;
mod request;
mod security_key;
mod set;
#[cfg(test)]
mod tests;

use twofa_core::Account;
use twofa_core::text::printable;
use twofa_proto::{Done, Failure, Request};
use twofa_store::{Origin, StoreError};

use self::request::ManageRequest;
use super::error::RequestError;
use crate::context::{Context, Services};
use crate::fleet::shared;
use crate::identity::accounts;
use crate::identity::authority::{Peer, Permission};
use crate::identity::person::{Person, PersonError};
use crate::methods::change_limit;
use crate::text::messages::{self, commands};
use crate::text::terminal::Terminal;

pub use self::devices::device_report;
pub use self::report::user_status;

/// Serves every request that is not a login.
pub fn serve(
    services: Services<'_>,
    peer: Peer,
    request: &Request,
    terminal: &mut dyn Terminal,
) -> Done {
    match permit(services, peer, request, terminal) {
        Ok(done) => done,
        Err(error) => Done::Failed {
            failure: error.failure,
            message: printable(&error.message),
            hint: error.hint,
        },
    }
}

/// Carries out `request` if `peer` may make it, after a code if that takes one.
fn permit(
    services: Services<'_>,
    peer: Peer,
    request: &Request,
    terminal: &mut dyn Terminal,
) -> Result<Done, RequestError> {
    let account = find_account(services, peer, request.user())?;
    let permission = peer.may(request, &account);
    if permission == Permission::Refused {
        let message = commands::only_for(&account.name);
        return Err(RequestError::new(Failure::NotPermitted, message));
    }
    check_sharing(services, &account)?;
    let origin = Origin::command_line(peer.uid).by_login_uid(peer.login_uid);
    let person = Person::load(services.store, &account)?;
    let context = Context {
        services,
        account: &account,
        origin: &origin,
        person: &person,
        purpose: messages::CHANGE_PURPOSE,
    };
    check_record(&person, request, permission)?;
    if let Request::EnrolSecurityKey { key, .. } = request {
        // Nobody is asked for a code in vain.
        security_key::check(context, key.as_deref())?;
    }
    if permission != Permission::AfterCode {
        return perform(&ManageRequest { context, peer }, request, terminal);
    }
    let expected = proof::ask(context, request, terminal)?;
    // What was decided while the code was typed applies, to the methods that the code was asked for.
    let fresh = Person::load(services.store, &account)?;
    if fresh.snapshot.generation != expected {
        return Err(StoreError::ChangedMeanwhile.into());
    }
    let context = Context {
        person: &fresh,
        ..context
    };
    perform(&ManageRequest { context, peer }, request, terminal)
}

/// Refuses what is done on a server, if this machine is a host of a fleet and shares the account with it.
fn check_sharing(services: Services<'_>, account: &Account) -> Result<(), RequestError> {
    let rules = services.store.rules_in_force()?;
    let unavailable = |error: String| RequestError::new(Failure::Unavailable, error);
    let servers = services.fleet.servers(rules.fleet.as_ref(), services.store);
    if account.uid == 0
        || servers
            .map_err(|error| unavailable(error.to_string()))?
            .is_none()
    {
        return Ok(());
    }
    if shared::is_shared(rules.rulebook.machine(), account).map_err(PersonError::from)? {
        let message = messages::DONE_ON_A_SERVER;
        return Err(RequestError::new(Failure::NotPermitted, message));
    }
    Ok(())
}

fn find_account(services: Services<'_>, peer: Peer, name: &str) -> Result<Account, RequestError> {
    let found = accounts::find(name).map_err(PersonError::from)?;
    if let Some(account) = found {
        return Ok(account);
    }
    let error = RequestError::new(Failure::NotFound, commands::no_account(name));
    // Only root learns who had an account here.
    let has_record = peer.is_root() && !services.store.uids_of(name)?.is_empty();
    Err(if has_record {
        error.hinted(commands::record_without_account(name))
    } else {
        error
    })
}

/// Refuses what no code permits.
fn check_record(
    person: &Person,
    request: &Request,
    permission: Permission,
) -> Result<(), RequestError> {
    let adds = matches!(
        request,
        Request::EnrolApp { .. } | Request::EnrolAddress { .. }
    );
    if permission == Permission::AfterCode && person.has_only_what_is_not_allowed() && !adds {
        return Err(commands::METHOD_NOT_ALLOWED.into());
    }
    // A record of its own would lift what the other record holds back.
    if !only_reads(request) && person.snapshot.identity_mismatch.is_some() {
        return Err(commands::IDENTITY_MISMATCH.into());
    }
    Ok(())
}

const fn only_reads(request: &Request) -> bool {
    matches!(request, Request::Status { .. } | Request::Devices { .. })
}

/// Carries out a request that is permitted.
fn perform(
    manage: &ManageRequest<'_>,
    request: &Request,
    terminal: &mut dyn Terminal,
) -> Result<Done, RequestError> {
    let context = manage.context;
    // A new app is counted when it gets a key: one whose key was shown before changes nothing. Ending trust only takes away
    // what a code gave.
    let is_counted = !matches!(
        request,
        Request::EnrolApp { .. } | Request::RevokeDevices { .. }
    );
    if is_counted
        && !only_reads(request)
        && let Some(text) = change_limit::count_unproved(context)?
    {
        return Err(RequestError::new(Failure::Denied, text));
    }
    match request {
        Request::EnrolApp { app, .. } => enrol::app(context, app, terminal),
        Request::EnrolAddress {
            method, address, ..
        } => enrol::address(manage, method, address.as_deref(), terminal),
        Request::EnrolSecurityKey { label, key, .. } => {
            security_key::enrol(context, label.as_deref(), key.as_deref(), terminal)
        }
        Request::Remove { method, .. } => remove::method(manage, method),
        Request::Set { .. } => set::settings(manage, request, terminal),
        Request::NewBackupCodes { .. } => enrol::backup_codes(context, terminal),
        Request::Status { .. } => Ok(Done::Status(Box::new(report::record(context)))),
        Request::Devices { .. } => devices::list(context),
        Request::RevokeDevices { id, .. } => devices::revoke(context, *id),
        Request::Login(_)
        | Request::Account(_)
        | Request::OpenSession(_)
        | Request::CloseSession { .. }
        | Request::PasswordChanged { .. }
        | Request::Sessions { .. } => Err(commands::NO_LOGIN_HERE.into()),
    }
}
