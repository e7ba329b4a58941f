//! Who gets in with what.

use super::{Machine, debian, machine, read};
use crate::{Case, Factor, Program, Proof, Route, Strangers, Verdict};

const COMMON_AUTH: &str = "\
auth [success=1 default=ignore] pam_unix.so nullok
auth requisite pam_deny.so
auth required pam_permit.so
";
const COMMON_ACCOUNT: &str = "\
account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so
account requisite pam_deny.so
account required pam_permit.so
";

fn prove(name: &str, machine: &Machine) -> Proof {
    let program = match name {
        "cron" => Program::Jobs,
        "swaylock" => Program::Locker,
        _ => Program::Other,
    };
    read(name, machine).prove(program, &|_| Some(true)).unwrap()
}

/// The ways in of a route, each as factors and unknown modules.
fn ways(proof: &Proof, route: Route) -> Vec<(Vec<Factor>, Vec<String>)> {
    let ways = proof.ways.iter().find(|ways| ways.route == route);
    let entries = &ways.expect("a route of the service").entries;
    let mut found: Vec<_> = entries
        .iter()
        .map(|entry| (entry.shown.factors().collect(), entry.modules.clone()))
        .collect();
    found.sort();
    found
}

fn one(factors: &[Factor]) -> Vec<(Vec<Factor>, Vec<String>)> {
    vec![(factors.to_vec(), Vec::new())]
}

fn sshd(auth: &str, account: &str) -> Machine {
    let auth = format!("{auth}{account}");
    debian(&[
        ("sshd", &auth),
        ("common-auth", COMMON_AUTH),
        ("common-account", COMMON_ACCOUNT),
    ])
}

#[test]
fn debian_with_a_line_behind_the_password_wants_both() {
    let machine = sshd(
        "@include common-auth\nauth required pam_twofa.so\n",
        "account required pam_nologin.so\n@include common-account\n",
    );
    let proof = prove("sshd", &machine);
    let both = [Factor::Password, Factor::Code];
    assert_eq!(ways(&proof, Route::Login), one(&both));
    // With a key, nobody is asked.
    assert_eq!(ways(&proof, Route::Key), one(&[]));
    assert_eq!(proof.strangers, Strangers::AskedNothing);
    assert!(proof.unknown.is_empty() && proof.missing.is_empty());
    let gets_in =
        |case: &Case| case.is_proved && matches!(case.verdict, Verdict::Right | Verdict::NotAsked);
    assert_eq!(proof.cases.len(), 10);
    assert!(proof.cases.iter().all(|case| case.gets_in == gets_in(case)));
    assert!(proof.credentials.after_login && proof.credentials.without_login);
}

#[test]
fn a_challenge_in_account_asks_users_with_a_key_too() {
    let account = "account required pam_twofa.so challenge\n@include common-account\n";
    let proof = prove("sshd", &sshd("@include common-auth\n", account));
    assert_eq!(
        ways(&proof, Route::Login),
        one(&[Factor::Password, Factor::Code])
    );
    assert_eq!(ways(&proof, Route::Key), one(&[Factor::Code]));
}

#[test]
fn each_way_in_is_listed_and_none_that_shows_more_than_another() {
    let auth =
        "auth sufficient pam_fprintd.so\nauth sufficient pam_unix.so\nauth required pam_deny.so\n";
    let account = "account required pam_twofa.so challenge\naccount required pam_unix.so\n";
    let machine = machine(&[("gdm-password", &format!("{auth}{account}"))]);
    assert_eq!(
        ways(&prove("gdm-password", &machine), Route::Login),
        [
            (vec![Factor::Password, Factor::Code], vec![]),
            (vec![Factor::Fingerprint, Factor::Code], vec![]),
        ]
    );
}

#[test]
fn whom_an_unknown_module_lets_in_rests_on_it() {
    let text = "auth sufficient pam_corp.so\nauth required pam_unix.so\nauth required pam_twofa.so\n\
                account required pam_permit.so\n";
    let proof = prove("login", &machine(&[("login", text)]));
    assert_eq!(
        ways(&proof, Route::Login),
        [
            (vec![], vec!["pam_corp".to_owned()]),
            (vec![Factor::Password, Factor::Code], vec![]),
        ]
    );
    assert_eq!(proof.strangers, Strangers::UpToModule);
    // One that may only refuse is nothing to rest on.
    let text = "auth required pam_corp.so\nauth required pam_unix.so\nauth required pam_twofa.so\n\
                account required pam_permit.so\n";
    let proof = prove("login", &machine(&[("login", text)]));
    assert_eq!(
        ways(&proof, Route::Login),
        one(&[Factor::Password, Factor::Code])
    );
    assert_eq!(proof.unknown, ["pam_corp"]);
}

#[test]
fn a_stack_that_checks_no_password_lets_strangers_in_and_the_line_is_named() {
    let text = "auth required pam_env.so\nauth sufficient pam_succeed_if.so user ingroup nopasswdlogin\n\
                auth required pam_unix.so\nauth required pam_twofa.so\naccount required pam_permit.so\n";
    let proof = prove("lightdm", &machine(&[("lightdm", text)]));
    assert_eq!(proof.strangers, Strangers::GetIn);
    let entry = &proof.ways[0].entries[0];
    assert_eq!(entry.shown.factors().count(), 0);
    assert_eq!(entry.way.opening_step().map(|step| step.line), Some(2));
    // pam_rootok lets in everybody whose program runs as root for all.
    let text = "auth sufficient pam_rootok.so\nauth required pam_unix.so\naccount required pam_permit.so\n";
    let machine = machine(&[("sshd", text), ("su", text)]);
    assert_eq!(prove("sshd", &machine).strangers, Strangers::GetIn);
    let su = prove("su", &machine);
    assert_eq!(su.strangers, Strangers::AskedNothing);
    assert!(ways(&su, Route::Root).contains(&(vec![Factor::Root], vec![])));
    assert_eq!(ways(&su, Route::Login), one(&[Factor::Password]));
}

#[test]
fn strangers_are_asked_where_a_line_is_reached_with_a_wrong_password() {
    let files = [
        (
            "system-auth",
            "auth required pam_env.so\nauth sufficient pam_unix.so\nauth required pam_deny.so\n",
        ),
        (
            "login",
            "auth substack system-auth\nauth required pam_twofa.so\naccount required pam_unix.so\n",
        ),
    ];
    let proof = prove("login", &machine(&files));
    assert_eq!(proof.strangers, Strangers::AskedInVain);
    assert!(
        proof
            .cases
            .iter()
            .all(|case| !case.gets_in || case.is_proved)
    );
}

#[test]
fn sudo_within_its_timestamp_calls_account_alone() {
    let text =
        "auth required pam_unix.so\nauth required pam_twofa.so\naccount required pam_unix.so\n";
    let proof = prove("sudo", &machine(&[("sudo", text)]));
    assert_eq!(ways(&proof, Route::Remembered), one(&[]));
    assert_eq!(ways(&proof, Route::Root), one(&[]));
    assert!(
        prove("runuser", &machine(&[("runuser", text)]))
            .ways
            .is_empty()
    );
    assert_eq!(
        prove("cron", &machine(&[("cron", text)])).ways[0].route,
        Route::Job
    );
}

#[test]
fn a_module_that_is_not_installed_is_named_where_its_line_fails() {
    let text = "auth optional pam_gone.so\nauth required pam_unix.so\nauth required pam_gone.so\nauth required pam_twofa.so\naccount required pam_unix.so\n";
    let machine = machine(&[("login", text)]);
    let proof = read("login", &machine)
        .prove(Program::Other, &|module| Some(module == "pam_unix.so"))
        .unwrap();
    let missing: Vec<_> = proof.missing.iter().map(|missing| missing.line).collect();
    assert_eq!(missing, [3, 4]);
    assert!(!proof.missing[0].is_own && proof.missing[1].is_own);
}

#[test]
fn setcred_follows_the_path_of_the_login_or_its_own() {
    let credentials = |auth: &str| {
        let text = format!("{auth}account required pam_permit.so\n");
        let proof = prove("login", &machine(&[("login", &text)]));
        (
            proof.credentials.after_login,
            proof.credentials.without_login,
        )
    };
    assert_eq!(
        credentials("auth required pam_unix.so\nauth required pam_twofa.so\n"),
        (true, true)
    );
    // pam_deny is skipped after a login alone.
    let stack =
        "auth sufficient pam_debug.so auth=success cred=auth_err\nauth required pam_deny.so\n";
    assert_eq!(credentials(stack), (false, false));
    let stack = "auth [success=1 default=ignore] pam_debug.so auth=success cred=ignore\nauth requisite pam_deny.so\n\
                 auth required pam_permit.so\n";
    assert_eq!(credentials(stack), (true, false));
    // All of them ignore: PAM_PERM_DENIED.
    assert_eq!(
        credentials("auth required pam_debug.so auth=success cred=ignore\n"),
        (false, false)
    );
}

#[test]
fn there_is_no_proof_where_the_model_may_be_wrong() {
    let looped = machine(&[("x", "auth include x\nauth required pam_unix.so\n")]);
    assert_eq!(read("x", &looped).prove(Program::Other, &|_| None), None);
}

#[test]
fn a_module_that_lets_in_who_logged_in_lately_lets_in_strangers() {
    let machine = sshd(
        "auth sufficient pam_lastlog.so\n@include common-auth\nauth required pam_twofa.so\n",
        "@include common-account\n",
    );
    assert_eq!(prove("sshd", &machine).strangers, Strangers::GetIn);
}
