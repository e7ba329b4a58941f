//! The modules that are installed, compared with what the model says they may return.
//!
//! The module's line jumps to another line for each code that libpam knows, and the model must have that line reached.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use twofa_stacks::code::NAMES;
use twofa_stacks::{Call, Phase, Service};

use crate::generate::Stack;
use crate::libpam::{Libpam, OWN, STUB};

const SERVICE: &str = "module";
/// `PAM_INCOMPLETE`, at which libpam leaves the stack at once.
const INCOMPLETE: usize = 31;

/// Options under which a module may return other codes than without any.
const OPTIONS: &[(&str, &[&str])] = &[
    (
        "pam_access",
        &[
            "accessfile=/nonexistent",
            "accessfile=/etc/passwd",
            "accessfile=/dev/null",
        ],
    ),
    ("pam_cap", &["config=/nonexistent", "config=/dev/null"]),
    (
        "pam_echo",
        &["hello %u", "file=/etc/hostname", "file=/nonexistent"],
    ),
    ("pam_env", &["conffile=/nonexistent envfile=/nonexistent"]),
    ("pam_faildelay", &["delay=1"]),
    (
        "pam_faillock",
        &[
            "preauth",
            "authfail deny=2",
            "authsucc",
            "unknown",
            "preauth local_users_only",
            "preauth conf=/nonexistent",
            "preauth dir=/dev/null",
            "preauth even_deny_root deny=0",
        ],
    ),
    ("pam_keyinit", &["force revoke"]),
    ("pam_lastlog", &["inactive=0", "inactive=30", "silent"]),
    (
        "pam_listfile",
        &[
            "item=user sense=allow file=/dev/null",
            "item=user sense=allow file=/nonexistent",
            "item=user sense=allow file=/nonexistent onerr=succeed",
            "item=user sense=deny file=/etc/hostname",
            "item=user sense=allow file=/etc/hostname",
            "item=group sense=allow file=/etc/hostname apply=nobody",
            "item=shell sense=deny file=/etc/hostname",
            "item=tty sense=deny file=/etc/hostname apply=root",
        ],
    ),
    ("pam_localuser", &["file=/nonexistent", "file=/dev/null"]),
    (
        "pam_nologin",
        &[
            "successok",
            "file=/etc/hostname",
            "file=/etc/hostname successok",
        ],
    ),
    ("pam_loginuid", &["require_auditd"]),
    ("pam_mail", &["dir=/nonexistent", "nopen"]),
    ("pam_securetty", &["noconsole"]),
    ("pam_selinux", &["open", "close", "restore"]),
    ("pam_sepermit", &["conf=/nonexistent"]),
    (
        "pam_succeed_if",
        &[
            "uid = 0",
            "uid >= 1000",
            "uid",
            "uid like 0",
            "nothing = 0",
            "user = root",
            "user ingroup root",
            "uid = 0 use_uid",
            "tty = tty1",
            "quiet",
        ],
    ),
    (
        "pam_unix",
        &[
            "nullok",
            "use_first_pass",
            "try_first_pass",
            "broken_shadow",
            "likeauth",
            "nodelay",
            "no_pass_expiry",
        ],
    ),
    (
        "pam_userdb",
        &[
            "db=/nonexistent",
            "db=/nonexistent use_first_pass",
            "db=/nonexistent try_first_pass",
        ],
    ),
    (
        "pam_usertype",
        &["issystem", "isregular", "use_uid issystem"],
    ),
    (
        "pam_wheel",
        &[
            "trust",
            "deny",
            "deny trust",
            "root_only",
            "use_uid",
            "use_uid group=root trust",
            "group=nonexistent",
        ],
    ),
];

/// Modules that run programs, or of which nothing is said.
const LEFT_OUT: [&str; 4] = ["pam_debug", "pam_exec", "pam_filter", "pam_stress"];

/// Fails if a module returns what the model says it cannot.
pub fn compare(libpam: &mut Libpam) {
    let mut seen: BTreeMap<String, BTreeSet<(Phase, usize)>> = BTreeMap::new();
    let mut wrong = BTreeSet::new();
    for name in libpam.modules() {
        if LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        let of_module = OPTIONS.iter().find(|(module, _)| *module == name);
        let options = of_module.map_or(&[][..], |(_, options)| *options);
        for options in [&[""][..], options].concat() {
            for (phase, call) in [
                (Phase::Auth, Call::Authenticate),
                (Phase::Account, Call::Account),
            ] {
                let stack = stack(&format!("{name}.so {options}"), phase, call);
                let service = libpam.service(&stack).unwrap();
                for (user, answer) in [
                    ("root", "wrong"),
                    ("nobody", "wrong"),
                    ("nobody", "-"),
                    ("no-such-user", "wrong"),
                ] {
                    let said = libpam.answer(&stack, user, answer);
                    let Some(code) = code(&said) else {
                        continue;
                    };
                    if !is_possible(&service, phase, code) {
                        wrong.insert(format!("{phase:?} of {name} {options} is {code}"));
                    }
                    seen.entry(name.clone()).or_default().insert((phase, code));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Of these, more than one code must have been seen, or the comparison would prove nothing.
    for name in ["pam_unix", "pam_succeed_if", "pam_nologin", "pam_listfile"] {
        let codes = seen.get(name).map_or(0, BTreeSet::len);
        assert!(codes > 3, "{name}: {seen:?}");
    }
    assert!(seen.len() > 25, "{seen:?}");
}

/// A stack that calls the module, and then the line that stands for its code.
fn stack(module: &str, phase: Phase, call: Call) -> Stack {
    let kind = if phase == Phase::Auth {
        "auth"
    } else {
        "account"
    };
    let mut text = format!("{kind} [");
    for (code, name) in NAMES.iter().take(INCOMPLETE).enumerate() {
        let _ = write!(text, "{name}={} ", code + 1);
    }
    let _ = writeln!(
        text,
        "default=die] {module}\n{kind} requisite {STUB} n=none"
    );
    for code in 0..INCOMPLETE {
        let _ = writeln!(
            text,
            "{kind} [default=die] {OWN} n={code} auth=auth_err acct=auth_err"
        );
    }
    let other = if phase == Phase::Auth {
        "account"
    } else {
        "auth"
    };
    let _ = writeln!(text, "{other} required {STUB}");
    Stack {
        files: BTreeMap::from([(format!("/etc/pam.d/{SERVICE}"), text)]),
        service: SERVICE.to_owned(),
        calls: vec![call],
    }
}

/// The code of the module, which is the name of the stub that was called after it.
fn code(said: &str) -> Option<usize> {
    said.split(':').next()?.parse().ok()
}

fn is_possible(service: &Service, phase: Phase, code: usize) -> bool {
    let mut lines = service
        .own_lines()
        .into_iter()
        .filter(|line| line.phase == phase);
    lines.nth(code).is_some_and(|line| line.reached)
}
