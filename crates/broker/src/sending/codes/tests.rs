use super::*;
use crate::methods::challenge::{Accepted, Challenge, ChallengeOutcome};
use crate::testing::{Bench, ScriptedTerminal};
use twofa_core::Method;
use twofa_store::{EventFilter, SmsAlarm, Tally};

const MAIL: &str = "alice@example.org";
const PHONE: &str = "+4917612345678";

fn send(bench: &Bench, channel: Channel, address: &str) -> Result<DispatchedCode, NotSent> {
    let person = bench.person();
    let deadline = Instant::now() + SEND_TIMEOUT;
    super::send(bench.context(&person), channel, address, deadline)
}

/// What the audit log says of limits on text messages, oldest first: how many were sent, and what about it.
fn alarms(bench: &Bench) -> Vec<(SmsAlarm, u32)> {
    let mut alarms = Vec::new();
    bench
        .store
        .events(&EventFilter::default(), |logged| {
            if let event::Record::Event(event) = logged.record
                && let Event::SmsLimit { alarm, all, .. } = *event
            {
                alarms.push((alarm, all));
            }
            true
        })
        .unwrap();
    alarms
}

#[test]
fn an_administrator_is_warned_once_that_most_and_once_that_all_text_messages_of_a_day_are_sent() {
    let bench = Bench::new().with(Channel::Sms, PHONE);
    bench.policy(&[("send.sms-daily", "5")]);
    for told in [0, 0, 0, 1, 2] {
        send(&bench, Channel::Sms, PHONE).unwrap();
        assert_eq!(alarms(&bench).len(), told, "{:?}", alarms(&bench));
    }
    for _ in 0..2 {
        assert!(matches!(
            send(&bench, Channel::Sms, PHONE),
            Err(NotSent::TooMany {
                limit: SendLimit::Sms,
                ..
            })
        ));
    }
    assert_eq!(alarms(&bench), [(SmsAlarm::Most, 4), (SmsAlarm::All, 5)]);
    assert_eq!(bench.mailbox.destinations().len(), 5);
}

#[test]
fn messages_to_numbers_that_are_not_verified_are_reported_before_they_use_much_of_the_limit() {
    let bench = Bench::new();
    bench.policy(&[("send.sms-daily", "10")]);
    for _ in 0..2 {
        send(&bench, Channel::Sms, PHONE).unwrap();
    }
    assert!(matches!(
        send(&bench, Channel::Sms, PHONE),
        Err(NotSent::TooMany {
            limit: SendLimit::UnverifiedSms,
            ..
        })
    ));
    assert_eq!(alarms(&bench), [(SmsAlarm::Unverified, 2)]);
    send(&bench, Channel::Email, MAIL).unwrap();
}

#[test]
fn when_all_text_messages_of_a_day_are_sent_a_login_goes_on_by_mail() {
    let bench = Bench::new()
        .with(Channel::Sms, PHONE)
        .with(Channel::Email, MAIL);
    bench.policy(&[("send.sms-daily", "1")]);
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
    challenge
        .ask("", &mut ScriptedTerminal::new().types(""))
        .unwrap();
    crate::testing::pass(30);
    let mut terminal = ScriptedTerminal::new().answers(|_| bench.mailbox.code());
    let outcome = challenge.ask("", &mut terminal).unwrap();
    assert_eq!(
        outcome,
        ChallengeOutcome::Passed {
            method: Method::Email,
            backup_codes_left: 0,
            is_settled: true,
            trusted_for: None,
        }
    );
    assert_eq!(bench.mailbox.destinations(), [PHONE, MAIL]);
    let said = &terminal.shown[0];
    assert!(
        said.contains("could not be sent. A code was sent by e-mail"),
        "{said}"
    );
}
