//! Whether a line of twofa's module comes to know of every login, and of every new password.

use super::{answers, debian, machine, read};

#[test]
fn a_login_is_confirmed_where_no_path_leads_around_the_line_in_account() {
    let auth = "auth requisite pam_unix.so\nauth required pam_twofa.so\n";
    for (account, confirms) in [
        (
            "account required pam_twofa.so\naccount required pam_unix.so\n",
            true,
        ),
        (
            "account required pam_twofa.so confirm\naccount sufficient pam_unix.so\n",
            true,
        ),
        (
            "account required pam_unix.so\naccount required pam_twofa.so confirm\n",
            true,
        ),
        (
            "account sufficient pam_unix.so\naccount required pam_twofa.so\n",
            false,
        ),
        (
            "account sufficient pam_localuser.so\naccount required pam_twofa.so confirm\n",
            false,
        ),
        (
            "account [success=1 default=ignore] pam_unix.so\naccount required pam_twofa.so\naccount required pam_permit.so\n",
            false,
        ),
        (
            "account [success=1 default=ignore] pam_unix.so\naccount requisite pam_deny.so\naccount required pam_twofa.so\n",
            true,
        ),
        ("account required pam_unix.so\n", false),
    ] {
        let machine = machine(&[("sshd", &format!("{auth}{account}"))]);
        assert_eq!(
            answers("sshd", &machine).account_confirms,
            confirms,
            "{account}"
        );
    }
}

#[test]
fn a_new_password_is_told_where_every_change_outside_of_shadow_comes_by_the_line() {
    let line = "password optional pam_twofa.so\n";
    let debians = |first: &str| {
        format!("{first}password requisite pam_deny.so\npassword required pam_permit.so\n")
    };
    for (stack, told) in [
        (
            format!(
                "{}{line}",
                debians("password [success=1 default=ignore] pam_unix.so\n")
            ),
            true,
        ),
        (
            format!(
                "{}{line}",
                debians(
                    "password [success=2 default=ignore] pam_unix.so\npassword [success=1 default=ignore] pam_ldap.so\n"
                )
            ),
            true,
        ),
        (
            debians("password [success=1 default=ignore] pam_ldap.so\n"),
            false,
        ),
        (
            format!("password sufficient pam_unix.so\npassword sufficient pam_sss.so\n{line}"),
            false,
        ),
        (
            format!(
                "password sufficient pam_unix.so\n{line}password sufficient pam_sss.so\npassword required pam_deny.so\n"
            ),
            true,
        ),
        // The password may be changed elsewhere, and nobody tells.
        ("password required pam_unix.so\n".to_owned(), false),
        (String::new(), false),
    ] {
        let machine = debian(&[
            ("passwd", "@include common-password\n"),
            ("common-password", &stack),
            ("other", "password required pam_deny.so\n"),
        ]);
        assert_eq!(
            read("passwd", &machine).tells_of_passwords(),
            told,
            "{stack}"
        );
    }
}
