//! A code at a prompt of its own.

use super::*;

#[test]
fn a_right_code_lets_alice_in() {
    let mut host = host([Show(Tone::Info, "Hello"), CODE, ALICE_PASSED]).typing(&["123456"]);
    let mut broker = broker(|end| {
        end.send(&FromBroker::Info("Hello".into())).unwrap();
        assert_eq!(prompt(end, None).as_deref(), Some("123456"));
        send_verdict(end, Verdict::Passed);
    });
    assert_eq!(
        authenticate(&mut host, CodeSource::OwnPrompt, &[], broker.connect()),
        PamResultCode::PAM_SUCCESS
    );
    assert_eq!(
        host.log,
        [(
            Level::Info,
            r#"event="login" from="192.0.2.1" user="alice" service="sshd" verdict="passed" why="the reason""#.to_owned()
        )]
    );
    let expected = Login {
        user: "alice".into(),
        service: "sshd".into(),
        remote_host: Some("192.0.2.1".into()),
        evidence: Some(Box::default()),
        ..Login::default()
    };
    assert_eq!(broker.request(), Request::Login(expected));
}

#[test]
fn each_verdict_has_its_code() {
    for (verdict, expected, level) in [
        (
            Verdict::NotRequired,
            PamResultCode::PAM_IGNORE,
            Level::Debug,
        ),
        (Verdict::Exempt, PamResultCode::PAM_IGNORE, Level::Info),
        (Verdict::Denied, PamResultCode::PAM_AUTH_ERR, Level::Notice),
        (
            Verdict::TriesUsedUp,
            PamResultCode::PAM_MAXTRIES,
            Level::Notice,
        ),
        (
            Verdict::NoAnswer,
            PamResultCode::PAM_AUTH_ERR,
            Level::Notice,
        ),
        (
            Verdict::Unavailable,
            PamResultCode::PAM_AUTHINFO_UNAVAIL,
            Level::Error,
        ),
    ] {
        let mut host = host([Show(Tone::Error, "So it is.")]);
        let mut broker = broker(move |end| {
            end.send(&FromBroker::Error("So it is.".into())).unwrap();
            send_verdict(end, verdict);
        });
        assert_eq!(
            authenticate(&mut host, CodeSource::OwnPrompt, &[], broker.connect()),
            expected
        );
        assert!(
            host.log_of(level).ends_with(r#" why="the reason""#),
            "{:?}",
            host.log
        );
    }
}

#[test]
fn a_program_that_does_not_know_maxtries_is_told_that_authentication_failed() {
    for (service, expected) in [
        ("sshd", PamResultCode::PAM_MAXTRIES),
        ("login", PamResultCode::PAM_MAXTRIES),
        ("sudo", PamResultCode::PAM_MAXTRIES),
        ("cockpit", PamResultCode::PAM_AUTH_ERR),
        ("something-else", PamResultCode::PAM_AUTH_ERR),
    ] {
        let mut host = host([]);
        host.service = service;
        let mut broker = broker(|end| send_verdict(end, Verdict::TriesUsedUp));
        let code = authenticate(&mut host, CodeSource::OwnPrompt, &[], broker.connect());
        assert_eq!(code, expected, "{service}");
    }
}

#[test]
fn when_it_cannot_be_checked_the_user_is_told_and_the_log_says_why() {
    let mut host = host([Show(Tone::Error, messages::UNAVAILABLE)]);
    let code = authenticate(&mut host, CodeSource::OwnPrompt, &[], no_broker);
    assert_eq!(code, PamResultCode::PAM_AUTHINFO_UNAVAIL);
    assert!(
        host.log_of(Level::Error)
            .ends_with(r#"user="alice" service="sshd" verdict="unavailable" why="no broker""#)
    );
}

#[test]
fn a_broker_that_goes_away_after_it_accepted_is_unavailable() {
    let mut host = host([CODE, Show(Tone::Error, messages::UNAVAILABLE)]).typing(&["123456"]);
    let mut broker = broker(|end| drop(prompt(end, None)));
    let code = authenticate(&mut host, CodeSource::OwnPrompt, &[], broker.connect());
    assert_eq!(code, PamResultCode::PAM_AUTHINFO_UNAVAIL);
    assert!(
        host.log_of(Level::Error)
            .contains("the peer closed the connection")
    );
}

#[test]
fn the_end_of_another_request_lets_nobody_in() {
    let mut host = host([Show(Tone::Error, messages::UNAVAILABLE)]);
    let mut broker = broker(|end| end.send(&FromBroker::Done(Done::Changed)).unwrap());
    let code = authenticate(&mut host, CodeSource::OwnPrompt, &[], broker.connect());
    assert_eq!(code, PamResultCode::PAM_AUTHINFO_UNAVAIL);
}

#[test]
fn no_answer_stays_no_answer_whatever_the_broker_sends_then() {
    for last in [
        Some(Verdict::NoAnswer),
        Some(Verdict::Passed),
        Some(Verdict::Later),
        None,
    ] {
        let mut host = host([CODE]);
        host.answers.push_back(None);
        let mut broker = broker(move |end| {
            assert_eq!(prompt(end, None), None);
            if let Some(verdict) = last {
                send_verdict(end, verdict);
            }
        });
        assert_eq!(
            authenticate(&mut host, CodeSource::OwnPrompt, &[], broker.connect()),
            PamResultCode::PAM_AUTH_ERR
        );
    }
}

#[test]
fn a_user_who_needs_no_code_is_not_refused_for_giving_no_answer() {
    let mut host = host([CODE]);
    host.answers.push_back(None);
    let mut broker = broker(|end| {
        assert_eq!(prompt(end, None), None);
        send_verdict(end, Verdict::NotRequired);
    });
    let code = authenticate(&mut host, CodeSource::OwnPrompt, &[], broker.connect());
    assert_eq!(code, PamResultCode::PAM_IGNORE);
}

#[test]
fn a_broker_that_keeps_asking_is_abandoned() {
    let mut host = host([CODE]);
    host.answers.push_back(None);
    let mut broker = broker(|end| {
        for _ in 0..3 {
            assert_eq!(prompt(end, None), None);
        }
        send_verdict(end, Verdict::NoAnswer);
    });
    assert_eq!(
        authenticate(&mut host, CodeSource::OwnPrompt, &[], broker.connect()),
        PamResultCode::PAM_AUTH_ERR
    );
}

#[test]
fn sshd_that_cannot_ask_is_explained_in_the_log() {
    let mut host = host([CODE]);
    host.answers.push_back(None);
    host.terminal = Some("ssh");
    let mut broker = broker(|end| drop(prompt(end, None)));
    authenticate(&mut host, CodeSource::OwnPrompt, &[], broker.connect());
    assert!(
        host.log_of(Level::Notice)
            .contains("KbdInteractiveAuthentication yes")
    );
}

#[test]
fn bytes_that_are_no_text_and_overlong_text_are_no_code() {
    let endless = leak(&"1".repeat(MAX_ANSWER_LENGTH + 1));
    for typed in [&b"123\xff456"[..], endless.as_bytes()] {
        let mut host = host([CODE]);
        host.answers.push_back(Some(typed));
        let mut broker = broker(|end| {
            assert_eq!(prompt(end, None).as_deref(), Some(NOT_A_CODE));
            send_verdict(end, Verdict::Denied);
        });
        assert_eq!(
            authenticate(&mut host, CodeSource::OwnPrompt, &[], broker.connect()),
            PamResultCode::PAM_AUTH_ERR
        );
    }
}

#[test]
fn an_empty_answer_is_sent_as_it_is() {
    for digits in [None, Some(6)] {
        let mut host = host([Asks("Code: ", digits.is_none())]).typing(&[""]);
        let mut broker = broker(move |end| {
            assert_eq!(prompt(end, digits).as_deref(), Some(""));
            send_verdict(end, Verdict::NoAnswer);
        });
        assert_eq!(
            authenticate(&mut host, CodeSource::OwnPrompt, &[], broker.connect()),
            PamResultCode::PAM_AUTH_ERR
        );
    }
}

#[test]
fn a_user_changed_in_between_is_denied() {
    for verdict in [Verdict::Passed, Verdict::NotRequired] {
        let mut host = host([]);
        host.user_later = "root";
        let mut broker = broker(move |end| send_verdict(end, verdict));
        assert_eq!(
            authenticate(&mut host, CodeSource::OwnPrompt, &[], broker.connect()),
            PamResultCode::PAM_AUTH_ERR
        );
        assert!(host.log_of(Level::Notice).contains("changed the user"));
    }
}

#[test]
fn a_name_that_is_not_utf_8_passes_where_no_code_is_required_and_is_refused_elsewhere() {
    let refused = "the user's name is not UTF-8";
    for (verdict, expected, why) in [
        (
            Verdict::NotRequired,
            PamResultCode::PAM_IGNORE,
            "the reason",
        ),
        (Verdict::Denied, PamResultCode::PAM_AUTH_ERR, refused),
        (Verdict::Passed, PamResultCode::PAM_AUTH_ERR, refused),
        (
            Verdict::Unavailable,
            PamResultCode::PAM_AUTHINFO_UNAVAIL,
            "the reason",
        ),
    ] {
        for is_login in [true, false] {
            let shown = (verdict == Verdict::Unavailable)
                .then_some(Show(Tone::Error, messages::UNAVAILABLE));
            let mut host = host(shown);
            (host.user, host.has_unreadable_user) = (None, true);
            let mut broker = broker(move |end| send_verdict(end, verdict));
            let code = if is_login {
                authenticate(&mut host, CodeSource::OwnPrompt, &[], broker.connect())
            } else {
                check_account(&mut host, false, &[], broker.connect())
            };
            assert_eq!(code, expected, "{verdict:?}");
            assert!(
                host.log[0].1.ends_with(&format!("why={why:?}")),
                "{:?}",
                host.log
            );
            let (Request::Login(asked) | Request::Account(asked)) = broker.request() else {
                panic!()
            };
            assert_eq!(asked.user, "");
        }
    }
}

#[test]
fn without_a_user_the_broker_is_not_asked() {
    let mut host = host([]);
    host.user = None;
    assert_eq!(
        authenticate(&mut host, CodeSource::OwnPrompt, &[], no_broker),
        PamResultCode::PAM_AUTH_ERR
    );
    assert_eq!(
        check_account(&mut host, false, &[], no_broker),
        PamResultCode::PAM_AUTH_ERR
    );
}

#[test]
fn a_name_cannot_forge_the_log() {
    let mut host = host([]);
    host.user = Some("x\" from=\"9.9.9.9\n");
    host.user_later = "x\" from=\"9.9.9.9\n";
    let mut broker = broker(|end| {
        // The broker names whom it does not know.
        let why =
            "there is no account called 'x\" from=\"9.9.9.9\n\u{202e}\u{200b}\u{2028}'".to_owned();
        end.send(&FromBroker::Done(Done::Login {
            verdict: Verdict::Denied,
            why,
            confirm: Confirm::No,
        }))
        .unwrap();
    });
    authenticate(&mut host, CodeSource::OwnPrompt, &[], broker.connect());
    assert_eq!(
        host.log_of(Level::Notice),
        concat!(
            r#"event="login" from="192.0.2.1" user="x\" from=\"9.9.9.9\n" service="sshd" verdict="denied" "#,
            r#"why="there is no account called 'x\" from=\"9.9.9.9\n\u{202e}\u{200b}\u{2028}'""#
        )
    );
}
