//! `twofa doctor` on machines with correct and with faulty PAM stacks.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

mod machine;
mod services;
mod sshd;
mod unhealthy;

use twofa_e2e::{Builder, Machine};

const CONTENT: &str = "No problems found.\n";

/// The doctor's output; its exit code says whether there is a problem.
#[track_caller]
fn diagnosis(machine: &Machine) -> String {
    let doctor = machine.run("twofa doctor");
    assert_eq!(
        doctor.code(),
        i32::from(doctor.stdout.contains("problem: ")),
        "{doctor}"
    );
    doctor.stdout
}

#[track_caller]
fn finds(machine: &Machine, words: &str) {
    let doctor = diagnosis(machine);
    assert!(doctor.contains(words), "{words:?} in {doctor}");
}

/// A machine on which no stack has our module yet.
fn builder() -> Builder {
    Machine::new()
        .policy("optional")
        .command("sed -i /pam_twofa/d /etc/pam.d/*")
}

fn put(machine: &Machine, service: &str, stack: &str) {
    machine.write_file(&format!("/etc/pam.d/{service}"), stack);
}

const BEHIND: &str = "@include common-auth\nauth required pam_twofa.so\n@include common-account\n";

/// The manual's stack for passwords and codes, with the line that refuses a key alone.
const SSHD: &str = "@include common-auth
auth required pam_twofa.so
account required pam_nologin.so
account required pam_twofa.so
@include common-account
";

/// As authselect writes them, for local accounts and sssd.
const EL: &str = "auth required pam_env.so
auth required pam_faildelay.so delay=2000000
auth [default=1 ignore=ignore success=ok] pam_usertype.so isregular
auth [default=1 ignore=ignore success=ok] pam_localuser.so
auth sufficient pam_unix.so nullok
auth [default=1 ignore=ignore success=ok] pam_usertype.so isregular
auth sufficient pam_sss.so forward_pass
auth required pam_deny.so
account required pam_unix.so
account sufficient pam_localuser.so
account sufficient pam_usertype.so issystem
account [default=bad success=ok user_unknown=ignore] pam_sss.so
account required pam_permit.so
";
const EL_SSHD: &str = "auth substack password-auth
auth include postlogin
account required pam_nologin.so
account required pam_twofa.so challenge
account include password-auth
";
const EL_SUDO: &str = "auth include system-auth
account required pam_twofa.so challenge
account include system-auth
";
const EL_SU: &str = "auth sufficient pam_rootok.so
auth substack system-auth
account sufficient pam_succeed_if.so uid = 0 use_uid quiet
account required pam_twofa.so challenge
account include system-auth
";

/// A machine with EL's shared stacks beside Debian's.
fn el() -> Machine {
    let machine = builder().build();
    for shared in ["password-auth", "system-auth"] {
        put(&machine, shared, EL);
    }
    put(
        &machine,
        "postlogin",
        "session optional pam_umask.so silent\n",
    );
    machine
}
