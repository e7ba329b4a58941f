//! Stacks with `pam_twofa.so proved`, in which a login with a key skips the password.

use super::{Machine, answers, debian, own, read};
use crate::Phase;

/// As pam-auth-update writes it on Debian without sssd.
const COMMON_AUTH: &str = "auth [success=1 default=ignore] pam_unix.so nullok
auth requisite pam_deny.so
auth required pam_permit.so
";
const COMMON_ACCOUNT: &str = "account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so
account requisite pam_deny.so
account required pam_permit.so
";
const PROVED: &str = "auth [success=1 default=ignore] pam_twofa.so proved\n";

fn on_debian(auth: &str) -> Machine {
    let sshd = format!("{auth}account required pam_twofa.so\n@include common-account\n");
    debian(&[
        ("sshd", &sshd),
        ("common-auth", COMMON_AUTH),
        ("common-account", COMMON_ACCOUNT),
    ])
}

/// A stack with a `proved` line and what becomes of a login with a key.
struct Case {
    auth: &'static str,
    /// It gets in, with a code, and where none is asked for.
    key: (bool, bool),
    lands_elsewhere: bool,
}

#[test]
fn the_target_of_a_jump_decides_for_everybody_with_a_key() {
    for Case {
        auth,
        key,
        lands_elsewhere,
    } in [
        Case {
            auth: "@include common-auth\nauth required pam_twofa.so\n",
            key: (false, false),
            lands_elsewhere: true,
        },
        Case {
            auth: "auth include common-auth\nauth required pam_twofa.so\n",
            key: (false, false),
            lands_elsewhere: true,
        },
        Case {
            auth: "auth substack common-auth\nauth required pam_twofa.so\n",
            key: (true, false),
            lands_elsewhere: false,
        },
        Case {
            auth: "auth substack common-auth\nauth required pam_twofa.so\nauth required pam_permit.so\n",
            key: (true, true),
            lands_elsewhere: false,
        },
        Case {
            auth: "auth requisite pam_unix.so\nauth required pam_twofa.so\n",
            key: (true, false),
            lands_elsewhere: false,
        },
        Case {
            auth: "auth requisite pam_unix.so\nauth required pam_twofa.so\nauth required pam_permit.so\n",
            key: (true, true),
            lands_elsewhere: false,
        },
    ] {
        let machine = on_debian(&format!("{PROVED}{auth}"));
        let found = answers("sshd", &machine);
        assert_eq!(
            (found.key_succeeds, found.key_succeeds_unasked),
            key,
            "{auth}"
        );
        assert_eq!(found.without_code, None, "{auth}");
        assert_eq!(found.without_first_factor, None, "{auth}");
        assert_eq!(found.despite_refusal, None, "{auth}");
        assert!(found.auth_succeeds, "with a password: {auth}");
        let line = &read("sshd", &machine).key_lines()[0];
        assert_eq!(
            (line.line, line.lands_elsewhere),
            (1, lands_elsewhere),
            "{auth}"
        );
    }
}

#[test]
fn a_jump_into_an_included_file_works_while_nobody_changes_that_file() {
    let machine = on_debian(
        "auth [success=2 default=ignore] pam_twofa.so proved\n@include common-auth\nauth required pam_twofa.so\n",
    );
    let found = answers("sshd", &machine);
    assert!(found.key_succeeds && found.key_succeeds_unasked);
    assert!(read("sshd", &machine).key_lines()[0].lands_elsewhere);
}

#[test]
fn a_jump_that_is_too_long_skips_the_code() {
    let auth = "auth [success=2 default=ignore] pam_twofa.so proved\nauth substack common-auth\n\
                auth required pam_twofa.so\nauth required pam_permit.so\n";
    let way = answers("sshd", &on_debian(auth)).auth_without_code.unwrap();
    let step = way.bypassing_step().unwrap();
    assert!(step.finds_key && step.line == 1 && step.code == "success");
}

#[test]
fn a_key_may_skip_the_line_that_asks_after_the_password_where_account_asks() {
    let common = format!("{COMMON_AUTH}auth required pam_twofa.so\n");
    let machine = |account: &str| {
        let sshd = format!(
            "{PROVED}auth substack common-auth\nauth required pam_permit.so\n{account}@include common-account\n"
        );
        debian(&[
            ("sshd", &sshd),
            ("common-auth", &common),
            ("common-account", COMMON_ACCOUNT),
        ])
    };
    let found = answers(
        "sshd",
        &machine("account required pam_twofa.so challenge\n"),
    );
    assert!(found.key_succeeds && found.key_succeeds_unasked);
    assert_eq!(found.without_code, None);
    let found = answers("sshd", &machine(""));
    assert!(!found.key_succeeds && found.without_code.is_some());
}

#[test]
fn the_line_after_it_is_reached_with_a_password_or_a_key() {
    let stack = format!("{PROVED}auth requisite pam_unix.so\nauth required pam_twofa.so\n");
    assert_eq!(
        own("sshd", &on_debian(&stack), Phase::Auth),
        [(true, false)]
    );
    // A key proves nothing about the password of a login without one.
    let goes_on = stack.replace("requisite", "required");
    assert_eq!(
        own("sshd", &on_debian(&goes_on), Phase::Auth),
        [(true, true)]
    );
    let forgives = stack.replace("requisite", "optional");
    assert_eq!(
        own("sshd", &on_debian(&forgives), Phase::Auth),
        [(true, true)]
    );
}

#[test]
fn it_asks_for_no_code_and_takes_the_place_of_none() {
    let alone = on_debian("auth sufficient pam_twofa.so proved\n@include common-auth\n");
    assert_eq!(own("sshd", &alone, Phase::Auth), []);
    let found = answers("sshd", &alone);
    assert!(found.auth_without_code.is_some());
    assert_eq!(found.without_first_factor, None);
    let in_account = debian(&[(
        "sshd",
        "auth required pam_unix.so\naccount required pam_twofa.so proved\n",
    )]);
    assert!(!answers("sshd", &in_account).account_succeeds);
}
