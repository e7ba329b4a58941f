//! Changes to a service's own file, on the stacks of distributions.

use std::collections::BTreeMap;

use super::distributions::{on_debian, on_el};
use super::{Machine, read};
use crate::change::{Goal, Objection, Overlay, additions, keeps_other_lines, objections, removal};
use crate::{File, LineReading, Program, Proof, Service};

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
    let mut candidates = additions(text, LineReading::Unknown).into_iter();
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
    assert_eq!(removal(&new, LineReading::Unknown).unwrap(), text);
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
    let [in_auth, in_account] = additions(text, LineReading::Unknown).try_into().unwrap();
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

const READINGS: [LineReading; 3] = [
    LineReading::Unknown,
    LineReading::UpTo15,
    LineReading::Since16,
];

#[test]
fn only_lines_that_call_twofas_module_are_removed() {
    let listfile = "auth required pam_listfile.so item=user sense=deny file=/etc/ftpusers";
    let own = "auth required pam_twofa.so\n";
    for (before, after) in [
        // The module is named in a comment, or in an argument of another one.
        (format!("{listfile} # before pam_twofa.so\n"), ""),
        (
            "auth optional pam_exec.so /opt/pam_twofa.so\n".to_owned(),
            "",
        ),
        ("auth include pam_twofa.so\n".to_owned(), ""),
        // A backslash in a comment continues nothing.
        (format!("{listfile} # deny root \\\n"), ""),
        ("# note \\\n".to_owned(), ""),
        (
            format!("# note \\\n{listfile}\n"),
            "account required pam_unix.so",
        ),
        // Nor does one in front of a carriage return.
        (format!("{listfile} \\\r\n"), "\n"),
    ] {
        let text = format!("{before}{own}{after}");
        for reading in READINGS {
            let left = removal(&text, reading);
            assert_eq!(
                left.as_deref(),
                Some(&*format!("{before}{after}")),
                "{text}"
            );
            assert!(keeps_other_lines(&text, &left.unwrap()), "{text}");
        }
        if !before.is_empty() {
            assert_eq!(removal(&before, LineReading::Unknown), None, "{before}");
        }
    }
}

#[test]
fn a_line_of_twofas_is_removed_in_each_of_its_spellings() {
    for line in [
        "auth\trequired\tpam_twofa.so\n",
        "-AUTH [success=1 default=ignore] /usr/lib/security/pam_twofa.so proved # a key\n",
        "auth \\\n  required \\ \n pam_twofa.so\n",
        "account required pam_twofa.so challenge # \\\n",
        "account required pam_twofa.so",
    ] {
        let text = format!("auth required pam_unix.so\n{line}");
        for reading in READINGS {
            let left = removal(&text, reading);
            assert_eq!(
                left.as_deref(),
                Some("auth required pam_unix.so\n"),
                "{line}"
            );
        }
    }
}

#[test]
fn a_line_is_added_next_to_lines_that_libpam_reads() {
    let text = "auth required pam_unix.so # the last \\\n# auth \\\naccount required pam_unix.so\n";
    for reading in READINGS {
        let all = additions(text, reading);
        assert!(all[0].contains("last \\\nauth\trequired\tpam_twofa.so\n# auth"));
        assert!(all[1].contains("# auth \\\naccount\trequired\tpam_twofa.so challenge\n"));
        assert!(all.iter().all(|new| keeps_other_lines(text, new)));
    }
}

#[test]
fn a_change_of_the_lines_of_others_is_noticed() {
    let text = "auth required pam_shells.so\nauth required pam_unix.so\n";
    for changed in [
        "auth required pam_unix.so\n",
        "auth required pam_unix.so\nauth required pam_shells.so\n",
        "auth required pam_shells.so \\\nauth required pam_unix.so\n",
    ] {
        assert!(!keeps_other_lines(text, changed), "{changed}");
    }
    // What only one version of libpam reads counts, too: up to 1.5, a line goes on below a comment.
    let continued = "auth required \\\n# note\npam_unix.so\n";
    assert!(!keeps_other_lines(
        continued,
        "auth required\npam_unix.so\n"
    ));
}
