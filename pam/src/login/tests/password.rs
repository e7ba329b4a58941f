//! A code behind a password.

use super::*;

#[test]
fn forward_pass_sends_the_code_and_keeps_the_password() {
    let mut host = host([BOTH, SetPassword("hunter2"), ALICE_PASSED]).typing(&["hunter2123456"]);
    let mut broker = broker(|end| {
        assert_eq!(prompt(end, Some(6)).as_deref(), Some("123456"));
        send_verdict(end, Verdict::Passed);
    });
    let code = authenticate(&mut host, CodeSource::PasswordPrompt, &[], broker.connect());
    assert_eq!(code, PamResultCode::PAM_SUCCESS);
    assert!(matches!(
        broker.request(),
        Request::Login(Login {
            behind_password: true,
            ..
        })
    ));
}

#[test]
fn forward_pass_never_sends_a_password_that_has_no_code() {
    let steps = [
        BOTH,
        SetPassword("hunter2"),
        BOTH,
        SetPassword("hunter2"),
        ALICE_PASSED,
    ];
    let mut host = host(steps).typing(&["hunter2", "hunter2abcd-efgh-ijkm-npqr"]);
    let mut broker = broker(|end| {
        assert_eq!(prompt(end, Some(6)).as_deref(), Some("-"));
        assert_eq!(prompt(end, Some(6)).as_deref(), Some("abcd-efgh-ijkm-npqr"));
        send_verdict(end, Verdict::Passed);
    });
    let code = authenticate(&mut host, CodeSource::PasswordPrompt, &[], broker.connect());
    assert_eq!(code, PamResultCode::PAM_SUCCESS);
}

#[test]
fn at_a_trusted_device_what_is_no_code_is_the_end_of_the_password() {
    let key = (Verdict::Passed, TRUST, PamResultCode::PAM_SUCCESS);
    let address = (Verdict::Trusted, TRUST, PamResultCode::PAM_IGNORE);
    for (verdict, confirm, code) in [key, address] {
        let steps = [
            BOTH,
            SetPassword("hunter2"),
            SetPassword("hunter2123456"),
            ALICE_PASSED,
        ];
        let mut host = host(steps).typing(&["hunter2123456"]);
        let mut broker = broker(move |end| {
            assert_eq!(prompt(end, Some(6)).as_deref(), Some("123456"));
            send_to_confirm(end, verdict, confirm);
        });
        let outcome = authenticate(&mut host, CodeSource::PasswordPrompt, &[], broker.connect());
        assert_eq!(outcome, code);
    }
}

#[test]
fn at_a_trusted_device_a_right_code_is_taken_off_the_password_and_does_not_stand_in_for_it() {
    // Only where sshd proved the user's own key would the device alone let in.
    for (verdict, expected) in [
        (Verdict::Trusted, PamResultCode::PAM_IGNORE),
        (Verdict::Passed, PamResultCode::PAM_SUCCESS),
    ] {
        let mut host =
            host([BOTH, SetPassword("hunter2"), ALICE_PASSED]).typing(&["hunter2123456+"]);
        let mut typed = broker(move |end| {
            assert_eq!(prompt(end, Some(6)).as_deref(), Some("123456+"));
            send_to_confirm(end, verdict, RECORD);
        });
        let code = authenticate(&mut host, CodeSource::PasswordPrompt, &[], typed.connect());
        assert_eq!(code, expected);

        let mut host = host_with_password(b"hunter2123456");
        let mut first = broker(move |end| {
            assert_eq!(prompt(end, Some(6)).as_deref(), Some("123456"));
            send_to_confirm(end, verdict, RECORD);
        });
        let source = CodeSource::FirstPassOrPrompt;
        let code = authenticate(&mut host, source, &[], first.connect());
        assert_eq!(code, expected, "try_first_pass asks for nothing more");
    }
}

fn host_with_password(password: &'static [u8]) -> ScriptedHost {
    let mut host = host([SetPassword("hunter2"), ALICE_PASSED]);
    host.password = Some(password);
    host
}

#[test]
fn at_a_trusted_device_use_first_pass_needs_no_code() {
    for (verdict, code) in [
        (Verdict::Trusted, PamResultCode::PAM_IGNORE),
        (Verdict::Passed, PamResultCode::PAM_SUCCESS),
    ] {
        let mut host = host([ALICE_PASSED]);
        host.password = Some(b"hunter2");
        let mut broker = broker(move |end| {
            assert_eq!(prompt(end, Some(6)), None);
            send_to_confirm(end, verdict, TRUST);
        });
        let outcome = authenticate(&mut host, CodeSource::FirstPass, &[], broker.connect());
        assert_eq!(outcome, code);
    }
}

#[test]
fn a_password_that_cannot_be_passed_on_refuses() {
    let steps = [
        BOTH,
        SetPassword("hunter2"),
        Show(Tone::Error, messages::UNAVAILABLE),
    ];
    let mut host = host(steps).typing(&["hunter2123456"]);
    host.may_set_password = false;
    let mut broker = broker(|end| {
        assert_eq!(prompt(end, Some(6)), None);
        send_verdict(end, Verdict::NoAnswer);
    });
    let code = authenticate(&mut host, CodeSource::PasswordPrompt, &[], broker.connect());
    assert_eq!(code, PamResultCode::PAM_AUTHINFO_UNAVAIL);
}

#[test]
fn use_first_pass_takes_the_code_from_the_password_and_does_not_ask() {
    let mut host = host([SetPassword("hunter"), ALICE_PASSED]);
    host.password = Some(b"hunter2123456");
    let mut broker = broker(|end| {
        assert_eq!(prompt(end, Some(7)).as_deref(), Some("2123456"));
        send_verdict(end, Verdict::Passed);
    });
    let code = authenticate(&mut host, CodeSource::FirstPass, &[], broker.connect());
    assert_eq!(code, PamResultCode::PAM_SUCCESS);
    assert!(matches!(
        broker.request(),
        Request::Login(Login {
            behind_password: true,
            ..
        })
    ));
}

#[test]
fn use_first_pass_without_a_code_denies_and_does_not_ask() {
    for (password, digits) in [
        (None, Some(6)),
        (Some(&b"hunter2"[..]), Some(6)),
        (Some(b"x123456"), None),
    ] {
        let mut host = host([]);
        host.password = password;
        let mut broker = broker(move |end| {
            assert_eq!(prompt(end, digits), None);
            send_verdict(end, Verdict::NoAnswer);
        });
        let code = authenticate(&mut host, CodeSource::FirstPass, &[], broker.connect());
        assert_eq!(code, PamResultCode::PAM_AUTH_ERR);
        assert!(host.log_of(Level::Notice).contains("ends in no code"));
    }
}

#[test]
fn use_first_pass_has_one_code_only() {
    let mut host = host([SetPassword("hunter2")]);
    host.password = Some(b"hunter2123456");
    let mut broker = broker(|end| {
        assert_eq!(prompt(end, Some(6)).as_deref(), Some("123456"));
        assert_eq!(prompt(end, Some(6)), None);
        send_verdict(end, Verdict::NoAnswer);
    });
    let code = authenticate(&mut host, CodeSource::FirstPass, &[], broker.connect());
    assert_eq!(code, PamResultCode::PAM_AUTH_ERR);
}

#[test]
fn use_first_pass_asks_nothing_of_a_user_who_needs_no_code() {
    let mut host = host([]);
    let mut broker = broker(|end| send_verdict(end, Verdict::NotRequired));
    let code = authenticate(&mut host, CodeSource::FirstPass, &[], broker.connect());
    assert_eq!(code, PamResultCode::PAM_IGNORE);
}

#[test]
fn try_first_pass_takes_the_code_from_the_password() {
    let mut host = host([SetPassword("hunter2"), ALICE_PASSED]);
    host.password = Some(b"hunter2123456");
    let mut broker = broker(|end| {
        assert_eq!(prompt(end, Some(6)).as_deref(), Some("123456"));
        send_verdict(end, Verdict::Passed);
    });
    let code = authenticate(
        &mut host,
        CodeSource::FirstPassOrPrompt,
        &[],
        broker.connect(),
    );
    assert_eq!(code, PamResultCode::PAM_SUCCESS);
}

#[test]
fn try_first_pass_asks_for_the_code_alone_after_a_wrong_one_and_leaves_the_password_whole() {
    let steps = [
        SetPassword("hunter2"),
        SetPassword("hunter2123456"),
        CODE,
        ALICE_PASSED,
    ];
    let mut host = host(steps).typing(&["654321"]);
    host.password = Some(b"hunter2123456");
    let mut first = broker(|end| {
        assert_eq!(prompt(end, Some(6)).as_deref(), Some("123456"));
        send_verdict(end, Verdict::Denied);
    });
    let mut second = broker(|end| {
        assert_eq!(prompt(end, None).as_deref(), Some("654321"));
        send_verdict(end, Verdict::Passed);
    });
    let (mut connect_first, mut connect_second) = (first.connect(), second.connect());
    let mut connections = 0;
    let code = authenticate(
        &mut host,
        CodeSource::FirstPassOrPrompt,
        &[],
        |host, request| {
            connections += 1;
            if connections == 1 {
                connect_first(host, request)
            } else {
                connect_second(host, request)
            }
        },
    );
    assert_eq!(code, PamResultCode::PAM_SUCCESS);
    assert!(matches!(
        first.request(),
        Request::Login(Login {
            behind_password: true,
            ..
        })
    ));
    assert!(matches!(
        second.request(),
        Request::Login(Login {
            behind_password: false,
            ..
        })
    ));
}

#[test]
fn a_password_that_ends_in_digits_is_followed_by_the_same_question_for_every_user() {
    // Nothing is asked of them, or their codes have eight digits: nothing is split off, and no other prompt comes.
    for (digits, verdict) in [
        (0, Verdict::NotRequired),
        (0, Verdict::Exempt),
        (8, Verdict::Denied),
    ] {
        let restored = (verdict == Verdict::Denied).then_some(SetPassword("hunter2123456"));
        let mut host = host(restored.into_iter().chain([CODE])).typing(&["654321"]);
        host.password = Some(b"hunter2123456");
        let mut first = broker(move |end| {
            assert_eq!(prompt(end, Some(digits)).as_deref(), Some(NOT_A_CODE));
            send_verdict(end, verdict);
        });
        let mut second = broker(move |end| {
            assert_eq!(prompt(end, None).as_deref(), Some("654321"));
            send_verdict(end, verdict);
        });
        let (mut connect_first, mut connect_second) = (first.connect(), second.connect());
        let mut connections = 0;
        authenticate(
            &mut host,
            CodeSource::FirstPassOrPrompt,
            &[],
            |host, request| {
                connections += 1;
                if connections == 1 {
                    connect_first(host, request)
                } else {
                    connect_second(host, request)
                }
            },
        );
        assert_eq!(connections, 2);
    }
}

#[test]
fn use_first_pass_needs_no_code_where_none_is_required() {
    let mut host = host([]);
    host.password = Some(b"hunter2");
    let mut broker = broker(|end| {
        assert_eq!(prompt(end, Some(0)).as_deref(), Some(NOT_A_CODE));
        send_verdict(end, Verdict::Later);
    });
    let code = authenticate(&mut host, CodeSource::FirstPass, &[], broker.connect());
    assert_eq!((code, host.kept.as_str()), (PamResultCode::PAM_IGNORE, ""));
}

#[test]
fn try_first_pass_does_not_ask_when_the_tries_are_used_up() {
    let mut host = host([SetPassword("hunter2")]);
    host.password = Some(b"hunter2123456");
    let mut broker = broker(|end| {
        prompt(end, Some(6));
        send_verdict(end, Verdict::TriesUsedUp);
    });
    let code = authenticate(
        &mut host,
        CodeSource::FirstPassOrPrompt,
        &[],
        broker.connect(),
    );
    assert_eq!(code, PamResultCode::PAM_MAXTRIES);
}

#[test]
fn try_first_pass_asks_for_the_code_alone_when_the_password_has_none() {
    for password in [None, Some(&b"hunter2"[..])] {
        let mut host = host([CODE, ALICE_PASSED]).typing(&["123456"]);
        host.password = password;
        let mut broker = broker(|end| {
            assert_eq!(prompt(end, None).as_deref(), Some("123456"));
            send_verdict(end, Verdict::Passed);
        });
        let code = authenticate(
            &mut host,
            CodeSource::FirstPassOrPrompt,
            &[],
            broker.connect(),
        );
        assert_eq!(code, PamResultCode::PAM_SUCCESS);
        assert!(matches!(
            broker.request(),
            Request::Login(Login {
                behind_password: false,
                ..
            })
        ));
    }
}
