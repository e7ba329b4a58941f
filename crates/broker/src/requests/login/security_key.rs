//! A login in which sshd verified a security key of the user's: the key is the second factor, and no code is needed.

use twofa_core::Method;
use twofa_core::device::ssh_key::ProvedKeys;
use twofa_core::user::SecurityKey;
use twofa_proto::{Login, Request};
use twofa_store::Settlement;

use super::outcome::LoginOutcome;
use super::request::{LoginError, LoginRequest};
use crate::context::Services;
use crate::identity::first_factor::sees_same_files;
use crate::identity::person::Person;
use crate::identity::relayed::Asker;
use crate::identity::sshd_options::KeyDemand;
use crate::text::messages::reasons;

/// Lets the user pass by the security key that sshd verified, if it is enrolled and counts; `None`: there is none.
pub(super) fn pass(
    request: &LoginRequest<'_>,
    raw: &Request,
) -> Result<Option<LoginOutcome>, LoginError> {
    let context = request.context;
    let services = context.services;
    let Some(key) = counting(services, request.asker, raw, request.login, context.person) else {
        return Ok(None);
    };
    // sshd has verified the key, but the password may still be wrong. If there is an account phase, it settles the login.
    let settlement = request.settlement_of_key();
    let generation = context.person.snapshot.generation;
    let (account, origin, now) = (context.account, context.origin, context.now());
    let store = context.store();
    store.pass_by_security_key(account, generation, key, settlement, origin, now)?;
    let is_settled = !matches!(settlement, Settlement::InAccount(_));
    let why = reasons::passed(Method::SecurityKey, 0);
    Ok(Some(request.passed(why, is_settled)))
}

/// The security key of `person` that sshd verified, if it is enrolled and counts.
///
/// It counts only while sshd demands a touch of every security key or, if no password was asked for, a PIN or a fingerprint.
/// Without a touch, anyone in control of the computer could use the key; without a PIN, anyone who has stolen it.
pub(super) fn counting<'a>(
    services: Services<'_>,
    asker: Asker<'_>,
    raw: &Request,
    login: &Login,
    person: &'a Person,
) -> Option<&'a SecurityKey> {
    let key = proved_key(asker, login, person)?;
    let needed = if services.stacks.is_password_shown(raw, login) {
        KeyDemand::Touch
    } else {
        KeyDemand::Verification
    };
    (KeyDemand::of_this_machine() >= needed).then_some(key)
}

/// The enrolled key that sshd verified, if the policy allows it.
fn proved_key<'a>(asker: Asker<'_>, login: &Login, person: &'a Person) -> Option<&'a SecurityKey> {
    // Only root's module reports what sshd said. In a container, or with options that say so, sshd has a configuration other
    // than the one read here.
    let evidence = login.evidence.as_deref();
    let is_allowed = asker.is_root_here()
        && sees_same_files(login)
        && evidence.is_some_and(|evidence| evidence.has_default_sshd_config)
        && person.policy.methods.contains(Method::SecurityKey);
    let info = login.ssh_auth_info.as_deref().filter(|_| is_allowed)?;
    let proved = ProvedKeys::read(info).user;
    let keys = &person.snapshot.user.security_keys;
    keys.iter().find(|key| {
        proved
            .iter()
            .any(|proved| proved.is_security_key() && proved.identity() == key.identity)
    })
}
