use super::*;
use crate::methods::enrolment::Finished;
use crate::methods::enrolment_state::Verified;
use crate::methods::enrolment_state::Wish;
use crate::testing::{Bench, ScriptedTerminal, clock, pass};
use twofa_delivery::InboundSms;
use twofa_store::Origin;

const MAIL: &str = "alice@example.org";
const PHONE: &str = "+4917612345678";

fn verify(
    bench: &Bench,
    channel: Channel,
    given: Option<&str>,
    terminal: &mut ScriptedTerminal<'_>,
) -> Result<Verified, EnrolmentError> {
    let person = bench.person();
    let origin = Origin::command_line(0);
    let context = Context {
        origin: &origin,
        ..bench.context(&person)
    };
    let mut enrolling = Enrolling::new(context, Wish::Proof);
    let result = enrolling
        .begin_address(channel, given, None, "", terminal)
        .and_then(|step| enrolling.run(step, terminal))
        .and_then(Finished::verified)
        .map(|(_, verified)| verified);
    let user = bench.person().snapshot.user;
    let is_kept = user.contacts[channel]
        .as_ref()
        .is_some_and(|contact| contact.verified);
    assert_eq!(
        result.is_ok(),
        is_kept,
        "kept if and only if it was verified"
    );
    result
}

#[test]
fn an_address_is_kept_when_its_code_comes_back() {
    let bench = Bench::new();
    let mut terminal = ScriptedTerminal::new()
        .types("not an address")
        .types(MAIL)
        .answers(|_| bench.mailbox.code());
    assert_eq!(
        verify(&bench, Channel::Email, None, &mut terminal)
            .unwrap()
            .address,
        MAIL
    );
    assert!(
        terminal.shown[2].contains("a***e@example.org"),
        "{:?}",
        terminal.shown
    );
}

#[test]
fn an_address_is_not_kept_after_five_wrong_codes_nor_if_nothing_could_be_sent() {
    let bench = Bench::new();
    let mut terminal = (0..5).fold(ScriptedTerminal::new(), |terminal, _| {
        terminal.types("999999999")
    });
    let result = verify(&bench, Channel::Email, Some(MAIL), &mut terminal);
    assert!(matches!(result, Err(EnrolmentError::NotConfirmed)));
    bench.mailbox.goes_down(Channel::Email);
    let result = verify(
        &bench,
        Channel::Email,
        Some(MAIL),
        &mut ScriptedTerminal::new(),
    );
    assert!(matches!(result, Err(EnrolmentError::NotSent(_))));
}

#[test]
fn another_code_replaces_the_previous_one() {
    let bench = Bench::new();
    let first = std::cell::RefCell::new(String::new());
    let mut terminal = ScriptedTerminal::new()
        .answers(|_| {
            *first.borrow_mut() = bench.mailbox.code();
            pass(31);
            "r".into()
        })
        .answers(|_| first.borrow().clone())
        .answers(|_| bench.mailbox.code());
    assert!(verify(&bench, Channel::Email, Some(MAIL), &mut terminal).is_ok());
    assert!(
        terminal.shown[2].starts_with("That is not the code."),
        "{:?}",
        terminal.shown
    );
}

#[test]
fn guesses_count_where_there_is_a_record_and_lock_it() {
    let bench = Bench::new();
    bench.policy(&[("lockout.after", "3")]);
    bench
        .store
        .add_user(&bench.alice, &Origin::command_line(0), clock())
        .unwrap();
    let mut terminal = (0..4).fold(ScriptedTerminal::new(), |terminal, _| {
        terminal.types("999999999")
    });
    let result = verify(&bench, Channel::Email, Some(MAIL), &mut terminal);
    assert!(
        matches!(result, Err(EnrolmentError::Locked(_))),
        "{result:?}"
    );
}

#[test]
fn a_right_code_leaves_no_failure() {
    let bench = Bench::new();
    bench
        .store
        .add_user(&bench.alice, &Origin::command_line(0), clock())
        .unwrap();
    let mut terminal = ScriptedTerminal::new().answers(|_| bench.mailbox.code());
    verify(&bench, Channel::Sms, Some(PHONE), &mut terminal).unwrap();
    assert_eq!(bench.failures(), 0);
}

/// The code that a prompt shows to be texted.
fn shown_code(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .find(|line| line.len() == 6 && line.parse::<u32>().is_ok())
        .unwrap()
        .to_owned()
}

#[test]
fn a_code_that_is_texted_to_us_gives_the_number_which_is_then_confirmed() {
    let mut bench = Bench::new();
    bench.policy(&[("phone.country", "DE")]);
    bench.mailbox.number = Some("+15550100".to_owned());
    let texts = |prompt: &str| {
        let text = |from: &str, text: String| InboundSms {
            from: from.to_owned(),
            text,
            at: None,
        };
        let mut received = bench.mailbox.received.lock().unwrap();
        received.push(text("+4930999999", "000000".to_owned()));
        received.push(text(
            "4917612345678",
            format!("code: {}", shown_code(prompt)),
        ));
        String::new()
    };
    let mut terminal = ScriptedTerminal::new()
        .types("")
        .answers(texts)
        .answers(|_| bench.mailbox.code());
    assert_eq!(
        verify(&bench, Channel::Sms, None, &mut terminal)
            .unwrap()
            .address,
        PHONE
    );
    assert!(
        terminal.shown[1].contains("+15550100"),
        "{:?}",
        terminal.shown
    );
    assert_eq!(bench.mailbox.destinations(), [PHONE]);
}

#[test]
fn a_number_is_shown_as_it_was_read_before_its_code_is_asked_for() {
    let bench = Bench::new();
    bench.policy(&[("phone.country", "DE"), ("phone.countries", "DE,AT")]);
    for (typed, read) in [
        ("0176 12345678", "+49 176 12345678"),
        ("0043 664 123456", "+43 664 123456"),
    ] {
        let mut terminal = ScriptedTerminal::new()
            .types(typed)
            .types("999999999")
            .types("");
        assert!(verify(&bench, Channel::Sms, None, &mut terminal).is_err());
        let sent = format!("A code was sent by text message to {read}. ");
        assert!(terminal.shown[1].starts_with(&sent), "{:?}", terminal.shown);
        assert!(
            terminal.shown[2].contains(&format!("The code was sent to {read}.")),
            "{:?}",
            terminal.shown
        );
    }
    assert_eq!(bench.mailbox.destinations(), [PHONE, "+43664123456"]);
    // What is on file was not typed by the person who logs in.
    let mut terminal = ScriptedTerminal::new().types("");
    assert!(verify(&bench, Channel::Sms, Some(PHONE), &mut terminal).is_err());
    assert!(
        terminal.shown[0].contains("to **** 5678."),
        "{:?}",
        terminal.shown
    );
}

#[test]
fn a_number_elsewhere_or_of_no_mobile_phone_gets_no_code_and_counts_for_nothing() {
    let bench = Bench::new();
    bench.policy(&[("phone.country", "DE"), ("send.unverified-daily", "1")]);
    let mut terminal = ScriptedTerminal::new()
        .types("+86 131 2345 6789")
        .types("030 1234567")
        .types("");
    assert!(verify(&bench, Channel::Sms, None, &mut terminal).is_err());
    assert!(
        terminal.shown[1].contains("a number from CN"),
        "{:?}",
        terminal.shown
    );
    assert!(
        terminal.shown[1].contains("twofa policy set phone.countries="),
        "{:?}",
        terminal.shown
    );
    assert!(
        terminal.shown[2].contains("is not a mobile number"),
        "{:?}",
        terminal.shown
    );
    assert!(bench.mailbox.destinations().is_empty());
    let mut terminal = ScriptedTerminal::new()
        .types("0176 12345678")
        .answers(|_| bench.mailbox.code());
    assert!(verify(&bench, Channel::Sms, None, &mut terminal).is_ok());
}

#[test]
fn where_no_country_is_allowed_nobody_is_asked_for_a_number() {
    let bench = Bench::new();
    let mut terminal = ScriptedTerminal::new();
    let result = verify(&bench, Channel::Sms, None, &mut terminal);
    assert!(
        matches!(result, Err(EnrolmentError::NotSent(_))),
        "{result:?}"
    );
    assert!(terminal.shown.is_empty());
    // But the one that an administrator put in is written to.
    let mut terminal = ScriptedTerminal::new().answers(|_| bench.mailbox.code());
    assert!(verify(&bench, Channel::Sms, Some("+8613123456789"), &mut terminal).is_ok());
}

#[test]
fn a_text_message_from_a_country_that_is_not_allowed_is_refused_and_gets_no_code() {
    let mut bench = Bench::new();
    bench.policy(&[("phone.country", "US")]);
    bench.mailbox.number = Some("+15550100".to_owned());
    let texts = |prompt: &str| {
        let text = format!("code: {}", shown_code(prompt));
        let received = InboundSms {
            from: PHONE.to_owned(),
            text,
            at: None,
        };
        bench.mailbox.received.lock().unwrap().push(received);
        String::new()
    };
    let mut terminal = ScriptedTerminal::new()
        .types("")
        .answers(texts)
        .answers(|text| {
            assert!(
                text.contains("+49 176 12345678 is a number from DE"),
                "{text}"
            );
            bench.mailbox.received.lock().unwrap().clear();
            "quit".to_owned()
        });
    assert!(verify(&bench, Channel::Sms, None, &mut terminal).is_err());
    assert!(bench.mailbox.destinations().is_empty());
}

#[test]
fn after_three_codes_to_an_address_that_is_not_verified_the_next_is_refused_with_an_explanation() {
    let bench = Bench::new();
    for _ in 0..3 {
        verify(
            &bench,
            Channel::Sms,
            Some(PHONE),
            &mut ScriptedTerminal::new(),
        )
        .unwrap_err();
    }
    match verify(
        &bench,
        Channel::Sms,
        Some("+4917612345679"),
        &mut ScriptedTerminal::new(),
    ) {
        Err(EnrolmentError::NotSent(Unsent {
            text,
            is_limited: true,
        })) => {
            assert!(
                text.contains("not verified yet. The next can be sent at "),
                "{text}"
            );
            assert!(text.contains("ask an administrator"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.mailbox.destinations(), [PHONE; 3]);
}
