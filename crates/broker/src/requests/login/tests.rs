use super::*;
use crate::deferred::Task;
use crate::testing::{Bench, ScriptedTerminal, TOKEN_CODES, app_code, clock, pass, saved};
use std::os::unix::fs::MetadataExt;
use twofa_core::exemption::Subject;
use twofa_core::{BackupCode, Channel, Exemption};
use twofa_store::event::{Record, RefusalReason};
use twofa_store::{Event, EventFilter, Origin};

const MAIL: &str = "alice@example.org";
const WRONG: &str = "000000";

fn bench() -> Bench {
    Bench::with_local_account()
}

/// A login with sshd after a key that sshd verified itself, so that the first factor is known to be right.
fn proved(bench: &Bench) -> Login {
    Login {
        ssh_auth_info: Some("publickey ssh-ed25519 AAAA\n".into()),
        ..unproved(bench)
    }
}

/// A login of which nothing shows that the first factor was right.
fn unproved(bench: &Bench) -> Login {
    let folder = std::fs::metadata("/etc/pam.d").unwrap();
    Login {
        user: bench.alice.name.clone(),
        service: "no-such-service".into(),
        remote_host: Some("192.0.2.7".into()),
        pam_folder: Some((folder.dev(), folder.ino())),
        ..Login::default()
    }
}

fn run(
    bench: &Bench,
    peer: Peer,
    login: &Login,
    terminal: &mut ScriptedTerminal<'_>,
) -> (Verdict, String) {
    let request = Request::Login(login.clone());
    match serve(bench.services(), peer, &request, login, terminal) {
        Done::Login { verdict, why, .. } => {
            assert!(terminal.is_done(), "asked less often: {:?}", terminal.shown);
            (verdict, why)
        }
        other => panic!("{other:?}"),
    }
}

/// The verdict on a login whose first factor was right.
fn log_in(bench: &Bench, terminal: &mut ScriptedTerminal<'_>) -> (Verdict, String) {
    run(bench, Peer::ROOT, &proved(bench), terminal)
}

#[test]
fn where_the_policy_is_disabled_nobody_is_asked_and_no_account_is_looked_up() {
    let bench = bench();
    bench.policy(&[("mode", "disabled")]);
    let mut login = proved(&bench);
    login.user = "nobody-of-this-name".into();
    let mut terminal = ScriptedTerminal::new();
    let (verdict, _) = run(&bench, Peer::ROOT, &login, &mut terminal);
    assert_eq!((verdict, terminal.shown.len()), (Verdict::NotRequired, 0));
}

#[test]
fn a_right_code_passes_and_the_log_says_by_which_method() {
    let bench = bench().with(Channel::Email, MAIL);
    let mut terminal = ScriptedTerminal::new().answers(|_| bench.mailbox.code());
    let (verdict, why) = log_in(&bench, &mut terminal);
    assert_eq!((verdict, why.as_str()), (Verdict::Passed, "by e-mail code"));
}

#[test]
fn three_wrong_codes_end_the_login_and_are_counted() {
    let bench = bench().with_token();
    let mut terminal = ScriptedTerminal::new()
        .types(WRONG)
        .types(WRONG)
        .types(WRONG);
    let (verdict, why) = log_in(&bench, &mut terminal);
    assert_eq!(verdict, Verdict::TriesUsedUp);
    assert!(why.contains("the last was a wrong code"), "{why}");
    assert_eq!(bench.failures(), 3);
}

#[test]
fn a_locked_account_is_refused_before_any_prompt_and_nothing_is_counted() {
    let bench = bench().with_token();
    bench.policy(&[("lockout.after", "3")]);
    let guesses = || {
        ScriptedTerminal::new()
            .types(WRONG)
            .types(WRONG)
            .types(WRONG)
    };
    log_in(&bench, &mut guesses());
    let mut terminal = ScriptedTerminal::new();
    let (verdict, why) = log_in(&bench, &mut terminal);
    assert_eq!(verdict, Verdict::TriesUsedUp);
    assert!(why.starts_with("locked until"), "{why}");
    assert!(
        terminal.shown[0].starts_with("Too many wrong codes: locked until"),
        "{:?}",
        terminal.shown
    );
    assert_eq!(bench.failures(), 3);
}

/// What people see whose first factor may be wrong is the same for all of them, and nothing is done for them.
#[test]
fn without_the_first_factor_nobody_learns_or_gets_anything() {
    let by_mail = bench().with(Channel::Email, MAIL);
    let locked = bench().with_token();
    locked.policy(&[("lockout.after", "3")]);
    let mut guesses = (0..3).fold(ScriptedTerminal::new(), |terminal, _| terminal.types(WRONG));
    log_in(&locked, &mut guesses);
    let not_allowed = bench().with(Channel::Email, MAIL);
    not_allowed.policy(&[("methods", "app")]);
    let unknown = Login {
        user: "nobody-of-this-name".into(),
        ..unproved(&bench())
    };
    let benches = [bench(), by_mail, locked, not_allowed];
    let mut cases: Vec<_> = benches
        .iter()
        .map(|bench| (bench, unproved(bench)))
        .collect();
    cases.push((&benches[0], unknown));
    for (bench, login) in cases {
        let mut terminal = ScriptedTerminal::new().types("123456");
        let (verdict, why) = run(bench, Peer::ROOT, &login, &mut terminal);
        assert_eq!(verdict, Verdict::Denied, "{why}");
        assert_eq!(
            terminal.shown,
            ["Verification code for Acme (press Enter if you have none): "]
        );
        assert!(bench.mailbox.destinations().is_empty());
        assert!(bench.person().snapshot.user.apps.len() < 2, "no enrolment");
    }
}

#[test]
fn without_the_first_factor_wrong_codes_lock_nobody() {
    let bench = bench().with_token();
    bench.policy(&[("lockout.after", "3")]);
    for _ in 0..20 {
        let mut terminal = ScriptedTerminal::new().types(WRONG);
        run(&bench, Peer::ROOT, &unproved(&bench), &mut terminal);
    }
    assert_eq!(bench.failures(), 0);
    let mut terminal = ScriptedTerminal::new().types(TOKEN_CODES[0]);
    assert_eq!(log_in(&bench, &mut terminal).0, Verdict::Passed);
}

#[test]
fn without_the_first_factor_a_right_code_passes_as_far_as_this_line_is_concerned() {
    let bench = bench().with_token();
    let mut terminal = ScriptedTerminal::new().types(TOKEN_CODES[0]);
    let (verdict, _) = run(&bench, Peer::ROOT, &unproved(&bench), &mut terminal);
    assert_eq!(verdict, Verdict::Passed);
}

#[test]
fn where_a_later_line_asks_this_one_asks_nothing() {
    let mut bench = bench().with_token();
    bench.stacks = crate::identity::first_factor::Stacks::with_a_later_line();
    let login = Login {
        service: "sshd".into(),
        ..unproved(&bench)
    };
    let mut terminal = ScriptedTerminal::new();
    let (verdict, _) = run(&bench, Peer::ROOT, &login, &mut terminal);
    assert_eq!((verdict, terminal.shown.len()), (Verdict::Later, 0));
}

#[test]
fn a_user_who_must_enrol_is_guided_through_it_and_is_in_with_the_first_code() {
    let bench = bench();
    bench.policy(&[("methods", "app,backup")]);
    let mut terminal = ScriptedTerminal::new().answers(app_code).answers(saved);
    let (verdict, why) = log_in(&bench, &mut terminal);
    assert_eq!(
        (verdict, why.as_str()),
        (Verdict::Passed, "by enrolling 'app'")
    );
    let user = bench.person().snapshot.user;
    assert_eq!((user.apps.len(), user.backup_codes_left() > 0), (1, true));
    assert!(
        terminal.shown[0]
            .starts_with("Acme requires a second factor, and you have not set one up yet."),
        "{:?}",
        terminal.shown
    );
}

#[test]
fn an_enrolment_that_is_not_confirmed_is_recorded_as_a_refusal() {
    let bench = bench();
    bench.policy(&[("methods", "app")]);
    let mut terminal = ScriptedTerminal::new().types("");
    assert_eq!(log_in(&bench, &mut terminal).0, Verdict::Denied);
    assert!(bench.person().snapshot.user.apps.is_empty());
    assert_eq!(bench.refusals(), [RefusalReason::NotConfirmed]);
}

#[test]
fn where_users_enrol_beforehand_a_login_tells_them_to() {
    let bench = bench();
    bench.policy(&[("enrolment", "beforehand")]);
    let mut terminal = ScriptedTerminal::new();
    let (verdict, why) = log_in(&bench, &mut terminal);
    assert_eq!(verdict, Verdict::Denied);
    assert_eq!(
        why,
        "the mode is mandatory, nothing is enrolled, and enrolment=beforehand"
    );
    assert!(
        terminal.shown[0].contains("'twofa enrol app --user nobody'"),
        "{:?}",
        terminal.shown
    );
}

#[test]
fn an_address_on_file_proves_the_person_before_anything_is_enrolled() {
    let bench = bench();
    let settings = twofa_store::Settings {
        addresses: twofa_core::channel::PerChannel::default()
            .with(Channel::Email, Some(Some(MAIL.to_owned()))),
        ..twofa_store::Settings::default()
    };
    let generation = bench.person().snapshot.generation;
    bench
        .store
        .set_user(
            &bench.alice,
            generation,
            &settings,
            &Origin::command_line(0),
            clock(),
        )
        .unwrap();
    let mut terminal = ScriptedTerminal::new()
        .answers(|_| bench.mailbox.code())
        .types("");
    let (verdict, why) = log_in(&bench, &mut terminal);
    assert_eq!(verdict, Verdict::Passed, "{why}");
    assert_eq!(bench.mailbox.destinations(), [MAIL]);

    bench.mailbox.missing.lock().unwrap().push(Channel::Email);
    let out_of_reach = self::bench();
    let generation = out_of_reach.person().snapshot.generation;
    out_of_reach
        .store
        .set_user(
            &out_of_reach.alice,
            generation,
            &settings,
            &Origin::command_line(0),
            clock(),
        )
        .unwrap();
    let missing = &out_of_reach.mailbox.missing;
    missing.lock().unwrap().push(Channel::Email);
    let (verdict, _) = log_in(&out_of_reach, &mut ScriptedTerminal::new());
    assert_eq!(verdict, Verdict::Unavailable);
}

#[test]
fn a_method_that_is_no_longer_allowed_proves_the_person_once_more_and_is_replaced() {
    let bench = bench().with(Channel::Email, MAIL);
    bench.policy(&[("methods", "app")]);
    let mut terminal = ScriptedTerminal::new()
        .answers(|_| bench.mailbox.code())
        .answers(app_code);
    let (verdict, why) = log_in(&bench, &mut terminal);
    assert_eq!(verdict, Verdict::Passed, "{why}");
    assert_eq!(bench.person().snapshot.user.apps.len(), 1);
    assert!(
        terminal.shown[0].starts_with("Acme no longer allows the second factor you have set up."),
        "{:?}",
        terminal.shown
    );
}

#[test]
fn nothing_is_replaced_without_the_old_code_or_after_a_change_meanwhile() {
    let bench = bench().with(Channel::Email, MAIL);
    bench.policy(&[("methods", "app")]);
    let mut terminal = ScriptedTerminal::new().types("");
    assert_eq!(log_in(&bench, &mut terminal).0, Verdict::NoAnswer);
    pass(60);
    let allowed_again = |_: &str| {
        bench.policy(&[("methods", "app,email")]);
        bench.mailbox.code()
    };
    let mut terminal = ScriptedTerminal::new().answers(allowed_again);
    let (verdict, why) = log_in(&bench, &mut terminal);
    assert_eq!(verdict, Verdict::Denied);
    assert_eq!(why, "the user's methods changed during the login");
    assert!(bench.person().snapshot.user.apps.is_empty());
}

#[test]
fn a_method_that_is_no_longer_allowed_is_a_refusal_where_users_enrol_beforehand() {
    let bench = bench().with(Channel::Email, MAIL);
    bench.policy(&[("methods", "app"), ("enrolment", "beforehand")]);
    let mut terminal = ScriptedTerminal::new();
    assert_eq!(log_in(&bench, &mut terminal).0, Verdict::Denied);
    assert!(bench.mailbox.destinations().is_empty());
    assert_eq!(bench.refusals(), [RefusalReason::NotAllowed]);
}

#[test]
fn the_record_of_another_account_of_this_name_is_not_taken_for_not_enrolled() {
    let mut bench = bench().with_token();
    let local = bench.alice.clone();
    bench.alice.uid = 4242;
    let bench = bench.with_token();
    let other = bench.alice.clone();
    bench
        .store
        .remove_user(&local, &Origin::command_line(0), clock())
        .unwrap();
    assert_eq!(other.uid, 4242);
    let mut terminal = ScriptedTerminal::new();
    let (verdict, _) = log_in(&bench, &mut terminal);
    assert_eq!(verdict, Verdict::Denied);
    assert_eq!(
        terminal.shown,
        [
            "A second factor is registered for a different account with this name or user ID. Ask an administrator."
        ]
    );
}

#[test]
fn a_peer_may_not_ask_about_another_account_and_learns_only_whether_nobody_is_asked() {
    let bench = bench().with_token();
    let peer = Peer::new(1234);
    let mut terminal = ScriptedTerminal::new();
    let (verdict, why) = run(&bench, peer, &proved(&bench), &mut terminal);
    assert_eq!(verdict, Verdict::Denied);
    assert_eq!(why, "uid 1234 may not ask about nobody");
    assert!(terminal.shown.is_empty());
}

#[test]
fn an_exemption_covers_a_login_where_root_says_it_comes_from() {
    let bench = bench().with_token();
    let exemption = Exemption {
        subject: Subject::User(bench.alice.clone()),
        network: Some("192.0.2.0/24".parse().unwrap()),
        service: None,
        reason: "nightly copies".into(),
        granted_by: 0,
        granted_at: clock(),
        until: None,
    };
    bench
        .store
        .grant(&exemption, &Origin::command_line(0), clock())
        .unwrap();
    let (verdict, why) = log_in(&bench, &mut ScriptedTerminal::new());
    assert_eq!(
        (verdict, why.as_str()),
        (Verdict::Exempt, "exempt: nightly copies")
    );
    let owner = Peer::new(bench.alice.uid);
    let mut terminal = ScriptedTerminal::new().types("");
    let (verdict, _) = run(&bench, owner, &proved(&bench), &mut terminal);
    assert_eq!(verdict, Verdict::Denied, "its claims are not believed");
}

#[test]
fn a_client_with_one_prompt_gets_no_code_that_must_be_sent() {
    let bench = bench().with(Channel::Email, MAIL);
    let login = Login {
        behind_password: true,
        ..proved(&bench)
    };
    let mut terminal = ScriptedTerminal::new();
    let (verdict, _) = run(&bench, Peer::ROOT, &login, &mut terminal);
    assert_eq!(verdict, Verdict::Denied);
    assert!(bench.mailbox.destinations().is_empty());
    let bench = self::bench().with_token();
    let login = Login {
        behind_password: true,
        ..proved(&bench)
    };
    let mut terminal = ScriptedTerminal::new().types(TOKEN_CODES[0]);
    let (verdict, _) = run(&bench, Peer::ROOT, &login, &mut terminal);
    assert_eq!(verdict, Verdict::Passed);
}

#[test]
fn a_login_that_is_abandoned_at_the_code_prompt_is_recorded_once() {
    let bench = bench().with_token();
    let mut terminal = ScriptedTerminal::new().goes_away();
    assert_eq!(log_in(&bench, &mut terminal).0, Verdict::NoAnswer);
    assert_eq!(bench.refusals(), [RefusalReason::GivenUp]);
    let mut terminal = ScriptedTerminal::new().types(WRONG).goes_away();
    assert_eq!(log_in(&bench, &mut terminal).0, Verdict::NoAnswer);
    assert_eq!(
        bench.refusals(),
        [RefusalReason::GivenUp, RefusalReason::WrongCode]
    );
}

/// The passes and refusals in the audit log, the earliest first.
fn endings(bench: &Bench) -> Vec<&'static str> {
    let mut endings = Vec::new();
    bench
        .store
        .events(&EventFilter::default(), |logged| {
            if let Record::Event(event) = logged.record {
                match *event {
                    Event::Passed { .. } | Event::BackupCodeUsed => endings.push("passed"),
                    Event::Refused { .. } => endings.push("refused"),
                    _ => {}
                }
            }
            true
        })
        .unwrap();
    endings
}

#[test]
fn an_enrolment_abandoned_at_the_backup_codes_is_refused_and_recorded_as_refused() {
    for method in ["app", "email"] {
        // A client that disconnects, and one that reports no answer.
        for goes_away in [true, false] {
            let bench = bench();
            bench.policy(&[("methods", &format!("{method},backup"))]);
            let origin = Origin::command_line(0);
            bench
                .store
                .add_user(&bench.alice, &origin, clock())
                .unwrap();
            let terminal = ScriptedTerminal::new();
            let terminal = if method == "app" {
                terminal.answers(app_code)
            } else {
                terminal.types(MAIL).answers(|_| bench.mailbox.code())
            };
            let mut terminal = if goes_away {
                terminal.goes_away()
            } else {
                terminal
            };
            let (verdict, _) = log_in(&bench, &mut terminal);
            let snapshot = bench.person().snapshot;
            assert_eq!(verdict, Verdict::NoAnswer, "{method}");
            assert!(!snapshot.user.enrolled().is_empty(), "{method}");
            assert_eq!(endings(&bench), ["refused"], "{method}");
            assert_eq!(bench.refusals(), [RefusalReason::GivenUp], "{method}");
            assert_eq!(snapshot.codes_shown_at, Some(clock()), "{method}");
        }
    }
}

#[test]
fn an_abandoned_replacement_of_a_method_is_recorded_as_a_refusal_after_the_code_that_passed() {
    let bench = bench().with_token();
    bench.policy(&[("methods", "email")]);
    let mut terminal = ScriptedTerminal::new().types(TOKEN_CODES[0]).goes_away();
    assert_eq!(log_in(&bench, &mut terminal).0, Verdict::NoAnswer);
    assert_eq!(endings(&bench), ["passed", "refused"]);
}

#[test]
fn unconfirmed_backup_codes_are_reported_as_void_once_at_the_next_login() {
    let bench = bench().with_token();
    bench
        .store
        .note_codes_shown(&bench.alice, &bench.origin, clock())
        .unwrap();
    for (code, is_told) in [(TOKEN_CODES[0], true), (TOKEN_CODES[1], false)] {
        let mut terminal = ScriptedTerminal::new().types(code);
        assert_eq!(log_in(&bench, &mut terminal).0, Verdict::Passed);
        let says = |text: &String| text.contains("were not confirmed and do not work");
        assert_eq!(terminal.shown.iter().any(says), is_told);
    }
}

#[test]
fn a_user_who_asks_about_themselves_does_not_fill_the_audit_log() {
    let bench = bench();
    bench.policy(&[("enrolment", "beforehand")]);
    let owner = Peer::new(bench.alice.uid);
    let mut terminal = ScriptedTerminal::new().types("");
    run(&bench, owner, &proved(&bench), &mut terminal);
    assert!(bench.refusals().is_empty());
}

#[test]
fn a_program_that_cannot_answer_begins_no_enrolment() {
    let bench = bench();
    let login = Login {
        cannot_answer: true,
        ..proved(&bench)
    };
    let mut terminal = ScriptedTerminal::new();
    let (verdict, _) = run(&bench, Peer::ROOT, &login, &mut terminal);
    assert_eq!(verdict, Verdict::NoAnswer);
    assert!(
        terminal.shown[0].starts_with("A second factor must be set up for Acme."),
        "{:?}",
        terminal.shown
    );
}

#[test]
fn an_account_line_that_cannot_ask_refuses_and_says_how_to_configure_it() {
    let bench = bench().with_token();
    let login = proved(&bench);
    let request = Request::Account(login.clone());
    let mut terminal = ScriptedTerminal::new();
    let done = serve(
        bench.services(),
        Peer::ROOT,
        &request,
        &login,
        &mut terminal,
    );
    let Done::Login { verdict, why, .. } = done else {
        panic!("{done:?}")
    };
    assert_eq!(verdict, Verdict::Denied);
    assert!(why.contains("add the argument 'challenge'"), "{why}");
    assert_eq!(bench.refusals(), [RefusalReason::NotAsked]);
}

#[test]
fn a_user_who_passed_is_told_of_failed_attempts_and_of_few_backup_codes() {
    let code = BackupCode::from_random([7; twofa_core::backup::CODE_BYTES]);
    let bench = bench().with_token().with_backup_codes(&[code]);
    let mut terminal = ScriptedTerminal::new().types(TOKEN_CODES[0]);
    log_in(&bench, &mut terminal);
    let mut guess = ScriptedTerminal::new().types(WRONG).types("");
    log_in(&bench, &mut guess);
    let mut terminal = ScriptedTerminal::new().types(TOKEN_CODES[1]);
    assert_eq!(log_in(&bench, &mut terminal).0, Verdict::Passed);
    assert!(
        terminal.shown[1].starts_with("There was one failed attempt to log in as you"),
        "{:?}",
        terminal.shown
    );
    assert!(
        terminal.shown[2].starts_with("One backup code is left."),
        "{:?}",
        terminal.shown
    );
}

/// What the log has of the logins that were only reported.
fn reported(bench: &Bench) -> Vec<twofa_store::event::ReportedOutcome> {
    let mut found = Vec::new();
    let each = |logged: twofa_store::LoggedEvent| {
        if let Record::Event(event) = logged.record
            && let Event::Reported { outcome, .. } = *event
        {
            found.push(outcome);
        }
        true
    };
    let services = bench.services();
    while let Some(Task::Report(peer, request)) = services.deferred.take() {
        record(services, peer, &request).unwrap();
    }
    services
        .store
        .events(&EventFilter::default(), each)
        .unwrap();
    found
}

#[test]
fn where_the_mode_is_report_the_log_says_who_would_be_refused_and_strangers_leave_no_trace() {
    use twofa_store::event::ReportedOutcome::{Enrols, NoMethod};
    let bench = bench();
    bench.policy(&[("mode", "report")]);
    let verdict = |login: &Login| run(&bench, Peer::ROOT, login, &mut ScriptedTerminal::new()).0;
    assert_eq!(verdict(&unproved(&bench)), Verdict::NotRequired);
    assert_eq!(reported(&bench), []);
    assert_eq!(verdict(&proved(&bench)), Verdict::NotRequired);
    assert_eq!(reported(&bench), [Enrols]);
    bench.policy(&[("enrolment", "beforehand")]);
    assert_eq!(verdict(&proved(&bench)), Verdict::NotRequired);
    assert_eq!(reported(&bench), [Enrols, NoMethod]);
}

#[test]
fn where_the_mode_is_report_a_program_that_cannot_ask_for_a_code_is_recorded() {
    let bench = bench();
    bench.policy(&[("mode", "report")]);
    let login = proved(&bench);
    let request = Request::Account(login.clone());
    let mut terminal = ScriptedTerminal::new();
    let done = serve(
        bench.services(),
        Peer::ROOT,
        &request,
        &login,
        &mut terminal,
    );
    assert!(
        matches!(
            done,
            Done::Login {
                verdict: Verdict::NotRequired,
                ..
            }
        ),
        "{done:?}"
    );
    assert_eq!(
        reported(&bench),
        [twofa_store::event::ReportedOutcome::CannotAsk]
    );
}

#[test]
fn where_the_mode_is_report_sshds_method_password_which_cannot_answer_is_recorded() {
    let bench = bench();
    bench.policy(&[("mode", "report")]);
    let login = Login {
        cannot_answer: true,
        may_ask: true,
        ..proved(&bench)
    };
    let request = Request::Login(login.clone());
    let mut terminal = ScriptedTerminal::new();
    let done = serve(
        bench.services(),
        Peer::ROOT,
        &request,
        &login,
        &mut terminal,
    );
    assert!(
        matches!(
            done,
            Done::Login {
                verdict: Verdict::NotRequired,
                ..
            }
        ),
        "{done:?}"
    );
    assert_eq!(
        reported(&bench),
        [twofa_store::event::ReportedOutcome::CannotAsk]
    );
}

#[test]
fn refusals_of_people_who_may_not_have_shown_the_first_factor_are_left_to_be_recorded_without_their_names()
 {
    use twofa_store::event::UnprovedReason::{
        NoAccount, NoCode, NotPermitted, NothingToShow, WrongCode,
    };
    let reasons = |bench: &Bench| {
        let mut found = Vec::new();
        while let Some(Task::Refusal(reason, origin, _)) = bench.deferred.take() {
            let claims = origin.as_login().unwrap();
            assert_eq!(claims.remote_user, None);
            found.push(reason);
        }
        found
    };
    let bench = bench().with_token();
    let answer = |login: &Login, code: &str| {
        run(
            &bench,
            Peer::ROOT,
            login,
            &mut ScriptedTerminal::new().types(code),
        )
        .0
    };
    let unknown = Login {
        user: "no-such-user".into(),
        remote_user: Some("chosen by a stranger".into()),
        ..unproved(&bench)
    };
    assert_eq!(answer(&unknown, WRONG), Verdict::Denied);
    assert_eq!(answer(&unproved(&bench), WRONG), Verdict::Denied);
    assert_eq!(answer(&unproved(&bench), ""), Verdict::Denied);
    let (peer, login) = (Peer::new(1234), proved(&bench));
    run(&bench, peer, &login, &mut ScriptedTerminal::new());
    assert_eq!(
        reasons(&bench),
        [NoAccount, WrongCode, NoCode, NotPermitted]
    );
    // Those who have shown it leave their refusals in the log as before.
    assert_eq!(answer(&proved(&bench), ""), Verdict::NoAnswer);
    assert_eq!(reasons(&bench), []);
    let bench = self::bench();
    let login = unproved(&bench);
    run(
        &bench,
        Peer::ROOT,
        &login,
        &mut ScriptedTerminal::new().types(WRONG),
    );
    assert_eq!(reasons(&bench), [NothingToShow]);
}
