//! What is seen of the device behind a login, before anything is made of it.

use twofa_core::DeviceKind;
use twofa_core::device::{Evidence, LoginSession, LoginTerminal};
use twofa_core::policy::Trust;
use twofa_core::service::{self, ServiceKind};
use twofa_proto::{Confirm, Login, Request};

use crate::identity::accounts;

/// Whether `trust` lets a code make any device trusted.
pub(super) fn trusts_anything(trust: &Trust) -> bool {
    DeviceKind::all().any(|kind| kind.duration(trust).seconds() > 0)
}

/// Whether a device of this `kind` is an address that would stand in for the password as well: after a key alone, sshd does not
/// tell the account phase of that key.
pub(super) fn is_bare_address(request: &Request, login: &Login, kind: DeviceKind) -> bool {
    let confirms = login.evidence.as_ref().map(|evidence| evidence.confirms);
    matches!(request, Request::Account(_))
        && login.cannot_answer
        && confirms.unwrap_or_default() == Confirm::No
        && kind == DeviceKind::Address
}

/// What root's module reported about the device.
pub(super) fn evidence(login: &Login) -> Evidence<'_> {
    let Some(evidence) = &login.evidence else {
        return Evidence::default();
    };
    let boot = &evidence.boot;
    // The session must belong to the user who asks: someone who became another user in it is not the one who was verified.
    let asking = login
        .remote_user
        .as_deref()
        .filter(|_| service::kind(&login.service) == ServiceKind::Elevation);
    let asking = asking.and_then(|name| {
        let account = accounts::find(name).ok().flatten();
        account.map(|account| account.uid)
    });
    let session = evidence
        .session
        .as_ref()
        .filter(|session| asking == Some(session.uid));
    Evidence {
        service: &login.service,
        remote_host: evidence
            .ssh_client
            .as_deref()
            .or(login.remote_host.as_deref()),
        terminal: login.terminal.as_deref(),
        ssh_auth_info: login.ssh_auth_info.as_deref(),
        is_from_this_machine: evidence.is_from_this_machine,
        session: session.map(|session| LoginSession {
            boot: boot.clone(),
            id: session.id.clone(),
            start: session.start,
        }),
        controlling_terminal: evidence
            .controlling_terminal
            .zip(asking)
            .map(|(terminal, uid)| LoginTerminal {
                uid,
                boot: boot.clone(),
                device: terminal.device,
                leader: terminal.leader.pid,
                start: terminal.leader.start,
            }),
    }
}
