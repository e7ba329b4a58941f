//! What is known of modules: which codes they return, and whether success proves the user's identity.
//!
//! A module that is not in the table may return anything and proves nothing. One in the table may be missing
//! from the machine, so each may also return `PAM_MODULE_UNKNOWN`. The codes are those of the modules' manuals and
//! sources; where a code depends on the machine's state (files, groups, a directory), it counts as possible.

use crate::code::{Code, Codes};
use crate::phase::Phase;

/// twofa's own module.
const OWN: &str = "pam_twofa";

/// What a module's success in `auth` proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// The user's identity, by a password, a key, a token or a fingerprint.
    FirstFactor,
    /// Only that the calling process belongs to root.
    RootCalls,
    Nothing,
}

/// A module of the table: its name, its codes in `auth` and in `account`.
struct Known {
    name: &'static str,
    proof: Proof,
    auth: &'static [u8],
    account: &'static [u8],
}

const fn proves(name: &'static str, auth: &'static [u8], account: &'static [u8]) -> Known {
    Known {
        name,
        proof: Proof::FirstFactor,
        auth,
        account,
    }
}

const fn known(name: &'static str, auth: &'static [u8], account: &'static [u8]) -> Known {
    Known {
        name,
        proof: Proof::Nothing,
        auth,
        account,
    }
}

/// Only `PAM_MODULE_UNKNOWN`: the module does not have this type.
const NONE: &[u8] = &[28];
/// The module may return anything.
const ANY: &[u8] = &[
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
    26, 27, 28, 29, 30, 31,
];

/// Passwords first, then keys and biometrics, then the rest.
const TABLE: &[Known] = &[
    proves(
        "pam_unix",
        &[0, 4, 5, 7, 8, 9, 10, 11, 19, 20, 21, 26, 31],
        &[0, 4, 5, 7, 8, 9, 10, 12, 13, 27],
    ),
    proves("pam_sss", ANY, &[0, 4, 6, 7, 9, 10, 12, 13, 25, 27]),
    proves(
        "pam_krb5",
        &[0, 3, 4, 7, 9, 10, 12, 13, 20, 25],
        &[0, 6, 7, 10, 12, 13, 25],
    ),
    proves(
        "pam_ldap",
        &[0, 3, 4, 6, 7, 9, 10, 12, 20, 25],
        &[0, 6, 7, 9, 10, 12, 13, 25],
    ),
    proves("pam_ldapd", ANY, ANY),
    proves(
        "pam_winbind",
        &[0, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 20, 25],
        &[0, 6, 7, 9, 10, 12, 13, 25],
    ),
    proves(
        "pam_systemd_home",
        &[0, 3, 4, 6, 7, 10, 11, 19, 20],
        &[0, 3, 4, 6, 7, 10, 11, 12, 13, 19, 27],
    ),
    proves(
        "pam_userdb",
        &[0, 3, 5, 7, 10, 19, 20, 21, 25, 31],
        &[0, 3, 10, 25],
    ),
    proves("pam_unix_auth", ANY, ANY),
    proves("pam_unix2", ANY, ANY),
    proves("pam_pwdfile", ANY, ANY),
    proves("pam_radius_auth", ANY, ANY),
    proves("pam_tacplus", ANY, ANY),
    proves("pam_mysql", ANY, ANY),
    proves("pam_pgsql", ANY, ANY),
    proves("pam_himmelblau", ANY, ANY),
    proves("pam_kanidm", ANY, ANY),
    proves("pam_lsass", ANY, ANY),
    proves("pam_centrifydc", ANY, ANY),
    proves("pam_vas3", ANY, ANY),
    proves("pam_sss_gss", ANY, NONE),
    proves("pam_u2f", &[0, 3, 7, 9, 10, 19, 25], NONE),
    proves("pam_fprintd", &[0, 3, 4, 7, 9, 10, 11], NONE),
    proves("pam_pkcs11", ANY, ANY),
    proves("pam_p11", ANY, ANY),
    proves("pam_poldi", ANY, ANY),
    proves("pam_ssh_agent_auth", ANY, NONE),
    Known {
        name: "pam_rootok",
        proof: Proof::RootCalls,
        auth: &[0, 7],
        account: &[0, 7],
    },
    // A possession, but nothing that twofa takes for a first factor.
    known("pam_google_authenticator", ANY, NONE),
    known("pam_oath", ANY, NONE),
    known("pam_yubico", ANY, NONE),
    known("pam_rhosts", ANY, NONE),
    known("pam_timestamp", ANY, ANY),
    known("pam_permit", &[0], &[0]),
    known("pam_deny", &[7], &[7]),
    known("pam_env", &[25], &[3]),
    known("pam_faildelay", &[25], NONE),
    known("pam_group", &[25], NONE),
    known("pam_keyinit", &[25], NONE),
    known("pam_mail", &[25], NONE),
    known("pam_warn", &[25], &[25]),
    known("pam_lastlog", &[0, 3, 7, 10, 25], &[0, 3, 7, 10, 25]),
    known("pam_lastlog2", &[25, 28], NONE),
    known("pam_echo", &[0, 25], &[0, 25]),
    known(
        "pam_faillock",
        &[0, 3, 4, 5, 7, 10, 19, 25],
        &[0, 3, 4, 5, 7, 10, 19, 25],
    ),
    known("pam_nologin", &[4, 5, 7, 10, 25], &[4, 5, 7, 10, 25]),
    known(
        "pam_securetty",
        &[0, 3, 7, 10, 25, 31],
        &[0, 3, 7, 10, 25, 31],
    ),
    known("pam_shells", &[0, 3, 7, 10], &[0, 3, 7, 10]),
    known("pam_wheel", &[3, 6, 7, 10, 25], &[3, 6, 7, 10, 25]),
    known("pam_succeed_if", &[0, 3, 7, 10, 19], &[0, 3, 7, 10, 19]),
    known(
        "pam_localuser",
        &[0, 3, 6, 10, 19, 31],
        &[0, 3, 6, 10, 19, 31],
    ),
    known("pam_usertype", &[0, 3, 7, 10, 19], &[0, 3, 7, 10, 19]),
    known("pam_listfile", &[0, 3, 7, 25], &[0, 3, 7, 25]),
    known("pam_access", &[0, 6, 10, 26], &[0, 6, 10, 26]),
    known("pam_time", NONE, &[0, 4, 5, 6, 10, 26]),
    known("pam_cap", &[0, 7, 25, 31], NONE),
    // It also returns success without a password for the guests of sepermit.conf, which is its purpose.
    known("pam_sepermit", &[3, 7, 10, 25], &[3, 7, 10, 25]),
    known("pam_selinux_permit", &[3, 7, 10, 25], &[3, 7, 10, 25]),
    known("pam_selinux", &[7], NONE),
    known("pam_loginuid", NONE, &[0, 10, 14, 25]),
    known("pam_limits", NONE, NONE),
    known("pam_umask", NONE, NONE),
    known("pam_systemd", NONE, NONE),
    known("pam_mkhomedir", NONE, NONE),
    known("pam_motd", NONE, NONE),
    known("pam_gnome_keyring", &[0, 3, 4, 7, 25], NONE),
    known("pam_kwallet5", &[0, 7, 25], NONE),
    known("pam_ecryptfs", &[0, 4, 7, 25], NONE),
];

/// The option of twofa's module by which a line only says whether sshd proved a key of the user's.
const PROVED: &str = "proved";

/// What a line may return, and what success means.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Behaviour {
    pub(crate) codes: Codes,
    /// Success proves the user's identity.
    pub(crate) proves: bool,
    /// The line calls twofa's module, and asks for a code.
    pub(crate) own: bool,
}

/// The user that the calling program runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Its real user is root.
    pub(crate) root: bool,
    /// Its real user is the person who asks, as with su and sudo; otherwise it serves anyone.
    pub(crate) asks_for_itself: bool,
}

/// Whether a line calls twofa's module.
pub(crate) fn is_own(module: &str) -> bool {
    name(module) == OWN
}

/// What a module may do when it is called with these arguments.
pub(crate) fn behaviour(
    module: &str,
    arguments: &[String],
    phase: Phase,
    caller: Caller,
) -> Behaviour {
    let name = name(module);
    let codes = |codes| Behaviour {
        codes,
        proves: false,
        own: false,
    };
    if phase == Phase::Password {
        return changing(name);
    }
    if finds_key(module, arguments) {
        return Behaviour {
            proves: phase == Phase::Auth,
            ..codes(if phase == Phase::Auth {
                KEY_CODES
            } else {
                REFUSALS
            })
        };
    }
    if name == OWN {
        // It asks nobody, and refuses only whom `auth` let pass in the same login: nothing rests on it.
        if phase == Phase::Account && arguments.iter().any(|argument| argument == "confirm") {
            return codes(OWN_CODES);
        }
        return Behaviour {
            own: true,
            ..codes(OWN_CODES)
        };
    }
    if let Some(code) = fixed(name, arguments, caller) {
        return codes(Codes::only(code).and(Codes::only(Code::MODULE_UNKNOWN)));
    }
    if name == "pam_debug" {
        let key = if phase == Phase::Auth {
            "auth="
        } else {
            "acct="
        };
        return codes(Codes::only(debug_code(arguments, key)));
    }
    let Some(known) = TABLE.iter().find(|known| known.name == name) else {
        return codes(Codes::ALL);
    };
    let in_auth = phase == Phase::Auth;
    let possible = Codes::from_numbers(if in_auth { known.auth } else { known.account });
    let has = |option: &str| arguments.iter().any(|argument| argument == option);
    Behaviour {
        proves: in_auth
            && match known.proof {
                Proof::FirstFactor => !has("nouserok") && !has("alwaysok"),
                Proof::RootCalls => caller.asks_for_itself,
                Proof::Nothing => false,
            },
        own: false,
        codes: possible
            .and(Codes::from_numbers(extra(name, &has)))
            .and(Codes::only(Code::MODULE_UNKNOWN)),
    }
}

/// What a module may do when a password is changed. Success of pam_unix counts as a proof: the password is in `/etc/shadow`
/// then, where nobody needs to be told of it.
fn changing(name: &str) -> Behaviour {
    let codes = match name {
        OWN => Codes::from_numbers(&[25, 28]),
        "pam_deny" => Codes::from_numbers(&[20, 28]),
        "pam_permit" => Codes::from_numbers(&[0, 28]),
        _ => Codes::ALL,
    };
    Behaviour {
        codes,
        proves: name == "pam_unix",
        own: name == OWN,
    }
}

/// `pam_twofa(8)`: success, ignore and its refusals. A panic is `PAM_ABORT`; the module may be missing.
pub(crate) const OWN_CODES: Codes = Codes::from_numbers(&[0, 7, 9, 11, 19, 25, 26, 28]);

/// With `proved`: success for a login in which sshd proved a key of the user's, ignore for every other.
const KEY_CODES: Codes = Codes::from_numbers(&[0, 7, 25, 26, 28]);

/// Of a line with an option that cannot be obeyed there.
const REFUSALS: Codes = Codes::from_numbers(&[7, 26, 28]);

/// Whether a line calls twofa's module only to find out whether sshd proved a key of the user's.
pub(crate) fn finds_key(module: &str, arguments: &[String]) -> bool {
    is_own(module) && arguments.iter().any(|argument| argument == PROVED)
}

/// Whether a line of ours lets through when it returns this.
pub(crate) fn passes(code: Code) -> bool {
    code == Code::SUCCESS || code == Code::IGNORE
}

/// Whether the model knows what a module of this name does.
pub(crate) fn is_known(name: &str) -> bool {
    matches!(name, OWN | "pam_debug") || TABLE.iter().any(|known| known.name == name)
}

/// Whether the success of a module proves the user's identity.
pub(crate) fn proves_identity(name: &str) -> bool {
    let known = TABLE.iter().find(|known| known.name == name);
    known.is_some_and(|known| known.proof == Proof::FirstFactor)
}

/// Codes that an option adds.
fn extra(name: &str, has: &impl Fn(&str) -> bool) -> &'static [u8] {
    match name {
        "pam_nologin" if has("successok") => &[0],
        "pam_wheel" if has("trust") => &[0],
        _ => &[],
    }
}

/// The code of a module that can return only one.
fn fixed(name: &str, arguments: &[String], caller: Caller) -> Option<Code> {
    match name {
        "pam_rootok" if !caller.root => Some(Code::AUTH_ERR),
        "pam_succeed_if" => condition(arguments, caller),
        _ => None,
    }
}

/// `pam_debug(8)` returns the code in its arguments, and takes the place of other modules in tests.
pub(crate) fn debug_code(arguments: &[String], key: &str) -> Code {
    // The last one decides.
    let codes = arguments
        .iter()
        .filter_map(|argument| argument.strip_prefix(key));
    codes
        .filter_map(Code::named)
        .next_back()
        .unwrap_or(Code::SUCCESS)
}

/// `pam_succeed_if` with a condition on the caller (`uid = 0 use_uid`), or with none, which succeeds.
fn condition(arguments: &[String], caller: Caller) -> Option<Code> {
    let flags = [
        "use_uid",
        "quiet",
        "quiet_fail",
        "quiet_success",
        "debug",
        "audit",
    ];
    let condition: Vec<_> = arguments
        .iter()
        .map(String::as_str)
        .filter(|argument| !flags.contains(argument))
        .collect();
    match condition.as_slice() {
        [] => Some(Code::SUCCESS),
        ["uid", "=" | "eq", "0"] if arguments.iter().any(|argument| argument == "use_uid") => {
            Some(if caller.root {
                Code::SUCCESS
            } else {
                Code::AUTH_ERR
            })
        }
        _ => None,
    }
}

/// The name of a module: `pam_unix` for `/lib/security/pam_unix.so`.
pub(crate) fn name(module: &str) -> &str {
    let base = module.rsplit('/').next().unwrap_or_default();
    base.strip_suffix(".so").unwrap_or(base)
}
