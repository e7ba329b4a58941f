//! What users and administrators do with a record: look, enrol, change, remove, make backup codes.
//!
//! A [`request`] is permitted first, if necessary after a [`proof`]; then it enrols ([`enrol`], [`security_key`]), sets ([`set`]),
//! removes ([`remove`]) or reports ([`report`]). Trusted devices are listed and revoked in [`devices`]. On a host of a fleet, what
//! is about a shared account is passed on to a server, which serves it in [`relayed`].

mod devices;
mod enrol;
mod proof;
mod relayed;
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
use twofa_store::{AnswerVerdict, Generation, Origin, StoreError};

use self::request::ManageRequest;
use super::error::RequestError;
use crate::context::{Context, Services};
use crate::fleet::{own_record, shared};
use crate::identity::accounts;
use crate::identity::authority::{Peer, Permission};
use crate::identity::person::{Person, PersonError};
use crate::methods::change_limit;
use crate::methods::enrolment::{Answered, EnrolmentState};
use crate::text::messages::{self, commands};
use crate::text::terminal::Terminal;

pub use self::devices::device_report;
pub use self::relayed::{ServedOwn, serve as serve_relayed};
pub use self::report::user_status;

/// Serves every request that is not a login.
pub fn serve(
    services: Services<'_>,
    peer: Peer,
    request: &Request,
    terminal: &mut dyn Terminal,
) -> Done {
    finish(permit(services, peer, request, terminal))
}

fn finish(result: Result<Done, RequestError>) -> Done {
    result.unwrap_or_else(|error| Done::Failed {
        failure: error.failure,
        message: printable(&error.message),
        hint: error.hint,
    })
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
    if let Some(done) = relay_if_shared(services, peer, &account, request, terminal)? {
        return Ok(done);
    }
    let origin = Origin::command_line(peer.uid).by_login_uid(peer.login_uid);
    let person = Person::load(services.store, &account)?;
    let context = Context {
        services,
        account: &account,
        origin: &origin,
        person: &person,
        purpose: messages::CHANGE_PURPOSE,
    };
    carry_out(context, peer, (request, permission), None, terminal)
}

/// Carries out `request` about the person in `context`, after a code if `permission` takes one; or goes on with that. `verdict` is
/// what has become of the answer with which it goes on, if that came before.
fn carry_out(
    context: Context<'_>,
    peer: Peer,
    (request, permission): (&Request, Permission),
    verdict: Option<&AnswerVerdict>,
    terminal: &mut dyn Terminal,
) -> Result<Done, RequestError> {
    check_record(context.person, request, permission)?;
    let resumed = match EnrolmentState::find(terminal)? {
        Some(state) => {
            let typed = terminal.resume().and_then(|(_, typed)| typed);
            Some(Answered {
                state,
                typed,
                verdict,
            })
        }
        None => None,
    };
    if let Some(answered) = resumed {
        if !answered.state.is_proof() {
            let manage = ManageRequest { context, peer };
            return go_on(&manage, request, answered, terminal);
        }
        let expected = proof::resume(context, answered, terminal)?;
        return perform_proved(context, peer, request, expected, terminal);
    }
    if let Request::EnrolSecurityKey { key, .. } = request {
        // Nobody is asked for a code in vain.
        security_key::check(context, key.as_deref())?;
    }
    if permission != Permission::AfterCode {
        return perform(&ManageRequest { context, peer }, request, terminal);
    }
    let expected = proof::ask(context, request, verdict, terminal)?;
    perform_proved(context, peer, request, expected, terminal)
}

/// Carries out what the person has proved themselves for.
fn perform_proved(
    context: Context<'_>,
    peer: Peer,
    request: &Request,
    expected: Generation,
    terminal: &mut dyn Terminal,
) -> Result<Done, RequestError> {
    // What was decided while the code was typed applies, to the methods that the code was asked for.
    let fresh = Person::load(context.store(), context.account)?;
    if fresh.snapshot.generation != expected {
        return Err(StoreError::ChangedMeanwhile.into());
    }
    let context = Context {
        person: &fresh,
        ..context
    };
    perform(&ManageRequest { context, peer }, request, terminal)
}

/// Goes on with what is being set up.
fn go_on(
    manage: &ManageRequest<'_>,
    request: &Request,
    answered: Answered<'_>,
    terminal: &mut dyn Terminal,
) -> Result<Done, RequestError> {
    let context = manage.context;
    match request {
        Request::EnrolApp { .. } => enrol::app_resumed(context, answered, terminal),
        Request::EnrolAddress { .. } => enrol::address_resumed(context, answered, terminal),
        Request::Set { .. } => set::settings(manage, request, Some(answered), terminal),
        Request::NewBackupCodes { .. } => enrol::backup_codes_resumed(context, answered, terminal),
        _ => Err(commands::NO_LOGIN_HERE.into()),
    }
}

/// On a host of a fleet, has a server carry out what users do with the record of a shared account. `None`: this machine does.
fn relay_if_shared(
    services: Services<'_>,
    peer: Peer,
    account: &Account,
    request: &Request,
    terminal: &mut dyn Terminal,
) -> Result<Option<Done>, RequestError> {
    let rules = services.store.rules_in_force()?;
    let unavailable = |error: String| RequestError::new(Failure::Unavailable, error);
    let servers = services.fleet.servers(rules.fleet.as_ref(), services.store);
    if account.uid == 0 {
        return Ok(None);
    }
    let Some(servers) = servers.map_err(|error| unavailable(error.to_string()))? else {
        return Ok(None);
    };
    if !shared::is_shared(rules.rulebook.machine(), account).map_err(PersonError::from)? {
        return Ok(None);
    }
    let act = own_record::act(request).filter(|_| peer.uid == account.uid);
    let Some(act) = act else {
        return Err(commands::DONE_ON_A_SERVER.into());
    };
    own_record::relay(&servers, services.store, account, act, terminal)
        .map(Some)
        .map_err(RequestError::from)
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
        Request::Set { .. } => set::settings(manage, request, None, terminal),
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
