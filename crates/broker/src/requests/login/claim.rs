//! What a host of the fleet tells its servers about where a login comes from, and what a server makes of it.
//!
//! The host tells what its broker has established, and for how long its own rules trust such a device. Which device that is, the
//! server finds by the rules of the person; so it is the server that writes what people read of it.

use twofa_core::device::{Evidence, LoginSession, LoginTerminal, identify};
use twofa_core::policy::{Offer, Scope};
use twofa_core::text::printable;
use twofa_core::{Policy, Rulebook};
use twofa_fleet::wire::{DeviceClaim, SessionClaim, TerminalClaim};
use twofa_proto::{Login, PasswordState};

use super::evidence::{evidence as seen_of, is_bare_address, trusts_anything};
use crate::context::Services;
use crate::fleet::relay::RelayedRequest;
use crate::identity::first_factor::FirstFactor;
use crate::identity::person::{Person, PersonError};

/// Bytes of what sshd has verified that are passed on at most: several certificates.
const MAX_AUTH_INFO: usize = 16 * 1024;
/// Characters of an id of a boot or a session that are looked at.
const MAX_ID: usize = 64;

/// On a host: what servers are told of the device behind a login to the shared `account`; `None`: nothing, because it is not
/// known, or is not to be trusted by the rules of this host.
pub(super) fn describe(
    services: Services<'_>,
    rulebook: &Rulebook,
    relayed: &RelayedRequest<'_>,
) -> Result<Option<DeviceClaim>, PersonError> {
    let RelayedRequest {
        peer,
        request,
        login,
        account,
        first_factor,
        ..
    } = relayed;
    let trusts = |policy: &Policy| trusts_anything(&policy.trust);
    // Only where the password was right can anything be trusted.
    let is_shown = *first_factor == FirstFactor::Shown && !login.behind_password;
    let from_root = login.evidence.as_deref().filter(|_| peer.is_root());
    let from_root = from_root.filter(|_| is_shown);
    let Some(evidence) = from_root else {
        return Ok(None);
    };
    if !rulebook.policies().any(|(_, policy)| trusts(&policy)) {
        return Ok(None);
    }
    // Without knowing whether the password has changed, nothing can stay trusted.
    let password = match &evidence.password {
        PasswordState::Unknown => return Ok(None),
        PasswordState::Elsewhere => None,
        PasswordState::Hashed(hash) => Some(services.store.password_mark(account, hash)),
    };
    let ssh_auth_info = login.ssh_auth_info.clone();
    if ssh_auth_info.as_ref().map_or(0, String::len) > MAX_AUTH_INFO {
        return Ok(None);
    }
    let person = Person::load(services.store, account)?;
    let trust = &person.policy.trust;
    let seen = seen_of(login);
    let Some(kind) = identify(&seen, trust).map(|device| device.kind()) else {
        return Ok(None);
    };
    let at_most = person.trust_duration(kind).seconds();
    if at_most == 0 || is_bare_address(request, login, kind) {
        return Ok(None);
    }
    Ok(Some(DeviceClaim {
        ssh_auth_info,
        is_from_this_machine: seen.is_from_this_machine,
        session: seen
            .session
            .map(|LoginSession { boot, id, start }| SessionClaim { boot, id, start }),
        terminal: seen.controlling_terminal.map(terminal_claim),
        password,
        at_most,
        only_if_asked: trust.offer == Offer::Ask,
        is_for_fleet: trust.scope == Scope::Fleet,
    }))
}

fn terminal_claim(terminal: LoginTerminal) -> TerminalClaim {
    let LoginTerminal {
        uid,
        boot,
        device,
        leader,
        start,
    } = terminal;
    TerminalClaim {
        uid,
        boot,
        device,
        leader,
        start,
    }
}

/// On a server: what a host has told of a login.
pub(super) fn read<'a>(login: &'a Login, claim: &'a DeviceClaim) -> Evidence<'a> {
    Evidence {
        service: &login.service,
        remote_host: login.remote_host.as_deref(),
        terminal: login.terminal.as_deref(),
        ssh_auth_info: claim.ssh_auth_info.as_deref(),
        is_from_this_machine: claim.is_from_this_machine,
        session: claim.session.as_ref().and_then(|session| {
            Some(LoginSession {
                boot: id(&session.boot)?,
                id: id(&session.id)?,
                start: session.start,
            })
        }),
        controlling_terminal: claim.terminal.as_ref().and_then(|terminal| {
            Some(LoginTerminal {
                uid: terminal.uid,
                boot: id(&terminal.boot)?,
                device: terminal.device,
                leader: terminal.leader,
                start: terminal.start,
            })
        }),
    }
}

/// An id, if it could be one. It is shown to people.
fn id(text: &str) -> Option<String> {
    let is_good = !text.is_empty() && text.chars().count() <= MAX_ID && printable(text) == text;
    is_good.then(|| text.to_owned())
}
