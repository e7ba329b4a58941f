//! Where a login comes from, as far as the claims of the application can be trusted.

use twofa_core::address::parse_address;
use twofa_core::exemption::LoginSource;
use twofa_core::service;
use twofa_core::text::printable;
use twofa_proto::Login;
use twofa_store::Origin;
use twofa_store::event::{LoginOrigin, Source};

use crate::identity::relayed::Asker;

/// Characters of an application's claim that are kept at most.
const MAX_CLAIM: usize = 128;

/// Where the login comes from, as far as an exemption may rest on it: root's module repeats what sshd and login say, any
/// other peer can claim anything. What a host of the fleet claims, it gains for a login on itself.
pub(super) fn for_exemptions<'a>(asker: Asker<'_>, login: &'a Login) -> LoginSource<'a> {
    if !asker.is_root() {
        // A screen locker may run as its user, who gains nothing by claiming to be one: only that program acts on the answer.
        let is_locker = service::is_locker(&login.service);
        return LoginSource {
            service: is_locker.then_some(login.service.as_str()),
            ..LoginSource::default()
        };
    }
    // With UseDNS, sshd gives PAM a name instead of the address.
    let evidence = login.evidence.as_ref();
    let ssh_client = evidence.and_then(|evidence| evidence.ssh_client.as_deref());
    let address = ssh_client
        .or(login.remote_host.as_deref())
        .and_then(parse_address);
    LoginSource {
        service: Some(&login.service),
        address,
        is_sshd: ssh_client.is_some(),
    }
}

/// Where a login comes from that anybody can begin: without what they choose freely, which would fill the log with it.
pub(super) fn of_stranger(asker: Asker<'_>, login: &Login) -> Origin {
    let origin = for_log(asker, login);
    let claims = origin.as_login().cloned().unwrap_or_default();
    let claims = LoginOrigin {
        remote_user: None,
        ..claims
    };
    Origin {
        source: Source::Login(claims),
        ..origin
    }
}

/// Where the login comes from, for the audit log.
pub(super) fn for_log(asker: Asker<'_>, login: &Login) -> Origin {
    match asker {
        Asker::Process(peer) => describe(peer.uid, login),
        Asker::Host(host) => describe(host.asked_by, login).on_host(host.origin()),
    }
}

fn describe(uid: u32, login: &Login) -> Origin {
    if uid != 0 {
        return Origin::login(uid, LoginOrigin::default());
    }
    let claim = |text: &str| {
        let text: String = printable(text).chars().take(MAX_CLAIM).collect();
        Some(text).filter(|text| !text.is_empty())
    };
    let source = LoginOrigin {
        service: claim(&login.service),
        remote_host: login.remote_host.as_deref().and_then(claim),
        remote_user: login.remote_user.as_deref().and_then(claim),
        terminal: login.terminal.as_deref().and_then(claim),
    };
    let login_uid = login.evidence.as_ref().and_then(|it| it.login_uid);
    Origin::login(uid, source).by_login_uid(login_uid)
}
