use super::*;
use crate::testing::{Bench, ScriptedTerminal, app_code, pass, saved};
use twofa_core::channel::PerChannel;
use twofa_store::{Origin, Settings};

const MAIL: &str = "alice@example.org";

fn enrol(
    bench: &Bench,
    terminal: &mut ScriptedTerminal<'_>,
) -> Result<FirstMethod, EnrolmentError> {
    let person = bench.person();
    let result = enrol_first(bench.context(&person), false, "Set one up.", terminal);
    assert!(terminal.is_done(), "asked less often: {:?}", terminal.shown);
    result
}

fn only(methods: &str) -> Bench {
    let bench = Bench::new();
    bench.policy(&[("methods", methods)]);
    bench
}

/// An administrator put this address on file.
fn put_on_file(bench: &Bench) {
    let settings = Settings {
        addresses: PerChannel::default().with(Channel::Email, Some(Some(MAIL.to_owned()))),
        ..Settings::default()
    };
    let generation = bench.person().snapshot.generation;
    let (origin, now) = (Origin::command_line(0), crate::testing::clock());
    bench
        .store
        .set_user(&bench.alice, generation, &settings, &origin, now)
        .unwrap();
}

fn key(prompt: &str) -> String {
    let line = prompt.lines().find(|line| line.contains("Key:"));
    line.unwrap().to_owned()
}

#[test]
fn an_app_is_enrolled_when_its_first_code_is_typed_and_that_code_is_used() {
    let bench = only("app");
    let key_prompt = std::cell::RefCell::new(String::new());
    let mut terminal = ScriptedTerminal::new()
        .answers(|prompt| {
            *key_prompt.borrow_mut() = prompt.to_owned();
            "000000".into()
        })
        .answers(|_| app_code(&key_prompt.borrow()));
    enrol(&bench, &mut terminal).unwrap();
    assert!(
        terminal.shown[1].starts_with("That is not the code for this key. (4 tries are left)"),
        "{:?}",
        terminal.shown
    );
    let user = bench.person().snapshot.user;
    assert!(user.apps[0].app.used.is_some());
}

#[test]
fn five_wrong_codes_enrol_nothing_and_the_same_key_is_shown_again_for_a_while() {
    let bench = only("app");
    let wrong = || {
        (0..5).fold(ScriptedTerminal::new(), |terminal, _| {
            terminal.types("000000")
        })
    };
    let mut first = wrong();
    let error = enrol(&bench, &mut first).unwrap_err();
    assert!(matches!(error, EnrolmentError::NotConfirmed), "{error}");
    assert!(bench.person().snapshot.user.apps.is_empty());
    let mut second = ScriptedTerminal::new().types("");
    enrol(&bench, &mut second).unwrap_err();
    assert_eq!(key(&first.shown[0]), key(&second.shown[0]));
    pass(3_600);
    let mut third = ScriptedTerminal::new().types("");
    enrol(&bench, &mut third).unwrap_err();
    assert_ne!(key(&first.shown[0]), key(&third.shown[0]));
}

#[test]
fn backup_codes_are_kept_only_when_the_person_shows_that_they_were_saved() {
    let bench = only("app,backup");
    let mut terminal = ScriptedTerminal::new().answers(app_code).types("");
    enrol(&bench, &mut terminal).unwrap();
    assert_eq!(bench.person().snapshot.user.backup_codes_left(), 0);
    assert_eq!(
        terminal.shown.last().map(String::as_str),
        Some(
            "The backup codes were not confirmed and do not work. Make new ones with 'twofa codes --new'."
        )
    );

    let bench = only("app,backup");
    let mut terminal = ScriptedTerminal::new().answers(app_code).answers(saved);
    enrol(&bench, &mut terminal).unwrap();
    assert!(bench.person().snapshot.user.backup_codes_left() > 0);
}

#[test]
fn of_several_methods_the_person_chooses_by_number() {
    let bench = only("app,email,sms");
    let mut terminal = ScriptedTerminal::new()
        .types("9")
        .types("2")
        .types(MAIL)
        .answers(|_| bench.mailbox.code());
    enrol(&bench, &mut terminal).unwrap();
    assert!(
        terminal.shown[0]
            .starts_with("Set one up.\nWhat do you want to use as your second factor?"),
        "{:?}",
        terminal.shown
    );
    assert!(
        terminal.shown[1].starts_with("That is not on the list.\nWhat do you want"),
        "{:?}",
        terminal.shown
    );
    assert_eq!(bench.mailbox.destinations(), [MAIL]);
}

#[test]
fn a_method_whose_code_cannot_be_sent_leads_back_to_the_choice() {
    let bench = only("app,email");
    bench.mailbox.goes_down(Channel::Email);
    let mut terminal = ScriptedTerminal::new()
        .types("2")
        .types(MAIL)
        .types("1")
        .answers(app_code);
    enrol(&bench, &mut terminal).unwrap();
    assert!(
        terminal.shown[2].starts_with("The e-mail with your code could not be sent."),
        "{:?}",
        terminal.shown
    );
}

#[test]
fn methods_without_a_provider_are_not_offered() {
    let bench = only("email,sms");
    let channels = [Channel::Email, Channel::Sms];
    bench.mailbox.missing.lock().unwrap().extend(channels);
    let error = enrol(&bench, &mut ScriptedTerminal::new()).unwrap_err();
    assert!(matches!(error, EnrolmentError::NoMethod), "{error}");
    bench.policy(&[("methods", "app,email")]);
    let mut terminal = ScriptedTerminal::new().answers(app_code);
    enrol(&bench, &mut terminal).unwrap();
}

#[test]
fn a_password_alone_does_not_enrol_around_an_address_on_file() {
    let bench = only("app");
    put_on_file(&bench);
    let mut terminal = ScriptedTerminal::new().types("");
    let error = enrol(&bench, &mut terminal).unwrap_err();
    assert!(matches!(error, EnrolmentError::NotConfirmed), "{error}");
    assert_eq!(bench.mailbox.destinations(), [MAIL]);
    assert!(!terminal.shown[0].contains("Key:"), "{:?}", terminal.shown);
    pass(60);
    let mut terminal = ScriptedTerminal::new()
        .answers(|_| bench.mailbox.code())
        .answers(app_code);
    enrol(&bench, &mut terminal).unwrap();
    assert_eq!(bench.person().snapshot.user.apps.len(), 1);
}

#[test]
fn an_address_on_file_that_nothing_reaches_stops_the_enrolment() {
    let bench = only("app");
    put_on_file(&bench);
    bench.mailbox.missing.lock().unwrap().push(Channel::Email);
    let error = enrol(&bench, &mut ScriptedTerminal::new()).unwrap_err();
    assert!(matches!(error, EnrolmentError::OutOfReach), "{error}");
}

#[test]
fn a_proof_from_before_needs_no_code_to_the_address_on_file() {
    let bench = only("app");
    put_on_file(&bench);
    let person = bench.person();
    let mut terminal = ScriptedTerminal::new().answers(app_code);
    enrol_first(bench.context(&person), true, "", &mut terminal).unwrap();
    assert!(bench.mailbox.destinations().is_empty());
}

#[test]
fn the_key_is_in_the_prompt_and_nowhere_in_the_audit_log() {
    let bench = only("app");
    let mut terminal = ScriptedTerminal::new().answers(app_code);
    enrol(&bench, &mut terminal).unwrap();
    let key = key(&terminal.shown[0]);
    let key = key.trim().trim_start_matches("Key:").trim();
    let mut log = String::new();
    bench
        .store
        .events(&twofa_store::EventFilter::default(), |event| {
            log.push_str(&format!("{event:?}\n"));
            true
        })
        .unwrap();
    assert!(!log.is_empty() && !log.contains(key), "{log}");
}

#[test]
fn the_key_comes_as_text_and_is_drawn_when_asked_for_each_time_inverted() {
    let bench = only("app");
    let key_prompt = std::cell::RefCell::new(String::new());
    let mut terminal = ScriptedTerminal::new()
        .answers(|prompt| {
            *key_prompt.borrow_mut() = prompt.to_owned();
            "qr".into()
        })
        .types("QR")
        .types("000000")
        .types(" qr ")
        .answers(|_| app_code(&key_prompt.borrow()));
    enrol(&bench, &mut terminal).unwrap();
    let shown = &terminal.shown;
    assert!(shown[0].is_ascii(), "{}", shown[0]);
    assert!(shown[0].contains("\n  Key:  ") && shown[0].contains("\n  Link: otpauth://totp/"));
    assert!(
        shown[1].starts_with("Scan this with your app:\n█"),
        "{}",
        shown[1]
    );
    assert!(
        shown[2].starts_with("Scan this with your app:\n "),
        "{}",
        shown[2]
    );
    assert!(shown[3].contains("4 tries are left"), "{}", shown[3]);
    assert_eq!(shown[4], shown[1]);
}

#[test]
fn a_key_is_drawn_six_times_and_then_qr_is_a_wrong_code() {
    let bench = only("app");
    let mut terminal = (0..11).fold(ScriptedTerminal::new(), |terminal, _| terminal.types("qr"));
    let error = enrol(&bench, &mut terminal).unwrap_err();
    assert!(matches!(error, EnrolmentError::NotConfirmed), "{error}");
}
