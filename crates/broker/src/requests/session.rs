//! What the module reports apart from logins: the beginning and end of sessions, and new passwords. All users may see their
//! own sessions.
//!
//! No login waits for what happens here, and none fails because of it. A session is recorded first; only then is its lifetime
//! determined, for which the name service may be needed.

use twofa_core::Account;
use twofa_core::text::printable;
use twofa_proto::{
    Done, Failure, Request, SessionLimit, SessionProcess, SessionReport, SessionStart, is_no_login,
};
use twofa_store::event::LoginOrigin;
use twofa_store::{NewSession, Origin, ProcessId, SessionFilter, StoredSession};

use super::error::RequestError;
use crate::context::Services;
use crate::identity::accounts;
use crate::identity::authority::{Peer, Permission};
use crate::identity::person::{Person, PersonError};
use crate::text::events;
use crate::text::messages::{self, commands};

/// The most characters of an application's claim that are stored.
const MAX_CLAIM: usize = 128;
/// The most sessions in one report, so that it fits into one message.
const REPORTED: usize = 50;
/// sshd's PAM service, unless an administrator has renamed it.
const SSHD: &str = "sshd";

/// Serves the requests about sessions.
pub fn serve(services: Services<'_>, peer: Peer, request: &Request) -> Done {
    answer(services, peer, request).unwrap_or_else(|error| Done::Failed {
        failure: error.failure,
        message: printable(&error.message),
        hint: error.hint,
    })
}

fn answer(services: Services<'_>, peer: Peer, request: &Request) -> Result<Done, RequestError> {
    let account = accounts::find(request.user()).map_err(PersonError::from)?;
    let account = account.ok_or_else(|| {
        RequestError::new(Failure::NotFound, commands::no_account(request.user()))
    })?;
    if peer.may(request, &account) != Permission::Granted {
        let message = commands::only_for(&account.name);
        return Err(RequestError::new(Failure::NotPermitted, message));
    }
    match request {
        Request::OpenSession(start) => open(services, peer, &account, start),
        Request::CloseSession { process, .. } => {
            let now = services.now();
            services
                .store
                .close_session(&process.boot, process_id(process), now)?;
            Ok(Done::Session { limit: None })
        }
        Request::PasswordChanged {
            service, login_uid, ..
        } => {
            let login = LoginOrigin {
                service: claim(service),
                ..LoginOrigin::default()
            };
            let origin = Origin::login(peer.uid, login).by_login_uid(*login_uid);
            let (store, now) = (services.store, services.now());
            store.end_trust_with_password(&account, &origin, now)?;
            Ok(Done::Changed)
        }
        Request::Sessions { after, .. } => report(services, &account, *after),
        _ => Err(commands::NO_LOGIN_HERE.into()),
    }
}

/// Records the session, and says how long it may last.
fn open(
    services: Services<'_>,
    peer: Peer,
    account: &Account,
    start: &SessionStart,
) -> Result<Done, RequestError> {
    if is_no_login(&start.service) {
        return Ok(Done::Session { limit: None });
    }
    let optional = |text: &Option<String>| text.as_deref().and_then(claim);
    let login = LoginOrigin {
        service: claim(&start.service),
        remote_host: optional(&start.remote_host),
        remote_user: optional(&start.remote_user),
        terminal: optional(&start.terminal),
    };
    let origin = Origin::login(peer.uid, login);
    let now = services.now();
    let new = NewSession {
        account,
        boot: &start.process.boot,
        process: process_id(&start.process),
        login_uid: start.process.login_uid,
        is_login: start.terminal.is_some() || start.service == SSHD,
    };
    let Some(id) = services.store.open_session(&new, &origin, now)? else {
        return Ok(Done::Session { limit: None });
    };
    let Some(seconds) = lifetime(services, account)? else {
        return Ok(Done::Session { limit: None });
    };
    let until = now.after(seconds);
    services.store.set_session_until(id, until)?;
    let notice = messages::session_ends(until, now);
    let limit = Some(SessionLimit { seconds, notice });
    Ok(Done::Session { limit })
}

/// An application's claim as it is stored.
pub(crate) fn claim(text: &str) -> Option<String> {
    let text: String = printable(text).chars().take(MAX_CLAIM).collect();
    Some(text).filter(|text| !text.is_empty())
}

/// How many seconds a session of `account` may last; `None`: there is no limit, as for all system accounts.
pub(crate) fn lifetime(
    services: Services<'_>,
    account: &Account,
) -> Result<Option<u64>, PersonError> {
    let rulebook = &services.store.rules_in_force()?.rulebook;
    let is_limited = rulebook
        .policies()
        .any(|(_, policy)| policy.session_lifetime.seconds() > 0);
    if !is_limited || !twofa_names::is_person(account.uid) {
        return Ok(None);
    }
    let policy = Person::load(services.store, account)?.policy;
    Ok(Some(policy.session_lifetime.seconds()).filter(|seconds| *seconds > 0))
}

fn report(services: Services<'_>, account: &Account, after: i64) -> Result<Done, RequestError> {
    let filter = SessionFilter {
        user: Some(account.name.clone()),
        ended: false,
        after,
    };
    let mut sessions = Vec::new();
    services.store.sessions(&filter, |session| {
        if session.account == *account {
            sessions.push(session_report(session));
        }
        sessions.len() < REPORTED
    })?;
    let has_more = sessions.len() == REPORTED;
    Ok(Done::Sessions { sessions, has_more })
}

/// A session as the protocol has it.
pub fn session_report(session: StoredSession) -> SessionReport {
    SessionReport {
        id: session.id,
        user: session.account.name,
        process: SessionProcess {
            boot: session.boot,
            id: twofa_proto::ProcessId {
                pid: session.process.pid,
                start: session.process.start,
            },
            login_uid: session.login_uid,
        },
        service: session.service,
        remote_host: session.remote_host,
        remote_user: session.remote_user,
        terminal: session.terminal,
        proof: session.proof.as_ref().map(events::proof),
        started_at: session.started_at.unix(),
        until: session.until.map(twofa_core::Timestamp::unix),
        scope: session.scope,
        closed_at: session.closed_at.map(twofa_core::Timestamp::unix),
    }
}

const fn process_id(process: &SessionProcess) -> ProcessId {
    ProcessId {
        pid: process.id.pid,
        start: process.id.start,
    }
}

#[cfg(test)]
mod tests;
