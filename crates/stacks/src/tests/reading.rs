//! Where files are found, and what their lines are taken for.

use super::{answers, debian, machine, own, read};
use crate::code::Code;
use crate::control::Action;
use crate::rule::RuleKind;
use crate::{Doubt, File, Host, Phase, Rule, Service, Unusable};

fn modules(rules: &[Rule]) -> Vec<&str> {
    rules
        .iter()
        .map(|rule| match &rule.kind {
            RuleKind::Module { module, .. } => module.as_str(),
            RuleKind::Substack => "(substack)",
            RuleKind::Broken => "(broken)",
        })
        .collect()
}

#[test]
fn the_file_of_the_administrator_comes_before_that_of_the_package() {
    let vendor = ("/usr/lib/pam.d/polkit-1", "auth required pam_unix.so\n");
    assert_eq!(
        modules(&read("polkit-1", &machine(&[vendor])).auth),
        ["pam_unix.so"]
    );
    let service = read(
        "polkit-1",
        &machine(&[vendor, ("polkit-1", "auth required pam_twofa.so\n")]),
    );
    assert_eq!(modules(&service.auth), ["pam_twofa.so"]);
    assert_eq!(
        service.files,
        [
            "/etc/pam.d/polkit-1",
            "/etc/pam.d/other",
            "/usr/lib/pam.d/other",
            "/usr/share/pam/pam.d/other",
            "/usr/etc/pam.d/other"
        ]
    );
}

#[test]
fn a_name_is_what_stands_behind_the_last_slash_in_small_letters() {
    assert_eq!(
        modules(&read("/x/SSHD", &machine(&[("sshd", "auth required m.so\n")])).auth),
        ["m.so"]
    );
    assert_eq!(
        Service::read("SSHD", &machine(&[("SSHD", "auth required m.so\n")])),
        Err(Unusable::NoFile)
    );
}

#[test]
fn other_stands_in_for_each_phase_that_is_missing() {
    let other = (
        "other",
        "auth required pam_deny.so\naccount required pam_deny.so\n",
    );
    let service = read(
        "x",
        &machine(&[("x", "auth required pam_unix.so\n"), other]),
    );
    assert_eq!(
        (modules(&service.auth), modules(&service.account)),
        (vec!["pam_unix.so"], vec!["pam_deny.so"])
    );
    assert_eq!(
        modules(&read("y", &machine(&[other])).auth),
        ["pam_deny.so"]
    );
    // The marker of an empty substack is a line, so nothing stands in.
    let service = read(
        "x",
        &machine(&[("x", "auth substack e\n"), ("e", ""), other]),
    );
    assert_eq!(modules(&service.auth), ["(substack)"]);
    assert!(!service.answers().unwrap().auth_succeeds);
}

#[test]
fn a_service_that_libpam_cannot_start_is_said_to_be_unusable() {
    let unfinished = machine(&[("x", "auth required pam_permit.so \\\n")]);
    assert_eq!(
        Service::read("x", &unfinished),
        Err(Unusable::Unfinished("/etc/pam.d/x".into()))
    );
    let other = machine(&[
        ("x", "auth required pam_permit.so\n"),
        ("other", "auth a \\"),
    ]);
    assert_eq!(
        Service::read("x", &other),
        Err(Unusable::Unfinished("/etc/pam.d/other".into()))
    );
    let missing = debian(&[("x", "\n@include gone\n")]);
    let error = Service::read("x", &missing).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/etc/pam.d/x:2: @include of a file that is not there"
    );
}

#[test]
fn types_and_words_are_read_in_any_case_and_with_a_dash() {
    let text = "-AUTH REQUIRED pam_unix.so \\\n  nullok  # really\n[Auth]\t[success=ok default=bad] [pam_twofa.so] a[b [c d]\n";
    let service = read("sshd", &machine(&[("sshd", text)]));
    assert_eq!(modules(&service.auth), ["pam_unix.so", "pam_twofa.so"]);
    assert_eq!(service.auth[0].arguments(), ["nullok"]);
    assert_eq!(service.auth[1].arguments(), ["a[b", "c d"]);
    assert_eq!((service.auth[0].line, service.auth[1].line), (1, 3));
}

#[test]
fn debians_include_is_an_unknown_type_elsewhere() {
    let files = [
        ("x", "@include common\nauth required pam_permit.so\n"),
        ("common", "auth required pam_unix.so\n"),
    ];
    assert_eq!(
        modules(&read("x", &debian(&files)).auth),
        ["pam_unix.so", "pam_permit.so"]
    );
    let service = read("x", &machine(&files));
    assert_eq!(modules(&service.auth), ["(broken)", "pam_permit.so"]);
    assert!(!service.answers().unwrap().auth_succeeds);
}

#[test]
fn debian_includes_from_etc_alone() {
    let files = [
        ("x", "auth include v\n"),
        ("/usr/lib/pam.d/v", "auth required m.so\n"),
        ("/v", "auth sufficient n.so\n"),
    ];
    assert_eq!(modules(&read("x", &debian(&files)).auth), ["(broken)"]);
    assert_eq!(modules(&read("x", &machine(&files)).auth), ["m.so"]);
    let absolute = [("x", "auth include /v\n"), files[2]];
    assert_eq!(modules(&read("x", &debian(&absolute)).auth), ["n.so"]);
}

#[test]
fn an_include_takes_lines_of_its_own_type() {
    let files = [
        ("x", "auth include y\naccount substack y\n"),
        (
            "y",
            "account required a.so\nauth required b.so\natuh sufficient c.so\nsession required d.so\n",
        ),
    ];
    let service = read("x", &machine(&files));
    assert_eq!(modules(&service.auth), ["b.so", "(broken)"]);
    assert_eq!(
        modules(&service.account),
        ["(substack)", "a.so", "(broken)"]
    );
    assert_eq!(
        service
            .account
            .iter()
            .map(|rule| rule.level)
            .collect::<Vec<_>>(),
        [0, 1, 1]
    );
}

#[test]
fn lines_that_libpam_cannot_read_fail_under_their_own_control() {
    let text = "atuh sufficient a.so\nauth\nauth optional\nauth binding b.so\n";
    let service = read("x", &machine(&[("x", text)]));
    assert_eq!(
        modules(&service.auth),
        ["(broken)", "(broken)", "(broken)", "b.so"]
    );
    let actions: Vec<_> = service
        .auth
        .iter()
        .map(|rule| rule.control.action(Code::SUCCESS))
        .collect();
    assert_eq!(
        actions,
        [Action::Done, Action::Bad, Action::Ok, Action::Bad]
    );
}

#[test]
fn a_jump_counts_a_substack_as_one_line() {
    let files = |end: &str| {
        format!(
            "auth [success=1 default=bad] pam_unix.so\nauth substack s\nauth required pam_twofa.so\n{end}"
        )
    };
    let s = (
        "s",
        "auth sufficient pam_permit.so\nauth required pam_deny.so\n",
    );
    let account = "account required pam_permit.so\n";
    let text = files(account);
    assert_eq!(
        answers("x", &machine(&[("x", &text), s])).without_code,
        None
    );
    assert_eq!(
        own("x", &machine(&[("x", &text), s]), Phase::Auth),
        [(true, true)]
    );
}

#[test]
fn includes_without_end_are_doubted() {
    let service = read(
        "x",
        &machine(&[("x", "auth required pam_twofa.so\nauth include x\n")]),
    );
    let in_x = |line| Doubt::Loop {
        file: "/etc/pam.d/x".into(),
        line,
    };
    assert!(
        matches!(service.doubts.as_slice(), [first, Doubt::TooDeep(_), ..] if *first == in_x(2))
    );
    assert_eq!(service.answers(), None);
    // Two of them double at each step.
    let service = read(
        "x",
        &machine(&[(
            "x",
            "auth include x\nauth include x\nauth required pam_twofa.so\n",
        )]),
    );
    assert!(!service.doubts.is_empty());
}

#[test]
fn pam_conf_is_read_where_there_is_no_directory() {
    struct Conf;
    impl Host for Conf {
        fn read(&self, path: &str) -> File {
            let text = "sshd auth required pam_unix.so\nother auth required pam_deny.so\n\
                        SSHD auth required pam_twofa.so\nsshd account required pam_unix.so\n";
            match path {
                "/etc/pam.conf" => File::Text(text.into()),
                _ => File::Missing,
            }
        }
        fn debian(&self) -> bool {
            true
        }
    }
    let service = Service::read("sshd", &Conf).unwrap();
    assert_eq!(modules(&service.auth), ["pam_unix.so", "pam_twofa.so"]);
    assert_eq!(service.auth[1].line, 3);
    assert_eq!(
        modules(&Service::read("su", &Conf).unwrap().auth),
        ["pam_deny.so"]
    );
}

#[test]
fn an_include_without_a_name_is_found_where_it_ends_every_program() {
    let files = [("x", "auth required pam_unix.so\nauth include\n")];
    let error = Service::read("x", &debian(&files)).unwrap_err();
    let message = "/etc/pam.d/x:2: the name of the file to include is missing";
    assert_eq!(error.to_string(), message);
    assert_eq!(modules(&read("x", &machine(&files)).auth)[1], "(broken)");
}

#[test]
fn what_versions_read_differently_is_doubted() {
    for text in [
        "auth required pam_unix.so \\\n# note\nauth required pam_twofa.so\n",
        "auth required pam_unix.so \\\n\nauth required pam_twofa.so\n",
        "auth [success=4294967297 default=bad] pam_unix.so\nauth required pam_twofa.so\n",
    ] {
        let service = read("x", &machine(&[("x", text)]));
        assert_eq!(
            service.doubts,
            [Doubt::Disputed("/etc/pam.d/x".into())],
            "{text}"
        );
        assert!(
            service.own_lines().iter().all(|line| line.unproved),
            "{text}"
        );
    }
}

#[test]
fn a_file_that_cannot_be_read_proves_nothing() {
    struct Closed;
    impl Host for Closed {
        fn read(&self, path: &str) -> File {
            match path {
                "/etc/pam.d/x" => File::Text(
                    "auth include y\nauth required pam_unix.so\nauth required pam_twofa.so\n"
                        .into(),
                ),
                "/etc/pam.d/y" => File::Unreadable,
                _ => File::Missing,
            }
        }
        fn debian(&self) -> bool {
            true
        }
    }
    let service = Service::read("x", &Closed).unwrap();
    assert_eq!(service.doubts, [Doubt::Unreadable("/etc/pam.d/y".into())]);
    assert!(service.own_lines()[0].unproved);
    assert_eq!(service.doubts[0].file(), "/etc/pam.d/y");
}

#[test]
fn a_reset_goes_back_to_where_its_substack_began() {
    let inside = (
        "s",
        "auth [default=reset] pam_permit.so\nauth required pam_permit.so\n",
    );
    let succeeds = |word| {
        let text = format!("auth required pam_deny.so\nauth {word} s\n");
        answers("x", &machine(&[("x", &text), inside])).auth_succeeds
    };
    assert!(!succeeds("substack"));
    assert!(succeeds("include"));
}
