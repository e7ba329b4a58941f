//! The stacks of distributions, and twofa's line in every place where somebody may put it.

use super::{Machine, answers, debian, machine, own};
use crate::{Answers, Phase};

const REACHED: (bool, bool) = (true, false);
const UNPROVED: (bool, bool) = (true, true);
const NEVER: (bool, bool) = (false, true);

/// As pam-auth-update writes them, with sssd.
const COMMON_AUTH: &str = "auth [success=2 default=ignore] pam_unix.so nullok
auth [success=1 default=ignore] pam_sss.so use_first_pass
auth requisite pam_deny.so
auth required pam_permit.so
auth optional pam_cap.so
";
const COMMON_ACCOUNT: &str = "account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so
account requisite pam_deny.so
account required pam_permit.so
";

pub(super) fn on_debian(name: &str, text: &str) -> Machine {
    debian(&[
        (name, text),
        ("common-auth", COMMON_AUTH),
        ("common-account", COMMON_ACCOUNT),
    ])
}

/// As authselect writes password-auth and system-auth for sssd, with faillock.
const EL: &str = "auth required pam_env.so
auth required pam_faildelay.so delay=2000000
auth required pam_faillock.so preauth silent
auth [default=1 ignore=ignore success=ok] pam_usertype.so isregular
auth [default=1 ignore=ignore success=ok] pam_localuser.so
auth sufficient pam_unix.so nullok
auth [default=1 ignore=ignore success=ok] pam_usertype.so isregular
auth sufficient pam_sss.so forward_pass
auth required pam_faillock.so authfail
auth required pam_deny.so
account required pam_faillock.so
account required pam_unix.so
account sufficient pam_localuser.so
account sufficient pam_usertype.so issystem
account [default=bad success=ok user_unknown=ignore] pam_sss.so
account required pam_permit.so
";

pub(super) fn on_el(name: &str, text: &str) -> Machine {
    machine(&[
        (name, text),
        ("password-auth", EL),
        ("system-auth", EL),
        ("postlogin", "session optional pam_umask.so\n"),
    ])
}

fn sound(answers: &Answers) {
    assert_eq!(answers.without_code, None);
    assert_eq!(answers.without_first_factor, None);
    assert_eq!(answers.despite_refusal, None);
    assert!(answers.auth_succeeds && answers.account_succeeds);
    assert!(!answers.asks_twice);
}

#[test]
fn debians_stack_of_the_readme_is_sound() {
    let machine = on_debian(
        "sshd",
        "@include common-auth\nauth required pam_twofa.so\naccount required pam_nologin.so
account required pam_twofa.so\n@include common-account\n",
    );
    let answers = answers("sshd", &machine);
    sound(&answers);
    assert_eq!(answers.account_without_code, None);
    assert!(answers.account_calls_own && !answers.account_challenges);
    assert_eq!(own("sshd", &machine, Phase::Auth), [REACHED]);
    assert_eq!(own("sshd", &machine, Phase::Account), [REACHED]);
}

#[test]
fn a_line_in_front_of_debians_passwords_proves_nothing_yet() {
    let machine = on_debian(
        "sshd",
        "auth required pam_twofa.so forward_pass\n@include common-auth\nauth required pam_twofa.so\n@include common-account\n",
    );
    assert_eq!(own("sshd", &machine, Phase::Auth), [UNPROVED, REACHED]);
    sound(&answers("sshd", &machine));
    let machine = on_debian(
        "sshd",
        "auth required pam_twofa.so forward_pass\n@include common-auth\n@include common-account\n",
    );
    assert!(!answers("sshd", &machine).early_line_is_followed);
    let machine = on_debian(
        "sshd",
        "auth required pam_twofa.so forward_pass\n@include common-auth\naccount required pam_twofa.so\n@include common-account\n",
    );
    assert!(answers("sshd", &machine).early_line_is_followed);
}

#[test]
fn a_later_line_counts_only_where_its_refusal_does_and_its_program_reaches_it() {
    let first =
        "auth required pam_twofa.so forward_pass\nauth requisite pam_unix.so try_first_pass\n";
    let answers = |rest: &str| {
        answers(
            "x",
            &on_debian("x", &format!("{first}{rest}@include common-account\n")),
        )
    };
    let followed = |rest: &str| {
        let answers = answers(rest);
        (
            answers.early_line_is_followed,
            answers.early_line_is_followed_in_auth,
        )
    };
    assert_eq!(followed("auth required pam_twofa.so\n"), (true, true));
    assert_eq!(followed("account required pam_twofa.so\n"), (true, false));
    assert_eq!(followed("auth optional pam_twofa.so\n"), (false, false));
    assert_eq!(followed("account optional pam_twofa.so\n"), (false, false));
    assert_eq!(
        followed("auth sufficient pam_localuser.so\nauth required pam_twofa.so\n"),
        (false, false)
    );
    assert_eq!(followed(""), (false, false));
    assert!(answers("account required pam_twofa.so challenge\n").account_challenges);
    assert!(!answers("account optional pam_twofa.so challenge\n").account_challenges);
    assert!(
        !answers("account [success=ok ignore=ignore auth_err=ignore] pam_twofa.so challenge\n")
            .account_challenges
    );
    assert!(
        !answers("account required pam_deny.so\naccount required pam_twofa.so challenge\n")
            .account_challenges
    );
}

#[test]
fn el_continues_after_a_substack_with_a_wrong_password() {
    let stack = "auth substack password-auth\nauth required pam_twofa.so\nauth include postlogin
account required pam_nologin.so\naccount include password-auth\n";
    assert_eq!(own("sshd", &on_el("sshd", stack), Phase::Auth), [UNPROVED]);
    let found = answers("sshd", &on_el("sshd", stack));
    sound(&found);
    // The line itself is called with the right password too, and nothing comes behind it.
    assert!(!found.early_line_is_followed && !found.early_line_is_followed_in_auth);
    let machine = on_el(
        "sshd",
        &stack.replacen("account", "account required pam_twofa.so\naccount", 1),
    );
    assert!(answers("sshd", &machine).early_line_is_followed);
}

#[test]
fn el_never_reaches_a_line_behind_an_include() {
    let machine = on_el(
        "sudo",
        "auth include system-auth\nauth required pam_twofa.so\naccount include system-auth\n",
    );
    let answers = answers("sudo", &machine);
    let way = answers.without_code.unwrap();
    let around = way.bypassing_step().unwrap();
    assert_eq!(
        (around.module.as_str(), around.code, around.line),
        ("pam_unix.so", "success", 6)
    );
    // After a wrong password it is.
    assert_eq!(own("sudo", &machine, Phase::Auth), [UNPROVED]);
}

#[test]
fn el_is_sound_with_a_challenge_in_account() {
    for stack in [
        "auth substack password-auth\nauth include postlogin\naccount required pam_nologin.so
account required pam_twofa.so challenge\naccount include password-auth\n",
        "auth include system-auth\naccount required pam_twofa.so challenge\naccount include system-auth\n",
    ] {
        for name in ["sshd", "sudo", "login", "gdm-password"] {
            let machine = on_el(name, stack);
            let answers = answers(name, &machine);
            sound(&answers);
            assert!(answers.account_calls_own && answers.account_challenges);
            assert_eq!(own(name, &machine, Phase::Account), [REACHED]);
        }
    }
}

#[test]
fn els_sufficient_lines_skip_a_challenge_behind_them() {
    let machine = on_el(
        "sshd",
        "auth substack password-auth\naccount include password-auth\naccount required pam_twofa.so challenge\n",
    );
    let answers = answers("sshd", &machine);
    assert_eq!(
        answers
            .without_code
            .unwrap()
            .bypassing_step()
            .unwrap()
            .module,
        "pam_localuser.so"
    );
    assert!(!answers.account_calls_own);
}

#[test]
fn su_by_root_does_not_count_against_the_stack() {
    let text = |first: &str, second: &str| {
        format!(
            "auth sufficient pam_rootok.so\nauth substack system-auth\n{first}\n\
             account sufficient pam_succeed_if.so uid = 0 use_uid quiet\n{second}\naccount include system-auth\n"
        )
    };
    let challenge = "account required pam_twofa.so challenge";
    for name in ["su", "su-l"] {
        let behind = answers(name, &on_el(name, &text("", challenge)));
        sound(&behind);
        assert!(!behind.account_calls_own_for_root);
        let before = answers(name, &on_el(name, &text(challenge, "")));
        sound(&before);
        assert!(before.account_calls_own_for_root);
    }
    // The same file for a program that is root's for everybody lets everybody in.
    let answers = answers("login", &on_el("login", &text("", challenge)));
    assert!(answers.without_code.is_some() && answers.without_first_factor.is_some());
}

#[test]
fn suse_continues_after_a_wrong_password() {
    let common = "auth required pam_env.so\nauth optional pam_gnome_keyring.so\nauth required pam_unix.so try_first_pass\n";
    let account = "account required pam_unix.so try_first_pass\n";
    let stack = |auth: &str, mine: &str| {
        let text = format!(
            "auth requisite pam_nologin.so\nauth include common-auth\n{auth}account requisite pam_nologin.so\n{mine}account include common-account\n"
        );
        machine(&[
            ("sshd", &text),
            ("common-auth", common),
            ("common-account", account),
        ])
    };
    let wrong = stack("auth required pam_twofa.so\n", "");
    assert_eq!(own("sshd", &wrong, Phase::Auth), [UNPROVED]);
    let right = stack("", "account required pam_twofa.so challenge\n");
    sound(&answers("sshd", &right));
    assert!(answers("sshd", &right).account_challenges);
}

const ARCH: &str = "auth required pam_faillock.so preauth
-auth [success=2 default=ignore] pam_systemd_home.so
auth [success=1 default=bad] pam_unix.so try_first_pass nullok
auth [default=die] pam_faillock.so authfail
auth optional pam_permit.so
auth required pam_env.so
auth required pam_faillock.so authsucc
-account [success=1 default=ignore] pam_systemd_home.so
account required pam_unix.so
account optional pam_permit.so
account required pam_time.so
";

#[test]
fn arch_ends_at_a_wrong_password() {
    let login =
        "auth required pam_shells.so\nauth requisite pam_nologin.so\nauth include system-auth
account required pam_access.so\naccount required pam_nologin.so\naccount include system-auth\n";
    let stack = |text| {
        machine(&[
            ("sshd", text),
            ("system-login", login),
            ("system-auth", ARCH),
        ])
    };
    let machine = stack(
        "auth include system-login\nauth required pam_twofa.so\naccount include system-login\n",
    );
    assert_eq!(own("sshd", &machine, Phase::Auth), [REACHED]);
    sound(&answers("sshd", &machine));
    let machine = stack(
        "auth include system-login\naccount required pam_twofa.so challenge\naccount include system-login\n",
    );
    sound(&answers("sshd", &machine));
}

#[test]
fn a_line_put_between_moves_the_jumps_over_itself() {
    let moved = ARCH.replacen(
        "auth optional",
        "auth required pam_twofa.so\nauth optional",
        1,
    );
    // The jump of pam_unix now ends at the line, that of pam_systemd_home behind it.
    let machine = machine(&[("sshd", &moved)]);
    assert_eq!(own("sshd", &machine, Phase::Auth), [REACHED]);
    let way = answers("sshd", &machine).without_code;
    assert_eq!(way, None);
    // Here a right password leads to the line that ends the stack with a failure.
    let moved = ARCH.replacen(
        "auth [default=die]",
        "auth required pam_twofa.so\nauth [default=die]",
        1,
    );
    assert!(!answers("sshd", &super::machine(&[("sshd", &moved)])).auth_succeeds);
    // And here one jump goes over both.
    let moved = moved.replacen("success=1", "success=2", 1);
    let around = answers("sshd", &super::machine(&[("sshd", &moved)]))
        .without_code
        .unwrap();
    assert_eq!(
        around.bypassing_step().map(|step| step.module.as_str()),
        Some("pam_unix.so")
    );
}

#[test]
fn each_control_that_lets_a_refusal_pass_is_found() {
    for control in [
        "sufficient",
        "optional",
        "[success=ok default=ignore]",
        "[success=ok ignore=ignore authinfo_unavail=ignore default=bad]",
        "[success=ok ignore=ignore maxtries=ignore default=bad]",
        "[success=ok ignore=ignore auth_err=ignore default=die]",
        "[success=ok ignore=ignore conv_err=ignore default=bad]",
        "[success=1 ignore=ignore module_unknown=1 default=die]",
        "[default=ok]",
        "[default=done]",
        "[default=1]",
        "[success=ok abort=reset default=bad]",
    ] {
        let text = format!(
            "@include common-auth\nauth {control} pam_twofa.so\nauth optional pam_permit.so\n@include common-account\n"
        );
        let answers = answers("sshd", &on_debian("sshd", &text));
        let found = answers.despite_refusal.is_some()
            || matches!(control, "[default=ok]" | "[default=done]");
        assert!(found, "{control}");
        // What counts an error as it is still fails.
        if matches!(control, "[default=ok]" | "[default=done]") {
            assert_eq!(answers.despite_refusal, None, "{control}");
        }
    }
    for control in [
        "required",
        "requisite",
        "REQUIRED",
        "[success=ok new_authtok_reqd=ok ignore=ignore default=bad]",
    ] {
        let text =
            format!("@include common-auth\nauth {control} pam_twofa.so\n@include common-account\n");
        sound(&answers("sshd", &on_debian("sshd", &text)));
    }
}

#[test]
fn the_line_that_bypasses_twofa_is_named() {
    for (lines, module) in [
        (
            "auth [success=done default=ignore] pam_unix.so\nauth required pam_twofa.so\n",
            "pam_unix.so",
        ),
        (
            "auth [success=1 default=ignore] pam_succeed_if.so user ingroup staff\nauth required pam_twofa.so\nauth required pam_unix.so\n",
            "pam_succeed_if.so",
        ),
        (
            "auth sufficient pam_something.so\nauth required pam_unix.so\nauth required pam_twofa.so\n",
            "pam_something.so",
        ),
        (
            "auth sufficient pam_rootok.so\n@include common-auth\nauth required pam_twofa.so\n",
            "pam_rootok.so",
        ),
    ] {
        let machine = on_debian("sshd", &format!("{lines}@include common-account\n"));
        let way = answers("sshd", &machine).without_code.expect(lines);
        assert_eq!(
            way.bypassing_step().map(|step| step.module.as_str()),
            Some(module),
            "{lines}"
        );
    }
}

#[test]
fn a_reset_that_forgets_a_refusal_is_found() {
    let text = "auth requisite pam_unix.so\nauth required pam_twofa.so\nauth [success=reset] pam_permit.so\nauth required pam_permit.so\naccount required pam_permit.so\n";
    assert!(
        answers("sshd", &machine(&[("sshd", text)]))
            .despite_refusal
            .is_some()
    );
}

#[test]
fn success_without_any_factor_is_found() {
    // Key, then code: only sshd's own check stands in front of it.
    let text =
        "auth required pam_twofa.so\nauth required pam_permit.so\naccount required pam_permit.so\n";
    let answers = answers("sshd", &machine(&[("sshd", text)]));
    assert!(answers.without_first_factor.is_some());
    assert_eq!(answers.without_code, None);
    // The fall from sufficient lines to one that succeeds.
    let text = "auth sufficient pam_unix.so\nauth required pam_gnome_keyring.so\naccount required pam_permit.so\n";
    assert!(
        super::answers("x", &machine(&[("x", text)]))
            .without_first_factor
            .is_some()
    );
    let text = "auth sufficient pam_u2f.so nouserok\nauth required pam_deny.so\naccount required pam_permit.so\n";
    assert!(
        super::answers("x", &machine(&[("x", text)]))
            .without_first_factor
            .is_some()
    );
    let text = text.replace(" nouserok", "");
    assert_eq!(
        super::answers("x", &machine(&[("x", &text)])).without_first_factor,
        None
    );
}

#[test]
fn two_lines_that_ask_are_noticed() {
    let twice = "@include common-auth\nauth required pam_twofa.so\nauth required pam_twofa.so\n@include common-account\n";
    assert!(answers("sshd", &on_debian("sshd", twice)).asks_twice);
}

#[test]
fn a_line_that_no_path_leads_to_is_not_reached() {
    let text = "auth requisite pam_unix.so\nauth [default=done] pam_permit.so\nauth required pam_twofa.so\n";
    // Where pam_permit is missing, its code is kept as an error: the stack ends there too, or goes on to refuse.
    let lines = own("sshd", &machine(&[("sshd", text)]), Phase::Auth);
    assert_eq!(lines, [NEVER]);
}
