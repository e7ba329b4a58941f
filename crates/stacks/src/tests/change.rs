//! Changes to a service's own file, on the stacks of distributions.

use std::collections::BTreeMap;

use super::distributions::{on_debian, on_el};
use super::{Machine, read};
use crate::change::{Goal, Objection, Overlay, additions, objections, removal};
use crate::{File, Program, Proof, Service};

fn prove(service: &Service) -> Proof {
    service.prove(Program::Other, &|_| Some(true)).unwrap()
}

fn with(machine: &Machine, name: &str, text: &str) -> Proof {
    let files = BTreeMap::from([(format!("/etc/pam.d/{name}"), File::Text(text.to_owned()))]);
    prove(&Service::read(name, &Overlay::new(machine, files)).unwrap())
}

/// The first candidate that the prover has nothing against.
fn chosen(name: &str, text: &str, machine: &Machine) -> Option<String> {
    let before = prove(&read(name, machine));
    let mut candidates = additions(text).into_iter();
    candidates.find(|new| objections(&before, &with(machine, name, new), Goal::Asks).is_empty())
}

#[test]
fn debians_stack_ends_after_a_wrong_password_so_the_code_is_asked_for_in_auth() {
    let text = "@include common-auth\n@include common-account\n";
    let new = chosen("login", text, &on_debian("login", text)).unwrap();
    assert_eq!(
        new,
        "@include common-auth\nauth\trequired\tpam_twofa.so\n\
         account\trequired\tpam_twofa.so confirm\n@include common-account\n"
    );
    assert_eq!(removal(&new).unwrap(), text);
}

#[test]
fn red_hats_stacks_go_on_or_end_early_so_the_code_is_asked_for_in_account() {
    for auth in [
        "auth substack password-auth\nauth include postlogin\n",
        "auth include system-auth\n",
    ] {
        let text = format!("{auth}account required pam_nologin.so\naccount include system-auth\n");
        let new = chosen("login", &text, &on_el("login", &text)).unwrap();
        assert_eq!(
            new,
            format!(
                "{auth}account\trequired\tpam_twofa.so challenge\n\
                 account required pam_nologin.so\naccount include system-auth\n"
            )
        );
    }
}

#[test]
fn a_line_is_never_put_inside_a_continued_one() {
    let text = "auth required \\\n  pam_unix.so\naccount required pam_unix.so";
    let [in_auth, in_account] = additions(text).try_into().unwrap();
    let unix = "auth required \\\n  pam_unix.so\n";
    assert!(in_auth.starts_with(&format!("{unix}auth\trequired\tpam_twofa.so\n")));
    assert!(in_account.starts_with(&format!(
        "{unix}account\trequired\tpam_twofa.so challenge\n"
    )));
}

#[test]
fn a_change_that_locks_out_or_lets_strangers_in_is_objected_to() {
    let text = "@include common-auth\n@include common-account\n";
    let machine = on_debian("login", text);
    let before = prove(&read("login", &machine));
    let objected = |new: &str, goal| objections(&before, &with(&machine, "login", new), goal);
    assert_eq!(
        objected(&format!("{text}auth required pam_deny.so\n"), Goal::Safe),
        [Objection::LocksOut]
    );
    assert_eq!(
        objected(
            "auth required pam_permit.so\n@include common-account\n",
            Goal::Safe
        ),
        [Objection::StrangersGetFurther]
    );
    assert_eq!(
        objected(&format!("auth optional pam_twofa.so\n{text}"), Goal::Asks),
        [Objection::WithoutCode]
    );
    let behind = "@include common-auth\nauth required pam_twofa.so\n@include common-account\n";
    assert_eq!(objected(behind, Goal::DoesNotAsk), [Objection::StillAsks]);
    assert_eq!(objected(behind, Goal::Asks), []);
}
