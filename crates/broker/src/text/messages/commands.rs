//! Why a request of the command line is not carried out, each with what to do next.

use std::fmt::Display;

use twofa_core::{Channel, Methods};
use twofa_proto::Failure;

/// Why a request is refused.
#[derive(Debug, Clone, Copy)]
pub struct Refusal {
    /// The kind of failure.
    pub failure: Failure,
    /// What failed and why.
    pub message: &'static str,
    /// What to do next.
    pub hint: Option<&'static str>,
}

impl Refusal {
    const fn new(failure: Failure, message: &'static str) -> Self {
        Self {
            failure,
            message,
            hint: None,
        }
    }

    const fn hinted(failure: Failure, message: &'static str, hint: &'static str) -> Self {
        Self {
            failure,
            message,
            hint: Some(hint),
        }
    }
}

/// A login was sent where a change is expected.
pub const NO_LOGIN_HERE: Refusal = Refusal::new(Failure::Failed, "this request changes nothing");

/// The user has only methods that are no longer allowed, and the request adds none.
pub const METHOD_NOT_ALLOWED: Refusal = Refusal::hinted(
    Failure::NotPermitted,
    "the policy no longer allows the method you have enrolled",
    "enrol an allowed one first, or ask an administrator",
);

/// The record belongs to another account of this name or uid.
pub const IDENTITY_MISMATCH: Refusal = Refusal::hinted(
    Failure::NotPermitted,
    "a second factor is registered for a different account with this name or user ID",
    "ask an administrator: 'twofa user remove' for the old account, or 'twofa user add' for the new one",
);

/// The administration of a shared account is a server's.
pub const DONE_ON_A_SERVER: Refusal = Refusal::hinted(
    Failure::NotPermitted,
    "this account belongs to the fleet, and this is done on a fleet server",
    "run this on a fleet server, or ask an administrator",
);

/// A host has no server that answers.
pub const NO_SERVER: Refusal = Refusal::hinted(
    Failure::Unavailable,
    "no server of the fleet can be reached, so nothing was changed",
    "try again later; the system log says why",
);

/// The server went away in the middle.
pub const SERVER_LOST: Refusal = Refusal::hinted(
    Failure::Unavailable,
    "the connection to the fleet's server was lost",
    "see 'twofa status' for what was changed, and run the command again",
);

/// A host and its server do not understand each other.
pub const OTHER_VERSION: Refusal = Refusal::hinted(
    Failure::Failed,
    "the fleet's server has another version of twofa, whose answer this host cannot read",
    "run this on a fleet server, or ask an administrator",
);

/// A host may not have this done, whether the person exists or not.
pub const NOT_ON_THIS_HOST: Refusal = Refusal::hinted(
    Failure::NotPermitted,
    "the fleet does not allow this on this host",
    "run this on a fleet server, or ask an administrator",
);

/// The policy has changes made on servers.
pub const CHANGES_ON_SERVERS: Refusal = Refusal::hinted(
    Failure::NotPermitted,
    "the fleet's policy allows changes on its servers only (fleet.changes)",
    "run this on a fleet server, or ask an administrator",
);

/// Nothing that is enrolled could prove who asks.
pub const NOTHING_PROVES_ON_HOST: Refusal = Refusal::hinted(
    Failure::NotPermitted,
    "nothing is enrolled that could prove on this host that it is you",
    "ask an administrator for an invitation, and log in with it",
);

/// The first prompt was not answered.
pub const NO_CODE_ENTERED: Refusal = Refusal::new(
    Failure::Denied,
    "no code was entered, so nothing was changed",
);

/// No tries are left.
pub const TOO_MANY_WRONG_ANSWERS: Refusal = Refusal::new(
    Failure::Denied,
    "too many wrong answers, so nothing was changed",
);

/// A user must keep one method.
pub const LAST_METHOD: Refusal = Refusal::hinted(
    Failure::NotPermitted,
    "a second factor is required of you, and this is your last method",
    "enrol another one first",
);

/// A user cannot opt out.
pub const VERIFY_REQUIRED: Refusal = Refusal::new(
    Failure::NotPermitted,
    "a second factor is required of you, so it cannot be 'never'",
);

/// Attesting an address takes root.
pub const ONLY_ROOT_ATTESTS: Refusal = Refusal::new(
    Failure::NotPermitted,
    "only root may attest that an address is the user's",
);

/// The policy allows no backup codes.
pub const NO_BACKUP_CODES_ALLOWED: Refusal =
    Refusal::new(Failure::NotPermitted, "the policy allows no backup codes");

/// Backup codes need another method.
pub const BACKUP_CODES_ALONE: Refusal = Refusal::hinted(
    Failure::Failed,
    "backup codes stand in for another method, and none is enrolled",
    "enrol an authenticator app first: twofa enrol app",
);

/// New backup codes were not confirmed.
pub const BACKUP_CODES_UNCHANGED: Refusal = Refusal::new(
    Failure::Denied,
    "nothing was changed: your earlier backup codes still work",
);

/// There is nothing to remove.
pub const NO_BACKUP_CODES: Refusal =
    Refusal::new(Failure::NotFound, "there are no backup codes to remove");

/// The policy allows no security keys.
pub const NO_SECURITY_KEYS_ALLOWED: Refusal = Refusal::new(
    Failure::NotPermitted,
    "the policy does not allow security keys: an administrator can add 'security-key' to 'methods'",
);

/// Security keys work only with ssh, so they cannot be the only method.
pub const SECURITY_KEYS_ALONE: Refusal = Refusal::new(
    Failure::NotPermitted,
    "a security key works with ssh only, so it needs another method beside it: set that up first",
);

/// The text given is not a public key.
pub const NOT_A_PUBLIC_KEY: &str = "this is not a public key as 'ssh-keygen' writes it";

/// How people get a security key that can be enrolled.
pub const HOW_TO_MAKE_A_KEY: &str = "'ssh-keygen -t ed25519-sk' makes one in a FIDO2 authenticator; give its file that ends in .pub";

/// sshd verified no key in a login that is open.
pub fn no_key_proved(user: &str) -> String {
    format!("no login of '{user}' that is open here showed a security key together with a code")
}

/// How a login shows a security key.
pub const HOW_TO_SHOW_A_KEY: &str = "log in by ssh with the key and a code, and enrol it there; or name its file: twofa enrol \
                                     security-key FILE.pub";

/// Of several keys, none was chosen.
pub const NO_KEY_CHOSEN: Refusal = Refusal::new(Failure::Denied, "no key was chosen");

/// A key of another type.
pub fn not_a_security_key(algorithm: &str) -> String {
    format!(
        "this key is of type {algorithm}: it lies in a file that can be copied, so it is no second factor; security keys are \
         of type sk-ssh-ed25519@openssh.com or sk-ecdsa-sha2-nistp256@openssh.com"
    )
}

/// The label cannot be one.
pub const BAD_LABEL: Refusal = Refusal::new(
    Failure::Usage,
    "a label has 1 to 32 characters, no colon and none that is invisible, and is not 'backup'",
);

/// Every label that could be chosen is taken.
pub const NO_FREE_LABEL: Refusal = Refusal::new(Failure::Failed, "no label is free");

/// What to do when a new app was not confirmed.
pub const SAME_KEY_AGAIN: &str = "the same key is shown again for 15 minutes: run the command again, or delete the key from your app";

/// What to do when no provider sends codes.
pub const ADD_A_PROVIDER: &str =
    "ask an administrator to set up a provider with 'twofa provider add'";

/// What to do when no provider sends codes to the address on file.
pub const ADD_A_PROVIDER_OR_ENROL: &str =
    "ask an administrator to set up a provider with 'twofa provider add', or to enrol you";

/// Where the reason is when a code could not be sent.
pub const SEE_LOG: &str = "an administrator can find the reason in 'twofa log'";

/// What happens to an address that could not be replaced.
pub const ADDRESS_STAYS: &str = "the address you have stays as it is";

/// No right code was typed.
pub const NOT_CONFIRMED: &str = "no correct code was entered, so nothing was enrolled";

/// No method that is allowed can be set up.
pub const NO_METHOD_HERE: &str = "no method that is allowed can be set up here";

/// The address on file must prove the user, and no provider sends there.
pub const NOTHING_SENT_THERE: &str =
    "a code must first be sent to the address on file, and this machine cannot send one there";

/// Too many wrong codes locked the account.
pub const TOO_MANY_WRONG_CODES: &str = "too many wrong codes";

/// Another user's record.
pub fn only_for(user: &str) -> String {
    format!("only {user} and root may do this")
}

/// The account is gone, but its record still exists.
pub fn record_without_account(name: &str) -> String {
    format!("there is still a record of it: remove that with 'twofa user remove {name}'")
}

/// No such account.
pub fn no_account(user: &str) -> String {
    format!("there is no account called '{user}'")
}

/// No such device.
pub fn no_device(id: i64, user: &str) -> String {
    format!("{user} trusts no device with the number {id}")
}

/// Where the numbers of devices are.
pub const DEVICE_LIST: &str = "see 'twofa device list'";

/// No such method.
pub fn no_method(name: &str) -> String {
    format!("there is no method called '{name}'")
}

/// What there is instead.
pub fn enrolled_methods(names: &[&str]) -> String {
    if names.is_empty() {
        "nothing is enrolled".to_owned()
    } else {
        format!("enrolled: {}", names.join(", "))
    }
}

/// A value that is no method that sends codes.
pub fn bad_method(error: &impl Display) -> String {
    format!("method: {error}")
}

/// A value that `verify` cannot have.
pub fn bad_verify(error: &impl Display) -> String {
    format!("verify: {error}")
}

/// A value that `prefer` cannot have.
pub fn bad_preference(possible: Methods) -> String {
    format!("prefer: it must be one of {possible}")
}

/// The policy does not allow this method.
pub fn channel_not_allowed(channel: Channel) -> String {
    format!("the policy does not allow codes by {}", channel.noun())
}

/// No provider sends by this channel.
pub fn cannot_send_yet(channel: Channel) -> String {
    format!("this machine cannot send codes by {} yet", channel.noun())
}

/// No provider sends by this channel, though one has.
pub fn cannot_send_now(channel: Channel) -> String {
    format!("this machine cannot send codes by {} now", channel.noun())
}
