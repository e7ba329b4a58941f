//! The account phase, and what one line of a stack leaves for another.

use super::*;

#[test]
fn a_user_who_has_passed_on_this_handle_is_not_checked_again() {
    let mut host = host([]);
    host.passed = Some(passed("alice", Confirm::No));
    assert_eq!(
        check_account(&mut host, false, &[], no_broker),
        PamResultCode::PAM_SUCCESS
    );
}

#[test]
fn a_user_who_has_not_passed_on_this_handle_is_checked() {
    for (verdict, expected, steps) in [
        (
            Verdict::Passed,
            PamResultCode::PAM_SUCCESS,
            vec![ALICE_PASSED],
        ),
        (Verdict::NotRequired, PamResultCode::PAM_IGNORE, vec![]),
        (Verdict::Denied, PamResultCode::PAM_AUTH_ERR, vec![]),
        // PAM_MAXTRIES is none of the codes of pam_sm_acct_mgmt(3).
        (Verdict::TriesUsedUp, PamResultCode::PAM_AUTH_ERR, vec![]),
        (Verdict::NoAnswer, PamResultCode::PAM_AUTH_ERR, vec![]),
    ] {
        let mut host = host(steps);
        host.passed = Some(passed("bob", Confirm::No));
        let mut broker = broker(move |end| send_verdict(end, verdict));
        assert_eq!(
            check_account(&mut host, false, &[], broker.connect()),
            expected
        );
        assert!(matches!(broker.request(), Request::Account(_)));
    }
}

#[test]
fn an_account_check_asks_no_user() {
    let mut host = host([]);
    let mut broker = broker(|end| {
        assert_eq!(prompt(end, None), None);
        send_verdict(end, Verdict::Passed);
    });
    assert_eq!(
        check_account(&mut host, false, &[], broker.connect()),
        PamResultCode::PAM_AUTH_ERR
    );
}

#[test]
fn a_second_login_on_a_handle_starts_from_nothing() {
    let mut host = host([SetPassed("")]);
    host.passed = Some(passed("alice", Confirm::No));
    let mut broker = broker(|end| send_verdict(end, Verdict::Denied));
    assert_eq!(
        authenticate(&mut host, CodeSource::OwnPrompt, &[], broker.connect()),
        PamResultCode::PAM_AUTH_ERR
    );
    assert_eq!(host.passed(), None);
}

#[test]
fn a_second_line_in_the_same_call_accepts_what_the_first_has_checked() {
    let mut host = host([]);
    host.passed = Some(passed("alice", Confirm::No));
    host.passed_in_this_call = true;
    assert_eq!(
        authenticate(&mut host, CodeSource::OwnPrompt, &[], no_broker),
        PamResultCode::PAM_SUCCESS
    );
}

#[test]
fn a_user_who_passed_under_another_name_in_the_same_call_is_asked() {
    let mut host = host([SetPassed("")]);
    host.passed = Some(passed("bob", Confirm::No));
    host.passed_in_this_call = true;
    let mut broker = broker(|end| send_verdict(end, Verdict::Denied));
    assert_eq!(
        authenticate(&mut host, CodeSource::OwnPrompt, &[], broker.connect()),
        PamResultCode::PAM_AUTH_ERR
    );
}

#[test]
fn a_code_that_a_later_line_is_to_check_is_kept_for_it_and_used_once() {
    let mut host = host([BOTH, SetPassword("hunter2"), ALICE_PASSED]).typing(&["hunter2123456"]);
    let mut first = broker(|end| {
        assert_eq!(prompt(end, Some(6)).as_deref(), Some("123456"));
        send_verdict(end, Verdict::Later);
    });
    let code = authenticate(&mut host, CodeSource::PasswordPrompt, &[], first.connect());
    assert_eq!(code, PamResultCode::PAM_IGNORE);
    assert_eq!(host.kept, "123456");

    let mut second = broker(|end| {
        assert_eq!(prompt(end, Some(6)).as_deref(), Some("123456"));
        send_verdict(end, Verdict::Passed);
    });
    assert_eq!(
        check_account(&mut host, false, &[], second.connect()),
        PamResultCode::PAM_SUCCESS
    );
    assert!(matches!(
        second.request(),
        Request::Account(Login {
            behind_password: true,
            may_ask: false,
            ..
        })
    ));
    assert_eq!(host.kept, "");
}

#[test]
fn a_code_that_was_kept_is_also_used_by_a_later_auth_line() {
    let mut host = host([ALICE_PASSED]);
    host.kept = "123456".into();
    let mut broker = broker(|end| {
        assert_eq!(prompt(end, Some(6)).as_deref(), Some("123456"));
        send_verdict(end, Verdict::Passed);
    });
    assert_eq!(
        authenticate(&mut host, CodeSource::OwnPrompt, &[], broker.connect()),
        PamResultCode::PAM_SUCCESS
    );
    assert!(matches!(
        broker.request(),
        Request::Login(Login {
            behind_password: true,
            ..
        })
    ));
}

#[test]
fn an_account_line_with_challenge_asks() {
    let mut host = host([CODE, ALICE_PASSED]).typing(&["123456"]);
    let mut broker = broker(|end| {
        assert_eq!(prompt(end, None).as_deref(), Some("123456"));
        send_verdict(end, Verdict::Passed);
    });
    assert_eq!(
        check_account(&mut host, true, &[], broker.connect()),
        PamResultCode::PAM_SUCCESS
    );
    assert!(matches!(
        broker.request(),
        Request::Account(Login { may_ask: true, .. })
    ));
}

#[test]
fn what_the_broker_asked_for_is_confirmed_once_in_the_account_phase() {
    for (verdict, confirm, code) in [
        (Verdict::Passed, RECORD, PamResultCode::PAM_SUCCESS),
        (Verdict::Trusted, TRUST, PamResultCode::PAM_IGNORE),
    ] {
        let mut host = host([ALICE_PASSED, ALICE_PASSED]);
        let mut first = broker(move |end| send_to_confirm(end, verdict, confirm));
        assert_eq!(
            authenticate(&mut host, CodeSource::OwnPrompt, &[], first.connect()),
            code
        );
        let mut second = broker(move |end| send_verdict(end, verdict));
        assert_eq!(check_account(&mut host, false, &[], second.connect()), code);
        let Request::Account(Login { evidence, .. }) = second.request() else {
            panic!("not the account phase");
        };
        assert_eq!(evidence.unwrap().confirms, confirm);
        assert_eq!(check_account(&mut host, false, &[], no_broker), code);
    }
}

#[test]
fn a_login_by_trust_that_cannot_be_confirmed_is_refused_and_one_by_code_is_not() {
    for (confirm, shown, expected) in [
        (RECORD, vec![], PamResultCode::PAM_SUCCESS),
        (
            TRUST,
            vec![Show(Tone::Error, messages::UNAVAILABLE)],
            PamResultCode::PAM_AUTHINFO_UNAVAIL,
        ),
    ] {
        let mut host = host(shown);
        host.passed = Some(passed("alice", confirm));
        let code = check_account(&mut host, false, &[], no_broker);
        assert_eq!(code, expected, "{confirm:?}");
    }
}

#[test]
fn a_login_that_the_broker_no_longer_knows_passes_by_its_code_and_not_by_trust() {
    for (confirm, expected) in [
        (RECORD, PamResultCode::PAM_SUCCESS),
        (TRUST, PamResultCode::PAM_AUTH_ERR),
    ] {
        let mut host = host([]);
        host.passed = Some(passed("alice", confirm));
        let mut broker = broker(|end| send_verdict(end, Verdict::NoTicket));
        let code = check_account(&mut host, false, &[], broker.connect());
        assert_eq!(code, expected, "{confirm:?}");
    }
    // Without a code that was right on this handle, the answer lets nobody in.
    for somebody in [None, Some(passed("bob", RECORD))] {
        let mut host = host([]);
        host.passed = somebody;
        let mut broker = broker(|end| send_verdict(end, Verdict::NoTicket));
        let code = check_account(&mut host, false, &[], broker.connect());
        assert_eq!(code, PamResultCode::PAM_AUTH_ERR);
    }
}

#[test]
fn a_login_that_is_refused_when_it_is_to_be_confirmed_is_refused() {
    let mut host = host([]);
    host.passed = Some(passed("alice", RECORD));
    let mut broker = broker(|end| send_verdict(end, Verdict::Denied));
    assert_eq!(
        check_account(&mut host, false, &[], broker.connect()),
        PamResultCode::PAM_AUTH_ERR
    );
}
