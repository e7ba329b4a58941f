use super::*;
use crate::testing::{Bench, ScriptedTerminal, TOKEN_CODES, clock, pass};
use twofa_core::BackupCode;
use twofa_core::Channel;
use twofa_delivery::Message;

const MAIL: &str = "alice@example.org";
const PHONE: &str = "+4930123456";

fn by_mail() -> Bench {
    Bench::new().with(Channel::Email, MAIL)
}

fn ask(bench: &Bench, terminal: &mut ScriptedTerminal<'_>) -> ChallengeOutcome {
    let person = bench.person();
    let challenge = Challenge {
        context: bench.context(&person),
        accepted: Accepted::Allowed,
        tally: Tally::Proved,
        cannot_answer: false,
        settling: None,
        trust_hint: None,
        verdict: None,
    };
    let outcome = challenge.ask("", terminal).unwrap();
    assert!(
        terminal.is_done(),
        "it asked less often: {:?}",
        terminal.shown
    );
    outcome
}

fn passed(method: Method) -> ChallengeOutcome {
    ChallengeOutcome::Passed {
        method,
        backup_codes_left: 0,
        is_settled: true,
        trusted_for: None,
    }
}

fn code(bench: &Bench) -> impl FnOnce(&str) -> String {
    |_| bench.mailbox.code()
}

#[test]
fn a_code_that_was_mailed_passes_once_and_the_prompt_says_where_it_went() {
    let bench = by_mail();
    let mut terminal = ScriptedTerminal::new().answers(code(&bench));
    assert_eq!(ask(&bench, &mut terminal), passed(Method::Email));
    assert_eq!(
        terminal.shown,
        [
            "A code was sent by e-mail to a***e@example.org. It is valid for 10 minutes.\n\
          Verification code for Acme (r: new code, ?: help): "
        ]
    );
    match bench.mailbox.sent.lock().unwrap().first() {
        Some((Channel::Email, to, Message::Code(message))) => {
            assert_eq!(
                (to.as_str(), message.purpose.as_str()),
                (MAIL, "log in with sshd")
            );
            assert_eq!(
                (message.from.as_deref(), message.lifetime),
                (Some("192.0.2.7"), 600)
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.failures(), 0);
}

#[test]
fn a_code_is_valid_for_the_login_it_was_sent_for_and_no_other() {
    let bench = by_mail();
    ask(&bench, &mut ScriptedTerminal::new().types(""));
    let of_the_other_login = bench.mailbox.code();
    let of_the_other_login = |_: &str| {
        // One in a million is the same.
        let is_same = bench.mailbox.code() == of_the_other_login;
        if is_same {
            "999999999".into()
        } else {
            of_the_other_login.clone()
        }
    };
    let mut terminal = ScriptedTerminal::new()
        .answers(of_the_other_login)
        .types("");
    assert_eq!(ask(&bench, &mut terminal), ChallengeOutcome::NoAnswer);
    assert_eq!(bench.failures(), 1);
}

#[test]
fn a_wrong_code_counts_and_so_does_one_that_is_too_old() {
    let bench = by_mail();
    let late = |_: &str| {
        pass(600);
        bench.mailbox.code()
    };
    let mut terminal = ScriptedTerminal::new()
        .types("000000000")
        .answers(late)
        .types("");
    assert_eq!(ask(&bench, &mut terminal), ChallengeOutcome::NoAnswer);
    assert_eq!(bench.failures(), 2);
    assert!(
        terminal.shown[2].starts_with("That code has expired"),
        "{:?}",
        terminal.shown
    );
}

#[test]
fn another_code_after_the_wait_replaces_the_previous_one_and_clears_no_failure() {
    let bench = by_mail();
    let first = std::cell::RefCell::new(String::new());
    let mut terminal = ScriptedTerminal::new()
        .types("999999999")
        .answers(|_| {
            *first.borrow_mut() = bench.mailbox.code();
            "r".into()
        })
        .answers(|_| {
            pass(30);
            "R".into()
        })
        .answers(|_| {
            assert_eq!(bench.failures(), 1, "a new code forgives no failure");
            first.borrow().clone()
        })
        .answers(|_| bench.mailbox.code());
    assert_eq!(ask(&bench, &mut terminal), passed(Method::Email));
    assert!(
        terminal.shown[2].starts_with("A code is already on its way."),
        "{:?}",
        terminal.shown
    );
    assert_eq!(bench.mailbox.destinations().len(), 2);
    assert!(
        terminal.shown[4].starts_with("Wrong code."),
        "{:?}",
        terminal.shown
    );
}

#[test]
fn a_text_message_that_cannot_be_sent_goes_by_mail_even_where_mail_is_not_allowed() {
    let bench = by_mail().with(Channel::Sms, PHONE);
    bench.policy(&[("methods", "sms"), ("fallback.sms-to-email", "on")]);
    bench.mailbox.goes_down(Channel::Sms);
    let mut terminal = ScriptedTerminal::new().answers(code(&bench));
    assert_eq!(ask(&bench, &mut terminal), passed(Method::Email));
    assert!(
        terminal.shown[0].starts_with(
            "The text message with your code could not be sent. A code was sent by e-mail to a***e@"
        ),
        "{:?}",
        terminal.shown
    );
    assert_eq!(bench.mailbox.destinations(), [MAIL]);
}

#[test]
fn a_text_message_that_may_be_late_is_waited_for_unless_a_mail_can_take_its_place() {
    let bench = Bench::new().with(Channel::Sms, PHONE);
    bench.mailbox.is_late(Channel::Sms);
    let mut terminal = ScriptedTerminal::new().answers(code(&bench));
    assert_eq!(ask(&bench, &mut terminal), passed(Method::Sms));
    assert!(
        terminal.shown[0].contains("and may be late"),
        "{:?}",
        terminal.shown
    );

    let bench = by_mail().with(Channel::Sms, PHONE);
    bench.policy(&[("methods", "sms"), ("fallback.sms-to-email", "on")]);
    bench.mailbox.is_late(Channel::Sms);
    let mut terminal = ScriptedTerminal::new().answers(code(&bench));
    assert_eq!(ask(&bench, &mut terminal), passed(Method::Email));
    assert_eq!(bench.mailbox.destinations(), [PHONE, MAIL]);
}

#[test]
fn another_code_after_a_fallback_passes_as_well() {
    let bench = by_mail().with(Channel::Sms, PHONE);
    bench.policy(&[("methods", "sms"), ("fallback.sms-to-email", "on")]);
    bench.mailbox.goes_down(Channel::Sms);
    let later = |_: &str| {
        pass(31);
        "r".to_owned()
    };
    let mut terminal = ScriptedTerminal::new().answers(later).answers(code(&bench));
    assert_eq!(ask(&bench, &mut terminal), passed(Method::Email));
    assert_eq!(
        (bench.failures(), bench.mailbox.destinations().len()),
        (0, 2)
    );
}

#[test]
fn a_login_that_is_given_up_again_and_again_does_not_send_one_code_after_the_other() {
    let bench = by_mail();
    for _ in 0..20 {
        assert_eq!(
            ask(&bench, &mut ScriptedTerminal::new().types("")),
            ChallengeOutcome::NoAnswer
        );
    }
    assert_eq!(bench.mailbox.destinations().len(), 1);
    let mut terminal = ScriptedTerminal::new().types("r").answers(|_| {
        pass(30);
        "r".to_owned()
    });
    terminal = terminal.answers(code(&bench));
    assert_eq!(ask(&bench, &mut terminal), passed(Method::Email));
    assert!(
        terminal.shown[0].starts_with("A code was just sent for another login"),
        "{:?}",
        terminal.shown
    );
    assert_eq!(bench.mailbox.destinations().len(), 2);
    // Typed, it keeps nobody waiting.
    assert_eq!(
        ask(&bench, &mut ScriptedTerminal::new().answers(code(&bench))),
        passed(Method::Email)
    );
}

#[test]
fn a_code_that_no_provider_took_delays_no_other_login() {
    let bench = by_mail();
    bench.mailbox.goes_down(Channel::Email);
    assert!(matches!(
        ask(&bench, &mut ScriptedTerminal::new()),
        ChallengeOutcome::Unreachable { .. }
    ));
    bench.mailbox.down.lock().unwrap().clear();
    assert_eq!(
        ask(&bench, &mut ScriptedTerminal::new().answers(code(&bench))),
        passed(Method::Email)
    );
}

#[test]
fn a_program_that_answers_nothing_is_sent_no_code() {
    let bench = by_mail();
    let person = bench.person();
    let challenge = Challenge {
        context: bench.context(&person),
        accepted: Accepted::Allowed,
        tally: Tally::Proved,
        cannot_answer: true,
        settling: None,
        trust_hint: None,
        verdict: None,
    };
    assert_eq!(
        challenge.ask("", &mut ScriptedTerminal::new()).unwrap(),
        ChallengeOutcome::NoAnswer
    );
    assert!(bench.mailbox.destinations().is_empty());
}

#[test]
fn too_many_text_messages_are_no_reason_to_send_mail() {
    let bench = by_mail().with(Channel::Sms, PHONE);
    bench.policy(&[("methods", "sms"), ("send.address-daily", "1")]);
    ask(&bench, &mut ScriptedTerminal::new().types(""));
    pass(30);
    assert!(matches!(
        ask(&bench, &mut ScriptedTerminal::new()),
        ChallengeOutcome::TooManyCodes { .. }
    ));
    assert_eq!(bench.mailbox.destinations(), [PHONE]);
}

#[test]
fn choosing_from_the_list_does_not_shorten_the_wait() {
    let bench = by_mail().with(Channel::Sms, PHONE);
    let mut terminal = ScriptedTerminal::new()
        .types("m")
        .types("2")
        .types("m")
        .types("1")
        .types("");
    assert_eq!(ask(&bench, &mut terminal), ChallengeOutcome::NoAnswer);
    assert!(
        terminal.shown[4].starts_with("A code is already on its way."),
        "{:?}",
        terminal.shown
    );
    assert_eq!(bench.mailbox.destinations(), [MAIL, PHONE]);
}

#[test]
fn a_number_that_is_not_on_the_list_costs_no_try() {
    let bench = by_mail().with(Channel::Sms, PHONE);
    let mut terminal = ScriptedTerminal::new()
        .types("m")
        .types("7")
        .types("2")
        .answers(code(&bench));
    assert_eq!(ask(&bench, &mut terminal), passed(Method::Sms));
    assert!(
        terminal.shown[2].starts_with("That is not on the list."),
        "{:?}",
        terminal.shown
    );
}

#[test]
fn no_mail_takes_the_place_of_a_text_message_where_the_policy_does_not_allow_it() {
    for settings in [
        &[("methods", "sms"), ("fallback.sms-to-email", "off")][..],
        &[("methods", "sms")],
    ] {
        let bench = by_mail().with(Channel::Sms, PHONE);
        bench.policy(settings);
        bench.mailbox.goes_down(Channel::Sms);
        assert!(matches!(
            ask(&bench, &mut ScriptedTerminal::new()),
            ChallengeOutcome::Unreachable { .. }
        ));
        assert!(bench.mailbox.destinations().is_empty());
    }
}

#[test]
fn with_every_provider_down_an_app_code_still_passes() {
    let bench = by_mail().with(Channel::Sms, PHONE).with_app();
    bench.mailbox.goes_down(Channel::Sms);
    bench.mailbox.goes_down(Channel::Email);
    let mut terminal = ScriptedTerminal::new().types("m").types("3").types("");
    // Alice enrolled e-mail first, so that a login begins with it.
    assert_eq!(ask(&bench, &mut terminal), ChallengeOutcome::NoAnswer);
    assert!(terminal.shown[0].contains("could not be sent") && terminal.shown[0].contains("app"));
}

#[test]
fn the_methods_can_be_listed_and_chosen_by_number() {
    let bench = by_mail().with(Channel::Sms, PHONE);
    let mut terminal = ScriptedTerminal::new()
        .types("m")
        .types("2")
        .answers(code(&bench));
    assert_eq!(ask(&bench, &mut terminal), passed(Method::Sms));
    assert_eq!(
        terminal.shown[1],
        "Prove that it is you with one of these:\n  1  a code by e-mail to a***e@example.org\n  \
         2  a code by text message to **** 3456\nType a number: "
    );
    assert_eq!(bench.mailbox.destinations(), [MAIL, PHONE]);
}

#[test]
fn a_person_who_only_gives_commands_is_refused() {
    let bench = Bench::new().with_app();
    let mut terminal = (0..8).fold(ScriptedTerminal::new(), |terminal, _| terminal.types("?"));
    assert!(matches!(
        ask(&bench, &mut terminal),
        ChallengeOutcome::TriesUsedUp { .. }
    ));
    assert_eq!(bench.failures(), 0);
}

#[test]
fn a_code_to_an_address_that_was_removed_meanwhile_does_not_pass() {
    let bench = by_mail();
    let removed = |_: &str| {
        let generation = bench.person().snapshot.generation;
        let Bench {
            store,
            alice,
            origin,
            ..
        } = &bench;
        store
            .remove_address(alice, generation, Channel::Email, origin, clock())
            .unwrap();
        bench.mailbox.code()
    };
    let mut terminal = ScriptedTerminal::new().answers(removed).types("");
    assert_eq!(ask(&bench, &mut terminal), ChallengeOutcome::NoAnswer);
    assert_eq!(bench.failures(), 1);
}

#[test]
fn at_the_limit_nothing_is_sent_and_the_person_is_told_when_the_next_is_possible() {
    let bench = by_mail();
    bench.policy(&[("send.user-hourly", "2")]);
    for _ in 0..2 {
        ask(&bench, &mut ScriptedTerminal::new().types(""));
        pass(30);
    }
    let ChallengeOutcome::TooManyCodes { text } = ask(&bench, &mut ScriptedTerminal::new()) else {
        panic!("a third code was sent")
    };
    assert!(
        text.starts_with("Too many codes have been sent to you. The next can be sent at "),
        "{text}"
    );
    assert_eq!(bench.mailbox.destinations().len(), 2);
    pass(3_600);
    ask(&bench, &mut ScriptedTerminal::new().types(""));
    assert_eq!(bench.mailbox.destinations().len(), 3);
}

#[test]
fn no_code_is_in_the_audit_log() {
    let bench = by_mail();
    ask(&bench, &mut ScriptedTerminal::new().answers(code(&bench)));
    let mut log = String::new();
    let all = twofa_store::EventFilter::default();
    bench
        .store
        .events(&all, |event| {
            log.push_str(&format!("{event:?}\n"));
            true
        })
        .unwrap();
    assert!(
        log.contains("a***e@example.org") && log.contains("\"fake\""),
        "{log}"
    );
    assert!(!log.contains(&bench.mailbox.code()), "{log}");
}

fn backup_code() -> BackupCode {
    BackupCode::from_random([7; twofa_core::backup::CODE_BYTES])
}

#[test]
fn a_code_of_an_app_passes_once() {
    let bench = Bench::new().with_token();
    let mut terminal = ScriptedTerminal::new().types(TOKEN_CODES[0]);
    assert_eq!(ask(&bench, &mut terminal), passed(Method::App));
    let mut again = ScriptedTerminal::new().types(TOKEN_CODES[0]).types("");
    assert_eq!(ask(&bench, &mut again), ChallengeOutcome::NoAnswer);
    assert!(
        again.shown[1].starts_with("That code has already been used"),
        "{:?}",
        again.shown
    );
    assert_eq!(bench.failures(), 1, "a replay is a failure");
}

#[test]
fn a_backup_code_passes_once_and_says_how_many_are_left() {
    let bench = Bench::new()
        .with_token()
        .with_backup_codes(&[backup_code()]);
    let code = backup_code();
    let mut terminal = ScriptedTerminal::new().answers(|_| code.grouped().to_string());
    assert_eq!(ask(&bench, &mut terminal), passed(Method::Backup));
    let mut again = ScriptedTerminal::new()
        .answers(|_| code.grouped().to_string())
        .types("");
    assert_eq!(ask(&bench, &mut again), ChallengeOutcome::NoAnswer);
    assert_eq!(bench.failures(), 1);
}

#[test]
fn a_backup_code_does_not_pass_where_the_policy_allows_none() {
    let bench = Bench::new()
        .with_token()
        .with_backup_codes(&[backup_code()]);
    bench.policy(&[("methods", "app")]);
    let code = backup_code();
    let mut terminal = ScriptedTerminal::new()
        .answers(|_| code.grouped().to_string())
        .types("");
    assert_eq!(ask(&bench, &mut terminal), ChallengeOutcome::NoAnswer);
    assert_eq!(bench.failures(), 1);
}

#[test]
fn what_cannot_be_a_code_uses_up_a_try_and_counts_for_nothing() {
    let bench = Bench::new().with_token();
    let mut terminal = (0..3).fold(ScriptedTerminal::new(), |terminal, _| {
        terminal.types("my secret password")
    });
    let outcome = ask(&bench, &mut terminal);
    let ChallengeOutcome::TriesUsedUp { why } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(!why.contains("secret"), "{why}");
    assert_eq!(bench.failures(), 0);
    assert!(bench.refusals().is_empty());
}

#[test]
fn the_lock_holds_for_the_next_code_of_the_same_challenge() {
    let bench = Bench::new().with_token();
    bench.policy(&[("lockout.after", "3")]);
    let mut guesses = (0..3).fold(ScriptedTerminal::new(), |terminal, _| {
        terminal.types("000000")
    });
    ask(&bench, &mut guesses);
    let mut terminal = ScriptedTerminal::new().types(TOKEN_CODES[0]);
    assert!(matches!(
        ask(&bench, &mut terminal),
        ChallengeOutcome::Locked(_)
    ));
    assert_eq!(bench.failures(), 3, "a locked account counts no further");
}

#[test]
fn a_right_code_clears_the_failures_before_it() {
    let bench = Bench::new().with_token();
    let mut terminal = ScriptedTerminal::new()
        .types("000000")
        .types(TOKEN_CODES[0]);
    assert_eq!(ask(&bench, &mut terminal), passed(Method::App));
    assert_eq!(bench.failures(), 0);
}

#[test]
fn a_code_does_not_pass_once_its_user_was_removed() {
    let bench = Bench::new().with_token();
    let removed = |_: &str| {
        let (alice, origin) = (&bench.alice, &bench.origin);
        bench.store.remove_user(alice, origin, clock()).unwrap();
        TOKEN_CODES[0].to_owned()
    };
    let mut terminal = ScriptedTerminal::new().answers(removed).types("");
    assert_eq!(ask(&bench, &mut terminal), ChallengeOutcome::NoAnswer);
}

#[test]
fn a_method_that_is_disallowed_while_the_code_is_typed_does_not_pass() {
    let bench = Bench::new().with_token();
    let disallowed = |_: &str| {
        bench.policy(&[("methods", "email")]);
        TOKEN_CODES[0].to_owned()
    };
    let mut terminal = ScriptedTerminal::new().answers(disallowed).types("");
    assert_eq!(ask(&bench, &mut terminal), ChallengeOutcome::NoAnswer);
    assert_eq!(bench.failures(), 1);
}
